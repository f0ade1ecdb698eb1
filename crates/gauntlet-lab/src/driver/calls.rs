//! One call or event: made, judged, counted, and written into the book.

use std::{borrow::Cow, sync::atomic::Ordering, time::Instant};

use bytes::Bytes;
use fastrand::Rng;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Memory, World, retry};
use crate::{
    book::{Op, What},
    events::Sent,
    outcome::{Cause, Example, Outcome, of_check, of_http, of_nonsense, of_transport},
    recorder::Sample,
    scenario::{Action, Call, unmet},
};

/// A request of the player API, and what the book shall know of it.
#[derive(Clone)]
struct Request {
    method: Method,
    path: String,
    body: Bytes,
    what: Option<What>,
}

impl Request {
    fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: Bytes::new(), what: None }
    }

    fn post(path: String, body: Option<&serde_json::Value>, what: Option<What>) -> Self {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        Self { method: Method::POST, path, body, what }
    }
}

/// Makes a call or sends an event.
pub(super) async fn perform(
    world: &World,
    rng: &mut Rng,
    player: u32,
    memory: &mut Memory,
    action: &Action,
    intended: Instant,
) {
    let Some(&endpoint) = world.endpoints.get(&action.endpoint) else { return };
    let intended = world.since_origin(world.clock.micros(intended));
    let Some(asked) = ask(world, rng, memory, &action.call) else {
        world.recorder().counts.nothing_to_claim += 1;
        return;
    };
    world.in_flight.fetch_add(1, Ordering::Relaxed);
    let (op, path, result) = repeat(world, rng, player, memory, action, endpoint, asked).await;
    world.in_flight.fetch_sub(1, Ordering::Relaxed);
    let outcome = match result {
        Ok(()) => Outcome::Ok,
        Err(cause) if action.expect.contains(&cause.reason) => Outcome::Expected(cause),
        Err(cause) => Outcome::Failed(cause),
    };
    let (started, done) = (world.since_origin(op.0), world.since_origin(op.1));
    let sample = Sample { endpoint, intended: intended.min(started), started, done };
    let example = || example(world, player, &path, &outcome, done);
    world.recorder().record(sample, &outcome, example);
}

/// What is asked for, drawn once: a repeated call asks for the same.
enum Asked {
    Event { number: u32, stat: Option<(String, u32)> },
    Api(Request),
}

/// Draws what is asked for; `None`: there is nothing to claim.
fn ask(world: &World, rng: &mut Rng, memory: &mut Memory, call: &Call) -> Option<Asked> {
    let number = || world.event_number.fetch_add(1, Ordering::Relaxed);
    Some(match call {
        Call::Login => Asked::Event { number: number(), stat: None },
        Call::Stat { stats, highest } => {
            let code = rng.choice(stats).cloned().unwrap_or_default();
            Asked::Event { number: number(), stat: Some((code, rng.u32(0..=*highest))) }
        }
        call => Asked::Api(request(world, rng, memory, call)?),
    })
}

/// Asks, and asks again as often as the plan allows and `docs/errors.md` advises. The times are
/// those of the first try's beginning and the last one's end.
async fn repeat(
    world: &World,
    rng: &mut Rng,
    player: u32,
    memory: &mut Memory,
    action: &Action,
    endpoint: usize,
    asked: Asked,
) -> Done {
    let mut tried = 0;
    let mut first = None;
    // The causes of tries that were followed by another one.
    let mut before: Vec<Cause> = Vec::new();
    loop {
        let (times, path, result) = match &asked {
            Asked::Event { number, stat } => {
                let stat = stat.as_ref().map(|(code, value)| (code.as_str(), *value));
                event(world, player, *number, stat).await
            }
            Asked::Api(request) => api(world, player, memory, action, request.clone()).await,
        };
        tried += 1;
        let begin = *first.get_or_insert(times.0);
        let result = match result {
            // The answer to an earlier try was lost, and that one was the claim.
            Err(cause) if is_claimed_before(&cause, &action.call, &before) => Ok(()),
            other => other,
        };
        let pause = match &result {
            Err(cause) if tried <= world.retries && !action.expect.contains(&cause.reason) => {
                retry::pause(cause, &action.call, tried, rng)
            }
            _ => None,
        };
        let cause = match (pause, result) {
            (Some(pause), Err(cause)) if world.sleep(Instant::now() + pause).await => cause,
            (_, result) => {
                if !before.is_empty() {
                    world.recorder().retries.add(endpoint, &before, result.is_ok());
                }
                return ((begin, times.1), path, result);
            }
        };
        before.push(cause);
    }
}

