//! The generator against a real server of the product's stack.

use gauntlet_domain::catalogue::LOAD_STATS;

use super::*;
use crate::{
    floors::echo::{self, REFUSED_PLAYER},
    requests::{Events, Http, PUBLISH_PATH, STAT_PATH},
};

/// Serves the echo in this process while `test` runs.
fn with_echo(bytes: usize, test: impl FnOnce(SocketAddr)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = tokio_util::sync::CancellationToken::new();
    let options = gauntlet_server::net::NetOptions::default();
    let router = echo::router(bytes);
    let stopped = stop.clone();
    let server =
        runtime.spawn(async move { gauntlet_server::net::serve(listener, router, &options, stopped).await });
    test(address);
    stop.cancel();
    runtime.block_on(server).expect("the echo ends well");
}

fn plan(address: SocketAddr, protocol: Protocol, pressure: Pressure) -> Plan {
    Plan {
        address,
        protocol,
        connections: 3,
        pressure,
        warm_up: Duration::from_millis(20),
        length: Duration::from_millis(300),
        kinds: 1,
    }
}

fn unary() -> Protocol {
    Protocol::Grpc(vec![STAT_PATH.to_owned()])
}

#[test]
fn every_protocol_gets_its_answers() {
    // Longer than the buffers, so that replies come in pieces.
    with_echo(700_000, |address| {
        let mut events = Events::new(100, &LOAD_STATS).expect("prepared");
        let mut http = Http::new("GET", "/static", "", 0).expect("prepared");
        let publish = Protocol::Publish(PUBLISH_PATH.to_owned());
        for (protocol, streams) in [(unary(), 50), (publish, 700), (Protocol::Http1(200), 1)] {
            let http1 = matches!(protocol, Protocol::Http1(_));
            let source: &mut dyn Source = if http1 { &mut http } else { &mut events };
            let mut asked = 0;
            let plan =
                Plan { length: Duration::from_secs(1), ..plan(address, protocol, Pressure::Closed(streams)) };
            let outcome = run(&plan, source, &mut || {
                asked += 1;
                Ok(asked)
            })
            .expect("a good run");
            assert!(outcome.calls > 0, "{:?}", plan.protocol);
            assert_eq!(outcome.calls, outcome.times[0].len());
            assert_eq!(outcome.samples, (1, 2));
            assert!(outcome.seconds > 0.9, "{}", outcome.seconds);
        }
    });
}

#[test]
fn a_count_is_a_count() {
    with_echo(0, |address| {
        let mut events = Events::new(100, &LOAD_STATS).expect("prepared");
        let outcome =
            run(&plan(address, unary(), Pressure::Count(70)), &mut events, &mut || Ok(())).expect("a run");
        assert_eq!(outcome.calls, 210);
    });
}

#[test]
fn an_open_load_begins_what_was_planned() {
    with_echo(0, |address| {
        let mut events = Events::new(100, &LOAD_STATS).expect("prepared");
        let outcome = run(&plan(address, unary(), Pressure::Open(1_000.0)), &mut events, &mut || Ok(()))
            .expect("a run");
        assert_eq!(outcome.calls, 300, "300 ms at 1,000 a second, whatever the machine does meanwhile");
    });
}

/// A source that makes the echo refuse.
struct Refused(Vec<u8>);

impl Source for Refused {
    fn next(&mut self) -> Call<'_> {
        Call { kind: 0, path: 0, player: b"somebody", body: &self.0 }
    }
}

#[test]
fn calls_that_fail_end_the_run() {
    let event = gauntlet_proto::statistic::StatItemUpdated {
        user_id: REFUSED_PLAYER.to_owned(),
        ..Default::default()
    };
    with_echo(0, |address| {
        let mut refused = Refused(prost::Message::encode_to_vec(&event));
        let failed = |protocol, source: &mut dyn Source| {
            let failure = run(&plan(address, protocol, Pressure::Closed(2)), source, &mut || Ok(()));
            failure.map(|outcome| outcome.calls).expect_err("it fails").to_string()
        };
        let status = failed(unary(), &mut refused);
        assert!(status.contains("grpc-status 8"), "{status}");
        let missing = failed(Protocol::Grpc(vec!["/no.Such/Method".to_owned()]), &mut refused);
        assert!(missing.contains("grpc-status"), "{missing}");
        let mut not_taken = Http::new("POST", "/static", "", 0).expect("prepared");
        let status = failed(Protocol::Http1(200), &mut not_taken);
        assert!(status.contains("405"), "{status}");
    });
}
