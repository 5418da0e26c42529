//! A database of one domain, as its functions see it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use deadpool_postgres::{Client, Pool, PoolError};
use futures_util::future::{join, join_all};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::OnceCell, time::Instant};
use zerocart_core::{Call, Error, Invalid, READY_TIMEOUT, Setup, trace::Attributes, voids::Voids};
use zerocart_resilience::{
    InvalidConfig,
    breaker::{self, Breaker, Permit},
    retry::{Backoff, Jitter},
};

use crate::{
    Config, Recycling, Session,
    breaker::{Listener, record},
    connect,
    connect::Transport,
    read::Shared,
    voids::{self, TokenVoids},
};

/// The longest that connections may take to close. A statement of a call that was given up may still run.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// What a function wants of its database beyond the environment's settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A circuit breaker around every call to the database.
    pub breaker: Option<breaker::Config>,
    /// Statements that the first connection prepares while the process starts, all in one round
    /// trip: those of the first request. They must be the same text that the calls use.
    pub prepare: &'static [&'static str],
}

impl Options {
    /// The statements to prepare, and no breaker.
    pub const fn preparing(statements: &'static [&'static str]) -> Self {
        Self {
            breaker: None,
            prepare: statements,
        }
    }
}

/// A database of one domain. A clone shares pool and breaker.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    pool: Pool,
    transport: Transport,
    /// Of its spans.
    attributes: Attributes,
    drain_timeout: Duration,
    backoff: Backoff,
    breaker: Option<Breaker>,
    prepare: &'static [&'static str],
    /// Whether the first connection reads the list of void tokens, too.
    reads_voids: bool,
    /// The list, until it is asked for.
    voids: Mutex<Option<Voids>>,
    /// Set when the first attempt to connect has ended.
    first: OnceCell<()>,
    /// The connection that reads share at present; none where they never do.
    reads: Option<Mutex<Weak<Shared>>>,
    /// The shared breakers of this process whose state is here.
    listeners: Mutex<Vec<Listener>>,
}

impl Database {
    /// A database from the environment (see [`Config::from_setup`]), which connects beside the
    /// server's start: the first request finds the connection, or waits for that same one. The
    /// function is ready while this database answers.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the reasons are noted.
    pub fn from_setup(setup: &mut Setup, options: Options) -> Result<Self, Invalid> {
        let config = Config::from_setup(setup)?;
        // Where a token is needed, each call of a person needs the list. Elsewhere a call reads it that has one.
        let reads_voids = setup.rpc().is_some_and(|rpc| rpc.is_for_people());
        let database = Self::make(&config, options, reads_voids).map_err(|error| {
            setup.problem(error.to_string());
            Invalid
        })?;
        if let Some(breaker) = database.breaker() {
            observe(breaker, setup);
        }
        setup.void_list(TokenVoids(database.clone()));
        let asked = database.clone();
        setup.readiness(move || {
            let asked = asked.clone();
            async move { asked.ping(READY_TIMEOUT).await }
        });
        let (warming, start) = (database.clone(), setup.start());
        setup.background(async move {
            let began = std::time::Instant::now();
            warming.warm_up().await;
            start.phase("first database session", began, std::time::Instant::now());
        });
        let ending = database.clone();
        setup.lasting().at_end(async move { ending.close().await });
        Ok(database)
    }

