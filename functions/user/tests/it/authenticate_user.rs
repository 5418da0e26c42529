//! Signing in.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, StatusCode};
use prost::Message;
use tonic::Code;
use zerocart_auth::{Issuer, Role, Token, TokenError, Verifier};
use zerocart_proto::{
    rpc::{AuthenticateUser as Rpc, CreateUser as SignUp, GetUser as Read, Rpc as _},
    user::{AuthRequest, AuthResponse, GetUserRequest, User},
};
use zerocart_test_support::clients::{Client, Outcome, Reply, Wire};
use zerocart_user::{AuthenticateUser, CreateUser, GetUser};

use crate::{Domain, JSON_WIRES, create_user::sign_up, post, post_grpc};

pub(crate) fn login(email: impl Into<String>, password: impl Into<String>) -> AuthRequest {
    AuthRequest {
        email: email.into(),
        password: password.into(),
    }
}

/// The password of [`customer`].
pub(crate) fn right_password() -> String {
    sign_up("").password
}

/// A customer who signed up.
pub(crate) async fn customer(domain: &Domain, email: &str) -> User {
    let function = domain.start::<CreateUser>().await;
    let client = Client::new(Wire::Grpc, function.address());
    let answer = client.call::<SignUp>(&sign_up(email)).await.ok();
    answer.user.unwrap()
}

fn verifier(domain: &Domain) -> Verifier {
    let authority = &domain.authority;
    Verifier::new(
        &authority.user_keys().keys(),
        &authority.service_keys().keys(),
    )
    .unwrap()
}

#[track_caller]
pub(crate) fn assert_refused(wire: Wire, outcome: &Outcome<AuthResponse>) {
    if wire.is_json() {
        assert_eq!(outcome.http_status, 401);
        assert_eq!(outcome.code, Code::Unauthenticated);
        assert_eq!(outcome.message, "the e-mail or the password is wrong");
    } else {
        // Existing clients read `success`.
        assert_eq!(outcome.code, Code::Ok, "{wire:?}");
        assert_eq!(outcome.response, Some(AuthResponse::default()), "{wire:?}");
    }
}

