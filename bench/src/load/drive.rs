//! Load: closed loops for throughput, open loops for latency.
//!
//! In a closed loop each buyer sends the next request when the last one is answered. That finds the
//! throughput, and says little about latency: a slow system is asked less. In an open loop requests are due
//! at times that do not depend on the answers (a Poisson process), and latency counts from the time that a
//! request was due, also when all connections were busy then. So a pause of the system counts for each
//! request that it delayed (no coordinated omission).

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::client::{Caller, Job};

/// The longest latency that has a place of its own, in microseconds.
const MAX_US: u64 = 120_000_000;

/// The time that the connections of an open loop have to connect before it begins.
const CONNECTING: Duration = Duration::from_millis(50);

/// How a load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// No request is sent after this time.
    Time(Duration),
    /// Each job was sent once.
    Done,
}

/// What a load has seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) seconds: f64,
    /// In microseconds, of good answers.
    pub(crate) latency: Histogram<u64>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Seen {
    fn new() -> Result<Self> {
        Ok(Self {
            requests: 0,
            errors: 0,
            first_error: None,
            seconds: 0.0,
            latency: Histogram::new_with_bounds(1, MAX_US, 3).context("no histogram")?,
            sent: 0,
            received: 0,
        })
    }

    fn note(&mut self, result: Result<()>, took: Duration) {
        self.requests += 1;
        match result {
            Ok(()) => {
                let us = u64::try_from(took.as_micros()).unwrap_or(MAX_US);
                self.latency.saturating_record(us.max(1));
            }
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }

    /// Adds another part of the same load, or a later load of the same kind.
    pub(crate) fn add(&mut self, other: &Self) -> Result<()> {
        self.requests += other.requests;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
        self.seconds += other.seconds;
        self.sent += other.sent;
        self.received += other.received;
        self.latency.add(&other.latency).context("another range")
    }

    /// A quantile of the latency, in milliseconds.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// `buyers` connections, each of which sends the next of `jobs` as soon as it has an answer.
///
/// # Errors
///
/// When not one request got a good answer: with the reason of the first.
pub(crate) fn closed(
    address: SocketAddr,
    buyers: usize,
    jobs: &[Job],
    until: Until,
) -> Result<Seen> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let buyer = |seen: &mut Seen, caller: &mut Caller| loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let job = match until {
            Until::Time(limit) if began.elapsed() >= limit => return,
            Until::Time(_) => &jobs[n % jobs.len()],
            Until::Done if n >= jobs.len() => return,
            Until::Done => &jobs[n],
        };
        let sent = Instant::now();
        let result = caller.call(job);
        seen.note(result, sent.elapsed());
    };
    run(address, buyers, jobs, began, buyer)
}

/// Requests that are due `rate` times a second, at random times, for `length`, over so many connections.
///
/// # Errors
///
/// When not one request got a good answer: with the reason of the first.
pub(crate) fn open(
    address: SocketAddr,
    connections: usize,
    jobs: &[Job],
    (rate, length): (f64, Duration),
    seed: u64,
) -> Result<Seen> {
    let due = arrivals(rate, length, seed);
    let next = AtomicUsize::new(0);
    // Before the first request is due, all are connected.
    let began = Instant::now() + CONNECTING;
    let connection = |seen: &mut Seen, caller: &mut Caller| loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let Some(due) = due.get(n).map(|due| began + *due) else {
            return;
        };
        // What fails here fails again with the request, and counts there.
        let _ = caller.connect();
        wait_until(due);
        let result = caller.call(&jobs[n % jobs.len()]);
        // Not since it was sent: since it should have been.
        seen.note(result, due.elapsed());
    };
    run(address, connections, jobs, began, connection)
}

