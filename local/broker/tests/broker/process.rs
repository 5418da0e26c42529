//! A broker as a process of its own: killed, and left behind.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_postgres::Config;
use zerocart_broker::{Event, Keeper, Socket};
use zerocart_postgres::TAKES_SESSIONS;

use crate::support::{World, ask, backend, connect, until};

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_broker-test-process").into()
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

async fn gone(pid: u32) {
    until("the process ends", async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        // What has ended and is not collected yet does nothing any more.
        let zombie = |stat: String| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('Z'))
        };
        stat.map_or(true, zombie).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_killed_is_started_again_and_loses_nobody_who_waits() {
    let world = World::shared().await;
    let socket = Socket::temporary().unwrap();
    let relayed: Config = socket.url(&world.logins[0]).parse().unwrap();
    let mut passed = relayed.clone();
    passed.options(TAKES_SESSIONS);
    let (events, told) = mpsc::channel();
    let keeper = Keeper::start(
        socket.listener().unwrap(),
        world.options(),
        || Command::new(program()),
        move |event| drop(events.send(event)),
    );
    let mut pids = Vec::new();
    for (config, takes) in [
        (&relayed, false),
        (&passed, true),
        (&relayed, false),
        (&passed, true),
    ] {
        let client = connect(config).await.unwrap();
        let pid = loop {
            match told.try_recv().unwrap() {
                Event::Started { pid } => break pid,
                Event::Died { status } => assert!(status.contains("signal: 9"), "{status}"),
                other => panic!("{other:?}"),
            }
        };
        assert!(!pids.contains(&pid));
        pids.push(pid);
        let session = backend(&client).await;
        // The session of the round before is given back once its connection has closed.
        let status = until("one session is lent", async || {
            let status = keeper.asker().status().await.unwrap();
            let role = status.roles.iter().find(|r| r.role == world.logins[0].role);
            (role?.lent == 1).then_some(status)
        })
        .await;
        let role = status.roles.iter().find(|r| r.role == world.logins[0].role);
        let role = role.unwrap();
        assert_eq!(role.waiting, 0, "{status:?}");
        // A role cannot have more than all of them together.
        let limit = world.logins[0].max_sessions.min(status.max_sessions);
        assert_eq!(role.limit, limit, "{status:?}");
        assert_eq!(status.max_sessions, world.options().max_sessions);
        client
            .batch_execute("BEGIN; SELECT pg_advisory_lock(4711)")
            .await
            .unwrap();
        kill(pid);
        if takes {
            // Until then the client has a session.
            gone(pid).await;
        }
        assert!(client.simple_query("COMMIT").await.is_err());
        // A client that comes now waits until there is a broker again. The session ended with its broker.
        let next = connect(config).await.unwrap();
        assert_ne!(backend(&next).await, session);
        let free = async || {
            let taken = ask(&next, "SELECT pg_try_advisory_lock(4711)").await?;
            (taken == "t").then_some(())
        };
        until("the lock of the session is free", free).await;
    }
    keeper.stop().await;
    let last = told.iter().last();
    let Some(Event::Started { pid }) = last else {
        panic!("{last:?}");
    };
    gone(pid).await;
    // The socket is the engine's, and there is nobody behind it any more.
    drop(socket);
    assert!(connect(&relayed).await.is_err());
}

#[tokio::test]
async fn a_broker_does_not_outlive_its_engine() {
    let world = World::shared().await;
    let mut engine = tokio::process::Command::new(program())
        .arg("engine")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = engine.stdin.take().unwrap();
    let options = serde_json::to_vec(&world.options()).unwrap();
    stdin.write_all(&options).await.unwrap();
    drop(stdin);
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let (pid, folder) = line.split_once(' ').unwrap();
    let pid = pid.parse().unwrap();
    let mut config = tokio_postgres::Config::new();
    let login = &world.logins[0];
    config
        .host_path(folder)
        .user(&login.role)
        .password(login.password.expose());
    let client = connect(&config).await.unwrap();
    assert_eq!(ask(&client, "SELECT 1").await.as_deref(), Some("1"));
    kill(engine.id().unwrap());
    engine.wait().await.unwrap();
    gone(pid).await;
    // A killed process cannot tidy up.
    std::fs::remove_dir_all(Path::new(folder)).unwrap();
}

#[tokio::test]
async fn a_process_that_nobody_keeps_says_so() {
    let status = tokio::process::Command::new(program())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    assert!(!status.unwrap().success());
}
