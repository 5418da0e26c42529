//! A PostgreSQL cluster on disk: making it, repairing its password, and finding servers that use
//! it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{Instant, sleep};
use zerocart_provision::Password;

use crate::account::Account;
use crate::find::Installation;
use crate::passwords::SUPERUSER;
use crate::{Error, Progress, Reporter};

/// How often a state outside of this process is polled.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// How long an earlier server gets to end. Half of it is for writing everything out.
const ORPHAN_LIMIT: Duration = Duration::from_secs(60);

/// The major version that made a cluster.
pub(crate) fn major(cluster: &Path) -> Result<u32, Error> {
    let path = cluster.join("PG_VERSION");
    fs::read_to_string(&path)
        .and_then(|text| text.trim().parse().map_err(io::Error::other))
        .map_err(Error::io("read the version in", &path))
}

/// Makes `home/cluster`, with this superuser's password.
///
/// It gets its name only when it is complete, so a crash meanwhile leaves nothing that looks like a
/// cluster.
pub(crate) async fn make(
    installation: &Installation,
    account: &Account,
    home: &Path,
    password: &Password,
    durable: bool,
) -> Result<(), Error> {
    let new = home.join("cluster.new");
    let mut pwfile =
        tempfile::NamedTempFile::new_in(home).map_err(Error::io("write into", home))?;
    writeln!(pwfile, "{}", password.expose()).map_err(Error::io("write", pwfile.path()))?;
    account.own(pwfile.path())?;

    let mut output = String::new();
    for locale in locales(installation) {
        empty(&new)?;
        account.own(&new)?;
        let mut initdb = account.command(installation.program("initdb"), home);
        initdb
            .arg("--pgdata")
            .arg(&new)
            .arg("--pwfile")
            .arg(pwfile.path())
            .args(["--username", SUPERUSER])
            .args(["--auth", "scram-sha-256", "--encoding", "UTF8"])
            .args(["--data-checksums", "--no-instructions"])
            .args(locale)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !durable {
            initdb.arg("--no-sync");
        }
        let result = run(initdb)
            .await
            .map_err(Error::io("run", installation.program("initdb")))?;
        if result.status.success() {
            let cluster = home.join("cluster");
            return fs::rename(&new, &cluster).map_err(Error::io("rename to", cluster));
        }
        output = said(&result);
    }
    Err(Error::Cluster {
        what: "initdb",
        output,
    })
}

/// The locales to try, in order: Unicode's rules for case, with code point order; then `C`, which
/// has only ASCII's rules, for a system without other locales.
fn locales(installation: &Installation) -> Vec<&'static [&'static str]> {
    let mut locales: Vec<&[&str]> = vec![
        &["--locale=C.UTF-8", "--lc-messages=C"],
        &["--locale=C", "--lc-messages=C"],
    ];
    if installation.major() >= 17 {
        // PostgreSQL's own, which is the same on every system.
        locales.insert(
            0,
            &[
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
        );
    }
    locales
}

fn empty(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", folder)(error))
        }
        _ => fs::DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(Error::io("make", folder)),
    }
}

/// Sets the superuser's password in a cluster that no server runs in.
pub(crate) async fn set_password(
    installation: &Installation,
    account: &Account,
    cluster: &Path,
    password: &Password,
) -> Result<(), Error> {
    let program = installation.program("postgres");
    let mut command = account.command(&program, cluster);
    command
        .args(["--single", "-D"])
        .arg(cluster)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let statement = format!(
        "ALTER ROLE {SUPERUSER} PASSWORD '{}'\n",
        password.verifier()
    );
    let result = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(statement.as_bytes())?;
        }
        child.wait_with_output()
    })
    .await
    .map_err(io::Error::from)
    .flatten()
    .map_err(Error::io("run", program))?;
    let output = said(&result);
    // A failed statement does not change the exit status.
    if result.status.success() && !output.contains("ERROR:") {
        Ok(())
    } else {
        Err(Error::Cluster {
            what: "setting the superuser's password",
            output,
        })
    }
}

async fn run(command: std::process::Command) -> io::Result<Output> {
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|stream| String::from_utf8_lossy(stream).trim().to_owned())
        .join("\n")
}

/// The pid file that a server writes into its cluster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    pub(crate) port: Option<u16>,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn path(cluster: &Path) -> PathBuf {
        cluster.join("postmaster.pid")
    }

    /// `None` if there is no file, or it is not complete yet.
    pub(crate) fn read(cluster: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(Self::path(cluster)).ok()?)
    }

    /// Its first line is the process, its fourth the port, its eighth the state (PostgreSQL's
    /// `pidfile.h`).
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse::<i64>().ok()?;
        Some(Self {
            // A standalone backend writes a negative number.
            pid: u32::try_from(pid.abs()).ok()?,
            port: lines.nth(2).and_then(|port| port.trim().parse().ok()),
            ready: lines.nth(3).is_some_and(|state| state.trim() == "ready"),
        })
    }
}

