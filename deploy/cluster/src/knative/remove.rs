//! Removes what a deployment has installed of Knative, and nothing else.

use std::time::Duration;

use super::{Found, files::LABEL, look};
use crate::{Kubectl, Problem, Result};

/// A namespace ends when all that is in it has ended.
const LIMIT: Duration = Duration::from_secs(180);

/// In this order: first what the server asks about every change, which nobody would answer any more; last
/// the namespaces, one of which says that all this is ours, so that a removal that ended half-way goes on.
const KINDS: &[&str] = &[
    "validatingwebhookconfigurations,mutatingwebhookconfigurations",
    "customresourcedefinitions",
    "clusterroles,clusterrolebindings",
    "namespaces",
];

/// Removes Serving and Kourier where a deployment installed them. Says how many objects that were, and
/// nothing where there are none of ours.
///
/// # Errors
///
/// When services of Knative are still there, or the server refuses.
pub async fn remove(kubectl: &Kubectl) -> Result<Option<usize>> {
    if !matches!(look(kubectl).await?, Found::Ours { .. }) {
        return Ok(None);
    }
    let call = kubectl.call([
        "get",
        "services.serving.knative.dev",
        "--all-namespaces",
        "--output",
        "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}",
    ])?;
    let done = call.done().await?;
    // The kind itself is not there where a removal ended half-way.
    let services: Vec<_> = match done.success {
        true => done.out.split_whitespace().map(str::to_owned).collect(),
        false if done.err.contains("doesn't have a resource type") => Vec::new(),
        false => {
            return Err(
                Problem::new("the services of Knative cannot be listed").because(done.last_lines())
            );
        }
    };
    if !services.is_empty() {
        return Err(Problem::new("Knative is not removed")
            .because(format!("services still use it: {}", services.join(", ")))
            .cure("remove them first, or leave Knative where it is"));
    }
    let (label, value) = LABEL;
    let label = format!("{label}={value}");
    let mut removed = 0;
    for kinds in KINDS {
        let gone = kubectl
            .delete(&[kinds, "--selector", &label], LIMIT)
            .await?;
        removed += gone.len();
    }
    Ok(Some(removed))
}
