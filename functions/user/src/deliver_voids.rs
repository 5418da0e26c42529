use std::time::Duration;

use serde_json::Value;
use zerocart_core::{Call, Error, Invalid, Job, Setup, job::Summary};
use zerocart_postgres::{Database, Options};
use zerocart_proto::rpc::{DELIVER_VOIDS, JobInfo};

use crate::voids::Delivery;

/// How many voids are looked up at once.
const BATCH: i64 = 100;

/// When the next run comes.
const NEXT_RUN: Duration = Duration::from_secs(60);

/// `deliver-voids`: tells each domain of the void tokens that it does not know of, because a function crashed or
/// the domain could not be called.
#[derive(Debug)]
pub struct DeliverVoids {
    database: Database,
    delivery: Delivery,
}

impl Job for DeliverVoids {
    const INFO: JobInfo = DELIVER_VOIDS;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let database = Database::from_setup(setup, Options::default());
        let delivery = Delivery::from_setup(setup, &database, (&Self::INFO).into());
        Ok(Self {
            database: database?,
            delivery: delivery?,
        })
    }

    async fn run(&self, cx: &Call) -> Result<Summary, Error> {
        self.database.count_connections(cx).await?;
        let (mut told, mut left) = (0, 0);
        let mut lacking = Vec::new();
        // Those that are left stay in the list: they are passed over.
        let mut skip = 0;
        while let Some(delivered) = self.delivery.of_all(cx, BATCH, skip).await? {
            told += delivered.told;
            left += delivered.left;
            skip = i64::try_from(left).unwrap_or(i64::MAX);
            lacking.extend(delivered.lacking);
        }
        if left > 0 {
            lacking.sort();
            lacking.dedup();
            let domains = lacking.join(", ");
            let message =
                format!("{left} voids were not delivered, {told} were; not told: {domains}");
            return Err(Error::unavailable(message, NEXT_RUN));
        }
        Ok(Summary::from_iter([(
            "delivered".to_owned(),
            Value::from(told),
        )]))
    }
}
