//! The description of the API for programs, `openapi.json`, and for people: a page that shows it and
//! sends requests. The page is ours and stands in the binary: it loads nothing from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Redirect, Response},
    routing::{MethodRouter, get},
};

use super::{
    ApiState,
    encoding::Encoding,
    openapi::{SignInWay, describe},
};
use crate::auth::SignIn;

/// Where the description is, below the base path.
const DESCRIPTION: &str = "/openapi.json";
/// Where the page is.
const PAGE: &str = "/apidocs/";
const PAGE_WITHOUT_SLASH: &str = "/apidocs";
const SCRIPT: &str = "/apidocs/page.js";
const STYLE: &str = "/apidocs/page.css";

/// What the page may do: its own script and style, and requests to where it came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The paths that are not operations of the API, below the base path.
#[must_use]
pub fn documentation_paths() -> [&'static str; 5] {
    [DESCRIPTION, PAGE_WITHOUT_SLASH, PAGE, SCRIPT, STYLE]
}

/// The routes, below the base path. Nobody has to sign in to read them.
pub(super) fn routes(base_path: &str, auth: &SignIn) -> [(&'static str, MethodRouter<ApiState>); 5] {
    let way = match auth {
        SignIn::Mock => SignInWay::Mock,
        SignIn::Jwt(_) => SignInWay::Token,
    };
    // Put together when somebody asks for the first time: most processes are never asked.
    let base = base_path.to_owned();
    let description = Arc::new(LazyLock::new(move || Bytes::from(describe(&base, &[way]).to_string())));
    let page = format!("{base_path}{PAGE}");
    [
        (
            DESCRIPTION,
            get(async move |headers: HeaderMap| served(&headers, "application/json", &description)),
        ),
        (PAGE_WITHOUT_SLASH, get(async move || Redirect::permanent(&page))),
        (PAGE, file("text/html; charset=utf-8", text(include_str!("../../assets/apidocs/index.html")))),
        (SCRIPT, file("text/javascript; charset=utf-8", text(include_str!("../../assets/apidocs/page.js")))),
        (STYLE, file("text/css; charset=utf-8", text(include_str!("../../assets/apidocs/page.css")))),
    ]
}

const fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn file(kind: &'static str, bytes: Bytes) -> MethodRouter<ApiState> {
    get(async move |headers: HeaderMap| served(&headers, kind, &bytes))
}

fn served(wishes: &HeaderMap, kind: &'static str, bytes: &Bytes) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (VARY, ACCEPT_ENCODING.into()),
    ];
    let encoding = Encoding::of_reply(wishes, bytes.len());
    match (encoding.header(), encoding.compress(bytes)) {
        (Some(name), Some(compressed)) => (headers, [(CONTENT_ENCODING, name)], compressed).into_response(),
        _ => (headers, Bytes::clone(bytes)).into_response(),
    }
}
