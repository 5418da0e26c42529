//! Where the finished spans of a function go.

use std::{fmt, io::Write, sync::Arc};

use crate::span::{Attributes, Value};

/// What is written before the spans of each line, after the attributes of the resource.
const SCOPE: &[u8] = br#"]},"scopeSpans":[{"scope":{"name":"zerocart"},"spans":["#;

/// The version of the semantic conventions whose attribute names are used.
const END: &[u8] = b"],\"schemaUrl\":\"https://opentelemetry.io/schemas/1.37.0\"}]}]}\n";

/// The process that spans come from, as OpenTelemetry's resource attributes.
#[derive(Clone, Debug)]
pub struct Resource(Attributes);

impl Resource {
    /// The instance of a function (or job, or engine) of this name and version. Its id is random, so two
    /// processes never share one.
    #[must_use]
    pub fn new(function: &str, version: &str) -> Self {
        let instance = format!("{:032x}", rand::random::<u128>());
        Self(Attributes::default())
            .with("service.namespace", "zerocart")
            .with("service.name", function)
            .with("service.version", version)
            .with("service.instance.id", instance.as_str())
            .with("faas.name", function)
            // Who wrote the spans: no SDK of OpenTelemetry's.
            .with("telemetry.sdk.name", env!("CARGO_PKG_NAME"))
            .with("telemetry.sdk.language", "rust")
            .with("telemetry.sdk.version", env!("CARGO_PKG_VERSION"))
            .with("process.pid", i64::from(std::process::id()))
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with<'a>(self, key: &str, value: impl Into<Value<'a>>) -> Self {
        Self(self.0.with(key, value))
    }
}

/// Writes the spans of one function. Clones are the same.
#[derive(Clone, Default)]
pub struct Recorder(Option<Arc<Inner>>);

/// Takes whole lines.
type Sink = dyn Fn(&[u8]) + Send + Sync;

pub(crate) struct Inner {
    /// The beginning of each line, up to its span.
    head: Vec<u8>,
    write: Box<Sink>,
}

impl Recorder {
    /// Gives whole lines to `write`, one or more at a time.
    pub fn new(resource: &Resource, write: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        let mut head = br#"{"resourceSpans":[{"resource":{"attributes":["#.to_vec();
        head.extend_from_slice(&resource.0.0);
        head.extend_from_slice(SCOPE);
        Self(Some(Arc::new(Inner {
            head,
            write: Box::new(write),
        })))
    }

    /// Writes to standard output. A line that cannot be written is lost: there is no other place for it.
    pub fn stdout(resource: &Resource) -> Self {
        Self::new(resource, |lines| {
            let _ = std::io::stdout().lock().write_all(lines);
        })
    }

    /// Whether spans are written anywhere.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn inner(&self) -> Option<&Arc<Inner>> {
        self.0.as_ref()
    }
}

impl Inner {
    /// Begins a line, or goes on in one that has begun: the next is a span.
    pub(crate) fn begin_span(&self, line: &mut Vec<u8>) {
        if line.is_empty() {
            line.reserve(self.head.len() + END.len() + 1536);
            line.extend_from_slice(&self.head);
        } else {
            line.push(b',');
        }
    }

    /// Ends a line that has spans, and writes it.
    pub(crate) fn write(&self, line: &mut Vec<u8>) {
        if !line.is_empty() {
            line.extend_from_slice(END);
            (self.write)(line);
            line.clear();
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.is_on()).finish()
    }
}
