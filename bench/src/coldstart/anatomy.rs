//! Where the time of requests went: medians of phases, and their table.

use std::fmt::Write;

use super::{
    engine::EMPTY,
    phases::{in_no_span, meaning},
    record::{Part, Results, Series},
};
use crate::stats::median;

/// Where the time of the requests of a series went.
pub(super) struct Anatomy {
    pub(super) name: String,
    /// Requests whose trace was whole, and all.
    n: (usize, usize),
    /// The median of each phase, in milliseconds.
    pub(super) phases: Vec<(String, f64)>,
    within: Vec<(String, f64)>,
    /// The median of the client's time of the same requests.
    client: f64,
    /// The median of the share of a request's time that is in no span.
    in_no_span: f64,
    /// The largest disorder of marks, as a share of a request's time.
    off: f64,
    /// How many functions started: the fewest and the most.
    started: (usize, usize),
}

impl Anatomy {
    /// None without a whole trace.
    pub(super) fn of(series: &Series) -> Option<Self> {
        let whole = series.samples.iter().filter(|s| !s.phases.is_empty());
        let whole: Vec<_> = whole.collect();
        let first = whole.first()?;
        // Where a mark is missing, two phases are one. Only requests with the same phases are compared.
        let names = |list: &[(String, f64)]| {
            list.iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        let (of, within) = (names(&first.phases), names(&first.within));
        let same: Vec<_> = whole.iter().filter(|s| names(&s.phases) == of).collect();
        let middle = |list: &dyn Fn(usize) -> Vec<f64>, names: &[String]| {
            let medians = names.iter().enumerate();
            medians
                .map(|(i, name)| (name.clone(), median(&list(i))))
                .collect()
        };
        let phases = middle(&|i| same.iter().map(|s| s.phases[i].1).collect(), &of);
        let inside = |i: usize| {
            let values = same.iter().filter_map(|s| Some(s.within.get(i)?.1));
            values.collect()
        };
        // Phases add up by construction. What differs is counted as disorder, too: it would be a mistake here.
        let off = same.iter().map(|s| {
            let sum: f64 = s.phases.iter().map(|(_, ms)| ms).sum();
            (sum - s.ms).abs().max(s.wrong_ms) / s.ms
        });
        let gaps = same.iter().map(|s| in_no_span(&s.phases) / s.ms);
        let started = || same.iter().map(|s| s.started);
        Some(Self {
            name: series.name.clone(),
            n: (same.len(), series.samples.len()),
            phases,
            within: middle(&inside, &within),
            client: median(&same.iter().map(|s| s.ms).collect::<Vec<_>>()),
            off: off.fold(0.0, f64::max),
            in_no_span: median(&gaps.collect::<Vec<_>>()),
            started: (
                started().min().unwrap_or_default(),
                started().max().unwrap_or_default(),
            ),
        })
    }

    fn has_phases_of(&self, other: &Self) -> bool {
        let names = |a: &Self| {
            a.phases
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        names(self) == names(other)
    }

    fn sum(&self) -> f64 {
        self.phases.iter().map(|(_, ms)| ms).sum()
    }
}

/// The phases of all series of a part that have the same ones: a column for each phase.
pub(super) fn anatomy(page: &mut String, results: &Results, part: Part, heading: &str) {
    let mut all: Vec<_> = results.of_part(part).filter_map(Anatomy::of).collect();
    all.sort_by_key(|a| (a.name != EMPTY, a.name.clone()));
    let Some(first) = all.first() else {
        return;
    };
    let names: Vec<_> = first.phases.iter().map(|(name, _)| name.clone()).collect();
    let (shown, others): (Vec<_>, Vec<_>) = all.iter().partition(|a| a.has_phases_of(first));
    let _ = writeln!(
        page,
        "### {heading}\n\nMedians of each phase, in milliseconds, from the spans of the same requests' traces. Phases \
         follow each other from the client's first system call to the last byte of the answer, so they add up to the \
         client's time by construction. The sum of medians differs from the median of sums.\n\n\
         - *In no span*: the share of a request's time that is only a gap between marks of different programs, as the \
         way to the function and back; the median. Spans explain the rest.\n\
         - *Off*: of all requests the largest disorder of marks, as a share of the request's time. It shows clocks \
         that disagree.\n"
    );
    let _ = writeln!(
        page,
        "| function | traces | {} | sum of medians | client's median | in no span | off |\n\
         |---|--:|{}--:|--:|--:|--:|",
        names.join(" | "),
        "--:|".repeat(names.len())
    );
    for a in &shown {
        let phases: Vec<_> = a.phases.iter().map(|(_, value)| ms(*value)).collect();
        let _ = writeln!(
            page,
            "| {} | {} of {} | {} | {} | {} | {:.1} % | {:.1} % |",
            a.name,
            a.n.0,
            a.n.1,
            phases.join(" | "),
            ms(a.sum()),
            ms(a.client),
            a.in_no_span * 100.0,
            a.off * 100.0
        );
    }
    for a in &others {
        let phases: Vec<_> = a
            .phases
            .iter()
            .map(|(name, value)| format!("{name} {}", ms(*value)))
            .collect();
        let _ = writeln!(
            page,
            "\n{} has other phases: {}.",
            a.name,
            phases.join(", ")
        );
    }
    meanings(page, &all);
    let inside = names_of(&all);
    if inside.is_empty() {
        return;
    }
    let _ = writeln!(page, "{}\n", within(&inside));
    let _ = writeln!(
        page,
        "| function | functions that started | {} |\n|---|--:|{}",
        inside.join(" | "),
        "--:|".repeat(inside.len())
    );
    for a in &all {
        let values: Vec<_> = inside
            .iter()
            .map(|name| {
                let value = a.within.iter().find(|(known, _)| known == name);
                value.map_or("–".to_owned(), |(_, value)| ms(*value))
            })
            .collect();
        let started = match a.started {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least} – {most}"),
        };
        let _ = writeln!(page, "| {} | {started} | {} |", a.name, values.join(" | "));
    }
    let _ = writeln!(page);
}

/// What begins and ends the phases of these requests.
fn meanings(page: &mut String, all: &[Anatomy]) {
    let mut told: Vec<&str> = Vec::new();
    let _ = writeln!(page, "\n| phase | from | until |\n|---|---|---|");
    for (name, _) in all.iter().flat_map(|a| &a.phases) {
        if told.contains(&name.as_str()) {
            continue;
        }
        told.push(name);
        if let Some((from, until)) = meaning(name) {
            let _ = writeln!(page, "| {name} | {from} | {until} |");
        }
    }
    let _ = writeln!(page);
}

/// What the table of the inside shows.
fn within(names: &[String]) -> String {
    let waits = names.iter().any(|name| name == "wait for a session");
    match waits {
        true => "Inside of *call*, medians in milliseconds. Spans that overlap count once. A wait for a session is \
                 recorded from 0.25 ms on; 0.00 means that most waits were shorter."
            .to_owned(),
        false => "Inside of these phases, medians in milliseconds, by the clock of the function.".to_owned(),
    }
}

/// What is inside of the phases of any of them.
fn names_of(all: &[Anatomy]) -> Vec<String> {
    let mut names = Vec::new();
    for (name, _) in all.iter().flat_map(|a| &a.within) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Three digits, or whole milliseconds.
pub(super) fn ms(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}
