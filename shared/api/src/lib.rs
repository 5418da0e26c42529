//! Reads of APIs that answer JSON: objects, lists, and streams of lines. They are the API of Kubernetes, and what the
//! local engine tells about itself.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::Value;
use tokio::time::timeout;

/// Where Kubernetes puts what a pod needs to call the API.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long an answer may take to begin, and a list to end.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest list, and the longest line of a stream: an object of etcd has 1.5 MiB at the most.
const MAX_LIST_BYTES: usize = 64 << 20;
const MAX_LINE_BYTES: usize = 4 << 20;
/// What is read of an error.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Why the API cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one of an API server.
    #[error("{0}")]
    Address(String),
    /// A file of the service account cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no answer, or only a part of it.
    #[error("GET {path}: {reason}")]
    Broken {
        /// What was asked for.
        path: String,
        /// Why.
        reason: String,
    },
    /// The server refuses.
    #[error("GET {path}: {status}: {message}")]
    Refused {
        /// What was asked for.
        path: String,
        /// The status of HTTP.
        status: StatusCode,
        /// What the server says.
        message: String,
    },
}

impl Error {
    /// Whether the answer would be the same again: the server does not know this client, or does not let it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(status)
            }
            Self::Address(_) | Self::File { .. } => true,
            Self::Broken { .. } => false,
        }
    }
}

/// The API of a cluster. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// Without a slash at its end.
    base: String,
    /// Read for each request: Kubernetes replaces it.
    token: Option<PathBuf>,
}

impl Api {
    /// The API at a URL that asks for no credentials, such as that of `kubectl proxy`, or of the local engine.
    ///
    /// # Errors
    ///
    /// [`Error::Address`].
    pub fn at(url: &str) -> Result<Self, Error> {
        Self::new(url, None)
    }

    /// The API of the cluster in which this program is a pod. `host` and `port` are the values of the variables
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    ///
    /// # Errors
    ///
    /// When the pod has no service account.
    pub fn of_cluster(host: &str, port: &str) -> Result<Self, Error> {
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        Self::new(&format!("https://{host}:{port}"), Some(ACCOUNT.into()))
    }

    fn new(url: &str, account: Option<PathBuf>) -> Result<Self, Error> {
        let base: Option<Uri> = url.parse().ok();
        let is_right = base.is_some_and(|base| {
            base.host().is_some() && ["http", "https"].contains(&base.scheme_str().unwrap_or(""))
        });
        if !is_right {
            let wrong = "it must be a URL with http or https and a host: http://localhost:8001";
            return Err(Error::Address(wrong.to_owned()));
        }
        let mut roots = RootCertStore::empty();
        if let Some(account) = &account {
            let path = account.join("ca.crt");
            let failed = |reason: String| Error::File {
                path: path.clone(),
                reason,
            };
            let found = CertificateDer::pem_file_iter(&path).map_err(|e| failed(e.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|e| failed(e.to_string()))?;
                roots.add(certificate).map_err(|e| failed(e.to_string()))?;
            }
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(HttpsConnector::from((tcp, tls))),
            base: url.trim_end_matches('/').to_owned(),
            token: account.map(|account| account.join("token")),
        })
    }

    /// An object or a list.
    ///
    /// # Errors
    ///
    /// Without a good answer.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        let response = self.ask(path).await?;
        let body = Limited::new(response.into_body(), MAX_LIST_BYTES).collect();
        let body = match timeout(LIMIT, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return Err(broken(path, error)),
            Err(_) => return Err(broken(path, "no end of the answer")),
        };
        serde_json::from_slice(&body).map_err(|error| broken(path, error))
    }

    /// Opens an answer that is a stream of lines.
    ///
    /// # Errors
    ///
    /// Without a good answer.
    pub async fn lines(&self, path: &str) -> Result<Lines, Error> {
        Ok(Lines {
            path: path.to_owned(),
            body: self.ask(path).await?.into_body(),
            buffer: Vec::new(),
            searched: 0,
        })
    }

    async fn ask(&self, path: &str) -> Result<Response<Incoming>, Error> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::get(&url);
        if let Some(file) = &self.token {
            let token = tokio::fs::read_to_string(file).await;
            let token = token.map_err(|error| Error::File {
                path: file.clone(),
                reason: error.to_string(),
            })?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let request = request.body(Empty::new());
        let request = request.map_err(|error| broken(path, error))?;
        let response = match timeout(LIMIT, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                return Err(broken(path, cause.unwrap_or_else(|| error.to_string())));
            }
            Err(_) => return Err(broken(path, "no answer")),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = Limited::new(response.into_body(), MAX_ERROR_BYTES).collect();
        let body = timeout(LIMIT, body).await.ok().and_then(Result::ok);
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        Err(Error::Refused {
            path: path.to_owned(),
            status,
            message: said["message"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

fn broken(path: &str, reason: impl ToString) -> Error {
    // A query has nothing that a person needs.
    let path = path.parse::<PathAndQuery>();
    Error::Broken {
        path: path.map_or_else(|_| String::new(), |path| path.path().to_owned()),
        reason: reason.to_string(),
    }
}

/// The lines of an answer, as they come.
#[derive(Debug)]
pub struct Lines {
    path: String,
    body: Incoming,
    buffer: Vec<u8>,
    /// How much of the buffer has no end of line.
    searched: usize,
}

impl Lines {
    /// The next line, without its end; none at the end of the answer.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or a line is too long.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            let new = self.buffer[self.searched..].iter();
            if let Some(end) = new.clone().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE_BYTES {
                return Err(broken(&self.path, "a line without end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(broken(&self.path, error)),
                None => return Ok(None),
            }
        }
    }
}
