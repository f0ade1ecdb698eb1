//! `gauntlet catalogue`, and where `serve` gets its catalogue from.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use gauntlet_domain::catalogue::{self, Definition, Faults, GeneratePlan};
use serde::Serialize;

use super::Context;
use crate::{
    cli::{CatalogueCommand, GenerateArgs},
    output::{Failure, Output},
};

/// The catalogue of a service that was given none.
const SAMPLE: &str = include_str!("../../assets/sample-catalogue.json");

/// A catalogue that was read and checked.
#[derive(Debug)]
pub(super) struct Checked {
    /// The text, as it stands in the file.
    pub(super) text: String,
    /// What to call it in messages.
    pub(super) name: String,
}

/// Checks, compares or makes files, or prints their schema.
pub(super) fn run(context: &Context, command: CatalogueCommand) -> Result<(), Failure> {
    match command {
        CatalogueCommand::Check { file, json } => check(context.output, &file, json),
        CatalogueCommand::Diff { old, new, json } => diff(context.output, &old, &new, json),
        CatalogueCommand::Schema => schema(context.output),
        CatalogueCommand::Generate(args) => generate(context.output, args),
    }
}

/// Reads and checks the catalogue file of the settings, or the sample.
pub(super) fn load(output: Output, file: Option<&Path>) -> Result<Checked, Failure> {
    let (text, name) = match file {
        None => (SAMPLE.to_owned(), "the sample catalogue".to_owned()),
        Some(file) => (read(file)?, file.display().to_string()),
    };
    match catalogue::parse(&text) {
        Ok(_) => Ok(Checked { text, name }),
        Err(faults) => {
            output.note(&faults.in_file(&name).to_string());
            Err(Failure::new(format!("the catalogue {name} cannot be used")).hint(
                "the service starts only with a catalogue without faults; mend them, or use the one before",
            ))
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|error| {
        Failure::caused(format_args!("cannot read the catalogue {}", file.display()), &error)
    })
}

/// What `check --json` answers.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: &'a str,
    ok: bool,
    challenges: usize,
    goals: usize,
    fault_count: usize,
    faults: &'a [catalogue::Fault],
}

fn check(output: Output, file: &Path, json: bool) -> Result<(), Failure> {
    let text = read(file)?;
    let name = name_of(file);
    let parsed = catalogue::parse(&text);
    let definition = parsed.as_ref().ok();
    let challenges = definition.map_or(0, |definition| definition.challenges.len());
    let goals = definition.map_or(0, count_goals);
    let count = parsed.as_ref().err().map_or(0, Faults::count);
    if json {
        let faults = parsed.as_ref().err().map(Faults::as_slice).unwrap_or_default();
        let ok = parsed.is_ok();
        output.json(&Report { file: &name, ok, challenges, goals, fault_count: count, faults })?;
    } else {
        output.data(&match &parsed {
            Ok(_) => format!("{name}: no faults, challenges: {challenges}, goals: {goals}\n"),
            // The list of faults is what was asked for.
            Err(faults) => format!("{}\n", faults.in_file(&name)),
        })?;
    }
    match count {
        0 => Ok(()),
        1 => Err(Failure::new(format!("{name} has a fault"))),
        count => Err(Failure::new(format!("{name} has {count} faults"))),
    }
}

fn name_of(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn diff(output: Output, old: &Path, new: &Path, json: bool) -> Result<(), Failure> {
    if old == Path::new("-") && new == Path::new("-") {
        return Err(Failure::new("only one of the two can be standard input"));
    }
    let definition = |file: &Path| {
        let name = name_of(file);
        catalogue::parse(&read(file)?).map_err(|faults| {
            output.note(&faults.in_file(&name).to_string());
            Failure::new(format!("{name} has faults, so it cannot be compared"))
        })
    };
    let difference = catalogue::diff(&definition(old)?, &definition(new)?);
    if json {
        return output.json(&difference);
    }
    output.data(&format!("{difference}\n"))
}

fn schema(output: Output) -> Result<(), Failure> {
    output.json(&catalogue::schema())
}

fn count_goals(definition: &Definition) -> usize {
    definition.challenges.iter().map(|challenge| challenge.goals.len()).sum()
}

fn generate(output: Output, args: GenerateArgs) -> Result<(), Failure> {
    let standard = GeneratePlan::default();
    let goals = args.challenges.saturating_mul(args.goals);
    let plan = GeneratePlan {
        challenges: args.challenges,
        goals_per_challenge: args.goals,
        stats: if args.stats.is_empty() { standard.stats } else { args.stats },
        default_goals: args.default_goals.unwrap_or_else(|| standard.default_goals.min(goals)),
        daily_challenge_goals: args.daily_goals,
        seed: args.seed,
    };
    let definition = catalogue::generate(&plan)
        .map_err(|error| Failure::new(format!("no such catalogue can be made: {error}")))?;
    let mut text = catalogue::to_json(&definition);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    match args.out {
        None => output.data(&text),
        Some(file) => write(output, &file, &text, &definition),
    }
}

fn write(output: Output, file: &PathBuf, text: &str, definition: &Definition) -> Result<(), Failure> {
    fs::write(file, text)
        .map_err(|error| Failure::caused(format_args!("cannot write {}", file.display()), &error))?;
    let (challenges, goals) = (definition.challenges.len(), count_goals(definition));
    output.note(&format!("{}: challenges: {challenges}, goals: {goals}", file.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_no_faults() {
        if let Err(faults) = catalogue::parse(SAMPLE) {
            panic!("{}", faults.in_file("sample-catalogue.json"));
        }
    }
}
