//! What came of each request, with all its attempts; and the network to the system, which a program may make
//! worse.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tonic::Code;
use zerocart_wires::Outcome;

/// Of a share, for an integer.
const MILLION: f64 = 1e6;

/// The network between clients and the system. A clone of its `Arc` is the same network.
#[derive(Debug, Default)]
pub(crate) struct Network {
    delay_us: AtomicU64,
    lost_ppm: AtomicU32,
}

impl Network {
    /// Each request takes so much longer from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        let us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.delay_us.store(us, Ordering::Relaxed);
    }

    /// This share of the answers is lost from now on: the system has done what was asked, and the client does
    /// not know.
    pub(crate) fn set_lost(&self, share: f64) {
        let ppm = (share.clamp(0.0, 1.0) * MILLION) as u32;
        self.lost_ppm.store(ppm, Ordering::Relaxed);
    }

    pub(crate) async fn delay(&self) {
        let us = self.delay_us.load(Ordering::Relaxed);
        if us > 0 {
            sleep(Duration::from_micros(us)).await;
        }
    }

    pub(crate) fn loses(&self) -> bool {
        let share = f64::from(self.lost_ppm.load(Ordering::Relaxed)) / MILLION;
        share > 0.0 && rand::rng().random::<f64>() < share
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// It succeeded.
    Good,
    /// An order whose payment was declined: an answer.
    Declined,
    /// A function says no, and would say so again: an answer.
    Refused,
    /// An order that failed because the payment provider does not work.
    Unavailable,
    /// No good answer came within a minute.
    Lost,
    /// An answer that no client of this load may get, or the gateway's limit of an hour.
    Wrong,
}

impl End {
    /// The end of a request that a function has answered.
    pub(crate) fn of<T>(outcome: &Outcome<T>) -> Self {
        match outcome.code {
            Code::Ok => Self::Good,
            Code::Unavailable => Self::Unavailable,
            _ => Self::Refused,
        }
    }

    /// Whether the system has answered as it should.
    pub(crate) fn is_answer(self) -> bool {
        matches!(self, Self::Good | Self::Declined | Self::Refused)
    }
}

/// A request with all its attempts.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) function: &'static str,
    /// When it was planned; when it was sent, if it was not planned but follows from an answer.
    pub(crate) due: Instant,
    pub(crate) planned: bool,
    pub(crate) sent: Instant,
    pub(crate) ended: Instant,
    /// Those that the gateway's limit refused are not counted.
    pub(crate) attempts: u32,
    pub(crate) first_failed: bool,
    /// Whether it waited for the gateway's limit.
    pub(crate) limited: bool,
    pub(crate) end: End,
}

/// The requests of all clients that share it.
pub(crate) type Entries = Arc<Mutex<Vec<Entry>>>;

/// The journal of one client, which sends one request at a time.
#[derive(Debug)]
pub(crate) struct Journal {
    entries: Entries,
    network: Arc<Network>,
    /// When the next request was planned.
    due: Mutex<Option<Instant>>,
    last: Mutex<Option<usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    pub(crate) fn new(entries: Entries, network: Arc<Network>) -> Self {
        Self {
            entries,
            network,
            due: Mutex::default(),
            last: Mutex::default(),
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The next request was planned for this time.
    pub(crate) fn plan(&self, due: Instant) {
        *lock(&self.due) = Some(due);
    }

    /// When the request that is noted now was planned, if it was.
    pub(crate) fn take_due(&self) -> Option<Instant> {
        lock(&self.due).take()
    }

    pub(crate) fn note(&self, entry: Entry) {
        let mut entries = lock(&self.entries);
        *lock(&self.last) = Some(entries.len());
        entries.push(entry);
    }

    /// The last request of this client was an order whose payment was declined.
    pub(crate) fn declined(&self) {
        let last = *lock(&self.last);
        let mut entries = lock(&self.entries);
        if let Some(entry) = last.and_then(|n| entries.get_mut(n)) {
            entry.end = End::Declined;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(planned: Option<Instant>) -> Entry {
        let now = Instant::now();
        Entry {
            function: "create-order",
            due: planned.unwrap_or(now),
            planned: planned.is_some(),
            sent: now,
            ended: now,
            attempts: 1,
            first_failed: false,
            limited: false,
            end: End::Good,
        }
    }

    #[test]
    fn a_plan_is_for_one_request_and_a_decline_for_the_last_one_of_its_client() {
        let (entries, network) = (Entries::default(), Arc::new(Network::default()));
        let one = Journal::new(Arc::clone(&entries), Arc::clone(&network));
        let other = Journal::new(Arc::clone(&entries), network);
        one.declined();
        let due = Instant::now();
        one.plan(due);
        assert_eq!(one.take_due(), Some(due));
        assert_eq!(one.take_due(), None);
        one.note(entry(Some(due)));
        other.note(entry(None));
        one.declined();
        let ends: Vec<End> = lock(&entries).iter().map(|entry| entry.end).collect();
        assert_eq!(ends, [End::Declined, End::Good]);
    }

    #[test]
    fn a_network_loses_the_share_that_is_set() {
        let network = Network::default();
        assert!(!network.loses());
        network.set_lost(1.0);
        assert!((0..100).all(|_| network.loses()));
        network.set_lost(0.25);
        let lost = (0..10_000).filter(|_| network.loses()).count();
        assert!((2_000..3_000).contains(&lost), "{lost}");
    }
}
