//! The table, and whether the targets are met.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    cases::{self, Apart, Seeds},
    load::{
        direct::Direct,
        figures::{BEFORE, Ratio},
        report::direct,
    },
    plot::Bars,
    results::{About, Output, Run},
    stats::{max, median, quantile},
};

use super::{Kind, NAME, Record, Subject, Variant};

/// The targets of cold starts.
///
/// The first answer that queried PostgreSQL, as a multiple of the floor's: of functions whose answer needs one
/// statement, and of the others. Those that hash a password have none.
const MAX_RATIO_ONE: f64 = 0.5;
const MAX_RATIO: f64 = 0.8;
/// CPU time of the function and PostgreSQL, as a multiple of the floor's.
const MAX_CPU_RATIO: f64 = 0.5;
/// Resident after the first answer, in bytes.
const MAX_RESIDENT_BYTES: f64 = 8e6;
/// The stripped static binary, in bytes.
const MAX_BINARY_BYTES: f64 = 7e6;
/// Resident and binary as a multiple of those of `--against`: pages are counted with some noise.
const MAX_GROWTH: f64 = 1.02;

/// All that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Results {
    rounds: u32,
    /// A start of a function with the sessions that it has on the local engine: until its first answer, and CPU
    /// time; the medians over functions.
    start_ms: f64,
    start_cpu_ms: f64,
    floor: Figures,
    functions: Vec<Row>,
    /// get-product, warm, with 32 clients.
    warm: Vec<Direct>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    name: String,
    /// With the sessions that the local engine keeps ready.
    warm: Option<Figures>,
    own: Option<Figures>,
    /// As `own`, with spans.
    #[serde(default)]
    spans: Option<Figures>,
    before: Option<Figures>,
    missed: Vec<String>,
}

/// Medians; times in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Figures {
    listening: Spread,
    healthy: Spread,
    ready: Spread,
    answer: Spread,
    cpu: f64,
    postgres_cpu: f64,
    broker_cpu: f64,
    ratio: f64,
    cpu_ratio: f64,
    resident_bytes: f64,
    binary_bytes: f64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Spread {
    median: f64,
    p90: f64,
}

impl Spread {
    fn of(sample: &[f64]) -> Self {
        Self {
            median: median(sample),
            p90: quantile(sample, 0.9),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1})", self.median, self.p90)
    }
}

impl Figures {
    /// `apart`: the ratio is that of `/ready`.
    fn of(record: &Record, binary_bytes: u64, apart: bool) -> Self {
        Self {
            listening: Spread::of(&record.listening),
            healthy: Spread::of(&record.healthy),
            ready: Spread::of(&record.ready),
            answer: Spread::of(&record.answer),
            cpu: median(&record.cpu),
            postgres_cpu: median(&record.postgres),
            broker_cpu: median(&record.broker),
            ratio: median(match apart {
                true => &record.ready_ratio,
                false => &record.answer_ratio,
            }),
            cpu_ratio: median(&record.cpu_ratio),
            resident_bytes: max(&record.resident),
            binary_bytes: binary_bytes as f64,
        }
    }
}

impl Row {
    /// As it runs on the local engine.
    fn now(&self) -> Option<&Figures> {
        self.warm.as_ref().or(self.own.as_ref())
    }
}

/// Prints the table, and writes what is wanted; whether every target is met.
///
/// # Errors
///
/// When a file cannot be written.
pub(super) fn print(
    about: About,
    (rounds, floor, subjects): (u32, &Variant, &[Subject]),
    warm: &[Direct],
    seeds: &Seeds,
    output: &Output,
) -> Result<bool> {
    let rows: Vec<Row> = subjects.iter().map(row).collect();
    let of_start = |of: fn(&Figures) -> f64| {
        let plain = rows.iter().filter(|row| cases::apart(&row.name).is_none());
        let each: Vec<f64> = plain.filter_map(Row::now).map(of).collect();
        median(&each)
    };
    let results = Results {
        rounds,
        start_ms: of_start(|figures| figures.answer.median),
        start_cpu_ms: of_start(|figures| figures.cpu + figures.postgres_cpu + figures.broker_cpu),
        floor: Figures::of(&floor.record, floor.binary_bytes, false),
        functions: rows,
        warm: warm.to_vec(),
    };
    let run = Run {
        title: "Cold start of each function".to_owned(),
        about,
        summary: summary(&results),
        results,
    };
    let table = table(&run, seeds);
    println!("{table}\n{}", run.about.sentence());
    print!("{}", output.beside_last(NAME, &run));
    if let Some(path) = output.diagram("cold-ratio")? {
        diagram(&run.results).draw(&path)?;
    }
    output.save(NAME, &run, &table)?;
    Ok(run
        .results
        .functions
        .iter()
        .all(|row| row.missed.is_empty()))
}

