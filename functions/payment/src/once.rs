//! Idempotency keys for work that no transaction can span.

use std::{
    future::{Future, ready},
    time::Duration,
};

use zerocart_postgres::{BoxFuture, Database, Transaction};
use zerocart_proto::payment::PaymentResponse;
use zerocart_runtime::{Call, Error, Kind, error::Record};

/// How long to wait while another request looks under the same key, which is one round trip.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs `work` unless its call's idempotency key has an answer, and keeps its answer under the key.
///
/// The effect is not in the transaction of the key's record, so `work` itself must do it once, and
/// give the same answer when it is run again: two requests under one key may both run, and one
/// whose process dies has left no record. Only another request under the same key that runs at the
/// same time is found out at the end, rather than before its effect.
///
/// # Errors
///
/// Those of `work` and of [`Database::write`].
pub(crate) async fn once(
    database: &Database,
    cx: &Call,
    work: impl Future<Output = Result<PaymentResponse, Error>> + Send,
) -> Result<PaymentResponse, Error> {
    if cx.idempotency.is_none() {
        return work.await;
    }
    let mut new = false;
    let seen = &mut new;
    // An error that is no answer leaves nothing behind: this only looks.
    let looked = database
        .write(cx, move |_: &mut Transaction<'_>| {
            *seen = true;
            boxed(Err(Error::new(Kind::Cancelled, "only looked")))
        })
        .await;
    if !new {
        return looked;
    }
    let answer = match work.await {
        Ok(response) => Ok(response),
        Err(error) if error.kind().is_answer() => Err(error.to_record()),
        Err(error) => return Err(error),
    };
    loop {
        let kept = match &answer {
            Ok(response) => Ok(response.clone()),
            Err(record) => Err(Record::clone(record).into()),
        };
        let kept = database
            .write(cx, |_: &mut Transaction<'_>| boxed(kept))
            .await;
        match kept {
            Err(error) if error.kind() == Kind::Aborted => tokio::time::sleep(PAUSE).await,
            kept => return kept,
        }
    }
}

fn boxed<'t>(
    result: Result<PaymentResponse, Error>,
) -> BoxFuture<'t, Result<PaymentResponse, Error>> {
    Box::pin(ready(result))
}
