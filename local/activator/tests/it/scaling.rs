//! From zero, out, in, and back to zero.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use zerocart_activator::{FunctionStatus, InstanceState, Ksvc, Options};

use super::harness::{Bed, eventually, get, runs, text};

fn ready(status: &FunctionStatus) -> usize {
    let ready = |instance: &&_| {
        let instance: &zerocart_activator::InstanceStatus = instance;
        instance.state == InstanceState::Ready
    };
    status.instances.iter().filter(ready).count()
}

#[tokio::test]
async fn a_cold_start_holds_requests_and_they_share_it() {
    let bed = Bed::new([Ksvc::new("f")]);
    bed.close("f.start");
    let requests: Vec<_> = (0..20).map(|_| bed.start("f", "/pid")).collect();
    bed.until("f", |status| {
        status.held == 20 && status.instances[0].pid.is_some()
    })
    .await;
    assert_eq!(bed.status("f").instances[0].state, InstanceState::Starting);
    bed.open("f.start");
    let mut pids = BTreeSet::new();
    for answer in join_all(requests).await {
        let (status, pid) = answer.unwrap();
        assert_eq!(status, StatusCode::OK);
        pids.insert(pid);
    }
    assert_eq!(pids.len(), 1, "one process answered all: {pids:?}");
    let status = bed.status("f");
    assert_eq!(
        (status.cold_starts, status.requests, status.crashes),
        (1, 20, 0)
    );
    assert!(status.last_start_ms.is_some());
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn more_held_requests_than_allowed_are_refused() {
    let options = Options {
        max_held: 3,
        ..Options::default()
    };
    let bed = Bed::with([Ksvc::new("f")], options);
    bed.close("f.start");
    let held: Vec<_> = (0..3).map(|_| bed.start("f", "/pid")).collect();
    bed.until("f", |status| status.held == 3).await;
    let refused = bed.activator.handle("f", get("/pid")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    let gone = bed.start("f", "/pid");
    assert_eq!(gone.await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
    // A caller that hangs up frees its place.
    held[0].abort();
    bed.until("f", |status| status.held == 2).await;
    let next = bed.start("f", "/pid");
    bed.until("f", |status| status.held == 3).await;
    bed.open("f.start");
    assert_eq!(next.await.unwrap().0, StatusCode::OK);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn concurrency_scales_out_to_the_maximum_and_the_rest_is_queued() {
    let mut function = Ksvc::new("f");
    function.limits.max = 3;
    function.limits.target = 1.0;
    function.container_concurrency = Some(1);
    let bed = Bed::new([function]);
    let requests: Vec<_> = (0..5).map(|_| bed.start("f", "/hold/gate")).collect();
    bed.until("f", |status| ready(status) == 3 && status.held == 2)
        .await;
    let status = bed.status("f");
    assert_eq!(status.instances.len(), 3, "no more than max-scale");
    assert!(
        status
            .instances
            .iter()
            .all(|instance| instance.in_flight == 1)
    );
    bed.open("gate");
    let mut pids = BTreeSet::new();
    for answer in join_all(requests).await {
        let (status, pid) = answer.unwrap();
        assert_eq!(status, StatusCode::OK);
        pids.insert(pid);
    }
    assert_eq!(pids.len(), 3);
    assert_eq!(
        bed.status("f").cold_starts,
        1,
        "only the first was from zero"
    );
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn it_goes_back_to_zero_after_the_window_and_comes_again() {
    let mut function = Ksvc::new("f");
    function.limits.window = Duration::from_millis(300);
    let bed = Bed::new([function]);
    let (_, first) = bed.get("f", "/pid").await;
    assert_eq!(bed.status("f").instances.len(), 1);
    bed.until("f", |status| status.instances.is_empty()).await;
    assert!(!runs(first.parse().unwrap()));
    let (status, second) = bed.get("f", "/pid").await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first, second);
    let status = bed.status("f");
    assert_eq!((status.cold_starts, status.crashes), (2, 0));
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn a_request_keeps_its_instance_beyond_the_window() {
    let mut function = Ksvc::new("f");
    function.limits.window = Duration::from_millis(50);
    let bed = Bed::new([function]);
    let held = bed.start("f", "/hold/gate");
    bed.until("f", |status| ready(status) == 1).await;
    // Several windows pass; what must not happen has no event to wait for.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(ready(&bed.status("f")), 1);
    bed.open("gate");
    assert_eq!(held.await.unwrap().0, StatusCode::OK);
    bed.until("f", |status| status.instances.is_empty()).await;
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn scaling_in_loses_no_request() {
    let mut function = Ksvc::new("f");
    function.limits.max = 3;
    function.limits.target = 1.0;
    function.limits.window = Duration::from_millis(400);
    let bed = Bed::new([function]);
    let burst: Vec<_> = (0..3).map(|_| bed.start("f", "/hold/gate")).collect();
    bed.until("f", |status| ready(status) == 3).await;
    bed.open("gate");
    for answer in join_all(burst).await {
        assert_eq!(answer.unwrap().0, StatusCode::OK);
    }
    // One request at a time, without a pause, while two instances go.
    let mut requests = 0;
    while bed.status("f").instances.len() > 1 {
        let (status, body) = bed.get("f", "/pid").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        requests += 1;
    }
    assert!(requests > 0);
    let status = bed.status("f");
    assert_eq!(
        (status.instances.len(), status.crashes, status.cold_starts),
        (1, 0, 1)
    );
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn a_minimum_runs_without_being_asked_for() {
    let mut function = Ksvc::new("f");
    function.limits.min = 1;
    function.limits.window = Duration::from_millis(50);
    let bed = Bed::with(
        [function],
        Options {
            backoff: Duration::from_millis(1),
            ..Options::default()
        },
    );
    bed.until("f", |status| ready(status) == 1).await;
    bed.activator.shutdown().await;
    assert!(
        bed.status("f").instances.is_empty(),
        "not after the shutdown"
    );
}

#[tokio::test]
async fn renewed_instances_finish_what_they_have_and_get_no_more() {
    let bed = Bed::new([Ksvc::new("f"), Ksvc::new("g")]);
    let held = bed.start("f", "/hold/gate");
    bed.until("f", |status| ready(status) == 1 && status.held == 0)
        .await;
    let (_, other) = bed.get("g", "/pid").await;
    bed.activator.renew(|name| name == "f");
    let (status, new) = bed.get("f", "/pid").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(bed.get("g", "/pid").await.1, other);
    bed.open("gate");
    let (status, old) = held.await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_ne!(old, new);
    bed.until("f", |status| status.instances.len() == 1).await;
    assert_eq!(bed.get("f", "/pid").await.1, new);
    assert_eq!(bed.status("f").crashes, 0);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn who_waits_for_an_instance_that_is_renewed_gets_another() {
    let bed = Bed::new([Ksvc::new("f")]);
    bed.close("f.start");
    let waits = bed.start("f", "/pid");
    bed.until("f", |status| {
        status.held == 1 && status.instances[0].pid.is_some()
    })
    .await;
    let old = bed.status("f").instances[0].pid.unwrap();
    bed.activator.renew(|_| true);
    bed.open("f.start");
    let (status, new) = waits.await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_ne!(new, old.to_string());
    assert_eq!(bed.status("f").crashes, 0);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_takes_no_more() {
    let bed = Bed::new([Ksvc::new("f"), Ksvc::new("g")]);
    let held = bed.start("f", "/hold/gate");
    bed.until("f", |status| ready(status) == 1 && status.held == 0)
        .await;
    let (_, other) = bed.get("g", "/pid").await;
    let activator = bed.activator.clone();
    let shutdown = tokio::spawn(async move { activator.shutdown().await });
    bed.until("f", |status| {
        status.instances[0].state == InstanceState::Stopping
    })
    .await;
    let refused = bed.activator.handle("f", get("/pid")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(refused).await.contains("stopping"));
    bed.open("gate");
    let (status, pid) = held.await.unwrap();
    assert_eq!(status, StatusCode::OK);
    shutdown.await.unwrap();
    for pid in [pid, other] {
        assert!(!runs(pid.parse().unwrap()));
    }
}

#[tokio::test]
async fn a_function_that_ignores_sigterm_is_killed() {
    let mut function = Ksvc::new("f");
    function.env = vec![("IGNORE_TERM".to_owned(), "1".to_owned())];
    let bed = Bed::with(
        [function],
        Options {
            stop_timeout: Duration::from_millis(200),
            ..Options::default()
        },
    );
    let (_, pid) = bed.get("f", "/pid").await;
    bed.activator.shutdown().await;
    assert!(!runs(pid.parse().unwrap()));
    let log = std::fs::read_to_string(bed.folder.path().join("f.log")).unwrap();
    assert!(log.contains("ignoring SIGTERM"), "{log}");
}

#[tokio::test]
async fn shutdown_ends_a_function_that_is_still_starting() {
    let bed = Bed::new([Ksvc::new("f")]);
    bed.close("f.start");
    let held = bed.start("f", "/pid");
    bed.until("f", |status| {
        status.instances.iter().any(|one| one.pid.is_some())
    })
    .await;
    let pid = bed.status("f").instances[0].pid.unwrap();
    bed.activator.shutdown().await;
    eventually(|| !runs(pid), || format!("the end of {pid}")).await;
    assert_eq!(held.await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
}
