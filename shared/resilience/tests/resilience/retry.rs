use crate::common::{Handle, Mock, SECOND, ms, next, reached, surely};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::{BoxError, Layer as _, ServiceExt as _};
use tower_test::mock;
use zerocart_resilience::retry::{
    Backoff, Config, Jitter, Layer, Policy, Rules, TpsBudget, Verdict, budget,
};

const BASE: Duration = ms(100);
const CAP: Duration = ms(250);

fn backoff(seed: u64) -> Backoff {
    Backoff::new(BASE, CAP, Jitter::seeded(seed)).unwrap()
}

fn config(max_attempts: u32) -> Config {
    Config {
        max_attempts,
        backoff: backoff(1),
        max_retry_after: SECOND * 5,
    }
}

/// A budget that no test here exhausts.
fn plenty() -> Arc<TpsBudget> {
    budget(SECOND * 10, 1000, 1.0).unwrap()
}

/// Errors say by their text what to do; requests above 100 must not be repeated.
#[derive(Clone, Copy)]
struct ByText {
    deadline: Option<Instant>,
}

impl Rules<u32, u32, BoxError> for ByText {
    fn copy(&self, request: &u32) -> Option<u32> {
        (*request <= 100).then_some(*request)
    }

    fn judge(&self, _: &u32, result: &Result<u32, BoxError>) -> Verdict {
        match result.as_ref().map_err(ToString::to_string) {
            Ok(_) => Verdict::Done,
            Err(text) => match text.split_once(' ') {
                Some(("after", ms)) => {
                    Verdict::RetryAfter(Duration::from_millis(ms.parse().unwrap()))
                }
                _ if text == "retry" => Verdict::Retry,
                _ if text == "gone" => Verdict::Replace,
                _ => Verdict::GiveUp,
            },
        }
    }

    fn deadline(&self, _: &u32) -> Option<Instant> {
        self.deadline
    }
}

const RULES: ByText = ByText { deadline: None };

fn layer(config: Config, budget: Arc<TpsBudget>, rules: ByText) -> Layer<ByText> {
    Policy::new(config, budget, rules).unwrap().layer()
}

type Call = JoinHandle<Result<u32, BoxError>>;

fn start(layer: &Layer<ByText>, mock: &Mock, request: u32) -> Call {
    tokio::spawn(layer.layer(mock.clone()).oneshot(request))
}

