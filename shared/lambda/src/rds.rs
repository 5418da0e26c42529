//! IAM database authentication of RDS: the password is a signed URL, valid for 15 minutes. It is
//! checked only while a connection is made.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::Request;
use tokio_postgres::{Config, config::Host};
use zerocart_core::error::BoxError;
use zerocart_postgres::{BoxFuture, Password};

use crate::sign::Signer;

/// How long a token is valid: the longest time that RDS allows.
const EXPIRES_IN: Duration = Duration::from_secs(900);

/// Makes a token for each connection, from the credentials of the function.
pub struct IamToken {
    signer: Signer,
    now: fn() -> SystemTime,
}

impl IamToken {
    /// Tokens that `signer` signs.
    pub fn new(signer: Signer) -> Self {
        Self::at(signer, SystemTime::now)
    }

    /// Tokens with the time of `now`.
    pub fn at(signer: Signer, now: fn() -> SystemTime) -> Self {
        Self { signer, now }
    }

    async fn token(&self, config: &Config) -> Result<String, BoxError> {
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host,
            _ => return Err("DATABASE_URL names no host for which IAM could sign".into()),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let user = config.get_user().unwrap_or_default();
        let mut request = Request::get(format!(
            "https://{host}:{port}/?Action=connect&DBUser={user}"
        ))
        .body(())?;
        self.signer
            .sign(&mut request, b"", "rds-db", Some(EXPIRES_IN), (self.now)())
            .await?;
        let url = request.uri().to_string();
        Ok(url.trim_start_matches("https://").to_owned())
    }
}

impl Password for IamToken {
    fn get<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Result<String, BoxError>> {
        Box::pin(self.token(config))
    }
}

impl fmt::Debug for IamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamToken")
            .field("region", &self.signer.region)
            .finish_non_exhaustive()
    }
}
