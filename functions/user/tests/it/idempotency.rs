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
async fn one_key_makes_one_account_whatever_the_wire() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let mut answers = Vec::new();
    for wire in Wire::ALL {
        let outcome = Client::new(wire, function.address())
            .header("idempotency-key", "k")
            .call::<Rpc>(&sign_up("me@example.com"))
            .await;
        if wire.is_json() {
            assert_eq!(outcome.http_status, 201, "{wire:?}");
            assert!(outcome.header("location").is_some());
        }
        answers.push(outcome.ok());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(domain.users().await, 1);
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
async fn another_request_under_the_key_is_refused() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let first = sign_up("me@example.com");
    let client = |wire| Client::new(wire, function.address()).header("idempotency-key", "k");
    client(Wire::Grpc).call::<Rpc>(&first).await.ok();
    let others = [
        CreateUserRequest {
            name: "You".into(),
            ..first.clone()
        },
        CreateUserRequest {
            password: "another password".into(),
            ..first.clone()
        },
    ];
    for wire in Wire::ALL {
        for other in &others {
            let outcome = client(wire).call::<Rpc>(other).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
            assert_eq!(outcome.field_names(), ["idempotency-key"], "{wire:?}");
            if wire.is_json() {
                assert_eq!(outcome.http_status, 422);
            }
        }
        // The first request still has its answer.
        client(wire).call::<Rpc>(&first).await.ok();
    }
    assert_eq!(domain.users().await, 1);
}

/// Nobody knows strangers apart: each e-mail has keys of its own.
#[tokio::test]
async fn strangers_may_choose_one_key() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let request = sign_up(format!("{n}@example.com"));
        let client = Client::new(wire, function.address()).header("idempotency-key", "k");
        let made = client.call::<Rpc>(&request).await.ok().user.unwrap();
        assert_eq!(made.email, request.email);
        let again = client.call::<Rpc>(&request).await.ok();
        assert_eq!(again.user.unwrap(), made);
    }
    assert_eq!(domain.users().await, 4);
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
