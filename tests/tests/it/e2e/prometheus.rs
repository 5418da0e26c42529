//! A real Prometheus: every expression of the boards has values, and every alert is provoked once.
//!
//! It is a test of its own, because it needs Prometheus on the path: `just test-alerts`.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Router, routing::post};
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use zerocart_test_support::clients::{Reply, Wire};
use zerocart_tests::root;

use super::{
    engine::{Data, Engine, PATIENCE, connect},
    http::Http,
    processes, until_every,
};

/// All times of `for` are divided by this.
const SHORTENED: u64 = 60;

/// The window that stands for Grafana's `$__rate_interval`.
const WINDOW: &str = "30s";

const PAUSE: Duration = Duration::from_millis(500);

/// A receiver of OTLP that takes nothing. It gives the engine's option.
async fn refusing_receiver() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/traces", post(async || StatusCode::BAD_REQUEST));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

struct Prometheus {
    http: Http,
    since: u64,
    _child: Child,
}

impl Prometheus {
    /// Scrapes the status port of an engine each second, and evaluates the rules as often.
    async fn start(folder: &Path, target: &str) -> Self {
        let rules = fs::read_to_string(root().join("observability/alerts.yaml")).unwrap();
        let rules: String = rules.lines().map(shortened).collect();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("alerts.yaml"), rules).unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [alerts.yaml]\n\
             scrape_configs:\n  - job_name: zerocart\n    honor_labels: true\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let port = free_port().await;
        let listen = format!("127.0.0.1:{port}");
        let log = fs::File::create(folder.join("log")).unwrap();
        let child = Command::new("prometheus")
            .current_dir(folder)
            .args([
                "--config.file",
                "prometheus.yml",
                "--storage.tsdb.path",
                "data",
            ])
            .args([
                "--enable-feature",
                "exemplar-storage",
                "--web.listen-address",
                &listen,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is on the path: just test-alerts");
        let http = Http::to(listen, Ipv4Addr::LOCALHOST, Wire::Http1);
        let prometheus = Self {
            http,
            since: now(),
            _child: child,
        };
        let ready = || async {
            // The client takes no refusal.
            let listens = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
            listens.ok()?;
            let reply = prometheus.http.get("/-/ready").await;
            (reply.status == 200).then_some(())
        };
        until_every(PAUSE, "Prometheus is ready", PATIENCE, ready).await;
        prometheus
    }

    /// The values of an expression since the start. An error of the expression ends the test.
    async fn values(&self, expr: &str) -> Vec<f64> {
        let query = utf8_percent_encode(expr, NON_ALPHANUMERIC);
        let (since, end) = (self.since, now());
        let path = format!("/api/v1/query_range?start={since}&end={end}&step=1&query={query}");
        let reply = self.http.get(&path).await;
        let answer: Value = serde_json::from_str(&reply.text()).expect("JSON");
        assert_eq!(answer["status"], "success", "{expr}\n{answer}");
        let series = answer["data"]["result"].as_array().expect("series").iter();
        let samples = series.flat_map(|series| series["values"].as_array().expect("samples"));
        let values = samples.filter_map(|sample| sample[1].as_str()?.parse::<f64>().ok());
        values.filter(|value| value.is_finite()).collect()
    }

    /// The alerts that have fired, of the rules that it has loaded.
    async fn fired(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let reply = self.http.get("/api/v1/rules").await;
        let answer: Value = serde_json::from_str(&reply.text()).expect("JSON");
        let groups = answer["data"]["groups"].as_array().expect("groups").iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
        let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
        for rule in rules {
            let name = rule["name"].as_str().expect("a name").to_owned();
            let error = rule["lastError"].as_str().unwrap_or_default();
            assert_eq!(error, "", "{name}");
            if rule["type"] != "alerting" {
                continue;
            }
            let of_alert = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}");
            let known = self.values(&of_alert).await.is_empty();
            if known { &mut silent } else { &mut fired }.insert(name);
        }
        (fired, silent)
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    address.port()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A line of the rules, with a shorter `for`.
fn shortened(line: &str) -> String {
    let minutes = line.trim().strip_prefix("for: ");
    match minutes.and_then(|time| time.strip_suffix('m')) {
        Some(minutes) => {
            let minutes: u64 = minutes.parse().expect("minutes");
            format!("        for: {}s\n", minutes * 60 / SHORTENED)
        }
        None => format!("{line}\n"),
    }
}

/// The expressions of all boards, each with its board and panel.
fn panels() -> Vec<(String, String)> {
    let mut panels = Vec::new();
    for file in fs::read_dir(root().join("observability/boards")).unwrap() {
        let path = file.unwrap().path();
        let board: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().expect("an expression");
                let expr = expr.replace("$__rate_interval", WINDOW);
                let expr = expr.replace("$function", ".+");
                panels.push((format!("{}: {}", board["uid"], panel["title"]), expr));
            }
        }
    }
    panels
}

