//! The project's folder: reads the sources, and writes or compares the generated files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use zerocart_proto::rpc;

use crate::{COMMAND, Invalid, Output, Sources, Splice, render};

/// The services of the public edge that are no functions, each with its settings file.
const SERVICES: &[(&str, &str)] = &[
    ("dashboard", "edge/dashboard/functions.toml"),
    ("grpc-reflection", "edge/reflection/functions.toml"),
];

/// Folders in which every file is generated: `*` is one folder. A file in them that is not
/// generated any more is removed.
const WHOLE: &[&str] = &[
    "consul/callers",
    "consul/services",
    "functions/*/src/bin",
    "knative/consul/identities",
    "knative/consul/patches",
    "knative/edge",
    "knative/jobs",
    "knative/overlays/*",
    "knative/services",
    "observability/boards",
];

/// Why files could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Settings are wrong; all that was found is listed.
    #[error("{}", lines(.0))]
    Settings(Vec<Invalid>),
    /// A file lacks the region that belongs there.
    #[error(transparent)]
    Region(#[from] Splice),
}

fn lines(invalid: &[Invalid]) -> String {
    let lines: Vec<_> = invalid.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A file that differs from what its sources make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path below the project's folder.
    pub path: String,
    /// The text now; none where there is no file.
    pub before: Option<String>,
    /// The text as it must be; none where there must be no file.
    pub after: Option<String>,
}

impl Change {
    /// The change as a unified diff, with the command that makes it.
    pub fn diff(&self) -> String {
        let (before, after) = (self.before.as_deref(), self.after.as_deref());
        let diff = similar::TextDiff::from_lines(before.unwrap_or(""), after.unwrap_or(""));
        format!(
            "{} is not current: `{COMMAND}` mends it.\n{}",
            self.path,
            diff.unified_diff().header(&self.path, "generated")
        )
    }
}

/// The files of the project at `root` that are not what their sources make.
///
/// # Errors
///
/// [`Error`].
pub fn changes(root: &Path) -> Result<Vec<Change>, Error> {
    let outputs = outputs(root)?;
    let mut files: BTreeMap<&str, (Option<String>, String)> = BTreeMap::new();
    for output in &outputs {
        let path = output.path.as_str();
        let before = match files.get(path) {
            Some((_, made)) => Some(made.clone()),
            None => read(&root.join(path))?,
        };
        let after = output.apply(before.as_deref())?;
        files.entry(path).or_insert((before, String::new())).1 = after;
    }
    let mut changes = Vec::new();
    for path in present(root)? {
        if !files.contains_key(path.as_str()) {
            let before = read(&root.join(&path))?;
            changes.push(Change {
                path,
                before,
                after: None,
            });
        }
    }
    changes.extend(
        files
            .into_iter()
            .filter(|(_, (before, after))| before.as_ref() != Some(after))
            .map(|(path, (before, after))| Change {
                path: path.to_owned(),
                before,
                after: Some(after),
            }),
    );
    Ok(changes)
}

/// Makes the files what they must be.
///
/// # Errors
///
/// [`Error::File`].
pub fn write(root: &Path, changes: &[Change]) -> Result<(), Error> {
    for change in changes {
        let path = root.join(&change.path);
        let done = match &change.after {
            Some(text) => path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, text)),
            None => fs::remove_file(&path),
        };
        done.map_err(|source| Error::File { path, source })?;
    }
    Ok(())
}

fn outputs(root: &Path) -> Result<Vec<Output>, Error> {
    let mut settings = Vec::new();
    let domains = folders(root, "functions/*")?;
    let files = domains
        .iter()
        .map(|domain| format!("{domain}/functions.toml"));
    for path in files.chain(SERVICES.iter().map(|(_, file)| (*file).to_owned())) {
        if let Some(text) = read(&root.join(&path))? {
            settings.push((path, text));
        }
    }
    let edge = root.join("kong/edge.yml");
    let edge = fs::read_to_string(&edge).map_err(|source| Error::File { path: edge, source })?;
    render(&Sources {
        functions: rpc::ALL,
        jobs: rpc::JOBS,
        services: SERVICES,
        settings: &settings,
        edge: &edge,
        version: env!("CARGO_PKG_VERSION"),
    })
    .map_err(Error::Settings)
}

/// The files that are in the folders where every file is generated.
fn present(root: &Path) -> Result<Vec<String>, Error> {
    let mut paths = Vec::new();
    for pattern in WHOLE {
        for folder in folders(root, pattern)? {
            let names = list(&root.join(&folder))?;
            let files = names
                .into_iter()
                .filter(|name| root.join(&folder).join(name).is_file());
            paths.extend(files.map(|name| format!("{folder}/{name}")));
        }
    }
    Ok(paths)
}

/// The folders of a pattern in which one part may be `*`.
fn folders(root: &Path, pattern: &str) -> Result<Vec<String>, Error> {
    let Some((before, after)) = pattern.split_once('*') else {
        let exists = root.join(pattern).is_dir();
        return Ok(exists.then(|| pattern.to_owned()).into_iter().collect());
    };
    if !root.join(before).is_dir() {
        return Ok(Vec::new());
    }
    let names = list(&root.join(before))?.into_iter();
    let paths = names.map(|name| format!("{before}{name}{after}"));
    Ok(paths.filter(|path| root.join(path).is_dir()).collect())
}

fn list(folder: &Path) -> Result<Vec<String>, Error> {
    let fail = |source| Error::File {
        path: folder.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        names.push(
            entry
                .map_err(fail)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            path: path.to_owned(),
            source,
        }),
    }
}
