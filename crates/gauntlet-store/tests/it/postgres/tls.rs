//! What each `sslmode` does with the right authority, a wrong one, a wrong name, a certificate that
//! has run out, and a server without TLS.

use std::path::PathBuf;

use gauntlet_store::{PgOptions, PgStore, Store};
use gauntlet_testkit::{Database, PgCluster};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A server's certificate and key for these names.
fn server(authority: &Authority, names: &[&str], expired: bool) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("params");
    if expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, authority).expect("a certificate").pem(), key.serialize_pem())
}

struct Rig {
    cluster: PgCluster,
    folder: tempfile::TempDir,
    right: PathBuf,
    wrong: PathBuf,
}

impl Rig {
    fn new(right: &Authority, wrong: &Authority) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [right, wrong] = [(right, "right.pem"), (wrong, "wrong.pem")].map(|(authority, name)| {
            let path = folder.path().join(name);
            std::fs::write(&path, authority.as_ref().pem()).expect("writes");
            path
        });
        Self { cluster: PgCluster::private(), folder, right, wrong }
    }

    /// Lets the server show this certificate from now on.
    async fn serve(&self, (certificate, key): (String, String)) -> Database {
        let database = self.cluster.database().await;
        let certificate = self.cluster.file("server.pem", &certificate);
        let key = self.cluster.file("server.key", &key);
        let client = database.client().await;
        for (name, value) in [
            ("ssl", "on"),
            ("ssl_cert_file", &certificate.display().to_string()),
            ("ssl_key_file", &key.display().to_string()),
        ] {
            client.batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await.expect("alters");
        }
        self.cluster.restart();
        database
    }
}

/// Whether the connection that this URL makes is encrypted, or why there is none.
async fn encrypted(database: &Database, host: &str, parameters: &str) -> Result<bool, String> {
    let url = format!("{}?{parameters}", database.url.replace("127.0.0.1", host));
    let store = PgStore::connect(&PgOptions::new(url)).map_err(|error| whole(&error))?;
    store.ping().await.map_err(|error| whole(&error))?;
    let sql = "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
         WHERE a.application_name = 'gauntlet' AND a.datname = current_database()";
    let mut found = Vec::new();
    for row in database.client().await.query(sql, &[]).await.expect("reads") {
        found.push(row.get::<_, bool>(0));
    }
    store.close().await;
    crate::postgres::sessions_end(&database.client().await).await;
    assert_eq!(found.len(), 1, "one connection of the store's");
    Ok(found[0])
}

fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn refused(database: &Database, host: &str, parameters: &str, why: &str) {
    let answer = encrypted(database, host, parameters).await;
    let error = answer.expect_err(&format!("{parameters} must not reach {host}"));
    assert!(error.contains(why), "{parameters}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_takes_what_it_says_and_nothing_else() {
    let (right, wrong) = (authority("right"), authority("wrong"));
    let rig = Rig::new(&right, &wrong);
    let [right_file, wrong_file] =
        [&rig.right, &rig.wrong].map(|path| format!("sslrootcert={}", path.display()));
    let with = |mode: &str, file: &str| format!("sslmode={mode}&{file}");

    let database = rig.cluster.database().await;
    assert_eq!(encrypted(&database, "127.0.0.1", "").await, Ok(false));
    assert_eq!(encrypted(&database, "127.0.0.1", "sslmode=prefer").await, Ok(false));
    refused(&database, "127.0.0.1", "sslmode=require", "does not support TLS").await;
    refused(&database, "127.0.0.1", &with("verify-full", &right_file), "does not support TLS").await;

    let database = rig.serve(server(&right, &["localhost", "127.0.0.1"], false)).await;
    assert_eq!(encrypted(&database, "127.0.0.1", "sslmode=disable").await, Ok(false));
    for parameters in ["", "sslmode=prefer", "sslmode=require"] {
        assert_eq!(encrypted(&database, "127.0.0.1", parameters).await, Ok(true), "{parameters}");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(encrypted(&database, host, &with(mode, &right_file)).await, Ok(true), "{mode} {host}");
        }
        // With a file, `require` verifies, as in libpq.
        refused(&database, "127.0.0.1", &with(mode, &wrong_file), "UnknownIssuer").await;
    }
    assert_eq!(encrypted(&database, "127.0.0.1", &right_file).await, Ok(true));
    refused(&database, "127.0.0.1", &wrong_file, "UnknownIssuer").await;
    // The authorities of the operating system do not know ours.
    for parameters in ["sslmode=verify-full", "sslrootcert=system"] {
        let error = encrypted(&database, "127.0.0.1", parameters).await.expect_err("refused");
        assert!(error.contains("UnknownIssuer") || error.contains("no certificate authorities"), "{error}");
    }
    let none = rig.folder.path().join("none.pem");
    refused(&database, "127.0.0.1", &format!("sslrootcert={}", none.display()), "cannot be read").await;

    let database = rig.serve(server(&right, &["db.example"], false)).await;
    assert_eq!(encrypted(&database, "127.0.0.1", &with("verify-ca", &right_file)).await, Ok(true));
    for parameters in [with("verify-full", &right_file), right_file.clone()] {
        refused(&database, "127.0.0.1", &parameters, "not valid for name").await;
        refused(&database, "localhost", &parameters, "not valid for name").await;
    }
    refused(&database, "127.0.0.1", &with("verify-ca", &wrong_file), "UnknownIssuer").await;

    let database = rig.serve(server(&right, &["localhost", "127.0.0.1"], true)).await;
    assert_eq!(encrypted(&database, "127.0.0.1", "sslmode=require").await, Ok(true));
    for mode in ["verify-ca", "verify-full"] {
        refused(&database, "127.0.0.1", &with(mode, &right_file), "expired").await;
    }
}
