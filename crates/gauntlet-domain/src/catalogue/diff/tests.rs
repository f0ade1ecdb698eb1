use super::*;
use crate::catalogue::{parse, to_json};

pub(super) const BEFORE: &str = include_str!("../../../../../docs/samples/season-1.json");
pub(super) const AFTER: &str = include_str!("../../../../../docs/samples/season-2.json");

fn read(text: &str) -> Definition {
    parse(text).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn a_catalogue_is_as_itself_however_it_is_written() {
    let before = read(BEFORE);
    let written = read(&to_json(&before));
    assert_eq!(diff(&before, &written).changes, []);
    assert_eq!(diff(&before, &before).to_string(), "no differences");
}

#[test]
fn the_samples_show_every_kind_of_change() {
    let text = diff(&read(BEFORE), &read(AFTER)).to_string();
    assert_eq!(text, include_str!("../../../../../docs/samples/season-diff.txt").trim_end(), "{text}");
}

#[test]
fn the_documentation_shows_the_samples() {
    let page = include_str!("../../../../../docs/catalogue.md");
    let shown = include_str!("../../../../../docs/samples/season-diff.txt").trim_end();
    assert!(page.contains(shown), "docs/catalogue.md shows another difference than:\n{shown}");
}

#[test]
fn both_directions_name_the_same_things() {
    let (before, after) = (read(BEFORE), read(AFTER));
    let names = |changes: &[Change]| {
        let mut names: Vec<(String, Option<String>)> = changes
            .iter()
            .map(|change| (change.goal.clone().unwrap_or_default(), change.goal.clone()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&diff(&before, &after).changes), names(&diff(&after, &before).changes));
}

#[test]
fn terms_that_differ_are_never_silent() {
    let mut before = read(BEFORE);
    for at in 0..before.challenges.len() {
        for goal in 0..before.challenges[at].goals.len() {
            let original = before.challenges[at].goals[goal].clone();
            let mut changed = original.clone();
            changed.requirement.stat_code.push('x');
            assert!(!changed.has_terms_of(&original));
            let mut after = before.clone();
            after.challenges[at].goals[goal] = changed;
            let difference = diff(&before, &after);
            assert_eq!(difference.changes.len(), 1, "{difference}");
            assert!(!difference.changes[0].fields.is_empty() && !difference.changes[0].effects.is_empty());
        }
    }
    before.challenges.clear();
    assert_eq!(diff(&before, &before).changes, []);
}
