//! The settings of a [`Database`](crate::Database).

use std::{num::NonZeroUsize, str::FromStr, time::Duration};

use zerocart_core::{Invalid, Setup};

use crate::{DatabaseUrl, PasswordSource, RootCertificates};

/// A volume with a file would delay each cold start, so certificates come in a variable.
const ROOT_CERTIFICATE: &str = "DATABASE_ROOT_CERTIFICATE";

/// How a pooled connection is checked before it is used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recycling {
    /// Only whether the server has closed it: no round trip.
    #[default]
    Fast,
    /// The server is asked, which costs a round trip. For a process that may be frozen and thawed
    /// (AWS Lambda): the server may be long gone without this side having heard of it.
    Verified,
}

impl FromStr for Recycling {
    type Err = &'static str;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        match value {
            "fast" => Ok(Self::Fast),
            "verified" => Ok(Self::Verified),
            _ => Err("must be fast or verified"),
        }
    }
}

/// The settings of a [`Database`](crate::Database).
#[derive(Clone, Debug)]
pub struct Config {
    /// The server, the database and the role.
    pub url: DatabaseUrl,
    /// The most connections at once. Default 2: a fleet of functions shares the server's
    /// `max_connections`.
    pub pool_size: NonZeroUsize,
    /// The longest wait for a free connection of the pool. Default 2 s.
    pub acquire_timeout: Duration,
    /// The longest that one statement may run, enforced by the server. Default 5 s.
    pub statement_timeout: Duration,
    /// The longest that one attempt to connect may take, handshake included. Default 3 s.
    pub connect_timeout: Duration,
    /// How long a connection waits for the answer to a statement whose call was dropped, before the
    /// statement is cancelled and the connection closed. Default 100 ms: a page is read in less, and to
    /// connect again costs the server more.
    pub drain_timeout: Duration,
    /// How a connection is checked before it is used again.
    pub recycling: Recycling,
    /// Where the password comes from. Default: the URL, unless the platform gives a source.
    pub password: Option<PasswordSource>,
}

impl Config {
    /// The defaults, for the database at `url`.
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            pool_size: DEFAULT_POOL_SIZE,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            drain_timeout: DRAIN_TIMEOUT,
            recycling: Recycling::Fast,
            password: None,
        }
    }

    /// Reads the environment:
    ///
    /// | variable | default |
    /// |---|---|
    /// | `DATABASE_URL` | required, see [`DatabaseUrl`] |
    /// | `DATABASE_ROOT_CERTIFICATE` | the roots of the URL; see [`RootCertificates`] |
    /// | `DATABASE_POOL_SIZE` | 2 |
    /// | `DATABASE_ACQUIRE_TIMEOUT_MS` | 2000 |
    /// | `DATABASE_STATEMENT_TIMEOUT_MS` | 5000 |
    /// | `DATABASE_CONNECT_TIMEOUT_MS` | 3000 |
    /// | `DATABASE_RECYCLING` | `fast`; or `verified` |
    ///
    /// # Errors
    ///
    /// [`Invalid`] when one is missing or bad. All reasons are noted, without the URL.
    pub fn from_setup(setup: &mut Setup) -> Result<Self, Invalid> {
        let url: Result<DatabaseUrl, _> = setup.require("DATABASE_URL");
        let roots = setup.optional::<RootCertificates>(ROOT_CERTIFICATE);
        let pool_size = setup.or("DATABASE_POOL_SIZE", DEFAULT_POOL_SIZE);
        let acquire = setup.millis("DATABASE_ACQUIRE_TIMEOUT_MS", Duration::from_secs(2));
        let statement = setup.millis("DATABASE_STATEMENT_TIMEOUT_MS", Duration::from_secs(5));
        let connect = setup.millis("DATABASE_CONNECT_TIMEOUT_MS", Duration::from_secs(3));
        let recycling = setup.or("DATABASE_RECYCLING", Recycling::Fast);
        let url = match (url?, roots?) {
            (url, None) => url,
            (url, Some(roots)) => url.with_root_certificates(roots).map_err(|problem| {
                setup.problem(format!("{ROOT_CERTIFICATE}: {problem}"));
                Invalid
            })?,
        };
        Ok(Self {
            url,
            pool_size: pool_size?,
            acquire_timeout: acquire?,
            statement_timeout: statement?,
            connect_timeout: connect?,
            drain_timeout: DRAIN_TIMEOUT,
            recycling: recycling?,
            password: setup.given(),
        })
    }

    /// The startup parameter `options` of every connection: the limits that the server is to enforce.
    ///
    /// A process that is frozen in the middle of a transaction would hold its locks; so the server
    /// ends a transaction that does nothing for as long as a statement may take.
    ///
    /// A pooler may leave the parameter out. Then the role's own limits hold, which `zerocart provision`
    /// sets.
    pub fn session_options(&self) -> String {
        self.connection()
            .config
            .get_options()
            .unwrap_or_default()
            .to_owned()
    }

    /// The connection options, with the limits.
    pub(crate) fn connection(&self) -> DatabaseUrl {
        let mut url = self.url.clone();
        let limit_ms = self.statement_timeout.as_millis();
        url.add_options(&format!(
            "-c statement_timeout={limit_ms} -c idle_in_transaction_session_timeout={limit_ms}"
        ));
        url.limit_connecting(self.connect_timeout);
        url
    }
}

