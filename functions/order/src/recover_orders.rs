use futures_util::{StreamExt, stream};
use serde_json::Value;
use zerocart_core::{Call, Error, Invalid, Job, Setup, job::Summary};
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
    driver: Driver,
}

impl Job for RecoverOrders {
    const INFO: JobInfo = RECOVER_ORDERS;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        Ok(Self {
            driver: Driver::from_setup(setup, database, (&Self::INFO).into())?,
        })
    }

    async fn run(&self, cx: &Call) -> Result<Summary, Error> {
        let (mut ended, mut put_off, mut left) = (0_u64, 0_u64, 0_u64);
        loop {
            let due = self.driver.store.due(cx, BATCH).await?;
            if due.is_empty() {
                break;
            }
            let mut driving = stream::iter(due)
                .map(|id| async move {
                    match self.driver.resume(cx, id, false).await? {
                        Some(driving) => driving.await.map(Some),
                        None => Ok(None),
                    }
                })
                .buffer_unordered(AT_ONCE);
            let mut progress = false;
            while let Some(driven) = driving.next().await {
                match driven {
                    Ok(Some(Driven::Here(order))) if order.saga.action().is_none() => {
                        (ended, progress) = (ended + 1, true);
                    }
                    // Its next try comes later, so it is not met again in this run.
                    Ok(Some(Driven::Here(_))) => (put_off, progress) = (put_off + 1, true),
                    // Somebody else has it.
                    Ok(Some(Driven::Lost) | None) => {}
                    Err(error) => {
                        tracing::warn!(reason = error.message(), "an order was left as it is");
                        left += 1;
                    }
                }
            }
            if !progress {
                break;
            }
        }
        Ok(Summary::from_iter([
            ("ended".to_owned(), Value::from(ended)),
            ("put_off".to_owned(), Value::from(put_off)),
            ("left".to_owned(), Value::from(left)),
        ]))
    }
}
