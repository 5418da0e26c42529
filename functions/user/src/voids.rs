//! Void tokens: all tokens that a user has become void at once, in every domain.
//!
//! A token has the generation that the account had at sign-in. To make the user's tokens void, a transaction
//! raises the generation of the account, records the void in this domain, and records that the other domains
//! lack it ([`record`]). Then each of them is told ([`Delivery`]), and every domain that answered is crossed
//! off. A crash in between loses nothing: the job deliver-voids tells those that are left.
//!
//! A generation has no clock. A sign-in that has read the account before the transaction gives a token of the
//! earlier generation, which is void, however late it is signed.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use uuid::Uuid;
use zerocart_client::{Caller, Client, Failure, Functions, Identity, Options, ServiceToken};
use zerocart_core::{Call, Error, Invalid, Setup};
use zerocart_postgres::{Database, QueryError, Row, ToSql, Transaction};
use zerocart_proto::{rpc, voids::RecordVoidRequest};

/// The domains whose functions take tokens of people, beside this one.
const DOMAINS: &[&str] = &["product", "cart", "order", "payment", "ops"];

/// How many calls are made at once.
const AT_ONCE: usize = 8;

/// What the answer of a call needs, of the time that the call has.
const MARGIN: Duration = Duration::from_millis(500);

/// When it is worth trying again that a domain could not be told.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const RAISE: &str = "UPDATE users SET token_generation = token_generation + 1
     WHERE id = $1 RETURNING token_generation";

/// A domain that lacks an earlier void of the user gets this one in its place.
const OWE: &str = "INSERT INTO void_deliveries (user_id, domain, generation)
     SELECT $1, domain, $2 FROM unnest($3::text[]) AS domain
     ON CONFLICT ON CONSTRAINT void_deliveries_pkey DO UPDATE SET generation = excluded.generation";

const OWED: &str = "SELECT user_id, domain, generation FROM void_deliveries WHERE user_id = $1";

/// The oldest first: $1 at the most, after the first $2.
const DUE: &str = "SELECT user_id, domain, generation FROM void_deliveries
     ORDER BY created_at, user_id, domain LIMIT $1 OFFSET $2";

/// A later void of the user stays.
const DELIVERED: &str =
    "DELETE FROM void_deliveries WHERE user_id = $1 AND domain = $2 AND generation <= $3";

/// Makes all tokens void that a user has now, from the commit of `tx` on. The account must be there, and locked
/// by `tx`. After the commit, [`Delivery::of_user`] tells the other domains.
///
/// # Errors
///
/// Those of the database.
pub(crate) async fn record(tx: &Transaction<'_>, user_id: Uuid) -> Result<(), QueryError> {
    let generation: i32 = tx.query_one(RAISE, &[&user_id]).await?.get(0);
    tx.record_void(user_id, generation).await?;
    tx.execute(OWE, &[&user_id, &generation, &DOMAINS]).await?;
    Ok(())
}

/// Tells the other domains which tokens are void.
///
/// A function or job that has one declares in `proto/` that it calls all of them.
#[derive(Debug)]
pub(crate) struct Delivery {
    database: Database,
    functions: Functions,
    product: Client<rpc::RecordVoidInProduct>,
    cart: Client<rpc::RecordVoidInCart>,
    order: Client<rpc::RecordVoidInOrder>,
    payment: Client<rpc::RecordVoidInPayment>,
    ops: Client<rpc::RecordVoidInOps>,
}

/// A void that a domain lacks.
#[derive(Debug)]
struct Owed {
    user_id: Uuid,
    domain: String,
    generation: i32,
}

/// What came of a delivery.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// How many domains were told of a void.
    pub(crate) told: usize,
    /// How many could not be told.
    pub(crate) left: usize,
    /// Their names, each once.
    pub(crate) lacking: Vec<String>,
}

impl Delivery {
    /// Clients from the environment, for `caller`, which calls as a service.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the reasons are noted.
    pub(crate) fn from_setup(
        setup: &mut Setup,
        database: &Result<Database, Invalid>,
        caller: Caller,
    ) -> Result<Self, Invalid> {
        let identity = ServiceToken::from_setup(setup, &caller).map(Identity::Service);
        let functions = Functions::from_setup(setup, caller)?;
        // Made even without a key, so that all missing addresses are reported, too.
        let options = || Options {
            identity: identity.clone().unwrap_or_default(),
            ..Options::default()
        };
        let product = functions.client(setup, options());
        let cart = functions.client(setup, options());
        let order = functions.client(setup, options());
        let payment = functions.client(setup, options());
        let ops = functions.client(setup, options());
        identity?;
        Ok(Self {
            database: database.as_ref().map_err(|invalid| *invalid)?.clone(),
            functions,
            product: product?,
            cart: cart?,
            order: order?,
            payment: payment?,
            ops: ops?,
        })
    }

