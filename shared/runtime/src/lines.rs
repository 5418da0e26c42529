//! Log lines: a JSON object for each event, in one write.
//!
//! They are the lines of `tracing_subscriber`'s JSON format with its options `flatten_event` and
//! `with_current_span`. That one keeps the fields of a span as JSON, reads them again at each event,
//! and writes them once more. Here they are copied, and each thread uses its one buffer again.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    io::Write as _,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::{Context, Layer},
    registry::LookupSpan,
};

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A longer buffer is given back, because such lines are rare.
const KEPT_BYTES: usize = 16 * 1024;

/// Writes a line for each event.
#[derive(Debug)]
pub(crate) struct Lines<W>(pub(crate) W);

/// The fields of a span: names, and values as JSON.
#[derive(Debug, Default)]
struct Fields(Vec<(&'static str, Vec<u8>)>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut Each(|name, value: Value<'_>| fields.set(name, &value)));
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(&mut Each(|name, value: Value<'_>| fields.set(name, &value)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let write = |line: &mut Vec<u8>| {
            line.clear();
            format(line, event, &context);
            // A log that cannot be written ends no call, and there is no other place to say it.
            let _ = self.0.make_writer_for(event.metadata()).write_all(line);
            if line.capacity() > KEPT_BYTES {
                *line = Vec::new();
            }
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => write(&mut line),
            // A value that is formatted logs something itself.
            Err(_) => write(&mut Vec::new()),
        });
    }
}

fn format<S>(line: &mut Vec<u8>, event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let metadata = event.metadata();
    line.extend(b"{\"timestamp\":\"");
    // Memory takes all that is written.
    let _ = SystemTime.format_time(&mut Writer::new(&mut Plain(line)));
    line.extend(b"\",\"level\":\"");
    line.extend(metadata.level().as_str().as_bytes());
    line.push(b'"');
    event.record(&mut Each(|name, value: Value<'_>| {
        line.push(b',');
        key(line, name);
        value.write(line);
    }));
    line.extend(b",\"target\":");
    text(line, metadata.target());
    if let Some(span) = context.event_span(event) {
        line.extend(b",\"span\":{");
        if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
            for (name, value) in fields {
                key(line, name);
                line.extend(value);
                line.push(b',');
            }
        }
        line.extend(b"\"name\":");
        text(line, span.name());
        line.push(b'}');
    }
    line.extend(b"}\n");
}

impl Fields {
    fn set(&mut self, name: &'static str, value: &Value<'_>) {
        let known = self.0.iter().position(|(known, _)| *known == name);
        let mut json = Vec::with_capacity(40);
        value.write(&mut json);
        match known {
            Some(known) => self.0[known].1 = json,
            None => self.0.push((name, json)),
        }
    }
}

/// The value of a field.
enum Value<'a> {
    Text(&'a str),
    Float(f64),
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    /// Its debug form is a text.
    Debug(&'a dyn fmt::Debug),
}

impl Value<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        // Memory takes all that is written, and a number is always JSON.
        let _ = match self {
            Self::Text(value) => {
                text(out, value);
                Ok(())
            }
            Self::Float(value) => serde_json::to_writer(out, value),
            Self::Signed(value) => serde_json::to_writer(out, value),
            Self::Unsigned(value) => serde_json::to_writer(out, value),
            Self::Bool(value) => serde_json::to_writer(out, value),
            Self::Debug(value) => {
                out.push(b'"');
                let _ = write!(Escaped(out), "{value:?}");
                out.push(b'"');
                Ok(())
            }
        };
    }
}

/// Calls a function for each field.
struct Each<F>(F);

impl<F: FnMut(&'static str, Value<'_>)> Visit for Each<F> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.0)(field.name(), Value::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.0)(field.name(), Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.0)(field.name(), Value::Unsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.0)(field.name(), Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.0)(field.name(), Value::Text(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        (self.0)(field.name(), Value::Debug(value));
    }
}

