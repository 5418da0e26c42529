//! Numbers of a run: per second, per function, and how long the system took to recover.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use zerocart_proto::rpc::{self, Rpc};

use crate::{
    soak::journal::{End, Entry},
    stats::{max, quantile},
};

/// The system has recovered when so many seconds pass in which every request is good.
pub(crate) const CALM_S: f64 = 3.0;

/// In the first seconds functions start: they are no part of what is undisturbed.
pub(crate) const WARM_UP_S: f64 = 10.0;

/// The longest latency that has a place of its own, in microseconds.
const MAX_US: u64 = 600_000_000;

/// Groups of requests, whose recovery is measured apart.
pub(crate) const GROUPS: [&str; 3] = ["catalogue", "carts", "orders"];

/// A request, in seconds after the load has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) function: String,
    pub(crate) due_s: f64,
    pub(crate) planned: bool,
    pub(crate) sent_s: f64,
    pub(crate) ended_s: f64,
    pub(crate) attempts: u32,
    pub(crate) first_failed: bool,
    pub(crate) limited: bool,
    pub(crate) end: End,
}

impl Sample {
    pub(crate) fn of(entry: &Entry, start: Instant) -> Self {
        let seconds = |at: Instant| at.saturating_duration_since(start).as_secs_f64();
        Self {
            function: entry.function.to_owned(),
            due_s: seconds(entry.due),
            planned: entry.planned,
            sent_s: seconds(entry.sent),
            ended_s: seconds(entry.ended),
            attempts: entry.attempts,
            first_failed: entry.first_failed,
            limited: entry.limited,
            end: entry.end,
        }
    }

    /// From the time for which it was planned, with all attempts and pauses.
    pub(crate) fn latency_ms(&self) -> f64 {
        (self.ended_s - self.due_s) * 1e3
    }

    /// Whether it got an answer within the limit.
    pub(crate) fn is_good(&self, limit_ms: f64) -> bool {
        self.end.is_answer() && self.latency_ms() <= limit_ms
    }

    fn group(&self) -> Option<&'static str> {
        [
            (rpc::ListProducts::INFO.name, GROUPS[0]),
            (rpc::GetProduct::INFO.name, GROUPS[0]),
            (rpc::AddToCart::INFO.name, GROUPS[1]),
            (rpc::GetCart::INFO.name, GROUPS[1]),
            (rpc::CreateOrder::INFO.name, GROUPS[2]),
        ]
        .into_iter()
        .find_map(|(function, group)| (self.function == function).then_some(group))
    }
}

/// A second of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    pub(crate) at_s: f64,
    /// Planned for this second.
    pub(crate) due: usize,
    /// Answered in this second.
    pub(crate) answered: usize,
    /// Ended in this second without an answer, or as an order without its provider.
    pub(crate) failed: usize,
    /// Of the requests that were planned for this second, until they ended.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) max_ms: Option<f64>,
    /// Orders that were paid, declined, and that failed, by when they ended.
    pub(crate) paid: usize,
    pub(crate) declined: usize,
    pub(crate) unpaid: usize,
}

/// A line for each second from 0 on, as long as something happens.
pub(crate) fn seconds(samples: &[Sample]) -> Vec<Second> {
    let last = samples.iter().map(|sample| sample.ended_s);
    let count = last.fold(0.0, f64::max) as usize + 1;
    let mut seconds: Vec<Second> = (0..count)
        .map(|n| Second {
            at_s: n as f64,
            ..Second::default()
        })
        .collect();
    let mut latencies = vec![Vec::new(); count];
    for sample in samples {
        // Both times are at most the last one.
        let (due, ended) = (sample.due_s as usize, sample.ended_s as usize);
        seconds[due].due += usize::from(sample.planned);
        if sample.planned {
            latencies[due].push(sample.latency_ms());
        }
        let at = &mut seconds[ended];
        match sample.end.is_answer() {
            true => at.answered += 1,
            false => at.failed += 1,
        }
        if sample.function == rpc::CreateOrder::INFO.name {
            match sample.end {
                End::Good => at.paid += 1,
                End::Declined => at.declined += 1,
                _ => at.unpaid += 1,
            }
        }
    }
    let some = |value: f64| (!value.is_nan()).then_some(value);
    for (second, latencies) in seconds.iter_mut().zip(&latencies) {
        second.p50_ms = some(quantile(latencies, 0.5));
        second.p95_ms = some(quantile(latencies, 0.95));
        second.max_ms = some(max(latencies));
    }
    seconds
}

