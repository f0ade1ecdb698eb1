//! Archives: what goes out of one store and into another, and what is refused.

use std::io::BufReader;

use gauntlet_domain::{GrantEnd, GrantResult, JournalKind};
use gauntlet_store::{
    Due, PgOptions, PgStore, SqliteOptions, SqliteSource, SqliteStore, SqliteTarget, Store, Write,
    archive::{self, ArchiveError, Source, Summary},
};
use gauntlet_testkit::PgCluster;

use crate::make::{DAY, at, entry, grant_key, key, lease, order, player, receipt, small, write};

/// Two players with everything that a store can keep, and many without, so that there are several pages.
async fn fill(store: &dyn Store) {
    let goals: Vec<String> = (0..20).map(|number| format!("goal-{number}")).collect();
    store.intern_goals(&goals).await.expect("numbers");
    assert_eq!(store.register_catalogue("{\"challenges\": [] }\n", at(0)).await.expect("registered"), 1);
    assert_eq!(
        store.register_catalogue("two \u{e9} \"quoted\" \\ \u{1f3ae}", at(1)).await.expect("registered"),
        2
    );
    assert!(store.activate_catalogue(2, at(2)).await.expect("in use"));
    let full = |name: &str| Write {
        receipts: vec![receipt("a"), receipt("b")],
        orders: vec![order(1), order(2), order(3)],
        lease: Some(lease("one", 1000)),
        journal: vec![
            entry(1, JournalKind::Assigned, &[1, 2], 0),
            entry(2, JournalKind::Restarted, &[1, 2], 5),
        ],
        due: Due::At(at(77)),
        ..write(name, None, player(2))
    };
    let end = |goal, end| GrantResult { key: grant_key(goal), end };
    store.commit(&[full("ann"), full("\u{fc}nal, \"the\" \u{1f3ae}")]).await.expect("commits");
    // A generation of receipts that is not the one of a new database.
    assert!(store.rotate_receipts(at(DAY)).await.expect("rotates"));
    let ended = Write {
        receipts: vec![receipt("c")],
        results: vec![end(1, GrantEnd::Granted), end(2, GrantEnd::Uncertain("lost: \"?\"".to_owned()))],
        ..write("ann", Some(1), player(3))
    };
    store.commit(&[ended]).await.expect("commits");
    let many: Vec<Write> = (0..1_100)
        .map(|number| Write {
            journal: vec![entry(1, JournalKind::Assigned, &[1], number)],
            ..write(&format!("player-{number}"), None, small(1))
        })
        .collect();
    store.commit(&many).await.expect("commits");
}

async fn export(source: &mut dyn Source) -> (Vec<u8>, Summary) {
    let mut file = Vec::new();
    let mut last = (0, 0);
    let summary =
        archive::export(source, &mut file, &mut |done, of| last = (done, of)).await.expect("exports");
    assert_eq!(last.0, last.1, "all rows were told of");
    (file, summary)
}

