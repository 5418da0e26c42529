//! What kinds of requests cost at the rates at which they were measured.

use super::prices::CALLS;
use crate::{
    cpu::ByGroup,
    load::{
        Results,
        figures::{Figures, Measured},
    },
};

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
        points.push(Point { busy, figures: now });
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
    table
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
}
