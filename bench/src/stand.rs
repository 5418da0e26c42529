//! The environment of functions: a PostgreSQL with their databases, and keys.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;
use zerocart_auth::{Issuer, KeySet, Signer};
use zerocart_local_postgres::{Database, Options, Server, provision};
use zerocart_proto::rpc::{self, Info, Role};
use zerocart_provision::{Migrations, Password, migrate};

use crate::{
    binaries::workspace_root,
    counters::Counters,
    cpu::{self, Cgroup, Snapshot},
    warm::Warm,
};

/// Longer than any measurement.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The longest that sessions of killed processes may take to end.
const QUIET_LIMIT: Duration = Duration::from_secs(10);

/// The port of a session over a Unix socket, as `pg_stat_activity` has it.
const UNIX_SOCKET: i32 = -1;

/// Whose sessions a function uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// It connects to PostgreSQL by itself, as the floor does.
    Own,
    /// Those that the local engine keeps ready.
    Warm,
}

/// A PostgreSQL in a temporary folder, the databases of the domains, and both issuers' keys.
pub(crate) struct Stand {
    server: Server,
    databases: Vec<Database>,
    admin: Client,
    user_keys: KeySet,
    service_keys: KeySet,
    /// The server's processes; none where this user may not make a group.
    cgroup: Option<Cgroup>,
    /// What keeps sessions ready; none without a domain.
    warm: Option<Warm>,
    /// The port through which a domain's functions reach the server, if it is not the server's own.
    ports: BTreeMap<String, u16>,
}

impl Stand {
    /// Starts PostgreSQL and migrates a database for each domain.
    pub(crate) async fn start(domains: &[&str]) -> Result<Self> {
        Self::with(domains, false).await
    }

    /// The same with a server that waits for the disk, as the local engine's does.
    pub(crate) async fn durable(domains: &[&str]) -> Result<Self> {
        Self::with(domains, true).await
    }

    async fn with(domains: &[&str], durable: bool) -> Result<Self> {
        let mut options = Options::temporary();
        options.durable = durable;
        // If PostgreSQL must be fetched, it goes to the local engine's folder, once.
        options.programs = Some(workspace_root().join(".zerocart/postgres"));
        let server = Server::start(options).await.context("no PostgreSQL")?;
        // Before any session: each comes from the server's first process.
        let cgroup = server.pid().and_then(Cgroup::with);
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
        let warm = match databases.is_empty() {
            true => None,
            false => Some(Warm::start(&server, &databases).await?),
        };
        Ok(Self {
            server,
            databases,
            warm,
            admin,
            user_keys: KeySet::generate()?,
            service_keys: KeySet::generate()?,
            cgroup,
            ports: BTreeMap::new(),
        })
    }

    /// The version of PostgreSQL.
    pub(crate) fn version(&self) -> &str {
        self.server.installation().version()
    }

    /// The programs of PostgreSQL: pgbench, if it is there.
    pub(crate) fn pgbench(&self) -> Option<PathBuf> {
        let path = self.server.installation().bin().join("pgbench");
        path.is_file().then_some(path)
    }

