//! Traces, metrics and boards on a cluster: the OpenTelemetry Collector by its official chart, Jaeger, Prometheus
//! and Grafana, in a namespace of their own. Knative, where a deployment has installed it, sends its spans, too.
//!
//! Nothing in the namespace is kept when it is removed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    Applied, Kubectl, Mode, Problem, Progress, Result, Wait, documents,
    knative::{self, Found},
    names,
    object::ours,
};

/// The Collector's helm release.
pub const RELEASE: &str = "zerocart-collector";

/// Where the Collector's official chart is, and its version.
const CHART: [&str; 5] = [
    "opentelemetry-collector",
    "--repo",
    "https://open-telemetry.github.io/opentelemetry-helm-charts",
    "--version",
    "0.170.0",
];

/// Where Kong and Knative send their spans: the Collector of their node.
pub const TRACES_ENDPOINT: &str =
    "http://collector.zerocart-observability.svc.cluster.local:4318/v1/traces";

/// The annotation of pods that changes with the files that they read: other content, other pods.
const CONTENT: &str = "checksum/config";

/// Images are fetched first.
const START: Duration = Duration::from_secs(300);

/// How long the server may take to delete the namespace.
const GONE: Duration = Duration::from_secs(180);

/// Knative's settings of its own telemetry.
const KNATIVE: &str = "config-observability";

/// What a deployment puts into other namespaces for it.
const ELSEWHERE: [(&str, &str); 2] = [
    (
        "networkpolicy/spans,rolebinding/coldstart,role/coldstart",
        names::FUNCTIONS,
    ),
    (
        "networkpolicy/spans-and-metrics,service/kong-metrics,service/gateway-metrics",
        names::EDGE,
    ),
];

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The folder of the manifests.
    pub manifests: PathBuf,
    /// The manifest of what writes the phases of cold starts.
    pub coldstart: PathBuf,
    /// The folder of what the programs read: `observability`.
    pub content: PathBuf,
    /// The Collector's chart; none for the official one.
    pub chart: Option<String>,
}

/// Whether it is on the cluster.
///
/// # Errors
///
/// When the server cannot be asked.
pub async fn is_there(kubectl: &Kubectl) -> Result<bool> {
    let found = kubectl.get("namespace", "", names::OBSERVABILITY).await?;
    Ok(found.is_some())
}

/// Installs it, or changes what differs. `images` are those that were built.
///
/// # Errors
///
/// When the server or helm refuses, or a part of it does not start.
pub async fn install(
    kubectl: &Kubectl,
    progress: &Progress,
    files: &Files,
    images: &BTreeMap<String, String>,
) -> Result<String> {
    let mut applied = kubectl
        .apply(&documents::read(
            &files.manifests.join("observability.yaml"),
        )?)
        .await?;
    applied += collector(kubectl, files).await?;
    applied += prometheus(kubectl, files).await?;
    applied += jaeger(kubectl, files).await?;
    applied += grafana(kubectl, files).await?;
    let mut coldstart = documents::read(&files.coldstart)?;
    documents::use_images(&mut coldstart, images)?;
    applied += kubectl.apply(&coldstart).await?;
    let mut said = applied.to_string();
    if matches!(knative::look(kubectl).await?, Found::Ours { .. }) {
        trace_knative(kubectl, true).await?;
    } else if kubectl.mode() == Mode::Change {
        said.push_str(". Knative is somebody else's: its own spans are not asked for");
    }
    if kubectl.mode() == Mode::Change {
        let wait = Wait::new(kubectl, progress, names::OBSERVABILITY, START);
        wait.daemonset("collector-agent").await?;
        for part in ["jaeger", "prometheus", "grafana", "coldstart"] {
            wait.deployment(part).await?;
        }
    }
    Ok(said)
}

/// Has functions and jobs write their spans.
pub fn write_spans(objects: &mut [Value]) {
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        let pod = match kind {
            "CronJob" => object.pointer_mut("/spec/jobTemplate/spec/template/spec"),
            "Service" | "Deployment" => object.pointer_mut("/spec/template/spec"),
            _ => None,
        };
        let containers = pod.and_then(|pod| pod["containers"].as_array_mut());
        for container in containers.into_iter().flatten() {
            if !container["env"].is_array() {
                container["env"] = json!([]);
            }
            if let Some(env) = container["env"].as_array_mut() {
                env.push(json!({"name": "LOG_FORMAT", "value": "otlp"}));
            }
        }
    }
}

