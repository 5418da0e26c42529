//! The process around a function: one port, one thread, and a clean end.

use std::{
    io::{self, IsTerminal},
    net::{Ipv6Addr, SocketAddr},
    os::fd::AsFd,
    process::ExitCode,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tower::ServiceExt;
use tracing::Level;
use tracing_subscriber::{filter::LevelFilter, prelude::*};
use zerocart_core::{
    Env, Function, Invalid, Platform, Setup, Start, StartError,
    trace::{Recorder, Resource, redact::Redacted},
};
use zerocart_framing::Linger;

use crate::{
    lines::Lines,
    router::misframed,
    service::{Built, Service},
};

/// The time that a client has to send the head of a request, its first one from the moment that it
/// connects.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an idle HTTP/2 connection is asked whether it still lives, and how long it may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// The largest head of a request, in bytes. It is above what those before a function let through (Envoy
/// 60 KiB, the local activator 64): they send the requests of all clients over one HTTP/2 connection,
/// which a head far above the limit would end for all of them.
const MAX_HEAD_BYTES: u32 = 96 * 1024;

/// How many requests may have been given up on one HTTP/2 connection before they were looked at. h2's
/// own 20 is for one client; here one connection carries the clients of a whole gateway.
const MAX_RESETS: usize = 1024;

/// How the process is run.
struct Settings {
    listen: Listen,
    drain: Duration,
    log_level: Level,
    log_format: LogFormat,
}

/// Where a function listens.
enum Listen {
    /// On all addresses, at this port.
    Port(u16),
    /// On the socket that is this process's standard input, already bound and listening, as inetd
    /// passes one: the parent process knows the port before the function runs, and no request is
    /// refused while it starts.
    Stdin,
}

impl Settings {
    fn from_setup(setup: &mut Setup) -> Result<Self, Invalid> {
        let port = setup.or("PORT", 8080);
        let listen = setup.optional::<String>("LISTEN");
        let drain = setup.millis("DRAIN_TIMEOUT_MS", Duration::from_secs(25));
        let log_level = setup.or("LOG_LEVEL", Level::INFO);
        let log_format = setup.or("LOG_FORMAT", LogFormat::default());
        let listen = match listen?.as_deref() {
            None => Listen::Port(port?),
            Some("stdin") => Listen::Stdin,
            Some(_) => {
                setup.problem("LISTEN must be `stdin`, or absent for PORT");
                return Err(Invalid);
            }
        };
        Ok(Self {
            listen,
            drain: drain?,
            log_level: log_level?,
            log_format: log_format?,
        })
    }
}

/// The form of what a process writes to its standard output: `LOG_FORMAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `otlp`: spans as lines of OTLP JSON, and log lines as JSON. A call that was answered is one span,
    /// and no log line.
    Otlp,
    /// `json`: log lines alone, one for each call.
    Json,
    /// `text`: the same for people.
    Text,
}

impl Default for LogFormat {
    /// Text where a person looks on, and else JSON. An engine that collects spans asks for them.
    fn default() -> Self {
        if io::stdout().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "otlp" => Ok(Self::Otlp),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("must be otlp, json or text"),
        }
    }
}

/// Where the spans of a process go that is the function or job `name`: to standard output, or nowhere.
pub fn recorder(env: &Env, name: &'static str, format: LogFormat) -> Recorder {
    if format != LogFormat::Otlp {
        return Recorder::default();
    }
    let mut resource = Resource::new(name, env!("CARGO_PKG_VERSION"));
    // What the engines say of themselves.
    for (variable, key) in [
        ("HOSTNAME", "host.name"),
        ("K_REVISION", "faas.version"),
        ("AWS_REGION", "cloud.region"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "faas.version"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "faas.instance"),
    ] {
        if let Some(value) = env.get(variable) {
            resource = resource.with(key, value);
        }
    }
    Recorder::stdout(&resource)
}

/// Runs the function `F` until SIGTERM: the whole of a function's `main`.
pub fn run<F: Function>() -> ExitCode {
    run_service(Service::of::<F>())
}

