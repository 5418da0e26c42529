//! The function of the ops domain, called by every wire, with engines that answer over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router, body::Body, extract::RawQuery, http::StatusCode, response::Response, routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::Code;
use zerocart_core::{Env, StartError};
use zerocart_ops::{ListFunctions, RecordVoidInOps};
use zerocart_proto::{
    ops::{
        FleetBreaker, FleetBreakerState, FleetFunction, FleetKind, ListFunctionsRequest,
        ListFunctionsResponse,
    },
    rpc::{ListFunctions as Rpc, RecordVoidInOps as Record, Rpc as _},
    voids::RecordVoidRequest,
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{Authority, Running},
    postgres::TestDatabase,
};

/// A user.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";

/// What the API of Kubernetes 1.36 has answered for some functions and jobs of a deployment on Knative 1.23, without
/// most of the fields that nobody reads. Pods are those of one moment: one is ready, one is starting, one is draining.
const SERVICES: &str = include_str!("recorded/services.json");
const PODS: &str = include_str!("recorded/pods.json");
const CRON_JOBS: &str = include_str!("recorded/cronjobs.json");

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The variables of a function of the domain.
fn env(authority: &Authority, database: &TestDatabase) -> Vec<(String, String)> {
    let mut env = authority.env();
    env.push(("DATABASE_URL".into(), database.url().into()));
    env
}

async fn start(authority: &Authority, database: &TestDatabase, source: &str) -> Running {
    let source = ("FLEET_SOURCE".to_owned(), source.to_owned());
    Running::start::<ListFunctions>(env(authority, database).into_iter().chain([source])).await
}

/// The answer to an admin, which is the same by every wire.
async fn answer(source: &str) -> Result<ListFunctionsResponse, Code> {
    let (authority, database) = (Authority::generate(), TestDatabase::new("ops").await);
    let function = start(&authority, &database, source).await;
    let admin = authority.admin(ME);
    let mut answers = Vec::new();
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).bearer(&admin);
        let outcome = client.call::<Rpc>(&ListFunctionsRequest {}).await;
        answers.push(match outcome.response {
            Some(response) => Ok(ListFunctionsResponse {
                read_at: String::new(),
                ..response
            }),
            None => Err(outcome.code),
        });
    }
    let first = answers.remove(0);
    assert!(answers.iter().all(|other| *other == first), "{answers:?}");
    first
}

