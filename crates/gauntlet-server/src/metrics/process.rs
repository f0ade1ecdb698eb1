//! What the operating system says about this process. Only Linux tells it in files; elsewhere the
//! figures are left out.

use std::fs;

/// Figures of the process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) started_at: f64,
    pub(super) threads: u64,
    pub(super) open_files: u64,
    pub(super) max_files: u64,
}

/// The unit of times in `/proc`, the same on every Linux.
const TICKS: f64 = 100.0;

impl Process {
    /// Reads them; `None`: there is no such thing here.
    pub(super) fn read() -> Option<Self> {
        let text = |path: &str| fs::read_to_string(path).ok();
        let (stat, status) = (text("/proc/self/stat")?, text("/proc/self/status")?);
        let open = fs::read_dir("/proc/self/fd").ok()?.count();
        Self::parse(&stat, &status, &text("/proc/self/limits")?, &text("/proc/stat")?, open as u64)
    }

    fn parse(stat: &str, status: &str, limits: &str, system: &str, open_files: u64) -> Option<Self> {
        // Behind the program's name, which may hold anything; the first field there is the third.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let booted: f64 = word(system, "btime ", 0)?.parse().ok()?;
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS,
            resident_bytes: word(status, "VmRSS:", 0)?.parse::<u64>().ok()? * 1024,
            started_at: booted + ticks(22)? / TICKS,
            threads: word(status, "Threads:", 0)?.parse().ok()?,
            open_files,
            // Unlimited is as good as the largest number.
            max_files: word(limits, "Max open files", 0)?.parse().unwrap_or(u64::MAX),
        })
    }
}

/// A word behind a line's beginning.
fn word<'a>(text: &'a str, beginning: &str, at: usize) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(beginning))?.split_ascii_whitespace().nth(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_linux_are_read() {
        let stat = "7 (a) b) R 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 9 0 1200 0 0";
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t9\n";
        let limits = "Limit  Soft Limit\nMax open files            1024                 4096   files\n";
        let read = Process::parse(stat, status, limits, "cpu 1 2\nbtime 1000\n", 12);
        let expected = Process {
            cpu_seconds: 3.0,
            resident_bytes: 2 << 20,
            started_at: 1012.0,
            threads: 9,
            open_files: 12,
            max_files: 1024,
        };
        assert_eq!(read, Some(expected));
        assert_eq!(Process::parse("", status, limits, "", 0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_figures() {
        let seen = Process::read().expect("this is Linux");
        assert!(seen.resident_bytes > 1 << 20 && seen.threads > 0 && seen.open_files > 2, "{seen:?}");
        assert!(seen.started_at > 1.6e9 && seen.max_files >= seen.open_files, "{seen:?}");
    }
}
