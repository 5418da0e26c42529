//! What kinds of requests cost at the rates at which they were measured.

use std::collections::BTreeMap;

use super::prices::CALLS;
use crate::{
    cpu::ByGroup,
    load::{
        Results, coarse,
        figures::{Figures, Measured},
    },
};

/// The groups of [`coarse`] that each request passes. The broker only lends sessions: it works at the start of a function.
const PASSED: [&str; 3] = ["engine", "functions", "postgres"];

/// A kind of request at one rate.
pub(super) struct Point<'a> {
    /// How busy the cores were, from 0 to 1.
    pub(super) busy: f64,
    pub(super) figures: &'a Figures,
}

/// A kind at all rates that were measured, from the idle machine to the full one.
pub(super) fn points<'a>(results: &'a Results, name: &str, cores: usize) -> Vec<Point<'a>> {
    let open = results.open.iter().filter(|measured| measured.name == name);
    let loops = [results.single(name), results.closed(name)];
    let measured = open.chain(loops.into_iter().flatten());
    let mut points: Vec<Point<'_>> = Vec::new();
    for Measured { now, .. } in measured {
        let cpu_ms = now.system_cpu_ms() + now.generator_ms;
        let busy = (now.per_second * cpu_ms / 1e3 / cores.max(1) as f64).min(1.0);
        if points.iter().all(|point| point.busy != busy) {
            points.push(Point { busy, figures: now });
        }
    }
    points.sort_by(|a, b| a.busy.total_cmp(&b.busy));
    points
}

/// Requests of a kind that come now and then: the open loop with the lowest rate, or else one at a time.
///
/// Between two requests of an open loop cores halt, and threads sleep for long, as on a machine that is not full. In a
/// closed loop of one request at a time they never do.
pub(super) fn quiet<'a>(results: &'a Results, name: &str) -> Option<&'a Measured> {
    let open = results.open.iter().filter(|measured| measured.name == name);
    let rate = |measured: &Measured| measured.rate.unwrap_or(f64::INFINITY);
    open.min_by(|a, b| rate(a).total_cmp(&rate(b)))
        .or_else(|| results.single(name))
}

/// What each kind costs by how busy the machine is, as a table.
pub(super) fn price_table(results: &Results, cores: usize) -> String {
    let mut table =
        "| request | CPU per request, ms, on cores that are so busy |\n|---|---|\n".to_owned();
    for (name, ..) in CALLS {
        let points = points(results, name, cores);
        let each = points.iter().map(|Point { busy, figures }| {
            let cpu_ms = figures.system_cpu_ms() + figures.generator_ms;
            format!("{:.0} %: {cpu_ms:.2}", busy * 100.0)
        });
        let each: Vec<_> = each.collect();
        table.push_str(&format!("| {name} | {} |\n", each.join("; ")));
    }
    let wakes = wake_costs(results, cores).into_iter();
    let wakes: Vec<_> = wakes
        .map(|(group, us)| format!("{group} {us:.0}"))
        .collect();
    table.push_str(&format!("\nA wake-up costs, µs: {}.\n", wakes.join(", ")));
    table
}

/// Products beside sign-ins: CPU time and wake-ups per product. From what both used
/// together that of the sign-ins is taken away: what they use with 16 buyers.
fn beside_sign_ins(results: &Results) -> Vec<(ByGroup, ByGroup)> {
    let Some(sign_in) = results.closed("sign-in") else {
        return Vec::new();
    };
    let measured = results.beside.iter().filter(|beside| beside.requests.0 > 0);
    let each = measured.map(|beside| {
        let (products, sign_ins) = (beside.requests.0 as f64, beside.requests.1 as f64);
        let of_product = |all: &ByGroup, of_sign_in: &ByGroup| -> ByGroup {
            let each = all.iter().map(|(group, all)| {
                let other = of_sign_in.get(group).copied().unwrap_or_default();
                let rest = match group.as_str() {
                    "authenticate-user" | "postgres/user" => 0.0,
                    _ => (all - sign_ins * other).max(0.0),
                };
                (group.clone(), rest / products)
            });
            each.collect()
        };
        (
            of_product(&beside.cpu_ms, &sign_in.now.cpu_ms),
            of_product(&beside.wakes, &sign_in.now.wakes),
        )
    });
    each.collect()
}

