use futures_util::{StreamExt, stream};
use serde_json::Value;
use uuid::Uuid;
use zerocart_core::{Call, Error, Invalid, Job, Setup, job::Summary};
use zerocart_postgres::{Database, Options};
use zerocart_proto::{
    payment::PaymentStatus,
    rpc::{JobInfo, SETTLE_PAYMENTS},
};

use crate::{cashier::Cashier, simulator::Simulator};

/// How many payments are settled at once.
const AT_ONCE: usize = 8;

/// How many payments are looked up at once.
const BATCH: i64 = 100;

/// `settle-payments`: settles every payment that nobody drives any more, as far as the provider knows
/// what became of it, and refunds those that were undone.
///
/// Its variables are those of [`ProcessPayment`](crate::ProcessPayment).
#[derive(Debug)]
pub struct SettlePayments {
    database: Database,
    cashier: Cashier<Simulator>,
}

impl Job for SettlePayments {
    const INFO: JobInfo = SETTLE_PAYMENTS;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        let cashier = Cashier::from_setup(setup, &database);
        Ok(Self {
            database: database?,
            cashier: cashier?,
        })
    }

    async fn run(&self, cx: &Call) -> Result<Summary, Error> {
        self.database.count_connections(cx).await?;
        let mut counts = Counts::default();
        loop {
            let abandoned = self.cashier.abandoned(cx, BATCH).await?;
            if !self.settle(cx, abandoned, &mut counts).await {
                return Ok(counts.summary());
            }
        }
    }
}

/// What became of the payments of a run.
#[derive(Debug, Default)]
struct Counts {
    settled: u64,
    put_off: u64,
    left: u64,
}

impl Counts {
    fn summary(&self) -> Summary {
        Summary::from_iter([
            ("settled".to_owned(), Value::from(self.settled)),
            ("put_off".to_owned(), Value::from(self.put_off)),
            ("left".to_owned(), Value::from(self.left)),
        ])
    }
}

impl SettlePayments {
    /// Settles the payments of these orders. Whether one of them was looked at, so that a look for more
    /// is worthwhile.
    async fn settle(&self, cx: &Call, orders: Vec<Uuid>, counts: &mut Counts) -> bool {
        let mut settling = stream::iter(orders)
            .map(|order_id| self.cashier.settle(cx, order_id))
            .buffer_unordered(AT_ONCE);
        let mut progress = false;
        while let Some(status) = settling.next().await {
            match status {
                // It is left alone for a while, or somebody else has it.
                Ok(PaymentStatus::Processing) => counts.put_off += 1,
                Ok(_) => counts.settled += 1,
                Err(error) => {
                    tracing::warn!(reason = error.message(), "a payment was left as it is");
                    counts.left += 1;
                    continue;
                }
            }
            progress = true;
        }
        progress
    }
}
