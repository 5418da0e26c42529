//! A hundred thousand hostile requests, while a customer goes on shopping.
//!
//! A program of its own: cargo runs test programs one after the other, and no other test should have
//! to be in time beside this.

mod good;
mod http1;
mod http2;
mod watch;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::Method;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use zerocart_tests::harness::engine::{Data, Engine};

use good::Good;
use watch::{Memory, instances, rows};

/// How many requests, or connections with many of them.
const ATTACKS: usize = 100_000;

/// Attack `n` is made by chance from this and `n`: the same ones in each run.
const SEED: u64 = 0x5eed_2026;

/// Attackers at once.
const AT_ONCE: usize = 64;

/// Clients that stay as long as they are let, and send a byte a second.
const SLOW: usize = 300;

/// How long an attacker waits for an answer before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a function may use in a cluster, in kB (`knative/kustomization.yaml`), of which those that hash
/// passwords have more.
const LIMIT_KB: u64 = 64 * 1024;
const HASHING_LIMIT_KB: u64 = 192 * 1024;

/// What the engine may use more at the end than after a third of the attack, in kB: it knows more
/// addresses then, and its allocator has seen other sizes.
const ENGINE_GROWTH_KB: u64 = 96 * 1024;

/// Whom an attack is for.
#[derive(Debug, Clone)]
pub(crate) struct Victim {
    address: SocketAddr,
    /// The value of `Host`.
    pub(crate) host: String,
    /// A customer's token, without `Bearer`: of one who means harm.
    pub(crate) token: String,
    pub(crate) user: String,
    pub(crate) product: String,
}

/// What came of the attacks.
#[derive(Debug, Default)]
struct Outcome {
    /// How often each shape was answered with each status.
    answers: Mutex<BTreeMap<(&'static str, u16), usize>>,
}

/// In place of a status: the connection was ended without one, or was not ended in time.
const NO_ANSWER: u16 = 0;
const NO_END: u16 = 1;

impl Outcome {
    fn note(&self, name: &'static str, status: u16) {
        let mut answers = self.answers.lock().expect("nobody panics with it");
        *answers.entry((name, status)).or_default() += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_hostile_requests_harm_nobody() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let product = shop(&engine).await;
    let mut good = Good::new(&engine, "ada@example.com", &product).await;
    let mallory = Good::new(&engine, "mallory@example.com", &product).await;
    let victim = Victim {
        address: engine.gateway(),
        host: engine.gateway().to_string(),
        token: mallory.token.trim_start_matches("Bearer ").to_owned(),
        user: mallory.user.clone(),
        product,
    };
    // What one order writes, so that all that the customer writes is known.
    good.order().await;
    let before_one = rows(&engine).await;
    good.order().await;
    let before = rows(&engine).await;
    let orders_before = good.orders;

    let (outcome, over, next) = (
        Outcome::default(),
        AtomicBool::new(false),
        AtomicUsize::new(0),
    );
    let mut early = Memory::default();
    let mut memory = Memory::default();
    let neighbours = Mutex::new(instances(&engine));
    {
        let attackers = (0..AT_ONCE).map(|_| async {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= ATTACKS {
                    break;
                }
                attack(n, &victim, &neighbours, &outcome).await;
            }
        });
        let attack = async {
            join_all(attackers).await;
            over.store(true, Ordering::Relaxed);
        };
        let slow = join_all((0..SLOW).map(|n| slow_client(n, &victim, &over)));
        let watching = async {
            while !over.load(Ordering::Relaxed) {
                memory.look(&engine);
                if next.load(Ordering::Relaxed) < ATTACKS / 3 {
                    early.look(&engine);
                }
                *neighbours.lock().expect("nobody panics with it") = instances(&engine);
                sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::join!(attack, slow, watching, good.work(&over));
    }
    memory.look(&engine);

    let answers = outcome.answers.into_inner().expect("nobody panics with it");
    for ((name, status), times) in &answers {
        println!("{name}: {status} × {times}");
    }
    println!("memory in kB: {memory:?}\nearly: {early:?}");
    println!(
        "the customer: {} answers, {} orders",
        good.answered, good.orders
    );

    assert_eq!(good.wrong, [""; 0], "the customer was not served");
    assert!(good.orders > orders_before, "the customer bought nothing");
    let granted: Vec<_> = answers
        .iter()
        .filter(|((_, status), _)| matches!(status, 200..=399 | 500 | 502 | 504))
        .collect();
    assert!(granted.is_empty(), "{granted:?}");

    for function in engine.ps().await {
        assert_eq!(function.crashes, 0, "{}", function.name);
        let limit = match function.name.as_str() {
            "create-user" | "authenticate-user" => HASHING_LIMIT_KB,
            _ => LIMIT_KB,
        };
        let peak = memory.of(&function.name).unwrap_or_default();
        assert!(peak < limit, "{}: {peak} kB", function.name);
    }
    let (first, last) = (early.of("zerocart"), memory.of("zerocart"));
    let grown = last.expect("it runs") - first.expect("it ran");
    assert!(grown < ENGINE_GROWTH_KB, "the engine grew by {grown} kB");

    // Nothing was written but what the customer wrote.
    let bought = i64::from(good.orders - orders_before);
    let after = rows(&engine).await;
    for (table, before_it) in &before {
        let each = before_it - before_one[table];
        assert_eq!(after[table], before_it + bought * each, "{table}");
    }
    let smuggled = "SELECT count(*) FROM users WHERE email LIKE 'smuggled%'";
    let smuggled = engine.database("user").await.query_one(smuggled, &[]).await;
    assert_eq!(smuggled.expect("it may be read").get::<_, i64>(0), 0);
    engine.stop().await;
}

/// A product with enough in stock, and a payment gateway that works.
async fn shop(engine: &Engine) -> String {
    let admin = engine.sign_in_admin().await;
    let http = engine.http();
    let token = [("authorization", admin.as_str())];
    let works = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0}).to_string();
    let set = http
        .call(Method::POST, "/admin/failure-rate", works, &token)
        .await;
    assert_eq!(set.status, 200);
    let tea = json!({"name": "Tea", "price": 4.75, "inventory": 1_000_000}).to_string();
    let made = http.call(Method::POST, "/products", tea, &token).await;
    let made: serde_json::Value = serde_json::from_slice(&made.body).expect("JSON");
    made["product"]["id"].as_str().expect("an id").to_owned()
}

/// Attack `n`: at the gateway mostly, and sometimes at an instance itself.
async fn attack(
    n: usize,
    victim: &Victim,
    neighbours: &Mutex<Vec<(String, u16)>>,
    outcome: &Outcome,
) {
    let mut rng = StdRng::seed_from_u64(SEED ^ n as u64);
    let neighbour = {
        let neighbours = neighbours.lock().expect("nobody panics with it");
        let some = rng.random_bool(0.1) && !neighbours.is_empty();
        some.then(|| neighbours[rng.random_range(0..neighbours.len())].1)
    };
    let mut victim = victim.clone();
    if let Some(port) = neighbour {
        victim.address.set_port(port);
        victim.host = victim.address.to_string();
    }
    // Half a million addresses, of which hardly one is over its limit, and one that always is.
    let source = match rng.random_range(0..10) {
        0 => Ipv4Addr::new(127, 99, 99, 99),
        _ => Ipv4Addr::new(127, rng.random_range(64..72), rng.random(), rng.random()),
    };
    let (name, bytes, ends, mark) = if rng.random_bool(0.2) {
        let (name, bytes) = http2::attack(&mut rng, &victim);
        (name, bytes, false, true)
    } else {
        let attack = http1::attack(&mut rng, &victim);
        (attack.name, attack.bytes, attack.ends, false)
    };
    let Some(stream) = connect(source, victim.address).await else {
        outcome.note(name, NO_ANSWER);
        return;
    };
    match timeout(PATIENCE, exchange(stream, &bytes, ends, mark)).await {
        Ok(answer) => outcome.note(name, status(&answer)),
        Err(_) => outcome.note(name, NO_END),
    }
}

async fn connect(source: Ipv4Addr, address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((source, 0).into()).ok()?;
    socket.connect(address).await.ok()
}

/// Sends the bytes, and reads until the server ends the connection or has acknowledged the mark.
async fn exchange(stream: TcpStream, bytes: &[u8], ends: bool, mark: bool) -> Vec<u8> {
    let (mut from, mut to) = stream.into_split();
    let sending = async {
        // A server may end the connection while a flood is still being sent.
        if to.write_all(bytes).await.is_ok() && ends {
            let _ = to.shutdown().await;
        }
    };
    let reading = async {
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            answer.extend(&buffer[..length]);
            let acknowledged = || answer.windows(8).any(|eight| eight == http2::MARK);
            if mark && acknowledged() {
                break;
            }
        }
        answer
    };
    let ((), answer) = tokio::join!(sending, reading);
    drop(to);
    answer
}

