//! The keys of one issuer through their rotation.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::jwk::Jwk;
use crate::key_error::{KeyError, KeyErrorKind, from_json};
use crate::{KeyPair, Keys, PublicKey, RandomUnavailable};

/// The key that an issuer signs with now, and the public keys that it signed with before.
///
/// Its serde form is `{"current":<private JWK>,"previous":[<public JWK>, …]}`, newest first. That
/// is a secret: a file that holds it is for its owner only (mode 0600).
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct KeySet {
    current: KeyPair,
    previous: Vec<PublicKey>,
}

/// [`KeySet`] before its keys were checked.
#[derive(Deserialize)]
struct Stored {
    current: Option<Jwk>,
    #[serde(default)]
    previous: Vec<Jwk>,
}

impl KeySet {
    /// A set with one new key.
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] when the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        Ok(Self {
            current: KeyPair::generate()?,
            previous: Vec::new(),
        })
    }

    /// The key to sign with.
    pub fn current(&self) -> &KeyPair {
        &self.current
    }

    /// The keys to verify with: the current one first, then the previous ones.
    pub fn keys(&self) -> Keys {
        Keys::new(self.public_keys())
            .expect("there is a current key, and kids differ: read so, or made as thumbprints")
    }

    fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        let current = std::iter::once(self.current.public());
        current.chain(&self.previous).cloned()
    }

    /// Signs with a new key from now on. Tokens signed with the keys before it stay valid, until
    /// [`retire`](Self::retire).
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] when the operating system gives no random bytes; the set is unchanged.
    pub fn rotate(&mut self) -> Result<(), RandomUnavailable> {
        let retired = std::mem::replace(&mut self.current, KeyPair::generate()?);
        self.previous.insert(0, retired.public().clone());
        Ok(())
    }

    /// Forgets all but the newest `keep` previous keys: their tokens are refused from now on.
    ///
    /// A key may be forgotten without harm once the longest lifetime of a token has passed since
    /// the rotation that replaced it; at once, with `keep` 0, when a key became known.
    pub fn retire(&mut self, keep: usize) {
        self.previous.truncate(keep);
    }

    /// Reads the JSON of a set.
    ///
    /// # Errors
    ///
    /// [`KeyError`], whose message does not quote the file.
    pub fn from_json(text: &str) -> Result<Self, KeyError> {
        from_json::<Stored>(text)?.try_into()
    }

    /// The JSON of the set, indented: a secret, erased from memory when dropped.
    pub fn to_json(&self) -> Zeroizing<String> {
        // Sized so that it never grows, which would leave copies of the secret behind.
        let capacity = 512 * (1 + self.previous.len());
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer_pretty(&mut *text, self).expect("a struct of strings is JSON");
        let text = std::mem::take(&mut *text);
        Zeroizing::new(String::from_utf8(text).expect("JSON is UTF-8"))
    }
}

impl TryFrom<Stored> for KeySet {
    type Error = KeyError;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let current = stored.current.ok_or(KeyErrorKind::Missing("current"))?;
        let current = KeyPair::try_from(current)?;
        let previous = stored.previous.into_iter().map(PublicKey::try_from);
        let previous = previous.collect::<Result<Vec<_>, _>>()?;
        let set = Self { current, previous };
        Keys::new(set.public_keys())?;
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kids(set: &KeySet) -> Vec<String> {
        let keys = set.keys();
        keys.iter().map(|key| key.kid().to_owned()).collect()
    }

    #[test]
    fn rotation_keeps_the_public_keys_newest_first() {
        let mut set = KeySet::generate().unwrap();
        let first = set.current().kid().to_owned();
        assert_eq!(kids(&set), std::slice::from_ref(&first));
        set.rotate().unwrap();
        let second = set.current().kid().to_owned();
        set.rotate().unwrap();
        let third = set.current().kid().to_owned();
        assert_eq!(kids(&set), [third.clone(), second.clone(), first]);
        set.retire(1);
        assert_eq!(kids(&set), [third.clone(), second]);
        set.retire(0);
        assert_eq!(kids(&set), [third]);
    }

    #[test]
    fn a_set_survives_its_file() {
        let mut set = KeySet::generate().unwrap();
        set.rotate().unwrap();
        let again = KeySet::from_json(&set.to_json()).unwrap();
        assert_eq!(kids(&again), kids(&set));
        assert_eq!(again.current().seed(), set.current().seed());
        assert_eq!(again.to_json(), set.to_json());
    }

    #[test]
    fn only_the_current_key_is_stored_with_its_private_part() {
        let mut set = KeySet::generate().unwrap();
        set.rotate().unwrap();
        assert_eq!(set.to_json().matches("\"d\"").count(), 1);
        assert!(!set.keys().to_string().contains("\"d\""));
    }

    #[test]
    fn a_bad_file_says_why() {
        let error = |text: &str| KeySet::from_json(text).unwrap_err().to_string();
        let mut set = KeySet::generate().unwrap();
        let kid = set.current.kid().to_owned();
        assert_eq!(error("{}"), "the member \"current\" is missing");
        let public = format!(r#"{{"current":{}}}"#, set.current.public().to_jwk());
        assert_eq!(error(&public), "the member \"d\" is missing");
        set.previous.push(set.current.public().clone());
        assert_eq!(
            error(&set.to_json()),
            format!("keys[1]: two keys have the kid {kid:?}")
        );
    }
}
