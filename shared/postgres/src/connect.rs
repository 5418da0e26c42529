//! Getting a connection: from the pool, or a new one, again with backoff when that may help.

use std::{path::PathBuf, time::Duration};

use deadpool_postgres::{
    Client, ConfigConnectImpl, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
    TimeoutType,
};
use tokio_postgres::{CancelToken, NoTls, error::SqlState};
use zerocart_core::{Error, Lasting, error::chain};
use zerocart_resilience::breaker::Outcome;

use crate::{
    Config, Recycling,
    error::{RETRY_AFTER, is_transport, unavailable},
    local::Local,
    password::Connector,
    tls::LazyTls,
    url::Roots,
};

/// Attempts to connect, the first included (the contract: 5).
pub(crate) const ATTEMPTS: usize = 5;

/// The pauses between them: at most 100, 200, 400 and 800 ms. A server that restarts is back by
/// then, and a call's deadline of 5 s leaves time for its statement.
pub(crate) const BACKOFF_BASE: Duration = Duration::from_millis(100);
pub(crate) const BACKOFF_CAP: Duration = Duration::from_secs(1);

/// The pause before a server that says that it is starting is asked again.
const STARTING_PAUSE: Duration = Duration::from_millis(100);

/// The longest that the server is asked before a pooled connection counts as dead.
const RECYCLE_TIMEOUT: Duration = Duration::from_millis(500);

/// The longest that a request to cancel may take; it only spares the server useless work.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to the server: with TLS where the URL's `sslmode` says so.
#[derive(Clone)]
pub(crate) struct Transport {
    tls: LazyTls,
    /// The server's Unix socket, if it is on this machine.
    local: Option<PathBuf>,
    /// The tasks of the connections over it.
    pub(crate) connections: Lasting,
}

impl Transport {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            // Without TLS the roots are never read.
            tls: LazyTls::new(config.url.roots.clone().unwrap_or(Roots::System)),
            local: Local::path(&config.url.config),
            connections: Lasting::default(),
        }
    }

    /// Asks the server to stop what a connection runs.
    pub(crate) async fn cancel(self, token: CancelToken) {
        let asking = async {
            match self.local {
                // The token of such a connection does not know the way.
                Some(path) => match Local::connect(&path).await {
                    Ok(stream) => token.cancel_query_raw(stream, NoTls).await.is_ok(),
                    Err(_) => false,
                },
                None => token.cancel_query(self.tls).await.is_ok(),
            }
        };
        if tokio::time::timeout(CANCEL_TIMEOUT, asking).await != Ok(true) {
            tracing::debug!("a statement could not be cancelled; statement_timeout will end it");
        }
    }
}

/// A pool without connections.
pub(crate) fn pool(config: &Config, transport: &Transport) -> Pool {
    let connection = config.connection().config;
    let recycling = ManagerConfig {
        recycling_method: match config.recycling {
            Recycling::Fast => RecyclingMethod::Fast,
            Recycling::Verified => RecyclingMethod::Verified,
        },
    };
    let connector = Connector {
        inner: ConfigConnectImpl {
            tls: transport.tls.clone(),
        },
        local: transport.local.clone(),
        connections: transport.connections.clone(),
        password: config.password.clone(),
    };
    let manager = Manager::from_connect(connection, connector, recycling);
    Pool::builder(manager)
        .max_size(config.pool_size.get())
        // The connection that was used last has its statements prepared; the others may idle.
        .queue_mode(deadpool_postgres::QueueMode::Lifo)
        .wait_timeout(Some(config.acquire_timeout))
        .create_timeout(Some(config.connect_timeout))
        .recycle_timeout(Some(RECYCLE_TIMEOUT))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a pool with a runtime can be built")
}

/// A connection that works as far as this side knows.
///
/// A server that says that it is starting will be ready soon. This does not count as an attempt,
/// and lasts as long as the caller waits.
///
/// # Errors
///
/// The last error, when it is none that another attempt may mend, or after the last attempt.
pub(crate) async fn open(
    pool: &Pool,
    pauses: impl Iterator<Item = Duration>,
) -> Result<Client, PoolError> {
    let mut pauses = pauses.take(ATTEMPTS - 1);
    loop {
        let error = match pool.get().await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let pause = if is_starting(&error) {
            Some(STARTING_PAUSE)
        } else {
            may_pass(&error).then(|| pauses.next()).flatten()
        };
        let Some(pause) = pause else {
            return Err(error);
        };
        tracing::warn!(
            error = explain(&error),
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "cannot connect to the database, trying again"
        );
        tokio::time::sleep(pause).await;
    }
}

/// Whether the server says that it is starting, or recovering from a crash (57P03).
fn is_starting(error: &PoolError) -> bool {
    matches!(error, PoolError::Backend(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW))
}

/// Whether the next attempt to connect may succeed: the network failed, here or behind a pooler (class 08), or
/// the server is full (53300). A wrong password stays wrong.
fn may_pass(error: &PoolError) -> bool {
    match error {
        PoolError::Backend(error) => match error.code() {
            Some(code) => *code == SqlState::TOO_MANY_CONNECTIONS || code.code().starts_with("08"),
            None => is_transport(error),
        },
        PoolError::Timeout(TimeoutType::Create) => true,
        PoolError::Timeout(TimeoutType::Wait | TimeoutType::Recycle)
        | PoolError::Closed
        | PoolError::NoRuntimeSpecified
        | PoolError::PostCreateHook(_) => false,
    }
}

/// What no connection means to a client and to the breaker.
///
/// For every reason of the server (a password that is being rotated, a database that is gone), the
/// request is not wrong and may work later. A pool whose connections are all busy is this side's
/// affair, and says nothing about the database.
pub(crate) fn no_connection(error: PoolError) -> (Error, Outcome) {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => (
            Error::unavailable("all connections to the database are in use", RETRY_AFTER)
                .with_source(error),
            Outcome::Ignore,
        ),
        error => (
            unavailable().with_source(Explained(explain(&error))),
            Outcome::Failure,
        ),
    }
}

/// The error with all its causes, for the log: deadpool's message repeats its cause, the driver's
/// leaves it out.
pub(crate) fn explain(error: &PoolError) -> String {
    match error {
        PoolError::Backend(backend) => chain(backend),
        error => error.to_string(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Explained(String);
