//! A server and a login, from a URL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};

use crate::{Error, Password};

/// The longest that connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// The database of a URL that names none. Every server has it.
const DEFAULT_DATABASE: &str = "postgres";

/// What is escaped in a user, a password and a database: all but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'-')
    .remove(b'.')
    .remove(b'~');

/// Why a URL was refused. Never holds a part of it but an option's name: it may be the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Another scheme.
    #[error("must begin with postgres:// or postgresql://")]
    Scheme,
    /// It cannot be parsed.
    #[error("is not a valid URL (special characters in the password must be percent-encoded)")]
    Malformed,
    /// There is no host, or more than one.
    #[error("must name one host")]
    Host,
    /// There is no user; the operating system's user is never meant.
    #[error("names no user")]
    User,
    /// An option that is not known.
    #[error("has an option that is not known: {0} (known are sslmode and sslrootcert)")]
    Option(String),
    /// An `sslmode` that is not offered.
    #[error(
        "sslmode must be disable or verify-full (require and verify-ca mean verify-full here): a \
         password is never sent to a server that is not verified"
    )]
    SslMode,
    /// Root certificates without TLS.
    #[error("root certificates need sslmode=verify-full")]
    RootsWithoutTls,
    /// Two sets of root certificates.
    #[error("sslrootcert and DATABASE_ROOT_CERTIFICATE are both set; only one of them can hold")]
    TwoRoots,
    /// The text is no certificate.
    #[error("DATABASE_ROOT_CERTIFICATE must hold certificates in PEM form")]
    Certificate,
}

/// The certificates that a server's certificate must lead to.
///
/// The driver also takes the system's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The operating system's.
    System,
    /// A PEM file's.
    File(PathBuf),
    /// One or more in PEM form.
    Pem(String),
}

/// A server, a login, and a database.
///
/// TLS is verified or off, as in the URLs of functions: without `sslmode` and with `disable` it is
/// off; with `require`, `verify-ca` and `verify-full` the server's certificate must lead to a root
/// and bear the host's name. `prefer`, which functions may use, is not offered to administrators.
///
/// A URL without a database means `postgres`. The variables of libpq (`PGHOST`, …) and its password
/// file are not read. Neither `Debug` nor `Display` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    user: String,
    password: Option<Password>,
    database: String,
    /// `None`: no TLS.
    roots: Option<Roots>,
}

impl Address {
    /// Reads a URL, and root certificates in PEM form (`DATABASE_ROOT_CERTIFICATE`) if there are any.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`].
    pub fn new(url: &str, root_certificate: Option<&str>) -> Result<Self, InvalidAddress> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(InvalidAddress::Scheme);
        }
        let parsed = url::Url::parse(url).map_err(|_| InvalidAddress::Malformed)?;
        if parsed.fragment().is_some() {
            return Err(InvalidAddress::Malformed);
        }
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| InvalidAddress::Malformed)
        };
        let host = decoded(parsed.host_str().unwrap_or_default())?;
        // An IPv6 address has brackets in a URL only.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains([',', '/']) {
            return Err(InvalidAddress::Host);
        }
        let user = decoded(parsed.username())?;
        if user.is_empty() {
            return Err(InvalidAddress::User);
        }
        let (mut tls, mut roots) = (false, None);
        for (name, value) in parsed.query_pairs() {
            match (&*name, &*value) {
                ("sslmode", "disable") => tls = false,
                ("sslmode", "require" | "verify-ca" | "verify-full") => tls = true,
                ("sslmode", _) => return Err(InvalidAddress::SslMode),
                ("sslrootcert", "system") => roots = Some(Roots::System),
                ("sslrootcert", file) => roots = Some(Roots::File(file.into())),
                (other, _) => return Err(InvalidAddress::Option(other.to_owned())),
            }
        }
        let roots = match (roots, root_certificate) {
            (Some(_), Some(_)) => return Err(InvalidAddress::TwoRoots),
            (None, Some(pem)) if !are_certificates(pem) => return Err(InvalidAddress::Certificate),
            (None, Some(pem)) => Some(Roots::Pem(pem.to_owned())),
            (roots, None) => roots,
        };
        let database = decoded(parsed.path().trim_start_matches('/'))?;
        Ok(Self {
            host: host.to_owned(),
            port: parsed.port().unwrap_or(5432),
            user,
            password: parsed
                .password()
                .map(decoded)
                .transpose()?
                .map(Password::new),
            database: if database.is_empty() {
                DEFAULT_DATABASE.to_owned()
            } else {
                database
            },
            roots: match (tls, roots) {
                (true, roots) => Some(roots.unwrap_or(Roots::System)),
                (false, None | Some(Roots::System)) => None,
                (false, Some(_)) => return Err(InvalidAddress::RootsWithoutTls),
            },
        })
    }

    /// Another database of the same server.
    #[must_use]
    pub fn database(&self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self.clone()
        }
    }

    /// Another login of the same server.
    #[must_use]
    pub fn login(&self, user: &str, password: &Password) -> Self {
        Self {
            user: user.to_owned(),
            password: Some(password.clone()),
            ..self.clone()
        }
    }

    /// The host: a name or an IP address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database.
    pub fn database_name(&self) -> &str {
        &self.database
    }

    /// The password, if there is one.
    pub fn password(&self) -> Option<&Password> {
        self.password.as_ref()
    }

    /// What the server's certificate must lead to; `None` without TLS.
    pub fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()
    }

    /// The URL, with the password, for functions: without the path of `sslrootcert`, which is one of
    /// this machine. Functions get certificates in `DATABASE_ROOT_CERTIFICATE`.
    pub fn expose(&self) -> String {
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let password = self.password.as_ref();
        let password = password.map_or_else(String::new, |p| format!(":{}", escaped(p.expose())));
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let tls = if self.roots.is_some() {
            "?sslmode=verify-full"
        } else {
            ""
        };
        format!(
            "postgres://{}{password}@{host}:{}/{}{tls}",
            escaped(&self.user),
            self.port,
            escaped(&self.database),
        )
    }

    /// The URL, with the password, for this machine: with `sslrootcert`.
    pub fn expose_here(&self) -> String {
        let mut url = self.expose();
        if let Some(path) = self.roots.as_ref().and_then(Roots::file) {
            let path = path.to_string_lossy();
            let path = utf8_percent_encode(&path, ESCAPED);
            url.push_str(&format!("&sslrootcert={path}"));
        }
        url
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, Error> {
        let options = self.options();
        match tokio::time::timeout(CONNECT_LIMIT, options.connect()).await {
            Ok(connected) => connected.map_err(|error| Error::connect(self.to_string(), error)),
            Err(_) => Err(Error::ConnectTimeout {
                address: self.to_string(),
                limit_s: CONNECT_LIMIT.as_secs(),
            }),
        }
    }

    /// All that libpq's variables could set is set here.
    fn options(&self) -> PgConnectOptions {
        let password = self.password.as_ref();
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .application_name("zerocart")
            .password(password.map_or("", Password::expose));
        let options = match &self.roots {
            None => options.ssl_mode(PgSslMode::Disable),
            Some(roots) => {
                let options = options.ssl_mode(PgSslMode::VerifyFull);
                match roots {
                    Roots::System => options,
                    Roots::File(path) => options.ssl_root_cert(path),
                    Roots::Pem(pem) => options.ssl_root_cert_from_pem(pem.clone().into_bytes()),
                }
            }
        };
        // Statements that set a password must not appear in a log.
        options.disable_statement_logging()
    }
}

