//! The live document: how long it is, and what an event costs players with many active goals.

use gauntlet_domain::catalogue::LOAD_STATS;
use gauntlet_store::{Load, PgOptions, PgStore, PlayerKey, Store as _};

use super::events::unary;
use crate::{
    Result,
    bench::{Bench, load},
    catalogues::{self, Mix},
    figures::{Goal, Row, Sample},
    players::{self, NAMESPACE},
    report::Report,
    requests::Events,
    stand::{Kind, Stand},
};

/// Active goals, and the length that their document may have.
const SIZES: [(usize, Option<f64>); 4] = [(10, None), (50, Some(700.0)), (200, Some(2_048.0)), (500, None)];
/// Few, so that each gets many events within a load and its document is as long as it gets.
const PLAYERS: u32 = 500;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut ten: Option<Sample> = None;
    for (active, limit) in SIZES {
        let stand =
            Stand::new(bench, Kind::Postgres, &catalogues::events(500, active, Mix::Usual)?, PLAYERS)?;
        let mut events = Events::new(PLAYERS, &LOAD_STATS)?;
        let sample = load(&unary(bench, stand.product.events), &mut events, &mut || stand.usage())?;
        let longest = longest(bench, &stand.store, active)?;
        report.add(Row {
            work: "document",
            what: format!("{active} active goals: longest live document"),
            unit: "bytes",
            product: vec![longest],
            floor: vec![limit.unwrap_or(longest)],
            floor_is: if limit.is_some() { "limit" } else { "itself" }.to_owned(),
            goal: if limit.is_some() { Goal::AtMost(1.0) } else { Goal::None },
            calls: u64::from(PLAYERS),
            notes: [].into(),
        });
        let base = ten.get_or_insert_with(|| sample.clone());
        report.add(Row {
            work: "document",
            what: format!("PostgreSQL, {active} active goals: CPU of service and database"),
            unit: "us",
            product: vec![sample.cpu()],
            floor: vec![base.cpu()],
            floor_is: "10 active goals".to_owned(),
            goal: Goal::None,
            calls: sample.calls,
            notes: [
                ("events/s", sample.rate),
                ("service us", sample.server_cpu),
                ("database us", sample.database_cpu),
                ("log bytes each", sample.log_bytes),
            ]
            .into(),
        });
        stand.stop()?;
    }
    Ok(())
}

/// The length of the longest live document, each of which must have all its goals.
fn longest(bench: &Bench, store: &str, active: usize) -> Result<f64> {
    let store = PgStore::connect(&PgOptions::new(store))?;
    let loads: Vec<Load> = (0..PLAYERS)
        .map(|number| Load {
            key: PlayerKey { player: players::id(number), namespace: NAMESPACE.into() },
            settled: true,
            receipts: false,
        })
        .collect();
    let loaded = bench.runtime.block_on(async {
        let loaded = store.load(&loads).await;
        store.close().await;
        loaded
    })?;
    let mut longest = 0;
    for one in loaded {
        let player = one.stored?.ok_or("a player is gone")?.player;
        let goals = player.goals().filter(|goal| goal.active).count();
        if goals != active {
            return Err(format!("a player has {goals} active goals instead of {active}").into());
        }
        longest = longest.max(player.encode_live().len());
    }
    #[expect(clippy::cast_precision_loss, reason = "some kilobytes")]
    Ok(longest as f64)
}
