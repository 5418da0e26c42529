//! Arithmetic before any simulation: what one request costs, and what 10, 100 and 1,000 times the load needs.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::prices::CALLS;
use crate::load::{self, MIX};

/// A multiple of the measured load.
const FACTORS: [f64; 4] = [1.0, 10.0, 100.0, 1_000.0];

/// What is full beyond these numbers: one large machine for PostgreSQL, one port of a network, one log.
const POSTGRES_CORES: f64 = 32.0;
const NETWORK_MB: f64 = 1_250.0;
const WAL_MB: f64 = 200.0;

/// The number of processes of PostgreSQL that work well on one machine.
const CONNECTIONS: f64 = 400.0;

/// What one kind of request costs.
struct Cost {
    name: &'static str,
    share: f64,
    functions_ms: f64,
    postgres_ms: f64,
    edge_ms: f64,
    trips: f64,
    commits: f64,
    wal_bytes: f64,
    client_bytes: f64,
    inner_bytes: f64,
}

/// Of each kind, in the order of [`CALLS`].
fn costs(results: &load::Results) -> Result<Vec<Cost>> {
    let counted = results
        .costs
        .as_ref()
        .context("the results have no part `costs`")?;
    let each = CALLS.iter().map(|(name, ..)| {
        let measured = results.closed(name)?;
        let now = &measured.now;
        let cost = counted.of(name)?;
        let share = MIX.iter().find(|(kind, _)| kind == name)?;
        Some(Cost {
            name,
            share: share.1,
            functions_ms: now.cpu_of("functions"),
            postgres_ms: now.cpu_of("postgres"),
            edge_ms: now.cpu_of("engine") + now.cpu_of("broker"),
            trips: cost.all_trips(),
            commits: cost.commits,
            wal_bytes: cost.wal_bytes,
            client_bytes: now.sent_bytes + now.received_bytes,
            inner_bytes: cost.bytes,
        })
    });
    let costs: Option<Vec<Cost>> = each.collect();
    costs.context("the results have no closed loop of one of the kinds of requests")
}

/// The table of costs.
///
/// # Errors
///
/// When a part of the results is missing.
pub(super) fn cost_table(results: &load::Results) -> Result<String> {
    let mut text = String::from(
        "| request | CPU, ms: functions | PostgreSQL | gateway, activator, broker | round trips | commits | WAL, bytes \
         | client, bytes | PostgreSQL, bytes |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for cost in costs(results)? {
        let Cost {
            name,
            functions_ms,
            postgres_ms,
            edge_ms,
            trips,
            commits,
            wal_bytes,
            client_bytes,
            inner_bytes,
            ..
        } = cost;
        let _ = writeln!(
            text,
            "| {name} | {functions_ms:.2} | {postgres_ms:.2} | {edge_ms:.2} | {trips:.1} | {commits:.1} | {wal_bytes:.0} \
             | {client_bytes:.0} | {inner_bytes:.0} |"
        );
    }
    Ok(text)
}

