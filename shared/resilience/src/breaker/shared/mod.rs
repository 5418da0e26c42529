//! A circuit breaker whose state outlives the process, in a store that a fleet shares.
//!
//! A breaker in memory forgets everything when its process scales to zero, and each of a hundred
//! instances would have to learn the same. Here all instances use one [`state::Machine`], which is
//! in a [`Store`] with the store's own clock.
//!
//! - **Reads** are cached for a short time ([`Config::cache_for`]), and happen one at a time. A
//!   breaker that is known to be open is not read again before a probe is possible: nothing can
//!   close it earlier.
//! - **Writes** are for changes only: failures, the success after failures, transitions, and
//!   probes. A healthy system writes nothing.
//! - **Half-open:** the store leases the probe, so the whole fleet has one. If the process of a
//!   probe dies, its lease lapses.
//! - **Without its store** the breaker lets calls pass: if the state cannot be read in time, the
//!   call is made. Only a breaker that is already known to be open still rejects.
//!
//! Clones share everything. There is no layer for it. The caller holds a [`Permit`], because the
//! verdict on a call may need more than its result.

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
    /// How long a state that was read is used. Default 1 s.
    pub cache_for: Duration,
    /// The longest time that a call waits for the state. Default 250 ms; then the call passes.
    pub read_timeout: Duration,
    /// The longest time for a change, and for the first read, which may need a new connection.
    /// Default 1 s; then the verdict is lost, or the probe passes without a lease.
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
    /// Held by the caller that reads, so that the others wait for the same answer.
    turn: tokio::sync::Mutex<()>,
    listeners: Mutex<Vec<Listener>>,
    /// Told of the transitions that this process causes.
    witnesses: Mutex<Vec<Listener>>,
}

#[derive(Default)]
struct Seen {
    known: Option<Known>,
    /// When the store was last read, and whether it answered.
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
    /// The store's time: the last known one, plus the time since then on this process's clock.
    fn now(&self) -> Duration {
        self.now.saturating_add(self.at.elapsed())
    }
}

/// Whether the cache can be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    /// Yes: the store answered a moment ago.
    Fresh,
    /// There is no state: the store was read a moment ago, and did not answer.
    Unreadable,
    /// No: the store must be read.
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
                witnesses: Mutex::default(),
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
    /// Other instances cause transitions, too. If there are several between two reads, only the sum
    /// is seen. The breaker is not locked meanwhile.
    pub fn on_transition(&self, listener: impl Fn(Transition) + Send + Sync + 'static) {
        lock(&self.inner.listeners).push(Arc::new(listener));
    }

    /// Calls `listener` at every transition that this process causes, from now on. Of all the processes that
    /// share the breaker, one causes a transition.
    pub fn on_caused(&self, listener: impl Fn(Transition) + Send + Sync + 'static) {
        lock(&self.inner.witnesses).push(Arc::new(listener));
    }

    /// Reads the state once, for the start of a process. A failure is only logged.
    pub async fn warm_up(&self) {
        self.read().await;
    }

    /// What tells this breaker a state that another reader got from the store, which this breaker then
    /// need not read. It does nothing once the breaker is gone.
    pub fn listener(&self) -> impl Fn(Loaded) + Send + Sync + use<> {
        let inner = Arc::downgrade(&self.inner);
        move |Loaded { machine, now }| {
            if let Some(inner) = inner.upgrade() {
                Self { inner }.learn(machine, now);
            }
        }
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
            // Certainly open, or half-open in a fresh state.
            Err(open) if cache == Cache::Fresh || known.machine.state() == State::Open => Err(open),
            Err(_) => Ok(self.permit(None, false)),
            Ok(generation) if after == known.machine => Ok(self.permit(Some(generation), false)),
            // A probe: the store decides whether this call gets it.
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
    /// Reads the state like [`acquire`](Self::acquire), but takes no probe. It is for a caller that
    /// must do something before the call, which makes sense only if the call is made.
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

    /// The last known state, without reading the store: for health and metrics.
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

    /// Reads the state if it is stale and needed.
    async fn refreshed(&self) -> Cache {
        let cache = self.cache();
        if cache != Cache::Stale {
            return cache;
        }
        // Only time ends this state.
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
        if let Some(transition) = changed.after.transition_from(&changed.before) {
            tell(&self.inner.witnesses, transition);
        }
        Some(changed)
    }

    /// The store's answer, if it comes in time.
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

    /// Keeps the store's answer, and reports the transition, if there was one.
    fn learn(&self, machine: Machine, now: Duration) {
        let at = Instant::now();
        let before = {
            let mut seen = lock(&self.inner.seen);
            seen.asked = Some((at, true));
            let before = seen.known;
            // Answers may overtake each other. An older one is used only if the newer one is stale:
            // then the store's clock was set back.
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
            tell(&self.inner.listeners, transition);
        }
    }
}

/// Without the lock: a listener may add others.
fn tell(listeners: &Mutex<Vec<Listener>>, transition: Transition) {
    let listeners = lock(listeners).clone();
    for listener in listeners {
        listener(transition);
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

/// The permission to make one call. Dropped without a verdict, it counts as [`Outcome::Ignore`].
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

    /// Gives the verdict, and waits until it is stored if it changes anything.
    ///
    /// Dropping this future loses nothing: the change is written in any case.
    pub async fn settle(mut self, outcome: Outcome) {
        if let Some(write) = self.verdict(outcome) {
            // A panic of the task is reported elsewhere.
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
