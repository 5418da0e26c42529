//! What an order costs at the databases: round trips and transactions of all functions together, counted
//! by a proxy, and transactions that write, counted by PostgreSQL itself.
//!
//! The numbers do not depend on how many lines an order has. A change that makes an order cost more
//! changes a number here, and says why.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use zerocart_proto::order::OrderResponse;

use super::{
    books::Order,
    process::Process,
    stage::{Buyer, Stage, entry, post_order, send},
};

/// What all functions asked of their databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    /// How often a function waited for its database.
    round_trips: usize,
    /// How many transactions ended, those of single statements included.
    transactions: usize,
}

/// The cost of each function.
type Costs = BTreeMap<&'static str, Cost>;

/// Reads of circuit breakers, which have a name of their own here. They happen once a second at most, for
/// all orders of an instance.
const BREAKERS: &str = "circuit breakers";

/// A paid order, sent under an idempotency key.
fn expected(breakers: usize) -> Costs {
    let cost = |round_trips| Cost {
        round_trips,
        transactions: round_trips,
    };
    let mut expected = Costs::from([
        // Looks for an order that keeps the cart; places the order; records that it has ended.
        ("create-order", cost(3)),
        ("get-cart", cost(1)),
        ("update-inventory", cost(1)),
        // Records the request; the provider reads its settings and charges; records the reply.
        ("process-payment", cost(3)),
        // The lock, the change and the look, in one statement.
        ("clear-cart", cost(1)),
    ]);
    if breakers > 0 {
        expected.insert(BREAKERS, cost(breakers));
    }
    expected
}

/// Transactions that write: all but the look for an earlier order and get-cart.
const WRITES: u64 = 7;

/// Counts for every function, each by its own address.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<Costs>>);

impl Counter {
    fn add(&self, function: &'static str, round_trips: usize, transactions: usize) {
        let mut costs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = costs.entry(function).or_default();
        cost.round_trips += round_trips;
        cost.transactions += transactions;
    }

    /// What was counted since this was last asked.
    fn take(&self) -> Costs {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stands between `function` and `server`. Gives where.
    async fn before(&self, function: &'static str, server: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("there is a free port");
        let address = listener.local_addr();
        let counter = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, counter.clone(), function));
            }
        });
        address.expect("a bound socket has an address")
    }
}

/// Requests of one connection that were sent and not answered, in order: whether each is of a breaker.
type Pending = Mutex<Vec<bool>>;

/// Passes a connection on, message by message (PostgreSQL documentation, "Message Formats").
async fn relay(client: TcpStream, server: SocketAddr, counter: Counter, function: &'static str) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let nodelay = [&client, &server].map(|stream| stream.set_nodelay(true));
    assert!(nodelay.iter().all(Result::is_ok));
    let ((up, to_client), (down, to_server)) = (client.into_split(), server.into_split());
    let pending = Pending::default();
    let count = |breaker, round_trips, transactions| {
        let whose = if breaker { BREAKERS } else { function };
        counter.add(whose, round_trips, transactions);
    };
    tokio::select! {
        _ = requests(up, to_server, &pending, &count) => {}
        _ = answers(down, to_client, &pending, &count) => {}
    }
}

/// A request after which nothing is awaited begins a round trip.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    pending: &Pending,
    count: &impl Fn(bool, usize, usize),
) -> Option<Infallible> {
    // The startup message has no tag.
    let startup = read(&mut from).await?;
    write(&mut to, None, &startup).await?;
    let mut breaker = false;
    loop {
        let tag = tag(&mut from).await?;
        let message = read(&mut from).await?;
        breaker |= message.windows(16).any(|part| part == b"circuit_breakers");
        // The server answers a simple query, and Sync, with ReadyForQuery.
        if matches!(tag, b'Q' | b'S') {
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.is_empty() {
                count(breaker, 1, 0);
            }
            pending.push(breaker);
            breaker = false;
        }
        write(&mut to, Some(tag), &message).await?;
    }
}

/// ReadyForQuery outside of a transaction: one has ended.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    pending: &Pending,
    count: &impl Fn(bool, usize, usize),
) -> Option<Infallible> {
    loop {
        let tag = tag(&mut from).await?;
        let message = read(&mut from).await?;
        if tag == b'Z' {
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            // The handshake ends with one, too.
            if !pending.is_empty() {
                let breaker = pending.remove(0);
                if message == b"I" {
                    count(breaker, 0, 1);
                }
            }
        }
        write(&mut to, Some(tag), &message).await?;
    }
}

async fn tag(from: &mut OwnedReadHalf) -> Option<u8> {
    from.read_u8().await.ok()
}