#[tokio::test]
async fn the_local_engine_is_asked_at_its_address() {
    let told = ListFunctionsResponse {
        engine: "local".into(),
        functions: vec![FleetFunction {
            name: "get-cart".into(),
            requests: Some(7),
            ..FleetFunction::default()
        }],
        breakers: vec![FleetBreaker {
            name: "get-product".into(),
            state: FleetBreakerState::Open.into(),
        }],
        ..ListFunctionsResponse::default()
    };
    let text = serde_json::to_string(&told).unwrap();
    let router = Router::new().route("/fleet", get(async move || text));
    let address = serve(router).await;
    assert_eq!(answer(&format!("http://{address}")).await, Ok(told));
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_unavailable() {
    // Another program has the port, which knows no such path.
    let address = serve(Router::new()).await;
    assert_eq!(
        answer(&format!("http://{address}")).await,
        Err(Code::Unavailable)
    );
}

#[tokio::test]
async fn only_an_admin_may_ask_and_nobody_else_reaches_the_engine() {
    let router = Router::new().route("/fleet", get(async || -> String { panic!("it was asked") }));
    let address = serve(router).await;
    let (authority, database) = (Authority::generate(), TestDatabase::new("ops").await);
    let function = start(&authority, &database, &format!("http://{address}")).await;
    let customer = Client::new(Wire::Http1, function.address()).bearer(&authority.customer(ME));
    let outcome = customer.call::<Rpc>(&ListFunctionsRequest {}).await;
    assert_eq!(outcome.code, Code::PermissionDenied);
    let nobody = Client::new(Wire::Grpc, function.address());
    let outcome = nobody.call::<Rpc>(&ListFunctionsRequest {}).await;
    assert_eq!(outcome.code, Code::Unauthenticated);
}

/// As of an admin whose account was disabled.
#[tokio::test]
async fn a_void_token_is_refused_and_does_not_reach_the_engine() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let fleet = get(async move || {
        seen.fetch_add(1, Ordering::Relaxed);
        "{}"
    });
    let address = serve(Router::new().route("/fleet", fleet)).await;
    let (authority, database) = (Authority::generate(), TestDatabase::new("ops").await);
    let source = ("FLEET_SOURCE".to_owned(), format!("http://{address}"));
    // A copy of the list of void tokens is used for so long.
    let max_age = Duration::from_millis(1);
    let max_age_ms = (
        "TOKEN_VOIDS_MAX_AGE_MS".to_owned(),
        max_age.as_millis().to_string(),
    );
    let env = env(&authority, &database);
    let more = env.iter().cloned().chain([source, max_age_ms]);
    let function = Running::start::<ListFunctions>(more).await;
    let records = Running::start::<RecordVoidInOps>(env).await;
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let user_id = format!("018f4e9a-7c1b-7def-8000-1{n:011}");
        let client = |id: &str, of: &Running| {
            let token = authority.admin(id);
            Client::new(wire, of.address()).bearer(&token)
        };
        let (goes, stays) = (client(&user_id, &function), client(ME, &function));
        let code = async |client: &Client| {
            let outcome = client.call::<Rpc>(&ListFunctionsRequest {}).await;
            outcome.code
        };
        assert_eq!(code(&goes).await, Code::Ok, "{wire:?}");
        let void = RecordVoidRequest {
            user_id,
            generation: 1,
        };
        let recording = client(ME, &records);
        recording.call::<Record>(&void).await.ok();
        tokio::time::sleep(2 * max_age).await;
        let before = asked.load(Ordering::Relaxed);
        assert_eq!(code(&goes).await, Code::Unauthenticated, "{wire:?}");
        assert_eq!(asked.load(Ordering::Relaxed), before);
        assert_eq!(code(&stays).await, Code::Ok, "{wire:?}");
    }
}

/// The API of a cluster.
fn cluster() -> Router {
    let namespace = "/namespaces/zerocart";
    // Beside the recorded pods one that has ended.
    let mut pods: Value = serde_json::from_str(PODS).unwrap();
    let items = pods["items"].as_array_mut().unwrap();
    let mut ended = items[0].clone();
    ended["metadata"]["creationTimestamp"] = json!("2026-11-28T15:00:00Z");
    ended["status"]["phase"] = json!("Failed");
    items.push(ended);
    let pods = pods.to_string();
    let pods = async move |RawQuery(query): RawQuery| {
        assert_eq!(
            query.unwrap(),
            "labelSelector=serving.knative.dev%2Fservice"
        );
        pods
    };
    Router::new()
        .route(
            &format!("/apis/serving.knative.dev/v1{namespace}/services"),
            get(async || SERVICES),
        )
        .route(&format!("/api/v1{namespace}/pods"), get(pods))
        .route(
            &format!("/apis/batch/v1{namespace}/cronjobs"),
            get(async || CRON_JOBS),
        )
}