const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);

const DEFAULT_POOL_SIZE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

#[cfg(test)]
mod tests {
    use super::*;
    use zerocart_core::Env;

    #[test]
    fn every_bad_value_is_reported_and_the_url_is_not() {
        let env = Env::from_iter([
            ("DATABASE_URL", "postgres://u:secret@h:port/d"),
            ("DATABASE_POOL_SIZE", "0"),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "soon"),
            ("DATABASE_STATEMENT_TIMEOUT_MS", "0"),
            ("DATABASE_RECYCLING", "clean"),
        ]);
        let mut setup = Setup::new(env, "test");
        assert!(Config::from_setup(&mut setup).is_err());
        let problems = format!("{setup:?}");
        for name in [
            "DATABASE_URL",
            "DATABASE_POOL_SIZE",
            "DATABASE_ACQUIRE_TIMEOUT_MS",
            "DATABASE_STATEMENT_TIMEOUT_MS",
            "DATABASE_RECYCLING",
        ] {
            let noted = |rest| problems.contains(&format!("\"{name}{rest}"));
            assert!(noted(": ") || noted(" must"), "{name}: {problems}");
        }
        assert!(!problems.contains("secret"), "{problems}");
    }

    #[test]
    fn root_certificates_must_be_some_and_of_use() {
        let pem = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        let problem = |query: &str, certificates: &str| {
            let url = format!("postgres://u:secret@h/d{query}");
            let env = Env::from_iter([
                ("DATABASE_URL", url.as_str()),
                (ROOT_CERTIFICATE, certificates),
            ]);
            let mut setup = Setup::new(env, "test");
            let config = Config::from_setup(&mut setup);
            assert_eq!(config.is_err(), !setup.problems().is_empty());
            setup.problems().join("\n")
        };
        let (old, new) = (pem(), pem());
        let verified = "?sslmode=verify-full";
        assert_eq!(problem(verified, &format!("{old}\n{new}")), "");
        for (query, certificates, why) in [
            (verified, "root.pem", "holds no certificate"),
            (verified, &*old.replace("M", "!"), "is not PEM"),
            (
                verified,
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "what is no certificate",
            ),
            ("", &old, "need an sslmode other than disable"),
            (
                "?sslmode=require&sslrootcert=/ca.pem",
                &old,
                "sslrootcert is set, too",
            ),
        ] {
            let said = problem(query, certificates);
            assert!(said.starts_with("DATABASE_ROOT_CERTIFICATE: "), "{said}");
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn the_limits_go_to_the_server_with_the_connection() {
        let mut config = Config::new("postgres://u@h/d".parse().unwrap());
        config.statement_timeout = Duration::from_millis(1234);
        let connection = config.connection().config;
        let options = connection.get_options().unwrap();
        assert!(options.contains("statement_timeout=1234"), "{options}");
        assert_eq!(
            connection.get_connect_timeout(),
            Some(&config.connect_timeout)
        );
    }
}
