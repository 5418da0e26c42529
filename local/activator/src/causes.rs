//! Which starts a request from outside caused: in the function that it is for, and in those that functions call
//! for it. The answer tells them in the header `Server-Timing` (W3C, Server Timing).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::instance::Instance;
use crate::span::TRACEPARENT;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The requests from outside that are under way, by their traces. Clones share everything.
#[derive(Debug, Default, Clone)]
pub(crate) struct Causes(Arc<Mutex<HashMap<String, Arc<Cause>>>>);

/// A request from outside.
#[derive(Debug)]
pub(crate) struct Cause {
    came: Instant,
    starts: Mutex<Vec<Start>>,
}

#[derive(Debug)]
struct Start {
    function: String,
    took: Duration,
}

/// The record of a request from outside, until it is dropped.
#[derive(Debug)]
pub(crate) struct Recorded {
    causes: Causes,
    /// Absent without a trace, and where an earlier request of the same trace is still under way: calls of
    /// functions count for that one.
    trace: Option<String>,
    cause: Arc<Cause>,
}

impl Causes {
    /// A request with these headers has come from outside.
    pub(crate) fn begin(&self, headers: &HeaderMap) -> Recorded {
        let cause = Arc::new(Cause {
            came: Instant::now(),
            starts: Mutex::default(),
        });
        let trace = trace_of(headers).map(str::to_owned);
        let trace = trace.filter(|trace| match self.lock().entry(trace.clone()) {
            Entry::Vacant(place) => {
                place.insert(Arc::clone(&cause));
                true
            }
            Entry::Occupied(_) => false,
        });
        Recorded {
            causes: self.clone(),
            trace,
            cause,
        }
    }

    /// The request from outside for which a function makes a call with these headers.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Arc<Cause>> {
        self.lock().get(trace_of(headers)?).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Cause>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cause {
    /// The request, or a call for it, is given to `instance`. A start counts if the instance was not ready when
    /// the request came, for the first request that the instance is given.
    pub(crate) fn placed(&self, function: &str, instance: &Instance) {
        let Some((began, _, ready)) = instance.start_times() else {
            return;
        };
        if ready > self.came && instance.first_caused() {
            self.starts().push(Start {
                function: function.to_owned(),
                took: ready - began,
            });
        }
    }

    fn starts(&self) -> MutexGuard<'_, Vec<Start>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    pub(crate) fn cause(&self) -> Arc<Cause> {
        Arc::clone(&self.cause)
    }

    /// Tells the starts in the head of the answer; nothing if there was none.
    pub(crate) fn tell(self, answer: &mut HeaderMap) {
        let mut text = String::new();
        for Start { function, took } in self.cause.starts().drain(..) {
            let comma = if text.is_empty() { "" } else { ", " };
            let ms = took.as_secs_f64() * 1000.0;
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}cold-start;desc=\"{function}\";dur={ms:.1}");
        }
        if let Ok(value) = HeaderValue::try_from(text)
            && !value.is_empty()
        {
            answer.append(SERVER_TIMING, value);
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if let Some(trace) = &self.trace {
            self.causes.lock().remove(trace);
        }
    }
}

/// The trace id of a `traceparent`.
fn trace_of(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    value.split('-').nth(1).filter(|id| id.len() == 32)
}
