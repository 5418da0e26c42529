//! Payments in the database: one transaction per step.
//!
//! The two steps that nearly every payment takes are one statement each: the first one makes the
//! payment and records what the provider is asked, and the last one records the reply. They decide
//! on what a new payment is, or on what this call has recorded before, and change nothing if that is
//! not what the database has. Then the step locks the payment first, and decides on what it finds.

use std::time::Duration;

use uuid::Uuid;
use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{Database, QueryError, Row, ToSql, Transaction};
use zerocart_proto::{money::Cents, payment::PaymentStatus};

use crate::{
    payment::{Asked, Payment, Progress, Purpose, Verdict},
    status,
};

/// The role of the functions of the order domain.
const SERVICE: &str = "service";

/// A payment of its own for an order that has none.
const INSERT: &str = "
    INSERT INTO payments (id, order_id, user_id, amount, payment_method, status, barred, charged_by)
    VALUES ($1, $2, $3, round($4::bigint::numeric / 100, 2), $5, 'PENDING', $6, $7)
    ON CONFLICT ON CONSTRAINT payments_order_id_key DO NOTHING";

/// Such a payment, in its state after the first step, and the request that is about to be sent:
/// $10 for how many ms others leave it alone, $11 its kind; NULL for none. False when the order has a
/// payment.
pub(crate) const BEGIN: &str = "
    WITH begun AS (
        INSERT INTO payments (id, order_id, user_id, amount, payment_method, status, barred,
            charged_by, attempts, attempt_until)
        VALUES ($1, $2, $3, round($4::bigint::numeric / 100, 2), $5, $6, $7, $8, $9,
            CASE WHEN $11::text IS NOT NULL
                THEN clock_timestamp() + $10::bigint * interval '1 millisecond' END)
        ON CONFLICT ON CONSTRAINT payments_order_id_key DO NOTHING
        RETURNING id
    ), asked AS (
        INSERT INTO payment_attempts (payment_id, number, kind)
        SELECT id, $9, $11 FROM begun WHERE $11 IS NOT NULL
    )
    SELECT EXISTS (SELECT FROM begun)";

/// The reply to the last request, and the state after it, if the payment is as it was when the
/// request was sent: $6 status, $7 reason, $8 whether it is barred. False when it is not.
pub(crate) const FINISH: &str = "
    WITH saved AS (
        UPDATE payments
        SET status = $3, reason = $4, barred = $5, updated_at = clock_timestamp(),
            attempt_until = NULL,
            settle_at = CASE WHEN settles > 0 THEN clock_timestamp()
                + least(500 * (1 << least(settles, 16)), 300000) * interval '1 millisecond' END
        WHERE id = $1 AND attempts = $2 AND status = $6 AND reason IS NOT DISTINCT FROM $7
            AND barred = $8
        RETURNING id
    ), ended AS (
        UPDATE payment_attempts SET ended_at = clock_timestamp(), outcome = $9
        FROM saved WHERE payment_id = saved.id AND number = $2 AND ended_at IS NULL
    )
    SELECT EXISTS (SELECT FROM saved)";

/// Locked: what is decided on it holds until the commit.
const LOCK: &str = "
    SELECT id, user_id, (amount * 100)::bigint, status, reason, barred, attempts,
           coalesce(attempt_until > clock_timestamp(), false), charged_by
    FROM payments WHERE order_id = $1 FOR UPDATE";

/// An order relies on a charge that an admin had asked for before, or a version that did not record
/// who.
const CLAIM: &str = "UPDATE payments SET charged_by = $2 WHERE id = $1";

/// Completes the record of a request to the provider.
const END: &str = "
    UPDATE payment_attempts SET ended_at = clock_timestamp(), outcome = $3
    WHERE payment_id = $1 AND number = $2 AND ended_at IS NULL";

/// Writes the state. The lease stays with another who has it. What was settled in vain is left
/// alone for longer each time: 1 s, 2 s, 4 s, … at most 5 minutes.
const SAVE: &str = "
    UPDATE payments
    SET status = $2, reason = $3, barred = $4, updated_at = clock_timestamp(),
        attempt_until = CASE WHEN $5 THEN attempt_until END,
        settle_at = CASE WHEN settles > 0 THEN clock_timestamp()
            + least(500 * (1 << least(settles, 16)), 300000) * interval '1 millisecond' END
    WHERE id = $1";

/// Writes the state, takes the lease for $6 ms and records the request that is about to be sent;
/// $8: to settle what nobody drives.
const ASK: &str = "
    WITH asking AS (
        UPDATE payments
        SET status = $2, reason = $3, barred = $4, updated_at = clock_timestamp(), attempts = $5,
            attempt_until = clock_timestamp() + $6::bigint * interval '1 millisecond',
            settles = CASE WHEN $8 THEN settles + 1 ELSE 0 END, settle_at = NULL
        WHERE id = $1
    )
    INSERT INTO payment_attempts (payment_id, number, kind) VALUES ($1, $5, $7)";

