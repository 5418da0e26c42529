//! Secrets and databases: made once, never in an argument.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zerocart_cluster::{Progress, database, edge, keys::TokenKeys};

use crate::{kubectl, recorded::Recorded};

const GET: &str = "--context prod get secret";
const PUT: &str = "--context prod apply --server-side";

/// A Secret as kubectl gives it. The values are `secret-value` in base64.
fn secret(keys: &[&str]) -> String {
    let fields: Vec<_> = keys
        .iter()
        .map(|key| format!(r#""{key}": "c2VjcmV0LXZhbHVl""#))
        .collect();
    format!(r#"{{"kind": "Secret", "data": {{{}}}}}"#, fields.join(", "))
}

#[tokio::test]
async fn what_is_there_stays_and_no_value_is_an_argument() {
    let recorded = Recorded::new();
    recorded.answer("kubectl", GET, "");
    recorded.answer("kubectl", PUT, "secret/x serverside-applied");
    recorded.answer(
        "kubectl",
        &format!("{GET} postgres-password"),
        &secret(&["password"]),
    );
    let server = database::Server::InCluster {
        storage: None,
        class: None,
    };
    let applied = database::prepare(&kubectl(&recorded), &server, &["user", "cart"])
        .await
        .unwrap();
    // Authority, certificate, the Job's and each domain's; the password was there.
    assert_eq!((applied.created, applied.unchanged), (5, 1));
    let written = recorded.input();
    let calls = recorded.calls().join("\n");
    assert!(
        !written.contains(r#""name":"postgres-password""#),
        "{written}"
    );
    for name in [
        "provision",
        "postgres-tls",
        "zerocart-user",
        "zerocart-cart",
    ] {
        assert!(written.contains(&format!(r#""name":"{name}""#)), "{name}");
    }
    // Values are base64 in what kubectl reads, and nowhere else.
    assert!(
        !calls.contains("secret-value") && !calls.contains("postgres://"),
        "{calls}"
    );
}

#[tokio::test]
async fn a_deployment_does_not_leave_its_databases() {
    let recorded = Recorded::new();
    let there = STANDARD.encode("postgres://a:secret@old.example/postgres");
    let there = format!(r#"{{"data": {{"ADMIN_DATABASE_URL": "{there}"}}}}"#);
    recorded.answer("kubectl", &format!("{GET} provision"), &there);
    let server = database::Server::Managed {
        url: "postgres://a:secret@new.example/postgres".to_owned(),
        roots: None,
    };
    let problem = database::prepare(&kubectl(&recorded), &server, &["user"])
        .await
        .unwrap_err();
    let said = problem.to_string();
    assert!(
        said.starts_with("the databases of this deployment are at old.example, not at new.example"),
        "{said}"
    );
    assert!(
        said.contains("cure: deploy with the server at old.example"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test]
async fn keys_are_made_once_and_a_bad_secret_is_named() {
    let recorded = Recorded::new();
    recorded.answer("kubectl", GET, "");
    recorded.answer("kubectl", PUT, "secret/keys serverside-applied");
    let (keys, made) = TokenKeys::load_or_make(&kubectl(&recorded)).await.unwrap();
    assert_eq!(made.created, 1);
    assert_eq!(
        keys.consumers()[0]["jwt_secrets"][0]["key"],
        keys.user.current().kid()
    );
    assert!(!keys.consumers().to_string().contains("PRIVATE"));

    let recorded = Recorded::new();
    recorded.answer("kubectl", GET, &secret(&["user.json", "service.json"]));
    let problem = TokenKeys::load_or_make(&kubectl(&recorded))
        .await
        .unwrap_err();
    assert_eq!(problem.what(), "the Secret keys holds no keys as user.json");
    assert!(!problem.to_string().contains("secret-value"), "{problem}");
}

#[tokio::test]
async fn the_edge_takes_other_keys_up_however_long_its_document_is() {
    let recorded = Recorded::new();
    let long = "x".repeat(300_000);
    let document = format!(r#"{{\"consumers\": [], \"long\": \"{long}\"}}"#);
    let config = format!(r#"{{"kind": "ConfigMap", "data": {{"kong.yml": "{document}"}}}}"#);
    recorded.answer("kubectl", "--context prod get", "");
    recorded.answer("kubectl", "--context prod get configmap gateway", &config);
    recorded.answer("kubectl", "--context prod apply", "");
    recorded.refuse("kubectl", "--context prod patch deployment gateway", "seen");
    let progress = Progress::new(std::io::sink(), false);
    let consumers = serde_json::json!([{"username": "somebody"}]);
    let problem = edge::replace_consumers(&kubectl(&recorded), &progress, consumers)
        .await
        .unwrap_err();
    assert_eq!(problem.cause(), Some("seen"));
    assert!(recorded.input().contains("somebody"));
    assert!(recorded.calls().iter().all(|call| call.len() < 400));
}
