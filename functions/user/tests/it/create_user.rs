//! Signing up.

use futures_util::future::join_all;
use tonic::Code;
use uuid::Uuid;
use zerocart_proto::{
    rpc::{CreateUser as Rpc, Rpc as _},
    user::{CreateUserRequest, UserResponse},
};
use zerocart_test_support::clients::{Client, Wire};
use zerocart_user::CreateUser;

use crate::{Domain, JSON_WIRES, post, post_grpc};

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

#[tokio::test]
async fn an_email_is_taken_in_any_case() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let email = format!("Änne.{wire:?}@Example.com");
        client.call::<Rpc>(&sign_up(&email)).await.ok();
        for again in [email.clone(), email.to_lowercase(), email.to_uppercase()] {
            let outcome = client.call::<Rpc>(&sign_up(&again)).await;
            assert_eq!(outcome.code, Code::AlreadyExists, "{wire:?} {again}");
            if wire.is_json() {
                assert_eq!(outcome.http_status, 409);
            }
            // Neither the constraint nor the table.
            assert_eq!(outcome.message, "there is an account with this e-mail");
        }
    }
    assert_eq!(domain.users().await, 4);
}

#[tokio::test]
async fn of_concurrent_sign_ups_with_one_email_one_succeeds() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let emails = ["me@example.com", "Me@example.com", "ME@EXAMPLE.COM"];
    let calls = (0..8).map(|n| {
        let client = Client::new(Wire::ALL[n % 4], function.address());
        let request = sign_up(emails[n % 3]);
        async move { client.call::<Rpc>(&request).await.code }
    });
    let mut codes = join_all(calls).await;
    codes.sort_by_key(|code| *code as i32);
    let mut expected = vec![Code::AlreadyExists; 8];
    expected[0] = Code::Ok;
    assert_eq!(codes, expected);
    assert_eq!(domain.users().await, 1);
}

#[tokio::test]
async fn a_bad_field_is_named_and_nothing_is_written() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let good = sign_up("me@example.com");
    let email = |email: &str| CreateUserRequest {
        email: email.into(),
        ..good.clone()
    };
    let name = |name: &str| CreateUserRequest {
        name: name.into(),
        ..good.clone()
    };
    let password = |password: &str| CreateUserRequest {
        password: password.into(),
        ..good.clone()
    };
    let too_long = format!("me@{}.{0}.{0}.{0}.com", "d".repeat(62));
    assert_eq!(too_long.len(), 258);
    let table: Vec<(CreateUserRequest, &[&str])> = vec![
        (Default::default(), &["email", "name", "password"]),
        (email(""), &["email"]),
        (email("nonsense"), &["email"]),
        (email("me@localhost"), &["email"]),
        (email("me@@example.com"), &["email"]),
        (email("me@example.com\n"), &["email"]),
        (email("m e@example.com"), &["email"]),
        (email("m\0e@example.com"), &["email"]),
        (email(&too_long), &["email"]),
        (name(""), &["name"]),
        (name(" \t"), &["name"]),
        (name("a\0b"), &["name"]),
        (name(&"é".repeat(201)), &["name"]),
        (password(""), &["password"]),
        (password("ü234567"), &["password"]),
        (password("1234\x005678"), &["password"]),
        (password(&"ü".repeat(129)), &["password"]),
    ];
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for (request, fields) in &table {
            let outcome = client.call::<Rpc>(request).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {request:?}");
            assert_eq!(outcome.field_names(), *fields, "{wire:?} {request:?}");
            if wire.is_json() {
                assert_eq!(outcome.http_status, 400, "{request:?}");
            }
            let secret = &request.password;
            let told = format!("{outcome:?}");
            assert!(secret.is_empty() || !told.contains(secret), "{told}");
        }
    }
    assert_eq!(domain.users().await, 0);
}

#[tokio::test]
async fn what_is_no_request_names_the_field_too() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let rest = r#""email": "me@example.com", "name": "Me""#;
    let json = [
        (r#"{"email": 5}"#.to_owned(), "email"),
        (r#"{"name": ["Me"]}"#.into(), "name"),
        (format!(r#"{{{rest}, "password": 12345678}}"#), "password"),
        (
            format!(r#"{{{rest}, "password": {{"a": "b"}}}}"#),
            "password",
        ),
        (format!(r#"{{{rest}, "password": null}}"#), "password"),
        (
            format!(r#"{{{rest}, "password": "12345678", "name": "You"}}"#),
            "name",
        ),
        (
            format!(r#"{{{rest}, "password": "12345678", "role": "admin"}}"#),
            "role",
        ),
        (
            format!(r#"{{{rest}, "password": "12345678"}} {{}}"#),
            "body",
        ),
        (format!(r#"{{{rest}, "password": "12345678""#), "body"),
        ("[]".into(), "body"),
        (format!(r#"{{"name": {}"#, "[".repeat(10_000)), "name"),
    ];
    for wire in JSON_WIRES {
        let client = Client::new(wire, function.address());
        for (body, field) in &json {
            let reply = post(&client, "/users", body).await;
            let outcome = reply.outcome::<UserResponse>();
            assert_eq!(outcome.http_status, 400, "{body}");
            assert_eq!(outcome.code, Code::InvalidArgument, "{body}");
            assert_eq!(outcome.field_names(), [*field], "{body}");
        }
    }
    // Tags of protobuf: the number of the field times 8, and 0 for a number, 2 for text.
    let grpc: [(&[u8], &str); 5] = [
        (&[1 << 3, 1], "email"),
        (&[2 << 3, 1], "name"),
        (&[3 << 3, 1], "password"),
        (&[3 << 3 | 2, 1, 0xff], "password"),
        (&[0xff], "body"),
    ];
    let client = Client::new(Wire::Grpc, function.address());
    for (message, field) in grpc {
        let reply = post_grpc(&client, Rpc::INFO.grpc_path, message).await;
        let outcome = reply.grpc::<UserResponse>();
        assert_eq!(outcome.code, Code::InvalidArgument, "{message:?}");
        assert_eq!(outcome.field_names(), [field], "{message:?}");
    }
    assert_eq!(domain.users().await, 0);
}
