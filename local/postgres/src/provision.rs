//! A database and two roles for each domain.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::passwords::{Password, Url};
use crate::{Error, Server};

/// A domain's database and roles on a server.
///
/// The role of the functions may connect and use the schema `public`; everything else it is
/// granted by the migrations. The owner runs those. Neither can connect to another domain's
/// database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Database {
    /// The domain, such as `user`.
    pub domain: String,
    /// The database, `zerocart_<domain>`.
    pub name: String,
    /// For the functions: the role `zerocart_<domain>`.
    pub url: Url,
    /// For migrations: the role `zerocart_<domain>_owner`.
    pub owner_url: Url,
}

/// Makes the database and the roles of every domain. What exists stays.
///
/// Passwords are made once and kept in the server's folder. A role whose password was lost with
/// that file gets a new one.
///
/// # Errors
///
/// [`Error::Domain`] for a name that cannot be used, before anything is changed; [`Error::Sql`]
/// when the server refuses something.
pub async fn provision(server: &Server, domains: &[&str]) -> Result<Vec<Database>, Error> {
    if let Some(bad) = domains.iter().find(|domain| !is_domain(domain)) {
        return Err(Error::Domain((*bad).to_owned()));
    }
    // Held to the end, because two calls at once would make the same role twice.
    let mut passwords = server.passwords.lock().await;
    let mut maintenance = connect(&server.admin_url("postgres")).await?;
    // By default, PostgreSQL lets every role connect to every database.
    for database in ["postgres", "template1"] {
        execute(&mut maintenance, close_to_others(database)).await?;
    }
    let mut databases = Vec::with_capacity(domains.len());
    for domain in domains {
        let name = format!("zerocart_{domain}");
        let owner = format!("{name}_owner");
        let url = |role: &str, password: &Password| Url::new(role, password, server.port(), &name);
        let owner_password = passwords.get_or_make(&owner)?;
        let password = passwords.get_or_make(&name)?;
        create_role(&mut maintenance, &owner, &owner_password).await?;
        create_role(&mut maintenance, &name, &password).await?;
        create_database(&mut maintenance, &name, &owner).await?;
        open_schema(server, &name, &owner).await?;
        databases.push(Database {
            domain: (*domain).to_owned(),
            url: url(&name, &password),
            owner_url: url(&owner, &owner_password),
            name,
        });
    }
    close(maintenance).await?;
    Ok(databases)
}

impl Server {
    /// Copies a domain's database, with what its migrations made, under another name.
    ///
    /// For tests: a copy is made in a fraction of the time that the migrations take. The domain's
    /// two roles can use it as they can use the original, and nobody else can.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] for a name that cannot be used; [`Error::Sql`] when there is a database
    /// of that name, or somebody is connected to the original for longer than 5 s.
    pub async fn copy_database(&self, from: &Database, name: &str) -> Result<Database, Error> {
        if !is_domain(name) {
            return Err(Error::Domain(name.to_owned()));
        }
        let owner = format!("{}_owner", from.name);
        let mut maintenance = connect(&self.admin_url("postgres")).await?;
        let copy = format!(
            "CREATE DATABASE {} TEMPLATE {} OWNER {}",
            quoted(name),
            quoted(&from.name),
            quoted(&owner)
        );
        execute(&mut maintenance, copy).await?;
        // A copy has the contents, not the rights to the database itself.
        execute(&mut maintenance, close_to_others(name)).await?;
        execute(&mut maintenance, let_connect(name, &from.name)).await?;
        close(maintenance).await?;
        let passwords = self.passwords.lock().await;
        let url = |role: &str| {
            let password = passwords.get(role).cloned().unwrap_or_default();
            Url::new(role, &password, self.port(), name)
        };
        Ok(Database {
            domain: from.domain.clone(),
            name: name.to_owned(),
            url: url(&from.name),
            owner_url: url(&owner),
        })
    }
}

/// PostgreSQL cuts names at 63 bytes. 40 leaves room for prefix and suffix.
fn is_domain(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Every name here has passed [`is_domain`] or was built from one that has.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn close_to_others(database: &str) -> String {
    format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", quoted(database))
}

fn let_connect(database: &str, role: &str) -> String {
    format!(
        "GRANT CONNECT ON DATABASE {} TO {}",
        quoted(database),
        quoted(role)
    )
}

async fn connect(url: &Url) -> Result<PgConnection, Error> {
    let what = || format!("connect to {url:?}");
    let options: PgConnectOptions = url.expose().parse().map_err(Error::sql(what()))?;
    options
        .ssl_mode(PgSslMode::Disable)
        // Statements that set a password must not appear in an error.
        .disable_statement_logging()
        .connect()
        .await
        .map_err(Error::sql(what()))
}

async fn close(connection: PgConnection) -> Result<(), Error> {
    connection
        .close()
        .await
        .map_err(Error::sql("close a connection"))
}

async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), Error> {
    // The first words name the statement, and contain no secret.
    let words = statement.split_whitespace().take(3).collect::<Vec<_>>();
    let what = format!("run {}", words.join(" "));
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .map_err(Error::sql(what))?;
    Ok(())
}

async fn exists(
    connection: &mut PgConnection,
    question: &'static str,
    name: &str,
) -> Result<bool, Error> {
    sqlx::query_scalar(question)
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(Error::sql(format!("look for {name}")))
}

async fn create_role(
    maintenance: &mut PgConnection,
    role: &str,
    password: &Password,
) -> Result<(), Error> {
    let known = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)";
    let verb = if exists(maintenance, known, role).await? {
        "ALTER"
    } else {
        "CREATE"
    };
    let statement = format!(
        "{verb} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
         PASSWORD '{}'",
        quoted(role),
        password.verifier()
    );
    execute(maintenance, statement).await
}

async fn create_database(
    maintenance: &mut PgConnection,
    name: &str,
    owner: &str,
) -> Result<(), Error> {
    let known = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)";
    if !exists(maintenance, known, name).await? {
        let create = format!("CREATE DATABASE {} OWNER {}", quoted(name), quoted(owner));
        execute(maintenance, create).await?;
    }
    execute(maintenance, close_to_others(name)).await?;
    execute(maintenance, let_connect(name, name)).await
}

/// Lets the owner create in `public`, the functions use it. PostgreSQL 14 let everybody create.
async fn open_schema(server: &Server, name: &str, owner: &str) -> Result<(), Error> {
    let mut connection = connect(&server.admin_url(name)).await?;
    let statement = format!(
        "REVOKE ALL ON SCHEMA public FROM PUBLIC; \
         GRANT CREATE, USAGE ON SCHEMA public TO {}; \
         GRANT USAGE ON SCHEMA public TO {}",
        quoted(owner),
        quoted(name)
    );
    execute(&mut connection, statement).await?;
    close(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for good in ["user", "order_2", "a"] {
            assert!(is_domain(good), "{good}");
        }
        let long = "a".repeat(41);
        for bad in ["", "User", "2user", "user-x", "us\"er", "usér", &long] {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
