//! More sign-ins at once than there is a place to hash for.

use futures_util::{FutureExt, future::join_all};
use tonic::Code;
use zerocart_proto::{
    rpc::AuthenticateUser as Rpc,
    user::{AuthRequest, AuthResponse},
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};
use zerocart_user::AuthenticateUser;

use crate::{
    Domain,
    authenticate_user::{assert_refused, customer, login, right_password},
};

/// More than hash (1) and wait (32), fewer than the function takes in.
const AT_ONCE: usize = 90;

/// One hash at a time; nothing else is short.
async fn narrow(domain: &Domain) -> Running {
    domain
        .start_with::<AuthenticateUser>(&[
            ("PASSWORD_HASHES_AT_ONCE", "1"),
            ("MAX_IN_FLIGHT", "200"),
            ("DATABASE_POOL_SIZE", "4"),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "4500"),
        ])
        .await
}

type Answer = (usize, Wire, Outcome<AuthResponse>);

/// Signs in [`AT_ONCE`] times at once, by each wire in turn.
async fn rush(function: &Running, request: impl Fn(usize) -> AuthRequest) -> Vec<Answer> {
    let clients = Wire::ALL.map(|wire| Client::new(wire, function.address()));
    let calls = (0..AT_ONCE).map(|n| {
        let client = clients[n % clients.len()].clone();
        let request = request(n);
        async move { (n, client.wire(), client.call::<Rpc>(&request).await) }
    });
    join_all(calls).await
}

/// Takes those away that were sent away, properly, and expects that there were some.
fn without_shed(answers: Vec<Answer>) -> Vec<Answer> {
    let before = answers.len();
    let mut answered = answers;
    answered.retain(|(_, wire, outcome)| {
        let shed = outcome.code == Code::ResourceExhausted;
        if shed {
            assert!(outcome.retry_after.is_some(), "{outcome:?}");
            assert!(!wire.is_json() || outcome.http_status == 429, "{outcome:?}");
        }
        !shed
    });
    assert!(answered.len() < before, "nobody was sent away");
    answered
}

#[tokio::test]
async fn too_many_are_sent_away_and_the_others_are_answered() {
    let domain = Domain::new().await;
    customer(&domain, "me@example.com").await;
    let function = narrow(&domain).await;
    let request = |n: usize| match n % 3 {
        0 => login("me@example.com", right_password()),
        1 => login("me@example.com", "wrong password"),
        _ => login("nobody@example.com", "wrong password"),
    };
    let mut health = 0;
    let rush = rush(&function, request).fuse();
    let mut rush = Box::pin(rush);
    let other = Client::new(Wire::Http1, function.address());
    let answers = loop {
        tokio::select! {
            answers = &mut rush => break answers,
            reply = other.get("/health") => {
                assert_eq!(reply.status, 200);
                health += 1;
            }
        }
    };
    let answered = without_shed(answers);
    for (n, wire, outcome) in &answered {
        if n % 3 == 0 {
            assert_eq!(outcome.code, Code::Ok, "{outcome:?}");
            assert!(outcome.response.as_ref().is_some_and(|r| r.success));
        } else {
            assert_refused(*wire, outcome);
        }
    }
    // A hash takes as long as many such answers. On the event loop, each would wait for several.
    assert!(
        health > answered.len(),
        "{health} beside {}",
        answered.len()
    );
}

#[tokio::test]
async fn an_unknown_email_takes_a_place_too() {
    let domain = Domain::new().await;
    let function = narrow(&domain).await;
    // Without a hash nobody would have to wait, and nobody would be sent away.
    let answers = rush(&function, |n| login(format!("{n}@example.com"), "password")).await;
    let answered = without_shed(answers);
    for (_, wire, outcome) in &answered {
        assert_refused(*wire, outcome);
    }
    // Who was sent away has not tried.
    let counted = domain
        .number("SELECT coalesce(sum(attempts), 0) FROM sign_in_attempts")
        .await;
    assert_eq!(usize::try_from(counted).unwrap(), answered.len());
}
