//! Processes, from `/proc`: CPU, memory, threads, open files.

use std::fs;

use super::{Collected, Figure, Track};

/// `/proc` counts CPU time in hundredths of a second, on every Linux of ours.
const TICKS: f64 = 100.0;

/// CPU seconds of this process; `None`: the system does not tell.
pub(crate) fn own_cpu() -> Option<f64> {
    look_at(std::process::id()).ok().map(|seen| seen.cpu)
}

struct Seen {
    cpu: f64,
    threads: f64,
    memory: f64,
    files: f64,
}

fn look_at(pid: u32) -> Result<Seen, String> {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/{pid}/{name}")).map_err(|error| format!("process {pid}: {error}"))
    };
    let stat = read("stat")?;
    // The name of the program stands in parentheses and may contain anything.
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let status = read("status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes: f64 = resident.trim().trim_end_matches("kB").trim().parse().unwrap_or_default();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Ok(Seen {
        cpu: (field(11) + field(12)) / TICKS,
        threads: field(17),
        memory: kilobytes * 1024.0,
        files: crate::units::float(u64::try_from(files).unwrap_or_default()),
    })
}

/// The most memory that a process has had since its beginning, also between two looks.
fn peak(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

/// A process that is watched.
pub(super) struct Watched {
    name: String,
    pid: u32,
    required: bool,
    problem: String,
    first: Option<(f64, f64)>,
    last: Option<(f64, f64)>,
    tracks: [Track; 4],
}

impl Watched {
    pub(super) fn new(name: &str, pid: u32, required: bool) -> Self {
        let track = |what: &str, unit: &str| Track {
            name: format!("{name}: {what}"),
            unit: unit.to_owned(),
            points: vec![],
        };
        let tracks =
            [track("CPU", "cores"), track("memory", "bytes"), track("threads", ""), track("open files", "")];
        Self { name: name.to_owned(), pid, required, problem: String::new(), first: None, last: None, tracks }
    }

    pub(super) fn look(&mut self, at: f64) {
        let seen = match look_at(self.pid) {
            Ok(seen) => seen,
            Err(problem) => {
                self.problem = problem;
                return;
            }
        };
        if let Some((before, cpu)) = self.last
            && at > before
        {
            self.tracks[0].points.push((at, (seen.cpu - cpu) / (at - before)));
        }
        self.first.get_or_insert((at, seen.cpu));
        self.last = Some((at, seen.cpu));
        for (track, value) in self.tracks[1..].iter_mut().zip([seen.memory, seen.threads, seen.files]) {
            track.points.push((at, value));
        }
    }

    pub(super) fn finish(self) -> Collected {
        let mut figures = Vec::new();
        if let (Some((from, before)), Some((to, after))) = (self.first, self.last)
            && to > from
        {
            let cores = (after - before) / (to - from);
            figures.push(Figure { name: "CPU".to_owned(), value: cores, unit: "cores".to_owned() });
        }
        for (track, name) in self.tracks.iter().zip(["", "memory", "threads", "open files"]).skip(1) {
            let most = track.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
            figures.push(Figure { name: format!("{name}, at most"), value: most, unit: track.unit.clone() });
        }
        if let Some(peak) = peak(self.pid) {
            figures.push(Figure { name: "memory, peak".to_owned(), value: peak, unit: "bytes".to_owned() });
        }
        Collected {
            name: format!("process: {}", self.name),
            missing: self.problem,
            required: self.required,
            tracks: self.tracks.into_iter().filter(|track| !track.points.is_empty()).collect(),
            figures,
            statements: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_is_said_to_be() {
        let mut gone = Watched::new("gone", u32::MAX, true);
        gone.look(1.0);
        assert!(gone.finish().missing.contains("process 4294967295"));
        let mut me = Watched::new("me", std::process::id(), true);
        me.look(0.0);
        me.look(1.0);
        let found = me.finish();
        assert_eq!((found.missing.as_str(), found.tracks.len()), ("", 4));
        assert!(found.figures.iter().any(|figure| figure.name == "memory, at most" && figure.value > 1e6));
    }
}
