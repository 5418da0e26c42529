//! The tables of times: quantiles, ratios, modes, and failures.

use std::fmt::Write;

use super::{
    anatomy::ms,
    engine::EMPTY,
    record::{Part, Results, Series},
    statistics::{LEAST, Modes, Quantiles, interval, modes},
};
use crate::stats::{max, median};

/// What modes are looked for with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Test {
    pub(super) seed: u64,
    /// Below this probability a second mode is no chance.
    pub(super) significance: f64,
}

/// Whether modes are looked for in the series of a part. At the same time, different functions are asked, of which
/// some hash a password: their times have several modes for that reason alone.
fn is_tested(part: Part) -> bool {
    part != Part::Burst
}

/// In how many series modes are looked for.
pub(super) fn tests(results: &Results) -> usize {
    let tested = |series: &&Series| is_tested(series.part) && series.samples.len() >= LEAST;
    results.series.iter().filter(tested).count()
}

/// Each function alone.
pub(super) fn singles(page: &mut String, results: &Results, test: Test) {
    let mut series: Vec<_> = results.of_part(Part::Single).collect();
    if series.is_empty() {
        return;
    }
    series.sort_by_key(|series| (series.name != EMPTY, series.name.clone()));
    let empty = results.find(Part::Single, EMPTY);
    let _ = writeln!(
        page,
        "### One at a time\n\nMilliseconds. ÷ empty: the median of n ratios, each to the empty function of the same \
         round.\n\n| function | n | failed | p50 (95 % interval) | p90 | p99 | max | ÷ empty | modes |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|---|"
    );
    for series in &series {
        let ratio = empty
            .map(|empty| median(&paired(series, empty, |a, b| a / b)))
            .filter(|r| r.is_finite());
        let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(page, "{} {ratio} | {} |", row(series), told(series, test));
    }
    let notes = series.iter().filter(|s| !s.note.is_empty());
    let notes: Vec<_> = notes.map(|s| format!("{}: {}", s.name, s.note)).collect();
    let _ = writeln!(page);
    if !notes.is_empty() {
        let _ = writeln!(page, "What was asked: {}.\n", notes.join("; "));
    }
    ended(page, results, Part::Single);
}

/// What `of` makes of the times of two series, for each round that both have.
fn paired(series: &Series, other: &Series, of: fn(f64, f64) -> f64) -> Vec<f64> {
    let of_round = |n: u32| other.samples.iter().find(|s| s.round == n).map(|s| s.ms);
    let pairs = series.samples.iter();
    pairs
        .filter_map(|s| Some(of(s.ms, of_round(s.round)?)))
        .collect()
}

/// The beginning of a row: name, n, failures, quantiles.
fn row(series: &Series) -> String {
    let q = Quantiles::of(&series.times());
    let failed = series.failures.len();
    if q.n == 0 {
        return format!("| {} | 0 | {failed} | – | – | – | – |", series.name);
    }
    let known = |quantile: Option<f64>| quantile.map_or("–".to_owned(), ms);
    format!(
        "| {} | {} | {failed} | {} ({}) | {} | {} | {} |",
        series.name,
        q.n,
        ms(q.p50),
        between(q.p50_between),
        known(q.p90),
        known(q.p99),
        ms(q.max)
    )
}

fn between(interval: Option<(f64, f64)>) -> String {
    interval.map_or("–".to_owned(), |(low, high)| {
        format!("{} – {}", ms(low), ms(high))
    })
}

fn told(series: &Series, test: Test) -> String {
    match modes(&series.times(), test.seed, test.significance) {
        Modes::Unknown => format!("n < {LEAST}"),
        Modes::One { .. } => "one".to_owned(),
        Modes::Two { at, share, p } => {
            let p = match p {
                p if p < 0.001 => "p < 0.001".to_owned(),
                p => format!("p = {p:.3}"),
            };
            format!(
                "two: {} and {} (the smaller has {:.0} %, {p})",
                ms(at[0]),
                ms(at[1]),
                share * 100.0
            )
        }
    }
}

/// All series of a part, by name.
pub(super) fn compared(
    page: &mut String,
    results: &Results,
    part: Part,
    (heading, why): (&str, &str),
    test: Test,
) {
    let mut series: Vec<_> = results.of_part(part).collect();
    if series.is_empty() {
        return;
    }
    series.sort_by_key(|series| by_numbers(&series.name));
    let (modes, line) = match is_tested(part) {
        true => (" modes |", "---|"),
        false => ("", ""),
    };
    let _ = writeln!(
        page,
        "### {heading}\n\n{why}\n\n| | n | failed | p50 (95 % interval) | p90 | p99 | max |{modes}\n\
         |---|--:|--:|--:|--:|--:|--:|{line}"
    );
    for series in &series {
        let modes = match is_tested(part) {
            true => format!(" {} |", told(series, test)),
            false => String::new(),
        };
        let _ = writeln!(page, "{}{modes}", row(series));
    }
    let _ = writeln!(page);
    ended(page, results, part);
    if part == Part::Gateway {
        differences(page, &series);
    }
}

