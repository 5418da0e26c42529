//! Keys that are rotated while everything runs.

use std::{fs, os::unix::fs::PermissionsExt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::Method;
use serde_json::{Value, json};
use tonic::Code;
use zerocart_auth::{KeySet, Token};
use zerocart_gateway::Consumers;
use zerocart_proto::{
    rpc,
    user::{AuthRequest, GetUserRequest, User},
};
use zerocart_test_support::clients::{Client, Reply, Wire};

use super::{
    engine::{Data, Engine, zerocart},
    forged::Keys,
};

const PASSWORD: &str = "correct horse";

/// `zerocart keys …`, and what it prints.
async fn keys(data: &Data, args: &[&str]) -> String {
    let mut command = tokio::process::Command::from(zerocart(&data.path()));
    let output = command.arg("keys").args(args).output().await;
    let output = output.expect("zerocart can be started");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The name of the key that signed a token.
fn kid(token: &str) -> String {
    let header = token.split('.').next().expect("a header");
    let header = BASE64.decode(header).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

fn kids(set: &KeySet) -> Vec<String> {
    let keys = set.keys();
    keys.iter().map(|key| key.kid().to_owned()).collect()
}

/// A customer of a running engine.
struct Customer<'a> {
    engine: &'a Engine,
    id: String,
}

impl<'a> Customer<'a> {
    async fn sign_up(engine: &'a Engine) -> Self {
        let body = json!({"email": "ada@example.com", "name": "Ada", "password": PASSWORD});
        let http = engine.http();
        let reply = http.call(Method::POST, "/users", body.to_string(), &[]);
        let made: Value = reply.await.json();
        let id = made["user"]["id"].as_str().expect("an id").to_owned();
        Self { engine, id }
    }

    async fn sign_in(&self) -> String {
        let request = AuthRequest {
            email: "ada@example.com".into(),
            password: PASSWORD.into(),
        };
        let client = self.engine.client(Wire::Grpc);
        let answer = client.call::<rpc::AuthenticateUser>(&request).await.ok();
        assert!(answer.success);
        answer.token
    }

    /// Reads the account through the gateway.
    async fn read(&self, token: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let path = format!("/users/{}", self.id);
        let headers = [("authorization", bearer.as_str())];
        let http = self.engine.http();
        http.call(Method::GET, &path, "", &headers).await
    }

    /// Reads the account past the gateway.
    async fn read_directly(&self, token: &str) -> Result<User, Code> {
        // By address: not every resolver knows the names that end in `.localhost`.
        let host = self.engine.function("get-user");
        let (_, port) = host.rsplit_once(':').expect("a port");
        let address = format!("127.0.0.1:{port}").parse().expect("an address");
        let client = Client::new(Wire::Http1, address)
            .header("host", &host)
            .bearer(&Token::new(token));
        let id = self.id.clone();
        let outcome = client.call::<rpc::GetUser>(&GetUserRequest { id }).await;
        match outcome.code {
            Code::Ok => Ok(outcome.ok().user.expect("the account")),
            code => Err(code),
        }
    }

    /// Puts a product into the cart and buys it: the order functions call others as a service.
    async fn buys(&self, token: &str, admin: &str) {
        let rate = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0});
        self.done(admin, "/admin/failure-rate", rate).await;
        let tea = json!({"name": "Tea", "price": 4.5, "inventory": 10});
        let made = self.done(admin, "/products", tea).await;
        let line = json!({"product_id": made["product"]["id"], "quantity": 1});
        self.done(token, &format!("/carts/{}/items", self.id), line)
            .await;
        let order = json!({"user_id": self.id});
        let order = self.done(token, "/orders", order).await;
        assert_eq!(order["order"]["status"], "PAID", "{order}");
    }

    async fn done(&self, token: &str, path: &str, body: Value) -> Value {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let http = self.engine.http();
        let reply = http.call(Method::POST, path, body.to_string(), &headers);
        let reply = reply.await;
        assert!(reply.status.is_success(), "{path}: {}", reply.text());
        reply.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_while_everything_runs() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let first = Keys::of(&data);
    let ada = Customer::sign_up(&engine).await;
    let admin = engine.sign_in_admin().await;
    let admin = admin.trim_start_matches("Bearer ");
    let before = ada.sign_in().await;
    assert_eq!(kid(&before), first.user.current().kid());
    // So that instances run which know the first keys alone.
    ada.buys(&before, admin).await;
    assert!(ada.read_directly(&before).await.is_ok());

    // Nobody whose token is good is refused meanwhile.
    let mut rotation = Box::pin(keys(&data, &["rotate"]));
    let mut meanwhile = 0;
    loop {
        tokio::select! {
            biased;
            _ = &mut rotation => break,
            read = ada.read_directly(&before) => {
                assert!(read.is_ok(), "{read:?} after {meanwhile}");
                meanwhile += 1;
            }
        }
    }
    assert!(meanwhile > 0);
    let second = Keys::of(&data);
    for (old, new) in [
        (&first.user, &second.user),
        (&first.service, &second.service),
    ] {
        assert_eq!(kids(new)[1..], kids(old));
    }

    let after = ada.sign_in().await;
    assert_eq!(kid(&after), second.user.current().kid());
    for token in [&before, &after] {
        assert_eq!(ada.read(token).await.status, 200);
        assert!(ada.read_directly(token).await.is_ok());
        ada.buys(token, admin).await;
    }

    // Too early: its tokens are still good.
    let kept = keys(&data, &["retire"]).await;
    assert!(kept.contains(first.user.current().kid()), "{kept}");
    assert_eq!(kids(&Keys::of(&data).user), kids(&second.user));
    assert_eq!(ada.read(&before).await.status, 200);

    keys(&data, &["retire", "--now"]).await;
    let third = Keys::of(&data);
    assert_eq!(kids(&third.user), [second.user.current().kid()]);
    assert_eq!(kids(&third.service), [second.service.current().kid()]);
    let refused = ada.read(&before).await;
    assert_eq!(refused.status, 401);
    // A function says which trace its answer belongs to; the gateway knows of none.
    let by_gateway = !refused.headers.contains_key("traceresponse");
    assert!(by_gateway, "{refused:?}");
    let refused = ada.read_directly(&before).await;
    assert_eq!(refused, Err(Code::Unauthenticated));
    assert_eq!(ada.read(&after).await.status, 200);
    assert!(ada.read_directly(&after).await.is_ok());
    for function in engine.ps().await {
        assert_eq!(function.crashes, 0, "{}", function.name);
    }
    let id = ada.id.clone();
    engine.stop().await;

    // Without an engine too; and a rotation that died after one of the two files.
    keys(&data, &["rotate", "--issuer", "user"]).await;
    fs::write(data.path().join("keys/service.new"), "{\"curr").expect("a draft");
    let engine = Engine::start(&data).await;
    let ada = Customer {
        engine: &engine,
        id,
    };
    let last = ada.sign_in().await;
    assert_eq!(kid(&last), Keys::of(&data).user.current().kid());
    assert_ne!(kid(&last), kid(&after));
    for token in [&after, &last] {
        assert_eq!(ada.read(token).await.status, 200);
    }
    let admin = Keys::of(&data).token(&ada.id, zerocart_auth::Role::Admin);
    ada.buys(&last, &admin).await;
    engine.stop().await;
}

#[tokio::test]
async fn private_keys_are_shown_to_whoever_asks_for_them_alone() {
    let data = Data::new();
    let listed = keys(&data, &[]).await;
    keys(&data, &["rotate"]).await;
    let keys_now = Keys::of(&data);
    let private: Vec<String> = [&keys_now.user, &keys_now.service]
        .map(|set| {
            let jwk = set.current().to_private_jwk();
            let jwk: Value = serde_json::from_str(&jwk).expect("a JWK is JSON");
            jwk["d"].as_str().expect("a private key").to_owned()
        })
        .into();
    let kong = keys(&data, &["export", "kong"]).await;
    Consumers::parse("consumers.yml", &kong).expect("what Kong reads");
    let public = keys(&data, &["export", "env"]).await;
    let relisted = keys(&data, &[]).await;
    for key in kids(&keys_now.user) {
        for text in [&kong, &public, &relisted] {
            assert!(text.contains(&key), "{text}");
        }
    }
    assert!(listed.contains(&kids(&keys_now.user)[1]), "{listed}");
    for key in kids(&keys_now.service) {
        assert!(!kong.contains(&key), "{kong}");
    }
    let all = keys(&data, &["export", "env", "--private"]).await;
    for key in &private {
        for text in [&listed, &kong, &public, &relisted] {
            assert!(!text.contains(key.as_str()));
        }
        assert!(all.contains(key.as_str()));
    }
    let folder = data.path().join("keys");
    let mode = |path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(folder.clone()), 0o700);
    for entry in fs::read_dir(folder).expect("it can be listed") {
        assert_eq!(mode(entry.expect("it can be listed").path()), 0o600);
    }
}
