//! The server's `/metrics`: differences over the run, and a few figures over time.

use bytes::Bytes;
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

/// Scrapes a server.
pub(super) struct Metrics {
    http: Result<Http, Error>,
    first: Values,
    last: Values,
    last_at: f64,
    tracks: Vec<Track>,
    problem: String,
}

impl Metrics {
    pub(super) async fn start(http: Result<Http, Error>) -> Self {
        let tracks = TRACKS.map(|(name, unit, ..)| Track {
            name: name.to_owned(),
            unit: unit.to_owned(),
            points: Vec::new(),
        });
        let mut new = Self {
            http,
            first: Values::new(),
            last: Values::new(),
            last_at: 0.0,
            tracks: tracks.to_vec(),
            problem: String::new(),
        };
        if let Some(values) = new.scrape().await {
            new.first = values.clone();
            new.last = values;
        }
        new
    }

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

    pub(super) async fn look(&mut self, at: f64) {
        let Some(values) = self.scrape().await else { return };
        let span = at - self.last_at;
        for (track, (.., metric, label, growth)) in self.tracks.iter_mut().zip(TRACKS) {
            let now = sum(&values, metric, label);
            let value = if growth {
                now.zip(sum(&self.last, metric, label)).map(|(now, before)| (now - before) / span)
            } else {
                now
            };
            if let Some(value) = value.filter(|value| value.is_finite()) {
                track.points.push((at, value));
            }
        }
        self.last = values;
        self.last_at = at;
    }

    pub(super) async fn finish(mut self) -> Collected {
        // With what ended after the load.
        if let Some(values) = self.scrape().await {
            self.last = values;
        }
        let mut figures = Vec::new();
        for (name, value) in &self.last {
            // Gauges have no difference that means anything; buckets are for other tools.
            let counts = ["_total", "_count", "_sum"];
            let family = name.split('{').next().unwrap_or_default();
            if counts.iter().any(|end| family.ends_with(end)) {
                let difference = value - self.first.get(name).copied().unwrap_or_default();
                if difference != 0.0 {
                    figures.push(Figure { name: name.clone(), value: difference, unit: String::new() });
                }
            }
        }
        Collected {
            name: "server metrics".to_owned(),
            missing: self.problem,
            required: true,
            tracks: self.tracks.into_iter().filter(|track| !track.points.is_empty()).collect(),
            figures,
            statements: Vec::new(),
        }
    }
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
