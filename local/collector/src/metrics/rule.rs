//! The conditions and labels of the table, in a form that costs little for each span.

use zerocart_observability::metrics::{self as table, Condition};

use crate::{fields::Key, span::Span};

/// The conditions of metrics that take the same spans.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) conditions: &'static [Condition],
    /// The places of the metrics.
    pub(super) metrics: Vec<usize>,
    /// The attributes that must be there, as bits.
    has: u32,
    /// Those that must not.
    lacks: u32,
    kind: Option<u64>,
    texts: Vec<(Key, &'static str)>,
    names: Option<&'static [&'static str]>,
}

impl Rule {
    pub(super) fn new(conditions: &'static [Condition], metric: usize) -> Self {
        let mut rule = Self {
            conditions,
            metrics: vec![metric],
            has: 0,
            lacks: 0,
            kind: None,
            texts: Vec::new(),
            names: None,
        };
        for condition in conditions {
            match *condition {
                Condition::Kind(kind) => rule.kind = Some(kind as u64),
                Condition::Has(name) => rule.has |= key(name).bit(),
                Condition::Lacks(name) => rule.lacks |= key(name).bit(),
                Condition::Is(name, text) => rule.texts.push((key(name), text)),
                Condition::IsTrue(name) => rule.texts.push((key(name), "true")),
                Condition::Name(names) => rule.names = Some(names),
            }
        }
        for (key, _) in &rule.texts {
            rule.has |= key.bit();
        }
        rule
    }

    /// Whether all conditions apply to a span.
    pub(super) fn takes(&self, span: &Span<'_>) -> bool {
        let known = span.fields.bits();
        known & self.has == self.has
            && known & self.lacks == 0
            && self.kind.is_none_or(|kind| span.kind == kind)
            && self
                .texts
                .iter()
                .all(|(key, text)| span.fields.is(*key, text))
            && self.names.is_none_or(|names| names.contains(&&*span.name))
    }
}

/// What a label takes from a span.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Service,
    Name,
    Attribute(Key),
}

/// The fields of each label.
pub(super) fn labels(labels: &[table::Label]) -> Vec<Vec<Field>> {
    let field = |field: &table::Field| match *field {
        table::Field::Service => Field::Service,
        table::Field::Name => Field::Name,
        table::Field::Attribute(name) => Field::Attribute(key(name)),
    };
    let labels = labels.iter();
    labels.map(|l| l.from.iter().map(field).collect()).collect()
}

/// The first of the fields that is there, or an empty text.
pub(super) fn text<'s>(fields: &[Field], service: &'s str, span: &'s Span<'_>) -> &'s str {
    let mut found = fields.iter().filter_map(|field| match *field {
        Field::Service => Some(service),
        Field::Name => Some(&*span.name),
        Field::Attribute(key) => span.fields.get(key),
    });
    found.next().unwrap_or_default()
}

/// What a span adds to a metric.
#[derive(Debug)]
pub(super) enum Value {
    /// Itself: one, or its duration.
    Span,
    Attribute(Key),
    Place(Key, &'static [&'static str]),
}

pub(super) fn value(value: table::Value) -> Value {
    match value {
        table::Value::One | table::Value::Duration => Value::Span,
        table::Value::Attribute(name) => Value::Attribute(key(name)),
        table::Value::Place(name, texts) => Value::Place(key(name), texts),
    }
}

impl Value {
    /// The number that the span has; none for the span itself, and for what is no number.
    pub(super) fn of(&self, span: &Span<'_>) -> Option<f64> {
        match self {
            Self::Span => None,
            Self::Attribute(key) => span.fields.get(*key)?.parse().ok(),
            Self::Place(key, texts) => {
                let text = span.fields.get(*key)?;
                let place = texts.iter().position(|known| *known == text)?;
                u32::try_from(place).ok().map(f64::from)
            }
        }
    }
}

fn key(name: &str) -> Key {
    Key::of(name.as_bytes()).expect("the collector reads every attribute of the table")
}
