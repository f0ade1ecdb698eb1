//! The load lab: drives any server that speaks the public protocols, knows whether its own run is
//! valid, and says why what failed has failed.
//!
//! | part | job |
//! |---|---|
//! | [`Scenario`] | what a run does; files in TOML, four of them built in |
//! | `driver` | users of the closed model, arrivals of the open one |
//! | `recorder` | histograms, steps of time, failures by reason; bounded memory |
//! | `book`, `ledger` | what was acknowledged, and whether the server kept it |
//! | [`Receiver`] | the lab's own reward platform, where grants are counted |
//! | [`Identity`] | the mock header, or tokens that the lab signs and [publishes](KeyServer) the key for |
//! | `collect` | the server's metrics and profiles, processes, PostgreSQL's statistics |
//! | [`Report`] | everything that was found, and the verdict; JSON with a [schema], Markdown, HTML, `JUnit` |
//! | [`compare()`] | a run beside earlier ones |
//!
//! The lab knows the service only through its public protocols: it links neither the server nor
//! the store. What must have become of a player it works out with the rules of `gauntlet-domain`,
//! which live there once.

mod book;
mod clock;
mod collect;
mod compare;
mod driver;
mod events;
mod http;
mod identity;
mod ledger;
mod listen;
mod outcome;
mod receiver;
mod recorder;
mod report;
mod run;
mod scenario;
mod tls;
mod units;

use std::net::SocketAddr;

pub use collect::{
    Collected, Figure, Frame, ProfileFound, ProfilePlan, Sources, Statement, TopFunction, Track,
};
pub use compare::{Comparison, Row, Verdict as Compared, compare};
pub use identity::{Algorithm, Identity, KeyServer, Tokens};
pub use ledger::{Difference, GrantsFound, StatesFound};
pub use outcome::Example;
pub use receiver::Receiver;
pub use report::{
    Drift, DriftEnd, DriftFound, Exit, GateEnd, Report, VERSION, html, junit, markdown, schema, summary,
};
pub use run::{Plan, Progress, run};
pub use scenario::{
    Action, Arrivals, BUILT_IN, BuiltIn, Call, Check, Measure, Offer, Players, Prepare, Rate, Scenario,
    ScenarioError, Step, Threshold, Users, Wanted, find_built_in, parse_scenario,
};
pub use tls::Authority;
pub use units::parse_duration;

/// Why a run could not be made. What fails within a run is no error but part of its report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that cannot be used.
    #[error("the address {url} cannot be used: {problem}")]
    Address {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {url}: {problem}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
    /// The receiver of webhooks cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No key could be made for tokens: the system has no randomness.
    #[error("no key can be made for tokens: the system has no randomness")]
    Key,
    /// The secret of webhooks is none.
    #[error("the secret of webhooks has to be whsec_ and base64")]
    Secret,
    /// The scenario sends events, and nobody said where to.
    #[error("the scenario sends events, and no address for them is given")]
    NoEvents,
    /// The server does not take the lab's tokens.
    #[error("the server does not take the lab's tokens: {0}")]
    SignIn(String),
    /// The players could not be prepared.
    #[error("a player could not be prepared: {0}")]
    Prepare(String),
    /// A player could not be browsed at the end, so the ledger cannot be closed.
    #[error("cannot browse as {player} at the end of the run: {problem}")]
    Browse {
        /// The player.
        player: String,
        /// Why.
        problem: String,
    },
    /// The catalogue for the ledger cannot be used.
    #[error("the catalogue cannot be used: {0}")]
    Catalogue(String),
    /// A report cannot be written or read.
    #[error("{doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is no report of the lab, or of another version of it.
    #[error("{path} is no report that this version reads: {problem}")]
    NoReport {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}