/// Whether nobody drives a payment, though it has not come to its end.
macro_rules! abandoned {
    () => {
        "(status = 'PROCESSING' AND coalesce(attempt_until <= clock_timestamp(), true) \
         AND coalesce(settle_at <= clock_timestamp(), true))"
    };
}
pub(crate) use abandoned;

const ABANDONED: &str = concat!(
    "SELECT order_id FROM payments WHERE ",
    abandoned!(),
    " ORDER BY settle_at NULLS FIRST LIMIT $1"
);

/// What a caller asks for.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) order_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) amount: Cents,
    pub(crate) method: String,
    pub(crate) purpose: Purpose,
    /// The caller's role; the empty one is the system's own.
    pub(crate) role: &'static str,
}

impl Order {
    /// That a payment that is there is settled.
    pub(crate) fn settle(order_id: Uuid) -> Self {
        Self {
            order_id,
            user_id: Uuid::nil(),
            amount: Cents::ZERO,
            method: String::new(),
            purpose: Purpose::Settle,
            role: "",
        }
    }

    /// A new payment for the order. Where a refund comes first, nobody charges it and it has no amount.
    fn payment(&self) -> Payment {
        let refund = self.purpose == Purpose::Refund;
        Payment {
            id: Uuid::now_v7(),
            user_id: self.user_id,
            amount: (!refund).then_some(self.amount),
            status: PaymentStatus::Pending,
            reason: None,
            barred: refund,
            attempts: 0,
            in_flight: false,
        }
    }

    /// Who has such a payment charged.
    fn charged_by(&self) -> Option<&'static str> {
        (self.purpose != Purpose::Refund).then_some(self.role)
    }
}

/// Where a step has led.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) payment: Payment,
    pub(crate) verdict: Verdict,
    /// The status before what the verdict asks.
    pub(crate) before: PaymentStatus,
}

/// The payments.
#[derive(Debug)]
pub(crate) struct Ledger {
    database: Database,
    lease: Duration,
}

impl Ledger {
    /// Payments whose requests to the provider are left alone for `lease`.
    pub(crate) fn new(database: Database, lease: Duration) -> Self {
        Self { database, lease }
    }

