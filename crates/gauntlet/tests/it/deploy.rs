//! What stands in `deploy/` against what there is: alerts and dashboards name figures that exist, each alert is
//! tested and explained, and settings are settings.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below a folder with one of these endings.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if endings.iter().any(|ending| entry.to_string_lossy().ends_with(ending)) {
                found.push(entry);
            }
        }
    }
    found.sort();
    found
}

/// The values behind a key of the YAML of the rules, which stand one on a line.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("- ").unwrap_or(line.trim()).strip_prefix(key))
        .collect()
}

/// Words that look like the name of a figure or of a recorded ratio, without what histograms add.
fn figures(query: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(|c| !word(c));
    words
        .filter(|word| {
            let ours = ["gauntlet_", "gauntlet:", "process_", "pg_"];
            ours.iter().any(|start| word.starts_with(start)) || *word == "up"
        })
        .map(|word| {
            // Of a histogram there are three.
            let ends = ["_bucket", "_sum", "_count"];
            let cut = ends.iter().find_map(|end| word.strip_suffix(end));
            cut.filter(|cut| cut.ends_with("_seconds") || cut.ends_with("_operations")).unwrap_or(word)
        })
        .collect()
}

/// The queries of a dashboard: panels, variables and annotations.
fn queries(dashboard: &Value, found: &mut Vec<String>) {
    match dashboard {
        Value::Object(fields) => {
            for (name, value) in fields {
                if ["expr", "definition"].contains(&name.as_str()) {
                    found.push(value.as_str().expect("a query").to_owned());
                }
                queries(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[test]
fn alerts_and_dashboards_name_figures_that_exist() {
    let documented = read("docs/metrics.md");
    let documented: BTreeSet<&str> = documented.split('`').skip(1).step_by(2).collect();
    let rules = read("deploy/prometheus/gauntlet.rules.yml");
    let recorded: BTreeSet<&str> = values(&rules, "record: ").into_iter().collect();
    let known = |name: &str| documented.contains(name) || recorded.contains(name);
    let mut seen = 0;
    // Everything but names of groups and links is a query.
    let lines = rules.lines().filter(|line| !line.contains("- name:") && !line.trim().starts_with('#'));
    for name in lines.filter(|line| !line.contains("summary:")).flat_map(figures) {
        assert!(known(name), "{name} is in no table of docs/metrics.md");
        seen += 1;
    }
    assert!(seen > 50, "the rules were read");
    let dashboards = files("deploy/grafana/dashboards", &[".json"]);
    assert_eq!(dashboards.len(), 5);
    let mut titles = BTreeSet::new();
    for path in dashboards {
        let dashboard: Value =
            serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
        let mut found = Vec::new();
        queries(&dashboard, &mut found);
        assert!(found.len() > 10, "{}", path.display());
        for query in &found {
            let names = figures(query);
            assert!(!names.is_empty(), "{query}");
            for name in names {
                assert!(known(name), "{}: {name} is in no table of docs/metrics.md", path.display());
            }
        }
        assert!(titles.insert((dashboard["uid"].to_string(), dashboard["title"].to_string())));
        let panels = dashboard["panels"].as_array().expect("panels");
        let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{}: each panel has a number of its own", path.display());
    }
}

#[test]
fn each_alert_is_explained_and_tested() {
    let rules = read("deploy/prometheus/gauntlet.rules.yml");
    let alerts = values(&rules, "alert: ");
    assert!(alerts.len() > 30, "the rules were read");
    assert_eq!(alerts.iter().collect::<BTreeSet<_>>().len(), alerts.len(), "a name stands there twice");
    let (tests, runbook) = (read("deploy/prometheus/tests.yml"), read("docs/runbook.md"));
    let chapters: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let links = values(&rules, "runbook_url: ");
    assert_eq!(links.len(), alerts.len());
    for (alert, link) in alerts.iter().zip(links) {
        assert_eq!(link, format!("docs/runbook.md#{}", alert.to_lowercase()), "{alert}");
        assert!(chapters.contains(alert), "{alert} has no chapter in docs/runbook.md");
        assert!(
            tests.contains(&format!("- name: {alert} fires\n")),
            "{alert} is not seen to fire in tests.yml"
        );
        let quiet = tests.split("\n  - name: ").filter(|test| test.starts_with(&format!("{alert} ")));
        assert!(
            quiet.clone().any(|test| test.contains("exp_alerts: []")),
            "{alert} is not seen to be silent"
        );
    }
    for chapter in chapters {
        assert!(alerts.contains(&chapter), "docs/runbook.md explains {chapter}, which is no alert");
    }
}

/// `.ci/run` installs it; elsewhere its absence is no fault of the rules.
#[test]
fn promtool_takes_rules_and_tests() {
    let folder = root().join("deploy/prometheus");
    let run = |args: &[&str]| Command::new("promtool").args(args).current_dir(&folder).output();
    if run(&["--version"]).is_err() {
        println!("promtool is not installed (Debian: prometheus); .ci/run does it");
        return;
    }
    for args in [
        &["check", "rules", "gauntlet.rules.yml"][..],
        &["test", "rules", "tests.yml"],
        &["check", "config", "--syntax-only", "prometheus.yml"],
    ] {
        let done = run(args).expect("promtool runs");
        let said = [done.stdout, done.stderr].concat();
        assert!(done.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&said));
    }
}

/// Everything in capitals that begins like a setting.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(move |c| !word(c)).filter(|word| word.starts_with("GAUNTLET_"))
}

#[test]
fn settings_in_deploy_are_settings() {
    let settings = read("docs/settings.md");
    let known: BTreeSet<&str> = variables(&settings).collect();
    let (mut variables_seen, mut commands_seen) = (0, 0);
    for path in files("deploy", &["Dockerfile", ".yaml", ".yml"]) {
        let text = fs::read_to_string(&path).expect("a file");
        for name in variables(&text) {
            assert!(known.contains(name), "{}: {name} is no setting", path.display());
            variables_seen += 1;
        }
        // Commands of ours stand on one line each, as a list.
        for line in text.lines() {
            let Some((_, list)) = line.split_once(": [\"") else { continue };
            let Ok(words) = serde_json::from_str::<Vec<String>>(&format!("[\"{list}")) else { continue };
            let ours = ["serve", "migrate", "audit", "load", "catalogue", "export", "import"];
            let words: Vec<&str> =
                words.iter().map(String::as_str).filter(|word| *word != "gauntlet").collect();
            if !words.first().is_some_and(|word| ours.contains(word)) {
                continue;
            }
            let flags = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
            let deep = if ["load", "catalogue"].contains(&words[0]) { 2 } else { 1 };
            let command = &words[..flags.min(deep)];
            let help =
                Command::new(env!("CARGO_BIN_EXE_gauntlet")).args(command).arg("--help").env_clear().output();
            let help = String::from_utf8(help.expect("it runs").stdout).expect("text");
            let offered: BTreeSet<&str> =
                help.split(|c: char| c.is_whitespace() || "[,=".contains(c)).collect();
            for flag in words[flags..].iter().filter(|word| word.starts_with("--")) {
                assert!(offered.contains(flag), "{}: {command:?} knows no {flag}", path.display());
            }
            commands_seen += 1;
        }
    }
    assert!(variables_seen > 20 && commands_seen > 4, "{variables_seen} variables, {commands_seen} commands");
}