/// A name as texts and numbers, so that 5 comes before 17.
pub(super) fn by_numbers(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for c in name.chars() {
        let Some(part) = parts.last_mut() else {
            continue;
        };
        match c.to_digit(10) {
            Some(digit) => {
                part.1 = part.1.saturating_mul(10).saturating_add(digit.into());
                in_number = true;
            }
            None if in_number => {
                parts.push((c.to_string(), 0));
                in_number = false;
            }
            None => part.0.push(c),
        }
    }
    parts
}

/// The ends of the names of series with and without the gateway.
pub(super) const WAYS: [&str; 2] = [", with the gateway", ", without"];

/// What the gateway adds, round by round.
fn differences(page: &mut String, series: &[&Series]) {
    let mut rows = String::new();
    for with in series {
        let Some(function) = with.name.strip_suffix(WAYS[0]) else {
            continue;
        };
        let without = format!("{function}{}", WAYS[1]);
        let Some(without) = series.iter().find(|s| s.name == without) else {
            continue;
        };
        let differences = paired(with, without, |a, b| a - b);
        if !differences.is_empty() {
            let _ = writeln!(
                rows,
                "| {function} | {} | {} ({}) |",
                differences.len(),
                ms(median(&differences)),
                between(interval(&differences))
            );
        }
    }
    if !rows.is_empty() {
        let _ = writeln!(
            page,
            "What the gateway adds: the median of n differences, each of two requests of the same round, in \
             milliseconds.\n\n| function | n | with − without (95 % interval) |\n|---|--:|--:|\n{rows}"
        );
    }
}

/// Says that the limit ended a part.
fn ended(page: &mut String, results: &Results, part: Part) {
    for ended in results.ended.iter().filter(|ended| ended.part == part) {
        let _ = writeln!(
            page,
            "The limit of {} s ended this part after {} of {} rounds.\n",
            ended.limit_s, ended.rounds, ended.of
        );
    }
}

/// Each kind of failure, with how often it happened.
pub(super) fn failures(page: &mut String, results: &Results) {
    let requests = results.series.iter().filter(|s| s.has_requests());
    let all = requests.map(|s| s.samples.len() + s.failures.len());
    let all: usize = all.sum();
    let failed: Vec<_> = results
        .series
        .iter()
        .filter(|s| !s.failures.is_empty())
        .collect();
    let count: usize = failed.iter().map(|s| s.failures.len()).sum();
    let _ = writeln!(
        page,
        "### Failures\n\n{count} of {all} requests failed. They are not in the times above.\n"
    );
    for series in failed {
        let times: Vec<_> = series.failures.iter().map(|f| f.after_ms).collect();
        let _ = writeln!(
            page,
            "- {}: {}, after {} ms at the most; the first: {}",
            series.name,
            series.failures.len(),
            ms(max(&times)),
            series.failures[0].why.lines().next().unwrap_or_default()
        );
    }
    if count > 0 {
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coldstart::record::{Ended, Sample};

    const TEST: Test = Test {
        seed: 1,
        significance: 0.05,
    };

    fn results(series: &[(Part, &str, &[f64])]) -> Results {
        let mut results = Results::default();
        for (part, name, times) in series {
            for (ms, n) in times.iter().zip(1..) {
                results.series(*part, name).samples.push(Sample {
                    round: n,
                    ms: *ms,
                    ..Sample::default()
                });
            }
        }
        results
    }

    #[test]
    fn rows_are_in_order_and_the_gateway_is_a_difference() {
        let mut results = results(&[
            (Part::Gateway, "get-product, without", &[4.0, 5.0, 9.0]),
            (
                Part::Gateway,
                "get-product, with the gateway",
                &[4.5, 5.1, 9.3],
            ),
            (Part::Burst, "17 at once, each", &[50.0]),
            (Part::Burst, "5 at once, each", &[20.0]),
        ]);
        results.ended.push(Ended {
            part: Part::Burst,
            limit_s: 60,
            rounds: 1,
            of: 25,
        });
        let mut page = String::new();
        compared(&mut page, &results, Part::Gateway, ("G", "Why."), TEST);
        // The median of 0.5, 0.1 and 0.3.
        assert!(page.contains("| get-product | 3 | 0.30 (–) |"), "{page}");
        let mut page = String::new();
        compared(&mut page, &results, Part::Burst, ("B", "Why."), TEST);
        let at = |text: &str| page.find(text).unwrap();
        assert!(
            at("| 5 at once, each | 1 | 0 |") < at("| 17 at once"),
            "{page}"
        );
        assert!(!page.contains("modes"), "{page}");
        assert!(
            page.contains("The limit of 60 s ended this part after 1 of 25 rounds."),
            "{page}"
        );
    }

    #[test]
    fn times_of_rounds_are_no_requests_and_pooled_functions_are_not_tested() {
        let many = [1.0; 30];
        let results = results(&[
            (Part::Burst, "5 at once, each", &many),
            (Part::Burst, "5 at once, the last", &many),
            (Part::Idle, "get-product, 0 s", &many),
            (Part::Idle, "get-product, 10 s", &many[..19]),
        ]);
        let mut page = String::new();
        failures(&mut page, &results);
        assert!(page.contains("0 of 79 requests failed."), "{page}");
        assert_eq!(tests(&results), 1);
    }
}
