//! How a running engine is found, and what it tells about itself, on a loopback port.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract,
    routing::{get, post},
};
use http::{Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use zerocart_activator::{Activator, FunctionStatus, JobStatus, Jobs, jobs::NotRun};

use crate::reload::Reload;

/// Written to the data folder while an engine runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Engine {
    /// Its process.
    pub(crate) pid: u32,
    /// Its gateway.
    pub(crate) gateway: String,
    /// Where it tells about itself: `127.0.0.1:port`.
    pub(crate) status: String,
    /// Where each function is for the others: `http://{function}.localhost:port`.
    #[serde(default)]
    pub(crate) functions: String,
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

/// What `GET /status` answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) functions: Vec<FunctionStatus>,
    pub(crate) jobs: Vec<JobStatus>,
}

/// `GET /status`, `POST /jobs/{name}/run`, which answers when that run has ended, `POST /keys/reload`.
pub(crate) fn router(activator: Activator, jobs: Jobs, reload: Reload) -> Router {
    let told = jobs.clone();
    let status = async move || {
        let status = Status {
            functions: activator.status(),
            jobs: told.status(),
        };
        json(StatusCode::OK, &status)
    };
    let run = async move |extract::Path(name): extract::Path<String>| match jobs.run(&name).await {
        Ok(run) => json(StatusCode::OK, &run),
        Err(error @ NotRun::Unknown(_)) => json(StatusCode::NOT_FOUND, &error.to_string()),
        Err(error @ NotRun::Stopping) => json(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    // Two at once do no harm: each takes up what the files hold.
    let reload = async move || match reload.run() {
        Ok(()) => json(StatusCode::OK, &"reloaded"),
        Err(error) => json(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
    };
    Router::new()
        .route("/status", get(status))
        .route("/keys/reload", post(reload))
        .route("/jobs/{name}/run", post(run))
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Names, numbers and lines: nothing in them that JSON cannot hold.
    let json = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
