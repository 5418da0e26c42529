//! Clients against real functions on real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod breaker;
mod calls;
mod chain;
mod failures;
mod retry;
mod setup;
mod sidecar;
mod wake;

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use zerocart_client::{Client, Functions, Options};
use zerocart_core::{Call, Env, Setup};
use zerocart_proto::{
    cart::{Cart, CartResponse, GetCartRequest},
    rpc::{self, GetCart, Rpc},
};
use zerocart_resilience::breaker::{
    self as breakers,
    shared::{BoxError, BoxFuture, Changed, Config, Loaded, Shared, Step, Store},
    state::Machine,
};
use zerocart_test_support::functions::{Authority, PATIENCE, Running, Script};

/// A user.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";

/// What the order functions call, seen from create-order.
struct World {
    authority: Authority,
    urls: Map<String, Value>,
    /// Whether a proxy beside the process carries its calls.
    sidecar: bool,
}

impl World {
    fn new() -> Self {
        Self {
            authority: Authority::generate(),
            urls: Map::new(),
            sidecar: false,
        }
    }

    /// Serves `R` by a script.
    async fn serve<R: Rpc>(&mut self, script: Script<R>) -> Running {
        let running = Running::scripted(self.authority.env(), script).await;
        self.at::<R>(running.address());
        running
    }

    /// Says where `R` is.
    fn at<R: Rpc>(&mut self, address: SocketAddr) {
        let url = format!("http://{address}");
        self.urls.insert(R::INFO.name.into(), url.into());
    }

    /// The environment of a function that calls.
    fn env(&self) -> Vec<(String, String)> {
        let key = self.authority.service_keys().current().to_private_jwk();
        let mut env = self.authority.env();
        env.push(("AUTH_SERVICE_SIGNING_KEY".into(), key.to_string()));
        let urls = Value::Object(self.urls.clone()).to_string();
        env.push(("FUNCTION_URLS".into(), urls));
        env.push(("FUNCTION_SIDECAR".into(), self.sidecar.to_string()));
        env
    }

    fn setup(&self) -> Setup {
        Setup::new(Env::from_iter(self.env()), "create-order")
    }

    /// A client of `R` in a process of its own.
    fn client<R: Rpc>(&self, options: Options) -> Client<R> {
        self.functions_and_client(options).1
    }

    fn functions_and_client<R: Rpc>(&self, options: Options) -> (Functions, Client<R>) {
        let mut setup = self.setup();
        let functions = Functions::from_setup(&mut setup, (&rpc::CreateOrder::INFO).into());
        let functions = functions.unwrap();
        match functions.client(&mut setup, options) {
            Ok(client) => (functions, client),
            Err(_) => panic!("{:?}", setup.problems()),
        }
    }

    /// A call of `ME` that has `time` left.
    fn call_within(&self, time: Duration) -> Call {
        Call {
            token: Some(self.authority.customer(ME)),
            ..Call::internal(time)
        }
    }

    fn call(&self) -> Call {
        self.call_within(PATIENCE)
    }
}

fn attempts(n: u32) -> Options {
    Options {
        attempts: NonZeroU32::new(n).unwrap(),
        ..Options::default()
    }
}

fn my_cart() -> GetCartRequest {
    GetCartRequest { user_id: ME.into() }
}

fn a_cart() -> CartResponse {
    CartResponse {
        cart: Some(Cart {
            user_id: ME.into(),
            ..Cart::default()
        }),
        success: true,
        message: "here".into(),
    }
}

/// Counts what happens.
#[derive(Clone, Debug, Default)]
struct Counter(Arc<AtomicU32>);

impl Counter {
    fn add(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// get-cart that answers its nth call with what `answer` says, and how often it was called.
fn counted(
    answer: impl Fn(u32) -> Result<CartResponse, zerocart_core::Error> + Send + Sync + 'static,
) -> (Script<GetCart>, Counter) {
    let calls = Counter::default();
    let counter = calls.clone();
    let script = Script::new(move |_, _| std::future::ready(answer(counter.add())));
    (script, calls)
}

/// Waits until something is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// An address where nobody listens.
async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap()
}

/// A server that does `serve` with each connection, and how many there were.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, Counter)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Counter::default();
    let counter = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.add();
            tokio::spawn(serve(stream));
        }
    });
    (address, connections)
}

/// A server that takes everything and says nothing.
async fn silence() -> SocketAddr {
    let silent = async |mut stream: TcpStream| {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    };
    server(silent).await.0
}

/// The state of a breaker, in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Machine>>);

impl Memory {
    fn now() -> Duration {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap()
    }
}

impl Store for Memory {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, BoxError>> {
        let machine = *self.0.lock().unwrap();
        let now = Self::now();
        Box::pin(std::future::ready(Ok(Loaded { machine, now })))
    }

    fn change<'a>(&'a self, step: Step<'a>) -> BoxFuture<'a, Result<Changed, BoxError>> {
        let mut machine = self.0.lock().unwrap();
        let (before, now) = (*machine, Self::now());
        let after = step(before, now);
        *machine = after;
        Box::pin(std::future::ready(Ok(Changed { before, after, now })))
    }
}

/// The contract's breaker, with a lease that lasts.
const RULES: breakers::Config = breakers::Config {
    failure_threshold: 3,
    success_threshold: 2,
    open_for: PATIENCE,
    half_open_probes: 1,
    probe_lease: Some(PATIENCE),
};

fn memory_breaker() -> Shared {
    Shared::new("get-cart", Memory::default(), Config::new(RULES)).unwrap()
}
