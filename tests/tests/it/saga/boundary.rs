//! The boundaries of a process: everything that passes between it and the others, in order, and the
//! one at which it stops.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, time::timeout};
use zerocart_test_support::functions::PATIENCE;

/// What passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// A request to this function, before that gets it.
    Request(String),
    /// The answer of this function, before the process gets it: its effect has happened.
    Answer(String),
    /// Statements, before the database gets them.
    Statements,
    /// What the database answers, before the process gets it: the statements were executed.
    Rows,
}

impl Crossing {
    fn is_outward(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Statements)
    }
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(function) => write!(f, "the request to {function}"),
            Self::Answer(function) => write!(f, "the answer of {function}"),
            Self::Statements => f.write_str("statements to the database"),
            Self::Rows => f.write_str("an answer of the database"),
        }
    }
}

/// Where a process stops.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// At no boundary.
    Never,
    /// At the boundary of this number, from 0.
    Number(usize),
    /// At the boundary where this passes for the so-manieth time, from 0.
    At(Crossing, usize),
}

/// What becomes of the thing that passes when the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is lost with the process.
    Lost,
    /// It was on its way, and arrives when others have long gone on. What the process would have
    /// got is no boundary then: it makes no difference.
    Late,
}

/// What a proxy does with what passes.
pub(crate) enum Pass {
    /// It is passed on.
    On,
    /// It is dropped, and so is all that comes after it.
    Lost,
    /// It is passed on once it is released.
    Held(Held),
}

/// The boundaries of one process. A clone is the same.
#[derive(Clone)]
pub(crate) struct Boundaries(Arc<Inner>);

struct Inner {
    stop: Stop,
    fate: Fate,
    state: Mutex<State>,
    stopped: watch::Sender<Option<String>>,
    released: watch::Sender<bool>,
    held: watch::Sender<usize>,
    connections: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    armed: bool,
    stopped: bool,
    passed: Vec<Crossing>,
}

impl Boundaries {
    pub(crate) fn new(stop: Stop, fate: Fate) -> Self {
        Self(Arc::new(Inner {
            stop,
            fate,
            state: Mutex::default(),
            stopped: watch::Sender::new(None),
            released: watch::Sender::new(false),
            held: watch::Sender::new(0),
            connections: watch::Sender::new(0),
        }))
    }

    /// From now on boundaries are counted.
    pub(crate) fn arm(&self) {
        self.state().armed = true;
    }

    /// Something passes that is a boundary.
    pub(crate) fn pass(&self, crossing: Crossing) -> Pass {
        let mut state = self.state();
        if state.stopped {
            return Pass::Lost;
        }
        if !state.armed || (self.0.fate == Fate::Late && !crossing.is_outward()) {
            return Pass::On;
        }
        let number = state.passed.len();
        let earlier = state.passed.iter().filter(|earlier| **earlier == crossing);
        let here = match &self.0.stop {
            Stop::Never => false,
            Stop::Number(stop) => number == *stop,
            Stop::At(wanted, nth) => *wanted == crossing && earlier.count() == *nth,
        };
        state.passed.push(crossing.clone());
        if !here {
            return Pass::On;
        }
        state.stopped = true;
        let pass = match self.0.fate {
            Fate::Lost => Pass::Lost,
            Fate::Late => {
                self.0.held.send_modify(|held| *held += 1);
                Pass::Held(Held(Arc::clone(&self.0)))
            }
        };
        let what = format!("{number}, {crossing}");
        self.0.stopped.send_replace(Some(what));
        pass
    }

    /// Something passes that is none: a handshake, a wake-up.
    pub(crate) fn pass_uncounted(&self) -> Pass {
        if self.state().stopped {
            Pass::Lost
        } else {
            Pass::On
        }
    }

    /// Waits until the process is to stop, and gives where.
    pub(crate) async fn stopped(&self) -> String {
        let mut stopped = self.0.stopped.subscribe();
        let stopped = stopped.wait_for(Option::is_some).await;
        let stopped = stopped.expect("the sender lives as long as this").clone();
        stopped.expect("it was waited for")
    }

    /// A connection to the database, open until this is dropped.
    pub(crate) fn connection(&self) -> Connection {
        self.0.connections.send_modify(|open| *open += 1);
        Connection(Arc::clone(&self.0))
    }

    /// Waits until the database has done what the killed process had asked for, but for what is
    /// held, and has forgotten it.
    pub(crate) async fn quiet(&self) {
        let held = *self.0.held.borrow();
        let mut connections = self.0.connections.subscribe();
        timeout(PATIENCE, connections.wait_for(|open| *open <= held))
            .await
            .expect("the database notices that a process is gone")
            .expect("the sender lives as long as this");
    }

    /// Lets what was held arrive, and waits until it is done.
    pub(crate) async fn release(&self) {
        self.0.released.send_replace(true);
        let mut held = self.0.held.subscribe();
        timeout(PATIENCE, held.wait_for(|held| *held == 0))
            .await
            .expect("what arrives late is done in time")
            .expect("the sender lives as long as this");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that arrives late. Done when this is dropped.
pub(crate) struct Held(Arc<Inner>);

impl Held {
    pub(crate) async fn released(&self) {
        let mut released = self.0.released.subscribe();
        released
            .wait_for(|released| *released)
            .await
            .expect("the sender lives as long as this");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.send_modify(|held| *held -= 1);
    }
}

/// A connection to the database.
pub(crate) struct Connection(Arc<Inner>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.send_modify(|open| *open -= 1);
    }
}
