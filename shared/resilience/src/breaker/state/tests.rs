//! Every reachable state against every event.

use super::*;
use std::collections::{HashMap, HashSet, VecDeque};

const OPEN_FOR: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(7);
const TICK: Duration = Duration::from_secs(1);
const AT: Duration = Duration::from_secs(1000);

fn config(probes: u32, probe_lease: Option<Duration>) -> Config {
    Config {
        half_open_probes: probes,
        probe_lease,
        ..Config::default()
    }
}

fn closed(failures: u32) -> Phase {
    Phase::Closed { failures }
}

fn open(failures: u32, opened_at: Duration) -> Phase {
    Phase::Open {
        failures,
        opened_at,
    }
}

/// Half-open since it opened at `AT`, with three failures before.
fn half_open(successes: u32, probes: u32, admitted_at: Duration) -> Phase {
    Phase::HalfOpen {
        failures: if successes == 0 { 3 } else { 0 },
        opened_at: AT,
        successes,
        probes,
        admitted_at,
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Acquire,
    Settle(Outcome),
    SettleStale(Outcome),
}

const EVENTS: [Event; 7] = [
    Event::Acquire,
    Event::Settle(Outcome::Success),
    Event::Settle(Outcome::Failure),
    Event::Settle(Outcome::Ignore),
    Event::SettleStale(Outcome::Success),
    Event::SettleStale(Outcome::Failure),
    Event::SettleStale(Outcome::Ignore),
];

fn apply(
    machine: Machine,
    config: &Config,
    event: Event,
    now: Duration,
) -> (Machine, Option<bool>) {
    match event {
        Event::Acquire => {
            let (after, admitted) = machine.acquire(config, now);
            (after, Some(admitted.is_ok()))
        }
        Event::Settle(outcome) => (
            machine.settle(config, machine.generation, outcome, now),
            None,
        ),
        Event::SettleStale(outcome) => {
            let stale = machine.generation.wrapping_sub(1);
            (machine.settle(config, stale, outcome, now), None)
        }
    }
}

/// The rules as a table: 3 failures open, 30 s, 1 probe at once, 2 successes close.
#[test]
fn table() {
    use Event::{Acquire, Settle};
    use Outcome::{Failure, Ignore, Success};
    let due = AT + OPEN_FOR;
    let nearly = due - Duration::from_nanos(1);
    let lease = Some(LEASE);
    let none = None;
    let lapsed = due + LEASE;
    #[rustfmt::skip]
    let rows = [
        // phase, lease, event, now → phase, admitted
        (closed(0), none, Acquire, AT, closed(0), Some(true)),
        (closed(2), none, Acquire, AT, closed(2), Some(true)),
        (closed(0), none, Settle(Failure), AT, closed(1), None),
        (closed(1), none, Settle(Failure), AT, closed(2), None),
        (closed(2), none, Settle(Failure), AT, open(3, AT), None),
        (closed(2), none, Settle(Success), AT, closed(0), None),
        (closed(2), none, Settle(Ignore), AT, closed(2), None),
        (open(3, AT), none, Acquire, AT, open(3, AT), Some(false)),
        (open(3, AT), none, Acquire, nearly, open(3, AT), Some(false)),
        (open(3, AT), none, Acquire, due, half_open(0, 1, due), Some(true)),
        // The clock stepped back: still open, and not for longer than before.
        (open(3, AT), none, Acquire, AT - TICK, open(3, AT), Some(false)),
        (half_open(0, 1, due), none, Acquire, due, half_open(0, 1, due), Some(false)),
        (half_open(0, 0, due), none, Acquire, lapsed, half_open(0, 1, lapsed), Some(true)),
        (half_open(0, 1, due), none, Settle(Failure), lapsed, open(4, lapsed), None),
        (half_open(1, 1, due), none, Settle(Failure), lapsed, open(1, lapsed), None),
        (half_open(0, 1, due), none, Settle(Success), lapsed, half_open(1, 0, due), None),
        (half_open(1, 1, due), none, Settle(Success), lapsed, closed(0), None),
        (half_open(0, 1, due), none, Settle(Ignore), lapsed, half_open(0, 0, due), None),
        (half_open(1, 1, due), none, Settle(Ignore), lapsed, half_open(1, 0, due), None),
        // A probe without a verdict keeps its slot for ever, unless it has a lease.
        (half_open(1, 1, due), none, Acquire, lapsed, half_open(1, 1, due), Some(false)),
        (half_open(1, 1, due), lease, Acquire, lapsed - TICK, half_open(1, 1, due), Some(false)),
        (half_open(1, 1, due), lease, Acquire, lapsed, half_open(1, 1, lapsed), Some(true)),
    ];
    for (phase, lease, event, now, expected, admitted) in rows {
        let before = Machine {
            generation: 7,
            phase,
        };
        let after = apply(before, &config(1, lease), event, now);
        assert_eq!(
            (after.0.phase, after.1),
            (expected, admitted),
            "{phase:?} on {event:?} at {now:?}"
        );
    }
}

/// A state as the walk sees it: without the counts and times that make no difference.
fn essence(
    config: &Config,
    machine: Machine,
    permits: u32,
    now: Duration,
) -> impl Eq + std::hash::Hash + use<> {
    let age = |at: Duration, limit: Duration| (now - at).min(limit);
    let lease = config.probe_lease.unwrap_or_default();
    let phase = match machine.phase {
        Phase::Closed { failures } => closed(failures),
        Phase::Open { opened_at, .. } => open(0, age(opened_at, config.open_for)),
        Phase::HalfOpen {
            successes,
            probes,
            admitted_at,
            ..
        } => Phase::HalfOpen {
            failures: 0,
            opened_at: Duration::ZERO,
            successes,
            probes,
            admitted_at: age(admitted_at, lease),
        },
    };
    (phase, permits)
}

/// The properties that must hold after each step, in every state.
fn check_step(
    config: &Config,
    before: Machine,
    event: Event,
    after: Machine,
    admitted: Option<bool>,
    now: Duration,
) {
    let context = format!("{before:?} on {event:?} at {now:?} gave {after:?}");

    // The generation moves by one with each transition, and otherwise only with a lapsed lease.
    let moved = after.generation - before.generation;
    let lapsed = before.state() == State::HalfOpen
        && after.state() == State::HalfOpen
        && matches!(event, Event::Acquire)
        && config.probe_lease.is_some();
    if before.state() == after.state() {
        assert!(moved == 0 || (moved == 1 && lapsed), "{context}");
        assert_eq!(after.transition_from(&before), None, "{context}");
    } else {
        assert_eq!(moved, 1, "{context}");
        let transition = after.transition_from(&before).expect("a transition");
        assert_eq!(
            (transition.from, transition.to),
            (before.state(), after.state())
        );
        assert_eq!(transition.generation, after.generation, "{context}");
    }

    // Bounds.
    match after.phase {
        Phase::Closed { failures } => assert!(failures < config.failure_threshold, "{context}"),
        Phase::Open { failures, .. } => assert!(failures >= 1, "{context}"),
        Phase::HalfOpen {
            successes, probes, ..
        } => {
            assert!(successes < config.success_threshold, "{context}");
            assert!(probes <= config.half_open_probes, "{context}");
        }
    }

    match event {
        Event::SettleStale(_) => assert_eq!(after, before, "{context}"),
        Event::Settle(Outcome::Ignore) => assert_eq!(after.state(), before.state(), "{context}"),
        Event::Settle(Outcome::Success) => assert_ne!(after.state(), State::Open, "{context}"),
        Event::Settle(Outcome::Failure) => {
            assert!(
                before.state() == after.state() || after.state() == State::Open,
                "{context}"
            );
        }
        Event::Acquire => {
            // A snapshot says exactly what a call would be told.
            let told = before
                .acquire(config, now)
                .1
                .err()
                .map(|open| open.retry_after);
            assert_eq!(before.snapshot(config, now).retry_after, told, "{context}");
            assert_eq!(admitted, Some(told.is_none()), "{context}");
            if let Some(retry_after) = told {
                assert_eq!(after, before, "a rejection changes nothing: {context}");
                assert!(
                    !retry_after.is_zero() && retry_after <= config.open_for,
                    "{context}"
                );
            }
            assert!(
                before.state() != State::Closed || told.is_none(),
                "{context}"
            );
        }
    }
}

/// From any state: once what runs has ended and time has passed, calls pass, and successes close.
fn check_recovery(config: &Config, mut machine: Machine, permits: u32, now: Duration) {
    for _ in 0..permits {
        machine = machine.settle(config, machine.generation, Outcome::Ignore, now);
    }
    let later = now + config.open_for;
    for _ in 0..config.success_threshold {
        let (admitted, generation) = machine.acquire(config, later);
        let generation = generation.expect("a free slot");
        machine = admitted.settle(config, generation, Outcome::Success, later);
    }
    assert_eq!(machine.phase, closed(0));
}

/// Walks all states that can be reached with up to three calls at once.
fn walk(config: &Config) -> HashSet<(State, State)> {
    const MOST_PERMITS: u32 = 3;
    let start = (Machine::new(), 0_u32, AT);
    let mut seen = HashMap::from([(essence(config, start.0, start.1, start.2), ())]);
    let mut queue = VecDeque::from([start]);
    let mut transitions = HashSet::new();
    let pauses = [Duration::ZERO, TICK, LEASE, OPEN_FOR - TICK, OPEN_FOR];

    while let Some((before, permits, then)) = queue.pop_front() {
        check_recovery(config, before, permits, then);
        for (now, event) in pauses
            .iter()
            .flat_map(|p| EVENTS.map(|event| (then + *p, event)))
        {
            // Permits of the present generation that somebody holds; older ones are `SettleStale`.
            let fits = match event {
                Event::Acquire => permits < MOST_PERMITS,
                Event::Settle(_) => permits > 0,
                Event::SettleStale(_) => true,
            };
            if !fits {
                continue;
            }
            let (after, admitted) = apply(before, config, event, now);
            check_step(config, before, event, after, admitted, now);
            if let Some(transition) = after.transition_from(&before) {
                transitions.insert((transition.from, transition.to));
            }
            let held = if after.generation == before.generation {
                permits
            } else {
                0
            };
            let held = match event {
                Event::Acquire => held + u32::from(admitted == Some(true)),
                Event::Settle(_) => held.saturating_sub(1),
                Event::SettleStale(_) => held,
            };
            if let Phase::HalfOpen { probes, .. } = after.phase {
                assert_eq!(
                    probes, held,
                    "slots taken and permits held agree: {after:?}"
                );
            }
            if seen.insert(essence(config, after, held, now), ()).is_none() {
                queue.push_back((after, held, now));
            }
        }
    }
    assert!(
        seen.len() > 20,
        "the walk must not be trivial: {}",
        seen.len()
    );
    transitions
}

#[test]
fn every_reachable_state_keeps_the_rules() {
    use State::{Closed, HalfOpen, Open};
    let legal = HashSet::from([
        (Closed, Open),
        (Open, HalfOpen),
        (HalfOpen, Open),
        (HalfOpen, Closed),
    ]);
    for failure_threshold in 1..=3 {
        for success_threshold in 1..=3 {
            for half_open_probes in 1..=3 {
                for probe_lease in [None, Some(LEASE)] {
                    let config = Config {
                        failure_threshold,
                        success_threshold,
                        half_open_probes,
                        open_for: OPEN_FOR,
                        probe_lease,
                    };
                    assert_eq!(walk(&config), legal, "{config:?}");
                }
            }
        }
    }
}

#[test]
fn a_snapshot_shows_what_it_counts() {
    let config = config(2, None);
    let shown = |phase, now| {
        Machine {
            generation: 5,
            phase,
        }
        .snapshot(&config, now)
    };
    let base = Snapshot {
        state: State::Closed,
        generation: 5,
        consecutive_failures: 2,
        probe_successes: 0,
        probes_in_flight: 0,
        opened_for: None,
        retry_after: None,
    };
    assert_eq!(shown(closed(2), AT), base);
    let opened = Snapshot {
        state: State::Open,
        consecutive_failures: 3,
        opened_for: Some(TICK),
        retry_after: Some(OPEN_FOR - TICK),
        ..base
    };
    assert_eq!(shown(open(3, AT), AT + TICK), opened);
    let due = Snapshot {
        opened_for: Some(OPEN_FOR),
        retry_after: None,
        ..opened
    };
    assert_eq!(shown(open(3, AT), AT + OPEN_FOR), due);
    let probing = Snapshot {
        state: State::HalfOpen,
        consecutive_failures: 0,
        probe_successes: 1,
        probes_in_flight: 1,
        ..due
    };
    assert_eq!(shown(half_open(1, 1, AT + TICK), AT + OPEN_FOR), probing);
    let full = Snapshot {
        probes_in_flight: 2,
        retry_after: Some(PROBE_RETRY_AFTER),
        ..probing
    };
    assert_eq!(shown(half_open(1, 2, AT + TICK), AT + OPEN_FOR), full);
}

#[test]
fn zeros_are_refused() {
    let good = Config::default();
    assert_eq!(good.check(), Ok(()));
    for (bad, field) in [
        (
            Config {
                failure_threshold: 0,
                ..good
            },
            "breaker.failure_threshold",
        ),
        (
            Config {
                success_threshold: 0,
                ..good
            },
            "breaker.success_threshold",
        ),
        (
            Config {
                open_for: Duration::ZERO,
                ..good
            },
            "breaker.open_for",
        ),
        (
            Config {
                half_open_probes: 0,
                ..good
            },
            "breaker.half_open_probes",
        ),
        (
            Config {
                probe_lease: Some(Duration::ZERO),
                ..good
            },
            "breaker.probe_lease",
        ),
    ] {
        assert_eq!(bad.check().unwrap_err().field, field);
    }
}
