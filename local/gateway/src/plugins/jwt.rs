//! jwt: lets a request through when it carries a token that a known key signed.
//!
//! Only EdDSA over Ed25519 is verified here; a credential with another algorithm is refused when
//! the file is loaded. The token names its credential in the claim `key_claim_name`, or in the
//! header of that name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use zerocart_verified::{Key, Verified};

use super::error::FieldError;
use crate::reply::Reply;

/// Algorithms that Kong 3.9 knows: a token with any other is malformed.
const ALGORITHMS: [&str; 13] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256",
    "PS384", "PS512", "EdDSA",
];
/// The one algorithm that is verified here.
pub(crate) const ALGORITHM: &str = "EdDSA";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    key_claim_name: String,
    claims_to_verify: Vec<Claim>,
    run_on_preflight: bool,
    uri_param_names: Vec<String>,
    cookie_names: Vec<String>,
    header_names: Vec<String>,
    maximum_expiration: u64,
    realm: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key_claim_name: "iss".to_owned(),
            claims_to_verify: Vec::new(),
            run_on_preflight: true,
            uri_param_names: vec!["jwt".to_owned()],
            cookie_names: Vec::new(),
            header_names: vec!["authorization".to_owned()],
            maximum_expiration: 0,
            realm: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Claim {
    Exp,
    Nbf,
}

/// The consumer and the credential of a verified token.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) consumer_id: String,
    pub(crate) username: String,
    pub(crate) custom_id: Option<String>,
    pub(crate) key: String,
}

/// A consumer's public key, with the name by which tokens refer to it.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) identity: Arc<Identity>,
    pub(crate) public_key: [u8; 32],
}

/// All credentials, by key, and the tokens that were verified with them. Other keys come as other
/// `Credentials`, so no token is known for longer than its key is.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) by_key: HashMap<String, Credential>,
    known: Verified<Known>,
}

impl Credentials {
    pub(crate) fn new(by_key: HashMap<String, Credential>) -> Self {
        Self {
            by_key,
            known: Verified::new(),
        }
    }
}

/// What is remembered of a token that was accepted. Its times are checked at each use.
#[derive(Debug, Clone)]
struct Known {
    identity: Arc<Identity>,
    times: Times,
}

/// The times of a token that are numbers.
#[derive(Debug, Clone, Copy)]
struct Times {
    exp: Option<f64>,
    nbf: Option<f64>,
}

impl Times {
    fn of(claims: &Map<String, Value>) -> Self {
        let number = |name| claims.get(name).and_then(Value::as_f64);
        Self {
            exp: number("exp"),
            nbf: number("nbf"),
        }
    }
}

/// The plugin, configured.
#[derive(Debug)]
pub(crate) struct Jwt {
    key_claim_name: String,
    claims_to_verify: Vec<Claim>,
    run_on_preflight: bool,
    uri_param_names: Vec<String>,
    cookie_names: Vec<String>,
    header_names: Vec<HeaderName>,
    maximum_expiration_s: u64,
    challenge: HeaderValue,
    challenge_invalid: HeaderValue,
}

