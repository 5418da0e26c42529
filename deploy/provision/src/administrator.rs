//! An administrator's session: who it is, and the order of what it does.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::database::{close_database, close_to_others, let_connect, open_database};
use crate::names::{is_name, quoted};
use crate::role::{limit_role, open_role};
use crate::{Address, Error, Names, Outcome, Passwords, Step};

/// The oldest major version that works.
const OLDEST: u32 = 14;

/// The advisory lock of a provision: `zerocart` in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"zerocart");

/// A session of a role that may make roles and databases: a superuser, or a role with CREATEROLE and
/// CREATEDB.
#[derive(Debug)]
pub struct Administrator {
    pub(crate) address: Address,
    pub(crate) connection: PgConnection,
    pub(crate) is_superuser: bool,
    pub(crate) may_create_roles: bool,
    pub(crate) may_create_databases: bool,
    pub(crate) major: u32,
    max_connections: u32,
}

impl Administrator {
    /// Connects, and asks the server about both.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the cure; [`Error::TooOld`].
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        let mut connection = address.connect().await?;
        let (number, version, is_superuser, may_create_roles, may_create_databases): Facts =
            sqlx::query_as(
                "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                        rolsuper, rolcreaterole, rolcreatedb
                 FROM pg_roles WHERE rolname = current_user",
            )
            .fetch_one(&mut connection)
            .await
            .map_err(Error::sql("ask the server for its version"))?;
        let major = u32::try_from(number / 10_000).unwrap_or_default();
        if major < OLDEST {
            return Err(Error::TooOld {
                version,
                oldest: OLDEST,
            });
        }
        // What roles without privileges can use.
        let free: i32 = sqlx::query_scalar(
            "SELECT current_setting('max_connections')::int
                    - current_setting('superuser_reserved_connections')::int
                    - coalesce(current_setting('reserved_connections', true)::int, 0)",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(Error::sql("ask the server for max_connections"))?;
        Ok(Self {
            address: address.clone(),
            connection,
            is_superuser,
            may_create_roles: is_superuser || may_create_roles,
            may_create_databases: is_superuser || may_create_databases,
            major,
            max_connections: u32::try_from(free).unwrap_or_default(),
        })
    }

    /// How many connections functions can have: `max_connections` without those that are reserved.
    pub fn max_connections(&self) -> u32 {
        self.max_connections
    }

    /// Makes the database and the two roles of every domain. What exists stays, but for a password
    /// that is another or whose verifier has other rounds than it would get now, and rights that a role
    /// has too many of. Two calls at once wait for each other.
    ///
    /// The role of the functions may connect and use the schema `public`; everything else it is
    /// granted by the migrations. The owner runs those. Neither can connect to another domain's
    /// database. The role of the functions gets limits of time for statements and idle transactions,
    /// unless it has some.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] for a name that cannot be used and [`Error::NoPassword`], before anything is
    /// changed; [`Error::NoRight`]; [`Error::Sql`] when the server refuses something.
    pub async fn provision(
        &mut self,
        domains: &[&str],
        passwords: &Passwords,
        mut report: impl FnMut(Step),
    ) -> Result<(), Error> {
        let names = domains.iter().map(|domain| Names::of(domain));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let all = names.iter().flat_map(|names| [&names.owner, &names.role]);
        if let Some(role) = all.clone().find(|role| !passwords.contains_key(*role)) {
            return Err(Error::NoPassword(role.clone()));
        }
        self.lock().await?;
        // By default, PostgreSQL lets every role connect to every database.
        let closed = self.close_maintenance_databases().await?;
        report(Step::new("databases of the server", closed));
        for names in &names {
            for (role, limited) in [(&names.owner, false), (&names.role, true)] {
                let password = &passwords[role];
                let outcome = open_role(self, role, limited, &names.database, password).await?;
                report(Step::new(format!("role {role}"), outcome));
            }
            let owner = self.address.login(&names.owner, &passwords[&names.owner]);
            let outcome = open_database(self, names, &owner).await?;
            report(Step::new(format!("database {}", names.database), outcome));
            let role = self.address.login(&names.role, &passwords[&names.role]);
            let outcome = limit_role(self, &role.database(&names.database)).await?;
            report(Step::new(format!("limits of {}", names.role), outcome));
        }
        self.execute("SELECT pg_advisory_unlock_all()".to_owned())
            .await
    }

    /// Copies a domain's database, with what its migrations made, under another name.
    ///
    /// For tests: a copy is made in a fraction of the time that the migrations take. The domain's two
    /// roles can use it as they can use the original, and nobody else can.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] for a name that cannot be used; [`Error::Sql`] when there is a database of
    /// that name, or somebody is connected to the original for longer than 5 s.
    pub async fn copy_database(&mut self, domain: &str, name: &str) -> Result<(), Error> {
        let from = Names::of(domain)?;
        if !is_name(name) {
            return Err(Error::Domain(name.to_owned()));
        }
        let copy = format!(
            "CREATE DATABASE {} TEMPLATE {} OWNER {}",
            quoted(name),
            quoted(&from.database),
            quoted(&from.owner)
        );
        self.execute(copy).await?;
        // A copy has the contents, not the rights to the database itself.
        self.execute(close_to_others(name)).await?;
        self.execute(let_connect(name, &from.role)).await
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub async fn close(self) -> Result<(), Error> {
        let closed = self.connection.close().await;
        closed.map_err(Error::sql("close a connection"))
    }

    async fn lock(&mut self) -> Result<(), Error> {
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(LOCK)
            .execute(&mut self.connection)
            .await
            .map_err(Error::sql("wait for another `zerocart provision`"))?;
        Ok(())
    }

    async fn close_maintenance_databases(&mut self) -> Result<Outcome, Error> {
        let mut done = false;
        let mut open = Vec::new();
        for database in ["postgres", "template1"] {
            match close_database(self, database).await? {
                Some(true) => done = true,
                Some(false) => open.push(database),
                None => {}
            }
        }
        Ok(if !open.is_empty() {
            let statements = open.iter().map(|database| close_to_others(database));
            let statements = statements.collect::<Vec<_>>().join("; ");
            Outcome::Warning(format!(
                "all roles may connect to {}, and {} may not change that. It is no danger for the \
                 domains' databases; a superuser changes it with `{statements}`",
                open.join(" and "),
                self.address.user(),
            ))
        } else if done {
            Outcome::Done("closed to other roles".to_owned())
        } else {
            Outcome::Unchanged
        })
    }

    pub(crate) async fn execute(&mut self, statement: String) -> Result<(), Error> {
        execute(&mut self.connection, statement).await
    }
}

type Facts = (i32, String, bool, bool, bool);

/// Runs a statement, which is named by its first words in an error: they contain no secret.
pub(crate) async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), Error> {
    let words = statement.split_whitespace().take(3).collect::<Vec<_>>();
    let what = format!("run {}", words.join(" "));
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .map_err(Error::sql(what))?;
    Ok(())
}
