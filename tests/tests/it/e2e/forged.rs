//! The keys of an engine, as only its owner can read them, and tokens that it never gave.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{hmac, signature::Ed25519KeyPair};
use serde_json::{Value, json};
use zerocart_auth::{Issuer, KeyPair, KeySet, Role, Signer};

use super::engine::Data;

/// Long enough for any test.
const TTL: Duration = Duration::from_secs(3600);

/// Both issuers of an engine.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) user: KeySet,
    pub(crate) service: KeySet,
}

impl Keys {
    /// Reads the keys in the data folder of an engine that was started.
    pub(crate) fn of(data: &Data) -> Self {
        let read = |name: &str| {
            let text = fs::read_to_string(data.path().join("keys").join(name));
            KeySet::from_json(&text.expect("an engine has keys")).expect("a set of keys")
        };
        Self {
            user: read("user.json"),
            service: read("service.json"),
        }
    }

    /// A good token.
    pub(crate) fn token(&self, subject: &str, role: Role) -> String {
        self.token_at(subject, role, SystemTime::now())
    }

    /// A token that ended an hour ago.
    pub(crate) fn expired(&self, subject: &str, role: Role) -> String {
        self.token_at(subject, role, SystemTime::now() - 2 * TTL)
    }

    fn token_at(&self, subject: &str, role: Role, now: SystemTime) -> String {
        let (issuer, keys) = match role {
            Role::Service => (Issuer::Service, &self.service),
            Role::Customer | Role::Admin => (Issuer::User, &self.user),
        };
        let token = Signer::new(issuer, keys.current()).issue(subject, role, TTL, now);
        token.expect("a good token").as_str().to_owned()
    }
}

/// The header of a token that the holder of `key` makes.
pub(crate) fn header(key: &KeyPair) -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": key.kid()})
}

/// The claims of a token that is good for another hour.
pub(crate) fn claims(issuer: &str, subject: &str, role: Role) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock of this century").as_secs();
    json!({
        "iss": issuer, "sub": subject, "role": role.as_str(),
        "iat": now, "exp": now + TTL.as_secs(),
    })
}

/// What a holder of `key` could send: any header over any claims, properly signed.
pub(crate) fn signed(key: &KeyPair, header: &Value, claims: &Value) -> String {
    let jwk: Value = serde_json::from_str(&key.to_private_jwk()).expect("a JWK is JSON");
    let seed = BASE64.decode(jwk["d"].as_str().expect("a private JWK"));
    let key = Ed25519KeyPair::from_seed_unchecked(&seed.expect("base64url"));
    let input = input(header, claims);
    let signature = key.expect("a seed").sign(input.as_bytes());
    format!("{input}.{}", BASE64.encode(signature))
}

/// A token whose only signature is an HMAC, under what everybody knows.
pub(crate) fn hmac(secret: &[u8], kid: &str, claims: &Value) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
    let input = input(&header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", BASE64.encode(tag))
}

/// A token without a signature.
pub(crate) fn unsigned(kid: &str, claims: &Value) -> String {
    let header = json!({"alg": "none", "typ": "JWT", "kid": kid});
    format!("{}.", input(&header, claims))
}

/// `token` with other claims and the signature that it had.
pub(crate) fn reworded(token: &str, claims: &Value) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let claims = BASE64.encode(claims.to_string());
    format!("{}.{claims}.{}", parts[0], parts[2])
}

fn input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
