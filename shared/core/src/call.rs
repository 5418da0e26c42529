//! The context of a call, which a handler gets.

use std::{fmt, time::Duration};

use ring::digest;
use tokio::time::Instant;
use zerocart_auth::{Access, Identity, Token};

use crate::{
    error::{Error, Kind},
    trace::{Span, Trace, TraceContext},
};

/// The longest idempotency key, in characters.
const MAX_KEY_LEN: usize = 255;

/// One call: its caller, deadline, idempotency key and trace.
#[derive(Clone, Debug)]
pub struct Call {
    /// The access rule of the RPC: who may call it.
    pub access: &'static Access,
    /// The caller; `None` without a token. If anyone may call the RPC, it is `None` except for callers with
    /// one of the roles in `Info::recognises`.
    pub identity: Option<Identity>,
    /// The token of the caller, which calls to other functions pass on. It is there if `identity` is.
    pub token: Option<Token>,
    /// The deadline: after it, nobody waits for the answer.
    pub deadline: Instant,
    /// The idempotency key, if the RPC writes and the client sent a key.
    pub idempotency: Option<Idempotency>,
    /// The trace that the call belongs to, and the span that its own spans are children of.
    pub trace: Trace,
}

/// The access of a call without a caller: only the handler decides.
const NOBODY: Access = Access {
    anyone: true,
    roles: &[],
    self_field: None,
    owner: false,
};

impl Call {
    /// A call that the system makes itself, such as the run of a job or a step of a deployment. It has no
    /// caller and no key, begins a new trace, and its deadline is `limit` from now.
    pub fn internal(limit: Duration) -> Self {
        Self {
            access: &NOBODY,
            identity: None,
            token: None,
            deadline: Instant::now() + limit,
            idempotency: None,
            trace: TraceContext::new().into(),
        }
    }

    /// The same call with another deadline: for a part of the work that must end earlier.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// A call of the system that this call started: the same trace and another deadline, without the
    /// caller's identity, token and key. Use it for work that continues after this call, such as driving an
    /// order.
    #[must_use]
    pub fn detached(&self, deadline: Instant) -> Self {
        Self {
            identity: None,
            token: None,
            idempotency: None,
            deadline,
            ..self.clone()
        }
    }

    /// The same call with its next spans, and the calls that it makes, under `span`.
    #[must_use]
    pub fn under(&self, span: &Span) -> Self {
        Self {
            trace: span.trace(),
            ..self.clone()
        }
    }

    /// The time that is left until the deadline; zero if the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Refuses a caller who may not see or change a row of the user `owner_id` (a UUID). A handler whose
    /// RPC has `owner` access calls this after it has loaded the row.
    ///
    /// # Errors
    ///
    /// PERMISSION_DENIED for a customer who is not the owner; UNAUTHENTICATED without a caller.
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
/// All anonymous callers count as one caller, and two of them may choose the same key. So an RPC that they
/// may call and that writes names a field of its request that separates them (sign-up: the e-mail). The
/// value of that field is part of the digest `key`.
///
/// Only digests are stored. A request may hold a password, and the plain hash of one would be easy to
/// guess. So the fingerprint also covers the client's key, which is never stored itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of caller, RPC and the client's key, and of the field that separates anonymous callers if
    /// the RPC names one. The record of an answer is found by this digest.
    pub key: [u8; 32],
    /// SHA-256 of the client's key and the request. Another request under the same key has another
    /// fingerprint.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// Reads a key as a client sent it.
    ///
    /// - `caller`: the subject of the caller's token; empty for an anonymous caller.
    /// - `rpc`: the name of the RPC.
    /// - `space`: [`Rpc::key_space`](zerocart_proto::rpc::Rpc::key_space) of the request; empty for an RPC
    ///   that names no such field.
    /// - `request`: the request as Protobuf bytes.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT for a key that is not UTF-8, or that has not 1 to 255 characters.
    pub fn new(
        key: &[u8],
        caller: &str,
        rpc: &str,
        space: &str,
        request: &[u8],
    ) -> Result<Self, Error> {
        let wrong = |description: String| Err(Error::field("idempotency-key", description));
        let Ok(text) = std::str::from_utf8(key) else {
            return wrong("must be UTF-8".to_owned());
        };
        if !(1..=MAX_KEY_LEN).contains(&text.chars().count()) {
            return wrong(format!("must have 1 to {MAX_KEY_LEN} characters"));
        }
        let parts = [caller.as_bytes(), rpc.as_bytes(), key, space.as_bytes()];
        // Without a space the digest is that of three parts: records of the version before are found.
        let count = if space.is_empty() { 3 } else { 4 };
        Ok(Self {
            key: digest(&parts[..count]),
            fingerprint: digest(&[key, request]),
        })
    }

