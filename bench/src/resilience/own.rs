//! What faults need of the engine that this program has started.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use http::Uri;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};
use zerocart_activator::FunctionStatus;
use zerocart_wires::{self as wires, Wire};

use crate::load::engine::Engine;

/// How often it is looked whether PostgreSQL runs.
const POLL: Duration = Duration::from_millis(10);

/// How long PostgreSQL may take to end or to start.
const LIMIT: Duration = Duration::from_secs(60);

/// What a running engine writes to its data folder.
#[derive(Debug, Deserialize)]
struct Announced {
    status: String,
}

/// What it tells about itself.
#[derive(Debug, Deserialize)]
struct Status {
    functions: Vec<FunctionStatus>,
}

/// The engine, and where its parts are.
pub(crate) struct Own {
    pub(crate) engine: Engine,
    status: wires::Client,
    /// PostgreSQL's data.
    cluster: PathBuf,
}

impl Own {
    pub(crate) async fn attach(engine: Engine) -> Result<Self> {
        let path = engine.announcement();
        let text = fs::read_to_string(&path).context("the engine does not say where it is")?;
        let announced: Announced = serde_json::from_str(&text)?;
        let base: Uri = format!("http://{}", announced.status).parse()?;
        let status = wires::Client::to(Wire::Http1, base)?;
        let admin = connect(engine.admin_url()).await?;
        let cluster = admin.query_one("SHOW data_directory", &[]).await?;
        let cluster: String = cluster.get(0);
        Ok(Self {
            engine,
            status,
            cluster: cluster.into(),
        })
    }

    /// The processes of these functions that take requests now.
    pub(crate) async fn processes(&self, functions: &[String]) -> Result<Vec<Pid>> {
        let reply = self
            .status
            .try_send(wires::request(http::Method::GET, "/status", ""));
        let reply = reply
            .await
            .context("the engine does not tell its processes")?;
        let status: Status = serde_json::from_slice(&reply.body)?;
        let wanted = status.functions.iter();
        let wanted = wanted.filter(|function| functions.contains(&function.name));
        let pids = wanted.flat_map(|function| &function.instances);
        let pids = pids.filter_map(|instance| instance.pid);
        Ok(pids
            .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
            .collect())
    }

    /// A connection of the superuser to the database of a domain.
    pub(crate) async fn database(&self, domain: &str) -> Result<Client> {
        connect(&self.engine.database_url(domain)?).await
    }

    /// A connection of the superuser.
    pub(crate) async fn admin(&self) -> Result<Client> {
        connect(self.engine.admin_url()).await
    }

    /// Ends PostgreSQL, and keeps the engine from starting it again.
    pub(crate) async fn stop_database(&self, crash: bool) -> Result<()> {
        let pid = fs::read_to_string(self.cluster.join("postmaster.pid"))
            .context("PostgreSQL does not run")?;
        let pid = pid.lines().next().and_then(|pid| pid.trim().parse().ok());
        let pid = pid
            .and_then(Pid::from_raw)
            .context("PostgreSQL has no pid")?;
        // Without its data it cannot start. The server that runs has its folder open, under any name.
        fs::rename(&self.cluster, self.away()).context("the data cannot be moved")?;
        // The two ways that postgres(1) calls immediate and fast.
        let signal = if crash { Signal::QUIT } else { Signal::INT };
        kill_process(pid, signal)?;
        let deadline = Instant::now() + LIMIT;
        while test_kill_process(pid).is_ok() {
            if Instant::now() > deadline {
                bail!("PostgreSQL did not end within {} s", LIMIT.as_secs());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Lets the engine start PostgreSQL again, and waits until it answers.
    pub(crate) async fn start_database(&self) -> Result<()> {
        fs::rename(self.away(), &self.cluster).context("the data cannot be moved back")?;
        let deadline = Instant::now() + LIMIT;
        while self.admin().await.is_err() {
            if Instant::now() > deadline {
                bail!("PostgreSQL did not start within {} s", LIMIT.as_secs());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn away(&self) -> PathBuf {
        self.cluster.with_extension("away")
    }

    /// Sets how long a commit waits: 0 is the default.
    pub(crate) async fn commit_delay(&self, delay_ms: i32) -> Result<()> {
        let admin = self.admin().await?;
        let us = i64::from(delay_ms) * 1_000;
        // Otherwise it waits only while five others are about to commit.
        let siblings = if delay_ms > 0 { 0 } else { 5 };
        for statement in [
            format!("ALTER SYSTEM SET commit_delay = {us}"),
            format!("ALTER SYSTEM SET commit_siblings = {siblings}"),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            admin.batch_execute(&statement).await?;
        }
        Ok(())
    }

    /// Lets the database of a domain take sessions, or not; then it also ends those that it has.
    pub(crate) async fn allow_sessions(&self, domain: &str, allow: bool) -> Result<()> {
        let admin = self.admin().await?;
        let database = format!("zerocart_{domain}");
        let alter = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {allow}");
        admin.batch_execute(&alter).await?;
        if !allow {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            admin.query(end, &[&database]).await?;
        }
        Ok(())
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client.
    tokio::spawn(connection);
    Ok(client)
}
