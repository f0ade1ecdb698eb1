//! `docs/errors.md`, held against the reasons that the service knows.

use std::{collections::BTreeMap, fs, path::PathBuf};

use gauntlet_server::error::Reason;

/// The rows of the table of reasons: the reason, and the other cells.
fn rows() -> BTreeMap<String, Vec<String>> {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let text = fs::read_to_string(page).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let reason = cells.next().unwrap().trim_matches('`').to_owned();
        assert!(rows.insert(reason, cells.collect()).is_none(), "twice: {line}");
    }
    rows
}

#[test]
fn every_reason_has_a_row_that_is_true() {
    let mut rows = rows();
    for reason in Reason::ALL {
        let row = rows.remove(reason.as_str()).unwrap_or_else(|| panic!("{} has no row", reason.as_str()));
        let [code, status, again, wait, safe] = row.as_slice() else { panic!("{row:?}") };
        assert_eq!(code, reason.code().as_str(), "{}", reason.as_str());
        assert_eq!(*status, reason.code().http_status().to_string(), "{}", reason.as_str());
        assert_eq!(again.starts_with("yes"), reason.retry_after().is_some(), "{}", reason.as_str());
        let expected = reason.retry_after().map(|after| format!("{} s", after.as_secs()));
        let told = wait.starts_with(|first: char| first.is_ascii_digit());
        assert_eq!(told, expected.is_some(), "{}: {wait}", reason.as_str());
        assert!(wait.starts_with(&expected.unwrap_or_default()), "{}: {wait}", reason.as_str());
        assert!(!safe.is_empty(), "{}", reason.as_str());
    }
    assert!(rows.is_empty(), "no such reasons: {rows:?}");
}
