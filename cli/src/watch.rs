//! `zerocart up --watch`: builds what changes, and starts the next instances from it.
//!
//! What runs goes on: an instance finishes the requests that it has, and gets no more of them. A build that
//! fails changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};
use zerocart_activator::Activator;

use crate::{compile, console, domains, layout::Project};

/// The folders from which functions are built.
const FOLDERS: [&str; 4] = ["edge", "functions", "proto", "shared"];

/// How long nothing changes before a build begins: an editor writes a file in several steps, and git many
/// files.
const QUIET: Duration = Duration::from_millis(200);

/// Watches the folders from which functions are built.
pub(crate) struct Watch {
    project: Project,
    binary_dir: PathBuf,
    changes: UnboundedReceiver<PathBuf>,
    /// Ends the watching when it is dropped.
    _watcher: RecommendedWatcher,
}

impl Watch {
    pub(crate) fn start(project: &Project) -> Result<Self> {
        let (changed, changes) = unbounded_channel();
        let told = move |event: notify::Result<Event>| match event {
            // To read a file changes nothing.
            Ok(Event {
                kind: EventKind::Access(_),
                ..
            }) => {}
            Ok(event) => {
                for path in event.paths.into_iter().filter(|path| is_source(path)) {
                    // Nobody listens any more once the engine stops.
                    let _ = changed.send(path);
                }
            }
            Err(error) => tracing::warn!(%error, "a change may have been missed"),
        };
        let mut watcher = notify::recommended_watcher(told)?;
        for folder in FOLDERS {
            let folder = project.root().join(folder);
            watcher
                .watch(&folder, RecursiveMode::Recursive)
                .with_context(|| format!("cannot watch {}", folder.display()))?;
        }
        Ok(Self {
            project: project.clone(),
            binary_dir: compile::binary_dir()?,
            changes,
            _watcher: watcher,
        })
    }

    /// Builds after each change, and lets `activator` start what was built.
    pub(crate) async fn run(mut self, activator: Activator) {
        while let Some(first) = self.changes.recv().await {
            let mut changed = BTreeSet::from([first]);
            while let Ok(Some(path)) = timeout(QUIET, self.changes.recv()).await {
                changed.insert(path);
            }
            self.announce(&changed);
            let began = Instant::now();
            let before = self.built();
            if let Err(error) = compile::functions(&self.project, &self.binary_dir).await {
                console::say(format_args!("{error:#}; what runs stays as it is"));
                continue;
            }
            let now = self.built();
            let newer = |name: &str| now.get(name) != before.get(name);
            activator.renew(newer);
            let names: Vec<_> = now.keys().filter(|name| newer(name)).copied().collect();
            let what = match names.as_slice() {
                [] => "nothing that runs is built from it".to_owned(),
                names => format!("the next instances are new: {}", names.join(", ")),
            };
            console::done(what, began.elapsed());
        }
    }

    /// Says what changed, and what a build alone does not take up.
    fn announce(&self, changed: &BTreeSet<PathBuf>) {
        let short = |path: &PathBuf| {
            let path = path.strip_prefix(self.project.root()).unwrap_or(path);
            path.display().to_string()
        };
        let names: Vec<_> = changed.iter().map(short).collect();
        console::say(format_args!("\nchanged: {}", names.join(", ")));
        if names
            .iter()
            .any(|name| name.starts_with("proto/") || name.ends_with(".toml"))
        {
            console::say(
                "a new function, a route or a setting needs `cargo zerocart generate` and another start",
            );
        }
    }

    /// When each program that runs was built.
    fn built(&self) -> BTreeMap<&'static str, SystemTime> {
        let built = domains::programs().filter_map(|name| {
            let file = std::fs::metadata(self.binary_dir.join(name)).ok()?;
            Some((name, file.modified().ok()?))
        });
        built.collect()
    }
}

/// Whether a program may be built from this file. Editors write others beside it.
fn is_source(path: &Path) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str());
    matches!(kind, Some("proto" | "rs" | "toml"))
}
