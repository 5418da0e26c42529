//! A bounded memory of the tokens that were verified a moment ago.
//!
//! A client sends the same token with each of its requests, and checking a signature costs about
//! 50 µs. [`Verified`] keeps what a verifier found out about a token that it accepted.
//!
//! - **The token itself is not kept**, only its digest ([`Key`], SHA-512/256). A changed token has
//!   another digest, so it is verified as if nothing were known. The digest is compared byte by
//!   byte, in a time that depends on its value. That tells nothing: whoever could make a token for
//!   a digest would have broken the hash.
//! - **It holds at most 2 × [`GENERATION`] tokens.** Two generations replace each other: when the
//!   young one is full, it becomes the old one, and what was the old one is forgotten. A token
//!   that is found in the old one moves to the young one. So tokens that are in use stay, and a
//!   flood of other valid tokens costs each of them one verification.
//! - **Time and keys are the owner's.** A token that is known may have expired since. The owner
//!   checks times at each use. A memory belongs to one set of keys: an owner that gets other keys
//!   makes a new one.
//!
//! An empty memory has nothing on the heap, so a process that answers one request pays only for its
//! one entry.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{Mutex, PoisonError},
};

use ring::digest::{Context, SHA512_256};

/// The tokens of a generation.
pub const GENERATION: usize = 512;

/// The digest of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of the text that these parts make together. A part is what distinguishes two readers
    /// of one token, or the token.
    pub fn of(parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA512_256);
        for part in parts {
            // With its length, so that other parts of the same text have another key.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        Self(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// What is known about tokens that were accepted.
pub struct Verified<V>(Mutex<Generations<V>>);

struct Generations<V> {
    young: BTreeMap<Key, V>,
    old: BTreeMap<Key, V>,
}

impl<V: Clone> Verified<V> {
    /// An empty memory.
    pub const fn new() -> Self {
        Self(Mutex::new(Generations {
            young: BTreeMap::new(),
            old: BTreeMap::new(),
        }))
    }

    /// What is known about a token.
    pub fn get(&self, key: &Key) -> Option<V> {
        self.with(|generations| {
            if let Some(value) = generations.young.get(key) {
                return Some(value.clone());
            }
            let value = generations.old.remove(key)?;
            generations.insert(*key, value.clone());
            Some(value)
        })
    }

    /// Remembers a token. Call this only for a token that was accepted. `value` should be small and
    /// of a bounded size: a thousand of them may be kept.
    pub fn insert(&self, key: Key, value: V) {
        self.with(|generations| generations.insert(key, value));
    }

    /// Forgets a token.
    pub fn forget(&self, key: &Key) {
        self.with(|generations| {
            generations.young.remove(key);
            generations.old.remove(key);
        });
    }

    /// How many tokens are known.
    pub fn len(&self) -> usize {
        self.with(|generations| generations.young.len() + generations.old.len())
    }

    /// Whether no token is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<T>(&self, work: impl FnOnce(&mut Generations<V>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<V> Generations<V> {
    fn insert(&mut self, key: Key, value: V) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

impl<V: Clone> Default for Verified<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for Verified<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::of(&[&number.to_string()])
    }

    #[test]
    fn what_was_inserted_is_known_until_it_is_forgotten() {
        let verified = Verified::new();
        assert_eq!(verified.get(&key(1)), None);
        verified.insert(key(1), "one");
        assert_eq!(verified.get(&key(1)), Some("one"));
        assert_eq!(verified.get(&key(2)), None);
        verified.forget(&key(1));
        assert_eq!(verified.get(&key(1)), None);
        assert!(verified.is_empty());
    }

    #[test]
    fn a_flood_of_tokens_neither_grows_it_nor_removes_what_is_in_use() {
        let verified = Verified::new();
        verified.insert(key(0), 0);
        for number in 1..10 * GENERATION {
            verified.insert(key(number), number);
            assert!(verified.len() <= 2 * GENERATION);
            if number % 100 == 0 {
                assert_eq!(verified.get(&key(0)), Some(0), "after {number}");
            }
        }
        assert_eq!(verified.get(&key(1)), None);
    }

    #[test]
    fn a_key_is_of_the_parts_and_not_only_of_their_text() {
        assert_eq!(Key::of(&["a", "bc"]), Key::of(&["a", "bc"]));
        let others = [Key::of(&["ab", "c"]), Key::of(&["abc"]), Key::of(&["abd"])];
        assert!(!others.contains(&Key::of(&["a", "bc"])));
    }
}
