//! What must be true once the storm is over and everybody has been answered.

use std::collections::BTreeSet;

use gauntlet_domain::{
    Catalogue, JournalEntry, JournalKind, Player, Receipt, ReceiptKey, Status, due, player::CycleMark,
    show_under, view_goal,
};
use gauntlet_store::{Grant, GrantFilter, GrantState, Load, PlayerKey, Store};

use super::{
    designer::{ANEW, KEPT, news},
    platform::Platform,
    players::{Book, DRAWS, ONCE, Sent, Someone, Switch, TURN, TURN_SECONDS, What},
    world::{NAMESPACE, World},
};
use crate::{
    clock::Clock,
    core::check_catalogue,
    ingest::{LOGIN_TYPE, STAT_TYPE},
    rewards::{GrantCall, PlatformClass},
};

/// Events that are told this long after they happened may be too late for their own time.
const STALE_MS: i64 = 590_000;

/// Whether the worker still has to look after somebody, now or at the end of a cycle.
pub(super) async fn somebody_is_due(
    world: &World,
    catalogue: &Catalogue,
    players: &[std::sync::Arc<Someone>],
) -> bool {
    for someone in players {
        let key = PlayerKey { player: someone.name.clone(), namespace: NAMESPACE.into() };
        let load = Load { key, settled: true, receipts: false };
        let loaded = world.database.inner.load(&[load]).await.expect("memory answers").pop();
        let stored = loaded.and_then(|loaded| loaded.stored.expect("a readable document"));
        if stored.is_some_and(|stored| due(&stored.player, catalogue, 600_000).is_some()) {
            return true;
        }
    }
    false
}

/// Compares what is stored and what was handed out with what everybody was told.
pub(super) async fn check(world: &World, players: &[std::sync::Arc<Someone>]) -> u64 {
    let catalogue = world.catalogue().await;
    for someone in players {
        let (begun, done) = someone.counts();
        if begun != done {
            world.trace.fault(format_args!("{}: {done} of {begun} came to an end", someone.name));
        }
        Examined::new(world, &catalogue, someone).await.check();
    }
    check_grants(world).await
}

/// Every grant has ended, as its platform allows, and was handed out as often as it says. Answers
/// how many were handed out.
async fn check_grants(world: &World) -> u64 {
    let fault = |what: String| world.trace.fault(what);
    let grants = all_grants(world, None).await;
    let mut known = BTreeSet::new();
    for grant in &grants {
        let key = GrantCall::of(grant).idempotency_key;
        let effects = world.platform.effects(&key);
        let right = match grant.state {
            GrantState::Granted => effects == 1,
            GrantState::Refused => effects == 0 && Platform::refuses(&key),
            GrantState::Uncertain => world.platform.class == PlatformClass::Neither && effects <= 1,
            GrantState::Sending => false,
        };
        if !right {
            fault(format!(
                "{key} is {:?} at attempt {} and had {effects} effects",
                grant.state, grant.attempt
            ));
        }
        known.insert(key);
    }
    let effects = world.platform.all_effects();
    for (key, _) in effects.iter().filter(|(key, _)| !known.contains(key)) {
        fault(format!("{key} was handed out and has no row"));
    }
    effects.iter().map(|(_, count)| u64::from(*count)).sum()
}

async fn all_grants(world: &World, player: Option<PlayerKey>) -> Vec<Grant> {
    let filter = GrantFilter { player, state: None };
    world.database.inner.list_grants(&filter, u32::MAX).await.expect("memory answers")
}

/// One player, as stored.
struct Examined<'a> {
    world: &'a World,
    catalogue: &'a Catalogue,
    someone: &'a Someone,
    player: Player,
    /// In the order of the book's events.
    receipts: Vec<bool>,
    grants: Vec<Grant>,
    journal: Vec<JournalEntry>,
    /// What the journal will tell when the player is written again.
    untold: Vec<JournalEntry>,
}

