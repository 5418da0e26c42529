//! Retry: repeats a failed attempt after a pause, within a budget.
//!
//! This is a [`Policy`] for tower's own retry service. The caller's [`Rules`] say what is safe to
//! repeat. An attempt is not repeated, and its result is returned as it is, if the rules say no,
//! the attempts are used up, the pause would reach the deadline, or the budget is empty. Retry has
//! no error of its own, because the last real error says more.
//!
//! Pauses are exponential with full jitter. The budget keeps retries from amplifying an outage:
//! answers pay into it and retries draw from it, so when most calls fail, most of them are not
//! repeated. An instance that is gone is not an overload: once per call, the attempt is repeated at
//! once on another instance, without drawing from the budget.
//!
//! Clones share the budget and the sequence of random numbers; the count of attempts belongs to
//! one call.

mod backoff;
mod jitter;

pub use backoff::{Backoff, Delays};
pub use jitter::Jitter;
pub use tower::retry::budget::TpsBudget;

use crate::InvalidConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::retry::budget::Budget as _;

/// Repeats the failed attempts of a service: tower's layer, over our [`Policy`].
pub type Layer<R> = tower::retry::RetryLayer<Policy<R>>;

/// The verdict on an attempt's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The dependency answered, be it with a refusal. Pays into the budget.
    Done,
    /// It failed, and another attempt is not safe or not useful.
    GiveUp,
    /// It failed, and another attempt is safe.
    Retry,
    /// As `Retry`, but not before this long from now, as the failure itself said.
    RetryAfter(Duration),
    /// The instance that had it is gone, which says nothing about the others: another attempt is
    /// safe. The first of a call is made at once and draws nothing from the budget; any further one
    /// is a `Retry`.
    Replace,
}

/// The caller's knowledge about its requests: which may be repeated, after which results.
///
/// Closures `Fn(&Req, &Result<Res, E>) -> Verdict` are rules for requests that can be cloned, may
/// all be repeated and have no deadline.
pub trait Rules<Req, Res, E> {
    /// A copy of the request for another attempt, or `None` when it must not be sent twice.
    fn copy(&self, request: &Req) -> Option<Req>;

    /// The verdict on an attempt's result.
    fn judge(&self, request: &Req, result: &Result<Res, E>) -> Verdict;

    /// When the whole call ends: no pause reaches it. Asked once, before the first attempt.
    fn deadline(&self, _request: &Req) -> Option<Instant> {
        None
    }
}

impl<Req, Res, E, F> Rules<Req, Res, E> for F
where
    Req: Clone,
    F: Fn(&Req, &Result<Res, E>) -> Verdict,
{
    fn copy(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }

    fn judge(&self, request: &Req, result: &Result<Res, E>) -> Verdict {
        self(request, result)
    }
}

/// How often, and after which pauses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Attempts in all, the first included; 1 never repeats.
    pub max_attempts: u32,
    /// The pauses between them.
    pub backoff: Backoff,
    /// The longest hint ([`Verdict::RetryAfter`]) that is waited for; a longer one ends the call.
    ///
    /// The hint comes from the other side, and must not hold a call for as long as that likes.
    pub max_retry_after: Duration,
}

/// A budget for retries: a share of the recent answers, and a floor for quiet times.
///
/// `window` is how long an answer counts: whole seconds, 1 to 60. `min_per_second` retries are
/// free, averaged over the window, so that a process that has just started may retry at all.
/// `ratio` is the number of retries per answer, from 0 (only the floor) to 1; tower keeps 1 / ratio,
/// the answers that one retry costs, as a whole number, rounded down. Share the budget between the policies that lead to the
/// same dependency.
///
/// # Errors
///
/// When a value is out of its range.
pub fn budget(
    window: Duration,
    min_per_second: u32,
    ratio: f32,
) -> Result<Arc<TpsBudget>, InvalidConfig> {
    InvalidConfig::unless(
        window.subsec_nanos() == 0 && (1..=60).contains(&window.as_secs()),
        "budget.window",
        "must be 1 to 60 whole seconds",
    )?;
    InvalidConfig::unless(
        min_per_second < i32::MAX.unsigned_abs(),
        "budget.min_per_second",
        "must be below 2147483647",
    )?;
    InvalidConfig::unless(
        (0.0..=1.0).contains(&ratio),
        "budget.ratio",
        "must be between 0 and 1",
    )?;
    Ok(Arc::new(TpsBudget::new(window, min_per_second, ratio)))
}

/// Decides about another attempt. Implements [`tower::retry::Policy`].
#[derive(Clone, Debug)]
pub struct Policy<R> {
    config: Config,
    budget: Arc<TpsBudget>,
    rules: R,
    // Of the call at hand: tower clones the policy for each.
    retries: u32,
    replaced: bool,
    deadline: Option<Instant>,
}

impl<R> Policy<R> {
    /// A policy that repeats what `rules` allow while `budget` lasts.
    ///
    /// # Errors
    ///
    /// When there is not even one attempt.
    pub fn new(config: Config, budget: Arc<TpsBudget>, rules: R) -> Result<Self, InvalidConfig> {
        InvalidConfig::unless(
            config.max_attempts >= 1,
            "retry.max_attempts",
            "must be at least 1",
        )?;
        Ok(Self {
            config,
            budget,
            rules,
            retries: 0,
            replaced: false,
            deadline: None,
        })
    }

    /// The layer of this policy.
    pub fn layer(self) -> Layer<R> {
        Layer::new(self)
    }

    /// How long to wait after a hint.
    fn pause(&self, hint: Duration) -> Option<Duration> {
        if hint > self.config.max_retry_after {
            return None;
        }
        // The jitter goes on top of a hint: all whom it turned away were told the same.
        hint.checked_add(self.config.backoff.delay(self.retries))
    }

    /// When to try again, if at all: everything but the budget.
    fn next_attempt(&self, pause: Duration) -> Option<Instant> {
        if self.retries + 1 >= self.config.max_attempts {
            return None;
        }
        let at = Instant::now().checked_add(pause)?;
        self.deadline
            .is_none_or(|deadline| at < deadline)
            .then_some(at)
    }
}

impl<R, Req, Res, E> tower::retry::Policy<Req, Res, E> for Policy<R>
where
    R: Rules<Req, Res, E>,
{
    type Future = Sleep;

    fn retry(&mut self, request: &mut Req, result: &mut Result<Res, E>) -> Option<Sleep> {
        let hint = match self.rules.judge(request, result) {
            Verdict::Done => {
                self.budget.deposit();
                return None;
            }
            Verdict::GiveUp => return None,
            Verdict::Replace if !self.replaced => {
                let at = self.next_attempt(Duration::ZERO)?;
                self.replaced = true;
                self.retries += 1;
                return Some(sleep_until(at));
            }
            Verdict::Retry | Verdict::Replace => Duration::ZERO,
            Verdict::RetryAfter(hint) => hint,
        };
        let at = self.next_attempt(self.pause(hint)?)?;
        // Last, so that nothing is drawn for an attempt that is not made.
        if !self.budget.withdraw() {
            return None;
        }
        self.retries += 1;
        Some(sleep_until(at))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        // tower asks for a copy before every attempt; the call has one deadline, from its start.
        if self.retries == 0 {
            self.deadline = self.rules.deadline(request);
        }
        self.rules.copy(request)
    }
}
