//! Instances and runs of jobs as processes of this machine.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::guard::{Guard, Watch};
use crate::launcher::{Exit, JobLauncher, Launch, Launcher, Running, Stop};
use crate::log::{self, LogFile, SpanLines, Tail};
use crate::manifest::Job;

/// A log file is rotated past this size; one old file is kept.
const LOG_BYTES: u64 = 8 << 20;
/// How long the output of an ended process may still take to be read; normally it has ended
/// with the process.
const LAST_OUTPUT: Duration = Duration::from_millis(250);

type Environment = dyn Fn(&str) -> Vec<(String, String)> + Send + Sync;
type Spans = dyn Fn() -> SpanLines + Send + Sync;

/// Runs the binary that is named after the function or job.
///
/// The process gets a process group of its own. Its environment has only the variables of its
/// manifest and those that the launcher was given for it. A function also gets its listening socket
/// as standard input (inetd style, `LISTEN=stdin`), and `LISTEN`, `PORT`, `K_SERVICE`,
/// `K_CONFIGURATION`, `K_REVISION`. A job's standard input is empty. Its output goes to
/// `<log_dir>/<name>.log`, which is rotated at 8 MiB; see [`ProcessLauncher::with_spans`].
pub struct ProcessLauncher {
    binary_dir: PathBuf,
    log_dir: PathBuf,
    guard: Guard,
    env: Box<Environment>,
    spans: Option<Box<Spans>>,
    logs: Mutex<HashMap<String, Arc<Mutex<LogFile>>>>,
}

impl ProcessLauncher {
    /// A launcher of the binaries in `binary_dir` that writes to `log_dir`, which must exist.
    ///
    /// `env` returns the variables that a function or job gets in addition to its manifest, such as
    /// the database's URL. They win over the manifest's.
    pub fn new(
        binary_dir: impl Into<PathBuf>,
        log_dir: impl Into<PathBuf>,
        guard: Guard,
        env: impl Fn(&str) -> Vec<(String, String)> + Send + Sync + 'static,
    ) -> Self {
        Self {
            binary_dir: binary_dir.into(),
            log_dir: log_dir.into(),
            guard,
            env: Box::new(env),
            spans: None,
            logs: Mutex::default(),
        }
    }

    /// Lines with spans (OTLP JSON) go to what `spans` makes for each process, and not into its log.
    #[must_use]
    pub fn with_spans(mut self, spans: impl Fn() -> SpanLines + Send + Sync + 'static) -> Self {
        self.spans = Some(Box::new(spans));
        self
    }

    fn log(&self, function: &str) -> Arc<Mutex<LogFile>> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs.entry(function.to_owned()).or_insert_with(|| {
            let path = self.log_dir.join(format!("{function}.log"));
            Arc::new(Mutex::new(LogFile::new(path, LOG_BYTES)))
        });
        Arc::clone(log)
    }

    fn command(&self, name: &str, env: &[(String, String)]) -> Command {
        let mut command = Command::new(self.binary_dir.join(name));
        command
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .envs((self.env)(name))
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Runs the binary `name` without a socket, with the variables `env` and those of the launcher.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn run(&self, name: &str, env: &[(String, String)]) -> io::Result<Running> {
        let mut command = self.command(name, env);
        command.stdin(Stdio::null());
        self.spawn(name, command)
    }

    fn spawn(&self, name: &str, mut command: Command) -> io::Result<Running> {
        let log_file = self.log(name);
        // One pipe for both streams keeps their lines in order.
        let (output, input) = io::pipe()?;
        let output = pipe::Receiver::from_owned_fd(output.into())?;
        command.stdout(input.try_clone()?).stderr(input);
        let binary = command.as_std().get_program().to_owned();
        let child = command.spawn().map_err(|error| {
            let binary = PathBuf::from(&binary);
            io::Error::new(error.kind(), format!("{}: {error}", binary.display()))
        })?;
        // The command holds this process's copies of the socket and of the pipe's end. After it is
        // dropped, the socket and the output end together with the child.
        drop(command);
        let id = child.id().ok_or(io::ErrorKind::NotFound)?;
        let watched = self.guard.watch(id)?;
        let tail = Tail::default();
        log::enlarge(&output);
        let spans = self.spans.as_ref().map(|spans| spans());
        let reader = tokio::spawn(log::copy(output, tail.clone(), log_file, spans));
        let (stop, stops) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        tokio::spawn(async move {
            let exit = supervise(child, watched, stops).await;
            // Only the last lines depend on this task, so its end and its error do not matter here.
            let _ = tokio::time::timeout(LAST_OUTPUT, reader).await;
            exited.send_replace(Some(exit));
        });
        Ok(Running {
            pid: Some(id),
            stop,
            exit,
            log: tail,
        })
    }
}

impl fmt::Debug for ProcessLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLauncher")
            .field("binary_dir", &self.binary_dir)
            .field("log_dir", &self.log_dir)
            .finish_non_exhaustive()
    }
}

impl Launcher for ProcessLauncher {
    fn launch(&self, launch: Launch<'_>) -> io::Result<Running> {
        let name = &launch.function.name;
        let port = launch.listener.local_addr()?.port();
        let mut command = self.command(name, &launch.function.env);
        command
            .env("LISTEN", "stdin")
            .env("PORT", port.to_string())
            .env("K_SERVICE", name)
            .env("K_CONFIGURATION", name)
            .env("K_REVISION", &launch.revision)
            .stdin(Stdio::from(OwnedFd::from(launch.listener)));
        self.spawn(name, command)
    }
}

impl JobLauncher for ProcessLauncher {
    fn start(&self, job: &Job) -> io::Result<Running> {
        self.run(&job.name, &job.env)
    }
}

/// Passes signals on until the process has ended. Only this task reaps it, so that a signal
/// never reaches another process that got its id.
async fn supervise(
    mut child: Child,
    watched: Watch,
    mut stops: mpsc::UnboundedReceiver<Stop>,
) -> Exit {
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(stop) = stops.recv() => {
                let signal = match stop {
                    Stop::Drain => Signal::TERM,
                    Stop::Kill => Signal::KILL,
                };
                if let Some(group) = group
                    && let Err(error) = kill_process_group(group, signal)
                {
                    tracing::debug!(%error, "the process had already ended");
                }
            }
        }
    };
    drop(watched);
    match status {
        Ok(status) => Exit {
            success: status.success(),
            description: status.to_string(),
        },
        Err(error) => Exit {
            success: false,
            description: format!("unknown: {error}"),
        },
    }
}
