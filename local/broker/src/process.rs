//! A broker as a process of its own, which is started again when it dies.
//!
//! The engine and the process share two sockets. Standard input is the listening socket, which the engine
//! keeps: while no broker runs, clients wait in its backlog. Standard output is a pair of connected sockets:
//! the engine sends the options, which hold passwords. After that, each line is a number, and is answered by a
//! line with this number and the [`Status`]. Its end is the end of the engine, for any reason, and so of the
//! broker.

use std::{
    io::{self, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    process::{Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Child,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{Broker, Observer, Options, Status, status::Answer};

/// A broker that ran this long is started again at once when it dies.
const STABLE: Duration = Duration::from_secs(10);

/// The pause before a broker is started again that died soon after its start; doubled each time.
const BACKOFF: Duration = Duration::from_millis(100);

/// The longest such pause.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// The longest that a broker may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The longest that a broker may take to tell its status.
const TELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Those who wait for the status at once. The next ones get none.
const ASKING: usize = 8;

/// The longest text of options.
const MAX_OPTIONS: u64 = 1024 * 1024;

/// What happens to the process.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// It runs.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// It ended by itself.
    Died {
        /// How, for people.
        status: String,
    },
    /// It could not be started.
    Failed {
        /// Why.
        error: io::Error,
    },
}

/// Keeps a broker running in a process of its own, until it is stopped or dropped.
#[derive(Debug)]
pub struct Keeper {
    stop: watch::Sender<bool>,
    asks: mpsc::Sender<oneshot::Sender<Status>>,
    keeping: JoinHandle<()>,
}

impl Keeper {
    /// Starts the process that `command` makes, which has to call [`run`], and does not wait for it.
    ///
    /// The command's standard input and output are set here. Must be called inside a tokio runtime.
    pub fn start(
        listener: UnixListener,
        options: Options,
        command: impl Fn() -> Command + Send + 'static,
        report: impl Fn(Event) + Send + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (asks, asked) = mpsc::channel(ASKING);
        let keeping = tokio::spawn(async move {
            keep(listener, options, command, report, stopped, asked).await;
        });
        Self {
            stop,
            asks,
            keeping,
        }
    }

    /// What can be asked for the sessions of the broker.
    pub fn asker(&self) -> Asker {
        Asker(self.asks.clone())
    }

    /// Ends the process, and waits for its end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // It fails only if it panicked, which has been told then.
        let _ = self.keeping.await;
    }
}

/// Asks the process of a broker about its sessions. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<oneshot::Sender<Status>>);

impl Asker {
    /// The sessions now; none while no broker runs, and when it does not tell in time.
    pub async fn status(&self) -> Option<Status> {
        let (teller, told) = oneshot::channel();
        self.0.try_send(teller).ok()?;
        timeout(TELL_TIMEOUT, told).await.ok()?.ok()
    }
}

async fn keep(
    listener: UnixListener,
    options: Options,
    command: impl Fn() -> Command,
    report: impl Fn(Event),
    mut stop: watch::Receiver<bool>,
    mut asks: mpsc::Receiver<oneshot::Sender<Status>>,
) {
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        match spawn(&listener, &options, command()) {
            Ok((mut child, control)) => {
                report(Event::Started {
                    pid: child.id().unwrap_or_default(),
                });
                let mut control = BufReader::new(control);
                let ended = tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => None,
                    ended = child.wait() => Some(ended),
                    () = pass_on(&mut asks, &mut control) => None,
                };
                let Some(ended) = ended else {
                    drop(control);
                    return end(child).await;
                };
                let status = ended.map_or_else(|e| e.to_string(), |status| status.to_string());
                report(Event::Died { status });
            }
            Err(error) => report(Event::Failed { error }),
        }
        if began.elapsed() >= STABLE {
            pause = Duration::ZERO;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).clamp(BACKOFF, MAX_BACKOFF);
    }
}

/// Passes questions on to the process, and its answers back. It ends when nobody can ask any more, which is when
/// the keeper is gone.
async fn pass_on(
    asks: &mut mpsc::Receiver<oneshot::Sender<Status>>,
    control: &mut BufReader<tokio::net::UnixStream>,
) {
    let mut number = 0;
    while let Some(teller) = asks.recv().await {
        number += 1;
        // Without an answer, the teller is dropped, and the next question has another number.
        if let Ok(Ok(status)) = timeout(TELL_TIMEOUT, question(control, number)).await {
            let _ = teller.send(status);
        }
    }
}

async fn question(
    control: &mut BufReader<tokio::net::UnixStream>,
    number: u64,
) -> io::Result<Status> {
    control.write_all(format!("{number}\n").as_bytes()).await?;
    let mut line = String::new();
    loop {
        line.clear();
        if control.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // An earlier question may be answered late.
        let answer: Answer = serde_json::from_str(&line)?;
        if answer.number == number {
            return Ok(answer.status);
        }
    }
}

/// Starts the process. It lives as long as the socket that this gives.
fn spawn(
    listener: &UnixListener,
    options: &Options,
    command: Command,
) -> io::Result<(Child, tokio::net::UnixStream)> {
    let (mut control, theirs) = UnixStream::pair()?;
    let mut text = serde_json::to_vec(options)?;
    text.push(b'\n');
    let mut command = tokio::process::Command::from(command);
    command
        .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        // A terminal's Ctrl-C is for the engine, which ends this process after the functions.
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn()?;
    // The command holds the other end, whose last copy must be the process's.
    drop(command);
    // Either it fits into the socket's buffer, or the process reads it.
    control.set_write_timeout(Some(GRACE))?;
    control.write_all(&text)?;
    control.set_nonblocking(true)?;
    Ok((child, tokio::net::UnixStream::from_std(control)?))
}

async fn end(mut child: Child) {
    if timeout(GRACE, child.wait()).await.is_err() {
        // Fails only when it has ended meanwhile.
        let _ = child.kill().await;
    }
}

/// Is a broker, as the process that a [`Keeper`] has started, until that is gone.
///
/// # Errors
///
/// Standard input or output is not what a [`Keeper`] makes them.
pub async fn run() -> io::Result<()> {
    let listener = io::stdin().as_fd().try_clone_to_owned()?;
    let control = io::stdout().as_fd().try_clone_to_owned()?;
    // A terminal would be left in a mode that shells do not expect.
    for socket in [&listener, &control] {
        rustix::net::sockopt::socket_type(socket)?;
    }
    let (listener, control) = (UnixListener::from(listener), UnixStream::from(control));
    control.set_nonblocking(true)?;
    let control = tokio::net::UnixStream::from_std(control)?;
    let mut control = BufReader::new(control);
    let mut options = Vec::new();
    let mut line = (&mut control).take(MAX_OPTIONS);
    line.read_until(b'\n', &mut options).await?;
    let broker = Broker::new(listener, serde_json::from_slice(&options)?)?;
    let observer = broker.observer();
    tokio::select! {
        () = broker.serve() => {}
        // An error is the end of the connection, too.
        _ = tell(control, &observer) => {}
    }
    Ok(())
}

/// Answers questions about the sessions until the connection ends.
async fn tell(
    mut control: BufReader<tokio::net::UnixStream>,
    observer: &Observer,
) -> io::Result<()> {
    let mut line = String::new();
    while control.read_line(&mut line).await? > 0 {
        let Ok(number) = line.trim_end().parse() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        line.clear();
        let mut text = serde_json::to_vec(&Answer {
            number,
            status: observer.status(),
        })?;
        text.push(b'\n');
        control.write_all(&text).await?;
    }
    Ok(())
}
