//! Payments in the database: one transaction per step.

use std::time::Duration;

use uuid::Uuid;
use zerocart_postgres::{Database, Row, Transaction};
use zerocart_proto::{money::Cents, payment::PaymentStatus};
use zerocart_runtime::{Call, Error, Kind};

use crate::{
    payment::{Asked, Payment, Progress, Purpose, Verdict},
    status,
};

/// A payment of its own for an order that has none. Without an amount where a refund comes first.
const INSERT: &str = "
    INSERT INTO payments (id, order_id, user_id, amount, payment_method, status, barred)
    VALUES ($1, $2, $3, round($4::bigint::numeric / 100, 2), $5, 'PENDING', $6)
    ON CONFLICT ON CONSTRAINT payments_order_id_key DO NOTHING";

/// Locked: what is decided on it holds until the commit.
const LOCK: &str = "
    SELECT id, user_id, (amount * 100)::bigint, status, reason, barred, attempts,
           coalesce(attempt_until > clock_timestamp(), false)
    FROM payments WHERE order_id = $1 FOR UPDATE";

/// Completes the record of a request to the gateway.
const END: &str = "
    UPDATE payment_attempts SET ended_at = clock_timestamp(), outcome = $3
    WHERE payment_id = $1 AND number = $2 AND ended_at IS NULL";

/// Writes the state. The lease stays with another who has it.
const SAVE: &str = "
    UPDATE payments
    SET status = $2, reason = $3, barred = $4, updated_at = clock_timestamp(),
        attempt_until = CASE WHEN $5 THEN attempt_until END
    WHERE id = $1";

/// Writes the state, takes the lease for $6 ms and records the request that is about to be sent.
const ASK: &str = "
    WITH asking AS (
        UPDATE payments
        SET status = $2, reason = $3, barred = $4, updated_at = clock_timestamp(), attempts = $5,
            attempt_until = clock_timestamp() + $6::bigint * interval '1 millisecond'
        WHERE id = $1
    )
    INSERT INTO payment_attempts (payment_id, number, kind) VALUES ($1, $5, $7)";

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
    /// Payments whose requests to the gateway are left alone for `lease`.
    pub(crate) fn new(database: Database, lease: Duration) -> Self {
        Self { database, lease }
    }

    /// Records the reply to the last request, if there is one, decides what comes next, and records
    /// that: all or nothing.
    ///
    /// # Errors
    ///
    /// FAILED_PRECONDITION when the order's payment is another's or of another amount, and those of
    /// the database.
    pub(crate) async fn step(
        &self,
        cx: &Call,
        order: &Order,
        asked: Option<&Asked>,
        progress: Progress,
    ) -> Result<Step, Error> {
        let lease_ms = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let mut step = None;
        let slot = &mut step;
        self.database
            .write(cx, move |tx: &mut Transaction<'_>| {
                Box::pin(async move {
                    *slot = Some(run(tx, order, asked, progress, lease_ms).await?);
                    Ok(())
                })
            })
            .await?;
        step.ok_or_else(|| Error::internal("a transaction was committed that did not run"))
    }
}

async fn run(
    tx: &Transaction<'_>,
    order: &Order,
    asked: Option<&Asked>,
    progress: Progress,
    lease_ms: i64,
) -> Result<Step, Error> {
    if asked.is_none() {
        insert(tx, order).await?;
    }
    let row = tx.query_one(LOCK, &[&order.order_id]).await?;
    let mut payment = payment(&row)?;
    let loaded = payment.clone();
    match asked {
        None => compare(order, &payment)?,
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
            ],
        )
        .await?;
    } else if payment != loaded {
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
    tx.execute(
        INSERT,
        &[
            &Uuid::now_v7(),
            &order.order_id,
            &order.user_id,
            &amount,
            &order.method,
            &refund,
        ],
    )
    .await?;
    Ok(())
}

/// Refuses what contradicts the payment that the order has.
fn compare(order: &Order, payment: &Payment) -> Result<(), Error> {
    let differs = if payment.user_id != order.user_id {
        "user_id"
    } else if order.purpose == Purpose::Charge
        && !payment.barred
        && payment.amount != Some(order.amount)
    {
        "amount"
    } else {
        return Ok(());
    };
    Err(Error::new(
        Kind::FailedPrecondition,
        format!("this order has a payment with another {differs}"),
    ))
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
