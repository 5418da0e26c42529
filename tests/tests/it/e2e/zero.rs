//! Functions start because they are called, and end because nobody calls.

use http::Method;
use serde_json::{Value, json};
use zerocart_activator::load_dir;
use zerocart_test_support::clients::Reply;
use zerocart_tests::{functions, root};

use super::{
    engine::{Data, Engine, PATIENCE},
    grpcio, processes, until,
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
    assert_eq!(engine.ps().await.len(), functions::all().len());

    rest(&engine).await;
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

    if let Some(calls) = grpcio::calls_everything(&engine).await {
        assert!(calls.len() >= functions::all().len(), "{calls:?}");
        for function in engine.ps().await {
            assert_eq!(function.cold_starts, 2, "{}", function.name);
            assert_eq!(function.crashes, 0, "{}", function.name);
        }
    }
    engine.stop().await;
}

/// One call of each function over REST, each from zero.
async fn rest(engine: &Engine) {
    let http = engine.http();
    let (email, password) = engine.admin_credential().expect("the first start shows it");
    let call = async |function: &str, method: Method, path: &str, body: Value, token: &str| {
        let before = engine.status(function).await;
        assert_eq!(
            (before.cold_starts, before.instances.len()),
            (0, 0),
            "{function}"
        );
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
        let reply = http.call(method, path, body, token).await;
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
        let after = engine.status(function).await;
        assert_eq!(
            (after.cold_starts, after.instances.len()),
            (1, 1),
            "{function}"
        );
        assert_eq!((after.requests, after.crashes), (1, 0), "{function}");
        assert!(after.last_start_ms.is_some(), "{function}");
        reply
    };
    let value = |reply: &Reply| reply.json::<Value>();

    let sign_in = json!({"email": email, "password": password});
    let reply = call(
        "authenticate-user",
        Method::POST,
        "/auth/login",
        sign_in,
        "",
    )
    .await;
    let token = format!(
        "Bearer {}",
        value(&reply)["token"].as_str().expect("a token")
    );

    let ada = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    let created = call("create-user", Method::POST, "/users", ada, "").await;
    assert_eq!(created.status, 201);
    let location = created.headers["location"].to_str().expect("a path");
    let read = call("get-user", Method::GET, location, Value::Null, &token).await;
    assert_eq!(value(&read)["user"], value(&created)["user"]);

    let tea = json!({"name": "Tea", "price": 4.75, "inventory": 3});
    let created = call("create-product", Method::POST, "/products", tea, &token).await;
    assert_eq!(created.status, 201);
    let product = created.headers["location"].to_str().expect("a path");
    let read = call("get-product", Method::GET, product, Value::Null, "").await;
    assert_eq!(value(&read)["product"], value(&created)["product"]);
    let list = call(
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
    let taken = call("update-inventory", Method::PATCH, &path, take, &token).await;
    assert_eq!(value(&taken)["new_inventory"], 1);
}