/// Whether this is one certificate or more.
fn are_certificates(pem: &str) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            user,
            database,
            ..
        } = self;
        write!(f, "{user}@{host}:{port}/{database}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = match &self.roots {
            None => "no TLS",
            Some(Roots::System) => "the system's roots",
            Some(Roots::File(_)) => "the roots of a file",
            Some(Roots::Pem(_)) => "roots of its own",
        };
        f.debug_tuple("Address")
            .field(&self.to_string())
            .field(&roots)
            .finish()
    }
}

impl Roots {
    /// The file of `sslrootcert`, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::System | Self::Pem(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an authority that nobody has.
    fn pem() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_url_is_read_and_shown_without_its_password() {
        let url = format!(
            "postgres://ad%40min:{}@db.example:6000/shop?sslmode=require&sslrootcert=/ca.pem",
            "s%2Fecret"
        );
        let address = Address::new(&url, None).unwrap();
        assert_eq!(address.to_string(), "ad@min@db.example:6000/shop");
        assert_eq!(address.password().unwrap().expose(), "s/ecret");
        assert_eq!(address.roots(), Some(&Roots::File("/ca.pem".into())));
        assert_eq!(
            Address::new(&address.expose_here(), None),
            Ok(address.clone())
        );
        assert!(!format!("{address:?}").contains("ecret"));
        let role = address.login("zerocart_user", &Password::new("a b&c"));
        assert_eq!(
            role.database("zerocart_user").expose(),
            format!(
                "postgres://zerocart_user:{}@db.example:6000/zerocart_user?sslmode=verify-full",
                "a%20b%26c"
            )
        );
        let short = Address::new("postgresql://u@[::1]", None).unwrap();
        assert_eq!(short.to_string(), "u@::1:5432/postgres");
        assert_eq!(short.expose(), "postgres://u@[::1]:5432/postgres");
        assert_eq!(short.roots(), None);
    }

    #[test]
    fn tls_is_verified_or_off() {
        let pem = pem();
        let two = format!("{pem}\n{pem}");
        for (query, certificate, roots) in [
            ("", None, Ok(None)),
            ("?sslmode=disable", None, Ok(None)),
            ("?sslmode=verify-ca", None, Ok(Some(Roots::System))),
            (
                "?sslmode=verify-full",
                Some(&*two),
                Ok(Some(Roots::Pem(two.clone()))),
            ),
            ("?sslmode=prefer", None, Err(InvalidAddress::SslMode)),
            ("?sslmode=allow", None, Err(InvalidAddress::SslMode)),
            ("", Some(&*pem), Err(InvalidAddress::RootsWithoutTls)),
            (
                "?sslmode=require&sslrootcert=/ca.pem",
                Some(&*pem),
                Err(InvalidAddress::TwoRoots),
            ),
            (
                "?sslmode=require",
                Some("no certificate"),
                Err(InvalidAddress::Certificate),
            ),
        ] {
            let address = Address::new(&format!("postgres://u:p@h/d{query}"), certificate);
            let found = address.map(|address| address.roots().cloned());
            assert_eq!(found, roots, "{query}");
        }
    }

    #[test]
    fn bad_urls_are_refused_without_repeating_them() {
        for (url, problem) in [
            ("mysql://u:secret@h/d", InvalidAddress::Scheme),
            ("postgres://u:secret@h:port/d", InvalidAddress::Malformed),
            ("postgres://u:secret@h/d#x", InvalidAddress::Malformed),
            ("postgres://u:secret@h,i/d", InvalidAddress::Host),
            ("postgres://h/d", InvalidAddress::User),
            (
                "postgres://u:secret@h/d?sslcert=secret",
                InvalidAddress::Option("sslcert".into()),
            ),
        ] {
            let error = Address::new(url, None).unwrap_err();
            assert_eq!(error, problem, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
