//! Where callers wait: the difference of the figures at the beginning and at the end of a window,
//! and what probes measured meanwhile.

use std::{collections::BTreeMap, fs, time::Duration};

use serde::Serialize;
use tokio::{
    sync::oneshot,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

use super::tasks::seconds;
use crate::{lifecycle::Tasks, server::FaceState};

/// Pause between two probes of the runtime.
const PROBE: Duration = Duration::from_millis(100);

/// What callers wait for: the histogram's name on the page of metrics, and what that means.
const PLACES: [(&str, &str); 7] = [
    ("gauntlet_shard_wait_seconds", "operations, for their batch in a shard's queue"),
    ("gauntlet_event_batch_commit_seconds", "a shard, for the commit of its batch"),
    ("gauntlet_pool_wait_seconds", "callers, for a connection to the database; on SQLite for one that reads"),
    ("gauntlet_sqlite_writer_wait_seconds", "calls, for the thread that writes to SQLite"),
    ("gauntlet_sqlite_checkpoint_duration_seconds", "commits on SQLite, while the log is moved"),
    ("gauntlet_store_statement_duration_seconds", "callers, for a statement of the database"),
    ("gauntlet_grant_duration_seconds", "claims and recovery, for the reward platform"),
];

const NOTE: &str = "callers_waiting is how many waited on average: seconds / window_seconds. The places overlap: a \
                    batch's commit holds the wait for a connection and the statement. Locks inside the process are not \
                    here; when threads wait for one, lock_contended and futex_wait are in the CPU profile.";

/// Where callers waited.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    note: &'static str,
    window_seconds: f64,
    /// Most waiting first.
    waits: Vec<Wait>,
    /// Threads of the process that were ready to run and had no processor; Linux only.
    processor: Option<Processor>,
    /// From waking a task to its first poll.
    task_start: Probes,
    /// From asking for a thread that may block to its first step.
    blocking_thread: Probes,
}

#[derive(Debug, PartialEq, Serialize)]
struct Wait {
    place: String,
    who: &'static str,
    waits: u64,
    seconds: f64,
    mean_ms: f64,
    /// A bound that 99 of 100 waits kept; none: the longest were beyond the last bound.
    p99_below_ms: Option<f64>,
    callers_waiting: f64,
}

#[derive(Debug, Serialize)]
struct Processor {
    seconds: f64,
    threads_waiting: f64,
}

#[derive(Debug, Default, Serialize)]
struct Probes {
    count: u32,
    #[serde(skip)]
    sum: Duration,
    mean_ms: f64,
    max_ms: f64,
}

impl Probes {
    fn took(&mut self, time: Duration) {
        self.count += 1;
        self.sum += time;
        self.mean_ms = milliseconds((self.sum / self.count).as_secs_f64());
        self.max_ms = self.max_ms.max(milliseconds(time.as_secs_f64()));
    }
}

/// Watches a server for so long, or until `stop` is cancelled.
pub(crate) async fn watch(face: &FaceState, time: Duration, stop: &CancellationToken) -> View {
    let (began, before, ran) = (Instant::now(), Histograms::read(&face.render_metrics()), waited());
    let (mut task_start, mut blocking_thread) = (Probes::default(), Probes::default());
    let probes = async {
        let tasks = Tasks::new();
        let mut ticks = interval(PROBE);
        loop {
            ticks.tick().await;
            task_start.took(start_a_task(&tasks).await);
            blocking_thread.took(take_a_thread().await);
        }
    };
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
        () = probes => {}
    }
    let (window, after) = (began.elapsed(), Histograms::read(&face.render_metrics()));
    let processor = ran.zip(waited()).map(|(before, after)| {
        let time = after.saturating_sub(before);
        Processor { seconds: seconds(time), threads_waiting: ratio(time.as_secs_f64(), window) }
    });
    let waits = waits(&before, &after, window);
    View { note: NOTE, window_seconds: seconds(window), waits, processor, task_start, blocking_thread }
}

async fn start_a_task(tasks: &Tasks) -> Duration {
    let (tell, told) = oneshot::channel();
    let asked = Instant::now();
    tasks.spawn("probe", async move {
        // The window may have closed meanwhile.
        let _closed = tell.send(asked.elapsed());
    });
    told.await.unwrap_or_default()
}

async fn take_a_thread() -> Duration {
    let asked = Instant::now();
    tokio::task::spawn_blocking(move || asked.elapsed()).await.unwrap_or_default()
}

/// How long the threads of this process have waited for a processor.
fn waited() -> Option<Duration> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let nanos = threads.filter_map(|thread| {
        let line = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(nanos.sum()))
}

fn waits(before: &Histograms, after: &Histograms, window: Duration) -> Vec<Wait> {
    let mut waits: Vec<Wait> =
        after.0.iter().filter_map(|(place, after)| after.since(before.0.get(place), place, window)).collect();
    waits.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    waits
}

fn ratio(seconds: f64, window: Duration) -> f64 {
    (seconds / window.as_secs_f64().max(1e-9) * 1e3).round() / 1e3
}

fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}