impl<'a> Examined<'a> {
    async fn new(world: &'a World, catalogue: &'a Catalogue, someone: &'a Someone) -> Self {
        let key = PlayerKey { player: someone.name.clone(), namespace: NAMESPACE.into() };
        let load = Load { key: key.clone(), settled: true, receipts: true };
        let store = &world.database.inner;
        let loaded = store.load(&[load]).await.expect("memory answers").pop().expect("one player");
        let stored = loaded.stored.expect("a readable document").expect("a row");
        check_catalogue(&stored.player, catalogue).expect("no newer catalogue");
        let grants = all_grants(world, Some(key.clone())).await;
        let rows = store.journal(&key, 0, u32::MAX).await.expect("memory answers");
        let journal = rows.into_iter().map(|row| row.entry).collect();
        let mut player = stored.player;
        let untold = show_under(&mut player, catalogue, world.clock.now());
        let there = |event| {
            let receipt = receipt(event);
            player.head.receipts.contains(&receipt) || loaded.receipts.contains(&receipt)
        };
        let receipts = someone.book().events.iter().map(there).collect();
        Self { world, catalogue, someone, player, receipts, grants, journal, untold }
    }

    fn check(&self) {
        let book = self.someone.book();
        self.check_counts(&book);
        self.check_changes(&book);
        self.check_side(&book);
        self.check_score(&book);
        self.check_once(&book);
        self.check_selections(&book);
        self.check_turns(&book);
        self.check_journal();
    }

    fn fault(&self, what: impl std::fmt::Display) {
        self.world.trace.fault(format_args!("{}: {what}", self.someone.name));
    }

    fn view(&self, goal: &str) -> gauntlet_domain::GoalView {
        let index = self.catalogue.find_goal(goal).expect("a goal of the world");
        view_goal(Some(&self.player), self.catalogue, index, self.world.clock.now())
    }

    /// Every event that adds up was acknowledged, has a receipt, and was counted once.
    fn check_counts(&self, book: &Book) {
        let (mut wins, mut logins) = (0, 0);
        let mut newest = vec![0; self.world.profile.catalogues + 1];
        for (event, receipt) in book.events.iter().zip(&self.receipts) {
            match event.what {
                What::Wins(amount) => wins += amount,
                What::Login => logins += 1,
                What::Anew(_) => {}
                What::News(number) => newest[number] += 1,
                What::Side(_) | What::Score(_) | What::Once(_) => continue,
            }
            if event.acknowledged.is_none() || !receipt {
                self.fault(format_args!(
                    "{}: acknowledged at {:?}, receipt {receipt}",
                    event.id, event.acknowledged
                ));
            }
        }
        let mut sums = vec![("wins".to_owned(), wins), ("logins".to_owned(), logins)];
        sums.extend((2..newest.len()).map(|number| (news(number), newest[number])));
        for (goal, sum) in sums {
            let progress = self.view(&goal).progress;
            if progress != sum {
                self.fault(format_args!("{goal}: {progress}, and {sum} were acknowledged"));
            }
        }
    }

    /// What a change of the catalogue took away is told, to the last event; and who had a goal that was
    /// made harder keeps what was promised.
    fn check_changes(&self, book: &Book) {
        let all: i32 = book
            .events
            .iter()
            .map(|event| if let What::Anew(amount) = event.what { amount } else { 0 })
            .sum();
        let index = self.catalogue.find_goal(ANEW).expect("a goal of the world");
        let number = self.catalogue.goal(index).number;
        let rows = self.journal.iter().chain(&self.untold);
        let rows = rows.filter(|entry| entry.kind == JournalKind::Restarted);
        let lost = rows.flat_map(|entry| entry.goals.iter().zip(&entry.progress));
        let lost: i32 = lost.filter(|(goal, _)| **goal == number).map(|(_, progress)| *progress).sum();
        let progress = self.view(ANEW).progress;
        if lost + progress != all {
            self.fault(format_args!(
                "{ANEW}: {progress}, {lost} are told as lost, and {all} were acknowledged"
            ));
        }
        let index = self.catalogue.find_goal(KEPT).expect("a goal of the world");
        let asks = self.player.terms(self.catalogue, index, self.world.clock.now()).target();
        if book.kept.is_some_and(|promised| promised != asks) {
            self.fault(format_args!("{KEPT} asked for {:?}, and now for {asks}", book.kept));
        }
    }

