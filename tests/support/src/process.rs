//! Functions as processes, with their standard input, output and signals.

use std::{
    ffi::OsStr,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::functions::PATIENCE;

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The lines of standard output. They are read as they come: a process whose output nobody
    /// reads stands still once the pipe is full.
    stdout: mpsc::UnboundedReceiver<String>,
    stderr: JoinHandle<String>,
    /// The lines that were looked at so far.
    lines: Vec<String>,
}

/// How a process ended, and all that it wrote.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The lines of its standard output.
    pub stdout: Vec<String>,
    /// Its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `program` with `env` and no other variable.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(
        program: impl AsRef<OsStr>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self::with_stdin(program, env, Stdio::null())
    }

    /// Starts `program` with a socket that listens on 127.0.0.1 as its standard input, and gives
    /// the address of that socket. A request to it is answered as soon as the process can.
    ///
    /// # Panics
    ///
    /// When there is no port left, or the program cannot be started.
    pub fn listening(
        program: impl AsRef<OsStr>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> (Self, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let env = env
            .into_iter()
            .chain([("LISTEN".to_owned(), "stdin".to_owned())]);
        let stdin = Stdio::from(OwnedFd::from(listener));
        (Self::with_stdin(program, env, stdin), address)
    }

    /// Starts `program` with `stdin` as its standard input.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn with_stdin(
        program: impl AsRef<OsStr>,
        env: impl IntoIterator<Item = (String, String)>,
        stdin: Stdio,
    ) -> Self {
        let mut child = Command::new(program)
            .env_clear()
            .envs(env)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let mut stderr = child.stderr.take().expect("it is piped");
        let (line, lines) = mpsc::unbounded_channel();
        let mut stdout = BufReader::new(stdout).lines();
        tokio::spawn(async move {
            while let Ok(Some(text)) = stdout.next_line().await {
                if line.send(text).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            stdout: lines,
            stderr: tokio::spawn(async move {
                let mut text = Vec::new();
                let _ = stderr.read_to_end(&mut text).await;
                String::from_utf8_lossy(&text).into_owned()
            }),
            lines: Vec::new(),
        }
    }

    /// Reads the log until a line that `wanted` says yes to, and gives that line.
    ///
    /// # Panics
    ///
    /// When it ends before, writes a line that is no JSON object, or takes longer than
    /// [`PATIENCE`].
    pub async fn log_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = timeout(PATIENCE, self.stdout.recv()).await;
            let line = line.unwrap_or_else(|_| panic!("no such line in {:#?}", self.lines));
            let line = line.unwrap_or_else(|| panic!("no such line in {:#?}", self.lines));
            let json: Value = serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{error} in a line of the log: {line}"));
            assert!(json.is_object(), "{line}");
            self.lines.push(line);
            if wanted(&json) {
                return json;
            }
        }
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).expect("the process runs");
        kill_process(pid, signal).expect("a child may be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it takes longer than [`PATIENCE`].
    pub async fn ended(mut self) -> Ended {
        let rest = async {
            let mut lines = std::mem::take(&mut self.lines);
            while let Some(line) = self.stdout.recv().await {
                lines.push(line);
            }
            lines
        };
        let stdout = timeout(PATIENCE, rest).await;
        let status = timeout(PATIENCE, self.child.wait()).await;
        Ended {
            stdout: stdout.expect("the process ends in time"),
            status: status
                .expect("the process ends in time")
                .expect("a child can be waited for"),
            stderr: self.stderr.await.expect("reading does not panic"),
        }
    }
}

impl Ended {
    /// The lines of standard output as JSON.
    ///
    /// # Panics
    ///
    /// When one is none.
    pub fn log(&self) -> Vec<Value> {
        self.stdout
            .iter()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{error} in a line of the log: {line}"))
            })
            .collect()
    }
}