    /// Records the reply to the last request, if there is one, decides what comes next, and records
    /// that: all or nothing.
    ///
    /// # Errors
    ///
    /// FAILED_PRECONDITION when the order's payment is another's or of another amount, or is only
    /// undone with the order; and those of the database.
    pub(crate) async fn step(
        &self,
        cx: &Call,
        order: &Order,
        last: Option<&(Payment, Asked)>,
        progress: Progress,
    ) -> Result<Step, Error> {
        let lease_ms = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let quick = match last {
            None if order.purpose == Purpose::Settle => None,
            None => self.begin(cx, order, progress, lease_ms).await?,
            Some((payment, asked)) => self.finish(cx, order, payment, asked, progress).await?,
        };
        if let Some(step) = quick {
            return Ok(step);
        }
        let asked = last.map(|(_, asked)| asked);
        self.database
            .transaction(cx, move |tx: &mut Transaction<'_>| {
                Box::pin(run(tx, order, asked, progress, lease_ms))
            })
            .await
    }

    /// The first step of an order without a payment; none, and nothing done, when it has one.
    async fn begin(
        &self,
        cx: &Call,
        order: &Order,
        progress: Progress,
        lease_ms: i64,
    ) -> Result<Option<Step>, Error> {
        let mut payment = order.payment();
        let (verdict, before) = payment.step(order.purpose, None, progress);
        let question = match verdict {
            Verdict::Ask(question) => Some(question.name()),
            _ => None,
        };
        let made = self
            .told(
                cx,
                BEGIN,
                &[
                    &payment.id,
                    &order.order_id,
                    &payment.user_id,
                    &payment.amount.map(Cents::get),
                    &order.method,
                    &payment.status.as_str_name(),
                    &payment.barred,
                    &order.charged_by(),
                    &payment.attempts,
                    &lease_ms,
                    &question,
                ],
            )
            .await?;
        Ok(made.then_some(Step {
            payment,
            verdict,
            before,
        }))
    }

    /// The last step after `asked`, when `payment` was recorded; none, and nothing done, when it is
    /// another one by now, or when the provider is to be asked again.
    async fn finish(
        &self,
        cx: &Call,
        order: &Order,
        payment: &Payment,
        asked: &Asked,
        progress: Progress,
    ) -> Result<Option<Step>, Error> {
        let mut next = payment.clone();
        let (verdict, before) = next.step(order.purpose, Some(asked), progress);
        if let Verdict::Ask(_) = verdict {
            return Ok(None);
        }
        let saved = self
            .told(
                cx,
                FINISH,
                &[
                    &payment.id,
                    &asked.number,
                    &next.status.as_str_name(),
                    &next.reason,
                    &next.barred,
                    &payment.status.as_str_name(),
                    &payment.reason,
                    &payment.barred,
                    &asked.reply.outcome(),
                ],
            )
            .await?;
        Ok(saved.then_some(Step {
            payment: next,
            verdict,
            before,
        }))
    }

    /// What a statement says that writes, in a transaction of its own.
    async fn told(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<bool, Error> {
        let session = self.database.session(cx).await?;
        let row = session.query_one(statement, params).await;
        Ok(row.map_err(QueryError::unless_definite)?.get(0))
    }

    /// The orders of payments that nobody drives, the longest abandoned first.
    pub(crate) async fn abandoned(&self, cx: &Call, limit: i64) -> Result<Vec<Uuid>, Error> {
        let session = self.database.session(cx).await?;
        let rows = session.query(ABANDONED, &[&limit]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

async fn run(
    tx: &Transaction<'_>,
    order: &Order,
    asked: Option<&Asked>,
    progress: Progress,
    lease_ms: i64,
) -> Result<Step, Error> {
    let settles = order.purpose == Purpose::Settle;
    if asked.is_none() && !settles {
        insert(tx, order).await?;
    }
    let row = tx.query_one(LOCK, &[&order.order_id]).await?;
    let mut payment = payment(&row)?;
    let loaded = payment.clone();
    match asked {
        None if settles => {}
        None => admit(tx, order, &payment, row.get(8)).await?,
        Some(asked) => {
            tx.execute(END, &[&payment.id, &asked.number, &asked.reply.outcome()])
                .await?;
        }
    }
    let (verdict, before) = payment.step(order.purpose, asked, progress);
    if let Verdict::Ask(question) = verdict {
        tx.execute(
            ASK,
            &[
                &payment.id,
                &payment.status.as_str_name(),
                &payment.reason,
                &payment.barred,
                &payment.attempts,
                &lease_ms,
                &question.name(),
                &settles,
            ],
        )
        .await?;
    } else if asked.is_some() || payment != loaded {
        tx.execute(
            SAVE,
            &[
                &payment.id,
                &payment.status.as_str_name(),
                &payment.reason,
                &payment.barred,
                &payment.in_flight,
            ],
        )
        .await?;
    }
    Ok(Step {
        payment,
        verdict,
        before,
    })
}

async fn insert(tx: &Transaction<'_>, order: &Order) -> Result<(), Error> {
    let payment = order.payment();
    tx.execute(
        INSERT,
        &[
            &payment.id,
            &order.order_id,
            &payment.user_id,
            &payment.amount.map(Cents::get),
            &order.method,
            &payment.barred,
            &order.charged_by(),
        ],
    )
    .await?;
    Ok(())
}

/// Refuses what contradicts the payment that the order has, and a refund that would leave an order
/// paid without its money: an order's own charge is undone with the order, by its function.
async fn admit(
    tx: &Transaction<'_>,
    order: &Order,
    payment: &Payment,
    charged_by: Option<&str>,
) -> Result<(), Error> {
    let refused = |message: String| Err(Error::new(Kind::FailedPrecondition, message));
    let another = |what| refused(format!("this order has a payment with another {what}"));
    let (service, of_order) = (order.role == SERVICE, charged_by == Some(SERVICE));
    if order.purpose == Purpose::Refund && service && !of_order {
        // An order that fails leaves no charge under its id, by any caller and for any user.
        return Ok(());
    }
    if payment.user_id != order.user_id {
        return another("user_id");
    }
    if order.purpose == Purpose::Charge && !payment.barred {
        if payment.amount != Some(order.amount) {
            return another("amount");
        }
        if service && !of_order {
            tx.execute(CLAIM, &[&payment.id, &SERVICE]).await?;
        }
    }
    if order.purpose == Purpose::Refund && of_order && !service {
        return refused(format!(
            "an order is paid with this payment: cancel the order, which refunds it \
             (PATCH /orders/{}/status, CANCELLED)",
            order.order_id
        ));
    }
    Ok(())
}

fn payment(row: &Row) -> Result<Payment, Error> {
    Ok(Payment {
        id: row.get(0),
        user_id: row.get(1),
        amount: row.get::<_, Option<i64>>(2).map(Cents::new),
        status: status(row.get(3))?,
        reason: row.get(4),
        barred: row.get(5),
        attempts: row.get(6),
        in_flight: row.get(7),
    })
}
