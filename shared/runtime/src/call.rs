//! What a handler knows of the call that it answers.

use std::{fmt, time::Duration};

use ring::digest;
use tokio::time::Instant;
use zerocart_auth::{Access, Identity, Token};

use crate::{
    error::{Error, Kind},
    trace::TraceContext,
};

/// The longest idempotency key, in characters.
const MAX_KEY_LEN: usize = 255;

/// One call: who asks, until when, under which key and trace.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who may call the RPC.
    pub access: &'static Access,
    /// Who calls; none without a token.
    pub identity: Option<Identity>,
    /// The token that says so, to be passed on to a function that is called for them.
    pub token: Option<Token>,
    /// When nobody waits for the answer any more.
    pub deadline: Instant,
    /// The idempotency key of a call that writes.
    pub idempotency: Option<Idempotency>,
    /// The trace that the call belongs to.
    pub trace: TraceContext,
}

/// The access of a call that nobody made: the handler alone decides.
const NOBODY: Access = Access {
    anyone: true,
    roles: &[],
    self_field: None,
    owner: false,
};

impl Call {
    /// A call that the system makes of itself, such as a step of a deployment.
    pub fn internal(limit: Duration) -> Self {
        Self {
            access: &NOBODY,
            identity: None,
            token: None,
            deadline: Instant::now() + limit,
            idempotency: None,
            trace: TraceContext::from_headers(&http::HeaderMap::new()),
        }
    }

    /// The time that is left, zero when the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Refuses a caller that may not see what belongs to the user `owner_id`.
    ///
    /// # Errors
    ///
    /// PERMISSION_DENIED for a customer who is not the owner.
    pub fn authorize_owner(&self, owner_id: &str) -> Result<(), Error> {
        Ok(zerocart_auth::authorize_owner(
            self.access,
            self.identity.as_ref(),
            owner_id,
        )?)
    }
}

/// An idempotency key, bound to its caller, its RPC and its request.
///
/// Only digests are kept: a request may hold a password, whose plain hash would be easy to guess.
/// The fingerprint is keyed with the client's key, which itself is never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of caller, RPC and key: what a record is found by.
    pub key: [u8; 32],
    /// SHA-256 of key and request: what tells another request under the same key.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// Reads a key as a client sent it.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for an empty or over-long key.
    pub fn new(key: &[u8], caller: &str, rpc: &str, request: &[u8]) -> Result<Self, Error> {
        let valid = std::str::from_utf8(key)
            .is_ok_and(|key| (1..=MAX_KEY_LEN).contains(&key.chars().count()));
        if !valid {
            return Err(Error::field(
                "idempotency-key",
                format!("must have 1 to {MAX_KEY_LEN} characters"),
            ));
        }
        Ok(Self {
            key: digest(&[caller.as_bytes(), rpc.as_bytes(), key]),
            fingerprint: digest(&[key, request]),
        })
    }

    /// The answer to another request under a key that was used: 422, INVALID_ARGUMENT.
    pub fn reused() -> Error {
        Error::field(
            "idempotency-key",
            "was used before with another request; a new request needs a new key",
        )
        .with_http_status(422)
    }

    /// The answer while a request runs under the same key: 409, ABORTED.
    pub fn running() -> Error {
        Error::new(
            Kind::Aborted,
            "a request under this idempotency-key is still running",
        )
        .with_retry_after(Duration::from_secs(1))
    }
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idempotency")
    }
}

/// SHA-256 of parts, each with its length, so that no two lists of parts collide.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_one_caller_and_one_rpc() {
        let key =
            |caller, rpc, request: &[u8]| Idempotency::new(b"k", caller, rpc, request).unwrap();
        let one = key("a", "create-user", b"x");
        assert_eq!(one, key("a", "create-user", b"x"));
        assert_ne!(one.key, key("b", "create-user", b"x").key);
        assert_ne!(one.key, key("a", "create-product", b"x").key);
        assert_eq!(one.key, key("a", "create-user", b"y").key);
        assert_ne!(one.fingerprint, key("a", "create-user", b"y").fingerprint);
    }

    #[test]
    fn keys_have_1_to_255_characters() {
        assert!(Idempotency::new(b"", "a", "b", b"").is_err());
        assert!(Idempotency::new(&[0xff], "a", "b", b"").is_err());
        assert!(Idempotency::new("ü".repeat(255).as_bytes(), "a", "b", b"").is_ok());
        let error = Idempotency::new(&[b'k'; 256], "a", "b", b"").unwrap_err();
        assert_eq!(error.violations()[0].field, "idempotency-key");
    }
}
