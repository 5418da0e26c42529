//! The tables and diagrams of a load.

use std::fmt::Write;

use anyhow::Result;

use super::{
    Results,
    catalogue::FIRST,
    direct::{CLIENTS, Direct},
    figures::{BEFORE, Figures, Measured, NOW, Ratio},
};
use crate::{
    plot::{Bars, Lines},
    results::{Output, Run},
};

/// All tables, in Markdown.
pub(super) fn table(run: &Run<Results>) -> String {
    let results = &run.results;
    let mut text = String::new();
    let against = run.about.against.is_some();
    let loops = [
        ("One request at a time", &results.single, "single"),
        (
            "16 buyers, each with one request at a time",
            &results.closed,
            "closed",
        ),
        (
            "Orders by the lines of the cart, one at a time",
            &results.cart,
            "cart",
        ),
        ("One hot product: 64 buyers", &results.hot, "hot"),
    ];
    for (title, measured, _) in loops {
        if !measured.is_empty() {
            heading(&mut text, title);
            closed(&mut text, measured, against);
        }
    }
    if !results.cart.is_empty() {
        let p50 = |n: usize| results.cart.get(n).map_or(f64::NAN, |m| m.now.p50_ms);
        let before = |n: usize| {
            let measured = results.cart.get(n)?;
            Some(measured.before.as_ref()?.p50_ms)
        };
        let _ = write!(text, "\n100 lines take {:.2} × one line", p50(2) / p50(0));
        if let Some((long, short)) = before(2).zip(before(0)) {
            let _ = write!(text, " (before: {:.2} ×)", long / short);
        }
        text.push_str(".\n");
    }
    if !results.open.is_empty() {
        heading(
            &mut text,
            "Open loops: latency from the time that a request was due",
        );
        open(&mut text, &results.open);
    }
    if !results.direct.is_empty() {
        let title = format!(
            "GET /products/{{id}}, {CLIENTS} connections: without gateway, and through the engine"
        );
        heading(&mut text, &title);
        direct(&mut text, &results.direct);
    }
    if let Some(costs) = &results.costs {
        heading(&mut text, "Cost at PostgreSQL of one request");
        text.push_str("| request | round trips | by domain | commits | bytes of WAL | bytes between functions and PostgreSQL |\n");
        text.push_str("|---|--:|---|--:|--:|--:|\n");
        for cost in &costs.kinds {
            let by_domain = cost.trips.iter();
            let by_domain: Vec<_> = by_domain
                .map(|(domain, trips)| format!("{domain} {}", short(*trips)))
                .collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {:.0} | {:.0} |",
                cost.name,
                short(cost.all_trips()),
                by_domain.join(", "),
                short(cost.commits),
                cost.wal_bytes,
                cost.bytes
            );
        }
        let _ = writeln!(
            text,
            "\nn = 20 of each, one at a time, all functions warm. A round trip is a question of a function and the \
             wait for the answer. A commit is one of a transaction that writes; its wait for the disk takes {:.2} ms \
             here (median of 200).",
            costs.commit_ms
        );
    }
    if !results.catalogue.is_empty() {
        heading(&mut text, "ListProducts as the catalogue grows");
        catalogue(&mut text, results);
    }
    text
}

fn heading(text: &mut String, title: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "## {title}\n");
}

/// A number without needless digits.
fn short(number: f64) -> String {
    if (number - number.round()).abs() < 0.05 {
        format!("{number:.0}")
    } else {
        format!("{number:.1}")
    }
}

