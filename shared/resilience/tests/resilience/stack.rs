//! The whole stack, with an error enum of the caller's own: each test fails if two neighbours
//! change places.

use crate::common::{Handle, Mock, SECOND, ms, next, reached, surely};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder, ServiceExt as _};
use tower_test::mock;
use zerocart_resilience::attempt;
use zerocart_resilience::breaker::{self, Breaker, BreakerOpen, Outcome, State};
use zerocart_resilience::bulkhead::{self, Bulkhead, BulkheadFull};
use zerocart_resilience::deadline::{self, Elapsed};
use zerocart_resilience::retry::{self, Backoff, Jitter, Policy, Verdict};

#[derive(Debug, PartialEq, thiserror::Error)]
enum CallError {
    #[error("deadline")]
    Deadline(#[from] Elapsed),
    #[error("breaker")]
    Breaker(#[from] BreakerOpen),
    #[error("bulkhead")]
    Bulkhead(#[from] BulkheadFull),
    #[error("attempt")]
    Attempt,
    #[error("other")]
    Other(String),
}

/// What tower's timeout boxed becomes one of ours again.
fn unboxed(error: BoxError) -> CallError {
    if error.is::<attempt::Elapsed>() {
        CallError::Attempt
    } else {
        CallError::Other(error.to_string())
    }
}

fn judge(_: &u32, result: &Result<u32, CallError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Done,
        Err(CallError::Attempt | CallError::Other(_)) => Verdict::Retry,
        Err(CallError::Breaker(open)) => Verdict::RetryAfter(open.retry_after),
        Err(CallError::Deadline(_) | CallError::Bulkhead(_)) => Verdict::GiveUp,
    }
}

fn classify(result: &Result<u32, CallError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Success,
        Err(CallError::Attempt | CallError::Other(_) | CallError::Deadline(_)) => Outcome::Failure,
        Err(_) => Outcome::Ignore,
    }
}

struct Stack {
    service: BoxCloneService<u32, u32, CallError>,
    breaker: Breaker,
    bulkhead: Bulkhead,
    handle: Handle,
}

/// Breaker 3 / 2 / 30 s; deadline 5 s; 4 attempts, no jitter to speak of; one at a time, one waiting
/// for up to 3 s; 1 s per attempt.
fn stack() -> Stack {
    let (mock, handle): (Mock, Handle) = mock::pair();
    let breaker = Breaker::new(breaker::Config::default()).unwrap();
    let bulkhead = Bulkhead::new(bulkhead::Config {
        max_in_flight: 1,
        max_waiting: 1,
        max_wait: SECOND * 3,
        retry_after: SECOND,
    })
    .unwrap();
    let retry = Policy::new(
        retry::Config {
            max_attempts: 4,
            backoff: Backoff::new(ms(1), ms(1), Jitter::seeded(1)).unwrap(),
            max_retry_after: SECOND,
        },
        retry::budget(SECOND * 10, 100, 1.0).unwrap(),
        judge,
    )
    .unwrap();
    let service = ServiceBuilder::new()
        .layer(breaker::Layer::new(breaker.clone(), classify))
        .layer(deadline::Layer::after(SECOND * 5).unwrap())
        .layer(retry.layer())
        .layer(bulkhead::Layer::new(bulkhead.clone()))
        .map_err(unboxed)
        .layer(attempt::Layer::new(SECOND))
        .service(mock);
    Stack {
        service: BoxCloneService::new(service),
        breaker,
        bulkhead,
        handle,
    }
}

impl Stack {
    fn call(&self, request: u32) -> JoinHandle<Result<u32, CallError>> {
        tokio::spawn(self.service.clone().oneshot(request))
    }
}

/// Breaker around retry, retry around the limit per attempt: each attempt has its second, and all of
/// them are one failure.
#[tokio::test(start_paused = true)]
async fn each_attempt_is_limited_and_the_call_is_judged() {
    let mut stack = stack();
    for failures in 1..=3 {
        let start = Instant::now();
        let call = stack.call(1);
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(next(&mut stack.handle).await);
        }
        assert_eq!(surely(call).await.unwrap(), Err(CallError::Attempt));
        assert!(start.elapsed() >= SECOND * 4 && start.elapsed() < ms(4100));
        assert_eq!(stack.breaker.snapshot().consecutive_failures, failures);
    }
    assert_eq!(stack.breaker.state(), State::Open);
    let error = surely(stack.call(1)).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Breaker(open) if open.retry_after > SECOND * 29));
    assert!(!reached(&mut stack.handle));
    assert_eq!(stack.bulkhead.in_flight(), 0);
}

/// Deadline around all attempts, which share it with their pauses; breaker around the deadline, so
/// that a dependency that hangs until then has failed.
#[tokio::test(start_paused = true)]
async fn the_deadline_covers_waiting_and_all_attempts_and_its_end_is_judged() {
    let mut stack = stack();
    let start = Instant::now();
    // Somebody else holds the slot for 2.5 s; then two attempts of 900 ms fail, and the third
    // would take 900 ms.
    let slot = stack.bulkhead.acquire().await.unwrap();
    let call = stack.call(1);
    tokio::time::sleep(ms(2500)).await;
    drop(slot);
    for _ in 0..2 {
        let reply = next(&mut stack.handle).await;
        tokio::time::sleep(ms(900)).await;
        reply.send_error("down");
    }
    let _silent = next(&mut stack.handle).await;
    assert_eq!(
        surely(call).await.unwrap(),
        Err(CallError::Deadline(Elapsed::default()))
    );
    assert_eq!(start.elapsed(), SECOND * 5);
    assert_eq!(stack.breaker.snapshot().consecutive_failures, 1);
    assert_eq!(stack.bulkhead.in_flight(), 0);
}

/// Breaker around bulkhead: a rejected call takes no slot, and a full bulkhead is not a failure.
#[tokio::test(start_paused = true)]
async fn an_open_breaker_takes_no_slot_and_a_full_bulkhead_opens_no_breaker() {
    let mut stack = stack();
    let slot = stack.bulkhead.acquire().await.unwrap();
    let waiting = stack.call(1);
    tokio::task::yield_now().await;
    assert_eq!(stack.bulkhead.waiting(), 1);
    for _ in 0..5 {
        let error = surely(stack.call(2)).await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Bulkhead(_)), "{error:?}");
    }
    assert_eq!(stack.breaker.snapshot().consecutive_failures, 0);

    // Open it while slot and queue are taken: the rejection is the breaker's.
    for _ in 0..3 {
        stack.breaker.try_acquire().unwrap().failure();
    }
    let error = surely(stack.call(3)).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Breaker(_)), "{error:?}");

    drop(slot);
    next(&mut stack.handle).await.send_response(1);
    assert_eq!(surely(waiting).await.unwrap(), Ok(1));
}

/// Bulkhead around the limit per attempt: waiting for a slot is not held against the attempt.
#[tokio::test(start_paused = true)]
async fn waiting_for_a_slot_does_not_use_up_the_attempt() {
    let mut stack = stack();
    let slot = stack.bulkhead.acquire().await.unwrap();
    let call = stack.call(1);
    tokio::time::sleep(ms(2000)).await;
    drop(slot);
    let reply = next(&mut stack.handle).await;
    tokio::time::sleep(ms(900)).await;
    reply.send_response(5);
    assert_eq!(surely(call).await.unwrap(), Ok(5));
    assert_eq!(stack.breaker.snapshot().consecutive_failures, 0);
}
