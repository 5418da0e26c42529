//! What functions need around them: a PostgreSQL with their databases, and keys.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};
use zerocart_auth::{Issuer, KeySet, Role, Signer};
use zerocart_local_postgres::{Database, Options, Server, migrate, provision};

use crate::binaries::workspace_root;

/// Longer than any measurement.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The longest that sessions of killed processes may take to end.
const QUIET_LIMIT: Duration = Duration::from_secs(10);

/// A PostgreSQL in a folder that goes with it, the databases of the domains, and both issuers' keys.
pub(crate) struct Stand {
    server: Server,
    databases: Vec<Database>,
    admin: Client,
    user_keys: KeySet,
    service_keys: KeySet,
}

impl Stand {
    /// Starts PostgreSQL and migrates a database for each domain.
    pub(crate) async fn start(domains: &[&str]) -> Result<Self> {
        let mut options = Options::temporary();
        // Fetched once, into the local engine's folder.
        options.programs = Some(workspace_root().join(".zerocart/postgres"));
        let server = Server::start(options).await.context("no PostgreSQL")?;
        let databases = provision(&server, domains).await?;
        for database in &databases {
            let folder = workspace_root().join("migrations").join(&database.domain);
            migrate(&database.owner_url.expose(), &folder).await?;
        }
        let url = server.admin_url("postgres").expose();
        let (admin, connection) = tokio_postgres::connect(&url, NoTls).await?;
        // It ends with the client.
        tokio::spawn(connection);
        Ok(Self {
            server,
            databases,
            admin,
            user_keys: KeySet::generate()?,
            service_keys: KeySet::generate()?,
        })
    }

    /// The version of PostgreSQL.
    pub(crate) fn version(&self) -> &str {
        self.server.installation().version()
    }

    /// The environment of a function of this domain, as the engines make it.
    pub(crate) fn env(&self, domain: &str) -> Result<Vec<(String, String)>> {
        Ok(vec![
            ("DATABASE_URL".to_owned(), self.database_url(domain)?),
            (
                "AUTH_USER_KEYS".to_owned(),
                self.user_keys.keys().to_string(),
            ),
            (
                "AUTH_SERVICE_KEYS".to_owned(),
                self.service_keys.keys().to_string(),
            ),
        ])
    }

    /// Where the role of this domain's functions finds its database.
    pub(crate) fn database_url(&self, domain: &str) -> Result<String> {
        let database = self.databases.iter().find(|d| d.domain == domain);
        Ok(database
            .with_context(|| format!("no database for {domain}"))?
            .url
            .expose())
    }

    /// The private key with which sign-ins are answered: a secret of this run.
    pub(crate) fn signing_key(&self) -> String {
        self.user_keys.current().to_private_jwk().to_string()
    }

    /// A token of an admin.
    pub(crate) fn admin_token(&self) -> Result<String> {
        let signer = Signer::new(Issuer::User, self.user_keys.current());
        let subject = uuid::Uuid::now_v7().to_string();
        let token = signer.issue(&subject, Role::Admin, TOKEN_LIFETIME, SystemTime::now())?;
        Ok(token.as_str().to_owned())
    }

    /// Waits until the server has no session of a function left: the end of one start's sessions
    /// must not cost the next start.
    pub(crate) async fn quiet(&self) -> Result<()> {
        let deadline = Instant::now() + QUIET_LIMIT;
        loop {
            let row = self
                .admin
                .query_one(
                    "SELECT count(*) FROM pg_stat_activity WHERE starts_with(usename, 'zerocart_')",
                    &[],
                )
                .await?;
            match row.get::<_, i64>(0) {
                0 => return Ok(()),
                n if Instant::now() > deadline => bail!("{n} sessions of killed processes remain"),
                _ => sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Stops PostgreSQL.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.server.stop().await?)
    }
}
