//! The cluster itself: the doctor, a kind cluster, and Knative.

use zerocart_cluster::{Machine, Mode, Problem, consul, doctor, engine, kind::Kind, knative};

use super::{
    Deployment,
    options::{EdgeKind, Environment},
};

impl Deployment {
    /// The steps before anything of zerocart is there.
    pub(super) async fn prepare_cluster(&self) -> Result<(), Problem> {
        let Self {
            kubectl, progress, ..
        } = self;
        if kubectl.mode() == Mode::Print {
            return Ok(());
        }
        let machine = Machine::here();
        progress.step("doctor", self.examine(&machine)).await?;
        let target = self.args.target();
        if let zerocart_cluster::Target::Kind(cluster) = &target
            && kubectl.mode() == Mode::Change
        {
            let engine = engine::find(&machine).await?.engine;
            let kubeconfig = self.args.cluster.kubeconfig.clone();
            let kind = Kind::new(machine.programs.clone(), engine, kubeconfig);
            progress
                .step("kind", kind.ensure(cluster, progress))
                .await?;
        }
        let wanted = knative::Wanted {
            folder: self.args.knative.clone(),
            small: self.environment == Environment::Kind,
            ..Default::default()
        };
        progress
            .step("knative", knative::ensure(kubectl, &wanted, progress))
            .await
    }

    async fn examine(&self, machine: &Machine) -> Result<((), String), Problem> {
        let findings = doctor::examine(machine, &self.args.asked()?).await;
        if let Some(problem) = doctor::obstacle(&findings) {
            return Err(problem);
        }
        let warnings = findings
            .iter()
            .filter(|f| f.level == doctor::Level::Warning);
        let mut said = format!("{} checks", findings.len());
        for warning in warnings {
            said.push_str(&format!("\n{:24}{warning}", ""));
        }
        Ok(((), said))
    }
}

impl super::Args {
    /// What the doctor looks at.
    pub(super) fn asked(&self) -> Result<doctor::Asked, Problem> {
        let consul = self.with.contains(&super::With::Consul);
        Ok(doctor::Asked {
            target: self.target(),
            kubeconfig: self.cluster.kubeconfig.clone(),
            kong: self.edge.edge == EdgeKind::Kong,
            own_database: !self.database.is_managed() && self.database.storage_class.is_none(),
            observability: self.with.contains(&super::With::Observability),
            consul,
            consul_volume: consul && !consul::names_storage(&self.consul_values)?,
        })
    }
}
