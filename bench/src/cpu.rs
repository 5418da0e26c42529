//! CPU time from the kernel's accounting: of process trees, and of a control group.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// `USER_HZ`, the unit of times in proc_pid_stat(5): 100 on every Linux that this runs on.
const MS_PER_TICK: f64 = 10.0;

/// CPU time in milliseconds, by group: a program (`get-product`, `zerocart`), `postgres`, or
/// `postgres/<database>` for the sessions of one database.
pub(crate) type ByGroup = BTreeMap<String, f64>;

/// What process trees have used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot(HashMap<u32, Process>);

#[derive(Clone, Debug, PartialEq)]
struct Process {
    parent: u32,
    group: String,
    /// Its own CPU time, and that of children that it has waited for.
    own_ms: f64,
    reaped_ms: f64,
    /// Times that its threads slept and were woken up again.
    wakes: f64,
}

impl Snapshot {
    /// These processes and all that come from them.
    pub(crate) fn of(roots: &[u32]) -> Result<Self> {
        let mut processes = HashMap::new();
        for entry in fs::read_dir("/proc").context("cannot read /proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
            // One that has ended meanwhile is no error.
            if let Some((pid, process)) = pid.and_then(|pid| Some((pid, Process::read(pid)?))) {
                processes.insert(pid, process);
            }
        }
        let wanted: Vec<u32> = processes
            .keys()
            .copied()
            .filter(|pid| descends(&processes, *pid, roots))
            .collect();
        processes.retain(|pid, _| wanted.contains(pid));
        for (pid, process) in &mut processes {
            process.wakes = wakes(*pid);
        }
        Ok(Self(processes))
    }

    /// Times that processes were woken up since `before`. Those of a process that ended meanwhile are not known.
    pub(crate) fn wakes_since(&self, before: &Self) -> ByGroup {
        let mut wakes = ByGroup::new();
        for (pid, now) in &self.0 {
            let then = before.0.get(pid).map_or(0.0, |then| then.wakes);
            *wakes.entry(now.group.clone()).or_default() += (now.wakes - then).max(0.0);
        }
        wakes
    }

    /// One process alone.
    pub(crate) fn of_one(pid: u32) -> Self {
        let process = Process::read(pid).map(|process| (pid, process));
        Self(process.into_iter().collect())
    }

    /// What was used since `before`.
    ///
    /// What a process used that ended meanwhile is in its parent's time of children, and counts for the
    /// parent's group.
    pub(crate) fn since(&self, before: &Self) -> ByGroup {
        let mut used = ByGroup::new();
        for (pid, now) in &self.0 {
            let (own, reaped) = match before.0.get(pid) {
                Some(then) => (then.own_ms, then.reaped_ms),
                None => (0.0, 0.0),
            };
            let ended = before
                .0
                .iter()
                .filter(|(other, then)| then.parent == *pid && !self.0.contains_key(other));
            let counted: f64 = ended.map(|(_, then)| then.own_ms + then.reaped_ms).sum();
            let children = (now.reaped_ms - reaped - counted).max(0.0);
            let ms = (now.own_ms - own).max(0.0) + children;
            if ms > 0.0 {
                *used.entry(now.group.clone()).or_default() += ms;
            }
        }
        used
    }
}

/// Whether a process is one of `roots`, or comes from one.
fn descends(processes: &HashMap<u32, Process>, pid: u32, roots: &[u32]) -> bool {
    let parent = |pid: &u32| processes.get(pid).map(|process| process.parent);
    // No chain of parents is longer than the table.
    std::iter::successors(Some(pid), parent)
        .take(processes.len())
        .any(|pid| roots.contains(&pid))
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (comm, parent, own_ms, reaped_ms) = parse_stat(&stat)?;
        let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let program = program
            .as_deref()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .unwrap_or(comm);
        Some(Self {
            parent,
            group: group(program, &String::from_utf8_lossy(&title)),
            own_ms,
            reaped_ms,
            wakes: 0.0,
        })
    }
}

/// `voluntary_ctxt_switches` of all threads of a process (proc_pid_status(5)); 0 when it has ended.
fn wakes(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let of_thread = |thread: std::io::Result<fs::DirEntry>| {
        wakes_of(&fs::read_to_string(thread.ok()?.path().join("status")).ok()?)
    };
    threads.filter_map(of_thread).sum()
}

fn wakes_of(status: &str) -> Option<f64> {
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count?.trim().parse().ok()
}

/// The name, the parent, and the two times of a line of proc_pid_stat(5).
fn parse_stat(stat: &str) -> Option<(&str, u32, f64, f64)> {
    // The name may contain spaces and brackets.
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Fields 4 (ppid) and 14 to 17 (utime, stime, cutime, cstime); the first here is field 3.
    let ticks = |n: usize| fields.get(n - 3)?.parse::<f64>().ok();
    let ms = |a, b| Some((ticks(a)? + ticks(b)?) * MS_PER_TICK);
    Some((comm, fields.get(1)?.parse().ok()?, ms(14, 15)?, ms(16, 17)?))
}

/// The group of a process, by the name of its program and its title.
fn group(program: &str, title: &str) -> String {
    // A program that was replaced since it was started.
    let program = program.trim_end_matches(" (deleted)");
    if program == "postgres" {
        // `postgres: <role> <database> <client>`, with `<cluster>: ` before the role if that has a name.
        let mut words = title.split_whitespace();
        let role = words.find(|word| word.starts_with("zerocart_"));
        if let Some(database) = role.and_then(|_| words.next()) {
            return format!("postgres/{}", database.trim_start_matches("zerocart_"));
        }
    }
    // The arguments are apart by zeros.
    if title
        .split(['\0', ' '])
        .skip(1)
        .any(|word| word == "broker")
    {
        return "broker".to_owned();
    }
    program.to_owned()
}