async fn postgres() -> (gauntlet_testkit::Database, PgStore) {
    let database = PgCluster::shared().database().await;
    let options = PgOptions { max_connections: 2, ..PgOptions::new(database.url.clone()) };
    let store = PgStore::connect(&options).expect("fine options");
    store.migrate().await.expect("migrates");
    (database, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_sqlite_to_postgres_and_back_is_the_same_to_the_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("first.db"), folder.path().join("second.db"));
    let store = SqliteStore::open(&SqliteOptions::new(&first)).expect("opens");
    store.migrate().await.expect("migrates");
    fill(&store).await;
    // A running service does not keep it from being read.
    let mut source = SqliteSource::open(&first).expect("opens");
    assert!(source.in_use().await.expect("known"));
    let (file, summary) = export(&mut source).await;
    assert_eq!((summary.rows.players, summary.rows.grants, summary.rows.journal), (1_102, 6, 1_104));
    assert_eq!((summary.rows.receipts, summary.rows.older_receipts, summary.rows.due), (1, 2, 2));
    drop(source);
    store.close().await;

    let (_database, postgres) = postgres().await;
    let target = Box::new(postgres.target().await.expect("a target"));
    let read = archive::import(target, &mut BufReader::new(&*file), &mut |_| {}).await.expect("imports");
    assert_eq!(read, summary);
    let mut source = postgres.source().await.expect("a source");
    let (again, same) = export(&mut source).await;
    assert_eq!(same, summary);
    assert!(again == file, "PostgreSQL gives the same bytes");
    drop(source);

    let target = Box::new(SqliteTarget::open(&second).expect("a target"));
    archive::import(target, &mut BufReader::new(&*again), &mut |_| {}).await.expect("imports");
    let mut source = SqliteSource::open(&second).expect("opens");
    assert!(!source.in_use().await.expect("known"));
    assert!(export(&mut source).await.0 == file, "SQLite gives the same bytes");

    // What was moved goes on: the claims that were open, and the numbers of goals.
    let store = SqliteStore::open(&SqliteOptions::new(&second)).expect("opens");
    let due = store.take_due_grants(at(DAY), &lease("two", DAY + 1000), 10).await.expect("taken");
    assert_eq!(due.len(), 4);
    assert_eq!(store.intern_goals(&["goal-19".into(), "new".into()]).await.expect("numbers")["new"].0, 21);
    assert_eq!(store.used_catalogues(0).await.expect("versions"), [(2, at(2))]);
    let journal = store.journal(&key("ann"), 1, 9).await.expect("journal");
    assert_eq!(journal.iter().map(|row| &row.entry.progress[..]).collect::<Vec<_>>(), [&[-7, -7][..]]);
    store.close().await;
    postgres.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_or_cut_off_adds_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("first.db");
    let store = SqliteStore::open(&SqliteOptions::new(&path)).expect("opens");
    store.migrate().await.expect("migrates");
    fill(&store).await;
    let file =
        String::from_utf8(export(&mut SqliteSource::open(&path).expect("opens")).await.0).expect("text");
    store.close().await;
    let lines: Vec<&str> = file.lines().collect();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().join("\n") + "\n";
    let (_database, postgres) = postgres().await;
    for (name, text, wanted) in [
        ("no last line", without(lines.len() - 1), "was cut off"),
        ("half a line", file[..file.len() - 20].to_owned(), "was cut off"),
        ("a line is missing", without(40), "and there should be"),
        (
            "a number is changed",
            file.replacen("\"revision\":1,", "\"revision\":2,", 1),
            "the checksum differs",
        ),
        (
            "a line stands there twice",
            file.replacen(lines[40], &[lines[40]; 2].join("\n"), 1),
            "not in order",
        ),
        ("a field is unknown", file.replacen("\"revision\"", "\"vision\"", 1), "unknown field"),
        ("of another release", file.replacen("\"schema\":", "\"schema\":9", 1), "of form 1 and schema"),
        ("something else", "{}\n".to_owned(), "not the beginning of an archive"),
        ("nothing", String::new(), "was cut off"),
    ] {
        let target = Box::new(postgres.target().await.expect("a target"));
        let refused = archive::import(target, &mut BufReader::new(text.as_bytes()), &mut |_| {}).await;
        let told = refused.expect_err(name).to_string();
        assert!(told.contains(wanted), "{name}: {told}");
    }
    // After all of that it is as empty as before.
    let target = Box::new(postgres.target().await.expect("a target"));
    archive::import(target, &mut BufReader::new(file.as_bytes()), &mut |_| {}).await.expect("imports");
    let target = Box::new(postgres.target().await.expect("a target"));
    let refused = archive::import(target, &mut BufReader::new(file.as_bytes()), &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::NotEmpty(_))), "{refused:?}");
    postgres.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_names_what_differs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("first.db");
    let store = SqliteStore::open(&SqliteOptions::new(&path)).expect("opens");
    store.migrate().await.expect("migrates");
    // A grant that the document knows nothing of.
    let mut ann = player(1);
    ann.head.epoch = grant_key(1).epoch;
    let ordered =
        Write { orders: vec![order(1)], lease: Some(lease("one", 1000)), ..write("ann", None, ann) };
    store
        .commit(&[ordered, write("bob", None, small(1)), write("eve", None, player(1))])
        .await
        .expect("commits");
    let connection = rusqlite::Connection::open(&path).expect("opens");
    connection.execute("UPDATE player SET live = x'00' WHERE player = 'eve'", []).expect("damaged");
    let nobody = "INSERT INTO reward_grant SELECT 'carl', namespace, goal, cycle, epoch, challenge_id, goal_id, \
         reward_kind, reward_id, reward_quantity, state, attempt, lease_owner, lease_until, claimed_at, created_at, \
         updated_at, reason FROM reward_grant";
    connection.execute(nobody, []).expect("inserted");
    drop(connection);
    let mut source = SqliteSource::open(&path).expect("opens");
    let report = archive::audit(&mut source, &mut |_, _| {}).await.expect("audits");
    assert_eq!((report.players, report.grants, report.mismatches), (3, 2, 3), "{report:?}");
    for (line, wanted) in report.first.iter().zip([
        "game/ann goal goal-1, cycle 3: there is an open grant",
        "game/carl goal goal-1: a grant of nobody",
        "eve",
    ]) {
        assert!(line.contains(wanted), "{line}");
    }
    drop(source);
    store.close().await;
}
