//! Plays a history against the server and the model.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    future::poll_fn,
    pin::Pin,
    task::Poll,
};

use chrono::{DateTime, SecondsFormat};
use gauntlet_domain::Timestamp;
use gauntlet_proto::{iam::UserLoggedIn, service as proto, statistic::StatItem, statistic::StatItemUpdated};
use gauntlet_server::{
    api::{Api, Caller},
    error::ApiError,
    ingest::CloudEvent,
};
use gauntlet_store::{GrantFilter, PlayerKey};
use tokio::sync::oneshot;

use super::{
    rig::Rig,
    steps::{Answer, DEFS, Door, Edit, Op, Sent, Step},
};
use crate::{
    model::Model,
    world::{Claim, Def, Kind, Shown, What},
};

type Check = Result<(), String>;
type ClaimReply = Result<proto::ClaimRewardResponse, ApiError>;
type Claiming<'a> = Pin<Box<dyn Future<Output = ClaimReply> + 'a>>;

struct Run<'a> {
    rig: &'a Rig,
    caller: Caller,
    model: Model,
    /// Claims whose platform has not answered.
    held: Vec<Held<'a>>,
    /// How many grants of which goal and quantity ended how.
    grants: BTreeMap<(String, i32, &'static str), usize>,
    /// What was shown under which entity tag.
    tags: RefCell<HashMap<String, Vec<Shown>>>,
}

struct Held<'a> {
    goal: &'static str,
    cycle: i64,
    quantity: i32,
    answer: oneshot::Sender<Answer>,
    /// Who asked, and who asked again.
    claims: Vec<Claiming<'a>>,
}

/// Plays a history; answers what is shown at its end, or where server and model differ.
pub(crate) async fn play(rig: &Rig, ops: &[(i64, Op)]) -> Result<Vec<Shown>, String> {
    let Some((begin, _)) = ops.first() else { return Ok(Vec::new()) };
    let (caller, model) = (Caller { player: rig.player() }, Model::new(DEFS, *begin));
    let mut run =
        Run { rig, caller, model, held: Vec::new(), grants: BTreeMap::new(), tags: RefCell::default() };
    for (at, (now, op)) in ops.iter().enumerate() {
        rig.clock.set(Timestamp::from_millis(*now));
        run.model.now = *now;
        let taken = match op {
            Op::Call(step) => run.call(step).await,
            Op::Event(event) => run.event(event).await,
        };
        let taken = match taken {
            Ok(()) => run.browse().await,
            Err(why) => Err(why),
        };
        taken.map_err(|why| format!("operation {at}, {} {op:?}: {why}", time_text(*now)))?;
    }
    run.finish().await
}

/// What the rules promise for any order of events: all but when goals that add up were completed
/// (the event that comes last completes them), and goals that show the growth of a statistic whose
/// values contradict its increments.
pub(crate) fn promised(end: Vec<Shown>) -> Vec<Shown> {
    let goals = end.into_iter().zip(DEFS).filter(|(_, def)| def.kind != Kind::Relative || def.adds_up());
    let promise = |(mut shown, def): (Shown, &Def)| {
        if def.adds_up() {
            shown.completed_at.clear();
        }
        shown
    };
    goals.map(promise).collect()
}

impl<'a> Run<'a> {
    async fn call(&mut self, step: &Step) -> Check {
        match step {
            Step::Initialize => self.initialize().await,
            Step::SetActive(challenge, goal, active) => self.set_active(challenge, goal, *active).await,
            Step::Batch(challenge, goals, replace) => self.batch(challenge, goals, *replace).await,
            Step::Random(challenge, count, replace, exclude) => {
                self.random(challenge, *count, *replace, *exclude).await
            }
            Step::Claim(challenge, goal, answer) => self.claim(challenge, goal, Some(*answer)).await,
            Step::Hold(challenge, goal) => self.claim(challenge, goal, None).await,
            Step::Change(edits) => {
                let defs = Edit::all(edits, self.model.defs());
                self.model.change(defs);
                self.rig.change(defs).await
            }
            Step::Release(at, answer) if !self.held.is_empty() => {
                self.release(*at % self.held.len(), *answer).await
            }
            _ => Ok(()),
        }
    }

