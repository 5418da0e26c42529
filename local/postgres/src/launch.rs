//! One run of the server's process: its settings, its readiness, its end.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::cluster::{POLL, PidFile, signal_process};
use crate::socket;

/// How long a fast shutdown may take before an immediate one, which recovery repairs.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How much of the log an error shows.
const TAIL_LINES: usize = 20;

/// A port on which nothing listens now.
///
/// The system does not choose it, because an outgoing connection could take such a port while the
/// server is stopped for a moment. These ports are below those that Linux (from 32768) and macOS
/// (from 49152) give to connections.
pub(crate) fn free_port() -> io::Result<u16> {
    let mut rng = rand::rng();
    for _ in 0..100 {
        let port = rng.random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Settings for a machine that does other things, too.
pub(crate) fn settings(
    port: u16,
    socket: Option<&Path>,
    max_connections: u16,
    durable: bool,
) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("max_connections={max_connections}"),
        "shared_buffers=64MB".to_owned(),
        "min_wal_size=80MB".to_owned(),
        "max_wal_size=256MB".to_owned(),
        // There is no replication.
        "wal_level=minimal".to_owned(),
        "max_wal_senders=0".to_owned(),
        "max_logical_replication_workers=0".to_owned(),
        // JIT compilation costs more time than any of our statements.
        "jit=off".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        // The detail of an error quotes values: of a constraint that is broken, an e-mail address.
        "log_error_verbosity=terse".to_owned(),
        "lc_messages=C".to_owned(),
    ];
    settings.extend(socket::settings(socket));
    if !durable {
        settings.extend(
            ["fsync", "full_page_writes", "synchronous_commit"].map(|name| format!("{name}=off")),
        );
    }
    settings
}

/// A server's log, and the position where the present run begins.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    start: u64,
}

impl Log {
    /// Opens it for another run.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, File)> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let log = Self {
            path: path.to_owned(),
            start: file.metadata()?.len(),
        };
        Ok((log, file))
    }

    /// Renames the log of the last run, so that it does not grow for ever.
    pub(crate) fn rotate(path: &Path) -> io::Result<()> {
        match fs::rename(path, path.with_extension("log.old")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The last lines of this run.
    pub(crate) fn tail(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.start))?;
            file.read_to_end(&mut text)
        });
        if let Err(error) = read {
            return format!("(cannot be read: {error})");
        }
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().collect::<Vec<_>>();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// How a start ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It takes connections.
    Ready,
    /// Its port is in use.
    PortTaken,
    /// It cannot listen at its Unix socket.
    NoSocket,
    /// Processes of the run before have not ended yet.
    StillInUse,
    /// The server gave up.
    Exited(ExitStatus),
    /// It was not ready in time.
    Late,
}

/// The server's process. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Postmaster {
    child: Option<Child>,
    pid: u32,
    on_drop: Signal,
}

impl Postmaster {
    /// `on_drop` is SIGINT for data that must be kept, SIGQUIT for other data.
    pub(crate) fn spawn(command: &mut Command, on_drop: Signal) -> io::Result<Self> {
        let child = command.spawn()?;
        Ok(Self {
            pid: child.id(),
            child: Some(child),
            on_drop,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// Waits until it is ready or gone.
    pub(crate) async fn ready(
        &mut self,
        cluster: &Path,
        log: &Log,
        deadline: Instant,
    ) -> io::Result<Outcome> {
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                let tail = log.tail();
                return Ok(if socket::is_reason(&tail) {
                    Outcome::NoSocket
                } else if tail.contains("could not create any TCP/IP sockets")
                    || tail.contains("could not bind")
                {
                    Outcome::PortTaken
                } else if tail.contains("is still in use") {
                    Outcome::StillInUse
                } else {
                    Outcome::Exited(status)
                });
            }
            if PidFile::read(cluster).is_some_and(|file| file.ready && file.pid == self.pid) {
                return Ok(Outcome::Ready);
            }
            if Instant::now() >= deadline {
                return Ok(Outcome::Late);
            }
            sleep(POLL).await;
        }
    }

    /// Stops it and waits for its end, at most about [`STOP_LIMIT`].
    pub(crate) fn stop(mut self, signal: Signal) -> io::Result<()> {
        self.end(signal)
    }

    fn end(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = self.pid;
        signal_process(pid, signal);
        // `wait` has no time limit, so a thread makes sure that the process ends.
        let (done, waiting) = mpsc::channel::<()>();
        let watchdog = thread::spawn(move || {
            for harder in [Signal::QUIT, Signal::KILL] {
                if waiting.recv_timeout(STOP_LIMIT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                signal_process(pid, harder);
            }
        });
        let status = child.wait();
        drop(done);
        // It only sends signals: it cannot panic.
        watchdog.join().ok();
        status.map(|_| ())
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        // The receiver may be gone.
        self.end(self.on_drop).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_tail_begins_with_this_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        let (_, mut file) = Log::open(&path).unwrap();
        writeln!(file, "could not bind").unwrap();
        let (log, mut file) = Log::open(&path).unwrap();
        assert_eq!(log.tail(), "");
        for line in 0..100 {
            writeln!(file, "line {line}").unwrap();
        }
        let tail = log.tail();
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.starts_with("line 80") && tail.ends_with("line 99"));

        Log::rotate(&path).unwrap();
        assert!(!path.exists() && folder.path().join("postgres.log.old").exists());
        Log::rotate(&path).unwrap();
    }

    #[test]
    fn tests_alone_may_lose_data() {
        let off = |durable| {
            settings(1, None, 20, durable)
                .iter()
                .filter(|setting| setting.ends_with("=off"))
                .any(|setting| setting.starts_with("fsync"))
        };
        assert!(!off(true));
        assert!(off(false));
    }

    #[test]
    fn a_process_that_ignores_a_fast_shutdown_is_not_waited_for_after_its_end() {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "exec cat"])
            .stdin(std::process::Stdio::piped());
        let postmaster = Postmaster::spawn(&mut command, Signal::INT).unwrap();
        let pid = postmaster.pid();
        postmaster.stop(Signal::INT).unwrap();
        assert!(!Path::new("/proc").join(pid.to_string()).exists());
    }
}
