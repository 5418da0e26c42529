//! Functions start because they are called, and end because nobody calls.

use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use zerocart_activator::load_dir;
use zerocart_conformance::{Things, sample};
use zerocart_proto::rpc::Info;
use zerocart_test_support::clients::{Reply, bind};
use zerocart_tests::{functions, root};

use super::{
    engine::{Data, Engine, PATIENCE},
    fleet, grpcio,
    http::Http,
    processes, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_function_wakes_from_zero_and_goes_back() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    for function in engine.ps().await {
        assert!(
            function.instances.is_empty(),
            "{} runs before anyone called",
            function.name
        );
    }
    let all = functions::all().len() + functions::EDGE.len();
    assert_eq!(engine.ps().await.len(), all);

    let admin = rest(&engine).await;
    let running = engine.processes();
    let running: Vec<_> = running
        .into_iter()
        // The kernel keeps 15 characters of a name.
        .filter(|process| {
            functions::all()
                .iter()
                .any(|f| f.name.starts_with(&process.name))
        })
        .collect();
    assert_eq!(running.len(), functions::all().len(), "{running:#?}");

    let window = load_dir(&root().join("knative/services")).expect("manifests are right");
    let window = window
        .iter()
        .map(|f| f.limits.window + f.limits.retention)
        .max();
    let window = window.expect("there are functions") + PATIENCE;
    until("every function is back at zero", window, || async {
        let at_zero = engine.ps().await.iter().all(|f| f.instances.is_empty());
        at_zero.then_some(())
    })
    .await;
    processes::gone(&running, PATIENCE).await;
    fleet::is_at_zero(&engine, &admin).await;

    if let Some(calls) = grpcio::calls_everything(&engine).await {
        let published = published();
        assert!(calls.len() >= published.len(), "{calls:?}");
        for function in engine.ps().await {
            // Once over REST, or by reflection; once over gRPC, where the published contract names it; and to see that
            // all are at zero.
            let over_grpc = published.iter().any(|info| info.name == function.name);
            let at_zero = function.name == "list-functions";
            let cold_starts = 1 + u64::from(over_grpc) + u64::from(at_zero);
            assert_eq!(function.cold_starts, cold_starts, "{}", function.name);
            assert_eq!(function.crashes, 0, "{}", function.name);
        }
    }
    engine.stop().await;
}

/// The functions of the published contract, of which alone the client of another implementation knows.
fn published() -> Vec<Info> {
    let all = functions::all().into_iter();
    let published = all.filter(|info| {
        let path = root().join(format!("tests/contract/{}.proto", info.domain));
        // A domain that came after the contract has no file there.
        let contract = std::fs::read_to_string(path).unwrap_or_default();
        let name = info.grpc_path.rsplit('/').next().unwrap_or_default();
        contract.contains(&format!("rpc {name}("))
    });
    published.collect()
}

/// Calls over REST, each the first of its function.
struct FirstCalls<'a> {
    engine: &'a Engine,
    http: Http,
}

impl FirstCalls<'_> {
    async fn call(
        &self,
        function: &str,
        method: Method,
        path: &str,
        body: Value,
        token: &str,
    ) -> Reply {
        let before = self.engine.status(function).await;
        assert_eq!(
            (before.cold_starts, before.instances.len()),
            (0, 0),
            "{function}"
        );
        let reply = self.again(method, path, body, token).await;
        assert!(
            reply.status.is_success(),
            "{function}: {} {}",
            reply.status,
            reply.text()
        );
        assert_eq!(
            reply.headers.get("x-cold-start").map(|v| v.as_bytes()),
            Some(&b"true"[..])
        );
        let after = self.engine.status(function).await;
        assert_eq!(
            (after.cold_starts, after.instances.len()),
            (1, 1),
            "{function}"
        );
        assert_eq!((after.requests, after.crashes), (1, 0), "{function}");
        assert!(after.last_start_ms.is_some(), "{function}");
        reply
    }

    async fn again(&self, method: Method, path: &str, body: Value, token: &str) -> Reply {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let token: &[_] = if token.is_empty() {
            &[]
        } else {
            &[("authorization", token)]
        };
        self.http.call(method, path, body, token).await
    }

    /// Signs in, and gives the value of the header `authorization`.
    async fn sign_in(&self, email: &str, password: &str) -> String {
        let sign_in = json!({"email": email, "password": password});
        let reply = self.again(Method::POST, "/auth/login", sign_in, "").await;
        bearer(&reply)
    }
}

