//! What is handed out to those who write clients.

use std::{fs, path::Path};

use super::{assert_refused, run, run_in};

#[test]
fn the_description_is_printed_as_it_is_committed() {
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json"));
    let ended = run(&["openapi"]);
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    assert!(ended.out == committed.expect("docs/openapi.json"), "they differ");
    assert!(run(&["openapi", "--base-path", "/game/"]).out.contains("\"url\": \"/game\""));
    assert_refused(
        &run(&["openapi", "--base-path", "game"]),
        "error: --base-path: found \"game\"; allowed: a path such as /challenge, of letters, digits and - . _ ~, or / \
         for none\n",
    );
}

#[test]
fn proto_files_are_written_and_can_be_compiled() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run_in(folder.path(), &["proto", "--out", "a/proto"], &[], "");
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    let files: Vec<&str> = ended.out.lines().collect();
    assert_eq!(files.len(), 6);
    assert!(files.contains(&"a/proto/gauntlet/service.proto"), "{files:?}");
    let root = folder.path().join("a/proto");
    let names: Vec<_> = files.iter().map(|file| file.strip_prefix("a/proto/").expect("below it")).collect();
    let compiled = protox::compile(names, [root]).expect("they compile");
    let services: Vec<&str> = compiled
        .file
        .iter()
        .flat_map(|file| &file.service)
        .filter_map(|service| service.name.as_deref())
        .collect();
    assert!(services.contains(&"Service") && services.contains(&"EventStream"), "{services:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("taken"), "").expect("a file");
    let ended = run_in(folder.path(), &["proto", "--out", "taken"], &[], "");
    assert_eq!((ended.out.as_str(), ended.code), ("", Some(1)));
    assert!(ended.err.starts_with("error: cannot write taken/accelbyte/"), "{}", ended.err);
}
