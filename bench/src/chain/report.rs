//! The tables, and whether the targets are met.

use std::{fmt::Write, thread};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use zerocart_proto::rpc::Info;

use crate::{
    cold::Kind,
    load::figures::Ratio,
    plot::Bars,
    results::{About, Output, Run},
    stats::{max, median, quantile},
};

use super::{CHAIN, NAME, Record, Records, WARM};

/// The target: the CPU time of the first order, as a multiple of that of `--against`.
const MAX_CPU_RATIO: f64 = 0.5;

/// All that was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Results {
    rounds: u32,
    /// With the sessions that the local engine keeps ready.
    warm: Option<Records>,
    own: Option<Records>,
    before: Option<Records>,
    /// The first order as it is on the local engine, to that before.
    cpu_ratio: Option<Ratio>,
    time_ratio: Option<Ratio>,
}

impl Results {
    /// As it is on the local engine.
    fn now(&self) -> Option<&Records> {
        self.warm.as_ref().or(self.own.as_ref())
    }

    fn all(&self) -> Vec<(&'static str, &Records)> {
        let own = match self.warm {
            Some(_) => "own sessions",
            None => "now",
        };
        let all = [
            ("now", &self.warm),
            (own, &self.own),
            ("before", &self.before),
        ];
        all.into_iter()
            .filter_map(|(name, records)| Some((name, records.as_ref()?)))
            .collect()
    }
}

/// Prints the tables, and writes what is wanted; whether the target is met.
///
/// # Errors
///
/// When a file cannot be written.
pub(super) fn print(
    about: About,
    rounds: u32,
    sides: Vec<(Kind, Records)>,
    output: &Output,
) -> Result<bool> {
    let mut results = Results {
        rounds,
        ..Results::default()
    };
    for (kind, records) in sides {
        match kind {
            Kind::Warm => results.warm = Some(records),
            Kind::Own => results.own = Some(records),
            Kind::Before => results.before = Some(records),
        }
    }
    if let Some((now, before)) = results.now().zip(results.before.as_ref()) {
        let (cpu, time) = (
            Ratio::of(&now.woken.cpu, &before.woken.cpu),
            Ratio::of(&now.woken.cold, &before.woken.cold),
        );
        (results.cpu_ratio, results.time_ratio) = (cpu, time);
    }
    let run = Run {
        title: "The first order, all functions at zero".to_owned(),
        about,
        summary: summary(&results),
        results,
    };
    let table = table(&run.results);
    println!("{table}\n{}", run.about.sentence());
    print!("{}", output.beside_last(NAME, &run));
    if let Some(path) = output.diagram("chain-order")? {
        let all = run.results.all();
        let rows: Vec<_> = all
            .iter()
            .map(|(name, records)| {
                let order = &records.woken;
                let values = vec![median(&order.cold), median(&order.cpu), median(&order.warm)];
                ((*name).to_owned(), values)
            })
            .collect();
        let bars = Bars {
            title: "The first order, all functions at zero",
            axis: "ms",
            series: &["from zero", "CPU time until the answer", "warm"],
            rows: &rows,
        };
        bars.draw(&path)?;
    }
    output.save(NAME, &run, &table)?;
    Ok(met(&run.results))
}

/// Without another build there is nothing to compare with.
fn met(results: &Results) -> bool {
    let ratio = results.cpu_ratio.map(|ratio| ratio.median);
    // A value that is not a number meets nothing.
    ratio.is_none_or(|ratio| ratio <= MAX_CPU_RATIO)
}

fn summary(results: &Results) -> Vec<(String, f64)> {
    let mut summary = Vec::new();
    for (name, records) in results.all() {
        let order = &records.woken;
        summary.push((format!("{name}: from zero, ms"), median(&order.cold)));
        summary.push((format!("{name}: CPU, ms"), median(&order.cpu)));
        summary.push((format!("{name}: ÷ slowest start"), to_slowest(records)));
    }
    if let Some(ratio) = results.cpu_ratio {
        summary.push(("CPU ÷ before".to_owned(), ratio.median));
    }
    summary
}

