//! One account per address, also where accounts were made before addresses had keys.

use argon2::{Argon2, password_hash::PasswordHasher};
use futures_util::future::join_all;
use tonic::Code;
use uuid::Uuid;
use zerocart_proto::{
    rpc::{AuthenticateUser as SignIn, CreateUser as SignUp},
    user::AuthResponse,
};
use zerocart_test_support::clients::{Client, Outcome, Wire};
use zerocart_user::{AuthenticateUser, CreateUser};

use crate::{
    Domain,
    authenticate_user::{assert_refused, login, right_password},
    create_user::sign_up,
};

/// As the migration has it.
const MIGRATION: &str = include_str!("../../../../migrations/user/0004_address_keys.sql");

/// Ways to write one address.
const SPELLINGS: [&str; 4] = [
    "a\u{e9}@bücher.example",
    "ae\u{301}@bücher.example",
    "A\u{c9}@xn--bcher-kva.example",
    "a\u{e9}@ｂücher．example",
];

/// An account of the version before: its e-mail in lower case is all that it is found by, and its
/// password was hashed as it was sent. `age` in seconds.
async fn old_account(domain: &Domain, email: &str, password: &str, age: f64) -> Uuid {
    let id = Uuid::now_v7();
    let hash = Argon2::default().hash_password(password.as_bytes());
    let insert = "INSERT INTO users (id, email, email_key, name, password_hash, created_at)
                  VALUES ($1, $2, $3, 'Old', $4, now() - $5 * interval '1 s')";
    let hash = hash.unwrap().to_string();
    let key = email.to_lowercase();
    domain
        .sql
        .execute(insert, &[&id, &email, &key, &hash, &age])
        .await
        .unwrap();
    id
}

async fn try_in(client: &Client, email: &str, password: &str) -> Outcome<AuthResponse> {
    client.call::<SignIn>(&login(email, password)).await
}

/// The id of the account that signs in so.
async fn signed_in(client: &Client, email: &str, password: &str) -> String {
    let answer = try_in(client, email, password).await.ok();
    answer.user.unwrap_or_else(|| panic!("{email:?}")).id
}

#[tokio::test]
async fn of_concurrent_sign_ups_with_one_address_one_succeeds() {
    let domain = Domain::new().await;
    let function = domain.start::<CreateUser>().await;
    let calls = (0..8).map(|n| {
        let client = Client::new(Wire::ALL[n % 4], function.address());
        let request = sign_up(SPELLINGS[n % SPELLINGS.len()]);
        async move { client.call::<SignUp>(&request).await.code }
    });
    let mut codes = join_all(calls).await;
    codes.sort_by_key(|code| *code as i32);
    let mut expected = vec![Code::AlreadyExists; 8];
    expected[0] = Code::Ok;
    assert_eq!(codes, expected);
    assert_eq!(domain.users().await, 1);
}

#[tokio::test]
async fn an_address_of_the_version_before_is_taken_in_every_spelling() {
    for old in SPELLINGS {
        let domain = Domain::new().await;
        old_account(&domain, old, "correct horse", 60.0).await;
        let function = domain.start::<CreateUser>().await;
        for spelling in SPELLINGS {
            let client = Client::new(Wire::Grpc, function.address());
            let outcome = client.call::<SignUp>(&sign_up(spelling)).await;
            assert_eq!(outcome.code, Code::AlreadyExists, "{old} {spelling}");
        }
        assert_eq!(domain.users().await, 1);
    }
}

#[tokio::test]
async fn an_account_of_the_version_before_is_found_by_every_spelling() {
    for old in SPELLINGS {
        let domain = Domain::new().await;
        let id = old_account(&domain, old, "correct horse", 60.0).await;
        // Before anyone has signed up, and all at once.
        let function = domain.start::<AuthenticateUser>().await;
        let client = Client::new(Wire::Http1, function.address());
        let calls = SPELLINGS.map(|spelling| signed_in(&client, spelling, "correct horse"));
        for found in join_all(calls).await {
            assert_eq!(found, id.to_string(), "{old}");
        }
    }
}

#[tokio::test]
async fn twins_of_the_version_before_sign_in_as_they_are_spelled() {
    let domain = Domain::new().await;
    let mut twins = Vec::new();
    for (n, spelling) in (0_u8..).zip(SPELLINGS) {
        let password = format!("correct horse {n}");
        let id = old_account(&domain, spelling, &password, 60.0 - f64::from(n)).await;
        twins.push((spelling, password, id.to_string()));
    }
    // An e-mail that is none any more, beside the one that it looks like.
    for email in [
        "b@example.com",
        "b\u{200b}@example.com",
        "\u{1f600}@example.com",
    ] {
        let id = old_account(&domain, email, "correct horse", 9.0).await;
        twins.push((email, "correct horse".to_owned(), id.to_string()));
    }
    let function = domain.start::<AuthenticateUser>().await;
    let client = Client::new(Wire::Grpc, function.address());
    // In turns: the first one finds accounts without a key, the others none.
    for (spelling, password, id) in twins.iter().chain(&twins) {
        for cased in [(*spelling).to_owned(), spelling.to_uppercase()] {
            assert_eq!(signed_in(&client, &cased, password).await, *id, "{cased}");
        }
    }
    // Who has neither's spelling means the one who was first.
    let (_, password, oldest) = &twins[0];
    let another = "ae\u{301}@bu\u{308}cher.example";
    assert_eq!(signed_in(&client, another, password).await, *oldest);
    assert_refused(Wire::Grpc, &try_in(&client, another, &twins[1].1).await);

    let function = domain.start::<CreateUser>().await;
    let client = Client::new(Wire::Grpc, function.address());
    for email in ["b@example.com", another] {
        let outcome = client.call::<SignUp>(&sign_up(email)).await;
        assert_eq!(outcome.code, Code::AlreadyExists, "{email}");
    }
}

