//! The functions and the job of the order domain, each served on a port and called by every wire,
//! on a real PostgreSQL, among other functions that are scripted ([`world`]).

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod cancel_order;
mod configuration;
mod create_order;
mod get_order;
mod get_order_timeline;
mod idempotency;
mod interrupted;
mod left;
mod list_orders;
mod list_user_orders;
mod open;
mod provider_down;
mod recover_orders;
mod ship;
mod update_order_status;
mod world;

use std::time::Duration;

use serde_json::{Map, Value};
use tokio_postgres::NoTls;
use tonic::Code;
use uuid::Uuid;
use zerocart_core::{Env, Function, Platform, job::Summary};
use zerocart_order::JOBS;
use zerocart_proto::{
    order::{CreateOrderRequest, Order, OrderStatus},
    rpc::Rpc,
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::{Authority, PATIENCE, Running},
    postgres::{TestDatabase, TestServer},
};

use crate::{
    left::Left,
    world::{Standing, World},
};

/// The ways that speak JSON.
const JSON_WIRES: [Wire; 2] = [Wire::Http1, Wire::Http2];

/// A user.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";
/// Another one.
const OTHER: &str = "018f4e9a-7c1b-7def-8000-000000000002";
/// An admin.
const BOSS: &str = "018f4e9a-7c1b-7def-8000-000000000003";
/// Products, in the order of their ids. There are [`STOCK`] of each.
const TEA: &str = "018f4e9a-7c1b-7def-8000-0000000000aa";
const CUP: &str = "018f4e9a-7c1b-7def-8000-0000000000bb";
const POT: &str = "018f4e9a-7c1b-7def-8000-0000000000cc";

const STOCK: i32 = 1000;

/// Why an order ends FAILED that nobody drove any more before it was charged.
const INTERRUPTED: &str = "the order was interrupted before it was paid";

/// The statuses of the contract.
const STATUSES: [OrderStatus; 7] = [
    OrderStatus::Pending,
    OrderStatus::Processing,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Delivered,
    OrderStatus::Cancelled,
    OrderStatus::Failed,
];

/// An order database of one test's own, and the world around it.
struct Shop {
    authority: Authority,
    database: TestDatabase,
    /// A superuser's connection, to look in from outside.
    sql: tokio_postgres::Client,
    world: World,
    /// Serve the world.
    _functions: Vec<Running>,
    urls: Vec<(String, String)>,
}

impl Shop {
    async fn new() -> Self {
        Self::of(TestServer::shared().await).await
    }

    async fn of(server: &TestServer) -> Self {
        let database = server.database("order").await;
        let sql = connect(&database).await;
        let (authority, world) = (Authority::generate(), World::default());
        for (id, name) in [(TEA, "Tea"), (CUP, "Cup"), (POT, "Pot")] {
            world.add_product(id, name, STOCK);
        }
        let (functions, urls) = world.serve(&authority).await;
        Self {
            authority,
            database,
            sql,
            world,
            _functions: functions,
            urls,
        }
    }

    /// The environment of a function or a job, with other or more variables.
    fn env(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let urls = self
            .urls
            .iter()
            .map(|(n, url)| (n.clone(), url.clone().into()));
        let urls = Value::Object(Map::from_iter(urls)).to_string();
        let key = self.authority.service_keys().current().to_private_jwk();
        let own = [
            ("DATABASE_URL", self.database.url()),
            ("FUNCTION_URLS", &urls),
            ("AUTH_SERVICE_SIGNING_KEY", &key),
            // A test that goes on after a pause ends the pause itself.
            ("ORDER_PAUSE_MS", "600000"),
            ("BREAKER_OPEN_MS", "3600000"),
            // Tests look at orders that are held at some step.
            ("ORDER_RECORD_AFTER_MS", "0"),
        ];
        let own = own.iter().chain(more);
        let own = own.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        self.authority.env().into_iter().chain(own).collect()
    }

    async fn start<F: Function>(&self) -> Running {
        self.start_with::<F>(&[]).await
    }

    async fn start_with<F: Function>(&self, more: &[(&str, &str)]) -> Running {
        Running::start::<F>(self.env(more)).await
    }

    fn customer(&self, wire: Wire, function: &Running, user_id: &str) -> Client {
        Client::new(wire, function.address()).bearer(&self.authority.customer(user_id))
    }

    fn admin(&self, wire: Wire, function: &Running) -> Client {
        Client::new(wire, function.address()).bearer(&self.authority.admin(BOSS))
    }

    /// One run of recover-orders.
    async fn recover(&self) -> Summary {
        self.recover_with(&[]).await
    }

