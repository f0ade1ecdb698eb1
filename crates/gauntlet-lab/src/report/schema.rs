//! The form of `report.json` as a JSON Schema, made of the types themselves.

use super::Report;

/// The schema, as it stands in `docs/report.schema.json`.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    // Maps and strings only: they can always be written.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/report.schema.json");

    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let committed = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(
            committed == schema(),
            "docs/report.schema.json is another; write it anew: cargo test --workspace --lib -- --ignored \
             regenerate_report_schema"
        );
    }

    #[test]
    #[ignore = "writes docs/report.schema.json"]
    fn regenerate_report_schema() {
        std::fs::write(FILE, schema()).unwrap();
    }
}
