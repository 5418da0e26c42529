//! Calling an order off, for its customer or for the shop.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use zerocart_core::{Call, Error};
use zerocart_proto::order::OrderResponse;

use crate::{
    driver::Driver, illegal, no_such_order, order::Order, response, saga::Status, services::Report,
};

/// How often the order is looked at while its driver calls it off.
const LOOK: Duration = Duration::from_millis(50);

/// Who calls an order off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Customer,
    Shop,
}

impl By {
    /// Whether it is the customer, as the column has it.
    pub(crate) fn to_column(self) -> bool {
        self == Self::Customer
    }

    pub(crate) fn of_column(by_customer: bool) -> Self {
        match by_customer {
            true => Self::Customer,
            false => Self::Shop,
        }
    }

    /// The reason of the order, for people.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Customer => "cancelled by the customer",
            Self::Shop => "cancelled by the shop",
        }
    }
}

impl Driver {
    /// Brings the order to CANCELLED, once under the call's idempotency key. An order that is CANCELLED stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// FAILED_PRECONDITION when that is not possible, or not any more. UNAVAILABLE when it takes longer than the
    /// call may, or was put off.
    pub(crate) async fn cancel(&self, cx: &Call, id: Uuid, by: By) -> Result<OrderResponse, Error> {
        // It takes other functions, and so more than one transaction.
        let cancelling = async { Ok(response(&self.call_off(cx, id, by).await?)) };
        self.store.database.once(cx, Box::pin(cancelling)).await
    }

    async fn call_off(&self, cx: &Call, id: Uuid, by: By) -> Result<Order, Error> {
        let mut asked = false;
        loop {
            let order = self.load(cx, id).await?;
            if order.saga.status == Status::Cancelled {
                return Ok(order);
            }
            if !order.saga.may_become(Status::Cancelled) {
                return Err(illegal(&order, Status::Cancelled));
            }
            match self.take_to_cancel(cx, &order, by, asked).await? {
                Some(order) => self.undo(cx, order, by).await?,
                // Its driver sees it at the next step. When that was put off, it may take minutes.
                None if order.tries > 0 || Instant::now() + 2 * LOOK >= cx.deadline => {
                    return Err(under_way(&order));
                }
                None => tokio::time::sleep(LOOK).await,
            }
            asked = true;
        }
    }

    async fn load(&self, cx: &Call, id: Uuid) -> Result<Order, Error> {
        let order = self.store.load(cx, id).await?;
        order.ok_or_else(no_such_order)
    }

    /// Takes the order to undo it. None while it has a driver, which is asked to call it off unless it was `asked`
    /// before.
    async fn take_to_cancel(
        &self,
        cx: &Call,
        order: &Order,
        by: By,
        asked: bool,
    ) -> Result<Option<Order>, Error> {
        if order.saga.action().is_none() {
            return self.store.take_paid(cx, order.id).await;
        }
        if !asked {
            self.store.ask_cancel(cx, order.id, by).await?;
        }
        self.store.take(cx, order.id).await
    }

    /// Undoes an order that was taken.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE when a later driver must go on with that.
    async fn undo(&self, cx: &Call, order: Order, by: By) -> Result<(), Error> {
        let id = order.id;
        self.spawn(cx, order, Some(Report::cancelled(by))).await?;
        let order = self.load(cx, id).await?;
        match order.saga.action() {
            Some(_) => Err(under_way(&order)),
            None => Ok(()),
        }
    }
}

/// It is being called off, and will be.
fn under_way(order: &Order) -> Error {
    Error::unavailable(
        "the order is being cancelled; ask for it again in a while",
        Duration::from_secs(5),
    )
    .with_metadata("order_id", order.id.to_string())
}
