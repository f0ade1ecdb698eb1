//! Collectors: what is looked at beside the load. One that finds nothing says so.

mod cgroup;
mod metrics;
mod postgres;
mod process;
mod profiles;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

pub(crate) use process::own_cpu;
pub use profiles::{Frame, ProfileFound, ProfilePlan, TopFunction};

use crate::{driver::World, http::Http, identity::Identity, tls::Authority};

/// The name of the lab's own process among those that are watched.
pub(crate) const OURSELVES: &str = "load generator";

/// A figure over time: seconds since the start and values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Track {
    /// What.
    pub name: String,
    /// In which unit.
    pub unit: String,
    /// When and how much.
    pub points: Vec<(f64, f64)>,
}

/// A figure of the whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// In which unit.
    pub unit: String,
}

/// A statement of the database, over the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// Its beginning.
    pub text: String,
    /// How often.
    pub calls: f64,
    /// Milliseconds in all.
    pub total_ms: f64,
    /// Milliseconds each.
    pub mean_ms: f64,
    /// Rows in all.
    pub rows: f64,
}

/// What one collector found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
pub struct Collected {
    /// Its name.
    pub name: String,
    /// Why it found nothing, or not all; empty: it is whole.
    pub missing: String,
    /// Whether the run was asked for it: then it is not valid without.
    pub required: bool,
    /// Over time.
    pub tracks: Vec<Track>,
    /// Over the whole run.
    pub figures: Vec<Figure>,
    /// Of the database.
    pub statements: Vec<Statement>,
}

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The operations ports of the server's processes by name: `http://host:port`.
    pub ops: Vec<(String, String)>,
    /// Processes by name and id.
    pub processes: Vec<(String, u32)>,
    /// Control groups by name and folder.
    pub cgroups: Vec<(String, PathBuf)>,
    /// PostgreSQL.
    pub postgres: Option<String>,
    /// The database is the run's own, so what is missing for its statistics may be installed there.
    pub postgres_is_own: bool,
    /// Whether and when to take profiles from the operations port.
    pub profiles: Option<ProfilePlan>,
}

/// What runs beside the load.
pub(crate) struct Collectors {
    cgroups: Vec<cgroup::Group>,
    profiles: Profiles,
    metrics: Option<metrics::Metrics>,
    processes: Vec<process::Watched>,
    postgres: Option<postgres::Postgres>,
    own: Vec<Track>,
}

impl Collectors {
    /// Looks for the first time.
    pub(crate) async fn start(sources: &Sources, authority: Option<&Authority>) -> Self {
        let ops = || {
            let ports = sources.ops.iter();
            ports.map(|(name, url)| (name.clone(), Http::new(url, Identity::Mock, authority)))
        };
        let metrics = match sources.ops.len() {
            0 => None,
            _ => Some(metrics::Metrics::start(ops().collect()).await),
        };
        let profiles = Profiles {
            plan: sources.profiles,
            from: ops().filter_map(|(name, http)| Some((name, http.ok()?))).collect(),
            taking: JoinSet::new(),
        };
        let cgroups = sources.cgroups.iter().map(|(name, folder)| cgroup::Group::new(name, folder)).collect();
        let mut processes: Vec<_> =
            sources.processes.iter().map(|(name, pid)| process::Watched::new(name, *pid, true)).collect();
        processes.push(process::Watched::new(OURSELVES, std::process::id(), true));
        let postgres = match &sources.postgres {
            Some(url) => Some(postgres::Postgres::start(url, sources.postgres_is_own).await),
            None => None,
        };
        let own = ["calls under way", "users in a session"].map(|name| Track {
            name: name.to_owned(),
            unit: String::new(),
            points: Vec::new(),
        });
        Self { cgroups, profiles, metrics, processes, postgres, own: own.to_vec() }
    }

