//! The table, and whether the target is met.

use std::{thread, time::Duration};

use crate::{
    machine,
    stats::{max, median, quantile},
};

use zerocart_proto::rpc::Info;

use super::{CHAIN, Record, Records, WARM};

/// The target: what the first order waits for, as a multiple of the slowest start.
const MAX_RATIO: f64 = 1.5;

/// The facts of a whole run.
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) rounds: u32,
    pub(super) took: Duration,
    /// Before the first start.
    pub(super) load: f64,
    pub(super) postgres: String,
}

/// Prints the tables; whether the target is met.
pub(super) fn print(run: &Run, records: &Records) -> bool {
    println!("| function, alone | from zero, ms | warm, ms | CPU time, ms | its start, ms |");
    println!("|---|--:|--:|--:|--:|");
    for (Info { name, .. }, record) in CHAIN.iter().zip(&records.alone) {
        row(name, record, "");
    }
    let starts: Vec<_> = records.alone.iter().map(|r| median(&r.start)).collect();
    let (slowest, sum) = (max(&starts), starts.iter().sum::<f64>());
    println!("| slowest start | | | | {slowest:.1} |");
    println!("| sum of the starts | | | | {sum:.1} |");
    println!();
    println!(
        "| order | from zero, ms | warm, ms | CPU time, ms | its starts, ms | ÷ slowest | ÷ sum |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let orders = [
        ("first order, all at zero", &records.woken),
        ("the same, were nobody woken", &records.unwoken),
    ];
    for (name, record) in orders {
        let start = median(&record.start);
        let ratios = format!(" {:.2} | {:.2} |", start / slowest, start / sum);
        row(name, record, &ratios);
    }
    let (ratio, met) = judge(records);
    let verdict = if met { "PASS" } else { "FAIL" };
    println!();
    println!("Target: ÷ slowest ≤ {MAX_RATIO}: {ratio:.2}, {verdict}.");
    println!();
    println!(
        "Median (p90) of n = {}, each on a fleet at zero; warm is the median of the {WARM} same \
         requests after it, start is the one less the other. CPU time is that of the functions and \
         of their sessions at PostgreSQL until the first answer. PostgreSQL does not wait for the \
         disk, the payment provider answers at once.",
        run.rounds
    );
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (cpu, warm) = (median(&records.woken.cpu), median(&records.woken.warm));
    let least = cpu / cores as f64 - warm;
    println!();
    println!(
        "On {cores} cores no order from zero takes less than its CPU time by {cores}: less the \
         warm order that is {least:.1} ms, {:.2} × the slowest start.",
        least / slowest
    );
    println!();
    println!(
        "{}, PostgreSQL {} on 127.0.0.1.",
        machine::describe(),
        run.postgres
    );
    println!(
        "Seed {}, {:.0} s, load before it {:.2}.",
        run.seed,
        run.took.as_secs_f64(),
        run.load
    );
    met
}

/// The wait of the first order as a multiple of the slowest start, and whether it meets the target.
fn judge(records: &Records) -> (f64, bool) {
    let starts: Vec<_> = records.alone.iter().map(|r| median(&r.start)).collect();
    let ratio = median(&records.woken.start) / max(&starts);
    // A value that is not a number meets nothing.
    (ratio, ratio <= MAX_RATIO)
}

fn row(name: &str, record: &Record, rest: &str) {
    let time = |sample: &[f64]| format!("{:.1} ({:.1})", median(sample), quantile(sample, 0.9));
    println!(
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
        assert!(!judge(&records).1, "nothing was measured");
        for (i, record) in records.alone.iter_mut().enumerate() {
            record.add(times(10.0 + i as f64));
        }
        records.woken.add(times(19.0));
        assert_eq!(judge(&records), (1.5, true));
        records.woken = Record::default();
        records.woken.add(times(19.1));
        assert!(!judge(&records).1);
    }
}