/// Fails attempts with `errors`, one each, and tells when each was made.
async fn fail(handle: &mut Handle, errors: &[&'static str]) -> Vec<Duration> {
    let start = Instant::now();
    let mut times = Vec::new();
    for error in errors {
        let reply = next(handle).await;
        times.push(start.elapsed());
        reply.send_error(*error);
    }
    times
}

async fn error_of(call: Call) -> String {
    surely(call).await.unwrap().unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn failures_are_repeated_after_jittered_pauses() {
    let (mock, mut handle) = mock::pair();
    let call = start(&layer(config(5), plenty(), RULES), &mock, 1);

    let times = fail(&mut handle, &["retry"; 4]).await;
    next(&mut handle).await.send_response(9);
    assert_eq!(surely(call).await.unwrap().unwrap(), 9);

    // The same seed gives the same pauses; the timer rounds them up to whole milliseconds.
    let pauses = backoff(1).delays();
    for (gap, pause) in times.windows(2).map(|pair| pair[1] - pair[0]).zip(pauses) {
        assert!(gap >= pause && gap < pause + ms(2), "{gap:?} for {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_do_not_pause_alike() {
    let (mock, mut handle) = mock::pair();
    let layer = layer(config(2), plenty(), RULES);
    let calls: Vec<_> = (0..8).map(|n| start(&layer, &mock, n)).collect();
    fail(&mut handle, &["retry"; 8]).await;
    let mut times = fail(&mut handle, &["retry"; 8]).await;
    times.dedup();
    assert!(times.len() > 4, "{times:?}");
    for call in calls {
        assert_eq!(error_of(call).await, "retry");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_error_comes_back_when_attempts_are_used_up() {
    for attempts in [1, 3] {
        let (mock, mut handle) = mock::pair();
        let layer = layer(config(attempts), plenty(), RULES);
        // Twice: the count belongs to one call.
        for _ in 0..2 {
            let call = start(&layer, &mock, 1);
            fail(&mut handle, &vec!["retry"; attempts as usize]).await;
            assert_eq!(error_of(call).await, "retry");
            assert!(!reached(&mut handle));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_safe_is_not_repeated() {
    let (mock, mut handle) = mock::pair();
    let layer = layer(config(3), plenty(), RULES);
    for (request, error) in [(1, "broken"), (101, "retry")] {
        let call = start(&layer, &mock, request);
        fail(&mut handle, &[error]).await;
        assert_eq!(error_of(call).await, error);
        assert!(!reached(&mut handle));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_the_least_pause_up_to_a_limit() {
    let (mock, mut handle) = mock::pair();
    let layer = layer(config(3), plenty(), RULES);

    let call = start(&layer, &mock, 1);
    let times = fail(&mut handle, &["after 5000", "after 5001"]).await;
    assert!(
        times[1] >= SECOND * 5 && times[1] <= SECOND * 5 + BASE + ms(1),
        "{times:?}"
    );
    assert_eq!(error_of(call).await, "after 5001");
    assert!(!reached(&mut handle));
}

#[tokio::test(start_paused = true)]
async fn no_pause_reaches_the_deadline() {
    let (mock, mut handle) = mock::pair();
    let begin = Instant::now();
    let rules = ByText {
        deadline: Some(begin + SECOND),
    };
    let layer = layer(config(10), plenty(), rules);

    // The hint fits once, and then no more: the answer comes at once, not at the deadline.
    let call = start(&layer, &mock, 1);
    let times = fail(&mut handle, &["after 600", "after 600"]).await;
    assert_eq!(error_of(call).await, "after 600");
    assert_eq!(begin.elapsed(), times[1]);
    assert!(begin.elapsed() < SECOND);

    // A pause that ends exactly at the deadline is of no use either.
    let exact = Config {
        backoff: Backoff::new(BASE, CAP, Jitter::from_rng(Zero)).unwrap(),
        ..config(10)
    };
    for (hint, repeats) in [("after 1000", false), ("after 999", true)] {
        let rules = ByText {
            deadline: Some(Instant::now() + SECOND),
        };
        let layer = Policy::new(exact.clone(), plenty(), rules).unwrap().layer();
        let call = start(&layer, &mock, 1);
        fail(&mut handle, &[hint]).await;
        if repeats {
            next(&mut handle).await.send_response(1);
        }
        assert_eq!(surely(call).await.unwrap().is_ok(), repeats);
    }
}

/// Says to try again in 400 ms, and that the call ends 1 s from when it is asked.
#[derive(Clone, Copy)]
struct FromNow;

impl Rules<u32, u32, BoxError> for FromNow {
    fn copy(&self, request: &u32) -> Option<u32> {
        Some(*request)
    }

    fn judge(&self, _: &u32, _: &Result<u32, BoxError>) -> Verdict {
        Verdict::RetryAfter(ms(400))
    }

    fn deadline(&self, _: &u32) -> Option<Instant> {
        Some(Instant::now() + SECOND)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_has_one_deadline_and_the_next_call_another() {
    let (mock, mut handle) = mock::pair::<u32, u32>();
    let layer = Policy::new(config(10), plenty(), FromNow).unwrap().layer();
    let service = layer.layer(mock);
    for _ in 0..2 {
        let call = tokio::spawn(service.clone().oneshot(1));
        // At 0, from 400 and from 800 ms on; the fourth would start after 1 s.
        fail(&mut handle, &["again"; 3]).await;
        assert_eq!(error_of(call).await, "again");
        assert!(!reached(&mut handle));
    }
}

struct Zero;

impl tower::util::rng::Rng for Zero {
    fn next_u64(&mut self) -> u64 {
        0
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_gets_no_more_retries_than_the_budget() {
    // No floor; one retry per five answers, which count for 10 s.
    let (mock, mut handle) = mock::pair();
    let layer = layer(config(4), budget(SECOND * 10, 0, 0.2).unwrap(), RULES);

    for _ in 0..10 {
        let call = start(&layer, &mock, 1);
        next(&mut handle).await.send_response(0);
        surely(call).await.unwrap().unwrap();
    }

    let calls: Vec<_> = (0..20).map(|_| start(&layer, &mock, 1)).collect();
    let mut attempts = 0;
    let outage = async {
        loop {
            let (_, reply) = handle.next_request().await.unwrap();
            reply.send_error("retry");
            attempts += 1;
        }
    };
    let all = async {
        for call in calls {
            assert_eq!(error_of(call).await, "retry");
        }
    };
    tokio::select! {
        () = outage => unreachable!("never ends"),
        () = surely(all) => {}
    }
    assert_eq!(attempts, 20 + 2);
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_given_up_pay_nothing_into_the_budget() {
    let (mock, mut handle) = mock::pair();
    let layer = layer(config(2), budget(SECOND * 10, 0, 1.0).unwrap(), RULES);
    let call = start(&layer, &mock, 1);
    fail(&mut handle, &["broken"]).await;
    assert_eq!(error_of(call).await, "broken");

    let call = start(&layer, &mock, 1);
    fail(&mut handle, &["retry"]).await;
    assert_eq!(error_of(call).await, "retry");
    assert!(!reached(&mut handle));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_is_replaced_at_once_and_for_nothing_once_in_a_call() {
    let (mock, mut handle) = mock::pair();
    // An empty budget: a second one is a retry, which it does not pay for.
    let layer = layer(config(9), budget(SECOND * 10, 0, 0.0).unwrap(), RULES);
    for _ in 0..2 {
        let call = start(&layer, &mock, 1);
        let times = fail(&mut handle, &["gone", "gone"]).await;
        assert!(times[1] - times[0] <= ms(1), "{times:?}");
        assert_eq!(error_of(call).await, "gone");
        assert!(!reached(&mut handle));
    }
    // It is an attempt like any other, and ends with the deadline.
    let only = Policy::new(config(1), plenty(), RULES).unwrap().layer();
    let late = ByText {
        deadline: Some(Instant::now()),
    };
    let late = Policy::new(config(9), plenty(), late).unwrap().layer();
    for layer in [only, late] {
        let call = start(&layer, &mock, 1);
        fail(&mut handle, &["gone"]).await;
        assert_eq!(error_of(call).await, "gone");
        assert!(!reached(&mut handle));
    }
}

#[tokio::test(start_paused = true)]
async fn further_ones_are_replaced_as_failures_are_repeated() {
    let (mock, mut handle) = mock::pair();
    let call = start(&layer(config(4), plenty(), RULES), &mock, 1);
    let times = fail(&mut handle, &["retry", "gone", "gone"]).await;
    next(&mut handle).await.send_response(9);
    assert_eq!(surely(call).await.unwrap().unwrap(), 9);
    assert!(times[2] - times[1] <= ms(1), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_rules_enough() {
    let (mock, mut handle) = mock::pair::<u32, u32>();
    let rules = |_: &u32, result: &Result<u32, BoxError>| match result {
        Ok(_) => Verdict::Done,
        Err(_) => Verdict::Retry,
    };
    let layer = Policy::new(config(2), plenty(), rules).unwrap().layer();
    let call = tokio::spawn(layer.layer(mock).oneshot(1));
    fail(&mut handle, &["any"]).await;
    next(&mut handle).await.send_response(3);
    assert_eq!(surely(call).await.unwrap().unwrap(), 3);
}

#[test]
fn bad_values_are_refused() {
    let error = Policy::new(config(0), plenty(), RULES).err().unwrap();
    assert_eq!(error.field, "retry.max_attempts");
    assert_eq!(error.to_string(), "retry.max_attempts must be at least 1");
    for (window, floor, ratio, field) in [
        (ms(999), 1, 0.1, "budget.window"),
        (ms(1500), 1, 0.1, "budget.window"),
        (SECOND * 61, 1, 0.1, "budget.window"),
        (SECOND, u32::MAX, 0.1, "budget.min_per_second"),
        (SECOND, 1, 1.1, "budget.ratio"),
        (SECOND, 1, -0.1, "budget.ratio"),
        (SECOND, 1, f32::NAN, "budget.ratio"),
    ] {
        assert_eq!(budget(window, floor, ratio).unwrap_err().field, field);
    }
    assert!(budget(SECOND, 0, f32::MIN_POSITIVE).is_ok());
}
