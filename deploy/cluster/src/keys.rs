//! The keys that sign tokens, in the cluster: made once, rotated in the order in which no token is
//! signed with a key that some function does not know.
//!
//! The private keys of both issuers are in the Secret `keys` of the system's namespace. What functions
//! and the edge get is derived from it, so a rotation that died is ended by the next deployment.

use std::time::SystemTime;

use serde_json::{Value, json};
use zerocart_auth::{Issuer, KeySet};

use crate::{Applied, Kubectl, Problem, Result, names, secrets::Data};

/// The Secret with the keys of both issuers.
const SECRET: &str = "keys";

/// The Secrets of functions.
pub const PUBLIC: &str = "zerocart-auth";
const SIGNING: &str = "zerocart-signing";
const SERVICE_SIGNING: &str = "zerocart-service-signing";

/// The consumer of Kong whose tokens are let in.
const CONSUMER: &str = "zerocart-users";

/// The keys of both issuers.
pub struct TokenKeys {
    /// Signs for people.
    pub user: KeySet,
    /// Signs for functions. The edge does not know it.
    pub service: KeySet,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys").finish_non_exhaustive()
    }
}

impl TokenKeys {
    /// The cluster's keys, made now if there are none.
    ///
    /// # Errors
    ///
    /// When the Secret cannot be read or written, or holds no keys.
    pub async fn load_or_make(kubectl: &Kubectl) -> Result<(Self, Applied)> {
        let (data, applied) = kubectl
            .secret_made_once(names::SYSTEM, SECRET, |found| {
                let mut data = Data::new();
                for issuer in [Issuer::User, Issuer::Service] {
                    let name = field(issuer);
                    if !found.contains_key(name) {
                        let keys = KeySet::generate();
                        let keys = keys.map_err(|e| Problem::new(e.to_string()))?;
                        data.insert(name.to_owned(), keys.to_json().to_string());
                    }
                }
                Ok(data)
            })
            .await?;
        let keys = |issuer: Issuer| {
            let text = data.get(field(issuer)).map_or("", String::as_str);
            KeySet::from_json(text).map_err(|error| {
                Problem::new(format!(
                    "the Secret {SECRET} holds no keys as {}",
                    field(issuer)
                ))
                .because(error)
            })
        };
        let keys = Self {
            user: keys(Issuer::User)?,
            service: keys(Issuer::Service)?,
        };
        Ok((keys, applied))
    }

    /// The keys of one issuer.
    pub fn of(&mut self, issuer: Issuer) -> &mut KeySet {
        match issuer {
            Issuer::User => &mut self.user,
            Issuer::Service => &mut self.service,
        }
    }

    /// Writes the keys into the cluster.
    ///
    /// # Errors
    ///
    /// When the server refuses them.
    pub async fn save(&self, kubectl: &Kubectl) -> Result<Applied> {
        let data = Data::from([
            (
                field(Issuer::User).to_owned(),
                self.user.to_json().to_string(),
            ),
            (
                field(Issuer::Service).to_owned(),
                self.service.to_json().to_string(),
            ),
        ]);
        kubectl.put_secret(names::SYSTEM, SECRET, &data).await
    }

    /// Gives the functions the public keys. Those that run keep the ones before until they are rolled.
    ///
    /// # Errors
    ///
    /// When the server refuses them.
    pub async fn publish(&self, kubectl: &Kubectl) -> Result<Applied> {
        let data = Data::from([
            ("AUTH_USER_KEYS".to_owned(), self.user.keys().to_string()),
            (
                "AUTH_SERVICE_KEYS".to_owned(),
                self.service.keys().to_string(),
            ),
        ]);
        kubectl.put_secret(names::FUNCTIONS, PUBLIC, &data).await
    }

    /// Gives the functions that sign the keys that sign. Everybody must know the public ones by now.
    ///
    /// # Errors
    ///
    /// When the server refuses them.
    pub async fn sign_with(&self, kubectl: &Kubectl) -> Result<Applied> {
        let mut applied = Applied::default();
        for (secret, variable, keys) in [
            (SIGNING, "AUTH_SIGNING_KEY", &self.user),
            (SERVICE_SIGNING, "AUTH_SERVICE_SIGNING_KEY", &self.service),
        ] {
            let key = keys.current().to_private_jwk().to_string();
            let data = Data::from([(variable.to_owned(), key)]);
            applied += kubectl.put_secret(names::FUNCTIONS, secret, &data).await?;
        }
        Ok(applied)
    }

    /// Whether the functions that sign have a key. Without one they do not start.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn are_signed_with(kubectl: &Kubectl) -> Result<bool> {
        for name in [SIGNING, SERVICE_SIGNING] {
            if kubectl.secret(names::FUNCTIONS, name).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Kong's consumer, with the public keys whose tokens are let in at the edge.
    pub fn consumers(&self) -> Value {
        let secrets: Vec<_> = self
            .user
            .keys()
            .iter()
            .map(|key| {
                json!({"key": key.kid(), "algorithm": "EdDSA", "rsa_public_key": key.to_pem()})
            })
            .collect();
        json!([{"username": CONSUMER, "jwt_secrets": secrets}])
    }

    /// Has new keys sign from now on; those before still verify.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn rotate(&mut self, issuers: &[Issuer], now: SystemTime) -> Result<()> {
        for issuer in issuers {
            let rotated = self.of(*issuer).rotate(now);
            rotated.map_err(|error| Problem::new(error.to_string()))?;
        }
        Ok(())
    }
}

fn field(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::User => "user.json",
        Issuer::Service => "service.json",
    }
}
