//! Public keys as JSON Web Keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::key_error::{KeyError, KeyErrorKind, from_json};

/// DER of a SubjectPublicKeyInfo up to the 32 bytes of an Ed25519 key (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The members of a JWK that concern us. Others are ignored (RFC 7517, section 4).
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Jwk {
    #[serde(skip_serializing_if = "Option::is_none")]
    kty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) d: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
}

impl Jwk {
    /// The public part, checked.
    pub(crate) fn public(&self) -> Result<PublicKey, KeyErrorKind> {
        let members = [
            ("kty", &self.kty, "OKP", true),
            ("crv", &self.crv, "Ed25519", true),
            ("alg", &self.alg, "EdDSA", false),
            ("use", &self.usage, "sig", false),
        ];
        for (member, value, expected, required) in members {
            match value.as_deref() {
                Some(value) if value == expected => {}
                Some(_) => return Err(KeyErrorKind::Unsupported { member, expected }),
                None if required => return Err(KeyErrorKind::Missing(member)),
                None => {}
            }
        }
        let kid = self.kid.clone().filter(|kid| !kid.is_empty());
        let x = self.x.as_deref().ok_or(KeyErrorKind::Missing("x"))?;
        Ok(PublicKey {
            kid: kid.ok_or(KeyErrorKind::Missing("kid"))?,
            bytes: *decode_32("x", x)?,
        })
    }
}

/// Decodes the base64url of 32 bytes.
pub(crate) fn decode_32(
    member: &'static str,
    text: &str,
) -> Result<Zeroizing<[u8; 32]>, KeyErrorKind> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new);
    bytes
        .ok()
        .and_then(|bytes| Some(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
        .ok_or(KeyErrorKind::Bytes(member))
}

/// An Ed25519 public key with its `kid`.
///
/// Its serde form is a public JWK (RFC 8037, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub struct PublicKey {
    kid: String,
    bytes: [u8; 32],
}

impl PublicKey {
    /// A key that is named by its thumbprint.
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self {
            kid: thumbprint(&bytes),
            bytes,
        }
    }

    /// The name by which a token says which key signed it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The 32 bytes of the key (RFC 8032, section 5.1.5).
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The SHA-256 thumbprint of the key, in base64url (RFC 7638; RFC 8037, appendix A.3).
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.bytes)
    }

    /// The key as PEM: a SubjectPublicKeyInfo (RFC 8410), as Kong and OpenSSL read it.
    pub fn to_pem(&self) -> String {
        let der = [SPKI_PREFIX.as_slice(), &self.bytes].concat();
        let body = STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// The key as a public JWK, in one line of JSON.
    pub fn to_jwk(&self) -> String {
        serde_json::to_string(self).expect("a struct of strings is JSON")
    }
}

fn thumbprint(bytes: &[u8; 32]) -> String {
    // The required members in lexical order, without white space (RFC 7638, section 3).
    let x = URL_SAFE_NO_PAD.encode(bytes);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: Some("OKP".to_owned()),
            crv: Some("Ed25519".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(key.bytes)),
            alg: Some("EdDSA".to_owned()),
            usage: Some("sig".to_owned()),
            kid: Some(key.kid),
            d: None,
        }
    }
}

impl TryFrom<Jwk> for PublicKey {
    type Error = KeyError;

    fn try_from(jwk: Jwk) -> Result<Self, Self::Error> {
        if jwk.d.is_some() {
            return Err(KeyErrorKind::Private.into());
        }
        Ok(jwk.public()?)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_json::<Jwk>(text)?.try_into()
    }
}

/// The public keys of one issuer, all valid at once; a token's `kid` chooses.
///
/// Its text and serde form is a JWK Set (RFC 7517, section 5): `{"keys":[…]}`. It is read more
/// strictly than the RFC asks, since it is our own configuration: a key that is not Ed25519, a
/// private key or a repeated `kid` is an error, and so is a set without keys. The default is the
/// set that trusts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JwkSet")]
pub struct Keys {
    keys: Vec<PublicKey>,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Option<Vec<Jwk>>,
}

