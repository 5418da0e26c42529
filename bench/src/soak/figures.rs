//! What is counted of each function, by each wire.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use zerocart_conformance::shop;
use zerocart_proto::rpc::Info;
use zerocart_wires::Wire;

use super::attempt::Class;
use crate::stats::{max, quantile};

/// How many losses and wrong answers are kept in full, for people.
const EXAMPLES: usize = 8;

/// One attempt of a call.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) sent: Instant,
    pub(crate) took: Duration,
    pub(crate) class: Class,
    /// Whether the same request was sent before, and passed the gateway's limit.
    pub(crate) again: bool,
}

/// The attempts of one function by one wire.
#[derive(Debug, Default)]
struct Row {
    attempts: Vec<Attempt>,
    answers: BTreeMap<String, usize>,
    gave_up: usize,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<(bool, &'static str, &'static str), Row>,
    examples: Vec<String>,
}

/// All attempts. Customers share it.
#[derive(Debug, Default)]
pub(crate) struct Figures(Mutex<Inner>);

/// The figures of one function by one wire. Times are in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figure {
    pub(crate) function: &'static str,
    pub(crate) wire: &'static str,
    pub(crate) writes: bool,
    /// Requests, without their repetitions.
    pub(crate) sent: usize,
    /// Repetitions.
    pub(crate) repeated: usize,
    pub(crate) good: usize,
    pub(crate) refused: usize,
    /// Attempts that the gateway's limit refused.
    pub(crate) limited: usize,
    /// Attempts that a function asked to send again.
    pub(crate) busy: usize,
    /// Requests whose first attempt was lost.
    pub(crate) lost: usize,
    /// Repetitions that were lost.
    pub(crate) lost_again: usize,
    pub(crate) wrong: usize,
    /// Requests that did not get through.
    pub(crate) lost_for_good: usize,
    /// The longest time from a lost or busy attempt to the next good answer.
    pub(crate) gap_ms: f64,
    /// Of good answers; none without any.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) max_ms: Option<f64>,
    /// How often which answer came, or none.
    pub(crate) answers: BTreeMap<String, usize>,
}

impl Figures {
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts an attempt. `told` says in full what came of it.
    pub(crate) fn note(
        &self,
        (info, wire): (&Info, Wire),
        attempt: Attempt,
        label: String,
        told: impl FnOnce() -> String,
    ) {
        let kept = matches!(attempt.class, Class::Lost | Class::Wrong);
        self.with(|inner| {
            if kept && inner.examples.len() < EXAMPLES {
                let name = shop::name(wire);
                let example = format!("{} over {name}, {label}: {}", info.name, told());
                inner.examples.push(example);
            }
            let row = inner.rows.entry(key(info, wire)).or_default();
            *row.answers.entry(label).or_default() += 1;
            row.attempts.push(attempt);
        });
    }

    /// Counts a request that did not get through.
    pub(crate) fn gave_up(&self, info: &Info, wire: Wire) {
        self.with(|inner| inner.rows.entry(key(info, wire)).or_default().gave_up += 1);
    }

    /// The figures so far; a function that is still without a good answer is so until `end`.
    pub(crate) fn all(&self, end: Instant) -> Vec<Figure> {
        self.with(|inner| {
            let rows = inner.rows.iter();
            let figure = |(key, row): (&(bool, _, _), &Row)| row.figure(*key, end);
            rows.map(figure).collect()
        })
    }

    /// Some lost and wrong answers in full.
    pub(crate) fn examples(&self) -> Vec<String> {
        self.with(|inner| inner.examples.clone())
    }
}

