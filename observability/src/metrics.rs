//! The definition of all metrics.
//!
//! Most are derived from spans: each span to which all [conditions](Condition) of a metric apply adds a
//! [value](Value) to one of its series, which the [labels](Label) choose. Nothing else is asked for, so that
//! the collector of the local engine and a cluster's OpenTelemetry Collector derive the same series from the
//! same spans.

mod table;

pub use table::ALL;

/// The beginning of the name of every metric.
pub const PREFIX: &str = "zerocart";

/// The label of exemplars.
pub const EXEMPLAR_LABEL: &str = "trace_id";

/// Upper bounds of the buckets of durations, in seconds: from a statement that is found in memory to the limit
/// of an order.
pub const BUCKETS: [f64; 17] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name, without [`PREFIX`] and without what [`Metric::prometheus_name`] appends.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Unit,
    /// What it counts or measures, without a full stop.
    pub help: &'static str,
    /// Its labels, in order. A label whose sources a span does not have is empty.
    pub labels: &'static [Label],
    /// Where its values come from.
    pub source: Source,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls. Of values that are derived from spans, the newest counts.
    Gauge,
    /// A distribution, in [`BUCKETS`].
    Histogram,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The last part of the metric's name in Prometheus; empty for a number.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }

    /// The code of UCUM, as OpenTelemetry writes it; empty for a number.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "s",
            Self::Bytes => "By",
        }
    }
}

/// Where the values of a metric come from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// From spans.
    Spans {
        /// All of them apply to each span that is taken.
        conditions: &'static [Condition],
        /// What each span adds.
        value: Value,
    },
    /// The collector of the local engine counts its own work. An OpenTelemetry Collector has other names for
    /// that (`otelcol_…`).
    Collector,
    /// The local engine tells its present state when it is asked. On a cluster, Knative and an exporter of
    /// PostgreSQL have it, under other names.
    Engine,
}

/// A condition on a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The kind of the span.
    Kind(SpanKind),
    /// The span has this attribute.
    Has(&'static str),
    /// The span does not have this attribute.
    Lacks(&'static str),
    /// The attribute is this text.
    Is(&'static str, &'static str),
    /// The attribute is the boolean `true`.
    IsTrue(&'static str),
    /// The name of the span is one of these.
    Name(&'static [&'static str]),
}

/// The kind of a span, as a number in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that is answered.
    Server = 2,
    /// A request to another system.
    Client = 3,
}

/// What a span adds to a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// 1, for a counter.
    One,
    /// Its duration in seconds, for a histogram. The trace's id is an exemplar.
    Duration,
    /// The number that this attribute holds, for a gauge.
    Attribute(&'static str),
    /// The place of the attribute's text among these texts, counted from 0, for a gauge.
    Place(&'static str, &'static [&'static str]),
}

/// A label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Where its value comes from: the first of these that the span has. None for a metric that is not derived
    /// from spans.
    pub from: &'static [Field],
}

/// What a label takes from a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `service.name` of the resource: the function or job.
    Service,
    /// The name of the span.
    Name,
    /// The value of this attribute. It is a text.
    Attribute(&'static str),
}

impl Metric {
    /// The name in Prometheus: with the unit, and with `_total` for a counter. A histogram's series end with
    /// `_bucket`, `_sum` and `_count` instead.
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let mut name = format!("{PREFIX}_{}", self.name);
        if self.unit != Unit::None {
            name = format!("{name}_{}", self.unit.suffix());
        }
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }

    /// The name in OpenTelemetry. With the unit ([`Unit::ucum`]), an exporter for Prometheus makes
    /// [`Metric::prometheus_name`] of it.
    #[must_use]
    pub fn opentelemetry_name(&self) -> String {
        format!("{PREFIX}.{}", self.name)
    }

    /// The attributes of spans that the metric needs.
    pub fn attributes(&self) -> impl Iterator<Item = &'static str> {
        let (conditions, value) = match self.source {
            Source::Spans { conditions, value } => (conditions, Some(value)),
            Source::Collector | Source::Engine => (&[][..], None),
        };
        let of_conditions = conditions.iter().filter_map(|condition| match condition {
            Condition::Has(name)
            | Condition::Lacks(name)
            | Condition::Is(name, _)
            | Condition::IsTrue(name) => Some(*name),
            Condition::Kind(_) | Condition::Name(_) => None,
        });
        let of_value = value.and_then(|value| match value {
            Value::Attribute(name) | Value::Place(name, _) => Some(name),
            Value::One | Value::Duration => None,
        });
        let fields = self.labels.iter().flat_map(|label| label.from);
        let of_labels = fields.filter_map(|field| match field {
            Field::Attribute(name) => Some(*name),
            Field::Service | Field::Name => None,
        });
        of_conditions.chain(of_value).chain(of_labels)
    }
}

/// The metric of this name in Prometheus, or of this series of a histogram.
#[must_use]
pub fn find(prometheus_name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| {
        let name = metric.prometheus_name();
        let rest = prometheus_name.strip_prefix(&name);
        rest.is_some_and(|rest| match metric.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"].contains(&rest),
            Kind::Counter | Kind::Gauge => rest.is_empty(),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_different_and_keep_the_rules_of_prometheus() {
        let names: BTreeSet<_> = ALL.iter().map(Metric::prometheus_name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let lower = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let labels = metric.labels.iter().map(|label| label.name);
            assert!(labels.chain([metric.name]).all(lower), "{metric:?}");
            assert!(!metric.help.ends_with('.'), "{metric:?}");
            assert!(!metric.labels.iter().any(|l| l.name == "le"), "{metric:?}");
        }
        assert_eq!(find("zerocart_calls_total").unwrap().name, "calls");
        let duration = find("zerocart_call_duration_seconds_bucket").unwrap();
        assert_eq!(duration.name, "call_duration");
        assert!(find("zerocart_call_duration_seconds").is_none());
    }

    #[test]
    fn values_fit_their_kinds() {
        for metric in ALL {
            let from_spans = match metric.source {
                Source::Spans { conditions, value } => {
                    assert!(!conditions.is_empty(), "{metric:?}");
                    let fits = match metric.kind {
                        Kind::Counter => value == Value::One,
                        Kind::Histogram => value == Value::Duration && metric.unit == Unit::Seconds,
                        Kind::Gauge => {
                            matches!(value, Value::Attribute(_) | Value::Place(..))
                        }
                    };
                    assert!(fits, "{metric:?}");
                    true
                }
                Source::Collector | Source::Engine => false,
            };
            for label in metric.labels {
                assert_eq!(!label.from.is_empty(), from_spans, "{metric:?}");
            }
        }
    }
}