/// The times of a Poisson process.
pub(crate) fn arrivals(rate: f64, length: Duration, seed: u64) -> Vec<Duration> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut at = 0.0;
    let mut times = Vec::new();
    loop {
        // 0 < u ≤ 1, so that the logarithm is finite.
        let u: f64 = 1.0 - rng.random::<f64>();
        at -= u.ln() / rate;
        if at >= length.as_secs_f64() {
            return times;
        }
        times.push(Duration::from_secs_f64(at));
    }
}

/// Asks the kernel to wake this thread when it is due, and not up to 50 µs later (PR_SET_TIMERSLACK).
fn exact_timers() {
    #[cfg(target_os = "linux")]
    {
        // Otherwise latencies are a little longer.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

fn wait_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()) {
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

/// Runs `work` on so many threads, each with a connection of its own.
fn run(
    address: SocketAddr,
    threads: usize,
    jobs: &[Job],
    began: Instant,
    work: impl Fn(&mut Seen, &mut Caller) + Sync,
) -> Result<Seen> {
    if jobs.is_empty() {
        bail!("there is nothing to ask");
    }
    let total = Mutex::new(Seen::new()?);
    let each = || -> Result<()> {
        exact_timers();
        let (mut seen, mut caller) = (Seen::new()?, Caller::new(address));
        work(&mut seen, &mut caller);
        (seen.sent, seen.received) = (caller.sent, caller.received);
        total
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&seen)
    };
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<()>>| {
            thread.join().unwrap_or_else(|_| bail!("a buyer panicked"))
        };
        threads.into_iter().map(join).collect()
    });
    results.into_iter().collect::<Result<()>>()?;
    let mut seen = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.seconds = began.elapsed().as_secs_f64();
    if seen.requests == seen.errors {
        let why = seen.first_error.as_deref().unwrap_or("nothing was asked");
        bail!("not one good answer: {why}");
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    use super::*;
    use crate::http::Request;

    /// A server that answers each request, and pauses before the answer of the `slow`th.
    fn server(slow: usize, pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            for n in 0.. {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(_) if n == slow => wait_until(Instant::now() + pause),
                    Ok(_) => {}
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer).unwrap();
            }
        });
        address
    }

    fn jobs() -> Vec<Job> {
        vec![Job::Rest(Request::new("GET", "/", None, None), 200)]
    }

    #[test]
    fn a_pause_counts_for_each_request_that_it_delays() {
        // 200 requests in a second; the fifth answer takes 0.4 s, so about 80 are late.
        let address = server(5, Duration::from_millis(400));
        let (rate, length) = (200.0, Duration::from_secs(1));
        let seen = open(address, 1, &jobs(), (rate, length), 7).unwrap();
        assert_eq!(seen.errors, 0);
        assert_eq!(seen.requests as usize, arrivals(rate, length, 7).len());
        let late = seen.latency.count_between(20_000, MAX_US);
        assert!(late > 30, "{late} late requests of {}", seen.requests);
    }

    #[test]
    fn a_closed_loop_sends_each_job_once() {
        let address = server(usize::MAX, Duration::ZERO);
        let jobs: Vec<Job> = (0..25).flat_map(|_| jobs()).collect();
        let seen = closed(address, 1, &jobs, Until::Done).unwrap();
        assert_eq!((seen.requests, seen.errors), (25, 0));
        assert!(seen.sent > 0 && seen.received > 0);
        let wrong = vec![Job::Rest(Request::new("GET", "/", None, None), 201)];
        let error = closed(server(9, Duration::ZERO), 1, &wrong, Until::Done);
        assert!(error.unwrap_err().to_string().contains("status 200"));
    }

    #[test]
    fn arrivals_have_their_rate_and_their_seed() {
        let times = arrivals(100.0, Duration::from_secs(100), 1);
        assert!((9_500..10_500).contains(&times.len()), "{}", times.len());
        assert_eq!(times, arrivals(100.0, Duration::from_secs(100), 1));
        assert_ne!(times, arrivals(100.0, Duration::from_secs(100), 2));
        assert!(times.is_sorted());
    }
}
