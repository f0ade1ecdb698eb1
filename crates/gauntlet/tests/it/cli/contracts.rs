//! What is handed out to those who write clients.

use std::{fs, path::Path};

use serde_json::Value;

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

/// Bodies, replies and refusals that are shown as examples fit what is said about them.
#[test]
fn examples_fit_their_schemas() {
    let description: Value = serde_json::from_str(&run(&["openapi"]).out).expect("JSON");
    let check = |schema: &Value, example: &Value, place: &str| {
        let mut whole = schema.clone();
        whole["components"] = description["components"].clone();
        let validator = jsonschema::validator_for(&whole).unwrap_or_else(|fault| panic!("{place}: {fault}"));
        let faults: Vec<String> = validator.iter_errors(example).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{place}: {faults:#?} in {example}");
    };
    let mut checked = 0;
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let place = format!("{method} {path}");
            let body = &operation["requestBody"]["content"]["application/json"];
            if body.is_object() {
                check(&body["schema"], &body["example"], &place);
                checked += 1;
            }
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let content = &response["content"]["application/json"];
                let place = format!("{place} {status}");
                for reason in content["examples"].as_object().into_iter().flatten().map(|(name, _)| name) {
                    check(
                        &content["schema"],
                        &description["components"]["examples"][reason]["value"],
                        &place,
                    );
                    checked += 1;
                }
                if content.get("example").is_some() {
                    check(&content["schema"], &content["example"], &place);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
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
