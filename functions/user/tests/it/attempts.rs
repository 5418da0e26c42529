//! Signing in again and again.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::Code;
use zerocart_core::Env;
use zerocart_proto::{rpc::AuthenticateUser as Rpc, user::AuthResponse};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};
use zerocart_user::AuthenticateUser;

use crate::{
    Domain,
    authenticate_user::{assert_refused, customer, login, right_password},
};

const KNOWN: &str = "Known@example.com";
const UNKNOWN: &str = "Unknown@example.com";

/// Three attempts are free.
async fn strict(domain: &Domain) -> Running {
    domain
        .start_with::<AuthenticateUser>(&[("SIGN_IN_FREE_ATTEMPTS", "3")])
        .await
}

async fn wrong(client: &Client, email: &str) -> Outcome<AuthResponse> {
    client.call::<Rpc>(&login(email, "wrong password")).await
}

#[track_caller]
fn assert_too_many(wire: Wire, outcome: &Outcome<AuthResponse>) {
    assert_eq!(outcome.code, Code::ResourceExhausted, "{wire:?}");
    if wire.is_json() {
        assert_eq!(outcome.http_status, 429);
    }
    let wait = outcome.retry_after.unwrap();
    assert!(wait >= Duration::from_secs(1), "{wait:?}");
    assert!(wait <= Duration::from_secs(30), "{wait:?}");
}

/// As if every wait were over.
async fn wait_is_over(domain: &Domain) {
    let over = "UPDATE sign_in_attempts SET next_at = now() - interval '1 s'";
    domain.sql.execute(over, &[]).await.unwrap();
}

#[tokio::test]
async fn whoever_fails_too_often_has_to_wait_with_an_account_or_without() {
    let domain = Domain::new().await;
    customer(&domain, KNOWN).await;
    let function = strict(&domain).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let mut seen = Vec::new();
        for email in [KNOWN, UNKNOWN] {
            // In any case it is the same e-mail.
            for spelling in [email, &email.to_lowercase(), &email.to_uppercase()] {
                assert_refused(wire, &wrong(&client, spelling).await);
            }
            let refused = wrong(&client, email).await;
            assert_too_many(wire, &refused);
            seen.push((refused.code, refused.message, refused.fields.len()));
        }
        assert_eq!(seen[0], seen[1], "{wire:?}");
        domain
            .sql
            .execute("DELETE FROM sign_in_attempts", &[])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn success_forgets_the_failures_before_it() {
    let domain = Domain::new().await;
    customer(&domain, KNOWN).await;
    let function = strict(&domain).await;
    let client = Client::new(Wire::Http1, function.address());
    let right = login(KNOWN, right_password());
    for round in 0..3 {
        for _ in 0..2 {
            assert_refused(Wire::Http1, &wrong(&client, KNOWN).await);
        }
        let signed_in = client.call::<Rpc>(&right).await;
        assert!(signed_in.ok().success, "{round}");
        let rows = domain.number("SELECT count(*) FROM sign_in_attempts").await;
        assert_eq!(rows, 0, "{round}");
    }
    // While one has to wait, the right password has to wait too, and that does not prolong it.
    for _ in 0..3 {
        assert_refused(Wire::Http1, &wrong(&client, KNOWN).await);
    }
    let attempts = "SELECT attempts::bigint FROM sign_in_attempts";
    for _ in 0..3 {
        assert_too_many(Wire::Http1, &client.call::<Rpc>(&right).await);
        assert_eq!(domain.number(attempts).await, 3);
    }
    wait_is_over(&domain).await;
    assert!(client.call::<Rpc>(&right).await.ok().success);
}

#[tokio::test]
async fn waits_double_up_to_half_a_minute_and_are_forgotten_after_an_hour() {
    let domain = Domain::new().await;
    let function = strict(&domain).await;
    let client = Client::new(Wire::Grpc, function.address());
    let wait = "SELECT round(extract(epoch FROM next_at - last_at))::bigint FROM sign_in_attempts";
    for expected_s in [0, 0, 1, 2, 4, 8, 16, 30, 30, 30] {
        assert_refused(Wire::Grpc, &wrong(&client, UNKNOWN).await);
        assert_eq!(domain.number(wait).await, expected_s);
        wait_is_over(&domain).await;
    }
    let old = "UPDATE sign_in_attempts SET last_at = now() - interval '2 hours'";
    domain.sql.execute(old, &[]).await.unwrap();
    assert_refused(Wire::Grpc, &wrong(&client, UNKNOWN).await);
    assert_eq!(domain.number(wait).await, 0);
    let attempts = "SELECT attempts::bigint FROM sign_in_attempts";
    assert_eq!(domain.number(attempts).await, 1);

    // And the rows of others go.
    domain.sql.execute(old, &[]).await.unwrap();
    assert_refused(Wire::Grpc, &wrong(&client, KNOWN).await);
    let rows = domain.number("SELECT count(*) FROM sign_in_attempts").await;
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn attempts_at_once_count_too() {
    const AT_ONCE: usize = 20;
    let domain = Domain::new().await;
    customer(&domain, KNOWN).await;
    let function = strict(&domain).await;
    let clients = Wire::ALL.map(|wire| Client::new(wire, function.address()));
    let attempts = (0..AT_ONCE).map(|n| wrong(&clients[n % clients.len()], KNOWN));
    let outcomes = join_all(attempts).await;
    let looked_at = outcomes
        .iter()
        .filter(|outcome| outcome.code != Code::ResourceExhausted)
        .count();
    // Three at the least, and more only when so much time has passed meanwhile.
    let counted = "SELECT attempts::bigint FROM sign_in_attempts";
    let counted = usize::try_from(domain.number(counted).await).unwrap();
    assert_eq!(looked_at, counted);
    assert!((3..AT_ONCE).contains(&looked_at), "{looked_at}");
}

#[tokio::test]
async fn a_limit_that_is_none_is_refused() {
    let domain = Domain::new().await;
    for bad in ["0", "1", "-3", "many"] {
        let env = domain.env().into_iter();
        let env: Env = env
            .chain([("SIGN_IN_FREE_ATTEMPTS".into(), bad.into())])
            .collect();
        let error = zerocart_runtime::build::<AuthenticateUser>(env).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("SIGN_IN_FREE_ATTEMPTS"), "{error}");
    }
}
