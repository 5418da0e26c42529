//! The records of `idempotency_keys`: a request's answer, kept with its effect.

use futures_util::future::join4;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};
use zerocart_core::{Error, Idempotency, error::Record};

use crate::{
    Answer, QueryError, RowExt, Session,
    session::{self, BEGIN},
};

/// One at a time under a key, without waiting. Released with the transaction.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock($1)";

/// A statement of its own after [`LOCK`], because a statement does not see what was committed
/// after it began: in one with the lock, it could get the lock and miss the record.
const FIND: &str = "SELECT fingerprint, response, error, \
     created_at <= now() - interval '24 hours' AS expired \
     FROM idempotency_keys WHERE key = $1";

const FORGET: &str = "DELETE FROM idempotency_keys WHERE key = $1";

const SAVEPOINT: &str = "SAVEPOINT handler";
const UNDO: &str = "ROLLBACK TO SAVEPOINT handler";

/// Each record takes a few expired ones away with it, so that the table stays as large as a day's
/// requests without a job that somebody must run. SKIP LOCKED: never waits for another record.
const KEEP: &str = "WITH expired AS ( \
       SELECT key FROM idempotency_keys \
       WHERE created_at <= now() - interval '24 hours' AND key <> $1 \
       ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED \
     ), gone AS ( \
       DELETE FROM idempotency_keys USING expired WHERE idempotency_keys.key = expired.key \
     ) \
     INSERT INTO idempotency_keys (key, fingerprint, response, error) VALUES ($1, $2, $3, $4)";

/// The beginning of a statement that does something once per idempotency key
/// ([`Database::write_known`](crate::Database::write_known)), in its own transaction and together with the
/// key's record: the common table expressions of a `WITH`, of which `first` has one row if the key is new,
/// or there is none, and if the condition holds, and otherwise none.
///
/// $1 to $4 belong to the key. The key is looked up and recorded in one step, because a unique index
/// tells of what was committed after the statement began. The lock keeps the statement apart from
/// transactions under the same key that take longer.
///
/// ```
/// # use zerocart_postgres::first;
/// const PLACE: &str = concat!(
///     "WITH ",
///     first!("EXISTS (SELECT FROM users WHERE id = $5)"),
///     ", placed AS (INSERT INTO orders (user_id) SELECT $5 FROM first RETURNING id)
///     SELECT id FROM placed"
/// );
/// ```
#[macro_export]
macro_rules! first {
    ($condition:literal) => {
        concat!(
            "allowed AS MATERIALIZED (SELECT 1 AS one WHERE ",
            $condition,
            "), expired AS ( \
               SELECT key FROM idempotency_keys \
               WHERE $2::bytea IS NOT NULL \
                 AND created_at <= now() - interval '24 hours' AND key <> $2 \
               ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED \
             ), gone AS ( \
               DELETE FROM idempotency_keys USING expired \
               WHERE idempotency_keys.key = expired.key \
             ), kept AS ( \
               INSERT INTO idempotency_keys AS old (key, fingerprint, response) \
               SELECT $2, $3::bytea, $4::bytea FROM allowed \
               WHERE $2 IS NOT NULL AND pg_try_advisory_xact_lock($1::bigint) \
               ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, \
                 response = excluded.response, error = NULL, created_at = excluded.created_at \
               WHERE old.created_at <= now() - interval '24 hours' \
               RETURNING 1 AS one \
             ), first AS ( \
               SELECT one FROM kept UNION ALL SELECT one FROM allowed WHERE $2 IS NULL \
             )"
        )
    };
}

/// What a transaction under a key starts with.
pub(crate) enum Start<R> {
    /// The request was answered before.
    Answered(Result<R, Error>),
    /// It is new.
    New,
}

/// Begins a transaction under `key`, in one round trip.
///
/// # Errors
///
/// [`Idempotency::running`] and [`Idempotency::reused`], and those of the database.
pub(crate) async fn begin<R: Answer>(
    session: &Session,
    idempotency: &Idempotency,
) -> Result<Start<R>, Error> {
    session.enter();
    let span = session.span("SELECT idempotency_keys");
    let client = session.client();
    let key = &idempotency.key.as_slice();
    let lock = lock_id(&idempotency.key);
    let sent = session
        .sent(async {
            Ok(join4(
                client.batch_execute(BEGIN),
                client.query_typed_one(LOCK, &[(&lock, Type::INT8)]),
                client.query_typed_opt(FIND, &[(key, Type::BYTEA)]),
                client.batch_execute(SAVEPOINT),
            )
            .await)
        })
        .await;
    session::end(span, sent.as_ref().err());
    let (begun, locked, found, saved) = sent?;
    let judge = |error: tokio_postgres::Error| session.judge(error.into());
    begun.map_err(judge)?;
    let locked: bool = locked.map_err(judge)?.column(0)?;
    let found = found.map_err(judge)?;
    saved.map_err(judge)?;

    let expired = match &found {
        Some(row) => row.column("expired")?,
        None => false,
    };
    match found {
        // A record is final, even if another transaction holds the lock to read it.
        Some(row) if !expired => answer(&row, idempotency).map(Start::Answered),
        _ if !locked => Err(Idempotency::running()),
        Some(_) => {
            // Gone for good: a later return to the savepoint must not bring it back.
            session
                .sent(async {
                    client.execute_typed(FORGET, &[(key, Type::BYTEA)]).await?;
                    client.batch_execute(SAVEPOINT).await
                })
                .await?;
            Ok(Start::New)
        }
        None => Ok(Start::New),
    }
}

/// The recorded answer.
fn answer<R: Answer>(row: &Row, idempotency: &Idempotency) -> Result<Result<R, Error>, Error> {
    let fingerprint: &[u8] = row.column("fingerprint")?;
    if fingerprint != idempotency.fingerprint {
        return Err(Idempotency::reused());
    }
    let error: Option<Json<Record>> = row.column("error")?;
    if let Some(Json(record)) = error {
        return Ok(Err(record.into()));
    }
    let response: &[u8] = row.column("response")?;
    R::from_bytes(response).map(Ok).map_err(Error::internal)
}

/// Records the answer and commits, in one round trip.
///
/// An error takes the effect back first: what the handler did before it failed is no effect.
pub(crate) async fn commit<R: Answer>(
    session: &Session,
    idempotency: &Idempotency,
    result: Result<&R, &Error>,
) -> Result<(), QueryError> {
    let client = session.client();
    let key = &idempotency.key.as_slice();
    let fingerprint = &idempotency.fingerprint.as_slice();
    let response = result.ok().map(Answer::to_bytes);
    let error = result.err().map(|error| Json(error.to_record()));
    if error.is_some() {
        session.recovered();
    }
    let undo = async {
        match error {
            Some(_) => client.batch_execute(UNDO).await,
            None => Ok(()),
        }
    };
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
        (key, Type::BYTEA),
        (fingerprint, Type::BYTEA),
        (&response, Type::BYTEA),
        (&error, Type::JSONB),
    ];
    let keep = client.execute_typed(KEEP, &params);
    session
        .commit(async {
            let (undone, kept) = futures_util::future::join(undo, keep).await;
            undone?;
            kept
        })
        .await
}

/// The lock's number: the key's first 8 bytes. Two keys that share them only exclude each other.
pub(crate) fn lock_id(key: &[u8; 32]) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&key[..8]);
    i64::from_be_bytes(first)
}
