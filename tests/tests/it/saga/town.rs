//! A shop whose functions are processes under the activator, and what its buyers do.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use http::{Method, Request};
use http_body_util::BodyExt;
use rand::{RngExt, rngs::StdRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;
use zerocart_activator::{Activator, Guard, Options, ProcessLauncher};
use zerocart_proto::{cart::CartResponse, order::OrderResponse};
use zerocart_test_support::clients::{self, Body, Reply};
use zerocart_tests::root;

use super::{
    cancels::Cancels,
    process::{self, Process},
    refunds::Refunds,
    stage::{Buyer, Provider, Shop, entry, keyed, post_order},
    until,
};
use crate::e2e::engine::binaries;

/// What an order needs, until it is paid or cancelled.
pub(crate) const FUNCTIONS: [&str; 9] = [
    "get-product",
    "update-inventory",
    "process-payment",
    "get-payment-status",
    "get-cart",
    "clear-cart",
    "add-to-cart",
    "create-order",
    "cancel-order",
];

/// Those that drive orders.
const DRIVERS: [&str; 2] = ["create-order", "cancel-order"];

/// The shop, its processes as their manifests say, and every limit of theirs as it is in earnest.
pub(crate) struct Town {
    pub(crate) shop: Shop,
    activator: Activator,
    functions: SocketAddr,
    _serving: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// What came of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bought {
    /// It is paid, or was declined; or an earlier one has emptied the cart.
    Answered,
    /// There was too little of something.
    Refused,
    /// It failed because something could not be used: a new one may be made after this long.
    Failed(Duration),
}

impl Town {
    pub(crate) async fn open(provider: Provider) -> Self {
        let shop = Shop::open().await;
        shop.keep_commits().await;
        shop.provider(provider).await;
        Self::of(shop).await
    }

    /// The processes of a shop that is there.
    pub(crate) async fn of(shop: Shop) -> Self {
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
                let env = env(&shop, entry(name).info.domain, functions);
                (name.to_owned(), env)
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

    pub(crate) async fn close(self) {
        self.stop.send_replace(true);
        self.activator.shutdown().await;
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

    /// Puts units into a cart, and retries until there is an answer. Returns whether there were
    /// enough.
    pub(crate) async fn add(&self, buyer: &Buyer, product: Uuid, quantity: i32, key: &str) -> bool {
        let body = json!({"product_id": product.to_string(), "quantity": quantity}).to_string();
        let path = format!("/carts/{}/items", buyer.id);
        let added = until("units are put into a cart", async || {
            let request = clients::request(Method::POST, &path, body.clone());
            let reply = self
                .send("add-to-cart", keyed(request, &buyer.token, key))
                .await?;
            if is_interruption(&reply) {
                return later(&reply).await;
            }
            let outcome = reply.outcome::<CartResponse>();
            match outcome.code {
                tonic::Code::Ok => Some(true),
                tonic::Code::FailedPrecondition => Some(false),
                tonic::Code::Aborted => later(&reply).await,
                _ => panic!("{outcome:?}"),
            }
        });
        let added = added.await;
        if added {
            self.shop.note_cart(buyer, product, quantity);
        }
        added
    }

    /// Orders the cart, asking under one key until there is an answer.
    pub(crate) async fn order(&self, buyer: &Buyer, key: &str) -> Bought {
        until("an order has an answer", async || {
            let reply = self.send("create-order", post_order(buyer, key)).await?;
            if is_interruption(&reply) {
                let told = reply.try_outcome::<OrderResponse>();
                let failed = told.ok().filter(|t| t.metadata.contains_key("order_id"));
                let Some(failed) = failed else {
                    return later(&reply).await;
                };
                return Some(Bought::Failed(failed.retry_after?));
            }
            let outcome = reply.outcome::<OrderResponse>();
            match outcome.code {
                tonic::Code::Ok => Some(match &outcome.response {
                    Some(response) if response.message.contains("in stock") => Bought::Refused,
                    _ => Bought::Answered,
                }),
                tonic::Code::FailedPrecondition => Some(Bought::Answered),
                tonic::Code::Aborted => later(&reply).await,
                _ => panic!("{outcome:?}"),
            }
        })
        .await
    }

    /// An admin refunds orders, for ever.
    pub(crate) async fn refund(&self, refunds: &mut Refunds) {
        loop {
            let sql = {
                // Not while the server is stopped.
                let _server = self.shop.server.lock().await;
                self.shop.sql("order").await
            };
            let send = async |request| self.send("process-payment", request).await;
            refunds.once(&sql, send).await;
        }
    }

    /// Customers cancel orders, for ever.
    pub(crate) async fn cancel(&self, cancels: &mut Cancels) {
        loop {
            let sql = {
                // Not while the server is stopped.
                let _server = self.shop.server.lock().await;
                self.shop.sql("order").await
            };
            let send = async |request| self.send("cancel-order", request).await;
            cancels.once(&self.shop, &sql, send).await;
        }
    }

    /// Kills a process of a function. Whether there was one.
    pub(crate) fn kill(&self, function: &str, rng: &mut StdRng) -> bool {
        let status = self.activator.status();
        let status = status.into_iter().find(|f| f.name == function);
        kill_one(&pids(status), rng)
    }

    /// Kills any process of any function. Whether there was one.
    pub(crate) fn kill_any(&self, rng: &mut StdRng) -> bool {
        kill_one(&pids(self.activator.status()), rng)
    }

    /// PostgreSQL is killed, and at once started again, as an engine does.
    pub(crate) async fn kill_postgres(&self) {
        let mut server = self.shop.server.lock().await;
        let pid = server.pid().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("the server runs");
        kill_process(pid, Signal::KILL).expect("a child may be killed");
        server.start().await;
    }

    /// Runs settle-payments once.
    pub(crate) async fn settle_payments(&self) {
        let env = env(&self.shop, "payment", self.functions);
        let log = self.shop.log("settle-payments");
        let mut job = Process::job("settle-payments", env, log);
        let status = job.ended().await;
        assert!(status.success(), "{status}\n{}", job.log());
    }

    /// What a crash left half done is brought to its end, once nobody drives any more.
    pub(crate) async fn settle(&self, rng: &mut StdRng) {
        while DRIVERS.iter().any(|driver| self.kill(driver, rng)) {
            tokio::task::yield_now().await;
        }
        until("the database has noticed", async || {
            let backends = "SELECT count(*) FROM pg_stat_activity
                            WHERE datname = current_database() AND usename = 'zerocart_order'
                            AND state IS DISTINCT FROM 'idle'";
            let row = self.shop.sql("order").await.query_one(backends, &[]).await;
            let backends: i64 = row.expect("backends can be counted").get(0);
            (backends == 0).then_some(())
        })
        .await;
        until("every order has ended", async || {
            if self.shop.lapse().await.is_empty() {
                return Some(());
            }
            let env = env(&self.shop, "order", self.functions);
            let mut job = Process::job("recover-orders", env, self.shop.log("recover-orders"));
            let status = job.ended().await;
            assert!(status.success(), "{status}\n{}", job.log());
            None
        })
        .await;
    }
}

fn pids(functions: impl IntoIterator<Item = zerocart_activator::FunctionStatus>) -> Vec<u32> {
    let instances = functions.into_iter().flat_map(|f| f.instances);
    instances.filter_map(|instance| instance.pid).collect()
}

fn kill_one(pids: &[u32], rng: &mut StdRng) -> bool {
    if pids.is_empty() {
        return false;
    }
    let pid = pids[rng.random_range(0..pids.len())];
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may just have ended.
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// The variables of a function or job of `domain`.
fn env(shop: &Shop, domain: &'static str, functions: SocketAddr) -> process::Env {
    let mut env = shop.env(domain);
    env.retain(|(name, _)| name != "ORDER_LEASE_MS");
    let template = format!("http://{{function}}.localhost:{}", functions.port());
    env.push(("FUNCTION_URL_TEMPLATE".into(), template));
    env
}

/// Waits before the same is asked for again: as long as the answer says, and a second at most.
async fn later<T>(reply: &Reply) -> Option<T> {
    let after = reply.headers.get("retry-after");
    let after = after.map_or(Duration::from_millis(50), |_| Duration::from_secs(1));
    tokio::time::sleep(after).await;
    None
}

/// Whether the chaos has had an answer prevented, rather than given.
fn is_interruption(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 502..=504)
}