fn row(subject: &Subject) -> Row {
    let name = subject.info.name;
    let apart = cases::apart(name).is_some();
    let of = |kind: Kind, spans: bool| {
        let variant = subject
            .variants
            .iter()
            .find(|variant| variant.kind == kind && variant.spans == spans)?;
        Some(Figures::of(&variant.record, variant.binary_bytes, apart))
    };
    let mut row = Row {
        name: name.to_owned(),
        warm: of(Kind::Warm, false),
        own: of(Kind::Own, false),
        spans: of(Kind::Own, true),
        before: of(Kind::Before, false),
        missed: Vec::new(),
    };
    row.missed = missed(&row);
    row
}

/// The targets that a function misses.
fn missed(row: &Row) -> Vec<String> {
    let Some(now) = row.now() else {
        return vec!["not measured".to_owned()];
    };
    let hashes = cases::apart(&row.name) == Some(Apart::Hashes);
    let ratio = match cases::one_statement(&row.name) {
        true => MAX_RATIO_ONE,
        false => MAX_RATIO,
    };
    let before = row.before.as_ref();
    let grown = |bytes: fn(&Figures) -> f64, most: f64| {
        before.map_or(most, |before| bytes(before) * MAX_GROWTH)
    };
    let mut targets = vec![
        (
            "resident",
            now.resident_bytes,
            grown(|f| f.resident_bytes, MAX_RESIDENT_BYTES),
        ),
        (
            "binary",
            now.binary_bytes,
            grown(|f| f.binary_bytes, MAX_BINARY_BYTES),
        ),
    ];
    if !hashes {
        targets.insert(0, ("CPU ÷ floor", now.cpu_ratio, MAX_CPU_RATIO));
        targets.insert(0, ("÷ floor", now.ratio, ratio));
    }
    // A value that is not a number meets nothing.
    targets
        .into_iter()
        .filter(|(_, value, limit)| !matches!(value.partial_cmp(limit), Some(o) if o.is_le()))
        .map(|(name, ..)| name.to_owned())
        .collect()
}

