//! Failures of statements: which are answers, which are the database's, and what a client is told.

use std::{fmt, time::Duration};

use tokio_postgres::{
    Row,
    error::{DbError, SqlState},
    row::RowIndex,
    types::FromSql,
};
use zerocart_core::{Error, Kind};

/// When a client may try again after a failure of the database: the least that HTTP can say.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a statement has no result.
///
/// Becomes the runtime's [`Error`] with `?`; nothing of SQL or of the server's text is in the
/// message of that, only in its source, for the log. The source leaves out what the server says in
/// `DETAIL`, which repeats values of rows.
pub struct QueryError(Box<Reason>);

enum Reason {
    /// The server refused the statement.
    Server(ServerError),
    /// The connection was lost, or could not be used.
    Lost(tokio_postgres::Error),
    /// The same, or the time ran out, when the effect may already have been committed.
    Unknown(Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The call's deadline passed.
    Deadline,
    /// The statement was to give at most one row, or exactly one.
    Rows(usize),
    /// An earlier statement of the transaction failed, and its error was not passed on.
    Failed,
    /// The program's use of the driver is wrong: a type, a column, a number of parameters.
    Misuse(tokio_postgres::Error),
    /// A constraint became an answer.
    Answer(Error),
}

impl QueryError {
    pub(crate) fn deadline() -> Self {
        Reason::Deadline.into()
    }

    pub(crate) fn rows(found: usize) -> Self {
        Reason::Rows(found).into()
    }

    pub(crate) fn failed() -> Self {
        Reason::Failed.into()
    }

    /// For a statement after which the effect may stand although its answer never came.
    ///
    /// The server's own refusal is definite, unless it is that of a server going down (class 57),
    /// or broken (58, XX): those may come after the commit was written.
    #[must_use]
    pub fn unless_definite(self) -> Self {
        match *self.0 {
            Reason::Server(error) if error.is_of(&["08", "57", "58", "XX"]) => {
                Reason::Unknown(Some(Box::new(error))).into()
            }
            Reason::Lost(error) => Reason::Unknown(Some(Box::new(error))).into(),
            Reason::Deadline => Reason::Unknown(None).into(),
            cause => cause.into(),
        }
    }

    /// The error in one word: the SQLSTATE of the server's answer, such as `23505`, or what came instead
    /// of an answer.
    pub fn code(&self) -> &str {
        match &*self.0 {
            Reason::Server(error) => error.code.code(),
            Reason::Unknown(Some(error)) => error
                .downcast_ref::<ServerError>()
                .map_or("unknown", |error| error.code.code()),
            Reason::Unknown(None) | Reason::Deadline => "deadline_exceeded",
            Reason::Lost(_) => "connection_lost",
            Reason::Rows(_) | Reason::Failed | Reason::Misuse(_) | Reason::Answer(_) => "misuse",
        }
    }

    /// The constraint that was violated.
    pub fn constraint(&self) -> Option<&str> {
        match &*self.0 {
            Reason::Server(error) => error.constraint.as_deref(),
            _ => None,
        }
    }

    /// Whether the database itself failed, which is what a circuit breaker counts: no connection,
    /// no answer in time, no resources, a broken server. Never an answer such as a violated
    /// constraint or no row.
    pub fn is_database_failure(&self) -> bool {
        match &*self.0 {
            // 08 connection, 53 resources, 57 operator (shutdown, timeout), 58 system, XX internal;
            // 25006 is a server that has become a read-only replica.
            Reason::Server(error) => {
                error.is_of(&["08", "53", "57", "58", "XX"])
                    || error.code == SqlState::READ_ONLY_SQL_TRANSACTION
            }
            Reason::Lost(_) | Reason::Unknown(_) | Reason::Deadline => true,
            Reason::Rows(_) | Reason::Failed | Reason::Misuse(_) | Reason::Answer(_) => false,
        }
    }

    /// Whether the connection has ended: lost, or closed by a server that ends or has crashed.
    pub(crate) fn is_lost_connection(&self) -> bool {
        match &*self.0 {
            Reason::Lost(_) => true,
            Reason::Server(error) => {
                error.is_of(&["08"])
                    || error.code == SqlState::ADMIN_SHUTDOWN
                    || error.code == SqlState::CRASH_SHUTDOWN
            }
            _ => false,
        }
    }

    /// Whether the server refused a statement, which ends what a transaction can do.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(&*self.0, Reason::Server(_))
    }

