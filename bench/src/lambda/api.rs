//! The part of Lambda's APIs that a function needs to complete its init.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// After this time a function that asks for nothing is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// The APIs on a port, and the requests that came.
pub(super) struct Api {
    address: String,
    asked: UnboundedReceiver<Instant>,
}

impl Api {
    pub(super) async fn start() -> Result<Self> {
        let (ask, asked) = unbounded_channel();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(never))
            .with_state(ask);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let serving = zerocart_runtime::serve_router(
            listener,
            router,
            std::future::pending(),
            Duration::ZERO,
        );
        tokio::spawn(serving);
        Ok(Self { address, asked })
    }

    /// The variables that Lambda sets for a function.
    pub(super) fn env(&self, name: &str) -> Vec<(String, String)> {
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_REGION", "local"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Forgets what was asked so far.
    pub(super) fn forget(&mut self) {
        while self.asked.try_recv().is_ok() {}
    }

    /// When the next event is asked for.
    pub(super) async fn asked(&mut self) -> Result<Instant> {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await;
        asked.ok().flatten().context("it does not ask for an event")
    }
}

async fn next(State(ask): State<UnboundedSender<Instant>>) {
    // The receiver lives as long as the measurement.
    let _ = ask.send(Instant::now());
    std::future::pending().await
}

async fn register() -> ([(&'static str, &'static str); 1], String) {
    let function = json!({"functionName": "f", "functionVersion": "1", "handler": "bootstrap"});
    (
        [("lambda-extension-identifier", "one")],
        function.to_string(),
    )
}

async fn never() {
    std::future::pending().await
}
