//! The stories on Lambda (`cargo lambda watch`), and what they are told by the local engine.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod zerocart;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};

use zerocart_auth::Token;
use zerocart_conformance::{
    self as conformance, Plan, Told,
    edge::{self, Edge},
};
use zerocart_proto::{rpc, user::AuthRequest};
use zerocart_test_support::clients::{Client, Wire};

use zerocart::Zerocart;

/// How many addresses the stories call from: a gateway counts the requests of each alone.
const SOURCES: u8 = 20;

/// The same stories, and the same answers to the letter, but for what [`edge`] lists.
#[tokio::test(flavor = "multi_thread")]
async fn lambda_and_the_local_engine_tell_the_same() {
    let lambda = Zerocart::start(&["lambda", "watch", "--no-build", "--port", "0"]).await;
    let on_lambda = told(&lambda, edge::LAMBDA_WATCH).await;
    for job in ["recover-orders", "settle-payments"] {
        lambda.job(job).await;
    }
    lambda.stop().await;

    let local = Zerocart::start(&["up", "--no-build", "--in-process", "--port", "0"]).await;
    // Lambda has no fleet to tell of.
    let edge = Edge {
        fleet: false,
        ..edge::KONG
    };
    let locally = told(&local, edge).await;
    local.stop().await;

    let differences = locally.transcript.differences(&on_lambda.transcript);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What is told through the address of `zerocart`, all of it.
async fn told(zerocart: &Zerocart, edge: Edge) -> Told {
    let sign_in = AuthRequest {
        email: zerocart.email.clone(),
        password: zerocart.password.clone(),
    };
    let client = Client::to(Wire::Http1, zerocart.url.clone()).unwrap();
    let admin = client.call::<rpc::AuthenticateUser>(&sign_in).await.ok();
    let plan = Plan {
        sources: (1..=SOURCES)
            .map(|n| IpAddr::from(Ipv4Addr::new(127, 0, 1, n)))
            .collect(),
        ..Plan::new(zerocart.url.clone(), Token::new(admin.token), edge)
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let say = Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
    let told = conformance::run(&plan, say, std::future::pending()).await;
    told.unwrap_or_else(|stop| {
        let lines = lines.lock().unwrap().join("\n");
        panic!("{lines}\n{stop}\n{}", zerocart.output())
    })
}
