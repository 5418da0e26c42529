//! The description of the API, and what browsers are told, at the gateway of an engine that runs.

use std::{fs::File, process::Stdio};

use http::Method;
use serde_json::Value;
use zerocart_gateway::Config;
use zerocart_test_support::clients::Reply;
use zerocart_tests::root;

use super::engine::{Data, Engine, zerocart};

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_describes_the_api_and_wakes_nothing() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let http = engine.http();
    let reply = http.get("/openapi.json").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["x-ratelimit-limit-minute"], "100");
    let served: Value = serde_json::from_slice(&reply.body).expect("it is JSON");
    assert_eq!(served, zerocart_openapi::document().expect("it is made"));
    protected(&reply);

    // A page of the shop may read it; nobody may write it.
    let origin = "http://localhost:3000";
    let asked = [("origin", origin)];
    let reply = http.call(Method::GET, "/openapi.json", "", &asked).await;
    assert_eq!(reply.headers["access-control-allow-origin"], origin);
    let reply = http.call(Method::PUT, "/openapi.json", "{}", &[]).await;
    assert_eq!(reply.status, 405);
    assert_eq!(reply.headers["allow"], "GET, HEAD");
    protected(&reply);
    let reply = http.call(Method::HEAD, "/openapi.json", "", &[]).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
    protected(&reply);

    // A minute may begin meanwhile, and then another hundred are let through.
    let mut reply = http.get("/openapi.json").await;
    for _ in 0..200 {
        if reply.status != 200 {
            break;
        }
        reply = http.get("/openapi.json").await;
    }
    assert_eq!(reply.status, 429);
    assert!(reply.headers.contains_key("retry-after"));
    protected(&reply);

    for function in engine.ps().await {
        assert_eq!(function.cold_starts, 0, "{} woke", function.name);
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_what_gave_it_or_is_kept() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let http = engine.http();
    let junk = [("authorization", "Bearer junk")];
    for (method, path, body, headers, status) in [
        (Method::GET, "/products", "", &[][..], 200),
        (Method::GET, "/products/nonsense", "", &[], 400),
        (Method::POST, "/users", "{}", &[], 400),
        (Method::GET, "/users/nonsense", "", &[], 401),
        (Method::GET, "/users/nonsense", "", &junk, 401),
        (Method::GET, "/nowhere", "", &[], 404),
        (Method::TRACE, "/products", "", &[], 405),
        (Method::OPTIONS, "/products", "", &[], 405),
    ] {
        let reply = http.call(method.clone(), path, body, headers).await;
        assert_eq!(reply.status, status, "{method} {path}");
        protected(&reply);
    }
    let large = "x".repeat(1024 * 1024 + 1);
    let reply = http.call(Method::POST, "/users", large, &[]).await;
    assert_eq!(reply.status, 413);
    protected(&reply);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_prints_what_it_needs() {
    let data = Data::new();
    let print = |more: &[&str]| {
        let output = zerocart(&data.path()).arg("openapi").args(more).output();
        let output = output.expect("zerocart can be started");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    };
    let printed: Value = serde_json::from_str(&print(&[])).expect("it is JSON");
    assert_eq!(printed, zerocart_openapi::document().expect("it is made"));
    let kong = Config::load(&root().join("kong/kong.yml")).expect("the file is right");
    kong.with_plugins("openapi.yml", &print(&["--kong"]))
        .expect("and is so with what is merged into it");
}

/// The headers that each answer has, once, and those that none has.
#[track_caller]
fn protected(reply: &Reply) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        let values: Vec<_> = reply.headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}");
    }
    for name in reply.headers.keys() {
        let name = name.as_str();
        let banner = ["server", "via", "x-powered-by"].contains(&name);
        assert!(!banner && !name.starts_with("x-kong"), "{name}");
    }
}

#[test]
fn a_reader_may_go_away_and_a_disk_may_not_be_full() {
    let data = Data::new();
    let print = |to: Stdio| {
        let output = zerocart(&data.path()).arg("openapi").stdout(to).output();
        let output = output.expect("zerocart can be started");
        let stderr = String::from_utf8(output.stderr).expect("it is text");
        (output.status.success(), stderr)
    };
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    drop(reader);
    assert_eq!(print(writer.into()), (true, String::new()));
    let full = File::options().write(true).open("/dev/full");
    let (success, stderr) = print(full.expect("Linux has it").into());
    assert!(!success, "{stderr}");
    let words = "zerocart: standard output cannot be written\n  because: ";
    assert!(stderr.starts_with(words), "{stderr}");
}