fn table(run: &Run<Results>, seeds: &Seeds) -> String {
    let results = &run.results;
    let mut text = String::new();
    text.push_str(
        "| function | listening, ms | /health, ms | /ready, ms | first answer, ms | ÷ floor | own session | before \
         | CPU, ms: function + PostgreSQL + broker | ÷ floor | own session | before | resident, MB | before | binary, MB | before | misses |\n",
    );
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n");
    let times = |figures: &Figures| {
        let Figures {
            listening,
            healthy,
            ready,
            answer,
            ..
        } = figures;
        format!("{listening} | {healthy} | {ready} | {answer}")
    };
    let megabytes = |bytes: f64| format!("{:.1}", bytes / 1e6);
    let floor = &results.floor;
    let _ = writeln!(
        text,
        "| floor | {} | 1 | | | {:.1} + {:.1} + 0 | 1 | | | {} | | {} | | |",
        times(floor),
        floor.cpu,
        floor.postgres_cpu,
        megabytes(floor.resident_bytes),
        megabytes(floor.binary_bytes),
    );
    for row in &results.functions {
        let Some(now) = row.now() else { continue };
        let mark = match cases::apart(&row.name) {
            Some(Apart::Hashes) => " ¹",
            Some(Apart::Calls) => " ²",
            None => "",
        };
        let other = |figures: &Option<Figures>, of: fn(&Figures) -> f64, digits: usize| {
            let value = figures.as_ref().map(of);
            value.map_or_else(String::new, |value| format!("{value:.digits$}"))
        };
        // Where there are no sessions that are kept ready, its own are in the first column.
        let own = if row.warm.is_some() { &row.own } else { &None };
        let _ = writeln!(
            text,
            "| {} | {} | {:.2}{mark} | {} | {} | {:.1} + {:.1} + {:.1} | {:.2} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            times(now),
            now.ratio,
            other(own, |f| f.ratio, 2),
            other(&row.before, |f| f.ratio, 2),
            now.cpu,
            now.postgres_cpu,
            now.broker_cpu,
            now.cpu_ratio,
            other(own, |f| f.cpu_ratio, 2),
            other(&row.before, |f| f.cpu_ratio, 2),
            megabytes(now.resident_bytes),
            other(&row.before, |f| f.resident_bytes / 1e6, 1),
            megabytes(now.binary_bytes),
            other(&row.before, |f| f.binary_bytes / 1e6, 1),
            row.missed.join(", "),
        );
    }
    let warm = results.functions.iter().any(|row| row.warm.is_some());
    let sessions = match warm {
        true => {
            "The columns without another word are with the sessions that the local engine keeps ready; \
             *own session*: the function connects by itself, as the floor does"
        }
        false => "Each function connects by itself, as the floor does",
    };
    let _ = writeln!(
        text,
        "\nMedian (p90) of n = {} starts, from before fork and exec; the floor's of all its starts. ÷ floor: the \
         median of n ratios, each to a start of the floor just before or after. {sessions}; *before*: the build of \
         `--against`, which connects by itself. CPU: of the process until its first answer, and of PostgreSQL until \
         it has ended or reset the sessions, and of the broker that keeps sessions ready meanwhile. Resident: the largest VmRSS after the first answer. PostgreSQL does not wait for \
         the disk.",
        results.rounds
    );
    let mut asked = Vec::new();
    for row in &results.functions {
        let info = zerocart_proto::rpc::ALL
            .iter()
            .find(|info| info.name == row.name);
        let case = info.map(|info| cases::case(info, seeds, 0));
        if let Some(case) = case.filter(|case| !case.note.is_empty()) {
            asked.push(format!("{}: {}, {}", row.name, case.status, case.note));
        }
    }
    if !asked.is_empty() {
        let _ = writeln!(
            text,
            "\nNo other function runs, so some are asked what they answer alone ({}). All else is answered with \
             success.",
            asked.join("; ")
        );
    }
    text.push_str(
        "\n¹ The first answer hashes a password (argon2id), which is most of its time; the ratio is that of /ready.\n\
         ² There is no answer without another function; the ratio is that of /ready.\n",
    );
    let _ = writeln!(
        text,
        "\nTargets: ÷ floor ≤ {MAX_RATIO_ONE} for an answer of one statement and ≤ {MAX_RATIO} for the others, CPU \
         ÷ floor ≤ {MAX_CPU_RATIO} (both not for functions that hash a password); resident and binary not above \
         those before (without `--against`: {} MB and {} MB; 1 MB = 10⁶ bytes).",
        MAX_RESIDENT_BYTES / 1e6,
        MAX_BINARY_BYTES / 1e6
    );
    spans(&mut text, &results.functions);
    if !results.warm.is_empty() {
        text.push_str("\n## get-product, warm, 32 clients, without gateway\n\n");
        direct(&mut text, &results.warm);
    }
    text
}

/// What spans cost a start, beside the same program without them, and beside the build of `--against`.
fn spans(text: &mut String, rows: &[Row]) {
    let rows: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.spans.as_ref()?, row.own.as_ref()?)))
        .collect();
    if rows.is_empty() {
        return;
    }
    text.push_str(
        "\n## With spans\n\n\
         | function | first answer ÷ without | CPU time ÷ without | function's own CPU time ÷ without \
         | first answer ÷ before | CPU time ÷ before | function's own CPU time ÷ before | binary, kB above before |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let beside = |spans: &Figures, other: &Figures| {
        format!(
            "{:.2} | {:.2} | {:.2}",
            spans.ratio / other.ratio,
            spans.cpu_ratio / other.cpu_ratio,
            spans.cpu / other.cpu
        )
    };
    for (row, spans, own) in rows {
        let before = row.before.as_ref().map(|before| {
            let bytes = spans.binary_bytes - before.binary_bytes;
            format!("{} | {:.0}", beside(spans, before), bytes / 1e3)
        });
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            row.name,
            beside(spans, own),
            before.as_deref().unwrap_or("| | |")
        );
    }
    text.push_str(
        "\nEach function connects by itself. Time and CPU time are first divided by those of the floor beside them; \
         the function's own CPU time is not.\n",
    );
}