fn closed(text: &mut String, all: &[Measured], against: bool) {
    text.push_str(
        "| request | build | /s | p50, ms | p90 | p99 | p99.9 | max | errors | CPU per request, ms: functions \
         | PostgreSQL | broker | engine | all | generator | commits | WAL, bytes | sent, bytes | received, bytes |\n",
    );
    text.push_str(
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for measured in all {
        for (build, figures) in sides(measured) {
            let Figures {
                per_second,
                generator_ms,
                commits,
                wal_bytes,
                sent_bytes,
                received_bytes,
                ..
            } = figures;
            let _ = writeln!(
                text,
                "| {} | {build} | {per_second:.1} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {generator_ms:.2} | {} \
                 | {wal_bytes:.0} | {sent_bytes:.0} | {received_bytes:.0} |",
                measured.name,
                latency(figures),
                errors(figures),
                figures.cpu_of("functions"),
                figures.cpu_of("postgres"),
                figures.cpu_of("broker"),
                figures.cpu_of("engine"),
                figures.system_cpu_ms(),
                short(*commits),
            );
        }
    }
    if against {
        text.push_str(
            "\n| request | requests/s ÷ before | CPU per request ÷ before |\n|---|--:|--:|\n",
        );
        for measured in all {
            let show = |ratio: Option<Ratio>| ratio.map_or_else(String::new, |r| r.to_string());
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                measured.name,
                show(measured.throughput_ratio),
                show(measured.cpu_ratio)
            );
        }
        text.push_str("\nMedian of the pairs of rounds (smallest to largest).\n");
    }
}

fn latency(figures: &Figures) -> String {
    format!(
        "{:.2} | {:.2} | {:.2} | {:.2} | {:.2}",
        figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.p999_ms, figures.max_ms
    )
}

fn errors(figures: &Figures) -> String {
    match &figures.first_error {
        None => figures.errors.to_string(),
        Some(first) => {
            // One line, without what a table takes for a column.
            let first: String = first.chars().take(80).collect();
            format!("{} ({})", figures.errors, first.replace(['|', '\n'], " "))
        }
    }
}

fn sides(measured: &Measured) -> Vec<(&'static str, &Figures)> {
    let before = measured.before.as_ref().map(|before| (BEFORE, before));
    [(NOW, &measured.now)].into_iter().chain(before).collect()
}

fn open(text: &mut String, all: &[Measured]) {
    text.push_str("| request | build | due /s | answered /s | p50, ms | p90 | p99 | p99.9 | max | errors | CPU per request, ms |\n");
    text.push_str("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for measured in all {
        for (build, figures) in sides(measured) {
            let _ = writeln!(
                text,
                "| {} | {build} | {:.0} | {:.0} | {} | {} | {:.2} |",
                measured.name,
                measured.rate.unwrap_or_default(),
                figures.per_second,
                latency(figures),
                errors(figures),
                figures.system_cpu_ms()
            );
        }
    }
}

pub(crate) fn direct(text: &mut String, rows: &[Direct]) {
    text.push_str("| program | requests/s | p50, ms | p99, ms | its CPU per request, ms | PostgreSQL's, ms | requests/s ÷ pgbench | its CPU ÷ floor | requests/s ÷ direct | its CPU ÷ without spans |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for row in rows {
        let Direct {
            name,
            per_second,
            p50_ms,
            cpu_ms,
            postgres_ms,
            ..
        } = row;
        let p99 = row.p99_ms.map_or_else(String::new, |ms| format!("{ms:.2}"));
        let show = |ratio: Option<Ratio>| ratio.map_or_else(String::new, |r| r.to_string());
        let _ = writeln!(
            text,
            "| {name} | {per_second:.0} | {p50_ms:.2} | {p99} | {cpu_ms:.3} | {postgres_ms:.3} | {} | {} | {} | {} |",
            show(row.to_pgbench),
            show(row.cpu_to_floor),
            show(row.to_direct),
            show(row.cpu_to_lines)
        );
    }
    text.push_str("\npgbench selects the same row by a prepared statement, over connections of its own. Its latency is the mean.\n");
    if !rows.iter().any(|row| row.name.starts_with("pgbench")) {
        text.push_str(
            "pgbench is not beside the PostgreSQL that was used, so its rate is not here.\n",
        );
    }
}