    /// An event for a goal that is switched on and off was counted when it had to be, and was not
    /// when it could not be: each OK was true at some time while it was being asked for.
    fn check_side(&self, book: &Book) {
        let mut sum = 0;
        for (event, receipt) in book.events.iter().zip(&self.receipts) {
            let What::Side(amount) = event.what else { continue };
            sum += if *receipt { amount } else { 0 };
            let acknowledged = event.acknowledged.unwrap_or(u64::MAX);
            let must = surely(&book.switches, event.made, acknowledged) == Some(true);
            let never = event.deliveries.iter().all(|(begun, ended)| {
                ended.is_some_and(|ended| surely(&book.switches, *begun, ended) == Some(false))
            });
            if (must && !receipt) || (never && *receipt) {
                self.fault(format_args!(
                    "{}: counted {receipt}, made #{}, acknowledged #{acknowledged}, switches {:?}",
                    event.id, event.made, book.switches
                ));
            }
        }
        let progress = self.view("side").progress;
        if progress != sum {
            self.fault(format_args!("side: {progress}, and receipts say {sum}"));
        }
    }

    /// The value is that of the newest event, whatever the order of arrival.
    fn check_score(&self, book: &Book) {
        let scores = book.events.iter().filter(|event| matches!(event.what, What::Score(_)));
        let newest = scores.max_by_key(|event| event.at).map(|event| event.what);
        let expected = if let Some(What::Score(value)) = newest { value } else { 0 };
        let progress = self.view("score").progress;
        if progress != expected {
            self.fault(format_args!("score: {progress}, and the newest event said {expected}"));
        }
    }

    /// What was completed once has one grant, and document, grant and answers agree.
    fn check_once(&self, book: &Book) {
        for goal in ONCE {
            let mut rows = self.grants.iter().filter(|grant| grant.goal_id == goal);
            let (Some(grant), None) = (rows.next(), rows.next()) else {
                self.fault(format_args!("{goal} has no grant, or more than one"));
                continue;
            };
            let view = self.view(goal);
            let agrees = match grant.state {
                GrantState::Granted => view.status == Status::Claimed && view.claim.is_none(),
                _ => view.status == Status::Completed && view.claim.is_some(),
            };
            if !agrees {
                self.fault(format_args!("{goal} is {:?}, and its grant {:?}", view, grant.state));
            }
            if let Some(told) = book.claimed.get(goal)
                && (grant.state != GrantState::Granted || *told != grant.claimed_at.to_rfc3339())
            {
                self.fault(format_args!("{goal}: said to be claimed at {told}, stored is {grant:?}"));
            }
        }
    }

