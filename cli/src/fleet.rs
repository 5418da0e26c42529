//! `GET /fleet`: what the engine knows of its functions, as list-functions answers it.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Router, routing::get};
use http::StatusCode;
use zerocart_activator::{
    Activator, FunctionStatus, InstanceState, InstanceStatus, JobStatus, Jobs,
};
use zerocart_collector::Collector;
use zerocart_core::time::rfc3339;
use zerocart_observability::goals::FAILURES;
use zerocart_proto::ops::{
    FleetBreaker, FleetBreakerState, FleetFunction, FleetInstances, FleetJob, FleetKind,
    ListFunctionsResponse,
};

use crate::{domains, status::json};

/// `GET /fleet`. It starts nothing.
pub(crate) fn router(activator: Activator, jobs: Jobs, collector: Collector) -> Router {
    let answer = async move || {
        let answer = fleet(
            &activator.status(),
            &jobs.status(),
            &errors(&collector.values("calls")),
            breakers(&collector.values("breaker_state")),
        );
        json(StatusCode::OK, &answer)
    };
    Router::new().route("/fleet", get(answer))
}

/// The values of a metric, each with those of its labels.
type Values = [(Vec<String>, f64)];

/// The failed calls of each function. The labels are function, protocol and code.
fn errors(calls: &Values) -> BTreeMap<String, u64> {
    let mut errors = BTreeMap::new();
    for (labels, count) in calls {
        if let [function, _, code] = labels.as_slice()
            && FAILURES.split('|').any(|failure| failure == code)
        {
            // A count: whole, and never negative.
            *errors.entry(function.clone()).or_default() += *count as u64;
        }
    }
    errors
}

/// Breakers by name. The value is the place of the state: closed, half-open, open.
fn breakers(states: &Values) -> Vec<FleetBreaker> {
    let breaker = |(labels, place): &(Vec<String>, f64)| {
        let state = match place {
            0.0 => FleetBreakerState::Closed,
            1.0 => FleetBreakerState::HalfOpen,
            2.0 => FleetBreakerState::Open,
            _ => return None,
        };
        Some(FleetBreaker {
            name: labels.first()?.clone(),
            state: state.into(),
        })
    };
    let mut breakers: Vec<_> = states.iter().filter_map(breaker).collect();
    breakers.sort_by(|one, other| one.name.cmp(&other.name));
    breakers
}

fn fleet(
    functions: &[FunctionStatus],
    jobs: &[JobStatus],
    errors: &BTreeMap<String, u64>,
    breakers: Vec<FleetBreaker>,
) -> ListFunctionsResponse {
    let functions = functions.iter().map(|status| function(status, errors));
    let mut all: Vec<_> = functions.chain(jobs.iter().map(job)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    ListFunctionsResponse {
        engine: "local".into(),
        read_at: rfc3339(SystemTime::now()),
        functions: all,
        breakers,
        // The engine counts all that is asked for.
        missing: Vec::new(),
    }
}

fn function(status: &FunctionStatus, errors: &BTreeMap<String, u64>) -> FleetFunction {
    let entry = domains::function(&status.name);
    let of_state = |state| {
        let is = |instance: &&InstanceStatus| instance.state == state;
        count(status.instances.iter().filter(is).count() as u64)
    };
    FleetFunction {
        name: status.name.clone(),
        domain: entry.map_or_else(String::new, |entry| entry.info.domain.to_owned()),
        kind: match entry {
            Some(_) => FleetKind::Function.into(),
            None => FleetKind::Edge.into(),
        },
        instances: Some(FleetInstances {
            starting: of_state(InstanceState::Starting),
            ready: of_state(InstanceState::Ready),
            draining: of_state(InstanceState::Stopping),
        }),
        max_scale: Some(count(status.max_instances as u64)),
        requests: Some(count(status.requests)),
        // The edge writes no spans of calls.
        errors: entry.map(|_| count(errors.get(&status.name).copied().unwrap_or_default())),
        cold_starts: Some(count(status.cold_starts)),
        crashes: Some(count(status.crashes)),
        held: Some(count(status.held as u64)),
        last_started_at: status.last_started_at_unix_ms.map_or_else(String::new, at),
        last_start_ms: status.last_start_ms.map(count),
        job: None,
    }
}

fn job(status: &JobStatus) -> FleetFunction {
    let entry = domains::job(&status.name);
    let last = status.last.as_ref();
    FleetFunction {
        name: status.name.clone(),
        domain: entry.map_or_else(String::new, |entry| entry.info.domain.to_owned()),
        kind: FleetKind::Job.into(),
        instances: Some(FleetInstances {
            ready: status.running.into(),
            ..FleetInstances::default()
        }),
        job: Some(FleetJob {
            schedule: status.schedule.clone(),
            running: status.running,
            next_run_at: status.next_run_unix_ms.map_or_else(String::new, at),
            last_run_at: last.map_or_else(String::new, |run| at(run.started_at_unix_ms)),
            runs: Some(count(status.runs)),
            failures: Some(count(status.failures)),
        }),
        ..FleetFunction::default()
    }
}

fn at(unix_ms: u64) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_millis(unix_ms))
}

