//! The payment domain: at most one charge per order, and none where it was undone.
//!
//! - `provider`: what a payment service provider offers, and `simulator`, the one that ships.
//! - `payment`: one payment as a state machine, without I/O.
//! - `ledger`: that state in the database, a transaction per step, none across a request to the
//!   provider.
//! - `cashier`: drives the state machine of a payment.
//! - One module per function and job.
//!
//! Money moves at the provider, which no transaction here can span. So every request to it carries
//! the order's id as its key, under which it acts once; is recorded before it is sent; and is
//! fenced by its number. A process that dies leaves a lease that lapses and a state that says what
//! to ask: the next charge or refund asks it, or get-payment-status, or the job.

mod cashier;
mod ledger;
mod payment;
mod provider;
mod simulator;

// generated: functions (cargo zerocart generate)
mod get_payment_status;
mod process_payment;
mod record_void_in_payment;
mod set_failure_rate;
mod settle_payments;

pub use get_payment_status::GetPaymentStatus;
pub use process_payment::ProcessPayment;
pub use record_void_in_payment::RecordVoidInPayment;
pub use set_failure_rate::SetFailureRate;
pub use settle_payments::SettlePayments;

/// The functions of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<ProcessPayment>(),
    zerocart_runtime::Entry::of::<GetPaymentStatus>(),
    zerocart_runtime::Entry::of::<SetFailureRate>(),
    zerocart_runtime::Entry::of::<RecordVoidInPayment>(),
];

/// The jobs of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static JOBS: &[zerocart_runtime::JobEntry] = &[
    zerocart_runtime::JobEntry::of::<SettlePayments>(),
];
// end of generated: functions

use zerocart_core::Error;
use zerocart_proto::payment::PaymentStatus;

/// A status as the database has it: the name that it has on the wire.
fn status(name: &str) -> Result<PaymentStatus, Error> {
    PaymentStatus::from_str_name(name)
        .ok_or_else(|| Error::internal(format!("{name} is no status of a payment")))
}