#[tokio::test]
async fn a_cluster_is_asked_for_services_pods_and_jobs() {
    let address = serve(cluster()).await;
    let answer = answer(&format!("kubernetes:http://{address}"))
        .await
        .unwrap();
    assert_eq!(answer.engine, "knative");
    let names: Vec<_> = answer.functions.iter().map(|f| f.name.as_str()).collect();
    let expected = [
        "dashboard",
        "get-order-timeline",
        "list-users",
        "recover-orders",
        "set-user-state",
        "settle-payments",
    ];
    assert_eq!(names, expected);
    let [dashboard, timeline, users, recover, state, settle] = answer.functions.as_slice() else {
        panic!("{names:?}");
    };
    assert_eq!(
        (dashboard.kind(), dashboard.domain.as_str()),
        (FleetKind::Edge, "")
    );
    let instances = |f: &FleetFunction| {
        let is = f.instances.unwrap();
        (is.starting, is.ready, is.draining)
    };
    // At zero.
    assert_eq!(instances(dashboard), (0, 0, 0));
    assert_eq!(dashboard.last_started_at, "");
    // A pod that has ended is no instance.
    assert_eq!(instances(timeline), (0, 1, 0));
    assert_eq!(
        (timeline.kind(), timeline.domain.as_str()),
        (FleetKind::Function, "order")
    );
    assert_eq!(timeline.max_scale, Some(3));
    assert_eq!(timeline.last_started_at, "2026-11-28T15:36:36.000000Z");
    assert_eq!(instances(users), (1, 0, 0));
    assert_eq!(instances(state), (0, 0, 1));

    let job = recover.job.as_ref().unwrap();
    assert_eq!(instances(recover), (0, 1, 0));
    assert!(job.running && job.next_run_at.is_empty(), "{job:?}");
    assert_eq!(job.last_run_at, "2026-11-28T15:38:00.000000Z");
    let job = settle.job.as_ref().unwrap();
    assert!(
        !job.running && job.next_run_at.ends_with(":00.000000Z"),
        "{job:?}"
    );
    assert_eq!(
        (recover.kind(), recover.domain.as_str()),
        (FleetKind::Job, "order")
    );

    // What nobody knows there is absent and named.
    assert!(answer.breakers.is_empty());
    for function in &answer.functions {
        assert_eq!((function.requests, function.errors), (None, None));
        assert_eq!((function.cold_starts, function.last_start_ms), (None, None));
    }
    for field in [
        "requests",
        "errors",
        "cold_starts",
        "last_start_ms",
        "breakers",
    ] {
        let missing = answer.missing.iter().find(|missing| missing.field == field);
        assert!(!missing.unwrap().how.is_empty(), "{field}");
    }
}

#[tokio::test]
async fn a_cluster_that_refuses_is_a_fault_of_ours_and_tells_no_client_why() {
    let refuse = get(async || {
        let status = json!({"message": "pods is forbidden: User \"zerocart-fleet\""});
        (StatusCode::FORBIDDEN, status.to_string())
    });
    let address = serve(Router::new().fallback(refuse)).await;
    assert_eq!(
        answer(&format!("kubernetes:http://{address}")).await,
        Err(Code::Internal)
    );
    let empty = get(async || Response::new(Body::from(Value::Null.to_string())));
    let address = serve(Router::new().fallback(empty)).await;
    assert_eq!(
        answer(&format!("kubernetes:http://{address}")).await,
        Err(Code::Internal)
    );
}

#[test]
fn a_setting_that_is_wrong_is_named() {
    let authority = Authority::generate();
    let problems = |more: &[(&str, &str)]| {
        let database = (
            "DATABASE_URL",
            "postgres://zerocart_ops:p@localhost/zerocart_ops",
        );
        let more = more.iter().chain([&database]);
        let more = more.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let env = Env::from_iter(authority.env().into_iter().chain(more));
        match zerocart_runtime::build::<ListFunctions>(env) {
            Err(StartError::Config(problems)) => problems.join("\n"),
            other => panic!("{other:?}"),
        }
    };
    assert!(problems(&[]).contains("FLEET_SOURCE is required"));
    for wrong in [
        "ftp://x",
        "kubernetesx",
        "kubernetes:ftp://x",
        "localhost:1",
        "http://",
    ] {
        let problems = problems(&[("FLEET_SOURCE", wrong)]);
        assert!(
            problems.starts_with("FLEET_SOURCE: "),
            "{wrong}: {problems}"
        );
    }
    let problems = problems(&[("FLEET_SOURCE", "kubernetes")]);
    assert!(
        problems.contains("KUBERNETES_SERVICE_HOST is required"),
        "{problems}"
    );
    assert_eq!(Rpc::INFO.name, "list-functions");
}
