//! What people and monitors ask of the public address first: `GET /`, `GET /health`, and the dashboard.

use http::Method;
use serde_json::Value;
use zerocart_test_support::clients::Reply;

use super::engine::{Data, Engine};

/// What browsers send when they open a page.
const BROWSER: [(&str, &str); 1] = [(
    "accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
)];

#[tokio::test(flavor = "multi_thread")]
async fn the_address_leads_to_the_dashboard_and_only_that_wakes() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let http = engine.http();

    for path in ["/health", "/"] {
        for accept in [
            "application/json",
            "*/*",
            "application/json, text/html;q=0.5",
        ] {
            let asked = [("accept", accept)];
            let reply = http.call(Method::GET, path, "", &asked).await;
            assert_eq!(reply.status, 200, "{path}");
            assert_eq!(reply.headers["content-type"], "application/json");
            assert_eq!(header(&reply, "cache-control"), "no-store");
        }
    }
    let health = http.get("/health").await;
    assert_eq!(health.json::<Value>()["status"], "ok");
    let index: Value = http.get("/").await.json();
    assert_eq!(index["name"], "zerocart");
    assert_eq!(index["version"], env!("CARGO_PKG_VERSION"));
    let to = http.call(Method::GET, "/", "", &BROWSER).await;
    assert_eq!(to.status, 303);
    assert_eq!(
        header(&to, "location"),
        index["dashboard"].as_str().unwrap()
    );
    assert_eq!(header(&to, "x-content-type-options"), "nosniff");
    assert_eq!(header(&to, "cache-control"), "no-store");
    for function in engine.ps().await {
        assert_eq!(function.cold_starts, 0, "{} woke", function.name);
    }

    for name in ["dashboard", "openapi", "health"] {
        let path = index[name].as_str().expect("a path");
        assert_eq!(http.get(path).await.status, 200, "{path}");
    }
    // A page of the dashboard that somebody has kept as a bookmark.
    let page = http.call(Method::GET, "/app/orders", "", &BROWSER).await;
    assert_eq!(page.status, 200);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    // The gateway leaves what the page says itself.
    assert_eq!(header(&page, "cache-control"), "no-cache");
    let policy = header(&page, "content-security-policy");
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    let tag = header(&page, "etag").to_owned();
    let again = [BROWSER[0], ("if-none-match", tag.as_str())];
    let again = http.call(Method::GET, "/app/orders", "", &again).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let missing = http.get("/app/assets/none.js").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.headers["content-type"], "application/problem+json");

    for function in engine.ps().await {
        let woke = function.cold_starts > 0;
        assert_eq!(woke, function.name == "dashboard", "{}", function.name);
    }
    engine.stop().await;
}

/// A header that the answer has once.
fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    let values: Vec<_> = reply.headers.get_all(name).iter().collect();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].to_str().expect("it is text")
}
