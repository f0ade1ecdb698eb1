//! The trace that a caller is in, as its headers say: W3C's `traceparent`, else B3 in one header
//! or in several. What is malformed is taken for missing, as both demand.

use http::{HeaderMap, HeaderName};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// Longest state of other vendors that is passed on; the specification asks for 512.
const MAX_STATE: usize = 512;

/// What a caller says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Caller {
    /// Its trace and span.
    pub(super) context: Option<SpanContext>,
    /// Its decision, if it has made one.
    pub(super) sampled: Option<bool>,
}

impl Caller {
    fn new(trace: TraceId, span: SpanId, sampled: Option<bool>, state: TraceState) -> Self {
        let flags = TraceFlags::default().with_sampled(sampled == Some(true));
        Self { context: Some(SpanContext::new(trace, span, flags, true, state)), sampled }
    }
}

/// What the headers of a request say.
pub(super) fn read(headers: &HeaderMap) -> Caller {
    w3c(headers).or_else(|| b3(headers)).or_else(|| b3_multi(headers)).unwrap_or_default()
}

fn w3c(headers: &HeaderMap) -> Option<Caller> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (parent, None) = (all.next()?.to_str().ok()?, all.next()) else { return None };
    let mut parts = parent.splitn(5, '-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = version == "00";
    if version.len() != 2 || !is_lower_hex(version) || version == "ff" || (known && parts.next().is_some()) {
        return None;
    }
    if trace.len() != 32 || span.len() != 16 || flags.len() != 2 || !is_lower_hex(flags) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(Caller::new(trace_id(trace)?, span_id(span)?, Some(flags & 1 == 1), state(headers)))
}

fn state(headers: &HeaderMap) -> TraceState {
    let mut text = String::new();
    for part in headers.get_all(TRACESTATE) {
        let Ok(part) = part.to_str() else { return TraceState::default() };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(part);
    }
    if text.len() > MAX_STATE {
        return TraceState::default();
    }
    text.parse().unwrap_or_default()
}

/// `TRACE-SPAN`, `TRACE-SPAN-DECISION`, `TRACE-SPAN-DECISION-PARENT`, or only a decision.
fn b3(headers: &HeaderMap) -> Option<Caller> {
    let text = headers.get(B3)?.to_str().ok()?;
    if !text.contains('-') {
        return Some(Caller { context: None, sampled: Some(decision(text)?) });
    }
    let mut parts = text.split('-');
    let (trace, span) = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    let sampled = parts.next().map(|text| decision(text).ok_or(())).transpose().ok()?;
    let parent_is_good = parts.next().is_none_or(|parent| span_id(parent).is_some());
    (parent_is_good && parts.next().is_none())
        .then(|| Caller::new(trace, span, sampled, TraceState::default()))
}

fn b3_multi(headers: &HeaderMap) -> Option<Caller> {
    let get = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("malformed"));
    let (trace, sampled) = (get(B3_TRACE), get(B3_SAMPLED));
    if trace.is_none() && sampled.is_none() {
        return None;
    }
    let sampled = if get(B3_FLAGS) == Some("1") {
        // Debug, which implies a decision.
        Some(true)
    } else {
        match sampled {
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(text) => Some(decision(text)?),
            None => None,
        }
    };
    match trace {
        Some(trace) => {
            Some(Caller::new(trace_id(trace)?, span_id(get(B3_SPAN)?)?, sampled, TraceState::default()))
        }
        None => Some(Caller { context: None, sampled }),
    }
}

