//! What the tests share.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use zerocart_local_postgres::{Options, Progress, Reporter, Url};

/// Longer than anything takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A folder that the account of the server can enter.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
    folder
}

/// A server that keeps its data, but does not wait for the disk.
pub(crate) fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder);
    options.durable = false;
    options.max_connections = 20;
    options
}

/// What a server reported.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Progress>>>);

impl Seen {
    pub(crate) fn report(&self) -> Reporter {
        let seen = self.clone();
        Reporter::new(move |progress| seen.0.lock().unwrap().push(progress))
    }

    pub(crate) fn any(&self, is: impl Fn(&Progress) -> bool) -> bool {
        self.0.lock().unwrap().iter().any(is)
    }
}

pub(crate) async fn connect(url: &Url) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(&url.expose()).await
}

/// Runs statements on a connection of their own.
pub(crate) async fn run(url: &Url, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// One value, as text.
pub(crate) async fn ask(url: &Url, sql: &str) -> Result<String, sqlx::Error> {
    let mut connection = connect(url).await?;
    let value = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(value)
}

/// The SQLSTATE that the server refused with.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, sqlx::Error>) -> String {
    let error = result.expect_err("the server must refuse");
    let code = error.as_database_error().and_then(|error| error.code());
    code.unwrap_or_else(|| panic!("not the server's answer: {error}"))
        .into_owned()
}

/// Waits for a condition outside this process.
pub(crate) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process works: one that has ended and waits to be collected does not.
pub(crate) fn runs(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// How a test is told something from outside.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other configuration"
)]
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