/// Calls of a shop.
struct Shop {
    engine: Engine,
    status: Http,
    admin: String,
    tea: String,
}

impl Shop {
    async fn open(engine: Engine, status: &str) -> Self {
        let admin = engine.sign_in_admin().await;
        let mut shop = Self {
            status: Http::to(status.to_owned(), Ipv4Addr::LOCALHOST, Wire::Http1),
            engine,
            admin,
            tea: String::new(),
        };
        let tea = json!({"name": "Tea", "price": 4.5, "inventory": 10_000});
        let made = shop.ask(&shop.admin, Method::POST, "/products", &tea).await;
        let made: Value = serde_json::from_str(&made.text()).unwrap();
        shop.tea = made["product"]["id"].as_str().expect("an id").to_owned();
        shop.provider(json!({"failure_rate": 0.0, "min_delay_ms": 0, "max_delay_ms": 0}))
            .await;
        shop
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let http = self.engine.http();
        http.call(method, path, body, &[("authorization", token)])
            .await
    }

    async fn provider(&self, settings: Value) {
        let path = "/admin/failure-rate";
        let set = self.ask(&self.admin, Method::POST, path, &settings).await;
        assert_eq!(set.status, 200, "{}", set.text());
    }

    /// A customer who buys as often as `orders` says. It gives the status of the last answer.
    async fn customer(&self, number: u32, orders: u32) -> StatusCode {
        let email = format!("customer-{number}@example.com");
        let password = "correct horse battery";
        let account = json!({"email": email, "name": "Ada", "password": password});
        let made = self.ask("", Method::POST, "/users", &account).await;
        let made: Value = serde_json::from_str(&made.text()).unwrap();
        let id = made["user"]["id"].as_str().expect("an id");
        let token = self.engine.sign_in(&email, password).await;
        let mut status = StatusCode::OK;
        for _ in 0..orders {
            let line = json!({"product_id": self.tea, "quantity": 1});
            let items = format!("/carts/{id}/items");
            self.ask(&token, Method::POST, &items, &line).await;
            let order = json!({"user_id": id});
            status = self
                .ask(&token, Method::POST, "/orders", &order)
                .await
                .status;
        }
        // The same address is refused by a constraint.
        self.ask("", Method::POST, "/users", &account).await;
        status
    }

    /// Requests that the edge refuses, or whose answers are errors of clients.
    async fn mistakes(&self) {
        self.ask("Bearer nobody", Method::POST, "/orders", &json!({}))
            .await;
        let unknown = "/products/01a21dfd-e4ef-71f3-9f51-90475d3aaa13";
        self.ask("", Method::GET, unknown, &Value::Null).await;
        // One client, above its limit.
        let http = self.engine.http();
        let mut limited = 0;
        for _ in 0..105 {
            limited += u32::from(http.get("/products").await.status == 429);
        }
        assert!(limited > 0);
    }

    async fn run_job(&self, name: &str) {
        let path = format!("/jobs/{name}/run");
        self.status.call(Method::POST, &path, "", &[]).await;
    }

    /// Ends the instances of a function.
    async fn kill(&self, function: &str) {
        let mut instances = self.engine.processes();
        // The kernel keeps 15 characters of a name.
        instances.retain(|process| function.starts_with(&process.name));
        for instance in &instances {
            instance.signal(Signal::KILL);
        }
        processes::gone(&instances, PATIENCE).await;
    }

