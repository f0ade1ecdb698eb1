//! What spans are called and say, in the words of OpenTelemetry's semantic conventions. Nothing
//! here is a caller's own text but the route, the host and the port of a configured address:
//! paths, queries, headers and messages may name players.

use axum::extract::{MatchedPath, Request};
use http::{StatusCode, Uri};
use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind, Status},
};
use opentelemetry_sdk::trace::Span;

/// A request over HTTP. `method`: as in metrics, where made-up ones have one name.
pub(crate) fn http_request(request: &Request, method: &'static str) -> SpanBuilder {
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("network.protocol.version", version(request)),
    ];
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let name = route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
    SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes)
}

fn version(request: &Request) -> &'static str {
    match request.version() {
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// A call over gRPC, or an event of a stream of them. `label`: `SERVICE/METHOD`, as in metrics.
pub(crate) fn rpc(label: &'static str) -> SpanBuilder {
    let (service, method) = label.split_once('/').unwrap_or((label, ""));
    let mut attributes = vec![KeyValue::new("rpc.system", "grpc"), KeyValue::new("rpc.service", service)];
    if !method.is_empty() {
        attributes.push(KeyValue::new("rpc.method", method));
    }
    SpanBuilder::from_name(label).with_kind(SpanKind::Server).with_attributes(attributes)
}

/// A request of ours to somebody else.
pub(crate) fn outgoing(method: &http::Method, address: &Uri) -> SpanBuilder {
    let port = address.port_u16().unwrap_or(if address.scheme_str() == Some("https") { 443 } else { 80 });
    SpanBuilder::from_name(method.as_str().to_owned()).with_kind(SpanKind::Client).with_attributes([
        KeyValue::new("http.request.method", method.as_str().to_owned()),
        KeyValue::new("server.address", address.host().unwrap_or_default().to_owned()),
        KeyValue::new("server.port", i64::from(port)),
    ])
}

pub(super) fn set_status(span: &mut Span, status: StatusCode, is_error: bool) {
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if is_error {
        span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
}

pub(super) fn set_code(span: &mut Span, code: u8) {
    span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code)));
    // Of a server's codes the conventions count these as errors: the others are the caller's.
    if matches!(code, 2 | 4 | 12 | 13 | 14 | 15) {
        span.set_attribute(KeyValue::new("error.type", code.to_string()));
        span.set_status(Status::error(""));
    }
}
