//! Conditions and labels of the table in the Collector's language for transformations (OTTL).

use zerocart_observability::metrics::{Condition, Field, Label, Metric, SpanKind};

/// The flags of a span whose trace its caller does not sample: the parent is in this process, or in another.
const UNSAMPLED: [u32; 2] = [0x100, 0x300];

/// The span of a call that is counted and not kept: its caller does not sample it, it has not failed, and it was
/// no cold start. Of such a call the function writes no other span.
pub(super) fn unwanted() -> String {
    let [own, other] = UNSAMPLED;
    format!(
        "(span.flags == {own} or span.flags == {other}) and span.kind == SPAN_KIND_SERVER and \
         span.status.code != STATUS_CODE_ERROR and span.attributes[\"faas.coldstart\"] != true"
    )
}

/// The conditions of a metric as one.
pub(super) fn condition(conditions: &[Condition]) -> String {
    let each: Vec<_> = conditions.iter().map(one).collect();
    each.join(" and ")
}

fn one(condition: &Condition) -> String {
    match condition {
        Condition::Kind(SpanKind::Server) => "span.kind == SPAN_KIND_SERVER".to_owned(),
        Condition::Kind(SpanKind::Client) => "span.kind == SPAN_KIND_CLIENT".to_owned(),
        Condition::Has(name) => format!("span.attributes[\"{name}\"] != nil"),
        Condition::Lacks(name) => format!("span.attributes[\"{name}\"] == nil"),
        Condition::Is(name, text) => format!("span.attributes[\"{name}\"] == \"{text}\""),
        Condition::IsTrue(name) => format!("span.attributes[\"{name}\"] == true"),
        Condition::Name(names) => {
            let names: Vec<_> = names
                .iter()
                .map(|name| format!("span.name == \"{name}\""))
                .collect();
            format!("({})", names.join(" or "))
        }
    }
}

/// The attribute with the place of a text, for a gauge.
pub(super) fn place(metric: &Metric) -> String {
    format!("place.{}", metric.name)
}

/// Sets an attribute to the value of a label, where `of_metric` is so. The first source counts, so it is set
/// last.
pub(super) fn set(key: &str, label: &Label, of_metric: Option<&str>) -> Vec<String> {
    let sources = label.from.iter().rev();
    let set = sources.map(|field| {
        let (value, there) = match field {
            Field::Service => ("resource.attributes[\"service.name\"]".to_owned(), None),
            Field::Name => ("span.name".to_owned(), None),
            Field::Attribute(name) => {
                let value = format!("span.attributes[\"{name}\"]");
                let there = format!("{value} != nil");
                (value, Some(there))
            }
        };
        let conditions = of_metric.map(str::to_owned).into_iter().chain(there);
        let conditions: Vec<_> = conditions.collect();
        let conditions = match conditions.is_empty() {
            true => String::new(),
            false => format!(" where {}", conditions.join(" and ")),
        };
        format!("set(span.attributes[\"{key}\"], {value}){conditions}")
    });
    set.collect()
}

/// The attributes that spans get for the labels of counters and gauges. A label of one name may have other
/// sources in another metric: the first has its name as its attribute, the others have an attribute of their own.
pub(super) struct Labels(Vec<Entry>);

struct Entry {
    key: String,
    label: &'static Label,
    /// The metrics in which the attribute must get the label's name.
    renamed: Vec<&'static Metric>,
}

impl Labels {
    pub(super) fn of(metrics: impl Iterator<Item = &'static Metric>) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for metric in metrics {
            for label in metric.labels {
                let plain = !entries.iter().any(|entry| entry.label.name == label.name);
                let known = entries.iter_mut().find(|entry| entry.label == label);
                match known {
                    Some(entry) if entry.key == label.name => {}
                    Some(entry) => entry.renamed.push(metric),
                    None => entries.push(Entry {
                        key: match plain {
                            true => label.name.to_owned(),
                            false => format!("{}.{}", label.name, metric.name),
                        },
                        label,
                        renamed: if plain { vec![] } else { vec![metric] },
                    }),
                }
            }
        }
        Self(entries)
    }

    /// The attribute of a label of a metric.
    pub(super) fn key(&self, metric: &Metric, label: &Label) -> String {
        let entry = self.0.iter().find(|entry| entry.label == label);
        let entry = entry.unwrap_or_else(|| panic!("{} has labels of the table", metric.name));
        entry.key.clone()
    }

    /// Sets all of them.
    pub(super) fn statements(&self) -> impl Iterator<Item = String> {
        let all = self.0.iter();
        all.flat_map(|entry| set(&entry.key, entry.label, None))
    }

    /// Gives attributes of series the names of their labels.
    pub(super) fn renames(&self) -> Vec<String> {
        let mut all = Vec::new();
        for entry in self.0.iter().filter(|entry| !entry.renamed.is_empty()) {
            let (name, key) = (entry.label.name, &entry.key);
            for metric in &entry.renamed {
                let metric = metric.opentelemetry_name();
                all.push(format!(
                    "set(datapoint.attributes[\"{name}\"], datapoint.attributes[\"{key}\"]) where metric.name \
                     == \"{metric}\""
                ));
            }
            all.push(format!("delete_key(datapoint.attributes, \"{key}\")"));
        }
        all
    }
}
