//! The programs of this machine that load images.

use std::{env, ffi::OsString, io::ErrorKind, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::Error;

/// How many lines of a program's errors are shown.
const SHOWN_LINES: usize = 6;

/// How long a program may take: hundreds of megabytes into a machine that is busy.
const LIMIT: Duration = Duration::from_secs(600);

/// Where each program comes from.
pub(crate) fn source(program: &str) -> Option<&'static str> {
    Some(match program {
        "kind" => "https://kind.sigs.k8s.io/docs/user/quick-start#installation",
        "ctr" => "it is part of containerd: https://containerd.io/docs/getting-started",
        "minikube" => "https://minikube.sigs.k8s.io/docs/start",
        "k3d" => "https://k3d.io/stable/#installation",
        "docker" => "https://docs.docker.com/engine/install",
        "podman" => "https://podman.io/docs/installation",
        _ => return None,
    })
}

/// Finds and runs programs.
#[derive(Clone, Debug)]
pub struct Programs {
    path: OsString,
}

impl Programs {
    /// Those of this process's `PATH`.
    #[expect(
        clippy::disallowed_methods,
        reason = "not configuration: where this machine keeps its programs"
    )]
    pub fn of_machine() -> Self {
        Self::at(env::var_os("PATH").unwrap_or_default())
    }

    /// Those of another search path.
    pub fn at(path: impl Into<OsString>) -> Self {
        Self { path: path.into() }
    }

    /// Runs a program to its end, and gives its standard output.
    pub(crate) async fn run(&self, program: &str, args: &[&str]) -> Result<String, Error> {
        let failed = |output: String| Error::Failed {
            command: format!("{program} {}", args.join(" ")),
            output,
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .env("PATH", &self.path)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = match timeout(LIMIT, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                let program = program.into();
                return Err(Error::NotInstalled { program });
            }
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("no end within {} s", LIMIT.as_secs()))),
        };
        if !output.status.success() {
            let said = [last_lines(&output.stderr), last_lines(&output.stdout)];
            let said = said.into_iter().find(|text| !text.is_empty());
            return Err(failed(said.unwrap_or_else(|| output.status.to_string())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
