//! The functions of the payment domain, each served on a port and called by every wire, on a real
//! PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod crash;
mod failures;
mod get_payment_status;
mod idempotency;
mod process_payment;
mod races;
mod refund;
mod set_failure_rate;
mod settle;
mod whose;

use std::time::Duration;

use tokio_postgres::NoTls;
use tonic::Code;
use uuid::Uuid;
use zerocart_core::Function;
use zerocart_proto::{
    payment::{PaymentStatus, ProcessPaymentRequest},
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
const OTHER: &str = "018f4e9a-7c1b-7def-8000-000000000002";

const TIMEOUT: &[&str] = &["GATEWAY_TIMEOUT"];
const DECLINE: &[&str] = &["INSUFFICIENT_FUNDS"];
const DOWN: &[&str] = &["TEMPORARILY_UNAVAILABLE"];
const ALL: &[&str] = &[
    "GATEWAY_TIMEOUT",
    "INSUFFICIENT_FUNDS",
    "TEMPORARILY_UNAVAILABLE",
];

/// Settings of a function that is to wait at the gate for as long as a call may take.
const GATED: [(&str, &str); 2] = [
    ("PAYMENT_PROVIDER_TIMEOUT_MS", "9000"),
    ("DATABASE_STATEMENT_TIMEOUT_MS", "60000"),
];

/// As good as always, and yet the provider is not down: finding and refunding work.
const NEARLY_ALWAYS: f64 = 0.999_999_999;

/// A payment database of one test's own, and the keys of its functions.
struct Domain {
    authority: Authority,
    database: TestDatabase,
    /// A superuser's connection, to look in from outside.
    sql: tokio_postgres::Client,
}

impl Domain {
    /// With a provider that takes no time and never fails.
    async fn new() -> Self {
        let database = TestDatabase::new("payment").await;
        let (sql, connection) = tokio_postgres::connect(database.admin_url(), NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let domain = Self {
            authority: Authority::generate(),
            database,
            sql,
        };
        domain.provider(0.0, ALL, 0..=0).await;
        domain
    }

    async fn start<F: Function>(&self) -> Running {
        self.start_with::<F>(&[]).await
    }

    async fn start_with<F: Function>(&self, more: &[(&str, &str)]) -> Running {
        Running::start::<F>(self.env(more)).await
    }

    fn env(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let url = [("DATABASE_URL", self.database.url())];
        let more = url.iter().chain(more);
        let more = more.map(|(k, v)| ((*k).into(), (*v).into()));
        self.authority.env().into_iter().chain(more).collect()
    }

    /// Sets how the provider behaves.
    async fn provider(
        &self,
        failure_rate: f64,
        failures: &[&str],
        delay_ms: std::ops::RangeInclusive<i32>,
    ) {
        self.sql
            .execute(
                "UPDATE simulator_settings
                 SET failure_rate = $1, failures = $2, min_delay_ms = $3, max_delay_ms = $4",
                &[&failure_rate, &failures, delay_ms.start(), delay_ms.end()],
            )
            .await
            .unwrap();
    }

    /// Holds every charge up on its way, just before it takes effect, until [`Domain::open_gate`].
    /// Only for a database whose functions wait with [`GATED`].
    async fn close_gate(&self) {
        self.sql
            .batch_execute(
                "CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END';
                 CREATE TRIGGER gate BEFORE INSERT ON simulator_charges
                 FOR EACH ROW WHEN (NEW.state = 'CHARGED') EXECUTE FUNCTION gate();
                 SELECT pg_advisory_lock(7)",
            )
            .await
            .unwrap();
    }

    /// Whether a charge waits at the gate.
    async fn is_at_gate(&self) -> bool {
        let locks = "SELECT count(*) FROM pg_locks
                     WHERE locktype = 'advisory' AND NOT granted
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let locks = self.sql.query_one(locks, &[]).await.unwrap();
        locks.get::<_, i64>(0) == 1
    }

    async fn open_gate(&self) {
        let open = "SELECT pg_advisory_unlock(7)";
        self.sql.batch_execute(open).await.unwrap();
    }

    /// Waits until the provider was asked so many times for an order.
    async fn asked(&self, order: &str, times: usize) {
        let asked = async || self.attempts(order).await.len() >= times;
        until("the provider is asked", asked).await;
    }

    /// A client of `function` as create-order.
    fn service(&self, wire: Wire, function: &Running) -> Client {
        Client::new(wire, function.address()).bearer(&self.authority.service("create-order"))
    }

    /// A client of `function` as an admin.
    fn admin(&self, wire: Wire, function: &Running) -> Client {
        Client::new(wire, function.address()).bearer(&self.authority.admin(ME))
    }

    /// What the provider has on record for an order.
    async fn on_record(&self, order: &str) -> Option<String> {
        let query = "SELECT state FROM simulator_charges WHERE key = $1";
        let row = self.sql.query_opt(query, &[&uuid(order)]).await.unwrap();
        row.map(|row| row.get(0))
    }

    /// How many records the provider has, of all orders.
    async fn records(&self) -> i64 {
        let count = "SELECT count(*) FROM simulator_charges";
        self.sql.query_one(count, &[]).await.unwrap().get(0)
    }

    async fn payments(&self) -> i64 {
        let count = "SELECT count(*) FROM payments";
        self.sql.query_one(count, &[]).await.unwrap().get(0)
    }

    /// The status of an order's payment.
    async fn status(&self, order: &str) -> Option<String> {
        let query = "SELECT status FROM payments WHERE order_id = $1";
        let row = self.sql.query_opt(query, &[&uuid(order)]).await.unwrap();
        row.map(|row| row.get(0))
    }

    /// The requests to the provider for an order, each with its outcome.
    async fn attempts(&self, order: &str) -> Vec<(String, Option<String>)> {
        let rows = self
            .sql
            .query(
                "SELECT kind, outcome FROM payment_attempts JOIN payments ON id = payment_id
                 WHERE order_id = $1 ORDER BY number",
                &[&uuid(order)],
            )
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Expects the requests to the provider for an order; "" is one without an outcome.
    #[track_caller]
    fn assert_attempts<'a>(
        &'a self,
        order: &'a str,
        expected: &'a [(&'a str, &'a str)],
    ) -> impl Future<Output = ()> + 'a {
        let at = std::panic::Location::caller();
        async move {
            let attempts = self.attempts(order).await;
            let attempts: Vec<_> = attempts
                .iter()
                .map(|(kind, outcome)| (kind.as_str(), outcome.as_deref().unwrap_or_default()))
                .collect();
            assert_eq!(attempts, expected, "{at}");
        }
    }

    /// Expects who may call `R`: nobody, a customer, an admin, a service, by every wire.
    async fn assert_access<R: Rpc>(
        &self,
        function: &Running,
        request: &R::Request,
        may: [bool; 4],
    ) {
        let tokens = [
            None,
            Some(self.authority.customer(ME)),
            Some(self.authority.admin(OTHER)),
            Some(self.authority.service("create-order")),
        ];
        for wire in Wire::ALL {
            for (token, may) in tokens.iter().zip(may) {
                let mut client = Client::new(wire, function.address());
                if let Some(token) = token {
                    client = client.bearer(token);
                }
                let outcome = client.call::<R>(request).await;
                let (expected, status) = match token {
                    _ if may => (Code::Ok, 200),
                    None => (Code::Unauthenticated, 401),
                    Some(_) => (Code::PermissionDenied, 403),
                };
                assert_eq!(outcome.code, expected, "{wire:?}");
                assert!(!wire.is_json() || outcome.http_status == status, "{wire:?}");
            }
        }
    }
}

fn uuid(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap()
}

/// The id of an order of a test's own.
fn order() -> String {
    Uuid::now_v7().to_string()
}

fn charge(order: &str) -> ProcessPaymentRequest {
    ProcessPaymentRequest {
        order_id: order.into(),
        user_id: ME.into(),
        amount: 19.99,
        payment_method: "credit_card".into(),
        refund: false,
    }
}

fn refund(order: &str) -> ProcessPaymentRequest {
    ProcessPaymentRequest {
        refund: true,
        amount: 0.0,
        payment_method: String::new(),
        ..charge(order)
    }
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
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// Expects an answer of process-payment.
#[track_caller]
fn assert_answer(
    outcome: Outcome<zerocart_proto::payment::PaymentResponse>,
    status: PaymentStatus,
    success: bool,
    message: &str,
) -> String {
    assert_eq!(outcome.http_status, 200, "{outcome:?}");
    let answer = outcome.ok();
    assert_eq!(
        (answer.status(), answer.success, answer.message.as_str()),
        (status, success, message)
    );
    answer.payment_id
}
