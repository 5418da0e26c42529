//! Where the time of requests went: medians of phases, and their table.

use std::fmt::Write;

use super::{
    engine::EMPTY,
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
    /// The largest difference between the sum of a request's phases and its time, as a share of its time.
    off: f64,
    started: f64,
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
        let off = same.iter().map(|s| {
            let sum: f64 = s.phases.iter().map(|(_, ms)| ms).sum();
            // What is in the wrong order is as doubtful as what is missing.
            (sum - s.ms).abs().max(s.wrong_ms) / s.ms
        });
        Some(Self {
            name: series.name.clone(),
            n: (same.len(), series.samples.len()),
            phases,
            within: middle(&inside, &within),
            client: median(&same.iter().map(|s| s.ms).collect::<Vec<_>>()),
            off: off.fold(0.0, f64::max),
            started: median(&same.iter().map(|s| s.started as f64).collect::<Vec<_>>()),
        })
    }

    pub(super) fn has_phases_of(&self, other: &Self) -> bool {
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
         follow each other, from the client's first system call to the last byte of the answer. *Off*: of any request \
         the largest share of its time by which the sum of its phases differs from it, or its marks are in the wrong \
         order.\n"
    );
    let _ = writeln!(
        page,
        "| function | traces | {} | sum of medians | client's median | off |\n|---|--:|{}--:|--:|--:|",
        names.join(" | "),
        "--:|".repeat(names.len())
    );
    for a in &shown {
        let phases: Vec<_> = a.phases.iter().map(|(_, value)| ms(*value)).collect();
        let _ = writeln!(
            page,
            "| {} | {} of {} | {} | {} | {} | {:.1} % |",
            a.name,
            a.n.0,
            a.n.1,
            phases.join(" | "),
            ms(a.sum()),
            ms(a.client),
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
    let _ = writeln!(page, "\nInside of these phases:\n");
    let inside: Vec<_> = first.within.iter().map(|(name, _)| name.clone()).collect();
    if inside.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "| function | functions that started | {} |\n|---|--:|{}",
        names_of(&all).join(" | "),
        "--:|".repeat(names_of(&all).len())
    );
    for a in &all {
        let values: Vec<_> = names_of(&all)
            .iter()
            .map(|name| {
                let value = a.within.iter().find(|(known, _)| known == name);
                value.map_or("–".to_owned(), |(_, value)| ms(*value))
            })
            .collect();
        let _ = writeln!(
            page,
            "| {} | {:.0} | {} |",
            a.name,
            a.started,
            values.join(" | ")
        );
    }
    let _ = writeln!(page);
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