/// The table of multiples of the measured mix.
///
/// # Errors
///
/// When a part of the results is missing.
pub(super) fn growth_table(results: &load::Results) -> Result<String> {
    let costs = costs(results)?;
    let mix = results.closed("mix").context("the results have no mix")?;
    let per_request =
        |of: fn(&Cost) -> f64| -> f64 { costs.iter().map(|cost| cost.share * of(cost)).sum() };
    let mut text = String::from(
        "| × | requests/s | orders/s | cores: functions | gateway and activator | PostgreSQL | commits/s | WAL, MB/s \
         | clients, MB/s | busy connections | full first |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for factor in FACTORS {
        let rate = mix.now.per_second * factor;
        let cores = |of: fn(&Cost) -> f64| rate * per_request(of) / 1e3;
        let megabytes = |of: fn(&Cost) -> f64| rate * per_request(of) / 1e6;
        let orders = costs.iter().find(|cost| cost.name == "order");
        let orders = rate * orders.map_or(0.0, |cost| cost.share);
        let (functions, edge, postgres) = (
            cores(|cost| cost.functions_ms),
            cores(|cost| cost.edge_ms),
            cores(|cost| cost.postgres_ms),
        );
        let (wal, clients) = (
            megabytes(|cost| cost.wal_bytes),
            megabytes(|cost| cost.client_bytes),
        );
        // A connection is busy while PostgreSQL works for it, and for as long again until the next question.
        let connections = 2.0 * postgres;
        let full = [
            ("one PostgreSQL", postgres / POSTGRES_CORES),
            ("the log of one PostgreSQL", wal / WAL_MB),
            ("connections of one PostgreSQL", connections / CONNECTIONS),
            ("one network port", clients / NETWORK_MB),
            (
                "this machine",
                (functions + edge + postgres) / results_cores(mix),
            ),
        ];
        // The largest share; the machine that measured is full at once.
        let beyond = if factor > 1.0 { &full[..4] } else { &full[..] };
        let first = beyond
            .iter()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map_or_else(String::new, |(name, share)| {
                format!("{name}, {:.0} %", share * 100.0)
            });
        let _ = writeln!(
            text,
            "| {factor:.0} | {rate:.0} | {orders:.0} | {functions:.1} | {edge:.1} | {postgres:.1} | {:.0} | {wal:.1} \
             | {clients:.1} | {connections:.0} | {first} |",
            rate * per_request(|cost| cost.commits),
        );
    }
    let _ = writeln!(
        text,
        "\nFull at 100 %: {POSTGRES_CORES:.0} cores and {CONNECTIONS:.0} busy connections of one PostgreSQL, {WAL_MB:.0} \
         MB/s of log, {NETWORK_MB:.0} MB/s of network."
    );
    Ok(text)
}

/// The cores that the mix kept busy, without those of the clients.
fn results_cores(mix: &load::figures::Measured) -> f64 {
    mix.now.system_cpu_ms() * mix.now.per_second / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        Costs,
        figures::{Figures, Measured},
    };

    fn results() -> load::Results {
        let measured = |name: &str| Measured {
            name: name.to_owned(),
            load: String::new(),
            rate: None,
            buyers: 16,
            now: Figures {
                per_second: 1_000.0,
                cpu_ms: [
                    ("get-product", 0.5),
                    ("postgres/product", 1.0),
                    ("zerocart", 0.25),
                ]
                .map(|(group, ms)| (group.to_owned(), ms))
                .into(),
                ..Figures::default()
            },
            before: None,
            throughput_ratio: None,
            cpu_ratio: None,
        };
        let names = CALLS.map(|(name, ..)| name);
        let kinds = names.map(|name| serde_json::json!({
            "name": name, "trips": {"product": 2.0}, "bytes": 300.0, "commits": 1.0, "wal_bytes": 500.0,
        }));
        let costs = serde_json::json!({"kinds": kinds, "commit_ms": 0.4});
        load::Results {
            closed: names
                .iter()
                .chain(&["mix"])
                .map(|name| measured(name))
                .collect(),
            costs: Some(serde_json::from_value::<Costs>(costs).unwrap()),
            ..load::Results::default()
        }
    }

    #[test]
    fn costs_are_multiplied() {
        let text = growth_table(&results()).unwrap();
        // 1,000/s of 1 ms each is one core; 100 times as many are 100.
        assert!(
            text.contains("| 1 | 1000 | 50 | 0.5 | 0.2 | 1.0 | 1000 | 0.5 |"),
            "{text}"
        );
        assert!(
            text.contains("| 100 | 100000 | 5000 | 50.0 | 25.0 | 100.0 |"),
            "{text}"
        );
        assert!(text.contains("one PostgreSQL, 312 %"), "{text}");
        let costs = cost_table(&results()).unwrap();
        assert!(
            costs.contains("| order | 0.50 | 1.00 | 0.25 | 2.0 | 1.0 | 500 | 0 | 300 |"),
            "{costs}"
        );
        assert!(growth_table(&load::Results::default()).is_err());
    }
}
