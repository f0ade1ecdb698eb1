//! Where the PostgreSQL server and PgBouncer are installed, and as whom it can run.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder with `initdb` and `pg_ctl`. Looks in `PATH`, asks `pg_config`, looks where Debian
/// puts it (newest first), and as root installs it at last.
pub(crate) fn folder() -> PathBuf {
    if let Some(found) = find() {
        return found;
    }
    if uid() == 0 {
        install("postgresql");
        if let Some(found) = find() {
            return found;
        }
    }
    panic!(
        "no PostgreSQL server found: neither in PATH, nor by pg_config, nor in /usr/lib/postgresql. \
         The tests run a private server; install it (Debian: apt-get install postgresql) and run them again"
    );
}

/// The program `pgbouncer`. Looks in `PATH` and where Debian puts it, and as root installs it at last.
pub(crate) fn pgbouncer() -> PathBuf {
    let find = || {
        let folders = in_path().into_iter().chain([PathBuf::from("/usr/sbin")]);
        folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
    };
    if let Some(found) = find() {
        return found;
    }
    if uid() == 0 {
        install("pgbouncer");
        if let Some(found) = find() {
            return found;
        }
    }
    panic!(
        "no PgBouncer found, neither in PATH nor in /usr/sbin. The tests run one in front of their private \
         server; install it (Debian: apt-get install pgbouncer) and run them again"
    );
}

fn find() -> Option<PathBuf> {
    in_path()
        .into_iter()
        .chain(by_pg_config())
        .chain(by_debian())
        .find(|folder| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file()))
}

#[expect(clippy::disallowed_methods, reason = "PATH is how programs are found; this is test support")]
fn in_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn by_debian() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

#[expect(clippy::print_stderr, reason = "installing takes a while and changes the machine: say so")]
fn install(package: &str) {
    eprintln!("gauntlet-testkit: {package} is not installed; running apt-get install -y {package}");
    // Other test processes may be installing it at the same time.
    let wait = ["-o", "DPkg::Lock::Timeout=300"];
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", package]] {
        let status = Command::new("apt-get")
            .args(wait)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(std::process::Stdio::null())
            .status();
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            eprintln!("gauntlet-testkit: apt-get {} failed: {status:?}", arguments.join(" "));
        }
    }
}

/// A user of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Who the server runs as when it is not us: it refuses to run as root.
pub(crate) fn server_user() -> Option<User> {
    (uid() == 0).then(|| User { uid: id(&["-u", "postgres"]), gid: id(&["-g", "postgres"]) })
}

fn uid() -> u32 {
    id(&["-u"])
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output();
    output
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_else(|| panic!("`id {}` names no user", arguments.join(" ")))
}

/// A command of the server's, run as the server's user.
pub(crate) fn command(program: &Path, user: Option<User>) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    // The current folder may be closed to that user.
    command.current_dir("/").stdin(std::process::Stdio::null());
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}
