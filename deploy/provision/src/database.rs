//! One database, and who may enter it.

use sqlx::{Connection, PgConnection};

use crate::administrator::{Administrator, execute};
use crate::names::quoted;
use crate::{Address, Error, Names, Outcome};

pub(crate) fn close_to_others(database: &str) -> String {
    format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", quoted(database))
}

pub(crate) fn let_connect(database: &str, role: &str) -> String {
    format!(
        "GRANT CONNECT ON DATABASE {} TO {}",
        quoted(database),
        quoted(role)
    )
}

/// Keeps roles out of a database of the server. `None`: that is so already. `Some(false)`: this
/// administrator may not.
pub(crate) async fn close_database(
    admin: &mut Administrator,
    database: &str,
) -> Result<Option<bool>, Error> {
    let exists = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)";
    let connection = &mut admin.connection;
    if !holds(connection, exists, &[database]).await? || !is_open(connection, database).await? {
        return Ok(None);
    }
    // Where it is not allowed, the server gives a warning or an error: what counts is what is then.
    execute(connection, close_to_others(database)).await.ok();
    Ok(Some(!is_open(connection, database).await?))
}

/// Makes a domain's database, or makes it so: its owner may do everything, the role of the functions
/// may connect and use the schema `public`, and others nothing.
pub(crate) async fn open_database(
    admin: &mut Administrator,
    names: &Names,
    owner: &Address,
) -> Result<Outcome, Error> {
    let Names {
        database,
        role,
        owner: owner_role,
        ..
    } = names;
    let exists = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)";
    let new = !holds(&mut admin.connection, exists, &[database]).await?;
    let joined = join(admin, owner_role).await? | join(admin, role).await?;
    if new {
        if !admin.may_create_databases {
            return Err(Error::NoRight {
                role: admin.address.user().to_owned(),
                what: format!("make the database {database}"),
            });
        }
        let create = format!(
            "CREATE DATABASE {} OWNER {}",
            quoted(database),
            quoted(owner_role)
        );
        admin.execute(create).await?;
    }
    // A superuser may grant everything; for others the owner does. Both grant in the owner's name.
    let within = if admin.is_superuser {
        admin.address.database(database)
    } else {
        owner.database(database)
    };
    let mut connection = within.connect().await?;
    let opened = grant(&mut connection, database, owner_role, role).await?;
    let warning = is_schema_open(&mut connection).await?;
    connection
        .close()
        .await
        .map_err(Error::sql("close a connection"))?;
    Ok(if warning {
        // PostgreSQL 14 with an administrator that is no superuser.
        Outcome::Warning(format!(
            "all roles that may enter it, which are its own two, may make tables in it. A superuser \
             changes that with `REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT ALL ON SCHEMA public TO \
             {owner_role}; GRANT USAGE ON SCHEMA public TO {role}`"
        ))
    } else if new {
        Outcome::Done("made".to_owned())
    } else if opened || joined {
        Outcome::Done("rights set".to_owned())
    } else {
        Outcome::Unchanged
    })
}

/// An administrator who is no superuser must be a member of a domain's roles: of the owner, to give it a
/// database and to dump that; of the functions' role, to end its sessions before a restore. Whether it had
/// to join.
async fn join(admin: &mut Administrator, role: &str) -> Result<bool, Error> {
    if admin.is_superuser {
        return Ok(false);
    }
    // From 16 on, a member may do less than its role: not become it, or not have its rights.
    let member = if admin.major < 16 {
        "SELECT pg_has_role($1, 'MEMBER') AND pg_has_role($1, 'USAGE')"
    } else {
        "SELECT pg_has_role($1, 'SET') AND pg_has_role($1, 'USAGE')"
    };
    if holds(&mut admin.connection, member, &[role]).await? {
        return Ok(false);
    }
    let options = if admin.major < 16 {
        ""
    } else {
        " WITH INHERIT TRUE, SET TRUE"
    };
    let grant = format!("GRANT {} TO CURRENT_USER{options}", quoted(role));
    admin.execute(grant).await?;
    Ok(true)
}

/// Grants what is missing, and takes away what is too much. Whether there was anything.
async fn grant(
    connection: &mut PgConnection,
    database: &str,
    owner: &str,
    role: &str,
) -> Result<bool, Error> {
    let mut statements = Vec::new();
    if is_open(connection, database).await? {
        statements.push(close_to_others(database));
    }
    let connects = "SELECT has_database_privilege($1, $2, 'CONNECT')";
    // Not while PUBLIC may, which is about to end.
    if !statements.is_empty() || !holds(connection, connects, &[role, database]).await? {
        statements.push(let_connect(database, role));
    }
    // PostgreSQL 14 lets everybody create; later versions everybody look.
    let closed = "SELECT NOT has_schema_privilege('public', 'public', 'CREATE')
                  AND NOT has_schema_privilege('public', 'public', 'USAGE')";
    let uses = "SELECT has_schema_privilege($1, 'public', 'USAGE')
                AND has_schema_privilege($2, 'public', 'CREATE')
                AND has_schema_privilege($2, 'public', 'USAGE')";
    if !holds(connection, closed, &[]).await? || !holds(connection, uses, &[role, owner]).await? {
        statements.push(format!(
            "REVOKE ALL ON SCHEMA public FROM PUBLIC; \
             GRANT CREATE, USAGE ON SCHEMA public TO {}; \
             GRANT USAGE ON SCHEMA public TO {}",
            quoted(owner),
            quoted(role)
        ));
    }
    let any = !statements.is_empty();
    for statement in statements {
        execute(connection, statement).await?;
    }
    Ok(any)
}

/// Whether every role may enter a database, or make temporary tables in it.
async fn is_open(connection: &mut PgConnection, database: &str) -> Result<bool, Error> {
    let open = "SELECT has_database_privilege('public', $1, 'CONNECT')
                OR has_database_privilege('public', $1, 'TEMPORARY')";
    holds(connection, open, &[database]).await
}

async fn is_schema_open(connection: &mut PgConnection) -> Result<bool, Error> {
    let open = "SELECT has_schema_privilege('public', 'public', 'CREATE')";
    holds(connection, open, &[]).await
}

/// The answer to a yes-or-no question.
async fn holds(
    connection: &mut PgConnection,
    question: &'static str,
    names: &[&str],
) -> Result<bool, Error> {
    let mut query = sqlx::query_scalar(question);
    for name in names {
        query = query.bind(*name);
    }
    query
        .fetch_one(connection)
        .await
        .map_err(Error::sql(format!("look at {}", names.join(" and "))))
}