/// The name of a member, which is an identifier of Rust.
fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend(name.strip_prefix("r#").unwrap_or(name).as_bytes());
    out.extend(b"\":");
}

/// A JSON string.
fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Memory takes all that is written.
    let _ = Escaped(out).write_str(text);
    out.push(b'"');
}

struct Plain<'a>(&'a mut Vec<u8>);

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.as_bytes());
        Ok(())
    }
}

/// Escapes what a JSON string may not hold (RFC 8259, section 7).
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        while let Some(at) = rest.iter().position(special) {
            self.0.extend(&rest[..at]);
            match rest[at] {
                byte @ (b'"' | b'\\') => self.0.extend([b'\\', byte]),
                b'\n' => self.0.extend(b"\\n"),
                b'\r' => self.0.extend(b"\\r"),
                b'\t' => self.0.extend(b"\\t"),
                byte => write!(Plain(self.0), "\\u{byte:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.extend(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::field;
    use tracing_subscriber::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Memory {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Memory {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl Memory {
        /// The lines as JSON, without their times.
        fn lines(&self) -> Vec<Value> {
            let text = self.0.lock().unwrap();
            let lines = text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
            let lines = lines.map(|line| {
                let mut line: Value = serde_json::from_slice(line).unwrap();
                let time = line["timestamp"].take();
                assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
                line
            });
            lines.collect()
        }
    }

    /// It logs while it is formatted.
    struct Talking;

    impl fmt::Debug for Talking {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::info!("from within");
            f.write_str("talking")
        }
    }

    #[test]
    fn the_lines_are_those_of_tracing_subscriber() {
        let (ours, theirs) = (Memory::default(), Memory::default());
        let json = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(theirs.clone());
        let subscriber = tracing_subscriber::registry()
            .with(Lines(ours.clone()))
            .with(json);
        tracing::subscriber::with_default(subscriber, || {
            let error = std::io::Error::other("it broke: \"here\"");
            tracing::info!("outside");
            let call = tracing::error_span!(
                "call",
                function = "get-product",
                caller = field::Empty,
                number = 1,
            );
            call.in_scope(|| tracing::debug!(r#type = "raw", none = None::<&str>, "one"));
            call.record("caller", "a \\ \"b\"\n\u{1}é");
            call.record("number", 2);
            call.in_scope(|| {
                tracing::warn!(
                    float = 1.5,
                    tiny = 1e-7,
                    nan = f64::NAN,
                    signed = -5,
                    unsigned = u64::MAX,
                    huge = 5_u128,
                    flag = true,
                    list = ?["x\ty", "z"],
                    shown = %"shown \r",
                    error = &error as &dyn std::error::Error,
                    "two {}",
                    3
                );
                let inner = tracing::info_span!("inner", depth = 2);
                inner.in_scope(|| tracing::error!(parent: &call, "three"));
                inner.in_scope(|| tracing::error!(""));
            });
        });
        let lines = ours.lines();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines, theirs.lines());
        assert_eq!(lines[2]["span"]["number"], 2);
    }

    #[test]
    fn a_value_may_log_while_it_is_formatted() {
        let ours = Memory::default();
        let subscriber = tracing_subscriber::registry().with(Lines(ours.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(value = ?Talking, "outer");
        });
        // tracing itself keeps events within events from being seen.
        let lines = ours.lines();
        assert_eq!(lines.last().unwrap()["value"], "talking");
    }

    #[test]
    fn a_long_line_leaves_no_long_buffer() {
        let ours = Memory::default();
        let subscriber = tracing_subscriber::registry().with(Lines(ours.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(long = "x".repeat(2 * KEPT_BYTES), "one");
            tracing::info!("two");
        });
        assert_eq!(ours.lines().len(), 2);
        LINE.with(|line| assert!(line.borrow().capacity() <= KEPT_BYTES));
    }
}
