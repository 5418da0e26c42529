use crate::common::{Mock, SECOND, next, reached};
use std::sync::{Arc, Mutex};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{BoxError, Layer as _, Service as _};
use tower_test::mock;
use zerocart_resilience::breaker::{Breaker, BreakerOpen, Config, Layer, Outcome, Service, State};

type Classify = fn(&Result<u32, BoxError>) -> Outcome;

/// "not found" is an answer, "starting" says nothing, other errors are failures.
fn classify(result: &Result<u32, BoxError>) -> Outcome {
    match result.as_ref().map_err(ToString::to_string) {
        Ok(_) => Outcome::Success,
        Err(text) if text == "not found" => Outcome::Success,
        Err(text) if text == "starting" => Outcome::Ignore,
        Err(_) => Outcome::Failure,
    }
}

fn breaker() -> Breaker {
    Breaker::new(Config::default()).unwrap()
}

fn service(breaker: &Breaker) -> (Service<Mock, Classify>, mock::Handle<u32, u32>) {
    let (mock, handle) = mock::pair();
    let layer = Layer::new(breaker.clone(), classify as Classify);
    (layer.layer(mock), handle)
}

async fn call(
    service: &mut Service<Mock, Classify>,
    handle: &mut mock::Handle<u32, u32>,
    answer: Result<u32, &'static str>,
) {
    let mut call = task::spawn(service.call(1));
    assert_pending!(call.poll());
    let reply = next(handle).await;
    match answer {
        Ok(value) => {
            reply.send_response(value);
            assert_eq!(assert_ready_ok!(call.poll()), value);
        }
        Err(error) => {
            reply.send_error(error);
            assert_eq!(assert_ready_err!(call.poll()).to_string(), error);
        }
    }
}

fn rejection(service: &mut Service<Mock, Classify>) -> BreakerOpen {
    let error = assert_ready_err!(task::spawn(service.call(1)).poll());
    *error.downcast::<BreakerOpen>().expect("a rejection")
}

