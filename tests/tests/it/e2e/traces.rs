//! The trace of each RPC, over both protocols, warm and from zero.
//!
//! Below the function's own span a trace is the same each time. `traces.txt` has these trees, one for each RPC,
//! with names alone. `UPDATE_TRACES=1` writes the file; what has changed in it is to be looked at, because each
//! line is a round trip, a call or a step. What is around it is the same for all RPCs: gateway, activator, and
//! from zero the phases of a start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::PathBuf,
};

use http::Method;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zerocart_conformance::{Things, sample};
use zerocart_proto::rpc::{Info, Role};
use zerocart_test_support::clients::{Reply, Wire, bind};
use zerocart_tests::{functions, root};

use super::{
    engine::{Data, Engine, PATIENCE},
    http::Http,
    spans::{self, SERVER, Span},
    telemetry::command,
    until,
};

const PASSWORD: &str = "correct horse battery";
const ANOTHER: &str = "battery staple horse";

/// The caller's span.
const PARENT: &str = "00f067aa0ba902b7";

/// The phases of a start that the function records, beside its first call.
const PHASES: [&str; 3] = ["process start", "listen", "first database session"];

/// Each span reads the clock of the system once, and a clock that is being set right is not the same for all.
const CLOCK_NS: u64 = 1_000_000;

/// A call whose trace is looked at.
struct Called {
    info: Info,
    wire: Wire,
    cold: bool,
    trace: String,
}

