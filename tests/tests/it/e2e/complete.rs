//! Nothing is missed: what clients count of ten thousand requests is what spans and counters say, though
//! instances are killed, ended and at zero meanwhile.
//!
//! A lane calls one function, over JSON and gRPC, in batches whose requests run at once. Only between two
//! batches it kills the instances: what a killed process has not answered, nobody can count. Every answer is
//! counted: also refusals of the function and of the gateway, paths that lead nowhere, requests above the limit,
//! and those that the client gave up.

use std::{
    collections::BTreeMap, fs, net::Ipv4Addr, ops::AddAssign, os::unix::fs::symlink, path::Path,
};

use futures_util::future::{join, join_all};
use http::{HeaderMap, Method};
use prost::Message;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;
use zerocart_proto::{cart, order, product, rpc, rpc::Info, rpc::Rpc, user};
use zerocart_test_support::clients::Wire;
use zerocart_tests::root;

use super::{
    engine::{Data, Engine, PATIENCE, UP, zerocart},
    http::Http,
    processes,
    spans::{self, SERVER},
    telemetry::{command, metrics},
    until,
};

/// All requests of the lanes.
const REQUESTS: u32 = 10_000;
/// The most that a lane sends at once.
const BATCH: u32 = 24;
/// The gateway takes 100 requests a minute of each function and protocol from one address.
const BATCHES_OF_AN_ADDRESS: u32 = 4;
/// So many batches for each that is followed by the end of the instances.
const ENDS: u32 = 6;
/// Requests that the client gives up.
const GIVEN_UP: u32 = 20;

/// A count for each of these.
#[derive(Debug, Default, PartialEq)]
struct Counts<K: Ord>(BTreeMap<K, u32>);

impl<K: Ord> Counts<K> {
    fn add(&mut self, key: K, count: u32) {
        self.0.entry(key).or_default().add_assign(count);
    }

    fn extend(&mut self, other: Self) {
        for (key, count) in other.0 {
            self.add(key, count);
        }
    }
}

/// What a client knows.
#[derive(Default)]
struct Counted {
    /// Answers of functions: function, protocol, code.
    calls: Counts<(String, String, String)>,
    /// The same without those that nobody wants to keep.
    kept: Counts<(String, String, String)>,
    cold: Counts<String>,
    /// Answers of the gateway over HTTP that are kept, by their status.
    gateway: Counts<String>,
    /// What is no answer of a function, by function, wish and text: a failure shows them.
    others: Counts<(String, String, String)>,
    /// Requests over gRPC.
    grpc: u32,
    requests: u32,
}

impl Counted {
    fn extend(&mut self, other: Self) {
        self.calls.extend(other.calls);
        self.kept.extend(other.kept);
        self.cold.extend(other.cold);
        self.gateway.extend(other.gateway);
        self.others.extend(other.others);
        self.grpc += other.grpc;
        self.requests += other.requests;
    }
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Good,
    /// The caller samples no trace.
    Unsampled,
    /// Of nothing that is there.
    Unknown,
    /// Refused by the rules of its field.
    Malformed,
    /// Refused by the gateway, where a token is needed.
    NoToken,
    /// For no route.
    Nowhere,
}

/// A function, and how it is asked.
struct Lane {
    info: Info,
    /// The id of something that is there.
    good: String,
    token: String,
    path: fn(&str) -> String,
    message: fn(&str) -> Vec<u8>,
}

impl Lane {
    fn wish(&self, random: &mut StdRng) -> Wish {
        match random.random_range(0..100) {
            0..5 => Wish::Unknown,
            5..10 => Wish::Malformed,
            10..14 => Wish::NoToken,
            14..17 => Wish::Nowhere,
            17..25 => Wish::Unsampled,
            _ => Wish::Good,
        }
    }