fn is_claimed_before(cause: &Cause, call: &Call, before: &[Cause]) -> bool {
    matches!(call, Call::Claim)
        && cause.reason == "GOAL_ALREADY_CLAIMED"
        && before.iter().any(|earlier| earlier.doubtful)
}

fn example(world: &World, player: u32, path: &(Method, String), outcome: &Outcome, done: u64) -> Example {
    let (status, body) = match outcome {
        Outcome::Ok => (0, String::new()),
        Outcome::Expected(cause) | Outcome::Failed(cause) => (cause.status, cause.head.clone()),
    };
    let method = if path.0 == Method::CONNECT { "gRPC".to_owned() } else { path.0.to_string() };
    let at = format!("{:.3}", std::time::Duration::from_micros(done).as_secs_f64());
    Example { method, path: path.1.clone(), player: world.book.player(player), status, body, at }
}

/// Times, method and path, and the result of what was done.
type Done = ((u64, u64), (Method, String), Result<(), Cause>);

async fn event(world: &World, player: u32, number: u32, stat: Option<(&str, u32)>) -> Done {
    let path = match stat {
        Some((code, value)) => format!("StatisticStatItemUpdatedService/OnMessage {code}={value}"),
        None => "UserAuthenticationUserLoggedInService/OnMessage".to_owned(),
    };
    let (times, result) = send(world, player, number, stat).await;
    (times, (Method::CONNECT, path), result)
}

/// Sends the event of a number and writes it down.
pub(super) async fn send(
    world: &World,
    player: u32,
    number: u32,
    stat: Option<(&str, u32)>,
) -> ((u64, u64), Result<(), Cause>) {
    let (id, name) = (world.book.event_id(number), world.book.player(player));
    let begin = world.now();
    let sent = Sent { id: &id, player: &name, at: world.clock.wall_at(begin), stat };
    let result = match &world.events {
        Some(events) => events.send(sent).await,
        None => Err(of_transport("no connection", "the run has no address for events", false)),
    };
    let end = world.now();
    let what = match stat {
        Some((code, value)) => What::Stat { stat: world.book.stat(code), value, number },
        None => What::Login(number),
    };
    write_down(world, player, begin, end, &result, what);
    ((begin, end), result)
}

/// What was acknowledged is in the book, and what may have been carried out; a plain refusal is not.
fn write_down(world: &World, player: u32, begin: u64, end: u64, result: &Result<(), Cause>, what: What) {
    let sure = match result {
        Ok(()) => true,
        Err(cause) if cause.doubtful => false,
        Err(_) => return,
    };
    world.book.write(player, Op { begin, end, sure, what });
}

/// The request of a call; `None`: there is nothing to claim.
fn request(world: &World, rng: &mut Rng, memory: &mut Memory, call: &Call) -> Option<Request> {
    let numbers = |goals: &[String]| goals.iter().map(|goal| world.book.goal(goal)).collect();
    Some(match call {
        Call::Initialize => {
            Request::post("/v1/challenges/initialize".to_owned(), None, Some(What::Initialize))
        }
        Call::Browse { .. } | Call::Login | Call::Stat { .. } => Request::get("/v1/challenges"),
        Call::SetActive { challenge, goals } => {
            let goal = rng.choice(goals)?;
            let path = format!("/v1/challenges/{challenge}/goals/{goal}/active");
            let what = What::Activate(numbers(std::slice::from_ref(goal)));
            let body = json!({ "isActive": true });
            Request { method: Method::PUT, ..Request::post(path, Some(&body), Some(what)) }
        }
        Call::BatchSelect { challenge, goals } => {
            let path = format!("/v1/challenges/{challenge}/goals/batch-select");
            let body = json!({ "goalIds": goals, "replaceExisting": false });
            Request::post(path, Some(&body), Some(What::Activate(numbers(goals))))
        }
        Call::RandomSelect { challenge, count, exclude_active } => {
            let path = format!("/v1/challenges/{challenge}/goals/random-select");
            let body = json!({ "count": count, "replaceExisting": false, "excludeActive": exclude_active });
            // What was drawn stands in the reply.
            Request::post(path, Some(&body), None)
        }
        Call::Claim => {
            if memory.claimable.is_empty() {
                return None;
            }
            // One that was asked for is not asked for again before the next browse.
            let (challenge, goal) = memory.claimable.swap_remove(rng.usize(..memory.claimable.len()));
            let path = format!("/v1/challenges/{challenge}/goals/{goal}/claim");
            Request::post(path, None, Some(What::Claim(world.book.goal(&goal))))
        }
    })
}