    /// Whether the connection is of no further use, though the server answers.
    ///
    /// A prepared statement is gone or no longer fits its table (a migration ran), or the server
    /// has become a replica. Another connection helps; this one fails for ever.
    pub(crate) fn spoils_connection(&self) -> bool {
        let Reason::Server(error) = &*self.0 else {
            return false;
        };
        [
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(&error.code)
    }

    fn into_error(self) -> Error {
        match *self.0 {
            Reason::Answer(error) => error,
            Reason::Deadline => Error::new(Kind::DeadlineExceeded, "the time ran out"),
            Reason::Lost(error) => unavailable().with_source(error),
            Reason::Unknown(source) => {
                let error = Error::unavailable(
                    "it is not known whether the request took effect; repeat it with the same \
                     idempotency-key to find out",
                    RETRY_AFTER,
                );
                match source {
                    Some(source) => error.with_source(source),
                    None => error,
                }
            }
            Reason::Server(error) => {
                let kind = error.kind();
                match kind {
                    Kind::Unavailable => unavailable().with_source(error),
                    Kind::DeadlineExceeded => {
                        Error::new(kind, "the database took too long").with_source(error)
                    }
                    Kind::Aborted => {
                        Error::new(kind, "another request changed the same data; try again")
                            .with_source(error)
                    }
                    Kind::InvalidArgument => {
                        Error::new(kind, "a value cannot be stored").with_source(error)
                    }
                    _ => Error::internal(error),
                }
            }
            Reason::Misuse(error) => Error::internal(error),
            Reason::Rows(found) => Error::internal(Rows(found)),
            Reason::Failed => Error::internal(TransactionFailed),
        }
    }
}

/// The database cannot be used now.
pub(crate) fn unavailable() -> Error {
    Error::unavailable("the database is unavailable", RETRY_AFTER)
}

impl From<Reason> for QueryError {
    fn from(cause: Reason) -> Self {
        Self(Box::new(cause))
    }
}

impl From<tokio_postgres::Error> for QueryError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => Reason::Server(ServerError::new(refusal)).into(),
            None if is_transport(&error) => Reason::Lost(error).into(),
            None => Reason::Misuse(error).into(),
        }
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        error.into_error()
    }
}

/// Whether an error is the connection's, not the server's or the program's.
pub(crate) fn is_transport(error: &tokio_postgres::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let source = std::error::Error::source(error);
    error.is_closed()
        || source
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            // The driver reports what it cannot encode or parse, and bad certificates, as these.
            .is_some_and(|io| !matches!(io.kind(), InvalidData | InvalidInput))
}

/// What the server said, without the values of rows.
struct ServerError {
    code: SqlState,
    severity: String,
    message: String,
    constraint: Option<String>,
}

impl ServerError {
    fn new(error: &DbError) -> Self {
        Self {
            code: error.code().clone(),
            severity: error.severity().to_owned(),
            message: error.message().to_owned(),
            constraint: error.constraint().map(str::to_owned),
        }
    }

    fn is_of(&self, classes: &[&str]) -> bool {
        classes
            .iter()
            .any(|class| self.code.code().starts_with(class))
    }

    /// What it is to a client (PostgreSQL's documentation, appendix A).
    fn kind(&self) -> Kind {
        match &self.code {
            code if *code == SqlState::QUERY_CANCELED => Kind::DeadlineExceeded,
            code if *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::T_R_DEADLOCK_DETECTED
                || *code == SqlState::LOCK_NOT_AVAILABLE =>
            {
                Kind::Aborted
            }
            code if *code == SqlState::NUMERIC_VALUE_OUT_OF_RANGE
                || *code == SqlState::STRING_DATA_RIGHT_TRUNCATION
                || *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE =>
            {
                Kind::InvalidArgument
            }
            code if *code == SqlState::READ_ONLY_SQL_TRANSACTION
                || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT =>
            {
                Kind::Unavailable
            }
            _ if self.is_of(&["08", "53", "57P"]) => Kind::Unavailable,
            _ => Kind::Internal,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            severity,
            message,
            ..
        } = self;
        write!(f, "{severity} {}: {message}", code.code())
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ServerError {}

#[derive(Debug, thiserror::Error)]
#[error("a statement that gives one row gave {0}")]
struct Rows(usize);

#[derive(Debug, thiserror::Error)]
#[error("a transaction in which a statement had failed was to be committed")]
struct TransactionFailed;

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Reason::Server(_) => "the server refused the statement",
            Reason::Lost(_) => "the connection was lost",
            Reason::Unknown(_) => "the outcome is not known",
            Reason::Deadline => "the deadline passed",
            Reason::Rows(_) => "an unexpected number of rows",
            Reason::Failed => "the transaction had failed",
            Reason::Misuse(_) => "the driver was misused",
            Reason::Answer(error) => error.message(),
        })
    }
}

