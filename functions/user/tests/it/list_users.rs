//! Listing and searching accounts.

use std::time::Duration;

use uuid::Uuid;
use zerocart_proto::{
    rpc::{CreateUser as SignUp, ListUsers as Rpc},
    user::{CreateUserRequest, ListUsersRequest, ListUsersResponse, User},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{PATIENCE, Running},
};
use zerocart_user::{CreateUser, ListUsers};

use crate::{Domain, create_user::sign_up};

fn page(limit: i32, search: &str) -> ListUsersRequest {
    ListUsersRequest {
        limit,
        search: search.into(),
        ..Default::default()
    }
}

fn admin(domain: &Domain, wire: Wire, function: &Running) -> Client {
    let token = domain.authority.admin(&Uuid::now_v7().to_string());
    Client::new(wire, function.address()).bearer(&token)
}

fn names(answer: &ListUsersResponse) -> Vec<&str> {
    answer.users.iter().map(|user| user.name.as_str()).collect()
}

/// Accounts that cannot sign in, of these e-mails and names. Gives their ids, oldest first.
async fn accounts(domain: &Domain, list: &[(&str, &str)]) -> Vec<String> {
    let mut ids = Vec::new();
    for (email, name) in list {
        let id = domain.add_user(email).await;
        let named = "UPDATE users SET name = $2 WHERE id = $1";
        domain.sql.execute(named, &[&id, name]).await.unwrap();
        ids.push(id.to_string());
    }
    ids
}

/// All pages of a list, each of so many accounts: their ids.
async fn all_pages(client: &Client, limit: i32, search: &str) -> Vec<String> {
    let mut asked = page(limit, search);
    let mut seen = Vec::new();
    loop {
        let answer = client.call::<Rpc>(&asked).await.ok();
        assert!(answer.users.len() <= limit as usize);
        seen.extend(answer.users.into_iter().map(|user| user.id));
        if answer.next_page_token.is_empty() {
            return seen;
        }
        asked.page_token = answer.next_page_token;
    }
}

#[tokio::test]
async fn the_newest_come_first_as_they_were_made() {
    let domain = Domain::new().await;
    let create = domain.start::<CreateUser>().await;
    let function = domain.start::<ListUsers>().await;
    let mut made: Vec<User> = Vec::new();
    for wire in Wire::ALL {
        let client = Client::new(wire, create.address());
        let request = sign_up(format!("{wire:?}@example.com"));
        let answer = client.call::<SignUp>(&request).await.ok();
        made.insert(0, answer.user.unwrap());
    }
    for wire in Wire::ALL {
        let client = admin(&domain, wire, &function);
        let outcome = client.call::<Rpc>(&page(0, "")).await;
        assert_eq!(outcome.http_status, 200, "{wire:?}");
        let answer = outcome.ok();
        assert_eq!(answer.users, made, "{wire:?}");
        assert_eq!((answer.total, &*answer.next_page_token), (4, ""));
        assert!(!answer.total_is_lower_bound);
        // Blanks are no search.
        let blank = client.call::<Rpc>(&page(3, "  ")).await.ok();
        assert_eq!(blank.users, made[..3], "{wire:?}");
        assert_eq!(all_pages(&client, 3, "").await.len(), 4);
    }
}

