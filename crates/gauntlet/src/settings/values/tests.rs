//! What each kind of value accepts, and what it says to the rest.

use super::*;

#[test]
fn booleans_have_four_spellings_each_in_any_case() {
    for text in ["true", "1", "yes", "on", "TRUE", "Yes", "oN"] {
        assert_eq!(boolean(text), Ok(true), "{text}");
    }
    for text in ["false", "0", "no", "off", "FALSE", "No", "oFF"] {
        assert_eq!(boolean(text), Ok(false), "{text}");
    }
    for text in ["", "2", "y", "t", "enabled", " true", "01"] {
        assert!(boolean(text).is_err(), "{text}");
    }
}

#[test]
fn stores_are_files_or_urls() {
    let file = |path: &str| Ok(StoreChoice::Sqlite(path.into()));
    assert_eq!(store("sqlite:a.db"), file("a.db"));
    assert_eq!(store("sqlite://a.db"), file("a.db"));
    assert_eq!(store("sqlite:///var/a.db"), file("/var/a.db"));
    for url in ["postgres://db/game", "postgresql://ann:pw@db/game", "POSTGRES://db"] {
        assert_eq!(store(url), Ok(StoreChoice::Postgres(url.to_owned())));
    }
    for text in ["", "sqlite:", "sqlite::memory:", "mysql://db", "postgres", "db"] {
        assert!(store(text).is_err(), "{text}");
    }
    assert_eq!(
        store("players.db").unwrap_err().hint.as_deref(),
        Some("for a SQLite file, write sqlite:players.db")
    );
}

#[test]
fn addresses_have_a_host_and_a_port() {
    for (text, shown) in [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("localhost:0", "127.0.0.1:0"),
        ("0.0.0.0:65535", "0.0.0.0:65535"),
    ] {
        assert_eq!(address(text).unwrap().to_string(), shown);
    }
    for text in ["8000", ":8000", "localhost", "127.0.0.1", "127.0.0.1:65536", "example.org:80"] {
        assert!(address(text).is_err(), "{text}");
    }
    let hint = "127.0.0.1:8000 is this machine only, 0.0.0.0:8000 every network";
    assert_eq!(address(":8000").unwrap_err().hint.as_deref(), Some(hint));
}

#[test]
fn base_paths_begin_with_a_slash_and_end_without() {
    for (text, path) in [
        ("/", ""),
        ("/challenge", "/challenge"),
        ("/challenge/", "/challenge"),
        ("/a/b-c_d.e~1", "/a/b-c_d.e~1"),
    ] {
        assert_eq!(base_path(text).as_deref(), Ok(path), "{text}");
    }
    for text in ["challenge", "//", "/a//b", "/a b", "/{id}", "/a/../b", "/ä", "/a?b"] {
        assert!(base_path(text).is_err(), "{text}");
    }
}

#[test]
fn times_have_a_unit() {
    for (text, millis) in
        [("500ms", 500), ("0s", 0), ("60s", 60_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)]
    {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "s",
        "60",
        "-1s",
        "1.5s",
        "1 s",
        "1S",
        "1w",
        "4000d",
        "99999999999999999999s",
        "18446744073709551615d",
    ] {
        assert!(duration(text).is_err(), "{text}");
    }
    assert_eq!(duration("60").unwrap_err().hint.as_deref(), Some("did you mean 60s?"));
    assert_eq!(positive_duration("1ms"), Ok(Duration::from_millis(1)));
    assert!(positive_duration("0s").unwrap_err().problem.contains("longer than zero"));
}

#[test]
fn roles_are_a_list() {
    assert_eq!(roles("api,events,worker"), Ok(Roles::ALL));
    assert_eq!(roles("worker, api"), Ok(Roles { api: true, events: false, worker: true }));
    for text in ["", "api,", "all", "API"] {
        assert!(roles(text).is_err(), "{text}");
    }
}

#[test]
fn log_filters_are_levels_with_exceptions() {
    assert_eq!(log_filter("INFO").as_deref(), Ok("info"));
    assert_eq!(log_filter("warn, gauntlet_store=Debug").as_deref(), Ok("warn,gauntlet_store=debug"));
    for text in ["", "loud", "info,", "gauntlet_store", "=info", "a b=info", "x=loud"] {
        assert!(log_filter(text).is_err(), "{text}");
    }
    assert_eq!(log_filter("dbug").unwrap_err().hint.as_deref(), Some("did you mean debug?"));
}

#[test]
fn urls_have_a_scheme_and_a_host() {
    assert_eq!(url("https://example.org").as_deref(), Ok("https://example.org"));
    assert_eq!(url("http://127.0.0.1:8000/challenge/").as_deref(), Ok("http://127.0.0.1:8000/challenge"));
    for text in ["", "127.0.0.1:8000", "https://", "http://", "http:///x", "http://a b"] {
        assert!(url(text).is_err(), "{text}");
    }
    let hint = "did you mean http://127.0.0.1:8000?";
    assert_eq!(url("127.0.0.1:8000").unwrap_err().hint.as_deref(), Some(hint));
}

#[test]
fn instants_are_rfc_3339() {
    assert!(instant("2026-01-31T12:00:00Z").is_ok());
    assert!(instant("2026-01-31T12:00:00+02:00").is_ok());
    assert!(instant("yesterday").is_err());
}
