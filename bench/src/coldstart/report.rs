//! The page, its data and its diagrams.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

use super::{
    anatomy::{Anatomy, anatomy, ms},
    draw,
    engine::EMPTY,
    record::{Part, Results, Series},
    statistics::{Modes, Quantiles, modes},
};
use crate::{
    results::{self, Run},
    stats::{max, median},
};

/// The engines, in the order of the page.
const ENGINES: [(&str, &str); 3] = [
    ("local", "The local engine"),
    ("knative", "Knative"),
    ("lambda", "AWS Lambda: init alone"),
];

/// How the page begins: what is measured, and what is not.
const HEAD: &str = include_str!("head.md");

/// Writes the data of a run, and the page with the runs of all engines that the folder has.
pub(super) fn write(folder: &Path, run: &Run<Results>) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = |engine: &str| folder.join(format!("coldstart-{engine}.json"));
    // Compact: thousands of numbers.
    results::write(
        &path(&run.results.engine),
        &(serde_json::to_string(run)? + "\n"),
    )?;
    let mut page =
        format!("<!-- Written by zerocart-bench. Do not edit. -->\n\n# Cold starts\n\n{HEAD}");
    for (engine, _) in ENGINES {
        let path = path(engine);
        if !path.is_file() {
            continue;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let run = serde_json::from_str(&text)
            .with_context(|| format!("{} is not of this program", path.display()))?;
        let diagrams = diagrams(folder, &run)?;
        page.push('\n');
        page.push_str(&section(&run, Some(&diagrams)));
    }
    results::write(&folder.join("coldstart.md"), &page)
}

/// Draws what a run has; the names of the files, with what they show.
fn diagrams(folder: &Path, run: &Run<Results>) -> Result<Vec<(Part, String)>> {
    let results = &run.results;
    let engine = &results.engine;
    let mut drawn = Vec::new();
    for (part, name, title) in [
        (Part::Single, "single", "Cold starts, one at a time"),
        (Part::Burst, "burst", "Cold starts at the same time"),
        (Part::Chain, "chain", "The first order"),
    ] {
        let file = format!("coldstart-{engine}-{name}.svg");
        if draw::distributions(&folder.join(&file), title, results, part)? {
            drawn.push((part, file));
        }
    }
    let anatomies: Vec<_> = results
        .of_part(Part::Single)
        .filter_map(Anatomy::of)
        .collect();
    if let Some(first) = anatomies.first() {
        let shown: Vec<_> = anatomies
            .iter()
            .filter(|a| {
                [EMPTY, "get-product", "create-order"].contains(&a.name.as_str())
                    && a.has_phases_of(first)
            })
            .collect();
        let names: Vec<_> = shown.iter().map(|a| a.name.as_str()).collect();
        let rows = first.phases.iter().enumerate().map(|(i, (phase, _))| {
            let values = shown.iter().map(|a| a.phases[i].1);
            (phase.clone(), values.collect())
        });
        let file = format!("coldstart-{engine}-phases.svg");
        let rows: Vec<_> = rows.collect();
        if draw::phases(
            &folder.join(&file),
            "Where the time of a cold start goes",
            &rows,
            &names,
        )? {
            drawn.push((Part::Idle, file));
        }
    }
    Ok(drawn)
}

/// The few numbers by which runs are compared.
pub(super) fn summary(results: &Results) -> Vec<(String, f64)> {
    let of = |name: &str| {
        let times = results.find(Part::Single, name)?.times();
        let known = !times.is_empty();
        known.then(|| (format!("{name}, median ms"), median(&times)))
    };
    [of(EMPTY), of("get-product")]
        .into_iter()
        .flatten()
        .collect()
}

/// The part of the page that a run makes. Without diagrams it is for a terminal.
pub(super) fn section(run: &Run<Results>, diagrams: Option<&[(Part, String)]>) -> String {
    let results = &run.results;
    let title = ENGINES.iter().find(|(engine, _)| *engine == results.engine);
    let mut page = format!("## {}\n\n", title.map_or("", |(_, title)| *title));
    // Writing to a String does not fail.
    let _ = writeln!(page, "{}\n", about(run));
    singles(&mut page, results, run.about.seed);
    show(
        &mut page,
        diagrams,
        Part::Single,
        "Distributions of single cold starts",
    );
    anatomy(
        &mut page,
        results,
        Part::Single,
        "Where each millisecond went",
    );
    show(&mut page, diagrams, Part::Idle, "Medians of phases");
    for (part, heading, why) in [
        (
            Part::Gateway,
            "With and without the gateway",
            "The same request through the gateway, and sent to where the gateway sends it.",
        ),
        (
            Part::Burst,
            "At the same time",
            "Different functions, asked at the same time; those that call others are left out. Starts share the cores. *Each*: the times of all requests. \
             *The last*: the time until all had their answers.",
        ),
        (
            Part::Chain,
            "The first order",
            "An order calls four functions. create-order starts them at once when it is called itself. For \
             comparison, all five were started by a request to `/health` before the order, together or one after \
             another; that time is counted.",
        ),
        (
            Part::Idle,
            "After a time at zero",
            "How long the function had been at zero before the request.",
        ),
    ] {
        compared(&mut page, results, part, heading, why, run.about.seed);
        show(
            &mut page,
            diagrams.filter(|_| part != Part::Idle),
            part,
            heading,
        );
    }
    failures(&mut page, results);
    page
}

