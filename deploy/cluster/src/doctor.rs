//! Examines, before anything is made, whether a deployment can work: this machine, its programs, and the
//! cluster. Nothing is changed.

mod cluster;
mod host;
mod tools;

use std::{fmt, path::PathBuf};

use crate::{
    Machine, Problem, Target, engine,
    kind::{self, Kind},
};

/// What a deployment would be asked to do.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The cluster.
    pub target: Target,
    /// The kubeconfig, unless it is kubectl's own.
    pub kubeconfig: Option<PathBuf>,
    /// Whether the edge is Kong, which helm installs.
    pub kong: bool,
    /// Whether PostgreSQL runs in the cluster, on a volume of the default StorageClass.
    pub own_database: bool,
    /// Whether the Collector, Jaeger, Prometheus and Grafana are asked for, too. helm installs the Collector.
    pub observability: bool,
    /// Whether Consul is asked for, too. helm installs it.
    pub consul: bool,
    /// Whether Consul's volume is of the default StorageClass, too.
    pub consul_volume: bool,
}

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is as it should be.
    Good,
    /// A deployment may work.
    Warning,
    /// A deployment cannot work.
    Bad,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        })
    }
}

/// One thing that was examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub name: &'static str,
    /// How good it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What helps, unless it is good.
    pub cure: Option<String>,
}

impl Finding {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            level: Level::Good,
            found: found.into(),
            cure: None,
        }
    }

    fn warning(name: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            cure: Some(cure.into()),
            ..Self::good(name, found)
        }
    }

    fn bad(name: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            level: Level::Bad,
            ..Self::warning(name, found, cure)
        }
    }

    fn failed(name: &'static str, problem: &Problem) -> Self {
        let found = match problem.cause() {
            Some(cause) => format!("{}: {cause}", problem.what()),
            None => problem.what().to_owned(),
        };
        Self {
            cure: problem.remedy().map(str::to_owned),
            ..Self::bad(name, found, "")
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = |text: &str| text.replace('\n', &format!("\n{:27}", ""));
        let found = indent(&self.found);
        write!(f, "  {:<8} {:<14}  {found}", self.level, self.name)?;
        if let Some(cure) = &self.cure {
            write!(f, "\n{:27}cure: {}", "", indent(cure))?;
        }
        Ok(())
    }
}

/// Examines everything that a deployment needs. What depends on something bad is left out.
pub async fn examine(machine: &Machine, asked: &Asked) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut exists = true;
    if let Target::Kind(wanted) = &asked.target {
        let engine = engine::find(machine).await;
        findings.push(host::engine(&engine));
        let engine = engine.ok();
        findings.push(tools::kind(&machine.programs).await);
        exists = match &engine {
            Some(info) => {
                let kubeconfig = asked.kubeconfig.clone();
                let kind = Kind::new(machine.programs.clone(), info.engine, kubeconfig);
                kind.exists(&wanted.name).await.unwrap_or(false)
            }
            None => false,
        };
        findings.extend(host::limits(machine, engine.as_ref(), asked));
        if !exists {
            for port in [wanted.http_port, wanted.https_port] {
                findings.push(host::port(port));
            }
        }
    }
    let server = if exists { None } else { kind::node_version() };
    findings.push(tools::kubectl(&machine.programs, server).await);
    if asked.kong || asked.observability || asked.consul {
        findings.push(tools::helm(&machine.programs).await);
    }
    if exists && machine.programs.find("kubectl").is_some() {
        findings.extend(cluster::examine(machine, asked).await);
    }
    findings
}

/// What stands against a deployment, as one problem; none where nothing does.
pub fn obstacle(findings: &[Finding]) -> Option<Problem> {
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| finding.level == Level::Bad)
        .collect();
    let lines = |text: fn(&Finding) -> Option<String>| {
        let lines: Vec<_> = bad.iter().filter_map(|finding| text(finding)).collect();
        lines.join("\n")
    };
    let causes = lines(|finding| Some(format!("{}: {}", finding.name, finding.found)));
    let cures = lines(|finding| finding.cure.clone());
    (!bad.is_empty()).then(|| {
        Problem::new("a deployment cannot work yet")
            .because(causes)
            .cure(cures)
    })
}

/// The findings, one below the other.
pub fn report(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
    lines.join("\n")
}
