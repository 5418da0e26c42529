//! Signing up.

use tonic::Code;
use uuid::Uuid;
use zerocart_proto::{rpc::CreateUser as Rpc, user::CreateUserRequest};
use zerocart_test_support::clients::{Client, Wire};
use zerocart_user::CreateUser;

use crate::Domain;

const PASSWORD: &str = "correct horse battery";

pub(crate) fn sign_up(email: impl Into<String>) -> CreateUserRequest {
    CreateUserRequest {
        email: email.into(),
        name: "Änne Müller".into(),
        password: PASSWORD.into(),
    }
}

#[tokio::test]
async fn an_account_is_made_and_its_password_is_kept_as_a_hash_alone() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    for wire in Wire::ALL {
        let request = sign_up(format!("Me.{wire:?}@Example.com"));
        let outcome = Client::new(wire, function.address())
            .header("idempotency-key", &format!("{wire:?}"))
            .call::<Rpc>(&request)
            .await;
        assert_eq!(outcome.code, Code::Ok, "{wire:?}: {}", outcome.message);
        let location = outcome.header("location").map(str::to_owned);
        let status = outcome.http_status;
        let user = outcome.ok().user.unwrap();
        if wire.is_json() {
            assert_eq!(status, 201);
            assert_eq!(location, Some(format!("/users/{}", user.id)));
        }
        assert_eq!((&user.email, &user.name), (&request.email, &request.name));
        let id = Uuid::try_parse(&user.id).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.to_string(), user.id);

        let row = domain
            .sql
            .query_one(
                "SELECT email, email_key, name, password_hash, role,
                        created_at = $2::text::timestamptz, users::text
                 FROM users WHERE id = $1",
                &[&id, &user.created_at],
            )
            .await
            .unwrap();
        let text = |column: usize| row.get::<_, &str>(column);
        assert_eq!(text(0), request.email);
        assert_eq!(text(1), request.email.to_lowercase());
        assert_eq!(text(2), request.name);
        // The minimum of the OWASP Password Storage Cheat Sheet for argon2id.
        assert!(
            text(3).starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            text(3)
        );
        assert_eq!(text(4), "customer");
        assert!(row.get::<_, bool>(5), "{}", user.created_at);
        assert_eq!(user.created_at.len(), "2026-11-22T10:00:00.000001Z".len());
        assert!(user.created_at.ends_with('Z'), "{}", user.created_at);
        assert!(!text(6).contains(PASSWORD));
    }
    let leaked = domain
        .number(&format!(
            "SELECT count(*) FROM idempotency_keys k
             WHERE position('{PASSWORD}'::bytea IN response) > 0
                OR position('$argon2id$'::bytea IN response) > 0"
        ))
        .await;
    assert_eq!(leaked, 0);
    // Each account has a salt of its own.
    let hashes = "SELECT count(DISTINCT password_hash) FROM users";
    assert_eq!(domain.number(hashes).await, 4);
}

#[tokio::test]
async fn every_limit_itself_is_good() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let longest_email = |first: char| {
        let label = |n: usize| "d".repeat(n);
        format!(
            "{first}{}@{}.{}.{}",
            "l".repeat(63),
            label(63),
            label(63),
            label(61)
        )
    };
    for (n, wire) in [Wire::Http1, Wire::Grpc].into_iter().enumerate() {
        let first = char::from(b'a' + u8::try_from(n).unwrap());
        let client = Client::new(wire, function.address());
        let longest = CreateUserRequest {
            email: longest_email(first),
            name: "é".repeat(200),
            password: "ü".repeat(128),
        };
        assert_eq!(longest.email.len(), 254);
        let shortest = CreateUserRequest {
            email: format!("{first}@b.co"),
            name: "é".into(),
            password: "ü".repeat(8),
        };
        for request in [longest, shortest] {
            let user = client.call::<Rpc>(&request).await.ok().user.unwrap();
            assert_eq!((user.email, user.name), (request.email, request.name));
        }
    }
}
