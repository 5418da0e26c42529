//! The small table of the README, from the results of the other commands.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    binaries::workspace_root,
    results::{Output, Run, replace_between, write},
};

/// The name between the markers.
const MARK: &str = "summary";

/// A line of the table: what it is, the program that measures it, the name of its number, and its unit.
const LINES: [(&str, &str, &str, &str); 9] = [
    (
        "Cold start of get-product, from exec to the first answer out of the database, ÷ a hand-written program",
        "cold",
        "get-product ÷ floor",
        "",
    ),
    (
        "CPU time of that start, ÷ the same program",
        "cold",
        "get-product CPU ÷ floor",
        "",
    ),
    (
        "Memory of get-product after it",
        "cold",
        "get-product resident, MB",
        " MB",
    ),
    (
        "First order, all functions at zero",
        "chain",
        "now: from zero, ms",
        " ms",
    ),
    (
        "Whole orders per second, 16 buyers",
        "load",
        "order, per second",
        "",
    ),
    (
        "CPU time of an order, functions, PostgreSQL and gateway",
        "load",
        "order, CPU ms",
        " ms",
    ),
    (
        "`GET /products/{id}` per second through the gateway, 16 clients",
        "load",
        "product, per second",
        "",
    ),
    (
        "The same without gateway, 32 clients",
        "load",
        "direct, get-product, now, per second",
        "",
    ),
    (
        "Sign-ins per second (argon2id)",
        "load",
        "sign-in, per second",
        "",
    ),
];

/// What to write.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: Output,
}

/// Writes the table into the README.
///
/// # Errors
///
/// When nothing was measured, or the README has no markers.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let read = |name: &str, recipe: &str| args.output.read::<Value>(name, recipe).ok();
    let runs: Vec<(&str, Option<Run<Value>>)> = vec![
        ("cold", read("cold", "bench")),
        ("chain", read("chain", "bench-chain")),
        ("load", read("load", "bench-load")),
    ];
    let table = table(&runs)?;
    let path = workspace_root().join("README.md");
    let page = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let page = replace_between(&page, MARK, &table).with_context(|| path.display().to_string())?;
    write(&path, &page)?;
    print!("{table}");
    Ok(true)
}

fn table(runs: &[(&str, Option<Run<Value>>)]) -> Result<String> {
    let of = |program: &str| {
        let found = runs.iter().find(|(name, _)| *name == program);
        found.and_then(|(_, run)| run.as_ref())
    };
    let mut text = String::from("| measured | value |\n|---|--:|\n");
    let mut lines = 0;
    for (what, program, name, unit) in LINES {
        let value = of(program).and_then(|run| {
            let found = run.summary.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| *value)
        });
        if let Some(value) = value {
            lines += 1;
            let digits = match value {
                value if value >= 100.0 => 0,
                value if value >= 3.0 => 1,
                _ => 2,
            };
            let _ = writeln!(text, "| {what} | {value:.digits$}{unit} |");
        }
    }
    let about = runs.iter().find_map(|(_, run)| Some(&run.as_ref()?.about));
    match about {
        Some(about) if lines > 0 => {
            let _ = writeln!(
                text,
                "\nOn {cores} cores ({cpu}), which functions, PostgreSQL, gateway and clients share.",
                cores = about.cores,
                cpu = about.cpu
            );
            Ok(text)
        }
        _ => bail!(
            "nothing was measured: `just bench --write`, `just bench-chain --write`, `just bench-load --write`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::About;

    #[test]
    fn only_what_was_measured_is_in_the_table() {
        let run = Run {
            title: String::new(),
            about: About::now(1, "15", None),
            results: Value::Null,
            summary: vec![("order, per second".to_owned(), 243.21)],
        };
        let text = table(&[("cold", None), ("load", Some(run))]).unwrap();
        assert!(text.contains("16 buyers | 243 |"), "{text}");
        assert_eq!(
            text.lines().filter(|line| line.starts_with('|')).count(),
            3,
            "{text}"
        );
        let error = table(&[("cold", None)]).unwrap_err().to_string();
        assert!(error.contains("just bench-load --write"), "{error}");
    }
}
