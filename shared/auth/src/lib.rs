//! Tokens, roles and ownership: who is calling, and whether they may.
//!
//! A caller is identified by an EdDSA (Ed25519) JSON Web Token. Two [`Issuer`]s sign such tokens,
//! each with its own keys: the user issuer for people, the service issuer for functions that call
//! functions. A [`Signer`] makes tokens, a [`Verifier`] turns a token into an [`Identity`], and
//! [`authorize`] checks that identity against the [`Access`] of an RPC.
//!
//! Nothing here does I/O, or reads the environment or the clock. Keys come as text ([`Keys`] and
//! [`KeyPair`] are [`FromStr`](std::str::FromStr)), and the time is an argument.
//!
//! Sources: RFC 7519 (JWT), RFC 7515 (JWS), RFC 7517 (JWK), RFC 8037 (Ed25519 in both),
//! RFC 7638 (thumbprints), RFC 8410 (the PEM form), RFC 6750 (the Authorization header).

mod access;
mod identity;
mod jwk;
mod key_error;
mod keypair;
mod keyset;
mod provider;
mod secret;
mod signer;
mod token;
mod verifier;

pub use access::{Denied, authorize, authorize_owner};
pub use identity::{Identity, Issuer};
pub use jwk::{Keys, PublicKey};
pub use key_error::{KeyError, KeyErrorKind};
pub use keypair::KeyPair;
pub use keyset::{KeySet, Previous};
pub use secret::{RandomUnavailable, generate_secret};
pub use signer::{IssueError, Signer};
pub use token::{MAX_TOKEN_BYTES, Token, TokenError, bearer};
pub use verifier::{LEEWAY_S, Verifier};
pub use zerocart_proto::access::{Access, Role, UnknownRole};
