//! A server with the four databases, and what a test needs of them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_postgres::NoTls;
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_core::{
    Platform,
    trace::{Recorder, Resource},
};
use zerocart_proto::{cart::AddToCartRequest, order::OrderResponse, rpc};
use zerocart_runtime::Entry;
use zerocart_test_support::{
    clients::{self, Body, Outcome, Reply, Wire},
    functions::{Authority, PATIENCE, Running},
    postgres::{TestDatabase, TestServer},
};

use super::{
    books::{Books, Order, Put},
    boundary::{Fate, Stop},
    broker::Broker,
    forwarder::Addresses,
    process::{Env, Process, Tap},
    traces::{Recorded, spans_of},
    until,
};

const DOMAINS: [&str; 4] = ["product", "cart", "payment", "order"];

/// Longer than anything here takes: a driver that lives never loses its lease, and nothing depends
/// on how fast this machine is. What shall lapse is made to lapse.
const LEASE_MS: &str = "60000";

/// Longer than an order takes here: only its beginning and its end are recorded.
const QUICK_MS: &str = "20000";

/// Each step is recorded.
pub(crate) const SLOW_MS: &str = "0";

/// What an order calls, and what fills a cart.
const FUNCTIONS: [&str; 7] = [
    "get-product",
    "update-inventory",
    "process-payment",
    "get-payment-status",
    "get-cart",
    "clear-cart",
    "add-to-cart",
];

/// Someone with a cart.
#[derive(Clone, Debug)]
pub(crate) struct Buyer {
    pub(crate) id: Uuid,
    pub(crate) token: Token,
}

/// How the simulated provider behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provider {
    pub(crate) failure_rate: f64,
    /// None means all.
    pub(crate) failures: &'static [&'static str],
    pub(crate) delay_ms: i32,
}

impl Provider {
    pub(crate) const WORKS: Self = Self {
        failure_rate: 0.0,
        failures: &[],
        delay_ms: 0,
    };
    pub(crate) const DECLINES: Self = Self {
        failure_rate: 1.0,
        failures: &["INSUFFICIENT_FUNDS"],
        delay_ms: 0,
    };
    pub(crate) const DOWN: Self = Self {
        failure_rate: 1.0,
        failures: &["TEMPORARILY_UNAVAILABLE"],
        delay_ms: 0,
    };
    /// Charges, only they, are not answered. (At a rate of 1 nothing is.)
    pub(crate) const SILENT: Self = Self {
        failure_rate: 0.999_999_999,
        failures: &["GATEWAY_TIMEOUT"],
        delay_ms: 0,
    };
}

