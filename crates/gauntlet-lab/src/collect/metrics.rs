//! `/metrics` of the server, of all its processes together: how much counters grew over the run, and a
//! few figures over time.

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;

use super::{Collected, Figure, Track, Values};
use crate::{Error, http::Http};

/// What is drawn over time: name of the track, unit, metric, a label that it must have, and whether
/// its growth a second is shown instead of its value.
const TRACKS: [(&str, &str, &str, &str, bool); 10] = [
    ("pool: connections in use", "", "gauntlet_pool_connections", "kind=\"in_use\"", false),
    ("pool: callers waiting", "", "gauntlet_pool_connections", "kind=\"waiting\"", false),
    ("pool: wait", "s/s", "gauntlet_pool_wait_seconds_sum", "", true),
    ("queues: calls", "", "gauntlet_queue_operations", "kind=\"calls\"", false),
    ("queues: events", "", "gauntlet_queue_operations", "kind=\"events\"", false),
    ("sheds", "1/s", "gauntlet_sheds_total", "", true),
    ("store errors", "1/s", "gauntlet_store_errors_total", "", true),
    ("pool time-outs", "1/s", "gauntlet_pool_timeouts_total", "", true),
    ("server CPU (own figure)", "cores", "process_cpu_seconds_total", "", true),
    ("server memory (own figure)", "bytes", "process_resident_memory_bytes", "", false),
];

/// What a counter's name ends with. Gauges have no difference that means anything; buckets are for
/// other tools.
const COUNTERS: [&str; 3] = ["_total", "_count", "_sum"];
/// Largest share of looks that a process may leave unanswered: one that is replaced misses a few.
const MOST_SILENT: f64 = 0.1;
/// When a process began: its counters begin again with it.
const BEGAN: &str = "process_start_time_seconds";

/// Scrapes the processes of a server, and adds them up.
pub(super) struct Metrics {
    processes: Vec<Process>,
    tracks: Vec<Track>,
}

/// One process.
struct Process {
    name: String,
    http: Result<Http, Error>,
    /// What it showed last, and when; `None`: nothing yet.
    last: Option<(f64, Values)>,
    /// How much each counter has grown since the start.
    grown: Values,
    /// How often it was asked.
    asked: u32,
    /// How often it did not answer, as a process that is being replaced, and why it last did not.
    silent: u32,
    problem: String,
}

/// What a process shows now.
struct Shown {
    values: Values,
    /// How much each counter has grown since it was asked before.
    growth: Values,
    /// How long ago that was, in seconds.
    span: f64,
}

impl Process {
    async fn scrape(&mut self) -> Option<Values> {
        let answer = match &self.http {
            Ok(http) => http.call(Method::GET, "/metrics", "", Bytes::new()).await,
            Err(error) => {
                self.problem = error.to_string();
                return None;
            }
        };
        match answer {
            Ok(reply) if reply.status == 200 => Some(parse(&String::from_utf8_lossy(&reply.body))),
            Ok(reply) => {
                self.problem = format!("/metrics answers HTTP {}", reply.status);
                None
            }
            Err(cause) => {
                self.problem = format!("/metrics: {}: {}", cause.class, cause.reason);
                None
            }
        }
    }

    async fn look(&mut self, at: f64) -> Option<Shown> {
        self.asked += 1;
        let scraped = self.scrape().await;
        self.silent += u32::from(scraped.is_none());
        let values = scraped?;
        let Some((before, last)) = self.last.replace((at, values.clone())) else {
            // What it counted before the run is not ours.
            return Some(Shown { values, growth: Values::new(), span: 0.0 });
        };
        let growth = growth(&values, &last);
        for (name, more) in &growth {
            *self.grown.entry(name.clone()).or_default() += more;
        }
        Some(Shown { values, growth, span: at - before })
    }

    /// Why its figures are not to be trusted, if they are not.
    fn missing(&self) -> Option<&str> {
        let share = f64::from(self.silent) / f64::from(self.asked.max(1));
        (share > MOST_SILENT).then_some(self.problem.as_str())
    }
}

impl Metrics {
    /// Asks processes for the first time, by name.
    pub(super) async fn start(processes: Vec<(String, Result<Http, Error>)>) -> Self {
        let tracks = TRACKS.map(|(name, unit, ..)| Track {
            name: name.to_owned(),
            unit: unit.to_owned(),
            points: Vec::new(),
        });
        let new = |(name, http)| Process {
            name,
            http,
            last: None,
            grown: Values::new(),
            asked: 0,
            silent: 0,
            problem: String::new(),
        };
        let mut metrics =
            Self { processes: processes.into_iter().map(new).collect(), tracks: tracks.to_vec() };
        metrics.ask(0.0).await;
        metrics
    }

    /// Asks all at once; answers those that answered.
    async fn ask(&mut self, at: f64) -> Vec<Shown> {
        let asked = self.processes.iter_mut().map(|process| process.look(at));
        join_all(asked).await.into_iter().flatten().collect()
    }

