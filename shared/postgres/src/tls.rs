//! TLS to the server, set up at the first connection that wants it.

use std::{
    fmt, io,
    path::Path,
    str::FromStr,
    sync::{Arc, OnceLock},
};

use futures_util::future::BoxFuture;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, TrustAnchor, pem::PemObject},
};
use tokio_postgres::{
    Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::url::Roots;

/// Root certificates in PEM form: one or more, of which a server's certificate must lead to one. Two
/// are how a certificate authority is replaced without an outage.
///
/// They are read when a function starts, and not at its first connection: this takes microseconds, and
/// a bad text is then reported with all other bad variables.
#[derive(Clone, PartialEq, Eq)]
pub struct RootCertificates(Arc<[TrustAnchor<'static>]>);

impl FromStr for RootCertificates {
    type Err = String;

    fn from_str(pem: &str) -> Result<Self, String> {
        Ok(Self(roots_in(pem.as_bytes())?.roots.into()))
    }
}

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificates({})", self.0.len())
    }
}

/// Makes TLS connectors that verify the server's certificate and name.
///
/// The roots are read when a server has agreed to the first handshake: a function that never
/// connects, or connects without TLS, never pays for them. So this one type serves for every
/// `sslmode`, and the driver is compiled once rather than once for each.
#[derive(Clone)]
pub(crate) struct LazyTls {
    shared: Arc<Shared>,
}

struct Shared {
    roots: Roots,
    connector: OnceLock<MakeRustlsConnect>,
}

impl LazyTls {
    pub(crate) fn new(roots: Roots) -> Self {
        Self {
            shared: Arc::new(Shared {
                roots,
                connector: OnceLock::new(),
            }),
        }
    }

    /// The connector. A failure to read the roots is not kept: the file may appear.
    fn connector(&self) -> io::Result<MakeRustlsConnect> {
        if let Some(connector) = self.shared.connector.get() {
            return Ok(connector.clone());
        }
        let made = MakeRustlsConnect::new(client_config(&self.shared.roots)?);
        Ok(self.shared.connector.get_or_init(|| made).clone())
    }
}

impl MakeTlsConnect<Socket> for LazyTls {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        Ok(Handshake {
            tls: self.clone(),
            host: host.to_owned(),
        })
    }
}

/// A handshake with one server, should it come to that.
pub(crate) struct Handshake {
    tls: LazyTls,
    host: String,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = <LazyTls as MakeTlsConnect<Socket>>::Stream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Stream>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let mut connector = self.tls.connector()?;
            match MakeTlsConnect::<Socket>::make_tls_connect(&mut connector, &self.host) {
                Ok(connect) => connect.connect(socket).await,
                Err(never) => match never {},
            }
        })
    }
}

fn client_config(roots: &Roots) -> io::Result<ClientConfig> {
    let store = match roots {
        Roots::System => system_roots()?,
        Roots::File(path) => roots_of(path)?,
        Roots::Given(roots) => roots.0.iter().cloned().collect(),
    };
    // The provider is named: a process-wide default may be missing, or somebody else's.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(config)
}

fn system_roots() -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Stores of operating systems hold certificates that rustls cannot read; the others serve.
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(unusable(
            "the system has no root certificates; set sslrootcert",
        ));
    }
    Ok(store)
}

fn roots_of(path: &Path) -> io::Result<RootCertStore> {
    let pem = std::fs::read(path)
        .map_err(|error| unusable(&format!("cannot read sslrootcert: {error}")))?;
    roots_in(&pem).map_err(|problem| unusable(&format!("sslrootcert {problem}")))
}

/// All certificates of a PEM text, or what is wrong with it.
fn roots_in(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        let added = store.add(certificate);
        added.map_err(|error| format!("holds what is no certificate: {error}"))?;
    }
    if store.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    Ok(store)
}

/// `InvalidData`, which tells a bad set-up from a transport that may work in a moment.
fn unusable(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