fn bearer(reply: &Reply) -> String {
    let token = &value(reply)["token"];
    format!("Bearer {}", token.as_str().expect("a token"))
}

fn value(reply: &Reply) -> Value {
    reply.json::<Value>()
}

fn location(reply: &Reply) -> String {
    assert_eq!(reply.status, 201);
    let location = reply.headers["location"].to_str().expect("a path");
    location.to_owned()
}

/// One call of each function over REST, each from zero. Gives the admin's token.
async fn rest(engine: &Engine) -> String {
    let first = FirstCalls {
        engine,
        http: engine.http(),
    };
    let (email, password) = engine.admin_credential().expect("the first start shows it");
    let sign_in = json!({"email": email, "password": password});
    let reply = first
        .call(
            "authenticate-user",
            Method::POST,
            "/auth/login",
            sign_in,
            "",
        )
        .await;
    let admin = bearer(&reply);

    let ada = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    let created = first
        .call("create-user", Method::POST, "/users", ada, "")
        .await;
    let user = location(&created);
    let read = first
        .call("get-user", Method::GET, &user, Value::Null, &admin)
        .await;
    assert_eq!(value(&read)["user"], value(&created)["user"]);

    let tea = json!({"name": "Tea", "price": 4.75, "inventory": 5});
    let created = first
        .call("create-product", Method::POST, "/products", tea, &admin)
        .await;
    let product = location(&created);
    let read = first
        .call("get-product", Method::GET, &product, Value::Null, "")
        .await;
    assert_eq!(value(&read)["product"], value(&created)["product"]);
    let list = first
        .call(
            "list-products",
            Method::GET,
            "/products?limit=5",
            Value::Null,
            "",
        )
        .await;
    assert_eq!(value(&list)["total"], 1);
    let path = format!("{product}/inventory");
    let take = json!({"quantity_change": -2});
    let taken = first
        .call("update-inventory", Method::PATCH, &path, take, &admin)
        .await;
    assert_eq!(value(&taken)["new_inventory"], 3);

    pay(&first, &admin).await;
    let product = value(&created)["product"]["id"].clone();
    let user = user.trim_start_matches("/users/");
    buy(&first, &admin, user, &product).await;
    others(&first, &admin, user, &product).await;
    change_password(&first, user).await;
    admin
}

/// The service of the dashboard, and the functions that have no part in a purchase, each with the least that it takes.
async fn others(first: &FirstCalls<'_>, admin: &str, user: &str, product: &Value) {
    let things = Things {
        user: user.to_owned(),
        product: product.as_str().expect("an id").to_owned(),
        ..Things::default()
    };
    let page = first.again(Method::GET, "/app/", Value::Null, "").await;
    assert_eq!(page.status, 200);
    let asleep = first.engine.ps().await.into_iter();
    let asleep: Vec<_> = asleep
        .filter(|function| function.cold_starts == 0)
        .collect();
    let all = functions::all().into_iter();
    for info in all.filter(|info| info.name != "change-password") {
        if asleep.iter().any(|function| function.name == info.name) {
            let (method, path, body) = bind(&info, sample(&info, &things));
            let body = serde_json::from_slice(&body).unwrap_or_default();
            first.call(info.name, method, &path, body, admin).await;
        }
    }
}

/// The functions of the payment domain.
async fn pay(first: &FirstCalls<'_>, admin: &str) {
    let works = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0});
    let path = "/admin/failure-rate";
    let set = first
        .call("set-failure-rate", Method::POST, path, works, admin)
        .await;
    assert_eq!(value(&set)["failure_rate"], 0.0);
    let (order, user) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let charge = json!({"order_id": order, "user_id": user, "amount": 9.5});
    let paid = first
        .call("process-payment", Method::POST, "/payments", charge, admin)
        .await;
    assert_eq!(value(&paid)["status"], "SUCCESS");
    let path = format!("/payments/{order}");
    let found = first
        .call("get-payment-status", Method::GET, &path, Value::Null, admin)
        .await;
    assert_eq!(value(&found)["payment_id"], value(&paid)["payment_id"]);
}

