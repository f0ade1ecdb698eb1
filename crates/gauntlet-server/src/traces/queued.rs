//! Spans of a shard: an operation's wait in the queue, and the batch that carries it out.

use opentelemetry::{KeyValue, trace::SpanBuilder};

use super::{Here, Open, here};

/// Most requests of a batch whose traces show it. A batch can have a thousand, and each costs
/// spans of its own while the others wait.
pub(super) const MAX_SHOWN: usize = 32;

/// An operation of a sampled request that waits. The wait ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Queued {
    here: Here,
    _wait: Open,
}

impl Queued {
    /// The current request begins to wait; nothing when it is not sampled.
    pub(crate) fn begin() -> Option<Box<Self>> {
        let here = here()?;
        let wait = here.open(|| SpanBuilder::from_name("shard.wait"));
        if wait.0.is_empty() { None } else { Some(Box::new(Self { here, _wait: wait })) }
    }
}

/// A batch begins: ends the waits of its operations. The work belongs to all of their traces, in
/// each of which it is a child of the request; the spans end with the second value.
pub(crate) fn batch(size: usize, waited: impl Iterator<Item = Box<Queued>>) -> (Option<Here>, Open) {
    let mut open = Vec::new();
    let mut traces = None;
    for queued in waited.take(MAX_SHOWN) {
        let describe = || {
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            SpanBuilder::from_name("shard.batch")
                .with_attributes([KeyValue::new("gauntlet.batch.size", size)])
        };
        open.extend(queued.here.open(describe).0);
        traces.get_or_insert(queued.here.traces);
    }
    let open = Open(open);
    let here = traces.map(|traces| Here { traces, contexts: open.contexts().collect() });
    (here.filter(|here| !here.contexts.is_empty()), open)
}
