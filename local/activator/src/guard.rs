//! Ends the processes that this process started, when this process is killed and cannot do it
//! itself.
//!
//! A [`Guard`] is a shell in a process group of its own that reads a pipe from this process. This
//! process writes to the pipe which processes to end. The pipe ends when this process is gone, for
//! any reason. The guard then signals the processes, waits for the grace time of each, and kills
//! those that are left. It ignores the signals of a terminal, so Ctrl-C does not end it.
//!
//! One gap remains: a process that was started but not yet [`watch`](Guard::watch)ed when this
//! process is killed. The gap is as long as one write to a pipe.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One word per watched process: `target:signal:grace`, the target a pid or minus a group's id,
/// the grace in tenths of a second.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
watched=
while read -r verb target signal grace; do
  case $verb in
    +) watched="$watched $target:$signal:$grace" ;;
    -) kept=
       for entry in $watched; do
         case $entry in "$target":*) ;; *) kept="$kept $entry" ;; esac
       done
       watched=$kept ;;
  esac
done
for entry in $watched; do
  signal=${entry#*:}
  kill -s "${signal%:*}" -- "${entry%%:*}" 2>/dev/null
done
tenths=0
while [ -n "$watched" ]; do
  left=
  for entry in $watched; do
    target=${entry%%:*}
    kill -s 0 -- "$target" 2>/dev/null || continue
    if [ "$tenths" -ge "${entry##*:}" ]; then
      kill -s KILL -- "$target" 2>/dev/null
    else
      left="$left $entry"
    fi
  done
  watched=$left
  [ -n "$watched" ] || break
  sleep 0.1 2>/dev/null || sleep 1
  tenths=$((tenths + 1))
done
"#;

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: what most programs drain on.
    Term,
    /// SIGINT: PostgreSQL's fast shutdown.
    Int,
    /// SIGQUIT: PostgreSQL's immediate shutdown.
    Quit,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Quit => "QUIT",
        }
    }
}

/// How a process is ended when this process is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Whether the whole process group that the process leads is signalled, or it alone.
    pub group: bool,
    /// The first signal that it gets.
    pub signal: Signal,
    /// How long it may take before SIGKILL; rounded up to a tenth of a second.
    pub grace: Duration,
}

impl Default for Ending {
    /// The whole group, SIGTERM, 2 seconds.
    fn default() -> Self {
        Self {
            group: true,
            signal: Signal::Term,
            grace: Duration::from_secs(2),
        }
    }
}

/// A guard over processes that must not outlive this one. Clones share the shell.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shell: Mutex<(Option<ChildStdin>, Child)>,
}

impl Guard {
    /// Starts a guard that watches nothing yet.
    ///
    /// It ends by itself when the last clone and the last [`Watch`] are dropped.
    ///
    /// # Errors
    ///
    /// When `/bin/sh` cannot be started.
    pub fn spawn() -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "zerocart-guard"])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self(Arc::new(Inner {
            shell: Mutex::new((pipe, shell)),
        })))
    }

    /// Watches the process group that `pid` leads: SIGTERM, and SIGKILL after 2 seconds.
    ///
    /// # Errors
    ///
    /// When the guard itself is gone.
    pub fn watch(&self, pid: u32) -> io::Result<Watch> {
        self.watch_with(pid, Ending::default())
    }

    /// Watches `pid` until the answer is dropped, to be ended as `ending` says.
    ///
    /// # Errors
    ///
    /// When the guard itself is gone.
    pub fn watch_with(&self, pid: u32, ending: Ending) -> io::Result<Watch> {
        let sign = if ending.group { "-" } else { "" };
        let target = format!("{sign}{pid}");
        let tenths = ending.grace.as_millis().div_ceil(100);
        self.0
            .tell(&format!("+ {target} {} {tenths}\n", ending.signal.name()))?;
        Ok(Watch {
            guard: Arc::clone(&self.0),
            target,
        })
    }

    /// The guard's own process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0
            .shell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .id()
    }
}

impl Inner {
    /// A line is shorter than PIPE_BUF and read at once: the write neither tears nor blocks.
    fn tell(&self, line: &str) -> io::Result<()> {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut shell.0 {
            Some(pipe) => pipe.write_all(line.as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let shell = self.shell.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Every watch holds the guard, so the shell watches nothing any more, and ends at once.
        drop(shell.0.take());
        if let Err(error) = shell.1.wait() {
            tracing::warn!(%error, "cannot wait for the guard");
        }
    }
}

/// A process under watch; dropping it ends the watch, to be done when the process has ended.
#[derive(Debug)]
#[must_use = "the process is watched only as long as this is kept"]
pub struct Watch {
    guard: Arc<Inner>,
    target: String,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Err(error) = self.guard.tell(&format!("- {}\n", self.target)) {
            tracing::warn!(%error, target = self.target, "cannot tell the guard of an end");
        }
    }
}