/// The functions of the cart and order domains, as Ada.
async fn buy(first: &FirstCalls<'_>, admin: &str, user: &str, product: &Value) {
    let ada = first.sign_in("ada@example.com", "correct horse").await;
    let cart = format!("/carts/{user}");
    let items = format!("{cart}/items");
    let line = format!("{items}/{}", product.as_str().expect("an id"));
    let add = json!({"product_id": product, "quantity": 2});
    let added = first
        .call("add-to-cart", Method::POST, &items, add.clone(), &ada)
        .await;
    let read = first
        .call("get-cart", Method::GET, &cart, Value::Null, &ada)
        .await;
    assert_eq!(value(&read)["cart"], value(&added)["cart"]);
    let three = json!({"new_quantity": 3});
    let changed = first
        .call("update-cart-item", Method::PUT, &line, three, &ada)
        .await;
    assert_eq!(value(&changed)["cart"]["total_amount"], 14.25);
    let removed = first
        .call("remove-from-cart", Method::DELETE, &line, Value::Null, &ada)
        .await;
    assert_eq!(value(&removed)["cart"]["items"], json!([]));
    first
        .call("clear-cart", Method::DELETE, &cart, Value::Null, &ada)
        .await;

    first.again(Method::POST, &items, add, &ada).await;
    let mine = json!({"user_id": user});
    let placed = first
        .call("create-order", Method::POST, "/orders", mine.clone(), &ada)
        .await;
    let order = location(&placed);
    assert_eq!(value(&placed)["order"]["status"], "PAID");
    let read = first
        .call("get-order", Method::GET, &order, Value::Null, &ada)
        .await;
    assert_eq!(value(&read)["order"], value(&placed)["order"]);
    let path = format!("/users/{user}/orders");
    let listed = first
        .call("list-user-orders", Method::GET, &path, Value::Null, &ada)
        .await;
    assert_eq!(value(&listed)["orders"][0], value(&placed)["order"]);
    let path = format!("/orders?user_id={user}&stuck=false");
    let listed = first
        .call("list-orders", Method::GET, &path, Value::Null, admin)
        .await;
    assert_eq!(value(&listed)["orders"][0], value(&placed)["order"]);
    let path = format!("{order}/timeline");
    let told = first
        .call("get-order-timeline", Method::GET, &path, Value::Null, &ada)
        .await;
    assert_eq!(value(&told)["events"][2]["event"], "paid");
    let path = format!("{order}/status");
    let ship = json!({"status": "SHIPPED"});
    let shipped = first
        .call("update-order-status", Method::PATCH, &path, ship, admin)
        .await;
    assert_eq!(value(&shipped)["order"]["status"], "SHIPPED");
    // The last unit.
    let one = json!({"product_id": product, "quantity": 1});
    first.again(Method::POST, &items, one, &ada).await;
    let placed = first.again(Method::POST, "/orders", mine, &ada).await;
    let path = format!("{}/cancel", location(&placed));
    let cancelled = first
        .call("cancel-order", Method::POST, &path, json!({}), &ada)
        .await;
    assert_eq!(value(&cancelled)["order"]["status"], "CANCELLED");

    let empty = first.again(Method::GET, &cart, Value::Null, &ada).await;
    assert_eq!(value(&empty)["cart"]["items"], json!([]));
}

/// After the others, because it makes the customer's token void, and calls those that make it void.
async fn change_password(first: &FirstCalls<'_>, user: &str) {
    let ada = first.sign_in("ada@example.com", "correct horse").await;
    let path = format!("/users/{user}/password");
    let another = json!({"old_password": "correct horse", "new_password": "battery staple"});
    let changed = first
        .call("change-password", Method::POST, &path, another, &ada)
        .await;
    assert_eq!(value(&changed)["user"]["id"], user);
}
