//! The programs that a deployment calls.

use serde_json::Value;

use super::Finding;
use crate::{Programs, Result, version::Version};

/// Earlier ones cannot load images into the nodes of today.
const KIND: Version = Version::new(0, 32, 0);

/// The chart of Kong asks for it.
const HELM: Version = Version::new(3, 14, 0);

pub(super) async fn kind(programs: &Programs) -> Finding {
    let install =
        "install a newer one: https://kind.sigs.k8s.io/docs/user/quick-start#installation";
    at_least(programs, "kind", &["version"], KIND, install).await
}

pub(super) async fn helm(programs: &Programs) -> Finding {
    let install = "install a newer one: https://helm.sh/docs/intro/install";
    at_least(programs, "helm", &["version", "--short"], HELM, install).await
}

/// kubectl, compared with a server that is to be made.
pub(super) async fn kubectl(programs: &Programs, server: Option<Version>) -> Finding {
    match client(programs).await {
        Ok(client) => server
            .and_then(|server| skew(client, server))
            .unwrap_or_else(|| Finding::good("kubectl", client.to_string())),
        Err(problem) => Finding::failed("kubectl", &problem),
    }
}

/// Kubernetes supports a kubectl that is one minor version older or newer than the server.
pub(super) fn skew(client: Version, server: Version) -> Option<Finding> {
    let far = client.major != server.major || client.minor.abs_diff(server.minor) > 1;
    far.then(|| {
        Finding::warning(
            "kubectl",
            format!("{client} is more than one minor version from the server's {server}"),
            format!(
                "install kubectl {}.{}: https://kubernetes.io/docs/tasks/tools",
                server.major, server.minor
            ),
        )
    })
}

async fn client(programs: &Programs) -> Result<Version> {
    let args = ["version", "--client", "--output", "json"];
    let out = programs.call("kubectl")?.args(args).output().await?;
    client_version(&out).ok_or_else(|| {
        crate::Problem::new("`kubectl version` names no version")
            .cure("install kubectl: https://kubernetes.io/docs/tasks/tools")
    })
}

/// kubectl's own version in what `kubectl version --output json` says.
pub(super) fn client_version(out: &str) -> Option<Version> {
    version_of(out, "clientVersion")
}

/// The server's version in what `kubectl version --output json` says.
pub(super) fn server_version(out: &str) -> Option<Version> {
    version_of(out, "serverVersion")
}

fn version_of(out: &str, who: &str) -> Option<Version> {
    let versions: Value = serde_json::from_str(out).ok()?;
    Version::find(versions[who]["gitVersion"].as_str()?)
}

async fn at_least(
    programs: &Programs,
    name: &'static str,
    args: &[&str],
    oldest: Version,
    cure: &str,
) -> Finding {
    let asked = async { programs.call(name)?.args(args).output().await };
    let out = match asked.await {
        Ok(out) => out,
        Err(problem) => return Finding::failed(name, &problem),
    };
    match Version::find(&out) {
        Some(version) if version >= oldest => Finding::good(name, version.to_string()),
        Some(version) => {
            let found = format!("{version} is older than {oldest}");
            Finding::bad(name, found, cure)
        }
        None => Finding::bad(name, format!("`{name} version` names no version"), cure),
    }
}
