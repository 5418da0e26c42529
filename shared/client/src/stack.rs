//! The layers between a call and its callee, outermost first.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};
use zerocart_core::Kind;
use zerocart_resilience::{
    InvalidConfig,
    breaker::{Outcome, shared},
    bulkhead::{self, Bulkhead},
    deadline::{self, Elapsed},
    retry::{self, Backoff, Jitter, Policy, Rules, Verdict},
};

use crate::{
    attempt::{Attempt, CallError, Outgoing, Trail},
    failure::kind,
};

/// The pauses between attempts: up to 50, 100, 200 … ms. A process that was restarted is back in
/// less, and a deadline of 5 s leaves time for all attempts.
const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(1);

/// Retries: one per five answers of the last 10 s, and 2 a second without any, so that a process
/// that has just started may retry, too.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);
const BUDGET_MIN_PER_SECOND: u32 = 2;
const BUDGET_RATIO: f32 = 0.2;

/// As many calls as a function itself runs at once (`MAX_IN_FLIGHT`, 100) find a place here; more
/// than that only come together when the callee hangs.
const BULKHEAD: bulkhead::Config = bulkhead::Config {
    max_in_flight: 64,
    max_waiting: 64,
    max_wait: Duration::from_secs(1),
    retry_after: Duration::from_secs(1),
};

/// All layers of the calls of one client.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    /// The circuit breaker is around everything, so that a call with all its attempts is one
    /// outcome. The attempts of one customer's order then do not affect other customers.
    breaker: Option<shared::Shared>,
    repeated: BoxCloneSyncService<Outgoing, Bytes, CallError>,
    attempt: Attempt,
}

impl Stack {
    /// Puts the layers around `attempt`.
    pub(crate) fn new(
        attempt: Attempt,
        attempts: NonZeroU32,
        breaker: Option<shared::Shared>,
    ) -> Result<Self, InvalidConfig> {
        let policy = Policy::new(
            retry::Config {
                max_attempts: attempts.get(),
                backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP, Jitter::random())?,
                // The deadline decides.
                max_retry_after: Duration::MAX,
            },
            retry::budget(BUDGET_WINDOW, BUDGET_MIN_PER_SECOND, BUDGET_RATIO)?,
            Repeat {
                callee: attempt.callee.name,
                breaker: breaker.clone(),
            },
        )?;
        let repeated = ServiceBuilder::new()
            // The total deadline: no layer below may take longer than the caller is willing to
            // wait.
            .layer(deadline::Layer::new(|out: &Outgoing| Some(out.deadline)))
            // Retry inside the deadline, so that all attempts and pauses share one budget of time.
            .layer(policy.layer())
            // The bulkhead inside retry, so that no slot is held during a pause.
            .layer(bulkhead::Layer::new(Bulkhead::new(BULKHEAD)?))
            // Innermost the time limit of the attempt, so that waiting for a slot is not held against
            // the callee. It is the attempt's own: the callee is told what remains of it, and whether
            // its passing counts depends on whose time it was.
            .service(attempt.clone());
        Ok(Self {
            breaker,
            repeated: BoxCloneSyncService::new(repeated),
            attempt,
        })
    }

    /// Makes one call.
    pub(crate) async fn call(&self, mut out: Outgoing) -> Result<Bytes, CallError> {
        let Some(breaker) = &self.breaker else {
            return self.repeated.clone().oneshot(out).await;
        };
        let (deadline, trail, began) = (out.deadline, Arc::clone(&out.trail), out.began);
        let Ok(permit) = timeout_at(deadline, breaker.acquire()).await else {
            return Err(Elapsed::default().into());
        };
        let permit = match permit {
            Ok(permit) => permit,
            Err(open) => {
                // Nothing is sent; the trace shows why.
                let error = CallError::Open(open);
                let mut span = self.attempt.span(&out);
                span.set("zerocart.breaker.state", "open");
                span.fail(error.word(), "");
                span.end();
                return Err(error);
            }
        };
        out.admitted = permit.generation();
        if out.trace.is_on() {
            out.breaker = Some(breaker.snapshot().state.as_str());
        }
        // A probe's place is another's when its lease is over.
        if let Some(lease) = breaker.config().breaker.probe_lease {
            out.deadline = deadline.min(began + lease);
        }
        let until = out.deadline;
        let result = self.repeated.clone().oneshot(out).await;
        let settled = permit.settle(self.outcome(&result, began, until, &trail));
        // It is kept all the same.
        let _ = timeout_at(deadline, settled).await;
        result
    }

    /// What a call says of the function: whether it answered in the end. If it did not, one attempt
    /// that nothing excuses is enough to blame it, and any number of them is one failure.
    fn outcome(
        &self,
        result: &Result<Bytes, CallError>,
        began: Instant,
        until: Instant,
        trail: &Trail,
    ) -> Outcome {
        let last = match (result, trail.running()) {
            (Ok(_), _) => Outcome::Success,
            // The time ran out during an attempt, which had no chance to say so itself.
            (Err(CallError::Deadline(_)), Some(_)) if trail.waits_for_sidecar() => Outcome::Ignore,
            (Err(CallError::Deadline(_)), Some(at)) => {
                if self.attempt.excuses_silence(began, at, until) {
                    Outcome::Ignore
                } else {
                    Outcome::Failure
                }
            }
            (Err(error), _) => error.outcome(),
        };
        match last {
            Outcome::Ignore if trail.is_blamed() => Outcome::Failure,
            last => last,
        }
    }
}