fn open(breaker: &Breaker) {
    for _ in 0..3 {
        breaker.try_acquire().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn opens_probes_and_closes() {
    let breaker = breaker();
    let states = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&states);
    breaker.on_transition(move |transition| log.lock().unwrap().push(transition.to));
    let (mut service, mut handle) = service(&breaker);

    // Two failures, a success, two failures: never three in a row.
    for answer in [Err("down"), Err("down"), Ok(1), Err("down"), Err("down")] {
        call(&mut service, &mut handle, answer).await;
    }
    assert_eq!(breaker.state(), State::Closed);
    call(&mut service, &mut handle, Err("down")).await;
    assert_eq!(breaker.state(), State::Open);

    advance(SECOND * 10).await;
    assert_eq!(rejection(&mut service).retry_after, SECOND * 20);
    assert!(!reached(&mut handle));

    // A failed probe: 30 s more.
    advance(SECOND * 20).await;
    call(&mut service, &mut handle, Err("down")).await;
    assert_eq!(rejection(&mut service).retry_after, SECOND * 30);

    advance(SECOND * 30).await;
    call(&mut service, &mut handle, Ok(2)).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    call(&mut service, &mut handle, Ok(3)).await;
    assert_eq!(breaker.state(), State::Closed);

    use State::{Closed, HalfOpen, Open};
    let expected = [Open, HalfOpen, Open, HalfOpen, Closed];
    assert_eq!(*states.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_caller_says_what_is_a_failure() {
    let breaker = breaker();
    let (mut service, mut handle) = service(&breaker);
    for _ in 0..10 {
        call(&mut service, &mut handle, Err("not found")).await;
        call(&mut service, &mut handle, Err("starting")).await;
    }
    assert_eq!(breaker.snapshot().consecutive_failures, 0);

    // An answer ends a run of failures, an ignored result does not.
    for error in ["down", "down", "starting"] {
        call(&mut service, &mut handle, Err(error)).await;
    }
    assert_eq!(breaker.snapshot().consecutive_failures, 2);
    call(&mut service, &mut handle, Err("not found")).await;
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn half_open_admits_one_probe_at_a_time() {
    let breaker = breaker();
    let (mut service, mut handle) = service(&breaker);
    open(&breaker);
    advance(SECOND * 30).await;

    let mut probe = task::spawn(service.call(1));
    assert_pending!(probe.poll());
    for _ in 0..3 {
        assert_eq!(rejection(&mut service).retry_after, SECOND);
    }
    let reply = next(&mut handle).await;
    assert!(!reached(&mut handle));
    reply.send_response(1);
    assert_ready_ok!(probe.poll());

    call(&mut service, &mut handle, Ok(1)).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_frees_its_slot() {
    let breaker = breaker();
    let (mut service, mut handle) = service(&breaker);
    open(&breaker);
    advance(SECOND * 30).await;

    // Never polled; polled; and one whose task panicked.
    drop(service.call(1));
    let mut probe = task::spawn(service.call(1));
    assert_pending!(probe.poll());
    assert_eq!(breaker.snapshot().probes_in_flight, 1);
    drop(probe);
    let panicking = tokio::spawn({
        let breaker = breaker.clone();
        async move {
            let run = breaker.run(async { panic!("on purpose") }, classify);
            run.await
        }
    });
    assert!(panicking.await.unwrap_err().is_panic());

    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.snapshot().probes_in_flight, 0);
    next(&mut handle).await.send_response(0);
    call(&mut service, &mut handle, Ok(1)).await;
    call(&mut service, &mut handle, Ok(1)).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn verdicts_from_before_a_transition_count_no_more() {
    let breaker = breaker();
    let stragglers: Vec<_> = (0..5).map(|_| breaker.try_acquire().unwrap()).collect();
    open(&breaker);
    advance(SECOND * 30).await;
    let probe = breaker.try_acquire().unwrap();

    let before = breaker.snapshot();
    for (n, straggler) in stragglers.into_iter().enumerate() {
        match n % 3 {
            0 => straggler.success(),
            1 => straggler.failure(),
            _ => straggler.ignore(),
        }
        assert_eq!(breaker.snapshot(), before);
    }

    probe.success();
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn clones_and_services_share_the_state() {
    let breaker = breaker();
    let (service_1, _handle_1) = service(&breaker);
    let (mut service_2, _handle_2) = service(&breaker);
    open(&breaker.clone());
    rejection(&mut service_1.clone());
    rejection(&mut service_2);
}

#[tokio::test(start_paused = true)]
async fn readiness_is_awaited_under_the_permit() {
    let breaker = breaker();
    let (inner, mut handle) = service(&breaker);
    handle.allow(0);
    let mut service = mock::Spawn::new(inner);

    // A dependency that fails before it takes the request has failed.
    for _ in 0..3 {
        assert_ready_ok!(service.poll_ready());
        let mut call = task::spawn(service.call(1));
        assert_pending!(call.poll());
        handle.send_error("no connection");
        assert_ready_err!(call.poll());
    }
    assert_eq!(breaker.state(), State::Open);

    // Open, a service that is not ready is not waited for.
    assert_ready_ok!(service.poll_ready());
    assert!(assert_ready_err!(task::spawn(service.call(1)).poll()).is::<BreakerOpen>());
}

#[tokio::test(start_paused = true)]
async fn run_judges_a_future_and_does_not_poll_it_when_open() {
    let breaker = breaker();
    for _ in 0..3 {
        let result: Result<u32, BoxError> =
            breaker.run(async { Err("down".into()) }, classify).await;
        assert_eq!(result.unwrap_err().to_string(), "down");
    }
    let untouched = async { unreachable!("polled although open") };
    let error = breaker.run(untouched, classify).await.unwrap_err();
    assert!(error.is::<BreakerOpen>());

    advance(SECOND * 30).await;
    for n in 0..2 {
        assert_eq!(breaker.run(async { Ok(n) }, classify).await.unwrap(), n);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_breaker_works_without_a_runtime() {
    let breaker = breaker();
    open(&breaker);
    let retry_after = breaker.try_acquire().unwrap_err().retry_after;
    assert!(retry_after <= SECOND * 30);
    assert!(
        Breaker::new(Config {
            failure_threshold: 0,
            ..Config::default()
        })
        .is_err()
    );
}