    pub(super) async fn look(&mut self, at: f64) {
        let shown = self.ask(at).await;
        for (track, (.., metric, label, growth)) in self.tracks.iter_mut().zip(TRACKS) {
            let of = |shown: &Shown| {
                if growth {
                    sum(&shown.growth, metric, label).map(|more| more / shown.span)
                } else {
                    sum(&shown.values, metric, label)
                }
            };
            let found: Vec<f64> = shown.iter().filter_map(of).collect();
            let value = found.iter().sum::<f64>();
            if !found.is_empty() && value.is_finite() {
                track.points.push((at, value));
            }
        }
    }

    pub(super) async fn finish(mut self) -> Collected {
        // With what ended after the load.
        self.ask(0.0).await;
        let mut grown = Values::new();
        for (name, more) in self.processes.iter().flat_map(|process| &process.grown) {
            *grown.entry(name.clone()).or_default() += more;
        }
        for Process { name, silent, .. } in &self.processes {
            grown.insert(format!("looks that {name} did not answer"), f64::from(*silent));
        }
        let figures = grown.into_iter().filter(|(_, value)| *value != 0.0);
        let alone = self.processes.len() == 1;
        let problems = self.processes.iter().filter_map(|process| {
            let problem = process.missing()?;
            Some(if alone { problem.to_owned() } else { format!("{}: {problem}", process.name) })
        });
        Collected {
            name: "server metrics".to_owned(),
            missing: problems.collect::<Vec<_>>().join("; "),
            required: true,
            tracks: self.tracks.into_iter().filter(|track| !track.points.is_empty()).collect(),
            figures: figures.map(|(name, value)| Figure { name, value, unit: String::new() }).collect(),
            statements: Vec::new(),
        }
    }
}

/// How much each counter has grown. One that fell, and all of a process that began anew, began
/// at 0.
fn growth(now: &Values, before: &Values) -> Values {
    let nothing = Values::new();
    let before = if now.get(BEGAN) == before.get(BEGAN) { before } else { &nothing };
    let is_counter = |name: &str| {
        let family = name.split('{').next().unwrap_or_default();
        COUNTERS.iter().any(|end| family.ends_with(end))
    };
    let more = |(name, now): (&String, &f64)| {
        let before = before.get(name).copied().filter(|before| before <= now).unwrap_or_default();
        (name.clone(), now - before)
    };
    now.iter().filter(|(name, _)| is_counter(name)).map(more).collect()
}

/// The sum of a metric over all its labels but those that must be there; `None`: there is none.
fn sum(values: &Values, metric: &str, label: &str) -> Option<f64> {
    let found: Vec<f64> = values
        .iter()
        .filter(|(name, _)| name.split('{').next() == Some(metric) && name.contains(label))
        .map(|(_, value)| *value)
        .collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

/// Reads the text format: `name{labels} value` a line.
fn parse(text: &str) -> Values {
    let line = |line: &str| {
        if line.starts_with('#') {
            return None;
        }
        // Labels may contain spaces.
        let end = line.rfind('}').map_or_else(|| line.find(' '), |at| Some(at + 1))?;
        let value = line[end..].split_whitespace().next()?.parse().ok()?;
        Some((line[..end].to_owned(), value))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_replaced_is_not_missing_and_one_that_is_away_is() {
        let process = |asked, silent| Process {
            name: "api".to_owned(),
            http: Err(Error::Address { url: String::new(), problem: String::new() }),
            last: None,
            grown: Values::new(),
            asked,
            silent,
            problem: "connection refused".to_owned(),
        };
        assert_eq!((process(20, 0).missing(), process(20, 2).missing()), (None, None));
        for (asked, silent) in [(20, 3), (2, 1), (1, 1)] {
            assert_eq!(process(asked, silent).missing(), Some("connection refused"));
        }
    }

    #[test]
    fn counters_grow_and_begin_again_with_their_process() {
        let page = |began: u32, calls: u32| {
            parse(&format!(
                "{BEGAN} {began}\ncalls_total{{a=\"b\"}} {calls}\nopen 9\nwait_bucket{{le=\"1\"}} 7\n"
            ))
        };
        let calls = |now: &Values, before: &Values| growth(now, before);
        let one = |value| Values::from([("calls_total{a=\"b\"}".to_owned(), value)]);
        assert_eq!(calls(&page(1, 12), &page(1, 10)), one(2.0));
        assert_eq!(calls(&page(2, 3), &page(1, 10)), one(3.0), "fewer than before");
        assert_eq!(calls(&page(2, 30), &page(1, 10)), one(30.0), "more than before, but a new process");
        assert_eq!(calls(&page(1, 4), &Values::from([(BEGAN.to_owned(), 1.0)])), one(4.0), "seen first now");
    }

    #[test]
    fn the_text_format_is_read() {
        let text = "# TYPE a counter\na_total{x=\"b c\",y=\"1\"} 3\na_total{x=\"d\",y=\"2\"} 4 # {t=\"1\"} 9\n\
                    up 1\n# EOF\n";
        // An exemplar ends with a brace of its own; the lab's server sends none, so it may be lost.
        let values = parse(text);
        assert_eq!(values.get("a_total{x=\"b c\",y=\"1\"}"), Some(&3.0));
        assert_eq!(values.get("up"), Some(&1.0));
        assert_eq!(sum(&values, "a_total", "x=\"b c\""), Some(3.0));
        assert_eq!(sum(&values, "b_total", ""), None);
    }
}
