//! Times that must be ordered, and connections that must fit.

use std::time::Duration;

use zerocart_activator::Function;
use zerocart_gateway::Route;
use zerocart_proto::rpc::Info;

/// What the queue-proxy's drain (30 s) and a pod's grace need at the least.
const DRAIN: Duration = Duration::from_secs(35);

/// Whoever is asked gives up before whoever asks: a function before Knative, Knative before Kong.
///
/// A unary answer begins and ends at once, so Knative's limit for it is
/// `responseStartTimeoutSeconds`. `timeoutSeconds` is also the grace of a pod that is drained, and
/// is 35 s at the least.
pub fn times(functions: &[Info], manifests: &[Function], routes: &[Route]) -> Vec<String> {
    let mut wrong = Vec::new();
    for function in functions {
        let name = function.name;
        let Some(knative) = manifests.iter().find(|manifest| manifest.name == name) else {
            wrong.push(format!("{name}: no limit of Knative"));
            continue;
        };
        let (own, start) = (function.timeout(), knative.response_start_timeout);
        if own >= start {
            wrong.push(format!(
                "{name}: its own {own:?} are not below Knative's {start:?}"
            ));
        }
        if knative.timeout < DRAIN || knative.timeout < start {
            let timeout = knative.timeout;
            wrong.push(format!(
                "{name}: {timeout:?} are too short to drain ({DRAIN:?})"
            ));
        }
        let first = format!("{name}.");
        let kong = routes
            .iter()
            .filter(|route| route.service.host.starts_with(&first));
        for route in kong {
            let read = route.service.read_timeout;
            if start >= read {
                let route = &route.name;
                wrong.push(format!(
                    "{route}: Knative's {start:?} are not below Kong's {read:?}"
                ));
            }
        }
    }
    wrong
}

/// Each caller waits longer than each function that it calls.
pub fn callers(rpcs: &[Info]) -> Vec<String> {
    let mut wrong = Vec::new();
    for caller in rpcs {
        for called in caller.calls {
            match rpcs.iter().find(|rpc| rpc.name == *called) {
                None => wrong.push(format!("{} calls {called}, which is no RPC", caller.name)),
                Some(rpc) if rpc.timeout_ms >= caller.timeout_ms => wrong.push(format!(
                    "{} waits {} ms for {called}, which may take {} ms",
                    caller.name, caller.timeout_ms, rpc.timeout_ms
                )),
                Some(_) => {}
            }
        }
    }
    wrong
}

/// All instances of all functions, each with a full pool, fit into `max_connections`.
pub fn connections(manifests: &[Function], max_connections: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut sum = 0;
    for manifest in manifests {
        let size = manifest
            .env
            .iter()
            .find(|(name, _)| name == "DATABASE_POOL_SIZE");
        match size.and_then(|(_, size)| size.parse::<u64>().ok()) {
            Some(size) => sum += size * manifest.limits.max as u64,
            None => wrong.push(format!("{}: no DATABASE_POOL_SIZE", manifest.name)),
        }
    }
    if sum > max_connections {
        wrong.push(format!(
            "max-scale × pool size is {sum} over all functions, and PostgreSQL takes {max_connections}"
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kong::tests::routes,
        sample::{FUNCTIONS, only},
    };

    fn manifests() -> Vec<Function> {
        let manifest = |f: &Info| {
            let mut manifest = Function::new(f.name);
            manifest.response_start_timeout = Duration::from_secs(20);
            manifest.timeout = DRAIN;
            manifest.limits.max = 4;
            manifest.env = vec![("DATABASE_POOL_SIZE".into(), "2".into())];
            manifest
        };
        FUNCTIONS.iter().map(manifest).collect()
    }

    #[test]
    fn times_that_are_out_of_order_are_told() {
        let kong = routes(|text| text);
        assert_eq!(times(&FUNCTIONS, &manifests(), kong.routes()), [""; 0]);

        let mut slow = FUNCTIONS;
        slow[0].timeout_ms = 20_000;
        only(
            &times(&slow, &manifests(), kong.routes()),
            "create-user: its own 20s",
        );

        let mut short = manifests();
        short[0].timeout = Duration::from_secs(30);
        only(
            &times(&FUNCTIONS, &short, kong.routes()),
            "too short to drain",
        );

        only(
            &times(&FUNCTIONS, &manifests()[1..], kong.routes()),
            "no limit of Knative",
        );

        let hasty = routes(|text| text.replacen("read_timeout: 30000", "read_timeout: 20000", 1));
        only(
            &times(&FUNCTIONS, &manifests(), hasty.routes()),
            "not below Kong's 20s",
        );
    }

    #[test]
    fn a_caller_that_waits_too_short_is_told() {
        let mut rpcs = FUNCTIONS;
        rpcs[0].timeout_ms = 6_000;
        rpcs[0].calls = &["get-user"];
        assert_eq!(callers(&rpcs), [""; 0]);
        rpcs[0].timeout_ms = rpcs[1].timeout_ms;
        only(&callers(&rpcs), "create-user waits 5000 ms for get-user");
        rpcs[0].calls = &["eat-user"];
        only(&callers(&rpcs), "which is no RPC");
    }

    #[test]
    fn connections_that_do_not_fit_are_told() {
        assert_eq!(connections(&manifests(), 24), [""; 0]);
        only(&connections(&manifests(), 23), "is 24 over all functions");
        let mut unknown = manifests();
        unknown[0].env.clear();
        only(
            &connections(&unknown, 24),
            "create-user: no DATABASE_POOL_SIZE",
        );
    }
}
