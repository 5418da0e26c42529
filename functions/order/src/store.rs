//! The orders in their database: the only SQL of this domain.
//!
//! Every change of an order that its driver makes is guarded by the fence: a driver that was taken
//! for dead changes nothing any more. Times are the database's, so that leases do not depend on the
//! clocks of those who hold them.

use std::{convert::Infallible, time::Duration};

use futures_util::future;
use uuid::Uuid;
use zerocart_core::{Call, Error, error::BoxError, trace::TraceContext};
use zerocart_postgres::{
    Answer, Database, ErrorExt, RowExt, Session, Transaction, Written, first, rfc3339,
};
use zerocart_proto::{money::Cents, order::OrderResponse};

use crate::{
    cancel::By,
    cart_is_taken,
    order::{Line, Order, leased_until, line_columns, order_columns},
    saga::{Saga, Status},
};

/// Orders, by their database. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) database: Database,
    /// How long a driver may be silent before another takes over.
    pub(crate) lease: Duration,
    /// The function or job that drives orders here.
    pub(crate) driver: &'static str,
}

const LOAD: &str = concat!("SELECT ", order_columns!(), " FROM orders WHERE id = $1");

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    " FROM order_items WHERE order_id = $1 ORDER BY line"
);

/// The user's latest order, and whether it still keeps the cart.
pub(crate) const LATEST: &str = concat!(
    "SELECT id, step IN ('reserving', 'charging', 'clearing'), ",
    leased_until!(),
    " <= clock_timestamp() \
    FROM orders WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1"
);

/// When a new order has only its first record, its lease is `open_until`.
macro_rules! lease {
    ($until:literal) => {
        concat!(
            "lease_until = CASE WHEN open_until IS NULL THEN ",
            $until,
            " ELSE lease_until END, open_until = CASE WHEN open_until IS NOT NULL THEN ",
            $until,
            " END"
        )
    };
}

/// The order, its lines, its first step and the idempotency key. Nothing when the user has placed an
/// order since the cart was read.
pub(crate) const PLACE: &str = concat!(
    "WITH ",
    first!(
        "(SELECT id FROM orders WHERE user_id = $6::uuid \
         ORDER BY created_at DESC, id DESC LIMIT 1) IS NOT DISTINCT FROM $10::uuid"
    ),
    ", placed AS ( \
        INSERT INTO orders \
            (id, user_id, payment_method, total, status, step, steps, lease_until, open_until) \
        SELECT $5, $6, $7, $8::bigint / 100.0, 'PENDING', 'reserving', 1, '9999-01-01', \
               clock_timestamp() + $9::bigint * interval '1 ms' \
        FROM first \
        RETURNING id, created_at, updated_at \
    ), lines AS ( \
        INSERT INTO order_items (order_id, line, product_id, name, price, quantity) \
        SELECT placed.id, n - 1, product_id, name, cents / 100.0, quantity \
        FROM placed, unnest($11::uuid[], $12::text[], $13::bigint[], $14::integer[]) \
             WITH ORDINALITY AS line (product_id, name, cents, quantity, n) \
    ), begun AS ( \
        INSERT INTO order_steps (order_id, number, step, fence, traceparent, driver) \
        SELECT id, 1, $15, 1, $16, $17 FROM placed \
    ) \
    SELECT ",
    rfc3339!("created_at"),
    ", ",
    rfc3339!("updated_at"),
    " FROM placed"
);

/// Two more columns: who wants to call the order off, and the span under which a driver began the last step. No
/// driver ships or delivers.
macro_rules! driven_by {
    () => {
        ", CASE WHEN cancel_asked THEN cancel_by_customer END AS cancel_by, \
          (SELECT traceparent FROM order_steps WHERE order_id = orders.id \
            AND step NOT IN ('shipped', 'delivered') ORDER BY number DESC LIMIT 1)"
    };
}

const TAKE: &str = concat!(
    "UPDATE orders SET fence = fence + 1, ",
    lease!("clock_timestamp() + $2::bigint * interval '1 ms'"),
    " WHERE id = $1 AND step <> 'ended' AND ",
    leased_until!(),
    " <= clock_timestamp() RETURNING ",
    order_columns!(),
    driven_by!()
);

