use super::*;

const SMALL: &str = r#"
name = "small"
duration = "5s"
players = { count = 2, prepare = "none" }
[[arrivals]]
name = "api"
rates = [{ at = "0s", rate = 1.0 }, { at = "5s", rate = 10.0 }]
mix = [{ share = 1, steps = [{ call = "browse" }] }]
"#;

#[test]
fn a_small_file_is_enough() {
    let scenario = parse_scenario(SMALL).unwrap();
    assert_eq!(scenario.title, "small");
    assert!((scenario.arrivals[0].rate.at(Duration::from_secs(5)) - 10.0).abs() < 1e-9);
    assert_eq!(scenario.arrivals[0].in_flight, 1000);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        ("duration = \"5s\"", "duration = \"5\"", "duration: \"5\" is no duration"),
        ("count = 2", "count = 0", "players.count: at least 1"),
        ("call = \"browse\"", "call = \"brows\"", "arrivals \"api\", step 1: \"brows\" cannot be called"),
        ("call = \"browse\"", "call = \"stat\"", "stat needs `stats`"),
        ("call = \"browse\"", "call = \"random-select\", challenge = \"c\"", "random-select needs `count`"),
        ("call = \"browse\"", "call = \"browse\", wait = \"1s\"", "arrivals do not wait"),
        (
            "call = \"browse\"",
            "call = \"browse\", check = [{ at = \"x\", is = 1 }]",
            "step 1: check at \"x\"",
        ),
        ("call = \"browse\"", "call = \"login\", check = [{ at = \"\", is = 1 }]", "says nothing that could"),
        ("share = 1", "share = 0", "a share is greater than 0"),
        ("rate = 10.0", "rate = -1.0", "a rate is a number"),
        ("name = \"small\"", "name = \"small\"\nnam = 1", "unknown field `nam`"),
    ];
    for (from, to, expected) in cases {
        let error = parse_scenario(&SMALL.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
    let threshold = format!("{SMALL}\n[[thresholds]]\nof = \"claim\"\nmeasure = \"p95\"\nlimit = 1\n");
    let error = parse_scenario(&threshold).unwrap_err().to_string();
    assert!(error.contains("\"claim\" is counted nowhere"), "{error}");
}