impl Keys {
    /// A set of these keys.
    ///
    /// # Errors
    ///
    /// [`KeyErrorKind::Empty`] without keys, [`KeyErrorKind::DuplicateKid`] when two have one `kid`.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, KeyError> {
        let keys: Vec<_> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(KeyErrorKind::Empty.into());
        }
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|earlier| earlier.kid == key.kid) {
                return Err(KeyError {
                    index: Some(index),
                    kind: KeyErrorKind::DuplicateKid(key.kid.clone()),
                });
            }
        }
        Ok(Self { keys })
    }

    /// The keys, in their order in the set.
    pub fn iter(&self) -> std::slice::Iter<'_, PublicKey> {
        self.keys.iter()
    }

    /// Whether this set trusts nobody.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl<'a> IntoIterator for &'a Keys {
    type Item = &'a PublicKey;
    type IntoIter = std::slice::Iter<'a, PublicKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl TryFrom<JwkSet> for Keys {
    type Error = KeyError;

    fn try_from(set: JwkSet) -> Result<Self, Self::Error> {
        let keys = set.keys.ok_or(KeyErrorKind::Missing("keys"))?;
        let keys = keys.into_iter().enumerate().map(|(index, jwk)| {
            PublicKey::try_from(jwk).map_err(|error| KeyError {
                index: Some(index),
                ..error
            })
        });
        Self::new(keys.collect::<Result<Vec<_>, _>>()?)
    }
}

impl FromStr for Keys {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_json::<JwkSet>(text)?.try_into()
    }
}

/// The JWK Set, in one line of JSON.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).expect("a struct of strings is JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn rfc_key() -> PublicKey {
        PublicKey::new(*decode_32("x", X).unwrap())
    }

    /// RFC 8037, appendix A.3.
    #[test]
    fn the_thumbprint_is_the_one_of_the_rfc() {
        let expected = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(rfc_key().thumbprint(), expected);
        assert_eq!(rfc_key().kid(), expected);
    }

    /// RFC 8410, section 10.1.
    #[test]
    fn the_pem_is_the_one_of_the_rfc() {
        let x = decode_32("x", "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE").unwrap();
        let expected = "-----BEGIN PUBLIC KEY-----\n\
                        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                        -----END PUBLIC KEY-----\n";
        assert_eq!(PublicKey::new(*x).to_pem(), expected);
    }

    #[test]
    fn a_set_survives_its_text() {
        let other = PublicKey::new([7; 32]);
        let keys = Keys::new([rfc_key(), other]).unwrap();
        assert_eq!(keys.to_string().parse(), Ok(keys.clone()));
        let kids: Vec<_> = keys.iter().map(PublicKey::kid).collect();
        assert_eq!(kids.len(), 2);
        assert_eq!(rfc_key().to_jwk().parse(), Ok(rfc_key()));
    }

    #[test]
    fn members_that_do_not_concern_us_are_ignored() {
        let text = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{X}","x5t":1}}],"next":2}}"#
        );
        let keys: Keys = text.parse().unwrap();
        assert_eq!(keys.iter().next().unwrap().kid(), "a");
    }

    #[test]
    fn a_bad_set_says_which_key_and_why() {
        let good = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{X}"}}"#);
        let set = |from: &str, to: &str| {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            let first = good.replace(r#""kid":"a""#, r#""kid":"first""#);
            format!(r#"{{"keys":[{first},{bad}]}}"#)
        };
        let table = [
            (String::new(), "this is not JSON (line 1, column 0)"),
            ("{}".to_owned(), "the member \"keys\" is missing"),
            (r#"{"keys":[]}"#.to_owned(), "there is no key"),
            (
                r#"{"keys":{}}"#.to_owned(),
                "a member is repeated or has the wrong type (line 1, column 8)",
            ),
            (
                set("OKP", "RSA"),
                "keys[1]: the member \"kty\" must be \"OKP\"",
            ),
            (
                set("Ed25519", "X25519"),
                "keys[1]: the member \"crv\" must be \"Ed25519\"",
            ),
            (
                set(r#""kid":"a","#, ""),
                "keys[1]: the member \"kid\" is missing",
            ),
            (
                set(r#""kid":"a""#, r#""kid":"""#),
                "keys[1]: the member \"kid\" is missing",
            ),
            (
                set(r#""kid":"a""#, r#""kid":"first""#),
                "keys[1]: two keys have the kid \"first\"",
            ),
            (
                set(X, "AAAA"),
                "keys[1]: the member \"x\" must be 32 bytes in base64url without padding",
            ),
            (
                set(X, "%%%%"),
                "keys[1]: the member \"x\" must be 32 bytes in base64url without padding",
            ),
            (
                set(r#""kid""#, r#""alg":"HS256","kid""#),
                "keys[1]: the member \"alg\" must be \"EdDSA\"",
            ),
            (
                set(r#""kid""#, r#""use":"enc","kid""#),
                "keys[1]: the member \"use\" must be \"sig\"",
            ),
            (
                set(r#""kid""#, r#""d":"AA","kid""#),
                "keys[1]: this is a private key, where a public one belongs",
            ),
        ];
        for (text, expected) in table {
            let error = text.parse::<Keys>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }
}