/// Runs a service until SIGTERM: the whole of its `main`.
pub fn run_service(service: Service) -> ExitCode {
    let started = Instant::now();
    match start(service, Env::of_process(), started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(function = service.name, %error, cause, "did not start");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(service: Service, env: Env, started: Instant) -> Result<(), StartError> {
    let mut setup = Setup::new(env.clone(), service.name);
    let settings = Settings::from_setup(&mut setup);
    let (mut problems, ..) = setup.finish();
    let (level, format) = settings.as_ref().map_or_else(
        |_| (Level::INFO, LogFormat::default()),
        |settings| (settings.log_level, settings.log_format),
    );
    init_logs(level, format);
    let start = Start::default();
    let platform = Platform::default()
        .with(recorder(&env, service.name, format))
        .with(start.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| StartError::Io {
            what: "cannot start the event loop",
            source,
        })?;
    // Tasks that a function spawns while it is built need the event loop.
    let _entered = runtime.enter();
    let built = (service.build)(platform, env);
    let (settings, built) = match (settings, built) {
        (Ok(settings), Ok(built)) => (settings, built),
        (_, built) => {
            if let Err(StartError::Config(more)) = built {
                problems.extend(more);
            }
            return Err(StartError::Config(problems));
        }
    };
    start.phase("process start", started, Instant::now());
    // As a task: the event loop writes to an eventfd each time when the future of `block_on` is woken.
    let serving = runtime.spawn(serve(service.name, settings, built, started, start));
    runtime.block_on(serving).unwrap_or_else(|ended| {
        Err(StartError::Io {
            what: "the server ended",
            source: ended.into(),
        })
    })
}

async fn serve(
    name: &'static str,
    settings: Settings,
    built: Built,
    started: Instant,
    start: Start,
) -> Result<(), StartError> {
    let listening = Instant::now();
    let listener = listen(&settings.listen).await?;
    start.phase("listen", listening, Instant::now());
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    for task in built.background {
        tokio::spawn(task);
    }
    tracing::info!(
        function = name,
        address = %listener.local_addr().map_or_else(|_| "unknown".into(), |a| a.to_string()),
        startup_ms = started.elapsed().as_secs_f64() * 1e3,
        "listening"
    );
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (asked, mut asked_at) = tokio::sync::oneshot::channel();
    let stop = async move {
        stop.await;
        let _ = asked.send(Instant::now());
    };
    serve_router(listener, built.router, stop, settings.drain).await;
    let since = asked_at
        .try_recv()
        .map_or(Duration::ZERO, |at: Instant| at.elapsed());
    let left = settings.drain.saturating_sub(since);
    if tokio::time::timeout(left, built.lasting.idle())
        .await
        .is_err()
    {
        tracing::warn!(
            "work was still going on at the end of the drain; another process takes it up"
        );
    }
    built.lasting.end().await;
    tracing::info!(function = name, "stopped");
    Ok(())
}

/// Serves `router` on `listener` with HTTP/1.1 and h2c until `stop`, then lets what runs end
/// within `drain`.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    drain: Duration,
) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES as usize);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_header_list_size(MAX_HEAD_BYTES);
    let graceful = GracefulShutdown::new();
    // Closed when the last connection has let go of it.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting lets some be closed.
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // An answer is one small write; it must not wait for the acknowledgement of the last.
        let _ = stream.set_nodelay(true);
        let linger = Linger::of(&stream);
        let (stream, framing) = zerocart_framing::watch(stream);
        let asked = Arc::new(AtomicBool::new(false));
        let service = {
            let asked = Arc::clone(&asked);
            let router = router.clone();
            service_fn(move |request: Request<Incoming>| {
                asked.store(true, Ordering::Relaxed);
                let refused = framing.check(request.version(), request.headers());
                let router = router.clone();
                async move {
                    match refused {
                        Some(refused) => Ok(misframed(refused, request.headers())),
                        None => router.oneshot(request.map(Body::new)).await,
                    }
                }
            })
        };
        let connection = http
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        let open = open.clone();
        tokio::spawn(async move {
            let _open = open;
            // hyper's own limit begins once it knows the version, which a client that sends nothing
            // never tells.
            let silent = async {
                tokio::time::sleep(HEADER_READ_TIMEOUT).await;
                if asked.load(Ordering::Relaxed) {
                    std::future::pending().await
                }
            };
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(error, "a connection ended badly");
                    }
                    linger.end().await;
                },
                () = silent => tracing::debug!("a connection asked for nothing"),
            }
        });
    }
    drop((listener, open));
    let ended = async {
        graceful.shutdown().await;
        all_closed.recv().await;
    };
    if tokio::time::timeout(drain, ended).await.is_err() {
        tracing::warn!(
            drain_ms = drain.as_millis(),
            "calls were still running at the end of the drain"
        );
    }
}

async fn listen(listen: &Listen) -> Result<TcpListener, StartError> {
    match listen {
        Listen::Port(port) => {
            let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
            // A host without IPv6 has only the other one.
            let bound = match TcpListener::bind(address).await {
                Ok(listener) => Ok(listener),
                Err(_) => TcpListener::bind(("0.0.0.0", *port)).await,
            };
            bound.map_err(|source| StartError::Listen {
                address: format!("port {port}"),
                source,
            })
        }
        Listen::Stdin => inherited().map_err(|source| StartError::Listen {
            address: "the socket that should be standard input".into(),
            source,
        }),
    }
}

fn inherited() -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    // What is no socket has no address; accepting from it would fail for ever.
    listener.local_addr()?;
    TcpListener::from_std(listener)
}

pub(crate) fn on(kind: SignalKind) -> Result<Signal, StartError> {
    signal(kind).map_err(|source| StartError::Io {
        what: "cannot listen for signals",
        source,
    })
}

/// Log lines on standard output, as JSON or as text. Once in a process; what comes later changes nothing.
pub fn init_logs(level: Level, format: LogFormat) {
    let output = Redacted(io::stdout);
    let lines = match format {
        LogFormat::Text => Lines::text(output),
        LogFormat::Json | LogFormat::Otlp => Lines::json(output),
    };
    let first = tracing_subscriber::registry()
        .with(LevelFilter::from_level(level))
        .with(lines)
        .try_init();
    // In tests another subscriber may be there already.
    if first.is_err() {
        return;
    }
    // What a panic says goes the way of all else, not past it to standard error.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panicked");
    }));
}
