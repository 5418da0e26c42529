//! What a driver records of its order: its state, and the steps that led to it.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use zerocart_core::{Call, Error};
use zerocart_postgres::rfc3339;

use crate::{
    cancel::By,
    order::Order,
    saga::{Saga, Step},
    store::{Store, millis},
};

/// One statement: the state, the end of the step that was under way, and the steps since then; $13, $17 and $18
/// are for how many µs they have ended, or have begun. Repeated after an unknown outcome it changes nothing more, and
/// ends what has ended meanwhile.
/// `now()` is that of the statement, so that an order that becomes PAID is changed and paid at one time. Taking over
/// is no progress: it leaves the number of tries as it is. A paid order that is to be called off does not end
/// here, so that this is not forgotten if its driver dies; one that was shipped meanwhile does. A record that comes
/// late, after its driver has given it up and made a later one, has fewer steps, and changes nothing.
///
/// The end of an order that was PAID before is not waited for (`synchronous_commit`; the setting ends with the
/// statement): $22. That the order is paid was waited for. If the server loses the end in a crash, the next
/// driver clears the cart again, which does nothing, and records the end again. What others make of the end, such as
/// the user's next order, is written later to the same log, and cannot outlive it.
const RECORD: &str = concat!(
    "WITH moved AS ( \
        UPDATE orders SET status = $3, place = $5, asked = $6, cause = $7, \
            step = CASE WHEN $4 = 'ended' AND $3 = 'PAID' AND cancel_asked THEN 'clearing' ELSE $4 END, \
            reason = $8, payment_id = coalesce($9, payment_id), steps = $10, \
            tries = CASE WHEN (step, place) = ($4, $5) THEN tries ELSE 0 END, \
            updated_at = CASE WHEN status = $3 THEN updated_at ELSE now() END, \
            paid_at = CASE WHEN $3 = 'PAID' THEN coalesce(paid_at, now()) ELSE paid_at END, \
            lease_until = CASE WHEN $23 THEN '9999-01-01' \
                ELSE clock_timestamp() + $11::bigint * interval '1 ms' END, \
            open_until = CASE WHEN $23 THEN clock_timestamp() + $11 * interval '1 ms' END \
        WHERE id = $1 AND fence = $2 AND steps <= $10 \
        RETURNING cancel_asked, cancel_by_customer, updated_at, paid_at \
    ), done AS ( \
        UPDATE order_steps SET outcome = $12, reason = nullif($15, ''), \
            ended_at = now() - $13::bigint * interval '1 us' \
        WHERE order_id = $1 AND number <= $14 AND ended_at IS NULL AND EXISTS (SELECT FROM moved) \
    ), later AS ( \
        INSERT INTO order_steps (order_id, number, step, fence, began_at, ended_at, outcome, reason, \
            traceparent, driver) \
        SELECT $1, $14 + n, name, $2, now() - began * interval '1 us', now() - ended * interval '1 us', \
            outcome, nullif(why, ''), $21, $24 \
        FROM moved, unnest($16::text[], $17::bigint[], $18::bigint[], $19::text[], $20::text[]) \
            WITH ORDINALITY AS step (name, began, ended, outcome, why, n) \
        ON CONFLICT (order_id, number) DO UPDATE SET ended_at = excluded.ended_at, \
            outcome = excluded.outcome, reason = excluded.reason WHERE order_steps.ended_at IS NULL \
    ) \
    SELECT CASE WHEN cancel_asked THEN cancel_by_customer END, ",
    rfc3339!("updated_at"),
    ", ",
    rfc3339!("paid_at"),
    ", CASE WHEN $22 THEN set_config('synchronous_commit', 'off', true) END FROM moved"
);

/// What a driver records.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) saga: Saga,
    pub(crate) reason: &'a str,
    pub(crate) payment_id: Option<Uuid>,
    /// The steps that are recorded, all of them counted.
    pub(crate) number: i32,
    /// The last of them, which the row has under way, and those since.
    pub(crate) steps: &'a [Taken],
    /// The row has that the order is paid.
    pub(crate) was_paid: bool,
}