impl Jwt {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let header_names = config
            .header_names
            .iter()
            .map(HeaderName::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| FieldError::new("header_names", "not a header name"))?;
        if config.maximum_expiration > 0 && !config.claims_to_verify.contains(&Claim::Exp) {
            return Err(FieldError::new(
                "claims_to_verify",
                "must contain 'exp' when specifying maximum_expiration",
            ));
        }
        let scheme = match &config.realm {
            Some(realm) => format!("Bearer realm=\"{realm}\""),
            None => "Bearer".to_owned(),
        };
        let header = |text: String| {
            HeaderValue::try_from(text).map_err(|_| FieldError::new("realm", "not a header value"))
        };
        Ok(Self {
            key_claim_name: config.key_claim_name,
            claims_to_verify: config.claims_to_verify,
            run_on_preflight: config.run_on_preflight,
            uri_param_names: config.uri_param_names,
            cookie_names: config.cookie_names,
            header_names,
            maximum_expiration_s: config.maximum_expiration,
            challenge_invalid: header(format!("{scheme} error=\"invalid_token\""))?,
            challenge: header(scheme)?,
        })
    }

    /// Verifies the request's token. `None` for a preflight that needs no token.
    pub(crate) fn authenticate(
        &self,
        request: &http::request::Parts,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<Option<Arc<Identity>>, Reply> {
        if request.method == http::Method::OPTIONS && !self.run_on_preflight {
            return Ok(None);
        }
        let tokens = self.tokens(request);
        let token = match tokens.as_slice() {
            [] => return Err(unauthorized(message("Unauthorized"), &self.challenge)),
            [token] => token,
            _ => return Err(self.invalid("Multiple tokens provided")),
        };
        let name = &self.key_claim_name;
        let verified = |times, identity: Arc<Identity>| match self.verify_times(times, now) {
            Ok(()) => Ok(Some(identity)),
            Err(errors) => Err(unauthorized(Value::Object(errors), &self.challenge_invalid)),
        };
        // Another plugin may look for the key in another claim.
        let text = Key::of(&[name, token]);
        if let Some(Known { identity, times }) = credentials.known.get(&text) {
            return verified(times, identity);
        }
        let token =
            Token::decode(token).map_err(|what| self.invalid(&format!("Bad token; {what}")))?;
        let key = token.claims.get(name).or_else(|| token.header.get(name));
        let key = match key {
            None | Some(Value::Null | Value::Bool(false)) => {
                return Err(self.invalid(&format!("No mandatory '{name}' in claims")));
            }
            Some(Value::String(key)) if key.is_empty() => {
                return Err(self.invalid(&format!("Invalid '{name}' in claims")));
            }
            Some(Value::String(key)) => credentials.by_key.get(key),
            Some(_) => None,
        };
        let Some(credential) = key else {
            return Err(self.invalid(&format!("No credentials found for given '{name}'")));
        };
        if token.algorithm != ALGORITHM {
            return Err(self.invalid("Invalid algorithm"));
        }
        UnparsedPublicKey::new(&ED25519, &credential.public_key)
            .verify(token.signed.as_bytes(), &token.signature)
            .map_err(|_| self.invalid("Invalid signature"))?;
        let times = Times::of(&token.claims);
        let accepted = verified(times, Arc::clone(&credential.identity));
        if accepted.is_ok() {
            let identity = Arc::clone(&credential.identity);
            credentials.known.insert(text, Known { identity, times });
        }
        accepted
    }

    fn verify_times(&self, times: Times, now: SystemTime) -> Result<(), Map<String, Value>> {
        let now_s = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        #[expect(
            clippy::cast_precision_loss,
            reason = "Unix seconds are far below 2^53"
        )]
        let now_s = now_s as f64;
        let mut errors = Map::new();
        for claim in &self.claims_to_verify {
            let (name, time, late) = match claim {
                Claim::Exp => ("exp", times.exp, "token expired"),
                Claim::Nbf => ("nbf", times.nbf, "token not valid yet"),
            };
            let problem = match (claim, time) {
                (_, None) => "must be a number",
                (Claim::Exp, Some(expires_s)) if expires_s <= now_s => late,
                (Claim::Nbf, Some(from_s)) if from_s > now_s => late,
                _ => continue,
            };
            errors.insert(name.to_owned(), problem.into());
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a lifetime is far below 2^53 seconds"
        )]
        let maximum_s = self.maximum_expiration_s as f64;
        let too_long = |expires_s| expires_s - now_s > maximum_s;
        if errors.is_empty() && maximum_s > 0.0 && times.exp.is_none_or(too_long) {
            errors.insert(
                "exp".to_owned(),
                "exceeds maximum allowed expiration".into(),
            );
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// The distinct tokens of the request.
    fn tokens<'a>(&self, request: &'a http::request::Parts) -> Vec<&'a str> {
        let mut tokens = Vec::new();
        let mut add = |token: &'a str| {
            if !token.is_empty() && !tokens.contains(&token) {
                tokens.push(token);
            }
        };
        if !self.uri_param_names.is_empty() {
            for pair in request.uri.query().unwrap_or_default().split('&') {
                if let Some((name, value)) = pair.split_once('=')
                    && self.uri_param_names.iter().any(|known| known == name)
                {
                    add(value);
                }
            }
        }
        for name in &self.cookie_names {
            for cookies in request.headers.get_all(COOKIE) {
                for pair in cookies.to_str().unwrap_or_default().split(';') {
                    if let Some((known, value)) = pair.trim().split_once('=')
                        && known == name
                    {
                        add(value);
                    }
                }
            }
        }
        for name in &self.header_names {
            if let Some(token) = request.headers.get(name).and_then(bearer) {
                add(token);
            }
        }
        tokens
    }

    fn invalid(&self, text: &str) -> Reply {
        unauthorized(message(text), &self.challenge_invalid)
    }
}

