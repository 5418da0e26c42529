//! Private keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::jwk::{Jwk, decode_32};
use crate::key_error::{KeyError, KeyErrorKind, from_json};
use crate::{PublicKey, RandomUnavailable, secret};

/// An Ed25519 private key with its public key and `kid`.
///
/// Its text and serde form is a private JWK (RFC 8037, section 2):
/// `{"kty":"OKP","crv":"Ed25519","kid":…,"x":…,"d":…}`, in which `x` has to fit `d`. The private
/// part is hidden from `Debug` and erased from memory when dropped.
pub struct KeyPair {
    public: PublicKey,
    seed: Zeroizing<[u8; 32]>,
}

impl KeyPair {
    /// Draws a new key. Its `kid` is the thumbprint of its public key (RFC 7638).
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] when the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        let mut seed = Zeroizing::new([0; 32]);
        secret::fill(&mut *seed)?;
        Ok(Self {
            public: PublicKey::new(public_of(&seed)),
            seed,
        })
    }

    /// The name of the key.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// The public key, for verifying.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key as a private JWK, in one line of JSON: a secret, erased from memory when dropped.
    pub fn to_private_jwk(&self) -> Zeroizing<String> {
        // A vector that grows would leave copies of the secret behind; a JWK with a thumbprint
        // for its name has about 190 bytes.
        let mut text = Zeroizing::new(Vec::with_capacity(256 + self.kid().len()));
        serde_json::to_writer(&mut *text, self).expect("a struct of strings is JSON");
        let text = std::mem::take(&mut *text);
        Zeroizing::new(String::from_utf8(text).expect("JSON is UTF-8"))
    }

    /// The private part.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

fn public_of(seed: &[u8; 32]) -> [u8; 32] {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed");
    let public = pair.public_key().as_ref();
    public.try_into().expect("a public key has 32 bytes")
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

impl TryFrom<Jwk> for KeyPair {
    type Error = KeyError;

    fn try_from(jwk: Jwk) -> Result<Self, Self::Error> {
        let public = jwk.public()?;
        let d = jwk.d.as_deref().ok_or(KeyErrorKind::Missing("d"))?;
        let seed = decode_32("d", d)?;
        if public_of(&seed) != *public.as_bytes() {
            return Err(KeyErrorKind::Mismatch.into());
        }
        Ok(Self { public, seed })
    }
}

impl FromStr for KeyPair {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_json::<Jwk>(text)?.try_into()
    }
}

impl Serialize for KeyPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut jwk = Jwk::from(self.public.clone());
        jwk.d = Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(self.seed.as_slice())));
        jwk.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeyPair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Jwk::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.1.
    const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn rfc_jwk() -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"rfc","d":"{D}","x":"{X}"}}"#)
    }

    #[test]
    fn reads_the_key_of_the_rfc() {
        let pair: KeyPair = rfc_jwk().parse().unwrap();
        assert_eq!(pair.kid(), "rfc");
        assert_eq!(pair.public().thumbprint().len(), 43);
    }

    #[test]
    fn a_new_key_is_named_by_its_thumbprint_and_survives_its_text() {
        let pair = KeyPair::generate().unwrap();
        assert_eq!(pair.kid(), pair.public().thumbprint());
        let again: KeyPair = pair.to_private_jwk().parse().unwrap();
        assert_eq!(again.public(), pair.public());
        assert_eq!(again.seed(), pair.seed());
        assert_ne!(KeyPair::generate().unwrap().public(), pair.public());
    }

    #[test]
    fn debug_and_the_public_forms_hide_the_private_part() {
        let pair: KeyPair = rfc_jwk().parse().unwrap();
        for text in [
            format!("{pair:?}"),
            pair.public().to_jwk(),
            pair.public().to_pem(),
        ] {
            assert!(!text.contains(D), "{text}");
            assert!(!text.contains("\"d\""), "{text}");
        }
        assert!(pair.to_private_jwk().contains(D));
    }

    #[test]
    fn a_bad_key_says_why_without_quoting_it() {
        let other = KeyPair::generate().unwrap();
        let other_x = URL_SAFE_NO_PAD.encode(other.public().as_bytes());
        let without_d = format!(r#""d":"{D}","#);
        let table = [
            (
                rfc_jwk().replace(&without_d, ""),
                "the member \"d\" is missing",
            ),
            (
                rfc_jwk().replace(X, &other_x),
                "\"x\" is not the public key of \"d\"",
            ),
            (
                rfc_jwk().replace(D, &D[1..]),
                "the member \"d\" must be 32 bytes in base64url without padding",
            ),
            (
                rfc_jwk().replace("OKP", "oct"),
                "the member \"kty\" must be \"OKP\"",
            ),
            (
                format!("\"{D}\""),
                "a member is repeated or has the wrong type (line 1, column 45)",
            ),
            (D.to_owned(), "this is not JSON (line 1, column 2)"),
        ];
        for (text, expected) in table {
            let error = text.parse::<KeyPair>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
            assert!(!format!("{error:?}").contains(&D[..8]));
        }
    }
}
