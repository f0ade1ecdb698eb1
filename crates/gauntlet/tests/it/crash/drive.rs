//! The load: a game platform that delivers events over every face, and players who claim. It goes
//! on until the service is gone or `stop` is cancelled, and writes down every answer.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gauntlet_proto::{
    events::{self, event, event_stream_client::EventStreamClient},
    iam::{
        UserLoggedIn,
        user_authentication_user_logged_in_service_client::UserAuthenticationUserLoggedInServiceClient as Logins,
    },
    service::{self, service_client::ServiceClient},
    statistic::{
        StatItem, StatItemUpdated,
        statistic_stat_item_updated_service_client::StatisticStatItemUpdatedServiceClient as Stats,
    },
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::book::{
    ANEW_GOAL, Book, CLAIM_GOALS, Claim, Event, Face, NEVER, UNCLAIMED_GOAL, What, catalogue, goal_of,
};
use crate::process::{Process, of};

/// How long one call may take: long enough for a busy machine, and a call to a dead service ends
/// at once anyway.
const PATIENCE: Duration = Duration::from_secs(20);
/// Calls for single events under way at a time.
const CALLS: usize = 8;
/// Events of the stream under way at a time.
const STREAMED: usize = 16;
/// Players who claim at a time.
const CLAIMERS: usize = 3;

/// The load's end of a running service.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    book: Arc<Mutex<Book>>,
    /// Players whose events are counted for as long as the database lives.
    regulars: Arc<Vec<String>>,
    /// Players who have claims to make.
    claimers: Arc<Mutex<Vec<String>>>,
    random: Arc<Mutex<fastrand::Rng>>,
    http: Http,
    grpc: Channel,
    events: Channel,
    cloud: Http,
    /// The service's catalogue.
    file: Arc<Path>,
    pub(super) stop: CancellationToken,
}

/// What outlives the services of one database.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) book: Arc<Mutex<Book>>,
    pub(super) regulars: Arc<Vec<String>>,
    pub(super) claimers: Arc<Mutex<Vec<String>>>,
    pub(super) random: Arc<Mutex<fastrand::Rng>>,
    file: Arc<Path>,
}

