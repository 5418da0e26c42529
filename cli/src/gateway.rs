//! `zerocart gateway`: the gateway alone, in the place of Kong on a cluster.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use tokio::{net::TcpListener, sync::watch};
use zerocart_core::Env;
use zerocart_gateway::{Config, Consumers, Gateway, HttpUpstream, Trusted};
use zerocart_runtime::LogFormat;

use crate::{stop::Stop, up};

/// `zerocart gateway`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The Kong file, in YAML or JSON; consumers and plugins may be merged in
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A Kong file with nothing but consumers, beside those of --config
    #[arg(long, value_name = "FILE")]
    consumers: Option<PathBuf>,
    /// The address of both ports
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    address: IpAddr,
    /// The port for clients: HTTP/1.1, and HTTP/2 in the clear
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The port of GET /status, /status/ready and /metrics
    #[arg(long, default_value_t = 8100)]
    status_port: u16,
    /// The proxies in front, whose X-Forwarded-* headers are believed: addresses or networks
    #[arg(long, value_name = "CIDR,…")]
    trusted_addresses: Option<Trusted>,
    /// How long requests may go on after SIGTERM; what is left then is cut off
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    drain_seconds: u64,
    /// The least important log lines that are written
    #[arg(long, default_value = "info")]
    log_level: tracing::Level,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    // From here on SIGTERM always ends in order, also as the first process of a container.
    let mut stop = Stop::listen()?;
    let env = Env::of_process();
    let format = log_format(&env)?;
    zerocart_runtime::init_logs(args.log_level, format);
    up::allow_connections();

    let config = Config::load(&args.config)?;
    let consumers = match &args.consumers {
        None => Consumers::none(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("--consumers {} cannot be read", path.display()))?;
            Consumers::parse(&path.display().to_string(), &text)?
        }
    };
    let gateway = Gateway::new(config, consumers, HttpUpstream::new())
        .with_context(|| format!("the consumers of {} are refused", args.config.display()))?
        .with_trusted(args.trusted_addresses.unwrap_or_default())
        .with_drain_timeout(Duration::from_secs(args.drain_seconds))
        .with_recorder(zerocart_runtime::recorder(&env, "gateway", format));
    let listener = bind(args.address, args.port, "--port").await?;
    let status = bind(args.address, args.status_port, "--status-port").await?;
    let (address, status_address) = (listener.local_addr()?, status.local_addr()?);

    let (end, mut ended) = watch::channel(false);
    let telling = {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let ended = async move { drop(ended.wait_for(|ended| *ended).await) };
            gateway.serve_status(status, ended).await;
        })
    };
    tracing::info!(%address, status = %status_address, "serving");
    gateway
        .serve(listener, async {
            stop.asked().await;
            tracing::info!("stopping: no new connections");
        })
        .await;
    // Until here /status/ready says that the gateway drains.
    end.send_replace(true);
    telling.await.context("the status port failed")?;
    tracing::info!("stopped");
    Ok(())
}

/// What is written to standard output, as functions choose it.
fn log_format(env: &Env) -> Result<LogFormat> {
    let Some(format) = env.get("LOG_FORMAT") else {
        return Ok(LogFormat::default());
    };
    let format = format.parse().map_err(anyhow::Error::msg);
    format.context("the variable LOG_FORMAT is wrong")
}

async fn bind(address: IpAddr, port: u16, option: &str) -> Result<TcpListener> {
    let address = SocketAddr::from((address, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; {option} chooses another port"))
}
