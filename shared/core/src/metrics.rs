//! A function's metrics, in the Prometheus text format at `/metrics`.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// The labels of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    protocol: &'static str,
    code: &'static str,
}

/// Upper bounds of the duration buckets, in seconds: from a warm read to the longest limit.
const DURATION_BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0,
];

/// The metrics of one function or job. Clones share the counters.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<std::sync::Mutex<Registry>>,
    calls: Family<Labels, Counter>,
    duration: Histogram,
    in_flight: Gauge,
    cold_starts: Counter,
}

impl Metrics {
    /// Metrics whose label `function` is the name of the function or job, such as `create-user`.
    pub fn new(function: &'static str) -> Self {
        let mut registry =
            Registry::with_labels([("function".into(), function.into())].into_iter());
        let calls = Family::default();
        let duration = Histogram::new(DURATION_BUCKETS);
        let in_flight = Gauge::default();
        let cold_starts = Counter::default();
        registry.register(
            "zerocart_calls",
            "Calls answered, by protocol and code",
            calls.clone(),
        );
        registry.register(
            "zerocart_call_duration_seconds",
            "Time from the head of a request to its answer",
            duration.clone(),
        );
        registry.register(
            "zerocart_calls_in_flight",
            "Calls being answered",
            in_flight.clone(),
        );
        registry.register(
            "zerocart_cold_starts",
            "First calls that this process answered: 1 at the most",
            cold_starts.clone(),
        );
        Self {
            registry: Arc::new(std::sync::Mutex::new(registry)),
            calls,
            duration,
            in_flight,
            cold_starts,
        }
    }

    /// Registers further metrics of the function, such as the state of a circuit breaker.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.lock());
    }

    /// Counts a call that begins as in flight, until the guard that this returns is dropped.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts a call that was answered, or that its client gave up. `protocol` is `json` or `grpc`, and
    /// `code` is the name of the gRPC status, such as `NOT_FOUND`. `took` is its duration. `cold` is true
    /// for the first call of the process.
    pub fn answered(&self, protocol: &'static str, code: &'static str, took: Duration, cold: bool) {
        self.calls.get_or_create(&Labels { protocol, code }).inc();
        self.duration.observe(took.as_secs_f64());
        if cold {
            self.cold_starts.inc();
        }
    }

    /// All metrics in the Prometheus text format, as `GET /metrics` answers them.
    ///
    /// # Errors
    ///
    /// If a metric cannot be written as text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.lock())?;
        Ok(out)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The guard of [`Metrics::begin`]: its call counts as in flight until the guard is dropped.
#[derive(Debug)]
#[must_use]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
