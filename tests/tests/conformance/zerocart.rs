//! The `zerocart` command, as a person runs it, with a data folder of its own.

use std::{
    any::Any,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use http::Uri;
use rustix::process::{Pid, Signal, kill_process_group};
use zerocart_activator::Guard;
use zerocart_tests::{
    harness::engine::{Data, build},
    root,
};

/// How long anything may take that is about to happen; never reached by a test that passes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command that runs until it is stopped. Dropped, it is killed, and its guards end the rest.
pub(crate) struct Zerocart {
    child: Child,
    data: Data,
    pub(crate) url: Uri,
    /// Of the first admin.
    pub(crate) email: String,
    pub(crate) password: String,
    _watch: Box<dyn Any + Send>,
    _guard: Guard,
}

impl Zerocart {
    /// Runs it with these arguments, until it says that it is ready.
    pub(crate) async fn start(args: &[&str]) -> Self {
        let data = Data::new();
        let output = File::create(data.file("output")).unwrap();
        let mut command = Command::new(binaries().join("zerocart"));
        command
            .current_dir(root())
            .arg("--data")
            .arg(data.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let guard = Guard::spawn().unwrap();
        let watch = guard.watch(child.id()).unwrap();
        let text = || fs::read_to_string(data.file("output")).unwrap();
        let deadline = Instant::now() + PATIENCE;
        // `ready after 1.02 s: http://127.0.0.1:41234…`
        let url = loop {
            let text = text();
            let ready = text
                .lines()
                .find_map(|line| line.strip_prefix("ready after "));
            if let Some((_, url)) = ready.and_then(|line| line.split_once("s: ")) {
                break url.split(',').next().unwrap().parse().unwrap();
            }
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{ended:?}\n{text}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let text = text();
        let after = |label: &str| {
            let mut lines = text.lines().map(str::trim);
            let line = lines.find_map(|line| line.strip_prefix(label));
            line.unwrap_or_else(|| panic!("no {label} in {text}"))
                .trim()
                .to_owned()
        };
        Self {
            email: after("e-mail "),
            password: after("password "),
            child,
            data,
            url,
            _watch: Box::new(watch),
            _guard: guard,
        }
    }

    /// What it has said so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.data.file("output")).unwrap()
    }

    /// Invokes a job on Lambda, as its schedule does, and expects that it succeeds.
    pub(crate) async fn job(&self, name: &str) {
        let port = self.url.port_u16().unwrap().to_string();
        let output = tokio::process::Command::from(zerocart_local_cargo::command())
            .current_dir(root())
            .args(["lambda", "invoke", name, "--data-ascii", "{}"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{errors}");
        let summary: serde_json::Value = serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error} in {said:?}\n{errors}"));
        assert!(summary.is_object(), "{summary}");
    }

    /// Ctrl-C; it ends in order, and nothing of it is left.
    pub(crate) async fn stop(mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process_group(group.unwrap(), Signal::INT).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{}", self.output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(status.success(), "{status}\n{}", self.output());
    }
}

impl Drop for Zerocart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder with the binaries, built now for Lambda, with the features that this test is built with.
fn binaries() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    // With a test, so that cargo chooses the features that this test was built with.
    let what = [
        "--workspace",
        "--bins",
        "--test",
        "conformance",
        "--features",
        "zerocart-tests/lambda",
    ];
    FOLDER.get_or_init(|| build(&what))
}
