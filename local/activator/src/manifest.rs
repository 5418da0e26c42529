//! Manifests: the Knative Service file of a function, and the CronJob file of a job.
//!
//! The files are those that are deployed. A field is either understood or refused, with file, line
//! and column, so the local engine and a cluster cannot behave differently. Of fields that only a
//! cluster needs (secrets, security context, resources), only the form is checked.

mod duration;
mod file;
mod job;
mod validate;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::scale::Limits;
use zerocart_schedule::Schedule;

/// The default of the requests per instance that scaling aims at (Knative's
/// `container-concurrency-target-default`).
const DEFAULT_TARGET: f64 = 100.0;

/// A function, as its Knative Service file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ksvc {
    /// Its name: of the Service, of the binary, and the first label of its host name.
    pub name: String,
    /// Its limits of scale.
    pub limits: Limits,
    /// Requests that one instance may have at once; `None` is no limit.
    pub container_concurrency: Option<usize>,
    /// The port that it listens on in a cluster.
    pub container_port: u16,
    /// The time in which the whole answer must have been given.
    pub timeout: Duration,
    /// The time in which the answer must have begun, a cold start included.
    pub response_start_timeout: Duration,
    /// Its environment, in the file's order.
    pub env: Vec<(String, String)>,
    /// The path that answers 200 when an instance is ready.
    pub readiness_path: String,
    /// The liveness probe, if there is one.
    pub liveness: Option<Liveness>,
}

impl Ksvc {
    /// A function with Knative's defaults and one instance at most.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            limits: Limits {
                min: 0,
                max: 1,
                target: DEFAULT_TARGET,
                window: Duration::from_secs(60),
                retention: Duration::ZERO,
            },
            container_concurrency: None,
            container_port: 8080,
            timeout: Duration::from_secs(300),
            response_start_timeout: Duration::from_secs(300),
            env: Vec::new(),
            readiness_path: "/health".to_owned(),
            liveness: None,
        }
    }
}

/// The liveness probe, which finds an instance that hangs. With Kubernetes' defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// The path that answers 2xx or 3xx while the instance lives.
    pub path: String,
    /// Time before the first probe.
    pub initial_delay: Duration,
    /// Time between probes.
    pub period: Duration,
    /// Time that one probe may take.
    pub timeout: Duration,
    /// Failures in a row after which the instance is ended.
    pub failure_threshold: u32,
}

/// A job, as its CronJob file describes it: a process that a schedule starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name: of the CronJob and of the binary.
    pub name: String,
    /// When it runs. A run that is due while another one runs is left out.
    pub schedule: Schedule,
    /// The time after which a run is ended.
    pub deadline: Duration,
    /// Its environment, in the file's order.
    pub env: Vec<(String, String)>,
}

/// Something in a file that is wrong: `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", file.display())]
pub struct Invalid {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong, and what is expected.
    pub message: String,
}

/// Why functions or jobs could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A folder or file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds no `.yaml` file.
    #[error("nothing in {}: it holds no .yaml file", .0.display())]
    Empty(PathBuf),
    /// The problems of all files.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Invalid>),
}

struct Lines<'a>(&'a [Invalid]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, invalid) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{invalid}")?;
        }
        Ok(())
    }
}

/// The file of a folder that is no manifest.
const KUSTOMIZATION: &str = "kustomization.yaml";

/// Reads every function of a folder: each `<name>.yaml` in it but `kustomization.yaml`, in the order of
/// their names.
///
/// # Errors
///
/// When the folder cannot be read or is empty, and when a file holds anything unknown or wrong.
pub fn load_dir(path: &Path) -> Result<Vec<Ksvc>, LoadError> {
    load(path, parse)
}

/// Reads every job of a folder: each `<name>.yaml` in it but `kustomization.yaml`, in the order of
/// their names.
///
/// # Errors
///
/// When the folder cannot be read or is empty, and when a file holds anything unknown or wrong.
pub fn load_jobs(path: &Path) -> Result<Vec<Job>, LoadError> {
    load(path, parse_job)
}

fn load<T>(
    path: &Path,
    parse: fn(&Path, &str) -> Result<T, Vec<Invalid>>,
) -> Result<Vec<T>, LoadError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| LoadError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable(path))? {
        let file = entry.map_err(unreadable(path))?.path();
        // The list of the folder's files, which kustomize reads on a cluster.
        let listing = file.file_name().is_some_and(|name| name == KUSTOMIZATION);
        if !listing && file.extension().is_some_and(|end| end == "yaml") {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(LoadError::Empty(path.to_owned()));
    }
    files.sort();
    let mut loaded = Vec::with_capacity(files.len());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(unreadable(&file))?;
        match parse(&file, &text) {
            Ok(one) => loaded.push(one),
            Err(mut invalid) => wrong.append(&mut invalid),
        }
    }
    if wrong.is_empty() {
        Ok(loaded)
    } else {
        Err(LoadError::Invalid(wrong))
    }
}

/// Reads one function from the text of its file; `file` must be named after it.
///
/// # Errors
///
/// Everything that is unknown or wrong in the text.
pub fn parse(file: &Path, text: &str) -> Result<Ksvc, Vec<Invalid>> {
    validate::function(file, &read(file, text)?)
}

/// Reads one job from the text of its file; `file` must be named after it.
///
/// # Errors
///
/// Everything that is unknown or wrong in the text.
pub fn parse_job(file: &Path, text: &str) -> Result<Job, Vec<Invalid>> {
    job::job(file, &read(file, text)?)
}

fn read<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Vec<Invalid>> {
    file::parse(text).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |location| (location.line(), location.column()));
        vec![Invalid {
            file: file.to_owned(),
            line,
            column,
            message: file::message(&error),
        }]
    })
}
