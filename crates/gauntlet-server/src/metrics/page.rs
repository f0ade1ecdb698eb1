//! `docs/metrics.md`, made from the table and held against it.

use std::{fmt::Write as _, fs, path::PathBuf};

use super::table::{GROUPS, Row};

#[test]
fn the_page_about_metrics_is_what_the_table_says() {
    let committed = fs::read_to_string(file()).unwrap_or_default();
    // Not assert_eq: a difference would print two whole pages.
    assert!(
        committed == page(),
        "docs/metrics.md is out of date: run `cargo test -p gauntlet-server -- --ignored regenerate_metrics_page` \
         and commit the result"
    );
}

/// Not a test: writes the page.
#[test]
#[ignore = "writes docs/metrics.md"]
fn regenerate_metrics_page() {
    fs::write(file(), page()).unwrap();
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md")
}

fn page() -> String {
    let mut page = BEFORE.to_owned();
    for (title, rows) in GROUPS {
        write!(
            page,
            "\n## {title}\n\n| metric | type | labels | what | look at it when |\n|---|---|---|---|---|\n"
        )
        .unwrap();
        for row in rows {
            page.push_str(&line(row));
        }
    }
    page.push_str(AFTER);
    page
}

fn line(row: &Row) -> String {
    let ending = if row.kind == "counter" { "_total" } else { "" };
    let ending = if row.kind == "info" { "_info" } else { ending };
    let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
    let (name, kind, labels) = (row.family(), row.kind, labels.join(" "));
    format!("| `{name}{ending}` | {kind} | {labels} | {} | {} |\n", row.help, row.look)
}

const BEFORE: &str = "# Metrics

<!-- Made from crates/gauntlet-server/src/metrics/table.rs and page.rs; a test says how when it is out of date. -->

`GET /metrics` on the operations port (`--ops`, 127.0.0.1:8080), in the OpenMetrics text format that Prometheus reads.
Labels are bounded: no ids of players, goals or requests; a path or method that does not exist is `unmatched`.
Histograms have `_bucket`, `_sum` and `_count`. What has not happened yet may be missing.
";

const AFTER: &str = include_str!("page.md");
