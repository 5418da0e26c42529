//! The table, and whether the targets are met.

use std::time::Duration;

use anyhow::Result;

use crate::{
    cases::{self, Apart, Seeds},
    machine,
    stats::{max, median, quantile},
};

use super::{Record, Subject};

/// The targets of cold starts.
///
/// The first answer that queried PostgreSQL, as a multiple of the floor's.
const MAX_RATIO: f64 = 1.25;
/// Resident after the first answer, in bytes.
const MAX_RESIDENT_BYTES: f64 = 8e6;
/// The stripped static binary, in bytes.
const MAX_BINARY_BYTES: f64 = 6e6;

/// The facts of a whole run.
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) rounds: u32,
    pub(super) took: Duration,
    /// Before the first start.
    pub(super) load: f64,
    pub(super) postgres: String,
}

/// Prints the table; whether every target is met.
///
/// # Errors
///
/// For a function without a request.
pub(super) fn print(
    run: &Run,
    floor: &Subject,
    functions: &[Subject],
    seeds: &Seeds,
) -> Result<bool> {
    println!(
        "| function | listening, ms | /health, ms | /ready, ms | first answer, ms | ÷ floor \
         | resident, MB | binary, MB | targets |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|---|");
    row(floor, "floor", "1", "");
    let mut met = true;
    // A description of the request, if the name of the function does not say it.
    let mut asked = Vec::new();
    for function in functions {
        let apart = cases::apart(function.name);
        let (ratio, missed) = judge(&function.record, function.binary_bytes, apart.is_some());
        let verdict = match missed.as_slice() {
            [] => "PASS".to_owned(),
            missed => format!("FAIL: {}", missed.join(", ")),
        };
        let mark = match apart {
            Some(Apart::Hashes) => " ¹",
            Some(Apart::Calls) => " ²",
            None => "",
        };
        row(
            function,
            function.name,
            &format!("{ratio:.2}{mark}"),
            &verdict,
        );
        met &= missed.is_empty();
        if let Some(info) = function.info {
            let case = cases::case(info, seeds, 0);
            if !case.note.is_empty() {
                let (name, status, note) = (info.name, case.status, case.note);
                asked.push(format!("{name}: {status}, {note}"));
            }
        }
    }
    let Run { seed, rounds, .. } = run;
    println!();
    println!(
        "Median (p90) of n = {rounds} starts, from before fork and exec; the floor's of all its \
         starts. ÷ floor: the median of n ratios, each to a start of the floor just before or \
         after. /health asks nobody; /ready is asked after it, on the same connection, and asks \
         PostgreSQL; the first answer is that of the function's own RPC in another process. \
         Resident: the largest VmRSS after the first answer. PostgreSQL does not wait for the disk."
    );
    println!();
    println!(
        "No other function runs, so that some are asked what they answer alone ({}). All else is \
         answered with success.",
        asked.join("; ")
    );
    let has = |apart| {
        functions
            .iter()
            .any(|f| cases::apart(f.name) == Some(apart))
    };
    if has(Apart::Hashes) {
        println!();
        println!(
            "¹ The first answer hashes a password (argon2id), which is most of its time; the \
             ratio is that of /ready."
        );
    }
    if has(Apart::Calls) {
        println!();
        println!("² There is no answer without another function; the ratio is that of /ready.");
    }
    println!();
    println!(
        "Targets: ÷ floor ≤ {MAX_RATIO}, resident ≤ {} MB, binary ≤ {} MB (1 MB = 10⁶ bytes).",
        MAX_RESIDENT_BYTES / 1e6,
        MAX_BINARY_BYTES / 1e6
    );
    println!();
    println!(
        "{}, PostgreSQL {} on 127.0.0.1.",
        machine::describe(),
        run.postgres
    );
    println!(
        "Seed {seed}, {:.0} s, load before it {:.2}.",
        run.took.as_secs_f64(),
        run.load
    );
    Ok(met)
}

/// The ratio to the floor, and which targets are missed.
fn judge(record: &Record, binary_bytes: u64, by_ready: bool) -> (f64, Vec<&'static str>) {
    let ratio = median(if by_ready {
        &record.ready_ratio
    } else {
        &record.answer_ratio
    });
    let targets = [
        ("÷ floor", ratio, MAX_RATIO),
        ("resident", max(&record.resident), MAX_RESIDENT_BYTES),
        ("binary", binary_bytes as f64, MAX_BINARY_BYTES),
    ];
    // A value that is not a number meets nothing.
    let missed = targets
        .into_iter()
        .filter(|(_, value, limit)| !matches!(value.partial_cmp(limit), Some(o) if o.is_le()))
        .map(|(name, ..)| name)
        .collect();
    (ratio, missed)
}

fn row(subject: &Subject, name: &str, ratio: &str, verdict: &str) {
    let time = |sample: &[f64]| format!("{:.1} ({:.1})", median(sample), quantile(sample, 0.9));
    let record = &subject.record;
    println!(
        "| {name} | {} | {} | {} | {} | {ratio} | {:.1} | {:.1} | {verdict} |",
        time(&record.listening),
        time(&record.healthy),
        time(&record.ready),
        time(&record.answer),
        max(&record.resident) / 1e6,
        subject.binary_bytes as f64 / 1e6,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(answer_ratio: f64, ready_ratio: f64, resident: f64) -> Record {
        Record {
            answer_ratio: vec![answer_ratio],
            ready_ratio: vec![ready_ratio],
            resident: vec![resident],
            ..Record::default()
        }
    }

    #[test]
    fn targets() {
        let good = record(1.25, 9.0, 8e6);
        assert_eq!(judge(&good, 6_000_000, false), (1.25, vec![]));
        let (_, missed) = judge(&good, 6_000_001, true);
        assert_eq!(missed, ["÷ floor", "binary"]);
        let (_, missed) = judge(&record(1.26, 1.0, 8.1e6), 1, false);
        assert_eq!(missed, ["÷ floor", "resident"]);
        assert_eq!(judge(&Record::default(), 1, false).1.len(), 2);
    }
}