fn starts(records: &Records) -> Vec<f64> {
    records.alone.iter().map(|r| median(&r.start)).collect()
}

/// The wait of the first order as a multiple of the slowest start.
fn to_slowest(records: &Records) -> f64 {
    median(&records.woken.start) / max(&starts(records))
}

fn table(results: &Results) -> String {
    let mut text = String::new();
    text.push_str("| order | sessions and build | from zero, ms | warm, ms | CPU time, ms | its starts, ms | ÷ slowest | ÷ sum |\n");
    text.push_str("|---|---|--:|--:|--:|--:|--:|--:|\n");
    for (side, records) in results.all() {
        let starts = starts(records);
        let (slowest, sum) = (max(&starts), starts.iter().sum::<f64>());
        let orders = [
            ("first order, all at zero", &records.woken),
            ("the same, without the wake-up", &records.unwoken),
        ];
        for (name, record) in orders {
            let start = median(&record.start);
            let ratios = format!(" {:.2} | {:.2} |", start / slowest, start / sum);
            row(&mut text, &format!("{name} | {side}"), record, &ratios);
        }
    }
    text.push_str("\n| function, alone | sessions and build | from zero, ms | warm, ms | CPU time, ms | its start, ms |\n");
    text.push_str("|---|---|--:|--:|--:|--:|\n");
    for (side, records) in results.all() {
        for (Info { name, .. }, record) in CHAIN.iter().zip(&records.alone) {
            row(&mut text, &format!("{name} | {side}"), record, "");
        }
    }
    if let Some((cpu, time)) = results.cpu_ratio.zip(results.time_ratio) {
        let verdict = if met(results) { "met" } else { "missed" };
        let _ = writeln!(
            text,
            "\nFirst order, now ÷ before: CPU time {cpu}, time {time} (median of pairs, smallest to largest). \
             Target: CPU time ≤ {MAX_CPU_RATIO}: {verdict}."
        );
    }
    let _ = writeln!(
        text,
        "\nMedian (p90) of n = {}, each on a fleet at zero; warm is the median of the {WARM} same requests after it, \
         start is the one less the other. CPU time is that of the functions and of PostgreSQL until the first answer. \
         PostgreSQL does not wait for the disk, the payment provider answers at once.",
        results.rounds
    );
    if let Some(now) = results.now() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (cpu, warm) = (median(&now.woken.cpu), median(&now.woken.warm));
        let least = cpu / cores as f64 - warm;
        let _ = writeln!(
            text,
            "\nOn {cores} cores no order from zero takes less than its CPU time by {cores}: less the warm order that \
             is {least:.1} ms, {:.2} × the slowest start.",
            least / max(&starts(now))
        );
    }
    text
}

fn row(text: &mut String, name: &str, record: &Record, rest: &str) {
    let time = |sample: &[f64]| format!("{:.1} ({:.1})", median(sample), quantile(sample, 0.9));
    let _ = writeln!(
        text,
        "| {name} | {} | {} | {} | {} |{rest}",
        time(&record.cold),
        time(&record.warm),
        time(&record.cpu),
        time(&record.start),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Times;

    #[test]
    fn the_slowest_start_is_the_measure() {
        let times = |cold| Times {
            cold,
            warm: 4.0,
            cpu: None,
        };
        let mut records = Records::default();
        assert!(to_slowest(&records).is_nan(), "nothing was measured");
        for (i, record) in records.alone.iter_mut().enumerate() {
            record.add(times(10.0 + i as f64));
        }
        records.woken.add(times(19.0));
        assert_eq!(to_slowest(&records), 1.5);
    }

    #[test]
    fn the_target_is_half_of_the_cpu_time_before() {
        let with = |now: f64, before: f64| Results {
            cpu_ratio: Ratio::of(&[now], &[before]),
            ..Results::default()
        };
        assert!(met(&Results::default()), "nothing to compare with");
        assert!(met(&with(10.0, 20.0)));
        assert!(!met(&with(10.1, 20.0)));
        assert!(!met(&with(f64::NAN, 20.0)));
    }
}
