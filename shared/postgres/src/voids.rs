//! The list of void tokens of a domain: the table `token_voids`.
//!
//! Each domain has one in its own database, because a function reads no other. A row says from which
//! generation on the tokens of a user are good. It is kept for longer than any token lives, and then it says
//! nothing any more.

use std::{marker::PhantomData, time::Duration};

use tokio::time::Instant;
use tokio_postgres::{Client, Row};
use uuid::Uuid;
use zerocart_core::{
    Call, Error, Function, Invalid, Request, Setup,
    voids::{Moment, Reading, VoidList, Voids},
};
use zerocart_proto::{
    rpc::Rpc,
    voids::{RecordVoidRequest, RecordVoidResponse},
};

use crate::{Database, Options, QueryError, RowExt, Session, breaker_rules, session};

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

/// `record-void-in-<domain>`: the function of the RPC `R`, which does [`Session::record_void`] in its domain.
/// With `BREAKER`, its database is behind a circuit breaker by [`breaker_rules`].
#[derive(Debug)]
pub struct RecordVoid<R, const BREAKER: bool = false> {
    database: Database,
    rpc: PhantomData<R>,
}

impl<R, const BREAKER: bool> Function for RecordVoid<R, BREAKER>
where
    R: Rpc<Request = RecordVoidRequest, Response = RecordVoidResponse>,
{
    type Rpc = R;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let options = Options {
            breaker: BREAKER.then(|| breaker_rules(setup)).transpose()?,
            ..Options::default()
        };
        Ok(Self {
            database: Database::from_setup(setup, options)?,
            rpc: PhantomData,
        })
    }

    async fn call(&self, cx: &Call, request: Request<Self>) -> Result<RecordVoidResponse, Error> {
        let user_id = request.user_id()?;
        self.database
            .write_one(cx, RECORD, &[&user_id, &request.generation], |recorded| {
                Ok(RecordVoidResponse {
                    generation: recorded?.column(0)?,
                    message: "earlier tokens of the user are void".into(),
                })
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
