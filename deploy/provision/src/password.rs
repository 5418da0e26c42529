//! Passwords of roles, never shown.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postgres_protocol::password::scram_sha_256;
use rand::distr::{Alphanumeric, SampleString};
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

/// 32 characters of 62: 190 bits, more than enough for SCRAM-SHA-256.
const LENGTH: usize = 32;

/// Each role's password.
pub type Passwords = BTreeMap<String, Password>;

/// A password, which `Debug` does not show.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// This password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    /// A new one that cannot be guessed: letters and digits.
    pub fn random() -> Self {
        Self(Alphanumeric.sample_string(&mut rand::rng(), LENGTH))
    }

    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Why a role cannot have it, if so.
    ///
    /// Programs differ in how they send other characters than those of ASCII.
    pub fn problem(&self) -> Option<&'static str> {
        if self.0.is_empty() {
            Some("the password is empty")
        } else if !self.0.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            Some("the password has a character that is not printable ASCII")
        } else {
            None
        }
    }

    /// The verifier that the server keeps instead of it (RFC 5803). Statements with a verifier may
    /// be logged.
    pub fn verifier(&self) -> String {
        scram_sha_256(self.0.as_bytes())
    }

    /// Whether `verifier`, which a server keeps, is one of this password.
    pub(crate) fn is_of(&self, verifier: &str) -> bool {
        // The one who asks has both: there is nothing to learn from how long this takes.
        self.keys(verifier).is_some_and(|(own, kept)| own == kept)
    }

    /// The StoredKey of this password under the salt of a verifier
    /// (`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`), and the verifier's own.
    fn keys(&self, verifier: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut parts = verifier.strip_prefix("SCRAM-SHA-256$")?.split(['$', ':']);
        let iterations: NonZero<u32> = parts.next()?.parse().ok()?;
        let salt = STANDARD.decode(parts.next()?).ok()?;
        let kept = STANDARD.decode(parts.next()?).ok()?;
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        let secret = self.0.as_bytes();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            &salt,
            secret,
            &mut salted,
        );
        let client_key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salted), b"Client Key");
        let own = digest::digest(&digest::SHA256, client_key.as_ref());
        Some((own.as_ref().to_vec(), kept))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_of_one_password() {
        let password = Password::random();
        assert_eq!(password.expose().len(), LENGTH);
        let verifier = password.verifier();
        assert!(password.is_of(&verifier));
        assert!(!Password::random().is_of(&verifier));
        assert!(!password.is_of("md5e8a48653851e28c69d0506508fb27fc5"));
        assert!(!password.is_of(""));
        assert!(!format!("{password:?}").contains(password.expose()));
    }

    #[test]
    fn what_programs_send_differently_is_refused() {
        assert_eq!(Password::new("correct horse ~!").problem(), None);
        for bad in ["", "ö", "a\n", "\u{7f}"] {
            assert!(Password::new(bad).problem().is_some(), "{bad:?}");
        }
    }
}
