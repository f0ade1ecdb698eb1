//! Requests as bytes, for operations that are known only by name.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use gauntlet_proto::rpc;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::Message as _;
use serde_json::Value;

/// A status and the reason that goes with it, "" when there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

pub(crate) type Headers = Vec<(&'static str, String)>;

/// An HTTP request with JSON.
pub(crate) async fn http(method: &Method, url: &str, headers: &Headers, body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_str(value).unwrap());
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let answer =
        client.request(request.body(Full::from(Bytes::from(body.to_owned()))).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let reason = json["details"][0]["reason"].as_str().unwrap_or_default().to_owned();
    Answer { status: head.status.as_u16(), reason, headers: head.headers, body }
}

/// A gRPC call with one message; the status is gRPC's.
pub(crate) async fn grpc(address: &str, method: &str, headers: &Headers, message: &[u8]) -> Answer {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{address}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_str(value).unwrap());
    }
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let answer = client.request(request.body(Full::from(Bytes::from(frame))).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let text = |name: &'static str| {
        let value =
            headers.get(HeaderName::from_static(name)).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let details = STANDARD_NO_PAD.decode(text("grpc-status-details-bin").trim_end_matches('=')).unwrap();
    let details = rpc::Status::decode(details.as_slice()).unwrap().details;
    let info = details.first().map(|any| rpc::ErrorInfo::decode(any.value.as_slice()).unwrap());
    let status = text("grpc-status").parse().unwrap();
    Answer {
        status,
        reason: info.map(|info| info.reason).unwrap_or_default(),
        headers,
        body: body.to_bytes(),
    }
}
