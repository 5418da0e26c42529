//! What is left when the owner of a server is killed; and a server of a normal user.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use zerocart_local_postgres::{Error, Options, Progress, Server, provision};

use crate::support::{LIMIT, Seen, ask, eventually, folder, is_root, options, runs, variable};

/// Names the data folder for [`child`]; `temporary` for one that goes.
const FOLDER: &str = "ZEROCART_TEST_CHILD_FOLDER";

/// Not a test: a process that other tests start and kill.
#[tokio::test]
#[ignore = "a process that other tests start"]
async fn child() {
    let Some(folder) = variable(FOLDER) else {
        return;
    };
    let options = if folder == "temporary" {
        Options::temporary()
    } else {
        options(Path::new(&folder))
    };
    let server = Server::start(options).await.unwrap();
    let user = provision(&server, &["user"]).await.unwrap().remove(0);
    let who = ask(&user.url, "SELECT current_user::text").await.unwrap();
    let out = format!(
        "\nstarted {} {who} {}\n",
        server.pid().unwrap(),
        server.log_path().parent().unwrap().display()
    );
    std::io::stderr().write_all(out.as_bytes()).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    // As a test binary ends: nothing is dropped.
    std::process::exit(0);
}

struct Owner {
    process: Child,
    postmaster: u32,
    role: String,
    folder: PathBuf,
}

impl Owner {
    /// Starts [`child`] with this folder, as `uid` if one is given.
    fn start(folder: &Path, uid: Option<u32>) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::start_program(&program, folder, uid)
    }

    fn start_program(program: &Path, folder: &Path, uid: Option<u32>) -> Self {
        let mut command = Command::new(program);
        command
            .args(["--ignored", "--exact", "children::child", "--nocapture"])
            .env(FOLDER, folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut owner = Self {
            process,
            postmaster: 0,
            role: String::new(),
            folder: PathBuf::new(),
        };
        let mut seen = String::new();
        for line in lines {
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix("started ") {
                let fields = rest.split(' ').collect::<Vec<_>>();
                owner.postmaster = fields[0].parse().unwrap();
                owner.role = fields[1].to_owned();
                owner.folder = PathBuf::from(fields[2]);
                return owner;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("the child did not start a server:\n{seen}");
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// The shell that guards the server.
    fn guard(&self) -> u32 {
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .find(|pid| {
                let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                let parent = stat
                    .rsplit(") ")
                    .next()
                    .and_then(|rest| rest.split(' ').nth(1));
                String::from_utf8_lossy(&arguments).contains("zerocart-guard")
                    && parent == Some(&self.process.id().to_string())
            })
            .unwrap()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn killing_the_owner_stops_the_server() {
    let folder = folder();
    let mut owner = Owner::start(folder.path(), None);
    let error = Server::start(options(folder.path())).await.unwrap_err();
    let holder = owner.process.id();
    assert!(
        matches!(error, Error::AlreadyRunning { pid: Some(pid), .. } if pid == holder),
        "{error:?}"
    );
    assert!(runs(owner.postmaster));

    owner.kill();
    eventually("the server ends", || !runs(owner.postmaster)).await;
    let server = Server::start(options(folder.path())).await.unwrap();
    let user = provision(&server, &["user"]).await.unwrap().remove(0);
    assert_eq!(ask(&user.url, "SELECT 'here'").await.unwrap(), "here");
}

#[tokio::test]
async fn nothing_is_left_of_a_temporary_server() {
    for killed in [true, false] {
        let mut owner = Owner::start(Path::new("temporary"), None);
        assert!(owner.folder.join("passwords.json").exists());
        if killed {
            owner.kill();
        } else {
            drop(owner.process.stdin.take());
            assert!(owner.process.wait().unwrap().success());
        }
        eventually("the server ends", || !runs(owner.postmaster)).await;
        eventually("its folder goes", || !owner.folder.exists()).await;
    }
}

#[tokio::test]
async fn a_server_without_owner_and_guard_is_stopped_by_the_next() {
    let folder = folder();
    let mut owner = Owner::start(folder.path(), None);
    signal(owner.guard(), Signal::KILL);
    owner.kill();
    assert!(runs(owner.postmaster));

    let seen = Seen::default();
    let mut options = options(folder.path());
    options.report = seen.report();
    let server = Server::start(options).await.unwrap();
    let orphan = owner.postmaster;
    assert!(seen.any(|seen| *seen == Progress::StoppingOrphan { pid: orphan }));
    assert!(!runs(orphan));
    provision(&server, &["user"]).await.unwrap();
}

#[tokio::test]
async fn a_killed_server_recovers() {
    let folder = folder();
    let server = Server::start(options(folder.path())).await.unwrap();
    let user = provision(&server, &["user"]).await.unwrap().remove(0);
    let admin = server.admin_url("postgres");
    crate::support::run(&user.owner_url, "CREATE TABLE kept AS SELECT 3 AS id")
        .await
        .unwrap();
    crate::support::run(&admin, "CHECKPOINT").await.unwrap();
    signal(server.pid().unwrap(), Signal::KILL);
    drop(server);

    // At once: its other processes may still be on their way out.
    let server = Server::start(options(folder.path())).await.unwrap();
    let user = provision(&server, &["user"]).await.unwrap().remove(0);
    let kept = ask(&user.owner_url, "SELECT id::text FROM kept").await;
    assert_eq!(kept.unwrap(), "3");
}

#[tokio::test]
async fn a_normal_user_has_a_server_too() {
    if !is_root() {
        return; // Every other test shows it.
    }
    let folder = folder();
    let uid = 65_534;
    // The test binary itself may be where another user cannot read it.
    let program = folder.path().join("test");
    // By another process: one that this process has open for writing could not be executed.
    let copied = Command::new("install")
        .args(["-m", "755"])
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(uid), Some(uid)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();

    let mut owner = Owner::start_program(&program, &data, Some(uid));
    assert_eq!(owner.role, "zerocart_user");
    let process = fs::metadata(format!("/proc/{}", owner.postmaster)).unwrap();
    assert_eq!(process.uid(), uid);
    owner.kill();
    eventually("the server ends", || !runs(owner.postmaster)).await;

    // Root goes on with that user's data, as that user.
    let server = tokio::time::timeout(LIMIT, Server::start(options(&data)));
    let server = server.await.unwrap().unwrap();
    let process = fs::metadata(format!("/proc/{}", server.pid().unwrap())).unwrap();
    assert_eq!(process.uid(), uid);
}
