//! Counters and histograms, derived from spans.

use std::{
    collections::HashMap,
    time::{Duration, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, text::encode_registry},
    metrics::{
        MetricType, TypedMetric, counter::Counter, exemplar::HistogramWithExemplars,
        family::Family, gauge::Gauge,
    },
    registry::{Registry, Unit},
};

use crate::{
    fields::Key,
    span::{CLIENT, SERVER, Span},
};

/// Bounds of durations, in seconds: from a statement that is found in memory to the limit of an order.
const BUCKETS: [f64; 17] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// The phases of a start, by the names of their spans: those of the activator, and those of the function.
const PHASES: [&str; 6] = [
    "queued",
    "spawn process",
    "wait until ready",
    "process start",
    "listen",
    "first database session",
];

/// The values of labels come from our own code, so they are few. If they were not, further ones would be
/// `other`.
const MAX_SERIES: usize = 2000;

/// Durations from here on are rare, and each may be an exemplar. Of the others, one a second is.
const SLOW: Duration = Duration::from_millis(100);

type Labels = Vec<(&'static str, String)>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Exemplar {
    trace_id: String,
}

type Histogram = HistogramWithExemplars<Exemplar>;

/// The series of a metric, found by the values of their labels without making any.
#[derive(Debug)]
struct Series<M> {
    labels: &'static [&'static str],
    family: Family<Labels, M, fn() -> M>,
    known: HashMap<Vec<u8>, usize>,
    metrics: Vec<M>,
    key: Vec<u8>,
}

impl<M: Clone> Series<M> {
    fn new(labels: &'static [&'static str], make: fn() -> M) -> Self {
        Self {
            labels,
            family: Family::new_with_constructor(make),
            known: HashMap::new(),
            metrics: Vec::new(),
            key: Vec::new(),
        }
    }

    fn of(&mut self, values: &[&str]) -> &M {
        self.key.clear();
        for value in values {
            self.key.extend_from_slice(value.as_bytes());
            // In no text.
            self.key.push(0xff);
        }
        let place = match self.known.get(&self.key) {
            Some(place) => *place,
            None => self.add(values),
        };
        &self.metrics[place]
    }

    fn add(&mut self, values: &[&str]) -> usize {
        let room = self.known.len() < MAX_SERIES;
        let key = if room {
            self.key.clone()
        } else {
            b"other".to_vec()
        };
        let value = |value: &&str| {
            if room {
                (*value).to_owned()
            } else {
                "other".into()
            }
        };
        let labels = self.labels.iter().copied().zip(values.iter().map(value));
        let metric = self.family.get_or_create_owned(&labels.collect());
        // The series of all others is made once.
        *self.known.entry(key).or_insert_with(|| {
            self.metrics.push(metric);
            self.metrics.len() - 1
        })
    }
}

/// A histogram, and the second of its last exemplar.
#[derive(Clone, Debug)]
struct Durations {
    histogram: Histogram,
    second: Gauge,
}

impl Durations {
    fn new() -> Self {
        Self {
            histogram: Histogram::new(BUCKETS.into_iter()),
            second: Gauge::default(),
        }
    }

