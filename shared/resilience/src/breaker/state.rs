//! The breaker's rules: state + event + now → state, without clock, lock or I/O.
//!
//! Time is a [`Duration`] since an epoch that the holder chooses and keeps: the creation of the
//! breaker in memory, the Unix epoch in a database. All fields are public and plain numbers, so
//! that a holder can store them.

use crate::InvalidConfig;
use std::fmt;
use std::time::Duration;

/// When the breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Failures in a row that open a closed breaker. Default 3.
    pub failure_threshold: u32,
    /// Successful probes in a row that close a half-open breaker. Default 2.
    pub success_threshold: u32,
    /// How long an open breaker rejects everything. Default 30 s.
    pub open_for: Duration,
    /// Probes that may run at once while half-open; the next call is rejected. Default 1.
    pub half_open_probes: u32,
    /// How long a probe may keep its slot without a verdict. Default `None`: without end.
    ///
    /// In memory, a dropped permit frees its slot. If the state outlives the process, a crash would
    /// keep the slot for ever. Then set this longer than a call can take.
    pub probe_lease: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self::CONTRACT
    }
}

impl Config {
    /// The breaker of the contract: 3 failures in a row open it for 30 s, then one call at a time
    /// probes, and 2 successes close it.
    pub const CONTRACT: Self = Self {
        failure_threshold: 3,
        success_threshold: 2,
        open_for: Duration::from_secs(30),
        half_open_probes: 1,
        probe_lease: None,
    };

    /// Checks that the breaker can open, and can close again.
    ///
    /// # Errors
    ///
    /// Names the first field that is zero.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let at_least_one = "must be at least 1";
        let longer = "must be longer than zero";
        InvalidConfig::unless(
            self.failure_threshold >= 1,
            "breaker.failure_threshold",
            at_least_one,
        )?;
        InvalidConfig::unless(
            self.success_threshold >= 1,
            "breaker.success_threshold",
            at_least_one,
        )?;
        InvalidConfig::unless(!self.open_for.is_zero(), "breaker.open_for", longer)?;
        InvalidConfig::unless(
            self.half_open_probes >= 1,
            "breaker.half_open_probes",
            at_least_one,
        )?;
        InvalidConfig::unless(
            self.probe_lease.is_none_or(|lease| !lease.is_zero()),
            "breaker.probe_lease",
            longer,
        )
    }
}

/// The three states of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are rejected.
    Open,
    /// A few calls pass, as probes.
    HalfOpen,
}

impl State {
    /// The name in metrics, logs and health answers: `closed`, `open` or `half_open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The verdict of a call about the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The dependency works.
    Success,
    /// The dependency does not work.
    Failure,
    /// No verdict: the call was cancelled, never reached the dependency, or found it still
    /// starting.
    Ignore,
}

/// The breaker is open, or half-open with all its probes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open; try again in {retry_after:?}")]
pub struct BreakerOpen {
    /// How long to wait before trying again. Never zero.
    pub retry_after: Duration,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The generation that began. It orders transitions that are reported out of order.
    pub generation: u64,
}

/// A breaker at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state. An open breaker stays so until the first call after `open_for`.
    pub state: State,
    /// Counts the transitions, and the probes whose lease lapsed.
    pub generation: u64,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Successful probes since half-open began; 0 in the other states.
    pub probe_successes: u32,
    /// Probes on their way; 0 unless half-open.
    pub probes_in_flight: u32,
    /// How long ago the breaker last opened; `None` when closed.
    pub opened_for: Option<Duration>,
    /// The wait that a call would be told now; `None` if it would pass.
    pub retry_after: Option<Duration>,
}

/// The state with what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Calls pass.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// Calls are rejected.
    Open {
        /// Failures since the last success.
        failures: u32,
        /// When it opened.
        opened_at: Duration,
    },
    /// A few calls pass, as probes.
    HalfOpen {
        /// Failures since the last success.
        failures: u32,
        /// When it last opened.
        opened_at: Duration,
        /// Successful probes in this phase.
        successes: u32,
        /// Probes on their way.
        probes: u32,
        /// When the latest of them was admitted.
        admitted_at: Duration,
    },
}

/// The whole state of a breaker.
///
/// The generation changes with every transition. A permit has the generation that admitted it. A
/// verdict of another generation says nothing about the present state, and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    /// Counts the transitions, and the probes whose lease lapsed.
    pub generation: u64,
    /// The state.
    pub phase: Phase,
}

