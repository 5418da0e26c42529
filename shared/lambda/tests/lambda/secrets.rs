//! Secrets, from a server that speaks as Secrets Manager does.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use zerocart_core::Env;
use zerocart_lambda::secrets::resolve;

use crate::signer;

/// The names that were asked for.
type Asked = Arc<Mutex<Vec<String>>>;

async fn answer(
    State(asked): State<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    assert_eq!(headers["x-amz-target"], "secretsmanager.GetSecretValue");
    let signed = headers["authorization"].to_str().unwrap();
    assert!(
        signed.contains("/eu-central-1/secretsmanager/aws4_request"),
        "{signed}"
    );
    let request: Value = serde_json::from_slice(&body).unwrap();
    let id = request["SecretId"].as_str().unwrap();
    asked.lock().unwrap().push(id.to_owned());
    let text = match id {
        "zerocart/signing-key" => "the whole key",
        "arn:db" => r#"{"username": "zerocart", "password": "p#word"}"#,
        _ => {
            let error = json!({"__type": "ResourceNotFoundException", "Message": "no such secret"});
            return (StatusCode::BAD_REQUEST, error.to_string());
        }
    };
    (
        StatusCode::OK,
        json!({"Name": id, "SecretString": text}).to_string(),
    )
}

async fn manager() -> (SdkConfig, Asked) {
    let asked = Asked::default();
    let router = Router::new()
        .route("/", post(answer))
        .with_state(Arc::clone(&asked));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::future::pending();
    tokio::spawn(zerocart_runtime::serve_router(
        listener,
        router,
        serving,
        std::time::Duration::ZERO,
    ));
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(signer(None).credentials)
        .region(Region::new("eu-central-1"))
        .endpoint_url(url)
        .http_client(Builder::new().build_http())
        .build();
    (aws, asked)
}

#[tokio::test]
async fn variables_get_the_values_of_their_secrets() {
    let (aws, asked) = manager().await;
    let env = Env::from_iter([
        ("AUTH_SIGNING_KEY_SECRET", "zerocart/signing-key"),
        ("DATABASE_USER_SECRET", "arn:db#username"),
        ("DATABASE_PASSWORD_SECRET", "arn:db#password"),
        ("LOG_LEVEL", "info"),
    ]);
    let env = resolve(env, &aws).await.unwrap();
    assert_eq!(env.get("AUTH_SIGNING_KEY"), Some("the whole key"));
    assert_eq!(env.get("DATABASE_USER"), Some("zerocart"));
    assert_eq!(env.get("DATABASE_PASSWORD"), Some("p#word"));
    assert_eq!(env.get("LOG_LEVEL"), Some("info"));
    // Each once, though two variables are of one.
    let mut asked = asked.lock().unwrap().clone();
    asked.sort_unstable();
    assert_eq!(asked, ["arn:db", "zerocart/signing-key"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_by_its_variable() {
    let (aws, _) = manager().await;
    let env = Env::from_iter([
        ("AUTH_SIGNING_KEY_SECRET", "zerocart/none"),
        ("DATABASE_PASSWORD_SECRET", "arn:db#pass"),
        ("AUTH_USER_KEYS_SECRET", "zerocart/signing-key"),
    ]);
    let error = resolve(env, &aws).await.unwrap_err();
    assert_eq!(error.exit_code(), 64);
    let error = error.to_string();
    assert!(
        error.contains("AUTH_SIGNING_KEY_SECRET: the secret cannot be read"),
        "{error}"
    );
    assert!(error.contains("no such secret"), "{error}");
    assert!(
        error.contains("DATABASE_PASSWORD_SECRET: the secret has no pass"),
        "{error}"
    );
    assert!(!error.contains("AUTH_USER_KEYS"), "{error}");
    assert!(
        !error.contains("whole key") && !error.contains("p#word"),
        "{error}"
    );
}

#[tokio::test]
async fn without_secrets_nothing_is_asked() {
    let (aws, asked) = manager().await;
    resolve(Env::from_iter([("LOG_LEVEL", "info")]), &aws)
        .await
        .unwrap();
    assert_eq!(asked.lock().unwrap().len(), 0);
}