/// CPU time of a wake-up, by the groups that requests pass, in microseconds.
///
/// From each kind at several rates, and products beside sign-ins: CPU = work of the kind + wake-ups × their cost. That
/// cost is the slope of the least squares, with a constant for each kind.
pub(super) fn wake_costs(results: &Results, cores: usize) -> ByGroup {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, ..) in CALLS {
        let points = points(results, name, cores);
        let mut groups: Vec<(ByGroup, ByGroup)> = points
            .iter()
            .map(|point| (coarse(&point.figures.cpu_ms), coarse(&point.figures.wakes)))
            .collect();
        if name == "product" {
            let beside = beside_sign_ins(results).into_iter();
            groups.extend(beside.map(|(cpu, wakes)| (coarse(&cpu), coarse(&wakes))));
        }
        let Some((first, _)) = groups.first() else {
            continue;
        };
        for group in PASSED.iter().filter(|group| first.contains_key(**group)) {
            let of = |groups: &ByGroup| groups.get(*group).copied().unwrap_or_default();
            let cpu: Vec<f64> = groups.iter().map(|(cpu, _)| of(cpu) * 1e3).collect();
            let wakes: Vec<f64> = groups.iter().map(|(_, wakes)| of(wakes)).collect();
            // Relative to what there is, so that a long request does not count for more than a short one.
            let scale = wakes.iter().copied().fold(1e-9, f64::max);
            let (cpu, wakes) = (deviations(&cpu), deviations(&wakes));
            let sum = sums.entry((*group).to_owned()).or_default();
            for (cpu, wakes) in cpu.iter().zip(&wakes) {
                sum.0 += cpu / scale * wakes / scale;
                sum.1 += (wakes / scale).powi(2);
            }
        }
    }
    let slope = |(dcdw, dw2): (f64, f64)| {
        if dw2 > 0.0 {
            (dcdw / dw2).max(0.0)
        } else {
            0.0
        }
    };
    sums.into_iter()
        .map(|(group, sum)| (group, slope(sum)))
        .collect()
}

/// How much more a hash costs after a pause, in which the process gave back the memory of the last one.
pub(super) fn first_hash(results: &Results) -> Option<f64> {
    let own = |cpu_ms: &ByGroup| cpu_ms.get("authenticate-user").copied();
    let first = own(&results.rare.as_ref()?.cpu_ms)?;
    let next = own(&quiet(results, "sign-in")?.now.cpu_ms)?;
    Some((first / next).max(1.0))
}

/// How far a hash is from its mean: nine of ten take at most 0.8 × that longer than half of them, if all times between
/// are equally frequent. Of sign-ins that wait for nobody.
pub(super) fn hash_spread(results: &Results) -> Option<f64> {
    let Figures { p50_ms, p90_ms, .. } = results.single("sign-in")?.now;
    Some(((p90_ms / p50_ms - 1.0) / 0.8).clamp(0.0, 0.5))
}

/// How far each value is from the mean.
fn deviations(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|value| value - mean).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A loop of products: this CPU time of the function, and so many wake-ups, on two cores.
    pub(in crate::simulate) fn measured(
        rate: Option<f64>,
        per_second: f64,
        cpu_ms: f64,
        wakes: f64,
    ) -> Measured {
        let group = |value| ByGroup::from([("get-product".to_owned(), value)]);
        Measured {
            name: "product".to_owned(),
            load: String::new(),
            rate,
            buyers: 16,
            now: Figures {
                per_second,
                cpu_ms: group(cpu_ms),
                wakes: group(wakes),
                ..Figures::default()
            },
            before: None,
            throughput_ratio: None,
            cpu_ratio: None,
        }
    }

    #[test]
    fn a_wake_up_costs_what_cpu_time_grows_by() {
        // Work of 100 µs, and 20 µs for each wake-up.
        let loops = [(0.05, 4.0), (0.3, 3.5), (0.6, 1.5), (0.9, 0.5)];
        let mut loops = loops.map(|(busy, wakes)| {
            let us = 100.0 + 20.0 * wakes;
            let per_second = busy * 2.0 / us * 1e6;
            measured(Some(per_second), per_second, us / 1e3, wakes)
        });
        loops[3].rate = None;
        let [a, b, c, full] = loops;
        let results = Results {
            open: vec![b, a, c],
            closed: vec![full],
            ..Results::default()
        };
        let points = points(&results, "product", 2);
        let busy: Vec<f64> = points.iter().map(|point| point.busy).collect();
        for (busy, expected) in busy.iter().zip([0.05, 0.3, 0.6, 0.9]) {
            assert!((busy - expected).abs() < 1e-9, "{busy}");
        }
        let wake_us = wake_costs(&results, 2)["functions"];
        assert!((wake_us - 20.0).abs() < 1e-6, "{wake_us}");
    }
}
