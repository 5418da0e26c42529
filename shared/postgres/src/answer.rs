//! What an idempotency record keeps of a request that succeeded.

use prost::Message;
use zerocart_core::error::BoxError;

/// An answer that can be recorded under an idempotency key: every message of the contract, and what a
/// domain makes its answer of.
pub trait Answer: Sized + Send + Sync {
    /// The record.
    fn to_bytes(&self) -> Vec<u8>;

    /// The answer of a record, which an earlier version may have written.
    ///
    /// # Errors
    ///
    /// When the bytes are no record of this answer.
    fn from_bytes(bytes: &[u8]) -> Result<Self, BoxError>;
}

impl<M: Message + Default> Answer for M {
    fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BoxError> {
        Ok(Self::decode(bytes)?)
    }
}
