//! A local engine of a checkout, in a folder that is removed, with limits that a load does not meet.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};
use zerocart_auth::{Issuer, KeySet, Signer};
use zerocart_local_postgres::Server;
use zerocart_proto::rpc::Role;

use super::client::listens;
use crate::{
    checkout::Checkout,
    counters::Counters,
    cpu::{ByGroup, Snapshot},
    process::end,
};

/// Changes the files of an engine's project before it starts.
type Edit<'a> = &'a dyn Fn(&Path) -> Result<()>;

/// How long an engine may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Longer than any measurement.
const TOKEN_LIFETIME: Duration = Duration::from_secs(4 * 3600);

/// In the place of the gateway's limits.
const NO_LIMIT: &str = "1000000000";

/// A local engine that runs.
pub(crate) struct Engine {
    /// `now`, or `before` for that of `--against`.
    pub(crate) name: &'static str,
    /// Its gateway.
    pub(crate) address: SocketAddr,
    child: Child,
    admin: Client,
    postmaster: u32,
    keys: KeySet,
    /// The server's version.
    pub(crate) version: String,
    /// The superuser's address of the database `postgres`.
    admin_url: String,
    /// Removed with it.
    folder: TempDir,
}

/// A variable that functions get, and its value.
pub(crate) type Variable<'a> = (&'a str, String);

impl Engine {
    /// Starts it on this port, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it does not start: with the end of what it wrote.
    pub(crate) async fn start(name: &'static str, checkout: &Checkout, port: u16) -> Result<Self> {
        Self::start_with(name, checkout, port, &[]).await
    }

