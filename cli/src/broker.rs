//! The engine's session broker: functions find their databases at its socket.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    sync::Mutex,
};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use zerocart_activator::{Job, Ksvc};
use zerocart_broker::{
    Address, Asker, Broker, Event, Keeper, Login, Observer, Options, Socket, Status,
};
use zerocart_local_postgres::{Database, Server};
use zerocart_postgres::Config;
use zerocart_registry::CONNECTIONS;
use zerocart_runtime::redact::Redacted;

use crate::{console, domains, layout::Data};

/// Sessions beyond those of functions and jobs at full scale: for a person with psql at the socket.
const OTHER_SESSIONS: usize = 10;

/// While functions are replaced, old instances drain and new ones run.
const REVISIONS: usize = 2;

/// A pool's size, where a manifest does not say it (`DATABASE_POOL_SIZE`).
const POOL: usize = 2;

/// A broker that runs, and where each domain's database is.
pub(crate) struct Sessions {
    urls: BTreeMap<String, String>,
    running: Running,
    /// Clients wait in it while the broker starts again.
    _socket: Socket,
}

enum Running {
    Process(Keeper),
    Task(JoinHandle<()>, Observer),
}

/// Tells about the sessions.
#[derive(Clone)]
pub(crate) enum Teller {
    Process(Asker),
    Task(Observer),
}

impl Teller {
    /// The sessions now; none while no broker runs.
    pub(crate) async fn status(&self) -> Option<Status> {
        match self {
            Self::Process(asker) => asker.status().await,
            Self::Task(observer) => Some(observer.status()),
        }
    }
}

impl Sessions {
    /// Starts a broker in front of the server, as a process or as a task of this one, and does not wait until it
    /// has sessions.
    pub(crate) fn start(
        server: &Server,
        databases: &[Database],
        bounds: &Bounds,
        data: &Data,
        in_process: bool,
    ) -> Result<Self> {
        let socket = Socket::bind(&data.sessions())
            .or_else(|error| {
                // Not every file system has sockets.
                tracing::warn!(%error, "the broker's socket is in a temporary folder");
                Socket::temporary()
            })
            .context("cannot make a socket for the session broker")?;
        let mut urls = BTreeMap::new();
        let mut logins = Vec::new();
        for database in databases {
            let (role, password) = (database.url.role(), database.url.password());
            let mut login = Login::new(role, password.clone(), &database.name);
            let url = socket.url(&login);
            // As a function sends it, so that it gets a session that is warm.
            let options = Config::new(url.parse()?).session_options();
            login.parameters.insert("options".to_owned(), options);
            login.max_sessions = bounds.of(&database.domain);
            logins.push(login);
            urls.insert(database.domain.clone(), url);
        }
        let server = Address {
            tcp: SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())),
            socket: server.socket().map(Path::to_owned),
        };
        let mut options = Options::new(server, logins);
        options.max_sessions = usize::try_from(CONNECTIONS)? + OTHER_SESSIONS;
        let listener = socket.listener()?;
        let running = if in_process {
            let broker = Broker::new(listener, options)?;
            let observer = broker.observer();
            Running::Task(tokio::spawn(broker.serve()), observer)
        } else {
            let program = std::env::current_exe().context("this program has no path")?;
            let path = data.logs().join("broker.log");
            let log = File::options().create(true).append(true).open(&path);
            let log = log.with_context(|| format!("cannot write {}", path.display()))?;
            let command = move || command(&program, &log);
            Running::Process(Keeper::start(listener, options, command, report))
        };
        Ok(Self {
            urls,
            running,
            _socket: socket,
        })
    }

    /// The URL of each domain's database.
    pub(crate) fn urls(&self) -> &BTreeMap<String, String> {
        &self.urls
    }

    /// What tells about the sessions.
    pub(crate) fn teller(&self) -> Teller {
        match &self.running {
            Running::Process(keeper) => Teller::Process(keeper.asker()),
            Running::Task(_, observer) => Teller::Task(observer.clone()),
        }
    }

    /// Ends the broker.
    pub(crate) async fn stop(self) {
        match self.running {
            Running::Process(keeper) => keeper.stop().await,
            Running::Task(task, _) => task.abort(),
        }
    }
}

fn command(program: &Path, log: &File) -> Command {
    let mut command = Command::new(program);
    command.arg("broker").env_clear();
    // Without it, what the broker has to say is lost, and nothing else.
    if let Ok(log) = log.try_clone() {
        command.stderr(log);
    }
    command
}

fn report(event: Event) {
    match event {
        Event::Started { pid } => tracing::info!(pid, "the session broker runs"),
        Event::Died { status } => {
            tracing::error!(status, "the session broker died");
            console::say(format_args!(
                "the session broker died ({status}); starting it again"
            ));
        }
        Event::Failed { error } => {
            tracing::error!(%error, "the session broker cannot be started");
            console::say(format_args!(
                "the session broker cannot be started: {error}"
            ));
        }
        _ => {}
    }
}

/// How many sessions the functions and jobs of a domain may have.
pub(crate) struct Bounds(BTreeMap<&'static str, usize>);

impl Bounds {
    /// Those of full scale, twice for functions that are being replaced.
    pub(crate) fn new(functions: &[Ksvc], jobs: &[Job]) -> Self {
        let mut bounds = BTreeMap::new();
        let mut add = |domain, instances: usize, env: &[(String, String)]| {
            let pool = env.iter().find(|(name, _)| name == "DATABASE_POOL_SIZE");
            let pool = pool.and_then(|(_, value)| value.parse().ok());
            *bounds.entry(domain).or_default() += instances * pool.unwrap_or(POOL);
        };
        for function in functions {
            if let Some(entry) = domains::function(&function.name) {
                let most = function.limits.max.max(1);
                add(entry.info.domain, REVISIONS * most, &function.env);
            }
        }
        for job in jobs {
            if let Some(entry) = domains::job(&job.name) {
                add(entry.info.domain, 1, &job.env);
            }
        }
        Self(bounds)
    }

    fn of(&self, domain: &str) -> usize {
        self.0.get(domain).copied().unwrap_or(POOL)
    }
}

/// `zerocart broker`: what the engine starts.
pub(crate) async fn run() -> Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(Redacted(Mutex::new(io::stderr())))
        .init();
    zerocart_broker::run()
        .await
        .context("this command is for the engine: use `cargo zerocart up`")
}
