//! The instances of one function, the requests that wait for them, and the task that scales.
//!
//! All decisions are made under one lock, which is never held across an await. A request for which
//! an instance has room takes a [`Permit`]. Any other request is queued, and each place that
//! becomes free goes to the head of the queue. Each instance has a task that lives as long as the
//! instance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use crate::answer::{Kind, Refusal};
use crate::instance::Instance;
use crate::launcher::Launcher;
use crate::manifest::Ksvc;
use crate::options::Options;
use crate::scale::{self, Meter};
use crate::span::Spans;
use crate::status::{FunctionStatus, InstanceState, InstanceStatus};

mod life;
mod permit;
mod state;

use self::life::autoscale;
pub(crate) use self::permit::Permit;
use self::permit::Waiting;
use self::state::State;

type Granted = Result<Permit, Refusal>;

pub(crate) struct Pool {
    pub(crate) function: Ksvc,
    pub(crate) spans: Spans,
    launcher: Arc<dyn Launcher>,
    options: Options,
    state: Mutex<State>,
    /// Wakes the scaling task from its sleep at zero.
    awake: Arc<Notify>,
    /// An instance has gone.
    gone: Notify,
}

impl Pool {
    /// Must be called inside a tokio runtime: the pool's scaling task runs on it.
    pub(crate) fn new(function: Ksvc, launcher: Arc<dyn Launcher>, options: Options) -> Arc<Self> {
        let now = Instant::now();
        let tick =
            (function.limits.window / 20).clamp(Duration::from_millis(20), Duration::from_secs(2));
        let awake = Arc::new(Notify::new());
        let pool = Arc::new(Self {
            launcher,
            spans: Spans::new(&function.name, &options),
            options,
            state: Mutex::new(State::new(Meter::new(function.limits.window, now), now)),
            function,
            awake: Arc::clone(&awake),
            gone: Notify::new(),
        });
        tokio::spawn(autoscale(Arc::downgrade(&pool), awake, tick));
        pool
    }

    /// A place at an instance: at once, or when an instance is ready and has room. Also, whether the request
    /// had to wait for it.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<(Permit, bool), Refusal> {
        let (id, granted) = {
            let mut state = self.lock();
            if state.closed {
                return Err(stopping());
            }
            state.requests += 1;
            if let Some(refusal) = state.refusal() {
                return Err(refusal);
            }
            state.arrived();
            if let Some(permit) = self.take(&mut state) {
                self.grow(&mut state);
                return Ok((permit, false));
            }
            if state.queue.len() >= self.options.max_held {
                state.left();
                let detail = format!(
                    "{} already holds {} requests",
                    self.function.name, self.options.max_held
                );
                return Err(Refusal {
                    retry_after: Some(Duration::from_secs(1)),
                    ..Refusal::new(Kind::Busy, detail)
                });
            }
            let id = state.next_id;
            state.next_id += 1;
            let (waiter, granted) = oneshot::channel();
            state.queue.push_back((id, waiter));
            self.grow(&mut state);
            (id, granted)
        };
        let _waiting = Waiting { pool: self, id };
        let granted = granted.await.unwrap_or_else(|_| Err(stopping()));
        granted.map(|permit| (permit, true))
    }

    /// Ends every instance and waits until all have ended. Requests in flight get the drain time.
    pub(crate) async fn shutdown(&self) {
        {
            let mut state = self.lock();
            state.closed = true;
            state.refuse_queue(&stopping());
            for slot in &mut state.slots {
                slot.drain();
            }
        }
        self.awake.notify_one();
        if timeout(self.options.drain_timeout, self.empty())
            .await
            .is_err()
        {
            for slot in &self.lock().slots {
                slot.end.notify_one();
            }
            self.empty().await;
        }
    }

    /// Drains every instance, also those that are starting. Queued requests get another instance.
    pub(crate) fn renew(self: &Arc<Self>) {
        let mut state = self.lock();
        for slot in &mut state.slots {
            slot.drain();
        }
        if !state.queue.is_empty() {
            self.grow(&mut state);
        }
    }

    pub(crate) fn status(&self) -> FunctionStatus {
        let state = self.lock();
        let instances = state.slots.iter().map(|slot| {
            let instance = slot.instance.as_deref();
            let started_at = instance.map_or(UNIX_EPOCH, |instance| instance.started_at);
            let started_at = started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
            InstanceStatus {
                pid: instance.and_then(Instance::pid),
                started_at_unix_ms: millis(started_at),
                in_flight: slot.in_flight,
                state: slot.state,
            }
        });
        FunctionStatus {
            name: self.function.name.clone(),
            instances: instances.collect(),
            max_instances: self.function.limits.max,
            held: state.queue.len(),
            requests: state.requests,
            cold_starts: state.cold_starts,
            last_start_ms: state.last_start.map(millis),
            last_started_at_unix_ms: state
                .last_started_at
                .map(|at| millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())),
            crashes: state.crashes,
        }
    }

    async fn empty(&self) {
        loop {
            let gone = self.gone.notified();
            if self.lock().slots.is_empty() {
                return;
            }
            gone.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at the ready instance with the fewest requests, if one has room.
    fn take(self: &Arc<Self>, state: &mut State) -> Option<Permit> {
        let room = self.function.container_concurrency.unwrap_or(usize::MAX);
        let slot = state
            .slots
            .iter_mut()
            .filter(|slot| slot.state == InstanceState::Ready && slot.in_flight < room)
            .min_by_key(|slot| slot.in_flight)?;
        let instance = Arc::clone(slot.instance.as_ref()?);
        slot.in_flight += 1;
        Some(Permit {
            pool: Arc::clone(self),
            slot: slot.id,
            instance,
        })
    }

    /// Gives free places to the head of the queue.
    fn dispatch(self: &Arc<Self>, state: &mut State) {
        while !state.queue.is_empty()
            && let Some(permit) = self.take(state)
            && let Some((_, waiter)) = state.queue.pop_front()
        {
            // A waiter leaves the queue under the lock before its receiver is dropped, so this
            // cannot fail. If it failed, dropping the permit here would need the lock again.
            if let Err(Ok(permit)) = waiter.send(Ok(permit)) {
                tokio::spawn(async move { drop(permit) });
            }
        }
    }

    fn release(self: &Arc<Self>, id: u64) {
        let mut state = self.lock();
        state.left();
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.id == id) {
            slot.in_flight -= 1;
            if slot.state == InstanceState::Stopping && slot.in_flight == 0 {
                slot.end.notify_one();
            }
        }
        self.dispatch(&mut state);
    }

    /// Starts instances when the present requests need more.
    fn grow(self: &Arc<Self>, state: &mut State) {
        let needed = scale::needed(&self.function.limits, state.meter.level() as f64);
        self.start_up_to(state, needed);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The scaling task sees that the pool is gone, and ends.
        self.awake.notify_one();
    }
}

fn stopping() -> Refusal {
    Refusal {
        retry_after: Some(Duration::from_secs(1)),
        ..Refusal::new(Kind::Busy, "the engine is stopping")
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
