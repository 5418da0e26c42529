//! The jwt plugin at the edge.

use http::Request;
use serde_json::json;
use zerocart_gateway::Consumers;

use crate::support::{Answer, Echo, Running, Signer, config};

const JWT: &str = "{name: jwt, config: {key_claim_name: kid, claims_to_verify: [exp], \
                   run_on_preflight: false, uri_param_names: []}}";
const ROUTE: &str = "{name: r, paths: [/], strip_path: false}";

async fn get(running: &Running, token: &str) -> Answer {
    let request = Request::get("/users/1")
        .header("authorization", format!("Bearer {token}"))
        .header("x-consumer-username", "admin")
        .header("x-anonymous-consumer", "true");
    running.send(request, "").await
}

#[tokio::test]
async fn only_known_signatures_pass() {
    let echo = Echo::start().await;
    let (signer, stranger) = (Signer::new("key-1"), Signer::new("key-1"));
    let text = config(echo.port, "", ROUTE, JWT);
    let running = Running::start(&text, signer.consumers()).await;

    let answer = get(&running, &signer.token(60)).await;
    assert_eq!(answer.status, 200);
    let saw = answer.json();
    assert_eq!(saw["headers"]["x-consumer-username"], "zerocart-users");
    assert_eq!(saw["headers"]["x-credential-identifier"], "key-1");
    assert_eq!(saw["headers"].get("x-anonymous-consumer"), None);

    let none = json!({"alg": "none", "kid": "key-1"});
    let refusals = [
        (signer.token(-1), json!({"exp": "token expired"})),
        (stranger.token(60), json!({"message": "Invalid signature"})),
        (
            signer.sign(&none, 60),
            json!({"message": "Bad token; invalid alg"}),
        ),
        (
            Signer::new("key-2").token(60),
            json!({"message": "No credentials found for given 'kid'"}),
        ),
    ];
    for (token, body) in refusals {
        let answer = get(&running, &token).await;
        assert_eq!(answer.status, 401, "{body}");
        assert_eq!(answer.json(), body);
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer error=\"invalid_token\""
        );
    }
    let missing = running.get("/users/1").await;
    assert_eq!(missing.status, 401);
    assert_eq!(missing.body, "{\"message\":\"Unauthorized\"}");
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    assert_eq!(echo.seen(), 1, "only the valid token reached the upstream");
}

#[tokio::test]
async fn two_keys_sign_while_they_are_rotated() {
    let echo = Echo::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let consumers = Consumers::one("zerocart-users", [old.key(), new.key()]).unwrap();
    let running = Running::start(&config(echo.port, "", ROUTE, JWT), consumers).await;
    for signer in [&old, &new] {
        assert_eq!(get(&running, &signer.token(60)).await.status, 200);
    }
}

#[tokio::test]
async fn keys_in_the_file_are_known_too() {
    let echo = Echo::start().await;
    let signer = Signer::new("key-1");
    let pem = signer.key().rsa_public_key.replace('\n', "\\n");
    let text = format!(
        "{}consumers: [{{username: zerocart-users, jwt_secrets: [{{key: key-1, algorithm: EdDSA, \
         rsa_public_key: \"{pem}\"}}]}}]\n",
        config(echo.port, "", ROUTE, JWT)
    );
    let running = Running::start(&text, Consumers::none()).await;
    assert_eq!(get(&running, &signer.token(60)).await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_known_ends_with_its_key() {
    let echo = Echo::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let running = Running::start(&config(echo.port, "", ROUTE, JWT), Consumers::none()).await;
    let trust = |keys: &[&Signer]| {
        let keys = keys.iter().map(|signer| signer.key());
        let consumers = Consumers::one("zerocart-users", keys).unwrap();
        running.gateway.replace_consumers(consumers).unwrap();
    };
    let (of_old, of_new) = (old.token(60), new.token(60));
    trust(&[&old, &new]);
    for token in [&of_old, &of_old, &of_new] {
        assert_eq!(get(&running, token).await.status, 200);
    }
    trust(&[&new]);
    let refused = get(&running, &of_old).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.message(), "No credentials found for given 'kid'");
    assert_eq!(get(&running, &of_new).await.status, 200);
    assert_eq!(echo.seen(), 4);
}
