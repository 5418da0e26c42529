//! The engine's own life: it starts once, ends without a trace, and comes back with its data.

use std::net::TcpListener;

use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use zerocart_test_support::clients::Reply;

use super::{
    engine::{Data, Engine, PATIENCE, zerocart},
    http::Http,
    processes, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_without_a_trace_and_comes_back_with_its_data() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let admin = engine.sign_in_admin().await;
    let (email, password) = engine.admin_credential().expect("the first start shows it");
    let as_processes = story(&engine.http(), &admin, "process").await;
    second_up_is_refused(&data).await;
    let kept = engine.http().get("/products").await.outcome::<Value>().ok();
    assert_eq!(kept["total"], 1);
    engine.stop().await;
    nothing_runs(&data).await;

    // Everything is still there: rows, the admin's password, and the keys that signed the token.
    let engine = Engine::start_with(&data, &["--in-process"]).await;
    assert_eq!(engine.admin_credential(), None, "shown once");
    engine.sign_in(&email, &password).await;
    assert_eq!(engine.http().get("/products").await.json::<Value>(), kept);
    let in_process = story(&engine.http(), &admin, "in-process").await;
    assert_eq!(in_process, as_processes);
    engine.stop().await;

    // Killed in the middle of its work, it leaves nothing behind but its data.
    let engine = Engine::start(&data).await;
    engine.http().get("/products").await.outcome::<Value>().ok();
    engine.sign_in(&email, &password).await;
    let processes = engine.processes();
    for name in [
        "zerocart",
        "postgres",
        "list-products",
        "authenticate-us",
        "sh",
    ] {
        let found = processes.iter().any(|process| process.name == name);
        assert!(found, "no {name} in {processes:#?}");
    }
    engine.kill().await;
    processes::gone(&processes, PATIENCE).await;

    let engine = Engine::start(&data).await;
    let total = engine.http().get("/products").await.outcome::<Value>().ok()["total"].clone();
    assert_eq!(total, 2);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_broker_that_is_killed_is_started_again() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let http = engine.http();
    http.get("/products").await.outcome::<Value>().ok();
    let broker = |processes: Vec<processes::Process>| {
        // Unlike the engine, it gets no variables.
        let is_broker = |p: &processes::Process| p.name == "zerocart" && p.env("PATH").is_none();
        let broker = processes.into_iter().find(is_broker);
        broker.expect("the engine has a broker")
    };
    let killed = broker(engine.processes());
    killed.signal(Signal::KILL);
    processes::gone(std::slice::from_ref(&killed), PATIENCE).await;
    // Its sessions ended with it. A call that met one of them may fail, and no later one.
    until("a call is answered", PATIENCE, || async {
        (http.get("/products").await.status == 200).then_some(())
    })
    .await;
    http.get("/products").await.outcome::<Value>().ok();
    assert_ne!(broker(engine.processes()), killed);
    let said = engine.output();
    assert!(
        said.contains("the session broker died (signal: 9 (SIGKILL))"),
        "{said}"
    );
    engine.stop().await;
}

/// What `zerocart` says on standard error when it refuses.
async fn refused(data: &Data, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::from(zerocart(&data.path()));
    let output = command.args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await;
    let output = output.expect("it ends").expect("zerocart can be started");
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn second_up_is_refused(data: &Data) {
    let second = refused(data, &["up", "--no-build", "--port", "0"]).await;
    assert!(second.contains("already running"), "{second}");

    // A busy port is said before anything is started.
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let other = Data::new();
    let busy = refused(&other, &["up", "--no-build", "--port", &port]).await;
    assert!(busy.contains(&format!("port {port} is taken")), "{busy}");
    assert!(busy.contains("--port"), "{busy}");
    assert!(!other.path().join("postgres").exists());
}

async fn nothing_runs(data: &Data) {
    let ps = refused(data, &["ps"]).await;
    assert!(ps.contains("nothing is running"), "{ps}");
}

/// A short story, whose answers differ only in what is new each time.
async fn story(http: &Http, admin: &str, who: &str) -> Vec<(u16, Value)> {
    let email = format!("{who}@example.com");
    let admin = [("authorization", admin)];
    let sign_up = json!({"email": email, "name": "Ada", "password": "correct horse"}).to_string();
    let sign_in = json!({"email": email, "password": "correct horse"}).to_string();
    let wrong = json!({"email": email, "password": "wrong horse"}).to_string();
    let tea = json!({"name": "Tea", "price": 4.75, "inventory": 3}).to_string();
    let dear = json!({"name": "Tea", "price": 4.755, "inventory": 3}).to_string();
    let take = json!({"quantity_change": -2}).to_string();

    let mut replies = Vec::new();
    let user = http
        .call(Method::POST, "/users", sign_up.clone(), &[])
        .await;
    let user_path = location(&user);
    replies.push(user);
    replies.push(http.call(Method::POST, "/users", sign_up, &[]).await);
    replies.push(http.call(Method::POST, "/auth/login", wrong, &[]).await);
    replies.push(http.call(Method::POST, "/auth/login", sign_in, &[]).await);
    replies.push(http.get(&user_path).await);
    replies.push(http.call(Method::GET, &user_path, "", &admin).await);
    replies.push(http.call(Method::POST, "/products", tea.clone(), &[]).await);
    replies.push(http.call(Method::POST, "/products", dear, &admin).await);
    let product = http.call(Method::POST, "/products", tea, &admin).await;
    let product_path = location(&product);
    replies.push(product);
    replies.push(http.get(&product_path).await);
    let inventory = format!("{product_path}/inventory");
    replies.push(
        http.call(Method::PATCH, &inventory, take.clone(), &admin)
            .await,
    );
    replies.push(http.call(Method::PATCH, &inventory, take, &admin).await);
    replies.push(http.get("/nowhere").await);
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    let expected = [
        201, 409, 401, 200, 401, 200, 401, 400, 201, 200, 200, 409, 404,
    ];
    assert_eq!(statuses, expected, "{replies:#?}");
    replies
        .iter()
        .map(|reply| (reply.status.as_u16(), known(reply.json())))
        .collect()
}

fn location(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.headers["location"]
        .to_str()
        .expect("a path")
        .to_owned()
}

/// The value, with what is new each time taken out.
fn known(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            for (name, member) in members {
                let new = [
                    "id",
                    "email",
                    "created_at",
                    "token",
                    "trace_id",
                    "request_id",
                ];
                *member = match new.contains(&name.as_str()) {
                    true => Value::Null,
                    false => known(member.take()),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = known(item.take())),
        _ => {}
    }
    value
}
