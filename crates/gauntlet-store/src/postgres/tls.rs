//! TLS to the server: what `sslmode` and `sslrootcert` of the URL mean.
//!
//! The modes are those of libpq. Where we differ, we are stricter:
//! - A certificate authority that is named without a mode is meant: `verify-full`.
//! - The authorities of the operating system stand in where none is named; libpq looks for a file
//!   in the user's home.
//! - When the server offers TLS and the handshake fails, `prefer` does not go on without it.

mod verify;

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    config::{Config, SslMode, SslNegotiation},
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_rustls::TlsConnector;

/// The parameters of a URL that this module reads.
pub(super) const PARAMETERS: [&str; 2] = ["sslmode", "sslrootcert"];

/// What asks for TLS in a way that cannot work.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadTls {
    #[error("sslmode={0} is none of disable, prefer, require, verify-ca and verify-full")]
    Mode(String),
    #[error(
        "sslmode=allow, which encrypts only for a server that insists, is not supported: use prefer or disable"
    )]
    Allow,
    #[error("sslrootcert=system needs sslmode=verify-full: public authorities vouch for anybody's servers")]
    WeakSystem,
    #[error("sslrootcert names {}, which cannot be read", .0.display())]
    File(PathBuf, #[source] rustls::pki_types::pem::Error),
    #[error("sslrootcert names {}, which holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("the operating system has no certificate authorities: name a file with sslrootcert")]
    NoSystem,
    #[error("the certificate authorities cannot be used")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn of(word: &str) -> Result<Self, BadTls> {
        Ok(match word {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            "allow" => return Err(BadTls::Allow),
            other => return Err(BadTls::Mode(other.to_owned())),
        })
    }
}

/// Where the authorities come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    System,
    File(PathBuf),
}

/// What the parameters add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    mode: Mode,
    root: Root,
}

fn plan(parameters: &[(String, String)]) -> Result<Plan, BadTls> {
    // The last one wins, as with every other parameter.
    let last =
        |name| parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mode = last("sslmode").map(Mode::of).transpose()?;
    let root = last("sslrootcert").map(|value| match value {
        "system" => Root::System,
        path => Root::File(path.into()),
    });
    Ok(match (mode, root) {
        (None, None) => Plan { mode: Mode::Prefer, root: Root::System },
        (None, Some(root)) => Plan { mode: Mode::VerifyFull, root },
        (Some(Mode::Prefer | Mode::Require | Mode::VerifyCa), Some(Root::System)) => {
            return Err(BadTls::WeakSystem);
        }
        (Some(Mode::Require), Some(root)) => Plan { mode: Mode::VerifyCa, root },
        (Some(mode), root) => Plan { mode, root: root.unwrap_or(Root::System) },
    })
}

/// Sets the mode of a configuration, and makes the connector for it; `None`: nothing is encrypted.
pub(super) fn connector(
    parameters: &[(String, String)],
    config: &mut Config,
) -> Result<Option<Connector>, BadTls> {
    let plan = plan(parameters)?;
    config.ssl_mode(match plan.mode {
        Mode::Disable => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        _ => SslMode::Require,
    });
    if plan.mode == Mode::Disable {
        return Ok(None);
    }
    if plan.mode == Mode::Require {
        tracing::warn!(
            "sslmode=require encrypts, but takes any server for the database: verify-full knows it by its certificate"
        );
    }
    let mut client = client_config(&plan)?;
    if config.get_ssl_negotiation() == SslNegotiation::Direct {
        // The server takes a direct handshake only under this name.
        client.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(Some(Connector(Arc::new(client))))
}

fn client_config(plan: &Plan) -> Result<ClientConfig, BadTls> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = match plan.mode {
        Mode::Disable | Mode::Prefer | Mode::Require => verify::anybody(&provider),
        Mode::VerifyCa => verify::any_name(authorities(&plan.root, &provider)?),
        Mode::VerifyFull => authorities(&plan.root, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BadTls::Authorities(error.into()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn authorities(root: &Root, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, BadTls> {
    let mut store = RootCertStore::empty();
    match root {
        Root::System => {
            let (added, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                return Err(BadTls::NoSystem);
            }
        }
        Root::File(path) => {
            for certificate in read(path)? {
                store.add(certificate).map_err(|error| BadTls::Authorities(error.into()))?;
            }
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|error| BadTls::Authorities(error.into()))
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let unreadable = |error| BadTls::File(path.to_owned(), error);
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() { Err(BadTls::Empty(path.to_owned())) } else { Ok(certificates) }
}

/// Makes TLS of the client library's sockets.
#[derive(Debug, Clone)]
pub(super) struct Connector(Arc<ClientConfig>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, io::Error> {
        // Checked when it is needed: a Unix socket has no name.
        Ok(Handshake { config: Arc::clone(&self.0), host: host.to_owned() })
    }
}

/// One handshake with a host.
pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    host: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream<S>, io::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.host)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            TlsConnector::from(self.config).connect(name, stream).await.map(Stream)
        })
    }
}

/// An encrypted connection.
pub(super) struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    /// None: passwords are checked without it, as by servers and poolers that do not know it.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(mode: &str, root: &str) -> Result<Plan, BadTls> {
        let pairs = [("sslmode", mode), ("sslrootcert", root)];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        plan(&given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn modes_mean_what_the_page_says() {
        let file = || Root::File("ca.pem".into());
        for (mode, root, meaning) in [
            ("", "", (Mode::Prefer, Root::System)),
            ("", "ca.pem", (Mode::VerifyFull, file())),
            ("", "system", (Mode::VerifyFull, Root::System)),
            ("disable", "ca.pem", (Mode::Disable, file())),
            ("prefer", "ca.pem", (Mode::Prefer, file())),
            ("require", "", (Mode::Require, Root::System)),
            ("require", "ca.pem", (Mode::VerifyCa, file())),
            ("verify-ca", "", (Mode::VerifyCa, Root::System)),
            ("verify-full", "", (Mode::VerifyFull, Root::System)),
            ("verify-full", "system", (Mode::VerifyFull, Root::System)),
        ] {
            let plan = planned(mode, root).expect("fine");
            assert_eq!((plan.mode, plan.root), meaning, "{mode} {root}");
        }
    }

    #[test]
    fn what_cannot_work_says_why() {
        for (mode, root, problem) in [
            ("allow", "", "not supported"),
            ("on", "", "sslmode=on is none of"),
            ("require", "system", "needs sslmode=verify-full"),
            ("verify-ca", "system", "needs sslmode=verify-full"),
        ] {
            let error = planned(mode, root).expect_err("refused").to_string();
            assert!(error.contains(problem), "{error}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").expect("writes");
        let problem = |path: &Path| read(path).expect_err("refused").to_string();
        assert!(problem(&empty).contains("holds no certificate"));
        assert!(problem(&folder.path().join("none.pem")).contains("cannot be read"));
    }
}
