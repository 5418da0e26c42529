//! An admin who keeps refunding the payments of random orders during the test.
//!
//! Either outcome of the race with an order's own charge is right: a refund that comes before it bars
//! it, and the order fails; one that comes later is refused, and the order stays paid.

use std::{collections::BTreeSet, time::Duration};

use http::{Method, Request};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio_postgres::Client;
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_proto::payment::PaymentResponse;
use zerocart_test_support::clients::{self, Body, Reply};

use super::{
    books::Books,
    stage::{Shop, keyed},
};

/// What an admin has refunded, and tried to.
pub(crate) struct Refunds {
    admin: Token,
    rng: StdRng,
    /// The longest pause before a refund.
    pause: Duration,
    /// The orders whose refund was answered with success.
    refunded: BTreeSet<Uuid>,
    refused: usize,
}

impl Refunds {
    pub(crate) fn new(shop: &Shop, seed: u64, pause: Duration) -> Self {
        Self {
            admin: shop.authority.admin(&Uuid::now_v7().to_string()),
            rng: StdRng::seed_from_u64(seed),
            pause,
            refunded: BTreeSet::new(),
            refused: 0,
        }
    }

    /// Refunds the newest order or a random one, after a pause; `send` gives the answer, if there
    /// is one.
    pub(crate) async fn once(
        &mut self,
        orders: &Client,
        send: impl AsyncFnOnce(Request<Body>) -> Option<Reply>,
    ) {
        tokio::time::sleep(self.pause.mul_f64(self.rng.random())).await;
        let order = match self.rng.random_bool(0.7) {
            true => "SELECT id, user_id FROM orders ORDER BY created_at DESC LIMIT 1",
            false => "SELECT id, user_id FROM orders ORDER BY random() LIMIT 1",
        };
        // The database may go away at any moment.
        let Ok(Some(order)) = orders.query_opt(order, &[]).await else {
            return;
        };
        let (order, user): (Uuid, Uuid) = (order.get(0), order.get(1));
        let (order_id, user_id) = (order.to_string(), user.to_string());
        let body = json!({"order_id": order_id, "user_id": user_id, "refund": true}).to_string();
        let request = clients::request(Method::POST, "/payments", body);
        let key = Uuid::now_v7().to_string();
        let Some(reply) = send(keyed(request, &self.admin, &key)).await else {
            return;
        };
        if matches!(reply.status.as_u16(), 502..=504) {
            return;
        }
        let outcome = reply.outcome::<PaymentResponse>();
        match outcome.code {
            Code::Ok => drop(self.refunded.insert(order)),
            Code::FailedPrecondition => self.refused += 1,
            _ => panic!("{outcome:?}"),
        }
    }

    /// Expects that no order is sold whose payment was refunded.
    pub(crate) fn check(&self, books: &Books) {
        for order in &self.refunded {
            let order = &books.orders[order];
            assert!(!order.is_sold(), "refunded by an admin: {order:?}");
        }
    }

    /// Whether the refund of this order's payment was answered with success.
    pub(crate) fn has_refunded(&self, order: Uuid) -> bool {
        self.refunded.contains(&order)
    }

    /// How many orders were refunded, and how many refunds refused.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.refunded.len(), self.refused)
    }
}
