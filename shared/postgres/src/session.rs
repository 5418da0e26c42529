//! A connection on loan to one call.

pub(crate) mod drain;

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_postgres::Client;
use futures_util::future::{BoxFuture, join, try_join_all};
use tokio::{runtime::Handle, time::Instant};
use tokio_postgres::{Row, Statement, types::ToSql};
use zerocart_core::{
    Error,
    trace::{Kind, Span, Trace},
};
use zerocart_resilience::breaker::{Outcome, Permit};

use crate::{Database, QueryError, connect, read::Shared, statement::Named};

/// READ COMMITTED is set explicitly, because the server may have another default.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// What the database gets at least before a deadline that passes is held against it.
///
/// A caller chooses its deadline: one of a millisecond must not be able to open the breaker for
/// everybody.
const FAIR_CHANCE: Duration = Duration::from_millis(250);

/// A longer wait for a connection is a span: to open one takes longer, too.
const WORTH_A_SPAN: Duration = Duration::from_micros(250);

/// A connection on loan to one call: for single statements, or the inside of a transaction.
///
/// Statements are prepared once per connection and then kept, so give them as constants.
/// Statements that do not depend on each other can run in one round trip: join their futures.
///
/// Dropped, it goes back to the pool. In the middle of a statement that is its own transaction, it first
/// gets a short time for the answer ([`Config::drain_timeout`](crate::Config)). In the middle of a
/// transaction, or after that time, it is closed, and what the server still runs for it is cancelled.
pub struct Session {
    database: Database,
    /// None only while connecting, and after the drop.
    client: Option<Client>,
    /// In place of `client`: a connection that several reads use at once.
    shared: Option<Arc<Shared>>,
    /// The connection was there before this session.
    joined: bool,
    permit: Option<Permit>,
    deadline: Instant,
    opened: Instant,
    /// The call's trace; none for what no call asks.
    trace: Option<Trace>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    transaction: Transaction,
    /// Statements that were sent and not answered.
    pending: usize,
    /// Statements that are being prepared. One that is dropped then stays in the server's session, and
    /// nobody knows its name.
    preparing: usize,
    /// What is known of the database.
    verdict: Option<Outcome>,
    /// The connection is not to be used again.
    spoilt: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Transaction {
    /// Every statement is its own.
    #[default]
    None,
    /// BEGIN goes out with the first statement.
    Due,
    /// Statements belong to it.
    Open,
    /// The server ignores everything but ROLLBACK.
    Failed,
    /// COMMIT was sent.
    Committing,
}

impl Session {
    /// Takes a connection from the pool, or makes one.
    pub(crate) async fn open(
        database: &Database,
        deadline: Instant,
        permit: Option<Permit>,
        trace: Option<&Trace>,
    ) -> Result<Self, Error> {
        let mut session = Self {
            database: database.clone(),
            client: None,
            shared: None,
            joined: false,
            permit,
            deadline,
            opened: Instant::now(),
            trace: trace.cloned(),
            state: Mutex::default(),
        };
        let began = std::time::Instant::now();
        let client = tokio::time::timeout_at(deadline, database.client()).await;
        let result = match client {
            Ok(Ok(client)) => {
                session.client = Some(client);
                Ok(session)
            }
            Ok(Err(error)) => {
                let (error, outcome) = connect::no_connection(error);
                session.state().verdict = Some(outcome);
                Err(error)
            }
            Err(_) => Err(QueryError::deadline().into()),
        };
        // A connection of the pool that is free is there at once, which is worth no span.
        let waited = result.is_err() || began.elapsed() >= WORTH_A_SPAN;
        if let Some(trace) = trace.filter(|_| waited) {
            let mut span = trace.span("database session", Kind::Client);
            span.began_at(began);
            span.set_all(database.attributes());
            if let Err(error) = &result {
                span.fail(error.kind().name(), error.message());
            }
            span.end();
        }
        result
    }

    /// A span for a statement.
    fn span_of(&self, statement: &str) -> Option<Span> {
        let trace = self.trace.as_ref().filter(|trace| trace.is_on())?;
        let named = Named::of(statement);
        Some(self.begin_span(trace, &named))
    }

    /// A span for a statement of this name, or for several in one round trip.
    pub(crate) fn span(&self, name: &'static str) -> Option<Span> {
        let trace = self.trace.as_ref().filter(|trace| trace.is_on())?;
        Some(self.begin_span(trace, &Named::new(name)))
    }

    fn begin_span(&self, trace: &Trace, named: &Named) -> Span {
        let mut span = trace.span(named.name.clone(), Kind::Client);
        span.set_all(self.database.attributes());
        span.set_all(&named.attributes);
        span
    }

    /// Prepares statements that are not prepared yet on this connection, in one round trip.
    ///
    /// Futures of prepared statements send them when they are first polled, so that joined ones
    /// reach the server in the order in which they are polled. Without this, a statement that is
    /// prepared only then may be overtaken by the next.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub async fn prepare(&self, statements: &[&str]) -> Result<(), QueryError> {
        let preparing = statements.iter().map(|sql| self.prepared(sql));
        self.sent(try_join_all(preparing)).await?;
        Ok(())
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.state().preparing += 1;
        let prepared = self.client().prepare_cached(sql).await;
        self.state().preparing -= 1;
        prepared
    }