    /// Looks again and again until the run ends.
    pub(crate) async fn watch(mut self, world: Arc<World>, every: Duration, length: Duration) -> Self {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = world.stop.clone();
        let (mut middle, mut last) = (false, Duration::ZERO);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ended = stop.wait_for(|stop| *stop) => break,
            }
            let at = Duration::from_micros(world.since_origin(world.now()));
            last = at;
            self.look(&world, at.as_secs_f64()).await;
            self.profiles.begin(at, length);
            if !middle && at >= length / 2 {
                middle = true;
                if let Some(postgres) = &mut self.postgres {
                    postgres.look("middle").await;
                }
            }
        }
        // Once more for the end, but not for a moment: counters that move in steps would show heights
        // that were not there.
        let at = Duration::from_micros(world.since_origin(world.now()));
        if at.saturating_sub(last) >= every / 2 {
            self.look(&world, at.as_secs_f64()).await;
        }
        self
    }

    async fn look(&mut self, world: &World, at: f64) {
        let now = [&world.in_flight, &world.active_users].map(|count| count.load(Ordering::Relaxed));
        for (track, value) in self.own.iter_mut().zip(now) {
            track.points.push((at, f64::from(value)));
        }
        for process in &mut self.processes {
            process.look(at);
        }
        for group in &mut self.cgroups {
            group.look(at);
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.look(at).await;
        }
        if let Some(postgres) = &mut self.postgres {
            postgres.look_often(at).await;
        }
    }

    /// Tells everything. `events`: how many were acknowledged.
    pub(crate) async fn finish(mut self, events: u64) -> (Vec<Collected>, Vec<ProfileFound>) {
        let mut all = Vec::new();
        let load = Collected {
            name: "load".to_owned(),
            tracks: std::mem::take(&mut self.own),
            ..Collected::default()
        };
        all.push(load);
        all.extend(std::mem::take(&mut self.processes).into_iter().map(process::Watched::finish));
        all.extend(std::mem::take(&mut self.cgroups).into_iter().map(cgroup::Group::finish));
        let (taken, found) = self.profiles.finish().await;
        all.push(taken);
        all.push(match self.metrics {
            Some(metrics) => metrics.finish().await,
            None => absent("server metrics", "no operations port is given (--ops)"),
        });
        all.push(match self.postgres {
            Some(postgres) => postgres.finish(events).await,
            None => absent("PostgreSQL", "no database is given (--postgres), or the store is SQLite"),
        });
        (all, found)
    }
}

/// Profiles that are asked for, and taken beside the load.
struct Profiles {
    plan: Option<ProfilePlan>,
    /// Processes by name, until they are asked.
    from: Vec<(String, Http)>,
    taking: JoinSet<Vec<profiles::Taken>>,
}

impl Profiles {
    /// Begins when it is time, once.
    fn begin(&mut self, at: Duration, length: Duration) {
        let due = self.plan.is_some_and(|plan| at >= plan.at.unwrap_or(length / 2));
        if !due {
            return;
        }
        let left = length.saturating_sub(at).as_secs_f64();
        let alone = self.from.len() == 1;
        for (name, http) in self.from.drain(..) {
            let of = if alone { String::new() } else { format!(" of {name}") };
            self.taking.spawn(profiles::take(http, of, at.as_secs_f64(), left));
        }
    }

    /// Waits for what was begun, and says what is missing.
    async fn finish(mut self) -> (Collected, Vec<ProfileFound>) {
        if self.plan.is_none() {
            return (absent("profiles", "nobody asked for them (--profiles)"), Vec::new());
        }
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        if self.taking.is_empty() {
            problems.push("no operations port is given (--ops), or the run ended before".to_owned());
        }
        while let Some(taken) = self.taking.join_next().await {
            match taken {
                Ok(taken) => {
                    for (name, result) in taken {
                        match result {
                            Ok(profile) => found.push(profile),
                            Err(problem) => problems.push(format!("{name}: {problem}")),
                        }
                    }
                }
                Err(lost) => problems.push(lost.to_string()),
            }
        }
        found.sort_by(|a: &ProfileFound, b| a.name.cmp(&b.name));
        let missing = problems.join("; ");
        (Collected { name: "profiles".to_owned(), missing, required: true, ..Collected::default() }, found)
    }
}

fn absent(name: &str, why: &str) -> Collected {
    Collected { name: name.to_owned(), missing: why.to_owned(), ..Collected::default() }
}

/// Sums of what a scrape or a view holds, by name.
pub(crate) type Values = BTreeMap<String, f64>;
