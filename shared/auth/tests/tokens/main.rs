//! Tokens from signing to refusal: each attack on a token, and what it is refused with.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the failure"
)]

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use zerocart_auth::{Identity, Issuer, KeyPair, Keys, Role, Signer, Token, TokenError, Verifier};

mod claims;
mod forgery;
mod issuing;
mod known;
mod trust;

const NOW_S: u64 = 1_800_000_000;
const USER: &str = "018f4e9a-7c1b-7def-8000-0123456789ab";

fn at(unix_s: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s)
}

/// A fleet: one key for each issuer, and everybody who verifies.
struct Fleet {
    user: KeyPair,
    service: KeyPair,
    verifier: Verifier,
}

fn keys(pair: &KeyPair) -> Keys {
    Keys::new([pair.public().clone()]).unwrap()
}

impl Fleet {
    fn new() -> Self {
        let user = KeyPair::generate().unwrap();
        let service = KeyPair::generate().unwrap();
        let verifier = Verifier::new(&keys(&user), &keys(&service)).unwrap();
        Self {
            user,
            service,
            verifier,
        }
    }

    fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        self.verifier.verify(&Token::new(token), at(NOW_S))
    }

    fn user_token(&self) -> String {
        let signer = Signer::new(Issuer::User, &self.user);
        let ttl = Duration::from_secs(60);
        let token = signer.issue(USER, Role::Customer, ttl, at(NOW_S)).unwrap();
        token.as_str().to_owned()
    }
}

fn header(kid: &str) -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": kid})
}

fn claims() -> Value {
    json!({
        "iss": "zerocart-user", "sub": USER, "role": "customer",
        "iat": NOW_S, "exp": NOW_S + 60,
    })
}

/// The claims, with some set and, where null, removed.
fn claims_with(changes: Value) -> String {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims.to_string()
}

fn signing_input(header: &str, claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}", part(header), part(claims))
}

/// Signs any header and any claims: what a holder of `pair` could send.
fn forge(pair: &KeyPair, header: &str, claims: &str) -> String {
    let jwk: Value = serde_json::from_str(&pair.to_private_jwk()).unwrap();
    let seed = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap()).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let input = signing_input(header, claims);
    let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()));
    format!("{input}.{signature}")
}
