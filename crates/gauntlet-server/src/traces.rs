//! Traces: spans of what a request goes through, for an OpenTelemetry collector.
//!
//! Nothing is installed in the log's path: a span is made where the work is, and only of requests
//! that are sampled. Every other request costs an id, and one without a trace nothing at all.
//! What goes into an attribute is written down here and in the faces, so that no player and no
//! secret gets into one.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue, StatusCode};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
        TraceId, TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanLimits, SpanProcessor},
};

mod caller;
mod describe;
mod queued;

pub(crate) use describe::{http_request, outgoing, rpc};
pub(crate) use queued::{Queued, batch};

/// Makes spans, or does not: the default is off.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// A request without a decision of its caller's is sampled when its number is below.
    below: u64,
    /// Where ids of what is not sampled come from, and the numbers that decide.
    ids: Ids,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Traces(on)" } else { "Traces(off)" })
    }
}

impl Traces {
    /// Traces that end at this processor. `ratio`: how many of the requests whose caller has not
    /// decided are sampled, 0 to 1. `random`: any number.
    #[must_use]
    pub fn new(processor: impl SpanProcessor + 'static, resource: Resource, ratio: f64, random: u64) -> Self {
        // Everything that the builder would otherwise take from the environment is said here.
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::AlwaysOn)
            .with_span_limits(SpanLimits::default())
            .with_resource(resource)
            .with_span_processor(processor)
            .build();
        let tracer = provider.tracer("gauntlet");
        let below = below(ratio);
        Self(Some(Arc::new(Inner { provider, tracer, below, ids: Ids::new(random) })))
    }

    fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sends what is left, for at most so long. Blocks: call it outside of the runtime's tasks.
    /// Spans that end later are dropped.
    pub fn shut_down(&self, within: Duration) {
        if let Some(inner) = &self.0
            && let Err(error) = inner.provider.shutdown_with_timeout(within)
        {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }

    /// A request came in: goes on with its caller's trace, or begins one. `describe` is asked when
    /// it is sampled.
    pub(crate) fn serve(&self, headers: &HeaderMap, describe: impl FnOnce() -> SpanBuilder) -> Served {
        let caller = caller::read(headers);
        let Some(inner) = &self.0 else {
            // Nobody looks at spans here. The caller's ids stand in the log and go on to others.
            let here = caller.context.map(|context| Here::new(self, context));
            return Served { here, span: None };
        };
        if caller.sampled.unwrap_or_else(|| inner.draws()) {
            let span = inner.start(describe(), caller.context.as_ref());
            let here = Here::new(self, span.span_context().clone());
            return Served { here: Some(here), span: Some(Box::new(span)) };
        }
        let context = inner.unsampled(caller.context.as_ref());
        Served { here: Some(Here::new(self, context)), span: None }
    }

    /// One of very many pieces of work, each of which is a trace of its own if it is sampled, and
    /// costs nothing if it is not.
    pub(crate) fn sometimes(&self, describe: impl FnOnce() -> SpanBuilder) -> Served {
        match &self.0 {
            Some(inner) if inner.draws() => {
                let span = inner.start(describe(), None);
                let here = Here::new(self, span.span_context().clone());
                Served { here: Some(here), span: Some(Box::new(span)) }
            }
            _ => Served::default(),
        }
    }

    /// Does work that the server does by itself, as a trace of its own if it is sampled.
    pub(crate) async fn own<F: Future>(&self, name: &'static str, work: F) -> F::Output {
        let served = self.sometimes(|| SpanBuilder::from_name(name));
        within(served.here(), work).await
    }
}

impl Inner {
    fn draws(&self) -> bool {
        self.below == u64::MAX || self.ids.next() < self.below
    }

    fn start(&self, builder: SpanBuilder, parent: Option<&SpanContext>) -> Span {
        let context = Context::new();
        let context = match parent {
            Some(parent) => context.with_remote_span_context(parent.clone()),
            None => context,
        };
        self.tracer.build_with_context(builder, &context)
    }

    /// Ids for a request that leaves no span: they stand in the log, and tell others the decision.
    fn unsampled(&self, parent: Option<&SpanContext>) -> SpanContext {
        let span = SpanId::from(self.ids.next());
        let (trace, flags, state) = if let Some(parent) = parent {
            (parent.trace_id(), parent.trace_flags(), parent.trace_state().clone())
        } else {
            let id = (u128::from(self.ids.next()) << 64) | u128::from(self.ids.next());
            (TraceId::from(id), TraceFlags::default(), TraceState::default())
        };
        SpanContext::new(trace, span, flags.with_sampled(false), false, state)
    }
}

/// Below which of all numbers a share of them lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of all numbers; the last bits do not matter, and the cast saturates"
)]
fn below(ratio: f64) -> u64 {
    if ratio >= 1.0 { u64::MAX } else { (ratio.max(0.0) * u64::MAX as f64) as u64 }
}

/// Numbers that look random and cost a few nanoseconds: an id of every request need not be a
/// secret. (`SplitMix64`.)
struct Ids(AtomicU64);

impl Ids {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    fn new(random: u64) -> Self {
        Self(AtomicU64::new(random))
    }

