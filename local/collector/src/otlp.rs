//! The JSON form of OTLP, as far as zerocart reads it
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).
//!
//! Fields may come in any order, and unknown ones are ignored. 64-bit numbers are texts or numbers.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, value::RawValue};

/// The spans of several resources.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Export {
    /// One for each resource.
    pub resource_spans: Vec<ResourceSpans>,
}

/// The spans of a resource.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceSpans {
    /// The process that they come from.
    pub resource: Resource,
    /// One for each instrumentation scope.
    pub scope_spans: Vec<ScopeSpans>,
}

/// A process, by its attributes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

impl Resource {
    /// The name of the function, job or part of the engine: `service.name`.
    #[must_use]
    pub fn service(&self) -> String {
        text_of(&self.attributes, "service.name").unwrap_or_default()
    }
}

/// The spans of a scope.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ScopeSpans {
    /// The spans.
    pub spans: Vec<Span>,
}

/// A span.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The same, or empty.
    pub parent_span_id: String,
    /// Bit 0: sampled. Bit 8: whether the parent is in another process is known; bit 9: it is.
    pub flags: u32,
    /// What it did.
    pub name: String,
    /// OpenTelemetry's `SpanKind`.
    pub kind: u8,
    /// Nanoseconds since 1970.
    #[serde(deserialize_with = "number")]
    pub start_time_unix_nano: u64,
    /// The same.
    #[serde(deserialize_with = "number")]
    pub end_time_unix_nano: u64,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// The spans that it continues.
    pub links: Vec<Link>,
    /// Whether it failed.
    pub status: Status,
}

impl Span {
    /// The value of an attribute, as text.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<String> {
        text_of(&self.attributes, key)
    }

    /// Whether its parent is in another process.
    #[must_use]
    pub fn has_remote_parent(&self) -> bool {
        self.flags & 0x300 == 0x300
    }

    /// Whether its status is an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status.code == 2
    }
}

/// An attribute.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attribute {
    /// Its name.
    pub key: String,
    /// Its `AnyValue`: an object with one member.
    pub value: Value,
}

impl Attribute {
    /// Its value as text. Arrays and objects as JSON.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let (_, value) = self.value.as_object()?.iter().next()?;
        Some(match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// A link to another span.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Link {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
}

/// The status of a span.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// 0: not set, 1: ok, 2: error.
    pub code: u8,
    /// What failed.
    pub message: String,
}

/// An export whose spans keep the text that they came in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawExport<'a> {
    #[serde(borrow)]
    pub(crate) resource_spans: Vec<RawResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawResourceSpans<'a> {
    #[serde(borrow, default)]
    pub(crate) resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) scope_spans: Vec<RawScopeSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawScopeSpans<'a> {
    #[serde(borrow, default)]
    pub(crate) scope: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) spans: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) schema_url: Option<&'a RawValue>,
}

/// What a receiver answers (`ExportTraceServiceResponse`).
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ExportResponse {
    pub(crate) partial_success: PartialSuccess,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PartialSuccess {
    #[serde(deserialize_with = "number")]
    pub(crate) rejected_spans: u64,
    pub(crate) error_message: String,
}

fn text_of(attributes: &[Attribute], key: &str) -> Option<String> {
    attributes.iter().find(|a| a.key == key)?.text()
}

/// A 64-bit number, which is a text in the JSON form of Protobuf.
fn number<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(u64),
        Text(String),
    }
    match Number::deserialize(input)? {
        Number::Number(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(D::Error::custom),
    }
}
