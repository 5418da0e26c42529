//! Payments in the database: one transaction per step.

use std::time::Duration;

use uuid::Uuid;
use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{Database, Row, Transaction};
use zerocart_proto::{money::Cents, payment::PaymentStatus};

use crate::{
    payment::{Asked, Payment, Progress, Purpose, Verdict},
    status,
};

/// The role of the functions of the order domain.
const SERVICE: &str = "service";

/// A payment of its own for an order that has none. Where a refund comes first, nobody charges it
/// and it has no amount.
const INSERT: &str = "
    INSERT INTO payments (id, order_id, user_id, amount, payment_method, status, barred, charged_by)
    VALUES ($1, $2, $3, round($4::bigint::numeric / 100, 2), $5, 'PENDING', $6, $7)
    ON CONFLICT ON CONSTRAINT payments_order_id_key DO NOTHING";

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

/// The statements of the first step.
pub(crate) const PREPARE: &[&str] = &[INSERT, LOCK, ASK, END, SAVE];

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
        asked: Option<&Asked>,
        progress: Progress,
    ) -> Result<Step, Error> {
        let lease_ms = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        self.database
            .transaction(cx, move |tx: &mut Transaction<'_>| {
                Box::pin(run(tx, order, asked, progress, lease_ms))
            })
            .await
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
    let refund = order.purpose == Purpose::Refund;
    let amount = (!refund).then_some(order.amount.get());
    let charged_by = (!refund).then_some(order.role);
    tx.execute(
        INSERT,
        &[
            &Uuid::now_v7(),
            &order.order_id,
            &order.user_id,
            &amount,
            &order.method,
            &refund,
            &charged_by,
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
