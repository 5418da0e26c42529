//! The functions and jobs: their manifests with the images that were built, applied, and those removed
//! that the project has no more.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use crate::{Applied, Kubectl, Problem, Result, documents, names};

pub use crate::object::KSVC;

/// The objects of an overlay, with the images that were built.
///
/// # Errors
///
/// When the overlay cannot be built.
pub async fn render(
    kubectl: &Kubectl,
    overlay: &Path,
    images: &BTreeMap<String, String>,
) -> Result<Vec<Value>> {
    let folder = overlay.display().to_string();
    let text = kubectl.programs().call("kubectl")?;
    let text = text.args(["kustomize", &folder]).output().await?;
    let mut objects = documents::parse(&folder, &text)?;
    documents::use_images(&mut objects, images)?;
    Ok(objects)
}

/// The names of the functions among objects.
pub fn names(objects: &[Value]) -> Vec<String> {
    let functions = objects.iter().filter(|object| is_function(object));
    functions.map(|object| name(object).to_owned()).collect()
}

/// Whether an object is a Knative Service.
pub fn is_function(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    object["kind"] == "Service" && version.starts_with("serving.knative.dev/")
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Sets how traffic is split between the revisions of a function.
///
/// # Errors
///
/// When no function has that name.
pub fn split(objects: &mut [Value], function: &str, traffic: Vec<Value>) -> Result<()> {
    let mut functions = objects.iter_mut().filter(|object| is_function(object));
    let function = functions
        .find(|object| name(object) == function)
        .ok_or_else(|| Problem::new(format!("there is no function {function}")))?;
    function["spec"]["traffic"] = json!(traffic);
    Ok(())
}

/// Deletes the functions and jobs of an earlier version that these objects do not have.
///
/// # Errors
///
/// When the server refuses.
pub async fn prune(kubectl: &Kubectl, objects: &[Value]) -> Result<Vec<String>> {
    let labels = format!("{}={}", names::MANAGED_BY, names::MANAGER);
    let mut gone = Vec::new();
    for (kind, is) in [
        (KSVC, is_function as fn(&Value) -> bool),
        ("cronjobs", is_job),
    ] {
        let wanted: Vec<_> = objects
            .iter()
            .filter(|object| is(object))
            .map(name)
            .collect();
        for there in kubectl.list(kind, names::FUNCTIONS, &labels).await? {
            let name = name(&there);
            if !wanted.contains(&name) {
                let args = [kind, name, "--namespace", names::FUNCTIONS];
                kubectl
                    .delete(&args, std::time::Duration::from_secs(60))
                    .await?;
                gone.push(name.to_owned());
            }
        }
    }
    Ok(gone)
}

fn is_job(object: &Value) -> bool {
    object["kind"] == "CronJob"
}

/// Applies objects. Several requests at once would not be faster: the server checks one after the other.
///
/// # Errors
///
/// When the server refuses one.
pub async fn apply(kubectl: &Kubectl, objects: &[Value]) -> Result<Applied> {
    kubectl.apply(objects).await
}
