//! A run from its beginning to its report.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Method;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::{
    Error, Receiver, Report, Scenario,
    book::{Book, Closed},
    clock::{RunClock, wall_millis},
    collect::{Collectors, Sources, own_cpu},
    driver::{self, World},
    events::Events,
    http::Http,
    identity::Identity,
    ledger::{self, GrantsFound, StatesFound},
    outcome::of_http,
    recorder::Recorder,
    report::{self, Found},
    tls::Authority,
};

/// How often a partial report is written.
const PARTIAL: Duration = Duration::from_secs(10);
/// How long the server may take to fetch the key of the lab's tokens.
const SIGN_IN: Duration = Duration::from_secs(30);
/// Steps of the series of a long run.
const STEPS: u64 = 180;
/// Shortest step of the series, in microseconds: in shorter ones too little happens.
const SHORTEST: u64 = 250_000;

/// What to run, and against what.
#[derive(Debug)]
pub struct Plan {
    /// What.
    pub scenario: Scenario,
    /// How many times shorter the waits of users are; for the report, the scenario has been
    /// changed.
    pub speed: f64,
    /// The player API with its base path: `http://host:8000/challenge`.
    pub target: String,
    /// The events port; needed by scenarios that send events.
    pub events: Option<String>,
    /// The namespace of events.
    pub namespace: String,
    /// The secret of the events port, if it has one.
    pub token: Option<String>,
    /// The text of the catalogue that the server uses; without it, goals cannot be predicted.
    pub catalogue: Option<String>,
    /// Where the server posts its grants; without it, grants cannot be counted.
    pub receiver: Option<Receiver>,
    /// What to look at.
    pub sources: Sources,
    /// Decides every draw of the lab.
    pub seed: u64,
    /// Makes the names of this run's players its own.
    pub run: u64,
    /// Where the report goes every ten seconds while the run lasts; `None`: nowhere.
    pub partial: Option<PathBuf>,
    /// How players prove who they are.
    pub identity: Identity,
    /// For `https://`: whom to trust.
    pub authority: Option<Authority>,
    /// How often a call is repeated at most, as a client does that reads `docs/errors.md`.
    pub retries: u32,
    /// Whether a figure that grows fails the run.
    pub drift_fails: bool,
    /// How server and run were set up, for the report.
    pub configuration: BTreeMap<String, String>,
}

