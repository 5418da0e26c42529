//! The options of a server, and the progress reports of its start.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a server keeps its data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Folder {
    /// A folder that survives restarts; made when it does not exist.
    Kept(PathBuf),
    /// A new folder that is removed when the server goes, also when this process is killed.
    Temporary,
}

/// Where the server's programs come from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Source {
    /// The programs on this machine, else those that were fetched before, else they are fetched
    /// now.
    #[default]
    Auto,
    /// Fetched, even if this machine has them.
    Fetched,
    /// The programs in this folder (the one with `initdb` and `postgres`) only.
    At(PathBuf),
}

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the data is kept.
    ///
    /// The folder gets `cluster/` (PostgreSQL's own data), `socket/` (its Unix socket),
    /// `postgres.log`, `postgres.lock`, `passwords.json` (mode 0600) and, when one was fetched,
    /// `postgres/<version>/`.
    ///
    /// As root the server runs as `postgres` (or `nobody`). When that account cannot enter the
    /// folder, for example below a home that is closed to others, `cluster/`, `socket/` and
    /// `postgres/` are kept in `/var/lib/zerocart/<hash of the folder's path>/` instead;
    /// [`Progress::Elsewhere`] tells.
    pub folder: Folder,
    /// Where fetched programs are kept; `None`: in `postgres/` of the folder.
    pub programs: Option<PathBuf>,
    /// Where the programs come from.
    pub source: Source,
    /// The port on 127.0.0.1; `None`: one that is free, chosen at each start.
    pub port: Option<u16>,
    /// `max_connections`: what all pools together may open, and 3 for superusers.
    pub max_connections: u16,
    /// Whether committed data survives a crash of the machine. `false` is for tests only.
    pub durable: bool,
    /// How long a start may take, crash recovery included.
    pub start_limit: Duration,
    /// Who gets progress reports.
    pub report: Reporter,
}

impl Options {
    /// A durable server in a folder that survives restarts, with 100 connections.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Folder::Kept(folder.into()),
            programs: None,
            source: Source::Auto,
            port: None,
            max_connections: 100,
            durable: true,
            start_limit: Duration::from_secs(120),
            report: Reporter::default(),
        }
    }

    /// A server for tests: fast and not durable, in a folder that is removed with it.
    pub fn temporary() -> Self {
        Self {
            folder: Folder::Temporary,
            durable: false,
            ..Self::new(PathBuf::new())
        }
    }
}

/// One step on the way to a running server.
///
/// `Display` is a line for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The data is not in the chosen folder, because the server's account cannot enter it.
    Elsewhere {
        /// The account that runs the server.
        account: String,
        /// Where the data is.
        folder: PathBuf,
    },
    /// These programs are used.
    Using {
        /// The folder with them.
        bin: PathBuf,
        /// Their version.
        version: String,
    },
    /// There is no server here; the newest fitting version is looked up on Maven Central.
    LookingUp {
        /// The major version that is wanted.
        major: u32,
    },
    /// The download goes on. Sent at its start and then every other second.
    Downloading {
        /// The version.
        version: String,
        /// Seconds since its start.
        elapsed_s: u64,
    },
    /// The archive is here and its SHA-512 is right; it is being extracted.
    Extracting {
        /// The version.
        version: String,
        /// The size of the archive, in bytes.
        bytes: usize,
        /// Where it goes.
        folder: PathBuf,
    },
    /// A new cluster is being made.
    Initialising {
        /// Where.
        cluster: PathBuf,
    },
    /// A server that an earlier process left behind is being stopped.
    StoppingOrphan {
        /// Its process.
        pid: u32,
    },
    /// The superuser's password was lost; a new one is being set.
    RepairingPassword,
    /// The server is being started.
    Starting {
        /// The port that is tried.
        port: u16,
    },
    /// The server gets no Unix socket, and listens on its port alone.
    NoSocket {
        /// Why.
        reason: String,
    },
    /// The server takes connections.
    Ready {
        /// Its port.
        port: u16,
        /// Its process.
        pid: u32,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere { account, folder } => write!(
                f,
                "the account {account} runs PostgreSQL; its data is in {}",
                folder.display()
            ),
            Self::Using { bin, version } => {
                write!(f, "using PostgreSQL {version} ({})", bin.display())
            }
            Self::LookingUp { major } => write!(
                f,
                "no PostgreSQL here; looking up version {major} on Maven Central"
            ),
            Self::Downloading { version, elapsed_s } => {
                write!(f, "downloading PostgreSQL {version}")?;
                if *elapsed_s > 0 {
                    write!(f, " ({elapsed_s} s)")?;
                }
                Ok(())
            }
            Self::Extracting {
                version,
                bytes,
                folder,
            } => write!(
                f,
                "downloaded PostgreSQL {version}, {}.{} MB; extracting into {}",
                bytes / 1_000_000,
                bytes / 100_000 % 10,
                folder.display()
            ),
            Self::Initialising { cluster } => {
                write!(f, "making a new database cluster in {}", cluster.display())
            }
            Self::StoppingOrphan { pid } => {
                write!(
                    f,
                    "stopping the PostgreSQL of an earlier run (process {pid})"
                )
            }
            Self::RepairingPassword => f.write_str("setting a new superuser password"),
            Self::Starting { port } => write!(f, "starting PostgreSQL on 127.0.0.1:{port}"),
            Self::NoSocket { reason } => write!(
                f,
                "PostgreSQL gets no Unix socket, and the session broker uses TCP: {reason}"
            ),
            Self::Ready { port, pid } => {
                write!(f, "PostgreSQL is ready on 127.0.0.1:{port} (process {pid})")
            }
        }
    }
}

/// A receiver of [`Progress`]; the default drops it.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(Progress) + Send + Sync>);

impl Reporter {
    /// Calls this function, on the task that starts the server: it must not block.
    pub fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, progress: Progress) {
        (self.0)(progress);
    }
}

impl Default for Reporter {
    fn default() -> Self {
        Self::new(drop)
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
