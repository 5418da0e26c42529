//! `zerocart anatomy`: the phases of cold starts on Knative, as lines of spans on standard output.

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use zerocart_anatomy::{Api, SERVICE};
use zerocart_core::Env;
use zerocart_telemetry::{Recorder, Resource};

use crate::stop::Stop;

/// `zerocart anatomy`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The namespace of the functions
    #[arg(long, value_name = "NAME", default_value = zerocart_deploy::NAMESPACE)]
    namespace: String,
    /// The Kubernetes API, where it asks for no credentials: that of `kubectl proxy` [default: that of the cluster
    /// in which this is a pod]
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// The least important log lines that are written
    #[arg(long, default_value = "info")]
    log_level: tracing::Level,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    // As the first process of a container, it gets no signal that it does not ask for.
    let mut stop = Stop::listen()?;
    zerocart_runtime::init_logs(args.log_level, zerocart_runtime::LogFormat::Otlp);
    let api = match &args.api {
        Some(url) => Api::at(url).context("--api")?,
        None => of_cluster()?,
    };
    let recorder = Recorder::stdout(&Resource::new(SERVICE, env!("CARGO_PKG_VERSION")));
    let namespace = args.namespace.as_str();
    let watching = zerocart_anatomy::watch(
        &api,
        namespace,
        || tracing::info!(namespace, "watching"),
        |start| start.record(&recorder),
    );
    tokio::select! {
        ended = watching => ended.context("the cluster cannot be watched"),
        () = stop.asked() => Ok(()),
    }
}

fn of_cluster() -> Result<Api> {
    let env = Env::of_process();
    let variable = |name| {
        env.get(name).with_context(|| {
            format!("{name} is not set, so this is no pod of a cluster: name the API by --api http://localhost:8001, where `kubectl proxy` runs")
        })
    };
    let (host, port) = (
        variable("KUBERNETES_SERVICE_HOST")?,
        variable("KUBERNETES_SERVICE_PORT")?,
    );
    Api::of_cluster(host, port).context("the service account of this pod cannot be used")
}