/// Tells the upstream who was authenticated.
pub(crate) fn identify(identity: Option<&Identity>, headers: &mut HeaderMap) {
    const CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
    const CONSUMER_CUSTOM_ID: HeaderName = HeaderName::from_static("x-consumer-custom-id");
    const CONSUMER_USERNAME: HeaderName = HeaderName::from_static("x-consumer-username");
    const CREDENTIAL: HeaderName = HeaderName::from_static("x-credential-identifier");
    const ANONYMOUS: HeaderName = HeaderName::from_static("x-anonymous-consumer");
    const GROUPS: HeaderName = HeaderName::from_static("x-consumer-groups");

    let known = |get: fn(&Identity) -> Option<&str>| {
        identity
            .and_then(get)
            .and_then(|text| HeaderValue::from_str(text).ok())
    };
    // Kong keeps these headers on routes without authentication. Here, no client may set them.
    for (name, value) in [
        (CONSUMER_ID, known(|identity| Some(&identity.consumer_id))),
        (
            CONSUMER_CUSTOM_ID,
            known(|identity| identity.custom_id.as_deref()),
        ),
        (
            CONSUMER_USERNAME,
            known(|identity| Some(&identity.username)),
        ),
        (CREDENTIAL, known(|identity| Some(&identity.key))),
        (ANONYMOUS, None),
        (GROUPS, None),
    ] {
        match value {
            Some(value) => headers.insert(name, value),
            None => headers.remove(name),
        };
    }
}

fn message(text: &str) -> Value {
    json!({ "message": text })
}

fn unauthorized(body: Value, challenge: &HeaderValue) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, challenge.clone());
    Reply::exit(StatusCode::UNAUTHORIZED, Some(body)).with_headers(headers)
}

/// The token of an `Authorization: Bearer` header, found as Kong's pattern
/// `\s*[Bb]earer\s+(.+)` finds it.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let scheme = text.find("earer").filter(|at| {
        at.checked_sub(1)
            .is_some_and(|first| matches!(text.as_bytes()[first], b'B' | b'b'))
    })?;
    let rest = &text[scheme + "earer".len()..];
    let token = rest.trim_start();
    (token.len() < rest.len() && !token.is_empty()).then_some(token)
}

struct Token<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    algorithm: String,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    fn decode(token: &'a str) -> Result<Self, &'static str> {
        let mut parts = token.splitn(3, '.');
        let (Some(header_64), Some(claims_64), Some(signature_64)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err("invalid JSON");
        };
        let object = |part: &str| -> Option<Map<String, Value>> {
            serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
        };
        let header = object(header_64).ok_or("invalid JSON")?;
        let claims = object(claims_64).ok_or("invalid JSON")?;
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .filter(|alg| ALGORITHMS.contains(alg))
            .ok_or("invalid alg")?
            .to_owned();
        let signature = BASE64
            .decode(signature_64)
            .map_err(|_| "invalid signature")?;
        let signed = &token[..header_64.len() + 1 + claims_64.len()];
        Ok(Self {
            header,
            claims,
            algorithm,
            signed,
            signature,
        })
    }
}

/// The 32 bytes of an Ed25519 public key in PEM (`-----BEGIN PUBLIC KEY-----`, RFC 8410).
pub(crate) fn ed25519_from_pem(pem: &str) -> Option<[u8; 32]> {
    /// SubjectPublicKeyInfo of id-Ed25519 up to the key itself (RFC 8410 section 4).
    const SPKI: [u8; 12] = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let body = pem
        .trim()
        .strip_prefix("-----BEGIN PUBLIC KEY-----")?
        .strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .ok()?;
    der.strip_prefix(&SPKI)?.try_into().ok()
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