#[tokio::test]
async fn all_accounts_of_the_version_before_get_their_keys_at_once() {
    let domain = Domain::new().await;
    let many = "INSERT INTO users (id, email, email_key, name, password_hash)
                SELECT gen_random_uuid(), 'ü' || n || '@example.com', 'ü' || n || '@example.com', 'Old', 'none'
                FROM generate_series(1, 1200) AS n";
    domain.sql.execute(many, &[]).await.unwrap();
    let twins = "INSERT INTO users (id, email, email_key, name, password_hash)
                 SELECT gen_random_uuid(), email, email, 'Old', 'none'
                 FROM (SELECT U&'u\\0308' || n || '@example.com' AS email
                       FROM generate_series(1, 100) AS n) AS twins";
    domain.sql.execute(twins, &[]).await.unwrap();
    let (up, into) = tokio::join!(
        domain.start::<CreateUser>(),
        domain.start::<AuthenticateUser>()
    );
    // Several see them at the same time.
    let calls = (0..8).map(|n| {
        let (up, into) = (up.address(), into.address());
        async move {
            if n % 2 == 0 {
                let client = Client::new(Wire::Grpc, up);
                client
                    .call::<SignUp>(&sign_up(format!("ü{n}@example.com")))
                    .await
                    .code
            } else {
                let client = Client::new(Wire::Grpc, into);
                try_in(&client, "nobody@example.com", "wrong password")
                    .await
                    .code
            }
        }
    });
    let codes = join_all(calls).await;
    let taken = codes
        .iter()
        .filter(|code| **code == Code::AlreadyExists)
        .count();
    // ü0 is new; ü2, ü4 and ü6 are taken.
    assert_eq!(taken, 3, "{codes:?}");
    assert_eq!(
        codes.iter().filter(|code| **code == Code::Ok).count(),
        5,
        "{codes:?}"
    );
    let left = "SELECT count(*) FROM users WHERE address_key IS NULL AND NOT twin";
    assert_eq!(domain.number(left).await, 0);
    let twins = "SELECT count(*) FROM users WHERE twin";
    assert_eq!(domain.number(twins).await, 100);
}

#[tokio::test]
async fn the_migration_knows_the_keys_of_ascii() {
    let domain = Domain::new().await;
    for email in [
        "Ada@Example.com",
        "o'neil/x=y!@b--c.4u",
        "a@xn--bcher-kva.example",
        "ä@example.com",
    ] {
        domain.add_user(email).await;
    }
    let statement = MIGRATION
        .split(';')
        .find(|s| s.contains("UPDATE users SET"));
    domain.sql.batch_execute(statement.unwrap()).await.unwrap();
    let keyed = "SELECT count(*) FROM users WHERE address_key = email_key";
    assert_eq!(domain.number(keyed).await, 2);
    let function = domain.start::<CreateUser>().await;
    let client = Client::new(Wire::Grpc, function.address());
    client
        .call::<SignUp>(&sign_up("new@example.com"))
        .await
        .ok();
    // These are what the function makes of them.
    let keys = "SELECT count(*) FROM users WHERE address_key = email_key
                AND email_key IN ('ada@example.com', 'o''neil/x=y!@b--c.4u', 'a@xn--bcher-kva.example', 'ä@example.com')";
    assert_eq!(domain.number(keys).await, 4);
}

#[tokio::test]
async fn all_spellings_count_as_one_when_somebody_guesses() {
    let domain = Domain::new().await;
    let free = SPELLINGS.len().to_string();
    let limit = [("SIGN_IN_FREE_ATTEMPTS", free.as_str())];
    let function = domain.start_with::<AuthenticateUser>(&limit).await;
    let client = Client::new(Wire::Http1, function.address());
    for spelling in SPELLINGS {
        assert_refused(
            Wire::Http1,
            &try_in(&client, spelling, "wrong password").await,
        );
    }
    for spelling in SPELLINGS {
        let outcome = try_in(&client, &format!(" {spelling}\u{a0}"), "wrong password").await;
        assert_eq!(outcome.code, Code::ResourceExhausted, "{spelling}");
    }
}

#[tokio::test]
async fn a_password_that_was_hashed_as_it_was_sent_goes_on_working() {
    let domain = Domain::new().await;
    let function = domain.start::<AuthenticateUser>().await;
    // Decomposed, with a no-break space, and with a control character that is refused today.
    for (n, password) in ["cafe\u{301} noir", "caf\u{e9}\u{a0}noir", "cafe\tnoir"]
        .into_iter()
        .enumerate()
    {
        let email = format!("{n}@example.com");
        let id = old_account(&domain, &email, password, 60.0).await;
        for wire in Wire::ALL {
            let client = Client::new(wire, function.address());
            assert_eq!(signed_in(&client, &email, password).await, id.to_string());
            assert_refused(wire, &try_in(&client, &email, &right_password()).await);
        }
    }
    // As many characters as a password may have, each in as many parts as there may be.
    let up = domain.start::<CreateUser>().await;
    let mut request = sign_up("long@example.com");
    request.password = "\u{1f82}".repeat(128);
    let client = Client::new(Wire::Grpc, up.address());
    client.call::<SignUp>(&request).await.ok();
    let client = Client::new(Wire::Grpc, function.address());
    let parts = "\u{3b1}\u{313}\u{300}\u{345}".repeat(128);
    signed_in(&client, "long@example.com", &parts).await;
}