fn show(page: &mut String, diagrams: Option<&[(Part, String)]>, part: Part, what: &str) {
    let drawn = diagrams.into_iter().flatten().filter(|(of, _)| *of == part);
    for (_, file) in drawn {
        let _ = writeln!(page, "![{what}]({file})\n");
    }
}

/// The machine, the versions, the load, the proof.
fn about(run: &Run<Results>) -> String {
    let (about, results) = (&run.about, &run.results);
    let parts = results
        .parts
        .iter()
        .map(|(name, version)| format!("{name}: {version}"));
    let parts: Vec<_> = parts.collect();
    let mut text = format!(
        "Commit {}, seed {}, {:.0} s. {}, {} cores, Linux {}, {}. {}. Load (tasks that want to run, average of a \
         minute) {:.2} before and {:.2} after.",
        about.commit,
        about.seed,
        about.seconds,
        about.cpu,
        about.cores,
        about.kernel,
        about.compiler,
        parts.join("; "),
        about.load_before,
        results.load_after,
    );
    let _ = write!(
        text,
        "\n\nZero was proved {} times, before each request that counts: {}.",
        results.zeros, results.proof
    );
    if results.repeated > 0 {
        let _ = write!(
            text,
            " {} requests were left out and repeated: their traces show that the engine had begun to start the \
             function before they came, to replace the process that was ended.",
            results.repeated
        );
    }
    if !results.note.is_empty() {
        let _ = write!(text, "\n\n**{}**", results.note);
    }
    text
}

fn singles(page: &mut String, results: &Results, seed: u64) {
    let mut series: Vec<_> = results.of_part(Part::Single).collect();
    if series.is_empty() {
        return;
    }
    let is_empty = |series: &&Series| series.name == EMPTY;
    series.sort_by_key(|series| (!is_empty(series), series.name.clone()));
    let empty = results.find(Part::Single, EMPTY);
    let _ = writeln!(
        page,
        "### One at a time\n\nMilliseconds. ÷ empty: the median of n ratios, each to the empty function of the same \
         round.\n\n| function | n | failed | p50 (95 % interval) | p90 | p99 | max | ÷ empty | modes |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|---|"
    );
    for series in &series {
        let ratio = empty
            .map(|empty| ratio(series, empty))
            .filter(|r| r.is_finite());
        let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(page, "{} {ratio} | {} |", row(series), told(series, seed));
    }
    let mut notes: Vec<_> = series.iter().filter(|s| !s.note.is_empty()).collect();
    notes.sort_by_key(|series| series.name.clone());
    let notes: Vec<_> = notes
        .iter()
        .map(|s| format!("{}: {}", s.name, s.note))
        .collect();
    let _ = writeln!(page);
    if !notes.is_empty() {
        let _ = writeln!(page, "What was asked: {}.\n", notes.join("; "));
    }
}

/// The median of the ratios to another series, round by round.
fn ratio(series: &Series, other: &Series) -> f64 {
    let of_round = |n: u32| other.samples.iter().find(|s| s.round == n).map(|s| s.ms);
    let ratios = series
        .samples
        .iter()
        .filter_map(|s| Some(s.ms / of_round(s.round)?));
    median(&ratios.collect::<Vec<_>>())
}

/// The beginning of a row: name, n, failures, quantiles.
fn row(series: &Series) -> String {
    let q = Quantiles::of(&series.times());
    let failed = series.failures.len();
    if q.n == 0 {
        return format!("| {} | 0 | {failed} | – | – | – | – |", series.name);
    }
    format!(
        "| {} | {} | {failed} | {} ({} – {}) | {} | {} | {} |",
        series.name,
        q.n,
        ms(q.p50),
        ms(q.p50_between.0),
        ms(q.p50_between.1),
        ms(q.p90),
        ms(q.p99),
        ms(q.max)
    )
}

