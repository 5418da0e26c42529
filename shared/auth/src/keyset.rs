//! The keys of one issuer through their rotation.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::jwk::Jwk;
use crate::key_error::{KeyError, KeyErrorKind, from_json};
use crate::verifier::unix_seconds;
use crate::{KeyPair, Keys, PublicKey, RandomUnavailable};

/// The key that an issuer signs with now, and the public keys that it signed with before.
///
/// The serde form is
/// `{"current":<private JWK>,"previous":[{"key":<public JWK>,"replaced_at":<Unix seconds>}, …]}`,
/// newest first. It is a secret: only the owner of its file may read it (mode 0600). It is one
/// value, so a file has either the state before a rotation or the one after it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct KeySet {
    current: KeyPair,
    previous: Vec<Previous>,
}

/// A key that an issuer signed with before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Previous {
    key: PublicKey,
    replaced_at: u64,
}

impl Previous {
    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// When another key replaced it, in whole seconds.
    pub fn replaced_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.replaced_at)
    }
}

/// [`KeySet`] before its keys were checked.
#[derive(Deserialize)]
struct Stored {
    current: Option<Jwk>,
    #[serde(default)]
    previous: Vec<StoredPrevious>,
}

/// [`Previous`] before its key was checked.
#[derive(Deserialize)]
struct StoredPrevious {
    key: Jwk,
    replaced_at: u64,
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

    /// The keys that signed before, newest first.
    pub fn previous(&self) -> &[Previous] {
        &self.previous
    }

    fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        let current = std::iter::once(self.current.public());
        let previous = self.previous.iter().map(Previous::key);
        current.chain(previous).cloned()
    }

    /// Signs with a new key from `now` on. Tokens signed with the keys before it stay valid, until
    /// [`retire`](Self::retire).
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] when the operating system gives no random bytes; the set is unchanged.
    pub fn rotate(&mut self, now: SystemTime) -> Result<(), RandomUnavailable> {
        let replaced = std::mem::replace(&mut self.current, KeyPair::generate()?);
        let replaced = Previous {
            key: replaced.public().clone(),
            replaced_at: unix_seconds(now),
        };
        self.previous.insert(0, replaced);
        Ok(())
    }

    /// Removes the previous keys that were replaced at `until` or before, and returns them. Their
    /// tokens are refused from now on.
    ///
    /// That does no harm if the last token of a key has expired: the longest lifetime of a token
    /// has passed since the key was replaced.
    pub fn retire(&mut self, until: SystemTime) -> Vec<Previous> {
        let gone = |previous: &mut Previous| previous.replaced_at <= unix_seconds(until);
        self.previous.extract_if(.., gone).collect()
    }

    /// Removes all previous keys at once, and returns them. Used when a key became known.
    pub fn retire_all(&mut self) -> Vec<Previous> {
        std::mem::take(&mut self.previous)
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
        let previous = stored.previous.into_iter().map(|previous| {
            Ok::<_, KeyError>(Previous {
                key: previous.key.try_into()?,
                replaced_at: previous.replaced_at,
            })
        });
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

    fn at(unix_s: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s)
    }

    #[test]
    fn rotation_keeps_the_public_keys_newest_first() {
        let mut set = KeySet::generate().unwrap();
        let first = set.current().kid().to_owned();
        assert_eq!(kids(&set), std::slice::from_ref(&first));
        set.rotate(at(100)).unwrap();
        let second = set.current().kid().to_owned();
        set.rotate(at(200)).unwrap();
        let third = set.current().kid().to_owned();
        let all = [third.clone(), second.clone(), first.clone()];
        assert_eq!(kids(&set), all);
        assert_eq!(set.previous()[1].replaced_at(), at(100));

        assert_eq!(set.retire(at(99)), []);
        assert_eq!(kids(&set), all);
        let gone = set.retire(at(100));
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].key().kid(), first);
        assert_eq!(kids(&set), [third.clone(), second]);
        assert_eq!(set.retire_all().len(), 1);
        assert_eq!(kids(&set), [third]);
    }

    #[test]
    fn a_set_survives_its_file() {
        let mut set = KeySet::generate().unwrap();
        set.rotate(at(1_800_000_000)).unwrap();
        let again = KeySet::from_json(&set.to_json()).unwrap();
        assert_eq!(kids(&again), kids(&set));
        assert_eq!(again.previous(), set.previous());
        assert_eq!(again.current().seed(), set.current().seed());
        assert_eq!(again.to_json(), set.to_json());
    }

    #[test]
    fn only_the_current_key_is_stored_with_its_private_part() {
        let mut set = KeySet::generate().unwrap();
        set.rotate(at(1_800_000_000)).unwrap();
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
        set.previous.push(Previous {
            key: set.current.public().clone(),
            replaced_at: 0,
        });
        assert_eq!(
            error(&set.to_json()),
            format!("keys[1]: two keys have the kid {kid:?}")
        );
    }
}
