//! Applies a folder of migrations.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgErrorPosition, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::Error;

/// Applies the new migrations of a folder, in order, and returns their files.
///
/// Files are named `<version>_<what it does>.sql`. Each is applied in a transaction and recorded
/// in `_sqlx_migrations`; two processes at once wait for each other. `url` is that of the
/// database's owner.
///
/// # Errors
///
/// [`Error::Migration`] names the file (and the line, if the server knows it): one that fails,
/// one that was changed after it was applied, one that is missing, one whose name is not a
/// migration's. [`Error::Sql`] when there is no connection.
pub async fn migrate(url: &str, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let files = files(folder)?;
    let migrator = Migrator::new(folder).await.map_err(|error| {
        let source = match error {
            MigrateError::Source(source) => source,
            other => Box::new(other),
        };
        problem(folder, "cannot be read", source)
    })?;

    let connecting = || format!("connect to apply {}", folder.display());
    let options: PgConnectOptions = url.parse().map_err(Error::sql(connecting()))?;
    // As the functions do: the URL alone decides, not PGSSLMODE, and TLS is always verified.
    let mode = match options.get_ssl_mode() {
        _ if !url.contains("sslmode=") => PgSslMode::Disable,
        PgSslMode::Require | PgSslMode::VerifyCa => PgSslMode::VerifyFull,
        asked => asked,
    };
    let mut connection = options
        .ssl_mode(mode)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(Error::sql(connecting()))?;
    let before = applied(&mut connection).await?;
    migrator
        .run(&mut connection)
        .await
        .map_err(|error| explain(error, folder, &files))?;
    connection
        .close()
        .await
        .map_err(Error::sql("close a connection"))?;
    Ok(files
        .into_iter()
        .filter(|(version, _)| !before.contains(version))
        .map(|(_, file)| file)
        .collect())
}

/// Each version's file. sqlx passes over names that it does not understand; here they are errors,
/// because a migration that is silently left out is worse.
fn files(folder: &Path) -> Result<BTreeMap<i64, PathBuf>, Error> {
    let refuse = |file: PathBuf, problem: String| Error::Migration {
        file,
        line: None,
        problem,
        source: None,
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let version = name
            .split_once('_')
            .and_then(|(version, _)| version.parse::<i64>().ok())
            .filter(|version| *version > 0);
        let Some(version) = version else {
            let problem = "is not named <version>_<what it does>.sql".to_owned();
            return Err(refuse(path, problem));
        };
        if let Some(other) = files.insert(version, path.clone()) {
            let problem = format!("has the same version as {}", other.display());
            return Err(refuse(path, problem));
        }
    }
    if files.is_empty() {
        return Err(refuse(
            folder.to_owned(),
            "there is no migration in it".to_owned(),
        ));
    }
    Ok(files)
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

fn explain(error: MigrateError, folder: &Path, files: &BTreeMap<i64, PathBuf>) -> Error {
    let file = |version: i64| {
        files
            .get(&version)
            .cloned()
            .unwrap_or_else(|| folder.join(format!("{version}_*.sql")))
    };
    let plain = |version: i64, problem: &str| Error::Migration {
        file: file(version),
        line: None,
        problem: problem.to_owned(),
        source: None,
    };
    match error {
        MigrateError::ExecuteMigration(source, version) => {
            let file = file(version);
            let (line, problem) = what_the_server_said(&source, &file);
            Error::Migration {
                file,
                line,
                problem,
                source: None,
            }
        }
        MigrateError::VersionMissing(version) => {
            plain(version, "was applied earlier, and its file is gone")
        }
        MigrateError::VersionMismatch(version) => plain(
            version,
            "was changed after it was applied; put it back and add a new migration",
        ),
        MigrateError::Dirty(version) => plain(version, "was applied in part"),
        other => problem(folder, "cannot be applied", Box::new(other)),
    }
}

fn problem(
    folder: &Path,
    problem: &str,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> Error {
    Error::Migration {
        file: folder.to_owned(),
        line: None,
        problem: problem.to_owned(),
        source: Some(source),
    }
}

/// The line that the server names, and its message with detail and hint.
fn what_the_server_said(error: &sqlx::Error, file: &Path) -> (Option<usize>, String) {
    let Some(refused) = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return (None, error.to_string());
    };
    let line = match refused.position() {
        Some(PgErrorPosition::Original(position)) => fs::read_to_string(file).ok().map(|text| {
            // Positions count characters, from 1.
            let before = text.chars().take(position.saturating_sub(1));
            1 + before.filter(|c| *c == '\n').count()
        }),
        _ => None,
    };
    let mut said = refused.message().to_owned();
    for (label, more) in [("detail", refused.detail()), ("hint", refused.hint())] {
        if let Some(more) = more {
            said.push_str(&format!("; {label}: {more}"));
        }
    }
    (line, said)
}
