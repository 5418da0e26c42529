//! `zerocart up`: everything on this machine, until Ctrl-C.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args as ClapArgs;
use rustix::process::{Resource, Rlimit};
use tokio::{net::TcpListener, sync::watch};
use zerocart_activator::{
    Activator, Guard, Job, JobLauncher, Jobs, Launcher, Options, ProcessLauncher, Running,
};
use zerocart_collector::Collector;
use zerocart_gateway::{Config, Gateway};
use zerocart_local_postgres::Server;
use zerocart_runtime::redact::Redacted;

use crate::{
    broker::{Bounds, Sessions},
    compile, console, dashboard, domains,
    engine::{Environment, Functions, consumers, function_url_template},
    engine_log::{EngineLog, Writing},
    fleet,
    foundation::{self, Foundation},
    in_process::InProcess,
    layout::{Data, Project},
    openapi, postgres, ps,
    reload::Reload,
    status::{self, Engine},
    stop::Stop,
    telemetry,
    watch::Watch,
};

/// `zerocart up`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The port of the gateway
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The address of the gateway; 0.0.0.0 lets other machines in
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST)]
    address: Ipv4Addr,
    /// Run the functions as tasks of this process, not as processes of their own
    #[arg(long)]
    in_process: bool,
    /// Use the functions' binaries as they are, beside this program
    #[arg(long)]
    no_build: bool,
    /// Build again whenever a source file changes, and start the next instances from what was built
    #[arg(long, conflicts_with = "in_process")]
    watch: bool,
    /// The port of GET /metrics and of what `zerocart ps` asks, on this machine alone [default: any that is free]
    #[arg(long, value_name = "PORT")]
    status_port: Option<u16>,
    #[command(flatten)]
    telemetry: telemetry::Args,
    #[command(flatten)]
    foundation: foundation::Args,
}

pub(crate) async fn run(args: Args, data: Option<PathBuf>) -> Result<()> {
    let began = Instant::now();
    // Before anything is started: from here on Ctrl-C always ends in order.
    let mut stop = Stop::listen()?;
    let project = Project::find()?;
    let data = Data::new(data, Some(&project))?;
    data.create()?;
    // Dropped last: what is logged until then is written.
    let _writing = init_logs(&data, &args)?;
    allow_connections();

    // What can be refused at once is refused at once.
    let mut manifests = zerocart_activator::load_dir(&project.services())?;
    let edge = zerocart_activator::load_dir(&project.edge())?;
    let crons = zerocart_activator::load_jobs(&project.jobs())?;
    domains::check(&manifests, &edge, &crons)?;
    manifests.extend(edge);
    let config = Config::load(&project.kong())?;
    let config = config.with_plugins("zerocart openapi --kong", &openapi::kong()?)?;
    let target = args.telemetry.target()?;
    refuse_second(&data).await?;
    let listener = bind(SocketAddr::from((args.address, args.port)), "--port").await?;
    let status_port = args.status_port.unwrap_or_default();
    let status = bind((Ipv4Addr::LOCALHOST, status_port).into(), "--status-port").await?;
    let collector = args.telemetry.collector();
    let forwarding = telemetry::forward(&collector, target)?;

    console::say("zerocart");
    let up = tokio::select! {
        up = start(&args, &project, &data, Files { config, manifests, crons }, collector, status.local_addr()?) => up?,
        () = stop.asked() => {
            console::say("stopped before everything was up");
            return Ok(());
        }
    };
    let served = up.serve(listener, status, &data, began, stop).await;
    if let Some(forwarding) = forwarding {
        forwarding.stop().await;
    }
    served
}

/// Everything that runs.
struct Up {
    server: Server,
    sessions: Sessions,
    activator: Activator,
    gateway: Gateway<Functions>,
    environment: Environment,
    /// Where functions call each other. Nobody else on the network reaches it.
    calls: TcpListener,
    crons: Vec<Job>,
    launcher: Arc<AnyLauncher>,
    collector: Collector,
    watch: Option<Watch>,
}

/// What is deployed to a cluster, too.
struct Files {
    config: Config,
    manifests: Vec<zerocart_activator::Ksvc>,
    crons: Vec<Job>,
}

