use std::time::Duration;

use uuid::Uuid;
use zerocart_core::{Call, Error, Function, Invalid, Kind, Request, Setup};
use zerocart_postgres::{Database, Options, Transaction};
use zerocart_proto::{
    order::OrderResponse,
    rpc::{self, Rpc},
};

use crate::{cancel::By, driver::Driver, illegal, no_such_order, response, saga::Status, store};

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
            Status::Cancelled => self.driver.cancel(cx, id, By::Shop).await,
            Status::Shipped => {
                let unpaid = Box::pin(self.is_unpaid(cx, id));
                database
                    .write_after_lookup(cx, unpaid, move |tx: &mut Transaction<'_>, unpaid| {
                        Box::pin(move_on(cx, tx, id, status, unpaid))
                    })
                    .await
            }
            _ => {
                database
                    .write(cx, move |tx: &mut Transaction<'_>| {
                        Box::pin(move_on(cx, tx, id, status, false))
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
}

/// Moves the order on to `status`; `unpaid`: its payment is known not to stand.
///
/// # Errors
///
/// FAILED_PRECONDITION when its status or its payment does not allow that.
async fn move_on(
    cx: &Call,
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
    let by = rpc::UpdateOrderStatus::INFO.name;
    if !store::move_on(tx, cx, id, (from, status), by).await? {
        return Err(illegal(&order, status));
    }
    let order = store::load(tx, id).await?.ok_or_else(no_such_order)?;
    Ok(response(&order))
}

/// Its payment does not stand.
fn refunded() -> Error {
    Error::new(
        Kind::FailedPrecondition,
        "the payment of this order was refunded: it cannot be SHIPPED; cancel the order",
    )
}