/// What is in a message after its length.
async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let mut message = vec![0; (length as usize).checked_sub(4)?];
    from.read_exact(&mut message).await.ok()?;
    Some(message)
}

async fn write(to: &mut OwnedWriteHalf, tag: Option<u8>, message: &[u8]) -> Option<()> {
    let length = u32::try_from(message.len() + 4).ok()?.to_be_bytes();
    let bytes: Vec<_> = tag
        .into_iter()
        .chain(length)
        .chain(message.iter().copied())
        .collect();
    to.write_all(&bytes).await.ok()
}

/// A stage whose functions are counted.
struct Scene {
    stage: Stage,
    counter: Counter,
    _create_order: Process,
    address: SocketAddr,
}

impl Scene {
    async fn new() -> Self {
        let mut stage = Stage::new().await;
        let counter = Counter::default();
        for name in [
            "get-cart",
            "update-inventory",
            "process-payment",
            "clear-cart",
        ] {
            let url = counted_url(&stage, &counter, name).await;
            stage.restart(name, &[("DATABASE_URL", &url)]).await;
        }
        let url = counted_url(&stage, &counter, "create-order").await;
        let env = stage.order_env(&[
            ("DATABASE_URL", &url),
            // The list of void tokens is read with the first connection, and again twice a minute.
            ("TOKEN_VOIDS_REFRESH_MS", "3600000"),
            ("TOKEN_VOIDS_MAX_AGE_MS", "3600000"),
        ]);
        let (create_order, address) = stage.start("create-order", env).await;
        Self {
            stage,
            counter,
            _create_order: create_order,
            address,
        }
    }

    /// An order of so many lines, and what it cost.
    async fn order(&self, lines: usize) -> (Costs, u64) {
        let buyer = self.cart(lines).await;
        let before = self.writes().await;
        self.counter.take();
        let answer = send(self.address, post_order(&buyer, "key")).await;
        let response = answer.expect("an answer").outcome::<OrderResponse>().ok();
        assert!(response.success, "{response:?}");
        let order = response.order.expect("the order is told");
        assert_eq!(order.items.len(), lines);
        (self.counter.take(), self.writes().await - before)
    }

    /// A new buyer with so many lines in the cart.
    async fn cart(&self, lines: usize) -> Buyer {
        let shop = &self.stage.shop;
        let buyer = shop.buyer();
        let cart = shop.sql("cart").await;
        let made = "INSERT INTO carts (user_id, updated_at) VALUES ($1, now())";
        cart.execute(made, &[&buyer.id]).await.expect("a new cart");
        for _ in 0..lines {
            let product = shop.product(475, 20).await;
            let line = "INSERT INTO cart_items (user_id, product_id, name, price, quantity)
                        VALUES ($1, $2, 'Tea', 4.75, 2)";
            let added = cart.execute(line, &[&buyer.id, &product]).await;
            added.expect("a new line");
            shop.note_cart(&buyer, product, 2);
        }
        buyer
    }

    /// The number of the next transaction that writes. The server is the test's own.
    async fn writes(&self) -> u64 {
        let next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
        let row = self
            .stage
            .shop
            .sql("order")
            .await
            .query_one(next, &[])
            .await;
        let number: String = row.expect("a snapshot").get(0);
        number.parse().expect("a number")
    }
}

/// The address of the database of `name`, through the counter.
async fn counted_url(stage: &Stage, counter: &Counter, name: &'static str) -> String {
    let env = stage.shop.env(entry(name).info.domain);
    let (_, url) = env
        .into_iter()
        .rev()
        .find(|(variable, _)| variable == "DATABASE_URL")
        .expect("a function has a database");
    let at = counter.before(name, stage.shop.server_address()).await;
    let (before, rest) = url.rsplit_once('@').expect("it has a password");
    let (_, path) = rest.split_once('/').expect("it has a path");
    format!("{before}@{at}/{path}")
}

#[tokio::test]
async fn an_order_costs_the_same_whatever_it_has_of_lines() {
    let scene = Scene::new().await;
    // The first ones prepare their statements.
    for lines in [1, 2] {
        scene.order(lines).await;
    }
    for lines in [1, 10, 100] {
        let (costs, writes) = scene.order(lines).await;
        let breakers = costs.get(BREAKERS).map_or(0, |cost| cost.round_trips);
        assert!(breakers <= 1, "{costs:?}");
        assert_eq!(costs, expected(breakers), "{lines} lines");
        assert_eq!(writes, WRITES, "{lines} lines");
    }
    let most = expected(1);
    assert_eq!(
        most.values().map(|cost| cost.round_trips).sum::<usize>(),
        10
    );
    let books = scene.stage.shop.check("all of that").await;
    assert!(books.orders.values().all(Order::is_sold));
    assert_eq!(books.orders.len(), 5);
}
