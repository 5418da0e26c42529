//! From a token to an identity.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use zerocart_verified::{Key, Verified};

use crate::{Identity, Issuer, KeyError, KeyErrorKind, Keys, MAX_TOKEN_BYTES, Token, TokenError};
use crate::{bearer, provider};

/// How far clocks may differ, in seconds: a token is accepted that long after `exp` and before
/// `nbf`. The machines of a fleet use NTP, so it is small.
pub const LEEWAY_S: u64 = 5;

/// The longest subject of a token that is remembered. A user's id has 36 bytes.
const MAX_KNOWN_SUBJECT: usize = 64;

/// Turns tokens into identities, with the public keys of both issuers.
///
/// It remembers the tokens that it accepted ([`Verified`]), because most of the work is the
/// signature. Its keys never change, so a known token needs only a look at its times.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<TrustedKey>,
    validation: Validation,
    known: Verified<Known>,
}

/// What is remembered of a token.
#[derive(Clone, Debug)]
struct Known {
    identity: Identity,
    times: Times,
}

/// When a token is valid, in whole seconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    exp: u64,
    nbf: Option<u64>,
}

impl Times {
    fn check(self, now: SystemTime) -> Result<(), TokenError> {
        let now_s = unix_seconds(now);
        if now_s >= self.exp.saturating_add(LEEWAY_S) {
            return Err(TokenError::Expired);
        }
        let later = |nbf: u64| nbf > now_s.saturating_add(LEEWAY_S);
        match self.nbf.is_some_and(later) {
            true => Err(TokenError::NotYetValid),
            false => Ok(()),
        }
    }
}

#[derive(Clone, Debug)]
struct TrustedKey {
    kid: String,
    issuer: Issuer,
    key: DecodingKey,
}

/// The claims of a token. All are required but `nbf` and `gen`; one that comes twice is an error.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    role: String,
    #[serde(rename = "iat")]
    _iat: u64,
    exp: u64,
    nbf: Option<u64>,
    /// Absent in the first generation.
    #[serde(rename = "gen", default)]
    generation: u32,
}

impl Verifier {
    /// Trusts `user` for the user issuer and `service` for the service issuer. Either may be the
    /// default [`Keys`], which trust nobody.
    ///
    /// # Errors
    ///
    /// [`KeyErrorKind::SharedKey`] when a key, or a `kid`, is in both: it could then sign for
    /// either.
    pub fn new(user: &Keys, service: &Keys) -> Result<Self, KeyError> {
        provider::install();
        let shared = user.iter().find(|key| {
            service
                .iter()
                .any(|other| other.kid() == key.kid() || other.as_bytes() == key.as_bytes())
        });
        if let Some(key) = shared {
            return Err(KeyErrorKind::SharedKey(key.kid().to_owned()).into());
        }
        let keys = [(Issuer::User, user), (Issuer::Service, service)]
            .into_iter()
            .flat_map(|(issuer, keys)| keys.iter().map(move |key| (issuer, key)))
            .map(|(issuer, key)| TrustedKey {
                kid: key.kid().to_owned(),
                issuer,
                key: provider::decoding_key(key.as_bytes()),
            })
            .collect();

        // Claims are checked here, against the caller's clock. The library checks form, algorithm
        // and signature, and refuses every `aud`, since none is ours.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.required_spec_claims = HashSet::new();
        Ok(Self {
            keys,
            validation,
            known: Verified::new(),
        })
    }

    /// Verifies `token` at the time `now`.
    ///
    /// In this order: its length, its form, its algorithm (EdDSA and nothing else), its key (known
    /// by `kid`; keys that the token itself brings or points to are ignored), its signature, its
    /// issuer (the one to which the key belongs), its times, its subject, its role (one that the
    /// issuer may give). It is valid until just before `exp` plus [`LEEWAY_S`].
    ///
    /// # Errors
    ///
    /// [`TokenError`], by the first check that fails.
    pub fn verify(&self, token: &Token, now: SystemTime) -> Result<Identity, TokenError> {
        let token = token.as_str();
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let key = Key::of(&[token]);
        if let Some(known) = self.known.get(&key) {
            let valid = known.times.check(now);
            if valid == Err(TokenError::Expired) {
                self.known.forget(&key);
            }
            return valid.map(|()| known.identity);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::Algorithm);
        }
        // A critical header must be understood (RFC 7515, section 4.1.11). We understand none.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let kid = header.kid.ok_or(TokenError::UnknownKey)?;
        let trusted = self.keys.iter().find(|trusted| trusted.kid == kid);
        let trusted = trusted.ok_or(TokenError::UnknownKey)?;

        // The library's message is dropped: it may quote the token.
        let decoded = jsonwebtoken::decode::<Claims>(token, &trusted.key, &self.validation);
        let claims = decoded
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => TokenError::Signature,
                _ => TokenError::Malformed,
            })?
            .claims;

        let issuer = trusted.issuer;
        if claims.iss != issuer.as_str() {
            return Err(TokenError::Issuer);
        }
        let times = Times {
            exp: claims.exp,
            nbf: claims.nbf,
        };
        times.check(now)?;
        if !issuer.accepts_subject(&claims.sub) {
            return Err(TokenError::Subject);
        }
        let role = claims.role.parse().map_err(|_| TokenError::Role)?;
        if !issuer.roles().contains(&role) {
            return Err(TokenError::Role);
        }
        let identity = Identity {
            subject: claims.sub,
            role,
            issuer,
            generation: claims.generation,
        };
        if identity.subject.len() <= MAX_KNOWN_SUBJECT {
            let identity = identity.clone();
            self.known.insert(key, Known { identity, times });
        }
        Ok(identity)
    }

    /// The sender of a request with these Authorization headers: [`bearer`], then
    /// [`verify`](Self::verify). Without a header there is no identity.
    ///
    /// # Errors
    ///
    /// [`TokenError`]: a request that presents a bad token is refused, even where none is needed.
    pub fn authenticate<'a>(
        &self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
        now: SystemTime,
    ) -> Result<Option<Identity>, TokenError> {
        bearer(authorization)?
            .map(|token| self.verify(&token, now))
            .transpose()
    }
}

/// Whole seconds since 1970, as in tokens. A clock before that is at 0.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