fn told(series: &Series, seed: u64) -> String {
    match modes(&series.times(), seed) {
        Modes::Unknown => "n < 20".to_owned(),
        Modes::One { .. } => "one".to_owned(),
        Modes::Two { at, share, p } => format!(
            "two: {} and {} (the smaller has {:.0} %, p = {p:.2})",
            ms(at[0]),
            ms(at[1]),
            share * 100.0
        ),
    }
}

fn compared(page: &mut String, results: &Results, part: Part, heading: &str, why: &str, seed: u64) {
    let series: Vec<_> = results.of_part(part).collect();
    if series.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "### {heading}\n\n{why}\n\n| | n | failed | p50 (95 % interval) | p90 | p99 | max | modes |\n\
         |---|--:|--:|--:|--:|--:|--:|---|"
    );
    for series in series {
        let _ = writeln!(page, "{} {} |", row(series), told(series, seed));
    }
    let _ = writeln!(page);
}

/// Each kind of failure, with how often it happened.
fn failures(page: &mut String, results: &Results) {
    let all = results
        .series
        .iter()
        .map(|s| s.samples.len() + s.failures.len());
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
    use crate::{
        coldstart::record::{Failure, Sample},
        results::About,
    };

    fn sample(round: u32, ms: f64, phases: [f64; 2]) -> Sample {
        let names = ["start", "answer"].map(str::to_owned);
        Sample {
            round,
            ms,
            started: 1,
            phases: names.into_iter().zip(phases).collect(),
            within: vec![("statements".to_owned(), 0.5)],
            wrong_ms: 0.0,
        }
    }

    fn run() -> Run<Results> {
        let mut results = Results {
            engine: "local".to_owned(),
            zeros: 6,
            proof: "no process".to_owned(),
            ..Results::default()
        };
        for (name, factor) in [(EMPTY, 1.0), ("get-product", 2.0)] {
            let series = results.series(Part::Single, name);
            for n in 1..=3 {
                let ms = f64::from(n) * factor;
                series.samples.push(sample(n, ms, [ms * 0.75, ms * 0.25]));
            }
        }
        let failed = results.series(Part::Single, "get-product");
        failed.failures.push(Failure {
            round: 4,
            after_ms: 7.0,
            why: "status 503, not 200: busy".to_owned(),
        });
        Run {
            title: "Cold starts".to_owned(),
            about: About::now(1, "17", None),
            summary: summary(&results),
            results,
        }
    }

    #[test]
    fn a_page_has_quantiles_ratios_phases_and_failures() {
        let page = section(&run(), None);
        for line in [
            "| empty | 3 | 0 | 2.00 (1.00 – 3.00) | 3.00 | 3.00 | 3.00 | 1.00 | n < 20 |",
            // The failure is counted, and is not among the times.
            "| get-product | 3 | 1 | 4.00 (2.00 – 6.00) | 6.00 | 6.00 | 6.00 | 2.00 | n < 20 |",
            "| get-product | 3 of 3 | 3.00 | 1.00 | 4.00 | 4.00 | 0.0 % |",
            "1 of 7 requests failed. They are not in the times above.",
            "- get-product: 1, after 7.00 ms at the most; the first: status 503, not 200: busy",
            "Zero was proved 6 times, before each request that counts: no process.",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }

    #[test]
    fn a_phase_that_is_missing_is_seen() {
        let mut run = run();
        let series = run.results.series(Part::Single, "get-product");
        // A tenth of the time is in no phase.
        series.samples[2].phases[0].1 = 6.0 * 0.65;
        let page = section(&run, None);
        assert!(page.contains("| 4.00 | 10.0 % |"), "{page}");
    }

    #[test]
    fn a_page_has_all_engines_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = run();
        write(folder.path(), &run).unwrap();
        run.results.engine = "knative".to_owned();
        run.results.note = "On one node.".to_owned();
        write(folder.path(), &run).unwrap();
        let page = fs::read_to_string(folder.path().join("coldstart.md")).unwrap();
        for text in [
            "## The local engine",
            "## Knative",
            "**On one node.**",
            "](coldstart-knative-single.svg)",
        ] {
            assert!(page.contains(text), "{text}\n{page}");
        }
        let svg = fs::read_to_string(folder.path().join("coldstart-local-single.svg")).unwrap();
        assert!(svg.contains("share of requests"), "{svg}");
        assert!(folder.path().join("coldstart-local-phases.svg").is_file());
    }
}
