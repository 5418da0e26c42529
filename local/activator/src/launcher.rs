//! How an instance of a function comes to be: the seam between the activator and processes.

use std::io;
use std::net::TcpListener;

use tokio::sync::{mpsc, watch};

use crate::log::Tail;
use crate::manifest::Function;

/// Makes instances. The shipped one is [`ProcessLauncher`](crate::ProcessLauncher).
pub trait Launcher: Send + Sync + 'static {
    /// Starts an instance that accepts connections on the given socket, without waiting for it.
    ///
    /// Called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the instance cannot even be started; the text reaches whoever asked for the function.
    fn launch(&self, launch: Launch<'_>) -> io::Result<Running>;
}

/// What a launcher gets.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The function, as its manifest says.
    pub function: &'a Function,
    /// A socket that is bound and listens already: connections queue in it from now on.
    pub listener: TcpListener,
    /// The name of the revision, for `K_REVISION`.
    pub revision: String,
}

/// An instance that was started.
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

/// How an instance is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Finish what runs, then end (SIGTERM).
    Drain,
    /// End at once (SIGKILL).
    Kill,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// For people: "exit status: 1", "signal: 9 (SIGKILL)".
    pub description: String,
}
