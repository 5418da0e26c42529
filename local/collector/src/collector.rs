//! Takes lines: counts their spans, and keeps them.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use zerocart_telemetry::{Recorder, Resource};

use crate::{
    forward::Queue,
    line::{Part, Reader},
    list::{self, Filter, Summary},
    metrics::Metrics,
    ring::{Ring, Segment, document},
};

/// What the engine's own parts may write before somebody reads it.
const MAX_PENDING_BYTES: usize = 64 * 1024;

/// The bounds of the ring.
#[derive(Clone, Debug)]
pub struct Options {
    /// The memory for the newest traces.
    pub ring_bytes: usize,
    /// How long they are kept.
    pub max_age: Duration,
}

impl Default for Options {
    /// 32 MiB, and an hour.
    fn default() -> Self {
        Self {
            ring_bytes: 32 << 20,
            max_age: Duration::from_secs(3600),
        }
    }
}

/// The collector. Clones are the same one.
#[derive(Clone)]
pub struct Collector(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Lines of the engine's own parts that nobody has read yet. A request there must not wait.
    pending: Mutex<Vec<u8>>,
    own: Mutex<Reader>,
    /// Told when spans wait that make a batch.
    pub(crate) batch: Notify,
}

pub(crate) struct State {
    pub(crate) metrics: Metrics,
    ring: Ring,
    /// What waits for the receiver, if there is one.
    pub(crate) queue: Option<Queue>,
}

impl Collector {
    /// A collector that has nothing yet.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let ring = Ring::new(options.ring_bytes, options.max_age, Instant::now());
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                metrics: Metrics::new(),
                ring,
                queue: None,
            }),
            pending: Mutex::default(),
            own: Mutex::new(Reader::new()),
            batch: Notify::new(),
        }))
    }

    /// Takes the lines of one process.
    #[must_use]
    pub fn source(&self) -> Source {
        Source {
            collector: self.clone(),
            reader: Reader::new(),
        }
    }

    /// Records the spans of a part of the engine, or of a function in its process.
    #[must_use]
    pub fn recorder(&self, service: &str, version: &str) -> Recorder {
        let collector = self.clone();
        Recorder::new(&Resource::new(service, version), move |lines: &[u8]| {
            let mut pending = lock(&collector.0.pending);
            pending.extend_from_slice(lines);
            let full = pending.len() >= MAX_PENDING_BYTES;
            drop(pending);
            if full {
                collector.read_pending();
            }
        })
    }

    fn read_pending(&self) {
        let lines = std::mem::take(&mut *lock(&self.0.pending));
        if !lines.is_empty() {
            self.take(&mut lock(&self.0.own), &lines);
        }
    }

    fn take(&self, reader: &mut Reader, lines: &[u8]) {
        let now = Instant::now();
        let mut state = self.state();
        let mut begin = 0;
        while begin < lines.len() {
            let rest = &lines[begin..];
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            state.take(reader, &rest[..end], now);
            begin += end + 1;
        }
        state.ring.expire(now);
        let batch = state.queue.as_ref().is_some_and(Queue::has_batch);
        drop(state);
        if batch {
            self.0.batch.notify_one();
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// Resolves when spans wait that make a batch.
    pub(crate) async fn batch(&self) {
        self.0.batch.notified().await;
    }

    /// The state, in which all has been read that came until now.
    pub(crate) fn current(&self) -> MutexGuard<'_, State> {
        self.read_pending();
        let mut state = self.state();
        state.ring.expire(Instant::now());
        state
    }

    /// All metrics in the OpenMetrics text format, without its last line `# EOF`.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let state = self.current();
        state.metrics.ring(state.ring.bytes(), state.ring.len());
        state.metrics.text()
    }

    /// The present values of a counter or gauge that is derived from spans, each with the values of its labels, in
    /// their order. Empty for another metric.
    #[must_use]
    pub fn values(&self, metric: &str) -> Vec<(Vec<String>, f64)> {
        self.current().metrics.values(metric)
    }

    fn snapshot(&self) -> Vec<Arc<Segment>> {
        self.current().ring.snapshot()
    }

    /// The spans of a trace as OTLP JSON; `None` if there are none.
    #[must_use]
    pub fn trace(&self, id: u128) -> Option<Vec<u8>> {
        self.export(&[id])
    }

    /// The newest traces that the filter lets pass, newest first.
    #[must_use]
    pub fn traces(&self, filter: &Filter) -> Vec<Summary> {
        list::list(&self.snapshot(), filter)
    }

    /// The spans of those traces as OTLP JSON.
    #[must_use]
    pub fn export_traces(&self, filter: &Filter) -> Vec<u8> {
        let ids = self.traces(filter).into_iter();
        let ids: Vec<_> = ids
            .filter_map(|trace| u128::from_str_radix(&trace.trace_id, 16).ok())
            .collect();
        self.export(&ids)
            .unwrap_or_else(|| document(std::iter::empty()))
    }

    fn export(&self, ids: &[u128]) -> Option<Vec<u8>> {
        let segments = self.snapshot();
        let spans = segments.iter().flat_map(|segment| segment.spans());
        let spans = spans.filter(|(trace, ..)| ids.contains(trace));
        let mut spans = spans.map(|(_, resource, raw)| (resource, raw)).peekable();
        spans.peek()?;
        Some(document(spans))
    }
}

impl State {
    fn take(&mut self, reader: &mut Reader, line: &[u8], now: Instant) {
        let Some(parts) = reader.read(line) else {
            self.metrics.bad_line();
            return;
        };
        // Of a call that its caller does not sample, one span is written for the counters alone, unless the
        // call is worth keeping.
        let wanted =
            |part: &Part<'_>| part.span.is_sampled() || part.span.failed || part.span.is_cold();
        let kept = parts.len() > 1 || parts.iter().any(wanted);
        for part in &parts {
            let service = part.resource.service.as_str();
            self.metrics.count(service, &part.span, kept);
            if kept {
                self.ring
                    .push(part.span.trace, &part.resource, part.raw, now);
                if let Some(queue) = &mut self.queue {
                    queue.push(part.span.trace, &part.resource, part.raw, now);
                }
            }
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

/// The lines of one process.
#[derive(Debug)]
pub struct Source {
    collector: Collector,
    reader: Reader,
}

impl Source {
    /// Takes whole lines.
    pub fn take(&mut self, lines: &[u8]) {
        self.collector.take(&mut self.reader, lines);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
