//! Disabling an account, and what becomes of its tokens.

use std::collections::BTreeMap;

use serde_json::json;
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_core::{Env, Platform};
use zerocart_proto::{
    rpc::{AuthenticateUser as SignIn, SetUserState as Rpc},
    user::{AuthResponse, SetUserStateRequest, User, UserResponse, UserState},
};
use zerocart_runtime::job::{JobError, run_once};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};
use zerocart_user::{AuthenticateUser, DeliverVoids, GetUser, SetUserState};

use crate::{
    Domain,
    authenticate_user::{assert_refused, customer, login, right_password},
    others::{AT_ONCE, Others, each_was_told, read},
    until,
};

/// An admin who has an account.
async fn admin(domain: &Domain, email: &str) -> Uuid {
    let id = domain.add_user(email).await;
    let made = "UPDATE users SET role = 'admin' WHERE id = $1";
    domain.sql.execute(made, &[&id]).await.unwrap();
    id
}

async fn set(
    wire: Wire,
    function: &Running,
    token: &Token,
    id: &str,
    state: UserState,
) -> Outcome<UserResponse> {
    let request = SetUserStateRequest {
        id: id.to_owned(),
        state: state.into(),
    };
    let client = Client::new(wire, function.address()).bearer(token);
    client.call::<Rpc>(&request).await
}

async fn sign_in(wire: Wire, function: &Running, password: &str) -> Outcome<AuthResponse> {
    let client = Client::new(wire, function.address());
    client
        .call::<SignIn>(&login("me@example.com", password))
        .await
}

fn state(outcome: Outcome<UserResponse>) -> UserState {
    outcome.ok().user.unwrap().state()
}

#[tokio::test]
async fn the_owner_of_a_disabled_account_cannot_sign_in_and_has_no_good_token() {
    let domain = Domain::new().await;
    let me: User = customer(&domain, "me@example.com").await;
    assert_eq!(me.state(), UserState::Active);
    let others = Others::start(&domain).await;
    let boss = domain.authority.admin(&Uuid::now_v7().to_string());
    let set_state = others.start_function::<SetUserState>(&domain, &[]).await;
    let sign_ins = domain.start::<AuthenticateUser>().await;
    let reads = domain.start_with::<GetUser>(&[AT_ONCE]).await;
    let mut tokens: Vec<Token> = Vec::new();
    for (wire, generation) in Wire::ALL.into_iter().zip(1..) {
        let answer = sign_in(wire, &sign_ins, &right_password()).await.ok();
        let token = Token::new(answer.token);
        assert_eq!(
            state(read(wire, &reads, &token, &me.id).await),
            UserState::Active
        );
        for old in &tokens {
            let outcome = read(wire, &reads, old, &me.id).await;
            assert_eq!(outcome.code, Code::Unauthenticated, "{wire:?}");
        }

        let disabled = set(wire, &set_state, &boss, &me.id, UserState::Disabled).await;
        assert_eq!(state(disabled), UserState::Disabled, "{wire:?}");
        let told = each_was_told(&me.id, generation, "set-user-state");
        assert_eq!(others.told(), told, "{wire:?}");
        assert_eq!(
            domain.number("SELECT count(*) FROM void_deliveries").await,
            0
        );
        // It stays as it is.
        let again = set(wire, &set_state, &boss, &me.id, UserState::Disabled).await;
        assert_eq!(state(again), UserState::Disabled, "{wire:?}");
        assert!(others.told().is_empty());

        let outcome = read(wire, &reads, &token, &me.id).await;
        assert_eq!(outcome.code, Code::Unauthenticated, "{wire:?}");
        assert_eq!(outcome.message, "the token is not valid");
        let right = sign_in(wire, &sign_ins, &right_password()).await;
        assert_eq!(right.code, Code::PermissionDenied, "{wire:?}");
        assert!(right.message.contains("disabled"), "{}", right.message);
        // Who does not know the password learns nothing.
        assert_refused(wire, &sign_in(wire, &sign_ins, "battery staple").await);

        let enabled = set(wire, &set_state, &boss, &me.id, UserState::Active).await;
        assert_eq!(state(enabled), UserState::Active, "{wire:?}");
        assert!(others.told().is_empty());
        tokens.push(token);
    }
    let unknown = Uuid::now_v7().to_string();
    let outcome = set(Wire::Grpc, &set_state, &boss, &unknown, UserState::Disabled).await;
    assert_eq!(outcome.code, Code::NotFound);
}

/// A sign-in that has checked the password when the account is disabled gives a token, but none that is good.
#[tokio::test]
async fn a_sign_in_at_the_same_time_gives_no_good_token() {
    let domain = Domain::new().await;
    let me = customer(&domain, "me@example.com").await;
    let others = Others::start(&domain).await;
    let boss = domain.authority.admin(&Uuid::now_v7().to_string());
    let set_state = others.start_function::<SetUserState>(&domain, &[]).await;
    let sign_ins = domain.start::<AuthenticateUser>().await;
    let reads = domain.start_with::<GetUser>(&[AT_ONCE]).await;
    // What a sign-in does last waits until the test lets it go.
    domain
        .sql
        .batch_execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN OLD; END';
             CREATE TRIGGER wait BEFORE DELETE ON sign_in_attempts
               FOR EACH ROW EXECUTE FUNCTION wait();
             SELECT pg_advisory_lock(7)",
        )
        .await
        .unwrap();
    let password = right_password();
    let signing_in = sign_in(Wire::Grpc, &sign_ins, &password);
    let disabling = async {
        let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the sign-in waits", async || domain.number(waits).await > 0).await;
        let outcome = set(Wire::Grpc, &set_state, &boss, &me.id, UserState::Disabled).await;
        assert_eq!(state(outcome), UserState::Disabled);
        let released = domain
            .sql
            .batch_execute("SELECT pg_advisory_unlock(7)")
            .await;
        released.unwrap();
    };
    let (signed_in, ()) = tokio::join!(signing_in, disabling);
    let token = Token::new(signed_in.ok().token);
    let outcome = read(Wire::Grpc, &reads, &token, &me.id).await;
    assert_eq!(outcome.code, Code::Unauthenticated);
    assert_eq!(outcome.message, "the token is not valid");
}

