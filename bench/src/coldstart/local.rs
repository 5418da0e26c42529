//! The local engine, with the empty function in the place of grpc-reflection.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use http::{Method, Uri};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use zerocart_activator::{FunctionStatus, InstanceState};
use zerocart_auth::KeySet;
use zerocart_collector::otlp::Export;
use zerocart_proto::rpc::Role;
use zerocart_wires::{self as wires, Wire};

use super::{
    client::{Asked, Place},
    engine::{EMPTY, Expected, Told},
    phases::{Phases, Spans},
};
use crate::{checkout::Checkout, load::engine::Engine as Started, process::Ports};

/// The service in whose place the empty function runs: it has no domain, no database and no key.
const SLOT: &str = "grpc-reflection";
/// The program of the empty function.
const PROGRAM: &str = "zerocart-empty";
/// The host by which the gateway knows the empty function.
const EMPTY_HOST: &str = "empty.localhost";

/// How long a function stays without a request: the shortest time that there is. Functions then start as with a longer
/// one.
const WINDOW: &str = "6s";

/// How long functions may take to end.
const END_LIMIT: Duration = Duration::from_secs(35);
const POLL: Duration = Duration::from_millis(2);
const REST_POLL: Duration = Duration::from_millis(100);
/// How long the spans of a request may take to come after its answer.
const TRACE_LIMIT: Duration = Duration::from_millis(500);

/// What a running engine writes to its data folder.
#[derive(Debug, Deserialize)]
struct Announced {
    pid: u32,
    status: String,
    functions: String,
}

#[derive(Debug, Deserialize)]
struct Status {
    functions: Vec<FunctionStatus>,
}

/// A local engine that runs.
pub(super) struct Local {
    engine: Started,
    announced: Announced,
    functions: SocketAddr,
    status: wires::Client,
    /// Its programs, those of functions as links.
    programs: TempDir,
}

impl Local {
    pub(super) async fn start(checkout: &Checkout, seed: u64) -> Result<Self> {
        let programs = programs(&checkout.programs)?;
        let with_empty = Checkout {
            root: checkout.root.clone(),
            programs: programs.path().to_owned(),
        };
        let port = Ports::new(seed).next()?;
        let engine = Started::start_edited("now", &with_empty, port, &[], &add_empty).await?;
        let path = engine.announcement();
        let text = fs::read_to_string(&path).context("the engine does not say where it is")?;
        let announced: Announced = serde_json::from_str(&text)?;
        let port = announced.functions.rsplit_once(':');
        let port = port.and_then(|(_, port)| port.parse().ok());
        let port: u16 = port.context("the engine does not say where functions are")?;
        let base: Uri = format!("http://{}", announced.status).parse()?;
        Ok(Self {
            engine,
            announced,
            functions: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            status: wires::Client::to(Wire::Http1, base)?,
            programs,
        })
    }

    pub(super) fn direct(&self, function: &str) -> Place {
        Place {
            address: self.functions,
            host: format!("{}.localhost", slot(function)),
        }
    }

    pub(super) fn gateway(&self, function: &str) -> Place {
        let host = if function == EMPTY {
            EMPTY_HOST
        } else {
            "localhost"
        };
        Place {
            address: self.engine.address,
            host: host.to_owned(),
        }
    }

    pub(super) fn admin(&self) -> Result<String> {
        self.engine.token(&Uuid::now_v7().to_string(), Role::Admin)
    }

    async fn instances(&self) -> Result<Vec<FunctionStatus>> {
        let reply = self
            .status
            .try_send(wires::request(Method::GET, "/status", ""));
        let reply = reply
            .await
            .context("the engine does not tell its processes")?;
        let status: Status = serde_json::from_slice(&reply.body)?;
        Ok(status.functions)
    }