/// Makes sure that no server uses this cluster, and stops one that does.
///
/// The caller holds the folder's lock, so a server that still uses it was left behind by an owner
/// that was killed. A pid file may also name an unrelated process, for example after a restart of a
/// container, where numbers repeat. PostgreSQL would then refuse to start.
pub(crate) async fn clear(cluster: &Path, report: &Reporter) -> Result<(), Error> {
    let Some(file) = PidFile::read(cluster) else {
        return Ok(());
    };
    let started = Instant::now();
    let mut sent = None;
    loop {
        let Some(pid) = worker_in(cluster, &file) else {
            if alive(file.pid) {
                let path = PidFile::path(cluster);
                return match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Error::io("remove", path)(error))
                    }
                    _ => Ok(()),
                };
            }
            return Ok(());
        };
        let signal = if started.elapsed() < ORPHAN_LIMIT / 2 {
            Signal::INT
        } else {
            Signal::QUIT
        };
        // The other processes end by themselves when their postmaster is gone.
        if pid == file.pid && sent != Some(signal) {
            report.tell(Progress::StoppingOrphan { pid });
            signal_process(pid, signal);
            sent = Some(signal);
        }
        if started.elapsed() > ORPHAN_LIMIT {
            return Err(Error::Orphan {
                cluster: cluster.to_owned(),
                pid,
            });
        }
        sleep(POLL).await;
    }
}

/// A process of a server that uses this cluster: its postmaster, if that is alive.
fn worker_in(cluster: &Path, file: &PidFile) -> Option<u32> {
    if let Ok(processes) = fs::read_dir("/proc") {
        let mut workers = processes
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| works_in(*pid, cluster))
            .collect::<Vec<u32>>();
        workers.sort_by_key(|pid| *pid != file.pid);
        return workers.first().copied();
    }
    // Without /proc: the postmaster's arguments name its cluster.
    let listed = std::process::Command::new("ps")
        .args(["-o", "command=", "-p", &file.pid.to_string()])
        .output()
        .ok()?;
    let command = String::from_utf8_lossy(&listed.stdout);
    command
        .contains(&*cluster.to_string_lossy())
        .then_some(file.pid)
}

/// Every process of a server has its cluster as working directory.
fn works_in(pid: u32, cluster: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == cluster)
        && fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "postgres")
}

/// Sends a signal; a process that is gone needs none.
pub(crate) fn signal_process(pid: u32, signal: Signal) {
    if let Some(pid) = raw(pid) {
        kill_process(pid, signal).ok();
    }
}

fn alive(pid: u32) -> bool {
    raw(pid).is_some_and(|pid| {
        test_kill_process(pid).is_ok_and(|()| true)
            || test_kill_process(pid) == Err(rustix::io::Errno::PERM)
    })
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_files() {
        let whole = "4711\n/data\n1700000000\n5433\n\n127.0.0.1\n  1234  5\nready   \n";
        assert_eq!(
            PidFile::parse(whole),
            Some(PidFile {
                pid: 4711,
                port: Some(5433),
                ready: true
            })
        );
        let starting = whole.replace("ready   ", "starting");
        assert_eq!(
            PidFile::parse(&starting),
            Some(PidFile {
                pid: 4711,
                port: Some(5433),
                ready: false
            })
        );
        let early = "4711\n/data\n";
        assert_eq!(
            PidFile::parse(early),
            Some(PidFile {
                pid: 4711,
                port: None,
                ready: false
            })
        );
        assert_eq!(
            PidFile::parse("-12\n"),
            Some(PidFile {
                pid: 12,
                port: None,
                ready: false
            })
        );
        assert_eq!(PidFile::parse(""), None);
    }

    #[tokio::test]
    async fn a_pid_file_that_names_a_stranger_is_removed_and_the_stranger_lives() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = fs::canonicalize(folder.path()).unwrap();
        let own = std::process::id();
        fs::write(
            PidFile::path(&cluster),
            format!("{own}\n{}\n", cluster.display()),
        )
        .unwrap();
        clear(&cluster, &Reporter::default()).await.unwrap();
        assert!(!PidFile::path(&cluster).exists());
    }

    #[test]
    fn this_process_is_alive_and_0_is_none() {
        assert!(alive(std::process::id()));
        assert!(!alive(0));
    }
}