fn summary(results: &Results) -> Vec<(String, f64)> {
    let mut summary = vec![("floor, ms".to_owned(), results.floor.answer.median)];
    for row in &results.functions {
        if let Some(now) = row.now() {
            summary.push((format!("{} ÷ floor", row.name), now.ratio));
            summary.push((format!("{} CPU ÷ floor", row.name), now.cpu_ratio));
            let megabytes = now.resident_bytes / 1e6;
            summary.push((format!("{} resident, MB", row.name), megabytes));
        }
    }
    for row in &results.warm {
        let ratio: Option<Ratio> = row.to_pgbench;
        if let Some(ratio) = ratio {
            summary.push((format!("{} ÷ pgbench", row.name), ratio.median));
        }
    }
    summary
}

/// A diagram, and its rows.
struct Diagram {
    series: Vec<&'static str>,
    rows: Vec<(String, Vec<f64>)>,
}

/// The figures of one way to run a function.
type Way = fn(&Row) -> Option<&Figures>;

fn diagram(results: &Results) -> Diagram {
    let all: [(&str, Way); 3] = [
        ("sessions kept ready", |row| row.warm.as_ref()),
        ("own session", |row| row.own.as_ref()),
        (BEFORE, |row| row.before.as_ref()),
    ];
    let there: Vec<_> = all
        .into_iter()
        .filter(|(_, of)| results.functions.iter().any(|row| of(row).is_some()))
        .collect();
    let row = |row: &Row| {
        let values = there
            .iter()
            .map(|(_, of)| of(row).map_or(0.0, |figures| figures.ratio));
        (row.name.clone(), values.collect())
    };
    Diagram {
        rows: results.functions.iter().map(row).collect(),
        series: there.iter().map(|(name, _)| *name).collect(),
    }
}

impl Diagram {
    fn draw(&self, path: &std::path::Path) -> Result<()> {
        let bars = Bars {
            title: "First answer from exec, as a multiple of the floor's",
            axis: "time ÷ floor (1: a hand-written program that connects by itself)",
            series: &self.series,
            rows: &self.rows,
        };
        bars.draw(path).context("the diagram of cold starts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(ratio: f64, cpu_ratio: f64, resident_bytes: f64) -> Figures {
        Figures {
            ratio,
            cpu_ratio,
            resident_bytes,
            binary_bytes: 6e6,
            ..Figures::default()
        }
    }

    fn row_of(name: &str, now: Figures, before: Option<Figures>) -> Row {
        Row {
            name: name.to_owned(),
            warm: Some(now),
            own: None,
            spans: None,
            before,
            missed: Vec::new(),
        }
    }

    #[test]
    fn targets() {
        let good = row_of(
            "get-product",
            figures(0.5, 0.5, 5e6),
            Some(figures(1.0, 1.0, 5e6)),
        );
        assert!(missed(&good).is_empty());
        // One statement: half of the floor.
        let slow = row_of("get-product", figures(0.51, 0.5, 8.1e6), None);
        assert_eq!(missed(&slow), ["÷ floor", "resident"]);
        let several = row_of("process-payment", figures(0.79, 0.51, 5e6), None);
        assert_eq!(missed(&several), ["CPU ÷ floor"]);
        // A sign-in is no start.
        let hashes = row_of("create-user", figures(9.0, 9.0, 5e6), None);
        assert!(missed(&hashes).is_empty());
        let grown = row_of(
            "get-user",
            figures(0.4, 0.4, 5.2e6),
            Some(figures(1.0, 1.0, 5e6)),
        );
        assert_eq!(missed(&grown), ["resident"]);
        let nothing = row_of("get-user", figures(f64::NAN, f64::NAN, 1.0), None);
        assert_eq!(missed(&nothing), ["÷ floor", "CPU ÷ floor"]);
    }
}
