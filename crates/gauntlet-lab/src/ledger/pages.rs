//! What browsing shows at the end.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    Error,
    book::{Closed, What},
    http::Http,
};

/// Players that are read at a time.
const AT_A_TIME: usize = 16;
/// Tries for each player.
const TRIES: u32 = 3;
/// How long claims without an answer may take to settle.
const SETTLE: Duration = Duration::from_secs(30);

/// One active goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoalShown {
    pub(super) status: String,
    pub(super) progress: i32,
}

impl std::fmt::Display for GoalShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, progress {}", self.status, self.progress)
    }
}

/// The active goals of a player by id.
pub(crate) type Shown = BTreeMap<String, GoalShown>;

#[derive(Debug, Deserialize)]
struct Page {
    challenges: Vec<Challenge>,
}

#[derive(Debug, Deserialize)]
struct Challenge {
    goals: Vec<Goal>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Goal {
    #[serde(rename = "goalId")]
    id: String,
    status: String,
    progress: i32,
    is_active: bool,
    #[serde(default)]
    claim_state: String,
}

async fn read(http: &Http, player: &str) -> Result<Vec<Goal>, String> {
    let path = "/v1/challenges?active_only=true";
    let mut problem = String::new();
    for _ in 0..TRIES {
        match http.call(Method::GET, path, player, Bytes::new()).await {
            Ok(reply) if reply.status == 200 => {
                let page: Page = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
                return Ok(page.challenges.into_iter().flat_map(|challenge| challenge.goals).collect());
            }
            Ok(reply) => problem = format!("HTTP {}", reply.status),
            Err(cause) => problem = format!("{}: {}", cause.class, cause.reason),
        }
        sleep(Duration::from_millis(200)).await;
    }
    Err(problem)
}

/// Browses as every player of whom the book knows something.
///
/// # Errors
/// [`Error::Browse`] when one cannot be read.
pub(crate) async fn read_all(http: &Http, book: &Closed) -> Result<HashMap<usize, Shown>, Error> {
    let known = book.ops.iter().enumerate().filter(|(_, ops)| !ops.is_empty()).map(|(player, _)| player);
    let wanted: Arc<Vec<(usize, String)>> =
        Arc::new(known.map(|player| (player, book.player(player))).collect());
    let mut workers = JoinSet::new();
    for worker in 0..AT_A_TIME {
        let (http, wanted) = (http.clone(), Arc::clone(&wanted));
        workers.spawn(async move {
            let mut pages = Vec::new();
            for (number, player) in wanted.iter().skip(worker).step_by(AT_A_TIME) {
                let goals = read(&http, player).await.map_err(|problem| (player.clone(), problem))?;
                let active = goals.into_iter().filter(|goal| goal.is_active);
                let shown =
                    active.map(|goal| (goal.id, GoalShown { status: goal.status, progress: goal.progress }));
                pages.push((*number, shown.collect()));
            }
            Ok::<Vec<(usize, Shown)>, (String, String)>(pages)
        });
    }
    let mut all = HashMap::new();
    while let Some(ended) = workers.join_next().await {
        match ended {
            Ok(Ok(pages)) => all.extend(pages),
            Ok(Err((player, problem))) => return Err(Error::Browse { player, problem }),
            Err(lost) => return Err(Error::Browse { player: String::new(), problem: lost.to_string() }),
        }
    }
    Ok(all)
}

/// The players with claims of which nobody can tell yet.
pub(crate) fn open_claims(book: &Closed) -> Vec<String> {
    let open =
        |player: &usize| book.ops[*player].iter().any(|op| !op.sure && matches!(op.what, What::Claim(_)));
    (0..book.ops.len()).filter(open).map(|player| book.player(player)).collect()
}

/// Waits until no grant of these players is on its way; answers how many players still had one when
/// patience ended.
pub(crate) async fn settled(http: &Http, players: Vec<String>) -> usize {
    let mut waiting: HashSet<String> = players.into_iter().collect();
    let pause = Duration::from_millis(500);
    let mut waited = Duration::ZERO;
    loop {
        for player in waiting.clone() {
            if let Ok(goals) = read(http, &player).await
                && goals.iter().all(|goal| goal.claim_state != "pending")
            {
                waiting.remove(&player);
            }
        }
        if waiting.is_empty() || waited >= SETTLE {
            return waiting.len();
        }
        sleep(pause).await;
        waited += pause;
    }
}
