//! The real engine, as a person starts it, with a data folder and a port of its own.

use std::{
    any::Any,
    fs::{self, File},
    io::{Read, Write},
    net::SocketAddr,
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use crate::{functions, root};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Deserialize;
use tempfile::TempDir;
use zerocart_activator::{FunctionStatus, Guard};
use zerocart_proto::{rpc, user::AuthRequest};
use zerocart_test_support::clients::{Client, Wire};

use super::{
    http::Http,
    processes::{self, Process},
    until,
};

/// How long anything may take that is about to happen; never reached by a test that passes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How tests start an engine: with the programs that are built, at a port that is free.
pub const UP: [&str; 4] = ["up", "--no-build", "--port", "0"];

/// A data folder that is removed with this.
#[derive(Debug)]
pub struct Data(TempDir);

impl Default for Data {
    fn default() -> Self {
        Self::new()
    }
}

impl Data {
    /// A folder of its own.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("zerocart-tests-").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        // As root, PostgreSQL runs as somebody else, and keeps its files where it can reach them.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("the folder is ours");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// A file beside the data.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// What a running engine writes to its data folder.
#[derive(Debug, Deserialize)]
struct Announced {
    pid: u32,
    gateway: String,
    functions: String,
}

/// What `ps --json` prints.
#[derive(Debug, Deserialize)]
struct Functions {
    functions: Vec<FunctionStatus>,
}

/// An engine that runs. Killed when this is dropped; its own guards then end what it started.
#[derive(Debug)]
pub struct Engine {
    child: Child,
    data: PathBuf,
    log: PathBuf,
    gateway: SocketAddr,
    functions: String,
    sources: AtomicU8,
    /// Ends the engine when this process is killed. Dropped in this order.
    _watch: Box<dyn Any + Send>,
    _guard: Guard,
}

impl Engine {
    /// `zerocart up` with the functions as processes, once it is ready.
    pub async fn start(data: &Data) -> Self {
        Self::start_with(data, &[]).await
    }

    /// `zerocart up` with more options.
    pub async fn start_with(data: &Data, options: &[&str]) -> Self {
        let mut command = zerocart(&data.path());
        command.args(UP).args(options);
        Self::start_command(data, command).await
    }

    /// The engine that `command` starts, with `--data` and [`UP`] among its arguments.
    pub async fn start_command(data: &Data, mut command: Command) -> Self {
        let log = data.file("output");
        let output = File::create(&log).expect("the log can be made");
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file can be cloned"))
            .stderr(output)
            // A terminal's Ctrl-C goes to the whole group; see `interrupt`.
            .process_group(0);
        let mut child = command.spawn().expect("the engine can be started");
        let guard = Guard::spawn().expect("a guard can be started");
        let watch = guard.watch(child.id()).expect("the guard runs");
        let path = data.path().join("engine.json");
        let announced = until("the engine is up", PATIENCE, || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the engine ended: {status}\n{}", read(&log));
            }
            let text = fs::read(&path).unwrap_or_default();
            let announced = serde_json::from_slice::<Announced>(&text).ok();
            // A file that a killed engine left behind is that engine's.
            let own = announced.filter(|announced| announced.pid == child.id());
            async { own }
        });
        let announced = announced.await;
        let gateway = announced.gateway.trim_start_matches("http://").parse();
        Self {
            child,
            data: data.path(),
            log,
            gateway: gateway.expect("the gateway's address"),
            functions: announced.functions,
            sources: AtomicU8::new(2),
            _watch: Box::new(watch),
            _guard: guard,
        }
    }

    /// The gateway.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The host and port of a function for other functions, past the gateway.
    pub fn function(&self, name: &str) -> String {
        let url = self.functions.replace("{function}", name);
        url.trim_start_matches("http://").to_owned()
    }

    /// What it has told so far.
    pub fn output(&self) -> String {
        read(&self.log)
    }

    /// The e-mail and password that it shows at its first start.
    pub fn admin_credential(&self) -> Option<(String, String)> {
        let output = self.output();
        let after = |label: &str| {
            let mut lines = output.lines().map(str::trim);
            let line = lines.find(|line| line.starts_with(label))?;
            Some(line.strip_prefix(label)?.trim().to_owned())
        };
        Some((after("e-mail ")?, after("password ")?))
    }

    /// A client at an address of its own: the gateway counts its requests alone.
    pub fn http(&self) -> Http {
        let source = self.sources.fetch_add(1, Ordering::Relaxed);
        Http::new(self.gateway, [127, 0, 0, source].into())
    }

    /// A client by some wire, from 127.0.0.1.
    pub fn client(&self, wire: Wire) -> Client {
        Client::new(wire, self.gateway)
    }

    /// Signs in, and gives the value of the header `authorization`.
    pub async fn sign_in(&self, email: &str, password: &str) -> String {
        let request = AuthRequest {
            email: email.into(),
            password: password.into(),
        };
        let client = self.client(Wire::Http1);
        let answer = client.call::<rpc::AuthenticateUser>(&request).await.ok();
        format!("Bearer {}", answer.token)
    }

    /// Signs the first admin in.
    pub async fn sign_in_admin(&self) -> String {
        let (email, password) = self.admin_credential().expect("the first start shows it");
        self.sign_in(&email, &password).await
    }

    /// `zerocart ps --json`.
    pub async fn ps(&self) -> Vec<FunctionStatus> {
        let mut command = tokio::process::Command::from(zerocart(&self.data));
        let output = command.args(["ps", "--json"]).output().await;
        let output = output.expect("zerocart can be started");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let printed: Functions = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        printed.functions
    }

    /// What `ps` says of one function.
    pub async fn status(&self, function: &str) -> FunctionStatus {
        let status = self.ps().await.into_iter().find(|f| f.name == function);
        status.unwrap_or_else(|| panic!("ps does not show {function}"))
    }

    /// The engine and all that it started.
    pub fn processes(&self) -> Vec<Process> {
        processes::tree(self.child.id())
    }

    /// A connection to the database of `domain`, as the role of its functions, of which one must run.
    ///
    /// # Panics
    ///
    /// When none does.
    pub async fn database(&self, domain: &str) -> tokio_postgres::Client {
        connect(&self.database_url(domain)).await
    }

    /// The URL of the database of `domain`, which stays the same while the engine runs. A function of it
    /// must run.
    ///
    /// # Panics
    ///
    /// When none does.
    pub fn database_url(&self, domain: &str) -> String {
        let functions = functions::all();
        let names: Vec<_> = functions
            .iter()
            .filter(|f| f.domain == domain)
            .map(|f| f.name)
            .collect();
        let processes = self.processes();
        // The kernel keeps 15 characters of a name.
        let mut of_domain = processes
            .iter()
            .filter(|process| names.iter().any(|name| name.starts_with(&process.name)));
        let url = of_domain.find_map(|process| process.env("DATABASE_URL"));
        url.unwrap_or_else(|| panic!("no function of {domain} runs"))
    }

    /// Ctrl-C: SIGINT to the whole group, as a terminal sends it. Gives the exit status.
    pub async fn interrupt(mut self) -> ExitStatus {
        kill_process_group(self.pid(), Signal::INT).expect("the engine runs");
        self.exit().await
    }

    /// Ends it as Ctrl-C does, and checks that it went well and that nothing is left.
    pub async fn stop(self) {
        let (processes, log) = (self.processes(), self.log.clone());
        let status = self.interrupt().await;
        assert!(status.success(), "{status}\n{}", read(&log));
        processes::gone(&processes, PATIENCE).await;
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        kill_process(self.pid(), Signal::KILL).expect("the engine runs");
        assert_eq!(self.exit().await.signal(), Some(9));
    }

    async fn exit(&mut self) -> ExitStatus {
        until("the engine ends", PATIENCE, || {
            let ended = self.child.try_wait().expect("a child can be waited for");
            async move { ended }
        })
        .await
    }

    fn pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        pid.expect("a child has a pid")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // A test failed: what the engine said helps to see why.
            let _ = writeln!(std::io::stderr(), "{}", self.output());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A connection to a database, by a URL of [`Engine::database_url`].
///
/// # Panics
///
/// When there is none.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("the function's own URL is right");
    tokio::spawn(connection);
    client
}

/// `zerocart --data <data>`, to which a command is added.
pub fn zerocart(data: &Path) -> Command {
    let mut command = Command::new(binaries().join("zerocart"));
    command.current_dir(root()).arg("--data").arg(data);
    command
}

/// The folder with the binaries, built now.
///
/// A build of this package alone does not build the binaries of others, and a stale one would
/// test what is no more. All that `cargo test` has built already is not built again.
pub fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    // The whole workspace with its tests: so cargo chooses the same features of dependencies as
    // in `cargo test --workspace`, after which there is nothing left to build here.
    FOLDER.get_or_init(|| build(&["--workspace", "--bins", "--tests"]))
}

/// Builds with the cargo that built this test, in its profile, and gives the folder of binaries.
///
/// # Panics
///
/// When it cannot be built.
pub fn build(what: &[&str]) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its program");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("deps is in a profile's folder");
    let profile = zerocart_local_cargo::profile(folder).expect("it is named after it");
    let mut cargo = zerocart_local_cargo::command();
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "--profile", profile])
        .args(what);
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "{what:?} can be built");
    folder.to_owned()
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text
}
