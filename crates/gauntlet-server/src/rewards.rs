//! Rewards: from an ordered grant to a settled claim.
//!
//! A grant leaves the process only after its row is committed as being sent under a lease of this
//! process. No connection and no lock is held while the platform is called. Whatever goes wrong
//! on the way, the row is there: when its lease has run out, the recovery worker of any replica
//! takes it over and goes on as the class of the platform allows.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::Shared};
use gauntlet_domain::{
    ClaimState, Command, GrantEnd, GrantKey, GrantOrder, Player, Refusal, Reply, Status, Timestamp,
    catalogue::Reward,
};
use gauntlet_store::{
    Grant, GrantFilter, GrantId, GrantState, PlayerKey, Retry,
    crash::{self, Point},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    core::{Chain, Core, Seen, millis},
    error::{ApiError, Reason},
    lifecycle::{Tasks, at},
    shards::{CallError, Shards},
};

mod adapter;
mod ags;
mod budget;
mod client;
mod governor;
mod judge;
mod log;
mod policy;
mod unclaimed;
mod webhook;
mod worker;

pub use crate::{breaker::BreakerState, outgoing::SetUpError};
pub use adapter::{GrantAnswer, GrantCall, PlatformClass, RewardAdapter, Search};
pub use ags::{AgsAdapter, AgsConfig, AgsMode, ClientSecret};
pub use log::LogAdapter;
pub use webhook::{SecretError, SigningSecret, WebhookAdapter, WebhookConfig};
pub(crate) use worker::recover;

use governor::Governor;
use policy::{Again, Step, after_answer, backoff};

/// How long a claim waits for its grant before it answers `REWARD_PENDING`. The grant goes on.
pub(crate) const CLAIM_WAIT: Duration = Duration::from_secs(10);
/// Grants of one player that are looked through for the one that was joined, the oldest first.
const MOST_GRANTS: u32 = 10_000;
/// How often a claim looks whether another replica has settled the grant that it joined.
const JOIN_POLLS: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];

/// A granted claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The goal.
    pub goal_id: String,
    /// What was granted.
    pub reward: Reward,
    /// When the player asked.
    pub claimed_at: Timestamp,
}

type ClaimResult = Result<Claimed, ApiError>;
/// The answer to everybody who waits. Unlike a watch channel it wakes them in a fixed order, which
/// the simulation needs.
type Waiting = Shared<oneshot::Receiver<ClaimResult>>;

/// Carries claims out and sends grants.
#[derive(Debug, Clone)]
pub struct Rewards {
    core: Arc<Core>,
    shards: Shards,
    adapter: Arc<dyn RewardAdapter>,
    governor: Arc<Governor>,
    tasks: Tasks,
    /// Claims of this process that are under way: who asks again joins.
    under_way: Arc<Mutex<HashMap<(PlayerKey, String), Waiting>>>,
}

impl Rewards {
    /// Carries claims out with an adapter; `tasks` owns the claims under way.
    #[must_use]
    pub fn new(core: Arc<Core>, shards: Shards, adapter: Arc<dyn RewardAdapter>, tasks: Tasks) -> Self {
        core.metrics().adapter(adapter.name());
        Self { core, shards, adapter, governor: Arc::default(), tasks, under_way: Arc::default() }
    }

    /// Claims a goal's reward and waits for its grant. The same claim that is under way already
    /// is joined: its answer is everybody's answer.
    ///
    /// # Errors
    /// What the rules refuse, a store that does not answer, and how the grant ended if not well.
    pub async fn claim(&self, player: PlayerKey, challenge: String, goal: String) -> ClaimResult {
        let waiting = self.join_or_start(player, challenge, goal);
        match tokio::time::timeout(CLAIM_WAIT, waiting).await {
            Ok(Ok(result)) => result,
            // The claim's task ended without an answer, which only a panic does, or takes long:
            // the grant is recorded, so asking again is safe.
            Ok(Err(_)) | Err(_) => Err(pending()),
        }
    }

    fn join_or_start(&self, player: PlayerKey, challenge: String, goal: String) -> Waiting {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // The challenge is part of what is asked: a wrong one must not join a right one.
        let name = (player.clone(), format!("{challenge}\0{goal}"));
        let entry = match under_way.entry(name.clone()) {
            Entry::Occupied(running) => return running.get().clone(),
            Entry::Vacant(free) => free,
        };
        let (publish, waiting) = oneshot::channel();
        let waiting = waiting.shared();
        entry.insert(waiting.clone());
        let rewards = self.clone();
        // A task of its own: a client that hangs up does not stop a grant half way.
        self.tasks.spawn("claim", async move {
            let done = RemoveOnDrop { rewards: &rewards, name: &name };
            let result = rewards.carry_out(player, challenge, goal).await;
            drop(done);
            // Nobody waits any more: the grant is recorded all the same.
            drop(publish.send(result));
        });
        waiting
    }