    /// `kept`: the trace can be looked at.
    fn observe(&self, span: &Span<'_>, kept: bool) {
        let end = Duration::from_nanos(span.end_ns);
        let second = i64::try_from(end.as_secs()).unwrap_or_default();
        let seconds = span.seconds();
        let slow = seconds >= SLOW.as_secs_f64();
        let exemplar = (kept && (slow || self.second.get() != second)).then(|| {
            self.second.set(second);
            Exemplar {
                trace_id: format!("{:032x}", span.trace),
            }
        });
        let at = exemplar.is_some().then(|| UNIX_EPOCH + end);
        self.histogram.observe(seconds, exemplar, at);
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Durations {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.histogram.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.histogram.metric_type()
    }
}

type Counters = Series<Counter>;
type Histograms = Series<Durations>;

/// All metrics of the collector.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Counters,
    call_duration: Histograms,
    cold_starts: Counters,
    phases: Histograms,
    attempts: Counters,
    attempt_duration: Histograms,
    retries: Counters,
    statements: Counters,
    statement_duration: Histograms,
    session_wait: Histograms,
    steps: Counters,
    orders: Counters,
    replies: Counters,
    reply_duration: Histograms,
    jobs: Counters,
    job_duration: Histograms,
    spans: Counter,
    bad_lines: Counter,
    ring_bytes: Gauge,
    ring_spans: Gauge,
    /// Spans that a receiver took.
    pub(crate) forwarded: Counter,
    /// Spans that no receiver took.
    pub(crate) dropped: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("zerocart");
        // The encoder appends `_total` to a counter's name, the unit to a histogram's, and a full stop to help.
        let mut count = |name: &str, help: &str, labels| {
            let series = Counters::new(labels, Counter::default);
            registry.register(name, help, series.family.clone());
            series
        };
        let calls = count(
            "calls",
            "Calls of functions that were answered or given up",
            &["function", "protocol", "code"],
        );
        let cold_starts = count(
            "cold_starts",
            "Calls that a process had to start for",
            &["function"],
        );
        let attempts = count(
            "attempts",
            "Attempts of calls to other functions; error_type is empty for an answer",
            &["function", "callee", "error_type", "breaker_state"],
        );
        let retries = count(
            "retries",
            "Attempts that followed a failed one",
            &["function", "callee"],
        );
        let statements = count(
            "database_statements",
            "Statements, or several in one round trip; error_type is empty for success",
            &["function", "statement", "error_type"],
        );
        let steps = count("saga_steps", "Steps of orders", &["step", "outcome"]);
        let orders = count(
            "orders",
            "Orders that reached this status with nothing left to do",
            &["status", "cause"],
        );
        let replies = count(
            "payment_provider_replies",
            "Replies of the payment provider",
            &["operation", "reply"],
        );
        let jobs = count(
            "job_runs",
            "Runs of jobs; error_type is empty for success",
            &["job", "error_type"],
        );
        let mut measure = |name: &str, help: &str, labels| {
            let series = Histograms::new(labels, Durations::new);
            registry.register_with_unit(name, help, Unit::Seconds, series.family.clone());
            series
        };
        let call_duration = measure(
            "call_duration",
            "Duration of calls",
            &["function", "protocol"],
        );
        let phases = measure(
            "cold_start_phase_duration",
            "Duration of the phases of a start",
            &["function", "phase"],
        );
        let attempt_duration = measure(
            "attempt_duration",
            "Duration of attempts",
            &["function", "callee"],
        );
        let statement_duration = measure(
            "database_statement_duration",
            "Duration of statements",
            &["function", "statement"],
        );
        let session_wait = measure(
            "database_session_wait",
            "Time that calls waited for a session of the database, if they had to",
            &["function"],
        );
        let reply_duration = measure(
            "payment_provider_duration",
            "Duration of requests to the payment provider",
            &["operation"],
        );
        let job_duration = measure("job_duration", "Duration of runs of jobs", &["job"]);
        let mut own = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let spans = own("telemetry_spans", "Spans that were counted");
        let bad_lines = own(
            "telemetry_bad_lines",
            "Lines of telemetry that could not be read",
        );
        let forwarded = own(
            "telemetry_forwarded_spans",
            "Spans that the receiver of --otlp took",
        );
        let dropped = own("telemetry_dropped_spans", "Spans that were not forwarded");
        let (ring_bytes, ring_spans) = (Gauge::default(), Gauge::default());
        registry.register_with_unit(
            "telemetry_ring",
            "Memory of the kept spans",
            Unit::Bytes,
            ring_bytes.clone(),
        );
        registry.register(
            "telemetry_ring_spans",
            "Spans that are kept",
            ring_spans.clone(),
        );
        Self {
            registry,
            calls,
            call_duration,
            cold_starts,
            phases,
            attempts,
            attempt_duration,
            retries,
            statements,
            statement_duration,
            session_wait,
            steps,
            orders,
            replies,
            reply_duration,
            jobs,
            job_duration,
            spans,
            bad_lines,
            ring_bytes,
            ring_spans,
            forwarded,
            dropped,
        }
    }

    pub(crate) fn bad_line(&self) {
        self.bad_lines.inc();
    }

    /// Counts a span of this function, job or part of the engine. `started` is the function that it started, if
    /// it did. `kept`: the span can be looked at.
    pub(crate) fn count(&mut self, function: &str, started: &str, span: &Span<'_>, kept: bool) {
        self.spans.inc();
        let fields = &span.fields;
        let error = fields.text(Key::ErrorType);
        // A step that was given up has an error in the place of an outcome.
        let given_up = fields.get(Key::Step).is_some() && fields.get(Key::Order).is_none();
        if let Some(outcome) = fields.get(Key::Outcome).or(given_up.then_some(error)) {
            self.steps.of(&[&span.name, outcome]).inc();
        } else if let Some(statement) = fields.get(Key::Statement) {
            self.statements.of(&[function, statement, error]).inc();
            self.statement_duration
                .of(&[function, statement])
                .observe(span, kept);
        } else if let Some(code) = fields.get(Key::Code)
            && span.kind == SERVER
        {
            let protocol = fields.text(Key::Protocol);
            self.calls.of(&[function, protocol, code]).inc();
            self.call_duration
                .of(&[function, protocol])
                .observe(span, kept);
            if span.is_cold() {
                self.cold_starts.of(&[function]).inc();
            }
        } else if let Some(callee) = fields.get(Key::Callee)
            && fields.get(Key::Service).is_some()
            && span.kind == CLIENT
        {
            let breaker = fields.text(Key::Breaker);
            self.attempts.of(&[function, callee, error, breaker]).inc();
            self.attempt_duration
                .of(&[function, callee])
                .observe(span, kept);
            if fields.get(Key::Resend).is_some() {
                self.retries.of(&[function, callee]).inc();
            }
        } else if let Some(reply) = fields.get(Key::Reply) {
            let operation = fields.text(Key::Operation);
            self.replies.of(&[operation, reply]).inc();
            self.reply_duration.of(&[operation]).observe(span, kept);
        } else if let Some(status) = fields.get(Key::Order) {
            if fields.is(Key::Step, "ended") {
                self.orders.of(&[status, fields.text(Key::Cause)]).inc();
            }
        } else if fields.is(Key::Trigger, "timer") {
            self.jobs.of(&[function, error]).inc();
            self.job_duration.of(&[function]).observe(span, kept);
        } else if fields.get(Key::Database).is_some() {
            self.session_wait.of(&[function]).observe(span, kept);
        } else if PHASES.contains(&&*span.name) {
            self.phases.of(&[started, &span.name]).observe(span, kept);
        }
    }

    pub(crate) fn ring(&self, bytes: usize, spans: usize) {
        let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
        self.ring_bytes.set(number(bytes));
        self.ring_spans.set(number(spans));
    }

    /// All metrics in the OpenMetrics text format, without its end.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry).expect("a String takes all that is written");
        text
    }
}
