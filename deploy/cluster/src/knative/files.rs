//! The files of the release, with the changes that a deployment makes to them.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{BEGUN, SERVING, VERSION, Wanted};
use crate::{Kubectl, Problem, Result};

/// Kourier's controller, in Serving's namespace.
pub(super) const CONTROLLER: &str = "net-kourier-controller";

/// Kourier's Envoy.
pub(super) const GATEWAY: &str = "3scale-kourier-gateway";

/// The label of everything that is installed, by which it is removed.
pub(super) const LABEL: (&str, &str) = ("zerocart/installed", "knative");

const CRDS_URL: &str =
    "https://github.com/knative/serving/releases/download/knative-v1.23.0/serving-crds.yaml";
const CORE_URL: &str =
    "https://github.com/knative/serving/releases/download/knative-v1.23.0/serving-core.yaml";

/// Where Kourier comes from.
pub(super) const KOURIER_URL: &str = "https://github.com/knative-extensions/net-kourier/releases/\
                                      download/knative-v1.23.0/kourier.yaml";

/// The CPU that each pod asks for where they share one node with all else. Together they ask for 1 CPU as
/// released, next to nearly 1 CPU of Kubernetes itself: a node of 2 CPUs would have nothing left.
const SMALL_CPU: &str = "25m";

/// Half a megabyte comes from another continent.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

pub(super) async fn crds(kubectl: &Kubectl, wanted: &Wanted) -> Result<String> {
    rendered(kubectl, wanted, CRDS_URL).await
}

pub(super) async fn core(kubectl: &Kubectl, wanted: &Wanted) -> Result<String> {
    rendered(kubectl, wanted, CORE_URL).await
}

pub(super) async fn kourier(kubectl: &Kubectl, wanted: &Wanted) -> Result<String> {
    rendered(kubectl, wanted, KOURIER_URL).await
}

/// Where the three files come from.
pub(super) fn names(wanted: &Wanted) -> Vec<String> {
    let place = |url: &&str| match &wanted.folder {
        Some(folder) => folder.join(file_name(url)).display().to_string(),
        None => (*url).to_owned(),
    };
    [CRDS_URL, CORE_URL, KOURIER_URL]
        .iter()
        .map(place)
        .collect()
}

fn file_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// kubectl fetches a file and changes it, as kustomize would.
async fn rendered(kubectl: &Kubectl, wanted: &Wanted, url: &str) -> Result<String> {
    let name = file_name(url);
    let place = tempfile::tempdir()
        .map_err(|error| Problem::new("no temporary folder can be made").because(error))?;
    let resource = match &wanted.folder {
        Some(folder) => {
            copied(&folder.join(name), &place.path().join(name))?;
            name
        }
        None => url,
    };
    let file = place.path().join("kustomization.yaml");
    fs::write(&file, kustomization(resource, wanted.small).to_string())
        .map_err(|error| Problem::new("a temporary file cannot be written").because(error))?;
    let folder = place.path().to_string_lossy();
    let call = kubectl.call(["kustomize", folder.as_ref()])?;
    let rendered = call.within(FETCH_LIMIT).output().await;
    rendered.map_err(|problem| match &wanted.folder {
        Some(folder) => problem
            .in_step(format!(
                "{} is not what Knative releases",
                folder.join(name).display()
            ))
            .or_cure(format!("put {name} of Knative {VERSION} there, from {url}")),
        None => problem
            .in_step(format!("{name} of Knative {VERSION} cannot be fetched"))
            .or_cure(format!(
                "fetch these where there is internet, and give their folder with --knative: \
                 {CRDS_URL} {CORE_URL} {KOURIER_URL}"
            )),
    })
}

fn copied(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(|error| {
        Problem::new(format!("{} cannot be read", from.display()))
            .because(error)
            .cure(format!(
                "--knative names a folder with serving-crds.yaml, serving-core.yaml and kourier.yaml \
                 of Knative {VERSION}: {CRDS_URL} {CORE_URL} {KOURIER_URL}"
            ))
    })
}

/// What is changed: each patch concerns the objects of one kind, and is without effect in a file that has
/// none of them.
fn kustomization(resource: &str, small: bool) -> Value {
    let (label, value) = LABEL;
    let mut patches = vec![
        // Who installed it is known from the first moment on.
        json!({
            "target": {"kind": "Namespace", "name": SERVING},
            "patch": json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": SERVING, "annotations": {BEGUN: VERSION}},
            }).to_string(),
        }),
        // Nobody comes in past the edge, and no load balancer costs money for nothing.
        json!({
            "target": {"kind": "Service", "name": "kourier"},
            "patch": json!([{"op": "add", "path": "/spec/type", "value": "ClusterIP"}]).to_string(),
        }),
    ];
    if small {
        let cpu = "/spec/template/spec/containers/0/resources/requests/cpu";
        patches.push(json!({
            "target": {"kind": "Deployment"},
            "patch": json!([{"op": "add", "path": cpu, "value": SMALL_CPU}]).to_string(),
        }));
        patches.push(json!({
            "target": {"kind": "HorizontalPodAutoscaler"},
            "patch": json!({
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "any"},
                "$patch": "delete",
            }).to_string(),
        }));
    }
    json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [resource],
        "labels": [{"pairs": {label: value}, "includeSelectors": false}],
        "patches": patches,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_of_the_release_that_is_named() {
        for url in [CRDS_URL, CORE_URL, KOURIER_URL] {
            assert!(url.contains(&format!("/knative-v{VERSION}/")), "{url}");
        }
    }

    #[test]
    fn a_small_cluster_has_two_changes_more() {
        let patches = |small| kustomization("a.yaml", small)["patches"].to_string();
        assert!(patches(false).contains("ClusterIP") && patches(true).contains("ClusterIP"));
        assert!(!patches(false).contains(SMALL_CPU) && patches(true).contains(SMALL_CPU));
        assert!(!patches(false).contains("delete") && patches(true).contains("delete"));
    }
}