async fn api(world: &World, player: u32, memory: &mut Memory, action: &Action, request: Request) -> Done {
    let call = &action.call;
    let name = world.book.player(player);
    let place = (request.method.clone(), request.path.clone());
    let begin = world.now();
    let answer = world.http.call(request.method, &request.path, &name, request.body).await;
    let end = world.now();
    let mut checked = Ok(());
    let result = match answer {
        Err(cause) => Err(cause),
        Ok(reply) if reply.status != 200 => {
            let cause = of_http(reply.status, &reply.body);
            Err(Cause { retry_after: reply.retry_after, ..cause })
        }
        Ok(reply) => {
            if let Some((check, found)) = unmet(&action.checks, &reply.body) {
                checked = Err(of_check(check, &found));
            }
            understand(world, memory, call, &reply.body).map_err(|what| of_nonsense(200, what, &reply.body))
        }
    };
    let what = match &result {
        Ok(Some(drawn)) => Some(What::Activate(drawn.clone())),
        _ => request.what,
    };
    let result = result.map(|_drawn| ());
    match what {
        Some(what) => write_down(world, player, begin, end, &result, what),
        // A draw of which nobody can tell what was drawn.
        None if matches!(call, Call::RandomSelect { .. }) => {
            write_down(world, player, begin, end, &result, What::Activate(Box::default()));
        }
        None => {}
    }
    // It was carried out, whatever a check says of the reply.
    ((begin, end), place, result.and(checked))
}

#[derive(Debug, Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    challenges: Vec<PageChallenge<'a>>,
}

#[derive(Debug, Deserialize)]
struct PageChallenge<'a> {
    #[serde(rename = "challengeId", borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    goals: Vec<PageGoal<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageGoal<'a> {
    #[serde(borrow)]
    goal_id: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    is_active: bool,
    #[serde(default)]
    locked: bool,
    #[serde(default, borrow)]
    claim_state: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selection<'a> {
    #[serde(borrow)]
    selected_goals: Vec<SelectedGoal<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelectedGoal<'a> {
    #[serde(borrow)]
    goal_id: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Claimed<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

/// Looks whether a reply says what it should; answers the goals that were drawn, if they were.
fn understand(
    world: &World,
    memory: &mut Memory,
    call: &Call,
    body: &[u8],
) -> Result<Option<Box<[u16]>>, &'static str> {
    match call {
        Call::Browse { remember: false } => {
            // The whole reply is large, and reading it every time would measure the reader.
            let begins = body.starts_with(b"{\"challenges\":[");
            if begins && body.ends_with(b"}") { Ok(None) } else { Err("no list of challenges") }
        }
        Call::Browse { remember: true } => {
            let page: Page<'_> = serde_json::from_slice(body).map_err(|_| "no list of challenges")?;
            memory.claimable.clear();
            for challenge in &page.challenges {
                let open = challenge.goals.iter().filter(|goal| {
                    goal.status == "completed"
                        && goal.is_active
                        && !goal.locked
                        && goal.claim_state.is_empty()
                });
                let named = open.map(|goal| (challenge.id.to_string(), goal.goal_id.to_string()));
                memory.claimable.extend(named);
            }
            Ok(None)
        }
        Call::RandomSelect { .. } => {
            let selection: Selection<'_> =
                serde_json::from_slice(body).map_err(|_| "no list of selected goals")?;
            if selection.selected_goals.is_empty() {
                return Err("nothing was drawn");
            }
            let numbers = selection.selected_goals.iter().map(|goal| world.book.goal(&goal.goal_id));
            Ok(Some(numbers.collect()))
        }
        Call::Claim => {
            let claimed: Claimed<'_> = serde_json::from_slice(body).map_err(|_| "no claim")?;
            if claimed.status == "claimed" { Ok(None) } else { Err("the goal is not claimed") }
        }
        Call::Initialize => {
            let has = body.windows(16).any(|window| window == b"\"assignedGoals\":");
            if has { Ok(None) } else { Err("no assigned goals") }
        }
        Call::BatchSelect { .. } => serde_json::from_slice::<Selection<'_>>(body)
            .map(|_| None)
            .map_err(|_| "no list of selected goals"),
        Call::SetActive { .. } | Call::Login | Call::Stat { .. } => Ok(None),
    }
}
