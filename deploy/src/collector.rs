//! `observability/collector.yaml`: what the OpenTelemetry Collector of a cluster does with the lines of the
//! functions. The metrics come from the table that the collector of the local engine counts by, so both have
//! the same names and labels.
//!
//! Counters and gauges are made by the connector signal_to_metrics. It adds up what one batch of spans has, and
//! delta_to_cumulative adds the batches up. Durations are made by span_metrics, because it gives histograms
//! their exemplars. span_metrics makes one histogram of all spans. Its label `measure` says to which metric a
//! series belongs, and the histogram is divided by it.

mod statements;

use std::{collections::BTreeSet, fmt::Write as _};

use zerocart_observability::metrics::{self, ALL, Kind, Label, Metric, Source, Value};

use crate::{Output, Unit, text::head};
use statements::Labels;

/// The histogram that span_metrics makes of all spans, and its counter beside it.
const ALL_DURATIONS: &str = "spans.duration";
const ALL_CALLS: &str = "spans.calls";

/// The label of a series of [`ALL_DURATIONS`] with the name of its metric.
const MEASURE: &str = "measure";

/// `observability/collector.yaml`.
pub fn render() -> Output {
    let labels = Labels::of(counted().map(|(metric, ..)| metric));
    let text = TEMPLATE
        .replace("{head}", &head("#", "observability/src/metrics"))
        .replace("{dropped}", &statements::unwanted())
        .replace("{label_spans}", &list(10, &label_spans(&labels)))
        .replace("{counters}", &counters(&labels))
        .replace("{buckets}", &buckets())
        .replace("{dimensions}", &dimensions())
        .replace("{divide}", &list(10, &divide()))
        .replace("{drop_metrics}", &list(8, &drop_metrics()))
        .replace("{drop_series}", &list(8, &drop_series()))
        .replace("{rename}", &list(10, &rename(&labels)));
    Output::file("observability/collector.yaml", text)
}

/// `observability/lambda.yaml`: where the lines are on AWS Lambda.
pub fn lambda(units: &[Unit]) -> Output {
    let groups: String = units
        .iter()
        .map(|unit| format!("          /aws/lambda/{}:\n", unit.name))
        .collect();
    let text = LAMBDA
        .replace("{head}", &head("#", "proto/"))
        .replace("{groups}", &groups);
    Output::file("observability/lambda.yaml", text)
}

/// The metrics that are made of spans.
fn of_spans() -> impl Iterator<Item = (&'static Metric, &'static [metrics::Condition], Value)> {
    ALL.iter().filter_map(|metric| match metric.source {
        Source::Spans { conditions, value } => Some((metric, conditions, value)),
        Source::Collector | Source::Engine => None,
    })
}

/// Counters and gauges.
fn counted() -> impl Iterator<Item = (&'static Metric, &'static [metrics::Condition], Value)> {
    of_spans().filter(|(metric, ..)| metric.kind != Kind::Histogram)
}

/// Histograms.
fn durations() -> impl Iterator<Item = (&'static Metric, &'static [metrics::Condition])> {
    let all = of_spans().filter(|(metric, ..)| metric.kind == Kind::Histogram);
    all.map(|(metric, conditions, _)| (metric, conditions))
}

/// Statements that give a span the labels of its metrics, as attributes.
fn label_spans(labels: &Labels) -> Vec<String> {
    let mut all = vec![format!(
        "set(span.trace_id.string, \"{:032}\") where {}",
        0,
        statements::unwanted()
    )];
    all.extend(labels.statements());
    for (metric, _, value) in of_spans() {
        if let Value::Place(attribute, texts) = value {
            let key = statements::place(metric);
            all.extend(texts.iter().enumerate().map(|(place, text)| {
                format!(
                    "set(span.attributes[\"{key}\"], {place}) where span.attributes[\"{attribute}\"] == \"{text}\""
                )
            }));
        }
    }
    for (metric, conditions) in durations() {
        let measure = format!("span.attributes[\"{MEASURE}\"]");
        all.push(format!(
            "set({measure}, \"{}\") where {}",
            metric.name,
            statements::condition(conditions)
        ));
        let of_metric = format!("{measure} == \"{}\"", metric.name);
        let labels = metric.labels.iter();
        all.extend(
            labels.flat_map(|label| statements::set(&of_duration(label), label, Some(&of_metric))),
        );
    }
    all
}

