//! A customer, and the shop's own reads, while others attack.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use zerocart_test_support::clients::{Reply, Wire};
use zerocart_tests::harness::{engine::Engine, http::Http};

/// Requests that one address may send in a minute, with room to spare.
const PER_ADDRESS: u32 = 40;

/// How long a customer waits. It is not how long an answer should take, on a machine that is attacked at
/// the same time by as many as it can bear; it is when a shop counts as closed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A customer of the shop.
#[derive(Debug)]
pub(crate) struct Good<'a> {
    engine: &'a Engine,
    http: Http,
    email: String,
    pub(crate) user: String,
    pub(crate) token: String,
    product: String,
    sent: u32,
    /// Requests that were answered as they should be.
    pub(crate) answered: u32,
    /// Orders that were paid.
    pub(crate) orders: u32,
    /// What was not answered as it should be.
    pub(crate) wrong: Vec<String>,
}

impl<'a> Good<'a> {
    /// Signs up, and signs in.
    pub(crate) async fn new(engine: &'a Engine, email: &str, product: &str) -> Self {
        let mut good = Self {
            engine,
            http: engine.http(),
            email: email.to_owned(),
            user: String::new(),
            token: String::new(),
            product: product.to_owned(),
            sent: 0,
            answered: 0,
            orders: 0,
            wrong: Vec::new(),
        };
        let sign_up = json!({"email": email, "name": "Ada", "password": "correct horse"});
        let made = good.ask(Method::POST, "/users", sign_up).await;
        good.user = text(&made["user"]["id"]);
        good.sign_in().await;
        assert_eq!(good.wrong, [""; 0]);
        good
    }

    async fn sign_in(&mut self) {
        let sign_in = json!({"email": self.email, "password": "correct horse"});
        let signed_in = self.ask(Method::POST, "/auth/login", sign_in).await;
        self.token = format!("Bearer {}", text(&signed_in["token"]));
    }

    /// Everything that a customer does, until the attack is over.
    pub(crate) async fn work(&mut self, over: &AtomicBool) {
        let mut round = 0;
        while !over.load(Ordering::Relaxed) {
            self.read().await;
            if round % 4 == 0 {
                self.order().await;
                self.sign_in().await;
            }
            round += 1;
        }
    }

    async fn read(&mut self) {
        let product = format!("/products/{}", self.product);
        let cart = format!("/carts/{}", self.user);
        let me = format!("/users/{}", self.user);
        let mine = format!("{me}/orders");
        for path in ["/products", &product, &cart, &me, &mine] {
            self.ask(Method::GET, path, Value::Null).await;
        }
        let source = self.engine.gateway().to_string();
        let address = [127, 201, 0, 1 + (self.sent % 200) as u8];
        let grpc = Http::to(source, address.into(), Wire::Grpc);
        let path = "/product.ProductService/ListProducts";
        let reply = timeout(PATIENCE, grpc.grpc(path, b"", &[])).await.ok();
        let trailers = reply.as_ref().and_then(|reply| reply.trailers.as_ref());
        let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
        let good = status.is_some_and(|status| status == "0");
        self.expect("gRPC", good, reply.as_ref());
    }

    /// An order of one unit, from an empty cart to the payment.
    pub(crate) async fn order(&mut self) {
        let items = format!("/carts/{}/items", self.user);
        let one = json!({"product_id": self.product, "quantity": 1});
        self.ask(Method::POST, &items, one).await;
        let mine = json!({"user_id": self.user});
        let placed = self.ask(Method::POST, "/orders", mine).await;
        if placed["order"]["status"] == "PAID" {
            self.orders += 1;
        } else {
            self.wrong
                .push(format!("an order that is not paid: {placed}"));
        }
    }

    async fn ask(&mut self, method: Method, path: &str, body: Value) -> Value {
        if self.sent % PER_ADDRESS == PER_ADDRESS - 1 {
            let address = [127, 200, (self.sent / PER_ADDRESS % 250) as u8, 1];
            self.http = Http::new(self.engine.gateway(), address.into());
        }
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let token = self.token.clone();
        let headers = [("authorization", token.as_str())];
        let headers = if token.is_empty() { &[][..] } else { &headers };
        let call = self.http.call(method.clone(), path, body, headers);
        let reply = timeout(PATIENCE, call).await.ok();
        let good = reply.as_ref().is_some_and(|r| r.status.is_success());
        self.expect(&format!("{method} {path}"), good, reply.as_ref());
        let body = reply.map(|reply| reply.body).unwrap_or_default();
        serde_json::from_slice(&body).unwrap_or_default()
    }

    fn expect(&mut self, what: &str, good: bool, reply: Option<&Reply>) {
        self.sent += 1;
        if good {
            self.answered += 1;
            return;
        }
        self.wrong.push(match reply {
            Some(reply) => format!("{what}: {} {}", reply.status, reply.text()),
            None => format!("{what}: no answer within {PATIENCE:?}"),
        });
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