#[tokio::test]
async fn one_admin_who_is_active_is_left() {
    let domain = Domain::new().await;
    let others = Others::start(&domain).await;
    let function = others.start_function::<SetUserState>(&domain, &[]).await;
    let ids = [
        admin(&domain, "a@b.co").await,
        admin(&domain, "c@d.de").await,
    ];
    let ids = ids.map(|id| id.to_string());
    let tokens = ids.each_ref().map(|id| domain.authority.admin(id));
    let shouted = ids[0].to_uppercase();
    for wire in Wire::ALL {
        let outcome = set(wire, &function, &tokens[0], &shouted, UserState::Disabled).await;
        assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?}");
        assert!(outcome.message.contains("your own account"), "{wire:?}");
    }
    // Each disables the other at once: one is left.
    let (one, other) = tokio::join!(
        set(
            Wire::Grpc,
            &function,
            &tokens[0],
            &ids[1],
            UserState::Disabled
        ),
        set(
            Wire::Grpc,
            &function,
            &tokens[1],
            &ids[0],
            UserState::Disabled
        ),
    );
    let mut codes = [one.code, other.code];
    codes.sort_by_key(|code| *code as i32);
    assert_eq!(codes, [Code::Ok, Code::FailedPrecondition]);
    let active = "SELECT count(*) FROM users WHERE state = 'active'";
    assert_eq!(domain.number(active).await, 1);
    // An admin without an account of this database is nobody who could be left.
    let stranger = domain.authority.admin(&Uuid::now_v7().to_string());
    for id in &ids {
        let outcome = set(Wire::Http1, &function, &stranger, id, UserState::Disabled).await;
        let is_left = outcome.code == Code::FailedPrecondition;
        assert!(is_left || outcome.code == Code::Ok, "{outcome:?}");
    }
    assert_eq!(domain.number(active).await, 1);
}

#[tokio::test]
async fn a_domain_that_is_down_is_named_and_told_by_the_job() {
    let domain = Domain::new().await;
    let me = customer(&domain, "me@example.com").await;
    let others = Others::start(&domain).await;
    let boss = domain.authority.admin(&Uuid::now_v7().to_string());
    let function = others.start_function::<SetUserState>(&domain, &[]).await;
    let pending = "SELECT count(*) FROM void_deliveries WHERE domain = 'cart' AND generation = 1";
    let all = "SELECT count(*) FROM void_deliveries";
    let request = SetUserStateRequest {
        id: me.id.clone(),
        state: UserState::Disabled.into(),
    };
    let client = Client::new(Wire::Http1, function.address())
        .bearer(&boss)
        .header("idempotency-key", "one");

    others.is_down(Some("cart"));
    // Also under the same key: what is recorded is not the whole answer.
    for _ in 0..2 {
        let outcome = client.call::<Rpc>(&request).await;
        assert_eq!(outcome.code, Code::Unavailable, "{outcome:?}");
        assert!(outcome.message.contains("in: cart;"), "{}", outcome.message);
        assert_eq!(outcome.metadata.get("domains"), Some(&"cart".to_owned()));
        assert!(outcome.retry_after.is_some());
    }
    let disabled = "SELECT count(*) FROM users WHERE state = 'disabled'";
    assert_eq!(domain.number(disabled).await, 1);
    assert_eq!(domain.number("SELECT count(*) FROM token_voids").await, 1);
    let mut told = each_was_told(&me.id, 1, "set-user-state");
    let mut cart = told.remove("cart").unwrap();
    assert_eq!(others.told(), told);
    assert_eq!(
        (domain.number(pending).await, domain.number(all).await),
        (1, 1)
    );

    let failed = others.deliver(&domain).await.unwrap_err();
    assert!(failed.to_string().contains("not told: cart"), "{failed}");
    assert_eq!(domain.number(pending).await, 1);

    others.is_down(None);
    let done = others.deliver(&domain).await.unwrap();
    assert_eq!(done, json!({"delivered": 1}));
    cart[0].2 = "deliver-voids".into();
    assert_eq!(others.told(), BTreeMap::from([("cart", cart)]));
    assert_eq!(domain.number(all).await, 0);
    let done = others.deliver(&domain).await.unwrap();
    assert_eq!(done, json!({"delivered": 0}));

    // Now the same request has its answer.
    let outcome = client.call::<Rpc>(&request).await;
    assert_eq!(state(outcome), UserState::Disabled);
    assert!(others.told().is_empty());
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let domain = Domain::new().await;
    let missing = |error: zerocart_core::StartError| {
        let error = error.to_string();
        for name in [
            "AUTH_SERVICE_SIGNING_KEY",
            "record-void-in-cart",
            "record-void-in-payment",
        ] {
            assert!(error.contains(name), "{error}");
        }
    };
    let mut env = domain.env();
    env.push(("FUNCTION_URLS".into(), "{}".into()));
    let env: Env = env.into_iter().collect();
    missing(zerocart_runtime::build::<SetUserState>(env.clone()).unwrap_err());
    match run_once::<DeliverVoids>(Platform::default(), env).await {
        Err(JobError::Start(error)) => missing(error),
        other => panic!("{other:?}"),
    }
}
