//! What can be chosen.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use http::Uri;
use zerocart_cluster::{Mode, Problem, Target, kind};
use zerocart_images::{Loader, Repository};

use super::super::{Cluster, KIND};
use crate::compile::DEPLOYED;

/// `zerocart deploy`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only these functions, with --canary or --blue-green [default: everything]
    #[arg(value_name = "FUNCTION")]
    pub(super) functions: Vec<String>,
    #[command(flatten)]
    pub(super) cluster: Cluster,
    /// What the cluster is for [default: kind for the kind cluster, otherwise production]
    #[arg(long)]
    environment: Option<Environment>,
    /// Send so many percent of the requests to the new revision of the functions that are named
    #[arg(long, value_name = "PERCENT", requires = "functions")]
    canary: Option<u8>,
    /// Give the new revision of the functions that are named an address of its own (TAG-FUNCTION), and no
    /// requests
    #[arg(
        long,
        value_name = "TAG",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "green",
        requires = "functions",
        conflicts_with = "canary"
    )]
    blue_green: Option<String>,
    /// The port of this machine on which a kind cluster has the public edge
    #[arg(long, default_value_t = 8080)]
    pub(super) port: u16,
    /// The same for TLS
    #[arg(long, default_value_t = 8443)]
    pub(super) tls_port: u16,
    /// The folder with Knative's serving-crds.yaml, serving-core.yaml and kourier.yaml [default: fetched]
    #[arg(long, value_name = "DIR")]
    pub(super) knative: Option<PathBuf>,
    #[command(flatten)]
    pub(super) images: Images,
    #[command(flatten)]
    pub(super) database: Database,
    #[command(flatten)]
    pub(super) edge: Edge,
    /// What else is deployed. Without it, what an earlier deployment had of it is removed
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "functions")]
    pub(super) with: Vec<With>,
    /// The chart of the OpenTelemetry Collector: a folder or an archive, for machines without internet [default:
    /// the official chart]
    #[arg(long, value_name = "CHART", requires = "with")]
    pub(super) collector_chart: Option<String>,
    /// The chart of Consul: a folder or an archive, for machines without internet [default: the official chart]
    #[arg(long, value_name = "CHART", requires = "with")]
    pub(super) consul_chart: Option<String>,
    /// More values for the chart of Consul
    #[arg(long, value_name = "FILE", requires = "with")]
    pub(super) consul_values: Vec<PathBuf>,
    /// Leave the purchase at the end out
    #[arg(long)]
    pub(super) no_check: bool,
    /// Only say what would change; the server checks it
    #[arg(long)]
    dry_run: bool,
    /// Only print what would be applied, with secrets masked; no cluster is asked
    #[arg(long, conflicts_with = "dry_run")]
    print: bool,
}

/// Where images go.
#[derive(ClapArgs)]
pub(super) struct Images {
    /// How images reach the nodes: kind=NAME, ctr, minikube[=PROFILE] or k3d=NAME [default: kind for
    /// the kind cluster]
    #[arg(long, value_name = "LOADER", conflicts_with = "push")]
    pub(super) load: Option<Loader>,
    /// The registry that nodes pull images from, such as registry.example.com/shop
    #[arg(long, value_name = "REPOSITORY")]
    pub(super) push: Option<Repository>,
    /// Cargo's profile: release takes less time to build, and its programs are larger and slower
    #[arg(long, value_name = "NAME", default_value = DEPLOYED)]
    pub(super) profile: String,
    /// Use the programs as they were built before
    #[arg(long)]
    pub(super) no_build: bool,
}

/// Where the databases are.
#[derive(ClapArgs)]
pub(super) struct Database {
    /// A managed PostgreSQL, as its administrator: postgres://NAME@HOST/postgres?sslmode=verify-full. The
    /// password is in ADMIN_DATABASE_PASSWORD [default: a PostgreSQL in the cluster]
    #[arg(long, value_name = "URL")]
    pub(super) database_url: Option<String>,
    /// The certificates that the managed server is trusted by, as PEM [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "database_url")]
    pub(super) database_root_certificate: Option<PathBuf>,
    /// The size of the volume of the PostgreSQL in the cluster, such as 20Gi
    #[arg(long, value_name = "SIZE", conflicts_with = "database_url")]
    pub(super) storage: Option<String>,
    /// The storage class of that volume [default: the cluster's default]
    #[arg(long, value_name = "NAME", conflicts_with = "database_url")]
    pub(super) storage_class: Option<String>,
}

impl Database {
    /// Whether the server is not in the cluster.
    pub(super) fn is_managed(&self) -> bool {
        self.database_url.is_some()
    }
}

