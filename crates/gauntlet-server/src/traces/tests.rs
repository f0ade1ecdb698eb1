use std::sync::Mutex;

use opentelemetry_sdk::{error::OTelSdkResult, trace::SpanData};

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Keeps what has ended.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Kept {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|span| span.name.to_string()).collect()
    }
}

fn with(ratio: f64) -> (Traces, Kept) {
    let kept = Kept::default();
    (Traces::new(kept.clone(), Resource::builder_empty().build(), ratio, 7), kept)
}

fn parent(flags: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(caller::TRACEPARENT, format!("00-{TRACE}-{SPAN}-{flags}").parse().unwrap());
    headers.insert(caller::TRACESTATE, "v=1".parse().unwrap());
    headers
}

fn request() -> SpanBuilder {
    rpc("service.Service/HealthCheck")
}

fn injected() -> Option<String> {
    let mut headers = HeaderMap::new();
    open(request).inject(&mut headers);
    headers.get(caller::TRACEPARENT).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_callers_decision_is_honoured() {
    for (ratio, flags, spans) in [(0.0, "01", 2), (1.0, "00", 0), (1.0, "01", 2), (0.0, "00", 0)] {
        let (traces, kept) = with(ratio);
        let served = traces.serve(&parent(flags), request);
        let (trace, span) = served.ids();
        assert_eq!(trace.unwrap().to_string(), TRACE);
        assert_ne!(span.unwrap().to_string(), SPAN, "the work has a span of its own");
        let sent = within(served.here(), async { injected().unwrap() }).await;
        assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with(flags), "{sent}");
        assert!(!sent.contains(SPAN), "{sent}");
        served.grpc(14, "STORE_UNAVAILABLE");
        assert_eq!(kept.names().len(), spans, "{ratio} {flags}");
        let spans = kept.0.lock().unwrap();
        if let [outgoing, incoming] = &spans[..] {
            assert_eq!(incoming.parent_span_id.to_string(), SPAN);
            assert_eq!(outgoing.parent_span_id, incoming.span_context.span_id());
            assert!(sent.contains(&outgoing.span_context.span_id().to_string()));
            assert_eq!(incoming.span_context.trace_state().header(), "v=1");
            assert_eq!(incoming.status, Status::error(""));
        }
    }
}

#[tokio::test]
async fn a_share_of_the_others_is_sampled() {
    let (traces, kept) = with(0.25);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..4_000 {
        let served = traces.serve(&HeaderMap::new(), request);
        assert!(seen.insert(served.ids()), "ids do not come twice");
    }
    let share = kept.names().len();
    assert!((800..1_200).contains(&share), "{share}");
    assert!(below(0.0) == 0 && below(-1.0) == 0 && below(1.0) == u64::MAX && below(f64::NAN) == 0);
}

#[tokio::test]
async fn what_is_off_costs_nothing_and_passes_the_callers_trace_on() {
    let traces = Traces::default();
    let served = traces.serve(&HeaderMap::new(), || unreachable!("nobody looks at spans"));
    assert!(served.here().is_none());
    let served = traces.serve(&parent("01"), || unreachable!("nobody looks at spans"));
    assert_eq!(served.ids().0.unwrap().to_string(), TRACE);
    assert_eq!(served.ids().1, None, "there is no span of ours");
    let sent = within(served.here(), async { injected() }).await;
    assert_eq!(sent, Some(format!("00-{TRACE}-{SPAN}-01")));
    assert_eq!(injected(), None);
    assert_eq!(traces.own("work", async { injected() }).await, None);
}

#[tokio::test]
async fn a_batch_is_in_the_trace_of_each_of_its_requests() {
    let (traces, kept) = with(1.0);
    let begin = || async {
        let served = traces.serve(&HeaderMap::new(), request);
        within(served.here(), async { Queued::begin() }).await.unwrap()
    };
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(begin().await);
    }
    kept.0.lock().unwrap().clear();
    let (here, spans) = batch(40, waiting.into_iter());
    within(here, async { drop(statement("player.commit")) }).await;
    drop(spans);
    let spans = kept.0.lock().unwrap();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    assert_eq!(named("shard.wait").len(), 40);
    let (batches, commits) = (named("shard.batch"), named("store.player.commit"));
    assert_eq!((batches.len(), commits.len()), (queued::MAX_SHOWN, queued::MAX_SHOWN));
    for (batch, commit) in batches.iter().zip(commits) {
        assert_eq!(commit.parent_span_id, batch.span_context.span_id());
        assert_eq!(commit.span_context.trace_id(), batch.span_context.trace_id());
    }
    let (here, _) = batch(0, std::iter::empty());
    assert!(here.is_none());
}