/// All requests of a function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) function: String,
    pub(crate) requests: usize,
    /// Attempts after the first.
    pub(crate) repeated: u64,
    /// Requests whose first attempt failed.
    pub(crate) first_failed: usize,
    /// Requests without an answer, and orders without their provider.
    pub(crate) failed: usize,
    /// Those of them without an answer within a minute.
    pub(crate) lost: usize,
    /// Requests that the gateway's limit delayed.
    pub(crate) limited: usize,
    /// Requests that were planned after [`WARM_UP_S`], and ended before the first fault.
    pub(crate) calm: usize,
    /// From the planned time, of those and of all, in milliseconds.
    pub(crate) calm_p50_ms: f64,
    pub(crate) calm_p99_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// From the sending: what a load that waits for answers would have seen.
    pub(crate) sent_p99_ms: f64,
}

/// A row for each function; `calm_s` is the time before the first fault.
pub(crate) fn rows(samples: &[Sample], calm_s: f64) -> Result<Vec<Row>> {
    let mut functions = BTreeMap::<_, Vec<&Sample>>::new();
    for sample in samples {
        functions.entry(&sample.function).or_default().push(sample);
    }
    let row = |(function, samples): (&String, Vec<&Sample>)| {
        let all = histogram(samples.iter().map(|sample| sample.latency_ms()))?;
        let is_calm = |s: &&&Sample| s.due_s >= WARM_UP_S && s.ended_s < calm_s;
        let calm = samples.iter().filter(is_calm);
        let calm = histogram(calm.map(|sample| sample.latency_ms()))?;
        let sent = samples.iter().map(|s| (s.ended_s - s.sent_s) * 1e3);
        let sent = histogram(sent)?;
        let count = |of: &dyn Fn(&Sample) -> bool| samples.iter().filter(|s| of(s)).count();
        let ms = |of: &Histogram<u64>, p| of.value_at_quantile(p) as f64 / 1e3;
        let repeated = samples
            .iter()
            .map(|s| u64::from(s.attempts.saturating_sub(1)));
        Ok(Row {
            function: function.clone(),
            requests: samples.len(),
            repeated: repeated.sum(),
            first_failed: count(&|sample| sample.first_failed),
            failed: count(&|sample| !sample.end.is_answer()),
            lost: count(&|sample| sample.end == End::Lost),
            limited: count(&|sample| sample.limited),
            calm: usize::try_from(calm.len()).unwrap_or(usize::MAX),
            calm_p50_ms: ms(&calm, 0.5),
            calm_p99_ms: ms(&calm, 0.99),
            p50_ms: ms(&all, 0.5),
            p99_ms: ms(&all, 0.99),
            max_ms: all.max() as f64 / 1e3,
            sent_p99_ms: ms(&sent, 0.99),
        })
    };
    functions.into_iter().map(row).collect()
}

fn histogram(latencies_ms: impl Iterator<Item = f64>) -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, MAX_US, 3).context("no histogram")?;
    for ms in latencies_ms {
        histogram.saturating_record(((ms * 1e3) as u64).max(1));
    }
    Ok(histogram)
}

/// What a fault did to a group of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Effect {
    pub(crate) group: String,
    /// Requests that were planned for the time of the fault, and how many of them were good.
    pub(crate) due: usize,
    pub(crate) good: usize,
    /// From the end of the fault until the last request that was not good, before [`CALM_S`] without any; none
    /// if the next fault came first.
    pub(crate) recovered_s: Option<f64>,
    /// The longest latency of a request that was planned from the begin of the fault until the next one.
    #[serde(default)]
    pub(crate) longest_s: Option<f64>,
}

/// What a fault from `began_s` to `ended_s` did to each group; the next one begins, or the run ends, at `until_s`.
pub(crate) fn effects(
    samples: &[Sample],
    (began_s, ended_s, until_s): (f64, f64, f64),
    limit_ms: f64,
) -> Vec<Effect> {
    let effect = |group: &str| {
        let of_group = samples.iter().filter(|s| s.group() == Some(group));
        let mut of_group: Vec<&Sample> = of_group.collect();
        of_group.sort_by(|a, b| a.due_s.total_cmp(&b.due_s));
        let during = || {
            let within = |s: &&&Sample| s.planned && (began_s..ended_s).contains(&s.due_s);
            of_group.iter().filter(within)
        };
        Effect {
            group: group.to_owned(),
            due: during().count(),
            good: during().filter(|s| s.is_good(limit_ms)).count(),
            recovered_s: recovered(&of_group, ended_s, until_s, limit_ms),
            longest_s: of_group
                .iter()
                .filter(|s| (began_s..until_s).contains(&s.due_s))
                .map(|s| s.latency_ms() / 1e3)
                .max_by(f64::total_cmp),
        }
    };
    GROUPS.map(effect).into()
}

