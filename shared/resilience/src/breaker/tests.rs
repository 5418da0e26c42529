//! Threads that race for the breaker. The tests are here because they need its private clock
//! argument.

use super::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

const THREADS: usize = 8;
const TRIES: usize = 200;

fn opened(half_open_probes: u32) -> (Breaker, Duration) {
    let config = Config {
        half_open_probes,
        open_for: Duration::from_secs(3600),
        ..Config::default()
    };
    let breaker = Breaker::new(config).unwrap();
    for _ in 0..config.failure_threshold {
        breaker.try_acquire().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open);
    let due = breaker.now() + config.open_for;
    (breaker, due)
}

#[test]
fn racing_threads_get_exactly_the_probes_that_are_allowed() {
    for probes in [1, 3] {
        let (breaker, due) = opened(probes);
        let half_opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&half_opened);
        breaker.on_transition(move |transition| {
            assert_eq!(
                (transition.from, transition.to),
                (State::Open, State::HalfOpen)
            );
            count.fetch_add(1, Ordering::Relaxed);
        });
        let barrier = Barrier::new(THREADS);

        let permits: Vec<Permit> = std::thread::scope(|scope| {
            let race = || {
                barrier.wait();
                let tries = (0..TRIES).filter_map(|_| breaker.try_acquire_at(due).ok());
                tries.collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(race)).collect();
            let won = threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap());
            won.collect()
        });

        assert_eq!(permits.len(), probes as usize);
        assert_eq!(half_opened.load(Ordering::Relaxed), 1);
        assert_eq!(breaker.snapshot().probes_in_flight, probes);
        drop(permits);
        assert_eq!(breaker.snapshot().probes_in_flight, 0);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
}

#[test]
fn slots_are_never_overdrawn_while_probes_come_and_go() {
    const PROBES: u32 = 2;
    let (breaker, due) = opened(PROBES);
    let running = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let barrier = Barrier::new(THREADS);

    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..TRIES {
                    if let Ok(permit) = breaker.try_acquire_at(due) {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                }
            });
        }
    });

    let most = most.load(Ordering::SeqCst);
    assert!((1..=PROBES as usize).contains(&most), "{most} at once");
    assert_eq!(breaker.snapshot().probes_in_flight, 0);
}

#[test]
fn a_listener_may_look_at_the_breaker() {
    let breaker = Breaker::new(Config::default()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (clone, log) = (breaker.clone(), Arc::clone(&seen));
    breaker.on_transition(move |transition| {
        log.lock().unwrap().push((transition, clone.state()));
    });

    for _ in 0..3 {
        breaker.try_acquire().unwrap().failure();
    }

    let expected = Transition {
        from: State::Closed,
        to: State::Open,
        generation: 1,
    };
    assert_eq!(*seen.lock().unwrap(), [(expected, State::Open)]);
}
