//! An activator over the test function, in a folder of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use zerocart_activator::{Activator, FunctionStatus, Guard, Ksvc, Options, ProcessLauncher};

/// Far beyond what anything here takes: only a failure waits this long.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Bed {
    pub(crate) folder: TempDir,
    pub(crate) activator: Activator,
}

impl Bed {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(functions: impl IntoIterator<Item = Ksvc>) -> Self {
        Self::with(functions, Options::default())
    }

    pub(crate) fn with(functions: impl IntoIterator<Item = Ksvc>, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let functions: Vec<Ksvc> = functions.into_iter().collect();
        let names = functions.iter().map(|function| function.name.as_str());
        let binaries = binaries(folder.path(), names);
        let gates = folder.path().to_str().unwrap().to_owned();
        let launcher = ProcessLauncher::new(
            binaries,
            folder.path(),
            Guard::spawn().unwrap(),
            move |name| {
                vec![
                    ("GATES".to_owned(), gates.clone()),
                    ("START_GATE".to_owned(), format!("{gates}/{name}.start")),
                    ("NEEDS".to_owned(), format!("{gates}/{name}.needs")),
                ]
            },
        );
        let bed = Self {
            activator: Activator::new(functions, launcher, options),
            folder,
        };
        for status in bed.activator.status() {
            bed.open(&format!("{}.start", status.name));
            bed.open(&format!("{}.needs", status.name));
        }
        bed
    }

    /// Makes the file that something waits for.
    pub(crate) fn open(&self, gate: &str) {
        std::fs::write(self.folder.path().join(gate), "").unwrap();
    }

    pub(crate) fn close(&self, gate: &str) {
        std::fs::remove_file(self.folder.path().join(gate)).unwrap();
    }

    pub(crate) async fn get(&self, function: &str, path: &str) -> (StatusCode, String) {
        let response = self.activator.handle(function, get(path)).await;
        let status = response.status();
        (status, text(response).await)
    }

    /// A GET that runs by itself.
    pub(crate) fn start(&self, function: &str, path: &str) -> JoinHandle<(StatusCode, String)> {
        let activator = self.activator.clone();
        let (function, request) = (function.to_owned(), get(path));
        tokio::spawn(async move {
            let response = activator.handle(&function, request).await;
            let status = response.status();
            (status, text(response).await)
        })
    }

    pub(crate) fn status(&self, function: &str) -> FunctionStatus {
        let mut status = self.activator.status().into_iter();
        status.find(|status| status.name == function).unwrap()
    }

    /// Waits until the function's status is as wanted.
    pub(crate) async fn until(&self, function: &str, wanted: impl Fn(&FunctionStatus) -> bool) {
        let what = || format!("{:?}", self.status(function));
        eventually(|| wanted(&self.status(function)), what).await;
    }
}

/// A folder in which the test function goes by these names.
pub(crate) fn binaries<'a>(folder: &Path, names: impl Iterator<Item = &'a str>) -> PathBuf {
    let binaries = folder.join("bin");
    std::fs::create_dir(&binaries).unwrap();
    for name in names {
        let binary = env!("CARGO_BIN_EXE_activator-test-function");
        std::os::unix::fs::symlink(binary, binaries.join(name)).unwrap();
    }
    binaries
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

pub(crate) async fn eventually(condition: impl Fn() -> bool, what: impl Fn() -> String) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "never came: {}",
            what()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs: one that has ended but was not waited for does not.
pub(crate) fn runs(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The state follows the name, which is in brackets and may hold anything.
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.starts_with(['Z', 'X'])
}