/// Has Kong send its spans: the plugin of its document.
pub fn trace_kong(document: &mut Value) -> Result<()> {
    let plugins = document["plugins"].as_array_mut();
    let plugins = plugins.ok_or_else(|| Problem::new("kong.yml has no plugins"))?;
    plugins.push(json!({
        "name": "opentelemetry",
        "config": {
            "traces_endpoint": TRACES_ENDPOINT,
            "resource_attributes": {"service.name": "kong", "service.namespace": "zerocart"},
            "propagation": {"extract": ["w3c"], "inject": ["w3c"], "default_format": "w3c"},
        },
    }));
    Ok(())
}

/// What Kong's chart sets beside it.
pub const KONG_SETTINGS: [&str; 2] = [
    "env.tracing_instrumentations=request\\,balancer",
    "env.tracing_sampling_rate=1.0",
];

/// Removes all of it, with what it has recorded. Whether there was anything.
///
/// # Errors
///
/// When the server refuses, or when the Collector is there and helm is not installed.
pub async fn remove(kubectl: &Kubectl, progress: &Progress) -> Result<bool> {
    let found = kubectl.get("namespace", "", names::OBSERVABILITY).await?;
    let Some(namespace) = found else {
        return Ok(false);
    };
    if !ours(&namespace) {
        return Err(Problem::new(format!(
            "the namespace {} is somebody else's",
            names::OBSERVABILITY
        ))
        .because(format!(
            "it lacks the label {}: {}",
            names::MANAGED_BY,
            names::MANAGER
        )));
    }
    if matches!(knative::look(kubectl).await?, Found::Ours { .. }) {
        trace_knative(kubectl, false).await?;
    }
    for (objects, namespace) in ELSEWHERE {
        for object in objects.split(',') {
            let args = [object, "--namespace", namespace];
            kubectl.delete(&args, START).await?;
        }
    }
    progress.event("traces, metrics and boards are removed, with what they had recorded");
    // helm keeps its release in the namespace.
    let name = format!("namespace/{}", names::OBSERVABILITY);
    kubectl.delete(&[&name], GONE).await?;
    Ok(true)
}

async fn collector(kubectl: &Kubectl, files: &Files) -> Result<Applied> {
    let text = documents::text(&files.content.join("collector.yaml"))?;
    let hash = documents::hash(&text);
    let applied = kubectl
        .apply(&[config_map("collector", json!({ "relay": text }))])
        .await?;
    let mut args: Vec<String> = ["upgrade", "--install", RELEASE]
        .map(str::to_owned)
        .to_vec();
    match &files.chart {
        Some(chart) => args.push(chart.clone()),
        None => args.extend(CHART.map(str::to_owned)),
    }
    let values = files.content.join("values.yaml").display().to_string();
    args.extend(["--namespace", names::OBSERVABILITY, "--values"].map(str::to_owned));
    args.push(values);
    args.push("--set-string".to_owned());
    args.push(format!(
        "podAnnotations.{}={hash}",
        CONTENT.replace('.', "\\.")
    ));
    match kubectl.mode() {
        Mode::Change => {}
        // The namespace does not exist before the first deployment.
        Mode::DryRun => args.push("--dry-run=client".to_owned()),
        Mode::Print => return Ok(applied),
    }
    let helm = kubectl.helm(args.iter().map(String::as_str))?;
    helm.within(START).output().await.map_err(|problem| {
        problem
            .in_step("the OpenTelemetry Collector cannot be installed")
            .or_cure("without internet: --collector-chart CHART, a folder or an archive")
    })?;
    Ok(applied)
}

async fn prometheus(kubectl: &Kubectl, files: &Files) -> Result<Applied> {
    let text = documents::text(&files.content.join("prometheus.yml"))?;
    let rules = documents::text(&files.content.join("alerts.yaml"))?;
    let config = config_map(
        "prometheus",
        json!({ "prometheus.yml": text, "rules-alerts.yaml": rules }),
    );
    with_content(kubectl, files, "prometheus", vec![config]).await
}

async fn jaeger(kubectl: &Kubectl, files: &Files) -> Result<Applied> {
    with_content(kubectl, files, "jaeger", Vec::new()).await
}