    async fn event(&mut self, sent: &Sent) -> Check {
        let expected = self.model.event(&sent.event);
        let told = match sent.door {
            Door::Platform => self.platform_event(sent).await,
            Door::CloudEvents => self.cloud_event(sent).await,
        };
        same("the answer", &told.map_err(|error| error.reason.as_str()), &expected)
    }

    async fn platform_event(&self, sent: &Sent) -> Result<(), ApiError> {
        let ingest = self.rig.server().ingest();
        let timestamp = if sent.dated { time_text(sent.event.at) } else { String::new() };
        let (id, user_id) = (sent.id.clone(), self.caller.player.clone());
        match &sent.event.what {
            What::Login => {
                ingest.login(UserLoggedIn { id, user_id, timestamp, ..UserLoggedIn::default() }).await
            }
            What::Stat { code, value, increment } => {
                let item = StatItem {
                    stat_code: (*code).into(),
                    latest_value: *value,
                    inc: *increment,
                    ..StatItem::default()
                };
                let payload = Some(item);
                let event = StatItemUpdated { id, user_id, timestamp, payload, ..StatItemUpdated::default() };
                ingest.stat(event).await
            }
        }
    }

    async fn cloud_event(&self, sent: &Sent) -> Result<(), ApiError> {
        let (kind, data) = match &sent.event.what {
            What::Login => ("user.loggedIn", serde_json::Value::Null),
            What::Stat { code, value, increment } => (
                "stat.updated",
                serde_json::json!({"statCode": code, "latestValue": value, "inc": increment}),
            ),
        };
        let mut event = serde_json::json!({
            "specversion": "1.0", "id": sent.id, "source": "/histories", "type": kind,
            "subject": self.caller.player, "data": data,
        });
        if sent.dated {
            event["time"] = time_text(sent.event.at).into();
        }
        let event: CloudEvent = serde_json::from_value(event).expect("a fine event");
        self.rig.server().ingest().cloud_event(event).await
    }

    async fn initialize(&mut self) -> Check {
        let (active, new) = self.model.initialize();
        let reply = self.api().initialize(&self.caller).await.map_err(|error| error.to_string())?;
        let told: Vec<_> = reply
            .assigned_goals
            .iter()
            .map(|goal| (&goal.goal_id, goal.progress, &goal.status, &goal.assigned_at, &goal.expires_at))
            .collect();
        let expected: Vec<_> = active
            .iter()
            .map(|goal| (&goal.goal, goal.progress, &goal.status, &goal.assigned_at, &goal.expires_at))
            .collect();
        same("the active goals", &told, &expected)?;
        same("how many are new", &reply.new_assignments, &count(new))?;
        same("how many are active", &reply.total_active, &count(active.len()))
    }

    async fn set_active(&mut self, challenge: &str, goal: &str, active: bool) -> Check {
        let expected = self.model.set_active(challenge, goal, active);
        let request = proto::SetGoalActiveRequest {
            challenge_id: challenge.into(),
            goal_id: goal.into(),
            is_active: active,
        };
        let told = self.api().set_goal_active(&self.caller, request).await;
        let told = told.map(|reply| (reply.goal_id, reply.is_active, reply.assigned_at));
        let expected = expected.map(|goal| (goal.goal, goal.active, goal.assigned_at));
        same("the reply", &told.map_err(|error| error.reason.as_str()), &expected)
    }

    async fn batch(&mut self, challenge: &str, goals: &[&str], replace: bool) -> Check {
        let request = proto::BatchSelectRequest {
            challenge_id: challenge.into(),
            goal_ids: goals.iter().map(|goal| (*goal).into()).collect(),
            replace_existing: replace,
        };
        let told = self.api().batch_select(&self.caller, request).await;
        self.selected(challenge, goals, replace, told)
    }

