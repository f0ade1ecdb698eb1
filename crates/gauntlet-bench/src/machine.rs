//! What processes use, from `/proc`.

use std::fs;

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};

use crate::{Failure, Result};

/// `/proc` counts CPU time in hundredths of a second, on every Linux of ours.
const TICKS: f64 = 100.0;

fn stat(pid: u32) -> Result<Vec<f64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|error| Failure::from(format!("process {pid} is gone: {error}")))?;
    // The name of the program stands in parentheses and may contain anything.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    Ok(after_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
}

fn ticks(fields: &[f64], numbers: std::ops::RangeInclusive<usize>) -> f64 {
    fields.get(numbers).map_or(0.0, |fields| fields.iter().sum::<f64>()) / TICKS
}

/// CPU seconds of a process, user and system.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    Ok(ticks(&stat(pid)?, 11..=12))
}

/// CPU seconds of a process, its children, and children that have ended and been waited for.
pub(crate) fn cpu_of_tree(pid: u32) -> Result<f64> {
    let mut sum = ticks(&stat(pid)?, 11..=14);
    for child in children(pid)? {
        // One that ends just now is counted by its parent the next time.
        sum += stat(child).map_or(0.0, |fields| ticks(&fields, 11..=14));
    }
    Ok(sum)
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "process ids are small")]
        let parent = stat(child).ok().and_then(|fields| fields.get(1).copied()).map(|parent| parent as u32);
        if parent == Some(pid) {
            found.push(child);
        }
    }
    Ok(found)
}

/// Resident memory of a process, in megabytes of 10^6 bytes.
pub(crate) fn resident(pid: u32) -> Result<f64> {
    status(pid, "VmRSS:")
}

/// A size in kilobytes of a process' status.
fn status(pid: u32, name: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.ok_or_else(|| format!("no {name} in the status of a process"))?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

/// Bytes that a process has had written to disks.
pub(crate) fn written(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes:")).ok_or("no write_bytes")?;
    Ok(line.trim().parse()?)
}

/// Most memory that a process ever had, in megabytes of 10^6 bytes.
pub(crate) fn peak(pid: u32) -> Result<f64> {
    status(pid, "VmHWM:")
}

/// Lets a process (`None`: this thread, and what it starts from now on) run on these cores only.
/// Threads and children that are there already stay where they are.
pub(crate) fn keep_on(pid: Option<u32>, cores: std::ops::Range<usize>) -> Result<()> {
    let mut set = CpuSet::new();
    cores.for_each(|core| set.set(core));
    let pid = pid.map(|pid| i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no process id"));
    Ok(sched_setaffinity(pid.transpose()?, &set)?)
}

/// How many cores there are.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How many cores there are, and the load of the last minute.
pub(crate) fn describe() -> String {
    let cores = cores();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{cores} cores, load {load}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_work_is_seen() {
        let me = std::process::id();
        // In this order: what is used between the two readings must not be missing from the second.
        let tree_before = cpu_of_tree(me).expect("alive");
        let before = cpu(me).expect("alive");
        let mut number = 1_u64;
        while cpu(me).expect("alive") < before + 0.05 {
            for _ in 0..100_000 {
                number = std::hint::black_box(number.wrapping_mul(3));
            }
        }
        assert!(cpu_of_tree(me).expect("alive") >= tree_before + 0.05);
        assert!(resident(me).expect("alive") > 1.0);
        assert!(cpu(u32::MAX).is_err());
    }
}