    async fn recover_with(&self, more: &[(&str, &str)]) -> Summary {
        let env = Env::from_iter(self.env(more));
        (JOBS[0].run)(Platform::default(), env).await.unwrap()
    }

    /// Lets the lease of every order lapse, as time would.
    async fn lapse(&self) {
        let lapse = "UPDATE orders SET lease_until = clock_timestamp() - interval '1 s',
                         open_until = CASE WHEN open_until IS NOT NULL
                             THEN clock_timestamp() - interval '1 s' END
                     WHERE step <> 'ended'";
        self.sql.execute(lapse, &[]).await.unwrap();
    }

    /// Lets the lease lapse of each order of which only the beginning is recorded.
    async fn lapse_open(&self) {
        let lapse = "UPDATE orders SET open_until = clock_timestamp() - interval '1 s'
                     WHERE open_until IS NOT NULL";
        self.sql.execute(lapse, &[]).await.unwrap();
    }

    /// Name and outcome of each step, by order, in their order: `charging: done`. They follow each other.
    async fn all_steps(&self) -> Vec<String> {
        let select = "SELECT step, coalesce(outcome, ''),
                          began_at >= lag(ended_at) OVER (ORDER BY order_id, number)
                              AND coalesce(ended_at >= began_at, true)
                      FROM order_steps ORDER BY order_id, number";
        let rows = self.sql.query(select, &[]).await.unwrap();
        assert!(
            rows.iter()
                .all(|row| row.get::<_, Option<bool>>(2) != Some(false))
        );
        let named = |(step, outcome): (&str, &str)| format!("{step}: {outcome}");
        rows.iter()
            .map(|row| named((row.get(0), row.get(1))))
            .collect()
    }

