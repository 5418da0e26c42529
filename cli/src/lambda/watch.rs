//! `zerocart lambda watch`: the functions on a local Lambda, until Ctrl-C.
//!
//! cargo-lambda's emulator takes the place of the gateway and the activator: it makes an event of
//! each request, and builds and starts a function at its first one. Databases and keys are those of
//! the local engine.
//!
//! With `--no-build` the emulator only makes the events, and the functions are started here, all of
//! them, from the binaries beside this program.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::watch,
    time::{sleep, timeout},
};
use zerocart_activator::{Guard, ProcessLauncher, Running};

use zerocart_deploy::lambda::routes;

use super::{FEATURE, PORT, tool};
use crate::{
    broker::{Bounds, Sessions},
    compile, console, domains,
    engine::Environment,
    foundation::{self, Foundation},
    layout::{Data, Project},
    postgres,
    stop::Stop,
};

/// The emulator checks no signature, so the AWS credentials of this machine are not used.
const AWS: [(&str, &str); 3] = [
    ("AWS_REGION", "local"),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
];

/// How long the emulator may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked at whether it listens.
const POLL: Duration = Duration::from_millis(50);

/// `zerocart lambda watch`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The port at which requests are taken; 0 for any that is free
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Use the functions' binaries as they are, beside this program; they must be built for Lambda
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    foundation: foundation::Args,
}

pub(super) async fn run(args: Args, data: Option<PathBuf>) -> Result<()> {
    let began = Instant::now();
    let mut stop = Stop::listen()?;
    let project = Project::find()?;
    let data = Data::new(data, Some(&project))?;
    data.create()?;
    tool::installed().await?;
    let port = free(args.port).await?;

    console::say("zerocart on a local Lambda");
    let mut local = tokio::select! {
        local = start(&args, &project, &data, port) => local?,
        () = stop.asked() => {
            console::say("stopped before everything was up");
            return Ok(());
        }
    };
    greet(port, began.elapsed());
    let ended = tokio::select! {
        ended = local.emulator.wait() => Some(ended?),
        () = stop.asked() => None,
    };
    console::say("\nstopping …");
    for function in &local.functions {
        // Fails only when it has ended by itself.
        let _ = function.stop.send(zerocart_activator::Stop::Drain);
    }
    for mut function in local.functions {
        let _ = timeout(PATIENCE, function.exit.wait_for(Option::is_some)).await;
    }
    let ended = match ended {
        Some(ended) => ended,
        None => end(&mut local.emulator).await?,
    };
    local.sessions.stop().await;
    let (close, closed) = watch::channel(true);
    postgres::keep(local.foundation.server, closed).await?;
    drop(close);
    console::say("stopped");
    match ended.success() || stop.was_asked() {
        true => Ok(()),
        false => bail!("`cargo lambda watch` ended: {ended}"),
    }
}

/// What runs.
struct Local {
    /// Those that the emulator does not start itself.
    functions: Vec<Running>,
    emulator: Child,
    sessions: Sessions,
    foundation: Foundation,
    /// Ends the emulator when this process is killed. Dropped in this order.
    _watch: Box<dyn std::any::Any + Send>,
    _guard: Guard,
}

async fn start(args: &Args, project: &Project, data: &Data, port: u16) -> Result<Local> {
    let binary_dir = compile::binary_dir()?;
    let profile = compile::profile(&binary_dir)?;
    let step = Instant::now();
    if args.no_build {
        compile::check(&binary_dir)?;
    } else {
        console::doing("building the functions for Lambda …");
        build(project, profile).await?;
    }
    console::done("the functions are built", step.elapsed());

    let foundation = Foundation::lay(&args.foundation, data).await?;
    let manifests = zerocart_activator::load_dir(&project.services())?;
    let jobs = zerocart_activator::load_jobs(&project.jobs())?;
    let bounds = Bounds::new(&manifests, &jobs);
    let (server, databases) = (&foundation.server, &foundation.databases);
    let sessions = Sessions::start(server, databases, &bounds, data, false)?;
    let environment = Environment::new(
        sessions.urls(),
        &foundation.keys,
        format!(
            "http://{}:{port}/lambda-url/{{function}}",
            Ipv4Addr::LOCALHOST
        ),
        &args.foundation.log_level,
    )?;

    let step = Instant::now();
    std::fs::write(data.lambda(), settings()?)
        .with_context(|| format!("cannot write {}", data.lambda().display()))?;
    let mut cargo = Command::from(zerocart_local_cargo::command());
    cargo
        .current_dir(project.root())
        .args(["lambda", "watch", "--profile", profile])
        .args(["--features", FEATURE])
        .args(["--invoke-address", &Ipv4Addr::LOCALHOST.to_string()])
        .args(["--invoke-port", &port.to_string()])
        .arg("--global")
        .arg(data.lambda())
        .envs(environment.of_all())
        .envs(AWS)
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_PROFILE")
        // Its own group: Ctrl-C is ours to pass on, once.
        .process_group(0)
        .kill_on_drop(true);
    if args.no_build {
        cargo.arg("--only-lambda-apis");
    }
    let guard = Guard::spawn().context("cannot start the guard of the emulator")?;
    let mut emulator = cargo.spawn().context("cannot run cargo")?;
    let pid = emulator.id().context("the emulator has ended")?;
    let watch = guard.watch(pid).context("the guard is gone")?;
    listening(&mut emulator, port).await?;
    let functions = match args.no_build {
        true => functions(&binary_dir, data, &guard, environment, port)?,
        false => Vec::new(),
    };
    console::done("cargo lambda watch", step.elapsed());
    Ok(Local {
        functions,
        emulator,
        sessions,
        foundation,
        _watch: Box::new(watch),
        _guard: guard,
    })
}