/// The counters and gauges of signal_to_metrics.
fn counters(labels: &Labels) -> String {
    let mut text = String::new();
    for (metric, conditions, value) in counted() {
        let made = match value {
            Value::One | Value::Duration => "sum: {value: \"1\", monotonic: true}".to_owned(),
            Value::Attribute(name) => format!("gauge: {{value: 'span.attributes[\"{name}\"]'}}"),
            Value::Place(..) => {
                let key = statements::place(metric);
                format!("gauge: {{value: 'span.attributes[\"{key}\"]'}}")
            }
        };
        let attributes = metric.labels.iter();
        let attributes = attributes.map(|label| {
            format!(
                "{{key: \"{}\", default_value: \"\"}}",
                labels.key(metric, label)
            )
        });
        let attributes: Vec<_> = attributes.collect();
        let _ = write!(
            text,
            "      - name: {name}\n        description: {help:?}\n        unit: {unit:?}\n        \
             attributes: [{attributes}]\n        conditions: ['{condition}']\n        {made}\n",
            name = metric.opentelemetry_name(),
            help = metric.help,
            unit = metric.unit.ucum(),
            attributes = attributes.join(", "),
            condition = statements::condition(conditions),
        );
    }
    text
}

fn buckets() -> String {
    let bounds = metrics::BUCKETS.iter();
    let bounds: Vec<_> = bounds.map(|seconds| micros(*seconds)).collect();
    bounds.join(", ")
}

/// A bound as Go writes a duration.
fn micros(seconds: f64) -> String {
    format!("{:.0}us", seconds * 1e6)
}

/// The attribute of a span with a label of its duration. Spans of other durations do not have it, so they do not
/// divide its series.
fn of_duration(label: &Label) -> String {
    format!("duration.{}", label.name)
}

/// The names of all labels of durations.
fn labels_of_durations() -> BTreeSet<&'static str> {
    let labels = durations().flat_map(|(metric, _)| metric.labels);
    labels.map(|label| label.name).collect()
}

fn dimensions() -> String {
    let labels = labels_of_durations().into_iter();
    let keys = labels.map(|name| format!("duration.{name}"));
    let keys = [MEASURE.to_owned()].into_iter().chain(keys);
    let keys: Vec<_> = keys.map(|key| format!("{{name: {key}}}")).collect();
    keys.join(", ")
}

/// A copy of the histogram of all spans for each metric.
fn divide() -> Vec<String> {
    let copies = durations().map(|(metric, _)| {
        format!(
            "copy_metric(name=\"{}\", description=\"{}\") where metric.name == \"{ALL_DURATIONS}\"",
            metric.opentelemetry_name(),
            metric.help
        )
    });
    copies.collect()
}

fn drop_metrics() -> Vec<String> {
    vec![format!(
        "metric.name == \"{ALL_DURATIONS}\" or metric.name == \"{ALL_CALLS}\""
    )]
}

/// Of each copy, the series of other metrics.
fn drop_series() -> Vec<String> {
    let series = durations().map(|(metric, _)| {
        format!(
            "metric.name == \"{}\" and datapoint.attributes[\"{MEASURE}\"] != \"{}\"",
            metric.opentelemetry_name(),
            metric.name
        )
    });
    series.collect()
}

/// Gives labels their names.
fn rename(labels: &Labels) -> Vec<String> {
    let mut all = labels.renames();
    for name in labels_of_durations() {
        let key = format!("datapoint.attributes[\"duration.{name}\"]");
        all.push(format!(
            "set(datapoint.attributes[\"{name}\"], {key}) where {key} != nil"
        ));
        all.push(format!(
            "delete_key(datapoint.attributes, \"duration.{name}\")"
        ));
    }
    all.push(format!("delete_key(datapoint.attributes, \"{MEASURE}\")"));
    all
}

/// Items of a YAML list, each in quotes.
fn list(indent: usize, items: &[String]) -> String {
    let indent = " ".repeat(indent);
    let items = items.iter().map(|item| format!("{indent}- '{item}'\n"));
    items.collect()
}

const TEMPLATE: &str = include_str!("collector/template.yaml");

const LAMBDA: &str = include_str!("collector/lambda.yaml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_spans_is_there_and_no_other() {
        let text = render().text;
        for metric in ALL {
            let name = metric.opentelemetry_name();
            let of_spans = matches!(metric.source, Source::Spans { .. });
            let named = text.contains(&format!("name: {name}\n"))
                || text.contains(&format!("copy_metric(name=\"{name}\""));
            assert_eq!(named, of_spans, "{name}");
        }
        assert!(!text.contains("{head}") && !text.contains("{rename}"));
    }

    #[test]
    fn bounds_are_durations_of_go() {
        assert_eq!(micros(0.000_25), "250us");
        assert_eq!(micros(30.0), "30000000us");
    }
}