impl fmt::Debug for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueryError")
            .field(&format_args!("{self}"))
            .field(&std::error::Error::source(self))
            .finish()
    }
}

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Reason::Server(error) => Some(error),
            Reason::Lost(error) | Reason::Misuse(error) => Some(error),
            Reason::Unknown(source) => source.as_deref().map(|source| source as _),
            Reason::Answer(error) => std::error::Error::source(error),
            Reason::Deadline | Reason::Rows(_) | Reason::Failed => None,
        }
    }
}

/// Turns violated constraints into answers, by their names.
pub trait ErrorExt<T> {
    /// `error()` when the statement violated the constraint `name` (unique, check, foreign key,
    /// exclusion; for NOT NULL the server names none). Can be chained.
    ///
    /// # Errors
    ///
    /// The statement's error, or `error()` as one.
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T, QueryError>;
}

impl<T> ErrorExt<T> for Result<T, QueryError> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Self {
        self.map_err(|failure| {
            if failure.constraint() == Some(name) {
                Reason::Answer(error()).into()
            } else {
                failure
            }
        })
    }
}

/// Reads columns without panicking.
pub trait RowExt {
    /// The value of a column, by name or position.
    ///
    /// # Errors
    ///
    /// When there is no such column, or it has another type: a fault of the program.
    fn column<'a, T: FromSql<'a>>(
        &'a self,
        index: impl RowIndex + fmt::Display,
    ) -> Result<T, QueryError>;
}

impl RowExt for Row {
    fn column<'a, T: FromSql<'a>>(
        &'a self,
        index: impl RowIndex + fmt::Display,
    ) -> Result<T, QueryError> {
        Ok(self.try_get(index)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: &str) -> QueryError {
        Reason::Server(ServerError {
            code: SqlState::from_code(code),
            severity: "ERROR".into(),
            message: "text of the server".into(),
            constraint: Some("users_email_key".into()),
        })
        .into()
    }

    #[test]
    fn sqlstates_have_kinds_and_only_failures_of_the_database_count() {
        for (code, kind, failure) in [
            ("08006", Kind::Unavailable, true),
            ("53300", Kind::Unavailable, true),
            ("57P01", Kind::Unavailable, true),
            ("57P03", Kind::Unavailable, true),
            ("25006", Kind::Unavailable, true),
            ("57014", Kind::DeadlineExceeded, true),
            ("58030", Kind::Internal, true),
            ("XX001", Kind::Internal, true),
            ("40001", Kind::Aborted, false),
            ("40P01", Kind::Aborted, false),
            ("22003", Kind::InvalidArgument, false),
            ("22021", Kind::InvalidArgument, false),
            ("23505", Kind::Internal, false),
            ("42P01", Kind::Internal, false),
        ] {
            let error = server(code);
            assert_eq!(error.is_database_failure(), failure, "{code}");
            let error = Error::from(error);
            assert_eq!(error.kind(), kind, "{code}");
            assert!(!error.message().contains("server"), "{code}");
            assert_eq!(
                error.retry_after().is_some(),
                kind == Kind::Unavailable,
                "{code}"
            );
        }
    }

    #[test]
    fn a_constraint_becomes_an_answer_by_its_name() {
        let taken = || Error::new(Kind::AlreadyExists, "taken");
        let answer = Err::<(), _>(server("23505"))
            .on_constraint("users_pkey", || Error::internal("wrong"))
            .on_constraint("users_email_key", taken)
            .unwrap_err();
        assert!(!answer.is_database_failure());
        assert_eq!(Error::from(answer).kind(), Kind::AlreadyExists);

        let other = Err::<(), _>(server("23505"))
            .on_constraint("users_pkey", taken)
            .unwrap_err();
        assert_eq!(other.constraint(), Some("users_email_key"));
        assert_eq!(Error::from(other).kind(), Kind::Internal);
    }

    #[test]
    fn after_a_commit_only_a_refusal_of_its_own_is_definite() {
        let kind = |code| Error::from(server(code).unless_definite()).kind();
        assert_eq!(kind("40001"), Kind::Aborted);
        assert_eq!(kind("23505"), Kind::Internal);
        for unknown in ["57P01", "57014", "08006", "XX000"] {
            let error = Error::from(server(unknown).unless_definite());
            assert_eq!(error.kind(), Kind::Unavailable, "{unknown}");
            assert!(error.message().contains("not known"), "{unknown}");
        }
        let error = Error::from(QueryError::deadline().unless_definite());
        assert!(error.message().contains("not known"));
    }
}