#[tokio::test]
async fn a_search_finds_by_email_and_then_by_name() {
    let domain = Domain::new().await;
    let function = domain.start::<ListUsers>().await;
    accounts(
        &domain,
        &[
            ("grace@example.com", "Ada Byron"),
            ("ada@example.com", "Countess"),
            ("adam@example.org", "Adam Smith"),
            ("zoe@example.com", "ada lower"),
            ("100%@example.com", "50% off_er"),
            ("under_score@example.com", "Ａｄａ wide"),
            ("umlaut@example.com", "a\u{308}nne"),
            ("umlaut2@example.com", "ÄNNE"),
        ],
    )
    .await;
    for wire in Wire::ALL {
        let client = admin(&domain, wire, &function);
        for (search, expected) in [
            // By e-mail first; who is found by both is listed once.
            (
                "ADA",
                &[
                    "Countess",
                    "Adam Smith",
                    "Ada Byron",
                    "ada lower",
                    "Ａｄａ wide",
                ][..],
            ),
            (
                " ada ",
                &[
                    "Countess",
                    "Adam Smith",
                    "Ada Byron",
                    "ada lower",
                    "Ａｄａ wide",
                ],
            ),
            ("ａｄａ@", &["Countess"]),
            ("ada@EXAMPLE.com", &["Countess"]),
            ("ada b", &["Ada Byron"]),
            ("Änn", &["ÄNNE", "a\u{308}nne"]),
            // No beginning, and no pattern.
            ("byron", &[]),
            ("%", &[]),
            ("_da", &[]),
            ("a%", &[]),
            ("100%", &["50% off_er"]),
            ("50% o", &["50% off_er"]),
            ("50%_", &[]),
            ("under_", &["Ａｄａ wide"]),
            ("underxscore", &[]),
            ("\\", &[]),
            ("'; --", &[]),
        ] {
            let answer = client.call::<Rpc>(&page(0, search)).await.ok();
            let mut found = names(&answer);
            if search == "Änn" {
                found.sort_by_key(|name| *name != "ÄNNE");
            }
            assert_eq!(found, expected, "{wire:?} {search:?}");
            assert_eq!(answer.total as usize, expected.len(), "{search:?}");
            assert_eq!(answer.next_page_token, "", "{search:?}");
        }
    }
}

/// A domain in letters is found as it is encoded, and an older account by its spelling.
#[tokio::test]
async fn every_spelling_of_an_email_is_found() {
    let domain = Domain::new().await;
    let create = domain.start::<CreateUser>().await;
    let function = domain.start::<ListUsers>().await;
    let request = CreateUserRequest {
        name: "New".into(),
        ..sign_up("Zoë@Bücher.example")
    };
    let client = Client::new(Wire::Grpc, create.address());
    client.call::<SignUp>(&request).await.ok();
    accounts(&domain, &[("Old@Example.com", "Old")]).await;
    let client = admin(&domain, Wire::Http1, &function);
    for (search, expected) in [
        ("zoe\u{308}", "New"),
        ("ZOË@bücher", "New"),
        ("zoë@xn--bch", "New"),
        ("zoë@ｂücher．ex", "New"),
        ("old@EX", "Old"),
    ] {
        let answer = client.call::<Rpc>(&page(0, search)).await.ok();
        assert_eq!(names(&answer), [expected], "{search:?}");
    }
}

#[tokio::test]
async fn tokens_lead_through_both_lists_once_and_to_no_other_search() {
    let domain = Domain::new().await;
    let function = domain.start::<ListUsers>().await;
    // By e-mail 7, of whom 3 also by name, and by name alone 5: of one name, so that ids decide.
    let mut list = Vec::new();
    let emails: Vec<_> = (0..12)
        .map(|n| format!("{}{n}@example.com", if n < 7 { "bo" } else { "x" }))
        .collect();
    for (n, email) in emails.iter().enumerate() {
        list.push((email.as_str(), if n < 4 { "Nemo" } else { "Bo" }));
    }
    let ids = accounts(&domain, &list).await;
    accounts(&domain, &[("c@example.com", "C"), ("b@example.com", "B")]).await;
    for wire in Wire::ALL {
        let client = admin(&domain, wire, &function);
        for limit in [1, 3, 5, 7, 11, 12, 100] {
            assert_eq!(
                all_pages(&client, limit, "Bo").await,
                ids,
                "{wire:?} {limit}"
            );
        }
        let first = client.call::<Rpc>(&page(3, "bo")).await.ok();
        assert_eq!((first.total, first.total_is_lower_bound), (12, false));
        let of_all = client.call::<Rpc>(&page(3, "")).await.ok();
        for (search, token) in [
            ("", &first.next_page_token),
            ("c", &first.next_page_token),
            ("bo", &of_all.next_page_token),
            ("bo", &"nonsense".to_owned()),
        ] {
            let asked = ListUsersRequest {
                page_token: token.clone(),
                ..page(3, search)
            };
            let outcome = client.call::<Rpc>(&asked).await;
            let told: Vec<_> = outcome.fields.iter().map(ToString::to_string).collect();
            let expected = "page_token is not a page token of this list";
            assert_eq!(told, [expected], "{wire:?} {search:?}");
        }
    }
}

