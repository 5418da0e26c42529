//! What the engine alone knows, as metrics: instances, requests that wait, sessions of the database.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::text::encode_registry,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use zerocart_activator::{FunctionStatus, InstanceState};
use zerocart_broker::Status;
use zerocart_observability::metrics::{ALL, Kind, PREFIX, Source};

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<u64, AtomicU64>>;
type Counters = Family<Labels, Counter>;

/// The metrics of the present moment, in the OpenMetrics text format, without its end. The database's are left
/// out while no broker runs.
pub(crate) fn text(functions: &[FunctionStatus], sessions: Option<&Status>) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    for metric in ALL {
        if !matches!(metric.source, Source::Engine) {
            continue;
        }
        let labels = |values: &[&str]| -> Labels {
            let names = metric.labels.iter().map(|label| label.name);
            let values = values.iter().map(|value| (*value).to_owned());
            names.zip(values).collect()
        };
        let found = found(metric.name, functions, sessions);
        match metric.kind {
            Kind::Counter => {
                let family = Counters::default();
                for (values, number) in found {
                    let values: Vec<_> = values.iter().map(|value| &**value).collect();
                    family.get_or_create_owned(&labels(&values)).inc_by(number);
                }
                registry.register(metric.name, metric.help, family);
            }
            Kind::Gauge | Kind::Histogram => {
                let family = Gauges::default();
                for (values, number) in found {
                    let values: Vec<_> = values.iter().map(|value| &**value).collect();
                    family.get_or_create_owned(&labels(&values)).set(number);
                }
                registry.register(metric.name, metric.help, family);
            }
        }
    }
    let mut text = String::new();
    encode_registry(&mut text, &registry).expect("a String takes all that is written");
    text
}

type Found = Vec<(Vec<String>, u64)>;

/// The values of a metric, each with those of its labels.
fn found(metric: &str, functions: &[FunctionStatus], sessions: Option<&Status>) -> Found {
    let of_functions = |number: fn(&FunctionStatus) -> u64| -> Found {
        let functions = functions.iter();
        let of_each = functions.map(|f| (vec![f.name.clone()], number(f)));
        of_each.collect()
    };
    let roles = sessions.map_or(&[][..], |status| &status.roles);
    match metric {
        "instances" => {
            let states = [
                (InstanceState::Starting, "starting"),
                (InstanceState::Ready, "ready"),
                (InstanceState::Stopping, "stopping"),
            ];
            let of_function = |function: &FunctionStatus| {
                let name = function.name.clone();
                let instances: Vec<_> = function.instances.iter().map(|i| i.state).collect();
                states.map(|(state, word)| {
                    let count = instances.iter().filter(|known| **known == state).count();
                    (vec![name.clone(), word.to_owned()], count as u64)
                })
            };
            functions.iter().flat_map(of_function).collect()
        }
        "instances_limit" => of_functions(|function| function.max_instances as u64),
        "requests_held" => of_functions(|function| function.held as u64),
        "crashes" => of_functions(|function| function.crashes),
        "database_sessions" => {
            let of_role = |role: &zerocart_broker::RoleStatus| {
                [("lent", role.lent), ("idle", role.idle)].map(|(state, sessions)| {
                    (vec![role.role.clone(), state.to_owned()], sessions as u64)
                })
            };
            roles.iter().flat_map(of_role).collect()
        }
        "database_sessions_limit" => {
            let roles = roles.iter();
            roles
                .map(|r| (vec![r.role.clone()], r.limit as u64))
                .collect()
        }
        "database_sessions_waiting" => {
            let roles = roles.iter();
            roles
                .map(|r| (vec![r.role.clone()], r.waiting as u64))
                .collect()
        }
        "database_sessions_budget" => {
            let budget = sessions.map(|status| (Vec::new(), status.max_sessions as u64));
            budget.into_iter().collect()
        }
        other => unreachable!("the engine does not know the metric {other}"),
    }
}

#[cfg(test)]
mod tests {
    use zerocart_broker::RoleStatus;

    use super::*;

    #[test]
    fn each_metric_of_the_engine_has_its_values() {
        let function = FunctionStatus {
            name: "get-product".into(),
            instances: Vec::new(),
            max_instances: 7,
            held: 3,
            requests: 0,
            cold_starts: 0,
            last_start_ms: None,
            last_started_at_unix_ms: None,
            crashes: 2,
        };
        let sessions = Status {
            max_sessions: 90,
            roles: vec![RoleStatus {
                role: "zerocart_cart".into(),
                lent: 4,
                idle: 1,
                waiting: 5,
                limit: 12,
            }],
        };
        let text = text(&[function], Some(&sessions));
        for line in [
            r#"zerocart_instances{function="get-product",state="ready"} 0"#,
            r#"zerocart_instances_limit{function="get-product"} 7"#,
            r#"zerocart_requests_held{function="get-product"} 3"#,
            r#"zerocart_crashes_total{function="get-product"} 2"#,
            r#"zerocart_database_sessions{role="zerocart_cart",state="lent"} 4"#,
            r#"zerocart_database_sessions{role="zerocart_cart",state="idle"} 1"#,
            r#"zerocart_database_sessions_limit{role="zerocart_cart"} 12"#,
            r#"zerocart_database_sessions_waiting{role="zerocart_cart"} 5"#,
            "zerocart_database_sessions_budget{} 90",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(!super::text(&[], None).contains("role="));
    }
}
