//! A customer of the load: fills the cart, orders it, and looks at what came of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    sync::{Mutex, watch},
    time::{Interval, sleep},
};
use uuid::Uuid;
use zerocart_proto::{
    cart::{AddToCartRequest, ClearCartRequest, GetCartRequest},
    order::{CreateOrderRequest, GetOrderRequest, ListUserOrdersRequest, Order},
    product::GetProductRequest,
    rpc,
};

use super::{
    books::{Customer, Outcome, Units, has_ended, is_sold, units},
    caller::{Caller, NoAnswer},
};

/// How often an order that has not ended is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a customer looks at an order: recover-orders comes within a minute. What has not ended
/// then is left to the books.
const LOOK_FOR: Duration = Duration::from_secs(90);

/// A customer while it buys.
#[derive(Debug)]
pub(crate) struct Buyer {
    /// UUID of the account.
    pub(crate) id: String,
    pub(crate) caller: Caller,
    pub(crate) products: Arc<Vec<String>>,
    /// The bound on orders of all customers.
    pub(crate) turns: Arc<Mutex<Interval>>,
    pub(crate) book: Customer,
}

/// A new idempotency key.
fn key() -> String {
    Uuid::new_v4().to_string()
}

impl Buyer {
    /// The same customer after the load: what it asks is counted no more.
    pub(crate) fn silent(mut self) -> Self {
        self.caller.figures = Arc::default();
        self.caller.journal = None;
        self
    }

    /// Buys until the load is over. A purchase that has begun is finished.
    ///
    /// # Errors
    ///
    /// When the gateway's limit is used up for long, or an answer came that no client should get.
    pub(crate) async fn buy(
        &mut self,
        seed: u64,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), NoAnswer> {
        let mut rng = StdRng::seed_from_u64(seed);
        loop {
            let turn = async { self.turns.lock().await.tick().await };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                _ = turn => {}
            }
            match self.round(&mut rng).await {
                // It is counted; this customer comes again, as others do.
                Ok(()) | Err(NoAnswer::LostForGood(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One order, and what a customer reads around it.
    async fn round(&mut self, rng: &mut StdRng) -> Result<(), NoAnswer> {
        let count = rng.random_range(1..=3);
        let products = Arc::clone(&self.products);
        let wanted: Vec<_> = products.sample(rng, count).cloned().collect();
        for product in wanted {
            let id = product.clone();
            let request = GetProductRequest { id };
            self.caller.read::<rpc::GetProduct>(&request).await?;
            self.add(product, rng.random_range(1..=3)).await?;
        }
        let request = GetCartRequest {
            user_id: self.id.clone(),
        };
        let cart = self.caller.read::<rpc::GetCart>(&request).await?;
        let cart = cart.response.and_then(|response| response.cart);
        // What it wanted was sold out.
        if cart.is_none_or(|cart| cart.items.is_empty()) {
            return Ok(());
        }
        if let Some(id) = self.order().await? {
            self.follow(id).await?;
        }
        let request = ListUserOrdersRequest {
            user_id: self.id.clone(),
            limit: 5,
            ..Default::default()
        };
        self.caller.read::<rpc::ListUserOrders>(&request).await?;
        Ok(())
    }

    /// Puts so many units of a product into the cart.
    pub(crate) async fn add(&mut self, product: String, quantity: i32) -> Result<(), NoAnswer> {
        let request = AddToCartRequest {
            user_id: self.id.clone(),
            product_id: product.clone(),
            quantity,
        };
        let added = self.caller.write::<rpc::AddToCart>(&key(), &request).await;
        let added = self.certain(added)?;
        if let (Some(_), Some(expected)) = (added.response, &mut self.book.expected) {
            *expected.entry(product).or_default() += i64::from(quantity);
        }
        Ok(())
    }

    /// Orders the cart. Gives the order's id, if there is one.
    pub(crate) async fn order(&mut self) -> Result<Option<String>, NoAnswer> {
        let (key, request) = (
            key(),
            CreateOrderRequest {
                user_id: self.id.clone(),
                ..Default::default()
            },
        );
        // Until there is an answer there may be an order.
        self.book.asked.insert(key.clone(), Outcome::Unknown);
        let answer = self.caller.write::<rpc::CreateOrder>(&key, &request).await;
        let answer = self.certain(answer)?;
        let declined = answer.response.as_ref().is_some_and(|told| !told.success);
        if let Some(journal) = self.caller.journal.as_ref().filter(|_| declined) {
            journal.declined();
        }
        let order = answer.response.and_then(|response| response.order);
        let id = match order {
            Some(order) => Some(order.id),
            None => answer.metadata.get("order_id").cloned(),
        };
        let outcome = id.clone().map_or(Outcome::None, Outcome::Order);
        self.book.asked.insert(key, outcome);
        Ok(id)
    }

    /// Reads an order until it has ended, and does what that means for the cart.
    pub(crate) async fn follow(&mut self, id: String) -> Result<(), NoAnswer> {
        let began = Instant::now();
        let request = GetOrderRequest { id };
        loop {
            let read = self.caller.read::<rpc::GetOrder>(&request).await;
            let read = self.certain(read)?;
            let order = read.response.and_then(|response| response.order);
            match order.filter(has_ended) {
                Some(order) if is_sold(&order) => {
                    self.bought(&order);
                    return Ok(());
                }
                // The cart is as it was, with what may be sold out.
                Some(_) => return self.clear().await,
                None if began.elapsed() > LOOK_FOR => {
                    self.book.expected = None;
                    return Ok(());
                }
                None => sleep(LOOK_EVERY).await,
            }
        }
    }

    fn bought(&mut self, order: &Order) {
        if let Some(expected) = &mut self.book.expected {
            for (product, quantity) in units(order) {
                *expected.entry(product).or_default() -= quantity;
            }
            expected.retain(|_, quantity| *quantity != 0);
        }
    }

    async fn clear(&mut self) -> Result<(), NoAnswer> {
        let request = ClearCartRequest {
            user_id: self.id.clone(),
            ..Default::default()
        };
        let cleared = self.caller.write::<rpc::ClearCart>(&key(), &request).await;
        let cleared = self.certain(cleared)?;
        if cleared.response.is_some()
            && let Some(expected) = &mut self.book.expected
        {
            *expected = Units::new();
        }
        Ok(())
    }

    /// Without an answer, nobody knows what became of the cart.
    fn certain<T>(&mut self, answer: Result<T, NoAnswer>) -> Result<T, NoAnswer> {
        if answer.is_err() {
            self.book.expected = None;
        }
        answer
    }
}
