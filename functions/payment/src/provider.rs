//! What a payment service provider offers.

use std::future::Future;

use uuid::Uuid;
use zerocart_core::Call;
use zerocart_proto::money::Cents;

/// A payment service provider.
///
/// It acts once for each key, for all callers and all repetitions: a charge under a known key gives
/// what is on record, and a key that was undone is never charged, also not by a charge that was
/// sent before and arrives late. So the same request may always be sent again.
///
/// A request ends by the deadline of `cx`; dropped before, it may or may not have taken effect.
pub(crate) trait Provider: Send + Sync + 'static {
    /// Takes `amount` by `method`.
    fn charge(
        &self,
        cx: &Call,
        key: Uuid,
        amount: Cents,
        method: &str,
    ) -> impl Future<Output = Result<Record, ProviderError>> + Send;

    /// What is on record under `key`. Nothing is no promise: a charge may still be on its way.
    fn find(
        &self,
        cx: &Call,
        key: Uuid,
    ) -> impl Future<Output = Result<Option<Record>, ProviderError>> + Send;

    /// Gives back what was charged under `key`, and refuses every charge under it from now on.
    fn refund(
        &self,
        cx: &Call,
        key: Uuid,
    ) -> impl Future<Output = Result<Undone, ProviderError>> + Send;
}

/// What a provider has on record under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Record {
    /// The money was taken.
    Charged,
    /// It was not, for good.
    Declined {
        /// Why.
        reason: String,
    },
    /// It was taken and given back.
    Refunded,
    /// The key was undone before any charge.
    Voided,
}

/// What a refund found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    /// A charge, which was given back.
    Refunded,
    /// No charge; there will be none.
    NeverCharged,
}

/// Why a provider gave no answer. `Display` gives the contract's name of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum ProviderError {
    /// No answer in time: whether it was done is not known.
    #[error("gateway timeout")]
    Timeout,
    /// It refused to work: it was certainly not done.
    #[error("temporarily unavailable")]
    Unavailable,
}
