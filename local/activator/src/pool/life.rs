//! The life of a pool's instances: start, readiness, drain and end.

use std::cmp::Reverse;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::state::{Failed, Slot, State};
use super::{Pool, millis};
use crate::answer::Refusal;
use crate::instance::Instance;
use crate::scale::{self, Load};
use crate::status::InstanceState;

/// Scales until the pool is gone. At zero it sleeps: an idle function costs nothing.
pub(super) async fn autoscale(pool: Weak<Pool>, awake: Arc<Notify>, tick: Duration) {
    loop {
        let Some(busy) = pool.upgrade().map(|pool| pool.tick()) else {
            return;
        };
        if busy {
            sleep(tick).await;
        } else {
            awake.notified().await;
        }
    }
}

impl Pool {
    pub(super) fn start_up_to(self: &Arc<Self>, state: &mut State, wanted: usize) {
        let now = Instant::now();
        let backing_off = state
            .failed
            .as_ref()
            .is_some_and(|failed| now < failed.until);
        if state.closed || backing_off {
            return;
        }
        for _ in state.live()..wanted {
            if state.slots.is_empty() {
                state.cold_starts += 1;
                state.meter.restart(now);
                self.awake.notify_one();
            }
            let id = state.next_id;
            state.next_id += 1;
            let end = Arc::new(Notify::new());
            state.slots.push(Slot {
                id,
                state: InstanceState::Starting,
                in_flight: 0,
                instance: None,
                end: Arc::clone(&end),
            });
            tokio::spawn(Arc::clone(self).run(id, end));
        }
    }

    /// Reads the load, and starts or ends instances. Returns whether it must run again.
    fn tick(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let now = Instant::now();
        let level = state.meter.level();
        let load = Load {
            now: level,
            average: state.meter.average(now),
            idle: if level > 0 {
                Duration::ZERO
            } else {
                now - state.last_request
            },
            instances: state.live(),
        };
        let desired = scale::desired(&self.function.limits, &load);
        self.start_up_to(state, desired);
        let mut ready: Vec<&mut Slot> = state
            .slots
            .iter_mut()
            .filter(|slot| slot.state == InstanceState::Ready)
            .collect();
        // Ends the least busy instances first, and of those the newest. An instance that is
        // starting can end later.
        ready.sort_by_key(|slot| (slot.in_flight, Reverse(slot.id)));
        let surplus = ready.len().saturating_sub(desired);
        for slot in ready.into_iter().take(surplus) {
            slot.drain();
        }
        let minimum = self.function.limits.min > 0 && !state.closed;
        minimum || level > 0 || !state.slots.is_empty()
    }

    /// The life of one instance.
    async fn run(self: Arc<Self>, id: u64, end: Arc<Notify>) {
        let name = &self.function.name;
        let revision = format!("{name}-00001");
        let instance = match Instance::launch(&self.function, revision, &*self.launcher) {
            Ok(instance) => Arc::new(instance),
            Err(refusal) => return self.failed(id, refusal),
        };
        let pid = instance.pid();
        if let Some(slot) = self.lock().slots.iter_mut().find(|slot| slot.id == id) {
            slot.instance = Some(Arc::clone(&instance));
        }
        let ready = tokio::select! {
            ready = instance.ready(&self.function, &self.options) => ready,
            () = end.notified() => {
                instance.stop(self.options.stop_timeout).await;
                return self.ended(id, false);
            }
        };
        match ready {
            Ok(took) => {
                tracing::info!(
                    function = name,
                    pid,
                    took_ms = millis(took),
                    "instance ready"
                );
                self.ready(id, instance.started_at, took);
            }
            Err(refusal) => {
                instance.kill().await;
                return self.failed(id, refusal);
            }
        }
        tokio::select! {
            biased;
            exit = instance.exited() => {
                tracing::warn!(function = name, pid, exit = exit.description, "instance crashed");
                self.ended(id, true);
            }
            () = instance.hung(self.function.liveness.as_ref()) => {
                tracing::warn!(function = name, pid, "instance hangs: its liveness probe failed");
                self.leave(id);
                instance.stop(self.options.stop_timeout).await;
                self.ended(id, true);
            }
            () = end.notified() => {
                let exit = instance.stop(self.options.stop_timeout).await;
                tracing::info!(function = name, pid, exit = exit.description, "instance stopped");
                self.ended(id, false);
            }
        }
    }

    fn ready(self: &Arc<Self>, id: u64, started_at: SystemTime, took: Duration) {
        let mut state = self.lock();
        state.last_start = Some(took);
        state.last_started_at = Some(started_at);
        state.failed = None;
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.id == id)
            && slot.state == InstanceState::Starting
        {
            slot.state = InstanceState::Ready;
        }
        self.dispatch(&mut state);
    }

    /// No new requests for this instance.
    pub(super) fn leave(&self, id: u64) {
        let mut state = self.lock();
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.id == id) {
            slot.state = InstanceState::Stopping;
        }
    }

    /// A start failed. All requests that wait for this function get the answer, unless another
    /// instance is starting. Requests during the back-off get it, too.
    fn failed(self: &Arc<Self>, id: u64, refusal: Refusal) {
        let detail = &refusal.detail;
        tracing::warn!(
            function = self.function.name,
            detail,
            "instance failed to start"
        );
        let mut state = self.lock();
        let streak = state.failed.as_ref().map_or(0, |failed| failed.streak);
        let backoff = self.options.backoff_after(streak);
        state.crashes += 1;
        state.slots.retain(|slot| slot.id != id);
        state.failed = Some(Failed {
            refusal,
            until: Instant::now() + backoff,
            streak: streak.saturating_add(1),
        });
        if let Some(refusal) = state.refusal() {
            state.refuse_queue(&refusal);
        }
        drop(state);
        self.gone.notify_waiters();
    }

    fn ended(self: &Arc<Self>, id: u64, crashed: bool) {
        let mut state = self.lock();
        state.slots.retain(|slot| slot.id != id);
        state.crashes += u64::from(crashed);
        if let Some(refusal) = state.refusal() {
            state.refuse_queue(&refusal);
        }
        // A queued request may have waited for this instance, so another one may be needed. Without
        // a queue, none is needed: the requests that the instance had fail together with it.
        if !state.queue.is_empty() {
            self.grow(&mut state);
        }
        drop(state);
        self.gone.notify_waiters();
    }
}