    async fn carry_out(&self, player: PlayerKey, challenge: String, goal: String) -> ClaimResult {
        let since = Instant::now();
        let command = Command::BeginClaim { challenge, goal: goal.clone() };
        at("the commit of its order");
        match self.shards.call(player.clone(), command).await {
            Ok((Reply::ClaimBegun { order, .. }, _)) => {
                crash::point(Point::Begun);
                let claimed =
                    Claimed { goal_id: goal, reward: order.reward.clone(), claimed_at: order.claimed_at };
                self.governor.first_attempt();
                self.send(&self.first_attempt(player, order), false, since).await.map(|()| claimed)
            }
            Ok(_) => Err(ApiError::new(Reason::Internal, "the claim was answered out of turn")),
            Err(CallError::Refused(Refusal::ClaimPending { goal, key })) => {
                self.join_elsewhere(player, goal, &key).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The grant row as the claim's commit has just written it.
    fn first_attempt(&self, player: PlayerKey, order: GrantOrder) -> Grant {
        Grant {
            id: GrantId { player, key: order.key },
            challenge_id: order.challenge_id,
            goal_id: order.goal_id,
            reward: order.reward,
            claimed_at: order.claimed_at,
            state: GrantState::Sending,
            attempt: 1,
            lease: None,
            created_at: self.core.now(),
            updated_at: self.core.now(),
            reason: String::new(),
        }
    }

    /// Waits a moment for a grant that another replica, or this one before a restart, is sending.
    async fn join_elsewhere(&self, player: PlayerKey, goal: String, key: &GrantKey) -> ClaimResult {
        at("another sender");
        let mut asked_at = None;
        for pause in JOIN_POLLS {
            tokio::time::sleep(pause).await;
            let Seen { stored, catalogue, .. } = self.core.read(player.clone()).await?;
            let Some(stored) = stored else { break };
            let claim = stored.player.claim(key.goal, key.cycle);
            asked_at = claim.map(|claim| claim.claimed_at).or(asked_at);
            if claim.is_some_and(|claim| claim.state == ClaimState::Pending) {
                continue;
            }
            let Some(index) = catalogue.find_goal(&goal) else { break };
            let Some(claimed_at) = claimed_at(&stored.player, key, asked_at) else { break };
            // The goal may have been claimed under older terms than today's: the grant knows.
            let reward = self.granted(&player, key).await?;
            let reward = reward.unwrap_or_else(|| catalogue.goal(index).definition.reward.clone());
            return Ok(Claimed { goal_id: goal, reward, claimed_at });
        }
        Err(pending())
    }

    /// The reward of a grant that has ended well.
    async fn granted(&self, player: &PlayerKey, key: &GrantKey) -> Result<Option<Reward>, ApiError> {
        let filter = GrantFilter { player: Some(player.clone()), state: Some(GrantState::Granted) };
        let grants = self.core.store().list_grants(&filter, MOST_GRANTS).await;
        let grants = grants.map_err(|error| self.core.failed(&error))?;
        Ok(grants.into_iter().find(|grant| grant.id.key == *key).map(|grant| grant.reward))
    }

    /// Sends a grant whose current attempt is committed under a lease of this process that was
    /// asked for at `since`, and records how it ended. When that is too long ago nothing is sent, and the
    /// attempt is given back.
    /// `in_doubt`: an attempt before may have been carried out.
    async fn send(&self, grant: &Grant, in_doubt: bool, since: Instant) -> Result<(), ApiError> {
        if !self.core.may_send(since) {
            // Known not to be sent, which a platform that can neither take keys nor be searched
            // needs to hear. Who has taken the grant over meanwhile is at a later attempt.
            let why = "its lease came too late to send it".to_owned();
            tracing::warn!(goal = grant.goal_id, "a grant is put off: {why}");
            self.put_off(grant, Again { why, least: Duration::ZERO, in_doubt }).await;
            return Err(pending());
        }
        let answer = self.ask_platform(grant).await;
        crash::point(Point::Answered);
        match after_answer(self.adapter.class(grant.reward.kind), answer, in_doubt) {
            Step::Settle(end) => self.settle(grant, end).await,
            Step::Again(again) => {
                self.put_off(grant, again).await;
                Err(pending())
            }
        }
    }

    /// One call to the platform, with a deadline, if the breaker lets it through.
    async fn ask_platform(&self, grant: &Grant) -> GrantAnswer {
        if let Err(wait) = self.governor.allow(self.core.now()) {
            self.core.metrics().grants_held_back(self.adapter.name(), "breaker", 1);
            let why = "the platform is left alone after failures".into();
            return GrantAnswer::NotDone { why, retry_after: Some(wait) };
        }
        let call = GrantCall::of(grant);
        at("the reward platform");
        let started = Instant::now();
        let answer = tokio::time::timeout(self.core.grant_deadline(), self.adapter.grant(&call)).await;
        let answer = answer.unwrap_or_else(|_| GrantAnswer::Ambiguous("no answer in time".into()));
        self.core.metrics().grant(self.adapter.name(), answer.as_str(), grant.attempt, started.elapsed());
        self.governor.answered(&answer, self.core.now());
        answer
    }

    /// Tells the metrics what the breaker lets through now: it changes by itself when its pause is over.
    pub(crate) fn tell_breaker(&self) {
        self.core.metrics().breaker(self.adapter.name(), self.governor.breaker(self.core.now()));
    }

    /// Records how a grant ended, in the document and in the grant's row at once.
    async fn settle(&self, grant: &Grant, end: GrantEnd) -> Result<(), ApiError> {
        let told = match &end {
            GrantEnd::Granted => Ok(()),
            GrantEnd::Refused(reason) => {
                tracing::error!(goal = grant.goal_id, reason, "the platform refused a grant for good");
                Err(Refusal::ClaimRefused(grant.goal_id.clone()).into())
            }
            GrantEnd::Uncertain(reason) => {
                tracing::error!(
                    goal = grant.goal_id,
                    reason,
                    "a grant is uncertain; an operator has to settle it"
                );
                Err(Refusal::ClaimUncertain(grant.goal_id.clone()).into())
            }
        };
        let (state, _) = GrantState::of_end(&end);
        at("the commit of its result");
        let command = Command::SettleClaim { key: grant.id.key.clone(), end };
        match self.shards.call(grant.id.player.clone(), command).await {
            Ok(_) => {
                crash::point(Point::Settled);
                self.core.metrics().grant_ended(self.adapter.name(), state);
                told
            }
            Err(error) => {
                let error = ApiError::from(error);
                tracing::warn!(goal = grant.goal_id, %error, "a grant's result could not be stored yet");
                Err(pending())
            }
        }
    }

    /// Gives an attempt back that is known not to have been carried out, or that may be repeated.
    async fn put_off(&self, grant: &Grant, again: Again) {
        let pause = again.least.saturating_add(backoff(grant.attempt, self.core.random()));
        let now = self.core.now();
        let retry = Retry {
            id: grant.id.clone(),
            attempt: grant.attempt,
            not_before: now.plus_millis(millis(pause)),
            in_doubt: again.in_doubt,
            reason: again.why,
        };
        crash::point(Point::BeforePutOff);
        let stored = self.core.store().retry_grant(&retry, now).await;
        crash::point(Point::PutOff);
        if let Err(error) = stored {
            // The lease runs out by itself, only later.
            tracing::warn!(goal = grant.goal_id, error = %Chain(&error), "a grant could not be put off");
        }
    }
}

/// Forgets a claim that is no longer under way, also when its task panics.
struct RemoveOnDrop<'a> {
    rewards: &'a Rewards,
    name: &'a (PlayerKey, String),
}

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        self.rewards.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(self.name);
    }
}

/// When the claim was made whose grant this is, if it was granted: in the goal's cycle, or in the one
/// before it, which knows no time of its own.
fn claimed_at(player: &Player, key: &GrantKey, asked_at: Option<Timestamp>) -> Option<Timestamp> {
    let state = player.goal(key.goal)?;
    if state.cycle.number == key.cycle {
        return (state.status == Status::Claimed).then(|| state.claimed_at.unwrap_or_default());
    }
    let before = state.previous.filter(|previous| previous.cycle.number == key.cycle)?;
    (before.status == Status::Claimed).then(|| asked_at.unwrap_or_default())
}

fn pending() -> ApiError {
    ApiError::new(Reason::RewardPending, "the reward is being granted; ask again in a moment")
}

#[cfg(test)]
mod tests;
