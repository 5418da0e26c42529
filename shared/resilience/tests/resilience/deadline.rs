use crate::common::{Mock, SECOND, ms, next, reached};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{BoxError, Layer as _, Service as _, ServiceExt as _, service_fn};
use tower_test::mock;
use zerocart_resilience::deadline::{Elapsed, Layer, Source};

fn after(
    budget: Duration,
) -> impl tower::Layer<Mock, Service: tower::Service<u32, Response = u32, Error = BoxError, Future: Send>>
{
    Layer::after(budget).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_passes() {
    let (mock, mut handle) = mock::pair();
    let mut call = task::spawn(after(SECOND).layer(mock).call(1));
    assert_pending!(call.poll());
    advance(ms(999)).await;
    next(&mut handle).await.send_response(2);
    assert_eq!(assert_ready_ok!(call.poll()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_elapsed_at_the_deadline() {
    let (mock, _handle) = mock::pair();
    let start = Instant::now();
    let error = after(SECOND).layer(mock).call(1).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_last_moment_wins() {
    let (mock, mut handle) = mock::pair();
    let mut call = task::spawn(after(SECOND).layer(mock).call(1));
    assert_pending!(call.poll());
    next(&mut handle).await.send_response(2);
    advance(ms(5000)).await;
    assert_eq!(assert_ready_ok!(call.poll()), 2);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_readiness_counts_and_is_not_in_poll_ready() {
    let (mock, mut handle) = mock::pair();
    handle.allow(0);
    let mut service = mock::Spawn::new(after(SECOND).layer(mock));
    assert_ready_ok!(service.poll_ready());
    let error = service.call(1).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert!(!reached(&mut handle));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_comes_from_the_request() {
    let start = Instant::now();
    let from_request = Layer::new(move |n: &u32| (*n > 0).then(|| start + SECOND * *n));
    let (mock, mut handle) = mock::pair::<u32, u32>();
    let service = from_request.layer(mock);

    for n in [1, 3] {
        let error = service.clone().oneshot(n).await.unwrap_err();
        assert!(error.is::<Elapsed>(), "{error}");
        assert_eq!(start.elapsed(), SECOND * n);
        assert!(reached(&mut handle));
    }

    // Past already: the call is not made.
    let mut call = task::spawn(service.clone().oneshot(2));
    assert!(matches!(call.poll(), std::task::Poll::Ready(Err(e)) if e.is::<Elapsed>()));
    assert!(!reached(&mut handle));

    // None: no limit.
    let mut call = task::spawn(service.oneshot(0));
    assert_pending!(call.poll());
    advance(SECOND * 86_400).await;
    assert_pending!(call.poll());
    next(&mut handle).await.send_response(7);
    assert_eq!(assert_ready_ok!(call.poll()), 7);
}

#[tokio::test(start_paused = true)]
async fn the_call_is_dropped_at_the_deadline_and_not_later() {
    let held = Arc::new(());
    let clone = Arc::clone(&held);
    let inner = service_fn(move |()| {
        let guard = Arc::clone(&clone);
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<(), BoxError>(())
        }
    });
    let mut service = Layer::after(SECOND).unwrap().layer(inner);
    let mut call = task::spawn(service.call(()));
    assert_pending!(call.poll());
    let running = Arc::strong_count(&held);
    advance(SECOND).await;
    assert!(matches!(call.poll(), std::task::Poll::Ready(Err(e)) if e.is::<Elapsed>()));
    assert!(Arc::strong_count(&held) < running);
}

#[tokio::test(start_paused = true)]
async fn budgets_at_the_edges() {
    assert_eq!(
        Layer::after(Duration::ZERO).unwrap_err().field,
        "deadline.budget"
    );
    let endless = zerocart_resilience::deadline::After::new(Duration::MAX).unwrap();
    assert_eq!(endless.deadline(&()), None);
}
