//! The address of a database: a `postgres://` URL with libpq's TLS options.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, SslMode};

use crate::tls::RootCertificates;

/// Why a URL was refused. Never holds a part of it: it may be the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Another scheme.
    #[error("must begin with postgres:// or postgresql://")]
    Scheme,
    /// It cannot be parsed, or has an option that is not known.
    #[error(
        "is not a valid URL, or has an option that is not known (special characters in the password must be percent-encoded)"
    )]
    Malformed,
    /// There is no host.
    #[error("names no host")]
    NoHost,
    /// There is no user; the operating system's user is never meant.
    #[error("names no user")]
    NoUser,
    /// An `sslmode` that is not offered.
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// A file of certificates without TLS.
    #[error("root certificates need an sslmode other than disable in the URL")]
    RootsWithoutTls,
    /// TLS over a Unix socket.
    #[error(
        "sslmode must be disable, or left out, with a Unix socket: it does not leave the machine"
    )]
    TlsOverSocket,
    /// A file of certificates and certificates of the environment.
    #[error("sslrootcert is set, too; only one of them can hold")]
    TwoRoots,
    /// Client certificates.
    #[error("client certificates (sslcert, sslkey) are not offered")]
    ClientCertificate,
}

/// Where the certificates come from that a server's certificate must lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// The operating system's.
    System,
    /// A PEM file's.
    File(PathBuf),
    /// These.
    Given(RootCertificates),
}

/// The address of a database.
///
/// `sslmode` chooses TLS, and TLS always verifies: the server's certificate must lead to a root of
/// `sslrootcert` (a PEM file; the system's roots without it, or with `system`) and must bear the
/// host's name.
///
/// | `sslmode` | |
/// |---|---|
/// | absent, `disable` | no TLS; saves the round trip that asks for it |
/// | `prefer` | TLS if the server offers it |
/// | `require`, `verify-ca`, `verify-full` | TLS or nothing |
///
/// The host may be the folder of a Unix socket, percent-encoded (`postgres://role:password@%2Frun%2Fdb/name`);
/// the socket in it is `.s.PGSQL.<port>`. TLS over it is refused, where libpq would leave TLS out.
///
/// libpq verifies less below `verify-full`. Encryption without knowing the server gives no
/// protection, so it is not offered. Other options are those of [`tokio_postgres::Config`].
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) roots: Option<Roots>,
}

impl DatabaseUrl {
    /// With these root certificates in place of the system's.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl::RootsWithoutTls`], and [`InvalidUrl::TwoRoots`] where the URL names a file of
    /// them.
    pub fn with_root_certificates(mut self, roots: RootCertificates) -> Result<Self, InvalidUrl> {
        self.roots = match self.roots {
            None => return Err(InvalidUrl::RootsWithoutTls),
            Some(Roots::File(_)) => return Err(InvalidUrl::TwoRoots),
            Some(Roots::System | Roots::Given(_)) => Some(Roots::Given(roots)),
        };
        Ok(self)
    }

    /// The name of the database; that of the role, where the URL names none.
    pub(crate) fn database(&self) -> &str {
        let named = self.config.get_dbname().or(self.config.get_user());
        named.unwrap_or_default()
    }

    /// Adds server settings to those of the URL, for every session, without a round trip.
    pub(crate) fn add_options(&mut self, options: &str) {
        add_options(&mut self.config, options);
    }

    /// Limits the TCP connection, where the URL does not.
    pub(crate) fn limit_connecting(&mut self, timeout: Duration) {
        if self.config.get_connect_timeout().is_none() {
            self.config.connect_timeout(timeout);
        }
    }
}

/// Adds server settings to those of the connection.
pub(crate) fn add_options(config: &mut tokio_postgres::Config, options: &str) {
    let all = match config.get_options() {
        Some(own) => format!("{own} {options}"),
        None => options.to_owned(),
    };
    config.options(all);
}

