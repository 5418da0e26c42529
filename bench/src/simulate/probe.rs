//! Small measurements of the machine itself: how late a thread runs that was woken up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::cores::Scheduler;
use crate::stats::median;

/// Quantiles that are kept of each distribution, in steps of this many percent.
const STEP: usize = 5;

/// How late threads run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Probe {
    /// By the time that they slept, in microseconds: quantiles of the lateness after a timer, in microseconds.
    pub(super) timer: Vec<(u64, Vec<f64>)>,
    /// The same for a thread that another one wakes up, which slept for that time.
    pub(super) other: Vec<(u64, Vec<f64>)>,
    /// Of wake-ups of a thread whose core was idle, while the thread that wakes it up is on another core: the share
    /// after which it ran on the core of the other.
    pub(super) follows: f64,
    /// Of wake-ups of a thread whose core was busy, with the thread that wakes it up and goes on: the share that moved
    /// to the core that is idle.
    pub(super) moves: f64,
}

impl Probe {
    /// How late a client sends that waits for a time, as those of open loops do: the median.
    pub(super) fn late_us(&self) -> f64 {
        let pauses = self.timer.iter().filter(|(us, _)| *us >= PAUSE_US);
        let medians = pauses.filter_map(|(_, late)| late.get(late.len() / 2));
        median(&medians.copied().collect::<Vec<_>>())
    }

    /// The rules by which the kernel gives cores to threads, as far as threads that do nothing else show them.
    pub(super) fn scheduler(&self) -> Scheduler {
        Scheduler {
            moves: self.moves,
            follows: self.follows,
            ..Scheduler::LINUX
        }
    }
}

/// Pauses of clients of an open loop are about so long, or longer, in microseconds.
const PAUSE_US: u64 = 3_200;

/// A wake-up.
#[derive(Clone, Copy, Debug)]
struct Woken {
    late_us: f64,
    /// Where the other thread was, where it slept, and where it runs.
    waker: usize,
    before: usize,
    after: usize,
}

/// How long a thread goes on that has woken up another.
const GOES_ON: Duration = Duration::from_micros(200);

fn core() -> usize {
    #[cfg(target_os = "linux")]
    return rustix::thread::sched_getcpu();
    #[cfg(not(target_os = "linux"))]
    0
}

/// The share of those that are counted for which something holds.
fn share(woken: &[Woken], counts: impl Fn(&Woken) -> bool, holds: impl Fn(&Woken) -> bool) -> f64 {
    let counted: Vec<_> = woken.iter().filter(|woken| counts(woken)).collect();
    let good = counted.iter().filter(|woken| holds(woken)).count();
    good as f64 / counted.len().max(1) as f64
}

/// Quantiles at 0 %, 5 %, … 100 %.
fn quantiles(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = |percent: usize| {
        values
            .get(percent * last / 100)
            .copied()
            .unwrap_or_default()
    };
    (0..=100).step_by(STEP).map(at).collect()
}

fn exact_timers() {
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

fn late(sleep: Duration) -> f64 {
    let due = Instant::now() + sleep;
    while let Some(left) = due.checked_duration_since(Instant::now()) {
        if left.is_zero() {
            break;
        }
        thread::park_timeout(left);
    }
    due.elapsed().as_secs_f64() * 1e6
}

/// Measures it.
pub(super) fn measure() -> Probe {
    exact_timers();
    let mut probe = Probe::default();
    for us in [20, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800] {
        let n = (400_000 / us).clamp(60, 2_000);
        let values = (0..n).map(|_| late(Duration::from_micros(us)));
        probe.timer.push((us, quantiles(values.collect())));
        let values = woken(us, n, Duration::ZERO);
        probe
            .other
            .push((us, quantiles(values.iter().map(|w| w.late_us).collect())));
        if us == 800 {
            probe.follows = share(&values, |w| w.waker != w.before, |w| w.after == w.waker);
        }
    }
    let values = woken(800, 3_000, GOES_ON);
    let same = |w: &Woken| w.waker == w.before;
    probe.moves = share(&values, same, |w| w.after != w.before);
    probe
}

/// A thread that sleeps for so long until this one wakes it up, which sleeps, too, and then goes on for some time.
fn woken(us: u64, n: u64, goes_on: Duration) -> Vec<Woken> {
    let base = Instant::now();
    let (sent, from) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (their_sent, their_from) = (Arc::clone(&sent), Arc::clone(&from));
    let other = thread::spawn(move || {
        let mut values = Vec::new();
        let mut before = core();
        loop {
            match their_sent.swap(0, Ordering::AcqRel) {
                0 => thread::park(),
                u64::MAX => return values,
                at => {
                    let after = core();
                    values.push(Woken {
                        late_us: (base.elapsed().as_nanos() as f64 - at as f64) / 1e3,
                        waker: their_from.load(Ordering::Relaxed) as usize,
                        before,
                        after,
                    });
                    before = after;
                }
            }
        }
    });
    for _ in 0..n {
        late(Duration::from_micros(us));
        from.store(core() as u64, Ordering::Relaxed);
        sent.store(base.elapsed().as_nanos() as u64, Ordering::Release);
        other.thread().unpark();
        let until = Instant::now() + goes_on;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }
    late(Duration::from_millis(2));
    sent.store(u64::MAX, Ordering::Release);
    other.thread().unpark();
    other.join().unwrap_or_default()
}
