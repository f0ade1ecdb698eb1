//! The commands that talk to a server, over TLS and with credentials.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{run, run_with};
use crate::process::Process;

/// An authority, and certificates of it for a server and a sender, as files.
pub(crate) fn certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    for name in ["server", "sender"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &*authority).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[test]
fn players_and_senders_use_tls_and_secrets() {
    const SECRET: &str = "a-secret-of-senders";
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let store = format!("sqlite:{}", file("secure.db"));
    let server = Process::start(
        &store,
        &["--tls-cert", &cert, "--tls-key", &key, "--events-client-ca", &ca, "--events-secrets", SECRET],
    );
    assert!(server.http.starts_with("https://127.0.0.1:"), "{}", server.http);

    let player = |more: &[&str]| {
        run(&[&["player", "--server", &server.http, "--player", "ann", "init"], more].concat())
    };
    assert_eq!(player(&["--ca", &ca]).err, "");
    assert!(player(&[]).err.starts_with("error: https needs the authority"), "{}", player(&[]).err);
    assert_eq!(player(&["--ca", &key]).code, Some(1));

    let (own_cert, own_key) = (file("sender.pem"), file("sender.key"));
    let shown = ["--client-cert", &own_cert, "--client-key", &own_key];
    let send = |more: &[&str], env: &[(&str, &str)]| {
        let base = ["send", "login", "--events", &server.events, "--player", "ann", "--ca", &ca];
        run_with(&[&base[..], more].concat(), env)
    };
    let good = send(&shown, &[("GAUNTLET_TOKEN", SECRET)]);
    assert_eq!((good.out.as_str(), good.err.as_str()), ("acknowledged: 1 of 1\n", ""));
    let wrong = send(&shown, &[("GAUNTLET_TOKEN", "another-secret-of-senders")]);
    assert!(wrong.err.starts_with("error: not acknowledged: UNAUTHENTICATED: "), "{}", wrong.err);
    assert!(!wrong.err.contains("another-secret"), "{}", wrong.err);
    assert_eq!(send(&[], &[("GAUNTLET_TOKEN", SECRET)]).code, Some(1), "no certificate");
    server.stop();
}

#[test]
fn what_is_not_secure_is_refused_before_anything_starts() {
    let refused = |args: &[&str], words: &str| {
        let ended = run(&[&["serve"], args].concat());
        assert_eq!((ended.out.as_str(), ended.code), ("", Some(1)), "{args:?}");
        assert!(ended.err.contains(words), "{args:?}: {}", ended.err);
    };
    refused(&["--auth", "jwt"], "add --jwks-url URL");
    refused(&["--auth", "mock", "--events", "0.0.0.0:0"], "accept it with --events-auth none");
    refused(&["--tls-cert", "missing.pem"], "set both --tls-cert and --tls-key");
    refused(&["--auth", "jwt", "--jwks-url", "http://iam.example.com/keys"], "allowed: https://");
    refused(&["--events-secrets", "hush-hush"], "found \"***\"");
}