impl Plan {
    /// The run of a scenario against a server, with nothing else asked for.
    #[must_use]
    pub fn new(scenario: Scenario, target: String) -> Self {
        Self {
            scenario,
            speed: 1.0,
            target,
            events: None,
            namespace: "gauntlet".to_owned(),
            token: None,
            catalogue: None,
            receiver: None,
            sources: Sources::default(),
            seed: 1,
            run: 1,
            partial: None,
            identity: Identity::Mock,
            authority: None,
            retries: 0,
            drift_fails: false,
            configuration: BTreeMap::new(),
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// What is being done: `preparing`, `running`, `checking`.
    pub stage: &'static str,
    /// Players prepared.
    pub prepared: u32,
    /// Players to prepare.
    pub to_prepare: u32,
    /// Seconds of load.
    pub seconds: f64,
    /// Seconds of load in all.
    pub of: f64,
    /// Calls and events that ended.
    pub done: u64,
    /// Those that failed.
    pub failed: u64,
    /// Arrivals that found no place.
    pub undelivered: u64,
    /// Calls under way.
    pub in_flight: u32,
    /// Users in a session.
    pub users: u32,
}

/// Makes the run; `stop` becoming true ends it early, with a report of what there is.
///
/// # Errors
/// When it cannot begin, or its ledger cannot be closed. What fails meanwhile is in the report.
pub async fn run(
    plan: Plan,
    stop: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
) -> Result<Report, Error> {
    let scenario = Arc::new(plan.scenario.clone());
    // Before anything is done: a catalogue with faults would be found after half an hour.
    let catalogue = plan.catalogue.as_deref().map(read_catalogue).transpose()?;
    let (end, ended) = watch::channel(false);
    let world = Arc::new(world(&plan, &scenario, ended).await?);
    if matches!(plan.identity, Identity::Tokens(_)) {
        until_signed_in(&world).await?;
    }
    let started_at = wall_millis();

    let to_prepare = match scenario.players.prepare {
        crate::scenario::Prepare::None => 0,
        crate::scenario::Prepare::Others => scenario.players.count - scenario.user_count(),
        crate::scenario::Prepare::All => scenario.players.count,
    };
    progress.send_replace(Progress { stage: "preparing", to_prepare, ..Progress::default() });
    let mut tasks = JoinSet::new();
    tasks.spawn(pass_on(stop, end.clone()));
    let prepared = driver::prepare(&world, &scenario, plan.seed, &progress).await?;

    let load = Load::drive(&plan, &scenario, &world, &end, &progress).await;
    progress.send_modify(|progress| progress.stage = "checking");
    let book = world.book.close();
    let (states, grants) = close(&plan, catalogue, &world, &book).await?;
    let acknowledged = states.events_acknowledged;
    let (collected, profiles) = load.collectors.finish(acknowledged).await;
    let recorder = world.recorder();
    let found = Found {
        plan: &plan,
        scenario: &scenario,
        started_at,
        seconds: load.seconds,
        early: load.early,
        complete: true,
        prepared,
        recorder: &recorder,
        generator_cpu: load.cpu,
        clock_step: load.clock_step,
        states,
        grants,
        collected,
        profiles,
    };
    Ok(report::make(found))
}

fn read_catalogue(text: &str) -> Result<gauntlet_domain::Catalogue, Error> {
    let definition = gauntlet_domain::catalogue::parse(text)
        .map_err(|faults| Error::Catalogue(faults.in_file("the catalogue").to_string()))?;
    ledger::number(definition).map_err(Error::Catalogue)
}

async fn world(plan: &Plan, scenario: &Scenario, stop: watch::Receiver<bool>) -> Result<World, Error> {
    let sends = scenario.actions().any(|action| action.call.is_event()) || scenario.players.events_each > 0;
    let events = match &plan.events {
        Some(url) if sends => {
            let (token, authority) = (plan.token.as_deref(), plan.authority.as_ref());
            Some(Events::connect(url, &plan.namespace, token, authority).await?)
        }
        None if sends => return Err(Error::NoEvents),
        _ => None,
    };
    let endpoints = driver::endpoints(scenario);
    let length = u64::try_from(scenario.duration.as_micros()).unwrap_or(u64::MAX);
    let recorder = Recorder::new(&endpoints, (length / STEPS).max(SHORTEST));
    let names = endpoints.into_iter().enumerate().map(|(at, (name, _))| (name, at));
    Ok(World {
        clock: RunClock::start(),
        origin: 0.into(),
        http: Http::new(&plan.target, plan.identity.clone(), plan.authority.as_ref())?,
        events,
        recorder: Mutex::new(recorder),
        book: Book::new(&format!("lab-{:08x}", plan.run & 0xffff_ffff), scenario.players.count),
        endpoints: names.collect(),
        retries: plan.retries,
        stop,
        event_number: 0.into(),
        in_flight: 0.into(),
        active_users: 0.into(),
    })
}

/// Waits until the server takes tokens of the lab: it may have to fetch their key first.
async fn until_signed_in(world: &World) -> Result<(), Error> {
    let player = world.book.player(0);
    let started = Instant::now();
    loop {
        let answer =
            world.http.call(Method::GET, "/v1/challenges?active_only=true", &player, Bytes::new()).await;
        let problem = match answer {
            Ok(reply) if reply.status == 200 => return Ok(()),
            Ok(reply) => of_http(reply.status, &reply.body),
            Err(cause) => cause,
        };
        if started.elapsed() > SIGN_IN {
            return Err(Error::SignIn(format!("{}: {}: {}", problem.class, problem.reason, problem.head)));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Ends the run when its user asks for it.
async fn pass_on(mut stop: watch::Receiver<bool>, end: watch::Sender<bool>) {
    if stop.wait_for(|stop| *stop).await.is_ok() {
        end.send_replace(true);
    }
}

/// The load of a run, after it has ended.
struct Load {
    seconds: f64,
    early: bool,
    cpu: Option<f64>,
    clock_step: Duration,
    collectors: Collectors,
}

impl Load {
    async fn drive(
        plan: &Plan,
        scenario: &Arc<Scenario>,
        world: &Arc<World>,
        end: &watch::Sender<bool>,
        progress: &watch::Sender<Progress>,
    ) -> Self {
        let collectors = Collectors::start(&plan.sources, plan.authority.as_ref()).await;
        let clock = RunClock::start();
        world.origin.store(world.now(), Ordering::Relaxed);
        let (start, length) = (clock.zero(), scenario.duration);
        let cpu = own_cpu();
        let every = (length / u32::try_from(STEPS).unwrap_or(1)).max(Duration::from_secs(1));
        let mut watching = JoinSet::new();
        watching.spawn(collectors.watch(Arc::clone(world), every, length));
        let mut reporting = JoinSet::new();
        reporting.spawn(tell(Arc::clone(world), length, progress.clone()));
        if let Some(path) = plan.partial.clone() {
            reporting.spawn(write_partial(path, Arc::clone(world), PartialPlan::of(plan, scenario)));
        }
        let mut load = spawn_load(plan, scenario, world, start);
        let users_only = scenario.arrivals.is_empty();
        tokio::select! {
            () = sleep(length) => {}
            // Users that have had all their sessions end a run without arrivals.
            () = all_ended(&mut load), if users_only => {}
            () = wait_stopped(world.stop.clone()) => {}
        }
        // Users end when they are stopped, too: only this tells the two apart.
        let early = world.stopped();
        end.send_replace(true);
        all_ended(&mut load).await;
        let seconds = Instant::now().duration_since(start).as_secs_f64();
        let cpu = cpu.zip(own_cpu()).map(|(before, after)| (after - before) / seconds);
        reporting.abort_all();
        let collectors = match watching.join_next().await {
            Some(Ok(collectors)) => collectors,
            // It died with what it had collected; the report says that all of it is missing.
            _ => Collectors::start(&plan.sources, plan.authority.as_ref()).await,
        };
        Self { seconds, early, cpu, clock_step: clock.step(), collectors }
    }
}

async fn wait_stopped(mut stop: watch::Receiver<bool>) {
    let _ended = stop.wait_for(|stop| *stop).await;
}

async fn all_ended(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

fn spawn_load(plan: &Plan, scenario: &Arc<Scenario>, world: &Arc<World>, start: Instant) -> JoinSet<()> {
    let mut load = JoinSet::new();
    let mut player = 0;
    for group in 0..scenario.users.len() {
        for number in 0..scenario.users[group].count {
            let (world, scenario, seed) = (Arc::clone(world), Arc::clone(scenario), plan.seed);
            load.spawn(async move {
                driver::drive_user(&world, &scenario.users[group], seed, number, player, start).await;
            });
            player += 1;
        }
    }
    for (number, arrivals) in (0_u64..).zip(&scenario.arrivals) {
        let span = (start, scenario.duration);
        let arrivals = Arc::new(arrivals.clone());
        let players = scenario.players.count;
        load.spawn(driver::drive_arrivals(Arc::clone(world), arrivals, plan.seed, number, players, span));
    }
    load
}

/// Tells how far the run is, twice a second.
async fn tell(world: Arc<World>, length: Duration, progress: watch::Sender<Progress>) {
    loop {
        let seconds = Duration::from_micros(world.since_origin(world.now())).as_secs_f64();
        let (done, failed, undelivered) = {
            let recorder = world.recorder();
            let done = recorder.endpoints.iter().map(crate::recorder::Endpoint::count).sum();
            let failed = recorder.endpoints.iter().map(|endpoint| endpoint.failed.count()).sum();
            (done, failed, recorder.counts.undelivered)
        };
        progress.send_modify(|progress| {
            progress.stage = "running";
            progress.seconds = seconds;
            progress.of = length.as_secs_f64();
            progress.done = done;
            progress.failed = failed;
            progress.undelivered = undelivered;
            progress.in_flight = world.in_flight.load(Ordering::Relaxed);
            progress.users = world.active_users.load(Ordering::Relaxed);
        });
        sleep(Duration::from_millis(500)).await;
    }
}

/// What a partial report needs of the plan.
struct PartialPlan {
    plan: Plan,
    scenario: Arc<Scenario>,
    started_at: i64,
}

impl PartialPlan {
    fn of(plan: &Plan, scenario: &Arc<Scenario>) -> Self {
        // Neither its secrets nor what listens and looks: a report needs none of them.
        let copy = Plan {
            speed: plan.speed,
            seed: plan.seed,
            run: plan.run,
            drift_fails: plan.drift_fails,
            configuration: plan.configuration.clone(),
            ..Plan::new(plan.scenario.clone(), plan.target.clone())
        };
        Self { plan: copy, scenario: Arc::clone(scenario), started_at: wall_millis() }
    }
}

/// Writes what there is every ten seconds, so that the death of the lab leaves something to read.
async fn write_partial(path: PathBuf, world: Arc<World>, of: PartialPlan) {
    loop {
        sleep(PARTIAL).await;
        let not_yet = "the run has not ended".to_owned();
        let report = report::make(Found {
            plan: &of.plan,
            scenario: &of.scenario,
            started_at: of.started_at,
            seconds: Duration::from_micros(world.since_origin(world.now())).as_secs_f64(),
            early: false,
            complete: false,
            prepared: 0,
            recorder: &world.recorder(),
            generator_cpu: None,
            clock_step: world.clock.step(),
            states: StatesFound { not_checked: not_yet.clone(), ..StatesFound::default() },
            grants: GrantsFound { not_checked: not_yet, ..GrantsFound::default() },
            collected: Vec::new(),
            profiles: Vec::new(),
        });
        // A disk that is full now is told when the whole report is written.
        let _later = write_whole(&path, &report);
    }
}

/// Replaces the file in one step: whoever reads it finds the old one or the new one.
fn write_whole(path: &Path, report: &Report) -> std::io::Result<()> {
    let text = serde_json::to_string(report).map_err(std::io::Error::other)?;
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

/// Closes the ledger: waits for claims under way, browses as everybody, compares.
async fn close(
    plan: &Plan,
    catalogue: Option<gauntlet_domain::Catalogue>,
    world: &World,
    book: &Closed,
) -> Result<(StatesFound, GrantsFound), Error> {
    let open = ledger::open_claims(book);
    if !open.is_empty() {
        ledger::settled(&world.http, open).await;
    }
    let states = match catalogue {
        Some(catalogue) => {
            let shown = ledger::read_all(&world.http, book).await?;
            let wall = |micros| world.clock.wall_at(micros);
            ledger::compare_states(book, &catalogue, &shown, &wall, wall_millis())
        }
        None => StatesFound {
            not_checked: "the lab does not know the server's catalogue (--catalogue)".to_owned(),
            events_acknowledged: ledger::acknowledged(book),
            ..StatesFound::default()
        },
    };
    let grants = match &plan.receiver {
        Some(receiver) => ledger::compare_grants(book, &receiver.arrived()),
        None => GrantsFound {
            not_checked: "the server does not post its grants to the lab (--receiver)".to_owned(),
            ..GrantsFound::default()
        },
    };
    Ok((states, grants))
}
