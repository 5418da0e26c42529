//! How an instance of a function, or a run of a job, is started: the interface between the
//! activator and processes.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::log::Tail;
use crate::manifest::{Job, Ksvc};

/// Makes instances. The shipped one is [`ProcessLauncher`](crate::ProcessLauncher).
pub trait Launcher: Send + Sync + 'static {
    /// Starts an instance that accepts connections on the given socket, without waiting for it.
    ///
    /// Called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the instance cannot be started. The client that asked for the function gets the text.
    fn launch(&self, launch: Launch<'_>) -> io::Result<Running>;
}

/// Starts runs of jobs. The shipped one is [`ProcessLauncher`](crate::ProcessLauncher).
pub trait JobLauncher: Send + Sync + 'static {
    /// Starts one run, without waiting for its end.
    ///
    /// Called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the run cannot be started.
    fn start(&self, job: &Job) -> io::Result<Running>;
}

impl<L: Launcher> Launcher for Arc<L> {
    fn launch(&self, launch: Launch<'_>) -> io::Result<Running> {
        (**self).launch(launch)
    }
}

impl<L: JobLauncher> JobLauncher for Arc<L> {
    fn start(&self, job: &Job) -> io::Result<Running> {
        (**self).start(job)
    }
}

/// The arguments of a launcher.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The function, from its manifest.
    pub function: &'a Ksvc,
    /// A socket that is bound and listens already: connections queue in it from now on.
    pub listener: TcpListener,
    /// The name of the revision, for `K_REVISION`.
    pub revision: String,
}

/// An instance, or a run of a job, that was started.
#[derive(Debug)]
pub struct Running {
    /// Its process id; none when it runs inside this process.
    pub pid: Option<u32>,
    /// Asks the instance to end.
    pub stop: mpsc::UnboundedSender<Stop>,
    /// Turns to `Some` when it has ended and its last output has been read.
    pub exit: watch::Receiver<Option<Exit>>,
    /// The end of its output.
    pub log: Tail,
}

impl Running {
    /// Resolves when it has ended.
    pub(crate) async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        let exit = exit.wait_for(Option::is_some).await;
        let exit = exit.ok().and_then(|exit| exit.clone());
        exit.unwrap_or_else(|| Exit {
            success: false,
            description: "unknown".to_owned(),
        })
    }

    /// Asks it to end, and kills it if it has not ended within `grace`.
    pub(crate) async fn stop(&self, grace: Duration) -> Exit {
        self.tell(Stop::Drain);
        match timeout(grace, self.exited()).await {
            Ok(exit) => exit,
            Err(_) => {
                tracing::warn!(pid = self.pid, "a process ignored SIGTERM");
                self.kill().await
            }
        }
    }

    /// Kills it.
    pub(crate) async fn kill(&self) -> Exit {
        self.tell(Stop::Kill);
        self.exited().await
    }

    fn tell(&self, stop: Stop) {
        // An error means that it has ended already, which is fine.
        let _ = self.stop.send(stop);
    }
}

/// How an instance is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Finish what runs, then end (SIGTERM).
    Drain,
    /// End at once (SIGKILL).
    Kill,
}

/// How an instance, or a run of a job, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Whether it ended by itself, with status 0.
    pub success: bool,
    /// For people: "exit status: 1", "signal: 9 (SIGKILL)".
    pub description: String,
}
