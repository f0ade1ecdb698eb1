//! The help pages, whole: what a user sees must change on purpose.

use std::{fs, path::PathBuf};

use super::run;

/// The commands whose help is kept.
const PAGES: [&str; 21] = [
    "",
    "serve",
    "migrate",
    "export",
    "import",
    "audit",
    "probe",
    "catalogue",
    "catalogue check",
    "catalogue diff",
    "catalogue schema",
    "catalogue generate",
    "player",
    "send",
    "send stat",
    "settings",
    "openapi",
    "proto",
    "load",
    "load run",
    "load compare",
];

#[test]
fn help_pages_are_what_was_agreed() {
    for page in PAGES {
        let (file, text) = (file(page), help(page));
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == text,
            "`gauntlet {page} --help` differs from {}: look at it, then run `cargo test -p gauntlet -- --ignored \
             regenerate_help` and commit the result. It says now:\n{text}",
            file.display()
        );
    }
}

/// Not a test: writes the pages.
#[test]
#[ignore = "writes tests/it/snapshots"]
fn regenerate_help() {
    for page in PAGES {
        fs::write(file(page), help(page)).unwrap();
    }
}

fn help(page: &str) -> String {
    let args: Vec<&str> = page.split_whitespace().chain(["--help"]).collect();
    let ended = run(&args);
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    ended.out
}

fn file(page: &str) -> PathBuf {
    let name = format!("gauntlet {page}").trim().replace(' ', "-");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/snapshots/{name}.txt"))
}
