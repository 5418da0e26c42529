//! The functions of the cart domain, each served on a port and called by every wire, on a real
//! PostgreSQL; get-product is a script.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod add_to_cart;
mod catalogue;
mod clear_cart;
mod concurrency;
mod get_cart;
mod get_product;
mod idempotency;
mod remove_from_cart;
mod update_cart_item;

use std::time::Duration;

use tokio_postgres::NoTls;
use tonic::Code;
use uuid::Uuid;
use zerocart_core::Function;
use zerocart_proto::{
    cart::{Cart, CartResponse},
    rpc::Rpc,
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::{Authority, PATIENCE, Running},
    postgres::TestDatabase,
};

/// A user.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";
/// Another user.
const YOU: &str = "018f4e9a-7c1b-7def-8000-000000000002";
/// A product that there is not, or not in the cart.
const UNKNOWN: &str = "018f4e9a-7c1b-7def-8000-0000000000aa";

/// A new id.
fn id() -> String {
    Uuid::now_v7().to_string()
}

/// A cart database of one test's own, and the keys of its functions.
struct Domain {
    authority: Authority,
    database: TestDatabase,
    /// A superuser's connection, to look in from outside.
    sql: tokio_postgres::Client,
}

impl Domain {
    async fn new() -> Self {
        let database = TestDatabase::new("cart").await;
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

    /// Waits until a statement of a function waits for a lock.
    async fn until_one_waits(&self) {
        let query = "SELECT EXISTS (SELECT FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock')";
        until("a statement waits", async || {
            self.sql.query_one(query, &[]).await.unwrap().get(0)
        })
        .await;
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

    /// A function that many may call at once.
    async fn busy<F: Function>(&self, more: &[(&str, &str)]) -> Running {
        let busy = [
            ("MAX_IN_FLIGHT", "400"),
            ("DATABASE_POOL_SIZE", "8"),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "4500"),
        ];
        self.start_with::<F>(&[&busy, more].concat()).await
    }

    /// A client of `function` as the customer `user`.
    fn customer(&self, wire: Wire, function: &Running, user: &str) -> Client {
        Client::new(wire, function.address()).bearer(&self.authority.customer(user))
    }

    /// A client of `function` as an admin.
    fn admin(&self, wire: Wire, function: &Running) -> Client {
        Client::new(wire, function.address()).bearer(&self.authority.admin(&id()))
    }

    /// Puts lines into the cart of `user`: product, price, units.
    async fn fill(&self, user: &str, lines: &[(&str, &str, i32)]) {
        let user = Uuid::try_parse(user).unwrap();
        self.sql
            .execute(
                "INSERT INTO carts (user_id, updated_at) VALUES ($1, clock_timestamp())
                 ON CONFLICT DO NOTHING",
                &[&user],
            )
            .await
            .unwrap();
        for (product, price, quantity) in lines {
            self.sql
                .execute(
                    "INSERT INTO cart_items (user_id, product_id, name, price, quantity)
                     VALUES ($1, $2, 'Tea', $3::text::numeric, $4)",
                    &[&user, &Uuid::try_parse(product).unwrap(), price, quantity],
                )
                .await
                .unwrap();
        }
    }

    /// Puts so many lines of other products into the cart of `user`.
    async fn fill_up(&self, user: &str, lines: i32, price: &str, quantity: i32) {
        self.fill(user, &[]).await;
        self.sql
            .execute(
                "INSERT INTO cart_items (user_id, product_id, name, price, quantity)
                 SELECT $1, gen_random_uuid(), 'Tea', $3::text::numeric, $4
                 FROM generate_series(1, $2)",
                &[&Uuid::try_parse(user).unwrap(), &lines, &price, &quantity],
            )
            .await
            .unwrap();
    }

    /// The lines of `user`: product and units, in the order of the cart.
    async fn lines(&self, user: &str) -> Vec<(String, i32)> {
        let query = "SELECT product_id, quantity FROM cart_items
                     WHERE user_id = $1 ORDER BY position";
        let user = Uuid::try_parse(user).unwrap();
        let rows = self.sql.query(query, &[&user]).await.unwrap();
        rows.iter()
            .map(|row| (row.get::<_, Uuid>(0).to_string(), row.get(1)))
            .collect()
    }

    /// When the cart of `user` was changed, if there is one.
    async fn updated_at(&self, user: &str) -> Option<String> {
        let query = "SELECT updated_at::text FROM carts WHERE user_id = $1";
        let user = Uuid::try_parse(user).unwrap();
        let row = self.sql.query_opt(query, &[&user]).await.unwrap();
        row.map(|row| row.get(0))
    }

    async fn count(&self, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        self.sql.query_one(&count, &[]).await.unwrap().get(0)
    }
}

async fn connect(database: &TestDatabase) -> tokio_postgres::Client {
    let (sql, connection) = tokio_postgres::connect(database.admin_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    sql
}

/// The cart of an answer.
#[track_caller]
fn cart(outcome: Outcome<CartResponse>) -> Cart {
    let answer = outcome.ok();
    assert!(answer.success);
    answer.cart.unwrap()
}

/// The lines of a cart: product and units.
fn lines(cart: &Cart) -> Vec<(String, i32)> {
    let lines = cart.items.iter();
    lines
        .map(|line| (line.product_id.clone(), line.quantity))
        .collect()
}

#[track_caller]
fn assert_refused(outcome: &Outcome<CartResponse>, says: &str) {
    assert_eq!(outcome.code, Code::FailedPrecondition, "{outcome:?}");
    assert!(outcome.message.contains(says), "{}", outcome.message);
    assert!(outcome.fields.is_empty());
}

/// The answer to a call, asked for again as a client would that was told that the call may be tried
/// again.
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

/// Waits until `condition` holds.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("never came true: {what}"));
}
