//! Layers, older names, messages; the values themselves are tested beside their code.

use super::*;
use crate::output::Failure;

fn layers(flags: &[(&'static str, &str)], env: &[(&str, &str)], file: &str) -> Layers {
    Layers {
        flags: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
        environment: environment(env),
        file: (!file.is_empty()).then(|| File::parse("gauntlet.toml", file).unwrap()),
    }
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// The messages of what is wrong.
fn faults(layers: &Layers) -> Vec<String> {
    ServeSettings::read(layers).unwrap_err().iter().map(ToString::to_string).collect()
}

fn store_of(env: &[(&str, &str)]) -> StoreChoice {
    ServeSettings::read(&layers(&[], env, "")).unwrap().store.choice
}

#[test]
fn names_are_unique_and_follow_one_pattern() {
    let mut names: Vec<String> = Vec::new();
    for setting in table::ALL {
        assert_eq!(setting.env, format!("GAUNTLET_{}", setting.key.to_uppercase().replace('-', "_")));
        assert!(!setting.help.ends_with('.') && !setting.help.is_empty(), "{}", setting.key);
        assert_eq!(setting.default.is_none(), !setting.unset.is_empty(), "{}", setting.key);
        assert!(!setting.commands.is_empty());
        names.push(setting.env.to_owned());
        names.extend(setting.legacy.names().iter().map(|name| (*name).to_owned()));
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn as_much_may_be_under_way_as_the_server_says_by_itself() {
    let settings = ServeSettings::read(&Layers::default()).unwrap();
    let own = gauntlet_server::AdmissionOptions::default();
    assert_eq!(format!("{:?}", settings.admission), format!("{own:?}"));
    let set = layers(&[("max-reads", "1"), ("adaptive", "true")], &[("GAUNTLET_MAX_EVENTS", "9")], "");
    let set = ServeSettings::read(&set).unwrap().admission;
    assert_eq!((set.reads, set.events, set.writes, set.adaptive), (1, 9, own.writes, true));
    for wrong in ["0", "-1", "100001", "many"] {
        assert_eq!(faults(&layers(&[("max-claims", wrong)], &[], "")).len(), 1, "{wrong}");
    }
}

#[test]
fn the_defaults_are_the_bare_default() {
    let settings = ServeSettings::read(&Layers::default()).unwrap();
    assert_eq!(settings.store.choice, StoreChoice::Sqlite("gauntlet.db".into()));
    assert_eq!(settings.base_path, "/challenge");
    assert_eq!(settings.namespace, "gauntlet");
    assert_eq!(settings.roles, Roles::ALL);
    assert_eq!(settings.catalogue, None);
    let ports = [settings.http, settings.grpc, settings.events, settings.ops].map(|address| address.port());
    assert_eq!(ports, [8000, 6565, 6566, 8080]);
    assert_eq!(sign_in(settings.auth_facts()), Ok(Sign::MockImplied));
}

#[test]
fn an_address_beyond_this_machine_is_not_the_bare_default() {
    for key in ["http", "grpc", "events", "ops"] {
        let settings = ServeSettings::read(&layers(&[(key, "0.0.0.0:1")], &[], "")).unwrap();
        assert!(sign_in(settings.auth_facts()).is_err(), "{key}");
    }
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_the_default() {
    let flag = [("namespace", "flag")];
    let env = [("GAUNTLET_NAMESPACE", "own"), ("AB_NAMESPACE", "older")];
    let file = "# a comment\nnamespace = \"file\"";
    let cases = [
        (layers(&flag, &env, file), "flag", "--namespace"),
        (layers(&[], &env, file), "own", "GAUNTLET_NAMESPACE"),
        (layers(&[], &env[1..], file), "older", "AB_NAMESPACE"),
        (layers(&[], &[("GAUNTLET_NAMESPACE", "")], file), "file", "gauntlet.toml:2: namespace"),
        (layers(&[], &[], ""), "gauntlet", "default"),
    ];
    for (layers, value, source) in cases {
        let (_, found, from) =
            effective(&layers, Reader::Serve).find(|(setting, ..)| setting.key == "namespace").unwrap();
        assert_eq!((found.as_deref(), from.to_string().as_str()), (Some(value), source));
        assert_eq!(ServeSettings::read(&layers).unwrap().namespace, value);
    }
}

#[test]
fn a_file_has_numbers_booleans_and_lists_too() {
    let file = "max-connections = 20\nallow-mock-with-real-rewards = true\nroles = [\"api\", \"worker\"]\n\
                store = 'postgres://db/game'";
    let settings = ServeSettings::read(&layers(&[], &[], file)).unwrap();
    assert_eq!(settings.store.max_connections, 20);
    assert!(settings.allow_mock_with_real_rewards);
    assert_eq!(settings.roles, Roles { api: true, events: false, worker: true });
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    let file = "http = \"0.0.0.0:80\"\ncatalog = \"a.json\"\n\n[store]\nurl = \"x\"\n";
    let messages: Vec<String> =
        File::parse("gauntlet.toml", file).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "gauntlet.toml:2: unknown key \"catalog\"",
            "gauntlet.toml:4: store: allowed: a text, a number, true or false, or a list of texts",
        ]
    );
    let [fault] = &File::parse("gauntlet.toml", "a = 1\nb == 2").unwrap_err()[..] else {
        panic!("one fault")
    };
    assert!(fault.to_string().starts_with("gauntlet.toml:2: not TOML: "), "{fault}");
    let [fault] = &File::read("/nowhere/gauntlet.toml").unwrap_err()[..] else { panic!("one fault") };
    assert!(
        fault.to_string().starts_with("/nowhere/gauntlet.toml: the settings file cannot be read: "),
        "{fault}"
    );
}

#[test]
fn every_fault_is_told_with_its_source() {
    let layers = layers(
        &[("http", "8000"), ("rewards", "lgo")],
        &[
            ("GAUNTLET_ROLES", "api,evnts"),
            ("PLUGIN_GRPC_SERVER_AUTH_ENABLED", "maybe"),
            ("LOG_LEVEL", "loud"),
        ],
        "max-connections = 0",
    );
    assert_eq!(
        faults(&layers),
        [
            "gauntlet.toml:1: max-connections: found \"0\"; allowed: a number from 1 to 1000",
            "LOG_LEVEL: found \"loud\"; allowed: error, warn, info, debug, trace, off; with exceptions as in \
             info,gauntlet_store=debug",
            "--http: found \"8000\"; allowed: an address with a port, such as 127.0.0.1:8000 or [::1]:8000",
            "PLUGIN_GRPC_SERVER_AUTH_ENABLED: found \"maybe\"; allowed: true, 1, yes, on, or false, 0, no, off",
            "--rewards: found \"lgo\"; allowed: log, webhook, ags",
            "GAUNTLET_ROLES: found \"api,evnts\"; allowed: one or more of api, events, worker, with commas between them",
        ]
    );
    let failure = Failure::from(ServeSettings::read(&layers).unwrap_err());
    assert!(format!("{failure:?}").contains("GAUNTLET_ROLES: did you mean events?"), "{failure:?}");
}

#[test]
fn what_comes_later_is_refused_with_words_that_say_so() {
    let [message] = &faults(&layers(&[], &[("GAUNTLET_REWARDS", "webhok")], ""))[..] else {
        panic!("one fault")
    };
    assert!(message.starts_with("GAUNTLET_REWARDS: found \"webhok\"; "), "{message}");
    assert!(message.contains("allowed: log, webhook, ags"), "{message}");
}

#[test]
fn older_names_are_understood() {
    let env = [
        ("BASE_PATH", "/game"),
        ("AB_NAMESPACE", "space"),
        ("CHALLENGE_CONFIG_PATH", "/etc/challenges.json"),
        ("PLUGIN_GRPC_SERVER_AUTH_ENABLED", "False"),
        ("REWARD_CLIENT_MODE", "mock"),
        ("LOG_LEVEL", "WARNING"),
    ];
    let settings = ServeSettings::read(&layers(&[], &env, "")).unwrap();
    assert_eq!(settings.base_path, "/game");
    assert_eq!(settings.namespace, "space");
    assert_eq!(settings.catalogue, Some("/etc/challenges.json".into()));
    assert_eq!(settings.auth_facts().named, Some(values::Auth::Mock));
    assert_eq!(settings.log.filter, "warn");
}

#[test]
fn the_older_database_variables_make_a_url() {
    let base = [("DB_HOST", "db"), ("DB_USER", "ann"), ("DB_NAME", "game")];
    let with = |more: &[(&'static str, &'static str)]| {
        let mut env: BTreeMap<&str, &str> = base.into_iter().collect();
        env.extend(more.iter().copied());
        store_of(&env.into_iter().collect::<Vec<_>>())
    };
    for (more, url) in [
        (vec![], "postgres://ann@db:5432/game?sslmode=disable"),
        (vec![("DB_PASSWORD", "plain")], "postgres://ann:plain@db:5432/game?sslmode=disable"),
        (
            vec![("DB_PASSWORD", "p@s:s/w?r#d %ö")],
            "postgres://ann:p%40s%3As%2Fw%3Fr%23d%20%25%C3%B6@db:5432/game?sslmode=disable",
        ),
        (vec![("DB_PORT", "6432"), ("DB_SSLMODE", "prefer")], "postgres://ann@db:6432/game?sslmode=prefer"),
        (vec![("DB_SSLMODE", "verify-full")], "postgres://ann@db:5432/game?sslmode=verify-full"),
        (vec![("DB_HOST", "::1")], "postgres://ann@[::1]:5432/game?sslmode=disable"),
        (
            vec![("DB_HOST", "/run/postgresql")],
            "postgres://ann@%2Frun%2Fpostgresql:5432/game?sslmode=disable",
        ),
        (vec![("GAUNTLET_STORE", "postgres://other/game")], "postgres://other/game"),
    ] {
        assert_eq!(with(&more), StoreChoice::Postgres(url.to_owned()), "{more:?}");
    }
}

#[test]
fn half_a_database_is_refused() {
    let refused = |env: &[(&str, &str)]| faults(&layers(&[], env, ""));
    assert_eq!(
        refused(&[("DB_PASSWORD", "secret")]),
        ["DB_HOST: not set, but DB_PASSWORD is: together they name the database"]
    );
    assert_eq!(
        refused(&[("DB_HOST", "db"), ("DB_USER", "ann")]),
        ["DB_NAME: not set, but DB_HOST is: together they name the database"]
    );
    let base = [("DB_HOST", "db"), ("DB_USER", "ann"), ("DB_NAME", "game"), ("DB_PASSWORD", "secret")];
    for (name, value, expected) in [
        ("DB_PORT", "http", "DB_PORT: found \"http\"; allowed: a number from 1 to 65535"),
        (
            "DB_SSLMODE",
            "allow",
            "DB_SSLMODE: found \"allow\"; allowed: disable, prefer, require, verify-ca or verify-full",
        ),
    ] {
        let mut env = base.to_vec();
        env.push((name, value));
        assert_eq!(refused(&env), [expected]);
    }
}

#[test]
fn secrets_are_not_shown() {
    let secret = "postgres://ann:secret@db/game?password=secret";
    let good = layers(&[("store", secret)], &[], "");
    let bad = layers(&[("store", &secret.replace("postgres", "postgrse"))], &[], "");
    let older = layers(
        &[],
        &[("DB_HOST", "db"), ("DB_USER", "ann"), ("DB_NAME", "game"), ("DB_PASSWORD", "secret")],
        "",
    );
    let secrets = layers(&[("events-secrets", "very secret secret")], &[("GAUNTLET_TOKEN", "secret")], "");
    let shown: Vec<_> = effective(&secrets, Reader::Serve).chain(effective(&secrets, Reader::Send)).collect();
    assert!(!format!("{shown:?}").contains("secret secret"), "{shown:?}");
    assert_eq!(faults(&secrets).len(), 1);
    assert!(!faults(&secrets)[0].contains("secret secret"), "{:?}", faults(&secrets));
    let debug = format!(
        "{:?}",
        SendSettings::read(&layers(&[], &[("GAUNTLET_TOKEN", "hush"), ("GAUNTLET_PLAYER", "a")], ""))
    );
    assert!(debug.starts_with("Ok") && !debug.contains("hush"), "{debug}");
    for layers in [&good, &bad, &older] {
        let shown: Vec<Option<String>> =
            effective(layers, Reader::Serve).map(|(_, value, _)| value).collect();
        assert!(!format!("{shown:?}").contains("secret"), "{shown:?}");
        assert!(format!("{shown:?}").contains("ann:***@db"), "{shown:?}");
    }
    assert!(!ServeSettings::read(&good).unwrap().store.choice.masked().contains("secret"));
    let message = faults(&bad).join("\n");
    assert!(message.contains("ann:***@db") && !message.contains("secret"), "{message}");
}

#[test]
fn a_player_has_to_be_named() {
    let messages = |layers: &Layers| {
        PlayerSettings::read(layers).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(messages(&Layers::default()), ["--player: not set, and neither is GAUNTLET_PLAYER"]);
    let long = "x".repeat(101);
    assert_eq!(
        messages(&layers(&[("player", &long)], &[], "")),
        [format!("--player: found {long:?}; the id is longer than 100 characters")]
    );
    let send = SendSettings::read(&layers(&[], &[("GAUNTLET_PLAYER", "ann"), ("AB_NAMESPACE", "space")], ""))
        .unwrap();
    assert_eq!((send.player.as_str(), send.namespace.as_str()), ("ann", "space"));
}

#[test]
fn misspelt_variables_are_noticed_and_others_left_alone() {
    let environment = environment(&[
        ("GAUNTLET_CATALOG", "x"),
        ("GAUNTLET_STORE", "sqlite:x"),
        ("GAUNTLET_SERVICE_HOST", "10.0.0.1"),
        ("GAUNTLET_HTTP_PORT", "tcp://10.0.0.1:8000"),
        ("GAUNTLETS", "x"),
    ]);
    assert_eq!(environment.misspelt(), [("GAUNTLET_CATALOG", "GAUNTLET_CATALOGUE")]);
}
