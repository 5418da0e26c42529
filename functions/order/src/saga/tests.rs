//! Every reachable state × every event, for orders of one to four lines, also from the states in which
//! the version before left orders.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const EVENTS: [Event; 8] = [
    Event::Done,
    Event::Refused,
    Event::Unavailable,
    Event::CancelAsked,
    Event::TakenOver { wanted: false },
    Event::TakenOver { wanted: true },
    Event::Shipped,
    Event::Delivered,
];

/// What the world has done of an order, which the rules do not see: they only get events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    /// One bit per line that is reserved.
    reserved: u8,
    /// A request to reserve all lines is on its way, and may arrive at any time.
    late: bool,
    /// A charge may stand.
    charged: bool,
    /// A charge stands for certain.
    paid: bool,
    cleared: bool,
}

const NOTHING: World = World {
    reserved: 0,
    late: false,
    charged: false,
    paid: false,
    cleared: false,
};

/// The bits of the first `lines` lines.
fn first(lines: u32) -> u8 {
    (1 << lines) - 1
}

/// The worlds in which `event` may come, after `action` was tried. A step that is unavailable or
/// whose driver died may have been done, or not, or be done later.
fn worlds(world: World, action: Option<Action>, event: Event, lines: u32) -> Vec<World> {
    let Some(action) = action else {
        return vec![world];
    };
    let done = match action {
        Action::Reserve => World {
            reserved: first(lines),
            ..world
        },
        Action::CheckProvider => world,
        Action::Charge => World {
            charged: true,
            paid: true,
            ..world
        },
        Action::ClearCart => World {
            cleared: true,
            ..world
        },
        Action::Refund => World {
            charged: false,
            paid: false,
            ..world
        },
        // What was released cannot be reserved any more.
        Action::Release => World {
            reserved: 0,
            late: false,
            ..world
        },
    };
    match event {
        Event::Done => vec![done],
        // A refused charge does not stand, nor did one before: the decline is final for the order.
        Event::Refused if action == Action::Charge => vec![World {
            charged: false,
            paid: false,
            ..world
        }],
        // Had all lines been reserved before, they would not be refused now.
        Event::Refused if action == Action::Reserve && world.reserved == first(lines) => vec![],
        Event::Refused => vec![world],
        Event::Unavailable | Event::TakenOver { .. } | Event::CancelAsked => match action {
            Action::Charge => vec![
                world,
                World {
                    charged: true,
                    ..world
                },
            ],
            Action::Reserve => vec![
                world,
                done,
                World {
                    late: true,
                    ..world
                },
            ],
            _ => vec![world, done],
        },
        Event::Shipped | Event::Delivered => vec![world, done],
    }
}

/// The states in which an order begins, or in which the version before left one, each with what may
/// have been done for it: that version reserves and releases line by line.
fn beginnings(lines: u32) -> Vec<(Saga, World)> {
    let mut beginnings = vec![(Saga::PLACED, NOTHING)];
    for line in 0..=lines {
        let world = World {
            reserved: first(line),
            ..NOTHING
        };
        let left = |step, cause| Saga {
            step,
            cause,
            ..Saga::PLACED
        };
        for late in [false, true] {
            let earlier = Earlier::Stock;
            let reserving = left(Step::Reserving { earlier }, None);
            beginnings.push((reserving, World { late, ..world }));
        }
        for cause in Cause::ALL {
            beginnings.push((left(Step::Releasing, Some(cause)), world));
        }
    }
    beginnings
}

