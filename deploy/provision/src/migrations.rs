//! The migrations of one domain: those of this build, or those of a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::Error;
use crate::versions::versions;

/// The version, the path and the SQL.
type EmbeddedFile = (i64, &'static str, &'static str);

// `EMBEDDED`: by domain, what the build script found.
include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The first line of a migration that must not run in a transaction, as sqlx has it.
const NO_TRANSACTION: &str = "-- no-transaction";

/// The migrations of one domain.
#[derive(Clone, Debug)]
pub struct Migrations {
    /// The folder: for messages.
    place: String,
    files: BTreeMap<i64, File>,
}

#[derive(Clone, Debug)]
pub(crate) struct File {
    /// The path.
    pub(crate) path: String,
    pub(crate) sql: String,
}

impl Migrations {
    /// Those of `migrations/<domain>` when this program was built.
    pub fn embedded(domain: &str) -> Option<Self> {
        let (_, files) = EMBEDDED.iter().find(|(name, _)| *name == domain)?;
        let files = files.iter().map(|(version, path, sql)| {
            let file = File {
                path: (*path).to_owned(),
                sql: (*sql).to_owned(),
            };
            (*version, file)
        });
        Some(Self {
            place: format!("migrations/{domain}"),
            files: files.collect(),
        })
    }

    /// The domains that have migrations in this program.
    pub fn domains() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(domain, _)| *domain)
    }

    /// Reads a folder.
    ///
    /// Files are named `<version>_<what it does>.sql`; other endings are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Migration`] names a file whose name is not a migration's, and an empty folder;
    /// [`Error::Read`].
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Read { path, source }
        };
        let place = folder.display().to_string();
        let refuse = |file: String, problem: String| Error::Migration {
            file,
            line: None,
            problem,
            source: None,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(fail(folder))? {
            let path = entry.map_err(fail(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                names.push(path.display().to_string());
            }
        }
        names.sort();
        if names.is_empty() {
            return Err(refuse(place, "there is no migration in it".to_owned()));
        }
        let versions = versions(names).map_err(|(file, problem)| refuse(file, problem))?;
        let mut files = BTreeMap::new();
        for (version, path) in versions {
            let sql = fs::read_to_string(&path).map_err(fail(Path::new(&path)))?;
            files.insert(version, File { path, sql });
        }
        Ok(Self { place, files })
    }

    /// Those up to a version.
    #[must_use]
    pub fn up_to(mut self, version: i64) -> Self {
        self.files.retain(|of, _| *of <= version);
        self
    }

    /// The path and the SQL of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.values();
        files.map(|file| (file.path.as_str(), file.sql.as_str()))
    }

    /// The folder.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn files(&self) -> &BTreeMap<i64, File> {
        &self.files
    }

    /// As sqlx reads a folder: its checksums are those of earlier versions of this project, too.
    pub(crate) fn migrator(&self) -> Migrator {
        let migrations = self.files.iter().map(|(version, file)| {
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            let description = name.split_once('_').map_or(name, |(_, rest)| rest);
            let description = description.trim_end_matches(".sql").replace('_', " ");
            let sql = AssertSqlSafe(file.sql.clone()).into_sql_str();
            let alone = file.sql.starts_with(NO_TRANSACTION);
            let kind = MigrationType::Simple;
            Migration::new(*version, description.into(), kind, sql, alone)
        });
        Migrator::with_migrations(migrations.collect())
    }
}
