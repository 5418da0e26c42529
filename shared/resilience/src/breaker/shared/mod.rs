//! A breaker whose state outlives the process, in a store that a fleet shares.
//!
//! A breaker in memory forgets everything when its process scales to zero, and a hundred instances
//! of one function would each have to find out for themselves. Here all of them go by one
//! [`state::Machine`], kept in a [`Store`] with the store's own clock.
//!
//! - **Reads** are cached for a moment ([`Config::cache_for`]), and one at a time. A breaker that
//!   is known to be open is not read again before it may be tried: nothing can close it earlier.
//! - **Writes** are the changes: failures, the success that ends a run of them, transitions, and
//!   probes. A healthy system writes nothing.
//! - **Half-open**, a probe is leased through the store, so the whole fleet has one; a prober that
//!   dies loses it when its lease lapses.
//! - **Without its store** the breaker is open to traffic: whoever cannot read the state, or not in
//!   time, calls. Only a breaker that is already known to be open still rejects.
//!
//! Clones share everything. There is no layer of it: whoever calls holds a [`Permit`], because what a
//! call says about its callee may be more than its result shows.

mod store;

pub use store::{BoxError, BoxFuture, Changed, Loaded, Step, Store};

use super::state::{self, Machine};
use super::{BreakerOpen, Outcome, Snapshot, State, Transition, lock};
use crate::InvalidConfig;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// When a shared breaker opens and closes, and how it uses its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The breaker's own rules. Its `probe_lease` must be set, longer than a call can take.
    pub breaker: state::Config,
    /// How long a state that was read is good. Default 1 s.
    pub cache_for: Duration,
    /// The longest that a call waits for the state. Default 250 ms; then it passes.
    pub read_timeout: Duration,
    /// The longest that a change may take, and the first read, for which a connection may have to
    /// be made. Default 1 s; then the verdict is lost, or the probe passes without a lease.
    pub write_timeout: Duration,
}

impl Config {
    /// The defaults, for a breaker with these rules.
    pub const fn new(breaker: state::Config) -> Self {
        Self {
            breaker,
            cache_for: Duration::from_secs(1),
            read_timeout: Duration::from_millis(250),
            write_timeout: Duration::from_secs(1),
        }
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        self.breaker.check()?;
        InvalidConfig::unless(
            self.breaker.probe_lease.is_some(),
            "breaker.probe_lease",
            "must be set where the state outlives the process",
        )?;
        let longer = "must be longer than zero";
        InvalidConfig::unless(!self.cache_for.is_zero(), "breaker.cache_for", longer)?;
        InvalidConfig::unless(!self.read_timeout.is_zero(), "breaker.read_timeout", longer)?;
        InvalidConfig::unless(
            !self.write_timeout.is_zero(),
            "breaker.write_timeout",
            longer,
        )
    }
}

/// A circuit breaker whose state is in a [`Store`]. A clone shares it.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

type Listener = Arc<dyn Fn(Transition) + Send + Sync>;

struct Inner {
    name: &'static str,
    config: Config,
    store: Box<dyn Store>,
    seen: Mutex<Seen>,
    /// Held by whoever reads, so that the others wait for that same answer.
    turn: tokio::sync::Mutex<()>,
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Default)]
struct Seen {
    known: Option<Known>,
    /// When the store was last asked, and whether it answered.
    asked: Option<(Instant, bool)>,
}

/// The newest state that the store gave.
#[derive(Clone, Copy)]
struct Known {
    machine: Machine,
    /// The store's time then.
    now: Duration,
    /// This process's time then.
    at: Instant,
}

impl Known {
    /// The store's time, by this process's clock since it was last told.
    fn now(&self) -> Duration {
        self.now.saturating_add(self.at.elapsed())
    }
}

/// What the cache is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    /// The store answered a moment ago.
    Fresh,
    /// It was asked a moment ago, in vain.
    Unreadable,
    /// It has to be asked.
    Stale,
}

