//! Effects: transactions, done once per idempotency key.

use std::{fmt, marker::PhantomData, ops::Deref, time::Duration};

use futures_util::future::BoxFuture;
use prost::Message;
use tokio_postgres::{Row, types::ToSql};
use zerocart_runtime::{Call, Error, Idempotency, Kind};

use crate::{
    Database, QueryError, Session,
    idempotency::{self, Start},
};

/// The pause before an answer is recorded again whose key another request is looking up.
const PAUSE: Duration = Duration::from_millis(10);

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
    /// # use zerocart_postgres::{Database, ErrorExt, Transaction};
    /// # use zerocart_runtime::{Call, Error, Kind};
    /// # async fn create<R: prost::Message + Default>(database: Database, cx: &Call, email: &str)
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
        R: Message + Default,
        F: for<'t> FnOnce(&'t mut Transaction<'a>) -> BoxFuture<'t, Result<R, Error>> + Send,
    {
        let mut tx = Transaction {
            session: self.session(cx).await?,
            scope: PhantomData,
        };
        tx.session.begin_lazily();
        let result = match &cx.idempotency {
            None => plain(&mut tx, handler).await,
            Some(key) => under(key, &mut tx, handler).await,
        };
        tx.session.roll_back().await;
        result
    }

    /// What was answered under the call's idempotency key; none when it is new, or there is none.
    ///
    /// # Errors
    ///
    /// What was answered, if it was an error; 409 while a request with the key runs and 422 for
    /// another request under it; those of the database.
    pub async fn answered<R: Message + Default>(&self, cx: &Call) -> Result<Option<R>, Error> {
        let Some(key) = &cx.idempotency else {
            return Ok(None);
        };
        let session = self.session(cx).await?;
        session.begin_lazily();
        let start = idempotency::begin(&session, key).await;
        session.roll_back().await;
        match start? {
            Start::Answered(answer) => answer.map(Some),
            Start::New => Ok(None),
        }
    }

    /// Runs `work`, whose effect no transaction can span, unless the call's idempotency key has an
    /// answer, and keeps its answer under the key.
    ///
    /// `work` itself must do its effect once, and give the same answer when it is run again: two
    /// requests under one key may both run, and one whose process dies has left no record. Another
    /// request under the key is refused before its effect, unless both run at the same time: then
    /// after it.
    ///
    /// # Errors
    ///
    /// Those of `work`, and as [`Database::write`].
    pub async fn once<R: Message + Default + Clone>(
        &self,
        cx: &Call,
        work: impl Future<Output = Result<R, Error>> + Send,
    ) -> Result<R, Error> {
        if let Some(answer) = self.answered(cx).await? {
            return Ok(answer);
        }
        let result = work.await;
        if cx.idempotency.is_none() {
            return result;
        }
        let answer = match result {
            Ok(response) => Ok(response),
            Err(error) if error.kind().is_answer() => Err(error.to_record()),
            Err(error) => return Err(error),
        };
        loop {
            let kept = answer.clone().map_err(Error::from);
            let kept = self
                .write(cx, |_: &mut Transaction<'_>| {
                    Box::pin(std::future::ready(kept))
                })
                .await;
            match kept {
                // Another looks under the key, which is one round trip.
                Err(error) if error.kind() == Kind::Aborted => tokio::time::sleep(PAUSE).await,
                kept => return kept,
            }
        }
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
        R: Message + Default,
        F: FnOnce(Result<Row, QueryError>) -> Result<R, Error> + Send,
    {
        if cx.idempotency.is_some() {
            return self
                .write(cx, |tx: &mut Transaction<'_>| {
                    Box::pin(async move { answer(tx.query_one(statement, params).await) })
                })
                .await;
        }
        let session = self.session(cx).await?;
        let result = session.query_one(statement, params).await;
        answer(result.map_err(QueryError::unless_definite))
    }
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
    R: Message + Default,
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