/// The shop in which the calls are made.
struct Shop<'a> {
    engine: &'a Engine,
    pool: DescriptorPool,
    admin: String,
    customer: String,
    things: Things,
    /// Whose password is changed: an account and its token.
    changing: (String, String),
    calls: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_has_its_trace_over_both_protocols_warm_and_cold() {
    let data = Data::new();
    let engine = Engine::start_with(&data, &["--trace-memory", "64"]).await;
    let mut shop = Shop::open(&engine).await;
    let mut called = Vec::new();
    for info in functions::all() {
        for wire in [Wire::Http1, Wire::Grpc] {
            for cold in [true, false] {
                called.push(shop.call(info, wire, cold).await);
            }
        }
    }
    // The engine's own spans end after the client has its answer.
    let spans = until("every trace has its root", PATIENCE, || async {
        let export = command(&data, &["traces", "--json", "--limit", "100000"]).await;
        let spans = spans::read(&export.expect("it prints the traces"));
        let roots: BTreeSet<_> = spans
            .iter()
            .filter(|span| span.parent == PARENT)
            .map(|span| span.trace.clone())
            .collect();
        (roots.len() == called.len()).then_some(spans)
    });
    let spans = spans.await;
    engine.stop().await;

    let wrong: Vec<_> = spans
        .iter()
        .filter_map(|span| {
            let wrong = span.wrong();
            (!wrong.is_empty()).then(|| format!("{wrong:?}: {span:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in &spans {
        traces.entry(&span.trace).or_default().push(span);
    }
    let mut trees = String::new();
    for of_function in called.chunks(4) {
        let name = of_function[0].info.name;
        let mut first = None;
        for called in of_function {
            let tree = Tree::new(called, &traces[called.trace.as_str()]).checked();
            let first = first.get_or_insert_with(|| tree.clone());
            assert_eq!(*first, tree, "{}", called.what());
        }
        let _ = write!(trees, "{name}\n{}\n", first.expect("each was called"));
    }
    let path = root().join("tests/tests/it/e2e/traces.txt");
    expect_file(&path, &trees);
}

/// Expects that the file holds this text, or writes it.
fn expect_file(path: &PathBuf, text: &str) {
    // A wish of the person who runs the test, not configuration.
    #[expect(clippy::disallowed_methods, reason = "only tests read it")]
    if std::env::var_os("UPDATE_TRACES").is_some() {
        return fs::write(path, text).expect("the file can be written");
    }
    let expected = fs::read_to_string(path).expect("the file can be read");
    let (expected, got): (Vec<_>, Vec<_>) = (
        expected.split("\n\n").collect(),
        text.split("\n\n").collect(),
    );
    for tree in &got {
        assert!(
            expected.contains(tree),
            "traces.txt has another tree (UPDATE_TRACES=1 writes this one):\n{tree}"
        );
    }
    assert_eq!(expected, got);
}

impl Called {
    fn what(&self) -> String {
        let start = if self.cold { "from zero" } else { "warm" };
        format!("{} over {:?}, {start}", self.info.name, self.wire)
    }

    /// The name of the call's own span, and of the gateway's.
    fn names(&self) -> (String, String) {
        let info = &self.info;
        match self.wire {
            Wire::Grpc => (
                info.grpc_path.trim_start_matches('/').to_owned(),
                format!("POST {}", info.grpc_path),
            ),
            _ => {
                let name = format!("{} {}", info.http_method, info.http_path);
                (name.clone(), name)
            }
        }
    }
}

/// The spans of a trace.
struct Tree<'a> {
    called: &'a Called,
    spans: &'a [&'a Span],
}

impl<'a> Tree<'a> {
    fn new(called: &'a Called, spans: &'a [&'a Span]) -> Self {
        Self { called, spans }
    }

    /// In the order of their beginnings.
    fn children(&self, parent: &str) -> Vec<&'a Span> {
        let children = self.spans.iter().copied();
        let mut children: Vec<_> = children.filter(|span| span.parent == parent).collect();
        children.sort_by_key(|span| (span.began, span.id.clone()));
        children
    }

    /// The one child of this service and name.
    fn child(&self, parent: &str, service: &str, name: &str) -> &'a Span {
        let children = self.children(parent).into_iter();
        let mut children = children.filter(|span| span.service == service && span.name == name);
        let child = children.next();
        assert!(children.next().is_none(), "two of {name}: {}", self.text());
        child.unwrap_or_else(|| panic!("no {name}: {}", self.text()))
    }

    fn text(&self) -> String {
        format!("{}: {:#?}", self.called.what(), self.spans)
    }

    /// Checks all of it, and gives the part below the call's own span.
    fn checked(&self) -> String {
        let Called { info, cold, .. } = *self.called;
        let (name, at_gateway) = self.called.names();
        let root = self.child(PARENT, "gateway", &at_gateway);
        assert_eq!(self.children(PARENT).len(), 1, "{}", self.text());
        let ids: BTreeSet<_> = self.spans.iter().map(|span| span.id.as_str()).collect();
        for span in self.spans {
            let orphan = span.id != root.id && !ids.contains(span.parent.as_str());
            assert!(!orphan, "an orphan, {}: {}", span.name, self.text());
            assert!(span.is_sampled() && !span.failed(), "{}", self.text());
        }
        self.child(&root.id, "gateway", "plugins");
        let activation = format!("activate {}", info.name);
        let activation = self.child(&root.id, "activator", &activation);
        let call = self.child(&activation.id, info.name, &name);
        assert_eq!(self.children(&root.id).len(), 2, "{}", self.text());
        let mut beside = 1;
        if cold {
            beside += PHASES.len();
            for phase in PHASES {
                self.child(&activation.id, info.name, phase);
            }
            // The activator replaces an instance that has ended, so it may be there before the call.
            let process = self.child(&activation.id, info.name, PHASES[0]);
            let children = self.children(&activation.id);
            let queued = children.iter().any(|span| span.name == "queued");
            if queued || process.began >= activation.began {
                let queued = self.child(&activation.id, "activator", "queued");
                let start = self.child(&queued.id, "activator", "start instance");
                self.child(&start.id, "activator", "spawn process");
                self.child(&start.id, "activator", "wait until ready");
                beside += 1;
            }
        }
        assert_eq!(
            self.children(&activation.id).len(),
            beside,
            "{}",
            self.text()
        );
        self.calls(cold);
        self.times();
        let mut tree = String::new();
        self.grow(&call.id, 1, &mut tree);
        tree
    }

    /// Each call says whether its process was new, and comes from who may make it.
    fn calls(&self, cold: bool) {
        let all = functions::all();
        let info = |name: &str| all.iter().find(|info| info.name == name);
        let mut called = BTreeSet::new();
        let mut spans = self.spans.to_vec();
        spans.sort_by_key(|span| span.began);
        for span in spans {
            if let Some(callee) = info(&span.service)
                && span.kind == SERVER
            {
                let first = called.insert(callee.name);
                let new = if cold && first { "true" } else { "false" };
                assert_eq!(span.get("faas.coldstart"), Some(new), "{}", callee.name);
            }
            if let Some(callee) = span.get("faas.invoked_name")
                && let Some(caller) = info(&span.service)
            {
                assert!(
                    caller.calls.contains(&callee),
                    "{} calls {callee}",
                    caller.name
                );
            }
        }
    }

    /// Each span is within its parent's time. A start is not: it may have begun for an earlier wish.
    fn times(&self) {
        for span in self.spans {
            let parent = self.spans.iter().find(|parent| parent.id == span.parent);
            let Some(parent) = parent.filter(|_| !PHASES.contains(&span.name.as_str())) else {
                continue;
            };
            let within =
                span.began + CLOCK_NS >= parent.began && span.ended <= parent.ended + CLOCK_NS;
            assert!(
                within,
                "{} is not within {}: {}",
                span.name,
                parent.name,
                self.text()
            );
        }
    }

    /// What is below a span, without what depends on time: waits for a connection, and whether a function that
    /// was woken before its call was there in time.
    fn grow(&self, parent: &str, depth: usize, tree: &mut String) {
        const TIMED: [&str; 2] = ["database session", "queued"];
        for span in self.children(parent) {
            let name = span.name.as_str();
            if !TIMED.contains(&name) && !PHASES.contains(&name) {
                let _ = writeln!(tree, "{}{}: {name}", "  ".repeat(depth), span.service);
                self.grow(&span.id, depth + 1, tree);
            }
        }
    }
}

