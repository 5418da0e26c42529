//! Calls between functions: gRPC-Web over HTTPS to function URLs, signed for IAM.
//!
//! A function URL with IAM authentication reads its signature from `authorization`. So the caller's
//! token is sent in the header [`TOKEN`], and the adapter of the callee puts it back. The callee
//! verifies it as always: the right to call the URL is not an identity.

use std::{fmt, net::IpAddr, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header, uri::Scheme,
};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tonic_web::GrpcWebClientService;
use tower::{Service, service_fn};
use zerocart_client::transport::{BoxFuture, Message, OnSend, Reply, Transport, at};
use zerocart_core::error::BoxError;

use crate::sign::Signer;

/// The header for the caller's token, which is `authorization` on other engines.
pub const TOKEN: HeaderName = HeaderName::from_static("x-zerocart-authorization");

/// The service that a function URL's signature is for.
const SERVICE: &str = "lambda";

/// Puts the caller's token back into `authorization`, in place of the signature.
pub fn restore_token(headers: &mut HeaderMap) {
    if let Some(mut token) = headers.remove(TOKEN) {
        token.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, token);
    }
}

/// gRPC-Web over HTTPS, signed. Clones share connections.
#[derive(Clone)]
pub struct Signed {
    client: Client<HttpsConnector<HttpConnector>, Message>,
    signer: Signer,
}

impl Signed {
    /// Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When this machine has no certificates to trust.
    pub fn new(signer: Signer) -> Result<Self, BoxError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this machine has no certificates to trust".into());
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // An environment makes one call at a time, so HTTP/2 has no advantage.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .build(HttpsConnector::from((tcp, tls))),
            signer,
        })
    }

    /// Signs a request, whose headers are those of a call, and sends it.
    async fn send(
        &self,
        mut request: Request<()>,
        body: Bytes,
        on_send: Option<OnSend>,
    ) -> Result<Response<Incoming>, BoxError> {
        let host = request.uri().authority().map(|host| host.as_str());
        let host = HeaderValue::try_from(host.unwrap_or_default())?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        // A header of HTTP/2, with which a client says that it reads trailers.
        headers.remove(header::TE);
        if let Some(token) = headers.remove(header::AUTHORIZATION) {
            headers.insert(TOKEN, token);
        }
        let now = SystemTime::now();
        self.signer
            .sign(&mut request, &body, SERVICE, None, now)
            .await?;
        let message = request.map(|()| Message::new(body, on_send));
        Ok(self.client.request(message).await?)
    }

    /// Sends a gRPC-Web request, and returns the gRPC-Web response.
    async fn ask<B>(
        self,
        request: Request<B>,
        on_send: Option<OnSend>,
    ) -> Result<Response<Incoming>, Unanswered>
    where
        B: Body<Error: Into<BoxError>>,
    {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(lost)?.to_bytes();
        let request = Request::from_parts(head, ());
        let response = self.send(request, body, on_send).await.map_err(lost)?;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        if media_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc-web")) {
            return Ok(response);
        }
        let other = Reply::read(response).await.map_err(lost)?;
        Err(Unanswered::Other(Box::new(other)))
    }
}

/// Why there is no answer of the function itself.
#[derive(Debug)]
enum Unanswered {
    /// Lambda answered, or a system in between.
    Other(Box<Reply>),
    /// There is no answer.
    Lost(BoxError),
}

fn lost(error: impl Into<BoxError>) -> Unanswered {
    Unanswered::Lost(error.into())
}

impl Transport for Signed {
    fn check(&self, base: &Uri) -> Result<(), &'static str> {
        let host = base.host().unwrap_or_default();
        let here = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) || host == "localhost";
        match base.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(()),
            // `cargo lambda watch`
            Some(scheme) if *scheme == Scheme::HTTP && here => Ok(()),
            _ => Err("must begin with https://, or be on this machine"),
        }
    }

    fn post(
        &self,
        base: &Uri,
        path: &'static str,
        headers: HeaderMap,
        message: Bytes,
        on_send: OnSend,
    ) -> BoxFuture<'static, Result<Reply, BoxError>> {
        let (signed, uri) = (self.clone(), at(base, path));
        Box::pin(async move {
            let mut request = Request::new(Full::new(message));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri?;
            *request.headers_mut() = headers;
            let mut on_send = Some(on_send);
            // It puts the trailers at the usual place.
            let mut web = GrpcWebClientService::new(service_fn(move |request| {
                signed.clone().ask(request, on_send.take())
            }));
            match web.call(request).await {
                Ok(response) => Reply::read(response).await,
                Err(Unanswered::Other(reply)) => Ok(*reply),
                Err(Unanswered::Lost(error)) => Err(error),
            }
        })
    }

    fn get(&self, base: &Uri, path: &'static str) -> BoxFuture<'static, Result<Reply, BoxError>> {
        let (signed, uri) = (self.clone(), at(base, path));
        Box::pin(async move {
            let request = Request::get(uri?).body(())?;
            Reply::read(signed.send(request, Bytes::new(), None).await?).await
        })
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("region", &self.signer.region)
            .finish_non_exhaustive()
    }
}
