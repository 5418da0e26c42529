//! The parts of the engine, put together: what a function's environment is, and how the gateway
//! reaches the activator.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use axum::body::Body;
use http::{Request, Response};
use zerocart_activator::Activator;
use zerocart_gateway::{Consumers, JwtKey, Target, Upstream, UpstreamError};
use zerocart_local_postgres::Database;

use crate::{domains, keys::Keys};

/// The consumer whose keys the gateway accepts.
const CONSUMER: &str = "zerocart-users";

/// What each function gets beside what its manifest says: what a cluster takes from secrets.
#[derive(Clone)]
pub(crate) struct Environment {
    databases: BTreeMap<&'static str, String>,
    user_keys: String,
    service_keys: String,
    signing_key: String,
    log_level: String,
}

impl Environment {
    pub(crate) fn new(databases: &[Database], keys: &Keys, log_level: &str) -> Result<Self> {
        let databases = domains::names()
            .into_iter()
            .map(|domain| {
                let database = databases
                    .iter()
                    .find(|database| database.domain == domain)
                    .ok_or_else(|| anyhow!("the domain {domain} has no database"))?;
                Ok((domain, database.url.expose()))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            databases,
            user_keys: keys.user.keys().to_string(),
            service_keys: keys.service.keys().to_string(),
            signing_key: keys.user.current().to_private_jwk().to_string(),
            log_level: log_level.to_owned(),
        })
    }

    /// The variables of one function. Only the one that signs gets the key that signs.
    pub(crate) fn of(&self, function: &str) -> Vec<(String, String)> {
        let Some(entry) = domains::function(function) else {
            return Vec::new();
        };
        let mut vars = vec![
            ("AUTH_USER_KEYS".to_owned(), self.user_keys.clone()),
            ("AUTH_SERVICE_KEYS".to_owned(), self.service_keys.clone()),
            ("LOG_LEVEL".to_owned(), self.log_level.clone()),
        ];
        if let Some(url) = self.databases.get(entry.info.domain) {
            vars.push(("DATABASE_URL".to_owned(), url.clone()));
        }
        if function == "authenticate-user" {
            vars.push(("AUTH_SIGNING_KEY".to_owned(), self.signing_key.clone()));
        }
        vars
    }
}

/// The consumer that a deployment merges into `kong.yml`: the public keys of the user issuer.
pub(crate) fn consumers(keys: &Keys) -> Result<Consumers> {
    let keys = keys.user.keys();
    let keys = keys.iter().map(|key| JwtKey {
        key: key.kid().to_owned(),
        rsa_public_key: key.to_pem(),
    });
    Consumers::one(CONSUMER, keys).context("the gateway refused the public keys")
}

/// Takes a request to the function that its host names, as Kourier does on a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Functions(pub(crate) Activator);

impl Upstream for Functions {
    async fn send(
        &self,
        target: Target,
        request: Request<Body>,
    ) -> Result<Response<Body>, UpstreamError> {
        let function = target.host.split('.').next().unwrap_or_default();
        if domains::function(function).is_none() {
            return Err(UpstreamError::Resolve(
                format!("{} names no function", target.host).into(),
            ));
        }
        Ok(self.0.handle(function, request).await)
    }
}
