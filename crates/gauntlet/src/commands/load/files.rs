//! The files of a run.

use std::{fs, path::Path};

use gauntlet_lab::{Report, VERSION, html, junit, markdown, summary};

use crate::output::Failure;

/// The report as data.
pub(super) const JSON: &str = "report.json";

/// Writes all files of a report.
pub(super) fn write(folder: &Path, report: &Report) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(report)
        .map_err(|error| Failure::caused("the report cannot be written as JSON", &error))?;
    for (name, text) in [
        (JSON, json),
        ("report.md", markdown::page(report)),
        ("report.html", html::page(report)),
        ("report.junit.xml", junit(report)),
        ("summary.md", summary(report)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::caused(format_args!("cannot write {}", path.display()), &error))?;
    }
    Ok(())
}

/// Reads the report of a run, named by its folder or its file.
pub(super) fn read(run: &Path) -> Result<Report, Failure> {
    let path = if run.is_dir() { run.join(JSON) } else { run.to_owned() };
    let text = read_text(&path)?;
    let version =
        serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|json| json["version"].as_u64());
    if version != Some(u64::from(VERSION)) {
        let found = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        let message = format!("{} is no report that this program reads", path.display());
        return Err(Failure::new(message).hint(format!("its version is {found}, and {VERSION} is read")));
    }
    serde_json::from_str(&text)
        .map_err(|error| Failure::caused(format_args!("cannot read {}", path.display()), &error))
}

/// Reads a file.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::caused(format_args!("cannot read {}", path.display()), &error))
}
