//! Results as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::json;

use crate::figures::{Goal, Row, median};

/// Rows so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row and says so.
    pub(crate) fn add(&mut self, row: Row) {
        crate::progress(&line(&row));
        self.rows.push(row);
    }

    /// How many goals were not met.
    pub(crate) fn unmet(&self) -> usize {
        self.rows.iter().filter(|row| row.goal.met(row.ratio()) == Some(false)).count()
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::from(
            "| work | what | product | floor | ratio (range) | goal | met | turns, calls | besides |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            out.push_str(&line(row));
            out.push('\n');
        }
        out
    }

    /// As JSON, with the figures of every turn.
    pub(crate) fn json(&self, about: &serde_json::Value) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let (least, most) = row.spread();
                json!({
                    "row": row, "ratio": row.ratio(), "least": least, "most": most,
                    "met": row.goal.met(row.ratio()),
                })
            })
            .collect();
        json!({ "about": about, "rows": rows })
    }
}

fn line(row: &Row) -> String {
    let (least, most) = row.spread();
    let notes = row.notes.iter().fold(String::new(), |mut text, (name, value)| {
        let comma = if text.is_empty() { "" } else { "; " };
        // Writing into a string does not fail.
        let _written = write!(text, "{comma}{name} {}", number(*value));
        text
    });
    format!(
        "| {} | {} | {} {unit} | {} {unit} ({}) | {} ({}-{}) | {} | {} | {}, {} | {notes} |",
        row.work,
        row.what,
        number(median(&row.product)),
        number(median(&row.floor)),
        row.floor_is,
        number(row.ratio()),
        number(least),
        number(most),
        match row.goal {
            Goal::AtLeast(least) => format!(">= {}", number(least)),
            Goal::AtMost(most) => format!("<= {}", number(most)),
            Goal::None => String::new(),
        },
        match row.goal.met(row.ratio()) {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        },
        row.product.len(),
        row.calls,
        unit = row.unit,
    )
}

/// With three digits that say something.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        value if value < 0.995 => 3,
        value if value < 9.95 => 2,
        value if value < 99.5 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_like_a_sentence() {
        let mut report = Report::default();
        for (goal, met) in
            [(Goal::AtLeast(0.5), "| >= 0.500 | **no** |"), (Goal::AtMost(0.5), "| <= 0.500 | yes |")]
        {
            report.add(Row {
                work: "events",
                what: "SQLite".to_owned(),
                unit: "/s",
                product: vec![20_000.0, 25_000.0],
                floor: vec![50_000.0, 50_000.0],
                floor_is: "echo".to_owned(),
                goal,
                calls: 45_000,
                notes: [("p95 ms", 12.345)].into(),
            });
            assert!(report.markdown().contains(met), "{}", report.markdown());
        }
        let last = report.markdown().lines().last().unwrap_or_default().to_owned();
        assert_eq!(
            last,
            "| events | SQLite | 22500 /s | 50000 /s (echo) | 0.450 (0.400-0.500) | <= 0.500 | yes | 2, 45000 | p95 ms 12.3 |"
        );
        assert_eq!(report.unmet(), 1);
        assert_eq!(report.json(&json!({}))["rows"][0]["met"], false);
    }
}