    /// Any valid draw is right; which one it was, the server tells.
    async fn random(&mut self, challenge: &str, count: i32, replace: bool, exclude: bool) -> Check {
        let pool = self.model.pool(challenge, count, replace || exclude);
        let pool: Result<Vec<String>, _> = pool.map(|pool| pool.into_iter().map(str::to_owned).collect());
        let request = proto::RandomSelectRequest {
            challenge_id: challenge.into(),
            count,
            replace_existing: replace,
            exclude_active: exclude,
        };
        let told = self.api().random_select(&self.caller, request).await;
        let (told, pool) = match (told, pool) {
            (Ok(told), Ok(pool)) => (told, pool),
            (told, pool) => {
                let told = told.map(drop).map_err(|error| error.reason.as_str());
                return same("the reply", &told, &pool.map(drop));
            }
        };
        let drawn: Vec<String> = told.selected_goals.iter().map(|goal| goal.goal_id.clone()).collect();
        let mut different = drawn.clone();
        different.sort();
        different.dedup();
        same("goals drawn twice", &(drawn.len() - different.len()), &0)?;
        let size = pool.len().min(usize::try_from(count).expect("was allowed"));
        same("how many were drawn", &drawn.len(), &size)?;
        if let Some(stranger) = drawn.iter().find(|goal| !pool.contains(goal)) {
            return Err(format!("{stranger} is not in the pool {pool:?}"));
        }
        let drawn: Vec<&str> = drawn.iter().map(String::as_str).collect();
        self.selected(challenge, &drawn, replace, Ok(told))
    }

    fn selected(
        &mut self,
        challenge: &str,
        goals: &[&str],
        replace: bool,
        told: Result<proto::GoalSelectionResponse, ApiError>,
    ) -> Check {
        let expected = self.model.batch(challenge, goals, replace).map(|(selected, total, replaced)| {
            let selected: Vec<_> = selected
                .into_iter()
                .map(|goal| {
                    (goal.goal, goal.progress, goal.status, goal.active, goal.assigned_at, goal.expires_at)
                })
                .collect();
            (selected, count(total), replaced.into_iter().map(str::to_owned).collect::<Vec<_>>())
        });
        let told = told.map(|reply| {
            let selected: Vec<_> = reply
                .selected_goals
                .into_iter()
                .map(|goal| {
                    (
                        goal.goal_id,
                        goal.progress,
                        goal.status,
                        goal.is_active,
                        goal.assigned_at,
                        goal.expires_at,
                    )
                })
                .collect();
            (selected, reply.total_active_goals, reply.replaced_goals)
        });
        same("the selection", &told.map_err(|error| error.reason.as_str()), &expected)
    }

    /// Claims; `answer`: what the platform says, `None`: nothing for now.
    async fn claim(&mut self, challenge: &'static str, goal: &'static str, answer: Option<Answer>) -> Check {
        let mut claiming = self.claiming(challenge, goal);
        let same_claim = |held: &&mut Held<'_>| held.goal == goal && goal.starts_with(challenge);
        if let Some(held) = self.held.iter_mut().find(same_claim) {
            // It joins the one that is under way as soon as it is looked at.
            if poll_once(&mut claiming).await.is_some() {
                return Err("a claim under way was not joined".into());
            }
            held.claims.push(claiming);
            return Ok(());
        }
        let (cycle, quantity) = match self.model.claim(challenge, goal) {
            Ok(begun) => begun,
            Err(refused) => {
                let told = claiming.await.map(drop).map_err(|error| error.reason.as_str());
                return same("the refusal", &told, &Err(refused));
            }
        };
        let (ask, asked) = oneshot::channel();
        let (say, said) = oneshot::channel();
        *self.rig.platform.next.lock().unwrap() = Some((ask, said));
        tokio::select! {
            reply = &mut claiming => return Err(format!("it should reach the platform, but: {reply:?}")),
            _ = asked => {}
        }
        self.held.push(Held { goal, cycle, quantity, answer: say, claims: vec![claiming] });
        match answer {
            Some(answer) => {
                self.browse().await?;
                self.release(self.held.len() - 1, answer).await
            }
            None => Ok(()),
        }
    }

