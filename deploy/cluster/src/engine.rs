//! The container engine that kind's nodes run on: Docker or podman.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use crate::{
    Machine, Problem, Result,
    machine::System,
    program::{Call, Done},
};

/// An engine that hangs is found out soon.
const LIMIT: Duration = Duration::from_secs(10);

/// A container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Docker.
    Docker,
    /// podman.
    Podman,
}

impl Engine {
    /// Its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// Has a call of kind use this engine.
    pub fn of(self, kind: Call) -> Call {
        kind.env("KIND_EXPERIMENTAL_PROVIDER", self.program())
    }
}

/// What an engine says about itself.
#[derive(Clone, Debug)]
pub struct Info {
    /// Which one it is.
    pub engine: Engine,
    /// Its version.
    pub version: String,
    /// The memory that containers share, in bytes; of the virtual machine where there is one.
    pub memory: u64,
    /// The CPUs that containers share.
    pub cpus: u64,
    /// Where it keeps its data.
    pub root: Option<PathBuf>,
    /// The version of cgroups that its containers have.
    pub cgroup: Option<u64>,
}

/// The engine that answers. Docker comes first where both do.
///
/// # Errors
///
/// When none is installed, or none answers: the cure is for the engine that does not.
pub async fn find(machine: &Machine) -> Result<Info> {
    let installed = |name| machine.programs.find(name).is_some();
    match (installed("docker"), installed("podman")) {
        (false, false) => Err(Problem::new(
            "no container engine is installed: kind needs Docker or podman",
        )
        .cure(
            "install Docker (https://docs.docker.com/engine/install) \
             or podman (https://podman.io/docs/installation)",
        )),
        (false, true) => ask(machine, Engine::Podman).await,
        (true, false) => ask(machine, Engine::Docker).await,
        (true, true) => match ask(machine, Engine::Docker).await {
            Ok(info) => Ok(info),
            Err(problem) => ask(machine, Engine::Podman).await.map_err(|_| problem),
        },
    }
}

async fn ask(machine: &Machine, engine: Engine) -> Result<Info> {
    let program = engine.program();
    let name = match engine {
        Engine::Docker => "Docker",
        Engine::Podman => "podman",
    };
    let call = machine.programs.call(program)?;
    let call = call.args(["info", "--format", "{{json .}}"]).within(LIMIT);
    let silent = || Problem::new(format!("{name} does not answer"));
    let done = match call.done().await {
        Ok(done) => done,
        Err(problem) => {
            let cause = problem.cause().unwrap_or_default().to_owned();
            return Err(silent()
                .because(cause)
                .cure(format!("restart {name}: {}", start(engine, machine))));
        }
    };
    // Docker's program answers about itself also where its daemon does not.
    if !done.success {
        let cure = cure(engine, machine, &done);
        return Err(silent().because(done.last_lines()).cure(cure));
    }
    let info: Value = serde_json::from_str(&done.out).map_err(|error| {
        silent()
            .because(error)
            .cure(format!("look at what `{program} info` says"))
    })?;
    Ok(read(engine, &info))
}

fn read(engine: Engine, info: &Value) -> Info {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let cgroup = |value: &Value| value.as_str()?.trim_start_matches('v').parse().ok();
    // podman is often installed under Docker's name, too.
    let (host, store) = (&info["host"], &info["store"]);
    match host.is_object() {
        true => Info {
            engine: Engine::Podman,
            version: text(&info["version"]["Version"]).unwrap_or_default(),
            memory: number(&host["memTotal"]),
            cpus: number(&host["cpus"]),
            root: text(&store["graphRoot"]).map(PathBuf::from),
            cgroup: cgroup(&host["cgroupVersion"]),
        },
        false => Info {
            engine,
            version: text(&info["ServerVersion"]).unwrap_or_default(),
            memory: number(&info["MemTotal"]),
            cpus: number(&info["NCPU"]),
            root: text(&info["DockerRootDir"]).map(PathBuf::from),
            cgroup: cgroup(&info["CgroupVersion"]),
        },
    }
}

/// What helps against an engine's refusal.
fn cure(engine: Engine, machine: &Machine, done: &Done) -> String {
    let told = done.err.to_lowercase();
    match engine {
        Engine::Docker if told.contains("permission denied") => {
            "sudo usermod -aG docker \"$USER\"; then sign in again, or run `newgrp docker`"
                .to_owned()
        }
        Engine::Podman if told.contains("podman machine init") && told.contains("no such") => {
            "podman machine init && podman machine start".to_owned()
        }
        _ => start(engine, machine),
    }
}

fn start(engine: Engine, machine: &Machine) -> String {
    match (engine, machine.system()) {
        (Engine::Docker, System::Linux) => "sudo systemctl start docker",
        (Engine::Docker, System::Mac) => "open -a Docker; then wait until it says that it runs",
        (Engine::Docker, System::Wsl) => {
            "start Docker Desktop on Windows, with WSL integration for this distribution \
             (Settings, Resources), or run `sudo service docker start`"
        }
        (Engine::Podman, System::Mac) => {
            "podman machine start (the first time: podman machine init --cpus 4 --memory 8192)"
        }
        (Engine::Podman, _) => "podman info (it says why it fails)",
    }
    .to_owned()
}
