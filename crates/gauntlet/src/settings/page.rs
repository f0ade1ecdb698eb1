//! `docs/settings.md`, made from the table and held against it.

use std::{fmt::Write as _, fs, path::PathBuf};

use super::{
    setting::{CONFIG_ENV, Reader, Setting},
    table,
};

#[test]
fn the_page_about_settings_is_what_the_table_says() {
    let committed = fs::read_to_string(file()).unwrap_or_default();
    // Not assert_eq: a difference would print two whole pages.
    assert!(
        committed == page(),
        "docs/settings.md is out of date: run `cargo test -p gauntlet -- --ignored regenerate_settings_page` and \
         commit the result"
    );
}

/// Not a test: writes the page.
#[test]
#[ignore = "writes docs/settings.md"]
fn regenerate_settings_page() {
    fs::write(file(), page()).unwrap();
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md")
}

fn page() -> String {
    let mut page = format!(
        "# Settings\n\n\
         <!-- Made from crates/gauntlet/src/settings/table.rs; a test says how when it is out of date. -->\n\n\
         The first of these that names a setting decides: a flag, the environment, the settings file, the default.\n\
         `gauntlet settings` shows what `gauntlet serve` would use and where each value comes from; a value that \
         cannot be used is\n\
         refused with its place, what was found and what is allowed. Passwords are never shown.\n\n\
         - **The environment**: a variable that is empty counts as not set. Names of deployments of the service that \
         this one\n  replaces are understood where our own name is not set (the column \"also\").\n\
         - **The settings file** is TOML, named by `--config FILE` or `{CONFIG_ENV}`: `http = \"0.0.0.0:8000\"`, \
         `max-connections = 20`,\n  `roles = [\"api\", \"events\"]`. Unknown keys are refused. Relative paths start \
         from the working directory.\n\
         - **Booleans** are true, 1, yes, on, or false, 0, no, off, in capitals or small letters.\n\
         - **Times** are a whole number and ms, s, m, h or d.\n"
    );
    let groups = [
        (
            "The service",
            "`gauntlet serve`; those of the store and of logs are `gauntlet migrate`'s too, and but for `--max-connections` \
             and `--slow-statement` those of `export`, `import` and `audit`.",
            Reader::Serve,
        ),
        ("Acting as a player", "`gauntlet player`.", Reader::Player),
        (
            "Sending events",
            "`gauntlet send`, which also takes `--namespace`, `--player`, `--token`, `--ca`, `--client-cert` and `--client-key`.",
            Reader::Send,
        ),
    ];
    let mut shown = Vec::new();
    for (title, about, reader) in groups {
        let of_group: Vec<&Setting> =
            table::of(reader).filter(|setting| !shown.contains(&setting.key)).collect();
        shown.extend(of_group.iter().map(|setting| setting.key));
        write!(page, "\n## {title}\n{about}\n\n").unwrap();
        page.push_str("| flag | file | environment | also | default | |\n|---|---|---|---|---|---|\n");
        for setting in of_group {
            page.push_str(&row(setting));
        }
    }
    page.push_str(NOTES);
    page
}

fn row(setting: &Setting) -> String {
    let Setting { flag, key, env, help, .. } = setting;
    let also: Vec<String> = setting.legacy.names().iter().map(|name| format!("`{name}`")).collect();
    let default = setting.default.map_or_else(|| setting.unset.to_owned(), |default| format!("`{default}`"));
    format!("| `--{flag}` | `{key}` | `{env}` | {} | {default} | {help} |\n", also.join(" "))
}

const NOTES: &str = "
## Notes
- `DB_HOST`, `DB_USER` and `DB_NAME` together make a PostgreSQL store, with `DB_PASSWORD`, `DB_PORT` (5432) and
  `DB_SSLMODE` (disable); they are written as they are, without percent-encoding. One of them without the others is refused.
  What each mode does, and what to set for PgBouncer, stands in [postgres.md](postgres.md).
- `PLUGIN_GRPC_SERVER_AUTH_ENABLED`: false means mock sign-in, true means jwt, which needs `--jwks-url`.
- **Security** is explained in [security.md](security.md): tokens, the events port, TLS, what is refused and why.
- The events port needs secrets or client certificates as soon as other machines can reach it, or `--events-auth none`.
- `REWARD_CLIENT_MODE`: mock means log, real means ags; `AB_BASE_URL`, `AB_CLIENT_ID`, `AB_CLIENT_SECRET` and
  `AB_NAMESPACE` go with it. What the platforms must be able to do stands in [rewards.md](rewards.md).
- `LOG_LEVEL` may also be warning, fatal or panic.
- **Mock sign-in** is taken for granted only by the bare default: every address on loopback, SQLite, the log adapter,
  nothing said about sign-in. Elsewhere it has to be named, and beside real rewards allowed by
  `--allow-mock-with-real-rewards` too.
- **SQLite** serves one process: a second one on the same file, and a split of roles, are refused.
- `NO_COLOR` turns colours off. `RUST_LOG` and proxy variables are not read.
";
