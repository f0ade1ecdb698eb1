//! `/debug/...` on the operations port: profiles and views of the running process, when they are
//! switched on.

use std::time::Duration;

use axum::{
    Router,
    extract::{Query, State},
    http::{
        HeaderValue, StatusCode, Uri,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::{any, get},
};
use serde::Serialize;

use super::reply::json_bytes;
use crate::{
    core::Chain,
    error::{ApiError, Reason},
    profiles::{self, ProfileError, contention, tasks},
    server::FaceState,
};

/// The paths, which are their labels in metrics too.
pub(super) const PATHS: [&str; 6] = [INDEX, "/debug/pprof", PROFILE, HEAP, TASKS, CONTENTION];
const INDEX: &str = "/debug/pprof/";
const PROFILE: &str = "/debug/pprof/profile";
const HEAP: &str = "/debug/pprof/heap";
const TASKS: &str = "/debug/tasks";
const CONTENTION: &str = "/debug/contention";

/// How long a window is when nobody says, and at most.
const SECONDS: u64 = 10;
const MOST_SECONDS: u64 = 60;

const ABOUT: &str = "Gauntlet: profiles of this process. How to read them: docs/profiling.md.

/debug/pprof/profile?seconds=10  where processor time goes (1 to 60 seconds, one at a time)
/debug/pprof/heap                what is allocated now, of what came since the start
/debug/tasks                     what runs now and what each task is at, queues, the runtime
/debug/contention?seconds=10     what callers and threads wait for, within a window

  go tool pprof -http=: 'http://127.0.0.1:8080/debug/pprof/profile?seconds=10'
  curl -o cpu.pb.gz 'http://127.0.0.1:8080/debug/pprof/profile?seconds=10'   (then pprof, or drop it on speedscope.app)
  curl -s http://127.0.0.1:8080/debug/tasks
";

/// The pages if they are on, and a hint in their place if not.
pub(super) fn add(router: Router<FaceState>, on: bool) -> Router<FaceState> {
    if !on {
        return PATHS.into_iter().fold(router, |router, path| router.route(path, any(off)));
    }
    router
        .route(INDEX, get(async || ABOUT))
        .route("/debug/pprof", get(async || ABOUT))
        .route(PROFILE, get(profile))
        .route(HEAP, get(heap))
        .route(TASKS, get(async |State(face): State<FaceState>| readable(&tasks::view(&face))))
        .route(CONTENTION, get(waits))
}

async fn off() -> ApiError {
    ApiError::new(
        Reason::RouteNotFound,
        "profiles are off: start the service with --profiles (GAUNTLET_PROFILES=true) and with --ops on a loopback \
         address",
    )
}

async fn profile(State(face): State<FaceState>, uri: Uri) -> Result<Response, Response> {
    let time = window(&uri).map_err(IntoResponse::into_response)?;
    tracing::info!(seconds = time.as_secs(), "taking a CPU profile");
    let profile = profiles::cpu(time, &face.stop).await.map_err(refused)?;
    Ok(file("cpu.pb.gz", profile))
}

async fn heap() -> Result<Response, Response> {
    let profile = profiles::heap().await.map_err(refused)?;
    Ok(file("heap.pb.gz", profile))
}

async fn waits(State(face): State<FaceState>, uri: Uri) -> Result<Response, ApiError> {
    let time = window(&uri)?;
    Ok(readable(&contention::watch(&face, time, &face.stop).await))
}

/// The parameter `seconds`.
fn window(uri: &Uri) -> Result<Duration, ApiError> {
    let wrong = || {
        ApiError::new(
            Reason::InvalidInput,
            format!("seconds is a whole number from 1 to {MOST_SECONDS}, given once"),
        )
        .with("field", "seconds")
    };
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| wrong())?;
    let mut given = pairs.into_iter().filter(|(name, _)| name == "seconds");
    let seconds = match (given.next(), given.next()) {
        (None, _) => SECONDS,
        (Some((_, text)), None) => text.parse().map_err(|_| wrong())?,
        (Some(_), Some(_)) => return Err(wrong()),
    };
    if (1..=MOST_SECONDS).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) }
}

fn refused(error: ProfileError) -> Response {
    let internal = |message| ApiError::new(Reason::Internal, message);
    match error {
        ProfileError::Busy => ApiError::new(Reason::Overloaded, error.to_string()).into_response(),
        ProfileError::Impossible(why) => {
            let mut response = internal(why).into_response();
            *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
            response
        }
        ProfileError::Failed { .. } => {
            let error = Chain(&error).to_string();
            tracing::error!(error, "a profile failed");
            // Whoever gets here is an operator.
            internal(error).into_response()
        }
    }
}

fn file(name: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(attachment) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, attachment);
    }
    response
}

/// JSON over many lines: people read it.
fn readable(view: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(view) {
        Ok(text) => json_bytes(StatusCode::OK, text + "\n"),
        Err(error) => {
            tracing::error!(%error, "cannot write a view");
            ApiError::new(Reason::Internal, "the service could not write its reply").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_of_1_to_60_seconds() {
        for (query, expected) in [
            ("", Some(10)),
            ("?seconds=1", Some(1)),
            ("?x=y&seconds=60", Some(60)),
            ("?seconds=0", None),
            ("?seconds=61", None),
            ("?seconds=", None),
            ("?seconds=-1", None),
            ("?seconds=1.5", None),
            ("?seconds=ten", None),
            ("?seconds=1&seconds=2", None),
            ("?seconds=99999999999999999999", None),
        ] {
            let uri: Uri = format!("/debug/pprof/profile{query}").parse().expect("a URI");
            assert_eq!(window(&uri).ok().map(|time| time.as_secs()), expected, "{query}");
        }
    }
}