/// A count as the wire has it; one that is too large is the largest.
fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: &[&str], value: f64) -> (Vec<String>, f64) {
        (
            labels.iter().map(|label| (*label).to_owned()).collect(),
            value,
        )
    }

    #[test]
    fn failures_of_the_system_are_errors_and_refusals_are_not() {
        let errors = errors(&[
            labelled(&["get-cart", "http", "OK"], 9.0),
            labelled(&["get-cart", "http", "INTERNAL"], 2.0),
            labelled(&["get-cart", "grpc", "UNAVAILABLE"], 1.0),
            labelled(&["get-cart", "grpc", "NOT_FOUND"], 5.0),
            labelled(&["get-user", "http", "INVALID_ARGUMENT"], 5.0),
        ]);
        assert_eq!(
            errors.into_iter().collect::<Vec<_>>(),
            [("get-cart".into(), 3)]
        );
    }

    #[test]
    fn breakers_have_their_states() {
        let breakers = breakers(&[
            labelled(&["process-payment"], 2.0),
            labelled(&["get-product"], 0.0),
        ]);
        let states: Vec<_> = breakers
            .iter()
            .map(|b| (b.name.as_str(), b.state()))
            .collect();
        let expected = [
            ("get-product", FleetBreakerState::Closed),
            ("process-payment", FleetBreakerState::Open),
        ];
        assert_eq!(states, expected);
    }

    #[test]
    fn each_state_of_an_instance_is_counted() {
        let instance = |state| InstanceStatus {
            pid: Some(7),
            started_at_unix_ms: 0,
            in_flight: 0,
            state,
        };
        let status = FunctionStatus {
            name: "get-product".into(),
            instances: [
                InstanceState::Ready,
                InstanceState::Starting,
                InstanceState::Ready,
                InstanceState::Stopping,
            ]
            .map(instance)
            .into(),
            max_instances: 5,
            held: 2,
            requests: 1 << 40,
            cold_starts: 3,
            last_start_ms: Some(4),
            last_started_at_unix_ms: Some(1_000),
            crashes: 1,
        };
        let of_function = function(&status, &BTreeMap::new());
        let instances = of_function.instances.unwrap();
        assert_eq!(
            (instances.starting, instances.ready, instances.draining),
            (1, 2, 1)
        );
        assert_eq!(of_function.domain, "product");
        assert_eq!(of_function.errors, Some(0));
        // No such count fits; it is not a small one.
        assert_eq!(of_function.requests, Some(i32::MAX));
        assert_eq!(of_function.last_started_at, "1970-01-01T00:00:01.000000Z");
        let at_edge = FunctionStatus {
            name: "dashboard".into(),
            ..status
        };
        let at_edge = function(&at_edge, &BTreeMap::new());
        assert_eq!((at_edge.kind(), at_edge.errors), (FleetKind::Edge, None));
    }
}