    /// A start whose first session of the database comes late.
    async fn slow_start(&self) {
        self.kill("get-product").await;
        let mut broker = self.engine.processes();
        broker.retain(|process| process.name == "zerocart" && process.has_argument("broker"));
        assert_eq!(broker.len(), 1, "{broker:?}");
        broker[0].signal(Signal::STOP);
        let path = format!("/products/{}", self.tea);
        let late = async {
            tokio::time::sleep(PAUSE).await;
            broker[0].signal(Signal::CONT);
        };
        tokio::join!(self.ask("", Method::GET, &path, &Value::Null), late);
    }
}

/// An order that another version has left, an hour ago, and that nobody may take for another hour.
async fn leave_order(url: &str) {
    let database = connect(url).await;
    let left = "WITH left_order AS ( \
            INSERT INTO orders (id, user_id, payment_method, total, status, step, steps, lease_until) \
            VALUES (gen_random_uuid(), gen_random_uuid(), 'card', 1, 'PENDING', 'reserving', 1, \
                    now() + interval '1 hour') RETURNING id \
        ) INSERT INTO order_steps (order_id, number, step, fence, began_at) \
        SELECT id, 1, 'reserving', 1, now() - interval '1 hour' FROM left_order";
    database.batch_execute(left).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus on the path: just test-alerts"]
async fn every_panel_has_values_and_every_alert_fires() {
    let data = Data::new();
    let receiver = refusing_receiver().await;
    let engine = Engine::start_with(&data, &["--otlp", &receiver]).await;
    let announced = fs::read(data.path().join("engine.json")).unwrap();
    let announced: Value = serde_json::from_slice(&announced).unwrap();
    let status = announced["status"].as_str().unwrap().to_owned();
    let prometheus = Prometheus::start(&data.file("prometheus"), &status).await;
    let shop = Shop::open(engine, &status).await;

    // A good day, with some mistakes of clients.
    for number in 0..3 {
        assert_eq!(shop.customer(number, 2).await, 201);
        tokio::time::sleep(PAUSE).await;
    }
    shop.mistakes().await;
    shop.slow_start().await;
    let domains = ["user", "product", "cart", "payment", "order"];
    let urls = domains.map(|domain| shop.engine.database_url(domain));
    let order_database = shop.engine.database_url("order");
    leave_order(&order_database).await;
    shop.run_job("recover-orders").await;

    // The provider fails until its breaker opens.
    shop.provider(json!({"failure_rate": 1.0, "failures": ["TEMPORARILY_UNAVAILABLE"]}))
        .await;
    for number in 3..7 {
        assert_eq!(shop.customer(number, 2).await, 503);
        tokio::time::sleep(PAUSE).await;
    }
    shop.mistakes().await;
    shop.slow_start().await;

    // Statements of orders wait for a lock until their time is over, and so the job fails.
    {
        let holder = connect(&order_database).await;
        let lock = "SET idle_in_transaction_session_timeout = 0; \
                    BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
        holder.batch_execute(lock).await.unwrap();
        for _ in 0..4 {
            shop.run_job("recover-orders").await;
        }
    }

    // Somebody takes the sessions of all roles.
    let mut sessions = Vec::new();
    for url in urls {
        while let Ok(Ok(client)) = tokio::time::timeout(PAUSE, open(&url)).await {
            sessions.push(client);
        }
    }
    // One is left for the job that counts the server's connections.
    drop(sessions.pop());
    shop.run_job("recover-orders").await;

    let mut silent = BTreeSet::new();
    let all = tokio::time::timeout(PATIENCE, async {
        loop {
            let (fired, others) = prometheus.fired().await;
            if others.is_empty() {
                return fired.len();
            }
            silent = others;
            tokio::time::sleep(PAUSE).await;
        }
    });
    let alerts = all
        .await
        .unwrap_or_else(|_| panic!("{silent:?} did not fire"));
    assert!(alerts > 9, "{alerts}");
    drop(sessions);

    let mut empty = Vec::new();
    for (panel, expr) in panels() {
        if prometheus.values(&expr).await.is_empty() {
            empty.push(format!("{panel}: {expr}"));
        }
    }
    assert!(empty.is_empty(), "without values:\n{}", empty.join("\n"));
    shop.engine.stop().await;
}

async fn open(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
