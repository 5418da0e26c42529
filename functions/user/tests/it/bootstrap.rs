//! The first admin.

use std::time::SystemTime;

use futures_util::future::join_all;
use zerocart_auth::{Role, Token, Verifier};
use zerocart_core::{Call, Kind};
use zerocart_postgres::{Config, Database, Options};
use zerocart_proto::{rpc::AuthenticateUser as Rpc, user::AuthRequest};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::PATIENCE,
};
use zerocart_user::{AuthenticateUser, bootstrap};

use crate::Domain;

fn owner(domain: &Domain) -> Database {
    let config = Config::new(domain.database.owner_url().parse().unwrap());
    Database::new(&config, Options::default()).unwrap()
}

#[tokio::test]
async fn the_first_admin_is_made_once_and_signs_in() {
    let domain = Domain::new().await;
    let database = owner(&domain);
    let cx = Call::internal(PATIENCE);
    let credential = bootstrap::first_admin(&database, &cx, None).await.unwrap();
    let credential = credential.expect("there was no admin");
    assert!(!format!("{credential:?}").contains(&credential.password));
    let again = bootstrap::first_admin(&database, &cx, None).await.unwrap();
    assert!(again.is_none());
    assert_eq!(domain.users().await, 1);

    let function = domain.start::<AuthenticateUser>().await;
    let authority = &domain.authority;
    let verifier = Verifier::new(
        &authority.user_keys().keys(),
        &authority.service_keys().keys(),
    )
    .unwrap();
    for wire in [Wire::Http1, Wire::Grpc] {
        let request = AuthRequest {
            email: credential.email.into(),
            password: credential.password.clone(),
        };
        let client = Client::new(wire, function.address());
        let answer = client.call::<Rpc>(&request).await.ok();
        let token = Token::new(answer.token);
        let identity = verifier.verify(&token, SystemTime::now()).unwrap();
        assert_eq!(identity.role, Role::Admin);
        assert_eq!(identity.subject, answer.user.unwrap().id);
    }
}

#[tokio::test]
async fn of_two_starts_at_once_one_has_the_credential() {
    let domain = Domain::new().await;
    let (one, two) = (owner(&domain), owner(&domain));
    let starts = [&one, &two].map(async |database| {
        let cx = Call::internal(PATIENCE);
        bootstrap::first_admin(database, &cx, None).await.unwrap()
    });
    let credentials = join_all(starts).await;
    assert_eq!(credentials.iter().flatten().count(), 1);
    assert_eq!(domain.users().await, 1);
}

#[tokio::test]
async fn the_password_may_be_given_and_has_the_rules_of_all() {
    let domain = Domain::new().await;
    let database = owner(&domain);
    let cx = Call::internal(PATIENCE);
    for bad in [
        "",
        "short",
        "e\u{301}e\u{301}e\u{301}e\u{301}",
        &"x".repeat(129),
    ] {
        let refused = bootstrap::first_admin(&database, &cx, Some(bad)).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
    }
    let credential = bootstrap::first_admin(&database, &cx, Some("correct horse")).await;
    let credential = credential.unwrap().expect("there was no admin");
    let function = domain.start::<AuthenticateUser>().await;
    let request = AuthRequest {
        email: credential.email.into(),
        password: "correct horse".into(),
    };
    let client = Client::new(Wire::Grpc, function.address());
    client.call::<Rpc>(&request).await.ok();
}