impl FromStr for DatabaseUrl {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(InvalidUrl::Scheme);
        }
        // tokio-postgres knows neither all modes nor sslrootcert, so both are taken out.
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = SslMode::Disable;
        let mut roots = Roots::System;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(InvalidUrl::Malformed)?;
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| InvalidUrl::Malformed)?;
            match name {
                "sslmode" => {
                    mode = match &*value {
                        "disable" => SslMode::Disable,
                        "prefer" => SslMode::Prefer,
                        "require" | "verify-ca" | "verify-full" => SslMode::Require,
                        _ => return Err(InvalidUrl::SslMode),
                    }
                }
                "sslrootcert" if value == "system" => roots = Roots::System,
                "sslrootcert" => roots = Roots::File(PathBuf::from(&*value)),
                "sslcert" | "sslkey" | "sslpassword" => return Err(InvalidUrl::ClientCertificate),
                _ => rest.push(pair),
            }
        }
        let stripped = format!("{base}?{}", rest.join("&"));
        let mut config: tokio_postgres::Config = stripped
            .trim_end_matches('?')
            .parse()
            .map_err(|_| InvalidUrl::Malformed)?;
        config.ssl_mode(mode);
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(InvalidUrl::NoHost);
        }
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        if mode != SslMode::Disable && config.get_hosts().iter().any(is_socket) {
            return Err(InvalidUrl::TlsOverSocket);
        }
        if config.get_user().is_none_or(str::is_empty) {
            return Err(InvalidUrl::NoUser);
        }
        let roots = match (mode, roots) {
            (SslMode::Disable, Roots::File(_) | Roots::Given(_)) => {
                return Err(InvalidUrl::RootsWithoutTls);
            }
            (SslMode::Disable, Roots::System) => None,
            (_, roots) => Some(roots),
        };
        Ok(Self { config, roots })
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        f.debug_struct("DatabaseUrl")
            .field("hosts", &hosts)
            .field("ports", &self.config.get_ports())
            .field("database", &self.config.get_dbname())
            .field("tls", &self.roots)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<DatabaseUrl, InvalidUrl> {
        url.parse()
    }

    #[test]
    fn tls_is_off_unless_asked_for() {
        for url in ["postgres://u:p@h/d", "postgresql://u@h/d?sslmode=disable"] {
            let url = parse(url).unwrap();
            assert_eq!(url.config.get_ssl_mode(), SslMode::Disable);
            assert_eq!(url.roots, None);
        }
    }

    #[test]
    fn libpq_modes_and_roots_are_understood() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = parse(&format!(
                "postgres://u:p@h:1/d?application_name=x&sslmode={mode}&sslrootcert=%2Fca%20s.pem"
            ))
            .unwrap();
            assert_eq!(url.config.get_ssl_mode(), SslMode::Require);
            assert_eq!(url.roots, Some(Roots::File("/ca s.pem".into())));
            assert_eq!(url.config.get_application_name(), Some("x"));
            assert_eq!(url.config.get_dbname(), Some("d"));
        }
        let url = parse("postgres://u@h/d?sslmode=prefer&sslrootcert=system").unwrap();
        assert_eq!(url.config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(url.roots, Some(Roots::System));
    }

    #[test]
    fn a_host_may_be_the_folder_of_a_socket() {
        for url in [
            "postgres://u:p@%2Frun%2Fa%20b/d",
            "postgres://u:p@/d?host=%2Frun%2Fa%20b&sslmode=disable",
        ] {
            let url = parse(url).unwrap();
            assert_eq!(url.config.get_hosts(), [Host::Unix("/run/a b".into())]);
            assert_eq!(url.config.get_dbname(), Some("d"));
        }
    }

    #[test]
    fn bad_urls_are_refused_without_repeating_them() {
        for (url, problem) in [
            ("mysql://u:secret@h/d", InvalidUrl::Scheme),
            ("host=h user=u password=secret", InvalidUrl::Scheme),
            ("postgres://u:secret@h:port/d", InvalidUrl::Malformed),
            ("postgres://u:p?secret@h/d", InvalidUrl::Malformed),
            ("postgres://u:secret@h/d?sslmode=allow", InvalidUrl::SslMode),
            (
                "postgres://u:secret@h/d?sslrootcert=/ca.pem",
                InvalidUrl::RootsWithoutTls,
            ),
            (
                "postgres://u:secret@h/d?sslmode=require&sslkey=/key.pem",
                InvalidUrl::ClientCertificate,
            ),
            (
                "postgres://u:secret@%2Frun%2Fdb/d?sslmode=require",
                InvalidUrl::TlsOverSocket,
            ),
            ("postgres:///d?user=secret", InvalidUrl::NoHost),
            ("postgres://h/d", InvalidUrl::NoUser),
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error, problem, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn debug_keeps_the_password() {
        let url = parse("postgres://u:secret@h:5433/d").unwrap();
        let debug = format!("{url:?}");
        assert!(!debug.contains("secret"), "{debug}");
        assert!(debug.contains("5433"), "{debug}");
    }

    #[test]
    fn options_are_added_to_those_of_the_url() {
        let mut url = parse("postgres://u@h/d?options=-c%20work_mem%3D1MB").unwrap();
        url.add_options("-c statement_timeout=5000");
        assert_eq!(
            url.config.get_options(),
            Some("-c work_mem=1MB -c statement_timeout=5000")
        );
    }
}
