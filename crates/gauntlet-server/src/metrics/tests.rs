use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use gauntlet_domain::GoalNumber;
use gauntlet_store::{Figures, PoolStatus, Times};

use super::{table::GROUPS, *};
use crate::clock::Clock as _;

const CATALOGUE: &str = r#"{"challenges":[{"id":"arena","name":"Arena","goals":[{"goalId":"kills","name":"Kills",
    "type":"absolute","eventSource":"statistic",
    "requirement":{"statCode":"kills","operator":">=","targetValue":5},
    "reward":{"type":"ITEM","rewardId":"hat","quantity":1}}]}]}"#;

/// Every figure has happened once.
fn busy() -> String {
    let metrics = Metrics::new();
    let route = Route { face: "http", method: "GET", route: "/v1/challenges" };
    let millisecond = Duration::from_millis(1);
    metrics.request(route, "OK", "OK", millisecond);
    metrics.event(EventKind::Stat, EventResult::Refused(Reason::Overloaded));
    metrics.event(EventKind::Stat, EventResult::Counted);
    metrics.malformed(EventKind::Unknown, "unreadable");
    metrics.event_lag(Duration::from_secs(2));
    metrics.call_waited(millisecond);
    metrics.batch(3);
    metrics.commit(millisecond);
    metrics.conflict();
    metrics.shed("queue");
    metrics.store_error(&StoreError::Unavailable { operation: "x", source: "y".into() });
    metrics.grant("log", "granted", 4, millisecond);
    metrics.grant_ended("log", GrantState::Uncertain);
    metrics.grants_held_back("log", "budget", 2);
    metrics.pending(2, Duration::from_secs(7));
    metrics.breaker("database", BreakerState::Open);
    let definition = gauntlet_domain::catalogue::parse(CATALOGUE).expect("a good catalogue");
    let numbers = [("kills".to_owned(), GoalNumber(1))].into();
    metrics.catalogue(&Catalogue::new::<std::hash::RandomState>(definition, 5, &numbers).expect("numbered"));
    metrics.reload(Reload::Taken);
    let times = Times { sum: 0.5, count: 2, buckets: vec![(0.25, 1), (f64::INFINITY, 1)] };
    let store = Figures {
        statements: vec![("player.load", times.clone())],
        pool_wait: times.clone(),
        pool_timeouts: 3,
        writer_wait: times.clone(),
        checkpoints: times.clone(),
        moves: times,
        log_bytes: Some(4096),
    };
    let pool = PoolStatus { limit: 10, open: 3, idle: 2, waiting: 1 };
    metrics.render(Sample { calls: 1, events: 2, pool, store })
}

#[tokio::test]
async fn figures_are_rendered_with_their_labels() {
    let text = busy();
    for line in [
        r#"gauntlet_events_total{kind="stat",result="OVERLOADED"} 1"#,
        r#"gauntlet_events_total{kind="stat",result="counted"} 1"#,
        r#"gauntlet_events_total{kind="login",result="unused"} 0"#,
        r#"gauntlet_requests_total{face="http",method="GET",route="/v1/challenges",code="OK",reason="OK"} 1"#,
        r#"gauntlet_request_duration_seconds_count{face="http",method="GET",route="/v1/challenges"} 1"#,
        r#"gauntlet_event_lag_seconds_bucket{le="1.0"} 0"#,
        r#"gauntlet_event_lag_seconds_bucket{le="5.0"} 1"#,
        r#"gauntlet_shard_wait_seconds_count{kind="calls"} 1"#,
        r#"gauntlet_queue_operations{kind="events"} 2"#,
        r#"gauntlet_pool_connections{kind="waiting"} 1"#,
        r#"gauntlet_pool_connections{kind="in_use"} 1"#,
        "gauntlet_pool_timeouts_total 3",
        r#"gauntlet_store_statement_duration_seconds_bucket{le="0.25",operation="player.load"} 1"#,
        r#"gauntlet_store_statement_duration_seconds_bucket{le="+Inf",operation="player.load"} 2"#,
        "gauntlet_sqlite_log_size_bytes 4096",
        r#"gauntlet_grant_attempts_total{adapter="log",attempt="more"} 1"#,
        r#"gauntlet_grants_ended_total{adapter="log",state="uncertain"} 1"#,
        r#"gauntlet_breaker_state{dependency="database"} 2"#,
        r#"gauntlet_challenge_goals{challenge="arena"} 1"#,
        "gauntlet_catalogue_version 5",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line} is missing in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

/// Names, types and labels are those of the table, and nothing is shown that is not in it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_shown_is_what_the_table_says() {
    let text = busy();
    let rows = GROUPS.iter().flat_map(|(_, rows)| rows.iter());
    let promised: BTreeMap<String, &str> = rows.clone().map(|row| (row.family(), row.kind)).collect();
    let shown: BTreeMap<String, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind))
        .collect();
    assert_eq!(shown, promised);
    for row in rows {
        let family = row.family();
        let samples: Vec<&str> = text
            .lines()
            .filter(|line| {
                line.strip_prefix(family.as_str()).is_some_and(|rest| {
                    ["", "_total", "_info", "_sum", "_count", "_bucket"]
                        .iter()
                        .any(|end| rest.strip_prefix(end).is_some_and(|rest| rest.starts_with(['{', ' '])))
                })
            })
            .collect();
        assert!(!samples.is_empty(), "{family}");
        let wanted: BTreeSet<&str> = row.labels.iter().copied().collect();
        for sample in samples {
            assert_eq!(labels(sample), wanted, "{sample}");
        }
    }
}