/// Adds so many accounts: of each hundred one begins with `rare`, and all with `u`, in e-mail and name.
async fn many(domain: &Domain, from: i32, to: i32) {
    let insert = "INSERT INTO users (id, email, email_key, address_key, name, password_hash)
         SELECT gen_random_uuid(), key || '@example.com', key || '@example.com', key || '@example.com',
                'U' || md5(n::text), 'none'
         FROM (SELECT n, CASE WHEN n < 30 THEN 'rare' ELSE 'u' END || md5('e' || n) AS key
               FROM generate_series($1::integer, $2::integer) AS n) AS made";
    domain.sql.execute(insert, &[&from, &to]).await.unwrap();
}

/// Counting and passing over end, and pages go on.
#[tokio::test]
async fn what_is_too_many_to_count_is_said_to_be_more() {
    let domain = Domain::new().await;
    many(&domain, 1, 1_200).await;
    let function = domain.start::<ListUsers>().await;
    let client = admin(&domain, Wire::Grpc, &function);
    let all = client.call::<Rpc>(&page(1, "")).await.ok();
    assert_eq!((all.total, all.total_is_lower_bound), (1_000, true));
    let found = client.call::<Rpc>(&page(1, "u")).await.ok();
    assert_eq!((found.total, found.total_is_lower_bound), (100, true));
    // All but 29 are found by e-mail, and are passed over in the list by name.
    let mut seen = all_pages(&client, 100, "U").await;
    assert_eq!(seen.len(), 1_200);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1_200);
}

/// How often each page is read: more than the five times after which the server keeps one plan for all parameters.
const CALLS: i64 = 10;

/// The blocks that have been read so far. A session reports them when it ends, so `function` ends first.
async fn read(domain: &Domain, function: Running) -> i64 {
    function.stopped().await;
    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended = async {
        while domain.number(sessions).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    domain
        .number(
            "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
             FROM pg_statio_user_tables",
        )
        .await
}

/// The blocks of tables and indexes that a page of each kind reads, among so many accounts.
async fn blocks(domain: &Domain, from: i32, to: i32) -> Vec<(String, i64)> {
    let preparing = crate::connect(&domain.database).await;
    let insert = "SET synchronous_commit = on; ALTER TABLE users SET (autovacuum_enabled = off)";
    preparing.batch_execute(insert).await.unwrap();
    many(domain, from, to).await;
    // VACUUM marks a page as visible to all only when the commit of its rows is flushed.
    preparing
        .batch_execute("CHECKPOINT; VACUUM ANALYZE users")
        .await
        .unwrap();
    drop(preparing);
    let mut found = Vec::new();
    for (search, pages) in [("", 3), ("u", 3), ("uf", 8), ("rare", 1), ("nobody", 0)] {
        for deep in [false, true] {
            let function = domain.start::<ListUsers>().await;
            let client = admin(domain, Wire::Http1, &function);
            let mut asked = page(20, search);
            for _ in 0..if deep { pages } else { 0 } {
                let answer = client.call::<Rpc>(&asked).await.ok();
                asked.page_token = answer.next_page_token;
            }
            let before = read(domain, function).await;
            let function = domain.start::<ListUsers>().await;
            let client = admin(domain, Wire::Http1, &function);
            for _ in 0..CALLS {
                client.call::<Rpc>(&asked).await.ok();
            }
            let what = format!(
                "{search:?}, {}",
                if deep { "page token" } else { "first page" }
            );
            found.push((what, (read(domain, function).await - before) / CALLS));
        }
    }
    found
}

/// A page costs the same however many accounts there are. Beside it, up to 202 accounts are counted.
#[tokio::test]
async fn many_accounts_are_searched_as_few() {
    let domain = Domain::new().await;
    let few = blocks(&domain, 1, 1_000).await;
    let many = blocks(&domain, 1_001, 100_000).await;
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        assert!(
            many <= 2 * few + 300,
            "{what}: {many} blocks, {few} of few accounts"
        );
    }
}
