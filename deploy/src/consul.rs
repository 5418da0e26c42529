//! `consul/` and `knative/consul/`: what `zerocart deploy --with consul` adds, made from who calls whom.
//!
//! Functions that are called have no sidecar. They are registered as services behind one terminating
//! gateway, which sends requests on to Kourier. Functions and jobs that call others have a sidecar with one
//! port of this machine for each function that they call. The gateway decides at each request whether the
//! caller may call this RPC, before anything is woken.

mod callers;
mod entries;

use crate::{NAMESPACE, Output, Unit};

pub use callers::LABEL;
pub(crate) use callers::{SIDECAR_CPU_M, SIDECAR_MEMORY_MIB};

/// The Kubernetes namespace of Consul, and of its configuration.
pub const CONSUL_NAMESPACE: &str = "zerocart-consul";

/// The name of the terminating gateway, which `consul/values.yaml` has, too.
const GATEWAY: &str = "terminating-gateway";

/// The port of this machine on which a caller's sidecar has the first function that it calls. The others
/// follow. Ports of Knative's queue-proxy, of Envoy and of Consul's programs are far from here.
const FIRST_PORT: u16 = 9101;

/// What the proxies wait longer than the caller, which waits as long as the function may take: the caller's
/// limit ends first, and it knows what its own limit means.
const PROXY_MARGIN_S: u32 = 2;

/// A function that is called, and who calls it.
#[derive(Debug)]
struct Called<'a> {
    unit: &'a Unit,
    callers: Vec<&'a Unit>,
}

/// All files of it.
pub fn render(units: &[Unit]) -> Vec<Output> {
    let called = called(units);
    let callers: Vec<_> = units.iter().filter(|unit| !unit.calls.is_empty()).collect();
    let mut outputs = entries::render(&called, &callers);
    outputs.extend(callers::render(&called, &callers));
    outputs
}

/// The functions that are called, in the order of `proto/`.
fn called(units: &[Unit]) -> Vec<Called<'_>> {
    let called = units.iter().filter(|unit| unit.rpc.is_some());
    let called = called.map(|unit| Called {
        unit,
        callers: units
            .iter()
            .filter(|caller| caller.calls.contains(&unit.name))
            .collect(),
    });
    called.filter(|called| !called.callers.is_empty()).collect()
}

/// The name by which Consul knows a caller: that of the function or job. A function that is called itself
/// has its own name as a service behind the gateway, and another one as a caller: under one name, requests
/// would go past Kourier to a sidecar that happens to run.
fn identity(caller: &Unit, called: &[Called<'_>]) -> String {
    match called.iter().any(|called| called.unit.name == caller.name) {
        true => format!("{}-caller", caller.name),
        false => caller.name.to_owned(),
    }
}

/// The address of a function on the cluster, by which Kourier knows it.
fn host(function: &str) -> String {
    format!("{function}.{NAMESPACE}.svc.cluster.local")
}
