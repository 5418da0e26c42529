//! Log lines: for each event a JSON object, or a text for people, in one write.
//!
//! The objects are those of `tracing_subscriber`'s JSON format with its options `flatten_event` and
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
use zerocart_telemetry::json::{Escaped, Plain, string as text};

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A longer buffer is given back, because such lines are rare.
const KEPT_BYTES: usize = 16 * 1024;

/// Writes a line for each event.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    form: Form,
    writer: W,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Json,
    Text,
}

impl<W> Lines<W> {
    /// A JSON object for each event.
    pub(crate) fn json(writer: W) -> Self {
        let form = Form::Json;
        Self { form, writer }
    }

    /// A text for each event: time, level, span, message, fields.
    pub(crate) fn text(writer: W) -> Self {
        let form = Form::Text;
        Self { form, writer }
    }
}

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
            match self.form {
                Form::Json => json(line, event, &context),
                Form::Text => plain(line, event, &context),
            }
            // A log that cannot be written ends no call, and there is no other place to say it.
            let mut writer = self.writer.make_writer_for(event.metadata());
            let _ = writer.write_all(line);
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

/// `<time>  INFO call{function="get-product"}: answered code="OK"`.
fn plain<S>(line: &mut Vec<u8>, event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    time(line);
    // Memory takes all that is written.
    let _ = write!(Plain(line), " {:>5} ", event.metadata().level().as_str());
    if let Some(span) = context.event_span(event) {
        line.extend(span.name().as_bytes());
        line.push(b'{');
        if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
            for (place, (name, value)) in fields.iter().enumerate() {
                line.extend(if place > 0 { " " } else { "" }.as_bytes());
                member(line, name, value);
            }
        }
        line.extend(b"}: ");
    }
    let mut rest = Fields::default();
    event.record(&mut Each(|name, value: Value<'_>| match (name, value) {
        // Escaped: a terminal obeys control characters.
        ("message", Value::Debug(message)) => drop(write!(Escaped(line), "{message:?}")),
        ("message", Value::Text(message)) => drop(Escaped(line).write_str(message)),
        (name, value) => rest.set(name, &value),
    }));
    for (name, value) in &rest.0 {
        line.push(b' ');
        member(line, name, value);
    }
    line.push(b'\n');
}

fn member(line: &mut Vec<u8>, name: &str, value: &[u8]) {
    line.extend(name.strip_prefix("r#").unwrap_or(name).as_bytes());
    line.push(b'=');
    line.extend(value);
}

fn time(line: &mut Vec<u8>) {
    // Memory takes all that is written.
    let _ = SystemTime.format_time(&mut Writer::new(&mut Plain(line)));
}

fn json<S>(line: &mut Vec<u8>, event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let metadata = event.metadata();
    line.extend(b"{\"timestamp\":\"");
    time(line);
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

#[cfg(test)]
mod tests;
