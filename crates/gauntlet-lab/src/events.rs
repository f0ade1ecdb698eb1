//! What the game platform does: events over a few gRPC connections.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use gauntlet_domain::Timestamp;
use gauntlet_proto::{
    iam::user_authentication_user_logged_in_service_client::UserAuthenticationUserLoggedInServiceClient,
    platform::EventHead,
    statistic::statistic_stat_item_updated_service_client::StatisticStatItemUpdatedServiceClient,
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    Error,
    http::chain,
    outcome::{Cause, of_status},
    tls::Authority,
};

/// Connections: on a single one, calls wait for each other.
const CHANNELS: usize = 4;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Connections to the events port.
#[derive(Debug)]
pub(crate) struct Events {
    channels: Vec<Channel>,
    next: AtomicUsize,
    namespace: String,
    token: Option<MetadataValue<Ascii>>,
}

/// One event to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    /// Its id.
    pub(crate) id: &'a str,
    /// Whose.
    pub(crate) player: &'a str,
    /// When it happened, in milliseconds since 1970.
    pub(crate) at: i64,
    /// The statistic and its value; `None`: a login.
    pub(crate) stat: Option<(&'a str, u32)>,
}

impl Events {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Address`] and [`Error::Unreachable`].
    pub(crate) async fn connect(
        url: &str,
        namespace: &str,
        token: Option<&str>,
        authority: Option<&Authority>,
    ) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Address { url: url.to_owned(), problem };
        let token = match token {
            Some(token) => {
                let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
                    .parse()
                    .map_err(|_| wrong("its token cannot be sent in a header".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| wrong(chain(&error)))?;
        let endpoint = match authority {
            _ if !url.starts_with("https://") => endpoint,
            None => return Err(wrong("https needs an authority to trust (--ca)".to_owned())),
            Some(authority) => {
                let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
                endpoint.tls_config(tls).map_err(|error| wrong(chain(&error)))?
            }
        };
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).timeout(ANSWER).tcp_nodelay(true);
        let mut channels = Vec::with_capacity(CHANNELS);
        for _ in 0..CHANNELS {
            let channel = endpoint
                .connect()
                .await
                .map_err(|error| Error::Unreachable { url: url.to_owned(), problem: chain(&error) })?;
            channels.push(channel);
        }
        Ok(Self { channels, next: AtomicUsize::new(0), namespace: namespace.to_owned(), token })
    }

    fn channel(&self) -> Channel {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len();
        self.channels[at].clone()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }

    /// Sends one event; `Ok`: it was acknowledged.
    pub(crate) async fn send(&self, event: Sent<'_>) -> Result<(), Cause> {
        let head = EventHead {
            id: event.id.to_owned(),
            namespace: self.namespace.clone(),
            user_id: event.player.to_owned(),
            timestamp: with_millis(event.at),
        };
        let answer = match event.stat {
            None => {
                let mut client = UserAuthenticationUserLoggedInServiceClient::new(self.channel());
                client.on_message(self.request(head.login())).await
            }
            Some((code, value)) => {
                let mut client = StatisticStatItemUpdatedServiceClient::new(self.channel());
                client.on_message(self.request(head.stat(code, f64::from(value), 0.0))).await
            }
        };
        answer.map(|_empty| ()).map_err(|status| of_status(&status))
    }
}

/// RFC 3339 with milliseconds: events of one second have an order.
fn with_millis(millis: i64) -> String {
    let whole = Timestamp::from_millis(millis).to_rfc3339();
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), millis.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        for millis in [1_795_500_000_987, 0, 5, -1] {
            let text = with_millis(millis);
            assert_eq!(Timestamp::parse(&text).unwrap().millis(), millis, "{text}");
        }
    }
}