    /// The rows of a statement.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub async fn query(
        &self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, QueryError> {
        self.run(statement, async |client, prepared| {
            client.query(&prepared, params).await
        })
        .await
    }

    /// The row of a statement that gives one or none.
    ///
    /// # Errors
    ///
    /// [`QueryError`], also for more than one row.
    pub async fn query_opt(
        &self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, QueryError> {
        at_most_one(self.query(statement, params).await?)
    }

    /// The row of a statement that gives exactly one.
    ///
    /// # Errors
    ///
    /// [`QueryError`], also for another number of rows.
    pub async fn query_one(
        &self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, QueryError> {
        self.query_opt(statement, params)
            .await?
            .ok_or_else(|| QueryError::rows(0))
    }

    /// The number of rows that a statement changed.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub async fn execute(
        &self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, QueryError> {
        self.run(statement, async |client, prepared| {
            client.execute(&prepared, params).await
        })
        .await
    }

    async fn run<T>(
        &self,
        statement: &str,
        execute: impl AsyncFnOnce(&Client, Statement) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, QueryError> {
        let span = self.span_of(statement);
        let result = self.run_once(statement, execute).await;
        end(span, result.as_ref().err());
        result
    }

    async fn run_once<T>(
        &self,
        statement: &str,
        execute: impl AsyncFnOnce(&Client, Statement) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, QueryError> {
        let client = self.client();
        let work = async {
            let prepared = self.prepared(statement).await?;
            execute(client, prepared).await
        };
        if self.enter() {
            // One round trip for both: the server works off what it gets in order.
            let (begin, result) = self
                .sent(async { Ok(join(client.batch_execute(BEGIN), work).await) })
                .await?;
            if let Err(error) = begin {
                let error = self.judge(error.into());
                // A server that refuses BEGIN alone (a time limit, to the microsecond) has then
                // run the statement on its own.
                return Err(if error.is_refusal() {
                    error.unless_definite()
                } else {
                    error
                });
            }
            result.map_err(|error| self.judge(error.into()))
        } else {
            self.sent(work).await
        }
    }

    /// Sends something, waits until the deadline, and notes what that says of the database.
    pub(crate) async fn sent<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, QueryError> {
        if Instant::now() >= self.deadline {
            return Err(QueryError::deadline());
        }
        self.state().pending += 1;
        // A future that is dropped here, or times out, leaves `pending` above 0.
        let result = tokio::time::timeout_at(self.deadline, work)
            .await
            .map_err(|_| QueryError::deadline())?;
        self.state().pending -= 1;
        match result {
            Ok(value) => {
                self.state().verdict.get_or_insert(Outcome::Success);
                Ok(value)
            }
            Err(error) => Err(self.judge(error.into())),
        }
    }

    /// Notes what an error says of the database, the connection and the transaction.
    pub(crate) fn judge(&self, error: QueryError) -> QueryError {
        let mut state = self.state();
        if error.is_lost_connection() && self.is_reused() {
            // It tells of a server that has ended since; whether there is one again, the next
            // connection finds out.
            state.verdict = Some(Outcome::Ignore);
        } else if error.is_database_failure() {
            state.verdict = Some(Outcome::Failure);
        } else {
            state.verdict.get_or_insert(Outcome::Success);
        }
        state.spoilt |= error.spoils_connection();
        if error.is_refusal() && state.transaction == Transaction::Open {
            state.transaction = Transaction::Failed;
        }
        error
    }

    /// Makes this a transaction, which begins with its first statement.
    pub(crate) fn begin_lazily(&self) {
        self.state().transaction = Transaction::Due;
    }

    /// Whether BEGIN is due, which it then no longer is.
    pub(crate) fn enter(&self) -> bool {
        let mut state = self.state();
        let due = state.transaction == Transaction::Due;
        if due {
            state.transaction = Transaction::Open;
        }
        due
    }

    /// Commits, together with `last`, which goes out before it in the same round trip.
    ///
    /// Without any statement there is nothing to commit.
    pub(crate) async fn commit<T>(
        &self,
        last: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<(), QueryError> {
        {
            let mut state = self.state();
            match state.transaction {
                Transaction::None | Transaction::Due => return Ok(()),
                // COMMIT would be answered with a ROLLBACK that looks like success.
                Transaction::Failed => return Err(QueryError::failed()),
                Transaction::Open | Transaction::Committing => {
                    state.transaction = Transaction::Committing;
                }
            }
        }
        let span = self.span("COMMIT");
        let result = self.commit_with(last).await;
        end(span, result.as_ref().err());
        result
    }

    async fn commit_with<T>(
        &self,
        last: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<(), QueryError> {
        let client = self.client();
        let (last, committed) = self
            .sent(async { Ok(join(last, client.batch_execute("COMMIT")).await) })
            .await
            .map_err(QueryError::unless_definite)?;
        // After a refused `last`, COMMIT has rolled back, and says so only in its tag.
        last.map_err(|error| self.judge(error.into()).unless_definite())?;
        committed.map_err(|error| self.judge(error.into()).unless_definite())?;
        self.over();
        Ok(())
    }

    /// Rolls back. If that fails, the connection will be closed, which does the same.
    pub(crate) async fn roll_back(&self) {
        let due = {
            let state = self.state();
            match state.transaction {
                Transaction::None | Transaction::Due => return,
                Transaction::Open | Transaction::Failed => state.pending == 0,
                Transaction::Committing => false,
            }
        };
        let client = self.client();
        if due && self.sent(client.batch_execute("ROLLBACK")).await.is_ok() {
            self.over();
        }
    }

    /// The transaction has failed before, but the server accepts statements again.
    pub(crate) fn recovered(&self) {
        self.state().transaction = Transaction::Open;
    }

    /// The transaction has ended. Answers come in order, so nothing is pending any more.
    fn over(&self) {
        let mut state = self.state();
        state.transaction = Transaction::None;
        state.pending = 0;
    }

    /// A session over a connection that others use, too, for a single read.
    pub(crate) fn join(
        database: &Database,
        deadline: Instant,
        permit: Option<Permit>,
        shared: Arc<Shared>,
        trace: &Trace,
    ) -> Self {
        Self {
            database: database.clone(),
            client: None,
            shared: Some(shared),
            joined: true,
            permit,
            deadline,
            opened: Instant::now(),
            trace: Some(trace.clone()),
            state: Mutex::default(),
        }
    }

    /// Lets other reads join from now on. Must be called before its first statement.
    pub(crate) fn share(&mut self) -> Option<Arc<Shared>> {
        let shared = Arc::new(Shared::new(self.client.take()?, &self.database));
        self.shared = Some(Arc::clone(&shared));
        Some(shared)
    }

    /// Uses another connection from now on, and gives its own back. Must be called before its first
    /// statement.
    pub(crate) fn rejoin(&mut self, shared: Arc<Shared>) {
        self.client = None;
        self.shared = Some(shared);
        self.joined = true;
    }

    pub(crate) fn client(&self) -> &Client {
        let shared = self.shared.as_deref().map(Shared::client);
        self.client
            .as_ref()
            .or(shared)
            .expect("a session that was handed out has its connection until it is dropped")
    }

    /// Whether the connection is older than this session.
    pub(crate) fn is_reused(&self) -> bool {
        self.joined || Client::metrics(self.client()).recycle_count > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the span of a statement. Its status names the error, without the values that a message can have.
pub(crate) fn end(span: Option<Span>, error: Option<&QueryError>) {
    let Some(mut span) = span else { return };
    if let Some(error) = error {
        let code = error.code();
        span.set("db.response.status_code", code);
        span.fail(code, "");
    }
    span.end();
}

/// The row, if there is one.
///
/// # Errors
///
/// When there are more.
pub(crate) fn at_most_one(mut rows: Vec<Row>) -> Result<Option<Row>, QueryError> {
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        more => Err(QueryError::rows(more)),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let client = self.client.take();
        let state = std::mem::take(&mut *self.state());
        if let Some(permit) = self.permit.take() {
            let cut_off = Instant::now() >= self.deadline && self.opened.elapsed() >= FAIR_CHANCE;
            let waiting = match client.is_some() || self.shared.is_some() {
                true => state.pending > 0,
                // Waiting for one of the connections that others use says nothing.
                false => !self.database.is_fully_connected(),
            };
            let verdict = match state.verdict {
                Some(Outcome::Failure) => Outcome::Failure,
                _ if waiting && cut_off => Outcome::Failure,
                _ if state.pending > 0 => Outcome::Ignore,
                verdict => verdict.unwrap_or(Outcome::Ignore),
            };
            permit.settle(verdict);
        }
        if let Some(shared) = self.shared.take() {
            let unanswered = state.pending > 0;
            let late = unanswered && Instant::now() >= self.deadline;
            return shared.leave(unanswered, state.spoilt || late || state.preparing > 0);
        }
        let Some(client) = client else { return };
        if state.transaction_is_over() && !state.spoilt {
            if state.pending == 0 {
                // Back to the pool.
                return drop(client);
            }
            if state.preparing == 0
                && let Ok(runtime) = Handle::try_current()
            {
                // In boxes: one kind of task, and not three, in each function's binary.
                runtime.spawn(
                    Box::pin(drain::drain(client, self.database.clone())) as BoxFuture<'_, _>
                );
                return;
            }
        }
        // Closing it makes the server roll back. What it is running it would still finish, holding
        // its locks; but a COMMIT is better finished than cancelled.
        let client = Client::take(client);
        if state.pending > 0 && state.transaction != Transaction::Committing {
            let cancel = self.database.transport().cancel(client.cancel_token());
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(Box::pin(cancel) as BoxFuture<'_, _>);
            }
        }
    }
}

impl State {
    fn transaction_is_over(&self) -> bool {
        matches!(self.transaction, Transaction::None | Transaction::Due)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