    /// Puts an order into the database as a driver left it.
    async fn insert(&self, left: &Left) {
        let id = Uuid::try_parse(&left.id).unwrap();
        let user_id = Uuid::try_parse(&left.user_id).unwrap();
        let (ended, paid) = (left.step == "ended", left.is_paid());
        let payment = self.world.payment(&left.id).filter(|_| paid);
        let payment_id = payment.map(|payment| Uuid::try_parse(&payment.id).unwrap());
        let asked = left.asked || matches!(left.step, "clearing" | "refunding");
        let reason = left.cause.map_or("", |_| "as it was");
        let total: i64 = left.lines.iter().map(|(_, c, n)| c * i64::from(*n)).sum();
        self.sql
            .execute(
                "INSERT INTO orders (id, user_id, payment_method, total, status, step, place,
                     asked, cause, reason, payment_id, paid_at, steps, lease_until, open_until)
                 SELECT $1, $2, 'credit_card', $3::bigint / 100.0, $4, $5, $6, $7, $8, $9, $10,
                     CASE WHEN $11 THEN clock_timestamp() END, 1,
                     CASE WHEN $13 THEN '9999-01-01' ELSE lease END, CASE WHEN $13 THEN lease END
                 FROM (SELECT clock_timestamp() + CASE WHEN $12 THEN interval '-1 s'
                                                  ELSE interval '1 h' END AS lease) AS at",
                &[
                    &id,
                    &user_id,
                    &total,
                    &left.status,
                    &left.step,
                    &left.place,
                    &asked,
                    &left.cause,
                    &reason,
                    &payment_id,
                    &paid,
                    &left.lapsed,
                    &left.open,
                ],
            )
            .await
            .unwrap();
        for (n, (product_id, cents, quantity)) in (0_i32..).zip(&left.lines) {
            let name = format!("Thing {n}");
            let product_id = Uuid::try_parse(product_id).unwrap();
            self.sql
                .execute(
                    "INSERT INTO order_items (order_id, line, product_id, name, price, quantity)
                     VALUES ($1, $2, $3, $6, $4::bigint / 100.0, $5)",
                    &[&id, &n, &product_id, cents, quantity, &name],
                )
                .await
                .unwrap();
        }
        self.sql
            .execute(
                "INSERT INTO order_steps (order_id, number, step, fence, ended_at, outcome)
                 VALUES ($1, 1, 'the one before', 1, CASE WHEN $2 THEN now() END,
                     CASE WHEN $2 THEN 'done' END)",
                &[&id, &ended],
            )
            .await
            .unwrap();
    }

    /// The orders in the database, the oldest first.
    async fn orders(&self) -> Vec<Stored> {
        let select = "SELECT id::text, user_id::text, status, step, cause, reason, tries, fence,
                          payment_id::text, (total * 100)::bigint,
                          coalesce(open_until, lease_until)::text,
                          coalesce(open_until, lease_until) <= clock_timestamp(), paid_at IS NOT NULL,
                          updated_at::text
                      FROM orders ORDER BY created_at, id";
        let rows = self.sql.query(select, &[]).await.unwrap();
        rows.iter()
            .map(|row| Stored {
                id: row.get(0),
                user_id: row.get(1),
                status: row.get(2),
                step: row.get(3),
                cause: row.get(4),
                reason: row.get(5),
                tries: row.get(6),
                fence: row.get(7),
                payment_id: row.get(8),
                total_cents: row.get(9),
                lease_until: row.get(10),
                lapsed: row.get(11),
                paid: row.get(12),
                updated_at: row.get(13),
            })
            .collect()
    }

    async fn order(&self, id: &str) -> Stored {
        let orders = self.orders().await;
        let order = orders.into_iter().find(|order| order.id == id);
        order.unwrap_or_else(|| panic!("no order {id}"))
    }

    /// The only order that there is.
    async fn only_order(&self) -> Stored {
        let mut orders = self.orders().await;
        assert_eq!(orders.len(), 1, "{orders:?}");
        orders.remove(0)
    }

    /// The only order of a user.
    async fn order_of(&self, user_id: &str) -> Stored {
        let mut orders = self.orders().await;
        orders.retain(|order| order.user_id == user_id);
        assert_eq!(orders.len(), 1, "{orders:?}");
        orders.remove(0)
    }

    /// What was done for an order, each step with its outcome, none while it goes on.
    async fn steps(&self, id: &str) -> Vec<(String, Option<String>)> {
        let id = Uuid::try_parse(id).unwrap();
        let select = "SELECT step, outcome FROM order_steps WHERE order_id = $1 ORDER BY number";
        let rows = self.sql.query(select, &[&id]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Expects that every order has ended, and that what it took is what it says.
    async fn assert_settled(&self) {
        let mut sold = 0;
        for order in self.orders().await {
            let at = format!("{order:?}");
            assert_eq!(order.step, "ended", "{at}");
            for (step, outcome) in self.steps(&order.id).await {
                assert!(outcome.is_some(), "{step} of {at}");
            }
            let payment = self.world.payment(&order.id);
            let held = self.world.held(&order.id);
            if ["PAID", "SHIPPED", "DELIVERED"].contains(&order.status.as_str()) {
                let payment = payment.unwrap_or_else(|| panic!("no charge for {at}"));
                assert_eq!(payment.standing, Standing::Charged, "{at}");
                assert_eq!(payment.user_id, order.user_id, "{at}");
                assert_eq!(cents(payment.amount), order.total_cents, "{at}");
                assert_eq!(order.payment_id, Some(payment.id), "{at}");
                assert!(order.paid && held > 0, "{at} holds {held}");
                assert_eq!((order.cause, &*order.reason), (None, ""), "{at}");
                sold += held;
            } else {
                let standing = payment.map(|payment| payment.standing);
                assert_ne!(standing, Some(Standing::Charged), "{at}");
                assert_eq!(held, 0, "{at}");
                assert!(order.cause.is_some() && !order.reason.is_empty(), "{at}");
            }
        }
        assert_eq!(self.world.missing(), sold);
    }
}

/// An order as it is in the database.
#[derive(Clone, Debug)]
struct Stored {
    id: String,
    user_id: String,
    status: String,
    step: String,
    cause: Option<String>,
    reason: String,
    tries: i32,
    fence: i64,
    payment_id: Option<String>,
    total_cents: i64,
    lease_until: String,
    lapsed: bool,
    paid: bool,
    updated_at: String,
}

impl Stored {
    /// Status, cause and reason.
    fn end(&self) -> (&str, Option<&str>, &str) {
        (&self.status, self.cause.as_deref(), &self.reason)
    }
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

fn create(user_id: &str) -> CreateOrderRequest {
    CreateOrderRequest {
        user_id: user_id.into(),
        payment_method: String::new(),
    }
}

fn cents(amount: f64) -> i64 {
    (amount * 100.0).round() as i64
}

/// The order of an answer.
#[track_caller]
fn order_in(answer: zerocart_proto::order::OrderResponse) -> Order {
    answer.order.expect("an answer has an order")
}

/// Expects that it cannot be done now, and that the client is told when to try again.
#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(outcome: &Outcome<T>, wire: Wire) {
    assert_eq!(outcome.code, Code::Unavailable, "{wire:?} {outcome:?}");
    assert!(!wire.is_json() || outcome.http_status == 503, "{outcome:?}");
    assert!(outcome.retry_after.is_some(), "{wire:?} {outcome:?}");
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

/// The counts of a run of recover-orders: ended, put off, left.
#[track_caller]
fn counts(summary: &Summary) -> [u64; 3] {
    assert_eq!(summary.len(), 3, "{summary:?}");
    ["ended", "put_off", "left"].map(|count| summary[count].as_u64().unwrap())
}
