//! First figures: the product beside its floors, in one run on one machine.
//!
//! ```text
//! cargo bench -p gauntlet
//! ```
//!
//! Each product is the real binary in a process of its own; each floor is a server that does
//! nothing but answer, in a process of its own too. They take turns, so that a noisy machine
//! spoils both alike; the table shows medians and their ratio. The load generator shares the
//! machine with them.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a benchmark is no part of the product: what spoils its figures must end it, and it prints them"
)]

mod browse;
mod echo;
mod events;
mod load;
mod process;
mod rules;
mod table;

use std::time::Duration;

use table::Table;

/// How long each measurement lasts.
const LENGTH: Duration = Duration::from_secs(3);
/// How often product and floor take turns; odd, so that there is a median.
const TURNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(bytes) = arguments.iter().find_map(|argument| argument.strip_prefix("--echo=")) {
        return echo::serve(bytes.parse().expect("a number of bytes"));
    }
    let mut table = Table::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    rules::measure(&mut table);
    runtime.block_on(async {
        let postgres = gauntlet_testkit::PgCluster::private();
        events::measure(&mut table, &postgres).await;
        browse::measure(&mut table, &postgres).await;
    });
    table.print();
}
