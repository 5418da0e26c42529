//! Customers who cancel random orders during the test, of which many are being made.
//!
//! What was answered with success is CANCELLED, and the books are as if the order had not been made.

use std::{collections::BTreeSet, time::Duration};

use http::{Method, Request};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_postgres::Client;
use tonic::Code;
use uuid::Uuid;
use zerocart_proto::order::OrderResponse;
use zerocart_test_support::clients::{self, Body, Reply};

use super::{
    books::Books,
    stage::{Shop, keyed},
};

/// What customers have cancelled, and tried to.
pub(crate) struct Cancels {
    rng: StdRng,
    /// The longest pause before a cancellation.
    pause: Duration,
    /// The orders whose cancellation was answered with success.
    cancelled: BTreeSet<Uuid>,
    asked: usize,
}

impl Cancels {
    pub(crate) fn new(seed: u64, pause: Duration) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed.rotate_left(32)),
            pause,
            cancelled: BTreeSet::new(),
            asked: 0,
        }
    }

    /// Cancels one of the newest orders, after a pause; `send` gives the answer, if there is one.
    pub(crate) async fn once(
        &mut self,
        shop: &Shop,
        orders: &Client,
        send: impl AsyncFnOnce(Request<Body>) -> Option<Reply>,
    ) {
        tokio::time::sleep(self.pause.mul_f64(self.rng.random())).await;
        let newest = "SELECT id, user_id FROM orders ORDER BY created_at DESC OFFSET $1 LIMIT 1";
        let offset: i64 = self.rng.random_range(0..20);
        // The database may go away at any moment.
        let Ok(Some(order)) = orders.query_opt(newest, &[&offset]).await else {
            return;
        };
        let (order, user): (Uuid, Uuid) = (order.get(0), order.get(1));
        let path = format!("/orders/{order}/cancel");
        let request = clients::request(Method::POST, &path, "{}");
        let customer = shop.authority.customer(&user.to_string());
        self.asked += 1;
        let Some(reply) = send(keyed(request, &customer, &order.to_string())).await else {
            return;
        };
        if matches!(reply.status.as_u16(), 502..=504) {
            return;
        }
        let outcome = reply.outcome::<OrderResponse>();
        match outcome.code {
            Code::Ok => drop(self.cancelled.insert(order)),
            // It has failed before, or another request under the key is running.
            Code::FailedPrecondition | Code::Aborted => {}
            _ => panic!("{outcome:?}"),
        }
    }

    /// Expects that each order is CANCELLED whose cancellation was answered with success.
    pub(crate) fn check(&self, books: &Books) {
        for order in &self.cancelled {
            let order = &books.orders[order];
            assert_eq!(order.status, "CANCELLED", "{order:?}");
        }
    }

    /// How many were cancelled, of how many that were to be.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.cancelled.len(), self.asked)
    }
}
