//! TLS: asked for, refused, verified.

use std::{io::Write, net::IpAddr, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use zerocart_core::{Env, Error, Kind, Setup};
use zerocart_postgres::{Database, Options};
use zerocart_test_support::postgres::TestServer;

use crate::support::{call, connect, database, running, until};

/// A certificate authority of the test's own.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn file(pem: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    file
}

/// Writes a file into the server's folder as the server's user, as it wants its key.
async fn install(admin: &tokio_postgres::Client, name: &str, pem: &str) {
    admin
        .batch_execute(&format!(
            "COPY (SELECT unnest(string_to_array($pem${}$pem$, E'\\n')))
             TO PROGRAM 'umask 077; cat > {name}'",
            pem.trim_end()
        ))
        .await
        .unwrap();
}

/// Gives the server a certificate for 127.0.0.1, by this authority.
async fn certify(admin: &tokio_postgres::Client, ca: &CertifiedIssuer<'_, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![rcgen::SanType::IpAddress(IpAddr::from([127, 0, 0, 1]))];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    install(admin, "server.crt", &certificate.pem()).await;
    install(admin, "server.key", &key.serialize_pem()).await;
}

#[tokio::test]
async fn the_server_is_verified() {
    let server = TestServer::private().await;
    let test = server.database("user").await;
    let require = |host: &str, roots: &str| {
        let url = test.url().replace("127.0.0.1", host);
        format!("{url}?sslmode=require&sslrootcert={roots}")
    };
    let ca = authority();
    let roots = file(&ca.pem());
    let roots = roots.path().to_str().unwrap();
    let refused = async |host: &str, roots: &str| -> String {
        let error: Error = database(&require(host, roots))
            .session(&call())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(error.message(), "the database is unavailable");
        format!("{error:?}")
    };

    let log = refused("127.0.0.1", roots).await;
    assert!(log.contains("server does not support TLS"), "{log}");

    let admin = connect(test.admin_url()).await;
    certify(&admin, &ca).await;
    admin
        .batch_execute("ALTER SYSTEM SET ssl = on")
        .await
        .unwrap();
    admin
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    until("the server speaks TLS", async || {
        let row = admin.query_one("SHOW ssl", &[]).await.unwrap();
        row.get::<_, &str>(0) == "on"
    })
    .await;

    for mode in ["require", "prefer", "verify-full"] {
        let url = require("127.0.0.1", roots).replace("require", mode);
        let session = database(&url).session(&call()).await.unwrap();
        let row = session
            .query_one(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await
            .unwrap();
        assert!(row.get::<_, bool>(0), "{mode}");
    }

    // A statement is cancelled over TLS as well.
    let session = database(&require("127.0.0.1", roots))
        .session(&call())
        .await
        .unwrap();
    let sleep = session.query("SELECT pg_sleep(3600)", &[]);
    drop(tokio::time::timeout(Duration::from_millis(300), sleep).await);
    drop(session);
    until("it was cancelled", async || running(&admin).await == 0).await;

    let log = refused("localhost", roots).await;
    assert!(log.contains("not valid for name"), "{log}");
    let stranger = file(&authority().pem());
    let log = refused("127.0.0.1", stranger.path().to_str().unwrap()).await;
    assert!(log.contains("invalid peer certificate"), "{log}");
    let empty = file("");
    let log = refused("127.0.0.1", empty.path().to_str().unwrap()).await;
    assert!(log.contains("holds no certificate"), "{log}");

    // The same from a variable. While an authority is replaced, clients know the old one and the new.
    let verified = format!("{}?sslmode=verify-full", test.url());
    let given = async |pem: &str| {
        let variables = [
            ("DATABASE_URL", &*verified),
            ("DATABASE_ROOT_CERTIFICATE", pem),
        ];
        let mut setup = Setup::new(Env::from_iter(variables), "test");
        let database = Database::from_setup(&mut setup, Options::default()).unwrap();
        database.session(&call()).await.map(drop)
    };
    let new = authority();
    let both = [new.pem(), ca.pem()].concat();
    given(&both).await.unwrap();
    certify(&admin, &new).await;
    admin
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
    until("the server has its new certificate", async || {
        given(&new.pem()).await.is_ok()
    })
    .await;
    given(&both).await.unwrap();
    let log = format!("{:?}", given(&ca.pem()).await.unwrap_err());
    assert!(log.contains("invalid peer certificate"), "{log}");
}
