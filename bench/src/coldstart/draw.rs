//! Diagrams: distributions, and where the time went.

use std::path::Path;

use anyhow::Result;

use super::{
    engine::EMPTY,
    record::{Part, Results, Series},
};
use crate::plot::{Bars, Lines};

/// How many lines a diagram has at most: more cannot be told apart.
const LINES: usize = 6;

/// The cumulative distribution of some times: which share of them is at most so long.
fn distribution(series: &Series) -> (String, Vec<(f64, f64)>) {
    let mut times = series.times();
    times.sort_by(f64::total_cmp);
    let n = times.len() as f64;
    let points = times.into_iter().zip(1..);
    (
        series.name.clone(),
        points
            .map(|(ms, i)| (ms, 100.0 * f64::from(i) / n))
            .collect(),
    )
}

/// The series of a part that are drawn: the empty function, and of the others those of the functions that people
/// meet first; as many as can be told apart.
fn chosen(results: &Results, part: Part) -> Vec<&Series> {
    const FIRST: [&str; 5] = [
        "get-product",
        "list-products",
        "get-cart",
        "authenticate-user",
        "create-order",
    ];
    let all: Vec<_> = results
        .of_part(part)
        .filter(|s| s.samples.len() > 1)
        .collect();
    let is_first =
        |s: &&&Series| part != Part::Single || s.name == EMPTY || FIRST.contains(&s.name.as_str());
    let mut chosen: Vec<_> = all.iter().filter(is_first).copied().collect();
    let rest = all.iter().filter(|s| !is_first(s));
    chosen.extend(rest.copied());
    chosen.truncate(LINES);
    chosen
}

/// Draws the distributions of a part; nothing if it has none.
pub(super) fn distributions(
    path: &Path,
    title: &str,
    results: &Results,
    part: Part,
) -> Result<bool> {
    let series: Vec<_> = chosen(results, part)
        .into_iter()
        .map(distribution)
        .collect();
    if series.is_empty() {
        return Ok(false);
    }
    Lines {
        title,
        x: "time until the answer, ms",
        y: "share of requests, %",
        log: false,
        series: &series,
    }
    .draw(path)?;
    Ok(true)
}

/// Draws the medians of phases, a bar for each function; nothing without phases.
pub(super) fn phases(
    path: &Path,
    title: &str,
    rows: &[(String, Vec<f64>)],
    names: &[&str],
) -> Result<bool> {
    if rows.is_empty() || names.is_empty() {
        return Ok(false);
    }
    Bars {
        title,
        axis: "median, ms",
        series: names,
        rows,
    }
    .draw(path)?;
    Ok(true)
}
