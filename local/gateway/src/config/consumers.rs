//! Consumers and their public keys: what a deployment adds to the file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::build;
use super::document;
use super::error::ConfigError;
use super::tree::{Path, Tree};
use crate::plugins::jwt::{self, Credential, Credentials, Identity};

/// The public half of a key that signs tokens, and the name by which tokens refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtKey {
    /// The value of a token's key claim, such as its `kid`.
    pub key: String,
    /// Ed25519 public key in PEM (`-----BEGIN PUBLIC KEY-----`).
    pub rsa_public_key: String,
}

/// Kong's consumers with their JWT credentials.
///
/// The committed file has no keys. A deployment merges its keys into the file; the local engine
/// passes them as this type.
#[derive(Debug, Clone, Default)]
pub struct Consumers(Vec<Consumer>);

#[derive(Debug, Clone)]
pub(super) struct Consumer {
    id: Uuid,
    username: String,
    custom_id: Option<String>,
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    name: String,
    public_key: [u8; 32],
}

/// Why consumers were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumersError {
    /// The text is not an Ed25519 public key in PEM.
    #[error("key \"{0}\" of a consumer is not an Ed25519 public key in PEM")]
    PublicKey(String),
    /// Two credentials have one key: a token could not tell them apart.
    #[error("two jwt_secrets have the key \"{0}\"")]
    DuplicateKey(String),
    /// Two consumers have one username.
    #[error("two consumers are called \"{0}\"")]
    DuplicateUsername(String),
}

impl Consumers {
    /// No consumers: every route with the jwt plugin answers 401.
    pub fn none() -> Self {
        Self::default()
    }

    /// One consumer whose tokens any of `keys` may sign.
    ///
    /// # Errors
    /// When a public key is not Ed25519 in PEM, or two have one name.
    pub fn one(
        username: &str,
        keys: impl IntoIterator<Item = JwtKey>,
    ) -> Result<Self, ConsumersError> {
        let keys = keys
            .into_iter()
            .map(|key| match jwt::ed25519_from_pem(&key.rsa_public_key) {
                Some(public_key) => Ok(Key {
                    name: key.key,
                    public_key,
                }),
                None => Err(ConsumersError::PublicKey(key.key)),
            })
            .collect::<Result<_, _>>()?;
        let consumers = Self(vec![Consumer {
            id: Uuid::new_v4(),
            username: username.to_owned(),
            custom_id: None,
            keys,
        }]);
        consumers.credentials().map(|_| consumers)
    }

    /// Reads a file of its own that holds nothing but `_format_version` and `consumers`.
    ///
    /// # Errors
    /// As [`Config::parse`](super::Config::parse), and when the file holds anything else.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let tree = Tree::parse(file, text)?;
        let document = build::document(&tree)?;
        let root = Path::default();
        for (field, empty) in [
            ("services", document.services.is_empty()),
            ("plugins", document.plugins.is_empty()),
        ] {
            if !empty {
                let message = "a file of consumers holds nothing else";
                return Err(tree.error(&root.key(field), message));
            }
        }
        from_document(&tree, &document.consumers).map(Self)
    }

    /// These and `other`, as a deployment merges two files.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn credentials(&self) -> Result<Credentials, ConsumersError> {
        let mut credentials = HashMap::new();
        let mut usernames = HashSet::new();
        for consumer in &self.0 {
            if !usernames.insert(consumer.username.as_str()) {
                return Err(ConsumersError::DuplicateUsername(consumer.username.clone()));
            }
            for key in &consumer.keys {
                let identity = Arc::new(Identity {
                    consumer_id: consumer.id.to_string(),
                    username: consumer.username.clone(),
                    custom_id: consumer.custom_id.clone(),
                    key: key.name.clone(),
                });
                let credential = Credential {
                    identity,
                    public_key: key.public_key,
                };
                if credentials.insert(key.name.clone(), credential).is_some() {
                    return Err(ConsumersError::DuplicateKey(key.name.clone()));
                }
            }
        }
        Ok(Credentials::new(credentials))
    }
}

impl From<Vec<Consumer>> for Consumers {
    fn from(consumers: Vec<Consumer>) -> Self {
        Self(consumers)
    }
}

pub(super) fn from_document(
    tree: &Tree,
    raw: &[document::Consumer],
) -> Result<Vec<Consumer>, ConfigError> {
    let mut usernames = HashSet::new();
    let mut keys = HashSet::new();
    let root = Path::default().key("consumers");
    raw.iter()
        .enumerate()
        .map(|(position, raw)| {
            let at = root.index(position);
            if !usernames.insert(raw.username.as_str()) {
                let message = format!("another consumer is called \"{}\"", raw.username);
                return Err(tree.error(&at.key("username"), message));
            }
            build::tags(tree, &raw.tags, &at)?;
            let id = match &raw.id {
                None => Uuid::new_v4(),
                Some(id) => Uuid::parse_str(id)
                    .map_err(|_| tree.error(&at.key("id"), "expected a valid UUID"))?,
            };
            let secrets = raw.jwt_secrets.iter().enumerate();
            let keys = secrets
                .map(|(position, secret)| {
                    let at = at.key("jwt_secrets").index(position);
                    if !keys.insert(secret.key.as_str()) {
                        let message = format!("another key is called \"{}\"", secret.key);
                        return Err(tree.error(&at.key("key"), message));
                    }
                    build::tags(tree, &secret.tags, &at)?;
                    self::key(tree, secret, &at)
                })
                .collect::<Result<_, _>>()?;
            Ok(Consumer {
                id,
                username: raw.username.clone(),
                custom_id: raw.custom_id.clone(),
                keys,
            })
        })
        .collect()
}

fn key(tree: &Tree, raw: &document::JwtSecret, at: &Path) -> Result<Key, ConfigError> {
    if raw.key.is_empty() {
        return Err(tree.error(&at.key("key"), "length must be at least 1"));
    }
    if raw.algorithm != jwt::ALGORITHM {
        let message = format!("the local gateway verifies EdDSA, not {}", raw.algorithm);
        return Err(tree.error(&at.key("algorithm"), message));
    }
    let public_key = raw
        .rsa_public_key
        .as_deref()
        .and_then(jwt::ed25519_from_pem)
        .ok_or_else(|| {
            let message = "expected an Ed25519 public key in PEM";
            tree.error(&at.key("rsa_public_key"), message)
        })?;
    Ok(Key {
        name: raw.key.clone(),
        public_key,
    })
}
