//! The functions of the user domain, each served on a port and called by every wire, on a real
//! PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod addresses;
mod attempts;
mod authenticate_user;
mod bootstrap;
mod change_password;
mod create_user;
mod get_user;
mod idempotency;
mod list_users;
mod memory;
mod others;
mod overload;
mod set_user_state;

use std::time::Duration;

use http::{HeaderValue, Method, header};
use tokio_postgres::NoTls;
use uuid::Uuid;
use zerocart_core::Function;
use zerocart_test_support::{
    clients::{Client, Reply, Wire, request},
    functions::{Authority, PATIENCE, Running},
    postgres::TestDatabase,
};

/// The ways that speak JSON.
const JSON_WIRES: [Wire; 2] = [Wire::Http1, Wire::Http2];

/// A user database of one test's own, and the keys of its functions.
struct Domain {
    authority: Authority,
    database: TestDatabase,
    /// A superuser's connection, to look in from outside.
    sql: tokio_postgres::Client,
}

impl Domain {
    async fn new() -> Self {
        let database = TestDatabase::new("user").await;
        Self {
            authority: Authority::generate(),
            sql: connect(&database).await,
            database,
        }
    }

    fn env(&self) -> Vec<(String, String)> {
        let mut env = self.authority.env();
        let signing = self.authority.user_keys().current().to_private_jwk();
        env.push(("AUTH_SIGNING_KEY".into(), signing.to_string()));
        env.push(("DATABASE_URL".into(), self.database.url().into()));
        // So that tests may sign in as often as they like; those of the limit set their own.
        env.push(("SIGN_IN_FREE_ATTEMPTS".into(), "1000".into()));
        env
    }

    async fn start<F: Function>(&self) -> Running {
        Running::start::<F>(self.env()).await
    }

    async fn start_with<F: Function>(&self, more: &[(&str, &str)]) -> Running {
        let more = more.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Running::start::<F>(self.env().into_iter().chain(more)).await
    }

    /// The number that a query gives.
    async fn number(&self, query: &str) -> i64 {
        self.sql.query_one(query, &[]).await.unwrap().get(0)
    }

    async fn users(&self) -> i64 {
        self.number("SELECT count(*) FROM users").await
    }

    /// Adds an account that cannot sign in.
    async fn add_user(&self, email: &str) -> Uuid {
        let id = Uuid::now_v7();
        self.sql
            .execute(
                "INSERT INTO users (id, email, email_key, name, password_hash)
                 VALUES ($1, $2, lower($2), 'Name', 'none')",
                &[&id, &email],
            )
            .await
            .unwrap();
        id
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// A superuser's connection.
async fn connect(database: &TestDatabase) -> tokio_postgres::Client {
    let (sql, connection) = tokio_postgres::connect(database.admin_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    sql
}

/// POST of a body as JSON.
async fn post(client: &Client, path: &str, body: &str) -> Reply {
    let request = request(Method::POST, path, body.to_owned());
    client.send(request).await
}

/// A gRPC call of bytes that may be no message.
async fn post_grpc(client: &Client, path: &str, message: &[u8]) -> Reply {
    let length = u32::try_from(message.len()).unwrap();
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    let mut request = request(Method::POST, path, frame);
    let grpc = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert(header::CONTENT_TYPE, grpc);
    let trailers = HeaderValue::from_static("trailers");
    request.headers_mut().insert(header::TE, trailers);
    client.send(request).await
}
