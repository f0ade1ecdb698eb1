//! What does not go together, decided before anything starts.

use std::net::SocketAddr;

use super::values::{Auth, Roles, StoreChoice};

/// What decides whether mock sign-in may be used.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each a yes or no")]
pub(crate) struct AuthFacts {
    /// What was set; `None`: nothing was.
    pub(crate) named: Option<Auth>,
    /// Whether every listener is reachable from this machine only.
    pub(crate) all_loopback: bool,
    /// Whether players are stored in a SQLite file.
    pub(crate) sqlite: bool,
    /// Whether rewards have a value.
    pub(crate) real_rewards: bool,
    /// The second switch.
    pub(crate) allow_with_real_rewards: bool,
}

/// How players prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The header is believed, because nothing is at stake: the bare default.
    MockImplied,
    /// The header is believed, because somebody said so.
    MockNamed,
    /// Tokens are checked.
    Jwt,
}

/// Why the service does not start, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

/// Decides how players prove who they are.
///
/// Mock sign-in lets anybody be anybody. It is taken for granted only where nobody else can reach
/// the service and nothing of value is handed out; elsewhere it must be named, and beside real
/// rewards allowed by a second switch too.
pub(crate) fn sign_in(facts: AuthFacts) -> Result<Sign, Refused> {
    match facts.named {
        Some(Auth::Mock) if facts.real_rewards && !facts.allow_with_real_rewards => Err(Refused {
            message: "mock sign-in beside a real reward client: anybody could claim anything as anybody".to_owned(),
            hint: "check tokens, use --rewards log, or accept it with --allow-mock-with-real-rewards".to_owned(),
        }),
        Some(Auth::Mock) => Ok(Sign::MockNamed),
        Some(Auth::Jwt) => Ok(Sign::Jwt),
        None => match beyond_the_bare_default(facts) {
            None => Ok(Sign::MockImplied),
            Some(why) => Err(Refused {
                message: format!("no sign-in is chosen, and mock is not implied here because {why}"),
                hint: "check tokens with --auth jwt --jwks-url URL, or for development and load tests add --auth mock \
                       (GAUNTLET_AUTH=mock)"
                    .to_owned(),
            }),
        },
    }
}

/// What makes this more than somebody trying the service out.
const fn beyond_the_bare_default(facts: AuthFacts) -> Option<&'static str> {
    if !facts.all_loopback {
        Some("an address is reachable from other machines")
    } else if !facts.sqlite {
        Some("the store is not SQLite")
    } else if facts.real_rewards {
        Some("rewards are real")
    } else {
        None
    }
}

/// Refuses a split of roles on SQLite: one file serves one process.
pub(crate) fn one_process(store: &StoreChoice, roles: Roles) -> Result<(), Refused> {
    match store {
        StoreChoice::Sqlite(_) if roles != Roles::ALL => Err(Refused {
            message:
                "only some roles run in this process, but a SQLite file serves one process, which has to \
                      do everything"
                    .to_owned(),
            hint: "leave --roles out, or use PostgreSQL: --store postgres://...".to_owned(),
        }),
        StoreChoice::Sqlite(_) | StoreChoice::Postgres(_) => Ok(()),
    }
}

/// Refuses profiles where strangers could take them: whoever can slows the process down and reads
/// how it works.
pub(crate) fn profiles(on: bool, ops: SocketAddr) -> Result<(), Refused> {
    if !on || ops.ip().is_loopback() {
        return Ok(());
    }
    Err(Refused {
        message: format!(
            "profiles on an operations port that other machines reach: {ops} is no loopback address"
        ),
        hint: format!(
            "use --ops 127.0.0.1:{port} and reach it through a tunnel, such as ssh -L {port}:127.0.0.1:{port} HOST or \
             kubectl port-forward; or leave --profiles out",
            port = ops.port()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mock_sign_in_is_implied_only_by_the_bare_default() {
        const MOCK: Option<Auth> = Some(Auth::Mock);
        const JWT: Option<Auth> = Some(Auth::Jwt);
        // named, loopback, sqlite, real rewards, second switch: answer
        let table = [
            (None, true, true, false, false, Ok(Sign::MockImplied)),
            (None, true, true, false, true, Ok(Sign::MockImplied)),
            (None, false, true, false, false, Err("an address is reachable")),
            (None, true, false, false, false, Err("the store is not SQLite")),
            (None, true, true, true, false, Err("rewards are real")),
            (None, true, true, true, true, Err("rewards are real")),
            (None, false, false, true, true, Err("an address is reachable")),
            (MOCK, true, true, false, false, Ok(Sign::MockNamed)),
            (MOCK, false, false, false, false, Ok(Sign::MockNamed)),
            (JWT, false, false, true, false, Ok(Sign::Jwt)),
            (JWT, true, true, false, false, Ok(Sign::Jwt)),
            (MOCK, true, true, true, false, Err("anybody could claim anything")),
            (MOCK, false, false, true, false, Err("anybody could claim anything")),
            (MOCK, false, false, true, true, Ok(Sign::MockNamed)),
        ];
        for (named, all_loopback, sqlite, real_rewards, allow_with_real_rewards, expected) in table {
            let facts = AuthFacts { named, all_loopback, sqlite, real_rewards, allow_with_real_rewards };
            match (sign_in(facts), expected) {
                (Ok(sign), Ok(expected)) => assert_eq!(sign, expected, "{facts:?}"),
                (Err(refused), Err(expected)) => {
                    assert!(refused.message.contains(expected), "{facts:?}: {refused:?}");
                }
                (got, _) => panic!("{facts:?}: {got:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn profiles_are_for_this_machine_only() {
        for (ops, allowed) in [
            ("127.0.0.1:8080", true),
            ("127.8.8.8:8080", true),
            ("[::1]:8080", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("10.0.0.7:8080", false),
            ("[::ffff:127.0.0.1]:8080", false),
        ] {
            let ops: SocketAddr = ops.parse().expect("an address");
            assert_eq!(profiles(true, ops).is_ok(), allowed, "{ops}");
            assert!(profiles(false, ops).is_ok(), "{ops}");
        }
        let refused = profiles(true, ([10, 0, 0, 7], 9090).into()).expect_err("refused");
        assert!(refused.hint.contains("--ops 127.0.0.1:9090"), "{refused:?}");
    }

    #[test]
    fn a_sqlite_file_serves_one_process() {
        let sqlite = StoreChoice::Sqlite("gauntlet.db".into());
        let postgres = StoreChoice::Postgres("postgres://db/game".to_owned());
        let api = Roles { api: true, ..Roles::default() };
        assert!(one_process(&sqlite, Roles::ALL).is_ok());
        assert!(one_process(&postgres, Roles::ALL).is_ok());
        assert!(one_process(&postgres, api).is_ok());
        assert!(one_process(&sqlite, api).is_err());
    }
}