fn key(info: &Info, wire: Wire) -> (bool, &'static str, &'static str) {
    (info.writes, info.name, shop::name(wire))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Row {
    fn figure(&self, key: (bool, &'static str, &'static str), end: Instant) -> Figure {
        let (writes, function, wire) = key;
        let count = |wanted: &dyn Fn(&Attempt) -> bool| {
            let attempts = self.attempts.iter();
            attempts.filter(|attempt| wanted(attempt)).count()
        };
        let good = self.attempts.iter().filter(|a| a.class == Class::Good);
        let times: Vec<_> = good.map(|attempt| ms(attempt.took)).collect();
        let time = |value: f64| (!value.is_nan()).then_some(value);
        Figure {
            function,
            wire,
            writes,
            sent: count(&|a| !a.again && !matches!(a.class, Class::Limited(_))),
            repeated: count(&|a| a.again && !matches!(a.class, Class::Limited(_))),
            good: times.len(),
            refused: count(&|a| a.class == Class::Refused),
            limited: count(&|a| matches!(a.class, Class::Limited(_))),
            busy: count(&|a| matches!(a.class, Class::Busy(_))),
            lost: count(&|a| !a.again && a.class == Class::Lost),
            lost_again: count(&|a| a.again && a.class == Class::Lost),
            wrong: count(&|a| a.class == Class::Wrong),
            lost_for_good: self.gave_up,
            gap_ms: ms(self.longest_gap(end)),
            p50_ms: time(quantile(&times, 0.5)),
            p99_ms: time(quantile(&times, 0.99)),
            max_ms: time(max(&times)),
            answers: self.answers.clone(),
        }
    }

    /// The longest time from the sending of an attempt that failed to the next answer, by which the
    /// function works again.
    fn longest_gap(&self, end: Instant) -> Duration {
        let mut by_end: Vec<_> = self.attempts.iter().collect();
        by_end.sort_by_key(|attempt| attempt.sent + attempt.took);
        let (mut longest, mut since) = (Duration::ZERO, None::<Instant>);
        for attempt in by_end {
            match attempt.class {
                Class::Lost | Class::Busy(_) => {
                    since = Some(since.map_or(attempt.sent, |since| since.min(attempt.sent)));
                }
                Class::Good | Class::Refused => {
                    let answered = attempt.sent + attempt.took;
                    if let Some(since) = since.take() {
                        longest = longest.max(answered.saturating_duration_since(since));
                    }
                }
                Class::Limited(_) | Class::Wrong => {}
            }
        }
        longest.max(since.map_or(Duration::ZERO, |since| end.saturating_duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use zerocart_proto::rpc::{self, Rpc};

    use super::*;

    fn figure(attempts: &[(u64, u64, Class, bool)]) -> Figure {
        let (figures, begin) = (Figures::default(), Instant::now());
        for (sent_ms, took_ms, class, again) in attempts.iter().cloned() {
            let attempt = Attempt {
                sent: begin + Duration::from_millis(sent_ms),
                took: Duration::from_millis(took_ms),
                class,
                again,
            };
            let of = (&rpc::CreateOrder::INFO, Wire::Grpc);
            figures.note(of, attempt, "label".into(), || "told".into());
        }
        let all = figures.all(begin + Duration::from_secs(10));
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap()
    }

    #[test]
    fn first_attempts_and_repetitions_are_told_apart() {
        let figure = figure(&[
            (0, 10, Class::Good, false),
            (100, 50, Class::Lost, false),
            (200, 50, Class::Lost, true),
            (300, 50, Class::Busy(None), true),
            (400, 20, Class::Good, true),
            (500, 1, Class::Limited(Duration::from_secs(1)), false),
            (600, 30, Class::Refused, true),
        ]);
        assert_eq!((figure.sent, figure.repeated), (2, 4));
        assert_eq!((figure.lost, figure.lost_again, figure.busy), (1, 1, 1));
        assert_eq!((figure.good, figure.refused, figure.limited), (2, 1, 1));
        assert_eq!(figure.gap_ms, 320.0);
        assert_eq!((figure.p50_ms, figure.max_ms), (Some(10.0), Some(20.0)));
        assert_eq!(figure.answers["label"], 7);
        assert!(figure.writes);
    }

    #[test]
    fn a_gap_begins_with_the_first_failure_and_lasts_until_the_next_answer() {
        // It was sent before the good answer came, and is lost after it.
        let lost = figure(&[
            (0, 900, Class::Lost, false),
            (100, 100, Class::Good, false),
            (1000, 100, Class::Good, true),
        ]);
        assert_eq!(lost.gap_ms, 1100.0);
        let never = figure(&[(4000, 1, Class::Lost, false)]);
        assert_eq!(never.gap_ms, 6000.0);
        assert_eq!(never.p50_ms, None);
        let fine = figure(&[(0, 1, Class::Good, false), (5000, 1, Class::Good, false)]);
        assert_eq!(fine.gap_ms, 0.0);
    }
}
