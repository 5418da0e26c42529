//! The database is stopped while functions use it, and comes back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tonic::Code;
use zerocart_test_support::clients::Reply;

use super::{
    engine::{Data, Engine, PATIENCE},
    http::Http,
    processes::Process,
    until_every,
};

/// Every process of PostgreSQL, stopped as long as this lives: connections stay, nobody answers.
struct Stopped(Vec<Process>);

impl Stopped {
    fn new(engine: &Engine) -> Self {
        let mut postgres = engine.processes();
        postgres.retain(|process| process.name == "postgres");
        assert!(postgres.len() > 1, "{postgres:#?}");
        for process in &postgres {
            process.signal(Signal::STOP);
        }
        Self(postgres)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for process in &self.0 {
            process.signal(Signal::CONT);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn product_functions_fail_fast_without_the_database_and_recover() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let admin = engine.sign_in_admin().await;
    let http = engine.http();
    let tea = json!({"name": "Tea", "price": 4.75, "inventory": 3}).to_string();
    let made = http
        .call(Method::POST, "/products", tea, &[("authorization", &admin)])
        .await;
    let id = made.outcome::<Value>().ok()["product"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let inventory = format!("/products/{id}/inventory");
    let body = json!({"quantity_change": 1}).to_string();
    let calls = [
        Call {
            http: &http,
            method: Method::GET,
            path: &format!("/products/{id}"),
            body: "",
            admin: &admin,
        },
        Call {
            http: &http,
            method: Method::GET,
            path: "/products",
            body: "",
            admin: &admin,
        },
        Call {
            http: &http,
            method: Method::PATCH,
            path: &inventory,
            body: &body,
            admin: &admin,
        },
    ];
    for call in &calls {
        let reply = call.send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    let stopped = Stopped::new(&engine);
    join_all(calls.iter().map(fails_fast)).await;
    drop(stopped);

    join_all(calls.iter().map(recovers)).await;
    // By themselves: no function was ended for it.
    for name in ["get-product", "list-products", "update-inventory"] {
        let function = engine.status(name).await;
        assert_eq!((function.crashes, function.cold_starts), (0, 1), "{name}");
    }
    engine.stop().await;
}

struct Call<'a> {
    http: &'a Http,
    method: Method,
    path: &'a str,
    body: &'a str,
    admin: &'a str,
}

impl Call<'_> {
    async fn send(&self) -> Reply {
        let admin = [("authorization", self.admin)];
        self.http
            .call(self.method.clone(), self.path, self.body.to_owned(), &admin)
            .await
    }
}

/// Three failures at the function's own limit of time, then refusals at once.
async fn fails_fast(call: &Call<'_>) {
    let began = Instant::now();
    for _ in 0..3 {
        let outcome = call.send().await.outcome::<Value>();
        let failed = matches!(outcome.code, Code::Unavailable | Code::DeadlineExceeded);
        assert!(failed, "{}: {outcome:?}", call.path);
    }
    let slow = began.elapsed();
    // All ten together take less than the three failures.
    let began = Instant::now();
    for _ in 0..10 {
        let outcome = call.send().await.outcome::<Value>();
        assert_eq!(
            (outcome.code, outcome.http_status),
            (Code::Unavailable, 503),
            "{outcome:?}"
        );
        let after = outcome.retry_after.expect("it says when to come back");
        assert!((1..=30).contains(&after.as_secs()), "{after:?}");
        assert_eq!(outcome.message, "the database is unavailable");
    }
    let fast = began.elapsed();
    assert!(
        fast < slow,
        "ten refusals took {fast:?}, three failures {slow:?}"
    );
}

/// The breaker is open for 30 s, lets probes through, and closes after two successes.
async fn recovers(call: &Call<'_>) {
    let limit = Duration::from_secs(30) + PATIENCE;
    // Often enough to keep the function awake, and within the gateway's 100 requests a minute.
    until_every(Duration::from_secs(1), call.path, limit, || async {
        let outcome = call.send().await.outcome::<Value>();
        let open = outcome.code == Code::Unavailable;
        assert!(
            open || outcome.code == Code::Ok,
            "{}: {outcome:?}",
            call.path
        );
        (!open).then_some(())
    })
    .await;
    for _ in 0..3 {
        assert_eq!(call.send().await.status, 200, "{}", call.path);
    }
}
