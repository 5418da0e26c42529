//! Two hundred sign-ins at once, and what they may cost.

use std::{collections::BTreeMap, fs, time::Duration};

use futures_util::future::join_all;
use zerocart_proto::{rpc::AuthenticateUser as Rpc, user::AuthRequest};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::PATIENCE,
    process::Process,
};

use crate::{
    Domain,
    authenticate_user::{customer, login, right_password},
};

const AT_ONCE: usize = 200;

/// Hashes at once.
const TURNS: u64 = 2;

/// What one hash takes: argon2's parameter `m`, which the user domain's own tests hold it to.
const HASH_KB: u64 = 19_456;

/// For connections, requests, threads and the allocator. One more hash would not fit.
const SLACK_KB: u64 = 16_384;

/// The smallest page of the systems that zerocart is built for.
const PAGE_KB: u64 = 4;

/// A size of the process in kB: `VmHWM`, the largest resident size so far, or `VmRSS`, the present one.
fn size_kb(process: &Process, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(which));
    let mut words = line.unwrap().split_whitespace();
    words.nth(1).unwrap().parse().unwrap()
}

/// The page faults of the process so far that read nothing from a disk (`minflt` of proc(5)).
fn faults(process: &Process) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name
        .split_whitespace()
        .nth(7)
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn two_hundred_sign_ins_at_once_exhaust_nothing() {
    let domain = Domain::new().await;
    customer(&domain, "me@example.com").await;
    let turns = ("PASSWORD_HASHES_AT_ONCE".to_owned(), TURNS.to_string());
    let program = env!("CARGO_BIN_EXE_authenticate-user");
    let (process, address) = Process::listening(program, domain.env().into_iter().chain([turns]));
    let health = Client::new(Wire::Http1, address);
    assert_eq!(health.get("/ready").await.status, 200);
    let idle_kb = size_kb(&process, "VmHWM");
    let faults_before = faults(&process);

    let request = |n: usize| -> AuthRequest {
        match n % 2 {
            0 => login("me@example.com", right_password()),
            _ => login(format!("{n}@example.com"), "wrong password"),
        }
    };
    let calls = (0..AT_ONCE).map(|n| {
        // A connection each.
        let client = Client::new(Wire::Http1, address);
        async move { client.call::<Rpc>(&request(n)).await }
    });
    let mut counts = BTreeMap::<u16, usize>::new();
    for (n, outcome) in join_all(calls).await.into_iter().enumerate() {
        let status = outcome.http_status;
        match status {
            200 => assert_eq!(n % 2, 0),
            401 => assert_eq!(n % 2, 1),
            // Too many in the function, or too many that wait for their turn.
            503 | 429 => assert!(outcome.retry_after.is_some(), "{outcome:?}"),
            _ => panic!("{outcome:?}"),
        }
        *counts.entry(status).or_default() += 1;
    }
    for status in [200, 401] {
        assert!(counts.contains_key(&status), "{counts:?}");
    }
    assert!(
        counts.contains_key(&503) || counts.contains_key(&429),
        "{counts:?}"
    );

    // One hash takes the memory of the other.
    let hashed = (counts[&200] + counts[&401]) as u64;
    assert!(hashed > 4 * TURNS, "{counts:?}");
    let faults = faults(&process) - faults_before;
    let most = (TURNS * HASH_KB + SLACK_KB) / PAGE_KB;
    assert!(
        faults <= most,
        "{faults} page faults, at most {most}; {counts:?}"
    );

    let peak_kb = size_kb(&process, "VmHWM");
    // They did hash.
    assert!(peak_kb >= HASH_KB, "{peak_kb} kB");
    let most_kb = idle_kb + TURNS * HASH_KB + SLACK_KB;
    assert!(
        peak_kb <= most_kb,
        "{peak_kb} kB, at most {most_kb} kB; {counts:?}"
    );
    // And when nobody signs in any more, the system gets it back.
    let given_back = async {
        while size_kb(&process, "VmRSS") > idle_kb + SLACK_KB {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_back).await.unwrap();
    assert_eq!(health.get("/health").await.status, 200);
}
