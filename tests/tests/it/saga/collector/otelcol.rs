//! The Collector's process, its log files, and the store of traces that it sends to.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use http::{Method, Request};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};
use zerocart_test_support::clients::{self, Body};
use zerocart_tests::root;

use super::super::{
    stage::send,
    traces::{Recorded, recorded_spans},
    until,
};

/// Appends lines to the log of a pod, as containerd writes them: each with a time, a stream and a tag. A line
/// of more than 16 KiB is divided: its parts have the tag `P`, and the last one `F`.
pub(super) fn write_log(folder: &Path, function: &str, text: &str) {
    let folder = folder.join(format!(
        "zerocart_{function}-00001-deployment-x_0b5c/user-container"
    ));
    fs::create_dir_all(&folder).expect("a folder can be made");
    let mut lines = String::new();
    for line in text.lines() {
        let mut parts = line.as_bytes().chunks(super::CHUNK).peekable();
        while let Some(part) = parts.next() {
            let tag = if parts.peek().is_some() { 'P' } else { 'F' };
            // Spans are ASCII where this divides them.
            let part = String::from_utf8_lossy(part);
            let _ = writeln!(lines, "2026-11-28T08:00:00.123456789Z stdout {tag} {part}");
        }
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("0.log"));
    let mut log = log.expect("the log can be opened");
    log.write_all(lines.as_bytes())
        .expect("the log can be written");
}

/// A store of traces: it takes OTLP over HTTP in JSON.
pub(super) struct Receiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Recorded>>>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let spans: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("there is a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let take = async |State(spans): State<Arc<Mutex<Vec<Recorded>>>>, body: Bytes| {
            let export = serde_json::from_slice(&body).expect("the Collector sends JSON");
            spans
                .lock()
                .expect("nobody panics here")
                .extend(recorded_spans(&export));
            ([("content-type", "application/json")], "{}")
        };
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&spans));
        tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("connections can be accepted");
        });
        Self { address, spans }
    }

    pub(super) fn spans(&self) -> Vec<Recorded> {
        self.spans.lock().expect("nobody panics here").clone()
    }
}

/// The Collector. Killed when this is dropped.
pub(super) struct OtelCollector {
    child: Child,
    address: IpAddr,
    _state: TempDir,
}

impl OtelCollector {
    /// Starts the Collector with the configuration that is deployed, on the logs of a folder.
    pub(super) async fn start(logs: &Path, receiver: &Receiver) -> Self {
        Self::start_with(&[], &[("LOGS", logs.as_os_str())], receiver).await
    }

    /// Starts the Collector with the configuration that is deployed, more files after it, and more variables.
    pub(super) async fn start_with(
        more: &[&Path],
        env: &[(&str, &OsStr)],
        receiver: &Receiver,
    ) -> Self {
        let state = tempfile::tempdir().expect("a temporary folder can be made");
        // The ports are those of a pod. An address of its own keeps it apart from everything on this machine.
        let [a, b] = rand::random::<[u8; 2]>();
        let address = IpAddr::from([127, 77, a, b.clamp(1, 254)]);
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(state.path().join("otelcol.log"));
        let output = output.expect("the log can be opened");
        let configuration = root().join("observability/collector.yaml");
        let files = [configuration.as_path()].into_iter();
        let child = Command::new(tool("otelcol", "collector"))
            .args(
                files
                    .chain(more.iter().copied())
                    .flat_map(|file| [OsStr::new("--config"), file.as_os_str()]),
            )
            .env_clear()
            .env("MY_POD_IP", address.to_string())
            .envs(env.iter().copied())
            .env("STATE", state.path().join("state"))
            .env("FLUSH_INTERVAL", "1s")
            .env("TRACES_ENDPOINT", format!("http://{}", receiver.address))
            .env("TRACES_ENCODING", "json")
            .stdout(output.try_clone().expect("a file can be cloned"))
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .expect("the Collector can be started");
        let mut collector = Self {
            child,
            address,
            _state: state,
        };
        let log = collector._state.path().join("otelcol.log");
        until("the Collector is ready", async || {
            if let Ok(Some(status)) = collector.child.try_wait() {
                let log = fs::read_to_string(&log).unwrap_or_default();
                panic!("the Collector ended: {status}\n{log}");
            }
            let request = clients::request(Method::GET, "/", "");
            let reply = send((collector.address, 13133).into(), request).await?;
            reply.status.is_success().then_some(())
        })
        .await;
        collector
    }

    /// What Prometheus would read.
    pub(super) async fn metrics(&self) -> Option<String> {
        let mut request: Request<Body> = clients::request(Method::GET, "/metrics", "");
        let open_metrics =
            http::HeaderValue::from_static("application/openmetrics-text;version=1.0.0");
        request.headers_mut().insert("accept", open_metrics);
        let reply = send((self.address, 8889).into(), request).await?;
        String::from_utf8(reply.body.to_vec()).ok()
    }

    /// Sends it spans, as Kong does.
    pub(super) async fn send(&self, export: &'static str) {
        let request = clients::request(Method::POST, "/v1/traces", export);
        let reply = send((self.address, 4318).into(), request).await;
        let reply = reply.expect("the Collector answers");
        assert_eq!(reply.status, 200);
    }

    /// SIGTERM, after which it ends by itself.
    pub(super) async fn stop(mut self) {
        let pid = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(pid.expect("it runs"), Signal::TERM).expect("a child may be signalled");
        let status = self.child.wait().await.expect("a child can be waited for");
        assert!(status.success(), "{status}");
    }
}

/// A program in `target/tools`, which a recipe of the justfile has put there.
pub(super) fn tool(name: &str, recipe: &str) -> PathBuf {
    let program = root().join("target/tools/bin").join(name);
    assert!(
        program.is_file(),
        "there is no {name}: `just {recipe}` installs it"
    );
    program
}
