//! Making tokens.

use std::fmt;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::verifier::unix_seconds;
use crate::{Issuer, KeyPair, Role, Token, provider};

/// Makes the tokens of one issuer, with one key.
///
/// The key is hidden from `Debug` and erased from memory when dropped, except for ring's own copy
/// while it signs.
#[derive(Clone)]
pub struct Signer {
    issuer: Issuer,
    header: Header,
    key: EncodingKey,
}

/// Why a token was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The issuer may not give this role.
    #[error("the issuer {issuer} may not give the role {role}")]
    Role {
        /// The issuer.
        issuer: Issuer,
        /// The role that was asked for.
        role: Role,
    },
    /// The issuer may not name this subject: for a user, anything but a canonical UUID.
    #[error("the issuer {0} may not name such a subject")]
    Subject(Issuer),
    /// The lifetime is under a second, or ends after the largest time.
    #[error("the lifetime of a token must be at least a second, and end")]
    Lifetime,
    /// The cryptography failed. With a key that was parsed, that is a bug of this crate.
    #[error("signing failed")]
    Signing,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    role: &'a str,
    iat: u64,
    exp: u64,
    /// Left out in the first generation: such a token is as those that were made before there were any.
    #[serde(rename = "gen", skip_serializing_if = "is_first")]
    generation: u32,
}

fn is_first(generation: &u32) -> bool {
    *generation == 0
}

impl Signer {
    /// Signs for `issuer` with `key`.
    pub fn new(issuer: Issuer, key: &KeyPair) -> Self {
        provider::install();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.kid().to_owned());
        Self {
            issuer,
            header,
            key: provider::encoding_key(key.seed()),
        }
    }

    /// Makes a token that says: `subject` has the `role`, from `now` on and for `ttl`.
    ///
    /// Times are whole seconds in a token: the fractions of `now` and `ttl` are dropped.
    ///
    /// # Errors
    ///
    /// [`IssueError`] when no [`Verifier`](crate::Verifier) would accept the token.
    pub fn issue(
        &self,
        subject: &str,
        role: Role,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Token, IssueError> {
        self.issue_in(0, subject, role, ttl, now)
    }

    /// Makes a token as [`issue`](Self::issue) does, of this generation of the subject's tokens.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub fn issue_in(
        &self,
        generation: u32,
        subject: &str,
        role: Role,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Token, IssueError> {
        let issuer = self.issuer;
        if !issuer.roles().contains(&role) {
            return Err(IssueError::Role { issuer, role });
        }
        if !issuer.accepts_subject(subject) {
            return Err(IssueError::Subject(issuer));
        }
        let iat = unix_seconds(now);
        let exp = iat.checked_add(ttl.as_secs()).filter(|exp| *exp > iat);
        let claims = Claims {
            iss: issuer.as_str(),
            sub: subject,
            role: role.as_str(),
            iat,
            exp: exp.ok_or(IssueError::Lifetime)?,
            generation,
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map(Token::new)
            .map_err(|_| IssueError::Signing)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("issuer", &self.issuer)
            .field("kid", &self.header.kid)
            .finish_non_exhaustive()
    }
}
