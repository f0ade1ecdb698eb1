//! Settings of sign-in and of transport security.

use super::{ROW, Reader, Setting, values};
use crate::settings::setting::Legacy;

/// How players prove who they are.
pub(crate) static AUTH: Setting = Setting {
    key: "auth",
    flag: "auth",
    env: "GAUNTLET_AUTH",
    legacy: Legacy::Translated("PLUGIN_GRPC_SERVER_AUTH_ENABLED", values::auth_enabled),
    unset: "mock on loopback with SQLite, else it has to be named",
    value: "jwt|mock",
    help: "How players prove who they are; jwt checks bearer tokens, mock believes the header x-mock-user-id",
    ..ROW
};

/// Where the keys of tokens are.
pub(crate) static JWKS_URL: Setting = Setting {
    key: "jwks-url",
    flag: "jwks-url",
    env: "GAUNTLET_JWKS_URL",
    unset: "jwt needs it",
    value: "URL",
    help: "The key set (JWKS) that tokens are checked with; https, or http on this machine",
    ..ROW
};

/// Who issues tokens.
pub(crate) static JWT_ISSUER: Setting = Setting {
    key: "jwt-issuer",
    flag: "jwt-issuer",
    env: "GAUNTLET_JWT_ISSUER",
    unset: "any",
    value: "TEXT",
    help: "What the claim iss of tokens has to be",
    ..ROW
};

/// For whom tokens are.
pub(crate) static JWT_AUDIENCE: Setting = Setting {
    key: "jwt-audience",
    flag: "jwt-audience",
    env: "GAUNTLET_JWT_AUDIENCE",
    unset: "any",
    value: "TEXT",
    help: "What the claim aud of tokens has to be or to contain",
    ..ROW
};

/// Which claim is the namespace.
pub(crate) static JWT_NAMESPACE_CLAIM: Setting = Setting {
    key: "jwt-namespace-claim",
    flag: "jwt-namespace-claim",
    env: "GAUNTLET_JWT_NAMESPACE_CLAIM",
    default: Some("namespace"),
    value: "NAME",
    help: "The claim of tokens that has to be the namespace; none for issuers without one, and then the audience has \
           to be set",
    ..ROW
};

/// How far clocks may differ.
pub(crate) static JWT_SKEW: Setting = Setting {
    key: "jwt-skew",
    flag: "jwt-skew",
    env: "GAUNTLET_JWT_SKEW",
    default: Some("30s"),
    value: "TIME",
    help: "By how much the clocks of the issuer and of this machine may differ; at most 5m",
    ..ROW
};

/// How often keys are fetched.
pub(crate) static JWKS_REFRESH: Setting = Setting {
    key: "jwks-refresh",
    flag: "jwks-refresh",
    env: "GAUNTLET_JWKS_REFRESH",
    default: Some("5m"),
    value: "TIME",
    help: "How often the key set is fetched, which is how long a revoked key is accepted at most; 1s or more",
    ..ROW
};

/// How long old keys are good.
pub(crate) static JWKS_MAX_AGE: Setting = Setting {
    key: "jwks-max-age",
    flag: "jwks-max-age",
    env: "GAUNTLET_JWKS_MAX_AGE",
    default: Some("1h"),
    value: "TIME",
    help: "How long the last key set is used while it cannot be fetched; then callers are refused",
    ..ROW
};

/// The certificate of all ports that players and senders of events reach.
pub(crate) static TLS_CERT: Setting = Setting {
    key: "tls-cert",
    flag: "tls-cert",
    env: "GAUNTLET_TLS_CERT",
    unset: "no TLS",
    value: "FILE",
    help: "The certificate, with its chain, in PEM, for the HTTP, gRPC and events ports; read again when it changes",
    ..ROW
};

/// Its key.
pub(crate) static TLS_KEY: Setting = Setting {
    key: "tls-key",
    flag: "tls-key",
    env: "GAUNTLET_TLS_KEY",
    unset: "no TLS",
    value: "FILE",
    help: "The certificate's private key in PEM",
    ..ROW
};