    /// Asks all functions to end as the engine does, by SIGTERM, and waits until none is left.
    pub(super) async fn to_zero(&self) -> Result<()> {
        let deadline = Instant::now() + END_LIMIT;
        let mut asked = Vec::new();
        loop {
            let functions = self.instances().await?;
            let instances = functions.iter().flat_map(|function| &function.instances);
            // One that starts is let start: the engine would refuse requests for a while after a start that failed.
            let ready = instances.filter(|instance| instance.state == InstanceState::Ready);
            let pids: Vec<_> = ready.filter_map(|instance| instance.pid).collect();
            for pid in &pids {
                if !asked.contains(pid)
                    && let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw)
                {
                    // It may have ended by itself.
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
            let none = functions
                .iter()
                .all(|function| function.instances.is_empty());
            if none && running(self.announced.pid, &self.targets())?.is_empty() {
                return Ok(());
            }
            asked = pids;
            if Instant::now() > deadline {
                bail!("functions did not end within {} s", END_LIMIT.as_secs());
            }
            sleep(POLL).await;
        }
    }

    /// Waits until the engine itself has ended all functions.
    pub(super) async fn rest(&self) -> Result<()> {
        let deadline = Instant::now() + END_LIMIT;
        loop {
            let functions = self.instances().await?;
            let mut functions = functions.iter();
            let none = functions.all(|function| function.instances.is_empty());
            if none && running(self.announced.pid, &self.targets())?.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("functions are not at zero after {} s", END_LIMIT.as_secs());
            }
            sleep(REST_POLL).await;
        }
    }

    pub(super) async fn are_at_zero(&self, functions: &[&str]) -> Result<bool> {
        let names: Vec<_> = functions.iter().map(|name| slot(name)).collect();
        let listed = self.instances().await?;
        let mut listed = listed.iter().filter(|f| names.contains(&f.name.as_str()));
        let programs: Vec<_> = names.iter().map(|name| self.target(name)).collect();
        Ok(listed.all(|f| f.instances.is_empty())
            && running(self.announced.pid, &programs)?.is_empty())
    }

    /// The file of the program of a function, behind links.
    fn target(&self, name: &str) -> PathBuf {
        let link = self.programs.path().join(name);
        fs::canonicalize(&link).unwrap_or(link)
    }

    fn targets(&self) -> Vec<PathBuf> {
        let functions = zerocart_registry::functions().map(|entry| entry.info.name);
        let edge = zerocart_registry::edge().map(|service| service.name);
        functions
            .chain(edge)
            .map(|name| self.target(name))
            .collect()
    }

    pub(super) async fn told(
        &self,
        function: &str,
        asked: &Asked,
        expected: Expected,
    ) -> Result<Told> {
        let service = function;
        let function = slot(function);
        let gateway = asked.address == self.engine.address;
        let since_ns = expected.woken.then_some(asked.from_ns);
        let deadline = Instant::now() + TRACE_LIMIT;
        loop {
            let mut told = Told::default();
            if let Some(spans) = self.spans(&asked.trace_id).await? {
                told.started = spans.cold_starts();
                told.early = spans.is_early(function, since_ns);
                // An instance that was there has no phases of a start.
                let cuts = spans.local_cuts(function, service, gateway);
                told.phases = cuts.map(|cuts| {
                    let mut phases = Phases::cut(asked.from_ns, asked.took_ms, &cuts, "answer");
                    phases.within = spans.within(service);
                    phases
                });
            }
            // Lines of other processes may come later.
            let whole = told.started >= expected.starts;
            if whole && (expected.woken || told.phases.is_some()) || Instant::now() > deadline {
                return Ok(told);
            }
            sleep(POLL).await;
        }
    }

    async fn spans(&self, trace_id: &str) -> Result<Option<Spans>> {
        let path = format!("/traces/{trace_id}");
        let reply = self.status.try_send(wires::request(Method::GET, &path, ""));
        let reply = reply.await.context("the engine does not tell its traces")?;
        // Without a span, there is no such trace yet.
        let export: Option<Export> = serde_json::from_slice(&reply.body).ok();
        Ok(export.map(Spans::of))
    }

    pub(super) async fn parts(&self) -> Result<Vec<(String, String)>> {
        let parts = [
            ("PostgreSQL", self.engine.version.clone()),
            ("writes to the disk", self.engine.durability().await?),
            (
                "zerocart",
                format!(
                    "{}, functions as processes, sessions from the broker",
                    env!("CARGO_PKG_VERSION")
                ),
            ),
            (
                "settings that differ",
                format!(
                    "functions end after {WINDOW} without a request; the limits of the gateway are lifted"
                ),
            ),
            (
                "to zero",
                "the program ended each function by SIGTERM before the request; in the part “After a time at zero” \
                 the engine ended it"
                    .to_owned(),
            ),
        ];
        Ok(parts.map(|(name, value)| (name.to_owned(), value)).into())
    }

