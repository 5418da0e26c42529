//! The list of void tokens of a domain: the table `token_voids`.
//!
//! Each domain has one in its own database, because a function reads no other. A row says from which
//! generation on the tokens of a user are good. It is kept for longer than any token lives, and then it says
//! nothing any more.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, Row};
use uuid::Uuid;
use zerocart_core::{
    Call, Error,
    voids::{Moment, Reading, VoidList, Voids},
};

use crate::{Answer, Database, QueryError, RowExt, Session, session};

/// The longest time of a read beside the calls.
const LIMIT: Duration = Duration::from_secs(2);

const LOAD: &str = "SELECT user_id::text, generation FROM token_voids WHERE until > now()";

/// What a record takes away with it, so that the table stays as large as a day's records. SKIP LOCKED: it never
/// waits for another record.
///
/// A token lives for 24 hours at the most (`TOKEN_LIFETIME_SECONDS` of authenticate-user), and its sign-in takes
/// a few seconds.
const RECORD: &str = "WITH gone AS (
       DELETE FROM token_voids WHERE user_id IN (
         SELECT user_id FROM token_voids WHERE until <= now() AND user_id <> $1
         LIMIT 10 FOR UPDATE SKIP LOCKED)
     )
     INSERT INTO token_voids AS known (user_id, generation, until)
     VALUES ($1, $2, now() + interval '25 hours')
     ON CONFLICT ON CONSTRAINT token_voids_pkey DO UPDATE SET
       generation = greatest(known.generation, excluded.generation), until = excluded.until
     RETURNING generation";

impl Session {
    /// Makes the tokens of a user void that are of a generation before `generation`. Gives the first
    /// generation whose tokens are good: an earlier record may say more.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub async fn record_void(&self, user_id: Uuid, generation: i32) -> Result<i32, QueryError> {
        let row = self.query_one(RECORD, &[&user_id, &generation]).await?;
        row.column(0)
    }
}

impl Database {
    /// The same as [`Session::record_void`], once per idempotency key, as the whole work of a function;
    /// `answer` makes its response of what that gives.
    ///
    /// # Errors
    ///
    /// As [`Database::write_one`](Self::write_one).
    pub async fn record_void<R: Answer>(
        &self,
        cx: &Call,
        user_id: Uuid,
        generation: i32,
        answer: impl FnOnce(i32) -> R + Send,
    ) -> Result<R, Error> {
        self.write_one(cx, RECORD, &[&user_id, &generation], |recorded| {
            Ok(answer(recorded?.column(0)?))
        })
        .await
    }
}

/// The list as it is in the database of a function.
#[derive(Debug)]
pub(crate) struct TokenVoids(pub(crate) Database);

/// Reads the list over a connection that may be in the middle of other statements.
pub(crate) async fn load(client: &Client) -> Result<Voids, QueryError> {
    let asked = Moment::now();
    let rows = client.query_typed(LOAD, &[]).await?;
    voids(asked, &rows)
}

fn voids(asked: Moment, rows: &[Row]) -> Result<Voids, QueryError> {
    let void = |row: &Row| {
        let generation: i32 = row.column(1)?;
        Ok::<_, QueryError>((row.column(0)?, generation.unsigned_abs()))
    };
    let list: Result<Vec<_>, _> = rows.iter().map(void).collect();
    Ok(Voids::new(asked, list?))
}

async fn read(session: &Session) -> Result<Voids, QueryError> {
    let asked = Moment::now();
    let span = session.span("SELECT token_voids");
    let rows = session.sent(session.client().query_typed(LOAD, &[])).await;
    session::end(span, rows.as_ref().err());
    voids(asked, &rows?)
}

impl VoidList for TokenVoids {
    fn at_start(&self) -> Reading<'_, Option<Voids>> {
        Box::pin(self.0.voids_at_start())
    }

    fn read<'a>(&'a self, cx: &'a Call) -> Reading<'a, Result<Voids, Error>> {
        Box::pin(async { Ok(read(&self.0.session(cx).await?).await?) })
    }

    fn refresh(&self) -> Reading<'_, Result<Voids, Error>> {
        Box::pin(async {
            let session = Session::open(&self.0, Instant::now() + LIMIT, None, None).await?;
            Ok(read(&session).await?)
        })
    }
}
