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
use zerocart_tests::harness::engine::{Data, Engine, connect as connect_database};

use good::Good;
use http2::Said;
use watch::{Memory, databases, instances, rows};

/// How many requests, or connections with many of them.
const ATTACKS: usize = 100_000;

/// Attack `n` is made by chance from this and `n`: the same ones in each run.
const SEED: u64 = 0x5eed_2026;

/// Attackers at once.
const AT_ONCE: usize = 64;

/// Clients that stay as long as they are let: they send a byte a second, or nothing, or do not read.
const SLOW: usize = 300;

/// How long an attacker waits for an answer before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// What came of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nobody listened. An instance may have gone back to zero; the gateway is always there.
    Unreached,
    /// An answer, by its status.
    Answered(u16),
    /// Everything has been read, and what was asked over HTTP/2 has an answer or was refused.
    Read,
    /// The server ended the connection without any of that.
    Ended,
    /// The server did none of that in time.
    Nothing,
}

/// How often each shape came to what, at the gateway or at a neighbour.
type Outcomes = BTreeMap<(&'static str, bool, Outcome), usize>;

/// How often each was told what over HTTP/2.
type Told = BTreeMap<(&'static str, bool, Said), usize>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_hostile_requests_harm_nobody() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let mut memory = Memory::default();
    let product = shop(&engine).await;
    // Some are asked here alone, and may be back at zero when the attack begins.
    memory.look(&engine);
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
    let databases = databases(&engine);
    let before_one = rows(&databases).await;
    good.order().await;
    let before = rows(&databases).await;
    let (orders_before, answered_before) = (good.orders, good.answered);

    let (over, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let results = Mutex::new((Outcomes::new(), Told::new()));
    let mut early = Memory::default();
    let neighbours = Mutex::new(instances(&engine));
    {
        let attackers = (0..AT_ONCE).map(|_| async {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= ATTACKS {
                    break;
                }
                let attacked = attack(n, &victim, &neighbours).await;
                let Attacked {
                    name, neighbour, ..
                } = attacked;
                let mut results = results.lock().expect("nobody panics with it");
                let (outcomes, told) = &mut *results;
                let outcome = (name, neighbour, attacked.outcome);
                *outcomes.entry(outcome).or_default() += 1;
                for said in attacked.said {
                    *told.entry((name, neighbour, said)).or_default() += 1;
                }
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

    let (outcomes, told) = results.into_inner().expect("nobody panics with it");
    let whom = |neighbour| match neighbour {
        true => "a function",
        false => "the gateway",
    };
    for ((name, neighbour, outcome), times) in &outcomes {
        eprintln!("{name}, {}: {outcome:?} × {times}", whom(*neighbour));
    }
    for ((name, neighbour, said), times) in &told {
        eprintln!("{name}, {} said: {said:?} × {times}", whom(*neighbour));
    }
    eprintln!("memory in kB: {memory:?}\nearly: {early:?}");
    let (answered, orders) = (good.answered - answered_before, good.orders - orders_before);
    eprintln!("the customer: {answered} answers, {orders} orders");

    assert_eq!(good.wrong, [""; 0], "the customer was not served");
    // An order is two of fourteen requests.
    assert!(answered > 50 && orders > 3, "{answered} {orders}");
    held_off(&outcomes, &told);

    for function in engine.ps().await {
        assert_eq!(function.crashes, 0, "{}", function.name);
        let limit = match function.name.as_str() {
            "create-user" | "authenticate-user" | "change-password" => HASHING_LIMIT_KB,
            _ => LIMIT_KB,
        };
        let peak = memory.of(&function.name);
        assert_eq!(peak.is_some(), function.cold_starts > 0, "{function:?}");
        let peak = peak.unwrap_or_default();
        assert!(peak < limit, "{}: {peak} kB", function.name);
    }
    let (first, last) = (early.of("zerocart"), memory.of("zerocart"));
    let grown = last.expect("it runs") - first.expect("it ran");
    assert!(grown < ENGINE_GROWTH_KB, "the engine grew by {grown} kB");

    // Nothing was written but what the customer wrote.
    let after = rows(&databases).await;
    for (table, before_it) in &before {
        let each = before_it - before_one[table];
        assert_eq!(
            after[table],
            before_it + i64::from(orders) * each,
            "{table}"
        );
    }
    let user = databases.iter().find(|(domain, _)| *domain == "user");
    let user = connect_database(&user.expect("there is one").1).await;
    let smuggled = "SELECT count(*) FROM users WHERE email LIKE 'smuggled%'";
    let smuggled = user.query_one(smuggled, &[]).await;
    assert_eq!(smuggled.expect("it may be read").get::<_, i64>(0), 0);
    engine.stop().await;
}

/// Every shape came to something at the gateway, and none to what it wanted.
fn held_off(outcomes: &Outcomes, told: &Told) {
    let total: usize = outcomes.values().sum();
    assert_eq!(total, ATTACKS);
    let bad = |(_, neighbour, outcome): &(_, bool, Outcome)| match outcome {
        Outcome::Answered(status) => matches!(status, 200..=399 | 500 | 502 | 504),
        Outcome::Unreached => !neighbour,
        Outcome::Nothing => true,
        Outcome::Read | Outcome::Ended => false,
    };
    let bad: Vec<_> = outcomes.iter().filter(|(key, _)| bad(key)).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let times = |name: &str, wanted: fn(&Outcome) -> bool| -> usize {
        let of_it = outcomes.iter();
        let of_it = of_it.filter(|((n, neighbour, o), _)| *n == name && !neighbour && wanted(o));
        of_it.map(|(_, times)| times).sum()
    };
    for name in http1::names() {
        let refused = times(name, |o| matches!(o, Outcome::Answered(400..=499)));
        assert!(refused > 100, "{name}: refused {refused} times");
    }
    for http2::Shape { name, .. } in &http2::SHAPES {
        let read = times(name, |o| matches!(o, Outcome::Read | Outcome::Ended));
        assert!(read > 100, "{name}: read {read} times");
    }
    let bad = |said: &Said| match said {
        Said::Status(status) => matches!(status, 500 | 502 | 504),
        // OK, UNKNOWN and INTERNAL where no frame is broken
        Said::Grpc(status) => matches!(status, 0 | 2 | 13),
        Said::Broken => false,
        // INTERNAL_ERROR
        Said::Reset(reason) | Said::GoAway(reason) => *reason == 2,
    };
    let bad: Vec<_> = told.iter().filter(|((_, _, said), _)| bad(said)).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

/// An attack that is over.
struct Attacked {
    name: &'static str,
    /// Whether it was for an instance itself.
    neighbour: bool,
    outcome: Outcome,
    /// What was said over HTTP/2.
    said: Vec<Said>,
}

/// A product with enough in stock, and a payment provider that works.
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
async fn attack(n: usize, victim: &Victim, neighbours: &Mutex<Vec<(String, u16)>>) -> Attacked {
    let mut rng = StdRng::seed_from_u64(SEED ^ n as u64);
    // Drawn whether it is needed or not: all that follows is the same in each run.
    let (at_neighbour, which) = (rng.random_bool(0.1), rng.random::<u32>() as usize);
    let neighbour = {
        let neighbours = neighbours.lock().expect("nobody panics with it");
        let some = at_neighbour && !neighbours.is_empty();
        some.then(|| neighbours[which % neighbours.len()].1)
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
    let (name, bytes, ends, http2) = if rng.random_bool(0.2) {
        let (shape, bytes) = http2::attack(&mut rng, &victim);
        (shape.name, bytes, false, Some(shape))
    } else {
        let (name, attack) = http1::attack(&mut rng, &victim);
        (name, attack.bytes, attack.ends, None)
    };
    let is_over = |answer: &[u8]| http2.is_some_and(|shape| http2::is_over(shape, answer));
    let mut said = Vec::new();
    let outcome = match connect(source, victim.address).await {
        None => Outcome::Unreached,
        Some(stream) => match timeout(PATIENCE, exchange(stream, &bytes, ends, is_over)).await {
            Err(_) => Outcome::Nothing,
            Ok(answer) => {
                if http2.is_some() {
                    said = http2::said(&answer);
                }
                let over = is_over(&answer).then_some(Outcome::Read);
                over.or_else(|| status(&answer).map(Outcome::Answered))
                    .unwrap_or(Outcome::Ended)
            }
        },
    };
    Attacked {
        name,
        neighbour: neighbour.is_some(),
        outcome,
        said,
    }
}

async fn connect(source: Ipv4Addr, address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((source, 0).into()).ok()?;
    socket.connect(address).await.ok()
}

/// Sends the bytes, and reads until the server ends the connection or that is over.
async fn exchange(
    stream: TcpStream,
    bytes: &[u8],
    ends: bool,
    is_over: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let (mut from, mut to) = stream.into_split();
    let sending = async {
        // A server may end the connection while a flood is still being sent.
        if to.write_all(bytes).await.is_ok() && ends {
            let _ = to.shutdown().await;
        }
    };
    let reading = async {
        let mut answer = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            answer.extend(&buffer[..length]);
            if is_over(&answer) {
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
fn status(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let heads = text.split("HTTP/1.1 ").skip(1);
    let mut statuses = heads.filter_map(|head| head.get(..3)?.parse().ok());
    statuses.find(|status| *status >= 200)
}

/// A client that takes its time, and comes back when it is thrown out.
async fn slow_client(n: usize, victim: &Victim, over: &AtomicBool) {
    let head = format!("POST /users HTTP/1.1\r\nHost: {}\r\n", victim.host);
    let body = "{\"email\":\"slow@example.com\",\"name\":\"";
    let large = " ".repeat((1 << 20) - 1);
    let document = format!(
        "GET /openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n",
        victim.host
    );
    // What it sends at once, what it goes on with byte by byte, and whether it reads.
    let (at_once, slowly, reads) = match n % 7 {
        // Slow in the head, in the body, or saying nothing at all, in either version.
        0 => (
            vec![],
            format!("{head}Content-Length: 90\r\n\r\n{body}"),
            true,
        ),
        1 => (
            format!("{head}Content-Length: 90\r\n\r\n").into(),
            body.to_owned(),
            true,
        ),
        2 => (vec![], String::new(), true),
        3 => (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            String::new(),
            true,
        ),
        // A large body but for its last byte.
        4 => (
            format!("{head}Content-Length: {}\r\n\r\n{large}", 1 << 20).into(),
            String::new(),
            true,
        ),
        // Asks, and never reads.
        5 => (document.repeat(50).into(), String::new(), false),
        // A stream that it leaves open.
        _ => (http2::open_stream(victim), String::new(), true),
    };
    let source = Ipv4Addr::new(127, 80, (n / 250) as u8, (n % 250) as u8 + 1);
    while !over.load(Ordering::Relaxed) {
        let Some(mut stream) = connect(source, victim.address).await else {
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        let mut ended = stream.write_all(&at_once).await.is_err();
        let mut bytes = slowly.bytes().chain(std::iter::repeat(b'x'));
        while !ended && !over.load(Ordering::Relaxed) {
            if !slowly.is_empty() {
                let byte = bytes.next().expect("it goes on for ever");
                ended = stream.write_all(&[byte]).await.is_err();
            }
            if reads {
                let mut answer = [0; 512];
                let answered = timeout(Duration::from_secs(1), stream.read(&mut answer)).await;
                ended |= matches!(answered, Ok(Ok(0) | Err(_)));
            } else {
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
