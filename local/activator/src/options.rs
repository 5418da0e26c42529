//! Times and limits that are the same for all functions.

use std::time::Duration;

use zerocart_telemetry::Recorder;

/// The activator's own settings. They come from the engine, and not from a function's manifest.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long an instance may take to become ready; past it, held requests get a 504.
    pub start_timeout: Duration,
    /// The pause between readiness probes (Knative: 50 ms).
    pub probe_interval: Duration,
    /// How long an instance may take to end after SIGTERM; past it, it is killed.
    pub stop_timeout: Duration,
    /// How long [`Activator::shutdown`](crate::Activator::shutdown) waits for requests in flight before it signals.
    pub drain_timeout: Duration,
    /// Requests of one function that are held at once; any more get a 503.
    pub max_held: usize,
    /// The time after a failed start in which its answer is repeated; doubled by each further
    /// failure.
    pub backoff: Duration,
    /// The longest such time.
    pub max_backoff: Duration,
    /// Where the activator's own spans go: that of each request, its wait, and the start of an instance that
    /// it waited for. Nowhere by default.
    pub recorder: Recorder,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(15),
            probe_interval: Duration::from_millis(10),
            stop_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            max_held: 1000,
            backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
            recorder: Recorder::default(),
        }
    }
}

impl Options {
    /// The back-off after a failure that follows `streak` other failures in a row.
    pub(crate) fn backoff_after(&self, streak: u32) -> Duration {
        let factor = 2_u32.saturating_pow(streak);
        self.backoff.saturating_mul(factor).min(self.max_backoff)
    }
}
