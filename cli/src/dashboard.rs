//! Builds the dashboard with npm, before cargo puts the built files into the program that serves them.
//!
//! Nothing needs the dashboard but people who open it. So what prevents its build is said in a line, and is no error.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{console, layout::Project};

/// Folders of `dashboard/` that are no sources.
const MADE: [&str; 4] = ["dist", "node_modules", "test-results", "playwright-report"];

/// Builds `dashboard/dist`, if it is older than its sources and npm is there.
pub(crate) async fn build(project: &Project) {
    let folder = project.root().join("dashboard");
    if !is_stale(&folder) {
        return;
    }
    let step = Instant::now();
    match npm(&folder).await {
        Ok(()) => console::done("the dashboard is built", step.elapsed()),
        Err(error) => console::doing(format_args!(
            "the dashboard is not built: {error:#}. All else works without it"
        )),
    }
}

/// Whether there are sources, and no build that is newer than all of them.
fn is_stale(folder: &Path) -> bool {
    if !folder.join("package.json").is_file() {
        return false;
    }
    match modified(&folder.join("dist/index.html")) {
        None => true,
        Some(built) => newest(folder).is_none_or(|source| source > built),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// The time of the newest source below a folder.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?;
    let times = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        if name.starts_with('.') || MADE.contains(&name) {
            None
        } else if path.is_dir() {
            newest(&path)
        } else {
            modified(&path)
        }
    });
    times.max()
}

async fn npm(folder: &Path) -> Result<()> {
    console::doing("building the dashboard …");
    // What npm has installed, it writes down in this file.
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    let locked = modified(&folder.join("package-lock.json"));
    if installed.is_none() || installed < locked {
        // Without a network, it is known soon.
        run(
            folder,
            &["ci", "--no-audit", "--no-fund", "--fetch-retries=1"],
        )
        .await?;
    }
    run(folder, &["run", "build"]).await
}

async fn run(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(arguments).kill_on_drop(true);
    let output = npm
        .output()
        .await
        .context("npm cannot be run; install Node 20 or later")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| !line.trim().is_empty());
    bail!(
        "`npm {}` failed in {}: {}",
        arguments.join(" "),
        display(folder),
        said.unwrap_or("it says nothing").trim()
    )
}

/// The folder as a person would name it.
fn display(folder: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let below = folder.strip_prefix(here).unwrap_or(folder);
    below.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_built_when_a_source_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let write = |path: &str, seconds: u64| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs::File::create(path).unwrap();
            file.set_modified(begin + Duration::from_secs(seconds))
                .unwrap();
        };
        assert!(!is_stale(folder), "there is no dashboard");
        write("src/main.tsx", 1);
        write("package.json", 1);
        assert!(is_stale(folder), "it was never built");
        write("dist/index.html", 5);
        assert!(!is_stale(folder));
        write("dist/assets/a.js", 9);
        write("node_modules/react/index.js", 9);
        assert!(!is_stale(folder), "these are no sources");
        write("src/pages/orders.tsx", 6);
        assert!(is_stale(folder));
    }
}
