//! The kustomizations of `knative/`: one per folder, one for all of them, and an overlay per
//! environment. An overlay can only name folders, because kustomize refuses files outside of its own.

use crate::{
    NAMESPACE, Output, Settings, Sources, Unit,
    budget::{Pods, QUEUE_PROXY_CPU_M, QUEUE_PROXY_MEMORY_MIB},
    text::{comment, head},
};

const HEADER: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\n";

/// What differs between environments.
struct Overlay {
    name: &'static str,
    /// What it is for.
    what: &'static str,
    pull_policy: &'static str,
    why_policy: &'static str,
    quota: Pods,
    why_quota: &'static str,
    /// The quota where callers have a sidecar of Consul.
    with_sidecars: Pods,
}

/// `kustomization.yaml` of `knative/` and of the folders in it that hold `manifests`, and the
/// overlays.
pub fn render(
    sources: &Sources<'_>,
    units: &[Unit],
    settings: &Settings,
    manifests: &[Output],
) -> Vec<Output> {
    let mut outputs = Vec::new();
    let folders = ["services", "jobs", "edge"];
    for folder in folders {
        let prefix = format!("knative/{folder}/");
        let files = manifests.iter();
        let files: Vec<_> = files.filter_map(|m| m.path.strip_prefix(&prefix)).collect();
        outputs.push(kustomization(&format!("knative/{folder}"), "", &files));
    }
    let why = comment(
        "",
        "All functions, jobs and services of the edge. The namespace is not among them: `kubectl \
         delete -k` would delete it, and all secrets in it.",
    );
    outputs.push(kustomization("knative", &why, &folders));
    let first = Pods::of_first_start(sources, units);
    let full = Pods::at_full_scale(sources, units, settings);
    let overlays = [
        Overlay {
            name: "kind",
            what: "For a cluster on one machine (kind, minikube, k3d), whose node has the images.",
            pull_policy: "Never",
            why_policy: "Images are loaded into the node. One that is missing fails at once, instead \
                         of after attempts to fetch it from a registry that does not exist.",
            quota: first,
            why_quota: "The first start of all functions at once, as `kubectl apply` causes it; twice, \
                        because the next deployment starts all of them again while the instances \
                        before it still drain; and a run of each job.",
            with_sidecars: first.with_sidecars(units, |_| 1),
        },
        Overlay {
            name: "production",
            what: "For a cluster whose nodes pull the images from a registry.",
            pull_policy: "IfNotPresent",
            why_policy: "A tag names one content, so a node never needs to ask for it twice. To ask at \
                         each start would put the registry into every cold start.",
            quota: full,
            why_quota: "Every function at max-scale; twice, because a rollout runs two revisions; and \
                        a run of each job.",
            with_sidecars: full.with_sidecars(units, |name| settings.of(name).max_scale),
        },
    ];
    for overlay in overlays {
        outputs.push(overlay.kustomization());
        outputs.push(overlay.quota());
        outputs.push(overlay.with_consul());
    }
    outputs
}

fn kustomization(folder: &str, why: &str, resources: &[&str]) -> Output {
    let head = head("#", "proto/");
    let list = resources.iter().map(|path| format!("  - {path}\n"));
    let list: String = list.collect();
    Output::file(
        format!("{folder}/kustomization.yaml"),
        format!("{head}{why}{HEADER}resources:\n{list}"),
    )
}

impl Overlay {
    fn path(&self, file: &str) -> String {
        format!("knative/overlays/{}/{file}", self.name)
    }

    fn kustomization(&self) -> Output {
        let Self { pull_policy, .. } = self;
        let head = head("#", "proto/");
        let what = comment("", self.what);
        let why_policy = comment("  ", self.why_policy);
        let text = format!(
            "{head}{what}{HEADER}\
resources:
  - ../../services
  - ../../jobs
  - ../../edge
  - ../../policies
  - quota.yaml

labels:
  # Objects and pods. Labels never become part of a selector here.
  - pairs:
      app.kubernetes.io/part-of: zerocart
      app.kubernetes.io/managed-by: zerocart
    includeTemplates: true
    fields:
      # Kustomize does not know the template of a Knative Service.
      - path: spec/template/metadata/labels
        group: serving.knative.dev
        kind: Service
        create: true

patches:
{why_policy}  #
  # The queue-proxy asks for what it takes. By default it asks for no memory: the scheduler would count
  # too little, and a quota of memory would refuse the pod.
  - target:
      group: serving.knative.dev
      kind: Service
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/imagePullPolicy
        value: {pull_policy}
      - op: add
        path: /spec/template/metadata/annotations/queue.sidecar.serving.knative.dev~1cpu-resource-request
        value: {QUEUE_PROXY_CPU_M}m
      - op: add
        path: /spec/template/metadata/annotations/queue.sidecar.serving.knative.dev~1memory-resource-request
        value: {QUEUE_PROXY_MEMORY_MIB}Mi
  - target:
      kind: CronJob
    patch: |-
      - op: add
        path: /spec/jobTemplate/spec/template/spec/containers/0/imagePullPolicy
        value: {pull_policy}
"
        );
        Output::file(self.path("kustomization.yaml"), text)
    }

    /// The overlay with the sidecars of `knative/consul`.
    fn with_consul(&self) -> Output {
        let Self {
            name,
            with_sidecars: Pods {
                cpu_m, memory_mib, ..
            },
            ..
        } = self;
        let head = head("#", "proto/ and functions/*/functions.toml");
        let text = format!(
            "{head}# The overlay {name}, with a sidecar of Consul beside each function and job that calls others.\n\
             {HEADER}\
resources:
  - ../{name}

components:
  - ../../consul

patches:
  # Sidecars ask for CPU and memory, too.
  - target:
      kind: ResourceQuota
      name: functions
    patch: |-
      - op: replace
        path: /spec/hard/requests.cpu
        value: {cpu_m}m
      - op: replace
        path: /spec/hard/requests.memory
        value: {memory_mib}Mi
"
        );
        Output::file(
            format!("knative/overlays/{name}-consul/kustomization.yaml"),
            text,
        )
    }

    fn quota(&self) -> Output {
        let Pods {
            pods,
            cpu_m,
            memory_mib,
        } = self.quota;
        let head = head("#", "proto/ and functions/*/functions.toml");
        let why = comment("    ", self.why_quota);
        let text = format!(
            "{head}\
apiVersion: v1
kind: ResourceQuota
metadata:
  name: functions
  namespace: {NAMESPACE}
spec:
  hard:
{why}    pods: \"{pods}\"
    requests.cpu: {cpu_m}m
    requests.memory: {memory_mib}Mi
    # Only the public edge is reached from outside, and no function has a disk.
    services.nodeports: \"0\"
    services.loadbalancers: \"0\"
    persistentvolumeclaims: \"0\"
"
        );
        Output::file(self.path("quota.yaml"), text)
    }
}
