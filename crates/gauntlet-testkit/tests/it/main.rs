//! The private server starts, keeps data over a crash, and leaves nothing behind.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "all of it is test code, helpers included")]

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use gauntlet_testkit::PgCluster;

async fn data_folder(database: &gauntlet_testkit::Database) -> PathBuf {
    let client = database.client().await;
    let row = client.query_one("SHOW data_directory", &[]).await.expect("SHOW");
    PathBuf::from(row.get::<_, String>(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_empty_and_apart() {
    let (one, other) = (PgCluster::shared().database().await, PgCluster::shared().database().await);
    assert_ne!(one.name, other.name);
    one.client().await.batch_execute("CREATE TABLE t (a int)").await.expect("in the first");
    other.client().await.batch_execute("CREATE TABLE t (a int)").await.expect("in the second");
    let row = one
        .client()
        .await
        .query_one("SELECT current_setting('fsync') || current_setting('synchronous_commit')", &[])
        .await
        .expect("settings");
    assert_eq!(row.get::<_, String>(0), "onon");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_keeps_what_was_committed_over_a_crash_and_goes_away_when_dropped() {
    let cluster = PgCluster::private();
    let database = cluster.database().await;
    let folder = data_folder(&database).await;
    database.client().await.batch_execute("CREATE TABLE t AS SELECT 7 AS a").await.expect("written");
    cluster.stop();
    assert!(tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await.is_err(), "it is stopped");
    cluster.start();
    let row = database.client().await.query_one("SELECT a FROM t", &[]).await.expect("read");
    assert_eq!(row.get::<_, i32>(0), 7);
    cluster.restart();
    database.client().await.query_one("SELECT a FROM t", &[]).await.expect("read again");
    drop(cluster);
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_takes_settings_and_tells_its_first_process() {
    let cluster = PgCluster::private_with(&[("work_mem", "'7MB'"), ("checkpoint_timeout", "'1h'")]);
    let client = cluster.database().await.client().await;
    let query = "SELECT current_setting('work_mem') || ' ' || current_setting('checkpoint_timeout')";
    let row = client.query_one(query, &[]).await.expect("settings");
    assert_eq!(row.get::<_, String>(0), "7MB 1h");
    let name = std::fs::read_to_string(format!("/proc/{}/comm", cluster.postmaster())).expect("it runs");
    assert_eq!(name.trim(), "postgres");
}

/// Set in the child process of the test below.
const VICTIM: &str = "GAUNTLET_TESTKIT_VICTIM";

/// Starts a server, says where, and waits to be killed.
async fn be_the_victim() {
    let database = PgCluster::shared().database().await;
    println!("\ndata folder: {}", data_folder(&database).await.display());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "one test in two processes: the child is told by its environment"
)]
async fn killing_the_process_takes_the_server_along() {
    if std::env::var_os(VICTIM).is_some() {
        return be_the_victim().await;
    }
    let mut victim = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "killing_the_process_takes_the_server_along", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let output = BufReader::new(victim.stdout.take().expect("its output"));
    let folder = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("data folder: ").map(PathBuf::from))
        .expect("it names its folder");
    assert!(folder.join("postmaster.pid").exists(), "the server runs");
    victim.kill().expect("SIGKILL");
    victim.wait().expect("dead");
    wait_until_gone(&folder);
}

fn wait_until_gone(folder: &Path) {
    let begun = Instant::now();
    while folder.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} is left", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
