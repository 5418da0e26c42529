//! Changing a password.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
use serde_json::json;
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_proto::{
    rpc::{AuthenticateUser as SignIn, ChangePassword as Rpc},
    user::{ChangePasswordRequest, User, UserResponse},
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};
use zerocart_user::{AuthenticateUser, ChangePassword, GetUser};

use crate::{
    Domain,
    authenticate_user::{customer, login, right_password},
    others::{AT_ONCE, Others, each_was_told, read},
};

const NEW: &str = "battery staple";

fn change(user: &User, old: &str, new: &str) -> ChangePasswordRequest {
    ChangePasswordRequest {
        id: user.id.clone(),
        old_password: old.into(),
        new_password: new.into(),
    }
}

fn client(domain: &Domain, wire: Wire, function: &Running, user: &User) -> Client {
    let token = domain.authority.customer(&user.id);
    Client::new(wire, function.address()).bearer(&token)
}

async fn signs_in(function: &Running, user: &User, password: &str) -> bool {
    let client = Client::new(Wire::Grpc, function.address());
    let answer = client.call::<SignIn>(&login(&user.email, password)).await;
    answer.ok().success
}

fn told(outcome: &Outcome<UserResponse>) -> Vec<String> {
    outcome.fields.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_new_password_signs_in_and_the_old_one_does_not() {
    let domain = Domain::new().await;
    let others = Others::start(&domain).await;
    let function = others.start_function::<ChangePassword>(&domain, &[]).await;
    let sign_in = domain.start::<AuthenticateUser>().await;
    for wire in Wire::ALL {
        let me = customer(&domain, &format!("{wire:?}@example.com")).await;
        let other = customer(&domain, &format!("{wire:?}2@example.com")).await;
        let client = client(&domain, wire, &function, &me);
        let outcome = client
            .call::<Rpc>(&change(&me, &right_password(), "cafe\u{301} noir"))
            .await;
        assert_eq!(outcome.http_status, 200, "{wire:?}: {}", outcome.message);
        assert_eq!(outcome.ok().user.as_ref(), Some(&me), "{wire:?}");
        // In every form of its accents.
        assert!(signs_in(&sign_in, &me, "caf\u{e9} noir").await);
        assert!(!signs_in(&sign_in, &me, &right_password()).await);
        // Another's stays.
        assert!(signs_in(&sign_in, &other, &right_password()).await);
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_and_changes_nothing() {
    let domain = Domain::new().await;
    let me = customer(&domain, "me@example.com").await;
    let others = Others::start(&domain).await;
    let function = others.start_function::<ChangePassword>(&domain, &[]).await;
    let hash = "SELECT password_hash FROM users";
    let before: String = domain.sql.query_one(hash, &[]).await.unwrap().get(0);
    let right = right_password();
    for wire in Wire::ALL {
        let client = client(&domain, wire, &function, &me);
        for (old, new, expected) in [
            ("wrong password", NEW, "old_password is wrong"),
            (&right, &right, "new_password must differ from old_password"),
            (
                &right,
                &"e\u{301}".repeat(4),
                "new_password must have at least 8 characters once accents are composed",
            ),
            (
                &right,
                "short",
                "new_password must have at least 8 characters",
            ),
        ] {
            let outcome = client.call::<Rpc>(&change(&me, old, new)).await;
            assert_eq!(told(&outcome), [expected], "{wire:?}");
            assert_eq!(outcome.code, Code::InvalidArgument);
        }
        let unknown = User {
            id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        let client = self::client(&domain, wire, &function, &unknown);
        let outcome = client.call::<Rpc>(&change(&unknown, &right, NEW)).await;
        assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
    }
    let after: String = domain.sql.query_one(hash, &[]).await.unwrap().get(0);
    assert_eq!(after, before);
    assert_eq!(domain.number("SELECT count(*) FROM token_voids").await, 0);
    assert!(others.told().is_empty());
}

/// The caller's token too. Who repeats the change has to sign in first, and has the same answer then.
#[tokio::test]
async fn earlier_tokens_are_void_everywhere_and_the_new_password_gives_a_good_one() {
    let domain = Domain::new().await;
    let others = Others::start(&domain).await;
    let function = others
        .start_function::<ChangePassword>(&domain, &[AT_ONCE])
        .await;
    let sign_ins = domain.start::<AuthenticateUser>().await;
    let reads = domain.start_with::<GetUser>(&[AT_ONCE]).await;
    for wire in Wire::ALL {
        let me = customer(&domain, &format!("{wire:?}@example.com")).await;
        let token = async |password: &str| {
            let client = Client::new(wire, sign_ins.address());
            let answer = client.call::<SignIn>(&login(&me.email, password)).await;
            Token::new(answer.ok().token)
        };
        let code = async |token: &Token| read(wire, &reads, token, &me.id).await.code;
        let right = right_password();
        let [elsewhere, here] = [token(&right).await, token(&right).await];
        assert_eq!(code(&elsewhere).await, Code::Ok, "{wire:?}");

        let request = change(&me, &right, NEW);
        let changed = async |token: &Token| {
            let client = Client::new(wire, function.address()).bearer(token);
            let client = client.header("idempotency-key", "k");
            client.call::<Rpc>(&request).await
        };
        let answer = changed(&here).await.ok();
        assert_eq!(answer.message, "password changed; sign in again");
        let told = each_was_told(&me.id, 1, "change-password");
        assert_eq!(others.told(), told, "{wire:?}");
        for old in [&elsewhere, &here] {
            assert_eq!(code(old).await, Code::Unauthenticated, "{wire:?}");
        }
        assert_eq!(changed(&here).await.code, Code::Unauthenticated);

        let new = token(NEW).await;
        assert_eq!(code(&new).await, Code::Ok, "{wire:?}");
        assert_eq!(changed(&new).await.ok(), answer, "{wire:?}");
        // It was no second change.
        assert_eq!(code(&new).await, Code::Ok, "{wire:?}");
        assert!(others.told().is_empty());
    }
}

#[tokio::test]
async fn a_domain_that_is_down_is_told_by_the_job_and_the_answer_says_so() {
    let domain = Domain::new().await;
    let me = customer(&domain, "me@example.com").await;
    let others = Others::start(&domain).await;
    let function = others.start_function::<ChangePassword>(&domain, &[]).await;
    others.is_down(Some("cart"));
    let client = client(&domain, Wire::Http1, &function, &me);
    let request = change(&me, &right_password(), NEW);
    let message = client.call::<Rpc>(&request).await.ok().message;
    assert!(message.contains("until the job deliver-voids"), "{message}");
    let mut told = each_was_told(&me.id, 1, "change-password");
    let mut cart = told.remove("cart").unwrap();
    assert_eq!(others.told(), told);

    others.is_down(None);
    let done = others.deliver(&domain).await.unwrap();
    assert_eq!(done, json!({"delivered": 1}));
    cart[0].2 = "deliver-voids".into();
    assert_eq!(others.told(), BTreeMap::from([("cart", cart)]));
}

/// The same answer under the same key, though the old password is wrong by then; and no password in a record.
#[tokio::test]
async fn a_change_that_is_repeated_under_its_key_is_answered_as_before() {
    let domain = Domain::new().await;
    let me = customer(&domain, "me@example.com").await;
    let others = Others::start(&domain).await;
    // It does not know yet that the token is void.
    let early = [
        ("TOKEN_VOIDS_REFRESH_MS", "600000"),
        ("TOKEN_VOIDS_MAX_AGE_MS", "600000"),
    ];
    let function = others
        .start_function::<ChangePassword>(&domain, &early)
        .await;
    let request = change(&me, &right_password(), NEW);
    let calls = (0..4).map(|n| {
        let client = client(&domain, Wire::ALL[n], &function, &me).header("idempotency-key", "k");
        let request = &request;
        async move {
            loop {
                let outcome = client.call::<Rpc>(request).await;
                if outcome.code != Code::Aborted {
                    return outcome.ok();
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    });
    let mut answers = join_all(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let other = change(&me, &right_password(), "another password");
    for wire in Wire::ALL {
        let client = client(&domain, wire, &function, &me).header("idempotency-key", "k");
        assert_eq!(
            client.call::<Rpc>(&request).await.ok(),
            answers[0],
            "{wire:?}"
        );
        assert_eq!(client.call::<Rpc>(&other).await.code, Code::InvalidArgument);
    }
    let leaked = domain
        .number(&format!(
            "SELECT count(*) FROM idempotency_keys k
             WHERE position('{NEW}'::bytea IN response) > 0
                OR position('$argon2id$'::bytea IN response) > 0"
        ))
        .await;
    assert_eq!(leaked, 0);
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins() {
    let domain = Domain::new().await;
    let me = customer(&domain, "me@example.com").await;
    let others = Others::start(&domain).await;
    let function = others.start_function::<ChangePassword>(&domain, &[]).await;
    let sign_in = domain.start::<AuthenticateUser>().await;
    let client = client(&domain, Wire::Http2, &function, &me);
    let passwords = ["first password", "second password"];
    // Both have verified the old password before one of them may write.
    let locker = crate::connect(&domain.database).await;
    locker
        .batch_execute("BEGIN; SELECT FROM users FOR UPDATE")
        .await
        .unwrap();
    let requests = passwords.map(|new| change(&me, &right_password(), new));
    let [one, other] = requests
        .each_ref()
        .map(|request| client.call::<Rpc>(request));
    let unlocked = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while domain.number(waiting).await < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        locker.batch_execute("COMMIT").await.unwrap();
    };
    let ((one, other), ()) = join(join(one, other), unlocked).await;
    let codes = [one.code, other.code];
    let winner = codes.iter().position(|code| *code == Code::Ok).unwrap();
    assert_eq!(codes[1 - winner], Code::Aborted);
    assert!(signs_in(&sign_in, &me, passwords[winner]).await);
    assert!(!signs_in(&sign_in, &me, passwords[1 - winner]).await);
}

/// A stolen token gives no more guesses than sign-in does: both count together.
#[tokio::test]
async fn guesses_count_with_those_to_sign_in() {
    let domain = Domain::new().await;
    let me = customer(&domain, "Me@example.com").await;
    let strict = [("SIGN_IN_FREE_ATTEMPTS", "3")];
    let others = Others::start(&domain).await;
    let function = others
        .start_function::<ChangePassword>(&domain, &strict)
        .await;
    let sign_in = domain.start_with::<AuthenticateUser>(&strict).await;
    let client = client(&domain, Wire::Http1, &function, &me);
    for _ in 0..3 {
        let outcome = client
            .call::<Rpc>(&change(&me, "wrong password", NEW))
            .await;
        assert_eq!(outcome.code, Code::InvalidArgument);
    }
    let outcome = client
        .call::<Rpc>(&change(&me, &right_password(), NEW))
        .await;
    assert_eq!(
        (outcome.code, outcome.http_status),
        (Code::ResourceExhausted, 429)
    );
    assert!(outcome.retry_after.is_some());
    let signing_in = Client::new(Wire::Grpc, sign_in.address());
    let outcome = signing_in
        .call::<SignIn>(&login("me@example.com", right_password()))
        .await;
    assert_eq!(outcome.code, Code::ResourceExhausted);
    // A success forgets them.
    let over = "UPDATE sign_in_attempts SET next_at = now() - interval '1 s'";
    domain.sql.execute(over, &[]).await.unwrap();
    client
        .call::<Rpc>(&change(&me, &right_password(), NEW))
        .await
        .ok();
    assert_eq!(
        domain.number("SELECT count(*) FROM sign_in_attempts").await,
        0
    );
}
