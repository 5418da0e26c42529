//! The payment provider that ships: a simulator.
//!
//! Its own books are tables of the payments database that stand for the provider's side. They are
//! read at each request, so that every instance of the function sees the same provider at once.
//!
//! - A charge or a refund takes its time, and takes effect at some moment within it: a caller that
//!   goes away meanwhile does not know whether it did. No connection is held while time passes.
//! - At the failure rate, a charge fails in one of the ways that are set. A charge that times out
//!   was made half of the time.
//! - With a failure rate of 1 the provider is down: finding and refunding fail, too, each time that
//!   the failure drawn is one of the provider's. Below that they succeed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;
use uuid::Uuid;
use zerocart_core::{Call, Error};
use zerocart_postgres::{Database, Row, ToSql};
use zerocart_proto::{
    money::Cents,
    payment::ProviderFailure::{self, GatewayTimeout, InsufficientFunds, TemporarilyUnavailable},
};

use crate::provider::{Provider, ProviderError, Record, Undone};

/// The columns of [`Settings::read`], in its order.
macro_rules! settings_columns {
    () => {
        "failure_rate, min_delay_ms, max_delay_ms, failures"
    };
}
pub(crate) use settings_columns;

const SETTINGS: &str = concat!("SELECT ", settings_columns!(), " FROM simulator_settings");

/// Once per key: what is there stays as it is. The update changes nothing, so that the row comes
/// back whether it is new or not.
///
/// The statement does not wait for the disk (`synchronous_commit`; the setting ends with it). Nobody gets its reply
/// before the ledger has recorded it, later and in the same database, and that record waits for the disk. So a charge
/// that the server loses in a crash is one that nobody knows: no money was taken, and the payment is PROCESSING.
macro_rules! charge {
    ($values:literal) => {
        concat!(
            "INSERT INTO simulator_charges (key, state, amount) ",
            $values,
            " ON CONFLICT ON CONSTRAINT simulator_charges_pkey \
              DO UPDATE SET state = simulator_charges.state \
              RETURNING state, set_config('synchronous_commit', 'off', true)"
        )
    };
}

const CHARGE: &str = charge!("VALUES ($1, $2, round($3::bigint::numeric / 100, 2))");

/// The settings; and the charge, if they let each charge succeed without delay.
pub(crate) const CHARGE_AT_ONCE: &str = concat!(
    "WITH settings AS (SELECT ",
    settings_columns!(),
    " FROM simulator_settings), charged AS (",
    charge!(
        "SELECT $1, 'CHARGED', round($2::bigint::numeric / 100, 2) FROM settings \
         WHERE failure_rate = 0 AND max_delay_ms = 0"
    ),
    ") SELECT ",
    settings_columns!(),
    ", (SELECT state FROM charged) FROM settings"
);

const FIND: &str = "SELECT state FROM simulator_charges WHERE key = $1";

const REFUND: &str = "
    INSERT INTO simulator_charges (key, state) VALUES ($1, 'VOIDED')
    ON CONFLICT ON CONSTRAINT simulator_charges_pkey DO UPDATE SET
        refunded_at = CASE simulator_charges.state
            WHEN 'CHARGED' THEN clock_timestamp() ELSE simulator_charges.refunded_at END,
        state = CASE simulator_charges.state
            WHEN 'CHARGED' THEN 'REFUNDED' ELSE simulator_charges.state END
    RETURNING state";

/// How the simulator behaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// The share of charges that fail, 0 to 1.
    pub(crate) failure_rate: f64,
    pub(crate) min_delay_ms: i32,
    pub(crate) max_delay_ms: i32,
    /// Each occurs as often as the others.
    pub(crate) failures: Vec<ProviderFailure>,
}

impl Settings {
    /// A row of `settings_columns`.
    pub(crate) fn read(row: &Row) -> Self {
        let failures: Vec<&str> = row.get(3);
        Self {
            failure_rate: row.get(0),
            min_delay_ms: row.get(1),
            max_delay_ms: row.get(2),
            failures: failures
                .into_iter()
                .filter_map(ProviderFailure::from_str_name)
                .collect(),
        }
    }

    fn is_down(&self) -> bool {
        self.failure_rate >= 1.0
    }
}

/// What becomes of one request.
#[derive(Debug)]
struct Fate {
    failure: Option<ProviderFailure>,
    /// Whether it takes effect although it times out.
    lost: bool,
    /// The time before and after the moment of its effect.
    before: Duration,
    after: Duration,
}

/// The simulated payment provider.
#[derive(Debug)]
pub(crate) struct Simulator {
    database: Database,
    rng: Mutex<StdRng>,
}

