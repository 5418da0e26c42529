//! Signing up under an idempotency key.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::Code;
use zerocart_proto::{
    rpc::CreateUser as Rpc,
    user::{CreateUserRequest, UserResponse},
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::PATIENCE,
};
use zerocart_user::CreateUser;

use crate::{Domain, create_user::sign_up};

/// The answer, asked for again while another request under the key runs.
async fn answer(client: &Client, request: &CreateUserRequest) -> Outcome<UserResponse> {
    let asked = async {
        loop {
            let outcome = client.call::<Rpc>(request).await;
            if outcome.code != Code::Aborted {
                return outcome;
            }
            assert!(outcome.retry_after.is_some());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    answered.expect("the other request ends")
}

#[tokio::test]
async fn one_key_makes_one_account_when_all_come_at_once() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let request = &sign_up("me@example.com");
    let calls = (0..6).map(|n| {
        let client = Client::new(Wire::ALL[n % 4], function.address());
        let client = client.header("idempotency-key", "k");
        async move { answer(&client, request).await.ok() }
    });
    let mut answers = join_all(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(domain.users().await, 1);
}

#[tokio::test]
async fn a_taken_email_stays_the_answer() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    domain.add_user("me@example.com").await;
    let keyed = |wire, key| Client::new(wire, function.address()).header("idempotency-key", key);
    let request = sign_up("Me@example.com");
    let told = |outcome: Outcome<UserResponse>| (outcome.code, outcome.message);
    let first = told(keyed(Wire::Grpc, "k").call::<Rpc>(&request).await);
    assert_eq!(first.0, Code::AlreadyExists);
    // What is true now is another matter.
    let gone = domain.sql.execute("DELETE FROM users", &[]).await.unwrap();
    assert_eq!(gone, 1);
    for wire in Wire::ALL {
        let outcome = keyed(wire, "k").call::<Rpc>(&request).await;
        if wire.is_json() {
            assert_eq!(outcome.http_status, 409);
        }
        assert_eq!(told(outcome), first, "{wire:?}");
    }
    assert_eq!(domain.users().await, 0);
    keyed(Wire::Grpc, "l").call::<Rpc>(&request).await.ok();
}
