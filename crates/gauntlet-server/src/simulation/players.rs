//! Who plays: each player's devices and the game platform, with a book of what they were told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gauntlet_domain::Timestamp;
use gauntlet_proto::{
    iam::UserLoggedIn,
    service as proto,
    statistic::{StatItem, StatItemUpdated},
};
use tokio::time::sleep;

use super::{
    designer::{ANEW, KEPT, news},
    ground::Dice,
    world::{Missing, NAMESPACE, World},
};
use crate::{
    api::Caller,
    clock::Clock,
    error::{ApiError, Reason},
};

/// The challenges and goals of the world. Targets of goals that count are out of reach.
pub(super) const ONCE: [&str; 4] = ["once0", "once1", "once2", "once3"];
pub(super) const DRAWS: u64 = 8;
pub(super) const MENU: u64 = 5;
/// The goal with cycles of the player's own, and how long they last.
pub(super) const TURN: &str = "turn";
pub(super) const TURN_SECONDS: i64 = 20;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Adds to a goal that is always active.
    Wins(i32),
    /// Adds to a goal that is switched on and off.
    Side(i32),
    /// Sets a value.
    Score(i32),
    /// Completes one of [`ONCE`].
    Once(usize),
    /// Adds to the goal that came with a catalogue.
    News(usize),
    /// Adds to a goal that every catalogue makes begin at zero.
    Anew(i32),
    Login,
}

/// An event and what became of it. Numbers are steps of the trace.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) what: What,
    pub(super) at: Timestamp,
    pub(super) made: u64,
    /// When a delivery began and when it ended; one that was given up has no end.
    pub(super) deliveries: Vec<(u64, Option<u64>)>,
    pub(super) acknowledged: Option<u64>,
    /// By the true clock.
    pub(super) acknowledged_at: Option<Timestamp>,
}

/// Switching the side goal: asked, and told that it is so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch {
    pub(super) on: bool,
    pub(super) asked: u64,
    pub(super) told: u64,
}

/// What a player was told.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) events: Vec<Sent>,
    pub(super) switches: Vec<Switch>,
    pub(super) drawn: u64,
    pub(super) perhaps_drawn: u64,
    pub(super) menu: Option<String>,
    /// What [`KEPT`] asks for, as it was seen first.
    pub(super) kept: Option<i32>,
    /// For each goal, when the player asked for a reward that was said to be granted.
    pub(super) claimed: BTreeMap<&'static str, String>,
    /// What was begun, and what came to its end.
    pub(super) begun: u64,
    pub(super) done: u64,
    newest: Timestamp,
}

#[derive(Debug)]
pub(super) struct Someone {
    pub(super) name: String,
    world: Arc<World>,
    dice: Dice,
    book: Mutex<Book>,
}

impl Someone {
    pub(super) fn new(world: Arc<World>, name: String) -> Self {
        let dice = Dice::new(world.profile.seed, &name);
        Self { name, world, dice, book: Mutex::default() }
    }

    pub(super) fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much was begun, and how much came to its end.
    pub(super) fn counts(&self) -> (u64, u64) {
        let book = self.book();
        (book.begun, book.done)
    }

    /// Joins the game, and then everything at once.
    pub(super) async fn play(self: Arc<Self>) {
        self.until_told("initialize", |api, caller| async move { api.initialize(&caller).await.map(drop) })
            .await;
        self.act(Self::send_events);
        self.act(Self::switch);
        self.act(Self::draw);
        self.act(Self::pick);
        self.act(Self::look);
        // Two devices that ask for the same at any time.
        self.act(Self::claim_daily);
        self.act(Self::claim_daily);
        self.act(Self::start_again);
        self.act(Self::follow_news);
        for goal in 0..ONCE.len() {
            self.act(move |me| me.do_once(goal));
        }
    }

