//! Passwords of roles, never shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZero;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::{
    RngExt,
    distr::{Alphanumeric, SampleString},
};
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

/// 32 characters of 62: 190 bits, more than enough for SCRAM-SHA-256.
const LENGTH: usize = 32;

/// The fewest different characters of a password that counts as random. Random ones have 25 on average, and
/// fewer than 16 about once in four million.
const DIFFERENT: usize = 16;

/// Rounds of a verifier for a password that a person may have chosen (RFC 7677, section 4: at least 4096).
const ROUNDS: NonZero<u32> = NonZero::new(4096).expect("4096 is not 0");

/// Rounds of a verifier for a password of ours. Rounds make guessing slower, and nobody guesses 190 random
/// bits. But each login pays for the rounds, on both sides: 4096 take about as long as a query.
const ROUNDS_OF_RANDOM: NonZero<u32> = NonZero::<u32>::MIN;

/// The bytes of a verifier's salt, as PostgreSQL has them.
const SALT_LENGTH: usize = 16;

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

    /// Whether it has the form of those that [`Password::random`] makes: 32 letters and digits, capital
    /// and small ones, most of them different. Where a password was made is not recorded with it.
    fn is_random(&self) -> bool {
        let has = |kind: fn(&u8) -> bool| self.0.bytes().any(|byte| kind(&byte));
        self.0.len() == LENGTH
            && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
            && self.0.bytes().collect::<BTreeSet<_>>().len() >= DIFFERENT
    }

    /// The rounds of its verifier.
    fn rounds(&self) -> NonZero<u32> {
        if self.is_random() {
            ROUNDS_OF_RANDOM
        } else {
            ROUNDS
        }
    }

    /// The verifier that the server keeps instead of it (RFC 5803): with 4096 rounds, or one for a random
    /// password. Statements with a verifier may be logged.
    pub fn verifier(&self) -> String {
        let rounds = self.rounds();
        let salt: [u8; SALT_LENGTH] = rand::rng().random();
        let Keys { stored, server } = self.keys(rounds, &salt);
        let [salt, stored, server] =
            [&salt[..], &stored, &server].map(|part| STANDARD.encode(part));
        format!("SCRAM-SHA-256${rounds}:{salt}${stored}:{server}")
    }

    /// Whether `verifier`, which a server keeps, is one of this password.
    pub(crate) fn is_of(&self, verifier: &str) -> bool {
        let Some(kept) = Verifier::parse(verifier) else {
            return false;
        };
        // The one who asks has both: there is nothing to learn from how long this takes.
        self.keys(kept.rounds, &kept.salt).stored == kept.stored
    }

    /// Whether a verifier of this password has the rounds that it would get now.
    pub(crate) fn has_rounds_of(&self, verifier: &str) -> bool {
        Verifier::parse(verifier).is_some_and(|kept| kept.rounds == self.rounds())
    }

    /// Its keys of RFC 5802, section 3. A password of ASCII alone is its own SASLprep.
    fn keys(&self, rounds: NonZero<u32>, salt: &[u8]) -> Keys {
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        let secret = self.0.as_bytes();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            salt,
            secret,
            &mut salted,
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client = hmac::sign(&key, b"Client Key");
        Keys {
            stored: digest::digest(&digest::SHA256, client.as_ref())
                .as_ref()
                .to_vec(),
            server: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
        }
    }
}

/// StoredKey and ServerKey.
struct Keys {
    stored: Vec<u8>,
    server: Vec<u8>,
}

/// `SCRAM-SHA-256$<rounds>:<salt>$<StoredKey>:<ServerKey>`, without the last.
struct Verifier {
    rounds: NonZero<u32>,
    salt: Vec<u8>,
    stored: Vec<u8>,
}

impl Verifier {
    fn parse(verifier: &str) -> Option<Self> {
        let mut parts = verifier.strip_prefix("SCRAM-SHA-256$")?.split(['$', ':']);
        Some(Self {
            rounds: parts.next()?.parse().ok()?,
            salt: STANDARD.decode(parts.next()?).ok()?,
            stored: STANDARD.decode(parts.next()?).ok()?,
        })
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
    fn only_what_nobody_can_guess_has_few_rounds() {
        for _ in 0..1000 {
            assert!(Password::random().is_random());
        }
        let random = Password::random();
        let verifier = random.verifier();
        assert!(verifier.starts_with("SCRAM-SHA-256$1:"), "{verifier}");
        assert!(random.has_rounds_of(&verifier));
        for chosen in [
            "correct horse battery staple ~!!",
            "correcthorsebatterystaplecorrect",
            "Abc1Abc1Abc1Abc1Abc1Abc1Abc1Abc1",
            "0123456789abcdefghijABCDEFGHIJ",
        ] {
            let chosen = Password::new(chosen);
            let verifier = chosen.verifier();
            assert!(verifier.starts_with("SCRAM-SHA-256$4096:"), "{verifier}");
            assert!(chosen.is_of(&verifier) && chosen.has_rounds_of(&verifier));
            assert!(!chosen.has_rounds_of(&verifier.replace("$4096:", "$1:")));
        }
    }

    #[test]
    fn verifiers_are_those_of_postgresql() {
        // RFC 7677, section 3, the password as a person's.
        let password = Password::new("pencil");
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = password.keys(ROUNDS, &salt);
        assert_eq!(
            STANDARD.encode(keys.stored),
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        );
        assert_eq!(
            STANDARD.encode(keys.server),
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn what_programs_send_differently_is_refused() {
        assert_eq!(Password::new("correct horse ~!").problem(), None);
        for bad in ["", "ö", "a\n", "\u{7f}"] {
            assert!(Password::new(bad).problem().is_some(), "{bad:?}");
        }
    }
}
