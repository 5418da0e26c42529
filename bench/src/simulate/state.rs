//! What a simulation is made of: its machines, its options, and the state of a task and of an order.

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use zerocart_activator::Ksvc;
use zerocart_order::saga::{Action, Event as Happened, Saga};

use super::{
    cores::Scheduler,
    events::Us,
    plan::{OrderPlan, Program},
    prices::{DOMAINS, Prices},
    shoppers::Shoppers,
};

/// The longest latency that has a place of its own, in microseconds.
const MAX_US: u64 = 7_200_000_000;

/// How the time of a piece of work varies around its mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// Evenly, from half to one and a half of it unless it is known better.
    Even,
    /// By the exponential distribution, as queueing theory has it.
    #[cfg_attr(not(test), expect(dead_code, reason = "formulas are tested with it"))]
    Exponential,
}

/// The machines.
#[derive(Clone, Debug)]
pub(super) struct Machines {
    /// Each a name and a number of cores.
    pub(super) cores: Vec<(String, usize)>,
    pub(super) functions: usize,
    pub(super) edge: usize,
    pub(super) client: usize,
    /// Of each domain, and the server whose log it uses.
    pub(super) postgres: [usize; DOMAINS.len()],
    pub(super) server: [usize; DOMAINS.len()],
}

/// What is simulated.
pub(super) struct Setup<'a> {
    pub(super) seed: u64,
    pub(super) prices: &'a Prices,
    pub(super) manifests: &'a [Ksvc],
    pub(super) machines: Machines,
    /// The most instances of a function, as a multiple of the manifest's.
    pub(super) factor: f64,
    pub(super) shoppers: Shoppers,
    pub(super) stock: Vec<i64>,
    /// The share of charges that are declined.
    pub(super) declined: f64,
    pub(super) clients: bool,
    pub(super) network_us: f64,
    pub(super) spread: Spread,
    pub(super) scheduler: Scheduler,
}

/// A request, or the start of an instance.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) program: Program,
    pub(super) at: usize,
    pub(super) kind: usize,
    pub(super) began: Us,
    pub(super) shopper: Option<u32>,
    pub(super) order: Option<usize>,
    /// The product that it is about.
    pub(super) product: usize,
    /// Functions that it is in.
    pub(super) depth: u8,
    /// The cores, and which of them, on which it was worked on last.
    pub(super) ran_on: Option<(usize, usize)>,
    /// What the thread that works on it does after it has handed it on.
    pub(super) after: Us,
}

/// An order, driven by the rules of the order domain.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) saga: Saga,
    /// What its row says.
    pub(super) recorded: Saga,
    pub(super) units: i64,
    /// The outcome of the action that was done last.
    pub(super) event: Happened,
    pub(super) phase: Phase,
    pub(super) taken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    New,
    Acts,
    Records,
}

/// What a kind of request was like.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) latency: Histogram<u64>,
    pub(super) by_minute: Vec<u64>,
}

impl Order {
    /// One that is about to be placed.
    pub(super) fn new(units: i64) -> Self {
        Self {
            saga: Saga::PLACED,
            recorded: Saga::PLACED,
            units,
            event: Happened::Done,
            phase: Phase::New,
            taken: false,
        }
    }

    /// What its driver does next: after an action it records the state that the saga has then, if it must, and
    /// acts. No action takes so long that it is recorded for that.
    ///
    /// # Errors
    ///
    /// When the rules of the saga forbid what happened.
    pub(super) fn next<'p>(&mut self, plan: &'p OrderPlan) -> Result<&'p Program> {
        if self.phase == Phase::Acts {
            self.saga = self.saga.next(self.event)?;
            // What has no effect takes no time.
            while self.saga.action() == Some(Action::CheckProvider) {
                self.saga = self.saga.next(Happened::Done)?;
            }
            if !self.saga.may_pass(self.recorded) {
                self.recorded = self.saga;
                self.phase = Phase::Records;
                return Ok(&plan.record);
            }
        }
        self.phase = Phase::Acts;
        self.event = Happened::Done;
        Ok(match self.saga.action() {
            Some(Action::Reserve) => &plan.reserve,
            Some(Action::Charge) => &plan.charge,
            Some(Action::ClearCart) => &plan.clear,
            Some(Action::Refund) => &plan.refund,
            Some(Action::Release) => &plan.release,
            Some(Action::CheckProvider) => bail!("a step that was passed"),
            None => &plan.end,
        })
    }
}

impl Told {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            requests: 0,
            refused: 0,
            latency: Histogram::new_with_bounds(1, MAX_US, 3).context("no histogram")?,
            by_minute: Vec::new(),
        })
    }

    /// A request is sent.
    pub(super) fn sent(&mut self, now: Us) {
        self.requests += 1;
        count(&mut self.by_minute, now, 1);
    }
}

/// Adds to what is counted in each minute.
pub(super) fn count(by_minute: &mut Vec<u64>, now: Us, n: u64) {
    let minute = usize::try_from(now / 60_000_000).unwrap_or(usize::MAX - 1);
    if by_minute.len() <= minute {
        by_minute.resize(minute + 1, 0);
    }
    by_minute[minute] += n;
}