const TAKE_PAID: &str = concat!(
    "UPDATE orders SET fence = fence + 1, \
     lease_until = clock_timestamp() + $2::bigint * interval '1 ms' \
     WHERE id = $1 AND step = 'ended' AND status = 'PAID' RETURNING ",
    order_columns!(),
    driven_by!()
);

const RENEW: &str = concat!(
    "UPDATE orders SET ",
    lease!("clock_timestamp() + $3::bigint * interval '1 ms'"),
    " WHERE id = $1 AND fence = $2"
);

/// The next try comes later each time: 1 s, 2 s, 4 s, … at most 5 minutes. The next driver begins the step again.
const PARK: &str = concat!(
    "WITH parked AS ( \
        UPDATE orders SET tries = tries + 1, ",
    lease!(
        "clock_timestamp() + least($3::bigint * (1 << least(tries, 16)), 300000) * interval '1 ms'"
    ),
    " WHERE id = $1 AND fence = $2 RETURNING id \
    ) \
    UPDATE order_steps SET ended_at = now(), outcome = 'put off', reason = $4 \
    FROM parked WHERE order_id = parked.id AND ended_at IS NULL"
);

/// Who asks first is the reason.
const ASK_CANCEL: &str = "\
    UPDATE orders SET cancel_asked = true, \
        cancel_by_customer = CASE WHEN cancel_asked THEN cancel_by_customer ELSE $2 END \
    WHERE id = $1 AND step <> 'ended'";

/// A driver that clears the cart loses its lease, so that it cannot bring the old status back;
/// another takes up what is left. The timeline has a step of the new status.
const MOVE: &str = "\
    WITH moved AS ( \
        UPDATE orders SET status = $3, updated_at = statement_timestamp(), fence = fence + 1, \
            steps = steps + 1, lease_until = least(lease_until, clock_timestamp()) \
        WHERE id = $1 AND status = $2 AND step IN ('clearing', 'ended') \
        RETURNING steps, fence \
    ) \
    INSERT INTO order_steps \
        (order_id, number, step, fence, began_at, ended_at, outcome, traceparent, driver) \
    SELECT $1, steps, lower($3), fence, statement_timestamp(), statement_timestamp(), 'done', $4, $5 \
    FROM moved";

/// Orders that have not ended are few, and have an index.
const DUE: &str = concat!(
    "SELECT id FROM orders WHERE step <> 'ended' AND ",
    leased_until!(),
    " <= clock_timestamp() ORDER BY ",
    leased_until!(),
    " LIMIT $1"
);

/// How many orders have not ended, and the longest time in seconds that one of them has been in its step. A
/// driver that takes an order over records the step once more; its time is that of the first. A step is called as
/// in `orders`, or by that word and more: `clearing the cart`.
const UNFINISHED: &str = "\
    SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(since))::bigint, 0) \
    FROM orders, LATERAL ( \
        SELECT min(began_at) AS since FROM order_steps \
        WHERE order_id = orders.id AND number > coalesce( \
            (SELECT max(number) FROM order_steps \
             WHERE order_id = orders.id AND split_part(step, ' ', 1) <> orders.step \
               AND step NOT IN ('shipped', 'delivered')), 0) \
    ) AS present \
    WHERE step <> 'ended'";

/// What a user's latest order says about a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latest {
    pub(crate) id: Uuid,
    /// It has not taken from the cart what it bought.
    pub(crate) keeps_cart: bool,
    /// Nobody drives it.
    pub(crate) lapsed: bool,
}

/// An order to be placed.
#[derive(Debug)]
pub(crate) struct NewOrder {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) payment_method: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) total_cents: i64,
}

impl NewOrder {
    /// The order, as it was placed at these times.
    fn placed(self, created_at: String, updated_at: String) -> Order {
        Order {
            id: self.id,
            user_id: self.user_id,
            payment_method: self.payment_method,
            total: Cents::new(self.total_cents),
            saga: Saga::PLACED,
            reason: String::new(),
            payment_id: None,
            created_at,
            updated_at,
            paid_at: None,
            steps: 1,
            fence: 1,
            lapsed: false,
            tries: 0,
            lease_until: String::new(),
            driven_by: None,
            cancel_by: None,
            lines: self.lines,
        }
    }
}

