//! The functions of the product domain, each served on a port and called by every wire, on a real
//! PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod archive_product;
mod breaker;
mod counts;
mod create_product;
mod get_product;
mod lines;
mod list_products;
mod reservations;
mod search;
mod update_inventory;
mod update_product;

use std::time::Duration;

use tokio_postgres::NoTls;
use tonic::Code;
use uuid::Uuid;
use zerocart_core::Function;
use zerocart_proto::rpc::Rpc;
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::{Authority, PATIENCE, Running},
    postgres::{TestDatabase, TestServer},
};

/// A user.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";
/// A product that there is not.
const UNKNOWN: &str = "018f4e9a-7c1b-7def-8000-0000000000aa";

/// A product database of one test's own, and the keys of its functions.
struct Domain {
    authority: Authority,
    database: TestDatabase,
    /// A superuser's connection, to look in from outside.
    sql: tokio_postgres::Client,
}

impl Domain {
    async fn new() -> Self {
        Self::of(TestServer::shared().await).await
    }

    async fn of(server: &TestServer) -> Self {
        let database = server.database("product").await;
        Self {
            authority: Authority::generate(),
            sql: connect(&database).await,
            database,
        }
    }

    /// Another superuser's connection, for a transaction of its own.
    async fn another(&self) -> tokio_postgres::Client {
        connect(&self.database).await
    }

    async fn start<F: Function>(&self) -> Running {
        self.start_with::<F>(&[]).await
    }

    async fn start_with<F: Function>(&self, more: &[(&str, &str)]) -> Running {
        let url = [("DATABASE_URL", self.database.url())];
        let more = url.iter().chain(more);
        let more = more.map(|(k, v)| ((*k).into(), (*v).into()));
        Running::start::<F>(self.authority.env().into_iter().chain(more)).await
    }

    /// A client of `function` as an admin.
    fn admin(&self, wire: Wire, function: &Running) -> Client {
        Client::new(wire, function.address()).bearer(&self.authority.admin(ME))
    }

    /// Adds a product with so many units in stock, and gives its id.
    async fn add_product(&self, inventory: i32) -> String {
        let id = Uuid::now_v7();
        self.sql
            .execute(
                "INSERT INTO products (id, name, description, price, inventory)
                 VALUES ($1, 'Tea', 'Green', 19.99, $2)",
                &[&id, &inventory],
            )
            .await
            .unwrap();
        id.to_string()
    }

    async fn stock(&self, id: &str) -> i32 {
        let query = "SELECT inventory FROM products WHERE id = $1";
        let id = Uuid::try_parse(id).unwrap();
        self.sql.query_one(query, &[&id]).await.unwrap().get(0)
    }
}

async fn connect(database: &TestDatabase) -> tokio_postgres::Client {
    let (sql, connection) = tokio_postgres::connect(database.admin_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    sql
}

/// The answer to a call under an idempotency key, asked for again as a client would that was told
/// that the call may be tried again.
async fn answer<R: Rpc>(client: &Client, request: &R::Request) -> Outcome<R::Response> {
    let asked = async {
        loop {
            let outcome = client.call::<R>(request).await;
            let again = [Code::Aborted, Code::Unavailable, Code::DeadlineExceeded];
            if !again.contains(&outcome.code) {
                return outcome;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    answered.expect("there is an answer in the end")
}
