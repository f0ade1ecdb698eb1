//! The recorder: a small library that is preloaded into the server, and what it wrote down.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// One thing that happened, in the order in which it happened.
#[derive(Debug)]
pub(crate) enum Step {
    Created {
        file: String,
    },
    Wrote {
        file: String,
        at: usize,
        data: Vec<u8>,
    },
    Resized {
        file: String,
        size: usize,
    },
    SyncBegan {
        file: String,
        number: u64,
    },
    SyncEnded {
        number: u64,
    },
    Removed {
        file: String,
    },
    /// A client has its answer to this.
    Acknowledged(String),
}

/// A compiled recorder and where it writes. The paths of files are what follows the database's.
pub(crate) struct Recorder {
    library: PathBuf,
    log: PathBuf,
    full: PathBuf,
    database: PathBuf,
}

impl Recorder {
    /// Compiles it into `folder`; the database's path must be absolute and without links.
    pub(crate) fn compile(folder: &Path, database: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power/recorder.c");
        let library = folder.join("recorder.so");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .expect("this test compiles a small C file: it needs a C compiler named cc");
        assert!(output.status.success(), "cc failed: {}", String::from_utf8_lossy(&output.stderr));
        let (log, full) = (folder.join("recording"), folder.join("disk-is-full"));
        Self { library, log, full, database: database.to_owned() }
    }

    /// Makes a command's process be recorded.
    pub(crate) fn watch(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("RECORDER_LOG", &self.log)
            .env("RECORDER_PREFIX", &self.database)
            .env("RECORDER_FULL", &self.full);
    }

    /// From now on the files cannot grow, or can again.
    pub(crate) fn disk_is_full(&self, full: bool) {
        if full {
            File::create(&self.full).expect("the mark");
        } else {
            fs::remove_file(&self.full).expect("the mark");
        }
    }

    /// Notes that a client has its answer.
    pub(crate) fn acknowledge(&self, what: &str) {
        let mut record = Vec::new();
        for number in [u32::from(b'A'), u32::try_from(what.len()).expect("short")] {
            record.extend(number.to_ne_bytes());
        }
        record.extend([0; 16]);
        record.extend(what.as_bytes());
        let mut log = File::options().append(true).open(&self.log).expect("the recording");
        // One write: what appends is not mixed.
        assert_eq!(log.write(&record).expect("written"), record.len());
    }

    /// What was recorded.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let bytes = fs::read(&self.log).expect("the recording: was the library loaded?");
        let mut rest = bytes.as_slice();
        let mut steps = Vec::new();
        while !rest.is_empty() {
            steps.push(next(&mut rest));
        }
        steps
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let all: &'a [u8] = rest;
    let (taken, left) = all.split_at(length);
    *rest = left;
    taken
}

fn next(rest: &mut &[u8]) -> Step {
    let small = |rest: &mut &[u8]| u32::from_ne_bytes(take(rest, 4).try_into().expect("4 bytes"));
    let large = |rest: &mut &[u8]| u64::from_ne_bytes(take(rest, 8).try_into().expect("8 bytes"));
    let (kind, name_length) = (small(rest), small(rest));
    let (number, data_length) = (large(rest), large(rest));
    let size = |number: u64| usize::try_from(number).expect("64 bits");
    let file = String::from_utf8(take(rest, size(name_length.into())).to_vec()).expect("UTF-8");
    let data = take(rest, size(data_length)).to_vec();
    match u8::try_from(kind).map(char::from) {
        Ok('O') => Step::Created { file },
        Ok('W') => Step::Wrote { file, at: size(number), data },
        Ok('T') => Step::Resized { file, size: size(number) },
        Ok('S') => Step::SyncBegan { file, number },
        Ok('E') => Step::SyncEnded { number },
        Ok('U') => Step::Removed { file },
        Ok('A') => Step::Acknowledged(file),
        _ => panic!("the model knows no {kind} of {file}"),
    }
}