/// What heirs find of an order whose driver dies in a state that it may not have recorded, before or after the
/// state's action. An order that was charged for keeps its lines, so a late request of a driver before changes nothing.
fn heirs(saga: Saga, world: World, lines: u32) -> Vec<(Saga, World)> {
    let placed = |earlier| Saga {
        step: Step::Reserving { earlier },
        ..Saga::PLACED
    };
    let charging = Saga {
        status: Status::Processing,
        step: Step::Charging { asked: true },
        cause: None,
    };
    let recorded = [Saga::PLACED, placed(Earlier::All), charging];
    let found = recorded
        .into_iter()
        .filter(|recorded| saga.may_pass(*recorded) || saga == *recorded);
    let heirs = found.flat_map(|recorded| {
        let step = match recorded.step {
            Step::Reserving {
                earlier: Earlier::Nothing,
            } => Step::Reserving {
                earlier: Earlier::All,
            },
            step => step,
        };
        let heir = Saga { step, ..recorded };
        let died = Event::TakenOver { wanted: false };
        let worlds = worlds(world, saga.action(), died, lines);
        worlds.into_iter().map(move |world| (heir, world))
    });
    heirs.collect()
}

/// Every state that can be reached, each with every world that it can be reached in, and the legal
/// transitions between states.
type Reached = (BTreeSet<(Saga, World)>, BTreeMap<Saga, Vec<(Event, Saga)>>);

fn reach(lines: u32) -> Reached {
    let mut todo = beginnings(lines);
    let mut seen = BTreeSet::from_iter(todo.clone());
    let mut transitions: BTreeMap<Saga, Vec<(Event, Saga)>> = BTreeMap::new();
    while let Some((saga, world)) = todo.pop() {
        let mut nexts = Vec::new();
        nexts.extend(heirs(saga, world, lines));
        if world.late {
            let arrived = World {
                reserved: first(lines),
                late: false,
                ..world
            };
            nexts.push((saga, arrived));
        }
        for event in EVENTS {
            let Ok(next) = saga.next(event) else {
                continue;
            };
            transitions.entry(saga).or_default().push((event, next));
            let worlds = worlds(world, saga.action(), event, lines);
            nexts.extend(worlds.into_iter().map(|world| (next, world)));
        }
        for next in nexts {
            if seen.insert(next) {
                todo.push(next);
            }
        }
    }
    (seen, transitions)
}

#[test]
fn an_ended_order_holds_what_its_status_says() {
    for lines in 1..=4 {
        let (seen, _) = reach(lines);
        let mut statuses = BTreeSet::new();
        for (saga, world) in seen {
            let context = format!("{saga:?} {world:?}");
            match saga.status {
                Status::Paid | Status::Shipped | Status::Delivered if saga.cause.is_none() => {
                    assert!(world.paid, "{context}");
                    assert_eq!(world.reserved, first(lines), "{context}");
                    assert!(saga.step != Step::Ended || world.cleared, "{context}");
                }
                Status::Failed | Status::Cancelled => {
                    assert_eq!(saga.step, Step::Ended, "{context}");
                    assert!(!world.charged, "{context}");
                    assert_eq!(world.reserved, 0, "{context}");
                    assert!(!world.late, "nothing is reserved later: {context}");
                }
                _ => assert_ne!(saga.step, Step::Ended, "{context}"),
            }
            if saga.step == Step::Releasing {
                assert!(!world.charged, "stock goes back after the money: {context}");
            }
            if let Step::Charging { asked: false } = saga.step {
                assert!(!world.charged, "{context}");
            }
            if let Step::Charging { .. } = saga.step {
                assert_eq!(world.reserved, first(lines), "{context}");
            }
            if saga.step == Step::Ended {
                statuses.insert(saga.status);
            }
        }
        assert_eq!(
            statuses,
            BTreeSet::from([
                Status::Paid,
                Status::Shipped,
                Status::Delivered,
                Status::Cancelled,
                Status::Failed,
            ])
        );
    }
}