    /// The error for another request under a key that was used before: INVALID_ARGUMENT, HTTP 422.
    pub fn reused() -> Error {
        Error::field(
            "idempotency-key",
            "was used before with another request; a new request needs a new key",
        )
        .with_http_status(422)
    }

    /// The error while another request runs under the same key: ABORTED, HTTP 409, with a retry after 1 s.
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
    fn a_detached_call_keeps_only_the_trace() {
        let cx = Call {
            identity: Some(Identity {
                issuer: zerocart_auth::Issuer::User,
                subject: "ada".into(),
                role: zerocart_auth::Role::Customer,
                generation: 0,
            }),
            token: Some(Token::new("secret")),
            idempotency: Some(Idempotency::new(b"k", "ada", "rpc", "", b"").unwrap()),
            ..Call::internal(Duration::from_secs(1))
        };
        let later = cx.deadline + Duration::from_secs(1);

        let detached = cx.detached(later);
        assert_eq!(detached.deadline, later);
        assert_eq!(detached.trace.trace_id(), cx.trace.trace_id());
        assert!(detached.identity.is_none());
        assert!(detached.token.is_none());
        assert!(detached.idempotency.is_none());

        let with_deadline = cx.with_deadline(later);
        assert_eq!(with_deadline.deadline, later);
        assert!(with_deadline.identity.is_some() && with_deadline.token.is_some());
        assert!(with_deadline.idempotency == cx.idempotency);
    }

    #[test]
    fn a_key_belongs_to_one_caller_and_one_rpc() {
        let key =
            |caller, rpc, request: &[u8]| Idempotency::new(b"k", caller, rpc, "", request).unwrap();
        let one = key("a", "create-user", b"x");
        assert_eq!(one, key("a", "create-user", b"x"));
        assert_ne!(one.key, key("b", "create-user", b"x").key);
        assert_ne!(one.key, key("a", "create-product", b"x").key);
        assert_eq!(one.key, key("a", "create-user", b"y").key);
        assert_ne!(one.fingerprint, key("a", "create-user", b"y").fingerprint);
    }

    #[test]
    fn strangers_who_choose_one_key_do_not_meet() {
        let key =
            |space, request: &[u8]| Idempotency::new(b"k", "", "rpc", space, request).unwrap();
        let one = key("a@b.co", b"x");
        assert_eq!(one, key("a@b.co", b"x"));
        assert_ne!(one.key, key("c@d.de", b"x").key);
        assert_ne!(one.key, key("", b"x").key);
        assert_eq!(one.key, key("a@b.co", b"y").key);
    }

    /// A caller that is known finds the records of the version before, whose digests had these three
    /// parts.
    #[test]
    fn without_a_space_the_digest_is_as_it_was() {
        let key = Idempotency::new(b"key", "caller", "rpc", "", b"")
            .unwrap()
            .key;
        let mut hashed = Vec::new();
        for part in ["caller", "rpc", "key"] {
            hashed.extend((part.len() as u64).to_be_bytes());
            hashed.extend(part.as_bytes());
        }
        assert_eq!(key, digest::digest(&digest::SHA256, &hashed).as_ref());
    }

    #[test]
    fn what_is_no_key_is_told_why() {
        const LENGTH: &str = "idempotency-key must have 1 to 255 characters";
        let error = |key: &[u8]| {
            Idempotency::new(key, "a", "b", "", b"")
                .unwrap_err()
                .to_string()
        };
        assert!(error(b"").contains(LENGTH));
        assert!(error(&[b'k'; 256]).contains(LENGTH));
        assert!(error(&[0xff]).contains("idempotency-key must be UTF-8"));
        assert!(Idempotency::new("ü".repeat(255).as_bytes(), "a", "b", "", b"").is_ok());
    }
}
