//! The parts of the engine, put together: what the environment of a function or job is, and how
//! the gateway reaches the activator.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::{Context, Result, anyhow};
use axum::body::Body;
use http::{Request, Response};
use zerocart_activator::Activator;
use zerocart_deploy::unit::Secret;
use zerocart_gateway::{Consumers, JwtKey, Target, Upstream, UpstreamError};

use crate::{domains, key_files::Keys};

/// The consumer whose keys the gateway accepts.
pub(crate) const CONSUMER: &str = "zerocart-users";

/// What each function and job gets beside what its manifest says: what a cluster takes from
/// secrets, and where functions find each other.
#[derive(Clone)]
pub(crate) struct Environment {
    databases: BTreeMap<&'static str, String>,
    /// Shared by all clones: a change affects every process that starts after it.
    tokens: Arc<RwLock<TokenKeys>>,
    function_url_template: String,
    log_level: String,
    /// Where the engine tells about its functions; empty where it does not.
    fleet_source: String,
}

/// The keys that tokens are checked with, and those that they are signed with.
#[derive(Clone, Default)]
struct TokenKeys {
    user: String,
    service: String,
    signing: String,
    service_signing: String,
}

impl Environment {
    /// `databases` has the URL of each domain's database. `function_url_template` says where functions call
    /// each other.
    pub(crate) fn new(
        databases: &BTreeMap<String, String>,
        keys: &Keys,
        function_url_template: String,
        log_level: &str,
    ) -> Result<Self> {
        let databases = domains::names()
            .into_iter()
            .map(|domain| {
                let url = databases.get(domain);
                let url = url.ok_or_else(|| anyhow!("the domain {domain} has no database"))?;
                Ok((domain, url.clone()))
            })
            .collect::<Result<_>>()?;
        let environment = Self {
            databases,
            tokens: Arc::default(),
            function_url_template,
            log_level: log_level.to_owned(),
            fleet_source: String::new(),
        };
        environment.trust(keys);
        environment.sign_with(keys);
        Ok(environment)
    }

    /// The same, where the engine tells about its functions at this address.
    pub(crate) fn with_fleet(self, status: SocketAddr) -> Self {
        Self {
            fleet_source: format!("http://{status}"),
            ..self
        }
    }

    /// What is started from now on accepts the tokens that these keys sign.
    pub(crate) fn trust(&self, keys: &Keys) {
        let tokens = self.tokens.write();
        let mut tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        tokens.user = keys.user.keys().to_string();
        tokens.service = keys.service.keys().to_string();
    }

    /// What is started from now on signs with these keys.
    pub(crate) fn sign_with(&self, keys: &Keys) {
        let tokens = self.tokens.write();
        let mut tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        tokens.signing = keys.user.current().to_private_jwk().to_string();
        tokens.service_signing = keys.service.current().to_private_jwk().to_string();
    }

    /// The variables of all functions and jobs together, for what starts them in one environment.
    /// The databases are told apart by their domains: `DATABASE_URL_CART`.
    pub(crate) fn of_all(&self) -> Vec<(String, String)> {
        let databases = self.databases.iter();
        let databases =
            databases.map(|(domain, url)| (format!("DATABASE_URL_{}", domain.to_uppercase()), url));
        let tokens = self.tokens.read();
        let tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        let others = [
            ("LOG_LEVEL", &self.log_level),
            ("AUTH_USER_KEYS", &tokens.user),
            ("AUTH_SERVICE_KEYS", &tokens.service),
            ("AUTH_SIGNING_KEY", &tokens.signing),
            ("AUTH_SERVICE_SIGNING_KEY", &tokens.service_signing),
            ("FUNCTION_URL_TEMPLATE", &self.function_url_template),
        ];
        let others = others.map(|(name, value)| (name.to_owned(), value));
        databases
            .chain(others)
            .map(|(name, value)| (name, value.clone()))
            .collect()
    }

    /// The variables of the function or job of this name. Only those that call others get
    /// addresses, and only those that sign get a signing key.
    pub(crate) fn of(&self, name: &str) -> Vec<(String, String)> {
        let tokens = self.tokens.read();
        let tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        let mut vars = vec![("LOG_LEVEL", &self.log_level)];
        let (domain, calls) = if let Some(function) = domains::function(name) {
            (function.info.domain, function.info.calls)
        } else if let Some(job) = domains::job(name) {
            (job.info.domain, job.info.calls)
        } else {
            // A service of the edge, of no domain.
            ("", &[][..])
        };
        for secret in domains::secrets(name) {
            match secret {
                Secret::PublicKeys => {
                    vars.push(("AUTH_USER_KEYS", &tokens.user));
                    vars.push(("AUTH_SERVICE_KEYS", &tokens.service));
                }
                Secret::Database => {
                    vars.extend(self.databases.get(domain).map(|url| ("DATABASE_URL", url)));
                }
                Secret::Signing => vars.push(("AUTH_SIGNING_KEY", &tokens.signing)),
                Secret::ServiceSigning => {
                    vars.push(("AUTH_SERVICE_SIGNING_KEY", &tokens.service_signing));
                }
            }
        }
        if domains::function(name).is_some_and(|function| function.info.reads_fleet) {
            vars.push(("FLEET_SOURCE", &self.fleet_source));
        }
        if !calls.is_empty() {
            vars.push(("FUNCTION_URL_TEMPLATE", &self.function_url_template));
        }
        // The engine collects their spans.
        let format = ("LOG_FORMAT".to_owned(), "otlp".to_owned());
        vars.into_iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .chain([format])
            .collect()
    }
}

