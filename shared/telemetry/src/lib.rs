//! Telemetry of a process that lives for seconds: spans without a network.
//!
//! The finished spans of a call are one line on standard output, in the JSON form of the OpenTelemetry
//! protocol (OTLP) that the collector's file exporter writes. The call keeps them in memory, and writes them
//! before its answer leaves. So a process that is killed after an answer has lost no span of it. A span that
//! ends after its call's answer is a line of its own. There is no exporter, no thread and no queue, and a
//! start costs nothing.
//!
//! - [`TraceContext`]: the ids that the header `traceparent` carries.
//! - [`Recorder`]: where the spans of a function go.
//! - [`Trace`]: the trace of one call, whose spans are kept together.
//! - [`Span`]: an operation with a beginning and an end.
//! - [`redact`]: removes secrets from texts.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use zerocart_telemetry::{Kind, Recorder, Resource, Trace, TraceContext};
//!
//! let lines = Arc::new(Mutex::new(Vec::new()));
//! let kept = Arc::clone(&lines);
//! let resource = Resource::new("get-product", "0.1.0");
//! let recorder = Recorder::new(&resource, move |line: &[u8]| kept.lock().unwrap().extend(line));
//!
//! let trace = Trace::begin(&recorder, TraceContext::new());
//! let mut call = trace.root("product.ProductService/GetProduct", Kind::Server);
//! let mut query = trace.span("SELECT products", Kind::Client);
//! query.set("db.system.name", "postgresql");
//! query.end();
//! call.set("faas.coldstart", true);
//! call.end();
//! let lines = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
//! assert_eq!(lines.lines().count(), 1);
//! assert!(lines.contains("SELECT products"));
//! ```

mod context;
pub mod json;
mod recorder;
pub mod redact;
mod span;

pub use context::TraceContext;
pub use recorder::{Recorder, Resource};
pub use span::{Attributes, Kind, Link, Name, Span, Trace, Value};
