//! Writes at once, and writes that are repeated: each effect is there exactly once.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tonic::Code;
use zerocart_proto::{product::UpdateInventoryRequest, rpc};
use zerocart_test_support::clients::{Reply, Wire};

use super::{
    engine::{Data, Engine},
    http::Http,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_effect_is_there_exactly_once() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let admin = engine.sign_in_admin().await;
    one_account_per_e_mail(&engine).await;
    no_more_is_taken_than_there_is(&engine, &admin).await;
    one_product_per_key(&engine, &admin).await;
    engine.stop().await;
}

/// The problem's code, or OK.
fn code(reply: &Reply) -> Code {
    reply.outcome::<Value>().code
}

async fn one_account_per_e_mail(engine: &Engine) {
    let http = engine.http();
    for round in 0..5 {
        let emails = [
            format!("Twin{round}@example.com"),
            format!("twin{round}@EXAMPLE.com"),
        ];
        let both = emails.map(|email| {
            let sign_up = json!({"email": email, "name": "Twin", "password": "correct horse"});
            let http = http.clone();
            async move {
                http.call(Method::POST, "/users", sign_up.to_string(), &[])
                    .await
            }
        });
        let replies = join_all(both).await;
        let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{replies:#?}");
        let refused = replies
            .iter()
            .find(|reply| reply.status == 409)
            .expect("one is");
        assert_eq!(code(refused), Code::AlreadyExists);
    }
    let database = engine.database("user").await;
    let twins = "SELECT count(*) FROM users WHERE email_key LIKE 'twin%'";
    let twins: i64 = database
        .query_one(twins, &[])
        .await
        .expect("users can be read")
        .get(0);
    assert_eq!(twins, 5);
}

async fn product(http: &Http, admin: &str, name: &str, inventory: i32) -> String {
    let body = json!({"name": name, "price": 1, "inventory": inventory}).to_string();
    let reply = http
        .call(Method::POST, "/products", body, &[("authorization", admin)])
        .await;
    let id = reply.outcome::<Value>().ok()["product"]["id"]
        .as_str()
        .map(str::to_owned);
    id.expect("a product has an id")
}

async fn no_more_is_taken_than_there_is(engine: &Engine, admin: &str) {
    let id = product(&engine.http(), admin, "Last hundred", 100).await;
    // The gateway lets 100 requests a minute through from one address: 150 over JSON come from
    // three, 50 over gRPC from another.
    let path = format!("/products/{id}/inventory");
    let json = (0..3).map(|_| engine.http()).flat_map(|http| {
        let (path, admin) = (path.clone(), admin.to_owned());
        (0..50).map(move |_| {
            let (http, path, admin) = (http.clone(), path.clone(), admin.clone());
            tokio::spawn(async move {
                let body = json!({"quantity_change": -1}).to_string();
                let admin = [("authorization", admin.as_str())];
                code(&http.call(Method::PATCH, &path, body, &admin).await)
            })
        })
    });
    let grpc = (0..50).map(|_| {
        let client = engine.client(Wire::Grpc).header("authorization", admin);
        let take = UpdateInventoryRequest {
            product_id: id.clone(),
            quantity_change: -1,
            ..Default::default()
        };
        tokio::spawn(async move { client.call::<rpc::UpdateInventory>(&take).await.code })
    });
    let all: Vec<_> = json.chain(grpc).collect();
    assert_eq!(all.len(), 200);
    let codes: Vec<_> = join_all(all)
        .await
        .into_iter()
        .map(|code| code.expect("answered"))
        .collect();
    let count = |wanted: Code| codes.iter().filter(|code| **code == wanted).count();
    let counts = (count(Code::Ok), count(Code::FailedPrecondition));
    assert_eq!(counts, (100, 100), "{codes:?}");

    let left = engine
        .http()
        .get(&format!("/products/{id}"))
        .await
        .outcome::<Value>()
        .ok();
    assert_eq!(left["product"]["inventory"], 0);
}

async fn one_product_per_key(engine: &Engine, admin: &str) {
    let http = engine.http();
    let total = async || http.get("/products").await.outcome::<Value>().ok()["total"].clone();
    let post = async |key: &str, name: &str| {
        let body = json!({"name": name, "price": 2.5, "inventory": 1}).to_string();
        let headers = [("authorization", admin), ("idempotency-key", key)];
        http.call(Method::POST, "/products", body, &headers).await
    };
    let before = total().await.as_i64().expect("a number");

    let first = post("one", "Once").await;
    assert_eq!(first.status, 201, "{}", first.text());
    let second = post("one", "Once").await;
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    assert_eq!(
        second.headers.get("location"),
        first.headers.get("location")
    );
    assert_eq!(total().await, before + 1);

    let other = post("one", "Another").await;
    assert_eq!(
        (other.status.as_u16(), code(&other)),
        (422, Code::InvalidArgument)
    );
    assert_eq!(total().await, before + 1);

    // At once: a request that comes while the first one runs gets 409 ABORTED, and may be repeated.
    let replies = join_all((0..10).map(|_| post("two", "Once more"))).await;
    let after = post("two", "Once more").await;
    assert_eq!(after.status, 201, "{}", after.text());
    for reply in &replies {
        match reply.status.as_u16() {
            201 => assert_eq!(reply.body, after.body),
            409 => assert_eq!(code(reply), Code::Aborted),
            _ => panic!("{reply:?}"),
        }
    }
    assert!(
        replies.iter().any(|reply| reply.status == 201),
        "{replies:#?}"
    );
    assert_eq!(total().await, before + 2);

    // The same key at another function is another key.
    let sign_up = json!({"email": "once@example.com", "name": "Once", "password": "correct horse"});
    let key = [("idempotency-key", "one")];
    let made = http
        .call(Method::POST, "/users", sign_up.to_string(), &key)
        .await;
    let again = http
        .call(Method::POST, "/users", sign_up.to_string(), &key)
        .await;
    assert_eq!((made.status.as_u16(), again.status), (201, made.status));
    assert_eq!(made.body, again.body);
    let unkeyed = http
        .call(Method::POST, "/users", sign_up.to_string(), &[])
        .await;
    assert_eq!(
        (unkeyed.status.as_u16(), code(&unkeyed)),
        (409, Code::AlreadyExists)
    );
}
