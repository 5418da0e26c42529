//! The table, the books, and the verdict.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{
    books::{Books, is_sold, units},
    figures::Figure,
};

/// All that a run found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) url: String,
    pub(super) seconds: f64,
    pub(super) customers: usize,
    pub(super) orders_per_second: f64,
    pub(super) failure_rate: f64,
    pub(super) seed: u64,
    pub(super) figures: Vec<Figure>,
    /// Lost and wrong answers in full, as examples.
    pub(super) examples: Vec<String>,
    /// Why customers ended early.
    pub(super) ended_early: Vec<String>,
    /// An answer came that no client should get.
    pub(super) wrong_answers: Vec<String>,
    /// How many orders have which status.
    pub(super) orders: BTreeMap<String, usize>,
    pub(super) units_sold: i64,
    pub(super) revenue_cents: i64,
    /// How long after the load the books balanced, or were given up.
    pub(super) settled_after_s: f64,
    pub(super) books_wrong: Vec<String>,
    /// Whether a request that is lost at its first attempt is a failure, too.
    pub(super) no_loss: bool,
}

/// Sums over functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Sums {
    pub(super) sent: usize,
    pub(super) repeated: usize,
    pub(super) busy: usize,
    pub(super) lost: usize,
    pub(super) lost_for_good: usize,
    pub(super) gap_ms: f64,
}

impl Report {
    /// Adds what the books say.
    pub(super) fn add(&mut self, books: &Books, took: Duration) {
        self.settled_after_s = took.as_secs_f64();
        self.books_wrong = books.wrong();
        self.revenue_cents = books.revenue().get();
        for order in books.orders() {
            let status = order.status().as_str_name().to_owned();
            *self.orders.entry(status).or_default() += 1;
            if is_sold(order) {
                self.units_sold += units(order).values().sum::<i64>();
            }
        }
    }

    /// The sums over the functions that write, or over those that read.
    pub(super) fn sums(&self, writes: bool) -> Sums {
        let figures = self.figures.iter().filter(|figure| figure.writes == writes);
        figures.fold(Sums::default(), |sums, figure| Sums {
            sent: sums.sent + figure.sent,
            repeated: sums.repeated + figure.repeated,
            busy: sums.busy + figure.busy,
            lost: sums.lost + figure.lost,
            lost_for_good: sums.lost_for_good + figure.lost_for_good,
            gap_ms: sums.gap_ms.max(figure.gap_ms),
        })
    }

    /// All that makes this run fail, in one line each; empty when it passes.
    pub(super) fn failures(&self) -> Vec<String> {
        let (reads, writes) = (self.sums(false), self.sums(true));
        let mut failures = Vec::new();
        let books = self.books_wrong.len();
        if books > 0 {
            failures.push(format!("the books do not balance (places: {books})"));
        }
        let for_good = reads.lost_for_good + writes.lost_for_good;
        if for_good > 0 {
            failures.push(format!("requests that did not get through: {for_good}"));
        }
        let wrong = self.wrong_answers.len();
        if wrong > 0 {
            failures.push(format!("wrong answers: {wrong}"));
        }
        let lost = reads.lost + writes.lost;
        if self.no_loss && lost > 0 {
            failures.push(format!(
                "requests that were lost at their first attempt: {lost}"
            ));
        }
        failures
    }

    /// The verdict in one line.
    pub(super) fn verdict(&self) -> String {
        let failures = self.failures();
        let orders: usize = self.orders.values().sum();
        let (reads, writes) = (self.sums(false), self.sums(true));
        let lost = reads.lost + writes.lost;
        match failures.is_empty() {
            true => format!(
                "PASS: the books of {orders} orders balance. {lost} of {} requests were lost at \
                 their first attempt, none for good.",
                reads.sent + writes.sent
            ),
            false => format!("FAIL: {}.", failures.join("; ")),
        }
    }

    /// Prints everything.
    pub(super) fn print(&self) {
        println!(
            "| function | wire | sent | repeated | good | refused | limited | busy | lost | lost \
             again | lost for good | gap, ms | p50, ms | p99, ms | longest, ms |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        for f in &self.figures {
            let time = |time: Option<f64>| time.map_or("–".into(), |time| format!("{time:.1}"));
            println!(
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} | {} | {} | {} |",
                f.function,
                f.wire,
                f.sent,
                f.repeated,
                f.good,
                f.refused,
                f.limited,
                f.busy,
                f.lost,
                f.lost_again,
                f.lost_for_good,
                f.gap_ms,
                time(f.p50_ms),
                time(f.p99_ms),
                time(f.max_ms),
            );
        }
        println!();
        for (name, sums) in [("reads", self.sums(false)), ("writes", self.sums(true))] {
            println!(
                "{name}: {} sent, {} lost, {} busy, {} lost for good, longest gap {:.0} ms",
                sums.sent, sums.lost, sums.busy, sums.lost_for_good, sums.gap_ms
            );
        }
        let orders = self
            .orders
            .iter()
            .map(|(status, n)| format!("{n} {status}"));
        println!(
            "orders: {}; {} units sold for {:.2}; settled {:.0} s after the load",
            orders.collect::<Vec<_>>().join(", "),
            self.units_sold,
            self.revenue_cents as f64 / 100.0,
            self.settled_after_s
        );
        println!(
            "{:.0} s, {} customers, at most {} orders per second, failure rate {}, seed {}",
            self.seconds, self.customers, self.orders_per_second, self.failure_rate, self.seed
        );
        for (title, lines) in [
            ("lost, for example", &self.examples),
            ("customers that ended early", &self.ended_early),
            ("wrong answers", &self.wrong_answers),
            ("wrong in the books", &self.books_wrong),
        ] {
            if !lines.is_empty() {
                println!("\n{title}:");
            }
            for line in lines {
                println!("  {line}");
            }
        }
        println!("\n{}", self.verdict());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(writes: bool, lost: usize, lost_for_good: usize) -> Report {
        let figure = Figure {
            writes,
            sent: 10,
            lost,
            lost_for_good,
            gap_ms: 7.0,
            ..Default::default()
        };
        Report {
            figures: vec![figure],
            orders: [("PAID".into(), 3)].into(),
            ..Default::default()
        }
    }

    #[test]
    fn only_what_is_lost_for_good_fails_unless_nothing_may_be_lost() {
        for writes in [true, false] {
            let mut lost = report(writes, 2, 0);
            assert_eq!(lost.failures(), Vec::<String>::new());
            let verdict = "PASS: the books of 3 orders balance. 2 of 10 requests were lost at \
                           their first attempt, none for good.";
            assert_eq!(lost.verdict(), verdict);
            lost.no_loss = true;
            let verdict = "FAIL: requests that were lost at their first attempt: 2.";
            assert_eq!(lost.verdict(), verdict);
            let verdict = "FAIL: requests that did not get through: 1.";
            assert_eq!(report(writes, 0, 1).verdict(), verdict);
            assert_eq!(report(writes, 2, 0).sums(!writes), Sums::default());
        }
    }

    #[test]
    fn wrong_books_and_wrong_answers_fail() {
        let mut wrong = report(true, 0, 0);
        wrong.books_wrong = vec!["product".into(), "order".into()];
        wrong.wrong_answers = vec!["get-cart".into()];
        assert_eq!(
            wrong.failures(),
            ["the books do not balance (places: 2)", "wrong answers: 1"]
        );
    }
}