/// Grafana with a ConfigMap for each board: together they may be larger than one may be.
async fn grafana(kubectl: &Kubectl, files: &Files) -> Result<Applied> {
    let boards = files.content.join("boards");
    let mut configs = Vec::new();
    for file in json_files(&boards)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let board: Value = serde_json::from_str(&documents::text(&file)?).map_err(|error| {
            Problem::new(format!("{} is no JSON", file.display())).because(error)
        })?;
        // Without white space: kubectl notes the whole object in an annotation, which has a limit.
        let data = json!({ (format!("{name}.json")): board.to_string() });
        configs.push(config_map(&format!("board-{name}"), data));
    }
    with_content(kubectl, files, "grafana", configs).await
}

/// Applies a manifest, and before it what its pods read, with the checksum of both.
async fn with_content(
    kubectl: &Kubectl,
    files: &Files,
    part: &str,
    mut configs: Vec<Value>,
) -> Result<Applied> {
    let mut objects = documents::read(&files.manifests.join(format!("{part}.yaml")))?;
    let names = configs
        .iter()
        .map(|config| config["metadata"]["name"].clone());
    let names: Vec<_> = names.collect();
    let of_manifest = objects
        .iter()
        .filter(|object| object["kind"] == "ConfigMap");
    let content: Vec<_> = of_manifest.chain(&configs).map(Value::to_string).collect();
    let pod = &mut documents::find(&mut objects, "Deployment", part)?["spec"]["template"];
    pod["metadata"]["annotations"][CONTENT] = json!(documents::hash(&content.concat()));
    let volumes = pod["spec"]["volumes"].as_array_mut();
    for volume in volumes.into_iter().flatten() {
        let sources = volume.pointer_mut("/projected/sources");
        if let Some(sources) = sources.and_then(Value::as_array_mut) {
            sources.extend(
                names
                    .iter()
                    .map(|name| json!({"configMap": {"name": name}})),
            );
        }
    }
    configs.append(&mut objects);
    kubectl.apply(&configs).await
}

fn config_map(name: &str, data: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": names::OBSERVABILITY, "labels": names::labels()},
        "data": data,
    })
}

/// The JSON files of a folder, by name.
fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unread = |error: std::io::Error| {
        Problem::new(format!("{} cannot be read", folder.display())).because(error)
    };
    let entries: std::result::Result<Vec<_>, _> = fs::read_dir(folder).map_err(unread)?.collect();
    let files = entries
        .map_err(unread)?
        .into_iter()
        .map(|entry| entry.path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    Ok(files)
}

/// Knative's spans: of a request that waits for an instance, and of the part of it that is in each pod. A rate of
/// 1 would trace requests that their callers do not sample.
async fn trace_knative(kubectl: &Kubectl, on: bool) -> Result<()> {
    let data = match on {
        true => json!({
            "tracing-protocol": "http/protobuf",
            "tracing-endpoint": TRACES_ENDPOINT,
            "tracing-sampling-rate": "0.999999",
        }),
        false => json!({
            "tracing-protocol": null,
            "tracing-endpoint": null,
            "tracing-sampling-rate": null,
        }),
    };
    kubectl
        .patch(
            "configmap",
            knative::SERVING,
            KNATIVE,
            &json!({ "data": data }),
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_jobs_write_spans() {
        let text = "kind: Service\nspec: {template: {spec: {containers: [{name: a, env: [{name: X, value: z}]}]}}}\n---\n\
                    kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: b}]}}}}}\n---\n\
                    kind: NetworkPolicy\nspec: {}\n";
        let mut objects = documents::parse("x", text).unwrap();
        write_spans(&mut objects);
        let env = |object: &Value, pod: &str| {
            object.pointer(pod).unwrap()["containers"][0]["env"].clone()
        };
        let otlp = json!({"name": "LOG_FORMAT", "value": "otlp"});
        assert_eq!(
            env(&objects[0], "/spec/template/spec"),
            json!([{"name": "X", "value": "z"}, otlp])
        );
        assert_eq!(
            env(&objects[1], "/spec/jobTemplate/spec/template/spec"),
            json!([otlp])
        );
        assert_eq!(objects[2]["spec"], json!({}));
    }
}
