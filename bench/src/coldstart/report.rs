//! The page, its data and its diagrams.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

use super::{
    anatomy::{Anatomy, anatomy},
    draw,
    engine::EMPTY,
    record::{Part, Results},
    statistics::significance,
    tables::{Test, compared, failures, singles, tests},
};
use crate::{
    machine,
    results::{self, Run},
    stats::median,
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
    let mut runs = Vec::new();
    for (engine, title) in ENGINES {
        let path = path(engine);
        let run: Option<Run<Results>> = match path.is_file() {
            false => None,
            true => {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let run = serde_json::from_str(&text);
                run.with_context(|| format!("{} is not of this program", path.display()))?
            }
        };
        runs.push((title, run));
    }
    let tested = runs.iter().filter_map(|(_, run)| run.as_ref());
    let tested = tested.map(|run| tests(&run.results)).sum();
    let mut page =
        format!("<!-- Written by zerocart-bench. Do not edit. -->\n\n# Cold starts\n\n{HEAD}");
    for (title, run) in &runs {
        page.push('\n');
        match run {
            None => {
                let _ = writeln!(page, "## {title}\n\nNot measured yet.");
            }
            Some(run) => {
                let diagrams = diagrams(folder, run)?;
                page.push_str(&section(run, Some(&diagrams), tested));
            }
        }
    }
    results::write(&folder.join("coldstart.md"), &page)
}

/// A diagram of a run.
pub(super) struct Diagram {
    part: Part,
    /// Whether it shows phases, and not distributions.
    phases: bool,
    file: String,
    /// What it leaves out; empty if nothing.
    caption: String,
}

