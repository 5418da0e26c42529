use crate::common::{Mock, SECOND, ms, next, reached};
use std::time::Duration;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer as _, Service as _};
use tower_test::mock;
use zerocart_resilience::bulkhead::{Bulkhead, BulkheadFull, Config, Layer, Service};

const RETRY_AFTER: Duration = SECOND.saturating_mul(3);

fn bulkhead(max_in_flight: usize, max_waiting: usize) -> Bulkhead {
    Bulkhead::new(Config {
        max_in_flight,
        max_waiting,
        max_wait: ms(100),
        retry_after: RETRY_AFTER,
    })
    .unwrap()
}

fn service(bulkhead: &Bulkhead) -> (Service<Mock>, mock::Handle<u32, u32>) {
    let (mock, handle) = mock::pair();
    (Layer::new(bulkhead.clone()).layer(mock), handle)
}

fn load(bulkhead: &Bulkhead) -> (usize, usize) {
    (bulkhead.in_flight(), bulkhead.waiting())
}

#[tokio::test(start_paused = true)]
async fn n_run_m_wait_and_the_next_is_rejected() {
    let bulkhead = bulkhead(2, 1);
    let (mut service, mut handle) = service(&bulkhead);

    let mut first = task::spawn(service.call(1));
    let mut second = task::spawn(service.call(2));
    let mut third = task::spawn(service.call(3));
    // Slots and places are taken in `call`.
    assert_eq!(load(&bulkhead), (2, 1));
    let full = assert_ready_err!(task::spawn(service.call(4)).poll());
    let expected = BulkheadFull {
        retry_after: RETRY_AFTER,
    };
    assert_eq!(*full.downcast::<BulkheadFull>().unwrap(), expected);

    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    let reply = next(&mut handle).await;
    let (request, _second_reply) = handle.next_request().await.unwrap();
    assert_eq!(request, 2);
    assert!(!reached(&mut handle));

    // The answer frees the slot while the finished future is still there; the third takes it.
    reply.send_response(10);
    assert_eq!(assert_ready_ok!(first.poll()), 10);
    assert!(third.is_woken());
    assert_pending!(third.poll());
    assert_eq!(load(&bulkhead), (2, 0));
    next(&mut handle).await.send_response(30);
    assert_eq!(assert_ready_ok!(third.poll()), 30);
    assert_eq!(load(&bulkhead), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_bounded_and_counts_from_the_call() {
    let bulkhead = bulkhead(1, 2);
    let (mut service, mut handle) = service(&bulkhead);
    let mut first = task::spawn(service.call(1));
    assert_pending!(first.poll());
    assert!(reached(&mut handle));

    let start = Instant::now();
    let early = service.call(2);
    advance(ms(60)).await;
    let late = service.call(3);
    assert!(early.await.unwrap_err().is::<BulkheadFull>());
    assert_eq!(start.elapsed(), ms(100));
    assert!(late.await.unwrap_err().is::<BulkheadFull>());
    assert_eq!(start.elapsed(), ms(160));

    assert_eq!(load(&bulkhead), (1, 0));
    assert!(!reached(&mut handle));
}

#[tokio::test(start_paused = true)]
async fn slots_are_given_in_order() {
    let bulkhead = bulkhead(1, 3);
    let slot = bulkhead.acquire().await.unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| task::spawn(bulkhead.acquire())).collect();
    for turn in &mut waiting {
        assert_pending!(turn.poll());
    }
    drop(slot);
    let last = waiting.pop().unwrap();
    for mut turn in waiting {
        let slot = assert_ready_ok!(turn.poll());
        // Nobody overtakes those who wait.
        assert!(bulkhead.waiting() > 0);
        drop(slot);
    }
    let mut last = last;
    drop(assert_ready_ok!(last.poll()));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_free_slots_and_places() {
    let bulkhead = bulkhead(1, 1);
    let (mut service, _handle) = service(&bulkhead);
    let mut running = task::spawn(service.call(1));
    assert_pending!(running.poll());
    let mut waiting = task::spawn(service.call(2));
    assert_pending!(waiting.poll());
    assert_eq!(load(&bulkhead), (1, 1));

    drop(waiting);
    assert_eq!(load(&bulkhead), (1, 0));
    drop(running);
    assert_eq!(load(&bulkhead), (0, 0));

    // A slot that was handed to a call which is dropped before it takes it goes on to the next.
    let slot = bulkhead.acquire().await.unwrap();
    let mut turn = task::spawn(bulkhead.acquire());
    assert_pending!(turn.poll());
    drop(slot);
    drop(turn);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_nothing_waits() {
    let bulkhead = bulkhead(1, 0);
    let (mut service, _handle) = service(&bulkhead);
    let mut running = task::spawn(service.call(1));
    assert_pending!(running.poll());
    assert!(assert_ready_err!(task::spawn(service.call(2)).poll()).is::<BulkheadFull>());
}

#[tokio::test(start_paused = true)]
async fn services_of_one_bulkhead_share_it_and_stay_ready() {
    let bulkhead = bulkhead(1, 0);
    let (mut one, _handle_1) = service(&bulkhead);
    let (two, mut handle_2) = service(&bulkhead);
    handle_2.allow(0);
    let running = one.call(1);
    let mut two = mock::Spawn::new(two.clone());
    assert_ready_ok!(two.poll_ready());
    assert!(two.call(2).await.unwrap_err().is::<BulkheadFull>());
    drop(running);
    assert_pending!(task::spawn(two.call(2)).poll());
}

#[tokio::test]
async fn bad_values_are_refused() {
    let good = Config::default();
    for (bad, field) in [
        (
            Config {
                max_in_flight: 0,
                ..good
            },
            "bulkhead.max_in_flight",
        ),
        (
            Config {
                max_in_flight: usize::MAX,
                ..good
            },
            "bulkhead.max_in_flight",
        ),
        (
            Config {
                max_waiting: usize::MAX,
                ..good
            },
            "bulkhead.max_waiting",
        ),
        (
            Config {
                max_wait: Duration::ZERO,
                ..good
            },
            "bulkhead.max_wait",
        ),
    ] {
        assert_eq!(Bulkhead::new(bad).unwrap_err().field, field);
    }
    let no_queue = Config {
        max_waiting: 0,
        max_wait: Duration::ZERO,
        ..good
    };
    assert!(Bulkhead::new(no_queue).is_ok());
}