impl<'a> Shop<'a> {
    async fn open(engine: &'a Engine) -> Self {
        let pool = DescriptorPool::decode(zerocart_proto::DESCRIPTORS);
        let mut shop = Self {
            engine,
            pool: pool.expect("the descriptors are valid"),
            admin: engine.sign_in_admin().await,
            customer: String::new(),
            things: Things::default(),
            changing: Default::default(),
            calls: 0,
        };
        let works = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0});
        shop.ask(Method::POST, "/admin/failure-rate", works).await;
        (shop.things.user, shop.customer) = shop.sign_up("ada@example.com").await;
        let charge = json!({"order_id": Uuid::now_v7().to_string(), "user_id": shop.things.user, "amount": 9.5});
        let paid = shop.ask(Method::POST, "/payments", charge).await;
        shop.things.payment = text(&paid, "/payment_id");
        shop.things.product = shop.new_product().await;
        shop.new_order().await;
        shop
    }

    /// A call that prepares another.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let token = if path == "/orders" {
            &self.customer
        } else {
            &self.admin
        };
        let headers = [("authorization", token.as_str())];
        let http = self.engine.http();
        let reply = http.call(method, path, body.to_string(), &headers).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.text());
        reply.json()
    }

    /// The id of a new account, and its token.
    async fn sign_up(&self, email: &str) -> (String, String) {
        let account = json!({"email": email, "name": "Ada", "password": PASSWORD});
        let account = self.ask(Method::POST, "/users", account).await;
        let token = self.engine.sign_in(email, PASSWORD).await;
        (text(&account, "/user/id"), token)
    }

    async fn new_product(&self) -> String {
        let tea = json!({"name": "Tea", "price": 4.75, "inventory": 100});
        let made = self.ask(Method::POST, "/products", tea).await;
        text(&made, "/product/id")
    }

    async fn fill_cart(&self) {
        let line = json!({"product_id": self.things.product, "quantity": 1});
        let path = format!("/carts/{}/items", self.things.user);
        self.ask(Method::POST, &path, line).await;
    }

    async fn new_order(&mut self) {
        self.fill_cart().await;
        let mine = json!({"user_id": self.things.user});
        let made = self.ask(Method::POST, "/orders", mine).await;
        assert_eq!(made["order"]["status"], "PAID");
        self.things.order = text(&made, "/order/id");
    }

    /// Makes what an RPC needs, and gives its request: the least one, and what it needs beside that.
    async fn request(&mut self, info: &Info) -> Map<String, Value> {
        let more = match info.name {
            "create-user" => {
                let email = format!("somebody-{}@example.com", self.calls);
                json!({"email": email, "password": PASSWORD})
            }
            // Of another account, because a change makes the tokens of its account void.
            "change-password" => {
                let email = format!("changes-{}@example.com", self.calls);
                self.changing = self.sign_up(&email).await;
                let (id, _) = &self.changing;
                json!({"id": id, "old_password": PASSWORD, "new_password": ANOTHER})
            }
            "authenticate-user" => json!({"email": "ada@example.com", "password": PASSWORD}),
            "archive-product" => json!({"id": self.new_product().await}),
            "update-inventory" => json!({"quantity_change": 1}),
            "update-cart-item" => {
                self.fill_cart().await;
                json!({"new_quantity": 2})
            }
            "get-cart" | "remove-from-cart" | "clear-cart" | "create-order" => {
                self.fill_cart().await;
                json!({})
            }
            "cancel-order" => {
                self.new_order().await;
                json!({})
            }
            "update-order-status" => {
                self.new_order().await;
                json!({"status": "SHIPPED"})
            }
            // Not the customer, who is needed.
            "record-void-in-product"
            | "record-void-in-cart"
            | "record-void-in-order"
            | "record-void-in-payment"
            | "record-void-in-ops" => json!({"user_id": Uuid::now_v7().to_string()}),
            "process-payment" => json!({"order_id": Uuid::now_v7().to_string(), "amount": 9.5}),
            "set-failure-rate" => json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0}),
            _ => json!({}),
        };
        let mut fields = sample(info, &self.things);
        fields.extend(more.as_object().cloned().unwrap_or_default());
        fields
    }

    /// Calls it with success, as a trace of its own.
    async fn call(&mut self, info: Info, wire: Wire, cold: bool) -> Called {
        self.calls += 1;
        let fields = self.request(&info).await;
        if cold {
            self.to_zero(&info).await;
        }
        let trace = format!("{:032x}", 0xace0_0000 + self.calls);
        let parent = format!("00-{trace}-{PARENT}-01");
        let token = match info.name {
            "change-password" => &self.changing.1,
            _ if info.access.roles.contains(&Role::Admin) => &self.admin,
            _ => &self.customer,
        };
        let headers = [("authorization", token.as_str()), ("traceparent", &parent)];
        let reply = match wire {
            Wire::Grpc => {
                let gateway = self.engine.gateway().to_string();
                let http = Http::to(gateway, [127, 0, 0, 1].into(), wire);
                let message = self.message(&info, fields);
                http.grpc(info.grpc_path, &message, &headers).await
            }
            _ => {
                let (method, path, body) = bind(&info, fields);
                let http = self.engine.http();
                http.call(method, &path, body, &headers).await
            }
        };
        let called = Called {
            info,
            wire,
            cold,
            trace,
        };
        assert!(succeeded(&reply, wire), "{}: {reply:?}", called.what());
        called
    }

    fn message(&self, info: &Info, fields: Map<String, Value>) -> Vec<u8> {
        let path = info.grpc_path.trim_start_matches('/');
        let (service, method) = path.split_once('/').expect("a service and a method");
        let service = self.pool.get_service_by_name(service).expect("declared");
        let mut methods = service.methods();
        let method = methods.find(|m| m.name() == method).expect("declared");
        let message = DynamicMessage::deserialize(method.input(), Value::Object(fields));
        message.expect("a good request").encode_to_vec()
    }

    /// Ends the function and those that it calls, and waits until the engine knows it.
    async fn to_zero(&self, info: &Info) {
        let concerned = |name: &str| name == info.name || info.calls.contains(&name);
        let running: Vec<_> = self
            .engine
            .processes()
            .into_iter()
            .filter(|process| {
                let mut all = functions::all().into_iter();
                // The kernel keeps 15 characters of a name.
                all.any(|info| concerned(info.name) && info.name.starts_with(&process.name))
            })
            .collect();
        for process in &running {
            process.signal(Signal::TERM);
        }
        until("all of them are at zero", PATIENCE, || async {
            let functions = self.engine.ps().await;
            let mut concerned = functions.iter().filter(|f| concerned(&f.name));
            concerned.all(|f| f.instances.is_empty()).then_some(())
        })
        .await;
    }
}

fn succeeded(reply: &Reply, wire: Wire) -> bool {
    let status = |headers: &http::HeaderMap| headers.get("grpc-status").is_some_and(|s| s == "0");
    match wire {
        Wire::Grpc => reply.trailers.iter().any(status) || status(&reply.headers),
        _ => reply.status.is_success(),
    }
}

fn text(answer: &Value, pointer: &str) -> String {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {answer}"))
        .to_owned()
}