/// Draws what a run has.
fn diagrams(folder: &Path, run: &Run<Results>) -> Result<Vec<Diagram>> {
    let results = &run.results;
    let engine = &results.engine;
    let mut drawn = Vec::new();
    for (part, name, title) in [
        (Part::Single, "single", "Cold starts, one at a time"),
        (Part::Burst, "burst", "Cold starts at the same time"),
        (Part::Chain, "chain", "The first order"),
    ] {
        let file = format!("coldstart-{engine}-{name}.svg");
        if let Some(caption) = draw::distributions(&folder.join(&file), title, results, part)? {
            drawn.push(Diagram {
                part,
                phases: false,
                file,
                caption,
            });
        }
    }
    let anatomies = results.of_part(Part::Single).filter_map(Anatomy::of);
    let file = format!("coldstart-{engine}-phases.svg");
    let title = "Where the time of a cold start goes: medians";
    if draw::phases(&folder.join(&file), title, &anatomies.collect::<Vec<_>>())? {
        drawn.push(Diagram {
            part: Part::Single,
            phases: true,
            file,
            caption: String::new(),
        });
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

/// The part of the page that a run makes; `tested` is the number of series of the page in which modes are looked for.
/// Without diagrams it is for a terminal.
pub(super) fn section(run: &Run<Results>, diagrams: Option<&[Diagram]>, tested: usize) -> String {
    let results = &run.results;
    let test = Test {
        seed: run.about.seed,
        significance: significance(tested),
    };
    let title = ENGINES.iter().find(|(engine, _)| *engine == results.engine);
    let mut page = format!("## {}\n\n", title.map_or("", |(_, title)| *title));
    // Writing to a String does not fail.
    let _ = writeln!(page, "{}\n", about(run));
    singles(&mut page, results, test);
    show(
        &mut page,
        diagrams,
        (Part::Single, false),
        "Distributions of single cold starts",
    );
    anatomy(
        &mut page,
        results,
        Part::Single,
        "Where each millisecond went",
    );
    show(
        &mut page,
        diagrams,
        (Part::Single, true),
        "Medians of phases",
    );
    for (part, heading, why) in [
        (
            Part::Gateway,
            "With and without the gateway",
            "The same request through the gateway, and sent to where the gateway sends it.",
        ),
        (
            Part::Burst,
            "At the same time",
            "Different functions, asked at the same time; those whose request starts others, too, are left out. Starts \
             share the cores. *Each*: the times of all requests. *The last*: the time until the last answer of a \
             round. Two of the functions hash a password, so modes are not looked for.",
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
            "How long the function had been at zero before the request. The engine itself had ended it.",
        ),
    ] {
        compared(&mut page, results, part, (heading, why), test);
        show(&mut page, diagrams, (part, false), heading);
    }
    failures(&mut page, results);
    page
}

fn show(page: &mut String, diagrams: Option<&[Diagram]>, (part, phases): (Part, bool), what: &str) {
    let drawn = diagrams.into_iter().flatten();
    for diagram in drawn.filter(|d| (d.part, d.phases) == (part, phases)) {
        let _ = writeln!(page, "![{what}]({})\n", diagram.file);
        if !diagram.caption.is_empty() {
            let _ = writeln!(page, "{}\n", diagram.caption);
        }
    }
}

/// The machine, the versions, the load, the proof.
fn about(run: &Run<Results>) -> String {
    let (about, results) = (&run.about, &run.results);
    let mut text = String::from("| | |\n|---|---|\n");
    let mut row = |name: &str, value: &str| {
        // A bar would end the cell.
        let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|"));
    };
    row("date", &about.date());
    row("commit", &about.commit);
    row("seed", &about.seed.to_string());
    row("duration", &format!("{:.0} s", about.seconds));
    row(
        "machine",
        &format!(
            "{}, {} cores, Linux {}",
            about.cpu, about.cores, about.kernel
        ),
    );
    row("compiler", &about.compiler);
    for (name, value) in results.facts.iter().chain(&results.parts) {
        row(name, value);
    }
    row(
        "load average of one minute",
        &format!(
            "{:.2} before, {:.2} after",
            about.load_before, results.load_after
        ),
    );
    if machine::was_busy(about.load_before, about.cores) {
        text.push_str("\nThe machine was busy when the run began.\n");
    }
    let _ = write!(
        text,
        "\nZero was proved {} times: before each request, and once for the functions that are asked together. The \
         proof: {}.",
        results.zeros, results.proof
    );
    if results.repeated > 0 {
        let _ = write!(
            text,
            " {} requests were repeated. For them the engine had started a function again before the request came.",
            results.repeated
        );
    }
    if !results.note.is_empty() {
        let _ = write!(text, "\n\n**{}**", results.note);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        coldstart::record::{Failure, Sample},
        results::About,
    };

    fn sample(round: u32, ms: f64, phases: [f64; 2]) -> Sample {
        let names = ["call", "answer"].map(str::to_owned);
        Sample {
            round,
            ms,
            started: 1,
            function: String::new(),
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
            facts: vec![("command".to_owned(), "`just coldstart-report`".to_owned())],
            parts: vec![("PostgreSQL".to_owned(), "17".to_owned())],
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
            about: About {
                unix_time: 1_795_856_760,
                load_before: 100_000.0,
                ..About::now(1, "17", None)
            },
            summary: summary(&results),
            results,
        }
    }

    #[test]
    fn a_page_has_quantiles_ratios_phases_and_failures() {
        let page = section(&run(), None, 0);
        for line in [
            "| empty | 3 | 0 | 2.00 (–) | – | – | 3.00 | 1.00 | n < 20 |",
            // The failure is counted, and is not among the times.
            "| get-product | 3 | 1 | 4.00 (–) | – | – | 6.00 | 2.00 | n < 20 |",
            // The answer is in no span.
            "| get-product | 3 of 3 | 3.00 | 1.00 | 4.00 | 4.00 | 25.0 % | 0.0 % |",
            "| call | the phase before ends | the function's call has ended |",
            "| get-product | 1 | 0.50 |",
            "1 of 7 requests failed. They are not in the times above.",
            "- get-product: 1, after 7.00 ms at the most; the first: status 503, not 200: busy",
            "Zero was proved 6 times: before each request, and once for the functions that are asked together. The \
             proof: no process.",
            "| command | `just coldstart-report` |",
            "| PostgreSQL | 17 |",
            "| date | 2026-11-28 09:06 UTC |",
            "The machine was busy when the run began.",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }

    #[test]
    fn marks_in_the_wrong_order_are_seen() {
        let mut run = run();
        let series = run.results.series(Part::Single, "get-product");
        // A tenth of the time.
        series.samples[2].wrong_ms = 0.6;
        let page = section(&run, None, 0);
        assert!(page.contains("| 4.00 | 25.0 % | 10.0 % |"), "{page}");
    }

    #[test]
    fn a_file_of_the_program_before_is_read() {
        let mut old = serde_json::to_value(run()).unwrap();
        let results = old["results"].as_object_mut().unwrap();
        for new in ["facts", "ended", "repeated"] {
            results.remove(new).unwrap();
        }
        let run: Run<Results> = serde_json::from_value(old).unwrap();
        assert!(section(&run, None, 0).contains("| seed | 1 |"));
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
            "## Knative\n\n| | |",
            "**On one node.**",
            "## AWS Lambda: init alone\n\nNot measured yet.\n",
            "](coldstart-knative-single.svg)",
        ] {
            assert!(page.contains(text), "{text}\n{page}");
        }
        let svg = fs::read_to_string(folder.path().join("coldstart-local-single.svg")).unwrap();
        assert!(svg.contains("share of requests"), "{svg}");
        assert!(folder.path().join("coldstart-local-phases.svg").is_file());
    }
}