/// The server and its databases, keys, and what was put in.
pub(crate) struct Shop {
    pub(crate) server: tokio::sync::Mutex<TestServer>,
    pub(crate) authority: Authority,
    databases: BTreeMap<&'static str, TestDatabase>,
    sql: tokio::sync::Mutex<BTreeMap<&'static str, Arc<tokio_postgres::Client>>>,
    put: Mutex<Put>,
    folder: TempDir,
    broker: Broker,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let server = TestServer::private().await;
        let mut databases = BTreeMap::new();
        for domain in DOMAINS {
            databases.insert(domain, server.database(domain).await);
        }
        Self::on(server, databases)
    }

    /// A shop whose databases have the names that they have outside of tests, and with them those that
    /// no order needs; and the superuser's URL.
    pub(crate) async fn whole() -> (Self, String) {
        let server = TestServer::private().await;
        for domain in ["user", "ops"] {
            server.own_database(domain).await;
        }
        let mut databases = BTreeMap::new();
        for domain in DOMAINS {
            databases.insert(domain, server.own_database(domain).await);
        }
        let url = server.admin_url();
        (Self::on(server, databases), url)
    }

    fn on(server: TestServer, databases: BTreeMap<&'static str, TestDatabase>) -> Self {
        Self {
            broker: Broker::start(databases.values()),
            server: server.into(),
            authority: Authority::generate(),
            databases,
            sql: tokio::sync::Mutex::default(),
            put: Mutex::default(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// Notes what was in stock in another shop, of which this one has the databases. Its carts are as
    /// they are.
    pub(crate) fn stock_of(&self, other: &Self) {
        let stock = other.put(|put| put.stock.clone());
        self.put(|put| put.stock = stock);
    }

    /// A superuser's connection to the database of `domain`.
    pub(crate) async fn sql(&self, domain: &'static str) -> Arc<tokio_postgres::Client> {
        let mut kept = self.sql.lock().await;
        if let Some(client) = kept.get(domain).filter(|client| !client.is_closed()) {
            return Arc::clone(client);
        }
        let client = Arc::new(self.connect(domain).await);
        kept.insert(domain, Arc::clone(&client));
        client
    }

    /// A superuser's connection of somebody's own.
    pub(crate) async fn connect(&self, domain: &'static str) -> tokio_postgres::Client {
        let url = self.databases[domain].admin_url();
        let connected = tokio_postgres::connect(url, NoTls).await;
        let (client, connection) = connected.expect("the server takes connections");
        tokio::spawn(connection);
        client
    }

    /// From now on what was committed outlives a server that is killed, not only one that is stopped.
    pub(crate) async fn keep_commits(&self) {
        for domain in DOMAINS {
            let database = &self.databases[domain];
            // A session that is open, such as one that the broker keeps for others, would go on without.
            let keep = format!(
                "ALTER DATABASE {0} SET synchronous_commit = on; SET synchronous_commit = on;
                 SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                 WHERE datname = '{0}' AND pid <> pg_backend_pid()",
                database.name()
            );
            let kept = self.sql(domain).await.batch_execute(&keep).await;
            kept.expect("a setting can be changed");
        }
    }

    /// Where the log of `name` goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// A folder of the test's own.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The variables of a function or job of `domain`, but for where others are.
    pub(crate) fn env(&self, domain: &'static str) -> Env {
        let mut env = self.authority.env();
        let url = self.broker.url(self.databases[domain].name());
        env.push(("DATABASE_URL".into(), url));
        if domain == "order" {
            let key = self.authority.service_keys().current().to_private_jwk();
            env.push(("AUTH_SERVICE_SIGNING_KEY".into(), key.to_string()));
            env.push(("ORDER_LEASE_MS".into(), LEASE_MS.into()));
        }
        env
    }

    /// The session broker in front of the server.
    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Where the server is.
    pub(crate) fn server_address(&self) -> SocketAddr {
        let url = self.databases["order"].url();
        let config: tokio_postgres::Config = url.parse().expect("the URL is valid");
        ([127, 0, 0, 1], config.get_ports()[0]).into()
    }

    /// Someone new.
    pub(crate) fn buyer(&self) -> Buyer {
        let id = Uuid::now_v7();
        let token = self.authority.customer(&id.to_string());
        Buyer { id, token }
    }

    /// A new product.
    pub(crate) async fn product(&self, price_cents: i64, inventory: i32) -> Uuid {
        let id = Uuid::now_v7();
        let insert = "INSERT INTO products (id, name, description, price, inventory)
                      VALUES ($1, 'Tea', '', $2::bigint / 100.0, $3)";
        let sql = self.sql("product").await;
        let inserted = sql.execute(insert, &[&id, &price_cents, &inventory]).await;
        inserted.expect("a product can be inserted");
        self.put(|put| put.stock.insert(id, inventory.into()));
        id
    }

    /// Sets the stock of a product that nobody has reserved yet.
    pub(crate) async fn set_stock(&self, product: Uuid, inventory: i32) {
        let update = "UPDATE products SET inventory = $2 WHERE id = $1";
        let sql = self.sql("product").await;
        let updated = sql.execute(update, &[&product, &inventory]).await;
        updated.expect("a product can be updated");
        self.put(|put| put.stock.insert(product, inventory.into()));
    }

    /// Notes what was put into a cart.
    pub(crate) fn note_cart(&self, buyer: &Buyer, product: Uuid, quantity: i32) {
        self.put(|put| {
            let cart = put.carts.entry(buyer.id).or_default();
            *cart.entry(product).or_default() += i64::from(quantity);
        });
    }

    fn put<T>(&self, note: impl FnOnce(&mut Put) -> T) -> T {
        note(&mut self.put.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets how the provider behaves from now on.
    pub(crate) async fn provider(&self, provider: Provider) {
        let update = "UPDATE simulator_settings
                      SET failure_rate = $1, min_delay_ms = $2, max_delay_ms = $2, failures = $3";
        let all = [
            "GATEWAY_TIMEOUT",
            "INSUFFICIENT_FUNDS",
            "TEMPORARILY_UNAVAILABLE",
        ];
        let failures = match provider.failures {
            [] => &all,
            failures => failures,
        };
        let sql = self.sql("payment").await;
        let (rate, delay) = (provider.failure_rate, provider.delay_ms);
        let updated = sql.execute(update, &[&rate, &delay, &failures]).await;
        assert_eq!(updated.expect("the settings can be set"), 1);
    }

    /// Closes the circuit breakers; that of process-payment has seen so many failures in a row.
    pub(crate) async fn close_breakers(&self, payment_failures: i64) {
        let sql = self.sql("order").await;
        let cleared = sql.execute("DELETE FROM circuit_breakers", &[]).await;
        cleared.expect("breakers can be deleted");
        if payment_failures > 0 {
            let insert = "INSERT INTO circuit_breakers (name, failures)
                          VALUES ('process-payment', $1)";
            let inserted = sql.execute(insert, &[&payment_failures]).await;
            inserted.expect("a breaker can be inserted");
        }
    }

    /// The time of all drivers is over: their leases lapse, as do the pauses of what they put off.
    /// Gives the orders that are unfinished.
    pub(crate) async fn lapse(&self) -> Vec<(Uuid, Uuid)> {
        let update = "UPDATE orders SET lease_until = clock_timestamp() - interval '1 s',
                          open_until = CASE WHEN open_until IS NOT NULL
                              THEN clock_timestamp() - interval '1 s' END
                      WHERE step <> 'ended' RETURNING id, user_id";
        let rows = self.sql("order").await.query(update, &[]).await;
        let rows = rows.expect("orders can be updated");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// The tables as they are.
    pub(crate) async fn books(&self) -> Books {
        let (product, cart) = (self.sql("product").await, self.sql("cart").await);
        let (payment, order) = (self.sql("payment").await, self.sql("order").await);
        Books::read(&product, &cart, &payment, &order).await
    }

    /// Expects that everything is as it must be.
    pub(crate) async fn check(&self, after: &str) -> Books {
        let books = self.books().await;
        let wrong = self.put(|put| books.wrong(put));
        assert!(wrong.is_empty(), "after {after}:\n{}", wrong.join("\n"));
        books
    }
}

/// A shop whose functions run in this process, but for those that drive orders.
pub(crate) struct Stage {
    pub(crate) shop: Shop,
    /// How often a charge is asked for, where it is not as often as in earnest.
    pub(crate) charge_attempts: Option<&'static str>,
    /// How long an order goes on without a record.
    pub(crate) record_after_ms: &'static str,
    functions: BTreeMap<&'static str, Running>,
    /// What the functions in this process recorded: lines of spans.
    spans: Arc<Mutex<Vec<u8>>>,
}

impl Stage {
    /// A stage with a provider that works at once.
    pub(crate) async fn new() -> Self {
        let mut stage = Self {
            shop: Shop::open().await,
            charge_attempts: None,
            record_after_ms: QUICK_MS,
            functions: BTreeMap::new(),
            spans: Arc::default(),
        };
        stage.shop.provider(Provider::WORKS).await;
        for name in FUNCTIONS {
            stage.restart(name, &[]).await;
        }
        stage
    }

    /// Starts a function, in place of the one that runs.
    pub(crate) async fn restart(&mut self, name: &'static str, more: &[(&str, &str)]) {
        let entry = entry(name);
        let mut env = self.shop.env(entry.info.domain);
        env.push(("FUNCTION_URLS".into(), urls(&self.addresses())));
        env.extend(more.iter().map(|(k, v)| ((*k).into(), (*v).into())));
        let spans = Arc::clone(&self.spans);
        let recorder = Recorder::new(&Resource::new(name, "test"), move |line| {
            let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
            spans.extend_from_slice(line);
        });
        let platform = Platform::default().with(recorder);
        let built = (entry.build)(platform, env.into_iter().collect());
        let built = built.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.functions.insert(name, Running::serve(built).await);
    }

    /// All spans of one trace: of the functions here, and of the processes of the order domain.
    pub(crate) fn trace(&self, id: &str) -> Vec<Recorded> {
        let here = self
            .spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut text = String::from_utf8(here).expect("spans are text");
        for name in ["create-order", "recover-orders"] {
            text += &std::fs::read_to_string(self.shop.log(name)).unwrap_or_default();
        }
        spans_of(&text, id)
    }

    /// What the functions in this process have written, by their names.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::str::from_utf8(&spans).expect("spans are text");
        let mut lines: BTreeMap<String, String> = BTreeMap::new();
        for line in text.split_inclusive('\n') {
            let name = FUNCTIONS.iter().find(|name| {
                line.contains(&format!(
                    "\"service.name\",\"value\":{{\"stringValue\":\"{name}\""
                ))
            });
            *lines
                .entry((*name.expect("a function of the stage")).to_owned())
                .or_default() += line;
        }
        lines.into_iter().collect()
    }

    /// Where a function is.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.functions[name].address()
    }

    /// Where all functions are.
    pub(crate) fn addresses(&self) -> Addresses {
        let functions = self.functions.iter();
        functions
            .map(|(name, running)| (*name, running.address()))
            .collect()
    }

    /// Puts so many units of a product into a cart.
    pub(crate) async fn add(&self, buyer: &Buyer, product: Uuid, quantity: i32) {
        let request = AddToCartRequest {
            user_id: buyer.id.to_string(),
            product_id: product.to_string(),
            quantity,
        };
        let client = clients::Client::new(Wire::Grpc, self.address("add-to-cart"));
        let client = client.bearer(&buyer.token);
        client.call::<rpc::AddToCart>(&request).await.ok();
        self.shop.note_cart(buyer, product, quantity);
    }

    /// The variables of a function or job of the order domain.
    pub(crate) fn order_env(&self, more: &[(&str, &str)]) -> Env {
        let mut env = self.own_env();
        env.push(("FUNCTION_URLS".into(), urls(&self.addresses())));
        env.extend(more.iter().map(|(k, v)| ((*k).into(), (*v).into())));
        env
    }

    fn own_env(&self) -> Env {
        let mut env = self.shop.env("order");
        let attempts = self.charge_attempts.iter();
        env.extend(attempts.map(|n| ("CHARGE_ATTEMPTS".into(), (*n).into())));
        env.push(("ORDER_RECORD_AFTER_MS".into(), self.record_after_ms.into()));
        env
    }

    /// The same, through `tap`.
    pub(crate) fn tapped_env(&self, tap: &Tap) -> Env {
        let mut env = self.own_env();
        for (name, value) in &mut env {
            if name == "DATABASE_URL" {
                let (before, rest) = value.rsplit_once('@').expect("it has a password");
                let (_, path) = rest.split_once('/').expect("it has a path");
                *value = format!("{before}@{}/{path}", tap.database);
            }
        }
        let template = format!("http://{{function}}.localhost:{}", tap.functions.port());
        env.push(("FUNCTION_URL_TEMPLATE".into(), template));
        env
    }

    /// What stands between a process and all others.
    pub(crate) async fn tap(&self, stop: Stop, fate: Fate) -> Tap {
        Tap::new(self.shop.broker().path(), self.addresses(), stop, fate).await
    }

    /// A process of a function of the order domain that is ready.
    pub(crate) async fn start(&self, name: &str, env: Env) -> (Process, SocketAddr) {
        let (process, address) = Process::function(name, env, self.shop.log(name));
        until("the process is ready", async || {
            let request = clients::request(Method::GET, "/ready", "");
            let reply = send(address, request).await?;
            reply.status.is_success().then_some(())
        })
        .await;
        (process, address)
    }

    /// One run of recover-orders that goes well.
    pub(crate) async fn recover(&self) {
        let env = self.order_env(&[("LOG_FORMAT", "otlp")]);
        let log = self.shop.log("recover-orders");
        let mut job = Process::job("recover-orders", env, log);
        let status = job.ended().await;
        assert!(status.success(), "{status}\n{}", job.log());
    }
}

/// The function of this name.
pub(crate) fn entry(name: &str) -> &'static Entry {
    let entry = zerocart_registry::function(name);
    entry.unwrap_or_else(|| panic!("there is no function {name}"))
}

/// The value of `FUNCTION_URLS`.
pub(crate) fn urls(addresses: &Addresses) -> String {
    let urls = addresses.iter();
    let urls: BTreeMap<_, _> = urls
        .map(|(name, at)| (*name, format!("http://{at}")))
        .collect();
    json!(urls).to_string()
}

/// Sends a request over HTTP/1.1; none when there is no answer.
pub(crate) async fn send(address: SocketAddr, request: Request<Body>) -> Option<Reply> {
    let client: Client<HttpConnector, Body> =
        Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let (mut parts, body) = request.into_parts();
    let uri = format!("http://{address}{}", parts.uri);
    parts.uri = uri.parse().expect("an address and a path are a URI");
    let answer = async {
        let response = client
            .request(Request::from_parts(parts, body))
            .await
            .ok()?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok()?;
        Some(Reply {
            status: parts.status,
            headers: parts.headers,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
        })
    };
    timeout(2 * PATIENCE, answer)
        .await
        .expect("an answer, or none")
}

/// POST /orders of a cart, under an idempotency key.
pub(crate) fn post_order(buyer: &Buyer, key: &str) -> Request<Body> {
    let body = json!({"user_id": buyer.id.to_string()}).to_string();
    let request = clients::request(Method::POST, "/orders", body);
    keyed(request, &buyer.token, key)
}

/// A request as the subject of `token`, under an idempotency key.
pub(crate) fn keyed(mut request: Request<Body>, token: &Token, key: &str) -> Request<Body> {
    let value = |text: &str| HeaderValue::try_from(text).expect("this is the value of a header");
    let headers = request.headers_mut();
    headers.insert("authorization", value(&token.to_authorization()));
    headers.insert("idempotency-key", value(key));
    request
}

/// Expects that a buyer is told what became of `order`.
pub(crate) fn expect_answer(outcome: &Outcome<OrderResponse>, order: &Order, after: &str) {
    let Order { id, status, .. } = order;
    if order.cause.as_deref() == Some("unavailable") {
        assert_eq!(outcome.http_status, 503, "after {after}: {outcome:?}");
        assert_eq!(
            outcome.metadata.get("order_id"),
            Some(&id.to_string()),
            "after {after}"
        );
        assert!(outcome.retry_after.is_some(), "after {after}: {outcome:?}");
        return;
    }
    assert_eq!(
        outcome.http_status, 201,
        "after {after}: {status}, {outcome:?}"
    );
    let response = outcome.response.as_ref().expect("201 has a body");
    let told = response.order.as_ref().expect("the order is told");
    assert_eq!(told.id, id.to_string(), "after {after}");
    assert_eq!(told.status().as_str_name(), status, "after {after}");
    assert_eq!(response.success, order.is_sold(), "after {after}");
    let cents = (told.total_amount * 100.0).round();
    assert!(
        (cents - order.total_cents as f64).abs() < 0.5,
        "after {after}: {told:?}"
    );
    if !response.success {
        assert_eq!(
            (&response.message, &told.reason),
            (&order.reason, &order.reason)
        );
    }
}