    /// Sends a request, and counts its answer.
    async fn ask(&self, json: &Http, grpc: &Http, wish: Wish, wire: Wire) -> Counted {
        let id = match wish {
            Wish::Unknown => Uuid::nil().to_string(),
            Wish::Malformed => "not-an-id".to_owned(),
            _ => self.good.clone(),
        };
        let mut headers = vec![];
        if wish != Wish::NoToken {
            headers.push(("authorization", self.token.as_str()));
        }
        let unsampled = wish == Wish::Unsampled && wire != Wire::Grpc;
        if unsampled {
            const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
            headers.push(("traceparent", PARENT));
        }
        let mut counted = Counted {
            requests: 1,
            ..Counted::default()
        };
        let (protocol, code, text, headers) = if wire == Wire::Grpc {
            let path = match wish {
                Wish::Nowhere => "/nowhere.NoService/NoMethod",
                _ => self.info.grpc_path,
            };
            let reply = grpc.grpc(path, &(self.message)(&id), &headers).await;
            counted.grpc += 1;
            let status = |headers: &HeaderMap| {
                let status = headers.get("grpc-status")?.to_str().ok()?;
                Some(status.to_owned())
            };
            let status = reply.trailers.as_ref().and_then(status);
            let status = status.or_else(|| status_of(&reply.headers));
            let code = match status.as_deref() {
                Some("0") => Some("OK"),
                Some("3") => Some("INVALID_ARGUMENT"),
                Some("5") => Some("NOT_FOUND"),
                _ => None,
            };
            let message = |headers: &HeaderMap| format!("{:?}", headers.get("grpc-message"));
            let message = message(reply.trailers.as_ref().unwrap_or(&reply.headers));
            let text = format!("grpc {} {status:?} {message}", reply.status);
            ("grpc", code, text, reply.headers)
        } else {
            let path = match wish {
                Wish::Nowhere => "/nowhere".to_owned(),
                _ => (self.path)(&id),
            };
            let reply = json.call(Method::GET, &path, "", &headers).await;
            let status = reply.status.as_u16();
            // What failed is kept all the same.
            if !unsampled || status >= 500 {
                counted.gateway.add(status.to_string(), 1);
            }
            let code = match status {
                200 => Some("OK"),
                400 => Some("INVALID_ARGUMENT"),
                404 => Some("NOT_FOUND"),
                _ => None,
            };
            (
                "json",
                code,
                format!("json {}", reply.text()),
                reply.headers,
            )
        };
        // All others are the engine's own answers.
        if let Some(code) = code.filter(|_| wish != Wish::Nowhere) {
            let name = self.info.name.to_owned();
            let cold = headers.get("x-cold-start").is_some_and(|v| v == "true");
            if cold {
                counted.cold.add(name.clone(), 1);
            }
            let key = (name, protocol.to_owned(), code.to_owned());
            if cold || !unsampled {
                counted.kept.add(key.clone(), 1);
            }
            counted.calls.add(key, 1);
        } else {
            let key = (self.info.name.to_owned(), format!("{wish:?}"), text);
            counted.others.add(key, 1);
        }
        counted
    }

    /// Its part of all requests.
    async fn run(&self, number: u8, requests: u32, engine: &Engine) -> Counted {
        let mut random = StdRng::seed_from_u64(15 + u64::from(number));
        let mut counted = Counted::default();
        let mut clients = None;
        let (mut batches, mut waited) = (0, false);
        while counted.requests < requests {
            if batches % BATCHES_OF_AN_ADDRESS == 0 {
                let [high, low] = u16::try_from(1 + batches).expect("few").to_be_bytes();
                let source = Ipv4Addr::new(127, 10 + number, high, low);
                let gateway = engine.gateway().to_string();
                let client = |wire| Http::to(gateway.clone(), source, wire);
                clients = Some((client(Wire::Http1), client(Wire::Grpc)));
            }
            let (json, grpc) = clients.as_ref().expect("made with the first batch");
            batches += 1;
            let size = random
                .random_range(1..=BATCH)
                .min(requests - counted.requests);
            let asked = (0..size).map(|_| {
                let wish = self.wish(&mut random);
                let wire = [Wire::Http1, Wire::Grpc][random.random_range(0..2)];
                self.ask(json, grpc, wish, wire)
            });
            let asked: Vec<_> = asked.collect();
            let end = random.random_range(0..ENDS) == 0;
            let signal = [Signal::KILL, Signal::TERM][random.random_range(0..2)];
            let (answers, ()) = join(join_all(asked), async {
                // After SIGTERM, an instance answers the calls that it has begun.
                if end && signal == Signal::TERM {
                    for instance in self.instances(engine) {
                        instance.signal(signal);
                    }
                }
            })
            .await;
            answers
                .into_iter()
                .for_each(|answer| counted.extend(answer));
            if end {
                let instances = self.instances(engine);
                for instance in &instances {
                    instance.signal(signal);
                }
                processes::gone(&instances, PATIENCE).await;
            }
            if !waited && counted.requests > requests / 2 {
                waited = true;
                // The first lane comes back from zero as the activator has it.
                if number == 0 {
                    until("it is at zero", PATIENCE, || async {
                        let status = engine.status(self.info.name).await;
                        status.instances.is_empty().then_some(())
                    })
                    .await;
                }
            }
        }
        counted
    }

    fn instances(&self, engine: &Engine) -> Vec<processes::Process> {
        let all = engine.processes().into_iter();
        // The kernel keeps 15 characters of a name.
        all.filter(|process| self.info.name.starts_with(&process.name))
            .collect()
    }
}

