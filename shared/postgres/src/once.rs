//! Effects in which other functions have a part, done once per idempotency key: the key is looked up,
//! the work is done without a connection, and the answer is recorded.

use std::time::Duration;

use futures_util::future::BoxFuture;
use zerocart_core::{Call, Error, Kind};

use crate::{
    Answer, Database, Transaction,
    idempotency::{self, Start},
};

/// The pause before an answer is recorded again whose key another request is looking up.
const PAUSE: Duration = Duration::from_millis(10);

impl Database {
    /// Runs `preparation`, then `handler` with its outcome in a transaction, as
    /// [`write`](Self::write) does: for what another function must say before the effect.
    ///
    /// No connection and no lock is held during `preparation`, which must have no effect of its own.
    /// Under an idempotency key its error counts as one of `handler`: an answer that is recorded comes
    /// first, even if the preparation fails by now, and an error that is an answer is recorded. That
    /// costs no round trip more than `write`. A request that was answered before is prepared again: see
    /// [`write_after_lookup`](Self::write_after_lookup).
    ///
    /// # Errors
    ///
    /// Those of `preparation`, and as [`write`](Self::write).
    pub async fn write_after<'a, P, R, F>(
        &self,
        cx: &Call,
        preparation: impl Future<Output = Result<P, Error>> + Send,
        handler: F,
    ) -> Result<R, Error>
    where
        P: Send + 'a,
        R: Answer,
        F: for<'t> FnOnce(&'t mut Transaction<'a>, P) -> BoxFuture<'t, Result<R, Error>>
            + Send
            + 'a,
    {
        let prepared = match preparation.await {
            Err(error) if cx.idempotency.is_none() => return Err(error),
            prepared => prepared,
        };
        self.write(cx, |tx: &mut Transaction<'a>| {
            Box::pin(async move { handler(tx, prepared?).await })
        })
        .await
    }

    /// As [`write_after`](Self::write_after), and looks the key up before the preparation too: for one
    /// that is not to be repeated for a request that was answered. A new request under a key takes two
    /// round trips more.
    ///
    /// # Errors
    ///
    /// As [`write_after`](Self::write_after).
    pub async fn write_after_lookup<'a, P, R, F>(
        &self,
        cx: &Call,
        preparation: impl Future<Output = Result<P, Error>> + Send,
        handler: F,
    ) -> Result<R, Error>
    where
        P: Send + 'a,
        R: Answer,
        F: for<'t> FnOnce(&'t mut Transaction<'a>, P) -> BoxFuture<'t, Result<R, Error>>
            + Send
            + 'a,
    {
        match self.answered(cx).await? {
            Some(answer) => Ok(answer),
            None => self.write_after(cx, preparation, handler).await,
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
    /// Those of `work`, and as [`write`](Self::write).
    pub async fn once<R: Answer + Clone>(
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

    /// What was answered under the call's idempotency key; none when it is new, or there is none.
    ///
    /// # Errors
    ///
    /// What was answered, if it was an error; 409 while a request with the key runs and 422 for
    /// another request under it; those of the database.
    pub(crate) async fn answered<R: Answer>(&self, cx: &Call) -> Result<Option<R>, Error> {
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
}
