//! Players in the store before the server starts, written the way the service writes them.

use gauntlet_domain::{
    Catalogue, Command, Context, Effects, Player, Timestamp, catalogue::Definition, decide,
};
use gauntlet_server::clock::{Clock as _, SystemClock};
use gauntlet_store::{PlayerKey, Store, Write};

use crate::{Result, catalogues};

/// The namespace of the service's default settings.
pub(crate) const NAMESPACE: &str = "gauntlet";
/// Players written in one transaction.
const BATCH: u32 = 1_000;

/// The id of a player; always as long, so that it can be written over in a prepared request.
pub(crate) fn id(number: u32) -> String {
    format!("player-{number:08}")
}

/// Registers the catalogue as the service does, and writes so many players with their first goals.
pub(crate) async fn seed(store: &dyn Store, definition: &Definition, players: u32) -> Result<()> {
    store.migrate().await?;
    let now = SystemClock.now();
    let ids: Vec<String> = definition.goal_ids().map(str::to_owned).collect();
    let numbers = store.intern_goals(&ids).await?;
    let version = store.register_catalogue(&catalogues::text(definition), now).await?;
    let catalogue = Catalogue::new(definition.clone(), version, &numbers)?;
    for first in (0..players).step_by(BATCH as usize) {
        let last = players.min(first + BATCH);
        let writes: Vec<Write> =
            (first..last).map(|number| initialized(&catalogue, number, now)).collect::<Result<_>>()?;
        store.commit(&writes).await?;
        if last.is_multiple_of(100_000) {
            crate::progress(&format!("{last} players written"));
        }
    }
    Ok(())
}

fn initialized(catalogue: &Catalogue, number: u32, now: Timestamp) -> Result<Write> {
    let context = Context { catalogue, now, seed: 1, late_window_ms: 600_000 };
    let (mut player, mut effects) = (Player::new(), Effects::default());
    decide(&mut player, &Command::Initialize, &context, &mut effects)?;
    player.head.push_write(u64::from(number) + 1);
    Ok(Write {
        key: PlayerKey { player: id(number), namespace: NAMESPACE.into() },
        expected: None,
        settled_changed: !player.settled().is_empty(),
        player,
        receipts: Vec::new(),
        orders: Vec::new(),
        lease: None,
        results: Vec::new(),
        journal: effects.journal,
        due: gauntlet_store::Due::Keep,
        at: now,
    })
}