    /// Wakes the functions of the other domains, and does not wait.
    pub(crate) fn wake(&self) {
        self.functions.wake_all();
    }

    /// Tells every domain that lacks a void of this user.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE with the names of the domains that could not be told; the job tells them.
    pub(crate) async fn of_user(&self, cx: &Call, user_id: Uuid) -> Result<(), Error> {
        let owed = self.owed(cx, OWED, &[&user_id]).await?;
        // In time for the answer that names those that did not answer.
        let within = cx.with_deadline(cx.deadline - MARGIN.min(cx.remaining()));
        let delivered = self.deliver(&within, owed).await;
        if delivered.lacking.is_empty() {
            return Ok(());
        }
        let domains = delivered.lacking.join(", ");
        let message = format!(
            "the change is made, but the user's tokens are not void yet in: {domains}; the job deliver-voids \
             tries again every minute"
        );
        Err(Error::unavailable(message, RETRY_AFTER).with_metadata("domains", domains))
    }

    /// Tells domains of voids that they lack: of the oldest `limit` voids after the first `skip`. None if there
    /// are no more.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn of_all(
        &self,
        cx: &Call,
        limit: i64,
        skip: i64,
    ) -> Result<Option<Delivered>, Error> {
        let due = self.owed(cx, DUE, &[&limit, &skip]).await?;
        if due.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.deliver(cx, due).await))
    }

    /// What domains lack. No connection is held afterwards.
    async fn owed(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Owed>, Error> {
        let session = self.database.session(cx).await?;
        let rows = session.query(statement, params).await?;
        Ok(rows.iter().map(Owed::of_row).collect())
    }

    async fn deliver(&self, cx: &Call, owed: Vec<Owed>) -> Delivered {
        let mut telling = stream::iter(owed)
            .map(|owed| self.told(cx, owed))
            .buffer_unordered(AT_ONCE);
        let mut delivered = Delivered::default();
        while let Some((owed, told)) = telling.next().await {
            let Err(error) = told else {
                delivered.told += 1;
                continue;
            };
            let (domain, reason) = (&owed.domain, error.message());
            tracing::warn!(domain, reason, "a domain was not told of void tokens");
            delivered.left += 1;
            if !delivered.lacking.contains(domain) {
                delivered.lacking.push(owed.domain);
            }
        }
        delivered.lacking.sort();
        delivered
    }

    async fn told(&self, cx: &Call, owed: Owed) -> (Owed, Result<(), Error>) {
        let told = self.tell(cx, &owed).await;
        (owed, told)
    }

    async fn tell(&self, cx: &Call, owed: &Owed) -> Result<(), Error> {
        let Owed {
            user_id,
            domain,
            generation,
        } = owed;
        self.call(cx, domain, user_id.to_string(), *generation)
            .await?;
        let session = self.database.session(cx).await?;
        session
            .execute(DELIVERED, &[user_id, domain, generation])
            .await?;
        Ok(())
    }

    async fn call(
        &self,
        cx: &Call,
        domain: &str,
        user_id: String,
        generation: i32,
    ) -> Result<(), Error> {
        let request = RecordVoidRequest {
            user_id,
            generation,
        };
        let done = match domain {
            "product" => self.product.call(cx, &request).await.map(drop),
            "cart" => self.cart.call(cx, &request).await.map(drop),
            "order" => self.order.call(cx, &request).await.map(drop),
            "payment" => self.payment.call(cx, &request).await.map(drop),
            "ops" => self.ops.call(cx, &request).await.map(drop),
            _ => return Err(Error::internal(format!("there is no domain {domain}"))),
        };
        done.map_err(|failure: Failure| failure.into())
    }
}

impl Owed {
    fn of_row(row: &Row) -> Self {
        Self {
            user_id: row.get(0),
            domain: row.get(1),
            generation: row.get(2),
        }
    }
}
