//! Control groups (version 2): a container's processor time, memory and tasks, whatever processes
//! are in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Collected, Figure, Track};

/// A group that is watched.
pub(super) struct Group {
    name: String,
    folder: PathBuf,
    problem: String,
    first: Option<(f64, f64)>,
    last: Option<(f64, f64)>,
    throttled: Option<(f64, f64)>,
    tracks: [Track; 3],
}

struct Seen {
    cpu: f64,
    throttled: f64,
    memory: f64,
    tasks: f64,
}

fn look_at(folder: &Path) -> Result<Seen, String> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let stat = read("cpu.stat")?;
    let micros = |key: &str| {
        let value = stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        value.and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or_default() / 1e6
    };
    let number = |name: &str| read(name).map(|text| text.trim().parse().unwrap_or_default());
    Ok(Seen {
        cpu: micros("usage_usec"),
        throttled: micros("throttled_usec"),
        memory: number("memory.current")?,
        // The controller of tasks may be off.
        tasks: number("pids.current").unwrap_or_default(),
    })
}

impl Group {
    pub(super) fn new(name: &str, folder: &Path) -> Self {
        let track = |what: &str, unit: &str| Track {
            name: format!("{name}: {what}"),
            unit: unit.to_owned(),
            points: Vec::new(),
        };
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            problem: String::new(),
            first: None,
            last: None,
            throttled: None,
            tracks: [track("CPU", "cores"), track("memory", "bytes"), track("threads", "")],
        }
    }

    pub(super) fn look(&mut self, at: f64) {
        let seen = match look_at(&self.folder) {
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
        let throttled = self.throttled.get_or_insert((seen.throttled, seen.throttled));
        throttled.1 = seen.throttled;
        for (track, value) in self.tracks[1..].iter_mut().zip([seen.memory, seen.tasks]) {
            track.points.push((at, value));
        }
    }

    pub(super) fn finish(self) -> Collected {
        let figure = |name: &str, value: f64, unit: &str| Figure {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
        };
        let mut figures = Vec::new();
        if let (Some((from, before)), Some((to, after))) = (self.first, self.last)
            && to > from
        {
            figures.push(figure("CPU", (after - before) / (to - from), "cores"));
        }
        if let Some((before, after)) = self.throttled {
            figures.push(figure("time without processor, because of the group's limit", after - before, "s"));
        }
        for (track, name) in self.tracks[1..].iter().zip(["memory, at most", "threads, at most"]) {
            let most = track.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
            figures.push(figure(name, most, &track.unit));
        }
        Collected {
            name: format!("control group: {}", self.name),
            missing: self.problem,
            required: true,
            tracks: self.tracks.into_iter().filter(|track| !track.points.is_empty()).collect(),
            figures,
            ..Collected::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read_and_a_missing_one_said() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("cpu.stat", "usage_usec 1000000\nuser_usec 1\nthrottled_usec 500000\n");
        write("memory.current", "1048576\n");
        let mut group = Group::new("db", folder.path());
        group.look(1.0);
        write("cpu.stat", "usage_usec 4000000\nthrottled_usec 750000\n");
        group.look(3.0);
        let found = group.finish();
        assert_eq!(found.missing, "");
        let values: Vec<f64> = found.figures.iter().map(|figure| figure.value).collect();
        assert_eq!(values, [1.5, 0.25, 1_048_576.0, 0.0]);
        let mut gone = Group::new("gone", &folder.path().join("x"));
        gone.look(1.0);
        assert!(gone.finish().missing.contains("cpu.stat"));
    }
}