/// The id of an order: what is recorded under the idempotency key that it was placed under. The answer
/// is made of the order, once it is known what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed(pub(crate) Uuid);

impl Answer for Placed {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BoxError> {
        if let Ok(id) = Uuid::from_slice(bytes) {
            return Ok(Self(id));
        }
        // The version before recorded the id in a response.
        let order = OrderResponse::from_bytes(bytes)?.order.unwrap_or_default();
        Ok(Self(Uuid::try_parse(&order.id)?))
    }
}

impl Store {
    /// The order, with its lines.
    pub(crate) async fn load(&self, cx: &Call, id: Uuid) -> Result<Option<Order>, Error> {
        let session = self.database.session(cx).await?;
        load(&session, id).await
    }

    /// The user's latest order.
    pub(crate) async fn latest(&self, cx: &Call, user_id: Uuid) -> Result<Option<Latest>, Error> {
        let session = self.database.session(cx).await?;
        let row = session.query_opt(LATEST, &[&user_id]).await?;
        Ok(row.map(|row| Latest {
            id: row.get(0),
            keeps_cart: row.get(1),
            lapsed: row.get(2),
        }))
    }

    /// Places the order that `reading` gives, or finds the one that was placed under the call's
    /// idempotency key.
    ///
    /// # Errors
    ///
    /// The error of `reading`; ABORTED when the user has placed another order since `latest`.
    pub(crate) async fn place(
        &self,
        cx: &Call,
        latest: Option<Uuid>,
        reading: impl Future<Output = Result<NewOrder, Error>> + Send,
    ) -> Result<Written<Order, Placed>, Error> {
        let order = match reading.await {
            Ok(order) => order,
            Err(error) => return self.not_placed(cx, error).await,
        };
        let lines = &order.lines;
        let ids: Vec<_> = lines.iter().map(|line| line.product_id).collect();
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        let cents: Vec<_> = lines.iter().map(|line| line.price.get()).collect();
        let quantities: Vec<_> = lines.iter().map(|line| line.quantity).collect();
        self.database
            .write_known(
                cx,
                PLACE,
                &[
                    &order.id,
                    &order.user_id,
                    &order.payment_method,
                    &order.total_cents,
                    &millis(self.lease),
                    &latest,
                    &ids,
                    &names,
                    &cents,
                    &quantities,
                    &Saga::PLACED.step.to_string(),
                    &cx.trace.to_string(),
                    &self.driver,
                ],
                &Placed(order.id),
                |placed| {
                    let placed = placed.on_constraint("orders_one_at_a_time", cart_is_taken)?;
                    let row = placed.ok_or_else(cart_is_taken)?;
                    Ok((row.column(0)?, row.column(1)?))
                },
            )
            .await
            .map(|written| match written {
                Written::Now((created_at, updated_at)) => {
                    Written::Now(order.placed(created_at, updated_at))
                }
                Written::Before(placed) => Written::Before(placed),
            })
    }

