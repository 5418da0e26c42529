//! The contract as code, generated from `proto/`.
//!
//! - one module per domain with its messages, and one with messages of several domains;
//! - [`access`]: who may call an RPC;
//! - [`json`]: their proto3 JSON, with the field names of `proto/`;
//! - [`characters`]: kinds of characters, as the rules of texts tell them apart;
//! - [`money`]: exact cents, and the doubles that they are on the wire;
//! - [`rpc`]: one zero-sized type per RPC, which carries its names, paths, access and limits;
//! - [`validate`]: what the fields of a request must be. A field of `format: UUID` is also a method of
//!   its request, which gives the id: `request.user_id()?`.
//!
//! Nothing else in the workspace repeats these facts.

pub mod access;
pub mod characters;
mod decimal;
mod id;
pub mod json;
pub mod money;
pub mod rpc;
pub mod validate;

macro_rules! domain {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::allow_attributes_without_reason,
            clippy::pedantic,
            clippy::uninlined_format_args,
            reason = "generated from proto/, where the comments are"
        )]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}

domain!(
    /// Messages of `proto/user`.
    user
);
domain!(
    /// Messages of `proto/product`.
    product
);
domain!(
    /// Messages of `proto/cart`.
    cart
);
domain!(
    /// Messages of `proto/order`.
    order
);
domain!(
    /// Messages of `proto/payment`.
    payment
);
domain!(
    /// Messages of `proto/ops`.
    ops
);

domain!(
    /// Messages of `proto/voids`, which functions of several domains take and answer.
    voids
);

/// The files of all domains and what they import, as an encoded `google.protobuf.FileDescriptorSet`,
/// with all options and comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
