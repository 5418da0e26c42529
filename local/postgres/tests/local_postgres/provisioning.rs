//! Databases and roles, and what they must not do.

use sqlx::{Connection, PgConnection};
use zerocart_local_postgres::{Error, Options, Server, Url, provision};

use crate::support::{ask, code, connect, run};

/// The same role's address of another database.
fn elsewhere(url: &Url, database: &str) -> String {
    let exposed = url.expose();
    let (server, _) = exposed.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

#[tokio::test]
async fn each_domain_has_its_own_and_nothing_else() {
    let server = Server::start(Options::temporary()).await.unwrap();
    let first = provision(&server, &["user", "product"]).await.unwrap();
    let again = provision(&server, &["user", "product"]).await.unwrap();
    let urls = |databases: &[zerocart_local_postgres::Database]| {
        databases
            .iter()
            .flat_map(|database| [database.url.expose(), database.owner_url.expose()])
            .collect::<Vec<_>>()
    };
    assert_eq!(urls(&first), urls(&again), "a second time changes nothing");
    let [user, product] = &first[..] else {
        panic!("{first:?}")
    };
    assert_eq!((&*user.domain, &*user.name), ("user", "zerocart_user"));

    // The owner makes tables; the functions only use what they were granted.
    run(
        &user.owner_url,
        "CREATE TABLE users (id int); CREATE TABLE secrets (id int)",
    )
    .await
    .unwrap();
    run(
        &user.owner_url,
        "GRANT SELECT, INSERT ON users TO zerocart_user",
    )
    .await
    .unwrap();
    run(&user.url, "INSERT INTO users VALUES (1)")
        .await
        .unwrap();
    assert_eq!(
        ask(&user.url, "SELECT id::text FROM users").await.unwrap(),
        "1"
    );
    let denied = "42501";
    for statement in [
        "SELECT * FROM secrets",
        "DELETE FROM users",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "ALTER TABLE users ADD COLUMN more int",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
    ] {
        assert_eq!(code(run(&user.url, statement).await), denied, "{statement}");
    }

    // Nobody enters another domain's database, nor the server's own ones.
    for (url, database) in [
        (&user.url, "zerocart_product"),
        (&user.owner_url, "zerocart_product"),
        (&product.url, "zerocart_user"),
        (&product.owner_url, "zerocart_user"),
        (&user.url, "postgres"),
        (&user.url, "template1"),
    ] {
        let refused = PgConnection::connect(&elsewhere(url, database));
        assert_eq!(code(refused.await), denied, "{url:?} into {database}");
    }
    assert!(connect(&product.url).await.is_ok());
}

#[tokio::test]
async fn two_provisions_at_once_agree() {
    let server = Server::start(Options::temporary()).await.unwrap();
    let (one, other) = tokio::join!(provision(&server, &["user"]), provision(&server, &["user"]));
    assert_eq!(one.unwrap()[0].url, other.unwrap()[0].url);
}

#[tokio::test]
async fn a_name_that_is_no_domain_changes_nothing() {
    let server = Server::start(Options::temporary()).await.unwrap();
    let error = provision(&server, &["user", "x; DROP"]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Provision(zerocart_provision::Error::Domain(name)) if name == "x; DROP"),
        "{error:?}"
    );
    let roles = "SELECT count(*)::text FROM pg_roles WHERE rolname LIKE 'zerocart%'";
    let admin = server.admin_url("postgres");
    assert_eq!(ask(&admin, roles).await.unwrap(), "0");
}

#[tokio::test]
async fn a_copy_has_the_contents_and_the_same_rights() {
    let server = Server::start(Options::temporary()).await.unwrap();
    let databases = provision(&server, &["user", "product"]).await.unwrap();
    let [user, product] = &databases[..] else {
        panic!("{databases:?}")
    };
    run(
        &user.owner_url,
        "CREATE TABLE users AS SELECT 1 AS id; GRANT SELECT ON users TO zerocart_user",
    )
    .await
    .unwrap();
    let copy = server.copy_database(user, "copy_1").await.unwrap();
    assert_eq!(
        ask(&copy.url, "SELECT id::text FROM users").await.unwrap(),
        "1"
    );
    run(&copy.owner_url, "DELETE FROM users").await.unwrap();
    assert_eq!(
        ask(&user.url, "SELECT id::text FROM users").await.unwrap(),
        "1"
    );

    let refused = PgConnection::connect(&elsewhere(&product.url, "copy_1")).await;
    assert_eq!(code(refused), "42501");
    let taken = server.copy_database(user, "copy_1").await.unwrap_err();
    assert!(taken.to_string().contains("CREATE DATABASE"), "{taken}");
}