    /// What a call is answered whose order cannot be placed: what it was answered before under its key,
    /// or `error`.
    async fn not_placed(&self, cx: &Call, error: Error) -> Result<Written<Order, Placed>, Error> {
        let nothing = std::future::ready(Err::<Infallible, _>(error));
        let before = self
            .database
            .write_after(cx, nothing, |_: &mut Transaction<'_>, never| match never {});
        before.await.map(Written::Before)
    }

    /// Takes an order over whose driver is silent; none when there is no such order.
    pub(crate) async fn take(&self, cx: &Call, id: Uuid) -> Result<Option<Order>, Error> {
        let session = self.database.session(cx).await?;
        let row = session.query_opt(TAKE, &[&id, &millis(self.lease)]).await?;
        with_lines(&session, row).await
    }

    /// Takes a paid order up that has ended, to call it off.
    pub(crate) async fn take_paid(&self, cx: &Call, id: Uuid) -> Result<Option<Order>, Error> {
        let session = self.database.session(cx).await?;
        let lease = millis(self.lease);
        let row = session.query_opt(TAKE_PAID, &[&id, &lease]).await?;
        with_lines(&session, row).await
    }

    /// Says that the driver lives. Whether it still is the driver.
    pub(crate) async fn renew(&self, cx: &Call, order: &Order) -> Result<bool, Error> {
        let session = self.database.session(cx).await?;
        let lease = millis(self.lease);
        let renewed = session
            .execute(RENEW, &[&order.id, &order.fence, &lease])
            .await?;
        Ok(renewed == 1)
    }

    /// Leaves the order to a later driver, after at least `pause`; `reason` is why.
    pub(crate) async fn park(
        &self,
        cx: &Call,
        order: &Order,
        pause: Duration,
        reason: &str,
    ) -> Result<(), Error> {
        let session = self.database.session(cx).await?;
        session
            .execute(PARK, &[&order.id, &order.fence, &millis(pause), &reason])
            .await?;
        Ok(())
    }

    /// Asks the driver of an order that has not ended to call it off.
    pub(crate) async fn ask_cancel(&self, cx: &Call, id: Uuid, by: By) -> Result<(), Error> {
        let session = self.database.session(cx).await?;
        session.execute(ASK_CANCEL, &[&id, &by.to_column()]).await?;
        Ok(())
    }

    /// How many orders have not ended, and for how many seconds the slowest of them has been in its step.
    pub(crate) async fn unfinished(&self, cx: &Call) -> Result<(i64, i64), Error> {
        let session = self.database.session(cx).await?;
        let row = session.query_one(UNFINISHED, &[]).await?;
        Ok((row.get(0), row.get(1)))
    }

    /// The orders that nobody drives, the longest abandoned first.
    pub(crate) async fn due(&self, cx: &Call, limit: i64) -> Result<Vec<Uuid>, Error> {
        let session = self.database.session(cx).await?;
        let rows = session.query(DUE, &[&limit]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// The order, with its lines, in one round trip.
pub(crate) async fn load(session: &Session, id: Uuid) -> Result<Option<Order>, Error> {
    let params: [&(dyn zerocart_postgres::ToSql + Sync); 1] = [&id];
    let (row, lines) = future::try_join(
        session.query_opt(LOAD, &params),
        session.query(LINES, &params),
    )
    .await?;
    Ok(row.map(|row| Order {
        lines: lines.iter().map(Line::of_row).collect(),
        ..Order::of_row(&row)
    }))
}

/// Moves an order whose saga has nothing to do with it: PAID → SHIPPED → DELIVERED; `by` is the function that does.
/// Whether it was in the status `from`.
pub(crate) async fn move_on(
    session: &Session,
    cx: &Call,
    id: Uuid,
    (from, to): (Status, Status),
    by: &str,
) -> Result<bool, Error> {
    let trace = cx.trace.to_string();
    let moved = session
        .execute(MOVE, &[&id, &from.name(), &to.name(), &trace, &by])
        .await?;
    Ok(moved == 1)
}

async fn with_lines(
    session: &Session,
    row: Option<zerocart_postgres::Row>,
) -> Result<Option<Order>, Error> {
    let Some(row) = row else { return Ok(None) };
    let mut order = Order::of_row(&row);
    let driven_by: Option<&str> = row.get("traceparent");
    order.cancel_by = row.get::<_, Option<bool>>("cancel_by").map(By::of_column);
    order.driven_by = driven_by.and_then(TraceContext::of_header);
    let lines = session.query(LINES, &[&order.id]).await?;
    order.lines = lines.iter().map(Line::of_row).collect();
    Ok(Some(order))
}

pub(crate) fn millis(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use zerocart_proto::order::Order as Message;

    use super::*;

    #[test]
    fn records_of_this_version_and_of_the_one_before_are_read() {
        let id = Uuid::now_v7();
        let record = Placed(id).to_bytes();
        assert_eq!(Placed::from_bytes(&record).unwrap(), Placed(id));
        let before = OrderResponse {
            order: Some(Message {
                id: id.to_string(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let before = Placed::from_bytes(&before.to_bytes()).unwrap();
        assert_eq!(before, Placed(id));
        assert!(Placed::from_bytes(b"").is_err());
    }
}
