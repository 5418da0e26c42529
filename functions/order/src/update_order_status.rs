use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Kind, Request, Setup};
use zerocart_postgres::{Database, Options, Transaction};
use zerocart_proto::{
    order::OrderResponse,
    rpc::{self, Rpc},
};

use crate::{
    driver::Driver,
    no_such_order,
    order::Order,
    saga::{Event, Status},
    store,
};

/// How often the order is looked at while its driver calls it off.
const LOOK: Duration = Duration::from_millis(50);

/// When it is worth trying again that the payments could not be asked.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `update-order-status`: moves an order on, or calls it off. The status that an order already has
/// is a success, and changes nothing.
#[derive(Debug)]
pub struct UpdateOrderStatus {
    driver: Driver,
}

impl Function for UpdateOrderStatus {
    type Rpc = rpc::UpdateOrderStatus;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        Ok(Self {
            driver: Driver::from_setup(setup, database, (&Self::Rpc::INFO).into())?,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<OrderResponse, Error> {
        let id = request.order_id()?;
        let status = Status::of_wire(request.status)
            .ok_or_else(|| Error::field("status", "is not a status of an order"))?;
        let database = &self.driver.store.database;
        match status {
            // That takes other functions, and so more than one transaction.
            Status::Cancelled => database.once(cx, Box::pin(self.call_off(cx, id))).await,
            Status::Shipped => {
                let unpaid = Box::pin(self.is_unpaid(cx, id));
                database
                    .write_after_lookup(cx, unpaid, move |tx: &mut Transaction<'_>, unpaid| {
                        Box::pin(move_on(tx, id, status, unpaid))
                    })
                    .await
            }
            _ => {
                database
                    .write(cx, move |tx: &mut Transaction<'_>| {
                        Box::pin(move_on(tx, id, status, false))
                    })
                    .await
            }
        }
    }
}

impl UpdateOrderStatus {
    /// Whether an order that may be shipped is not paid any more. What else stands in its way is not
    /// looked at.
    ///
    /// From here on only the order's own cancellation refunds it, and an order is either cancelled
    /// or shipped. What this refuses was refunded by an admin under a version that allowed it.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE when the payments cannot be asked.
    async fn is_unpaid(&self, cx: &Call, id: Uuid) -> Result<bool, Error> {
        let order = self.driver.store.load(cx, id).await?;
        let Some(order) = order.filter(|order| order.saga.may_become(Status::Shipped)) else {
            return Ok(false);
        };
        let asking = Box::pin(self.driver.services.is_paid(cx, &order));
        let paid = asking.await.map_err(|failure| {
            let retry_after = failure.retry_after.unwrap_or(RETRY_AFTER);
            Error::unavailable("the payment of the order cannot be looked at", retry_after)
                .with_source(failure)
        })?;
        Ok(!paid)
    }

    /// Brings the order to CANCELLED.
    ///
    /// # Errors
    ///
    /// FAILED_PRECONDITION when that is not possible (any more), UNAVAILABLE when it takes longer
    /// than the call may.
    async fn call_off(&self, cx: &Call, id: Uuid) -> Result<OrderResponse, Error> {
        let mut asked = false;
        loop {
            let order = self.load(cx, id).await?;
            if order.saga.status == Status::Cancelled {
                return Ok(response(&order));
            }
            if !order.saga.may_become(Status::Cancelled) {
                return Err(illegal(&order, Status::Cancelled));
            }
            match self.take(cx, &order, asked).await? {
                Some(order) => self.undo(cx, order).await?,
                // Its driver sees it at the next step.
                None if Instant::now() + 2 * LOOK >= cx.deadline => return Err(under_way(&order)),
                None => tokio::time::sleep(LOOK).await,
            }
            asked = true;
        }
    }

    async fn load(&self, cx: &Call, id: Uuid) -> Result<Order, Error> {
        let order = self.driver.store.load(cx, id).await?;
        order.ok_or_else(no_such_order)
    }

    /// Takes the order to undo it; none while it has a driver, which is asked to call it off unless it
    /// was `asked` before.
    async fn take(&self, cx: &Call, order: &Order, asked: bool) -> Result<Option<Order>, Error> {
        let store = &self.driver.store;
        if order.saga.action().is_none() {
            return store.take_paid(cx, order.id).await;
        }
        if !asked {
            store.ask_cancel(cx, order.id).await?;
        }
        store.take(cx, order.id).await
    }

    /// Undoes an order that was taken.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE when a later driver must go on with that.
    async fn undo(&self, cx: &Call, order: Order) -> Result<(), Error> {
        let id = order.id;
        self.driver
            .spawn(cx, order, Some(Event::CancelAsked))
            .await?;
        let order = self.load(cx, id).await?;
        match order.saga.action() {
            Some(_) => Err(under_way(&order)),
            None => Ok(()),
        }
    }
}

/// Moves the order on to `status`; `unpaid`: its payment is known not to stand.
///
/// # Errors
///
/// FAILED_PRECONDITION when its status or its payment does not allow that.
async fn move_on(
    tx: &Transaction<'_>,
    id: Uuid,
    status: Status,
    unpaid: bool,
) -> Result<OrderResponse, Error> {
    let order = store::load(tx, id).await?.ok_or_else(no_such_order)?;
    let from = order.saga.status;
    if from == status {
        return Ok(response(&order));
    }
    if !order.saga.may_become(status) {
        return Err(illegal(&order, status));
    }
    if unpaid {
        return Err(refunded());
    }
    if !store::move_on(tx, id, from, status).await? {
        return Err(illegal(&order, status));
    }
    let order = store::load(tx, id).await?.ok_or_else(no_such_order)?;
    Ok(response(&order))
}

/// It is being called off, and will be.
fn under_way(order: &Order) -> Error {
    Error::unavailable(
        "the order is being cancelled; ask for it again in a while",
        Duration::from_secs(5),
    )
    .with_metadata("order_id", order.id.to_string())
}

/// Its payment does not stand.
fn refunded() -> Error {
    Error::new(
        Kind::FailedPrecondition,
        "the payment of this order was refunded: it cannot be SHIPPED; cancel the order",
    )
}

fn illegal(order: &Order, status: Status) -> Error {
    let now = order.saga.status.name();
    let message = if order.saga.cause.is_some() && order.saga.action().is_some() {
        format!(
            "an order that is {now} and being undone cannot become {}",
            status.name()
        )
    } else {
        format!("an order that is {now} cannot become {}", status.name())
    };
    Error::new(Kind::FailedPrecondition, message)
}

fn response(order: &Order) -> OrderResponse {
    let message = order.to_message();
    OrderResponse {
        success: true,
        message: format!("the order is {}", order.saga.status.name()),
        order: Some(message),
    }
}
