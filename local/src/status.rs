//! How a running engine is found, and what it tells about itself, on a loopback port.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use axum::{Router, body::Body, extract::State, routing::get};
use http::{Response, header};
use serde::{Deserialize, Serialize};
use zerocart_activator::{Activator, FunctionStatus};

/// Written to the data folder while an engine runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Engine {
    /// Its process.
    pub(crate) pid: u32,
    /// Its gateway.
    pub(crate) gateway: String,
    /// Where it tells about itself: `127.0.0.1:port`.
    pub(crate) status: String,
}

impl Engine {
    /// What the engine of this data folder wrote, if it wrote anything.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Tells others where this engine is, until the guard is dropped.
    pub(crate) fn announce(&self, path: &Path) -> Result<Announced> {
        let draft = path.with_extension("new");
        fs::write(&draft, serde_json::to_string_pretty(self)?)
            .and_then(|()| fs::rename(&draft, path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Announced(path.to_owned()))
    }
}

/// Removes the announcement.
pub(crate) struct Announced(std::path::PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What `GET /functions` answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Functions {
    pub(crate) functions: Vec<FunctionStatus>,
}

/// `GET /functions` and, where Kong has it too, `GET /metrics`.
pub(crate) fn router(
    activator: Activator,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router {
    Router::new()
        .route("/functions", get(functions))
        .with_state(activator)
        .route("/metrics", get(move || async move { metrics() }))
}

async fn functions(State(activator): State<Activator>) -> Response<Body> {
    let functions = Functions {
        functions: activator.status(),
    };
    // Names and numbers: nothing in them that JSON cannot hold.
    let json = serde_json::to_vec(&functions).unwrap_or_default();
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
