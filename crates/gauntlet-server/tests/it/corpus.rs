//! Every file of the fuzzing corpus goes through the functions that fuzzing calls, so that they
//! are tried on every toolchain, and what fuzzing has found stays mended.

use std::{fs, path::Path};

#[expect(unreachable_pub, reason = "it is a library of its own")]
#[path = "../../../../fuzz/src/lib.rs"]
mod checks;

/// Runs a target on all its files, those included that fuzzing found and somebody kept.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files: Vec<_> =
        fs::read_dir(&folder).expect("the corpus").map(|file| file.expect("a file").path()).collect();
    assert!(files.len() >= 3, "{target} has {} files", files.len());
    for file in files {
        let bytes = fs::read(&file).expect("can be read");
        // Shown when the check panics.
        println!("{}", file.display());
        check(&bytes);
    }
}

/// What this release writes; an older file stays as it is, under another name.
#[test]
#[ignore = "writes fuzz/corpus/document/played anew"]
fn write_a_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/document/played");
    fs::write(path, checks::played()).expect("can be written");
}

#[test]
fn documents() {
    run("document", checks::document);
}

#[test]
fn catalogues() {
    run("catalogue", checks::catalogue);
}

#[test]
fn cloud_events() {
    run("cloud_event", checks::cloud_event);
}

#[test]
fn event_messages() {
    run("event_message", checks::event_message);
}
