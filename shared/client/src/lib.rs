//! Clients of functions: from a function's name to an answer, as gRPC over h2c or in the way that
//! the platform gives ([`transport`]).
//!
//! [`Functions`] knows where functions are and holds the connections to them; [`Functions::client`]
//! gives a [`Client`] of one RPC, and [`Client::call`] passes on what belongs to a call: its
//! deadline, its trace, its identity. What stands between a call and its callee is in one file,
//! `stack.rs`. A call without a response is a [`Failure`], which says whether the callee may have
//! done what it was asked ([`Delivery`]).
//!
//! Nothing connects before the first call or [`Functions::wake_all`].
//!
//! # Settings
//!
//! | variable | meaning |
//! |---|---|
//! | `FUNCTION_URL_TEMPLATE` | the base URL of a function, with `{function}` in place of its name |
//! | `FUNCTION_URLS` | a JSON object of names and base URLs; wins where it has the name |
//! | `FUNCTION_SIDECAR` | `true` where a proxy beside this process carries the calls: what gets no further than it is tried again, and is no failure of the function |
//! | `AUTH_SERVICE_SIGNING_KEY` | the private JWK of the service issuer, for [`ServiceToken`] |
//!
//! A base URL is `http://host[:port][/path]`; a host that is `localhost` or ends in `.localhost` is
//! 127.0.0.1 without asking DNS (RFC 6761, section 6.3).

mod address;
mod attempt;
mod callee;
mod client;
mod failure;
mod functions;
mod grpc;
mod identity;
mod sidecar;
mod stack;
pub mod transport;

pub use client::{Client, Options};
pub use failure::{Delivery, Failure};
pub use functions::{Caller, Functions, health};
pub use identity::{Identity, ServiceToken};