async fn start(
    args: &Args,
    project: &Project,
    data: &Data,
    files: Files,
    collector: Collector,
    status: SocketAddr,
) -> Result<Up> {
    let Files {
        config,
        manifests,
        crons,
    } = files;
    let binary_dir = compile::binary_dir()?;
    if !args.in_process {
        let step = Instant::now();
        if !args.no_build {
            dashboard::build(project).await;
            console::doing("building the functions …");
            compile::functions(project, &binary_dir).await?;
        }
        compile::check(&binary_dir)?;
        let (functions, edge) = (domains::functions().count(), domains::edge().count());
        console::done(
            format_args!("{functions} functions are built, and {edge} beside them"),
            step.elapsed(),
        );
    }

    let Foundation {
        server,
        databases,
        keys,
    } = Foundation::lay(&args.foundation, data).await?;

    let step = Instant::now();
    let calls = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let calls_port = calls.local_addr()?.port();
    let bounds = Bounds::new(&manifests, &crons);
    let sessions = Sessions::start(&server, &databases, &bounds, data, args.in_process)?;
    let environment = Environment::new(
        sessions.urls(),
        &keys,
        function_url_template(calls_port),
        &args.foundation.log_level,
    )?
    .with_fleet(status);
    let launcher = Arc::new(AnyLauncher::new(
        args,
        &binary_dir,
        data,
        environment.clone(),
        &collector,
    )?);
    let version = env!("CARGO_PKG_VERSION");
    let options = Options {
        recorder: collector.recorder("activator", version),
        ..Options::default()
    };
    let activator = Activator::new(manifests, Arc::clone(&launcher), options);
    let gateway = Gateway::new(config, consumers(&keys)?, Functions(activator.clone()))?
        .with_recorder(collector.recorder("gateway", version));
    let watch = args.watch.then(|| Watch::start(project)).transpose()?;
    console::done(
        "keys, session broker, activator and gateway",
        step.elapsed(),
    );
    Ok(Up {
        server,
        sessions,
        activator,
        gateway,
        environment,
        calls,
        crons,
        launcher,
        collector,
        watch,
    })
}

/// Lets this process have as many connections as the system allows it. The usual soft limit of 1,024
/// files is that of old programs with `select`, and a few hundred clients that hold two each meet it.
pub(crate) fn allow_connections() {
    let files = rustix::process::getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

impl Up {
    async fn serve(
        self,
        listener: TcpListener,
        status: TcpListener,
        data: &Data,
        began: Instant,
        mut stop: Stop,
    ) -> Result<()> {
        let address = listener.local_addr()?;
        let announced = Engine {
            pid: std::process::id(),
            gateway: format!("http://{address}"),
            status: status.local_addr()?.to_string(),
            functions: function_url_template(self.calls.local_addr()?.port()),
        }
        .announce(&data.engine())?;

        let (close_database, closed) = watch::channel(false);
        let database = tokio::spawn(postgres::keep(self.server, closed));
        let calling = {
            let (activator, calls) = (self.activator.clone(), self.calls);
            tokio::spawn(async move { activator.serve(calls, std::future::pending()).await })
        };
        // What they call is there from here on.
        let jobs = Jobs::start(self.crons, self.launcher);

        let (ending, ended) = watch::channel(false);
        let gateway = Arc::new(self.gateway);
        let reload = Reload {
            data: data.clone(),
            environment: self.environment,
            activator: self.activator.clone(),
            gateway: (*gateway).clone(),
        };
        let serving = {
            let (gateway, mut ended) = (Arc::clone(&gateway), ended.clone());
            tokio::spawn(async move {
                let stop = async move { drop(ended.wait_for(|ended| *ended).await) };
                gateway.serve(listener, stop).await;
            })
        };
        let telling = {
            let (gateway, mut ended) = (Arc::clone(&gateway), ended);
            let metrics = move || gateway.metrics_text();
            let fleet = fleet::router(self.activator.clone(), jobs.clone(), self.collector.clone());
            let router = status::router(self.activator.clone(), jobs.clone(), reload)
                .merge(fleet)
                .merge(telemetry::router(
                    self.collector,
                    self.activator.clone(),
                    self.sessions.teller(),
                    metrics,
                ));
            tokio::spawn(async move {
                let stop = async move { drop(ended.wait_for(|ended| *ended).await) };
                axum::serve(status, router)
                    .with_graceful_shutdown(stop)
                    .await
            })
        };
        greet(address, began.elapsed());
        let activator = self.activator.clone();
        let watching = self.watch.map(|watch| tokio::spawn(watch.run(activator)));

        stop.asked().await;
        console::say("\nstopping …");
        ending.send_replace(true);
        jobs.shutdown().await;
        tokio::select! {
            _ = async { serving.await.and(telling.await.map(drop)) } => {}
            () = stop.asked() => console::say("not waiting for the calls that still run"),
        }
        self.activator.shutdown().await;
        if let Some(watching) = watching {
            watching.abort();
        }
        // With the last function gone, nobody is left to call another.
        calling.abort();
        self.sessions.stop().await;
        close_database.send_replace(true);
        database.await??;
        drop(announced);
        console::say("stopped");
        Ok(())
    }
}

/// Says where it is and what to try.
fn greet(address: SocketAddr, took: Duration) {
    let url = if address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    };
    console::say(format_args!(
        "ready after {:.2} s: {url}, every function at zero\n",
        took.as_secs_f64()
    ));
    console::say(format_args!(
        "try:\n  \
         curl -i --json '{{\"email\":\"ada@example.com\",\"name\":\"Ada\",\"password\":\"correct horse\"}}' {url}/users\n  \
         curl --json '{{\"email\":\"ada@example.com\",\"password\":\"correct horse\"}}' {url}/auth/login\n  \
         curl {url}/products\n\n\
         `cargo zerocart ps` shows the functions; Ctrl-C stops everything."
    ));
}

