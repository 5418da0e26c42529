use futures_util::{StreamExt, stream};
use serde_json::Value;
use uuid::Uuid;
use zerocart_core::{Call, Error, Invalid, Job, Setup, job::Summary, trace::Kind};
use zerocart_postgres::{Database, Options};
use zerocart_proto::rpc::{JobInfo, RECOVER_ORDERS};

use crate::driver::{Driven, Driver};

/// How many orders are driven at once.
const AT_ONCE: usize = 8;

/// How many orders are looked up at once.
const BATCH: i64 = 100;

/// `recover-orders`: finishes or undoes every order that a crash left half done.
#[derive(Debug)]
pub struct RecoverOrders {
    database: Database,
    driver: Driver,
}

impl Job for RecoverOrders {
    const INFO: JobInfo = RECOVER_ORDERS;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        let driver = Driver::from_setup(setup, database.clone(), (&Self::INFO).into());
        Ok(Self {
            database: database?,
            driver: driver?,
        })
    }

    async fn run(&self, cx: &Call) -> Result<Summary, Error> {
        self.database.count_connections(cx).await?;
        self.look(cx).await?;
        let mut counts = Counts::default();
        loop {
            let due = self.driver.store.due(cx, BATCH).await?;
            if !self.drive(cx, due, &mut counts).await {
                return Ok(counts.summary());
            }
        }
    }
}

/// What became of the orders of a run.
#[derive(Debug, Default)]
struct Counts {
    ended: u64,
    put_off: u64,
    left: u64,
}

impl Counts {
    fn summary(&self) -> Summary {
        Summary::from_iter([
            ("ended".to_owned(), Value::from(self.ended)),
            ("put_off".to_owned(), Value::from(self.put_off)),
            ("left".to_owned(), Value::from(self.left)),
        ])
    }
}

impl RecoverOrders {
    /// Tells how many orders have not ended, before this run changes that: also a run that never ends tells it.
    async fn look(&self, cx: &Call) -> Result<(), Error> {
        let mut span = cx.trace.span("look for unfinished orders", Kind::Internal);
        let (orders, seconds) = self.driver.store.unfinished(&cx.under(&span)).await?;
        span.set("zerocart.orders.unfinished", orders);
        span.set("zerocart.orders.unfinished_age", seconds);
        span.end();
        cx.trace.flush();
        Ok(())
    }

    /// Drives orders that are due. Whether one of them came further, so that a look for more is
    /// worthwhile.
    async fn drive(&self, cx: &Call, due: Vec<Uuid>, counts: &mut Counts) -> bool {
        let mut driving = stream::iter(due)
            .map(|id| self.resume(cx, id))
            .buffer_unordered(AT_ONCE);
        let mut progress = false;
        while let Some(driven) = driving.next().await {
            match driven {
                Ok(Some(Driven::Here(order))) => {
                    match order.saga.action() {
                        None => counts.ended += 1,
                        // Its next try comes later, so it is not met again in this run.
                        Some(_) => counts.put_off += 1,
                    }
                    progress = true;
                }
                // Somebody else has it.
                Ok(Some(Driven::Lost) | None) => {}
                Err(error) => {
                    tracing::warn!(reason = error.message(), "an order was left as it is");
                    counts.left += 1;
                }
            }
        }
        progress
    }

    async fn resume(&self, cx: &Call, id: Uuid) -> Result<Option<Driven>, Error> {
        match self.driver.resume(cx, id, false).await? {
            Some(driving) => driving.await.map(Some),
            None => Ok(None),
        }
    }
}
