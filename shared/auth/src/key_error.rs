//! Why a text is not a key.

use std::fmt;

use serde::de::DeserializeOwned;

/// Why a text is not a key, or not a set of keys.
///
/// Its message names the key's place in the set and the member at fault, never a private part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    /// Which key of the set, counted from 0; none when the fault is not in one key of a set.
    pub index: Option<usize>,
    /// What is wrong.
    pub kind: KeyErrorKind,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// The text is not the JSON of a key; the parser's own message is dropped, since it may quote
    /// a private part.
    #[error("{problem} (line {line}, column {column})")]
    Json {
        /// The kind of the parser's error.
        problem: &'static str,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// A member is not there, or empty.
    #[error("the member {0:?} is missing")]
    Missing(&'static str),
    /// A member has a value that this crate does not support.
    #[error("the member {member:?} must be {expected:?}")]
    Unsupported {
        /// The member's name.
        member: &'static str,
        /// The one value that is accepted.
        expected: &'static str,
    },
    /// A member is not the base64url (without padding) of 32 bytes.
    #[error("the member {0:?} must be 32 bytes in base64url without padding")]
    Bytes(&'static str),
    /// A key that should be public has the member `d`.
    #[error("this is a private key, where a public one belongs")]
    Private,
    /// The public part is not the one of the private part.
    #[error("\"x\" is not the public key of \"d\"")]
    Mismatch,
    /// A set without keys.
    #[error("there is no key")]
    Empty,
    /// Two keys with one `kid`.
    #[error("two keys have the kid {0:?}")]
    DuplicateKid(String),
    /// One key, or one `kid`, for both issuers.
    #[error("the key {0:?} belongs to both issuers")]
    SharedKey(String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "keys[{index}]: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl std::error::Error for KeyError {}

impl From<KeyErrorKind> for KeyError {
    fn from(kind: KeyErrorKind) -> Self {
        Self { index: None, kind }
    }
}

/// Parses JSON, and drops the parser's message, which may quote a value.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, KeyError> {
    serde_json::from_str(text).map_err(|error| {
        let problem = match error.classify() {
            serde_json::error::Category::Data => "a member is repeated or has the wrong type",
            _ => "this is not JSON",
        };
        KeyErrorKind::Json {
            problem,
            line: error.line(),
            column: error.column(),
        }
        .into()
    })
}
