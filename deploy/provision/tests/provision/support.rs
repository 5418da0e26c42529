//! A server, and looks into it.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use zerocart_local_postgres::{Options, Server};
use zerocart_provision::{Address, Password, Passwords, roles};

/// A server of the test's own, and its superuser.
pub(crate) async fn server() -> (Server, Address) {
    let server = Server::start(Options::temporary()).await.unwrap();
    let admin = server.admin_url("postgres").address();
    (server, admin)
}

/// A new password for each role of these domains.
pub(crate) fn passwords(domains: &[&str]) -> Passwords {
    let roles = roles(domains).unwrap().into_iter();
    roles.map(|role| (role, Password::random())).collect()
}

pub(crate) async fn connect(address: &Address) -> Result<PgConnection, sqlx::Error> {
    let options: PgConnectOptions = address.expose().parse()?;
    options.connect().await
}

/// Runs statements on a connection of their own.
pub(crate) async fn run(address: &Address, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect(address).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// One value, as text.
pub(crate) async fn ask(address: &Address, sql: &str) -> Result<String, sqlx::Error> {
    let mut connection = connect(address).await?;
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
