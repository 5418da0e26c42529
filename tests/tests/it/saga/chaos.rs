//! Many buyers of the same scarce products, while processes are killed and the database goes away.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use http::{Method, Request};
use http_body_util::BodyExt;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;
use zerocart_activator::{Activator, Guard, Options, ProcessLauncher};
use zerocart_proto::{cart::CartResponse, order::OrderResponse};
use zerocart_runtime::{Env, Setup};
use zerocart_test_support::clients::{self, Body, Reply};
use zerocart_tests::root;

use super::{
    process::{self, Process},
    refunds::Refunds,
    stage::{Buyer, Gateway, Shop, entry, keyed, post_order},
    until,
};
use crate::e2e::engine::binaries;

const BUYERS: usize = 16;

/// How often each of them orders.
const ORDERS: usize = 3;

/// How often an order is tried again that failed because something cannot be used.
const TRIES: usize = 4;

/// Units of each of the products: about half of what is wanted.
const STOCK: i32 = 48;

/// The most that is killed in one run.
const KILLS: usize = 60;

/// How often the database is stopped.
const OUTAGES: usize = 2;

const FUNCTIONS: [&str; 8] = [
    "get-product",
    "update-inventory",
    "process-payment",
    "get-payment-status",
    "get-cart",
    "clear-cart",
    "add-to-cart",
    "create-order",
];

/// What is killed.
const VICTIMS: [&str; 4] = [
    "create-order",
    "update-inventory",
    "process-payment",
    "clear-cart",
];

