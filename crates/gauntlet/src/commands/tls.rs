//! What clients trust and show: files that the settings name.

use std::{fs, path::Path};

use crate::{output::Failure, settings::ClientTls};

/// What was read, in PEM.
pub(super) struct Client {
    /// Authorities to trust.
    pub(super) ca: Option<Vec<u8>>,
    /// The client's certificate and its key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Reads the files for a server at this address.
pub(super) fn client(settings: &ClientTls, url: &str) -> Result<Client, Failure> {
    let read = |flag: &str, path: &Path| {
        fs::read(path).map_err(|error| {
            Failure::caused(format_args!("--{flag}: cannot read {}", path.display()), &error)
        })
    };
    if url.starts_with("https://") && settings.ca.is_none() {
        return Err(Failure::new("https needs the authority of the server's certificate")
            .hint("add --ca FILE; on Debian the public ones are /etc/ssl/certs/ca-certificates.crt"));
    }
    let ca = settings.ca.as_deref().map(|path| read("ca", path)).transpose()?;
    let identity = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => Some((read("client-cert", certificate)?, read("client-key", key)?)),
        (None, None) => None,
        _ => {
            return Err(Failure::new(
                "a certificate and its key belong together: --client-cert, --client-key",
            ));
        }
    };
    Ok(Client { ca, identity })
}
