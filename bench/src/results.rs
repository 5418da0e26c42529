//! Results as files in `docs/benchmarks/`: JSON with the commit and the machine, a table, and one line per
//! commit in `results.jsonl`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{binaries::workspace_root, machine};

/// The file with a line per commit and program.
const HISTORY: &str = "results.jsonl";

/// Where the results of a run go.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Output {
    /// Write the JSON, the table and the diagram into docs/benchmarks
    #[arg(long)]
    pub(crate) write: bool,
    /// The folder that --write writes to [default: docs/benchmarks of the project]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Output {
    /// The folder of results.
    pub(crate) fn folder(&self) -> PathBuf {
        let default = || workspace_root().join("docs/benchmarks");
        self.out.clone().unwrap_or_else(default)
    }

    /// Writes what was measured, and no page of it yet: for results that need long computations.
    pub(crate) fn keep<T: Serialize>(&self, name: &str, run: &Run<T>) -> Result<()> {
        if !self.write {
            return Ok(());
        }
        let folder = self.folder();
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let text = serde_json::to_string_pretty(run)? + "\n";
        write(&folder.join(format!("{name}.json")), &text)
    }

    /// Writes `<name>.json` and `<name>.md`, and the line of this commit, if that is wanted.
    pub(crate) fn save<T: Serialize>(&self, name: &str, run: &Run<T>, table: &str) -> Result<()> {
        if !self.write {
            return Ok(());
        }
        self.keep(name, run)?;
        let folder = self.folder();
        let page = format!(
            "<!-- Written by zerocart-bench. Do not edit. -->\n\n# {title}\n\n{table}\n{}\n",
            run.about.sentence(),
            title = run.title
        );
        write(&folder.join(format!("{name}.md")), &page)?;
        let history = folder.join(HISTORY);
        let lines = match fs::read_to_string(&history) {
            Ok(lines) => lines,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", history.display()));
            }
        };
        write(&history, &with_line(&lines, &Line::of(name, run))?)
    }

    /// The numbers of this run beside those of the last other commit that was measured on such a machine; empty if
    /// there is none. They are of another run, so only large differences say something.
    pub(crate) fn beside_last<T>(&self, name: &str, run: &Run<T>) -> String {
        let history = fs::read_to_string(self.folder().join(HISTORY)).unwrap_or_default();
        beside_last(&history, &Line::of(name, run))
    }

    /// Replaces tables in a page of the project, each between the markers of its name. Results that go to another
    /// folder are not for it.
    pub(crate) fn update(&self, page: &str, tables: &[(&str, &str)]) -> Result<()> {
        if !self.write || self.out.is_some() {
            return Ok(());
        }
        let path = workspace_root().join(page);
        let mut text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for (name, table) in tables {
            text = replace_between(&text, name, table).with_context(|| page.to_owned())?;
        }
        write(&path, &text)
    }

    /// The file of a diagram, if one is wanted.
    pub(crate) fn diagram(&self, name: &str) -> Result<Option<PathBuf>> {
        if !self.write {
            return Ok(None);
        }
        let folder = self.folder();
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Some(folder.join(format!("{name}.svg"))))
    }

    /// The results of another program.
    ///
    /// # Errors
    ///
    /// When there are none, or they have another form: with the command that makes them.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str, recipe: &str) -> Result<Run<T>> {
        let path = self.folder().join(format!("{name}.json"));
        let cure = || format!("{}: make it with `just {recipe}`", path.display());
        let text = fs::read_to_string(&path).with_context(cure)?;
        serde_json::from_str(&text).with_context(cure)
    }
}

/// The results of one run of a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run<T> {
    /// The heading of its table.
    pub(crate) title: String,
    pub(crate) about: About,
    pub(crate) results: T,
    /// The few numbers by which commits are compared.
    pub(crate) summary: Vec<(String, f64)>,
}

/// What was measured, when and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The commit, with `+` when files differ from it.
    pub(crate) commit: String,
    /// The commit of `--against`.
    pub(crate) against: Option<String>,
    /// Seconds since 1970.
    pub(crate) unix_time: u64,
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) compiler: String,
    /// Cargo's profile of this build; empty in files that are older than the second profile.
    #[serde(default)]
    pub(crate) profile: String,
    pub(crate) postgres: String,
    /// Tasks that wanted to run, in the minute before.
    pub(crate) load_before: f64,
}

impl About {
    /// This project on this machine. Made before anything is measured.
    pub(crate) fn now(seed: u64, postgres: &str, against: Option<&Path>) -> Self {
        let machine = machine::Machine::this();
        Self {
            commit: commit(&workspace_root()),
            against: against.map(commit),
            unix_time: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            seed,
            seconds: 0.0,
            cpu: machine.cpu,
            cores: machine.cores,
            kernel: machine.kernel,
            compiler: machine.compiler,
            profile: crate::binaries::profile(),
            postgres: postgres.to_owned(),
            load_before: machine::load(),
        }
    }

    /// Whether two runs measured the same builds on the same machine.
    pub(crate) fn is_of_same(&self, other: &Self) -> bool {
        self.commit == other.commit
            && self.against == other.against
            && self.cpu == other.cpu
            && self.cores == other.cores
    }

    /// When it was made, as `2026-11-28 09:05 UTC`.
    pub(crate) fn date(&self) -> String {
        let seconds = i64::try_from(self.unix_time).unwrap_or(i64::MAX);
        match time::OffsetDateTime::from_unix_timestamp(seconds) {
            Ok(at) => format!(
                "{}-{:02}-{:02} {:02}:{:02} UTC",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute()
            ),
            Err(_) => "unknown".to_owned(),
        }
    }

