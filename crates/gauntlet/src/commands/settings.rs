//! `gauntlet settings`.

use serde::Serialize;

use super::Context;
use crate::{
    cli::SettingsArgs,
    output::{Failure, columns},
    settings::{Reader, ServeSettings, effective},
};

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    value: Option<String>,
    source: String,
}

/// Shows what `serve` would use; fails like `serve` when something is wrong, after showing it.
pub(super) fn run(context: &Context, args: SettingsArgs) -> Result<(), Failure> {
    let layers = context.layers(args.flags.values)?;
    let lines: Vec<Line> = effective(&layers, Reader::Serve)
        .map(|(setting, value, source)| Line { name: setting.key, value, source: source.to_string() })
        .collect();
    if args.json {
        context.output.json(&lines)?;
    } else {
        context.output.data(&table(&lines))?;
    }
    ServeSettings::read(&layers)?;
    Ok(())
}

fn table(lines: &[Line]) -> String {
    let rows: Vec<[String; 3]> = lines
        .iter()
        .map(|line| {
            let value = line.value.clone().unwrap_or_else(|| "(not set)".to_owned());
            [line.name.to_owned(), value, line.source.clone()]
        })
        .collect();
    columns(&rows)
}
