//! W3C trace context (<https://www.w3.org/TR/trace-context/>): read from the headers of a call, and sent
//! with the calls that it makes to other functions.

use std::fmt;

use http::HeaderMap;

/// The trace context of a call: the trace that it belongs to, and its own span. `to_string` gives the value
/// of the header `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    parent_id: Option<u64>,
    sampled: bool,
}

impl TraceContext {
    /// A new trace, which is sampled.
    #[expect(
        clippy::new_without_default,
        reason = "two of them are never equal, as the default values of a type are"
    )]
    #[must_use]
    pub fn new() -> Self {
        Self {
            trace_id: rand::random_range(1..=u128::MAX),
            span_id: span_id(),
            parent_id: None,
            sampled: true,
        }
    }

    /// Reads the header `traceparent` and begins a new span in its trace. If the header is absent or not
    /// valid, this begins a new trace, which is sampled.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let parent = headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .and_then(parse);
        match parent {
            Some((trace_id, parent_id, sampled)) => Self {
                trace_id,
                span_id: span_id(),
                parent_id: Some(parent_id),
                sampled,
            },
            None => Self::new(),
        }
    }

    /// The span that a value of the header `traceparent` names, without its parent. `None` if it is not
    /// valid.
    #[must_use]
    pub fn of_header(value: &str) -> Option<Self> {
        let (trace_id, span_id, sampled) = parse(value)?;
        Some(Self {
            trace_id,
            span_id,
            parent_id: None,
            sampled,
        })
    }

    /// A new span under this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: span_id(),
            parent_id: Some(self.span_id),
            ..*self
        }
    }

    /// A new span under the parent of this one; under this one if it has no parent, so that a trace has one
    /// root.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self {
            span_id: span_id(),
            parent_id: self.parent_id.or(Some(self.span_id)),
            ..*self
        }
    }

    /// Whether the caller wants the spans of this trace. A new trace is sampled.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    pub(crate) fn trace(&self) -> u128 {
        self.trace_id
    }

    pub(crate) fn span(&self) -> u64 {
        self.span_id
    }

    pub(crate) fn parent(&self) -> Option<u64> {
        self.parent_id
    }

    /// The trace id: 32 hexadecimal digits in lower case. Log lines and problem documents have it.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The id of the call's own span: 16 hexadecimal digits in lower case.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// The id of the caller's span, 16 hexadecimal digits in lower case; `None` if the caller sent no valid
    /// `traceparent`.
    pub fn parent_id(&self) -> Option<String> {
        self.parent_id.map(|id| format!("{id:016x}"))
    }
}

/// The value of the header `traceparent` for the calls that this call makes.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }
}

fn span_id() -> u64 {
    rand::random_range(1..=u64::MAX)
}

/// Trace id, parent id and the sampled flag of a `traceparent`. Versions above 00 may have more
/// fields behind the flags.
fn parse(value: &str) -> Option<(u128, u64, bool)> {
    let mut parts = value.split('-');
    let (version, trace_id, parent_id, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [version.len(), trace_id.len(), parent_id.len(), flags.len()];
    let lowercase_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if lengths != [2, 32, 16, 2]
        || ![version, trace_id, parent_id, flags]
            .into_iter()
            .all(lowercase_hex)
        || version == "ff"
        || (version == "00" && parts.next().is_some())
    {
        return None;
    }
    let trace_id = u128::from_str_radix(trace_id, 16)
        .ok()
        .filter(|id| *id != 0)?;
    let parent_id = u64::from_str_radix(parent_id, 16)
        .ok()
        .filter(|id| *id != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace_id, parent_id, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(value: &str) -> TraceContext {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value.parse().unwrap());
        TraceContext::from_headers(&headers)
    }

    #[test]
    fn a_valid_parent_is_continued() {
        let context = context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent_id().as_deref(), Some("00f067aa0ba902b7"));
        assert_ne!(context.span_id(), "00f067aa0ba902b7");
        assert!(
            context
                .to_string()
                .starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
        );
        assert!(context.to_string().ends_with("-01"));
    }

    #[test]
    fn an_invalid_parent_begins_a_new_trace() {
        for value in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            let context = context(value);
            assert_eq!(context.parent_id(), None, "{value}");
            assert_ne!(context.trace_id(), "0".repeat(32));
        }
    }
}
