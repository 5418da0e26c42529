//! The kustomize component `knative/consul`: it gives each caller a sidecar, and an identity to go with it.
//! Without the component, nothing of Consul is in any manifest.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Called, FIRST_PORT, identity};
use crate::{NAMESPACE, Output, Unit, knative::TIMEOUT_S, text::head};

/// The label of all objects that only the component adds, by which they are removed.
pub const LABEL: &str = "zerocart/mesh";

/// The CPU that a sidecar asks for, in thousandths, and the memory that it asks for, in MiB.
pub(crate) const SIDECAR_CPU_M: u32 = 25;
pub(crate) const SIDECAR_MEMORY_MIB: u32 = 64;

/// The most memory that a sidecar gets, in MiB.
const SIDECAR_LIMIT_MIB: u32 = 192;

/// How long a sidecar stays after its pod was told to end: what the function has begun can still call others.
/// The pod itself has `timeoutSeconds`.
const GRACE_S: u32 = TIMEOUT_S - 2;

/// The component.
pub(super) fn render(called: &[Called<'_>], callers: &[&Unit]) -> Vec<Output> {
    let mut outputs = Vec::new();
    for caller in callers {
        let name = caller.name;
        let identity = identity(caller, called);
        outputs.push(Output::file(
            format!("knative/consul/identities/{name}.yaml"),
            format!("{}{}", head("#", "proto/"), objects(caller, &identity)),
        ));
        outputs.push(Output::file(
            format!("knative/consul/patches/{name}.yaml"),
            format!("{}{}", head("#", "proto/"), patch(caller, &identity)),
        ));
    }
    outputs.push(Output::file(
        "knative/consul/kustomization.yaml",
        kustomization(callers),
    ));
    outputs
}

/// The ServiceAccount by which Consul knows a caller, and the Kubernetes Service by which it finds its pods.
fn objects(caller: &Unit, identity: &str) -> String {
    let name = caller.name;
    let selector = match caller.rpc {
        Some(_) => format!("serving.knative.dev/service: {name}"),
        None => format!("app.kubernetes.io/name: {name}"),
    };
    format!(
        "\
# Consul knows a caller by the name of its ServiceAccount.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {identity}
  namespace: {NAMESPACE}
  labels:
    {LABEL}: caller
---
# Nobody calls this Service. Consul's controller registers the pods of a Service, and Knative's own Services
# have another name with each revision.
apiVersion: v1
kind: Service
metadata:
  name: {name}-mesh
  namespace: {NAMESPACE}
  labels:
    {LABEL}: caller
spec:
  clusterIP: None
  # A pod is registered as soon as it has an address: its sidecar waits for that.
  publishNotReadyAddresses: true
  selector:
    {selector}
  ports:
    - name: unused
      port: 8080
"
    )
}

/// What changes in the manifest of a caller.
fn patch(caller: &Unit, identity: &str) -> String {
    let template = match caller.rpc {
        Some(_) => "/spec/template",
        None => "/spec/jobTemplate/spec/template",
    };
    let name = caller.name;
    let mut text = String::new();
    let mut add = |operation: &str, path: &str, value: Option<String>| {
        let _ = write!(text, "- op: {operation}\n  path: {template}{path}\n");
        if let Some(value) = value {
            let _ = writeln!(text, "  value: {value}");
        }
    };
    if caller.rpc.is_none() {
        // A CronJob has none.
        add("add", "/metadata/annotations", Some("{}".to_owned()));
        add(
            "add",
            "/metadata/labels/app.kubernetes.io~1name",
            Some(name.to_owned()),
        );
    }
    add(
        "add",
        &format!("/metadata/labels/{}", LABEL.replace('/', "~1")),
        Some("caller".to_owned()),
    );
    for (annotation, value) in annotations(caller, identity) {
        let path = format!("/metadata/annotations/consul.hashicorp.com~1{annotation}");
        add("add", &path, Some(Value::from(value).to_string()));
    }
    // The sidecar logs in to Consul with the token of the account. Knative takes no `true` here.
    add("add", "/spec/serviceAccountName", Some(identity.to_owned()));
    add("remove", "/spec/automountServiceAccountToken", None);
    // Both are in the order of the generated manifest, which these lines check.
    let env = "/spec/containers/0/env";
    add(
        "test",
        &format!("{env}/1/name"),
        Some("FUNCTION_URL_TEMPLATE".to_owned()),
    );
    let value =
        |name: &str, value: &str| Some(format!("{{name: {name}, value: {}}}", Value::from(value)));
    add(
        "replace",
        &format!("{env}/1"),
        value("FUNCTION_URLS", &urls(caller)),
    );
    add(
        "add",
        &format!("{env}/-"),
        value("FUNCTION_SIDECAR", "true"),
    );
    text
}

/// Where a caller finds the functions that it calls: ports of its sidecar, in the order of `proto/`.
fn ports(caller: &Unit) -> impl Iterator<Item = (&'static str, u16)> {
    caller.calls.iter().copied().zip(FIRST_PORT..)
}

fn urls(caller: &Unit) -> String {
    let urls = ports(caller).map(|(function, port)| {
        let url = format!("http://127.0.0.1:{port}");
        (function.to_owned(), Value::from(url))
    });
    Value::Object(urls.collect::<Map<_, _>>()).to_string()
}

/// The annotations by which Consul's injector makes the sidecar.
fn annotations(caller: &Unit, identity: &str) -> Vec<(&'static str, String)> {
    let upstreams = ports(caller).map(|(function, port)| format!("{function}:{port}"));
    let upstreams: Vec<_> = upstreams.collect();
    let mut annotations = vec![
        ("connect-inject", "true".to_owned()),
        ("connect-service", identity.to_owned()),
        // Of all Services with this pod, the one to register it by.
        ("kubernetes-service", format!("{}-mesh", caller.name)),
        ("connect-service-port", "8080".to_owned()),
        ("connect-service-upstreams", upstreams.join(",")),
        ("transparent-proxy", "false".to_owned()),
        // One thread: it starts faster, and a function has few calls at once.
        ("consul-envoy-proxy-concurrency", "1".to_owned()),
        ("sidecar-proxy-cpu-request", format!("{SIDECAR_CPU_M}m")),
        (
            "sidecar-proxy-memory-request",
            format!("{SIDECAR_MEMORY_MIB}Mi"),
        ),
        (
            "sidecar-proxy-memory-limit",
            format!("{SIDECAR_LIMIT_MIB}Mi"),
        ),
    ];
    let of_kind: &[(&str, String)] = &match caller.rpc {
        // It starts beside the function, which waits for it at its first call, and ends after it.
        Some(_) => [
            ("enable-consul-dataplane-as-sidecar", "false".to_owned()),
            ("enable-sidecar-proxy-lifecycle", "true".to_owned()),
            (
                "enable-sidecar-proxy-lifecycle-shutdown-drain-listeners",
                "false".to_owned(),
            ),
            (
                "sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
                GRACE_S.to_string(),
            ),
        ],
        // A run of a job is over when all its containers have ended, so the sidecar must be one that
        // Kubernetes starts before the job and ends after it.
        None => [
            ("enable-consul-dataplane-as-sidecar", "true".to_owned()),
            ("enable-sidecar-proxy-lifecycle", "false".to_owned()),
            ("sidecar-probe-period-seconds", "1".to_owned()),
            ("sidecar-probe-failure-threshold", "20".to_owned()),
        ],
    };
    annotations.extend(of_kind.iter().cloned());
    annotations
}

fn kustomization(callers: &[&Unit]) -> String {
    let mut text = head("#", "proto/");
    text.push_str(
        "# Gives each caller a sidecar of Consul. Only with `zerocart deploy --with consul`, and only on top of an\n\
         # overlay, which has the labels of the pods.\n\
         apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n\nresources:\n  - policies.yaml\n",
    );
    for caller in callers {
        let _ = writeln!(text, "  - identities/{}.yaml", caller.name);
    }
    text.push_str(
        "\nlabels:\n  - pairs:\n      app.kubernetes.io/part-of: zerocart\n      \
         app.kubernetes.io/managed-by: zerocart\n\npatches:\n",
    );
    for caller in callers {
        let name = caller.name;
        let target = match caller.rpc {
            Some(_) => {
                format!("group: serving.knative.dev\n      kind: Service\n      name: {name}")
            }
            None => format!("kind: CronJob\n      name: {name}"),
        };
        let _ = write!(
            text,
            "  - path: patches/{name}.yaml\n    target:\n      {target}\n"
        );
    }
    text.push_str(
        "  # Nothing in this namespace reaches Kourier any more: only the gateway, the edge and Knative do.\n\
         \x20 - target:\n      kind: NetworkPolicy\n      name: names-and-calls\n    patch: |-\n      \
         - op: test\n        path: /spec/egress/1/ports/0/port\n        value: 8081\n      \
         - op: remove\n        path: /spec/egress/1\n",
    );
    text
}
