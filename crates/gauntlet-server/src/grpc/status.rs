//! Errors as gRPC writes them: a code, a message, and details for programs.

use std::sync::Arc;

use gauntlet_proto::rpc;
use prost::Message as _;
use prost_types::Any;
use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};

use crate::{
    error::{ApiError, Reason},
    http::ERROR_DOMAIN,
};

/// The status for an error. It carries the error along, for the metrics.
pub(super) fn status(error: ApiError) -> Status {
    let code = Code::from_i32(i32::from(error.code() as u8));
    with_code(error, code)
}

/// The status for a service or method that does not exist: gRPC clients expect that code and no
/// other.
pub(crate) fn unimplemented() -> Status {
    let error = ApiError::new(Reason::RouteNotFound, "there is no such service or method");
    with_code(error, Code::Unimplemented)
}

fn with_code(error: ApiError, code: Code) -> Status {
    let mut details = vec![any("ErrorInfo", &error_info(&error))];
    let mut metadata = MetadataMap::new();
    if let Some(after) = error.retry_after() {
        let delay = prost_types::Duration::try_from(after).ok();
        details.push(any("RetryInfo", &rpc::RetryInfo { retry_delay: delay }));
        // The same for clients and proxies that do not read details. Rounded up: 0 is at once.
        let seconds = u64::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        metadata.insert("retry-after", MetadataValue::from(seconds));
    }
    let details = rpc::Status { code: code as i32, message: error.message.clone(), details };
    let details = details.encode_to_vec().into();
    let mut status = Status::with_details_and_metadata(code, error.message.clone(), details, metadata);
    status.set_source(Arc::new(error));
    status
}

fn error_info(error: &ApiError) -> rpc::ErrorInfo {
    rpc::ErrorInfo {
        reason: error.reason.as_str().into(),
        domain: ERROR_DOMAIN.into(),
        metadata: error.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
    }
}

fn any(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}

/// The name of a code, for metrics.
pub(super) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_say_why_and_when_to_come_back() {
        let status = status(ApiError::overloaded().with("queue", "calls"));
        assert_eq!((status.code(), status.code() as u8), (Code::ResourceExhausted, 8));
        assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
        let details = rpc::Status::decode(status.details()).unwrap();
        assert_eq!((details.code, details.message.as_str()), (8, status.message()));
        let [info, retry] = details.details.as_slice() else { panic!("{details:?}") };
        assert_eq!(info.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
        let info = rpc::ErrorInfo::decode(info.value.as_slice()).unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("OVERLOADED", "gauntlet"));
        assert_eq!(info.metadata["queue"], "calls");
        assert_eq!(retry.type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let retry = rpc::RetryInfo::decode(retry.value.as_slice()).unwrap();
        assert_eq!(retry.retry_delay.map(|delay| delay.seconds), Some(1));
    }

    #[test]
    fn what_will_not_pass_says_no_time() {
        let status = status(ApiError::invalid("count", "is not positive"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.metadata().get("retry-after").is_none());
        assert_eq!(rpc::Status::decode(status.details()).unwrap().details.len(), 1);
    }
}
