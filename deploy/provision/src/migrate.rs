//! Applies migrations.

use sqlx::migrate::{Migrate, MigrateError};
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use sqlx::{Connection, PgConnection};

use crate::error::code;
use crate::migrations::File;
use crate::{Address, Error, Migrations};

/// A migration that must wait for a lock makes all calls wait that come after it. So it gives up
/// first, and can be run again. Calls have 5 s.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '3s'";

/// SQLSTATE lock_not_available.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Applies the new migrations, in order, and returns their files.
///
/// Each is applied in a transaction and recorded in `_sqlx_migrations`. Two processes at once wait
/// for each other. `address` is that of the database's owner.
///
/// # Errors
///
/// [`Error::Migration`] names the file (and the line, if the server knows it): one that fails, one
/// that was changed after it was applied, one that is missing. [`Error::Connect`].
pub async fn migrate(address: &Address, migrations: &Migrations) -> Result<Vec<String>, Error> {
    let mut connection = address.connect().await?;
    let applied = apply(&mut connection, migrations).await?;
    connection
        .close()
        .await
        .map_err(Error::sql("close a connection"))?;
    Ok(applied)
}

async fn apply(
    connection: &mut PgConnection,
    migrations: &Migrations,
) -> Result<Vec<String>, Error> {
    let refused = |error| explain(error, migrations);
    lock(connection).await.map_err(refused)?;
    let before = applied(connection).await?;
    sqlx::raw_sql(LOCK_TIMEOUT)
        .execute(&mut *connection)
        .await
        .map_err(Error::sql("limit the wait for locks"))?;
    let mut migrator = migrations.migrator();
    migrator.set_locking(false);
    migrator.run(&mut *connection).await.map_err(refused)?;
    let files = migrations.files().iter();
    Ok(files
        .filter(|(version, _)| !before.contains(version))
        .map(|(_, file)| file.path.clone())
        .collect())
}

/// Takes sqlx's lock, which versions before this one take, too. It ends with the session.
///
/// Who has it may build an index concurrently, and that waits for every statement that runs. So a wait for the lock
/// must not be one statement: each would wait for the other.
async fn lock(connection: &mut PgConnection) -> Result<(), MigrateError> {
    sqlx::raw_sql("SET lock_timeout = '100ms'")
        .execute(&mut *connection)
        .await?;
    loop {
        match Migrate::lock(connection).await {
            Err(MigrateError::Execute(sqlx::Error::Database(error)))
                if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => {}
            locked => return locked,
        }
    }
}

/// The versions that were applied before.
async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, Error> {
    let what = "read which migrations were applied";
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::sql(what))?;
    if !known {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
        .fetch_all(connection)
        .await
        .map_err(Error::sql(what))
}

fn explain(error: MigrateError, migrations: &Migrations) -> Error {
    let place = migrations.place();
    let file = |version: i64| {
        let known = migrations.files().get(&version);
        known.map_or_else(
            || format!("{place}/{version}_*.sql"),
            |file| file.path.clone(),
        )
    };
    let plain = |version: i64, problem: &str| Error::Migration {
        file: file(version),
        line: None,
        problem: problem.to_owned(),
        source: None,
    };
    match error {
        MigrateError::ExecuteMigration(source, version) => {
            let (line, problem) = what_the_server_said(&source, migrations.files().get(&version));
            Error::Migration {
                file: file(version),
                line,
                problem,
                source: None,
            }
        }
        MigrateError::VersionMissing(version) => plain(
            version,
            "was applied earlier, and its file is gone: is this an older version of zerocart?",
        ),
        MigrateError::VersionMismatch(version) => plain(
            version,
            "was changed after it was applied; put it back and add a new migration",
        ),
        MigrateError::Dirty(version) => plain(version, "was applied in part"),
        other => Error::Migration {
            file: place.to_owned(),
            line: None,
            problem: "cannot be applied".to_owned(),
            source: Some(Box::new(other)),
        },
    }
}

/// The line that the server names, and its message with detail and hint.
fn what_the_server_said(error: &sqlx::Error, file: Option<&File>) -> (Option<usize>, String) {
    let Some(refused) = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return (None, error.to_string());
    };
    let line = match (refused.position(), file) {
        (Some(PgErrorPosition::Original(position)), Some(file)) => {
            // Positions count characters, from 1.
            let before = file.sql.chars().take(position.saturating_sub(1));
            Some(1 + before.filter(|c| *c == '\n').count())
        }
        _ => None,
    };
    if code(error).as_deref() == Some(LOCK_NOT_AVAILABLE) {
        let busy = "another session uses a table for longer than 3 s; nothing was changed: run it again, \
                    at a quieter time";
        return (line, busy.to_owned());
    }
    let mut said = refused.message().to_owned();
    for (label, more) in [("detail", refused.detail()), ("hint", refused.hint())] {
        if let Some(more) = more {
            said.push_str(&format!("; {label}: {more}"));
        }
    }
    (line, said)
}