/// Whose certificates callers of the API need.
pub(crate) static API_CLIENT_CA: Setting = Setting {
    key: "api-client-ca",
    flag: "api-client-ca",
    env: "GAUNTLET_API_CLIENT_CA",
    unset: "no client certificates",
    value: "FILE",
    help: "The authority whose certificates callers of the HTTP and gRPC API have to show, such as a gateway: mutual \
           TLS, beside sign-in",
    ..ROW
};

/// Whose certificates senders of events need.
pub(crate) static EVENTS_CLIENT_CA: Setting = Setting {
    key: "events-client-ca",
    flag: "events-client-ca",
    env: "GAUNTLET_EVENTS_CLIENT_CA",
    unset: "no client certificates",
    value: "FILE",
    help: "The authority whose certificates senders of events have to show: mutual TLS",
    ..ROW
};

/// The secrets of the events port.
pub(crate) static EVENTS_SECRETS: Setting = Setting {
    key: "events-secrets",
    flag: "events-secrets",
    env: "GAUNTLET_EVENTS_SECRETS",
    unset: "none",
    value: "SECRETS",
    help: "What senders of events show as authorization: Bearer ...; 16 characters or more each, several with commas \
           between them while they are changed",
    secret: true,
    ..ROW
};

/// What is said about who may send events.
pub(crate) static EVENTS_AUTH: Setting = Setting {
    key: "events-auth",
    flag: "events-auth",
    env: "GAUNTLET_EVENTS_AUTH",
    unset: "by secrets or client certificates if they are set, else this machine only",
    value: "none",
    help: "none lets everybody send events who reaches the port, for closed networks only",
    ..ROW
};

/// Pages that may call the API.
pub(crate) static CORS_ORIGIN: Setting = Setting {
    key: "cors-origin",
    flag: "cors-origin",
    env: "GAUNTLET_CORS_ORIGIN",
    unset: "none",
    value: "LIST",
    help: "Origins whose web pages may call the HTTP API, such as https://play.example.com, or * for all",
    ..ROW
};

/// How much one player may do.
pub(crate) static PLAYER_RATE: Setting = Setting {
    key: "player-rate",
    flag: "player-rate",
    env: "GAUNTLET_PLAYER_RATE",
    default: Some("120"),
    value: "N",
    help: "How many claims and draws one player may make a minute, and at once, in this process; 0 for any number",
    ..ROW
};

/// Who a client is.
pub(crate) static TOKEN: Setting = Setting {
    key: "token",
    flag: "token",
    env: "GAUNTLET_TOKEN",
    unset: "none",
    value: "TOKEN",
    help: "What to show as authorization: Bearer ...: a player's token, or a secret of the events port; better kept in \
           the environment",
    commands: &[Reader::Player, Reader::Send],
    secret: true,
    ..ROW
};

/// Whom a client trusts.
pub(crate) static CA: Setting = Setting {
    key: "ca",
    flag: "ca",
    env: "GAUNTLET_CA",
    unset: "needed for https",
    value: "FILE",
    help: "The authority, in PEM, of the server's certificate",
    commands: &[Reader::Player, Reader::Send],
    ..ROW
};

/// The certificate of a client.
pub(crate) static CLIENT_CERT: Setting = Setting {
    key: "client-cert",
    flag: "client-cert",
    env: "GAUNTLET_CLIENT_CERT",
    unset: "none",
    value: "FILE",
    help: "The certificate, in PEM, to show to a server that asks for one",
    commands: &[Reader::Player, Reader::Send],
    ..ROW
};

/// Its key.
pub(crate) static CLIENT_KEY: Setting = Setting {
    key: "client-key",
    flag: "client-key",
    env: "GAUNTLET_CLIENT_KEY",
    unset: "none",
    value: "FILE",
    help: "The private key, in PEM, of the client certificate",
    commands: &[Reader::Player, Reader::Send],
    ..ROW
};
