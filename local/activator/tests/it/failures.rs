//! Functions that fail to start, die, hang or take too long.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use zerocart_activator::manifest::Liveness;
use zerocart_activator::{Ksvc, Options};

use super::harness::{Bed, get, text};

fn patient() -> Options {
    Options {
        backoff: Duration::from_secs(600),
        max_backoff: Duration::from_secs(600),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_crash_at_start_answers_502_and_backs_off() {
    let bed = Bed::with([Ksvc::new("f"), Ksvc::new("sound")], patient());
    bed.close("f.needs");
    let response = bed.activator.handle("f", get("/pid")).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem["code"], "UNAVAILABLE");
    assert_eq!(problem["status"], 502);
    let detail = "f exited before it was ready: exit status: 3";
    assert_eq!(problem["detail"], detail);
    assert_eq!(problem.get("log"), None, "what it said is for its own log");
    let log = std::fs::read_to_string(bed.folder.path().join("f.log")).unwrap();
    assert!(
        log.contains("cannot start: something is missing"),
        "{log:?}"
    );

    // The next answer comes from memory, even though the function would start now.
    bed.open("f.needs");
    let response = bed.activator.handle("f", get("/pid")).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let retry_after = response.headers()["retry-after"].to_str().unwrap();
    assert!((1..=600).contains(&retry_after.parse::<u32>().unwrap()));
    assert_eq!(bed.status("f").crashes, 1);

    let (status, _) = bed.get("sound", "/pid").await;
    assert_eq!(status, StatusCode::OK, "another function is not affected");
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn after_the_back_off_it_is_tried_again() {
    let bed = Bed::with(
        [Ksvc::new("f")],
        Options {
            backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(1),
            ..Options::default()
        },
    );
    bed.close("f.needs");
    assert_eq!(bed.get("f", "/pid").await.0, StatusCode::BAD_GATEWAY);
    bed.open("f.needs");
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(bed.get("f", "/pid").await.0, StatusCode::OK);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn grpc_gets_a_status_instead_of_a_problem() {
    let bed = Bed::with([Ksvc::new("f")], patient());
    bed.close("f.needs");
    let request = || {
        Request::post("/test.Echo/Echo")
            .header("content-type", "application/grpc")
            .body(Body::empty())
            .unwrap()
    };
    let response = bed.activator.handle("f", request()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "14");
    let message = response.headers()["grpc-message"].to_str().unwrap();
    assert!(message.contains("exit status: 3"), "{message}");
    assert_eq!(text(response).await, "");
    let response = bed.activator.handle("nobody", request()).await;
    assert_eq!(response.headers()["grpc-status"], "12");
}

#[tokio::test]
async fn a_missing_binary_answers_502() {
    let bed = Bed::with([Ksvc::new("f")], patient());
    std::fs::remove_file(bed.folder.path().join("bin/f")).unwrap();
    let (status, body) = bed.get("f", "/pid").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("cannot be started"), "{body}");
    assert!(body.contains("No such file"), "{body}");
}

#[tokio::test]
async fn never_ready_answers_504_and_leaves_nothing() {
    let bed = Bed::with(
        [Ksvc::new("f")],
        Options {
            start_timeout: Duration::from_millis(700),
            ..patient()
        },
    );
    bed.close("f.start");
    let (status, body) = bed.get("f", "/pid").await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["code"], "DEADLINE_EXCEEDED");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("not ready within 700 ms: GET /health"),
        "{detail}"
    );
    let status = bed.status("f");
    assert_eq!((status.instances.len(), status.crashes), (0, 1));
}

#[tokio::test]
async fn a_crash_during_a_request_answers_502() {
    let bed = Bed::new([Ksvc::new("f")]);
    let (_, first) = bed.get("f", "/pid").await;
    let (status, body) = bed.get("f", "/crash").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        problem["detail"],
        "f ended during the request: exit status: 7"
    );
    assert!(!body.contains("last words"), "{body}");
    let (status, second) = bed.get("f", "/pid").await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(first, second);
    bed.until("f", |status| status.crashes == 1).await;
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn a_crash_takes_only_its_own_requests_along() {
    let mut function = Ksvc::new("f");
    function.limits.max = 2;
    function.limits.target = 1.0;
    function.container_concurrency = Some(1);
    let bed = Bed::new([function]);
    let held = bed.start("f", "/hold/gate");
    bed.until("f", |status| {
        status.instances.iter().any(|one| one.in_flight == 1)
    })
    .await;
    assert_eq!(bed.get("f", "/crash").await.0, StatusCode::BAD_GATEWAY);
    bed.open("gate");
    assert_eq!(held.await.unwrap().0, StatusCode::OK);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_a_504() {
    let mut function = Ksvc::new("f");
    function.response_start_timeout = Duration::from_secs(1);
    let bed = Bed::new([function]);
    let (status, body) = bed.get("f", "/hold/never").await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert!(body.contains("within 1 s"), "{body}");
    bed.until("f", |status| {
        status.instances.iter().all(|one| one.in_flight == 0)
    })
    .await;
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn an_answer_that_does_not_end_in_time_is_cut_off() {
    let mut function = Ksvc::new("f");
    function.timeout = Duration::from_secs(2);
    let bed = Bed::new([function]);
    let response = bed.activator.handle("f", get("/endless")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("timeout"), "{error}");
    assert_eq!(bed.status("f").instances[0].in_flight, 0);
    bed.activator.shutdown().await;
}

#[tokio::test]
async fn a_hung_instance_is_ended_by_its_liveness_probe() {
    let mut function = Ksvc::new("f");
    function.liveness = Some(Liveness {
        path: "/live".to_owned(),
        initial_delay: Duration::ZERO,
        period: Duration::from_millis(20),
        timeout: Duration::from_secs(30),
        failure_threshold: 2,
    });
    let bed = Bed::new([function]);
    let (_, first) = bed.get("f", "/pid").await;
    let sick = Request::post("/sick").body(Body::empty()).unwrap();
    assert_eq!(
        bed.activator.handle("f", sick).await.status(),
        StatusCode::OK
    );
    bed.until("f", |status| {
        status.instances.is_empty() && status.crashes == 1
    })
    .await;
    let (status, second) = bed.get("f", "/pid").await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first, second);
    bed.activator.shutdown().await;
}
