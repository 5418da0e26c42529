//! Counters, gauges and histograms, derived from spans as the table of all metrics says.

mod rule;
mod series;

use std::collections::HashMap;

use prometheus_client::{
    encoding::text::encode_registry,
    metrics::{counter::Counter, gauge::Gauge},
    registry::{self, Registry},
};
use zerocart_observability::metrics::{ALL, Kind, Metric, PREFIX, Source, Unit};

use crate::span::Span;
use rule::{Rule, labels, value};
use series::{Series, Value};

/// The most labels of a metric.
const MAX_LABELS: usize = 8;

/// All metrics of the collector.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// What each span is compared with.
    rules: Vec<Rule>,
    /// What the rules name.
    derived: Vec<Derived>,
    spans: Counter,
    bad_lines: Counter,
    ring_bytes: Gauge,
    ring_spans: Gauge,
    /// Spans that a receiver took.
    pub(crate) forwarded: Counter,
    /// Spans that no receiver took.
    pub(crate) dropped: Counter,
}

/// A metric that is derived from spans.
#[derive(Debug)]
struct Derived {
    name: &'static str,
    labels: Vec<Vec<rule::Field>>,
    value: rule::Value,
    series: Series,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let (mut counters, mut gauges) = (HashMap::new(), HashMap::new());
        let mut rules: Vec<Rule> = Vec::new();
        let mut derived = Vec::new();
        for metric in ALL {
            match (metric.source, metric.kind) {
                (Source::Engine, _) => {}
                (Source::Collector, Kind::Counter) => {
                    let counter = Counter::default();
                    register(&mut registry, metric, counter.clone());
                    counters.insert(metric.name, counter);
                }
                (Source::Collector, _) => {
                    let gauge = Gauge::default();
                    register(&mut registry, metric, gauge.clone());
                    gauges.insert(metric.name, gauge);
                }
                (
                    Source::Spans {
                        conditions,
                        value: of,
                    },
                    kind,
                ) => {
                    let names = metric.labels.iter().map(|label| label.name).collect();
                    let series = Series::new(kind, names);
                    match &series {
                        Series::Counter(of) => {
                            register(&mut registry, metric, of.family.clone());
                        }
                        Series::Gauge(of) => register(&mut registry, metric, of.family.clone()),
                        Series::Histogram(of) => {
                            register(&mut registry, metric, of.family.clone());
                        }
                    }
                    // Several metrics take the same spans.
                    match rules.iter_mut().find(|rule| rule.conditions == conditions) {
                        Some(rule) => rule.metrics.push(derived.len()),
                        None => rules.push(Rule::new(conditions, derived.len())),
                    }
                    derived.push(Derived {
                        name: metric.name,
                        labels: labels(metric.labels),
                        value: value(of),
                        series,
                    });
                }
            }
        }
        let mut counter = |name| {
            counters
                .remove(name)
                .expect("the table has its own counters")
        };
        let mut gauge = |name| gauges.remove(name).expect("the table has its own gauges");
        Self {
            registry,
            rules,
            derived,
            spans: counter("telemetry_spans"),
            bad_lines: counter("telemetry_bad_lines"),
            forwarded: counter("telemetry_forwarded_spans"),
            dropped: counter("telemetry_dropped_spans"),
            ring_bytes: gauge("telemetry_ring"),
            ring_spans: gauge("telemetry_ring_spans"),
        }
    }

    pub(crate) fn bad_line(&self) {
        self.bad_lines.inc();
    }

    /// Counts a span of this function, job or part of the engine. `kept`: the span can be looked at.
    pub(crate) fn count(&mut self, service: &str, span: &Span<'_>, kept: bool) {
        self.spans.inc();
        for rule in self.rules.iter().filter(|rule| rule.takes(span)) {
            for place in &rule.metrics {
                let Derived {
                    labels,
                    value,
                    series,
                    ..
                } = &mut self.derived[*place];
                let mut values = [""; MAX_LABELS];
                let values = &mut values[..labels.len()];
                for (value, fields) in values.iter_mut().zip(labels) {
                    *value = rule::text(fields, service, span);
                }
                match value.of(span) {
                    Some(number) => series.take(values, Value::Number(number)),
                    None => series.take(values, Value::Span { span, kept }),
                }
            }
        }
    }

    pub(crate) fn ring(&self, bytes: usize, spans: usize) {
        let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
        self.ring_bytes.set(number(bytes));
        self.ring_spans.set(number(spans));
    }

    /// The present values of a counter or gauge, each with the values of its labels.
    pub(crate) fn values(&self, metric: &str) -> Vec<(Vec<String>, f64)> {
        let derived = self.derived.iter().find(|derived| derived.name == metric);
        derived.map_or_else(Vec::new, |derived| derived.series.values())
    }

    /// All metrics in the OpenMetrics text format, without its end.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry).expect("a String takes all that is written");
        text
    }
}

/// The encoder appends the unit and `_total` to the name, and a full stop to the help.
fn register(registry: &mut Registry, metric: &Metric, of: impl registry::Metric) {
    let unit = match metric.unit {
        Unit::None => return registry.register(metric.name, metric.help, of),
        Unit::Seconds => registry::Unit::Seconds,
        Unit::Bytes => registry::Unit::Bytes,
    };
    registry.register_with_unit(metric.name, metric.help, unit, of);
}
