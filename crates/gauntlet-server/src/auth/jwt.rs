//! Tokens: JSON Web Tokens, signed with a key of a key set that is fetched, kept and refreshed.
//!
//! # Fails closed
//! A key that left the set is refused from the next refresh on. When the set cannot be fetched,
//! the last one is used for [`JwtOptions::max_age`]; then nobody is let in until it can.
//!
//! # No cache of tokens
//! Checking one costs less than the read of a player that follows it, and a cache would have to
//! honour ends, revoked keys and a bound.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderMap;
use jsonwebtoken::{decode, decode_header};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    bearer,
    claims::{Claims, Expected, refuse},
    fetch::Fetch,
    keys::KeySet,
    permissions::Permissions,
};
use crate::{
    api::Caller,
    clock::Clock,
    error::{ApiError, Reason},
    outgoing,
    traces::Traces,
};

/// How long a request waits for a refresh that it asked for.
const WAIT_FOR_REFRESH: Duration = Duration::from_secs(3);
/// Pause after a refresh that failed.
const RETRY: Duration = Duration::from_secs(5);

/// How tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtOptions {
    /// Where the key set is, over https; over http it could be replaced on the way.
    pub jwks_url: String,
    /// What claims have to say.
    pub expected: Expected,
    /// How often the key set is fetched: how long a revoked key is accepted at most. Too short
    /// burdens the issuer, too long keeps stolen keys useful.
    pub refresh: Duration,
    /// How long the last key set is used while it cannot be fetched. Too short signs everybody
    /// out with every hiccup of the issuer.
    pub max_age: Duration,
    /// Least time between two refreshes that tokens with unknown keys cause: nobody can make this
    /// service flood the issuer.
    pub min_refresh: Duration,
    /// How long the start waits for the first key set; then the service starts without, and
    /// refuses callers until there is one.
    pub start_wait: Duration,
}

/// Why tokens cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The key set's address is none.
    #[error("the key set's address is no URL")]
    Address,
    /// The client that fetches the key set cannot be set up.
    #[error(transparent)]
    Client(#[from] outgoing::SetUpError),
}

/// What a token proves.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The player.
    pub caller: Caller,
    claims: Claims,
}

impl Identity {
    /// What the token allows besides being a player. They are read only when somebody asks:
    /// tokens may carry many.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        let json = |name: &str| self.claims.get(name).map(|json| json.get());
        Permissions::read(json("scope").or_else(|| json("scp")), json("permissions"))
    }
}

/// The key set as the last refresh left it.
#[derive(Debug, Clone, Default)]
struct Keys {
    set: Option<Arc<KeySet>>,
    /// When the set was fetched.
    fetched: Option<Instant>,
    /// When a refresh ended last, well or not.
    tried: Option<Instant>,
}

/// Checks tokens.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: JwtOptions,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    traces: Traces,
    keys: watch::Sender<Keys>,
    /// Somebody waits for a refresh.
    wanted: Notify,
}

impl Verifier {
    /// A verifier without keys: nobody is let in until [`Verifier::refresh_until`] got some.
    ///
    /// # Errors
    /// An address that is none, or a machine whose trusted certificates cannot be read.
    pub fn new(options: JwtOptions, clock: Arc<dyn Clock>, traces: Traces) -> Result<Self, SetUpError> {
        let fetch = Fetch::new(&options.jwks_url)?;
        let keys = watch::Sender::new(Keys::default());
        Ok(Self(Arc::new(Inner { options, fetch, clock, traces, keys, wanted: Notify::new() })))
    }

    /// Keeps the key set fresh until the shutdown.
    pub async fn refresh_until(self, stop: CancellationToken) {
        loop {
            let Some(good) = stop.run_until_cancelled(self.refresh()).await else { return };
            let pause = if good { self.0.options.refresh } else { RETRY };
            let due = tokio::time::sleep(pause.min(self.0.options.refresh));
            tokio::pin!(due);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut due => break,
                    () = self.0.wanted.notified() => if self.may_refresh() { break },
                }
            }
        }
    }

    /// Waits for the first key set, for [`JwtOptions::start_wait`] at most; answers whether there
    /// is one.
    pub async fn ready(&self) -> bool {
        let mut keys = self.0.keys.subscribe();
        let ready = timeout(self.0.options.start_wait, keys.wait_for(|keys| keys.set.is_some())).await;
        matches!(ready, Ok(Ok(_)))
    }

    /// What the token among these headers proves.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `WRONG_NAMESPACE`, or `SIGN_IN_UNAVAILABLE` when there are no keys.
    pub async fn identity(&self, headers: &HeaderMap) -> Result<Identity, ApiError> {
        let token = bearer(headers).map_err(|problem| {
            refuse(&format!("header authorization {problem}")).with("header", "authorization")
        })?;
        // Its errors tell of libraries; that the token is wrong is all that a caller can use.
        let header = decode_header(token).map_err(|_| refuse("the token is not a signed JWT"))?;
        if header.crit.is_some() {
            return Err(refuse("the token demands extensions that this service does not know"));
        }
        let id = header.kid.as_deref();
        let mut keys = self.keys()?;
        if keys.find(id).is_none() {
            self.refreshed().await;
            keys = self.keys()?;
        }
        let key = keys.find(id).ok_or_else(|| refuse("the token's key is not known"))?;
        let token = decode::<Claims>(token, &key.decoding, &key.validation)
            .map_err(|_| refuse("the token's signature or form is wrong"))?;
        let player = self.0.options.expected.check(&token.claims, self.0.clock.now())?;
        Ok(Identity { caller: Caller { player }, claims: token.claims })
    }

    /// The keys, unless there are none or they are too old.
    fn keys(&self) -> Result<Arc<KeySet>, ApiError> {
        let keys = self.0.keys.borrow();
        let fresh = keys.fetched.is_some_and(|at| at.elapsed() < self.0.options.max_age);
        keys.set.as_ref().filter(|_| fresh).cloned().ok_or_else(|| {
            ApiError::new(
                Reason::SignInUnavailable,
                "the keys that tokens are checked with cannot be fetched; try again later",
            )
        })
    }

    fn may_refresh(&self) -> bool {
        self.0.keys.borrow().tried.is_none_or(|at| at.elapsed() >= self.0.options.min_refresh)
    }

    /// Waits for a refresh, if one may be asked for.
    async fn refreshed(&self) {
        if !self.may_refresh() {
            return;
        }
        let mut keys = self.0.keys.subscribe();
        self.0.wanted.notify_one();
        // Whether it came or not, the keys tell.
        _ = timeout(WAIT_FOR_REFRESH, keys.changed()).await;
    }

    /// Fetches the key set; answers whether it could. What was there stays when it could not.
    async fn refresh(&self) -> bool {
        let fetched = match self.0.traces.own("keys.refresh", self.0.fetch.get()).await {
            Ok(body) => KeySet::parse(&body),
            Err(why) => Err(why),
        };
        let now = Instant::now();
        let good = fetched.is_ok();
        match &fetched {
            Ok(set) => tracing::debug!(keys = set.len(), "the key set was fetched"),
            Err(why) => tracing::warn!(why, "the key set for sign-in cannot be fetched; trying again"),
        }
        self.0.keys.send_modify(|keys| {
            keys.tried = Some(now);
            if let Ok(set) = fetched {
                keys.set = Some(Arc::new(set));
                keys.fetched = Some(now);
            }
        });
        good
    }
}