/// What needs no record, and after which.
#[test]
fn what_is_recorded_says_what_may_be_done_without_another_record() {
    let saga = |status, step| Saga {
        status,
        step,
        cause: None,
    };
    let placed = |earlier| saga(Status::Pending, Step::Reserving { earlier });
    let checked = saga(Status::Processing, Step::Charging { asked: false });
    let charging = saga(Status::Processing, Step::Charging { asked: true });
    let clearing = saga(Status::Paid, Step::Clearing);
    let new = [placed(Earlier::Nothing), placed(Earlier::All)];
    let old = placed(Earlier::Stock);
    let mut passed = BTreeSet::new();
    let (seen, _) = reach(2);
    let states: BTreeSet<_> = seen.into_iter().map(|(saga, _)| saga).collect();
    for recorded in new.into_iter().chain([old, charging, clearing]) {
        for state in states.iter().filter(|state| **state != checked) {
            // What an order becomes later is not its driver's.
            if state.status <= Status::Paid && state.may_pass(recorded) {
                passed.insert((recorded, *state));
            }
        }
        assert!(checked.may_pass(recorded), "it has no effect");
    }
    let forward = new.map(|new| [(new, charging), (new, clearing)]);
    let expected = forward.into_iter().flatten().chain([(charging, clearing)]);
    assert_eq!(passed, expected.collect());
}

#[test]
fn every_order_comes_to_an_end_when_its_steps_are_done() {
    let (seen, _) = reach(4);
    for (saga, _) in seen {
        let mut at = saga;
        let mut steps = 0;
        while at.action().is_some() {
            at = at.next(Event::Done).unwrap();
            steps += 1;
            assert!(steps <= 4, "{saga:?} runs in circles");
        }
        // What was being undone is undone; what was not, is bought.
        match saga.cause {
            Some(cause) => assert_eq!(at.status, cause.goal(), "{saga:?}"),
            None => assert!(at.status >= Status::Paid, "{saga:?}"),
        }
    }
}

/// All changes of status that there are.
const MOVES: [(Status, Status); 9] = [
    (Status::Pending, Status::Processing),
    (Status::Pending, Status::Failed),
    (Status::Pending, Status::Cancelled),
    (Status::Processing, Status::Paid),
    (Status::Processing, Status::Failed),
    (Status::Processing, Status::Cancelled),
    (Status::Paid, Status::Shipped),
    (Status::Paid, Status::Cancelled),
    (Status::Shipped, Status::Delivered),
];

#[test]
fn undoing_is_never_turned_back() {
    for lines in 1..=4 {
        let (_, transitions) = reach(lines);
        for (from, nexts) in transitions {
            for (event, to) in nexts {
                let context = format!("{from:?} {event:?} {to:?}");
                if from.cause.is_some() {
                    assert_eq!(from.cause, to.cause, "{context}");
                    assert!(
                        matches!(to.step, Step::Refunding | Step::Releasing | Step::Ended),
                        "{context}"
                    );
                }
                if to.status != from.status {
                    assert!(MOVES.contains(&(from.status, to.status)), "{context}");
                }
            }
        }
    }
}

#[test]
fn a_step_that_must_go_on_is_only_left_when_it_is_done_or_called_off() {
    let (_, transitions) = reach(3);
    for (from, nexts) in transitions.iter().filter(|(from, _)| from.must_go_on()) {
        for (event, to) in nexts {
            if matches!(event, Event::Unavailable | Event::TakenOver { .. }) {
                assert_eq!(from, to, "{event:?}");
            }
        }
    }
}

