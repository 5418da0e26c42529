//! The order domain: orders, and the saga that makes one.
//!
//! One module per function. What they share: the rules of the saga (`saga`, pure), the orders in
//! their database (`store`), the other functions (`services`, and `stock` for update-inventory), and
//! the driver that puts these together (`driver`).

mod driver;
mod order;
pub mod saga;
mod services;
mod stock;
mod store;

// generated: functions (cargo zerocart generate)
mod create_order;
mod get_order;
mod list_user_orders;
mod record_void_in_order;
mod recover_orders;
mod update_order_status;

pub use create_order::CreateOrder;
pub use get_order::GetOrder;
pub use list_user_orders::ListUserOrders;
pub use record_void_in_order::RecordVoidInOrder;
pub use recover_orders::RecoverOrders;
pub use update_order_status::UpdateOrderStatus;

/// The functions of this domain.
#[rustfmt::skip]
pub const FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<CreateOrder>(),
    zerocart_runtime::Entry::of::<GetOrder>(),
    zerocart_runtime::Entry::of::<ListUserOrders>(),
    zerocart_runtime::Entry::of::<UpdateOrderStatus>(),
    zerocart_runtime::Entry::of::<RecordVoidInOrder>(),
];

/// The jobs of this domain.
#[rustfmt::skip]
pub const JOBS: &[zerocart_runtime::JobEntry] = &[
    zerocart_runtime::JobEntry::of::<RecoverOrders>(),
];
// end of generated: functions

use std::time::Duration;

use zerocart_core::{Error, Kind};

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