/// A step that a driver has taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) name: String,
    pub(crate) began: Instant,
    /// When, how, and why it was not done, which is empty when it was. None while it is under way.
    pub(crate) ended: Option<(Instant, &'static str, String)>,
}

impl Taken {
    /// A step that is under way.
    pub(crate) fn begun(step: Step, at: Instant) -> Self {
        Self {
            name: step.to_string(),
            began: at,
            ended: None,
        }
    }

    /// It has ended, unless it had before.
    pub(crate) fn end(&mut self, at: Instant, outcome: &'static str, why: &str) {
        self.ended
            .get_or_insert_with(|| (at, outcome, why.to_owned()));
    }
}

/// What an order is after a record.
#[derive(Debug)]
pub(crate) struct Now {
    pub(crate) updated_at: String,
    pub(crate) paid_at: Option<String>,
    /// The steps that are recorded, all of them counted.
    pub(crate) number: i32,
    /// Somebody wants to call it off.
    pub(crate) cancel_by: Option<By>,
}

impl Store {
    /// Records a state of `order`, and the steps that led to it; none when another driver has the order.
    pub(crate) async fn record(
        &self,
        cx: &Call,
        order: &Order,
        record: &Record<'_>,
    ) -> Result<Option<Now>, Error> {
        let saga = record.saga;
        let (step, place, asked) = saga.step.to_columns(order.lines.len());
        let now = Instant::now();
        let ago = |at: Instant| -> i64 { micros(now.saturating_duration_since(at)) };
        let [first, later @ ..] = record.steps else {
            return Err(Error::internal("a record of no step"));
        };
        let (ended, outcome, why) = match &first.ended {
            Some((ended, outcome, why)) => (*ended, *outcome, why.as_str()),
            None => return Err(Error::internal("a record before a step has ended")),
        };
        let names: Vec<_> = later.iter().map(|step| step.name.as_str()).collect();
        let began: Vec<_> = later.iter().map(|step| ago(step.began)).collect();
        let ends: Vec<_> = later.iter().map(|step| step.ended.as_ref()).collect();
        let ended_ago: Vec<_> = ends
            .iter()
            .map(|end| end.map(|(at, ..)| ago(*at)))
            .collect();
        let outcomes: Vec<_> = ends.iter().map(|end| end.map(|(_, how, _)| *how)).collect();
        let reasons: Vec<_> = ends
            .iter()
            .map(|end| end.map(|(.., why)| why.as_str()))
            .collect();
        let number = record
            .number
            .saturating_add(later.len().try_into().unwrap_or(i32::MAX));
        // The end has a number, too.
        let number = number.saturating_add(i32::from(saga.action().is_none()));
        let session = self.database.session(cx).await?;
        let row = session
            .query_opt(
                RECORD,
                &[
                    &order.id,
                    &order.fence,
                    &saga.status.name(),
                    &step,
                    &place,
                    &asked,
                    &saga.cause.map(|cause| cause.name()),
                    &record.reason,
                    &record.payment_id,
                    &number,
                    &millis(self.lease),
                    &outcome,
                    &ago(ended),
                    &record.number,
                    &why,
                    &names,
                    &began,
                    &ended_ago,
                    &outcomes,
                    &reasons,
                    &cx.trace.to_string(),
                    &(record.was_paid && saga.action().is_none() && saga.cause.is_none()),
                    &saga.is_open(),
                    &self.driver,
                ],
            )
            .await?;
        Ok(row.map(|row| Now {
            updated_at: row.get(1),
            paid_at: row.get(2),
            number,
            cancel_by: row.get::<_, Option<bool>>(0).map(By::of_column),
        }))
    }
}

fn micros(time: Duration) -> i64 {
    time.as_micros().try_into().unwrap_or(i64::MAX)
}
