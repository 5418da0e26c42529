//! The environment of functions: a PostgreSQL with their databases, and keys.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;
use zerocart_auth::{Issuer, KeySet, Signer};
use zerocart_local_postgres::{Database, Options, Server, provision};
use zerocart_proto::rpc::{self, Info, Role};
use zerocart_provision::{Migrations, migrate};

use crate::binaries::workspace_root;

/// Longer than any measurement.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The longest that sessions of killed processes may take to end.
const QUIET_LIMIT: Duration = Duration::from_secs(10);

/// A PostgreSQL in a temporary folder, the databases of the domains, and both issuers' keys.
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
        // If PostgreSQL must be fetched, it goes to the local engine's folder, once.
        options.programs = Some(workspace_root().join(".zerocart/postgres"));
        let server = Server::start(options).await.context("no PostgreSQL")?;
        let databases = provision(&server, domains).await?;
        for database in &databases {
            let migrations = Migrations::embedded(&database.domain);
            let migrations = migrations.context("a domain has no migrations")?;
            migrate(&database.owner_url.address(), &migrations).await?;
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

    /// The environment of a function, as the engines make it. Others are at `functions_port`.
    pub(crate) fn env(&self, info: &Info, functions_port: u16) -> Result<Vec<(String, String)>> {
        let mut env = vec![
            ("DATABASE_URL", self.database_url(info.domain)?),
            ("AUTH_USER_KEYS", self.user_keys.keys().to_string()),
            ("AUTH_SERVICE_KEYS", self.service_keys.keys().to_string()),
        ];
        if info.signs_tokens {
            env.push(("AUTH_SIGNING_KEY", private(&self.user_keys)));
        }
        if !info.calls.is_empty() {
            let template = format!("http://{{function}}.localhost:{functions_port}");
            env.push(("FUNCTION_URL_TEMPLATE", template));
        }
        let mut callees = rpc::ALL.iter().filter(|c| info.calls.contains(&c.name));
        if callees.any(|callee| callee.access.roles.contains(&Role::Service)) {
            env.push(("AUTH_SERVICE_SIGNING_KEY", private(&self.service_keys)));
        }
        let owned = env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Ok(owned.collect())
    }

    /// The database URL of the role of this domain's functions.
    pub(crate) fn database_url(&self, domain: &str) -> Result<String> {
        Ok(self.database(domain)?.url.expose())
    }

    fn database(&self, domain: &str) -> Result<&Database> {
        let database = self.databases.iter().find(|d| d.domain == domain);
        database.with_context(|| format!("no database for {domain}"))
    }

    /// A token of an admin.
    pub(crate) fn admin_token(&self) -> Result<String> {
        self.token(&Uuid::now_v7().to_string(), Role::Admin)
    }

    /// A token of a customer.
    pub(crate) fn customer_token(&self, user_id: &str) -> Result<String> {
        self.token(user_id, Role::Customer)
    }

    fn token(&self, subject: &str, role: Role) -> Result<String> {
        let signer = Signer::new(Issuer::User, self.user_keys.current());
        let token = signer.issue(subject, role, TOKEN_LIFETIME, SystemTime::now())?;
        Ok(token.as_str().to_owned())
    }

    /// Turns a paid order into one that is being made, for up to an hour. Otherwise only a race or
    /// a crash leaves such an order.
    pub(crate) async fn reopen(&self, order_id: &str) -> Result<()> {
        let url = self
            .server
            .admin_url(&self.database("order")?.name)
            .expose();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let order_id = Uuid::try_parse(order_id)?;
        let changed = client
            .execute(
                "UPDATE orders SET status = 'PENDING', step = 'reserving', \
                 lease_until = clock_timestamp() + interval '1 hour' WHERE id = $1",
                &[&order_id],
            )
            .await?;
        drop(client);
        connection.await??;
        match changed {
            1 => Ok(()),
            _ => bail!("there is no order {order_id}"),
        }
    }

    /// The processes of the server that serve sessions of functions now.
    pub(crate) async fn sessions(&self) -> Result<Vec<u32>> {
        let rows = self
            .admin
            .query(
                "SELECT pid FROM pg_stat_activity WHERE starts_with(usename, 'zerocart_')",
                &[],
            )
            .await?;
        Ok(rows
            .iter()
            .map(|row| row.get::<_, i32>(0).unsigned_abs())
            .collect())
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

/// The private key that signs now: a secret of this run.
fn private(keys: &KeySet) -> String {
    keys.current().to_private_jwk().to_string()
}