    pub(super) fn stop(self) -> Result<()> {
        self.engine.stop()
    }
}

/// The name under which the engine knows a function.
fn slot(function: &str) -> &str {
    if function == EMPTY { SLOT } else { function }
}

/// A folder with a copy of the engine's program, which runs the programs beside it, and links to those.
fn programs(from: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir().context("cannot make a folder for programs")?;
    let engine = from.join("zerocart");
    fs::copy(&engine, folder.path().join("zerocart"))
        .with_context(|| format!("cannot copy {}", engine.display()))?;
    let functions = zerocart_registry::functions().map(|entry| entry.info.name);
    let jobs = zerocart_registry::jobs().map(|entry| entry.info.name);
    let edge = zerocart_registry::EDGE.iter().map(|(_, edge)| edge.name);
    let edge = edge.filter(|name| *name != SLOT);
    for name in functions.chain(jobs).chain(edge) {
        symlink(from.join(name), folder.path().join(name))?;
    }
    symlink(from.join(PROGRAM), folder.path().join(SLOT))?;
    Ok(folder)
}

/// Gives the place of grpc-reflection what the empty function needs: public keys, because each function reads some,
/// and a route of the gateway.
fn add_empty(project: &Path) -> Result<()> {
    let path = project.join(format!("knative/edge/{SLOT}.yaml"));
    let manifest = fs::read_to_string(&path)?;
    let port = "              containerPort: 8080\n";
    let mut variables = String::new();
    for name in ["AUTH_USER_KEYS", "AUTH_SERVICE_KEYS"] {
        // No two issuers share a key.
        let keys = KeySet::generate()?.keys().to_string().replace('\'', "''");
        variables.push_str(&format!(
            "            - name: {name}\n              value: '{keys}'\n"
        ));
    }
    let with = manifest.replacen(port, &format!("{port}          env:\n{variables}"), 1);
    if with == manifest {
        bail!("{} names no port", path.display());
    }
    let shorter = |manifest: &str| manifest.replace("/window: 30s", &format!("/window: {WINDOW}"));
    fs::write(&path, shorter(&with))?;
    for entry in fs::read_dir(project.join("knative/services"))? {
        let path = entry?.path();
        let manifest = fs::read_to_string(&path)?;
        fs::write(&path, shorter(&manifest))?;
    }
    let path = project.join("kong/kong.yml");
    let kong = fs::read_to_string(&path)?;
    let route = format!(
        "services:\n- name: {EMPTY}\n  host: {SLOT}.zerocart.svc.cluster.local\n  port: 80\n  protocol: http\n  \
         connect_timeout: 5000\n  write_timeout: 30000\n  read_timeout: 30000\n  retries: 3\n  routes: [{{name: \
         {EMPTY}, protocols: [http, https], hosts: [{EMPTY_HOST}], methods: [GET, HEAD], paths: \
         [\"~/products/(?<id>[^/]+)$\"], strip_path: false, preserve_host: false}}]\n  plugins:\n  - {{name: \
         request-size-limiting, config: {{allowed_payload_size: 1, size_unit: megabytes}}}}\n  - {{name: \
         rate-limiting, config: {{minute: 1000000000, hour: 1000000000, policy: local, limit_by: ip}}}}\n"
    );
    fs::write(&path, kong.replacen("services:\n", &route, 1))?;
    Ok(())
}

/// The child processes of `parent` that run one of these programs.
fn running(parent: u32, programs: &[PathBuf]) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list processes")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // Processes end while they are listed.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // proc_pid_stat(5): the state and the parent follow the name, which may hold anything.
        let mut rest = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace();
        let (state, of) = (rest.next(), rest.next());
        if of.and_then(|of| of.parse().ok()) != Some(parent) || state == Some("Z") {
            continue;
        }
        let program = fs::read_link(entry.path().join("exe"));
        if program.is_ok_and(|program| programs.contains(&program)) {
            found.push(pid);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_that_runs_a_program_is_seen_until_it_ends() {
        let program = fs::canonicalize("/bin/cat").unwrap();
        let own = std::process::id();
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let programs = [program];
        assert_eq!(running(own, &programs).unwrap(), [child.id()]);
        // That of another parent is none of ours.
        assert!(running(child.id(), &programs).unwrap().is_empty());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(running(own, &programs).unwrap().is_empty());
    }
}