    /// Lets the platform answer; everybody who asked is told the same.
    async fn release(&mut self, at: usize, answer: Answer) -> Check {
        let held = self.held.remove(at);
        held.answer.send(answer).map_err(|_| "the platform does not wait any more")?;
        let (end, reason, state) = match answer {
            Answer::Granted => (None, "", "granted"),
            Answer::Refused => (Some(Claim::Refused), "REWARD_GRANT_FAILED", "refused"),
            Answer::Lost => (Some(Claim::Uncertain), "REWARD_UNCERTAIN", "uncertain"),
        };
        *self.grants.entry((held.goal.to_owned(), held.quantity, state)).or_default() += 1;
        let claimed_at = self.model.settle(held.goal, held.cycle, end);
        let expected = match end {
            None => Ok((held.goal.to_owned(), "claimed".to_owned(), claimed_at)),
            Some(_) => Err(reason),
        };
        for claiming in held.claims {
            let told = claiming.await.map(|reply| (reply.goal_id, reply.status, reply.claimed_at));
            same("the claim", &told.map_err(|error| error.reason.as_str()), &expected)?;
        }
        if answer == Answer::Lost {
            self.rig.please_the_breaker().await;
        }
        Ok(())
    }

    fn claiming(&self, challenge: &str, goal: &str) -> Claiming<'a> {
        let request = proto::ClaimRewardRequest { challenge_id: challenge.into(), goal_id: goal.into() };
        let (api, caller) = (self.api(), self.caller.clone());
        Box::pin(async move { api.claim(&caller, request).await })
    }

    async fn browse(&self) -> Check {
        let (mut server, mut model) = (self.shown().await?, self.model.browse());
        self.compare_tag(&server).await?;
        let equal: Vec<bool> = server.iter().zip(&model).map(|(server, model)| server == model).collect();
        for shown in [&mut server, &mut model] {
            let mut equal = equal.iter();
            shown.retain(|_| equal.next() != Some(&true));
        }
        same("what is shown", &server, &model)
    }

    /// Whoever shows the tag again may be told that nothing has changed: nothing has, but for the
    /// seconds that are left.
    async fn compare_tag(&self, shown: &[Shown]) -> Check {
        let seen = self.api().browse(&self.caller, None, false).await.map_err(|error| error.to_string())?;
        let ageless: Vec<Shown> =
            shown.iter().map(|shown| Shown { expires_in: 0, ..shown.clone() }).collect();
        let mut tags = self.tags.borrow_mut();
        let before = tags.entry(seen.entity_tag()).or_insert_with(|| ageless.clone());
        same("what is shown under one tag", &ageless, before)
    }

    async fn shown(&self) -> Result<Vec<Shown>, String> {
        let seen = self.api().browse(&self.caller, None, false).await.map_err(|error| error.to_string())?;
        let mut shown = Vec::new();
        for challenge in seen.challenges() {
            for (_, goal, view) in seen.goals(challenge) {
                shown.push(Shown {
                    goal: goal.id().into(),
                    progress: view.progress,
                    status: view.status.as_str().into(),
                    locked: view.locked,
                    active: view.is_active,
                    assigned_at: view.assigned_at.map(Timestamp::to_rfc3339).unwrap_or_default(),
                    completed_at: String::new(),
                    claimed_at: String::new(),
                    expires_at: String::new(),
                    expires_in: 0,
                    claim: String::new(),
                    claimable_until: String::new(),
                    terms: (0, 0),
                });
            }
        }
        // The rest as clients see it.
        let messages = seen.messages().into_iter().flat_map(|challenge| challenge.goals);
        for (shown, goal) in shown.iter_mut().zip(messages) {
            same("a message", &(&goal.goal_id, goal.progress), &(&shown.goal, shown.progress))?;
            shown.completed_at = goal.completed_at;
            shown.claimed_at = goal.claimed_at;
            shown.expires_at = goal.expires_at;
            shown.expires_in = goal.expires_in_seconds;
            shown.claim = goal.claim_state;
            shown.claimable_until = goal.claimable_until;
            let (asks, gives) = (goal.requirement.unwrap_or_default(), goal.reward.unwrap_or_default());
            shown.terms = (asks.target_value, gives.quantity);
        }
        Ok(shown)
    }

    /// One challenge alone, and active goals only.
    async fn browse_parts(&self) -> Check {
        for (challenge, active_only) in [("c", false), ("d", true), ("c", true), ("e", false), ("f", true)] {
            let seen = self.api().browse(&self.caller, Some(challenge), active_only).await;
            let seen = seen.map_err(|error| error.to_string())?.messages();
            let told: Vec<_> = seen.into_iter().flat_map(|challenge| challenge.goals).collect();
            let told: Vec<_> = told.iter().map(|goal| goal.goal_id.as_str()).collect();
            let all = self.model.browse();
            let expected = all
                .iter()
                .zip(DEFS)
                .filter(|(goal, def)| def.challenge == challenge && (goal.active || !active_only));
            let expected: Vec<_> = expected.map(|(goal, _)| goal.goal.as_str()).collect();
            same("a part of what is shown", &told, &expected)?;
        }
        Ok(())
    }

    /// What changes of the catalogue took away, as the history tells it.
    async fn compare_restarts(&self) -> Check {
        let mut told = Vec::new();
        for challenge in ["c", "d", "e", "f"] {
            let request = proto::GetChallengeHistoryRequest {
                challenge_id: challenge.into(),
                page_size: 100,
                ..proto::GetChallengeHistoryRequest::default()
            };
            let history = self.api().history(&self.caller, &request).await;
            for cycle in history.map_err(|error| error.to_string())?.cycles {
                let restarted = cycle.goals.into_iter().filter(|goal| goal.outcome == "restarted");
                let lost = restarted.map(|goal| (cycle.end_time.clone(), goal.goal_id, goal.lost_progress));
                told.extend(lost);
            }
        }
        let expected = self.model.restarts.iter();
        let mut expected: Vec<_> =
            expected.map(|(at, goal, lost)| (at.clone(), (*goal).to_owned(), *lost)).collect();
        told.sort();
        expected.sort();
        same("what was restarted", &told, &expected)
    }

    /// Lets all grants end, and compares what is left in the store.
    async fn finish(mut self) -> Result<Vec<Shown>, String> {
        while !self.held.is_empty() {
            self.release(0, Answer::Granted).await?;
        }
        self.browse().await?;
        self.browse_parts().await?;
        self.compare_restarts().await?;
        let player = PlayerKey { player: self.caller.player.clone(), namespace: "gauntlet".into() };
        let filter = GrantFilter { player: Some(player), state: None };
        let grants = self.rig.store.list_grants(&filter, 1_000).await.map_err(|error| error.to_string())?;
        let mut states = BTreeMap::new();
        for grant in grants {
            let state = grant.state.as_str();
            *states.entry((grant.goal_id, grant.reward.quantity, state)).or_default() += 1;
        }
        same("grants by their state", &states, &self.grants)?;
        same("keys that the platform saw twice", &*self.rig.platform.twice.lock().unwrap(), &Vec::new())?;
        self.shown().await
    }

    fn api(&self) -> &'a Api {
        self.rig.server().api()
    }
}

/// Looks at a claim once, without waiting for it.
async fn poll_once(claiming: &mut Claiming<'_>) -> Option<ClaimReply> {
    poll_fn(|context| {
        Poll::Ready(match claiming.as_mut().poll(context) {
            Poll::Ready(reply) => Some(reply),
            Poll::Pending => None,
        })
    })
    .await
}

fn same<T: PartialEq + Debug>(what: &str, server: &T, model: &T) -> Check {
    if server == model {
        return Ok(());
    }
    Err(format!("{what} differs\nserver: {server:?}\nmodel:  {model:?}"))
}

fn time_text(at: i64) -> String {
    DateTime::from_timestamp_millis(at).expect("a time").to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn count(length: usize) -> i32 {
    i32::try_from(length).expect("small")
}
