//! What functions need on every local engine: databases, keys, and a first admin.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use zerocart_local_postgres::{Database, Server, Source, provision};
use zerocart_provision::{Migrations, migrate};
use zerocart_registry::CONNECTIONS;
use zerocart_user::bootstrap::Credential;

use crate::{bootstrap, console, domains, key_files::Keys, layout::Data, postgres};

/// Connections beyond those of all functions and jobs: three are PostgreSQL's own reserve for its
/// superuser, the others are for a person, a migration and a backup.
const OTHER_CONNECTIONS: u32 = 23;

/// How the databases and the functions on them are run.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The folder with PostgreSQL's programs [default: found on this machine, or fetched]
    #[arg(long, value_name = "DIR")]
    postgres: Option<PathBuf>,
    /// Fetch PostgreSQL even where this machine has one
    #[arg(long, conflicts_with = "postgres")]
    fetch_postgres: bool,
    /// How much the functions log: error, warn, info, debug or trace
    #[arg(long, default_value = "info", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) log_level: String,
}

impl Args {
    fn source(&self) -> Source {
        match (&self.postgres, self.fetch_postgres) {
            (Some(folder), _) => Source::At(folder.clone()),
            (None, true) => Source::Fetched,
            (None, false) => Source::Auto,
        }
    }
}

/// Databases that run and are up to date, and the keys of both issuers.
pub(crate) struct Foundation {
    pub(crate) server: Server,
    pub(crate) databases: Vec<Database>,
    pub(crate) keys: Keys,
}

impl Foundation {
    /// Starts PostgreSQL in the data folder, migrates, and makes what is not there yet.
    pub(crate) async fn lay(args: &Args, data: &Data) -> Result<Self> {
        let step = Instant::now();
        let server = postgres::start(data, args.source(), max_connections()).await?;
        let version = server.installation().version();
        console::done(
            format_args!("PostgreSQL {version} on port {}", server.port()),
            step.elapsed(),
        );

        let step = Instant::now();
        let databases = provision(&server, &domains::names()).await?;
        let applied = migrate_all(&databases).await?;
        console::done(
            format_args!(
                "{} databases, {applied} migrations applied",
                databases.len()
            ),
            step.elapsed(),
        );

        let keys = Keys::load_or_make(data)?;
        // Shown at once, so that the password is not lost if a later step fails.
        if let Some(credential) = first_admin(&databases).await? {
            bootstrap::show(&credential);
        }
        Ok(Self {
            server,
            databases,
            keys,
        })
    }
}

/// `max_connections` of the engine's server.
pub(crate) fn max_connections() -> u16 {
    u16::try_from(CONNECTIONS + OTHER_CONNECTIONS).unwrap_or(u16::MAX)
}

async fn migrate_all(databases: &[Database]) -> Result<usize> {
    let mut applied = 0;
    for database in databases {
        let migrations = Migrations::embedded(&database.domain);
        let migrations = migrations.context("a domain has no migrations")?;
        applied += migrate(&database.owner_url.address(), &migrations)
            .await?
            .len();
    }
    Ok(applied)
}

async fn first_admin(databases: &[Database]) -> Result<Option<Credential>> {
    let user = databases
        .iter()
        .find(|database| database.domain == "user")
        .context("there is no user database")?;
    bootstrap::make_admin(&user.owner_url.expose(), None, None).await
}