    /// Never 0.
    fn next(&self) -> u64 {
        let mut number = self.0.fetch_add(Self::STEP, Ordering::Relaxed).wrapping_add(Self::STEP);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)).max(1)
    }
}

tokio::task_local! {
    static HERE: Option<Here>;
}

/// Where in which traces the current task is. Work for several requests at once is in several.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    traces: Traces,
    /// Never empty.
    contexts: Arc<[SpanContext]>,
}

impl Here {
    fn new(traces: &Traces, context: SpanContext) -> Self {
        Self { traces: traces.clone(), contexts: Arc::new([context]) }
    }

    /// The trace's id, and the span's, if it is one of ours.
    pub(crate) fn ids(&self) -> (TraceId, Option<SpanId>) {
        let context = &self.contexts[0];
        (context.trace_id(), self.traces.is_on().then(|| context.span_id()))
    }

    /// Begins a span in each of the traces that are sampled.
    fn open(&self, describe: impl Fn() -> SpanBuilder) -> Open {
        let Some(inner) = &self.traces.0 else { return Open::default() };
        let sampled = self.contexts.iter().filter(|context| context.is_sampled());
        Open(sampled.map(|context| inner.start(describe(), Some(context))).collect())
    }
}

/// Where the current task is, if it is in a trace.
pub(crate) fn here() -> Option<Here> {
    HERE.try_with(Clone::clone).ok().flatten()
}

/// Does work at a place in traces.
pub(crate) async fn within<F: Future>(here: Option<Here>, work: F) -> F::Output {
    HERE.scope(here, work).await
}

/// The same for work that does not wait.
pub(crate) fn inside<T>(here: Option<Here>, work: impl FnOnce() -> T) -> T {
    HERE.sync_scope(here, work)
}

/// Begins a span of the current work, if that is sampled. `describe` is asked only then.
pub(crate) fn open(describe: impl Fn() -> SpanBuilder) -> Open {
    let open = HERE.try_with(|here| here.as_ref().map(|here| here.open(describe)));
    open.ok().flatten().unwrap_or_default()
}

/// A statement of the store.
pub(crate) fn statement(operation: &'static str) -> Open {
    open(|| {
        SpanBuilder::from_name(Cow::Owned(format!("store.{operation}")))
            .with_kind(SpanKind::Client)
            .with_attributes([KeyValue::new("db.operation.name", operation)])
    })
}

/// Spans under way, one for each trace; none when nothing is sampled. They end when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Open(Vec<Span>);

impl Open {
    fn contexts(&self) -> impl Iterator<Item = SpanContext> {
        self.0.iter().map(|span| span.span_context().clone())
    }

    pub(crate) fn failed(&mut self, word: &'static str) {
        for span in &mut self.0 {
            span.set_attribute(KeyValue::new("error.type", word));
            span.set_status(Status::error(""));
        }
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        for span in &mut self.0 {
            describe::set_status(span, status, status.is_client_error() || status.is_server_error());
        }
    }

    /// Writes into the headers of a request where it comes from: from here, or, when this is not
    /// sampled, from the work that it is a part of.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        if let Some(span) = self.0.first() {
            write(span.span_context(), headers);
        } else if let Some(here) = here() {
            write(&here.contexts[0], headers);
        }
    }
}

fn write(context: &SpanContext, headers: &mut HeaderMap) {
    let (trace, span) = (context.trace_id(), context.span_id());
    let parent = format!("00-{trace}-{span}-{:02x}", context.trace_flags().to_u8());
    if let Ok(parent) = HeaderValue::from_str(&parent) {
        headers.insert(caller::TRACEPARENT, parent);
    }
    let state = context.trace_state().header();
    if !state.is_empty()
        && let Ok(state) = HeaderValue::from_str(&state)
    {
        headers.insert(caller::TRACESTATE, state);
    }
}

/// A request that is being served. When it is dropped without an answer, nobody waited for one.
#[derive(Debug, Default)]
pub(crate) struct Served {
    here: Option<Here>,
    span: Option<Box<Span>>,
}

impl Served {
    /// Where the work of the request belongs.
    pub(crate) fn here(&self) -> Option<Here> {
        self.here.clone()
    }

    /// For the log: the trace's id, and the span's, if it is one of ours.
    pub(crate) fn ids(&self) -> (Option<TraceId>, Option<SpanId>) {
        self.here.as_ref().map_or((None, None), |here| {
            let (trace, span) = here.ids();
            (Some(trace), span)
        })
    }

    /// Ends the span of a request over HTTP.
    pub(crate) fn http(self, status: StatusCode, reason: &'static str) {
        if let Some(mut span) = self.span {
            describe::set_status(&mut span, status, status.is_server_error());
            span.set_attribute(KeyValue::new("gauntlet.reason", reason));
        }
    }

    /// Ends the span of a call over gRPC.
    pub(crate) fn grpc(self, code: u8, reason: &'static str) {
        if let Some(mut span) = self.span {
            describe::set_code(&mut span, code);
            span.set_attribute(KeyValue::new("gauntlet.reason", reason));
        }
    }
}

#[cfg(test)]
mod tests;
