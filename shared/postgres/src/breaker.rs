//! The state of circuit breakers that a fleet shares: the table `circuit_breakers`.

use std::time::Duration;

use futures_util::future::join;
use tokio::time::Instant;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
use zerocart_core::{
    Invalid, Setup,
    error::chain,
    trace::{Kind, Recorder, Trace, TraceContext},
};
use zerocart_resilience::breaker::{
    self, Transition,
    shared::{BoxError, BoxFuture, Changed, Config, Loaded, Shared, Step, Store},
    state::{Machine, Phase},
};

use crate::{Database, RowExt, Session, session::BEGIN};

/// The longest time of one use of the store, even if the breaker allows more: a connection that
/// hangs is given up.
const LIMIT: Duration = Duration::from_secs(2);

/// The columns of [`machine`], and the server's clock. Microseconds since the Unix epoch.
macro_rules! columns {
    () => {
        "generation, state, failures, successes, probes, \
         (extract(epoch FROM opened_at) * 1000000)::bigint AS opened_at, \
         (extract(epoch FROM admitted_at) * 1000000)::bigint AS admitted_at, \
         (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now"
    };
}

/// One row also for a breaker that was never written: the clock, beside nulls.
const LOAD: &str = concat!(
    "SELECT name, ",
    columns!(),
    " FROM unnest($1) AS asked (name) LEFT JOIN circuit_breakers USING (name)"
);

/// Locks the breaker's row, which is made if there is none. The clock is read once it is locked.
const LOCK: &str = concat!(
    "INSERT INTO circuit_breakers (name) VALUES ($1) \
     ON CONFLICT ON CONSTRAINT circuit_breakers_pkey DO UPDATE SET name = excluded.name \
     RETURNING ",
    columns!()
);

const WRITE: &str = "UPDATE circuit_breakers SET generation = $2, state = $3, failures = $4, \
     successes = $5, probes = $6, \
     opened_at = 'epoch'::timestamptz + $7 * interval '1 microsecond', \
     admitted_at = 'epoch'::timestamptz + $8 * interval '1 microsecond', \
     changed_at = now() WHERE name = $1";

/// When the state is read that nobody has needed until then. Not beside the first request: that
/// would open a second connection, whose login takes longer than to read on the first.
const READ_AFTER: Duration = Duration::from_millis(250);

/// The rules of the contract's circuit breaker. `BREAKER_OPEN_MS` shortens its 30 s for tests.
///
/// # Errors
///
/// [`Invalid`] when that is no time; the reason is noted.
pub fn breaker_rules(setup: &mut Setup) -> Result<breaker::Config, Invalid> {
    let contract = breaker::Config::CONTRACT;
    Ok(breaker::Config {
        open_for: setup.millis("BREAKER_OPEN_MS", contract.open_for)?,
        ..contract
    })
}

/// A circuit breaker by [`breaker_rules`] around the function `name`, whose state is kept in
/// `database` for all instances of all its callers there.
///
/// It is read by the first call that needs it, and a moment after the start at the latest, so that
/// health shows it. Whenever one breaker of a process is read, so are the others in the same
/// database. A probe blocks others for `probe_lease` at most, also when its process dies.
///
/// # Errors
///
/// [`Invalid`] when the rules are bad, and without a database; the reason is noted.
pub fn shared_breaker(
    setup: &mut Setup,
    database: &Result<Database, Invalid>,
    name: &'static str,
    probe_lease: Duration,
) -> Result<Shared, Invalid> {
    let rules = breaker::Config {
        probe_lease: Some(probe_lease),
        ..breaker_rules(setup)?
    };
    let database = database.as_ref().map_err(|invalid| *invalid)?;
    let defaults = Config::new(rules);
    let config = Config {
        // Who opens for less than the cache lasts wants to hear of it sooner.
        cache_for: defaults.cache_for.min(rules.open_for),
        ..defaults
    };
    let store = BreakerStore::new(database, name);
    let breaker = Shared::new(name, store, config).map_err(|error| {
        setup.problem(format!("the circuit breaker {name}: {error}"));
        Invalid
    })?;
    breaker.on_transition(move |transition| {
        tracing::warn!(
            breaker = name,
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            "a circuit breaker changed its state"
        );
    });
    let recorder = setup.recorder();
    breaker.on_caused(move |transition| record(&recorder, name, transition));
    let listener = Listener {
        name,
        tell: Box::new(breaker.listener()),
    };
    database.listeners().push(listener);
    let warming = breaker.clone();
    setup.background(async move {
        tokio::time::sleep(READ_AFTER).await;
        warming.warm_up().await;
    });
    Ok(breaker)
}

/// A trace of one span for a change of the state of a breaker. The call that caused it may have been answered.
pub(crate) fn record(recorder: &Recorder, name: &'static str, transition: Transition) {
    let trace = Trace::begin(recorder, TraceContext::new());
    let mut span = trace.root("circuit breaker", Kind::Internal);
    span.set("zerocart.breaker.name", name);
    span.set("zerocart.breaker.from", transition.from.as_str());
    span.set("zerocart.breaker.state", transition.to.as_str());
    span.end();
}

/// A breaker of this process, which is told what was read of it.
pub(crate) struct Listener {
    name: &'static str,
    tell: Box<dyn Fn(Loaded) + Send + Sync>,
}

/// A row of `circuit_breakers`, as the [`Store`] of one shared breaker.
///
/// The database's own circuit breaker is neither asked nor told, and no use takes longer than 2 s.
#[derive(Clone, Debug)]
pub struct BreakerStore {
    database: Database,
    name: &'static str,
}