fn catalogue(text: &mut String, results: &Results) {
    text.push_str("| page | products | build | p50, ms | p99, ms | CPU per request, ms |\n|---|--:|---|--:|--:|--:|\n");
    for page in &results.catalogue {
        for (build, figures) in sides(&page.measured) {
            let _ = writeln!(
                text,
                "| {} | {} | {build} | {:.2} | {:.2} | {:.2} |",
                page.page,
                page.products,
                figures.p50_ms,
                figures.p99_ms,
                figures.system_cpu_ms()
            );
        }
    }
    text.push_str(
        "\n| page | build | p50, 1,000,000 products ÷ 1,000 | ÷ first page, 1,000,000 products |\n|---|---|--:|--:|\n",
    );
    let first = |products: u64| {
        let mut pages = results.catalogue.iter();
        pages.find(|page| page.page == FIRST && page.products == products)
    };
    for large in results
        .catalogue
        .iter()
        .filter(|page| page.products > 1_000)
    {
        let small = results
            .catalogue
            .iter()
            .find(|page| page.page == large.page && page.products <= 1_000);
        let (Some(small), Some(first)) = (small, first(large.products)) else {
            continue;
        };
        let pairs = sides(&large.measured)
            .into_iter()
            .zip(sides(&small.measured))
            .zip(sides(&first.measured));
        for (((build, large_figures), (_, small_figures)), (_, first_figures)) in pairs {
            let _ = writeln!(
                text,
                "| {} | {build} | {:.2} | {:.2} |",
                large.page,
                large_figures.p50_ms / small_figures.p50_ms,
                large_figures.p50_ms / first_figures.p50_ms
            );
        }
    }
}

/// The few numbers by which commits are compared.
pub(super) fn summary(results: &Results) -> Vec<(String, f64)> {
    let mut summary = Vec::new();
    for measured in &results.closed {
        let name = &measured.name;
        summary.push((format!("{name}, per second"), measured.now.per_second));
        summary.push((format!("{name}, CPU ms"), measured.now.system_cpu_ms()));
        if let Some(ratio) = measured.throughput_ratio {
            summary.push((format!("{name}, per second to before"), ratio.median));
        }
        if let Some(ratio) = measured.cpu_ratio {
            summary.push((format!("{name}, CPU to before"), ratio.median));
        }
    }
    for measured in &results.open {
        // Only the same rate can be compared.
        let rate = measured.rate.unwrap_or_default();
        let name = format!("{}, {rate:.0}/s due, p99 ms", measured.name);
        summary.push((name, measured.now.p99_ms));
    }
    for measured in results.cart.iter().chain(&results.hot) {
        summary.push((format!("{}, p50 ms", measured.name), measured.now.p50_ms));
        summary.push((
            format!("{}, per second", measured.name),
            measured.now.per_second,
        ));
    }
    for row in &results.direct {
        summary.push((format!("direct, {}, per second", row.name), row.per_second));
        if let Some(ratio) = row.to_direct {
            summary.push((format!("{} ÷ direct", row.name), ratio.median));
        }
    }
    for cost in results.costs.iter().flat_map(|costs| &costs.kinds) {
        summary.push((format!("{}, round trips", cost.name), cost.all_trips()));
        summary.push((format!("{}, commits", cost.name), cost.commits));
    }
    for page in &results.catalogue {
        let name = format!("{}, {} products, p50 ms", page.page, page.products);
        summary.push((name, page.measured.now.p50_ms));
    }
    summary
}

