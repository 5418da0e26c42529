//! The series of a metric.

use std::{
    collections::HashMap,
    fmt,
    sync::atomic::AtomicU64,
    time::{Duration, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{
        MetricType, TypedMetric, counter::Counter, exemplar::HistogramWithExemplars,
        family::Family, gauge,
    },
};
use zerocart_observability::metrics::{BUCKETS, Kind};

use crate::span::Span;

/// The values of labels come from our own code, so they are few. If they were not, further ones would be
/// `other`.
const MAX_SERIES: usize = 2000;

/// Durations from here on are rare, and each may be an exemplar. Of the others, one a second is.
const SLOW: Duration = Duration::from_millis(100);

type Labels = Vec<(&'static str, String)>;
type Gauge = gauge::Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Exemplar {
    trace_id: String,
}

type Histogram = HistogramWithExemplars<Exemplar>;

/// What a series gets.
pub(super) enum Value<'s> {
    Number(f64),
    /// `kept`: its trace can be looked at.
    Span {
        span: &'s Span<'s>,
        kept: bool,
    },
}

/// The series of a metric.
#[derive(Debug)]
pub(super) enum Series {
    Counter(Known<Counter>),
    Gauge(Known<Gauge>),
    Histogram(Known<Durations>),
}

impl Series {
    pub(super) fn new(kind: Kind, labels: Vec<&'static str>) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Known::new(labels, Counter::default)),
            Kind::Gauge => Self::Gauge(Known::new(labels, Gauge::default)),
            Kind::Histogram => Self::Histogram(Known::new(labels, Durations::new)),
        }
    }

    /// Counts, sets or measures, in the series of these labels.
    pub(super) fn take(&mut self, labels: &[&str], value: Value<'_>) {
        match (self, value) {
            (Self::Counter(series), _) => {
                series.of(labels).inc();
            }
            (Self::Gauge(series), Value::Number(number)) => {
                series.of(labels).set(number);
            }
            (Self::Histogram(series), Value::Span { span, kept }) => {
                series.of(labels).observe(span, kept);
            }
            // A gauge whose attribute is no number says nothing.
            (Self::Gauge(_), Value::Span { .. }) | (Self::Histogram(_), Value::Number(_)) => {}
        }
    }
}

impl Series {
    /// The values of labels, and the present number of each series; none of a histogram.
    pub(super) fn values(&self) -> Vec<(Vec<String>, f64)> {
        match self {
            // A counter counts in whole numbers, which are exact up to 2^53.
            Self::Counter(series) => series.values(|counter| counter.get() as f64),
            Self::Gauge(series) => series.values(Gauge::get),
            Self::Histogram(_) => Vec::new(),
        }
    }
}

/// The series of a metric, found by the values of their labels without making any.
pub(super) struct Known<M> {
    labels: Vec<&'static str>,
    pub(super) family: Family<Labels, M, fn() -> M>,
    places: HashMap<Vec<u8>, usize>,
    metrics: Vec<M>,
    key: Vec<u8>,
}

impl<M> fmt::Debug for Known<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("labels", &self.labels)
            .field("series", &self.metrics.len())
            .finish_non_exhaustive()
    }
}

impl<M: Clone> Known<M> {
    fn new(labels: Vec<&'static str>, make: fn() -> M) -> Self {
        Self {
            labels,
            family: Family::new_with_constructor(make),
            places: HashMap::new(),
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
        let place = match self.places.get(&self.key) {
            Some(place) => *place,
            None => self.add(values),
        };
        &self.metrics[place]
    }

    fn values(&self, number: impl Fn(&M) -> f64) -> Vec<(Vec<String>, f64)> {
        let of_place = |(key, place): (&Vec<u8>, &usize)| {
            // The mark is behind each value.
            let values = key.strip_suffix(&[0xff]).unwrap_or(key);
            let values = values.split(|byte| *byte == 0xff);
            let values = values.map(|value| String::from_utf8_lossy(value).into_owned());
            (values.collect(), number(&self.metrics[*place]))
        };
        self.places.iter().map(of_place).collect()
    }

    fn add(&mut self, values: &[&str]) -> usize {
        let room = self.places.len() < MAX_SERIES;
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
        *self.places.entry(key).or_insert_with(|| {
            self.metrics.push(metric);
            self.metrics.len() - 1
        })
    }
}

/// A histogram, and the second of its last exemplar.
#[derive(Clone, Debug)]
pub(super) struct Durations {
    histogram: Histogram,
    second: gauge::Gauge,
}

impl Durations {
    fn new() -> Self {
        Self {
            histogram: Histogram::new(BUCKETS.into_iter()),
            second: gauge::Gauge::default(),
        }
    }

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
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.histogram.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.histogram.metric_type()
    }
}
