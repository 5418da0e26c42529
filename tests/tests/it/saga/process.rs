//! The processes that drive orders.

use std::{
    fs::OpenOptions,
    net::{SocketAddr, TcpListener as StdListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};
use zerocart_test_support::functions::PATIENCE;

use super::{
    boundary::{Boundaries, Fate, Stop},
    forwarder::{self, Addresses},
    sql_proxy,
};
use crate::e2e::engine::binaries;

/// The variables of a process.
pub(crate) type Env = Vec<(String, String)>;

/// A process of the order domain. Killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the job `name`, which writes to `log`.
    pub(crate) fn job(name: &str, env: Env, log: PathBuf) -> Self {
        Self::spawn(name, env, log, Stdio::null())
    }

    /// Starts the function `name`, which writes to `log`, and gives where it listens.
    pub(crate) fn function(name: &str, mut env: Env, log: PathBuf) -> (Self, SocketAddr) {
        let listener = StdListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        env.push(("LISTEN".into(), "stdin".into()));
        let stdin = Stdio::from(OwnedFd::from(listener));
        (Self::spawn(name, env, log, stdin), address)
    }

    fn spawn(name: &str, env: Env, log: PathBuf, stdin: Stdio) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.expect("the log can be written");
        let child = Command::new(binaries().join(name))
            .env_clear()
            .envs(env)
            .stdin(stdin)
            .stdout(file.try_clone().expect("a file can be cloned"))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { child, log }
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// SIGTERM, after which it finishes what it has begun.
    pub(crate) async fn stop(mut self) {
        let pid = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.expect("the process runs");
        kill_process(pid, Signal::TERM).expect("a child may be signalled");
        let status = self.ended().await;
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// How it ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        match timeout(2 * PATIENCE, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("it does not end\n{}", self.log()),
        }
    }

    /// The end of what this and earlier processes wrote to the same log.
    pub(crate) fn log(&self) -> String {
        tail(&self.log)
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// What stands between one process and all others.
pub(crate) struct Tap {
    pub(crate) boundaries: Boundaries,
    /// The database of the process, through this.
    pub(crate) database: SocketAddr,
    /// The functions, through this: by the first label of the host.
    pub(crate) functions: SocketAddr,
    _serving: JoinSet<()>,
}

impl Tap {
    /// Stands before `database` and `functions`.
    pub(crate) async fn new(
        database: PathBuf,
        functions: Addresses,
        stop: Stop,
        fate: Fate,
    ) -> Self {
        let boundaries = Boundaries::new(stop, fate);
        let bind = async || {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await;
            let listener = listener.expect("there is a free port");
            let address = listener.local_addr();
            (listener, address.expect("a bound socket has an address"))
        };
        let (sql, database_address) = bind().await;
        let (http, functions_address) = bind().await;
        let mut serving = JoinSet::new();
        serving.spawn(sql_proxy::serve(sql, database, boundaries.clone()));
        serving.spawn(forwarder::serve(http, functions, boundaries.clone()));
        Self {
            boundaries,
            database: database_address,
            functions: functions_address,
            _serving: serving,
        }
    }
}
