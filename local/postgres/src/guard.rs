//! A process that ends another one when this process is gone.
//!
//! A process that is killed cannot clean up. So a `/bin/sh` holds the reading end of a pipe, and
//! only this process has the writing end. The end of file means that this process is gone, for any
//! reason. The shell then signals the process that it watches, and removes the folders that it was
//! given. It runs in a process group of its own, so a terminal's Ctrl-C does not reach it.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// The arguments are the signal, then the folders.
///
/// A watched process has 20 s to end before its folders are removed. The shell polls it ten times a
/// second, because it cannot wait for a process that is not its child. A process that has ended and
/// that no parent collects, as in a container without an init, can still be signalled, but has no
/// `exe` in /proc.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
signal=$1
shift
pid=
while read -r word value; do
    case $word in
        watch) pid=$value ;;
        release) pid= ;;
    esac
done
if [ -n "$pid" ]; then
    kill -s "$signal" "$pid"
fi
[ $# -gt 0 ] || exit 0
runs() {
    kill -0 "$pid" && { [ ! -d /proc/self ] || [ -e "/proc/$pid/exe" ]; }
}
tries=0
while [ -n "$pid" ] && runs && [ "$tries" -lt 200 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
tries=0
until rm -rf -- "$@" || [ "$tries" -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
"#;

/// The signal that a [`Guard`] sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// SIGINT: PostgreSQL's fast shutdown, which ends sessions and writes everything out.
    Interrupt,
    /// SIGQUIT: PostgreSQL's immediate shutdown, which writes nothing.
    Quit,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
        }
    }
}

/// Ends one process, and removes folders, when this process is gone.
///
/// Dropping it does the same at once, and waits until it is done. Call [`Guard::release`] first for
/// a process that must live on.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts a guard that watches nothing yet.
    ///
    /// # Errors
    ///
    /// There is no `/bin/sh`, or no process can be started.
    pub fn new(signal: Signal, remove: &[PathBuf]) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "zerocart-guard", signal.name()])
            .args(remove)
            .current_dir("/")
            .stdin(Stdio::piped())
            // If the guard held this process's output open, a reader would never see its end.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Watches this process, instead of the one before.
    ///
    /// # Errors
    ///
    /// The guard is gone.
    pub fn watch(&mut self, pid: u32) -> io::Result<()> {
        self.tell(&format!("watch {pid}\n"))
    }

    /// Stops watching: the process has ended, or has another owner now.
    ///
    /// # Errors
    ///
    /// The guard is gone.
    pub fn release(&mut self) -> io::Result<()> {
        self.tell("release\n")
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        self.pipe
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?
            .write_all(line.as_bytes())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // There is nothing to wait for if the guard is gone already.
        self.shell.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// A process that lives as long as its standard input is open.
    fn patient() -> Child {
        Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn the_end_of_the_guard_is_the_end_of_what_it_watches() {
        let mut watched = patient();
        let mut guard = Guard::new(Signal::Terminate, &[]).unwrap();
        guard.watch(watched.id()).unwrap();
        drop(guard);
        let term = rustix::process::Signal::TERM.as_raw();
        assert_eq!(watched.wait().unwrap().signal(), Some(term));
    }

    #[test]
    fn what_was_released_lives_on() {
        let mut watched = patient();
        let mut guard = Guard::new(Signal::Terminate, &[]).unwrap();
        guard.watch(watched.id()).unwrap();
        guard.release().unwrap();
        drop(guard);
        drop(watched.stdin.take());
        assert!(watched.wait().unwrap().success(), "it ended by itself");
    }

    #[test]
    fn folders_go_after_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two with a space"].map(|name| folder.path().join(name));
        for path in [&one, &two] {
            std::fs::create_dir_all(path.join("inside")).unwrap();
        }
        drop(Guard::new(Signal::Quit, &[one.clone(), two.clone()]).unwrap());
        assert!(!one.exists() && !two.exists());
        assert!(folder.path().exists());
    }
}