/// CPU time of the whole machine so far, in milliseconds, with that of the kernel for nobody: the line `cpu` of
/// proc_stat(5), without idle and iowait. 0 when it cannot be read.
pub(crate) fn of_machine() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(1).map(|field| field.parse().unwrap_or(0.0));
    // user nice system idle iowait irq softirq
    let used = ticks
        .enumerate()
        .filter(|(n, _)| matches!(n, 0..=2 | 5 | 6));
    used.map(|(_, ticks): (usize, f64)| ticks).sum::<f64>() * MS_PER_TICK
}

/// CPU time of all threads of a process that runs, to the nanosecond, in milliseconds: the first number of
/// `schedstat`. None when the kernel does not report it (`CONFIG_SCHED_INFO`).
pub(crate) fn of_process(pid: u32) -> Option<f64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let of_thread = |thread: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    let nanoseconds: Option<f64> = threads.map(of_thread).sum();
    nanoseconds.map(|nanoseconds| nanoseconds / 1e6)
}

/// A control group (cgroup v2) of its own, whose CPU time includes processes that have ended. Removed when
/// it is dropped.
#[derive(Debug)]
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// One with this process and all that it starts from now on; none where this user may not make one.
    pub(crate) fn with(pid: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mount = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let path = fields.nth(1)?;
            (fields.next()? == "cgroup2").then_some(path)
        })?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let name = format!("zerocart-bench-{}-{pid}", std::process::id());
        let group = Self(Path::new(mount).join(own).join(name));
        match fs::create_dir(&group.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return None,
            _ => {}
        }
        fs::write(group.0.join("cgroup.procs"), pid.to_string()).ok()?;
        group.cpu_ms().is_some().then_some(group)
    }

    /// What its processes have used so far, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Option<f64> {
        let stat = fs::read_to_string(self.0.join("cpu.stat")).ok()?;
        let us = stat
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))?;
        us.trim().parse::<f64>().ok().map(|us| us / 1e3)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It fails while a process is in it: then the kernel keeps an empty group, which costs nothing.
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(parent: u32, group: &str, own_ms: f64, reaped_ms: f64) -> Process {
        Process {
            parent,
            group: group.to_owned(),
            own_ms,
            reaped_ms,
            wakes: 0.0,
        }
    }

    #[test]
    fn what_ended_counts_once() {
        let before = Snapshot(HashMap::from([
            (1, process(0, "postgres", 100.0, 50.0)),
            (2, process(1, "postgres/order", 70.0, 0.0)),
        ]));
        // 2 used 10 ms more, ended, and was waited for; 3 is new.
        let after = Snapshot(HashMap::from([
            (1, process(0, "postgres", 101.0, 130.0)),
            (3, process(1, "postgres/cart", 5.0, 0.0)),
        ]));
        let expected = [("postgres", 11.0), ("postgres/cart", 5.0)];
        let expected = expected.map(|(group, ms)| (group.to_owned(), ms));
        assert_eq!(after.since(&before), ByGroup::from(expected));
        assert!(after.since(&after).is_empty());
    }

    #[test]
    fn processes_are_read_and_grouped() {
        let line = "7 (a (b) c) S 3 7 7 0 -1 0 0 0 0 0 12 3 40 5 20 0 1 0 9 0 0";
        assert_eq!(parse_stat(line), Some(("a (b) c", 3, 150.0, 450.0)));
        assert_eq!(parse_stat("7 (a) S"), None);
        for (program, title, expected) in [
            ("get-product", "/x/get-product", "get-product"),
            ("get-product (deleted)", "", "get-product"),
            ("zerocart", "/x/zerocart\0broker\0", "broker"),
            ("zerocart", "/x/broker/zerocart\0up\0", "zerocart"),
            ("postgres", "postgres: checkpointer ", "postgres"),
            (
                "postgres",
                "postgres: zerocart_order zerocart_order 127.0.0.1(5) idle",
                "postgres/order",
            ),
            (
                "postgres",
                "postgres: main: zerocart_cart zerocart_cart [local] idle",
                "postgres/cart",
            ),
            (
                "postgres",
                "postgres: postgres postgres 127.0.0.1(5) idle",
                "postgres",
            ),
        ] {
            assert_eq!(group(program, title), expected, "{title}");
        }
        let own = Snapshot::of(&[std::process::id()]).unwrap();
        assert!(own.0.contains_key(&std::process::id()));
    }

    #[test]
    fn wakes_are_counted_by_group() {
        let process = |wakes| Process {
            wakes,
            ..process(0, "broker", 0.0, 0.0)
        };
        let before = Snapshot(HashMap::from([(1, process(10.0)), (2, process(5.0))]));
        // 3 is new. A thread of 2 ended, and took its count along.
        let after = [(1, process(17.0)), (2, process(4.0)), (3, process(2.0))];
        let wakes = Snapshot(HashMap::from(after)).wakes_since(&before);
        assert_eq!(wakes, ByGroup::from([("broker".to_owned(), 9.0)]));
        assert!(wakes_of("voluntary_ctxt_switches:\t12\n") == Some(12.0));
        assert!(wakes_of("Name:\tx\nnonvoluntary_ctxt_switches:\t3\n").is_none());
    }
}
