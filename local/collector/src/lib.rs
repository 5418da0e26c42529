//! The local engine's collector of telemetry.
//!
//! Functions write their finished spans as lines of OTLP JSON on standard output. The engine owns that output,
//! and gives the lines to a [`Collector`] ([`Collector::source`]). Parts of the engine itself write theirs to a
//! [`Collector::recorder`]. The collector
//!
//! - counts: [`Collector::metrics_text`] has counters and histograms that miss no line, also of instances that
//!   were killed or are at zero;
//! - keeps the newest traces in a ring that is bounded in bytes and in age: [`Collector::trace`] and
//!   [`Collector::traces`];
//! - forwards what it keeps to a receiver of OTLP/HTTP, if there is one: [`Forwarding`].
//!
//! A line is read once, where it comes: as much of it as is counted, and no more. Its spans are kept as the
//! text that they came in, and read again when somebody asks for them. A line that is no OTLP JSON is counted,
//! and otherwise ignored.
//!
//! Counted are the spans that were written. Of a trace that its caller does not sample, a function writes the
//! span of the call alone. It is counted and not kept, unless the call failed or was a cold start.

mod collector;
mod fields;
mod forward;
mod line;
mod list;
mod metrics;
pub mod otlp;
mod ring;
mod span;

pub use collector::{Collector, Options, Source};
pub use forward::{Forwarding, Target, TargetError};
pub use list::{Filter, FilterError, Summary};

/// How a line begins that has spans.
pub const LINE_PREFIX: &[u8] = br#"{"resourceSpans""#;