    /// In one sentence, for below a table.
    pub(crate) fn sentence(&self) -> String {
        let against = self.against.as_deref();
        let against = against.map_or_else(String::new, |commit| format!(" against {commit}"));
        let profile = match self.profile.as_str() {
            "" => String::new(),
            profile => format!(", profile {profile}"),
        };
        format!(
            "Commit {}{profile}{against}. {}, {} cores, Linux {}, {}, PostgreSQL {}. Seed {}, {:.0} s, load before it {:.2}.",
            self.commit,
            self.cpu,
            self.cores,
            self.kernel,
            self.compiler,
            self.postgres,
            self.seed,
            self.seconds,
            self.load_before,
        )
    }
}

/// The commit of a folder, with `+` when files differ from it.
fn commit(folder: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(args)
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    // What this program writes is no difference.
    let changes = git(&[
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ".",
        ":!docs",
    ]);
    let clean = changes.is_some_and(|changes| changes.trim().is_empty());
    format!("{}{}", commit.trim(), if clean { "" } else { "+" })
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    program: String,
    #[serde(flatten)]
    about: About,
    summary: serde_json::Map<String, Value>,
}

impl Line {
    fn of<T>(name: &str, run: &Run<T>) -> Self {
        let summary = run.summary.iter();
        let rounded = |value: &f64| (value * 1e4).round() / 1e4;
        Self {
            program: name.to_owned(),
            about: run.about.clone(),
            summary: summary
                .map(|(name, value)| (name.clone(), rounded(value).into()))
                .collect(),
        }
    }
}

/// The history with this line, in the place of an earlier one of the same commit, program and processor.
fn with_line(history: &str, line: &Line) -> Result<String> {
    let mut kept = Vec::new();
    for (n, text) in history.lines().enumerate() {
        let old: Line = serde_json::from_str(text)
            .with_context(|| format!("{HISTORY}, line {}, is no result", n + 1))?;
        let same = old.program == line.program
            && old.about.commit == line.about.commit
            && old.about.cpu == line.about.cpu;
        if !same {
            kept.push(text.to_owned());
        }
    }
    kept.push(serde_json::to_string(line)?);
    Ok(kept.join("\n") + "\n")
}

/// A table of the numbers of `now` and of the last line of another commit, if one was measured on such a machine.
fn beside_last(history: &str, now: &Line) -> String {
    let lines = history.lines().rev();
    let mut lines = lines.filter_map(|text| serde_json::from_str::<Line>(text).ok());
    let last = lines.find(|line| {
        line.program == now.program
            && line.about.commit != now.about.commit
            && line.about.cpu == now.about.cpu
            && line.about.cores == now.about.cores
    });
    let Some(last) = last else {
        return String::new();
    };
    let mut text = format!(
        "\n| beside commit {}, in another run | then | now | ÷ |\n|---|--:|--:|--:|\n",
        last.about.commit
    );
    for (name, value) in &now.summary {
        let then = last.summary.get(name).and_then(Value::as_f64);
        if let Some((then, value)) = then.zip(value.as_f64()) {
            // There is no ratio to nothing.
            let ratio = match then {
                0.0 => "-".to_owned(),
                _ => format!("{:.2}", value / then),
            };
            text.push_str(&format!("| {name} | {then:.2} | {value:.2} | {ratio} |\n"));
        }
    }
    text
}

/// Replaces what is between the markers `<!-- measured: NAME -->` and `<!-- end of measured: NAME -->`.
pub(crate) fn replace_between(text: &str, name: &str, content: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- measured: {name} -->"),
        format!("<!-- end of measured: {name} -->"),
    );
    let missing = || format!("the page has no lines {begin} and {end}");
    let (head, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, tail) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{head}{begin}\n\n{content}\n{end}{tail}"))
}

/// A seed, when none was asked for. It has at most ten digits: a longer one may look like a number of a card, which no
/// file may have.
pub(crate) fn seed() -> u64 {
    rand::random::<u32>().into()
}

/// Writes a file as a whole, or says which one cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(commit: &str, value: f64) -> Line {
        let mut about = About::now(1, "15", None);
        about.commit = commit.to_owned();
        Line::of(
            "cold",
            &Run {
                title: String::new(),
                about,
                results: (),
                summary: vec![("ratio".to_owned(), value)],
            },
        )
    }

    #[test]
    fn a_commit_has_one_line_for_each_program() {
        let one = with_line("", &line("a", 1.0)).unwrap();
        let two = with_line(&one, &line("b", 2.0)).unwrap();
        assert_eq!(two.lines().count(), 2);
        let again = with_line(&two, &line("a", 3.0)).unwrap();
        assert_eq!(again.lines().count(), 2);
        let last: Line = serde_json::from_str(again.lines().last().unwrap()).unwrap();
        assert_eq!(
            (last.about.commit.as_str(), &last.summary["ratio"]),
            ("a", &3.0.into())
        );
        assert!(with_line("nonsense", &last).is_err());

        let text = beside_last(&again, &line("c", 6.0));
        assert!(
            text.contains("commit a") && text.contains("| ratio | 3.00 | 6.00 | 2.00 |"),
            "{text}"
        );
        let none = with_line("", &line("a", 0.0)).unwrap();
        let text = beside_last(&none, &line("c", 0.0));
        assert!(text.contains("| ratio | 0.00 | 0.00 | - |"), "{text}");
        assert!(beside_last("", &line("c", 6.0)).is_empty());
    }

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let page = "a\n<!-- measured: x -->\nold\n<!-- end of measured: x -->\nb\n";
        let new = replace_between(page, "x", "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- measured: x -->\n\nnew\n\n<!-- end of measured: x -->\nb\n"
        );
        assert_eq!(replace_between(&new, "x", "new\n").unwrap(), new);
        assert!(replace_between(page, "y", "").is_err());
    }
}
