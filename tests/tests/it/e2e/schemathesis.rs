//! Requests that schemathesis makes of the OpenAPI document, through the gateway of a running engine.
//!
//! A test of its own, because it takes minutes: `just schemathesis`.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use zerocart_core::Env;
use zerocart_tests::{functions::EDGE, root};

use super::{
    engine::{Data, Engine},
    http::Http,
    python,
};

/// The one operation that changes how another one answers: it is tried last.
const FAILURE_RATE: &str = "POST /admin/failure-rate";

/// What a run has to try at the least, so that one that tries nothing does not pass.
const CASES: u64 = 2000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: just schemathesis"]
async fn schemathesis_finds_nothing() {
    let Some(programs) = python::programs("schemathesis").await else {
        return;
    };
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let (email, password) = engine.admin_credential().expect("the first start shows it");
    let http = engine.http();
    let credential = json!({"email": email, "password": password});
    let admin = post(&http, "", "/auth/login", credential).await;
    let shop = Shop {
        url: format!("http://{}/openapi.json", engine.gateway()),
        known: known(&http, &admin).await,
        token: admin["token"].as_str().expect("it has a token").to_owned(),
        programs,
    };
    valid(&shop.programs).await;
    let cases = shop.run(&["--exclude-name", FAILURE_RATE]).await;
    assert!(cases >= CASES, "only {cases} cases");
    shop.run(&["--include-name", FAILURE_RATE]).await;
    let functions = engine.ps().await.into_iter();
    for function in functions.filter(|f| !EDGE.contains(&f.name.as_str())) {
        assert!(function.cold_starts > 0, "{} never ran", function.name);
        assert_eq!(function.crashes, 0, "{}", function.name);
    }
    engine.stop().await;
}

/// The document is OpenAPI: the official schema says so.
async fn valid(programs: &Path) {
    let document = zerocart_openapi::document().expect("it is made");
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), document.to_string()).expect("it can be written");
    let validator = Command::new(programs.join("openapi-spec-validator"))
        .arg(file.path())
        .output()
        .await
        .expect("it was installed");
    assert!(validator.status.success(), "{validator:?}");
}

/// Posts what is right.
async fn post(http: &Http, token: &str, path: &str, body: Value) -> Value {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json")];
    headers.extend((!token.is_empty()).then_some(("authorization", authorization.as_str())));
    let reply = http
        .call(Method::POST, path, body.to_string(), &headers)
        .await;
    assert!(reply.status.is_success(), "{path}: {}", reply.status);
    serde_json::from_slice(&reply.body).expect("an answer is JSON")
}

/// Makes a shop in which there is something to meet, and gives the ids by the fields that hold them.
async fn known(http: &Http, admin: &Value) -> Value {
    let token = admin["token"].as_str().expect("it has a token");
    let post = async |path: &str, body| post(http, token, path, body).await;
    // The simulated payment provider fails three in ten charges with 503, and takes its time.
    let reliable = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0});
    post("/admin/failure-rate", reliable).await;
    let tea = json!({"name": "Tea", "price": 4.5, "inventory": 1_000_000});
    let product = post("/products", tea).await["product"]["id"].clone();
    let me = admin["user"]["id"].as_str().expect("an admin has an id");
    let (items, line) = (
        format!("/carts/{me}/items"),
        json!({"product_id": product, "quantity": 2}),
    );
    post(&items, line.clone()).await;
    let order = post("/orders", json!({"user_id": me})).await;
    let order = &order["order"];
    post(&items, line).await;
    json!({
        "user_id": [me],
        "product_id": [product],
        "order_id": [order["id"]],
        "payment_id": [order["payment_id"], order["id"]],
        "id": [me, product, order["id"]],
    })
}

/// A system to try, and what is needed for it.
struct Shop {
    url: String,
    known: Value,
    token: String,
    programs: PathBuf,
}

impl Shop {
    /// Runs schemathesis, and gives the number of its cases.
    async fn run(&self, which: &[&str]) -> u64 {
        let env = Env::of_process();
        let folder = root().join("tests/schemathesis");
        let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
        let output = Command::new(self.programs.join("schemathesis"))
            // What it keeps between runs is not kept: a seed gives the same cases each time.
            .current_dir(elsewhere.path())
            .env("PYTHONPATH", &folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // The order of sets is part of what a seed has to give.
            .env("PYTHONHASHSEED", "0")
            .env("ZEROCART_TOKEN", &self.token)
            .env("ZEROCART_KNOWN", self.known.to_string())
            .arg("--config-file")
            .arg(folder.join("schemathesis.toml"))
            .args(["run", &self.url, "--no-color", "--continue-on-failure"])
            .args([
                "--max-examples",
                env.get("SCHEMATHESIS_EXAMPLES").unwrap_or("70"),
            ])
            .args(["--seed", env.get("SCHEMATHESIS_SEED").unwrap_or("1")])
            .args(which)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("it was installed");
        let said = String::from_utf8_lossy(&output.stdout);
        let _ = writeln!(std::io::stderr(), "{said}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", output.status);
        let mut lines = said.lines().map(str::trim);
        let cases = lines.find_map(|line| line.split_once(" generated,")?.0.parse().ok());
        cases.expect("it says how many cases it made")
    }
}