impl Simulator {
    /// A simulator with its books in `database`, whose choices repeat with the same seed.
    pub(crate) fn new(database: Database, seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(rand::random);
        Self {
            database,
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// The settings of this moment.
    async fn settings(&self, cx: &Call) -> Result<Settings, ProviderError> {
        let read = async {
            let session = self.database.session(cx).await?;
            Ok::<_, Error>(Settings::read(&session.query_one(SETTINGS, &[]).await?))
        };
        // Nothing was done yet.
        read.await
            .map_err(|error| broken(&error, ProviderError::Unavailable))
    }

    /// The settings of this moment. With the record of a charge, if it was made at once.
    async fn charge_at_once(
        &self,
        cx: &Call,
        key: Uuid,
        cents: i64,
    ) -> Result<(Settings, Option<Record>), ProviderError> {
        let session = self.database.session(cx).await;
        // Nothing was done yet.
        let session = session.map_err(|error| broken(&error, ProviderError::Unavailable))?;
        let row = session.query_one(CHARGE_AT_ONCE, &[&key, &cents]).await;
        let row = row.map_err(|error| broken(&error.into(), ProviderError::Timeout))?;
        let state: Option<&str> = row.get(4);
        Ok((Settings::read(&row), state.map(record).transpose()?))
    }

    fn fate(&self, settings: &Settings) -> Fate {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let fails = rng.random::<f64>() < settings.failure_rate && !settings.failures.is_empty();
        let failure =
            fails.then(|| settings.failures[rng.random_range(0..settings.failures.len())]);
        let delay_ms = rng.random_range(settings.min_delay_ms..=settings.max_delay_ms);
        let delay = Duration::from_millis(delay_ms.unsigned_abs().into());
        let before = delay.mul_f64(rng.random());
        Fate {
            failure,
            lost: rng.random(),
            before,
            after: delay.saturating_sub(before),
        }
    }

    /// The state under a key in the books, if there is one.
    async fn state(&self, cx: &Call, key: Uuid) -> Result<Option<String>, Error> {
        let session = self.database.session(cx).await?;
        let row = session.query_opt(FIND, &[&key]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Changes the books. Whether a change that fails was made is not known.
    async fn change(
        &self,
        cx: &Call,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Record, ProviderError> {
        let change = async {
            let session = self.database.session(cx).await?;
            Ok::<_, Error>(session.query_one(statement, params).await?)
        };
        let row = change.await;
        let row = row.map_err(|error| broken(&error, ProviderError::Timeout))?;
        record(row.get(0))
    }

    async fn undo(&self, cx: &Call, key: Uuid) -> Result<Undone, ProviderError> {
        Ok(match self.change(cx, REFUND, &[&key]).await? {
            Record::Refunded => Undone::Refunded,
            Record::Charged | Record::Declined { .. } | Record::Voided => Undone::NeverCharged,
        })
    }
}

impl Provider for Simulator {
    async fn charge(
        &self,
        cx: &Call,
        key: Uuid,
        amount: Cents,
        _method: &str,
    ) -> Result<Record, ProviderError> {
        let amount = amount.get();
        let (settings, charged) = self.charge_at_once(cx, key, amount).await?;
        if let Some(record) = charged {
            return Ok(record);
        }
        let fate = self.fate(&settings);
        pause(fate.before).await;
        let charged: [&(dyn ToSql + Sync); 3] = [&key, &"CHARGED", &amount];
        let result = match fate.failure {
            None => self.change(cx, CHARGE, &charged).await,
            Some(InsufficientFunds) => self.change(cx, CHARGE, &[&key, &"DECLINED", &amount]).await,
            Some(TemporarilyUnavailable) => Err(ProviderError::Unavailable),
            Some(GatewayTimeout | ProviderFailure::Unspecified) => {
                let made = match fate.lost {
                    true => self.change(cx, CHARGE, &charged).await.map(drop),
                    false => Ok(()),
                };
                made.and(Err(ProviderError::Timeout))
            }
        };
        pause(fate.after).await;
        result
    }

    async fn find(&self, cx: &Call, key: Uuid) -> Result<Option<Record>, ProviderError> {
        let settings = self.settings(cx).await?;
        outage(&settings, &self.fate(&settings)).map_or(Ok(()), Err)?;
        let state = self.state(cx, key).await;
        let state = state.map_err(|error| broken(&error, ProviderError::Unavailable))?;
        state.as_deref().map(record).transpose()
    }

    async fn refund(&self, cx: &Call, key: Uuid) -> Result<Undone, ProviderError> {
        let settings = self.settings(cx).await?;
        let fate = self.fate(&settings);
        let failure = outage(&settings, &fate);
        pause(fate.before).await;
        let undone = match failure {
            None => self.undo(cx, key).await,
            Some(ProviderError::Timeout) if fate.lost => {
                self.undo(cx, key).await.and(Err(ProviderError::Timeout))
            }
            Some(error) => Err(error),
        };
        pause(fate.after).await;
        undone
    }
}

/// Waits. A sleep of nothing would last until the timer's next millisecond.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// How a request other than a charge fails, while the provider is down.
fn outage(settings: &Settings, fate: &Fate) -> Option<ProviderError> {
    match fate.failure.filter(|_| settings.is_down())? {
        TemporarilyUnavailable => Some(ProviderError::Unavailable),
        GatewayTimeout => Some(ProviderError::Timeout),
        InsufficientFunds | ProviderFailure::Unspecified => None,
    }
}

/// A row's state as a record.
fn record(state: &str) -> Result<Record, ProviderError> {
    match state {
        "CHARGED" => Ok(Record::Charged),
        "DECLINED" => Ok(Record::Declined {
            reason: "insufficient funds".into(),
        }),
        "REFUNDED" => Ok(Record::Refunded),
        "VOIDED" => Ok(Record::Voided),
        _ => Err(ProviderError::Timeout),
    }
}

/// The books cannot be used: to the shop, the provider fails.
fn broken(error: &Error, failure: ProviderError) -> ProviderError {
    tracing::warn!(
        error = error.message(),
        cause = std::error::Error::source(error),
        "the simulated payment provider cannot use its books"
    );
    failure
}
