//! One start of a program: from exec to the moment that it listens, and its end.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, PipeReader, Read},
    net::{Ipv4Addr, TcpListener, TcpStream},
    ops::Range,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::{self, Answer, Request};

/// The pause between two attempts to connect. The kernel's timer slack adds about 50 µs.
const POLL: Duration = Duration::from_micros(20);

/// After this time a program that does not listen, or does not answer, is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a program may take to end in order.
const GRACE: Duration = Duration::from_secs(2);

/// A program to start, with the whole of its environment but for `PORT`.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) env: Vec<(String, String)>,
}

/// A process that listens, and a connection to it. Dropped, it is ended and reaped.
pub(crate) struct Running {
    child: Child,
    output: Option<PipeReader>,
    stream: Option<TcpStream>,
    began: Instant,
    /// From exec to the first connection.
    pub(crate) listening: Duration,
}

impl Program {
    /// Starts it on `port`, and connects as soon as it listens.
    ///
    /// The clock starts before fork and exec.
    ///
    /// # Errors
    ///
    /// When it ends, or does not listen within ten seconds: with what it has written.
    pub(crate) fn start(&self, port: u16) -> Result<Running> {
        let (output, written) = io::pipe().context("cannot make a pipe")?;
        let copy = written.try_clone().context("cannot copy a pipe")?;
        self.spawn(port, (copy.into(), written.into()), Some(output))
    }

    /// The same with a file for what it writes: one that answers many requests fills a pipe that nobody reads.
    pub(crate) fn start_into(&self, port: u16, file: File) -> Result<Running> {
        let copy = file.try_clone().context("cannot copy a file")?;
        self.spawn(port, (copy.into(), file.into()), None)
    }

    fn spawn(
        &self,
        port: u16,
        (stdout, stderr): (Stdio, Stdio),
        output: Option<PipeReader>,
    ) -> Result<Running> {
        let mut command = Command::new(&self.path);
        command
            .env_clear()
            .envs(self.env.iter().cloned())
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        let began = Instant::now();
        let child = command.spawn();
        // The command holds the pipe's other end, whose last copy must be the child's.
        drop(command);
        let child = child.with_context(|| format!("cannot run {}", self.path.display()))?;
        let mut running = Running {
            child,
            output,
            stream: None,
            began,
            listening: Duration::ZERO,
        };
        match running.connect(port) {
            Ok(()) => Ok(running),
            Err(error) => Err(running.explain(error)),
        }
    }
}

impl Running {
    fn connect(&mut self, port: u16) -> Result<()> {
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                Ok(stream) => {
                    self.listening = self.began.elapsed();
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error).context("cannot connect"),
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status})");
            }
            if self.began.elapsed() > PATIENCE {
                bail!("it does not listen");
            }
            thread::park_timeout(POLL);
        }
    }

    /// Sends a request and reads its answer; with the time since exec.
    ///
    /// # Errors
    ///
    /// Without an answer, or for one of another status: with what the process has written.
    pub(crate) fn ask(&mut self, request: &Request, status: u16) -> Result<(Answer, Duration)> {
        let stream = self.stream.as_mut().context("not connected")?;
        let answer = http::exchange(stream, request);
        let took = self.began.elapsed();
        match answer.and_then(|answer| answer.with_status(status)) {
            Ok(answer) => Ok((answer, took)),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it has resident, in bytes: `VmRSS` of proc_pid_status(5).
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.parse().ok())
            .with_context(|| format!("{path} has no VmRSS"))?;
        Ok(kib * 1024)
    }

    /// As an engine ends it. A function gives its session back to the broker, which starts another one in the place of
    /// one that it does not get back.
    fn stop(&mut self) {
        self.stream.take();
        match end(&mut self.child, GRACE) {
            Ok(true) => {}
            Ok(false) => eprintln!(
                "a program did not end within {} s and was killed: the next start may have to wait for a session",
                GRACE.as_secs()
            ),
            Err(error) => eprintln!("a program could not be ended: {error}"),
        }
    }

    /// Stops it, and adds what it has written.
    fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        self.stop();
        let mut written = String::new();
        if let Some(mut output) = self.output.take() {
            // A lossy report is better than none.
            let _ = output.read_to_string(&mut written);
        }
        anyhow!("{error:#}; it wrote:\n{written}")
    }
}

/// Ends a process: SIGTERM, and SIGKILL after `grace`. Returns whether it has ended before that.
///
/// # Errors
///
/// When it cannot be told to end, or not be waited for.
pub(crate) fn end(child: &mut Child, grace: Duration) -> io::Result<bool> {
    if child.try_wait()?.is_some() {
        return Ok(true);
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or(ErrorKind::InvalidInput)?, Signal::TERM)?;
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > grace {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    Ok(true)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports that no other program gets meanwhile: those outside of the range that the kernel gives to
/// connections.
///
/// Inside that range, a connection that waits for a port could also connect to itself (TCP's
/// simultaneous open), and would count as a program that listens.
pub(crate) struct Ports(Range<u16>);

impl Ports {
    /// The ports of this machine, from one that is chosen by `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let mut range = range
            .iter()
            .flat_map(|range| range.split_whitespace())
            .filter_map(|port| port.parse().ok());
        // ip(7): what it is by default.
        let (low, high) = (
            range.next().unwrap_or(32_768),
            range.next().unwrap_or(60_999),
        );
        Self(outside(low, high, seed))
    }

    /// A port that was free just now, another each time.
    ///
    /// # Errors
    ///
    /// When there is none left.
    pub(crate) fn next(&mut self) -> Result<u16> {
        self.0
            .find(|port| TcpListener::bind(("::", *port)).is_ok())
            .context("no port left outside ip_local_port_range")
    }
}

/// The larger of the two ranges beside `low..=high`, without a part of it that `seed` chooses: two
/// runs at once seldom meet.
fn outside(low: u16, high: u16, seed: u64) -> Range<u16> {
    let (below, above) = (10_000..low, high.saturating_add(1)..u16::MAX);
    let range = if below.len() >= above.len() {
        below
    } else {
        above
    };
    let skipped = seed % (range.len() as u64 / 4).max(1);
    range.start + u16::try_from(skipped).unwrap_or_default()..range.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_outside_of_what_connections_get() {
        assert_eq!(outside(32_768, 60_999, 0), 10_000..32_768);
        assert_eq!(outside(32_768, 60_999, 5), 10_005..32_768);
        assert_eq!(outside(1_024, 60_999, 0), 61_000..65_535);
        assert!(outside(1_024, 65_535, 7).is_empty());
        assert!(outside(32_768, 60_999, u64::MAX).len() > 10_000);
    }

    #[test]
    fn a_program_that_does_not_listen_says_what_it_wrote() {
        let program = Program {
            path: "/bin/sh".into(),
            env: Vec::new(),
        };
        // Without a script, and with an empty standard input, it ends at once.
        let port = Ports::new(0).next().unwrap();
        let Err(error) = program.start(port) else {
            panic!("a shell does not listen");
        };
        assert!(
            error.to_string().contains("it ended (exit status: 0)"),
            "{error}"
        );
    }
}
