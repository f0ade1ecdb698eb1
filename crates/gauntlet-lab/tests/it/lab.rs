//! Runs of the lab against a stub, and what must be true of every report.

use std::sync::LazyLock;

use gauntlet_lab::{
    Plan, Progress, Receiver, Report, Scenario, html, junit, markdown, parse_scenario, run, schema, summary,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::stub::{Faults, Stub};

/// A run of a scenario against a stub with these faults, and how many claims came in there.
pub(crate) async fn report_of(scenario: &str, faults: Faults) -> (Report, u64) {
    let receiver = Receiver::start(([127, 0, 0, 1], 0).into(), None).await.unwrap();
    let stub = Stub::start(faults, Some(receiver.url())).await;
    let report = report(plan(parse_scenario(scenario).unwrap(), &stub, Some(receiver))).await;
    (report, stub.claims())
}

/// A plan for a run against a stub.
pub(crate) fn plan(scenario: Scenario, stub: &Stub, receiver: Option<Receiver>) -> Plan {
    Plan {
        events: Some(stub.events.clone()),
        namespace: "test".to_owned(),
        catalogue: Some(stub.catalogue.clone()),
        receiver,
        seed: 7,
        run: 7,
        ..Plan::new(scenario, stub.http.clone())
    }
}

/// Makes a run whose report is whole.
pub(crate) async fn report(plan: Plan) -> Report {
    let (_stop, stopped) = watch::channel(false);
    let (tell, _progress) = watch::channel(Progress::default());
    let report = run(plan, stopped, tell).await.unwrap();
    assert_whole(&report);
    report
}

/// Whether one of the sentences has this part.
pub(crate) fn says(report: &Report, part: &str) -> bool {
    let causes = report.causes.iter().map(|cause| &cause.sentence);
    report.verdict.sentences.iter().chain(causes).any(|sentence| sentence.contains(part))
}

/// The committed schema, and with it nothing else: a key that it does not know is a mistake here.
static STRICT: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let mut schema: Value = serde_json::from_str(&schema()).unwrap();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
});

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                map.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

/// Whatever was found, it can be written in every form, and read again as it was.
fn assert_whole(report: &Report) {
    let json = serde_json::to_value(report).unwrap();
    let faults: Vec<String> =
        STRICT.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let read: Report = serde_json::from_str(&json.to_string()).unwrap();
    // Reading a number may change its last bit, so only what has no fractions is compared.
    assert_eq!(
        (&read.verdict, &read.states, &read.grants),
        (&report.verdict, &report.states, &report.grants)
    );
    assert_eq!((read.failed, read.causes.len()), (report.failed, report.causes.len()));
    let page = html::page(report);
    assert!(
        page.len() < 2_000_000 && !page.contains("<script") && !page.contains("http://"),
        "self-contained"
    );
    assert!(markdown::page(report).contains(&report.verdict.headline));
    let short = summary(report);
    assert!(short.contains(&report.verdict.headline) && short.lines().count() <= 20, "{short}");
    let xml = junit(report);
    let count = |tag: &str| xml.matches(tag).count();
    let tests = 2 + report.validity.len() + report.gates.len() + report.drift.figures.len();
    assert_eq!(count("<testcase "), tests, "{xml}");
    assert!(xml.contains(&format!("tests=\"{tests}\" failures=\"{}\"", count("<failure "))), "{xml}");
    assert!(
        xml.contains(&format!("errors=\"{}\" skipped=\"{}\"", count("<error "), count("<skipped "))),
        "{xml}"
    );
    // What is wrong with a run is wrong in the file, too.
    let fails = matches!(report.verdict.code, 2 | 4);
    assert_eq!(count("<failure ") > 0, fails, "{xml}");
    assert!(report.verdict.code != 3 || count("<error ") > 0, "{xml}");
}

#[test]
fn the_schema_refuses_what_is_no_report() {
    for text in ["{}", "[]", r#"{"version": 2, "complete": true}"#] {
        assert!(!STRICT.is_valid(&serde_json::from_str(text).unwrap()), "{text}");
    }
}
