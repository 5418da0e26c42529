//! Passwords that do not stand in the URL: a platform may know one that is good for minutes only.

use std::{fmt, sync::Arc};

use deadpool_postgres::{ConfigConnectImpl, Connect};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error};
use zerocart_core::error::{BoxError, chain};

use crate::tls::LazyTls;

/// A source of passwords, asked once for each new connection.
pub trait Password: fmt::Debug + Send + Sync {
    /// The password of the user of `config` at its server, now.
    fn get<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Result<String, BoxError>>;
}

/// The source that a platform gives ([`Platform`](zerocart_core::Platform)); it wins over a
/// password in the URL.
#[derive(Clone, Debug)]
pub struct PasswordSource(pub Arc<dyn Password>);

/// Connects as deadpool does, with the password of now.
pub(crate) struct Connector {
    pub(crate) inner: ConfigConnectImpl<LazyTls>,
    pub(crate) password: Option<PasswordSource>,
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let Some(PasswordSource(source)) = &self.password else {
            return self.inner.connect(config);
        };
        let mut config = config.clone();
        Box::pin(async move {
            match source.get(&config).await {
                Ok(password) => {
                    config.password(password);
                }
                // The server refuses it, which is the error that the call sees. That of the URL
                // is not what the platform wants.
                Err(error) => {
                    let error = chain(&*error);
                    tracing::error!(error, "there is no password for the database");
                    config.password("");
                }
            }
            self.inner.connect(&config).await
        })
    }
}