/// Starts every function and job, of which each asks the emulator for its events.
fn functions(
    binary_dir: &Path,
    data: &Data,
    guard: &Guard,
    environment: Environment,
    port: u16,
) -> Result<Vec<Running>> {
    let env = move |name: &str| environment.of(name);
    let launcher = ProcessLauncher::new(binary_dir, data.logs(), guard.clone(), env);
    let names = domains::on_lambda().map(|entry| entry.info.name);
    names
        .chain(domains::job_names())
        .map(|name| {
            let api = format!("http://{}:{port}/.rt/{name}", Ipv4Addr::LOCALHOST);
            let of_lambda = [
                ("AWS_LAMBDA_RUNTIME_API", api.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", name),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ];
            let env = of_lambda.into_iter().chain(AWS);
            let env: Vec<_> = env.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            launcher
                .run(name, &env)
                .with_context(|| format!("cannot start {name}"))
        })
        .collect()
}

/// What cargo-lambda is told: the routes of the public edge. A string of TOML is one of JSON.
fn settings() -> Result<String> {
    let mut text = "# Made by `zerocart lambda watch`.\n".to_owned();
    let routes = routes::of(domains::on_lambda().map(|entry| entry.info));
    for route in &routes {
        let path = serde_json::to_string(&routes::numbered(&route.path))?;
        let (methods, function) = (routes::methods(route, &routes), route.function);
        text.push_str(&format!(
            "[[watch.router]]\npath = {path}\nmethods = {methods:?}\nfunction = {function:?}\n"
        ));
    }
    Ok(text)
}

/// Builds what the emulator would build at a first request, with the same features.
async fn build(project: &Project, profile: &str) -> Result<()> {
    let mut cargo = Command::from(zerocart_local_cargo::command());
    cargo
        .current_dir(project.root())
        .args(["build", "--quiet", "--bins", "--profile", profile])
        .args(["--features", FEATURE])
        .kill_on_drop(true);
    let status = cargo.status().await.context("cannot run cargo")?;
    if !status.success() {
        bail!("the functions could not be built for Lambda");
    }
    Ok(())
}

/// `port`, if nobody has it.
async fn free(port: u16) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.with_context(|| {
        format!("port {port} cannot be had; choose another with `lambda watch --port`")
    })?;
    Ok(listener.local_addr()?.port())
}

/// Waits until the emulator takes connections.
async fn listening(emulator: &mut Child, port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let waiting = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(POLL).await;
        }
    };
    tokio::select! {
        ended = emulator.wait() => bail!("`cargo lambda watch` ended: {}", ended?),
        waited = timeout(PATIENCE, waiting) => {
            waited.context("`cargo lambda watch` does not listen")
        }
    }
}

/// Ends the emulator and the functions that it started.
async fn end(emulator: &mut Child) -> Result<ExitStatus> {
    use rustix::process::{Pid, Signal, kill_process_group};
    let pid = emulator.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = pid.and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::INT);
        if let Ok(ended) = timeout(PATIENCE, emulator.wait()).await {
            return Ok(ended?);
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
    Ok(emulator.wait().await?)
}

/// Says where it is and what to try.
fn greet(port: u16, took: Duration) {
    console::say(format_args!(
        "ready after {:.2} s: http://127.0.0.1:{port}\n\n\
         try:\n  \
         curl -i --json '{{\"email\":\"ada@example.com\",\"name\":\"Ada\",\"password\":\"correct horse\"}}' http://127.0.0.1:{port}/users\n  \
         curl http://127.0.0.1:{port}/lambda-url/list-products/products\n  \
         cargo zerocart lambda invoke recover-orders\n\n\
         Ctrl-C stops everything.",
        took.as_secs_f64()
    ));
}