/// Which attempts may be followed by another one.
#[derive(Clone, Debug)]
struct Repeat {
    callee: &'static str,
    breaker: Option<shared::Shared>,
}

impl Rules<Outgoing, Bytes, CallError> for Repeat {
    /// A client that sets more than one attempt declares that repeating is safe.
    fn copy(&self, out: &Outgoing) -> Option<Outgoing> {
        Some(out.clone())
    }

    fn judge(&self, out: &Outgoing, result: &Result<Bytes, CallError>) -> Verdict {
        let error = match result {
            Ok(_) => return Verdict::Done,
            Err(error) => error,
        };
        let verdict = verdict(error);
        // Other calls have opened the breaker since it admitted this one. The last real answer says
        // more than the breaker would.
        let open = || {
            let snapshot = self.breaker.as_ref().map(shared::Shared::snapshot);
            snapshot.is_some_and(|now| {
                now.retry_after.is_some() && out.admitted != Some(now.generation)
            })
        };
        match verdict {
            Verdict::Retry | Verdict::RetryAfter(_) | Verdict::Replace if open() => Verdict::GiveUp,
            Verdict::Retry | Verdict::RetryAfter(_) | Verdict::Replace => {
                tracing::debug!(callee = self.callee, ?error, "an attempt failed");
                verdict
            }
            verdict => verdict,
        }
    }

    fn deadline(&self, out: &Outgoing) -> Option<tokio::time::Instant> {
        Some(out.deadline)
    }
}

fn verdict(error: &CallError) -> Verdict {
    match error {
        // The process is gone, or was never there: the fault of the platform, which has others.
        CallError::Lost(_) => Verdict::Replace,
        CallError::Foreign { answer, .. } if answer.lost => Verdict::Replace,
        CallError::Late { .. } => Verdict::Retry,
        // Of this side: another attempt would find the same.
        CallError::Deadline(_) | CallError::Open(_) | CallError::Full(_) | CallError::NoWay(_) => {
            Verdict::GiveUp
        }
        CallError::Garbled(_) => Verdict::GiveUp,
        CallError::Foreign { answer, .. } => of_kind(answer.kind, answer.retry_after),
        CallError::Answered { status, .. } => of_kind(kind(status.code()), retry_after(status)),
    }
}

fn of_kind(kind: Kind, hint: Option<Duration>) -> Verdict {
    match (kind, hint) {
        // A conflict that says when it will be over; any other is for the caller to see.
        (Kind::Unavailable | Kind::ResourceExhausted | Kind::Aborted, Some(hint)) => {
            Verdict::RetryAfter(hint)
        }
        (Kind::Unavailable | Kind::ResourceExhausted | Kind::DeadlineExceeded, _) => Verdict::Retry,
        (Kind::Aborted | Kind::Internal | Kind::Cancelled, _) => Verdict::GiveUp,
        // An answer, if not the one that was hoped for.
        (
            Kind::InvalidArgument
            | Kind::Unauthenticated
            | Kind::PermissionDenied
            | Kind::NotFound
            | Kind::AlreadyExists
            | Kind::FailedPrecondition
            | Kind::Unimplemented,
            _,
        ) => Verdict::Done,
    }
}

fn retry_after(status: &tonic::Status) -> Option<Duration> {
    use tonic_types::StatusExt;
    status.get_details_retry_info()?.retry_delay
}