/// A shop whose functions are processes under the activator, as their manifests say.
struct Town {
    shop: Shop,
    activator: Activator,
    functions: SocketAddr,
    _serving: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Town {
    async fn open() -> Self {
        let shop = Shop::open().await;
        shop.gateway(Gateway {
            failure_rate: 0.3,
            failures: &[],
            delay_ms: 20,
        })
        .await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("there is a free port");
        let functions = listener
            .local_addr()
            .expect("a bound socket has an address");
        let manifests = zerocart_activator::load_dir(&root().join("knative/services"));
        let manifests = manifests.expect("the manifests are right");
        let manifests = manifests
            .into_iter()
            .filter(|f| FUNCTIONS.contains(&f.name.as_str()));
        let envs: BTreeMap<_, _> = FUNCTIONS
            .map(|name| {
                (
                    name.to_owned(),
                    env(&shop, entry(name).info.domain, functions),
                )
            })
            .into();
        let guard = Guard::spawn().expect("a guard can be started");
        let launcher = ProcessLauncher::new(binaries(), shop.folder(), guard, move |name| {
            envs.get(name).cloned().unwrap_or_default()
        });
        let activator = Activator::new(manifests, launcher, Options::default());
        let stop = watch::Sender::new(false);
        let serving = {
            let (activator, mut stopped) = (activator.clone(), stop.subscribe());
            tokio::spawn(async move {
                let stopped = async move { drop(stopped.wait_for(|stop| *stop).await) };
                let served = activator.serve(listener, stopped).await;
                served.expect("connections can be accepted");
            })
        };
        Self {
            shop,
            activator,
            functions,
            _serving: serving,
            stop,
        }
    }

    async fn send(&self, function: &str, request: Request<Body>) -> Option<Reply> {
        let request = request.map(axum::body::Body::new);
        let (parts, body) = self.activator.handle(function, request).await.into_parts();
        let body = body.collect().await.ok()?;
        Some(Reply {
            status: parts.status,
            headers: parts.headers,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
        })
    }

    /// Puts units into a cart, however often that has to be asked for. Whether there were enough.
    async fn add(&self, buyer: &Buyer, product: Uuid, quantity: i32, key: &str) -> bool {
        let body = json!({"product_id": product.to_string(), "quantity": quantity}).to_string();
        let path = format!("/carts/{}/items", buyer.id);
        let added = until("units are put into a cart", async || {
            let request = clients::request(Method::POST, &path, body.clone());
            let reply = self
                .send("add-to-cart", keyed(request, &buyer.token, key))
                .await?;
            if is_interruption(&reply) {
                return None;
            }
            let outcome = reply.outcome::<CartResponse>();
            match outcome.code {
                tonic::Code::Ok => Some(true),
                tonic::Code::FailedPrecondition => Some(false),
                tonic::Code::Aborted => None,
                _ => panic!("{outcome:?}"),
            }
        });
        let added = added.await;
        if added {
            self.shop.note_cart(buyer, product, quantity);
        }
        added
    }

    /// Orders the cart, however often that has to be asked for. An order that failed because
    /// something cannot be used is followed by another one, when the answer says that it may be.
    async fn order(&self, buyer: &Buyer, key: &str) {
        for attempt in 0..TRIES {
            let Some(pause) = self.order_once(buyer, &format!("{key}.{attempt}")).await else {
                return;
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One order: how long to wait before another one; none when there need not be any.
    async fn order_once(&self, buyer: &Buyer, key: &str) -> Option<Duration> {
        until("an order has an answer", async || {
            let reply = self.send("create-order", post_order(buyer, key)).await?;
            if is_interruption(&reply) {
                let told = reply.try_outcome::<OrderResponse>().ok()?;
                let failed = told.metadata.contains_key("order_id");
                return failed.then_some(told.retry_after);
            }
            let outcome = reply.outcome::<OrderResponse>();
            match outcome.code {
                tonic::Code::Ok => Some(None),
                // There was nothing to be had for the cart; or an earlier order has emptied it.
                tonic::Code::FailedPrecondition => Some(None),
                tonic::Code::Aborted => None,
                _ => panic!("{outcome:?}"),
            }
        })
        .await
    }

    /// Kills a process of a function. Whether there was one.
    fn kill(&self, function: &str, rng: &mut StdRng) -> bool {
        let status = self
            .activator
            .status()
            .into_iter()
            .find(|f| f.name == function);
        let instances = status
            .map(|function| function.instances)
            .unwrap_or_default();
        let pids: Vec<_> = instances
            .iter()
            .filter_map(|instance| instance.pid)
            .collect();
        if pids.is_empty() {
            return false;
        }
        let pid = pids[rng.random_range(0..pids.len())];
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // It may just have ended.
        pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    }
}

/// The variables of a function or job of `domain`.
fn env(shop: &Shop, domain: &'static str, functions: SocketAddr) -> process::Env {
    let mut env = shop.env(domain);
    let template = format!("http://{{function}}.localhost:{}", functions.port());
    let more = [
        ("FUNCTION_URL_TEMPLATE", template.as_str()),
        // What a killed process held is free again soon.
        ("ORDER_LEASE_MS", "1000"),
        ("ORDER_PAUSE_MS", "100"),
        ("PAYMENT_LEASE_MS", "1000"),
        ("PAYMENT_GATEWAY_TIMEOUT_MS", "800"),
        ("BREAKER_OPEN_MS", "100"),
    ];
    env.extend(more.map(|(name, value)| (name.into(), value.into())));
    env
}

/// Whether the chaos has had an answer prevented, rather than given.
fn is_interruption(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 502..=504)
}

/// A number of the environment, or none.
fn seed() -> Option<u64> {
    let mut setup = Setup::new(Env::of_process(), "chaos");
    setup
        .optional("ZEROCART_SEED")
        .expect("ZEROCART_SEED is a number")
}

/// Kills and stops until `done` says so, or enough was killed. Gives how much was.
async fn rage(town: &Town, rng: &mut StdRng, done: impl Fn() -> bool) -> usize {
    let mut kills = 0;
    let outages: Vec<_> = (0..OUTAGES)
        .map(|n| (n + 1) * KILLS / (OUTAGES + 1))
        .collect();
    while kills < KILLS && !done() {
        let pause_ms = rng.random_range(20..200);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let victim = VICTIMS[rng.random_range(0..VICTIMS.len())];
        if !town.kill(victim, rng) {
            continue;
        }
        kills += 1;
        if victim == "create-order" {
            town.shop.lapse_probes().await;
        }
        if outages.contains(&kills) {
            let mut server = town.shop.server.lock().await;
            server.stop().await;
            let pause_ms = rng.random_range(50..300);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            server.start().await;
        }
    }
    kills
}

async fn chaos(seed: u64) {
    let town = Town::open().await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut products = Vec::new();
    for cents in [475, 1_299, 50] {
        products.push(town.shop.product(cents, STOCK).await);
    }
    let busy = AtomicUsize::new(BUYERS);
    let wanted: Vec<Vec<[i32; 3]>> = (0..BUYERS)
        .map(|_| {
            (0..ORDERS)
                .map(|_| [0; 3].map(|_| rng.random_range(1..=3)))
                .collect()
        })
        .collect();
    let buyers = wanted.iter().map(async |orders| {
        let buyer = town.shop.buyer();
        for (order, quantities) in orders.iter().enumerate() {
            for (product, quantity) in products.iter().zip(quantities) {
                town.add(&buyer, *product, *quantity, &format!("{order} {product}"))
                    .await;
            }
            town.order(&buyer, &format!("order {order}")).await;
        }
        busy.fetch_sub(1, Ordering::SeqCst);
    });
    let raging = rage(&town, &mut rng, || busy.load(Ordering::SeqCst) == 0);
    let mut refunds = Refunds::new(&town.shop, seed);
    let refunding = async {
        loop {
            let sql = {
                // Not while the server is stopped.
                let _server = town.shop.server.lock().await;
                town.shop.sql("order").await
            };
            let send = async |request| town.send("process-payment", request).await;
            refunds.once(&sql, send).await;
        }
    };
    let (kills, _) = tokio::select! {
        ended = async { tokio::join!(raging, join_all(buyers)) } => ended,
        () = refunding => unreachable!("the admin never has enough"),
    };

    // Nobody drives any more; what is left is for recover-orders.
    while town.kill("create-order", &mut rng) {
        tokio::task::yield_now().await;
    }
    until("the database has noticed", async || {
        let backends = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND usename = 'zerocart_order'";
        let row = town.shop.sql("order").await.query_one(backends, &[]).await;
        let backends: i64 = row.expect("backends can be counted").get(0);
        (backends == 0).then_some(())
    })
    .await;
    until("every order has ended", async || {
        if town.shop.lapse().await.is_empty() {
            return Some(());
        }
        let env = env(&town.shop, "order", town.functions);
        let mut job = Process::job("recover-orders", env, town.shop.log("recover-orders"));
        let status = job.ended().await;
        assert!(status.success(), "{status}\n{}", job.log());
        None
    })
    .await;
    let books = town.shop.check("the chaos").await;
    refunds.check(&books);
    assert!(kills > OUTAGES, "only {kills} kills");
    let paid = books.orders.values().filter(|order| order.is_sold());
    let (paid, all) = (paid.count(), books.orders.len());
    let (refunded, refused) = refunds.counts();
    eprintln!(
        "seed {seed}: {kills} kills, {paid} of {all} orders paid, {refunded} refunded by an admin, \
         {refused} refunds refused"
    );

    // And it was no harm: the next customer is served.
    town.shop.gateway(Gateway::WORKS).await;
    let product = town.shop.product(995, 1).await;
    let buyer = town.shop.buyer();
    assert!(town.add(&buyer, product, 1, "in peace").await);
    let mut order = 0;
    until("an order in peace is paid", async || {
        order += 1;
        let pause = town.order_once(&buyer, &format!("in peace {order}")).await;
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let books = town.shop.books().await;
        let paid = books
            .orders_of(buyer.id)
            .iter()
            .any(|order| order.is_sold());
        paid.then_some(())
    })
    .await;
    town.stop.send_replace(true);
    town.activator.shutdown().await;
}

/// Says with which seed it was, when it fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: ZEROCART_SEED={}", self.0);
        }
    }
}

/// Runs the chaos with the seed of the environment, or this one.
async fn with(default: u64) {
    let told = Told(seed().unwrap_or(default));
    chaos(told.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_buyers_survive_the_chaos_of_one_seed() {
    with(20_250_101).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_buyers_survive_the_chaos_of_another_seed() {
    with(20_251_231).await;
}
