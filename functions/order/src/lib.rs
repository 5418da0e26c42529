//! The order domain: orders, and the saga that makes one.
//!
//! One module per function. What they share: the rules of the saga (`saga`, pure), the orders in
//! their database (`store`, and `record` for what a driver writes), the other functions (`services`, and
//! `stock` for update-inventory), and the driver that puts these together (`driver`).

mod cancel;
mod driver;
mod order;
mod record;
pub mod saga;
mod services;
mod stock;
mod store;

// generated: functions (cargo zerocart generate)
mod cancel_order;
mod create_order;
mod get_order;
mod get_order_timeline;
mod list_orders;
mod list_user_orders;
mod record_void_in_order;
mod recover_orders;
mod update_order_status;

pub use cancel_order::CancelOrder;
pub use create_order::CreateOrder;
pub use get_order::GetOrder;
pub use get_order_timeline::GetOrderTimeline;
pub use list_orders::ListOrders;
pub use list_user_orders::ListUserOrders;
pub use record_void_in_order::RecordVoidInOrder;
pub use recover_orders::RecoverOrders;
pub use update_order_status::UpdateOrderStatus;

/// The functions of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<CreateOrder>(),
    zerocart_runtime::Entry::of::<GetOrder>(),
    zerocart_runtime::Entry::of::<ListUserOrders>(),
    zerocart_runtime::Entry::of::<ListOrders>(),
    zerocart_runtime::Entry::of::<GetOrderTimeline>(),
    zerocart_runtime::Entry::of::<CancelOrder>(),
    zerocart_runtime::Entry::of::<UpdateOrderStatus>(),
    zerocart_runtime::Entry::of::<RecordVoidInOrder>(),
];

/// The jobs of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static JOBS: &[zerocart_runtime::JobEntry] = &[
    zerocart_runtime::JobEntry::of::<RecoverOrders>(),
];
// end of generated: functions

use std::time::Duration;

use zerocart_core::{Error, Kind};
use zerocart_proto::order::OrderResponse;

use crate::{order::Order, saga::Status};

/// The user's cart belongs to another order until that is done.
fn cart_is_taken() -> Error {
    Error::new(
        Kind::Aborted,
        "another order of this cart is being made; try again when it is done",
    )
    .with_retry_after(Duration::from_secs(1))
}

fn no_such_order() -> Error {
    Error::not_found("there is no such order")
}

/// The order cannot get this status, or not any more.
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

/// The answer about an order whose status was to change.
fn response(order: &Order) -> OrderResponse {
    OrderResponse {
        success: true,
        message: format!("the order is {}", order.saga.status.name()),
        order: Some(order.to_message()),
    }
}
