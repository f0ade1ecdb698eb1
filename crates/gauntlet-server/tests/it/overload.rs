//! Too much to do, too little time, and peers who are slow on purpose.

use std::time::Duration;

use gauntlet_proto::{
    events::{Event, event, event_stream_client::EventStreamClient},
    service::{GetChallengesRequest, InitializeRequest, service_client::ServiceClient},
    statistic::{
        StatItem, StatItemUpdated,
        statistic_stat_item_updated_service_client::StatisticStatItemUpdatedServiceClient as StatClient,
    },
};
use tokio_stream::StreamExt as _;
use tonic::{Code, transport::Channel};

mod goodput;
mod rig;
mod slow_peers;

use rig::{Rig, ask};

async fn channel(to: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{to}")).unwrap().connect().await.expect("connects")
}

fn of<T>(player: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-mock-user-id", player.parse().unwrap());
    request
}

fn kills(player: &str) -> StatItemUpdated {
    let payload = StatItem { stat_code: "kills".into(), latest_value: 3.0, ..StatItem::default() };
    StatItemUpdated { user_id: player.into(), payload: Some(payload), ..StatItemUpdated::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_class_refuses_before_any_work_and_the_others_go_on() {
    let rig = Rig::start(|config| {
        config.admission.reads = 2;
        config.admission.writes = 1;
    })
    .await;
    rig.store.hold();
    let asked = rig.store.asked().len();
    let reads = async { tokio::join!(rig.browse("a"), rig.browse("b")) };
    let others = async {
        rig.store.holds(2).await;
        let refused = rig.browse("c").await;
        assert!(refused.is(429, "OVERLOADED"), "{refused:?}");
        assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
        let mut grpc = ServiceClient::new(channel(rig.grpc()).await);
        let refused = grpc.get_user_challenges(of("c", GetChallengesRequest::default())).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        assert_eq!(refused.metadata().get("retry-after").unwrap(), "1");
        for (to, path) in [
            (rig.http(), "/healthz"),
            (rig.server.addresses().ops, "/healthz"),
            (rig.server.addresses().ops, "/readyz"),
            (rig.server.addresses().ops, "/metrics"),
        ] {
            assert_eq!(ask(to, "GET", path, "c", "").await.status, 200, "{path}");
        }
        assert_eq!(rig.store.asked().len(), asked + 2, "what is refused asks the store for nothing");
        let write = rig.initialize("d", "");
        let release = async {
            rig.store.holds(3).await;
            let refused = rig.initialize("e", "").await;
            assert!(refused.is(429, "OVERLOADED"), "{refused:?}");
            rig.store.release();
        };
        tokio::join!(write, release).0
    };
    let ((first, second), write) = tokio::join!(reads, others);
    assert_eq!((first.status, second.status, write.status), (200, 200, 200), "{write:?}");
    assert_eq!(rig.browse("c").await.status, 200, "places are given back");
    assert_eq!(rig.initialize("e", "").await.status, 200);
    assert!(rig.figure("gauntlet_sheds_total{kind=\"reads\"}").await >= 2.0);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_class_of_events_refuses_calls_and_single_events_of_streams() {
    let rig = Rig::start(|config| config.admission.events = 1).await;
    let channel = channel(rig.events()).await;
    let (mut calls, mut streams) = (StatClient::new(channel.clone()), EventStreamClient::new(channel));
    let mut refused = calls.clone();
    rig.store.hold();
    let release = async {
        rig.store.holds(1).await;
        let status = refused.on_message(kills("b")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        let events =
            [1, 2].map(|sequence| Event { sequence, event: Some(event::Event::StatItemUpdated(kills("c"))) });
        let answers = streams.publish(tokio_stream::iter(events)).await.expect("a stream takes no place");
        let answers: Vec<_> = answers.into_inner().collect().await;
        for answer in answers {
            let answer = answer.expect("the stream goes on");
            assert_eq!((answer.code, answer.reason.as_str()), (8, "OVERLOADED"));
        }
        rig.store.release();
    };
    let (counted, ()) = tokio::join!(calls.on_message(kills("a")), release);
    counted.expect("it had the place");
    calls.on_message(kills("b")).await.expect("the place is free again");
    assert!(rig.figure("gauntlet_sheds_total{kind=\"events\"}").await >= 3.0);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_has_passed_does_no_work() {
    let rig = Rig::start(|_| {}).await;
    let asked = rig.store.asked().len();
    for headers in ["grpc-timeout: 0m\r\n", "grpc-timeout: 0S\r\n", "grpc-timeout: 1n\r\n"] {
        let late = rig.initialize("late", headers).await;
        assert!(late.is(504, "DEADLINE_EXCEEDED"), "{late:?}");
    }
    let mut grpc = ServiceClient::new(channel(rig.grpc()).await);
    let mut request = of("late", InitializeRequest::default());
    request.metadata_mut().insert("grpc-timeout", "1n".parse().unwrap());
    let late = grpc.initialize_player(request).await.unwrap_err();
    // The client watches its deadline too, and calls it so when it is the first to notice.
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    assert_eq!(rig.store.asked().len(), asked, "the store was not asked");
    rig.server.stop().await;
}

/// A call that goes through the player's shard, whatever it comes to.
async fn select(rig: &Rig, player: &str, headers: &str) -> rig::Answer {
    ask(rig.http(), "POST", "/challenge/v1/challenges/c/goals/batch-select", player, headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_past_its_deadline_is_not_begun() {
    let rig = Rig::start(|_| {}).await;
    rig.store.hold();
    let first = select(&rig, "first", "");
    let rest = async {
        rig.store.holds(1).await;
        // It waits in the shard's queue, behind the first.
        let late = select(&rig, "late", "grpc-timeout: 50m\r\n").await;
        assert!(late.is(504, "DEADLINE_EXCEEDED"), "{late:?}");
        rig.store.release();
    };
    tokio::join!(first, rest);
    select(&rig, "last", "").await;
    let asked = rig.store.asked();
    assert!(asked.contains(&"last".to_owned()) && !asked.contains(&"late".to_owned()), "{asked:?}");
    assert!(rig.figure("gauntlet_sheds_total{kind=\"late\"}").await >= 1.0);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_longer_than_the_deadline_refuses_at_once() {
    let rig = Rig::start(|_| {}).await;
    // The shard learns that a batch takes at least so long; those that wait share the next one.
    let slow = Duration::from_millis(400);
    rig.store.hold();
    let teach = async {
        rig.store.holds(1).await;
        tokio::time::sleep(slow).await;
        rig.store.release();
    };
    tokio::join!(select(&rig, "slow", ""), teach);
    rig.store.hold();
    let waiting = async {
        tokio::join!(select(&rig, "a", ""), async {
            rig.store.holds(1).await;
            tokio::join!(select(&rig, "b", ""), select(&rig, "c", ""), async {
                while rig.figure("gauntlet_queue_operations{kind=\"calls\"}").await < 2.0 {}
                let refused = select(&rig, "d", "grpc-timeout: 300m\r\n").await;
                assert!(refused.is(429, "OVERLOADED"), "{refused:?}");
                let patient = async { select(&rig, "e", "grpc-timeout: 30S\r\n").await };
                let release = async {
                    while rig.figure("gauntlet_queue_operations{kind=\"calls\"}").await < 3.0 {}
                    rig.store.release();
                };
                let (patient, ()) = tokio::join!(patient, release);
                assert!(!patient.is(429, "OVERLOADED"), "{patient:?}");
            });
        });
    };
    waiting.await;
    assert!(!rig.store.asked().contains(&"d".to_owned()));
    assert!(rig.figure("gauntlet_sheds_total{kind=\"deadline\"}").await >= 1.0);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_has_a_deadline_of_its_own() {
    let rig = Rig::start(|config| {
        config.admission.read_time = Duration::from_millis(100);
        config.admission.write_time = Duration::from_millis(100);
    })
    .await;
    rig.store.hold();
    // A caller's longer deadline does not help.
    let (read, write) = tokio::join!(rig.browse("a"), rig.initialize("b", "grpc-timeout: 1H\r\n"));
    assert!(read.is(504, "DEADLINE_EXCEEDED"), "{read:?}");
    assert!(write.is(504, "DEADLINE_EXCEEDED"), "{write:?}");
    rig.store.release();
    rig.server.stop().await;
}