/// Whether a function signs tokens.
pub(crate) fn signs(name: &str) -> bool {
    let signs = |secret| matches!(secret, Secret::Signing | Secret::ServiceSigning);
    domains::secrets(name).into_iter().any(signs)
}

/// Where functions call each other. A name that ends in `.localhost` is this machine (RFC 6761), and
/// its first label says which function is meant.
pub(crate) fn function_url_template(port: u16) -> String {
    format!("http://{{function}}.localhost:{port}")
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
        if domains::service(function).is_none() {
            return Err(UpstreamError::Resolve(
                format!("{} names no function", target.host).into(),
            ));
        }
        Ok(self.0.handle(function, request).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(environment: &Environment, name: &str) -> Vec<String> {
        let vars = environment.of(name).into_iter();
        let mut names: Vec<_> = vars.map(|(name, _)| name).collect();
        names.sort();
        names
    }

    #[test]
    fn each_gets_what_it_needs_and_no_more() {
        let databases = domains::names().into_iter();
        let environment = Environment {
            databases: databases.map(|name| (name, format!("of {name}"))).collect(),
            tokens: Arc::new(RwLock::new(TokenKeys {
                user: "user".into(),
                service: "service".into(),
                signing: "signs for people".into(),
                service_signing: "signs for functions".into(),
            })),
            function_url_template: function_url_template(81),
            log_level: "info".into(),
            fleet_source: "http://127.0.0.1:82".into(),
        };
        let all = [
            "AUTH_SERVICE_KEYS",
            "AUTH_USER_KEYS",
            "DATABASE_URL",
            "LOG_FORMAT",
            "LOG_LEVEL",
        ];
        let with = |more: &[&'static str]| {
            let mut all: Vec<_> = all.iter().chain(more).copied().collect();
            all.sort_unstable();
            all
        };
        assert_eq!(names(&environment, "get-product"), with(&[]));
        assert_eq!(names(&environment, "process-payment"), with(&[]));
        let fleet = with(&["FLEET_SOURCE"]);
        assert_eq!(names(&environment, "list-functions"), fleet);
        let signs = with(&["AUTH_SIGNING_KEY"]);
        assert_eq!(names(&environment, "authenticate-user"), signs);
        let calls = with(&["FUNCTION_URL_TEMPLATE"]);
        assert_eq!(names(&environment, "add-to-cart"), calls);
        let service = with(&["AUTH_SERVICE_SIGNING_KEY", "FUNCTION_URL_TEMPLATE"]);
        for name in [
            "create-order",
            "get-order",
            "cancel-order",
            "update-order-status",
        ] {
            assert_eq!(names(&environment, name), service);
        }
        // Functions with a signing key are renewed when the key changes.
        for function in domains::functions() {
            let name = function.info.name;
            let names = names(&environment, name);
            let signing = names.iter().any(|name| name.ends_with("SIGNING_KEY"));
            assert_eq!(super::signs(name), signing, "{name}");
        }
        let job = [
            "AUTH_SERVICE_SIGNING_KEY",
            "DATABASE_URL",
            "FUNCTION_URL_TEMPLATE",
            "LOG_FORMAT",
            "LOG_LEVEL",
        ];
        assert_eq!(names(&environment, "recover-orders"), job);
        // It calls nobody.
        let job = ["DATABASE_URL", "LOG_FORMAT", "LOG_LEVEL"];
        assert_eq!(names(&environment, "settle-payments"), job);
        for service in domains::edge() {
            assert_eq!(
                names(&environment, service.name),
                ["LOG_FORMAT", "LOG_LEVEL"]
            );
        }

        let order: BTreeMap<_, _> = environment.of("create-order").into_iter().collect();
        assert_eq!(order["DATABASE_URL"], "of order");
        assert_eq!(order["AUTH_SERVICE_SIGNING_KEY"], "signs for functions");
        assert_eq!(
            order["FUNCTION_URL_TEMPLATE"],
            "http://{function}.localhost:81"
        );
    }
}
