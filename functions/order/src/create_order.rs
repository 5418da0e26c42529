use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use uuid::Uuid;
use zerocart_client::Client;
use zerocart_core::{Call, Error, Function, Idempotency, Invalid, Kind, Request, Setup};
use zerocart_postgres::{Database, Options, Written};
use zerocart_proto::{
    cart::{CartItem, GetCartRequest},
    money::Cents,
    order::{CreateOrderRequest, OrderResponse},
    rpc::{self, Rpc},
};

use crate::{
    cart_is_taken,
    driver::{Driven, Driver},
    order::{Line, Order},
    saga::{Cause, Status, Step},
    store::{self, Latest, NewOrder, Placed},
};

/// How an order is paid when its customer does not say.
const DEFAULT_PAYMENT_METHOD: &str = "credit_card";

/// The most that one order may cost, in cents: what process-payment takes.
const MAX_TOTAL_CENTS: i64 = 100_000_000_000_000;

/// When an order that could not be completed is worth trying again, unless the breaker knows.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `create-order`: turns the caller's cart into an order.
#[derive(Debug)]
pub struct CreateOrder {
    driver: Driver,
    get_cart: Client<rpc::GetCart>,
}

impl Function for CreateOrder {
    type Rpc = rpc::CreateOrder;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database =
            Database::from_setup(setup, Options::preparing(&[store::LATEST, store::PLACE]));
        let driver = Driver::from_setup(setup, database, (&Self::Rpc::INFO).into())?;
        Ok(Self {
            get_cart: driver.services.client(setup)?,
            driver,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<OrderResponse, Error> {
        // First of all, so that they start while this looks at its own database.
        self.driver.services.functions.wake_all();
        let customer = Customer::of(request)?;
        match self.place(cx, &customer).await? {
            Written::Now(order) => self.drive(cx, order).await,
            Written::Before(Placed(id)) => self.answer_again(cx, id).await,
        }
    }

    fn health(&self) -> Map<String, Value> {
        let breaker = zerocart_client::health(self.driver.services.payment_breaker());
        Map::from_iter([(
            "circuit_breakers".to_owned(),
            Value::Object(Map::from_iter([("process-payment".to_owned(), breaker)])),
        )])
    }
}

impl CreateOrder {
    /// Places an order of the customer's cart.
    ///
    /// # Errors
    ///
    /// ABORTED while an order that is driven keeps the cart. One that was abandoned is brought to its
    /// end first, and then the cart is read once more.
    async fn place(&self, cx: &Call, customer: &Customer) -> Result<Written<Order, Placed>, Error> {
        let latest = self.driver.store.latest(cx, customer.id).await?;
        let placed = self.place_after(cx, customer, latest).await;
        let abandoned = latest.filter(|latest| latest.keeps_cart && latest.lapsed);
        match abandoned {
            Some(abandoned) if placed.is_err() => {
                if let Some(driving) = self.driver.resume(cx, abandoned.id, false).await? {
                    driving.await?;
                }
                let latest = self.driver.store.latest(cx, customer.id).await?;
                self.place_after(cx, customer, latest).await
            }
            _ => placed,
        }
    }

    /// Places an order of the cart, unless the customer's `latest` order keeps the cart.
    async fn place_after(
        &self,
        cx: &Call,
        customer: &Customer,
        latest: Option<Latest>,
    ) -> Result<Written<Order, Placed>, Error> {
        let reading = async {
            match latest {
                Some(Latest {
                    keeps_cart: true, ..
                }) => Err(cart_is_taken()),
                _ => self.read_cart(cx, customer).await,
            }
        };
        let latest = latest.map(|latest| latest.id);
        self.driver.store.place(cx, latest, reading).await
    }

    /// The cart as an order.
    async fn read_cart(&self, cx: &Call, customer: &Customer) -> Result<NewOrder, Error> {
        let request = GetCartRequest {
            user_id: customer.id.to_string(),
        };
        let response = self.get_cart.call(cx, &request).await?;
        let items = response.cart.map(|cart| cart.items).unwrap_or_default();
        let lines = lines(&items)?;
        Ok(NewOrder {
            id: Uuid::now_v7(),
            user_id: customer.id,
            payment_method: customer.payment_method.clone(),
            total_cents: total_cents(&lines)?,
            lines,
        })
    }

    /// Drives the order that this call has placed, and answers.
    async fn drive(&self, cx: &Call, order: Order) -> Result<OrderResponse, Error> {
        let id = order.id;
        let driven = self.driver.spawn(cx, order, None).await?;
        self.answer_driven(cx, id, driven).await
    }

    /// The answer to a request that was sent before under the same key.
    async fn answer_again(&self, cx: &Call, id: Uuid) -> Result<OrderResponse, Error> {
        let order = self.load(cx, id).await?;
        if order.lapsed
            && let Some(driving) = self.driver.resume(cx, id, true).await?
            // What is left of a paid order goes on by itself: it does not change the answer.
            && order.paid_at.is_none()
        {
            let driven = driving.await?;
            return self.answer_driven(cx, id, driven).await;
        }
        self.answer(&order)
    }

    async fn answer_driven(
        &self,
        cx: &Call,
        id: Uuid,
        driven: Driven,
    ) -> Result<OrderResponse, Error> {
        match driven {
            Driven::Here(order) => self.answer(&order),
            // The driver that took it over may have brought it to its end.
            Driven::Lost => self.answer(&self.load(cx, id).await?),
        }
    }

    /// An order that was placed: it is never deleted.
    async fn load(&self, cx: &Call, id: Uuid) -> Result<Order, Error> {
        let order = self.driver.store.load(cx, id).await?;
        order.ok_or_else(|| Error::internal("an order is gone"))
    }

    /// The outcome of making the order. It stays the same, even if the order changes later.
    fn answer(&self, order: &Order) -> Result<OrderResponse, Error> {
        if let Some(paid_at) = &order.paid_at {
            let mut message = order.to_message();
            message.set_status(Status::Paid.to_wire());
            message.updated_at.clone_from(paid_at);
            message.reason.clear();
            return Ok(OrderResponse {
                order: Some(message),
                success: true,
                message: "the order is paid".into(),
            });
        }
        match (order.saga.step, order.saga.cause) {
            (Step::Ended, Some(Cause::Unavailable)) => Err(self.unavailable(
                order,
                format!(
                    "the order failed: {}; a new one needs a new idempotency-key",
                    order.reason
                ),
            )),
            (Step::Ended, _) => Ok(OrderResponse {
                order: Some(order.to_message()),
                success: false,
                message: order.reason.clone(),
            }),
            (_, Some(_)) => Err(self.unavailable(
                order,
                format!(
                    "{}; what was done for the order is being undone",
                    order.reason
                ),
            )),
            (_, None) => {
                Err(Idempotency::running().with_metadata("order_id", order.id.to_string()))
            }
        }
    }

    fn unavailable(&self, order: &Order, message: String) -> Error {
        let breaker = self.driver.services.payment_breaker();
        let retry_after = breaker.snapshot().retry_after.unwrap_or(RETRY_AFTER);
        Error::unavailable(message, retry_after.max(RETRY_AFTER))
            .with_metadata("order_id", order.id.to_string())
    }
}

/// Whose cart is ordered, and how it is paid.
#[derive(Debug)]
struct Customer {
    id: Uuid,
    payment_method: String,
}

impl Customer {
    fn of(request: CreateOrderRequest) -> Result<Self, Error> {
        Ok(Self {
            id: request.user_id()?,
            payment_method: match request.payment_method.as_str() {
                "" => DEFAULT_PAYMENT_METHOD.to_owned(),
                _ => request.payment_method,
            },
        })
    }
}

/// What an order of these lines costs.
///
/// # Errors
///
/// FAILED_PRECONDITION when there are none, or they cost too much.
fn total_cents(lines: &[Line]) -> Result<i64, Error> {
    let refused = |why| Error::new(Kind::FailedPrecondition, why);
    if lines.is_empty() {
        return Err(refused("the cart is empty"));
    }
    let total = lines
        .iter()
        .try_fold(0_i64, |sum, line| sum.checked_add(line.total()?.get()));
    total
        .filter(|total| *total <= MAX_TOTAL_CENTS)
        .ok_or_else(|| refused("the cart costs more than can be paid at once"))
}

/// The cart's lines, those of one product added up, in the order of products in which stock is
/// reserved: two orders of the same products wait for each other rather than for ever.
fn lines(items: &[CartItem]) -> Result<Vec<Line>, Error> {
    let bad =
        |what: &str| Error::internal(format!("get-cart gave a line whose {what} is not valid"));
    let mut lines = BTreeMap::<Uuid, Line>::new();
    for item in items {
        let product_id = Uuid::try_parse(&item.product_id).map_err(|_| bad("product_id"))?;
        let price = Cents::from_wire(item.product_price).ok_or_else(|| bad("product_price"))?;
        if item.quantity <= 0 {
            return Err(bad("quantity"));
        }
        match lines.get_mut(&product_id) {
            Some(line) => {
                line.quantity = line
                    .quantity
                    .checked_add(item.quantity)
                    .ok_or_else(|| bad("quantity"))?;
            }
            None => {
                let line = Line {
                    product_id,
                    name: item.product_name.clone(),
                    price,
                    quantity: item.quantity,
                };
                lines.insert(product_id, line);
            }
        }
    }
    Ok(lines.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_product_are_added_up_in_the_order_of_products() {
        let item = |n: u128, quantity| CartItem {
            product_id: Uuid::from_u128(n).to_string(),
            product_name: "Tea".into(),
            product_price: 4.75,
            quantity,
            total_price: 0.0,
        };
        let lines = lines(&[item(2, 1), item(1, 2), item(2, 3)]).unwrap();
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.product_id.as_u128(), line.quantity))
            .collect();
        assert_eq!(found, [(1, 2), (2, 4)]);
        assert_eq!(lines[1].total(), Some(Cents::new(1900)));

        assert!(super::lines(&[item(1, 0)]).is_err());
        assert!(super::lines(&[item(1, i32::MAX), item(1, 1)]).is_err());
    }
}
