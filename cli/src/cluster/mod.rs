//! The commands that work on a Kubernetes cluster.

mod address;
pub(crate) mod certificates;
mod check;
pub(crate) mod deploy;
pub(crate) mod keys;
pub(crate) mod logs;
pub(crate) mod promote;
pub(crate) mod rollback;
pub(crate) mod status;
pub(crate) mod undeploy;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Args as ClapArgs;
use zerocart_cluster::{Kubectl, Mode, Namespaces, Programs, Progress};

/// The context of the kind cluster that `deploy` makes.
const KIND: &str = "kind-zerocart";

/// Which cluster.
#[derive(ClapArgs, Clone)]
pub(crate) struct Cluster {
    /// The context of kubectl's configuration; the current context is never used by itself
    #[arg(long, value_name = "NAME", default_value = KIND)]
    pub(crate) context: String,
    /// kubectl's configuration [default: as kubectl finds it]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl Cluster {
    /// The option that names it, for a command to type; empty for the default.
    pub(crate) fn option(&self) -> String {
        match self.context == KIND {
            true => String::new(),
            false => format!(" --context {}", self.context),
        }
    }

    /// The cluster, as kubectl reaches it.
    pub(crate) fn kubectl(&self, mode: Mode) -> Kubectl {
        let programs = Programs::of_machine();
        Kubectl::new(programs, &self.context, self.kubeconfig.clone(), mode)
    }

    fn namespaces(&self) -> Namespaces {
        Namespaces::default()
    }
}

/// Progress on standard error: what a command says at its end may be read by a program.
fn progress() -> Progress {
    Progress::new(io::stderr(), io::stderr().is_terminal())
}

/// A time that has passed, in the largest unit that fits.
fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