    /// The environment of a function, as the engines make it. Others are at `functions_port`.
    pub(crate) fn env(
        &self,
        info: &Info,
        functions_port: u16,
        sessions: Sessions,
    ) -> Result<Vec<(String, String)>> {
        let mut env = vec![
            ("DATABASE_URL", self.sessions_url(info.domain, sessions)?),
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

    /// The database URL of a function. The one place where a function gets other sessions than its own.
    fn sessions_url(&self, domain: &str, sessions: Sessions) -> Result<String> {
        let url = self.database_url(domain)?;
        match (self.ports.get(domain), &self.warm, sessions) {
            (Some(port), ..) => with_port(&url, *port),
            (None, Some(warm), Sessions::Warm) => warm.url(domain),
            _ => Ok(url),
        }
    }

    /// Whether there are sessions that are kept ready.
    pub(crate) fn has_warm_sessions(&self) -> bool {
        self.warm.is_some()
    }

    /// What the broker of those sessions has used so far, in milliseconds.
    pub(crate) fn broker_cpu_ms(&self) -> Option<f64> {
        cpu::of_process(self.warm.as_ref()?.pid())
    }

    /// The functions of this domain reach the server through this port from now on.
    pub(crate) fn lead_through(&mut self, domain: &str, port: u16) {
        self.ports.insert(domain.to_owned(), port);
    }

    /// Where the server is for the functions of a domain.
    pub(crate) fn server_address(&self, _domain: &str) -> Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, self.server.port()).into())
    }

    /// The database URL of the role of this domain's functions.
    pub(crate) fn database_url(&self, domain: &str) -> Result<String> {
        Ok(self.database(domain)?.url.expose())
    }

    /// The database URL of the floor: a role whose password PostgreSQL itself hashes, as `CREATE ROLE` does for
    /// any program. That takes the 4,096 rounds of SCRAM that a password of ours does without.
    pub(crate) async fn floor_url(&self) -> Result<String> {
        let database = self.database("product")?;
        let config: tokio_postgres::Config = database.url.expose().parse()?;
        let role = config.get_user().context("the URL names a role")?;
        let password = Password::random();
        let create = format!(
            "CREATE ROLE floor LOGIN IN ROLE {role} PASSWORD '{}'",
            password.expose()
        );
        self.admin.batch_execute(&create).await?;
        Ok(format!(
            "postgres://floor:{}@127.0.0.1:{}/{}",
            password.expose(),
            self.server.port(),
            database.name
        ))
    }

    fn database(&self, domain: &str) -> Result<&Database> {
        let database = self.databases.iter().find(|d| d.domain == domain);
        database.with_context(|| format!("no database for {domain}"))
    }

    /// The same as variables of libpq: a password does not belong into the arguments of a program.
    pub(crate) fn libpq(&self, domain: &str) -> Result<Vec<(&'static str, String)>> {
        let config: tokio_postgres::Config = self.database_url(domain)?.parse()?;
        let password = config.get_password().unwrap_or_default();
        Ok(vec![
            ("PGHOST", Ipv4Addr::LOCALHOST.to_string()),
            ("PGPORT", self.server.port().to_string()),
            ("PGUSER", config.get_user().unwrap_or_default().to_owned()),
            ("PGPASSWORD", String::from_utf8_lossy(password).into_owned()),
            (
                "PGDATABASE",
                config.get_dbname().unwrap_or_default().to_owned(),
            ),
        ])
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

    /// What the server has used so far.
    pub(crate) fn cpu(&self) -> Result<Snapshot> {
        Snapshot::of(self.server.pid().as_slice())
    }

    /// What the server has used so far, sessions that have ended included, to the microsecond; in milliseconds.
    /// None where this user may not make a control group.
    pub(crate) fn exact_cpu_ms(&self) -> Option<f64> {
        self.cgroup.as_ref().and_then(Cgroup::cpu_ms)
    }

    /// Transactions that wrote something, and bytes of WAL, so far.
    pub(crate) async fn counters(&self) -> Result<Counters> {
        Counters::read(&self.admin).await
    }

    /// The times of so many transactions that wait for the disk, and of as many that do not, in turn, in
    /// milliseconds.
    pub(crate) async fn commit_times(&self, n: usize) -> Result<(Vec<f64>, Vec<f64>)> {
        self.admin
            .batch_execute("CREATE TABLE commit_times (n integer NOT NULL)")
            .await?;
        let insert = self
            .admin
            .prepare("INSERT INTO commit_times (n) VALUES ($1)")
            .await?;
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..2 * n {
            let setting = ["on", "off"][round % 2];
            self.admin
                .batch_execute(&format!("SET synchronous_commit = {setting}"))
                .await?;
            let began = std::time::Instant::now();
            self.admin.execute(&insert, &[&1_i32]).await?;
            times[round % 2].push(began.elapsed().as_secs_f64() * 1e3);
        }
        self.admin
            .batch_execute("RESET synchronous_commit; DROP TABLE commit_times")
            .await?;
        let [with, without] = times;
        Ok((with, without))
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

    /// Waits until the server has no session of a function left, and all sessions that are kept ready are ready:
    /// the end of one start must not cost the next start.
    pub(crate) async fn quiet(&self) -> Result<()> {
        let deadline = Instant::now() + QUIET_LIMIT;
        loop {
            let rows = self
                .admin
                .query(
                    "SELECT client_port, state = 'idle' AND (query = '' OR query LIKE '%DISCARD ALL%') \
                     FROM pg_stat_activity WHERE starts_with(usename, 'zerocart_')",
                    &[],
                )
                .await?;
            let kept = match (&self.warm, rows.is_empty()) {
                (Some(warm), false) => warm.server_ports(),
                _ => Vec::new(),
            };
            let busy = rows.iter().filter(|row| {
                let port = row.get::<_, Option<i32>>(0).unwrap_or_default();
                let ready = row.get::<_, Option<bool>>(1).unwrap_or_default();
                // Nobody else uses the server's Unix socket.
                let own = port == UNIX_SOCKET || kept.iter().any(|own| i32::from(*own) == port);
                !(ready && own)
            });
            match busy.count() {
                0 => return Ok(()),
                n if Instant::now() > deadline => bail!("{n} sessions of killed processes remain"),
                _ => sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Stops PostgreSQL.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(warm) = self.warm.take() {
            warm.stop().await;
        }
        Ok(self.server.stop().await?)
    }
}

/// The private key that signs now: a secret of this run.
fn private(keys: &KeySet) -> String {
    keys.current().to_private_jwk().to_string()
}

/// The same URL with another port.
fn with_port(url: &str, port: u16) -> Result<String> {
    let missing = || "a database URL without port";
    let (head, tail) = url.rsplit_once(':').with_context(missing)?;
    let (_, database) = tail.split_once('/').with_context(missing)?;
    Ok(format!("{head}:{port}/{database}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_is_replaced() {
        let url = "postgres://zerocart_user:secret@127.0.0.1:5432/zerocart_user";
        assert_eq!(
            with_port(url, 7).unwrap(),
            "postgres://zerocart_user:secret@127.0.0.1:7/zerocart_user"
        );
        assert!(with_port("postgres", 7).is_err());
    }
}
