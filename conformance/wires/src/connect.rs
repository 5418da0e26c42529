//! Connections, with TLS where the URL asks for it.

use std::{net::IpAddr, sync::Arc};

use http::{Uri, uri::Scheme};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{Body, Unusable};

/// A client over pooled connections. A clone shares them.
pub(super) type Http = Client<HttpsConnector<HttpConnector>, Body>;

/// A client of `base`, connected to nothing yet; its connections come from `source`.
///
/// # Errors
///
/// When `base` is no URL of HTTP, or this machine has no certificates to trust for `https`.
pub(super) fn client(base: &Uri, http2: bool, source: Option<IpAddr>) -> Result<Http, Unusable> {
    let scheme = base.scheme().filter(|_| base.host().is_some());
    let mut roots = RootCertStore::empty();
    match scheme {
        Some(scheme) if *scheme == Scheme::HTTP => {}
        Some(scheme) if *scheme == Scheme::HTTPS => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(Unusable::new("this machine has no certificates to trust"));
            }
        }
        _ => {
            return Err(Unusable::new(format!(
                "{base} is no URL like http://localhost:8000"
            )));
        }
    }
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = match http2 {
        true => vec![b"h2".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    let mut tcp = HttpConnector::new();
    // Or a request's message would wait until its head is acknowledged, 40 ms later.
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp.set_local_address(source);
    Ok(Client::builder(TokioExecutor::new())
        .http2_only(http2)
        .build(HttpsConnector::from((tcp, tls))))
}
