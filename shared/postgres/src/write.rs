//! Transactions, each once per idempotency key or without one.

use std::{fmt, marker::PhantomData, ops::Deref};

use futures_util::future::{BoxFuture, join};
use tokio_postgres::{Row, types::ToSql};
use zerocart_core::{Call, Error, Idempotency};

use crate::{
    Answer, Database, QueryError, Session,
    idempotency::{self, Start},
    session,
};

/// The inside of a transaction: a [`Session`] whose statements take effect together.
///
/// `'a` is what the handler may borrow from outside.
pub struct Transaction<'a> {
    session: Session,
    scope: PhantomData<&'a ()>,
}

impl Deref for Transaction<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transaction").field(&self.session).finish()
    }
}

impl Database {
    /// Runs `handler` in a transaction (READ COMMITTED), once per idempotency key.
    ///
    /// Without a key: BEGIN goes out with the first statement, COMMIT follows an `Ok`, and an `Err`
    /// rolls back.
    ///
    /// With a key, the same transaction also looks the key up and records the answer: the response,
    /// or an error that is an answer (`Kind::is_answer`), whose effect is taken back. Later
    /// requests with this key get the recorded answer for 24 hours, without `handler`. Other errors
    /// record nothing, and the next request runs anew. That costs no round trip more than a
    /// transaction.
    ///
    /// ```no_run
    /// # use zerocart_postgres::{Answer, Database, ErrorExt, Transaction};
    /// # use zerocart_core::{Call, Error, Kind};
    /// # async fn create<R: Answer + Default>(database: Database, cx: &Call, email: &str)
    /// # -> Result<R, Error> {
    /// database
    ///     .write(cx, |tx: &mut Transaction<'_>| {
    ///         Box::pin(async move {
    ///             tx.execute("INSERT INTO users (email) VALUES ($1)", &[&email])
    ///                 .await
    ///                 .on_constraint("users_email_key", || {
    ///                     Error::new(Kind::AlreadyExists, "the e-mail is taken")
    ///                 })?;
    ///             Ok(R::default())
    ///         })
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `handler`; 409 while a request with the key runs and 422 for another request under
    /// it; UNAVAILABLE without a connection, with an open breaker, or when it is not known whether
    /// the effect was committed; DEADLINE_EXCEEDED.
    pub async fn write<'a, R, F>(&self, cx: &Call, handler: F) -> Result<R, Error>
    where
        R: Answer,
        F: for<'t> FnOnce(&'t mut Transaction<'a>) -> BoxFuture<'t, Result<R, Error>> + Send,
    {
        let mut tx = self.begin(cx).await?;
        let result = match &cx.idempotency {
            None => plain(&mut tx, handler).await,
            Some(key) => under(key, &mut tx, handler).await,
        };
        tx.session.roll_back().await;
        result
    }