/// The longest wait for a probe's verdict that a call is told.
///
/// A probe takes as long as one call. One second is the smallest value of HTTP's `Retry-After`.
const PROBE_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Machine {
    /// Closed, without failures.
    pub const fn new() -> Self {
        Self {
            generation: 0,
            phase: Phase::Closed { failures: 0 },
        }
    }

    /// The state without its counts.
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// A call asks to pass: the state after, and the generation of its permit or the rejection.
    ///
    /// The first call after `open_for` turns an open breaker half-open and is its first probe.
    pub fn acquire(self, config: &Config, now: Duration) -> (Self, Result<u64, BreakerOpen>) {
        match self.phase {
            Phase::Closed { .. } => (self, Ok(self.generation)),
            Phase::Open {
                failures,
                opened_at,
            } => {
                let left = config.open_for.saturating_sub(since(opened_at, now));
                if left.is_zero() {
                    self.enter(first_probe(failures, opened_at, 0, now)).admit()
                } else {
                    (self, Err(BreakerOpen { retry_after: left }))
                }
            }
            Phase::HalfOpen {
                failures,
                opened_at,
                successes,
                probes,
                admitted_at,
            } => {
                let lapsed = config
                    .probe_lease
                    .is_some_and(|lease| since(admitted_at, now) >= lease);
                if probes < config.half_open_probes {
                    let phase = Phase::HalfOpen {
                        failures,
                        opened_at,
                        successes,
                        probes: probes + 1,
                        admitted_at: now,
                    };
                    Self { phase, ..self }.admit()
                } else if lapsed {
                    // A probe without a verdict proves nothing: the results of earlier probes still
                    // count.
                    self.enter(first_probe(failures, opened_at, successes, now))
                        .admit()
                } else {
                    let retry_after = PROBE_RETRY_AFTER.min(config.open_for);
                    (self, Err(BreakerOpen { retry_after }))
                }
            }
        }
    }

    /// A call that `generation` admitted has ended: the state after.
    pub fn settle(self, config: &Config, generation: u64, outcome: Outcome, now: Duration) -> Self {
        if generation != self.generation {
            return self;
        }
        match (self.phase, outcome) {
            // An open breaker admits nothing, so no permit has its generation.
            (Phase::Open { .. }, _) | (Phase::Closed { .. }, Outcome::Ignore) => self,
            (Phase::Closed { .. }, Outcome::Success) => Self {
                phase: Phase::Closed { failures: 0 },
                ..self
            },
            (Phase::Closed { failures }, Outcome::Failure) => {
                let failures = failures.saturating_add(1);
                if failures >= config.failure_threshold {
                    self.enter(Phase::Open {
                        failures,
                        opened_at: now,
                    })
                } else {
                    Self {
                        phase: Phase::Closed { failures },
                        ..self
                    }
                }
            }
            (Phase::HalfOpen { failures, .. }, Outcome::Failure) => self.enter(Phase::Open {
                failures: failures.saturating_add(1),
                opened_at: now,
            }),
            (
                Phase::HalfOpen {
                    failures,
                    opened_at,
                    successes,
                    probes,
                    admitted_at,
                },
                Outcome::Success | Outcome::Ignore,
            ) => {
                let success = outcome == Outcome::Success;
                let successes = successes.saturating_add(u32::from(success));
                if successes >= config.success_threshold {
                    return self.enter(Phase::Closed { failures: 0 });
                }
                let phase = Phase::HalfOpen {
                    failures: if success { 0 } else { failures },
                    opened_at,
                    successes,
                    probes: probes.saturating_sub(1),
                    admitted_at,
                };
                Self { phase, ..self }
            }
        }
    }

    /// The breaker at the time `now`.
    pub fn snapshot(&self, config: &Config, now: Duration) -> Snapshot {
        let (consecutive_failures, opened_at, probe_successes, probes_in_flight) = match self.phase
        {
            Phase::Closed { failures } => (failures, None, 0, 0),
            Phase::Open {
                failures,
                opened_at,
            } => (failures, Some(opened_at), 0, 0),
            Phase::HalfOpen {
                failures,
                opened_at,
                successes,
                probes,
                ..
            } => (failures, Some(opened_at), successes, probes),
        };
        Snapshot {
            state: self.state(),
            generation: self.generation,
            consecutive_failures,
            probe_successes,
            probes_in_flight,
            opened_for: opened_at.map(|at| since(at, now)),
            retry_after: self
                .acquire(config, now)
                .1
                .err()
                .map(|open| open.retry_after),
        }
    }

    /// The transition from `before` to this state, if the state is another one.
    pub fn transition_from(&self, before: &Self) -> Option<Transition> {
        let (from, to) = (before.state(), self.state());
        (from != to).then_some(Transition {
            from,
            to,
            generation: self.generation,
        })
    }

    fn enter(self, phase: Phase) -> Self {
        Self {
            generation: self.generation.wrapping_add(1),
            phase,
        }
    }

    fn admit(self) -> (Self, Result<u64, BreakerOpen>) {
        (self, Ok(self.generation))
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

const fn first_probe(failures: u32, opened_at: Duration, successes: u32, now: Duration) -> Phase {
    Phase::HalfOpen {
        failures,
        opened_at,
        successes,
        probes: 1,
        admitted_at: now,
    }
}

/// Time passed since `at`; none when the clock stepped back.
const fn since(at: Duration, now: Duration) -> Duration {
    now.saturating_sub(at)
}

#[cfg(test)]
mod tests;