/// Diagrams: requests per second, CPU, and the latency of open loops.
pub(super) fn diagrams(run: &Run<Results>, output: &Output) -> Result<()> {
    let results = &run.results;
    let builds: Vec<&str> = match run.about.against {
        Some(_) => vec![NOW, BEFORE],
        None => vec![NOW],
    };
    let rows = |of: fn(&Figures) -> f64| -> Vec<(String, Vec<f64>)> {
        let row = |measured: &Measured| {
            let values = sides(measured)
                .iter()
                .map(|(_, figures)| of(figures))
                .collect();
            (measured.name.clone(), values)
        };
        results.closed.iter().map(row).collect()
    };
    let bars = [
        (
            "load-throughput",
            "Requests per second, 16 buyers",
            "requests per second",
            rows(|f| f.per_second),
        ),
        (
            "load-cpu",
            "CPU time per request, 16 buyers",
            "CPU time of functions, PostgreSQL and engine, ms",
            rows(Figures::system_cpu_ms),
        ),
    ];
    for (name, title, axis, rows) in bars {
        if rows.is_empty() {
            continue;
        }
        if let Some(path) = output.diagram(name)? {
            let bars = Bars {
                title,
                axis,
                series: &builds,
                rows: &rows,
            };
            bars.draw(&path)?;
        }
    }
    // Shares of each kind's own highest rate, so that all kinds fit into one diagram.
    let mut series: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for measured in &results.open {
        let highest = results
            .open
            .iter()
            .filter(|other| other.name == measured.name)
            .filter_map(|other| other.rate)
            .fold(0.0, f64::max);
        let share = measured.rate.unwrap_or_default() / highest * 100.0;
        let point = (share, measured.now.p99_ms);
        match series.iter_mut().find(|(name, _)| *name == measured.name) {
            Some((_, points)) => points.push(point),
            None => series.push((measured.name.clone(), vec![point])),
        }
    }
    series.retain(|(_, points)| points.len() > 1);
    if series.is_empty() {
        return Ok(());
    }
    if let Some(path) = output.diagram("load-latency")? {
        let lines = Lines {
            title: "99th percentile of latency, from the time that a request was due",
            x: "rate, per cent of the highest that was tried",
            y: "latency, ms",
            log: true,
            series: &series,
        };
        lines.draw(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run without numbers to compare counts as one that measured nothing.
    #[test]
    fn open_loops_alone_are_a_result() {
        let open = |rate, p99_ms| Measured {
            name: "product".to_owned(),
            load: format!("{rate}/s"),
            rate: Some(rate),
            buyers: 64,
            now: Figures {
                p99_ms,
                ..Figures::default()
            },
            before: None,
            throughput_ratio: None,
            cpu_ratio: None,
        };
        let results = Results {
            open: vec![open(500.0, 1.5), open(1000.4, 4.0)],
            ..Results::default()
        };
        let expected = [
            ("product, 500/s due, p99 ms".to_owned(), 1.5),
            ("product, 1000/s due, p99 ms".to_owned(), 4.0),
        ];
        assert_eq!(summary(&results), expected);
    }

    #[test]
    fn a_table_has_both_builds_and_their_errors() {
        let figures = Figures {
            requests: 10,
            errors: 1,
            first_error: Some("status 500 | not 200".to_owned()),
            per_second: 100.0,
            p50_ms: 2.0,
            ..Figures::default()
        };
        let measured = Measured {
            name: "order".to_owned(),
            load: "16 buyers".to_owned(),
            rate: None,
            buyers: 16,
            now: figures.clone(),
            before: Some(Figures {
                per_second: 50.0,
                ..Figures::default()
            }),
            throughput_ratio: Ratio::of(&[100.0], &[50.0]),
            cpu_ratio: None,
        };
        let mut text = String::new();
        closed(&mut text, &[measured], true);
        assert!(text.contains("| order | now | 100.0 | 2.00 |"), "{text}");
        assert!(text.contains("| order | before | 50.0 |"), "{text}");
        assert!(text.contains("1 (status 500   not 200)"), "{text}");
        assert!(text.contains("| order | 2.00 (2.00 to 2.00) |"), "{text}");
        assert_eq!(
            (short(7.98), short(7.5)),
            ("8".to_owned(), "7.5".to_owned())
        );
    }
}