    /// Whatever was completed in a cycle that has ended was ordered for that cycle, once, although
    /// nobody claimed it; and every completion is that of a login of its own cycle, however late the
    /// login came.
    fn check_turns(&self, book: &Book) {
        let number = self.catalogue.goal(self.catalogue.find_goal(TURN).expect("a goal of the world")).number;
        let told = |kind: JournalKind| -> Vec<CycleMark> {
            let rows = self.journal.iter().filter(|entry| entry.kind == kind);
            let cycles = rows.flat_map(|entry| entry.goals.iter().zip(&entry.cycles));
            cycles.filter(|(goal, _)| **goal == number).map(|(_, cycle)| *cycle).collect()
        };
        let completed = told(JournalKind::Completed);
        let cycles: BTreeSet<u32> = completed.iter().map(|cycle| cycle.number).collect();
        let ordered: Vec<u32> = self
            .grants
            .iter()
            .filter(|grant| grant.goal_id == TURN)
            .map(|grant| grant.id.key.cycle)
            .collect();
        let ordered_once: BTreeSet<u32> = ordered.iter().copied().collect();
        if cycles.len() != completed.len() || cycles != ordered_once || ordered.len() != ordered_once.len() {
            self.fault(format_args!("{TURN}: completed in {completed:?}, ordered in {ordered:?}"));
        }
        if !self.player.head.kept.is_empty() || !told(JournalKind::Expired).is_empty() {
            self.fault(format_args!("{TURN}: something was kept or lost: {:?}", self.player.head.kept));
        }
        let logins = || book.events.iter().filter(|event| event.what == What::Login);
        for cycle in completed {
            let end = cycle.end.expect("cycles of players end");
            let start = end.plus_millis(-TURN_SECONDS * 1_000);
            let own = |event: &Sent| start <= event.at && event.at < end;
            // Too late for its own time, it counts for what is current.
            let stale =
                |event: &Sent| event.acknowledged_at.is_none_or(|told| told.since(event.at) > STALE_MS);
            // Clocks differ, at the first assignment too.
            let first = |event: &Sent| cycle.number == 1 && event.at < end;
            if !logins().any(|event| own(event) || stale(event) || first(event)) {
                self.fault(format_args!("{TURN}: completed in {cycle:?} by no login of it"));
            }
        }
    }

    fn check_selections(&self, book: &Book) {
        let active = |prefix: &str| -> Vec<&str> {
            let goals = self.catalogue.goals_with_indexes().map(|(_, goal)| goal.id());
            goals.filter(|id| id.starts_with(prefix) && self.view(id).is_active).collect()
        };
        let drawn = active("draw").len() as u64;
        let (least, most) = (book.drawn, book.drawn + book.perhaps_drawn);
        if !(least..=most).contains(&drawn) || drawn > DRAWS {
            self.fault(format_args!(
                "{drawn} goals are drawn, {least} were told and at most {most} asked for"
            ));
        }
        let menu = active("menu");
        if menu != Vec::from_iter(book.menu.as_deref()) {
            self.fault(format_args!("{menu:?} are selected, and {:?} was told", book.menu));
        }
    }

    /// The journal has no gaps and tells each thing once.
    fn check_journal(&self) {
        let sequences: Vec<u64> = self.journal.iter().map(|entry| entry.sequence).collect();
        let expected: Vec<u64> = (1..=self.player.head.journal_sequence).collect();
        if sequences != expected {
            self.fault(format_args!("the journal has the sequences {sequences:?}"));
        }
        let told = |goal: &str, kind: JournalKind| {
            let index = self.catalogue.find_goal(goal).expect("a goal of the world");
            let number = self.catalogue.goal(index).number;
            self.journal.iter().filter(|entry| entry.kind == kind && entry.goals.contains(&number)).count()
        };
        for goal in ONCE {
            let claimed = usize::from(self.view(goal).status == Status::Claimed);
            let rows = (told(goal, JournalKind::Completed), told(goal, JournalKind::Claimed));
            if rows != (1, claimed) {
                self.fault(format_args!("{goal}: completed and claimed {rows:?} times in the journal"));
            }
        }
    }
}

/// Whether the side goal was on during the whole of a span, or off; `None`: it may have been
/// either.
fn surely(switches: &[Switch], from: u64, to: u64) -> Option<bool> {
    let before = switches.iter().take_while(|switch| switch.told <= from).count();
    let next = switches.get(before).map_or(u64::MAX, |switch| switch.asked);
    let on = before.checked_sub(1).is_some_and(|last| switches[last].on);
    (to <= next).then_some(on)
}

fn receipt(event: &Sent) -> Receipt {
    let (source, kind) = match event.what {
        What::Login => ("accelbyte.iam.account.v1", LOGIN_TYPE),
        _ => ("accelbyte.social.statistic.v1", STAT_TYPE),
    };
    ReceiptKey { source: source.into(), kind: kind.into(), id: event.id.clone() }.receipt()
}
