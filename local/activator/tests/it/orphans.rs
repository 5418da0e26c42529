//! A killed engine leaves no process.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use zerocart_activator::guard::{Ending, Guard, Signal as EndSignal};

use super::harness::{binaries, eventually, runs};

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed()).unwrap()
}

/// Starts an engine with one function, kills the engine, and waits for the function's end.
async fn kill_an_engine(variables: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = Command::new(env!("CARGO_BIN_EXE_activator-test-engine"))
        .arg(binaries(folder.path(), ["f"].into_iter()))
        .arg(folder.path())
        .arg("f")
        .args(variables)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("a process id");
    let function: u32 = line.parse().unwrap();
    assert!(runs(function));
    kill_process(pid(engine.id().unwrap()), Signal::KILL).unwrap();
    engine.wait().await.unwrap();
    eventually(|| !runs(function), || format!("the end of {function}")).await;
}

#[tokio::test]
async fn kill_9_of_the_engine_ends_its_functions() {
    kill_an_engine(&[]).await;
}

#[tokio::test]
async fn kill_9_of_the_engine_ends_functions_that_ignore_sigterm() {
    kill_an_engine(&["IGNORE_TERM"]).await;
}

#[tokio::test]
async fn kill_9_of_the_engine_ends_its_jobs() {
    kill_an_engine(&["JOB"]).await;
    kill_an_engine(&["JOB", "IGNORE_TERM"]).await;
}

#[tokio::test]
async fn the_guard_leaves_alone_what_is_no_longer_watched() {
    let guard = Guard::spawn().unwrap();
    let mut sleeper = Command::new("/bin/sh")
        .args(["-c", "while :; do sleep 1; done"])
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let id = sleeper.id().unwrap();
    let ending = Ending {
        group: false,
        signal: EndSignal::Int,
        grace: Duration::from_secs(1),
    };
    let watch = guard.watch(id).unwrap();
    let other = guard.watch_with(id, ending).unwrap();
    drop((watch, other));
    // The last handle waits for the guard's end: it has done all that it would do.
    drop(guard);
    assert!(runs(id));
    kill_process_group(pid(id), Signal::KILL).unwrap();
    sleeper.wait().await.unwrap();
}

#[tokio::test]
async fn a_killed_guard_is_noticed() {
    let guard = Guard::spawn().unwrap();
    kill_process(pid(guard.pid()), Signal::KILL).unwrap();
    eventually(|| !runs(guard.pid()), || "the guard's end".to_owned()).await;
    guard.watch(1_000_000).expect_err("nobody reads");
}
