//! Passwords that do not stand in the URL: a platform may know one that is good for minutes only.

use std::{convert::Infallible, fmt, path::PathBuf, sync::Arc, time::Duration};

use deadpool_postgres::{ConfigConnectImpl, Connect};
use futures_util::future::BoxFuture;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, Error, NoTls};
use zerocart_core::{
    Lasting,
    error::{BoxError, chain},
};

use crate::{
    local::{Local, TAKES_SESSIONS},
    tls::LazyTls,
    url::add_options,
};

/// The longest that a connection may take to send Terminate. On a runtime with several threads, the pool may drop the
/// client a moment after it has ended its task.
const TERMINATE_TIMEOUT: Duration = Duration::from_millis(5);

/// A source of passwords, asked once for each new connection.
pub trait Password: fmt::Debug + Send + Sync {
    /// The password of the user of `config` at its server, now.
    fn get<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Result<String, BoxError>>;
}

/// The source that a platform gives ([`Platform`](zerocart_core::Platform)); it wins over a
/// password in the URL.
#[derive(Clone, Debug)]
pub struct PasswordSource(pub Arc<dyn Password>);

/// Connects as deadpool does, with the password of now, and over a socket of ours to a server on this machine.
pub(crate) struct Connector {
    pub(crate) inner: ConfigConnectImpl<LazyTls>,
    /// The server's Unix socket, if it is on this machine.
    pub(crate) local: Option<PathBuf>,
    /// The tasks of the connections over it.
    pub(crate) connections: Lasting,
    pub(crate) password: Option<PasswordSource>,
}

impl Connector {
    async fn open(&self, config: &Config) -> Result<(Client, JoinHandle<()>), Error> {
        let running = self.connections.begin();
        if let Some(path) = &self.local
            && let Ok(stream) = Local::connect(path).await
        {
            let mut config = config.clone();
            add_options(&mut config, TAKES_SESSIONS);
            // TLS over a Unix socket is refused by the URL.
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            // The pool aborts the task that it gets when it drops the client. A connection that is aborted sends no
            // Terminate, and a broker lends its session again only after that. So the pool gets a task that does
            // nothing but hold the end of a channel. The connection then ends by itself, at once unless it waits for
            // an answer.
            let (held, let_go) = oneshot::channel::<Infallible>();
            tokio::spawn(async move {
                let _running = running;
                let mut connection = std::pin::pin!(connection);
                let ended = tokio::select! {
                    biased;
                    ended = &mut connection => ended,
                    _ = let_go => timeout(TERMINATE_TIMEOUT, connection).await.unwrap_or(Ok(())),
                };
                if let Err(error) = ended {
                    tracing::warn!(error = chain(&error), "a connection to the database broke");
                }
            });
            let holding = tokio::spawn(async move {
                let _held = held;
                std::future::pending().await
            });
            return Ok((client, holding));
        }
        // Where there is no socket, this finds out why.
        self.inner.connect(config).await
    }
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let mut config = config.clone();
        Box::pin(async move {
            match &self.password {
                None => {}
                Some(PasswordSource(source)) => match source.get(&config).await {
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
                },
            }
            self.open(&config).await
        })
    }
}
