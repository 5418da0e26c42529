//! What can go wrong, with the cure.

use std::io;
use std::path::PathBuf;

/// Why a server could not be provisioned or migrated.
///
/// `Display` is one message for a person and never repeats its source; no message holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection.
    #[error("cannot connect to {address}: {problem}. {cure}")]
    Connect {
        /// User, host, port and database.
        address: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        cure: &'static str,
        /// What the server or the system said.
        #[source]
        source: Box<sqlx::Error>,
    },

    /// The server did not answer in time.
    #[error(
        "cannot connect to {address}: no answer within {limit_s} s. Check host and port of the URL, and \
         the firewall between here and the server"
    )]
    ConnectTimeout {
        /// User, host, port and database.
        address: String,
        /// The limit, in seconds.
        limit_s: u64,
    },

    /// The server is too old.
    #[error("the server is PostgreSQL {version}; the oldest that works is {oldest}. Upgrade it")]
    TooOld {
        /// Its version.
        version: String,
        /// The oldest major version.
        oldest: u32,
    },

    /// The administrator may not do what is needed.
    #[error(
        "the role {role} may not {what}. Let a superuser run `ALTER ROLE {role} CREATEROLE CREATEDB`, or \
         use another administrator"
    )]
    NoRight {
        /// The administrator.
        role: String,
        /// What it may not do.
        what: String,
    },

    /// There is no password for a role that is needed.
    #[error("there is no password for the role {0}")]
    NoPassword(String),

    /// A domain's name cannot be part of a database's name.
    #[error("`{0}` is not a domain: a-z, then a-z, 0-9 and _, 40 characters at most")]
    Domain(String),

    /// The server refused a statement.
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
        file: String,
        /// The line in it, where the server named one.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
        /// What the server said, with its detail and hint.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },

    /// A folder of migrations could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn sql(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let what = what.into();
        move |source| Self::Sql {
            what,
            source: Box::new(source),
        }
    }

    /// Why there is no connection to `address`.
    pub(crate) fn connect(address: String, error: sqlx::Error) -> Self {
        const LOGIN: &str = "Check the user and the password in the URL";
        const NETWORK: &str = "Check host and port of the URL, and that the server runs and takes connections from here";
        const TLS: &str = "Check sslmode in the URL, and the root certificates \
            (DATABASE_ROOT_CERTIFICATE or sslrootcert): the server's certificate must lead to one of \
            them and bear the host's name";
        let code = code(&error);
        let (problem, cure) = match (&error, code.as_deref()) {
            (_, Some("28P01")) => ("the server refuses the password".to_owned(), LOGIN),
            (_, Some("28000")) => (
                "the server refuses this user".to_owned(),
                "The user may not exist, may not log in, or may not come from here, or without TLS: see \
                 the server's pg_hba.conf",
            ),
            (_, Some("3D000")) => (
                "there is no such database".to_owned(),
                "Name one that exists in the URL, such as postgres",
            ),
            (_, Some("42501")) => (
                "the user may not enter this database".to_owned(),
                "Name another database in the URL, or grant CONNECT on it",
            ),
            (_, Some("53300")) => (
                "all connections of the server are in use".to_owned(),
                "Raise max_connections of the server, or let fewer functions run",
            ),
            (_, Some("57P03")) => (
                "the server starts or stops".to_owned(),
                "Try again in a moment",
            ),
            (sqlx::Error::Io(io), _) if io.kind() == io::ErrorKind::ConnectionRefused => {
                ("nobody listens there".to_owned(), NETWORK)
            }
            (sqlx::Error::Io(io), _) if is_tls(io) => ("TLS failed".to_owned(), TLS),
            (sqlx::Error::Tls(_), _) => ("TLS failed".to_owned(), TLS),
            (sqlx::Error::Io(_), _) => ("the server cannot be reached".to_owned(), NETWORK),
            _ => ("the server refuses".to_owned(), LOGIN),
        };
        Self::Connect {
            address,
            problem,
            cure,
            source: Box::new(error),
        }
    }
}

/// Whether the handshake failed. The driver gives some of its errors as those of input and output.
fn is_tls(error: &io::Error) -> bool {
    let source = error.get_ref();
    source.is_some_and(|source| source.is::<rustls::Error>())
}

/// The SQLSTATE of a server's answer.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    let answer = error.as_database_error()?;
    answer.code().map(|code| code.into_owned())
}

fn place(file: &str, line: Option<usize>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}
