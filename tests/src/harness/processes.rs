//! Processes as `/proc` shows them.

use std::{collections::BTreeSet, fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use super::until;

/// A process; a later one with the same id is another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The first 15 characters of its program's name, which the kernel keeps.
    pub name: String,
    /// When it started, in the kernel's ticks since boot.
    started: u64,
}

/// One line of `/proc/<pid>/stat`.
struct Stat {
    process: Process,
    parent: u32,
    zombie: bool,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses, and may hold any character.
        let (name, rest) = text.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split(' ').collect();
        Some(Self {
            process: Process {
                pid,
                name: name.to_owned(),
                started: fields.get(19)?.parse().ok()?,
            },
            parent: fields.get(1)?.parse().ok()?,
            zombie: fields[0] == "Z" || fields[0] == "X",
        })
    }

    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("/proc can be listed");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of).collect()
    }
}

impl Process {
    /// Whether it still runs. One that has ended and waits to be collected does not.
    pub fn runs(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.process.started == self.started && !stat.zombie)
    }

    /// Sends a signal; none to a process that has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if self.runs() {
            let _ = kill_process(pid.expect("a pid"), signal);
        }
    }

    /// Whether this is one of its arguments.
    pub fn has_argument(&self, argument: &str) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let mut arguments = line.split(|byte| *byte == 0);
        arguments.any(|known| known == argument.as_bytes())
    }

    /// A variable of its environment.
    pub fn env(&self, name: &str) -> Option<String> {
        let environ = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let environ = String::from_utf8_lossy(&environ);
        let mut pairs = environ.split('\0').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    }
}

/// A process and all that it started, and so on.
pub fn tree(root: u32) -> Vec<Process> {
    let all = Stat::all();
    let mut pids = BTreeSet::from([root]);
    loop {
        let children = all.iter().filter(|stat| pids.contains(&stat.parent));
        let more: BTreeSet<_> = children.map(|stat| stat.process.pid).collect();
        if more.is_subset(&pids) {
            break;
        }
        pids.extend(more);
    }
    let of_tree = all
        .into_iter()
        .filter(|stat| pids.contains(&stat.process.pid) && !stat.zombie);
    of_tree.map(|stat| stat.process).collect()
}

/// Waits until none of them runs.
///
/// # Panics
///
/// When one still does after `limit`.
pub async fn gone(processes: &[Process], limit: Duration) {
    let left = || {
        processes
            .iter()
            .filter(|process| process.runs())
            .collect::<Vec<_>>()
    };
    let waiting = until("processes end", limit, || async {
        left().is_empty().then_some(())
    });
    let ended = tokio::time::timeout(limit + Duration::from_secs(1), waiting);
    if ended.await.is_err() {
        panic!("still running: {:#?}", left());
    }
}
