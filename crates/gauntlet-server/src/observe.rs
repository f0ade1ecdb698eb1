//! What ties a request to what is logged about it: its id.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;

use crate::traces::Served;

/// The header of a request's id, in gRPC its metadata.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How the routes of events end: of the platform's services, and of `CloudEvents`.
const EVENTS: [&str; 2] = ["/OnMessage", "/v1/events"];
/// Longest id that a caller may choose.
const MAX_REQUEST_ID: usize = 128;

/// Gives ids to the requests of one listener.
#[derive(Debug, Clone)]
pub(crate) struct RequestIds {
    /// The first half of the ids given here, so that those of two processes differ.
    process: u32,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    /// Two numbers of eight hexadecimal digits. Every event gets one, and the formatter costs as
    /// much as reading the event.
    fn id(&self, number: u64) -> HeaderValue {
        let mut id = [b'-'; 17];
        #[expect(clippy::cast_possible_truncation, reason = "they begin again after four billion")]
        for (at, half) in [(0, self.process), (9, number as u32)] {
            for (digit, place) in id[at..at + 8].iter_mut().zip((0..8).rev()) {
                *digit = b"0123456789abcdef"[(half >> (4 * place) & 15) as usize];
            }
        }
        let mut id = HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("none"));
        // It never comes twice, so header compression must not remember it.
        id.set_sensitive(true);
        id
    }

    /// `random`: any number.
    pub(crate) fn new(random: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let process = random as u32;
        Self { process, next: Arc::default() }
    }

    /// The caller's id for the request, if it can stand in a log, else one of ours.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let fits = |id: &&HeaderValue| {
            (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let mut id = headers.get(REQUEST_ID).filter(fits).cloned().unwrap_or_else(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.id(number)
        });
        // It never comes twice: in HTTP/2's table of headers it would only push out those that do.
        id.set_sensitive(true);
        id
    }
}

/// What surrounds all that is logged about a request. Paths have players' goals in them and are
/// not in it; routes are.
///
/// A span that is logged costs 0.7 microseconds. Events go without one above the level debug: they
/// are many, and what is logged of them is their shard's.
pub(crate) fn span(id: &HeaderValue, face: &'static str, route: &'static str, trace: &Served) -> Span {
    let request_id = id.to_str().unwrap_or_default();
    let (trace_id, span_id) = trace.ids();
    // Texts cost the log less than what it has to format.
    let mut texts = ([0; 32], [0; 16]);
    let trace_id = trace_id.map(|id| hex(&id.to_bytes(), &mut texts.0));
    let span_id = span_id.map(|id| hex(&id.to_bytes(), &mut texts.1));
    if EVENTS.iter().any(|end| route.ends_with(end)) {
        return tracing::debug_span!("request", request_id, face, route, trace_id, span_id);
    }
    tracing::info_span!("request", request_id, face, route, trace_id, span_id)
}

/// Writes bytes as digits into a text of twice their number.
fn hex<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_digits() {
        assert_eq!(hex(&[0x00, 0x9f, 0xa0, 0xff], &mut [0; 8]), "009fa0ff");
    }

    #[test]
    fn a_caller_may_choose_an_id_that_can_stand_in_a_log() {
        let ids = RequestIds::new(0x1_2345_6789);
        let with = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).expect("a header"));
            ids.of(&headers)
        };
        assert_eq!(with(b"mine-1"), "mine-1");
        assert_eq!(with(b"two words"), "23456789-00000000");
        assert_eq!(with("ü".as_bytes()), "23456789-00000001");
        assert_eq!(with(&[b'x'; 128]).len(), 128);
        assert_eq!(with(&[b'x'; 129]), "23456789-00000002");
        assert_eq!(ids.of(&HeaderMap::new()), "23456789-00000003");
    }
}