/// The public edge.
#[derive(ClapArgs)]
pub(super) struct Edge {
    /// What answers at the public edge: Kong, or zerocart's own gateway, which serves the same file
    #[arg(long, value_enum, default_value_t)]
    pub(super) edge: EdgeKind,
    /// Kong's chart: a folder or an archive, for machines without internet [default: Kong's official chart]
    #[arg(long, value_name = "CHART")]
    pub(super) chart: Option<String>,
    /// More values for Kong's chart
    #[arg(long, value_name = "FILE")]
    pub(super) values: Vec<PathBuf>,
    /// The load balancers in front of the edge, whose X-Forwarded-For is believed: addresses or networks
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub(super) trusted_addresses: Vec<String>,
    /// TLS at the edge: self-signed; secret=NAME, a Secret in the namespace zerocart-edge, such as one that
    /// cert-manager keeps; or CERTIFICATE,KEY, two PEM files. Everything comes by TLS then
    #[arg(long, value_name = "TLS")]
    pub(super) tls: Option<Tls>,
    /// Where the edge is reached, for the check at the end [default: asked of the cluster]
    #[arg(long, value_name = "URL")]
    pub(super) address: Option<Uri>,
}

/// What answers at the public edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum EdgeKind {
    /// Kong, by its official chart.
    #[default]
    Kong,
    /// zerocart's own gateway.
    Gateway,
}

/// What a deployment can have beside the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum With {
    /// The OpenTelemetry Collector, Jaeger, Prometheus and Grafana
    Observability,
    /// Consul: TLS between functions, an identity for each caller, and who may call which RPC
    Consul,
}

/// Where the edge's certificate is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    SelfSigned,
    Secret(String),
    Files(PathBuf, PathBuf),
}

impl std::str::FromStr for Tls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "self-signed" {
            return Ok(Self::SelfSigned);
        }
        if let Some(name) = text.strip_prefix("secret=") {
            return Ok(Self::Secret(name.to_owned()));
        }
        match text.split_once(',') {
            Some((certificate, key)) => Ok(Self::Files(certificate.into(), key.into())),
            None => Err("it is self-signed, secret=NAME, or CERTIFICATE,KEY".to_owned()),
        }
    }
}

/// What a cluster is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Environment {
    /// One machine, to try everything.
    Kind,
    /// Users.
    Production,
}

impl Environment {
    /// The name of its overlay.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Production => "production",
        }
    }
}

/// How requests are split between the revision that runs and the new one.
pub(super) struct Split {
    /// The functions; empty for all.
    pub(super) names: Vec<String>,
    pub(super) kind: Kind,
}

/// The strategy of a rollout.
pub(super) enum Kind {
    Rolling,
    Canary(u8),
    Tag(String),
}

impl Args {
    pub(super) fn mode(&self) -> Mode {
        match (self.dry_run, self.print) {
            (_, true) => Mode::Print,
            (true, _) => Mode::DryRun,
            _ => Mode::Change,
        }
    }

    /// Whether the cluster is the kind cluster that this command makes.
    pub(super) fn is_kind(&self) -> bool {
        self.cluster.context == KIND
    }

    /// The kind cluster that is made where there is none, or one that exists.
    pub(super) fn target(&self) -> Target {
        match self.is_kind() {
            true => Target::Kind(kind::Cluster {
                http_port: self.port,
                https_port: self.tls_port,
                ..Default::default()
            }),
            false => Target::Context(self.cluster.context.clone()),
        }
    }

    pub(super) fn environment(&self) -> Environment {
        self.environment.unwrap_or(match self.is_kind() {
            true => Environment::Kind,
            false => Environment::Production,
        })
    }

    pub(super) fn split(&self) -> Result<Split, Problem> {
        let kind = match (self.canary, &self.blue_green) {
            (Some(percent), _) if !(1..100).contains(&percent) => {
                return Err(
                    Problem::new(format!("--canary {percent}: it is from 1 to 99"))
                        .cure("without --canary the new revision gets all requests"),
                );
            }
            (Some(percent), _) => Kind::Canary(percent),
            (None, Some(tag)) => Kind::Tag(tag.clone()),
            (None, None) => Kind::Rolling,
        };
        if matches!(kind, Kind::Rolling) && !self.functions.is_empty() {
            return Err(
                Problem::new("functions are named, but not what to do with them").cure(
                    "--canary PERCENT or --blue-green; without names, everything is deployed",
                ),
            );
        }
        Ok(Split {
            names: self.functions.clone(),
            kind,
        })
    }
}
