//! A disk as a power cut leaves it.
//!
//! What was written before the begin of a sync that has ended is there. Of everything younger,
//! any part may be there, in any order, in sectors of 512 bytes; a sector keeps the bytes that
//! nobody wrote. Names (files made and removed) are written in order, as journaling file systems
//! do: a sync of the folder or of a file makes all names before it last.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;

use super::recorder::Step;

const SECTOR: usize = 512;
/// The name that the recorder gives to the folder of the files.
const FOLDER: &str = "/";

/// How much of what was not synced the cut leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left {
    Nothing,
    Everything,
    /// Each sector of each write with this chance in 100.
    Some(u8),
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Contents, each file that was ever made has one.
    contents: Vec<Content>,
    /// Names as programs see them, and as they are on the disk.
    seen: BTreeMap<String, usize>,
    lasting: BTreeMap<String, usize>,
    /// Changes of names that may be lost, in order.
    names: Vec<(usize, Name)>,
    /// Syncs that have begun: of which file, at which step.
    begun: HashMap<u64, (String, usize)>,
    /// Files whose syncs do nothing: for the test of the test.
    lies_about: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Content {
    lasting: Vec<u8>,
    open: Vec<(usize, Change)>,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Resize(usize),
}

#[derive(Debug)]
enum Name {
    Made(String, usize),
    Removed(String),
}

impl Name {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made(name, content) => drop(names.insert(name.clone(), *content)),
            Self::Removed(name) => drop(names.remove(name)),
        }
    }
}

impl Disk {
    /// An empty disk on which syncs of this file do nothing.
    pub(crate) fn lying_about(file: Option<&'static str>) -> Self {
        Self { lies_about: file, ..Self::default() }
    }

    /// Takes the step with this number.
    pub(crate) fn take(&mut self, number: usize, step: &Step) {
        match step {
            Step::Created { file } => {
                if !self.seen.contains_key(file) {
                    self.contents.push(Content::default());
                    self.name(number, Name::Made(file.clone(), self.contents.len() - 1));
                }
            }
            Step::Removed { file } => self.name(number, Name::Removed(file.clone())),
            Step::Wrote { file, at, data } => {
                let change = Change::Write { at: *at, data: data.clone() };
                self.content(file).open.push((number, change));
            }
            Step::Resized { file, size } => self.content(file).open.push((number, Change::Resize(*size))),
            Step::SyncBegan { file, number: sync } => {
                self.begun.insert(*sync, (file.clone(), number));
            }
            Step::SyncEnded { number: sync } => {
                let (file, begun) = self.begun.remove(sync).expect("it has begun");
                self.synced(&file, begun);
            }
            Step::Acknowledged(_) => {}
        }
    }

    fn name(&mut self, number: usize, name: Name) {
        name.apply(&mut self.seen);
        self.names.push((number, name));
    }

    fn content(&mut self, file: &str) -> &mut Content {
        let at = *self.seen.get(file).unwrap_or_else(|| panic!("{file:?} was never made"));
        &mut self.contents[at]
    }

    fn synced(&mut self, file: &str, begun: usize) {
        if self.lies_about == Some(file) {
            return;
        }
        let before = self.names.partition_point(|(number, _)| *number < begun);
        for (_, name) in self.names.drain(..before) {
            name.apply(&mut self.lasting);
        }
        if file != FOLDER {
            let content = self.content(file);
            let before = content.open.partition_point(|(number, _)| *number < begun);
            for (_, change) in content.open.drain(..before) {
                change.apply(&mut content.lasting, &mut |_| true);
            }
        }
    }

    /// Whether something was written that no sync covers.
    pub(crate) fn has_open_writes(&self) -> bool {
        !self.names.is_empty() || self.contents.iter().any(|content| !content.open.is_empty())
    }

    /// The files after a power cut now.
    pub(crate) fn cut(&self, left: Left, random: &mut Rng) -> BTreeMap<String, Vec<u8>> {
        let keep = |random: &mut Rng| match left {
            Left::Nothing => false,
            Left::Everything => true,
            Left::Some(chance) => random.u8(..100) < chance,
        };
        let mut names = self.lasting.clone();
        for (_, name) in &self.names {
            if !keep(random) {
                break;
            }
            name.apply(&mut names);
        }
        names
            .into_iter()
            .map(|(name, content)| {
                let content = &self.contents[content];
                let mut bytes = content.lasting.clone();
                for (_, change) in &content.open {
                    change.apply(&mut bytes, &mut |_| keep(random));
                }
                (name, bytes)
            })
            .collect()
    }
}

impl Change {
    /// Applies those sectors of the change that `keep` keeps.
    fn apply(&self, bytes: &mut Vec<u8>, keep: &mut dyn FnMut(usize) -> bool) {
        match self {
            Self::Resize(size) => {
                if keep(0) {
                    bytes.resize(*size, 0);
                }
            }
            Self::Write { at, data } => {
                let mut done = 0;
                while done < data.len() {
                    let start = at + done;
                    let length = (SECTOR - start % SECTOR).min(data.len() - done);
                    if keep(start / SECTOR) {
                        if bytes.len() < start + length {
                            bytes.resize(start + length, 0);
                        }
                        bytes[start..start + length].copy_from_slice(&data[done..done + length]);
                    }
                    done += length;
                }
            }
        }
    }
}

#[test]
fn only_what_was_synced_is_sure() {
    let wrote = |file: &str, at, data: &[u8]| Step::Wrote { file: file.into(), at, data: data.to_vec() };
    let steps = [
        Step::Created { file: "-wal".into() },
        wrote("-wal", 0, b"one"),
        Step::SyncBegan { file: "-wal".into(), number: 1 },
        wrote("-wal", 3, b"two"),
        Step::SyncEnded { number: 1 },
        wrote("-wal", 510, b"three"),
        Step::Created { file: "-journal".into() },
    ];
    let mut disk = Disk::default();
    for (number, step) in steps.iter().enumerate() {
        disk.take(number, step);
    }
    let mut random = Rng::with_seed(1);
    assert_eq!(disk.cut(Left::Nothing, &mut random), [("-wal".to_owned(), b"one".to_vec())].into());
    let all = disk.cut(Left::Everything, &mut random);
    assert_eq!((all.len(), &all["-wal"][..6], &all["-wal"][510..]), (2, &b"onetwo"[..], &b"three"[..]));
    let torn = (0..100).map(|_| disk.cut(Left::Some(50), &mut random)["-wal"].clone());
    assert!(torn.into_iter().any(|bytes| bytes.len() == 512 && bytes.ends_with(b"th")), "one sector of two");
}