    /// The same, with these variables for all functions that have any.
    ///
    /// # Errors
    ///
    /// When it does not start: with the end of what it wrote.
    pub(crate) async fn start_with(
        name: &'static str,
        checkout: &Checkout,
        port: u16,
        variables: &[Variable<'_>],
    ) -> Result<Self> {
        Self::prepare(name, checkout, port, variables, None).await
    }

    /// The same, after `edit` has changed copies of `knative/` and `kong/` in the project's folder that it is given.
    ///
    /// # Errors
    ///
    /// When it does not start, or `edit` fails.
    pub(crate) async fn start_edited(
        name: &'static str,
        checkout: &Checkout,
        port: u16,
        variables: &[Variable<'_>],
        edit: Edit<'_>,
    ) -> Result<Self> {
        Self::prepare(name, checkout, port, variables, Some(edit)).await
    }

    async fn prepare(
        name: &'static str,
        checkout: &Checkout,
        port: u16,
        variables: &[Variable<'_>],
        edit: Option<Edit<'_>>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for an engine")?;
        // PostgreSQL's account passes through it when this user is root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let project = folder.path().join("project");
        fs::create_dir_all(project.join("kong"))?;
        let knative = checkout.root.join("knative");
        match variables {
            [] if edit.is_none() => symlink(knative, project.join("knative"))?,
            _ => {
                fs::create_dir_all(project.join("knative"))?;
                for part in ["edge", "jobs", "services"] {
                    let to = project.join("knative").join(part);
                    copy_with(&knative.join(part), &to, variables)?;
                }
            }
        }
        let kong = checkout.root.join("kong/kong.yml");
        let kong =
            fs::read_to_string(&kong).with_context(|| format!("cannot read {}", kong.display()))?;
        fs::write(project.join("kong/kong.yml"), without_limits(&kong))?;
        if let Some(edit) = edit {
            edit(&project)?;
        }
        let output = folder.path().join("engine.log");
        let data = data_of(&folder);
        let log = fs::File::create(&output)?;
        let program = checkout.programs.join("zerocart");
        let mut child = Command::new(&program)
            .arg("--data")
            .arg(&data)
            .args(["up", "--no-build", "--port", &port.to_string()])
            .current_dir(&project)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let began = Instant::now();
        while !(data.join("engine.json").is_file() && listens(address)) {
            let ended = child.try_wait()?;
            if ended.is_some() || began.elapsed() > START_LIMIT {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                let said = fs::read_to_string(&output).unwrap_or_default();
                let said = said.lines().rev().take(5).collect::<Vec<_>>().join("\n");
                bail!(
                    "{} did not start; its last lines:\n{said}",
                    program.display()
                );
            }
            thread::park_timeout(Duration::from_millis(20));
        }
        let attached = Self::attach(&data).await;
        let (admin, admin_url, keys) = match attached {
            Ok(attached) => attached,
            Err(error) => {
                stop(&mut child)?;
                return Err(error);
            }
        };
        let pid = admin.query_one("SELECT pg_backend_pid()", &[]).await?;
        let pid = pid.get::<_, i32>(0).unsigned_abs();
        let version = admin.query_one("SHOW server_version", &[]).await?;
        let version: String = version.get(0);
        Ok(Self {
            name,
            address,
            child,
            admin,
            postmaster: parent(pid).context("a session of PostgreSQL has no parent")?,
            keys,
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            admin_url,
            folder,
        })
    }

    async fn attach(data: &Path) -> Result<(Client, String, KeySet)> {
        let server = Server::running(&data.join("postgres"))?.context("PostgreSQL does not run")?;
        let url = server.admin_url.expose();
        let (admin, connection) = tokio_postgres::connect(&url, NoTls).await?;
        // It ends with the client.
        tokio::spawn(connection);
        let keys =
            fs::read_to_string(data.join("keys/user.json")).context("the engine has no keys")?;
        let keys = KeySet::from_json(&keys).context("the engine's keys cannot be read")?;
        Ok((admin, url, keys))
    }

    /// Whether PostgreSQL waits for the disk, in words.
    ///
    /// # Errors
    ///
    /// When it does not tell its settings.
    pub(crate) async fn durability(&self) -> Result<String> {
        let settings = "SELECT current_setting('fsync'), current_setting('synchronous_commit')";
        let row = self.admin.query_one(settings, &[]).await?;
        let (fsync, commit): (String, String) = (row.get(0), row.get(1));
        let waits = match (&*fsync, &*commit) {
            ("on", "on") => "waits",
            _ => "does not wait",
        };
        Ok(format!(
            "PostgreSQL {waits} for the disk at each commit (fsync {fsync}, synchronous_commit {commit})"
        ))
    }

    /// A token of this subject.
    pub(crate) fn token(&self, subject: &str, role: Role) -> Result<String> {
        let signer = Signer::new(Issuer::User, self.keys.current());
        let token = signer.issue(subject, role, TOKEN_LIFETIME, SystemTime::now())?;
        Ok(token.as_str().to_owned())
    }

    /// What the engine, its functions and its PostgreSQL have used so far.
    pub(crate) fn cpu(&self) -> Result<Snapshot> {
        Snapshot::of(&[self.child.id(), self.postmaster])
    }

    /// The server's counters now.
    pub(crate) async fn counters(&self) -> Result<Counters> {
        Counters::read(&self.admin).await
    }

    /// The superuser's address of the database of a domain.
    pub(crate) fn database_url(&self, domain: &str) -> Result<String> {
        let (head, _) = self
            .admin_url
            .rsplit_once('/')
            .context("a URL without database")?;
        Ok(format!("{head}/zerocart_{domain}"))
    }

    /// The superuser's address of the database `postgres`.
    pub(crate) fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// What it writes about itself while it runs.
    pub(crate) fn announcement(&self) -> PathBuf {
        data_of(&self.folder).join("engine.json")
    }

    /// Stops it.
    pub(crate) fn stop(mut self) -> Result<()> {
        stop(&mut self.child)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // After an error. It may have ended by itself.
        let _ = stop(&mut self.child);
    }
}

fn stop(child: &mut Child) -> Result<()> {
    if !end(child, STOP_LIMIT)? {
        bail!("an engine did not stop within {} s", STOP_LIMIT.as_secs());
    }
    Ok(())
}

/// The engine's data in its folder.
fn data_of(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// Copies manifests, with these variables in each list of variables.
fn copy_with(from: &Path, to: &Path, variables: &[Variable<'_>]) -> Result<()> {
    fs::create_dir_all(to)?;
    let cannot = || format!("cannot read {}", from.display());
    for entry in fs::read_dir(from).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let text = fs::read_to_string(entry.path())
            .with_context(|| format!("cannot read {}", entry.path().display()))?;
        fs::write(to.join(entry.file_name()), with_variables(&text, variables))?;
    }
    Ok(())
}

/// A manifest with these variables, if it has a list of them.
fn with_variables(manifest: &str, variables: &[Variable<'_>]) -> String {
    let mut text = String::new();
    for line in manifest.lines() {
        text.push_str(line);
        text.push('\n');
        if line.trim_end().ends_with(" env:") {
            let indent = " ".repeat(line.len() - line.trim_start().len());
            for (name, value) in variables {
                text.push_str(&format!(
                    "{indent}  - name: {name}\n{indent}    value: \"{value}\"\n"
                ));
            }
        }
    }
    text
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// A Kong file whose rate limits no load meets.
fn without_limits(kong: &str) -> String {
    let mut text = kong.to_owned();
    for key in ["minute: ", "hour: "] {
        let mut parts = text.split(key);
        let mut raised = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let limit = if rest.len() < part.len() {
                NO_LIMIT
            } else {
                ""
            };
            raised.push_str(&format!("{key}{limit}{rest}"));
        }
        text = raised;
    }
    text
}

/// A shorter form of groups: functions together, PostgreSQL together, and the rest, which is the engine.
pub(crate) fn coarse(cpu: &ByGroup) -> ByGroup {
    let mut groups = ByGroup::new();
    for (group, ms) in cpu {
        let name = match group.as_str() {
            "postgres" => "postgres",
            group if group.starts_with("postgres/") => "postgres",
            group if group.contains("broker") => "broker",
            group
                if zerocart_proto::rpc::ALL
                    .iter()
                    .any(|info| info.name == group) =>
            {
                "functions"
            }
            _ => "engine",
        };
        *groups.entry(name.to_owned()).or_default() += ms;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_raised_and_nothing_else() {
        let kong = "config: {minute: 100, hour: 1000, policy: local}\n# a minute: or an hour\n";
        let raised = without_limits(kong);
        assert_eq!(
            raised,
            "config: {minute: 1000000000, hour: 1000000000, policy: local}\n# a minute: or an hour\n"
        );
    }

    #[test]
    fn variables_come_first_in_their_list() {
        let manifest = "spec:\n    env:\n      - name: A\n        value: \"1\"\n";
        let with = with_variables(manifest, &[("B", "2".to_owned())]);
        assert_eq!(
            with,
            "spec:\n    env:\n      - name: B\n        value: \"2\"\n      - name: A\n        value: \"1\"\n"
        );
        assert_eq!(
            with_variables("spec: {}\n", &[("B", String::new())]),
            "spec: {}\n"
        );
    }

    #[test]
    fn groups_are_added_up() {
        let cpu = [
            ("get-product", 1.0),
            ("get-cart", 2.0),
            ("postgres", 4.0),
            ("postgres/cart", 8.0),
            ("zerocart", 16.0),
            ("sh", 32.0),
        ];
        let cpu: ByGroup = cpu.map(|(group, ms)| (group.to_owned(), ms)).into();
        let expected = [("engine", 48.0), ("functions", 3.0), ("postgres", 12.0)];
        let expected = expected.map(|(group, ms)| (group.to_owned(), ms));
        assert_eq!(coarse(&cpu), ByGroup::from(expected));
    }
}
