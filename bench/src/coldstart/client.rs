//! The client whose time is measured: one connection for each request, opened within that time.

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

use crate::{
    cases::Case,
    http::{Answer, Request, exchange},
};

/// After this time a request without an answer is a failure. Knative gives up earlier.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address, and the name under which it is asked.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    pub(super) host: String,
}

/// A request that was answered, or not.
#[derive(Debug)]
pub(super) struct Asked {
    /// Who was asked.
    pub(super) address: SocketAddr,
    /// When the client began, in nanoseconds since 1970.
    pub(super) from_ns: u64,
    /// From the begin, before the connection is opened, to the last byte of the answer.
    pub(super) took_ms: f64,
    /// 32 hexadecimal digits.
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) answer: Result<Answer>,
}

/// Sends a request, as a new client does.
pub(super) fn ask(place: &Place, case: &Case) -> Asked {
    let (trace_id, span_id) = (
        rand::random_range(1..=u128::MAX),
        rand::random_range(1..=u64::MAX),
    );
    let (trace_id, span_id) = (format!("{trace_id:032x}"), format!("{span_id:016x}"));
    let traceparent = format!("00-{trace_id}-{span_id}-01");
    let request = Request::to(&place.host, &[("traceparent", &traceparent)], case);
    let from_ns = now_ns();
    let began = Instant::now();
    let answer = send(place.address, &request);
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    let answer = answer.and_then(|answer| answer.with_status(case.status));
    Asked {
        address: place.address,
        from_ns,
        took_ms,
        trace_id,
        span_id,
        answer,
    }
}

/// Nanoseconds since 1970.
pub(super) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

fn send(address: SocketAddr, request: &Request) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    exchange(&mut stream, request)
}

/// Sends requests at the same time.
pub(super) fn ask_all(requests: Vec<(Place, Case)>) -> Vec<Asked> {
    std::thread::scope(|scope| {
        let asking: Vec<_> = requests
            .iter()
            .map(|(place, case)| scope.spawn(move || ask(place, case)))
            .collect();
        let asked = asking.into_iter().filter_map(|thread| thread.join().ok());
        asked.collect()
    })
}