/// The histograms of [`PLACES`], by name and labels, as the page of metrics shows them.
#[derive(Debug, Default)]
struct Histograms(BTreeMap<String, Histogram>);

#[derive(Debug, Default)]
struct Histogram {
    who: &'static str,
    count: u64,
    sum: f64,
    /// Upper bounds, and how many were as short as that; the last bound is infinite.
    buckets: Vec<(f64, u64)>,
}

impl Histograms {
    fn read(page: &str) -> Self {
        let mut found = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            found.line(line);
        }
        found
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_at_checked(line.find(['{', ' '])?)?;
        let (family, part) = name.rsplit_once('_')?;
        let (family, who) = PLACES.into_iter().find(|(known, _)| *known == family)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let labels = labels.trim_start_matches('{').trim_end_matches('}').split(',');
        let (bounds, labels): (Vec<&str>, Vec<&str>) =
            labels.filter(|label| !label.is_empty()).partition(|label| label.starts_with("le="));
        let place =
            if labels.is_empty() { family.to_owned() } else { format!("{family} {}", labels.join(" ")) };
        let histogram = self.0.entry(place).or_default();
        histogram.who = who;
        match part {
            "count" => histogram.count = value.parse().ok()?,
            "sum" => histogram.sum = value.parse().ok()?,
            "bucket" => {
                let bound = bounds.first()?.strip_prefix("le=")?.trim_matches('"');
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                histogram.buckets.push((bound, value.parse().ok()?));
            }
            _ => {}
        }
        Some(())
    }
}

impl Histogram {
    /// What came since `before`; nothing when nothing came.
    fn since(&self, before: Option<&Self>, place: &str, window: Duration) -> Option<Wait> {
        let (count, sum) = before.map_or((0, 0.0), |before| (before.count, before.sum));
        let (waits, seconds) = (self.count.saturating_sub(count), (self.sum - sum).max(0.0));
        if waits == 0 {
            return None;
        }
        let short = |at: usize, now: u64| {
            let then = before.and_then(|before| before.buckets.get(at)).map_or(0, |(_, then)| *then);
            now.saturating_sub(then)
        };
        let bound =
            self.buckets.iter().enumerate().find(|(at, (_, now))| short(*at, *now) * 100 >= waits * 99);
        #[expect(clippy::cast_precision_loss, reason = "so many waits do not fit into a window")]
        let mean = seconds / waits as f64;
        Some(Wait {
            place: place.to_owned(),
            who: self.who,
            waits,
            seconds: (seconds * 1e6).round() / 1e6,
            mean_ms: milliseconds(mean),
            p99_below_ms: bound.map(|(_, (bound, _))| milliseconds(*bound)).filter(|bound| bound.is_finite()),
            callers_waiting: ratio(seconds, window),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metrics, Sample};

    fn read(metrics: &Metrics) -> Histograms {
        Histograms::read(&metrics.render(Sample::default()))
    }

    #[tokio::test]
    async fn waits_are_what_came_within_the_window() {
        let metrics = Metrics::new();
        for _ in 0..1_000 {
            metrics.event_waited(Duration::from_secs(1));
        }
        let before = read(&metrics);
        for _ in 0..200 {
            metrics.event_waited(Duration::from_millis(3));
        }
        metrics.event_waited(Duration::from_millis(400));
        metrics.grant("log", "granted", 1, Duration::from_secs(4));
        let waits = waits(&before, &read(&metrics), Duration::from_secs(2));
        let [grant, events] = &waits[..] else { panic!("{waits:#?}") };
        assert_eq!(grant.place, r#"gauntlet_grant_duration_seconds adapter="log""#);
        assert_eq!((grant.waits, grant.callers_waiting), (1, 2.0));
        assert_eq!(events.place, r#"gauntlet_shard_wait_seconds kind="events""#);
        assert_eq!((events.waits, events.seconds, events.callers_waiting), (201, 1.0, 0.5));
        assert_eq!((events.mean_ms, events.p99_below_ms), (4.975, Some(4.0)));
    }

    /// A place whose histogram has another name by now would silently be empty for ever.
    #[tokio::test]
    async fn every_place_is_a_histogram_of_the_metrics() {
        let store = gauntlet_store::Figures { log_bytes: Some(1), ..Default::default() };
        let metrics = Metrics::new();
        metrics.call_waited(Duration::ZERO);
        metrics.grant("log", "granted", 1, Duration::ZERO);
        let statements = vec![("ping", gauntlet_store::Times::default())];
        let store = gauntlet_store::Figures { statements, ..store };
        let page = metrics.render(Sample { store, ..Sample::default() });
        let found = Histograms::read(&page);
        for (place, _) in PLACES {
            assert!(found.0.keys().any(|name| name.split(' ').next() == Some(place)), "{place}\n{page}");
        }
    }

    #[test]
    fn probes_keep_their_mean_and_the_longest() {
        let mut probes = Probes::default();
        for millis in [1, 2, 6] {
            probes.took(Duration::from_millis(millis));
        }
        assert_eq!((probes.count, probes.mean_ms, probes.max_ms), (3, 3.0, 6.0));
    }
}