impl World {
    /// A world whose service reads its catalogue from a file.
    pub(super) fn new(seed: u64, file: &str) -> Self {
        let mut book = Book::new();
        std::fs::write(file, catalogue(1)).expect("the catalogue is written");
        let regulars = (0..6).map(|_| book.new_player()).collect();
        Self {
            book: Arc::new(Mutex::new(book)),
            regulars: Arc::new(regulars),
            claimers: Arc::default(),
            random: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            file: Path::new(file).into(),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The service has not answered: it is gone, or will be asked again.
#[derive(Debug)]
pub(super) struct NoAnswer;

impl Driver {
    pub(super) fn new(server: &Process, world: &World) -> Self {
        let channel = |url: &str| {
            Endpoint::from_shared(url.to_owned()).expect("a URL").timeout(PATIENCE).connect_lazy()
        };
        Self {
            book: world.book.clone(),
            regulars: world.regulars.clone(),
            claimers: world.claimers.clone(),
            random: world.random.clone(),
            http: Http::new(&server.http),
            grpc: channel(&server.grpc),
            events: channel(&server.events),
            cloud: Http::new(&server.events),
            file: world.file.clone(),
            stop: CancellationToken::new(),
        }
    }

    /// Begins; the tasks end when the service is gone or `stop` is cancelled.
    pub(super) fn start(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..CALLS {
            tasks.spawn(self.clone().calls());
        }
        tasks.spawn(self.clone().stream());
        tasks.spawn(self.clone().cloud_events());
        tasks.spawn(self.clone().change());
        for _ in 0..CLAIMERS {
            tasks.spawn(self.clone().claims());
        }
        tasks
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    fn number(&self, below: usize) -> usize {
        lock(&self.random).usize(0..below.max(1))
    }

    /// What to deliver next: what must come again, sometimes what was acknowledged already, else
    /// something new.
    fn next(&self, face: Face) -> Option<Event> {
        let mut book = self.book();
        if let Some(event) = book.next_again(face) {
            return Some(event);
        }
        if self.number(10) == 0
            && let Some(event) = book.any_recent(self.number(usize::MAX), face)
        {
            return Some(event);
        }
        let ready: Vec<&String> = self.regulars.iter().filter(|name| book.players[*name].ready).collect();
        let name = (*ready.get(self.number(ready.len()))?).clone();
        let (kind, wins) = (self.number(3), 1 + self.number(3));
        Some(book.new_event(
            &name,
            |player| match kind {
                0 => What::Login,
                1 => What::Wins(i32::try_from(wins).expect("small")),
                _ => Book::next_score(player),
            },
            face,
        ))
    }

    async fn calls(self) {
        if !self.initialize_regulars().await {
            return;
        }
        while !self.stop.is_cancelled() {
            let Some(event) = self.next(Face::Grpc) else { return };
            if self.call(&event).await.is_err() {
                return;
            }
        }
    }

    /// One event on a call of its own.
    async fn call(&self, event: &Event) -> Result<(), NoAnswer> {
        let answer = match message(event) {
            event::Event::UserLoggedIn(login) => Logins::new(self.events.clone()).on_message(login).await,
            event::Event::StatItemUpdated(stat) => Stats::new(self.events.clone()).on_message(stat).await,
        };
        answer.map_err(|_| NoAnswer)?;
        self.book().acknowledge(&event.id);
        Ok(())
    }

    async fn stream(self) {
        if !self.initialize_regulars().await {
            return;
        }
        let (send, receive) = mpsc::channel(STREAMED);
        let Ok(answers) =
            EventStreamClient::new(self.events.clone()).publish(ReceiverStream::new(receive)).await
        else {
            return;
        };
        let mut answers = answers.into_inner();
        let mut open = HashMap::new();
        let mut sequence = 0;
        loop {
            while open.len() < STREAMED && !self.stop.is_cancelled() {
                let Some(event) = self.next(Face::Grpc) else { break };
                sequence += 1;
                let message = events::Event { sequence, event: Some(message(&event)) };
                open.insert(sequence, event.id);
                if send.send(message).await.is_err() {
                    return;
                }
            }
            if open.is_empty() {
                return;
            }
            let Ok(Some(ack)) = answers.message().await else { return };
            let id = open.remove(&ack.sequence).expect("each event is answered once");
            if ack.code == 0 {
                self.book().acknowledge(&id);
            }
        }
    }

    async fn cloud_events(self) {
        if !self.initialize_regulars().await {
            return;
        }
        while !self.stop.is_cancelled() {
            let events: Vec<Event> = (0..=self.number(5)).filter_map(|_| self.next(Face::Cloud)).collect();
            if events.is_empty() || self.post_cloud_events(&events).await.is_err() {
                return;
            }
        }
    }

    async fn post_cloud_events(&self, events: &[Event]) -> Result<(), NoAnswer> {
        let body: Vec<Value> = events.iter().map(cloud_event).collect();
        let (_, body) = self.cloud.send("POST", "/v1/events", "", Value::Array(body).to_string()).await?;
        let results = body["results"].as_array().ok_or(NoAnswer)?;
        for (event, result) in events.iter().zip(results) {
            assert_eq!(result["id"], event.id, "results come in the order of the events");
            if result["code"] == 0 {
                self.book().acknowledge(&event.id);
            }
        }
        Ok(())
    }

    /// Changes the catalogue once, under load: with every life of the service, so that their number
    /// stays small.
    async fn change(self) {
        if !self.initialize_regulars().await {
            return;
        }
        let pause = u64::try_from(self.number(40)).expect("small");
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let text = {
            let mut book = self.book();
            book.catalogue += 1;
            catalogue(book.catalogue)
        };
        std::fs::write(&*self.file, text).expect("the catalogue is written");
        // Whatever comes of it: the next start reads the file, too.
        drop(self.http.send("POST", "/v1/admin/catalogue/reload", "admin", String::new()).await);
    }

    /// Waits until the newest catalogue of the file is in use.
    pub(super) async fn newest_catalogue(&self, patience: Duration) -> bool {
        let wanted = NEVER + self.book().catalogue;
        let since = std::time::Instant::now();
        while since.elapsed() < patience {
            let seen = self.browse(&self.regulars[0]).await.unwrap_or_default();
            if goal_of(&seen, ANEW_GOAL).is_some_and(|goal| goal["requirement"]["targetValue"] == wanted) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    async fn initialize_regulars(&self) -> bool {
        for name in self.regulars.iter() {
            if self.initialize(name).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn initialize(&self, name: &str) -> Result<(), NoAnswer> {
        if self.book().players[name].ready {
            return Ok(());
        }
        let (status, _) = self.http.send("POST", "/v1/challenges/initialize", name, String::new()).await?;
        if status != 200 {
            return Err(NoAnswer);
        }
        self.book().players.get_mut(name).expect("known").ready = true;
        Ok(())
    }

    /// Players who come to claim, one after the other: those whom the last death has interrupted
    /// first.
    async fn claims(self) {
        while !self.stop.is_cancelled() {
            let waiting = lock(&self.claimers).pop();
            let name = waiting.unwrap_or_else(|| self.book().new_player());
            if self.claim_all(&name).await.is_err() {
                lock(&self.claimers).push(name);
                return;
            }
        }
    }

    /// All that a claiming player does, as far as it is not done yet.
    async fn claim_all(&self, name: &str) -> Result<(), NoAnswer> {
        self.initialize(name).await?;
        if !self.book().players[name].is_complete() {
            let event = self.book().new_event(name, |_| What::Level, Face::Grpc);
            self.call(&event).await?;
        }
        for goal in CLAIM_GOALS {
            self.claim(name, goal).await?;
        }
        Ok(())
    }

    /// One claim; one that is pending is left to the service.
    pub(super) async fn claim(&self, name: &str, goal: &'static str) -> Result<(), NoAnswer> {
        let known = self.book().players[name].claims.get(goal).copied();
        if matches!(known, Some(Claim::Granted | Claim::Uncertain)) {
            return Ok(());
        }
        if known.is_some() {
            let seen = self.browse(name).await?;
            let seen = goal_of(&seen, goal).ok_or(NoAnswer)?;
            if seen["claimState"] == "pending" || seen["status"] == "claimed" {
                return Ok(());
            }
        }
        self.note(name, goal, Claim::Asked);
        // Half of them ask twice at once, over both faces.
        let twice = self.number(2) == 0;
        let (one, other) = tokio::join!(self.claim_http(name, goal), async {
            if twice { self.claim_grpc(name, goal).await } else { Ok(None) }
        });
        for answer in [&one, &other].into_iter().flatten().flatten() {
            self.note(name, goal, *answer);
        }
        one.and(other).map(drop)
    }

    fn note(&self, name: &str, goal: &'static str, claim: Claim) {
        self.book().players.get_mut(name).expect("known").claims.insert(goal, claim);
    }

    async fn claim_http(&self, name: &str, goal: &str) -> Result<Option<Claim>, NoAnswer> {
        let path = format!("/v1/challenges/crash/goals/{goal}/claim");
        let (status, body) = self.http.send("POST", &path, name, String::new()).await?;
        Ok(match (status, body["details"][0]["reason"].as_str()) {
            (200, _) | (_, Some("GOAL_ALREADY_CLAIMED")) => Some(Claim::Granted),
            (_, Some("REWARD_UNCERTAIN")) => Some(Claim::Uncertain),
            _ => None,
        })
    }

    async fn claim_grpc(&self, name: &str, goal: &str) -> Result<Option<Claim>, NoAnswer> {
        let request = service::ClaimRewardRequest { challenge_id: "crash".into(), goal_id: goal.to_owned() };
        match ServiceClient::new(self.grpc.clone()).claim_goal_reward(of(name, request)).await {
            Ok(_) => Ok(Some(Claim::Granted)),
            Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(Some(Claim::Granted)),
            Err(status) if status.code() == tonic::Code::Unavailable && status.details().is_empty() => {
                Err(NoAnswer)
            }
            Err(_) => Ok(None),
        }
    }

    pub(super) async fn browse(&self, name: &str) -> Result<Value, NoAnswer> {
        let (status, body) = self.http.send("GET", "/v1/challenges", name, String::new()).await?;
        if status == 200 { Ok(body) } else { Err(NoAnswer) }
    }

    /// How much a player lost by goals that began at zero.
    pub(super) async fn lost_progress(&self, name: &str) -> Result<i64, NoAnswer> {
        let goals = self.history(name).await?;
        let restarted = goals.iter().filter(|goal| goal["outcome"] == "restarted");
        Ok(restarted.filter_map(|goal| goal["lostProgress"].as_i64()).sum())
    }

    /// How the past completions of the goal that is granted by itself ended: claimed, still to be
    /// granted, lost.
    pub(super) async fn unclaimed_outcomes(&self, name: &str) -> Result<[u64; 3], NoAnswer> {
        let mut outcomes = [0; 3];
        for goal in self.history(name).await?.iter().filter(|goal| goal["goalId"] == UNCLAIMED_GOAL) {
            let place = ["claimed", "completed", "lost"].iter().position(|known| goal["outcome"] == *known);
            outcomes[place.expect("one of three outcomes")] += 1;
        }
        Ok(outcomes)
    }

    /// Goals of past cycles.
    async fn history(&self, name: &str) -> Result<Vec<Value>, NoAnswer> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/challenges/crash/history?pageSize=100&pageToken={token}");
            let (status, page) = self.http.send("GET", &path, name, String::new()).await?;
            let (200, Some(cycles)) = (status, page["cycles"].as_array()) else { return Err(NoAnswer) };
            all.extend(cycles.iter().filter_map(|cycle| cycle["goals"].as_array()).flatten().cloned());
            token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Delivers what is in doubt until everything is acknowledged.
    pub(super) async fn settle_events(&self) -> Result<(), NoAnswer> {
        for face in [Face::Grpc, Face::Cloud] {
            loop {
                let Some(event) = self.book().next_again(face) else { break };
                match face {
                    Face::Grpc => self.call(&event).await?,
                    Face::Cloud => self.post_cloud_events(std::slice::from_ref(&event)).await?,
                }
            }
        }
        Ok(())
    }
}

fn message(event: &Event) -> event::Event {
    let (id, user_id) = (event.id.clone(), event.player.clone());
    let timestamp = time(event);
    let Some((stat_code, latest_value, inc)) = stat(event.what) else {
        return event::Event::UserLoggedIn(UserLoggedIn {
            id,
            user_id,
            timestamp,
            ..UserLoggedIn::default()
        });
    };
    let payload = Some(StatItem { stat_code: stat_code.into(), latest_value, inc, ..StatItem::default() });
    event::Event::StatItemUpdated(StatItemUpdated {
        id,
        user_id,
        timestamp,
        payload,
        ..StatItemUpdated::default()
    })
}

fn cloud_event(event: &Event) -> Value {
    let data = stat(event.what).map(|(stat_code, latest_value, inc)| {
        json!({ "statCode": stat_code, "latestValue": latest_value, "inc": inc })
    });
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": "/crash",
        "type": if data.is_some() { "stat.updated" } else { "user.loggedIn" },
        "subject": event.player,
        "time": time(event),
        "data": data,
    })
}

/// The event's time to the millisecond, which keeps the order of scores.
fn time(event: &Event) -> String {
    let seconds = gauntlet_domain::Timestamp::from_millis(event.at).to_rfc3339();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), event.at % 1_000)
}

/// The statistic, its value and its growth.
fn stat(what: What) -> Option<(&'static str, f64, f64)> {
    match what {
        What::Login => None,
        What::Wins(wins) => Some(("wins", f64::from(wins), f64::from(wins))),
        What::Score(score) => Some(("score", f64::from(score), 1.0)),
        What::Level => Some(("level", 1.0, 1.0)),
    }
}

/// An HTTP client that takes "no answer" for an answer.
#[derive(Debug, Clone)]
struct Http {
    agent: ureq::Agent,
    base: String,
}

impl Http {
    fn new(base: &str) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { agent: config.into(), base: base.to_owned() }
    }

    async fn send(
        &self,
        method: &'static str,
        path: &str,
        player: &str,
        body: String,
    ) -> Result<(u16, Value), NoAnswer> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        if !player.is_empty() {
            request = request.header("x-mock-user-id", player);
        }
        if player == "admin" {
            request = request.header("x-mock-scope", "gauntlet.admin.write");
        }
        let request = request.body(body).expect("a request");
        let agent = self.agent.clone();
        let work = move || {
            let mut reply = agent.run(request).map_err(|_| NoAnswer)?;
            let text = reply.body_mut().read_to_string().map_err(|_| NoAnswer)?;
            Ok((reply.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
        };
        tokio::task::spawn_blocking(work).await.expect("a blocking task")
    }
}