/// Takes a port, or says plainly who may have it.
async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "port {port} is taken by another program; choose another with `cargo zerocart up {option} {other}`",
            port = address.port(),
            other = address.port().checked_add(1).unwrap_or(8001),
        ),
        ErrorKind::PermissionDenied => anyhow!(
            "this user may not use port {}; choose one above 1023 with {option}",
            address.port()
        ),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

/// Refuses to start beside an engine that runs from the same folder.
async fn refuse_second(data: &Data) -> Result<()> {
    let Some(engine) = Engine::read(&data.engine())? else {
        return Ok(());
    };
    // A file that a killed engine left behind names a port on which nobody answers, or another.
    if ps::ask(&engine).await.is_err() {
        return Ok(());
    }
    bail!(
        "already running from {} (process {}, {}): see it with `cargo zerocart ps`, or use another --data",
        data.path().display(),
        engine.pid,
        engine.gateway,
    )
}

/// Functions and jobs as processes, or as tasks.
enum AnyLauncher {
    Processes(ProcessLauncher),
    Tasks(InProcess),
}

impl AnyLauncher {
    fn new(
        args: &Args,
        binary_dir: &Path,
        data: &Data,
        environment: Environment,
        collector: &Collector,
    ) -> Result<Self> {
        let env = move |name: &str| environment.of(name);
        let collector = collector.clone();
        if args.in_process {
            return Ok(Self::Tasks(InProcess::new(env, collector)));
        }
        let guard = Guard::spawn().context("cannot start the guard of the functions")?;
        let launcher = ProcessLauncher::new(binary_dir, data.logs(), guard, env);
        Ok(Self::Processes(launcher.with_spans(move || {
            let mut source = collector.source();
            Box::new(move |lines: &[u8]| source.take(lines))
        })))
    }
}

impl Launcher for AnyLauncher {
    fn launch(&self, launch: zerocart_activator::Launch<'_>) -> std::io::Result<Running> {
        match self {
            Self::Processes(launcher) => launcher.launch(launch),
            Self::Tasks(launcher) => launcher.launch(launch),
        }
    }
}

impl JobLauncher for AnyLauncher {
    fn start(&self, job: &Job) -> std::io::Result<Running> {
        match self {
            Self::Processes(launcher) => launcher.start(job),
            Self::Tasks(launcher) => launcher.start(job),
        }
    }
}

/// The engine's own log goes to a file: the terminal is for the conversation.
fn init_logs(data: &Data, args: &Args) -> Result<Writing> {
    let path = data.logs().join("engine.log");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let (log, writing) = EngineLog::start(file).context("cannot start a thread for the log")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        // In one process the functions log here, too.
        .with_max_level(if args.in_process {
            args.foundation.log_level.parse()?
        } else {
            tracing::Level::INFO
        })
        .with_writer(Redacted(log))
        .init();
    Ok(writing)
}