fn decision(text: &str) -> Option<bool> {
    match text {
        "1" | "d" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

/// 32 digits, in B3 also 16; not all of them 0.
fn trace_id(text: &str) -> Option<TraceId> {
    let good = matches!(text.len(), 16 | 32) && is_lower_hex(text);
    let id = good.then(|| TraceId::from_hex(text).ok()).flatten()?;
    (id != TraceId::INVALID).then_some(id)
}

fn span_id(text: &str) -> Option<SpanId> {
    let good = text.len() == 16 && is_lower_hex(text);
    let id = good.then(|| SpanId::from_hex(text).ok()).flatten()?;
    (id != SpanId::INVALID).then_some(id)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn of(pairs: &[(&'static str, &str)]) -> (Option<(String, String)>, Option<bool>) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let Caller { context, sampled } = read(&headers);
        let ids = context.inspect(|context| assert!(context.is_remote() && context.is_valid()));
        (ids.map(|context| (context.trace_id().to_string(), context.span_id().to_string())), sampled)
    }

    fn known(trace: &str) -> (String, String) {
        (trace.to_owned(), SPAN.to_owned())
    }

    #[test]
    fn both_forms_are_read() {
        let parent = |flags: &str| format!("00-{TRACE}-{SPAN}-{flags}");
        assert_eq!(of(&[("traceparent", &parent("01"))]), (Some(known(TRACE)), Some(true)));
        assert_eq!(of(&[("traceparent", &parent("00"))]), (Some(known(TRACE)), Some(false)));
        assert_eq!(of(&[("traceparent", &parent("03"))]), (Some(known(TRACE)), Some(true)));
        // A later version may say more.
        let later = format!("cc-{TRACE}-{SPAN}-01-what-ever");
        assert_eq!(of(&[("traceparent", &later)]), (Some(known(TRACE)), Some(true)));
        for (text, sampled) in [("", None), ("-1", Some(true)), ("-d", Some(true)), ("-0", Some(false))] {
            let b3 = format!("{TRACE}-{SPAN}{text}");
            assert_eq!(of(&[("b3", &b3)]), (Some(known(TRACE)), sampled), "{b3}");
        }
        assert_eq!(of(&[("b3", &format!("{TRACE}-{SPAN}-1-{SPAN}"))]), (Some(known(TRACE)), Some(true)));
        assert_eq!(of(&[("b3", "0")]), (None, Some(false)));
        let short = &TRACE[16..];
        let long = format!("{short:0>32}");
        assert_eq!(of(&[("b3", &format!("{short}-{SPAN}-1"))]), (Some(known(&long)), Some(true)));
        let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
        assert_eq!(of(&multi), (Some(known(TRACE)), None));
        for (name, value, sampled) in
            [("x-b3-sampled", "1", true), ("x-b3-sampled", "0", false), ("x-b3-flags", "1", true)]
        {
            assert_eq!(of(&[multi[0], multi[1], (name, value)]), (Some(known(TRACE)), Some(sampled)));
        }
        assert_eq!(of(&[("x-b3-sampled", "0")]), (None, Some(false)));
    }

    #[test]
    fn w3c_goes_before_b3_and_a_malformed_one_is_none() {
        let other = "b".repeat(32);
        let b3 = format!("{other}-{SPAN}-0");
        assert_eq!(
            of(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01")), ("b3", &b3)]),
            (Some(known(TRACE)), Some(true))
        );
        assert_eq!(of(&[("traceparent", "00-x-y-01"), ("b3", &b3)]), (Some(known(&other)), Some(false)));
    }

    #[test]
    fn what_is_malformed_is_missing() {
        let zero = "0".repeat(32);
        for text in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{zero}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zero[..16]),
            format!("00-{}-{SPAN}-01", &TRACE[16..]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            "player-1".into(),
        ] {
            assert_eq!(of(&[("traceparent", &text)]), (None, None), "{text}");
        }
        let twice = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(of(&[("traceparent", &twice), ("traceparent", &twice)]), (None, None));
        for text in ["2", "-", "--", &format!("{TRACE}-{SPAN}-x"), &format!("{TRACE}-{SPAN}-1-{SPAN}-1")] {
            assert_eq!(of(&[("b3", text)]), (None, None), "{text}");
        }
        assert_eq!(of(&[("x-b3-traceid", TRACE)]), (None, None));
        assert_eq!(of(&[("x-b3-traceid", TRACE), ("x-b3-spanid", "1")]), (None, None));
        assert_eq!(of(&[("x-b3-spanid", SPAN)]), (None, None));
    }

    #[test]
    fn the_state_of_others_is_kept_within_bounds() {
        let state = |states: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
            for state in states {
                headers.append(TRACESTATE, state.parse().unwrap());
            }
            read(&headers).context.unwrap().trace_state().header()
        };
        assert_eq!(state(&["a=1,b=2"]), "a=1,b=2");
        assert_eq!(state(&["a=1", "b=2"]), "a=1,b=2");
        assert_eq!(state(&["no state"]), "");
        assert_eq!(state(&[&format!("a={}", "x".repeat(600))]), "");
        assert_eq!(state(&[]), "");
    }
}
