//! A server whose certificate is of an authority of its own.

use std::net::IpAddr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use zerocart_provision::{Address, Administrator};

use crate::support::{ask, passwords, run, server};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a file into the server's folder as the server's user, as it wants its key.
async fn install(admin: &Address, name: &str, pem: &str) {
    let pem = pem.trim_end();
    let copy = format!(
        "COPY (SELECT unnest(string_to_array($pem${pem}$pem$, E'\\n')))
         TO PROGRAM 'umask 077; cat > {name}'"
    );
    run(admin, &copy).await.unwrap();
}

#[tokio::test]
async fn the_server_must_prove_itself_before_it_gets_a_password() {
    let (_server, admin) = server().await;
    let ca = authority();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::IpAddress(IpAddr::from([127, 0, 0, 1]))];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    install(&admin, "server.crt", &certificate.pem()).await;
    install(&admin, "server.key", &key.serialize_pem()).await;
    run(&admin, "ALTER SYSTEM SET ssl = on").await.unwrap();
    run(&admin, "SELECT pg_reload_conf()").await.unwrap();
    while ask(&admin, "SHOW ssl").await.unwrap() != "on" {
        tokio::task::yield_now().await;
    }

    let connect = async |host: &str, roots: &str| {
        let url = format!("{}?sslmode=verify-full", admin.expose());
        let url = url.replace("127.0.0.1", host);
        let address = Address::new(&url, Some(roots)).unwrap();
        Administrator::connect(&address).await
    };
    let two = [authority().pem(), ca.pem()].concat();
    let mut session = connect("127.0.0.1", &two).await.unwrap();
    let roles = passwords(&["user"]);
    session.provision(&["user"], &roles, drop).await.unwrap();
    for (host, roots) in [("localhost", &two), ("127.0.0.1", &authority().pem())] {
        let error = connect(host, roots).await.unwrap_err().to_string();
        assert!(error.contains("TLS failed. Check sslmode"), "{error}");
    }
}
