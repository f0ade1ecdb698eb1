//! TLS and mutual TLS of a listener, with certificates that may change while it runs.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::core::Chain;

/// How often a server looks at the files. Certificates are renewed days before they end.
pub const LOOK: Duration = Duration::from_secs(10);

/// Where certificates and keys stand, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and the authority that clients trust.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// The authority of clients' certificates: with it, who has none is turned away. Mutual TLS.
    pub client_ca: Option<PathBuf>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no {what} in PEM", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// Certificate and key, or the client CA, are not usable.
    #[error("certificate, key or client CA cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The TLS of a listener.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: TlsFiles,
    now: ArcSwap<ServerConfig>,
}

/// What stands in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Files that cannot be read or used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = Contents::read(&files)?.config(&files)?;
        Ok(Self(Arc::new(Inner { files, now: ArcSwap::from_pointee(config) })))
    }

    /// The handshake with one peer.
    ///
    /// # Errors
    /// A peer that does not speak TLS, or has no certificate although it needs one.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.0.now.load_full()).accept(stream).await
    }

    /// Looks at the files so often and uses them anew when they changed, until the shutdown. Files that cannot be used
    /// change nothing: what was loaded stays.
    pub async fn reload_until(self, every: Duration, stop: CancellationToken) {
        let files = &self.0.files;
        let mut seen = Contents::read(files).ok();
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let found = match Contents::read(files) {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "certificates cannot be read; the last ones stay");
                    continue;
                }
            };
            if seen.as_ref() == Some(&found) {
                continue;
            }
            match found.config(files) {
                Ok(config) => {
                    self.0.now.store(Arc::new(config));
                    tracing::info!(certificate = %files.certificate.display(), "certificates were renewed");
                }
                // A certificate and its key are two files: the next look sees both.
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "new certificates cannot be used; the last ones stay");
                }
            }
            seen = Some(found);
        }
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read =
            |path: &PathBuf| fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source });
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_ref().map(read).transpose()?,
        })
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let unusable = |error: rustls::Error| TlsError::Unusable(error.into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let config = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem, path)? {
                    roots.add(certificate).map_err(unusable)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| TlsError::Unusable(error.into()))?;
                config.with_client_cert_verifier(verifier)
            }
            _ => config.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::Pem { path: files.key.clone(), what: "private key" })?;
        let chain = certificates(&self.certificate, &files.certificate)?;
        let mut config = config.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(pem: &[u8], path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::Pem { path: path.to_owned(), what: "certificate" }),
    }
}
