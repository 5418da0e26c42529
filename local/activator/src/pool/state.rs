//! The state of a pool: its instances, its queue, its counts. All of it is under the pool's lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Granted;
use crate::answer::Refusal;
use crate::instance::Instance;
use crate::scale::Meter;
use crate::status::InstanceState;

pub(super) struct State {
    pub(super) slots: Vec<Slot>,
    pub(super) queue: VecDeque<(u64, oneshot::Sender<Granted>)>,
    pub(super) next_id: u64,
    /// Its level is the number of requests in flight or queued.
    pub(super) meter: Meter,
    pub(super) last_request: Instant,
    pub(super) failed: Option<Failed>,
    pub(super) closed: bool,
    pub(super) cold_starts: u64,
    pub(super) requests: u64,
    pub(super) crashes: u64,
    pub(super) last_start: Option<Duration>,
    pub(super) last_started_at: Option<SystemTime>,
}

/// The place of an instance, from the decision to start it until its process has ended.
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) state: InstanceState,
    pub(super) in_flight: usize,
    pub(super) instance: Option<Arc<Instance>>,
    /// To be ended now: it has no requests left, or its time is over.
    pub(super) end: Arc<Notify>,
}

/// The last start failed. Until the back-off has passed, all requests get its answer.
pub(super) struct Failed {
    pub(super) refusal: Refusal,
    pub(super) until: Instant,
    pub(super) streak: u32,
}

impl State {
    pub(super) fn new(meter: Meter, now: Instant) -> Self {
        Self {
            slots: Vec::new(),
            queue: VecDeque::new(),
            next_id: 0,
            meter,
            last_request: now,
            failed: None,
            closed: false,
            cold_starts: 0,
            requests: 0,
            crashes: 0,
            last_start: None,
            last_started_at: None,
        }
    }

    pub(super) fn live(&self) -> usize {
        let live = |slot: &&Slot| slot.state != InstanceState::Stopping;
        self.slots.iter().filter(live).count()
    }

    pub(super) fn arrived(&mut self) {
        let now = Instant::now();
        self.meter.set(self.meter.level() + 1, now);
        self.last_request = now;
    }

    pub(super) fn left(&mut self) {
        let now = Instant::now();
        self.meter.set(self.meter.level().saturating_sub(1), now);
        self.last_request = now;
    }

    /// The answer of a failed start, during the back-off and if no other instance can serve.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let failed = self.failed.as_ref()?;
        let left = failed.until.saturating_duration_since(Instant::now());
        (!left.is_zero() && self.live() == 0).then(|| Refusal {
            retry_after: Some(left),
            ..failed.refusal.clone()
        })
    }

    pub(super) fn refuse_queue(&mut self, refusal: &Refusal) {
        for (_, waiter) in std::mem::take(&mut self.queue) {
            // A request that has given up needs no answer.
            let _ = waiter.send(Err(refusal.clone()));
            self.left();
        }
    }
}

impl Slot {
    pub(super) fn drain(&mut self) {
        let idle = self.in_flight == 0;
        self.state = InstanceState::Stopping;
        if idle {
            self.end.notify_one();
        }
    }
}