    /// Runs `handler` in a transaction as [`write`](Self::write) does, without the idempotency key: for
    /// one of several transactions of a call, whose answer [`once`](Self::once) records.
    ///
    /// # Errors
    ///
    /// Those of `handler` and of the database, as [`write`](Self::write).
    pub async fn transaction<'a, T, F>(&self, cx: &Call, handler: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Transaction<'a>) -> BoxFuture<'t, Result<T, Error>> + Send,
    {
        let mut tx = self.begin(cx).await?;
        let result = plain(&mut tx, handler).await;
        tx.session.roll_back().await;
        result
    }

    /// Runs one statement once per idempotency key, whose `answer` is known before: the statement, with
    /// the lookup and the record of the key, is one round trip and its own transaction.
    ///
    /// `statement` begins with [`first!`](crate::first): the statement must do nothing where its `first`
    /// has no row. It gives a row if it has done something. `params` are its parameters from $5 on.
    /// `result` makes the caller's result of what the statement gave. For an error, the statement itself
    /// must have changed nothing.
    ///
    /// # Errors
    ///
    /// Those of `result`, which gets none where the condition of `first!` does not hold, and as
    /// [`write`](Self::write).
    pub async fn write_known<R, T, F>(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
        answer: &R,
        result: F,
    ) -> Result<Written<T, R>, Error>
    where
        R: Answer,
        F: FnOnce(Result<Option<Row>, QueryError>) -> Result<T, Error> + Send,
    {
        let key = cx.idempotency.as_ref();
        let lock = key.map(|key| idempotency::lock_id(&key.key));
        let digest = key.map(|key| key.key.as_slice());
        let fingerprint = key.map(|key| key.fingerprint.as_slice());
        let record = key.map(|_| answer.to_bytes());
        let mut all: Vec<&(dyn ToSql + Sync)> = vec![&lock, &digest, &fingerprint, &record];
        all.extend(params);
        let written = {
            let session = self.session(cx).await?;
            let written = session.query_opt(statement, &all).await;
            written.map_err(QueryError::unless_definite)
        };
        if let Ok(None) = written
            && let Some(answer) = self.answered(cx).await?
        {
            return Ok(Written::Before(answer));
        }
        result(written).map(Written::Now)
    }

    /// Runs statements in one transaction, once per idempotency key. They are sent one after the other
    /// without waiting: `work` joins the futures of these `statements`, in their order
    /// (`futures_util::future::join` asks in order, `tokio::join!` does not).
    ///
    /// Without a key this takes a single round trip, COMMIT included. So `answer` must not refuse what
    /// the statements did, as in [`write_one`](Self::write_one).
    ///
    /// # Errors
    ///
    /// Those of `work` and of `answer`, and as [`write`](Self::write).
    pub async fn write_together<'a, R, T, W, F>(
        &self,
        cx: &Call,
        statements: &'a [&'a str],
        work: W,
        answer: F,
    ) -> Result<R, Error>
    where
        R: Answer,
        T: Send,
        W: for<'t> FnOnce(&'t Transaction<'a>) -> BoxFuture<'t, Result<T, QueryError>> + Send + 'a,
        F: FnOnce(T) -> Result<R, Error> + Send + 'a,
    {
        if cx.idempotency.is_some() {
            return self
                .write(cx, |tx: &mut Transaction<'a>| {
                    Box::pin(async move {
                        tx.prepare(statements).await?;
                        answer(work(tx).await?)
                    })
                })
                .await;
        }
        let tx = self.begin(cx).await?;
        // Otherwise one that is not prepared yet would be overtaken by COMMIT.
        tx.prepare(statements).await?;
        let (done, committed) = join(work(&tx), tx.commit(async { Ok(()) })).await;
        // After a statement that failed, COMMIT has rolled back.
        let done = done.map_err(QueryError::unless_definite)?;
        committed?;
        answer(done)
    }

    async fn begin<'a>(&self, cx: &Call) -> Result<Transaction<'a>, Error> {
        let session = self.session(cx).await?;
        session.begin_lazily();
        Ok(Transaction {
            session,
            scope: PhantomData,
        })
    }

    /// Runs one statement, which gives exactly one row, once per idempotency key; `answer` makes
    /// the response of its result.
    ///
    /// Without a key this takes a single round trip: the statement is its own transaction. So
    /// `answer` must not refuse what the statement did: for an error, the statement itself must
    /// have changed nothing (a violated constraint, a row that says so).
    ///
    /// # Errors
    ///
    /// As [`Database::write`]; INTERNAL for another number of rows.
    pub async fn write_one<R, F>(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
        answer: F,
    ) -> Result<R, Error>
    where
        R: Answer,
        F: FnOnce(Result<Row, QueryError>) -> Result<R, Error> + Send,
    {
        self.write_opt(cx, statement, params, |result| {
            answer(result.and_then(|row| row.ok_or_else(|| QueryError::rows(0))))
        })
        .await
    }

    /// Runs one statement, which gives one row, or none where it changed nothing: otherwise as
    /// [`write_one`](Self::write_one).
    ///
    /// # Errors
    ///
    /// As [`Database::write`]; INTERNAL for more rows.
    pub async fn write_opt<R, F>(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
        answer: F,
    ) -> Result<R, Error>
    where
        R: Answer,
        F: FnOnce(Result<Option<Row>, QueryError>) -> Result<R, Error> + Send,
    {
        self.write_rows(cx, statement, params, |result| {
            answer(result.and_then(session::at_most_one))
        })
        .await
    }

    /// Runs one statement, which gives any number of rows: otherwise as [`write_one`](Self::write_one).
    ///
    /// # Errors
    ///
    /// As [`Database::write`].
    pub async fn write_rows<R, F>(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
        answer: F,
    ) -> Result<R, Error>
    where
        R: Answer,
        F: FnOnce(Result<Vec<Row>, QueryError>) -> Result<R, Error> + Send,
    {
        if cx.idempotency.is_some() {
            return self
                .write(cx, |tx: &mut Transaction<'_>| {
                    Box::pin(async move { answer(tx.query(statement, params).await) })
                })
                .await;
        }
        let session = self.session(cx).await?;
        let result = session.query(statement, params).await;
        answer(result.map_err(QueryError::unless_definite))
    }
}

/// What came of a write whose answer was known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<T, R> {
    /// This call has done it.
    Now(T),
    /// An earlier call under the same key was answered so.
    Before(R),
}

async fn plain<'a, R, F>(tx: &mut Transaction<'a>, handler: F) -> Result<R, Error>
where
    F: for<'t> FnOnce(&'t mut Transaction<'a>) -> BoxFuture<'t, Result<R, Error>>,
{
    let response = handler(tx).await?;
    tx.commit(async { Ok(()) }).await?;
    Ok(response)
}

async fn under<'a, R, F>(
    key: &Idempotency,
    tx: &mut Transaction<'a>,
    handler: F,
) -> Result<R, Error>
where
    R: Answer,
    F: for<'t> FnOnce(&'t mut Transaction<'a>) -> BoxFuture<'t, Result<R, Error>>,
{
    match idempotency::begin(tx, key).await? {
        Start::Answered(answer) => answer,
        Start::New => {
            let result = handler(tx).await;
            match &result {
                Ok(response) => idempotency::commit(tx, key, Ok(response)).await?,
                Err(error) if error.kind().is_answer() => {
                    idempotency::commit::<R>(tx, key, Err(error)).await?;
                }
                Err(_) => {}
            }
            result
        }
    }
}