#[tokio::test]
async fn the_right_password_gives_a_token() {
    let domain = Domain::new().await;
    let me = customer(&domain, "Änne@Example.com").await;
    let function = domain.start::<AuthenticateUser>().await;
    let get_user = domain.start::<GetUser>().await;
    let verifier = verifier(&domain);
    for wire in Wire::ALL {
        for email in ["Änne@Example.com", "änne@example.com", "ÄNNE@EXAMPLE.COM"] {
            let before = SystemTime::now();
            let outcome = Client::new(wire, function.address())
                .call::<Rpc>(&login(email, right_password()))
                .await;
            let after = SystemTime::now();
            assert_eq!(outcome.http_status, 200, "{wire:?} {email}");
            let answer = outcome.ok();
            assert!(answer.success, "{wire:?} {email}");
            assert_eq!(answer.user.as_ref(), Some(&me));

            let token = Token::new(answer.token);
            let identity = verifier.verify(&token, after).unwrap();
            assert_eq!(identity.subject, me.id);
            assert_eq!(identity.role, Role::Customer);
            assert_eq!(identity.issuer, Issuer::User);
            // An hour, give or take the verifier's leeway and the fractions of seconds.
            let minute = Duration::from_secs(60);
            let hour = 60 * minute;
            verifier.verify(&token, before + hour - minute).unwrap();
            let late = verifier.verify(&token, after + hour + minute);
            assert_eq!(late.unwrap_err(), TokenError::Expired);

            let read = Client::new(wire, get_user.address())
                .bearer(&token)
                .call::<Read>(&GetUserRequest { id: me.id.clone() })
                .await;
            assert_eq!(read.ok().user.as_ref(), Some(&me));
        }
    }
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_is_told_to() {
    let domain = Domain::new().await;
    customer(&domain, "me@example.com").await;
    let minutes = [("TOKEN_LIFETIME_SECONDS", "600")];
    let function = domain.start_with::<AuthenticateUser>(&minutes).await;
    let before = SystemTime::now();
    let answer = Client::new(Wire::Grpc, function.address())
        .call::<Rpc>(&login("me@example.com", right_password()))
        .await
        .ok();
    let after = SystemTime::now();
    let token = Token::new(answer.token);
    let verifier = verifier(&domain);
    let time = Duration::from_secs;
    verifier.verify(&token, before + time(590)).unwrap();
    assert!(verifier.verify(&token, after + time(610)).is_err());

    for wrong in ["0", "86401"] {
        let env = domain.env().into_iter();
        let env = env.chain([("TOKEN_LIFETIME_SECONDS".into(), wrong.into())]);
        let error = zerocart_runtime::build::<AuthenticateUser>(env.collect()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("TOKEN_LIFETIME_SECONDS must be between 1 and 86400"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let domain = Domain::new().await;
    customer(&domain, "me@example.com").await;
    let function = domain.start::<AuthenticateUser>().await;
    let right = right_password();
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for wrong in [
            right.to_uppercase(),
            format!("{right} "),
            right[1..].to_owned(),
            "x".into(),
            "p".repeat(128),
        ] {
            let outcome = client.call::<Rpc>(&login("me@example.com", wrong)).await;
            assert_refused(wire, &outcome);
        }
        let outcome = client.call::<Rpc>(&login("you@example.com", &*right)).await;
        assert_refused(wire, &outcome);
    }
}

/// All that a client can see of an answer, but its trace, its date and the start of the process.
fn seen(reply: &Reply) -> (StatusCode, HeaderMap, Option<HeaderMap>, String) {
    let mut headers = reply.headers.clone();
    let trace = headers.remove("traceresponse").unwrap();
    let trace_id = trace.to_str().unwrap().split('-').nth(1).unwrap();
    headers.remove("date");
    headers.remove("x-cold-start");
    let body = reply.text().replace(trace_id, "");
    (reply.status, headers, reply.trailers.clone(), body)
}

#[tokio::test]
async fn an_unknown_email_and_a_wrong_password_look_the_same_to_the_byte() {
    let domain = Domain::new().await;
    customer(&domain, "known@example.com").await;
    let function = domain.start::<AuthenticateUser>().await;
    let known = login("known@example.com", "wrong password");
    let others = [
        login("unknown@example.com", "wrong password"),
        login("unknown@example.com", right_password()),
        login("no e-mail at all", "wrong password"),
    ];
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address());
        let body = |request: &AuthRequest| {
            format!(
                r#"{{"email": "{}", "password": "{}"}}"#,
                request.email, request.password
            )
        };
        let first = post(&client, "/auth/login", &body(&known)).await;
        assert_eq!(first.status, 401);
        for other in &others {
            let reply = post(&client, "/auth/login", &body(other)).await;
            assert_eq!(seen(&reply), seen(&first), "{wire:?} {other:?}");
        }
    }
    let client = Client::new(Wire::Grpc, function.address());
    let path = Rpc::INFO.grpc_path;
    let first = post_grpc(&client, path, &known.encode_to_vec()).await;
    assert_eq!(first.grpc::<AuthResponse>().code, Code::Ok);
    for other in &others {
        let reply = post_grpc(&client, path, &other.encode_to_vec()).await;
        assert_eq!(seen(&reply), seen(&first), "{other:?}");
    }
}

#[tokio::test]
async fn an_unknown_email_and_a_wrong_password_take_alike() {
    let domain = Domain::new().await;
    customer(&domain, "known@example.com").await;
    let function = domain.start::<AuthenticateUser>().await;
    let client = Client::new(Wire::Grpc, function.address());
    let emails = ["known@example.com", "unknown@example.com"];
    // The second has two forms, of which each is hashed.
    for password in ["wrong password", "wrong pa\u{301}ssword"] {
        // The shortest of each: what else the machine does only adds to it. In turns, so that what
        // lasts for a while hits both.
        let mut shortest = [Duration::MAX; 2];
        for _ in 0..8 {
            for (email, shortest) in emails.iter().zip(&mut shortest) {
                let request = login(*email, password);
                let since = Instant::now();
                let outcome = client.call::<Rpc>(&request).await;
                *shortest = since.elapsed().min(*shortest);
                assert_refused(Wire::Grpc, &outcome);
            }
        }
        // Without a hash it would be a fiftieth.
        let [known, unknown] = shortest;
        assert!(known < unknown * 4, "{known:?}, {unknown:?}");
        assert!(unknown < known * 4, "{known:?}, {unknown:?}");
    }
}
