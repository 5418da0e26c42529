//! Where the public edge of a cluster is reached.

use std::{process::Stdio, time::Duration};

use http::Uri;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};
use zerocart_cluster::{Kubectl, Problem, Result, names};

/// How long `kubectl port-forward` may take until it listens.
const FORWARD: Duration = Duration::from_secs(20);

/// The address of an edge, for as long as this lives.
pub(super) struct Address {
    pub(super) url: Uri,
    /// How a person reaches it.
    pub(super) shown: String,
    /// `kubectl port-forward`, where nothing else leads there.
    _forward: Option<Child>,
}

impl Address {
    /// An address that is known.
    pub(super) fn known(url: Uri) -> Self {
        Self {
            shown: url.to_string().trim_end_matches('/').to_owned(),
            url,
            _forward: None,
        }
    }

    /// That of a Service: of its load balancer, or else through `kubectl port-forward`.
    pub(super) async fn of_service(kubectl: &Kubectl, service: &str) -> Result<Self> {
        let found = kubectl.get("service", names::EDGE, service).await?;
        let found = found.ok_or_else(|| Problem::new(format!("there is no Service {service}")))?;
        let balancer = &found["status"]["loadBalancer"]["ingress"][0];
        let host = balancer["ip"].as_str().or(balancer["hostname"].as_str());
        if let Some(url) = host.and_then(|host| format!("http://{host}").parse().ok()) {
            return Ok(Self::known(url));
        }
        Self::forwarded(kubectl, service).await
    }

    async fn forwarded(kubectl: &Kubectl, service: &str) -> Result<Self> {
        let service = format!("service/{service}");
        let args = ["port-forward", &service, ":80", "--namespace", names::EDGE];
        let call = kubectl.call(args)?;
        let shown = call.shown().replace(" :80", " 8000:80");
        let failed = |why: &dyn std::fmt::Display| {
            Problem::new("the edge cannot be reached through kubectl port-forward")
                .because(why)
                .cure("say where it is: --address URL; or leave the check out: --no-check")
        };
        let mut child = call
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(&error))?;
        let stdout = child.stdout.take().ok_or_else(|| failed(&"no output"))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(FORWARD, lines.next_line()).await;
        let line = line.map_err(|_| failed(&"it did not begin to listen"))?;
        let line = line.map_err(|error| failed(&error))?.unwrap_or_default();
        // "Forwarding from 127.0.0.1:40123 -> 8000"
        let address = line.split(' ').nth(2).unwrap_or_default();
        let url = format!("http://{address}").parse();
        // Somebody must read the lines that are still to come.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            url: url.map_err(|_| failed(&line))?,
            shown: format!("http://localhost:8000 after `{shown}`"),
            _forward: Some(child),
        })
    }
}