/// The samples are in the order of their planned times.
fn recovered(samples: &[&Sample], ended_s: f64, until_s: f64, limit_ms: f64) -> Option<f64> {
    let after = samples.iter().filter(|s| s.due_s >= ended_s);
    let mut calm_since = ended_s;
    for sample in after {
        if sample.due_s > calm_since + CALM_S {
            break;
        }
        if !sample.is_good(limit_ms) {
            calm_since = sample.due_s;
        }
    }
    (calm_since + CALM_S <= until_s).then_some(calm_since - ended_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(function: &str, due_s: f64, took_s: f64, end: End) -> Sample {
        Sample {
            function: function.into(),
            due_s,
            planned: true,
            sent_s: due_s,
            ended_s: due_s + took_s,
            attempts: 1,
            first_failed: false,
            limited: false,
            end,
        }
    }

    #[test]
    fn a_request_counts_where_it_was_due_and_where_it_ended() {
        let samples = [
            sample("get-product", 0.2, 0.01, End::Good),
            sample("get-product", 0.3, 2.0, End::Good),
            sample("create-order", 1.0, 0.5, End::Unavailable),
            sample("create-order", 2.5, 0.1, End::Declined),
        ];
        let seconds = seconds(&samples);
        assert_eq!(seconds.len(), 3);
        assert_eq!((seconds[0].due, seconds[0].answered), (2, 1));
        assert_eq!((seconds[1].failed, seconds[1].unpaid), (1, 1));
        assert_eq!((seconds[2].answered, seconds[2].declined), (2, 1));
        assert!((seconds[0].max_ms.unwrap() - 2_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_row_counts_from_the_planned_time() {
        let mut late = sample("get-cart", 21.0, 3.0, End::Good);
        (late.sent_s, late.attempts, late.first_failed) = (23.9, 4, true);
        let samples = [
            // It had to start the function.
            sample("get-cart", 9.0, 0.02, End::Good),
            sample("get-cart", 10.0, 0.01, End::Good),
            late,
            sample("get-cart", 30.0, 1.0, End::Lost),
        ];
        let rows = rows(&samples, 20.5).unwrap();
        let row = &rows[0];
        assert_eq!((row.requests, row.repeated, row.first_failed), (4, 3, 1));
        assert_eq!((row.calm, row.failed, row.lost), (1, 1, 1));
        assert!((row.calm_p99_ms - 10.0).abs() < 0.1, "{row:?}");
        assert!((row.p99_ms - 3_000.0).abs() < 5.0, "{row:?}");
        assert!((row.sent_p99_ms - 1_000.0).abs() < 5.0, "{row:?}");
    }

    #[test]
    fn recovery_ends_with_the_last_request_that_was_not_good() {
        let mut samples: Vec<Sample> = (0..200)
            .map(|n| sample("get-product", f64::from(n) / 10.0, 0.01, End::Good))
            .collect();
        let effect = |samples: &[Sample], until_s| {
            let effects = effects(samples, (5.0, 7.0, until_s), 1_000.0);
            effects.into_iter().next().unwrap()
        };
        assert_eq!(effect(&samples, 20.0).recovered_s, Some(0.0));
        // Late answers during the fault, one after it, and one much later, which is another story.
        for n in (50..70).chain([82, 150]) {
            samples[n].ended_s += 1.5;
        }
        let found = effect(&samples, 20.0);
        assert_eq!((found.due, found.good), (20, 0));
        assert!((found.longest_s.unwrap() - 1.51).abs() < 1e-9, "{found:?}");
        assert!((found.recovered_s.unwrap() - 1.2).abs() < 1e-9, "{found:?}");
        assert_eq!(effect(&samples, 11.0).recovered_s, None);
        samples[82].end = End::Lost;
        assert!(effect(&samples, 20.0).recovered_s > Some(1.0));
    }
}
