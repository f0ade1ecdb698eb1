//! TLS, mutual TLS, and certificates that change.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Router, http::Request, routing::get};
use bytes::Bytes;
use gauntlet_server::net::{
    NetOptions, serve,
    tls::{Tls, TlsError, TlsFiles},
};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{rig::start, wire};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this machine and its key, in PEM.
fn certificate(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.signed_by(&key, &**authority).unwrap().pem(), key.serialize_pem())
}

fn write(folder: &Path, authority: &Authority, client_ca: Option<&Authority>) -> TlsFiles {
    let (certificate, key) = certificate(authority);
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        certificate: file("server.pem", &certificate),
        key: file("server.key", &key),
        client_ca: client_ca.map(|ca| file("clients.pem", &ca.pem())),
    }
}

/// A client that trusts this authority, and shows a certificate of that one.
fn client(trusted: &Authority, shown: Option<&Authority>, protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let (certificate, key) = certificate(authority);
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            config
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
                .unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// One GET; the protocol that was agreed on and the status.
async fn ask(address: SocketAddr, config: Arc<ClientConfig>, path: &str) -> io::Result<(String, u16)> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    let agreed = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let agreed = agreed.unwrap_or_default();
    let request = Request::get(format!("https://localhost{path}")).header("host", "localhost");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let mut tasks = JoinSet::new();
    let answer = if agreed == "h2" {
        let (mut send, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tasks.spawn(async move { _ = connection.await });
        send.send_request(request).await
    } else {
        let (mut send, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tasks.spawn(async move { _ = connection.await });
        send.send_request(request).await
    };
    Ok((agreed, answer.map_err(io::Error::other)?.status().as_u16()))
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_encrypt_and_the_events_port_asks_for_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, clients, strangers) = (authority(), authority(), authority());
    let files = write(folder.path(), &ours, Some(&clients));
    let server = start(|config| {
        config.api_tls = Some(TlsFiles { client_ca: None, ..files.clone() });
        config.events_tls = Some(files);
    })
    .await;
    let addresses = server.addresses();
    let (http, grpc, events) = (addresses.http.unwrap(), addresses.grpc.unwrap(), addresses.events.unwrap());

    for (protocols, agreed) in
        [(&["h2"][..], "h2"), (&["http/1.1"], "http/1.1"), (&["h2", "http/1.1"], "h2"), (&[], "")]
    {
        let answer = ask(http, client(&ours, None, protocols), "/healthz").await.unwrap();
        assert_eq!(answer, (agreed.to_owned(), 200));
    }
    assert_eq!(ask(grpc, client(&ours, None, &["h2"]), "/nothing").await.unwrap().1, 404);
    assert!(
        ask(http, client(&strangers, None, &[]), "/healthz").await.is_err(),
        "the client trusts another authority"
    );

    // Plain requests get nothing, and a certificate is no secret: both are asked for.
    let plain = TcpStream::connect(http).await.unwrap();
    plain.try_write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut plain = plain;
    _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    for shown in [None, Some(&strangers)] {
        assert!(ask(events, client(&ours, shown, &["h2"]), "/v1/events").await.is_err());
    }
    let known = ask(events, client(&ours, Some(&clients), &["http/1.1"]), "/v1/events").await.unwrap();
    // The handshake was good; what comes after it is another matter.
    assert_eq!(known.1, 405);

    // Operations stay plain: they are for this machine.
    let ops = format!("http://{}/healthz", addresses.ops);
    assert_eq!(wire::http(&axum::http::Method::GET, &ops, &Vec::new(), "").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (authority(), authority());
    let files = write(folder.path(), &first, None);
    let tls = Tls::load(files.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let options = NetOptions { tls: Some(tls.clone()), ..NetOptions::default() };
    let mut tasks = JoinSet::new();
    let (router, told) = (Router::new().route("/", get(|| async { "here" })), stop.clone());
    tasks.spawn(async move { serve(listener, router, &options, told).await });
    tasks.spawn(tls.reload_until(Duration::from_millis(20), stop.clone()));
    let works = async |trusted: &Authority| ask(address, client(trusted, None, &["h2"]), "/").await.is_ok();
    assert!(works(&first).await && !works(&second).await);

    // Half of a change, and nonsense: the last good ones stay.
    fs::write(&files.key, certificate(&second).1).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(works(&first).await);
    fs::write(&files.certificate, "nonsense").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(works(&first).await);
    write(folder.path(), &second, None);
    let changed = tokio::time::timeout(Duration::from_secs(60), async {
        while !works(&second).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    changed.await.expect("the new certificates are used");
    assert!(!works(&first).await);
    stop.cancel();
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_the_handshake_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::load(write(folder.path(), &authority(), None)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let options =
        NetOptions { tls: Some(tls), first_request: Duration::from_millis(100), ..NetOptions::default() };
    let mut tasks = JoinSet::new();
    let told = stop.clone();
    tasks.spawn(async move { serve(listener, Router::new(), &options, told).await });
    // The first bytes of a record that never comes.
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.try_write(b"\x16\x03\x01\x02").unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), silent.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is closed");
    stop.cancel();
    tasks.join_all().await;
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), &authority(), None);
    let missing = Tls::load(TlsFiles { key: folder.path().join("none.key"), ..good.clone() }).unwrap_err();
    assert!(missing.to_string().ends_with("none.key"), "{missing}");
    let swapped = Tls::load(TlsFiles { certificate: good.key.clone(), ..good.clone() }).unwrap_err();
    assert!(matches!(swapped, TlsError::Pem { what: "certificate", .. }), "{swapped}");
    let no_key = Tls::load(TlsFiles { key: good.certificate.clone(), ..good.clone() }).unwrap_err();
    assert!(matches!(no_key, TlsError::Pem { what: "private key", .. }), "{no_key}");
    fs::write(&good.key, certificate(&authority()).1).unwrap();
    assert!(matches!(Tls::load(good), Err(TlsError::Unusable(_))), "a key of another certificate");
}
