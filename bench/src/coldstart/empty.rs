//! The empty function on a cluster: its image, and its Knative Service, which is that of grpc-reflection under
//! another name.

use std::{fs, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use tokio::time::{Instant, sleep};
use zerocart_cluster::Kubectl;
use zerocart_images::{Architecture, Loader, Program, Programs, Repository};

use super::engine::EMPTY;
use crate::binaries;

/// The Service that is like it: it has no domain, no database, and no key.
const LIKE: &str = "grpc-reflection";

/// How long its first start may take.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Loads its image, if a place is named, and makes its Service, with the window of the other functions.
pub(super) async fn deploy(kubectl: &Kubectl, load: Option<&Loader>, window: &str) -> Result<()> {
    let architecture = Architecture::of_machine();
    let architecture =
        architecture.context("this machine's processor is neither amd64 nor arm64")?;
    let program = Program {
        name: EMPTY.to_owned(),
        path: binaries::find(&binaries::folder()?, "zerocart-empty")?,
    };
    let images = zerocart_images::build(&[program], architecture, env!("CARGO_PKG_VERSION"));
    let images = images.map_err(|error| anyhow!("the image of the empty function: {error}"))?;
    let (repository, programs) = (Repository::local(), Programs::of_machine());
    if let Some(place) = load {
        let loaded = place.load(&images, &repository, &programs, |_: &str| {});
        loaded
            .await
            .map_err(|error| anyhow!("--load {place}: {error}"))?;
    }
    let image = images.first().context("there is no image")?;
    let image = image.reference(&repository);
    let path = binaries::workspace_root().join(format!("knative/edge/{LIKE}.yaml"));
    let manifest =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let applied = kubectl
        .apply_text(manifest_of(&manifest, window, &image)?)
        .await;
    applied.map_err(|problem| anyhow!("{problem}"))?;
    ready(kubectl).await
}

/// Waits until it has been started once.
async fn ready(kubectl: &Kubectl) -> Result<()> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        let service = kubectl.get("services.serving.knative.dev", "zerocart", EMPTY);
        let service = service.await.map_err(|problem| anyhow!("{problem}"))?;
        let status = service.map(|mut service| service["status"].take());
        let conditions = status.as_ref().and_then(|s| s["conditions"].as_array());
        let mut conditions = conditions.into_iter().flatten();
        let ready = conditions.find(|condition| condition["type"] == "Ready");
        if ready.is_some_and(|ready| ready["status"] == "True") {
            return Ok(());
        }
        if Instant::now() > deadline {
            let why = ready.and_then(|ready| ready["message"].as_str());
            bail!(
                "the empty function does not become ready: {}; if its nodes have no image of it, give --load",
                why.unwrap_or("no reason is given")
            );
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// The manifest of the empty function: another name and image, public keys, spans on its standard output. The
/// queue-proxy asks for what overlays let it ask for, because a quota counts it.
fn manifest_of(like: &str, window: &str, image: &str) -> Result<String> {
    let mut text = like.replace(LIKE, EMPTY);
    let edits = [
        (
            "              containerPort: 8080\n",
            "          imagePullPolicy: IfNotPresent\n          env:\n            - name: LOG_FORMAT\n              \
             value: otlp\n          envFrom:\n            - secretRef:\n                name: zerocart-auth\n",
        ),
        (
            "        autoscaling.knative.dev/window: 30s\n",
            "        queue.sidecar.serving.knative.dev/cpu-resource-request: 25m\n        \
             queue.sidecar.serving.knative.dev/memory-resource-request: 24Mi\n",
        ),
    ];
    for (after, more) in edits {
        let with = text.replacen(after, &format!("{after}{more}"), 1);
        if with == text {
            bail!("knative/edge/{LIKE}.yaml has no line {:?}", after.trim());
        }
        text = with;
    }
    let own = "autoscaling.knative.dev/window: 30s";
    let text = text.replace(own, &format!("autoscaling.knative.dev/window: {window}"));
    // A tag is the digest of a content, as that of all images of a deployment.
    let lines = text.lines().map(|line| match line.split_once("image: ") {
        Some((before, _)) => format!("{before}image: {image}\n"),
        None => format!("{line}\n"),
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "dev.local/zerocart/empty:a1";

    #[test]
    fn the_empty_function_is_like_a_service_of_the_edge() {
        let path = binaries::workspace_root().join("knative/edge/grpc-reflection.yaml");
        let manifest = manifest_of(&fs::read_to_string(path).unwrap(), "6s", IMAGE).unwrap();
        assert!(!manifest.contains(LIKE), "{manifest}");
        assert!(
            manifest.contains(&format!("image: {IMAGE}\n")),
            "{manifest}"
        );
        assert!(manifest.contains("value: otlp"), "{manifest}");
        assert!(
            manifest.contains("memory-resource-request: 24Mi"),
            "{manifest}"
        );
        assert!(manifest.contains("/window: 6s"), "{manifest}");
        assert!(manifest_of("kind: Service\n", "6s", IMAGE).is_err());
    }
}