/// The whole table, in words: which events are legal where. A change of the rules changes it.
#[test]
fn the_table_of_legal_events() {
    use Event as E;
    let saga = |status, step, cause| Saga {
        status,
        step,
        cause,
    };
    let refused = Some(Cause::Refused);
    let away = [
        E::TakenOver { wanted: false },
        E::TakenOver { wanted: true },
    ];
    let reserving = [
        E::Done,
        E::Refused,
        E::Unavailable,
        E::CancelAsked,
        away[0],
        away[1],
    ];
    let reserving_after = |earlier| saga(Status::Pending, Step::Reserving { earlier }, None);
    let table: [(Saga, &[E]); 11] = [
        (Saga::PLACED, &reserving),
        (reserving_after(Earlier::Stock), &reserving),
        (reserving_after(Earlier::All), &reserving),
        (
            saga(Status::Processing, Step::Charging { asked: false }, None),
            &[E::Done, E::Unavailable, E::CancelAsked, away[0], away[1]],
        ),
        (
            saga(Status::Processing, Step::Charging { asked: true }, None),
            &[
                E::Done,
                E::Refused,
                E::Unavailable,
                E::CancelAsked,
                away[0],
                away[1],
            ],
        ),
        (
            saga(Status::Paid, Step::Clearing, None),
            &[
                E::Done,
                E::Unavailable,
                E::CancelAsked,
                away[0],
                away[1],
                E::Shipped,
            ],
        ),
        (
            saga(
                Status::Processing,
                Step::Refunding,
                Some(Cause::Unavailable),
            ),
            &[E::Done, E::Unavailable, E::CancelAsked, away[0], away[1]],
        ),
        (
            saga(Status::Pending, Step::Releasing, refused),
            &[E::Done, E::Unavailable, E::CancelAsked, away[0], away[1]],
        ),
        (
            saga(Status::Paid, Step::Ended, None),
            &[E::CancelAsked, E::Shipped],
        ),
        (saga(Status::Shipped, Step::Ended, None), &[E::Delivered]),
        (saga(Status::Failed, Step::Ended, refused), &[]),
    ];
    let (seen, transitions) = reach(2);
    for (saga, legal) in table {
        assert!(seen.iter().any(|(reached, _)| *reached == saga), "{saga:?}");
        let found = transitions.get(&saga).cloned().unwrap_or_default();
        for event in EVENTS {
            assert_eq!(
                found.iter().any(|(e, _)| *e == event),
                legal.contains(&event),
                "{saga:?} {event:?}"
            );
        }
    }
}

/// The first driver knows that nothing is on its way. Another one does not, and undoes what may have been done.
#[test]
fn what_was_refused_is_undone_if_an_earlier_driver_may_have_done_it() {
    let refused = Saga::PLACED.next(Event::Refused).unwrap();
    let ended = (Status::Failed, Step::Ended, Some(Cause::Refused));
    assert_eq!((refused.status, refused.step, refused.cause), ended);

    let wanted = Event::TakenOver { wanted: true };
    let again = Saga::PLACED.next(wanted).unwrap();
    for (earlier, step) in [
        (Earlier::All, Step::Refunding),
        (Earlier::Stock, Step::Releasing),
    ] {
        let heir = Saga {
            step: Step::Reserving { earlier },
            ..Saga::PLACED
        };
        assert_eq!(heir.next(wanted).unwrap(), heir);
        assert_eq!(heir == again, earlier == Earlier::All);
        let undone = [Event::Refused, Event::Unavailable, Event::CancelAsked];
        for event in undone
            .into_iter()
            .chain([Event::TakenOver { wanted: false }])
        {
            let undone = heir.next(event).unwrap();
            assert_eq!((undone.status, undone.step), (Status::Pending, step));
        }
    }
}

#[test]
fn an_admin_may_make_the_moves_of_the_contract() {
    let ended = |status| Saga {
        status,
        step: Step::Ended,
        cause: None,
    };
    let undoing = Saga {
        status: Status::Processing,
        step: Step::Refunding,
        cause: Some(Cause::Unavailable),
    };
    let cancelling = Saga {
        cause: Some(Cause::Cancelled),
        ..undoing
    };
    let processing = Saga {
        status: Status::Processing,
        step: Step::Charging { asked: true },
        cause: None,
    };
    let table: [(Saga, &[Status]); 9] = [
        (Saga::PLACED, &[Status::Cancelled]),
        (processing, &[Status::Cancelled]),
        (ended(Status::Paid), &[Status::Shipped, Status::Cancelled]),
        (ended(Status::Shipped), &[Status::Delivered]),
        (ended(Status::Delivered), &[]),
        (ended(Status::Cancelled), &[]),
        (ended(Status::Failed), &[]),
        (undoing, &[]),
        (cancelling, &[Status::Cancelled]),
    ];
    for (saga, legal) in table {
        for status in Status::ALL {
            assert_eq!(
                saga.may_become(status),
                legal.contains(&status),
                "{saga:?} → {status:?}"
            );
        }
    }
}
