use super::*;

fn raw() -> Raw {
    Raw {
        kind: EventKind::Stat,
        player: "p".into(),
        namespace: String::new(),
        timestamp: String::new(),
        key: ReceiptKey { source: "s".into(), kind: STAT_TYPE.into(), id: "1".into() },
        what: EventWhat::Stat { code: "kills".into(), value: 1.0, increment: 0.0 },
    }
}

fn problem_of(change: impl FnOnce(&mut Raw)) -> Option<&'static str> {
    let mut raw = raw();
    change(&mut raw);
    check(&raw, Timestamp::from_seconds(1_000)).err().map(|problem| problem.word)
}

fn stat(code: &str, value: f64, increment: f64) -> EventWhat {
    EventWhat::Stat { code: code.into(), value, increment }
}

#[test]
fn every_fault_of_an_event_has_its_word() {
    assert_eq!(problem_of(|_| {}), None);
    assert_eq!(problem_of(|raw| raw.player = String::new()), Some("bad_user_id"));
    assert_eq!(problem_of(|raw| raw.player = "x".repeat(101)), Some("bad_user_id"));
    assert_eq!(problem_of(|raw| raw.key.id = "a\0".into()), Some("bad_id"));
    assert_eq!(problem_of(|raw| raw.key.id = String::new()), None, "only counting goals need one");
    assert_eq!(problem_of(|raw| raw.what = stat("", 1.0, 0.0)), Some("bad_stat_code"));
    assert_eq!(problem_of(|raw| raw.what = stat("k", f64::NAN, 0.0)), Some("bad_value"));
    assert_eq!(problem_of(|raw| raw.what = stat("k", 0.0, f64::NEG_INFINITY)), Some("bad_value"));
    assert_eq!(problem_of(|raw| raw.timestamp = "yesterday".into()), Some("bad_timestamp"));
}

#[test]
fn an_event_without_a_time_happened_now() {
    let now = Timestamp::from_seconds(1_000);
    assert_eq!(check(&raw(), now).ok(), Some(now));
    let mut dated = raw();
    dated.timestamp = "1970-01-01T00:00:07Z".into();
    assert_eq!(check(&dated, now).ok(), Some(Timestamp::from_seconds(7)));
}

#[test]
fn fields_of_the_message_win_and_contradictions_are_told() {
    assert_eq!(merge("a", "", "f").ok().as_deref(), Some("a"));
    assert_eq!(merge("", "b", "f").ok().as_deref(), Some("b"));
    assert_eq!(merge("a", "a", "f").ok().as_deref(), Some("a"));
    assert_eq!(merge("a", "b", "f").err().map(|problem| problem.word), Some("contradiction"));
}

fn cloud_event(text: &str) -> Result<Raw, &'static str> {
    let event: CloudEvent = serde_json::from_str(text).expect("well-formed JSON");
    event.into_raw().map_err(|(_, _, problem)| problem.word)
}

#[test]
fn cloud_events_carry_the_same_things() {
    let login = cloud_event(
        r#"{"specversion":"1.0","id":"1","source":"/game","type":"user.loggedIn","subject":"p"}"#,
    )
    .expect("a login");
    assert_eq!((login.player.as_str(), login.what), ("p", EventWhat::Login));
    let changed = cloud_event(
        r#"{"specversion":"1.0","id":"2","source":"/game","type":"stat.updated","time":"2026-01-01T00:00:00Z",
            "data":{"user_id":"p","statCode":"kills","value":3,"inc":1}}"#,
    )
    .expect("a changed statistic");
    assert_eq!(changed.what, stat("kills", 3.0, 1.0));
    assert_eq!(changed.key, ReceiptKey { source: "/game".into(), kind: STAT_TYPE.into(), id: "2".into() });
}

#[test]
fn cloud_events_are_checked() {
    for (text, word) in [
        (
            r#"{"specversion":"0.3","id":"1","source":"s","type":"user.loggedIn","subject":"p"}"#,
            "bad_specversion",
        ),
        (r#"{"specversion":"1.0","source":"s","type":"user.loggedIn","subject":"p"}"#, "missing_id"),
        (r#"{"specversion":"1.0","id":"1","type":"user.loggedIn","subject":"p"}"#, "bad_source"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"other","subject":"p"}"#, "bad_type"),
        (
            r#"{"specversion":"1.0","id":"1","source":"s","type":"stat.updated","subject":"p","data":{}}"#,
            "missing_payload",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"s","type":"user.loggedIn","subject":"p","data":{"userId":"q"}}"#,
            "contradiction",
        ),
    ] {
        assert_eq!(cloud_event(text).err(), Some(word), "{text}");
    }
}
