//! Consul's configuration: one file for each function that is called and for each caller.

use std::fmt::Write as _;

use zerocart_proto::rpc::Info;

use super::{CONSUL_NAMESPACE, Called, GATEWAY, PROXY_MARGIN_S, host, identity};
use crate::{
    Output, Unit,
    text::{comment, head},
};

const API: &str = "apiVersion: consul.hashicorp.com/v1alpha1";

/// The files of `consul/` that are made.
pub(super) fn render(called: &[Called<'_>], callers: &[&Unit]) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut add = |path: String, text: String| {
        let head = head("#", "proto/");
        outputs.push(Output::file(
            format!("consul/{path}"),
            format!("{head}{text}"),
        ));
    };
    for function in called {
        let path = format!("services/{}.yaml", function.unit.name);
        add(path, service(function, called));
    }
    for caller in callers {
        let identity = identity(caller, called);
        add(format!("callers/{}.yaml", caller.name), defaults(&identity));
    }
    add("gateway.yaml".to_owned(), gateway(called));
    let services = called.iter().map(|c| format!("services/{}", c.unit.name));
    let names = callers.iter().map(|c| format!("callers/{}", c.name));
    add(
        "kustomization.yaml".to_owned(),
        kustomization(services.chain(names)),
    );
    let identities = callers.iter().map(|caller| identity(caller, called));
    outputs.push(Output::region(
        "consul/values.yaml",
        "callers",
        selector(&identities.collect::<Vec<_>>()),
    ));
    outputs
}

/// What Consul knows of a function that is called.
fn service(function: &Called<'_>, called: &[Called<'_>]) -> String {
    let name = function.unit.name;
    let timeout_s = function.unit.timeout_s() + PROXY_MARGIN_S;
    let host = host(name);
    let mut text = format!(
        "\
{API}
kind: ServiceDefaults
metadata:
  name: {name}
  namespace: {CONSUL_NAMESPACE}
spec:
  protocol: grpc
---
# A caller waits {limit_s} s at most, which is the function's own limit. The proxies end after that.
{API}
kind: ServiceResolver
metadata:
  name: {name}
  namespace: {CONSUL_NAMESPACE}
spec:
  connectTimeout: 2s
  requestTimeout: {timeout_s}s
---
# The gateway sends its requests to Kourier, under the name by which Kourier knows the function. A
# Registration belongs to no namespace.
{API}
kind: Registration
metadata:
  name: zerocart-{name}
spec:
  node: kourier
  address: kourier-internal.kourier-system.svc.cluster.local
  nodeMeta:
    external-node: \"true\"
  service:
    id: {name}
    name: {name}
    address: {host}
    port: 80
    weights: {{passing: 1, warning: 1}}
---
# Who may call it: these callers, this RPC. A caller may also ask its health, which wakes it before it is
# needed.
{API}
kind: ServiceIntentions
metadata:
  name: {name}
  namespace: {CONSUL_NAMESPACE}
spec:
  destination:
    name: {name}
  sources:
",
        limit_s = function.unit.timeout_s(),
    );
    for caller in &function.callers {
        let identity = identity(caller, called);
        text.push_str(&source(&identity, function.unit.rpc.as_ref()));
    }
    text.push_str("    # Nobody else, also where Consul's own default is to allow.\n");
    text.push_str("    - name: \"*\"\n      action: deny\n");
    text
}

fn source(identity: &str, rpc: Option<&Info>) -> String {
    let mut text = format!("    - name: {identity}\n      permissions:\n");
    let mut permission = |action: &str, key: &str, path: &str, method: Option<&str>| {
        let _ = write!(
            text,
            "        - action: {action}\n          http:\n            {key}: {path}\n"
        );
        if let Some(method) = method {
            let _ = writeln!(text, "            methods: [{method}]");
        }
    };
    if let Some(rpc) = rpc {
        permission("allow", "pathExact", rpc.grpc_path, Some("POST"));
    }
    permission("allow", "pathExact", "/health", Some("GET"));
    permission("deny", "pathPrefix", "/", None);
    text
}

/// What Consul knows of a caller.
fn defaults(identity: &str) -> String {
    format!(
        "\
# Nobody calls it by its sidecar: no intention names it as a destination.
{API}
kind: ServiceDefaults
metadata:
  name: {identity}
  namespace: {CONSUL_NAMESPACE}
spec:
  protocol: grpc
  upstreamConfig:
    defaults:
      # Envoy would take the gateway for dead after five failures of one function, and refuse all calls of it
      # for 30 s. The caller's own circuit breaker decides.
      passiveHealthCheck:
        interval: 10s
        enforcingConsecutive5xx: 0
"
    )
}

fn gateway(called: &[Called<'_>]) -> String {
    let why = comment(
        "",
        "The functions that the terminating gateway takes requests for. Consul's controller gives the \
         gateway's ACL role a policy for each of them.",
    );
    let names = called.iter().map(|called| called.unit.name);
    let names: String = names.map(|name| format!("    - name: {name}\n")).collect();
    format!(
        "{why}{API}\nkind: TerminatingGateway\nmetadata:\n  name: {GATEWAY}\n  namespace: {CONSUL_NAMESPACE}\n\
         spec:\n  services:\n{names}"
    )
}

fn kustomization(files: impl Iterator<Item = String>) -> String {
    let files: String = files.map(|file| format!("  - {file}.yaml\n")).collect();
    format!(
        "# Consul's configuration: it needs Consul's custom resources, which its chart installs.\n\
         apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\n\
         resources:\n  - mesh.yaml\n  - gateway.yaml\n{files}\n\
         labels:\n  - pairs:\n      app.kubernetes.io/part-of: zerocart\n      \
         app.kubernetes.io/managed-by: zerocart\n"
    )
}

/// The value of the chart that says who may log in to Consul as a service: callers, and nobody else. The chart
/// puts it into a shell script as it is, hence the outer quotes.
fn selector(identities: &[String]) -> String {
    format!(
        "  aclBindingRuleSelector: >-\n    'serviceaccount.namespace == \"{}\" and\n    \
         serviceaccount.name matches \"^({})$\"'\n",
        crate::NAMESPACE,
        identities.join("|")
    )
}
