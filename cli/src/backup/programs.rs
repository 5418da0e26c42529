//! PostgreSQL's own programs, on this machine or in the pod of a cluster's server.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;
use tokio::{io::AsyncWriteExt, process::Command};
use zerocart_core::Env;
use zerocart_provision::{Address, Roots};

/// Where PostgreSQL runs in a cluster.
const NAMESPACE: &str = "zerocart-system";
const POD: &str = "postgres-0";
const SUPERUSER: &str = "postgres";

/// The programs that are needed.
const NEEDED: [&str; 3] = ["pg_dump", "pg_restore", "psql"];

/// How programs reach a server.
pub(super) enum Programs {
    /// As programs of this machine. The login is in their environment, never in their arguments.
    Here {
        folder: Option<PathBuf>,
        environment: Vec<(&'static str, String)>,
        /// The certificates, where they came as text.
        _roots: Option<NamedTempFile>,
    },
    /// In the server's pod, as its superuser.
    Cluster { context: String },
}

impl Programs {
    /// The programs in this folder, or else on PATH, for this server.
    pub(super) fn here(folder: Option<PathBuf>, address: &Address) -> Result<Self> {
        if let Some(folder) = &folder
            && let Some(missing) = NEEDED.iter().find(|name| !folder.join(name).is_file())
        {
            bail!(
                "there is no {missing} in {}. Install the client programs of PostgreSQL, of the server's \
                 version or a later one, and name their folder with --programs",
                folder.display()
            );
        }
        let mut environment = vec![
            ("PGHOST", address.host().to_owned()),
            ("PGPORT", address.port().to_string()),
            ("PGUSER", address.user().to_owned()),
            ("PGAPPNAME", "zerocart backup".to_owned()),
            ("PGCONNECT_TIMEOUT", "15".to_owned()),
            // Not the file of a person's passwords, which may know another one.
            ("PGPASSFILE", "/dev/null".to_owned()),
        ];
        if let Some(password) = address.password() {
            environment.push(("PGPASSWORD", password.expose().to_owned()));
        }
        let mut kept = None;
        let mode = match address.roots() {
            None => "disable",
            Some(roots) => {
                let file = match roots {
                    // libpq knows the system's roots under this name from 16 on.
                    Roots::System => "system".to_owned(),
                    Roots::File(path) => path.display().to_string(),
                    Roots::Pem(pem) => {
                        let file = NamedTempFile::new().context("cannot make a temporary file")?;
                        std::fs::write(file.path(), pem)
                            .context("cannot write a temporary file")?;
                        let path = file.path().display().to_string();
                        kept = Some(file);
                        path
                    }
                };
                environment.push(("PGSSLROOTCERT", file));
                "verify-full"
            }
        };
        environment.push(("PGSSLMODE", mode.to_owned()));
        Ok(Self::Here {
            folder,
            environment,
            _roots: kept,
        })
    }

    /// Those of the server's pod.
    pub(super) fn in_cluster(context: &str) -> Self {
        Self::Cluster {
            context: context.to_owned(),
        }
    }

    /// A program, before its own arguments.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = match self {
            Self::Here {
                folder,
                environment,
                ..
            } => {
                let path = folder.as_deref().map(|folder| folder.join(name));
                let mut command = Command::new(path.as_deref().unwrap_or(Path::new(name)));
                command.env_clear();
                let own = Env::of_process();
                // PG… variables would change what the programs do.
                for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"] {
                    command.envs(own.get(kept).map(|value| (kept, value)));
                }
                command.envs(environment.iter().map(|(name, value)| (name, value)));
                command
            }
            Self::Cluster { context } => {
                let mut command = Command::new("kubectl");
                command.args(["--context", context, "--namespace", NAMESPACE]);
                command.args(["exec", "--stdin", "--quiet", POD, "--"]);
                command.args([name, "--username", SUPERUSER]);
                command
            }
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.arg("--no-password");
        command
    }

    /// psql in one database, which reads SQL from its standard input.
    pub(super) fn psql(&self, database: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--dbname", database])
            .stdin(Stdio::piped());
        psql
    }

    /// Runs SQL, and gives the lines of its answer.
    pub(super) async fn sql(&self, database: &str, sql: &str) -> Result<Vec<String>> {
        let mut child = self.psql(database).spawn().context(self.cure("psql"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // If psql cannot connect, it reads nothing: what it says is then of interest.
            stdin.write_all(sql.as_bytes()).await.ok();
        }
        let output = child.wait_with_output().await.context("cannot run psql")?;
        let text = self.checked("psql", output)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines.map(str::to_owned).collect())
    }

    /// The standard output of a program that succeeded.
    pub(super) fn checked(&self, name: &str, output: Output) -> Result<String> {
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            let through = match self {
                Self::Here { .. } => String::new(),
                Self::Cluster { context } => {
                    format!(" in {NAMESPACE}/{POD} of the cluster `{context}`")
                }
            };
            bail!("{name} failed{through} ({}):\n{said}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What to do when a program cannot be started at all.
    pub(super) fn cure(&self, name: &str) -> String {
        match self {
            Self::Here { .. } => format!(
                "cannot run {name}. Install the client programs of PostgreSQL, of the server's version or a \
                 later one, or name their folder with --programs"
            ),
            Self::Cluster { .. } => "cannot run kubectl: is it installed, and on PATH?".to_owned(),
        }
    }
}
