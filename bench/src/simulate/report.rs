//! The tables and the diagram of simulations.

use std::fmt::Write;

use anyhow::Result;

use super::{Results, outcome::CoresOutcome};
use crate::{plot::Bars, results::Output};

/// Two tables: what each scenario answers, and what it needs.
pub(super) fn table(results: &Results) -> String {
    let mut text = String::new();
    text.push_str("| scenario | requests/s, peak minute | refused | orders paid | not paid | product: p50 (p99), ms | order: p50 (p99), ms | waits longest for |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|---|\n");
    for outcome in &results.outcomes {
        let latency = |kind: &str| {
            outcome.kind(kind).map_or_else(String::new, |kind| {
                format!("{:.1} ({:.1})", kind.p50_ms, kind.p99_ms)
            })
        };
        let waits = outcome.waits.iter().take(2);
        let waits: Vec<_> = waits
            .map(|(what, ms)| format!("{what}, {ms:.1} ms"))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.1} % | {} | {} | {} | {} | {} |",
            outcome.name,
            outcome.peak_per_second,
            outcome.refused() as f64 / outcome.requests().max(1) as f64 * 100.0,
            outcome.paid,
            outcome.failed,
            latency("product"),
            latency("order"),
            match waits.is_empty() {
                true => "nothing".to_owned(),
                false => waits.join("; "),
            }
        );
    }
    text.push_str("\nBusy cores are the average of the busiest minute. A wait is per request, of all requests.\n\n");
    text.push_str("| scenario | busy cores, all | functions | gateway and activator | PostgreSQL | connections | commits/s | commits per flush | instances at once |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|---|\n");
    for outcome in &results.outcomes {
        let busy = |of: &dyn Fn(&CoresOutcome) -> bool| {
            let matching: Vec<_> = outcome.cores.iter().filter(|cores| of(cores)).collect();
            match matching.is_empty() {
                true => String::new(),
                false => format!(
                    "{:.2}",
                    matching.iter().map(|cores| cores.peak).sum::<f64>()
                ),
            }
        };
        let mut instances: Vec<_> = outcome
            .functions
            .iter()
            .map(|function| {
                (
                    function.peak_instances,
                    function.name.as_str(),
                    function.max_scale,
                )
            })
            .collect();
        instances.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let instances: Vec<_> = instances
            .iter()
            .map(|(n, name, max)| match n == max {
                true => format!("{name} {n} (all)"),
                false => format!("{name} {n}"),
            })
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.0} | {:.1} | {} |",
            outcome.name,
            busy(&|_| true),
            busy(&|cores| cores.name == "functions"),
            busy(&|cores| cores.name.starts_with("gateway")),
            busy(&|cores| cores.name.starts_with("PostgreSQL")),
            outcome.peak_connections,
            outcome.peak_commits,
            outcome.commits_per_flush,
            instances.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "\n*(all)* means that max-scale was reached. Costs were measured at {}.",
        results.costs_of
    );
    text
}

pub(super) fn summary(results: &Results) -> Vec<(String, f64)> {
    let each = results.outcomes.iter().flat_map(|outcome| {
        let busy: f64 = outcome.cores.iter().map(|cores| cores.peak).sum();
        [
            (format!("{}: busy cores", outcome.name), busy),
            (
                format!("{}: orders paid", outcome.name),
                outcome.paid as f64,
            ),
        ]
    });
    each.collect()
}

/// Busy cores of each scenario.
pub(super) fn diagram(results: &Results, output: &Output) -> Result<()> {
    let Some(path) = output.diagram("simulate-cores")? else {
        return Ok(());
    };
    let rows: Vec<(String, Vec<f64>)> = results
        .outcomes
        .iter()
        .filter(|outcome| outcome.cores.len() > 1)
        .enumerate()
        .map(|(n, outcome)| {
            let of = |begin: &str| {
                let matching = outcome.cores.iter().filter(|c| c.name.starts_with(begin));
                matching.map(|cores| cores.peak).sum()
            };
            let name: String = outcome.name.chars().take(26).collect();
            let values = vec![of("functions"), of("gateway"), of("PostgreSQL")];
            (format!("{}. {name}", n + 1), values)
        })
        .collect();
    let bars = Bars {
        title: "Busy cores in the busiest minute, by simulation",
        axis: "cores",
        series: &["functions", "gateway and activator", "PostgreSQL"],
        rows: &rows,
    };
    bars.draw(&path)
}

/// A line for a difference of a simulation to a measurement, and whether it is small enough. Of the rounds of the
/// measurement, if there are any, it says the least and the most.
pub(super) fn difference(
    what: &str,
    measured: f64,
    rounds: &[f64],
    simulated: f64,
    limit: f64,
) -> (String, bool) {
    let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rounds.iter().copied().fold(0.0, f64::max);
    let range = match rounds {
        [] => String::new(),
        _ => format!("{least:.2} to {most:.2}"),
    };
    let difference = simulated / measured - 1.0;
    // A value that is not a number is not small.
    let good = difference.abs() <= limit;
    let verdict = if good { "good" } else { "too much" };
    let line = format!(
        "| {what} | {measured:.2} | {range} | {simulated:.2} | {:+.0} % | {verdict} |",
        difference * 100.0
    );
    (line, good)
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    #[test]
    fn a_difference_is_judged() {
        let (line, good) = difference("p50", 10.0, &[9.0, 12.0], 11.9, 0.2);
        assert!(
            good && line.contains("| 9.00 to 12.00 | 11.90 | +19 %"),
            "{line}"
        );
        assert!(!difference("p50", 10.0, &[], 7.9, 0.2).1);
        assert!(!difference("p50", 0.0, &[], 0.0, 0.2).1);
    }

    #[test]
    fn a_table_has_a_row_for_each_scenario() {
        let outcome = Outcome {
            name: "a day".to_owned(),
            paid: 7,
            waits: vec![("cores of functions".to_owned(), 1.5)],
            ..Outcome::default()
        };
        let results = Results {
            costs_of: "abc".to_owned(),
            outcomes: vec![outcome],
        };
        let text = table(&results);
        assert!(text.contains("| a day | 0 | 0.0 % | 7 | 0 |"), "{text}");
        assert!(text.contains("cores of functions, 1.5 ms"), "{text}");
    }
}