impl BreakerStore {
    /// The breaker `name` in `database`.
    pub fn new(database: &Database, name: &'static str) -> Self {
        Self {
            database: database.clone(),
            name,
        }
    }

    async fn session(&self) -> Result<Session, BoxError> {
        let session = Session::open(&self.database, Instant::now() + LIMIT, None, None).await;
        session.map_err(|error| Unavailable(chain(&error)).into())
    }
}

impl Store for BreakerStore {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, BoxError>> {
        Box::pin(async move {
            let mut names = vec![self.name];
            let listeners = self
                .database
                .listeners()
                .iter()
                .map(|l| l.name)
                .collect::<Vec<_>>();
            names.extend(listeners.into_iter().filter(|name| *name != self.name));
            let session = self.session().await?;
            let client = session.client();
            let rows = session
                .sent(client.query_typed(LOAD, &[(&names, Type::TEXT_ARRAY)]))
                .await;
            let mut own = None;
            for row in rows.map_err(refused)? {
                let name: &str = row.try_get("name").map_err(|error| refused(error.into()))?;
                let loaded = loaded(&row).map_err(refused)?;
                if name == self.name {
                    own = Some(loaded);
                    continue;
                }
                for listener in self.database.listeners().iter() {
                    if listener.name == name {
                        (listener.tell)(loaded);
                    }
                }
            }
            own.ok_or_else(|| refused(crate::QueryError::rows(0)))
        })
    }

    fn change<'a>(&'a self, step: Step<'a>) -> BoxFuture<'a, Result<Changed, BoxError>> {
        Box::pin(async move {
            let session = self.session().await?;
            session.begin_lazily();
            let changed = self.change_in(&session, step).await.map_err(refused);
            session.roll_back().await;
            changed
        })
    }
}

impl BreakerStore {
    async fn change_in(
        &self,
        session: &Session,
        step: Step<'_>,
    ) -> Result<Changed, crate::QueryError> {
        let client = session.client();
        session.enter();
        let (begun, locked) = session
            .sent(async {
                Ok(join(
                    client.batch_execute(BEGIN),
                    client.query_typed_one(LOCK, &[(&self.name, Type::TEXT)]),
                )
                .await)
            })
            .await?;
        begun.map_err(|error| session.judge(error.into()))?;
        let row = locked.map_err(|error| session.judge(error.into()))?;
        let Loaded {
            machine: before,
            now,
        } = loaded(&row)?;
        let after = step(before, now);
        if after != before {
            let columns = Columns::of(&after);
            let params: [(&(dyn ToSql + Sync), Type); 8] = [
                (&self.name, Type::TEXT),
                (&columns.generation, Type::INT8),
                (&columns.state, Type::TEXT),
                (&columns.failures, Type::INT8),
                (&columns.successes, Type::INT8),
                (&columns.probes, Type::INT8),
                (&columns.opened_at, Type::INT8),
                (&columns.admitted_at, Type::INT8),
            ];
            session.commit(client.execute_typed(WRITE, &params)).await?;
        }
        Ok(Changed { before, after, now })
    }
}

/// A machine as the table has it.
#[derive(Default)]
struct Columns {
    generation: i64,
    state: &'static str,
    failures: i64,
    successes: i64,
    probes: i64,
    opened_at: Option<i64>,
    admitted_at: Option<i64>,
}

impl Columns {
    fn of(machine: &Machine) -> Self {
        let state = Self {
            // All 64 bits, with any value.
            generation: machine.generation.cast_signed(),
            state: machine.state().as_str(),
            ..Self::default()
        };
        match machine.phase {
            Phase::Closed { failures } => Self {
                failures: failures.into(),
                ..state
            },
            Phase::Open {
                failures,
                opened_at,
            } => Self {
                failures: failures.into(),
                opened_at: Some(micros(opened_at)),
                ..state
            },
            Phase::HalfOpen {
                failures,
                opened_at,
                successes,
                probes,
                admitted_at,
            } => Self {
                failures: failures.into(),
                successes: successes.into(),
                probes: probes.into(),
                opened_at: Some(micros(opened_at)),
                admitted_at: Some(micros(admitted_at)),
                ..state
            },
        }
    }
}

fn loaded(row: &Row) -> Result<Loaded, crate::QueryError> {
    let now = duration(row.column("now")?);
    let Some(generation) = row.column::<Option<i64>>("generation")? else {
        return Ok(Loaded {
            machine: Machine::new(),
            now,
        });
    };
    let count = |name| {
        let count: i64 = row.column(name)?;
        Ok::<_, crate::QueryError>(u32::try_from(count).unwrap_or(u32::MAX))
    };
    // What the table's constraints promise is not there counts as long ago.
    let at = |name| {
        let at: Option<i64> = row.column(name)?;
        Ok::<_, crate::QueryError>(duration(at.unwrap_or_default()))
    };
    let failures = count("failures")?;
    let phase = match row.column("state")? {
        "open" => Phase::Open {
            failures,
            opened_at: at("opened_at")?,
        },
        "half_open" => Phase::HalfOpen {
            failures,
            opened_at: at("opened_at")?,
            successes: count("successes")?,
            probes: count("probes")?,
            admitted_at: at("admitted_at")?,
        },
        _ => Phase::Closed { failures },
    };
    Ok(Loaded {
        machine: Machine {
            generation: generation.cast_unsigned(),
            phase,
        },
        now,
    })
}

fn micros(since_epoch: Duration) -> i64 {
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// An error as the breaker logs it: with its causes, which the runtime's leaves to its source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unavailable(String);

fn refused(error: crate::QueryError) -> BoxError {
    Unavailable(chain(&zerocart_core::Error::from(error))).into()
}