fn status_of(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("grpc-status")?.to_str().ok()?.to_owned())
}

/// A project whose functions go to zero sooner.
fn project(folder: &Path) {
    fs::create_dir_all(folder.join("knative/services")).expect("a folder can be made");
    for part in ["kong", "knative/edge", "knative/jobs"] {
        symlink(root().join(part), folder.join(part)).expect("a link can be made");
    }
    for file in fs::read_dir(root().join("knative/services")).expect("it can be listed") {
        let path = file.expect("it can be listed").path();
        let text = fs::read_to_string(&path).expect("it can be read");
        let name = path.file_name().expect("a file has a name");
        let text = text.replace("/window: 30s", "/window: 6s");
        fs::write(folder.join("knative/services").join(name), text).expect("it can be written");
    }
}

/// What there is to ask for.
async fn lanes(engine: &Engine) -> Vec<Lane> {
    let admin = engine.sign_in_admin().await;
    let http = engine.http();
    let call = async |path: &str, body: Value| {
        let headers = [("authorization", admin.as_str())];
        let reply = http
            .call(Method::POST, path, body.to_string(), &headers)
            .await;
        assert!(reply.status.is_success(), "{path}: {}", reply.text());
        reply.json::<Value>()
    };
    // A charge takes longer than a client waits that gives it up.
    let slow = json!({"failure_rate": 0, "min_delay_ms": 8000, "max_delay_ms": 8000});
    call("/admin/failure-rate", slow).await;
    let tea = json!({"name": "Tea", "price": 4.75, "inventory": 3});
    let tea = call("/products", tea).await;
    let ada = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    let ada = call("/users", ada).await;
    let id = |value: &Value| value.as_str().expect("an id").to_owned();
    let (tea, ada) = (id(&tea["product"]["id"]), id(&ada["user"]["id"]));
    let lane = |info, good: &str, path, message| Lane {
        info,
        good: good.to_owned(),
        token: admin.clone(),
        path,
        message,
    };
    vec![
        lane(
            rpc::GetProduct::INFO,
            &tea,
            |id| format!("/products/{id}"),
            |id| product::GetProductRequest { id: id.into() }.encode_to_vec(),
        ),
        lane(
            rpc::GetUser::INFO,
            &ada,
            |id| format!("/users/{id}"),
            |id| user::GetUserRequest { id: id.into() }.encode_to_vec(),
        ),
        lane(
            rpc::GetCart::INFO,
            &ada,
            |id| format!("/carts/{id}"),
            |id| cart::GetCartRequest { user_id: id.into() }.encode_to_vec(),
        ),
        lane(
            rpc::GetOrder::INFO,
            &tea,
            |id| format!("/orders/{id}"),
            |id| order::GetOrderRequest { id: id.into() }.encode_to_vec(),
        ),
        lane(
            rpc::ListUserOrders::INFO,
            &ada,
            |id| format!("/users/{id}/orders"),
            |id| {
                let user_id = id.into();
                order::ListUserOrdersRequest {
                    user_id,
                    ..Default::default()
                }
                .encode_to_vec()
            },
        ),
    ]
}