    fn act<F: Future<Output = ()> + Send + 'static>(self: &Arc<Self>, what: impl FnOnce(Arc<Self>) -> F) {
        self.begin(what(self.clone()));
    }

    fn begin(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.book().begun += 1;
        let me = self.clone();
        self.world.players.spawn("player", async move {
            work.await;
            me.book().done += 1;
        });
    }

    fn caller(&self) -> Caller {
        Caller { player: self.name.clone() }
    }

    async fn rest(&self) {
        sleep(self.dice.millis(5..700)).await;
    }

    async fn stroll(&self) {
        let profile = &self.world.profile;
        let span = if profile.quiet { 1_500 } else { 2_500 };
        sleep(self.dice.millis(0..span)).await;
    }

    /// Now and then somebody does not wait for the answer.
    fn patience(&self) -> Option<Duration> {
        (!self.world.profile.quiet && self.dice.chance(150)).then(|| self.dice.millis(1..4_000))
    }

    fn note(&self, what: impl std::fmt::Display) -> u64 {
        self.world.trace.note(format_args!("{} {what}", self.name))
    }

    fn fault(&self, what: impl std::fmt::Display) {
        self.world.trace.fault(format_args!("{}: {what}", self.name));
    }

    /// A failure that a healthy system must not show.
    fn failed(&self, what: &str, error: &ApiError) {
        let allowed = [Reason::StoreUnavailable, Reason::Overloaded, Reason::Internal, Reason::Conflict];
        if self.world.profile.quiet || !allowed.contains(&error.reason) {
            self.fault(format_args!("{what}: {error:?}"));
        }
    }

    /// Asks again and again until it is done. Answers the steps of the last question and of its
    /// answer. Never gives up waiting, so that nothing is carried out after it was told.
    async fn until_told<F, W>(&self, what: &str, work: W) -> (u64, u64)
    where
        W: Fn(crate::api::Api, Caller) -> F,
        F: Future<Output = Result<(), ApiError>> + Send + 'static,
    {
        let mut first = None;
        loop {
            let asked = self.note(format_args!("asks: {what}"));
            let first = *first.get_or_insert(asked);
            match self.world.ask(None, |running| work(running.api.clone(), self.caller())).await {
                Ok(Ok(())) => return (first, self.note(format_args!("told: {what}"))),
                Ok(Err(error)) => {
                    self.note(format_args!("{what}: {}", error.reason.as_str()));
                    self.failed(what, &error);
                }
                Err(missing) => {
                    self.note(format_args!("{what}: {missing:?}"));
                }
            }
            self.rest().await;
        }
    }

    async fn send_events(self: Arc<Self>) {
        for number in 0..self.world.profile.events_per_player {
            let amount = i32::try_from(1 + self.dice.below(3)).unwrap_or(1);
            let what = match self.dice.below(12) {
                0..=3 => What::Wins(amount),
                4..=6 => What::Side(amount),
                7 | 8 => What::Score(i32::try_from(self.dice.below(1_000)).unwrap_or(0)),
                9 | 10 => What::Anew(amount),
                _ => What::Login,
            };
            let place = self.make(format!("e{number}"), what);
            for _ in 0..=u64::from(self.dice.chance(100)) {
                let me = self.clone();
                self.begin(async move { me.deliver(place).await });
            }
            sleep(self.dice.millis(0..self.world.profile.pace + 1)).await;
        }
    }

    fn make(&self, id: String, what: What) -> usize {
        let made = self.note(format_args!("{id} happens: {what:?}"));
        let mut book = self.book();
        // No two events of a player happen at once.
        let at = self.world.clock.now().max(book.newest.plus_millis(1));
        book.newest = at;
        book.events.push(Sent {
            id,
            what,
            at,
            made,
            deliveries: Vec::new(),
            acknowledged: None,
            acknowledged_at: None,
        });
        book.events.len() - 1
    }

    /// Delivers an event until it is acknowledged, as the game platform does.
    async fn deliver(&self, place: usize) {
        loop {
            let event = self.book().events[place].clone();
            let begun = self.note(format_args!("{} is sent", event.id));
            let delivery = {
                let deliveries = &mut self.book().events[place].deliveries;
                deliveries.push((begun, None));
                deliveries.len() - 1
            };
            let (player, patience) = (self.name.clone(), self.patience());
            let told = self.world.ask(patience, |running| {
                let (ingest, event) = (running.ingest.clone(), event.clone());
                async move { hand_in(&ingest, player, event).await }
            });
            let told = told.await;
            let ended = match &told {
                Ok(Ok(())) => self.note(format_args!("{} is acknowledged", event.id)),
                Ok(Err(error)) => self.note(format_args!("{}: {}", event.id, error.reason.as_str())),
                Err(missing) => self.note(format_args!("{}: {missing:?}", event.id)),
            };
            if !matches!(told, Err(Missing::Lost)) {
                self.book().events[place].deliveries[delivery].1 = Some(ended);
            }
            match told {
                Ok(Ok(())) => {
                    let now = self.world.clock.now();
                    let event = &mut self.book().events[place];
                    event.acknowledged.get_or_insert(ended);
                    event.acknowledged_at.get_or_insert(now);
                    return;
                }
                Ok(Err(error)) => self.failed(&event.id, &error),
                Err(_) => {}
            }
            self.rest().await;
        }
    }

    /// Switches the side goal on and off.
    async fn switch(self: Arc<Self>) {
        let mut on = false;
        for _ in 0..self.dice.below(10) {
            self.stroll().await;
            on = !on;
            let request = proto::SetGoalActiveRequest {
                challenge_id: "main".into(),
                goal_id: "side".into(),
                is_active: on,
            };
            let what = if on { "side on" } else { "side off" };
            let (asked, told) = self
                .until_told(what, |api, caller| {
                    let request = request.clone();
                    async move { api.set_goal_active(&caller, request).await.map(drop) }
                })
                .await;
            self.book().switches.push(Switch { on, asked, told });
        }
    }

    /// Draws goals, each time once: a draw that may have happened is not repeated.
    async fn draw(self: Arc<Self>) {
        for _ in 0..DRAWS {
            self.stroll().await;
            let request = proto::RandomSelectRequest {
                challenge_id: "draw".into(),
                count: 1,
                replace_existing: false,
                exclude_active: true,
            };
            let caller = self.caller();
            let told = self.world.ask(self.patience(), |running| {
                let api = running.api.clone();
                async move { api.random_select(&caller, request).await }
            });
            match told.await {
                Ok(Ok(reply)) => {
                    self.note(format_args!("drew {}", reply.selected_goals[0].goal_id));
                    self.book().drawn += 1;
                }
                Ok(Err(error)) => {
                    self.note(format_args!("draw: {}", error.reason.as_str()));
                    self.failed("draw", &error);
                    if !matches!(error.reason, Reason::Overloaded | Reason::Conflict) {
                        self.book().perhaps_drawn += 1;
                    }
                }
                Err(Missing::Refused) => {}
                Err(Missing::Lost) => {
                    self.note("draw: lost");
                    self.book().perhaps_drawn += 1;
                }
            }
        }
    }

    /// Selects one goal instead of the one before.
    async fn pick(self: Arc<Self>) {
        for _ in 0..self.dice.below(8) {
            self.stroll().await;
            let goal = format!("menu{}", self.dice.below(MENU));
            let request = proto::BatchSelectRequest {
                challenge_id: "menu".into(),
                goal_ids: vec![goal.clone()],
                replace_existing: true,
            };
            self.until_told(&goal, |api, caller| {
                let request = request.clone();
                async move { api.batch_select(&caller, request).await.map(drop) }
            })
            .await;
            self.book().menu = Some(goal);
        }
    }

    /// Starts the game again, as every login does.
    async fn start_again(self: Arc<Self>) {
        for _ in 0..4 {
            self.stroll().await;
            self.until_told(
                "initialize",
                |api, caller| async move { api.initialize(&caller).await.map(drop) },
            )
            .await;
        }
    }

    /// Gets the goals that come with new catalogues, and does something for each at once: at any
    /// replica, whether it has heard of the catalogue or not.
    async fn follow_news(self: Arc<Self>) {
        for number in 2..=self.world.profile.catalogues {
            let goal = news(number);
            loop {
                let caller = self.caller();
                let told = self.world.ask(None, |running| {
                    let api = running.api.clone();
                    async move { api.initialize(&caller).await }
                });
                match told.await {
                    Ok(Ok(reply)) if reply.assigned_goals.iter().any(|known| known.goal_id == goal) => break,
                    Ok(Err(error)) => self.failed("initialize", &error),
                    Ok(Ok(_)) | Err(_) => {}
                }
                self.rest().await;
            }
            self.note(format_args!("has {goal}"));
            for event in 0..4 {
                let place = self.make(format!("{goal}-{event}"), What::News(number));
                let me = self.clone();
                self.begin(async move { me.deliver(place).await });
            }
        }
    }

    /// Looks at the progress: it must hold what was acknowledged before, and nothing that has not
    /// happened.
    async fn look(self: Arc<Self>) {
        for _ in 0..20 {
            self.stroll().await;
            let sum = |book: &Book, counts: &dyn Fn(&Sent) -> bool| -> i32 {
                let amount = |event: &Sent| if let What::Wins(amount) = event.what { amount } else { 0 };
                book.events.iter().filter(|event| counts(event)).map(amount).sum()
            };
            let least = sum(&self.book(), &|event| event.acknowledged.is_some());
            let caller = self.caller();
            let told = self.world.ask(self.patience(), |running| {
                let api = running.api.clone();
                async move { api.browse(&caller, Some("main"), true).await }
            });
            let Ok(told) = told.await else { continue };
            let browse = match told {
                Ok(browse) => browse,
                Err(error) => {
                    self.failed("browse", &error);
                    continue;
                }
            };
            let most = sum(&self.book(), &|_| true);
            let kept = browse
                .challenges()
                .flat_map(|challenge| browse.goals(challenge))
                .find(|(_, goal, _)| goal.id() == KEPT)
                .map(|(_, goal, _)| goal.target());
            let promised = *self.book().kept.get_or_insert(kept.unwrap_or_default());
            if kept != Some(promised) {
                self.fault(format_args!("{KEPT} asked for {promised}, and now for {kept:?}"));
            }
            let seen = browse
                .challenges()
                .flat_map(|challenge| browse.goals(challenge))
                .find(|(_, goal, _)| goal.id() == "wins")
                .map(|(_, _, view)| view.progress);
            self.note(format_args!("sees {seen:?} wins"));
            if seen.is_none_or(|seen| seen < least || seen > most) {
                self.fault(format_args!("{seen:?} wins are not within {least} and {most}"));
            }
        }
    }

    /// Completes a goal and claims its reward, from up to three devices at once.
    async fn do_once(self: Arc<Self>, number: usize) {
        self.stroll().await;
        let place = self.make(format!("once{number}"), What::Once(number));
        self.deliver(place).await;
        for _ in 0..=self.dice.below(3) {
            let me = self.clone();
            self.begin(async move { me.claim_once(ONCE[number]).await });
        }
    }

    async fn claim_once(&self, goal: &'static str) {
        loop {
            if let Some(Err(reason)) = self.claim("once", goal).await {
                match reason {
                    Reason::GoalAlreadyClaimed | Reason::RewardUncertain | Reason::RewardGrantFailed => {
                        return;
                    }
                    Reason::RewardPending
                    | Reason::StoreUnavailable
                    | Reason::Overloaded
                    | Reason::Internal
                    | Reason::Conflict => {}
                    _ => self.fault(format_args!("{goal} was completed, and its claim told {reason:?}")),
                }
            }
            self.rest().await;
        }
    }

    /// Claims the daily goal whenever it comes to mind.
    async fn claim_daily(self: Arc<Self>) {
        for _ in 0..8 {
            self.stroll().await;
            self.claim("main", "day").await;
        }
    }

    /// One claim, whose answer must be true. `None`: no answer.
    async fn claim(&self, challenge: &str, goal: &'static str) -> Option<Result<(), Reason>> {
        let asked = self.note(format_args!("claims {goal}"));
        let (caller, patience) = (self.caller(), self.patience());
        let request = proto::ClaimRewardRequest { challenge_id: challenge.into(), goal_id: goal.into() };
        let told = self.world.ask(patience, |running| {
            let api = running.api.clone();
            async move { api.claim(&caller, request).await }
        });
        let told = told.await.ok()?;
        let key = self.rewarded(challenge, goal);
        match &told {
            Ok(reply) => {
                self.note(format_args!("was granted {goal}, claimed at {} (#{asked})", reply.claimed_at));
                if key.is_empty() {
                    self.fault(format_args!("{goal}: granted, and the platform knows nothing of it"));
                }
                if goal != "day" {
                    let before =
                        self.book().claimed.entry(goal).or_insert_with(|| reply.claimed_at.clone()).clone();
                    if before != reply.claimed_at {
                        self.fault(format_args!("{goal}: claimed at {before} and at {}", reply.claimed_at));
                    }
                }
            }
            Err(error) => {
                self.note(format_args!("{goal}: {} (#{asked})", error.reason.as_str()));
                self.check_refusal(goal, error, !key.is_empty());
            }
        }
        Some(told.map(drop).map_err(|error| error.reason))
    }

    fn check_refusal(&self, goal: &'static str, error: &ApiError, rewarded: bool) {
        let promise = self.world.platform.class;
        match error.reason {
            Reason::GoalAlreadyClaimed if !rewarded => {
                self.fault(format_args!("{goal}: said to be claimed, and nothing was handed out"));
            }
            Reason::RewardUncertain if promise != crate::rewards::PlatformClass::Neither => {
                self.fault(format_args!("{goal}: uncertain, and the platform could tell"));
            }
            Reason::RewardGrantFailed if rewarded && goal != "day" => {
                self.fault(format_args!("{goal}: said to be refused, and was handed out"));
            }
            Reason::StoreUnavailable | Reason::Overloaded | Reason::Internal | Reason::Conflict => {
                self.failed(goal, error);
            }
            _ => {}
        }
    }

    /// The keys under which the platform has handed this goal out.
    fn rewarded(&self, challenge: &str, goal: &str) -> Vec<String> {
        let part = |text: &str| format!("{}:{text}/", text.len());
        let name = [NAMESPACE, &self.name, challenge, goal].map(part).concat();
        let all = self.world.platform.all_effects().into_iter();
        all.map(|(key, _)| key).filter(|key| key.starts_with(&name)).collect()
    }
}