/// The status of an HTTP/1.1 answer, not of what is said before it (`100 Continue`).
fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    let heads = text.split("HTTP/1.1 ").skip(1);
    let mut statuses = heads.filter_map(|head| head.get(..3)?.parse().ok());
    statuses.find(|status| *status >= 200).unwrap_or(NO_ANSWER)
}

/// A client that sends a request byte by byte, a byte a second, and comes back when it is thrown out.
async fn slow_client(n: usize, victim: &Victim, over: &AtomicBool) {
    let head = format!("POST /users HTTP/1.1\r\nHost: {}\r\n", victim.host);
    let body = "Content-Length: 90\r\n\r\n{\"email\":\"slow@example.com\",\"name\":\"";
    // Some are slow in the head, some in the body, some say nothing at all, in either version.
    let (at_once, slowly) = match n % 4 {
        0 => (String::new(), format!("{head}{body}")),
        1 => (format!("{head}Content-Length: 90\r\n\r\n"), body.to_owned()),
        2 => (String::new(), String::new()),
        _ => ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), String::new()),
    };
    let source = Ipv4Addr::new(127, 80, (n / 250) as u8, (n % 250) as u8 + 1);
    while !over.load(Ordering::Relaxed) {
        let Some(mut stream) = connect(source, victim.address).await else {
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        let mut ended = stream.write_all(at_once.as_bytes()).await.is_err();
        for byte in slowly.bytes().chain(std::iter::repeat(b'x')) {
            if ended || over.load(Ordering::Relaxed) {
                break;
            }
            let silent = slowly.is_empty();
            ended = !silent && stream.write_all(&[byte]).await.is_err();
            let mut answer = [0; 512];
            let answered = timeout(Duration::from_secs(1), stream.read(&mut answer)).await;
            ended |= matches!(answered, Ok(Ok(0) | Err(_)));
        }
    }
}
