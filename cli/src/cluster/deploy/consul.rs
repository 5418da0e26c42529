//! `--with consul`: the mesh between functions.

use serde_json::Value;
use zerocart_cluster::{
    Mode, Problem,
    consul::{self, Files},
};

use super::{
    Deployment, FILES,
    options::{Split, With},
};

/// What becomes of Consul.
pub(super) enum Mesh {
    /// It is there, and callers have sidecars.
    On(Files),
    /// It is there, and is removed when no caller has a sidecar.
    Leaves,
    /// It is not there.
    Off,
}

impl Mesh {
    /// Whether callers have sidecars.
    pub(super) fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }
}

impl Deployment {
    /// Installs Consul where it is asked for. A deployment of some functions leaves it as it is.
    pub(super) async fn consul(&self, split: &Split) -> Result<Mesh, Problem> {
        let Self {
            kubectl, progress, ..
        } = self;
        if !split.names.is_empty() {
            return Ok(match consul::is_there(kubectl).await? {
                true => Mesh::On(self.consul_files()),
                false => Mesh::Off,
            });
        }
        if self.args.with.contains(&With::Consul) {
            let files = self.consul_files();
            let work = async {
                let patience = zerocart_cluster::Patience::default();
                let said = consul::install(kubectl, progress, &files, patience).await?;
                Ok(((), said))
            };
            progress.step("consul", work).await?;
            return Ok(Mesh::On(files));
        }
        if kubectl.mode() == Mode::Print || !consul::is_there(kubectl).await? {
            return Ok(Mesh::Off);
        }
        if kubectl.mode() == Mode::Change {
            consul::loosen(kubectl).await?;
        }
        Ok(Mesh::Leaves)
    }

    /// When all functions are ready: closes the ways past Consul, or removes it.
    pub(super) async fn settle_consul(
        &self,
        mesh: &Mesh,
        policy: Option<Value>,
    ) -> Result<(), Problem> {
        let Self {
            kubectl, progress, ..
        } = self;
        match (mesh, policy) {
            (Mesh::On(files), Some(policy)) => {
                let work = async { Ok(((), consul::tighten(kubectl, files, policy).await?)) };
                progress.step("policies", work).await
            }
            (Mesh::Leaves, _) if kubectl.mode() == Mode::Change => {
                let work = async {
                    consul::remove(kubectl, progress).await?;
                    Ok(((), "removed: --with consul is not given".to_owned()))
                };
                progress.step("consul", work).await
            }
            _ => Ok(()),
        }
    }

    fn consul_files(&self) -> Files {
        let root = self.project.root();
        Files {
            manifests: root.join(FILES),
            folder: root.join("consul"),
            values: match self.environment {
                super::Environment::Kind => "values-kind.yaml",
                super::Environment::Production => "values-production.yaml",
            },
            more_values: self.args.consul_values.clone(),
            chart: self.args.consul_chart.clone(),
        }
    }
}