async fn hand_in(ingest: &crate::ingest::Ingest, player: String, event: Sent) -> Result<(), ApiError> {
    let Sent { id, what, at, .. } = event;
    let whole = at.to_rfc3339();
    let timestamp = format!("{}.{:03}Z", whole.trim_end_matches('Z'), at.millis().rem_euclid(1_000));
    let (stat_code, latest_value, inc) = match what {
        What::Wins(amount) => ("wins".to_owned(), 0.0, f64::from(amount)),
        What::Side(amount) => ("side".to_owned(), 0.0, f64::from(amount)),
        What::News(number) => (news(number), 0.0, 1.0),
        What::Anew(amount) => (ANEW.to_owned(), 0.0, f64::from(amount)),
        What::Score(value) => ("score".to_owned(), f64::from(value), 0.0),
        What::Once(number) => (ONCE[number].to_owned(), 1.0, 0.0),
        What::Login => {
            let login = UserLoggedIn {
                id,
                user_id: player,
                namespace: NAMESPACE.into(),
                timestamp,
                ..UserLoggedIn::default()
            };
            return ingest.login(login).await;
        }
    };
    let payload = StatItem { stat_code, latest_value, inc, ..StatItem::default() };
    let update = StatItemUpdated {
        payload: Some(payload),
        id,
        user_id: player,
        namespace: NAMESPACE.into(),
        timestamp,
        ..StatItemUpdated::default()
    };
    ingest.stat(update).await
}
