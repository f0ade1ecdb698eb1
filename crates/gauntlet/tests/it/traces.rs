//! Spans of the real binary, as a collector gets them.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gauntlet_proto::{
    events::{Event, event, event_stream_client::EventStreamClient},
    service::{HealthCheckRequest, service_client::ServiceClient},
};
use gauntlet_testkit::{FakePlatform, Memory};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::Span,
};
use serde_json::{Value, json};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status};

use crate::{
    clients::{one, send, until},
    process::{Http, Process, channel, of},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const PLAYER: &str = "player-81d0";
const CLAIM: &str = "/v1/challenges/first-steps/goals/first-match/claim";

/// What was exported.
#[derive(Debug, Clone, Default)]
struct Received(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().expect("no panic").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a free port. It ends when it is dropped.
struct Collector {
    url: String,
    received: Received,
    _task: AbortOnDropHandle<()>,
}

impl Collector {
    #[expect(clippy::disallowed_methods, reason = "the handle that is kept ends the task")]
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Received::default();
        let service = TraceServiceServer::new(received.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        let serve = server.serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move { serve.await.expect("it serves") });
        Self { url, received, _task: AbortOnDropHandle::new(task) }
    }

    fn resources(&self) -> Vec<Resource> {
        let received = self.received.0.lock().expect("no panic");
        received.iter().flat_map(|one| &one.resource_spans).filter_map(|one| one.resource.clone()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.0.lock().expect("no panic");
        let scopes = received.iter().flat_map(|one| &one.resource_spans).flat_map(|one| &one.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn named(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// All that was sent, as it was sent.
    fn bytes(&self) -> Vec<u8> {
        self.received.0.lock().expect("no panic").iter().flat_map(prost::Message::encode_to_vec).collect()
    }
}

fn hex(id: &[u8]) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes it");
        text
    })
}

fn values(attributes: &[KeyValue]) -> HashMap<String, Value> {
    let value = |pair: &KeyValue| match pair.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(json!(text)),
        any_value::Value::IntValue(number) => Some(json!(number)),
        _ => None,
    };
    attributes.iter().filter_map(|pair| Some((pair.key.clone(), value(pair)?))).collect()
}

fn get(base: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = ureq::get(format!("{base}{path}")).header("x-mock-user-id", PLAYER);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    tokio::task::block_in_place(|| request.call()).expect("a reply").status().as_u16()
}

fn sqlite(folder: &tempfile::TempDir) -> String {
    format!("sqlite:{}", folder.path().join("g.db").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_one_trace_from_the_caller_to_the_reward_platform() {
    const SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let (folder, collector) = (tempfile::tempdir().expect("a folder"), Collector::start().await);
    let platform = FakePlatform::webhook(Memory::Keys { lifetime: Duration::from_secs(86_400) }, &[SECRET]);
    let url = platform.url();
    let server = Process::start(
        &sqlite(&folder),
        &[
            ["--otlp-endpoint", &collector.url, "--trace-ratio", "0"],
            ["--trace-service", "challenges", "--trace-attributes", "deployment.environment.name=test"],
            ["--rewards", "webhook", "--webhook-url", &url],
            ["--allow-mock-with-real-rewards", "--webhook-secret", SECRET, "--webhook-class=takes-key"],
        ]
        .concat(),
    );
    let client = Http { base: &server.http, player: PLAYER };
    assert_eq!(client.post("/v1/challenges/initialize", "").status, 200);
    let events = channel(&server.events).await;
    send(&events, one(PLAYER, "games_played", "event-1")).await.expect("counted");
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let request = ureq::post(format!("{}{CLAIM}", server.http))
        .header("x-mock-user-id", PLAYER)
        .header("content-type", "application/json")
        .header("traceparent", &parent)
        .header("tracestate", "vendor=7");
    tokio::task::block_in_place(|| request.send("")).expect("claimed");
    server.stop();

    let spans = collector.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "the others are not sampled: {spans:#?}");
    let route = "/challenge/v1/challenges/{challenge_id}/goals/{goal_id}/claim";
    let root = collector.named(&format!("POST {route}")).pop().unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!((hex(&root.parent_span_id).as_str(), root.kind), (SPAN, 2));
    assert_eq!(root.trace_state, "vendor=7");
    let said = values(&root.attributes);
    assert_eq!(said["http.request.method"], "POST");
    assert_eq!(said["http.route"], route);
    assert_eq!(said["http.response.status_code"], 200);
    let call = collector.named("POST").pop().expect("the call of the platform");
    assert_eq!((&call.parent_span_id, call.kind), (&root.span_id, 3));
    let seen = platform.requests().pop().expect("a call");
    assert_eq!(seen.headers["traceparent"], format!("00-{TRACE}-{}-01", hex(&call.span_id)));
    assert_eq!(seen.headers["tracestate"], "vendor=7");
    // The claim and its settlement each wait, and are in a batch that reads and commits.
    let (waits, batches) = (collector.named("shard.wait"), collector.named("shard.batch"));
    assert_eq!((waits.len(), batches.len()), (2, 2), "{spans:#?}");
    assert!(waits.iter().chain(&batches).all(|span| span.parent_span_id == root.span_id));
    let commits = collector.named("store.player.commit");
    assert_eq!(commits.len(), 2, "{spans:#?}");
    assert!(commits.iter().all(|commit| batches.iter().any(|batch| batch.span_id == commit.parent_span_id)));
    let resource = values(&collector.resources()[0].attributes);
    assert_eq!(resource["service.name"], "challenges");
    assert_eq!(resource["deployment.environment.name"], "test");

    let exported = collector.bytes();
    for secret in [PLAYER, "event-1", "first-match", SECRET] {
        let found = exported.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{secret} was exported: {spans:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_face_has_its_spans_and_callers_decide() {
    let (folder, collector) = (tempfile::tempdir().expect("a folder"), Collector::start().await);
    let server = Process::start(&sqlite(&folder), &["--otlp-endpoint", &collector.url, "--trace-ratio", "1"]);
    let browse = |headers: &[(&str, &str)]| assert_eq!(get(&server.http, "/v1/challenges", headers), 200);
    // The caller has decided against it, in each of the ways.
    let denied = [
        ("traceparent", format!("00-{TRACE}-{SPAN}-00")),
        ("b3", format!("{TRACE}-{SPAN}-0")),
        ("b3", "0".to_owned()),
        ("x-b3-sampled", "0".to_owned()),
    ];
    for (name, value) in &denied {
        browse(&[(name, value)]);
    }
    // Taken up in each of the ways; the last two characters tell them apart.
    let id = |end: &str| format!("{}{end}", &TRACE[2..]);
    browse(&[("traceparent", &format!("00-{}-{SPAN}-01", id("a1")))]);
    browse(&[("b3", &format!("{}-{SPAN}-1", id("a2")))]);
    browse(&[("x-b3-traceid", &id("a3")), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")]);
    // Malformed ones begin a trace.
    browse(&[("traceparent", "00-zz-1-01"), ("b3", "what")]);
    let health = of(PLAYER, HealthCheckRequest::default());
    ServiceClient::new(channel(&server.grpc).await).health_check(health).await.expect("healthy");
    let events = channel(&server.events).await;
    send(&events, one(PLAYER, "games_played", "event-1")).await.expect("counted");
    let stream = tokio_stream::iter((1..=3).map(|sequence| Event {
        sequence,
        event: Some(event::Event::StatItemUpdated(one(PLAYER, "games_played", &format!("s{sequence}")))),
    }));
    let mut acks = EventStreamClient::new(events).publish(stream).await.expect("a stream").into_inner();
    while acks.message().await.expect("acknowledged").is_some() {}
    server.stop();

    let named = |name: &str| collector.named(name);
    let browses = named("GET /challenge/v1/challenges");
    assert_eq!(browses.len(), 4, "{:#?}", collector.spans());
    for end in ["a1", "a2", "a3"] {
        let one = browses.iter().find(|span| hex(&span.trace_id) == id(end)).expect("the caller's trace");
        assert_eq!(hex(&one.parent_span_id), SPAN, "{end}");
    }
    assert_eq!(browses.iter().filter(|span| span.parent_span_id.is_empty()).count(), 1, "one new trace");
    let loads = named("store.player.load");
    assert!(browses.iter().all(|one| loads.iter().any(|load| load.parent_span_id == one.span_id)));
    let rpc = values(&named("service.Service/HealthCheck")[0].attributes);
    assert_eq!((&rpc["rpc.system"], &rpc["rpc.service"]), (&json!("grpc"), &json!("service.Service")));
    assert_eq!((&rpc["rpc.method"], &rpc["rpc.grpc.status_code"]), (&json!("HealthCheck"), &json!(0)));
    assert_eq!(named("accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage").len(), 1);
    let messages = named("gauntlet.events.v1.Event");
    let traces: std::collections::HashSet<_> = messages.iter().map(|one| one.trace_id.clone()).collect();
    assert_eq!((messages.len(), traces.len()), (3, 3), "each message is a trace of its own");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_costs_spans_and_one_line_of_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    // It takes connections and never answers: worse than one that refuses them.
    let url = format!("http://{}", dead.local_addr().expect("an address"));
    let log = folder.path().join("log");
    let server = Process::start_teed(
        &sqlite(&folder),
        &["--otlp-endpoint", &url, "--trace-ratio", "1"],
        fs::File::create(&log).expect("a file"),
    );
    let read = || fs::read_to_string(&log).expect("a log");
    let lost = |log: &String| log.matches("spans cannot be exported").count();
    // Beside one without traces: whatever else the machine does, both feel it.
    let plain_folder = tempfile::tempdir().expect("a folder");
    let plain = Process::start(&sqlite(&plain_folder), &[]);
    let timed = |server: &Process| {
        let asked = Instant::now();
        assert_eq!(get(&server.http, "/v1/challenges", &[]), 200);
        asked.elapsed()
    };
    let (with, without) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    until(
        async || {
            for _ in 0..50 {
                with.lock().expect("no panic").push(timed(&server));
                without.lock().expect("no panic").push(timed(&plain));
            }
            read()
        },
        |log| lost(log) > 0,
    )
    .await;
    let [with, without] = [with, without].map(|times| median(times.into_inner().expect("no panic")));
    let limit = 2 * without + Duration::from_millis(2);
    assert!(with < limit, "nobody waits for the collector: {with:?}, without traces {without:?}");
    let stopped = |server: Process| {
        let asked = Instant::now();
        server.stop();
        asked.elapsed()
    };
    let (with, without) = (stopped(server), stopped(plain));
    // Two seconds are given to the last spans; the rest is for a busy machine.
    assert!(with < without + Duration::from_secs(5), "the last spans are given up: {with:?}, {without:?}");
    let log = until(async || read(), |log| log.contains(r#""message":"stopped""#)).await;
    assert_eq!(lost(&log), 1, "once an outage: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_log_have_the_trace() {
    let (folder, collector) = (tempfile::tempdir().expect("a folder"), Collector::start().await);
    for traces in [&["--otlp-endpoint", &collector.url, "--trace-ratio", "0"][..], &[]] {
        let log = folder.path().join("log");
        let copy = fs::File::create(&log).expect("a file");
        let filter = ["--log-level", "info,gauntlet_server=debug"];
        let server = Process::start_teed(&sqlite(&folder), &[&filter[..], traces].concat(), copy);
        let parent = format!("00-{TRACE}-{SPAN}-00");
        assert_eq!(get(&server.http, "/v1/challenges", &[("traceparent", &parent)]), 200);
        assert_eq!(get(&server.http, "/v1/challenges", &[]), 200);
        server.stop();
        let stopped = |log: &String| log.contains(r#""message":"stopped""#);
        let text = until(async || fs::read_to_string(&log).expect("a log"), stopped).await;
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let spans: Vec<Value> = lines
            .filter(|line| line["fields"]["message"] == "answered")
            .map(|line| line["span"].clone())
            .collect();
        let [with, without] = &spans[..] else { panic!("{text}") };
        assert_eq!(with["trace_id"], TRACE, "also when it is not sampled");
        if traces.is_empty() {
            assert_eq!((&with["span_id"], &without["trace_id"]), (&Value::Null, &Value::Null));
        } else {
            assert!(with["span_id"].as_str().is_some_and(|id| id.len() == 16 && id != SPAN), "{with}");
            assert_eq!(without["trace_id"].as_str().map(str::len), Some(32));
        }
    }
    assert!(collector.spans().is_empty(), "{:#?}", collector.spans());
}
