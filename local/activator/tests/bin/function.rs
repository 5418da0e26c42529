//! A function for the tests of the activator. Its environment and its requests say how it behaves.
//!
//! Without `LISTEN` it is a job: it says `working`, waits for the file `$FINISH` if that is set,
//! prints its environment and exits with the status `$EXIT`, 0 without it.
//!
//! `START_GATE`: a file without which it answers its readiness probe 503. `NEEDS`: a file without
//! which it exits at once. `IGNORE_TERM`: it does not end on SIGTERM. Without it, it ends at once,
//! even during a request, so that a signal that comes too early costs a request.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};

type Environment = Arc<BTreeMap<String, String>>;

struct Function {
    env: Environment,
    sick: AtomicBool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let env = environment();
    if !env.contains_key("LISTEN") {
        return job(&env).await;
    }
    say("starting");
    if env
        .get("NEEDS")
        .is_some_and(|file| !PathBuf::from(file).exists())
    {
        say("cannot start: something is missing");
        std::process::exit(3);
    }
    assert_eq!(env["LISTEN"], "stdin", "the activator passes the socket");
    let listener = std::net::TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let ignore_term = env.contains_key("IGNORE_TERM");
    let function = Arc::new(Function {
        env,
        sick: AtomicBool::new(false),
    });
    let router = Router::new()
        .route("/health", get(health))
        .route("/live", get(live))
        .route("/sick", post(sick))
        .route("/pid", get(async || std::process::id().to_string()))
        .route("/env", get(env_of))
        .route("/hold/{gate}", get(hold))
        .route("/cancelled/{mark}", get(cancelled))
        .route("/crash", get(crash))
        .route("/endless", get(endless))
        .route("/test.Echo/Echo", post(grpc_echo))
        .with_state(function);
    on_term(ignore_term)?;
    axum::serve(listener, router).await
}

fn on_term(ignore: bool) -> io::Result<()> {
    let mut terms = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        while terms.recv().await.is_some() {
            if ignore {
                say("ignoring SIGTERM");
            } else {
                std::process::exit(0);
            }
        }
    });
    Ok(())
}

async fn job(env: &BTreeMap<String, String>) -> io::Result<()> {
    on_term(env.contains_key("IGNORE_TERM"))?;
    say("working");
    if env.contains_key("JOB") {
        return std::future::pending().await;
    }
    if let Some(gate) = env.get("FINISH") {
        while !PathBuf::from(gate).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    say(&serde_json::to_string(env)?);
    let status = env.get("EXIT").map_or(Ok(0), |status| status.parse());
    std::process::exit(status.expect("a number"))
}

#[expect(clippy::disallowed_methods, reason = "this is where it is configured")]
fn environment() -> Environment {
    Arc::new(std::env::vars().collect())
}

fn say(line: &str) {
    writeln!(io::stdout(), "{line}").expect("the activator reads the output");
}

async fn health(State(function): State<Arc<Function>>) -> StatusCode {
    match function.env.get("START_GATE") {
        Some(gate) if !PathBuf::from(gate).exists() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

async fn live(State(function): State<Arc<Function>>) -> StatusCode {
    if function.sick.load(Ordering::Relaxed) {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    }
}

async fn sick(State(function): State<Arc<Function>>) {
    function.sick.store(true, Ordering::Relaxed);
}

async fn env_of(State(function): State<Arc<Function>>) -> String {
    serde_json::to_string(&*function.env).expect("strings serialize")
}

/// Answers when the file `$GATES/<gate>` exists.
async fn hold(State(function): State<Arc<Function>>, Path(gate): Path<String>) -> String {
    let gate = PathBuf::from(&function.env["GATES"]).join(gate);
    while !gate.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::process::id().to_string()
}

/// Never answers. Makes the file `$GATES/<mark>.began`, and `$GATES/<mark>.dropped` when the request
/// is given up.
async fn cancelled(State(function): State<Arc<Function>>, Path(mark): Path<String>) {
    struct Dropped(PathBuf);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = std::fs::write(&self.0, "");
        }
    }
    let gates = PathBuf::from(&function.env["GATES"]);
    let _dropped = Dropped(gates.join(format!("{mark}.dropped")));
    std::fs::write(gates.join(format!("{mark}.began")), "").expect("the folder is there");
    std::future::pending().await
}

async fn crash() {
    say("last words");
    std::process::exit(7);
}

async fn endless() -> Body {
    Body::from_stream(
        stream::repeat(Bytes::from_static(b"more\n")).then(async |chunk| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok::<_, Infallible>(chunk)
        }),
    )
}

/// Sends every frame back as it comes, then gRPC's trailers.
async fn grpc_echo(headers: HeaderMap, body: Body) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let te = headers.get("te").cloned();
    trailers.insert("echo-te", te.unwrap_or(HeaderValue::from_static("none")));
    let end = stream::once(async { Ok(http_body::Frame::trailers(trailers)) });
    let frames = body
        .into_data_stream()
        .map(|chunk| chunk.map(http_body::Frame::data));
    let mut response = Response::new(Body::new(StreamBody::new(frames.chain(end)).boxed_unsync()));
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", content_type);
    response
}