/// Asks for a charge so often at once, and leaves when the activator has all of them.
async fn give_up(engine: &Engine, admin: &str) {
    let http = Http::new(engine.gateway(), Ipv4Addr::new(127, 9, 0, 1));
    let name = rpc::ProcessPayment::INFO.name;
    // It runs before the charges come.
    let headers = [("authorization", admin)];
    let refused = http.call(Method::POST, "/payments", "{}", &headers).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let charges = (0..GIVEN_UP).map(|_| {
        let [order, user] = [Uuid::now_v7(), Uuid::now_v7()].map(|id| id.to_string());
        let charge = json!({"order_id": order, "user_id": user, "amount": 9.5}).to_string();
        let http = http.clone();
        let admin = admin.to_owned();
        tokio::spawn(async move {
            let headers = [("authorization", admin.as_str())];
            http.call(Method::POST, "/payments", charge, &headers).await
        })
    });
    let charges: Vec<_> = charges.collect();
    until("all charges are there", PATIENCE, || async {
        let payments = engine.status(name).await;
        (payments.requests == u64::from(1 + GIVEN_UP)).then_some(())
    })
    .await;
    for charge in charges {
        charge.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_count_is_what_spans_and_counters_say() {
    let data = Data::new();
    let folder = data.file("project");
    project(&folder);
    let mut up = zerocart(&data.path());
    up.current_dir(&folder)
        .args(UP)
        .args(["--trace-memory", "256"]);
    let engine = Engine::start_command(&data, up).await;
    let lanes = lanes(&engine).await;

    let part = REQUESTS / u32::try_from(lanes.len()).expect("few");
    let runs = lanes.iter().zip(0..);
    let runs = runs.map(|(lane, number)| lane.run(number, part, &engine));
    let (counted, ()) = join(join_all(runs), give_up(&engine, &lanes[0].token)).await;
    let mut all = Counted::default();
    counted.into_iter().for_each(|counted| all.extend(counted));
    assert_eq!(all.requests, REQUESTS);
    // More than one address may send, one after the other.
    let http = Http::new(engine.gateway(), Ipv4Addr::new(127, 9, 0, 2));
    for _ in 0..105 {
        let status = http.get("/openapi.json").await.status;
        all.gateway.add(status.as_u16().to_string(), 1);
    }
    assert_eq!(all.gateway.0["429"], 5, "{:?}", all.gateway);
    until("every function is back at zero", PATIENCE, || async {
        let functions = engine.ps().await;
        functions
            .iter()
            .all(|f| f.instances.is_empty())
            .then_some(())
    })
    .await;

    let seen = metrics(&data).await;
    let spans = spans::read(&export(&data).await);
    engine.stop().await;
    let names: Vec<_> = lanes.iter().map(|lane| lane.info.name).collect();
    let (mut calls, mut gateway, mut grpc) = (Counts::default(), Counts::default(), 0);
    for span in spans.iter().filter(|span| span.kind == SERVER) {
        let get = |key| span.get(key).unwrap_or_default().to_owned();
        if names.contains(&span.service.as_str()) {
            let key = (
                span.service.clone(),
                get("zerocart.protocol"),
                get("zerocart.code"),
            );
            calls.add(key, 1);
        }
        if span.service == "gateway" {
            // Over gRPC all are POST, also those for no route.
            let route = get("zerocart.gateway.route");
            let nowhere = route.is_empty() && get("http.request.method") == "POST";
            if nowhere || route.ends_with("-grpc") {
                grpc += 1;
            } else {
                gateway.add(get("http.response.status_code"), 1);
            }
        }
    }
    assert_eq!(calls, all.kept, "beside {:#?}", all.others);
    assert_eq!(grpc, all.grpc);
    let given_up = gateway.0.remove("");
    assert_eq!(given_up, Some(GIVEN_UP));
    let given_up = spans.iter().filter(|span| {
        span.service == rpc::ProcessPayment::INFO.name
            && span.get("zerocart.code") == Some("CANCELLED")
    });
    // The others were given up before the function had them.
    let given_up = given_up.count();
    assert!(given_up <= GIVEN_UP as usize, "{given_up}");
    let cancelled =
        r#"zerocart_calls_total{function="process-payment",protocol="json",code="CANCELLED"}"#;
    let cancelled = seen.get(cancelled).copied().unwrap_or_default();
    assert_eq!(cancelled, given_up as f64);
    // Those that made what there is to ask for.
    for (status, count) in [("200", 2), ("201", 2), ("400", 1)] {
        all.gateway.add(status.to_owned(), count);
    }
    assert_eq!(gateway, all.gateway);

    for ((function, protocol, code), count) in &all.calls.0 {
        let labels = format!(r#"function="{function}",protocol="{protocol}",code="{code}""#);
        let series = format!("zerocart_calls_total{{{labels}}}");
        assert_eq!(seen.get(&series), Some(&f64::from(*count)), "{series}");
    }
    let counted = seen.iter().filter(|(series, _)| {
        let of =
            |name: &&str| series.starts_with(&format!("zerocart_calls_total{{function=\"{name}\""));
        names.iter().any(of)
    });
    let counted: f64 = counted.map(|(_, value)| value).sum();
    assert_eq!(counted, f64::from(all.calls.0.values().sum::<u32>()));
    for (function, count) in &all.cold.0 {
        let series = format!("zerocart_cold_starts_total{{function=\"{function}\"}}");
        assert_eq!(seen[&series], f64::from(*count), "{series}");
        let started = format!(
            "zerocart_cold_start_phase_duration_seconds_count{{function=\"{function}\",phase=\"process start\"}}"
        );
        assert_eq!(seen[&started], f64::from(*count), "{started}");
        assert!(*count > 10, "{function} ended {count} times");
    }
    assert_eq!(all.cold.0.len(), lanes.len());
    assert_eq!(seen["zerocart_telemetry_bad_lines_total"], 0.0);
}

/// All spans that are kept.
async fn export(data: &Data) -> String {
    let export = command(data, &["traces", "--json", "--limit", "1000000"]).await;
    export.expect("it prints the traces")
}