impl Shared {
    /// A breaker called `name` in logs, with its state in `store`. Reads nothing yet.
    ///
    /// # Errors
    ///
    /// When a value of `config` is zero, or there is no probe lease.
    pub fn new(
        name: &'static str,
        store: impl Store,
        config: Config,
    ) -> Result<Self, InvalidConfig> {
        config.check()?;
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                config,
                store: Box::new(store),
                seen: Mutex::default(),
                turn: tokio::sync::Mutex::default(),
                listeners: Mutex::default(),
            }),
        })
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Calls `listener` at every transition that this process sees or causes, from now on.
    ///
    /// Others of the fleet cause transitions, too; of several between two reads only the sum is
    /// seen. The breaker is not locked meanwhile.
    pub fn on_transition(&self, listener: impl Fn(Transition) + Send + Sync + 'static) {
        lock(&self.inner.listeners).push(Arc::new(listener));
    }

    /// Reads the state once, for the start of a process. A failure is only logged.
    pub async fn warm_up(&self) {
        self.read().await;
    }

    /// Asks for a call to pass.
    ///
    /// # Errors
    ///
    /// [`BreakerOpen`] while open, and while half-open with all probes of the fleet on their way.
    pub async fn acquire(&self) -> Result<Permit, BreakerOpen> {
        let cache = self.refreshed().await;
        let config = self.inner.config.breaker;
        let Some(known) = self.known() else {
            return Ok(self.permit(None, false));
        };
        let (after, result) = known.machine.acquire(&config, known.now());
        match result {
            // Open for certain, or half-open by a state that is fresh.
            Err(open) if cache == Cache::Fresh || known.machine.state() == State::Open => Err(open),
            Err(_) => Ok(self.permit(None, false)),
            Ok(generation) if after == known.machine => Ok(self.permit(Some(generation), false)),
            // A probe: the store says whether it is ours.
            Ok(_) => match self
                .change(&|machine, now| machine.acquire(&config, now).0)
                .await
            {
                Some(changed) => {
                    let generation = changed.before.acquire(&config, changed.now).1?;
                    let probe = changed.after != changed.before;
                    Ok(self.permit(Some(generation), probe))
                }
                None => Ok(self.permit(None, false)),
            },
        }
    }

    /// How long a call would be told to wait now; `None` when it would pass.
    ///
    /// Reads the state like [`acquire`](Self::acquire), but takes no probe: for a caller that wants
    /// to know before it does what only makes sense together with the call.
    pub async fn would_reject(&self) -> Option<Duration> {
        let cache = self.refreshed().await;
        let known = self.known()?;
        let snapshot = known
            .machine
            .snapshot(&self.inner.config.breaker, known.now());
        snapshot
            .retry_after
            .filter(|_| cache == Cache::Fresh || snapshot.state == State::Open)
    }

    /// What was last known of the state, without asking the store: for health and metrics.
    pub fn snapshot(&self) -> Snapshot {
        let (machine, now) = match self.known() {
            Some(known) => (known.machine, known.now()),
            None => (Machine::new(), Duration::ZERO),
        };
        machine.snapshot(&self.inner.config.breaker, now)
    }

    fn permit(&self, generation: Option<u64>, probe: bool) -> Permit {
        Permit {
            breaker: self.clone(),
            generation,
            probe,
        }
    }

    fn known(&self) -> Option<Known> {
        lock(&self.inner.seen).known
    }

    fn cache(&self) -> Cache {
        match lock(&self.inner.seen).asked {
            Some((at, answered)) if at.elapsed() < self.inner.config.cache_for => {
                if answered {
                    Cache::Fresh
                } else {
                    Cache::Unreadable
                }
            }
            _ => Cache::Stale,
        }
    }

    /// Reads the state when it is stale and matters.
    async fn refreshed(&self) -> Cache {
        let cache = self.cache();
        if cache != Cache::Stale {
            return cache;
        }
        // Nothing but time ends this state.
        let waits = self.known().is_some_and(|known| {
            known.machine.state() == State::Open
                && known
                    .machine
                    .acquire(&self.inner.config.breaker, known.now())
                    .1
                    .is_err()
        });
        if waits { cache } else { self.read().await }
    }

    async fn read(&self) -> Cache {
        let _turn = self.inner.turn.lock().await;
        let cache = self.cache();
        if cache != Cache::Stale {
            return cache;
        }
        let config = &self.inner.config;
        let limit = match self.known() {
            Some(_) => config.read_timeout,
            None => config.write_timeout,
        };
        match self.bounded(limit, self.inner.store.load()).await {
            Some(Loaded { machine, now }) => {
                self.learn(machine, now);
                Cache::Fresh
            }
            None => {
                lock(&self.inner.seen).asked = Some((Instant::now(), false));
                Cache::Unreadable
            }
        }
    }

    async fn change(&self, step: Step<'_>) -> Option<Changed> {
        let limit = self.inner.config.write_timeout;
        let changed = self.bounded(limit, self.inner.store.change(step)).await?;
        self.learn(changed.after, changed.now);
        Some(changed)
    }

    /// What the store answers in time.
    async fn bounded<T>(
        &self,
        limit: Duration,
        work: BoxFuture<'_, Result<T, BoxError>>,
    ) -> Option<T> {
        let breaker = self.inner.name;
        match timeout(limit, work).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => {
                let error = &*error as &dyn std::error::Error;
                tracing::warn!(breaker, error, "the state of a circuit breaker is unknown");
            }
            Err(_) => {
                let limit_ms = limit.as_millis();
                tracing::warn!(
                    breaker,
                    limit_ms,
                    "the state of a circuit breaker was not told in time"
                );
            }
        }
        None
    }

    /// Keeps what the store said, and tells of the transition, if it is one.
    fn learn(&self, machine: Machine, now: Duration) {
        let at = Instant::now();
        let before = {
            let mut seen = lock(&self.inner.seen);
            seen.asked = Some((at, true));
            let before = seen.known;
            // Answers may overtake each other. An older one counts only where the newer one is
            // stale: then the store's clock was set back.
            let newer = before.is_none_or(|before| {
                before.now <= now || before.at.elapsed() >= self.inner.config.cache_for
            });
            if !newer {
                return;
            }
            seen.known = Some(Known { machine, now, at });
            before.map_or(Machine::new(), |before| before.machine)
        };
        if let Some(transition) = machine.transition_from(&before) {
            let listeners = lock(&self.inner.listeners).clone();
            for listener in listeners {
                listener(transition);
            }
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.inner.name)
            .field("config", &self.inner.config)
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

/// The leave to make one call. Dropped without a verdict, it counts as [`Outcome::Ignore`].
#[derive(Debug)]
#[must_use = "a permit that is dropped at once says nothing about the call"]
pub struct Permit {
    breaker: Shared,
    /// None when the state was not known, and once the verdict is given.
    generation: Option<u64>,
    /// Whether the store holds a lease for it.
    probe: bool,
}

impl Permit {
    /// The generation that admitted the call ([`Snapshot::generation`]); none when the state was not
    /// known.
    pub fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// Gives the verdict, and waits until it is kept, where it changes anything.
    ///
    /// Dropping this future loses nothing: what is to be written is written all the same.
    pub async fn settle(mut self, outcome: Outcome) {
        if let Some(write) = self.verdict(outcome) {
            // A task that panics has said so itself.
            let _ = tokio::spawn(write).await;
        }
    }

    /// The writing of a verdict that changes something.
    fn verdict(&mut self, outcome: Outcome) -> Option<impl Future<Output = ()> + Send + use<>> {
        let generation = self.generation.take()?;
        let config = self.breaker.inner.config.breaker;
        let known = self.breaker.known()?;
        let after = known
            .machine
            .settle(&config, generation, outcome, known.now());
        if !self.probe && after == known.machine {
            return None;
        }
        let breaker = self.breaker.clone();
        Some(async move {
            breaker
                .change(&|machine, now| machine.settle(&config, generation, outcome, now))
                .await;
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(write) = self.verdict(Outcome::Ignore) {
            // Without a runtime the probe's lease lapses by itself.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(write);
            }
        }
    }
}

#[cfg(test)]
mod tests;
