//! From the text of a catalogue file to a [`Definition`], or to every fault in it.
//!
//! The whole file is read whatever is wrong with it, so that a designer sees all faults at once.
//! Each part below has one job: `syntax` makes a tree of the text, `object` knows fields and their
//! two spellings, `values` reads single values, `goal` and `rotation` know the format, `links` checks
//! what ties goals together, `fault` gathers and shows what is wrong.
//!
//! The format is described for designers in `docs/catalogue.md`.

mod fault;
pub(super) mod goal;
mod links;
mod object;
mod path;
pub(super) mod rotation;
mod suggest;
mod syntax;
mod values;

#[cfg(test)]
pub(super) mod tests;

pub use fault::{Fault, Faults, MAX_FAULTS};

use fault::{Message, Report};
use goal::Inherited;
use links::Links;
use object::{Entry, Field, Fields};
use path::Path;

use super::definition::{ChallengeDefinition, Definition, GoalDefinition};

/// Largest file that is read, in bytes: some 30,000 goals. A larger one is a fault.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

pub(in crate::catalogue) const SCHEMA: Field = &["$schema"];
pub(in crate::catalogue) const CHALLENGES: Field = &["challenges"];
pub(in crate::catalogue) const ID: Field = &["challengeId", "id"];
pub(in crate::catalogue) const NAME: Field = &["name"];
pub(in crate::catalogue) const DESCRIPTION: Field = &["description"];
pub(in crate::catalogue) const GOALS: Field = &["goals"];
pub(in crate::catalogue) const ROTATION: Field = &["rotation"];
pub(in crate::catalogue) const TIME_ZONE: Field = &["timeZone", "time_zone", "timezone"];

/// Reads a catalogue file.
///
/// # Errors
/// With everything that is wrong in the file, in the order of the file.
pub fn parse(text: &str) -> Result<Definition, Faults> {
    // Editors on some systems put a byte order mark in front of UTF-8.
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut report = Report::new(text);
    let definition = read_file(text, &mut report);
    match report.finish() {
        None => Ok(definition.unwrap_or_default()),
        Some(faults) => Err(faults),
    }
}

fn read_file(text: &str, report: &mut Report<'_>) -> Option<Definition> {
    if text.len() > MAX_BYTES {
        let problem = format!("the file has {} bytes; allowed: {MAX_BYTES}", text.len());
        report.add(0, Path::Root, Message::new(problem));
        return None;
    }
    let tree = syntax::read(text, report)?;
    let root = Entry { value: &tree, path: Path::Root };
    let fields = Fields::open(root, &[CHALLENGES, SCHEMA], report)?;
    fields.optional(SCHEMA, String::new(), report, values::text);
    let list = fields.need(CHALLENGES, report)?;
    let mut links = Links::default();
    let mut challenges = Vec::new();
    for (index, entry) in list.items(report)? {
        challenges.extend(read_challenge(&entry, index, &mut links, report));
    }
    links.check_prerequisites(report);
    Some(Definition { challenges })
}

fn read_challenge(
    entry: &Entry<'_>,
    index: usize,
    links: &mut Links,
    report: &mut Report<'_>,
) -> Option<ChallengeDefinition> {
    let fields = Fields::open(*entry, &[ID, NAME, DESCRIPTION, GOALS, ROTATION], report)?;
    let id = fields.required(ID, report, |entry, report| {
        let id = values::id(entry, report)?;
        links.add_challenge(&id, entry, report);
        Some(id)
    });
    let name = fields.required(NAME, report, values::filled_text);
    let description = fields.optional(DESCRIPTION, String::new(), report, values::text);
    let inherited = fields.get(ROTATION).map(|entry| Inherited {
        line: report.line(entry.offset()),
        rotation: rotation::read(&entry, report),
    });
    let goals = fields
        .required(GOALS, report, |entry, report| read_goals(entry, index, inherited.as_ref(), links, report));
    Some(ChallengeDefinition { id: id?, name: name?, description: description?, goals: goals? })
}

/// Reads the goals of the challenge at an index; the good ones, when some are faulty.
fn read_goals(
    entry: &Entry<'_>,
    challenge: usize,
    inherited: Option<&Inherited>,
    links: &mut Links,
    report: &mut Report<'_>,
) -> Option<Vec<GoalDefinition>> {
    let mut goals = Vec::new();
    let mut any = false;
    for (index, item) in entry.items(report)? {
        any = true;
        goals.extend(goal::read(&item, (challenge, index), inherited, links, report));
    }
    if !any {
        entry.reject(report, "allowed: at least one goal");
    }
    Some(goals)
}