/// The labels of a sample, but for the bounds of histograms.
fn labels(sample: &str) -> BTreeSet<&str> {
    let Some((_, rest)) = sample.split_once('{') else { return BTreeSet::new() };
    let inside = rest.rsplit_once('}').expect("closed").0;
    let names = inside.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0));
    names.filter(|name| *name != "le").collect()
}

#[test]
fn handles_are_those_of_their_labels() {
    let metrics = Metrics::new();
    for kind in EventKind::ALL {
        for (at, result) in EventResult::USUAL.into_iter().enumerate() {
            metrics.event(kind, result);
            let counted = metrics.events.get_or_create_owned(&EventLabels::of(kind, result)).get();
            assert_eq!(
                (counted, metrics.usual_events[kind as usize][at].get()),
                (1, 1),
                "{kind:?} {result:?}"
            );
        }
    }
}

/// Not a test: says what the figures of one event cost, and what an event costs in all without
/// network and database, both in the profile that it is built with.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_figures_cost() {
    const EVENTS: u32 = 1_000_000;
    let metrics = Metrics::new();
    let route = Route { face: "grpc", method: "POST", route: "gauntlet.events.v1.Event" };
    let cpu = || process::Process::read().expect("Linux").cpu_seconds;
    let before = cpu();
    for _ in 0..EVENTS {
        let (asked, taken) = (Instant::now(), Instant::now());
        metrics.event_lag(taken - asked);
        metrics.event_waited(taken - asked);
        metrics.event(EventKind::Stat, EventResult::Counted);
        metrics.request(route, "OK", "OK", asked.elapsed());
    }
    let figures = Duration::from_secs_f64(cpu() - before) / EVENTS;

    let store = Arc::new(gauntlet_store::MemoryStore::new());
    let catalogue = crate::catalogue::prepare(&*store, CATALOGUE, crate::clock::SystemClock.now()).await;
    let parts = crate::Parts {
        store,
        catalogue: catalogue.expect("prepared"),
        adapter: Arc::new(crate::rewards::LogAdapter),
        clock: Arc::new(crate::clock::SystemClock),
        random: Arc::new(crate::clock::SystemRandom),
    };
    let server = crate::Server::start(crate::Config::loopback(), parts).await.expect("starts");
    let before = cpu();
    for batch in 0..EVENTS / 500 {
        let events = (0..500).map(|n| {
            let item = gauntlet_proto::statistic::StatItem {
                stat_code: "kills".into(),
                latest_value: f64::from(batch + n),
                ..Default::default()
            };
            server.ingest().stat(gauntlet_proto::statistic::StatItemUpdated {
                id: format!("{batch}-{n}"),
                user_id: format!("player-{n}"),
                payload: Some(item),
                ..Default::default()
            })
        });
        futures_util::future::join_all(events).await.into_iter().for_each(|done| done.expect("counted"));
    }
    let all = Duration::from_secs_f64(cpu() - before) / EVENTS;
    server.stop().await;
    let share = 100.0 * figures.as_secs_f64() / all.as_secs_f64();
    println!("figures of an event: {figures:?}; all of it: {all:?}; share {share:.1} %");
}