    /// Closes all connections, and waits until they have sent Terminate, which they do if no statement runs: the
    /// broker of a local engine then lends their sessions again.
    async fn close(&self) {
        self.0.pool.close();
        let closed = self.0.transport.connections.idle();
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::debug!("a connection to the database could not be closed in order");
        }
    }

    /// A database that connects at the first call.
    ///
    /// # Errors
    ///
    /// When the breaker's settings are bad.
    pub fn new(config: &Config, options: Options) -> Result<Self, InvalidConfig> {
        Self::make(config, options, false)
    }

    fn make(config: &Config, options: Options, reads_voids: bool) -> Result<Self, InvalidConfig> {
        let transport = Transport::new(config);
        Ok(Self(Arc::new(Inner {
            pool: connect::pool(config, &transport),
            transport,
            attributes: Attributes::default()
                .with("db.system.name", "postgresql")
                .with("db.namespace", config.url.database()),
            drain_timeout: config.drain_timeout,
            backoff: Backoff::new(
                connect::BACKOFF_BASE,
                connect::BACKOFF_CAP,
                Jitter::random(),
            )?,
            breaker: options.breaker.map(Breaker::new).transpose()?,
            prepare: options.prepare,
            reads_voids,
            voids: Mutex::default(),
            first: OnceCell::new(),
            // One connection must be left for all else. One that may have been frozen is checked
            // before each use, which shared ones are not.
            reads: (config.pool_size.get() > 1 && config.recycling == Recycling::Fast)
                .then(Mutex::default),
            listeners: Mutex::default(),
        })))
    }

    /// Makes the first connection and prepares its statements, unless a call has done so. In the same round
    /// trip it reads the list of void tokens, if calls will need it.
    ///
    /// A failure is only logged: the calls will find out for themselves.
    pub async fn warm_up(&self) {
        let connect = async {
            let client = match self.open().await {
                Ok(client) => client,
                Err(error) => {
                    let error = connect::explain(&error);
                    return tracing::warn!(error, "cannot connect to the database");
                }
            };
            let statements = self.0.prepare.iter().map(|sql| client.prepare_cached(sql));
            let (prepared, ()) = join(join_all(statements), self.load_voids(&client)).await;
            for error in prepared.into_iter().filter_map(Result::err) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a statement cannot be prepared"
                );
            }
        };
        self.0.first.get_or_init(|| connect).await;
    }

    async fn load_voids(&self, client: &Client) {
        if !self.0.reads_voids {
            return;
        }
        match voids::load(client).await {
            Ok(voids) => *self.voids() = Some(voids),
            // A call reads it again, and gets the error.
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the list of void tokens cannot be read"
            ),
        }
    }

    /// The list of void tokens that the first connection has read, once.
    pub(crate) async fn voids_at_start(&self) -> Option<Voids> {
        if !self.0.reads_voids {
            return None;
        }
        self.warm_up().await;
        self.voids().take()
    }

    fn voids(&self) -> MutexGuard<'_, Option<Voids>> {
        self.0.voids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for this call, bounded by its deadline. Each statement is a transaction of its own.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE without a connection or with an open breaker, DEADLINE_EXCEEDED.
    pub async fn session(&self, cx: &Call) -> Result<Session, Error> {
        Session::open(self, cx.deadline, self.permit()?, Some(&cx.trace)).await
    }

    /// Whether the server answers, for readiness.
    ///
    /// The breaker is neither asked nor told: while it is open this must still find the server
    /// well, and a probe that nobody waits for must not take the place of a call's, nor open the
    /// breaker when no call has failed.
    ///
    /// # Errors
    ///
    /// When there is no answer `within` the time.
    pub async fn ping(&self, within: Duration) -> Result<(), Error> {
        let session = Session::open(self, Instant::now() + within, None, None).await?;
        session.sent(session.client().check_connection()).await?;
        Ok(())
    }

    /// The circuit breaker, if there is one.
    pub fn breaker(&self) -> Option<&Breaker> {
        self.0.breaker.as_ref()
    }

    /// The leave to use the database.
    pub(crate) fn permit(&self) -> Result<Option<Permit>, Error> {
        let Some(breaker) = &self.0.breaker else {
            return Ok(None);
        };
        match breaker.try_acquire() {
            Ok(permit) => Ok(Some(permit)),
            Err(open) => {
                let retry_after = open.retry_after;
                Err(
                    Error::unavailable("the database is unavailable", retry_after)
                        .with_source(open),
                )
            }
        }
    }

    /// A connection. The first caller connects; those who come meanwhile wait for it rather than
    /// open a second connection that nobody may need.
    pub(crate) async fn client(&self) -> Result<Client, PoolError> {
        let mut first = None;
        let connect = async { first = Some(self.open().await) };
        self.0.first.get_or_init(|| connect).await;
        match first {
            Some(result) => result,
            None => self.open().await,
        }
    }

    async fn open(&self) -> Result<Client, PoolError> {
        connect::open(&self.0.pool, self.0.backoff.delays()).await
    }

    /// The shared breakers of this process whose state is here.
    pub(crate) fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        let listeners = self.0.listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether as many connections exist as may.
    pub(crate) fn is_fully_connected(&self) -> bool {
        let status = self.0.pool.status();
        status.size >= status.max_size
    }

    /// What all spans of this database have in common.
    pub(crate) fn attributes(&self) -> &Attributes {
        &self.0.attributes
    }

    pub(crate) fn reads(&self) -> Option<&Mutex<Weak<Shared>>> {
        self.0.reads.as_ref()
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        self.0.drain_timeout
    }

    pub(crate) fn transport(&self) -> Transport {
        self.0.transport.clone()
    }
}

/// Shows the breaker's state at `/metrics`.
fn observe(breaker: &Breaker, setup: &mut Setup) {
    let gauge = Gauge::<i64>::default();
    setup.metrics().register(|registry| {
        registry.register(
            "zerocart_database_breaker_state",
            "The circuit breaker around the database: 0 closed, 1 half-open, 2 open",
            gauge.clone(),
        );
    });
    let recorder = setup.recorder();
    breaker.on_transition(move |transition| {
        record(&recorder, "database", transition);
        gauge.set(match transition.to {
            breaker::State::Closed => 0,
            breaker::State::HalfOpen => 1,
            breaker::State::Open => 2,
        });
        tracing::warn!(
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            "the circuit breaker around the database changed its state"
        );
    });
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("pool", &self.0.pool.status())
            .field("breaker", &self.0.breaker)
            .finish_non_exhaustive()
    }
}
