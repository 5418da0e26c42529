//! The spans of one call.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    context::TraceContext,
    json,
    recorder::{Inner, Recorder},
    redact,
};

/// The memory for the spans of a call that has no answer yet. A call with more spans than fit writes them
/// earlier.
const MAX_BYTES: usize = 64 * 1024;

/// The side of a span (OpenTelemetry's `SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An operation inside of a process.
    Internal = 1,
    /// A request that is answered.
    Server = 2,
    /// A request to another system.
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A text that the code made: a name, a code, an id. It is written as it is.
    Text(&'a str),
    /// A text that may come from elsewhere. Its secrets are removed, as in the log.
    Message(&'a str),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

impl Value<'_> {
    /// Appends `{"key":…,"value":{…}}`.
    pub(crate) fn attribute(&self, out: &mut Vec<u8>, key: &str) {
        out.extend_from_slice(b"{\"key\":\"");
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\",\"value\":{");
        match self {
            Self::Text(text) => {
                out.extend_from_slice(b"\"stringValue\":");
                json::string(out, text);
            }
            Self::Message(text) => {
                out.extend_from_slice(b"\"stringValue\":");
                json::string(out, &redact::text(text));
            }
            // 64-bit numbers are texts in the JSON form of Protobuf.
            Self::Int(number) => {
                out.extend_from_slice(b"\"intValue\":\"");
                if *number < 0 {
                    out.push(b'-');
                }
                json::number(out, number.unsigned_abs());
                out.push(b'"');
            }
            Self::Float(number) if number.is_finite() => {
                out.extend_from_slice(b"\"doubleValue\":");
                json::float(out, *number);
            }
            Self::Float(_) => out.extend_from_slice(b"\"doubleValue\":\"NaN\""),
            Self::Bool(value) => {
                out.extend_from_slice(b"\"boolValue\":");
                out.extend_from_slice(if *value { b"true" } else { b"false" });
            }
        }
        out.extend_from_slice(b"}}");
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// Attributes that many spans have, written once.
#[derive(Clone, Debug, Default)]
pub struct Attributes(pub(crate) Vec<u8>);

impl Attributes {
    /// Adds an attribute.
    #[must_use]
    pub fn with<'a>(mut self, key: &str, value: impl Into<Value<'a>>) -> Self {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        value.into().attribute(&mut self.0, key);
        self
    }
}

/// The name of a span: a constant, or a text that many spans share.
#[derive(Clone, Debug)]
pub enum Name {
    /// A constant.
    Static(&'static str),
    /// Made once.
    Shared(Arc<str>),
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self::Static(name)
    }
}

impl From<Arc<str>> for Name {
    fn from(name: Arc<str>) -> Self {
        Self::Shared(name)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }
}

/// The trace of a call: the span under which new spans are children, and where they go. Clones share the
/// memory of the call.
#[derive(Clone)]
pub struct Trace {
    context: TraceContext,
    call: Option<Arc<Call>>,
}

/// The spans of one call, until it is answered.
struct Call {
    recorder: Arc<Inner>,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    text: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The call has no answer yet.
    Waiting,
    /// It is answered, and its spans were written: later ones are written at once.
    Written,
    /// It is answered, and nobody wants its spans.
    Unwanted,
}

impl Trace {
    /// The trace of a call whose own span is `context`.
    pub fn begin(recorder: &Recorder, context: TraceContext) -> Self {
        let call = recorder.inner().map(|recorder| {
            Arc::new(Call {
                recorder: Arc::clone(recorder),
                lines: Mutex::new(Lines {
                    text: Vec::new(),
                    state: State::Waiting,
                }),
            })
        });
        Self { context, call }
    }

    /// The call's own span. When it ends, the lines of the call are written, if the trace is sampled, the
    /// span failed or [`Span::keep`] was called. The line of the span itself is written always, because
    /// calls are counted by it.
    pub fn root(&self, name: impl Into<Name>, kind: Kind) -> Span {
        Span::open(self.call.clone(), self.context, name.into(), kind, true)
    }

    /// A span under this one. Where spans go nowhere it has the ids of this one, so that no call names a
    /// parent that was never written.
    pub fn span(&self, name: impl Into<Name>, kind: Kind) -> Span {
        let context = match self.call {
            Some(_) => self.context.child(),
            None => self.context,
        };
        Span::open(self.call.clone(), context, name.into(), kind, false)
    }

    /// A span beside this one: under the same parent. Under this one, if it has none.
    pub fn sibling(&self, name: impl Into<Name>, kind: Kind) -> Span {
        let context = self.context.sibling();
        Span::open(self.call.clone(), context, name.into(), kind, false)
    }

    /// Writes the lines of all spans that have ended, if the trace is sampled. For work that must be seen
    /// even if the process does not live until the call's end.
    pub fn flush(&self) {
        if let Some(call) = &self.call
            && self.context.is_sampled()
        {
            call.lock().flush(&call.recorder);
        }
    }

    /// The ids of this span.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Whether spans are written anywhere.
    pub fn is_on(&self) -> bool {
        self.call.is_some()
    }
}

impl From<TraceContext> for Trace {
    /// A trace whose spans go nowhere.
    fn from(context: TraceContext) -> Self {
        Self {
            context,
            call: None,
        }
    }
}

impl Deref for Trace {
    type Target = TraceContext;

    fn deref(&self) -> &TraceContext {
        &self.context
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.context).finish()
    }
}

impl Call {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn flush(&mut self, recorder: &Inner) {
        recorder.write(&mut self.text);
    }
}

/// A span of another call that this one continues (OpenTelemetry's `Link`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub TraceContext);

/// An operation that has begun. Its line is made when it ends or is dropped. A span that is dropped was given
/// up: its error type is `cancelled`.
#[must_use]
pub struct Span {
    context: TraceContext,
    open: Option<Box<Open>>,
    call: Option<Arc<Call>>,
}

struct Open {
    name: Name,
    kind: Kind,
    root: bool,
    keep: bool,
    failed: bool,
    since: SystemTime,
    began: Instant,
    /// JSON, without brackets.
    attributes: Vec<u8>,
    link: Option<Link>,
    /// The message of the status, as JSON.
    message: Vec<u8>,
}

impl Span {
    fn open(
        call: Option<Arc<Call>>,
        context: TraceContext,
        name: Name,
        kind: Kind,
        root: bool,
    ) -> Self {
        let open = call.is_some().then(|| {
            Box::new(Open {
                name,
                kind,
                root,
                keep: context.is_sampled(),
                failed: false,
                since: SystemTime::now(),
                began: Instant::now(),
                attributes: Vec::with_capacity(512),
                link: None,
                message: Vec::new(),
            })
        });
        Self {
            context,
            open,
            call,
        }
    }

    /// The trace under this span: for spans and calls that are its children.
    pub fn trace(&self) -> Trace {
        Trace {
            context: self.context,
            call: self.call.clone(),
        }
    }

    /// The span's ids.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Whether the span is written anywhere. Attributes that cost something to make are not made otherwise.
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Adds an attribute. A key is added once.
    pub fn set<'a>(&mut self, key: &'static str, value: impl Into<Value<'a>>) {
        if let Some(open) = &mut self.open {
            open.set(key, &value.into());
        }
    }

    /// Names the span, where its name was not known at its beginning.
    pub fn rename(&mut self, name: impl Into<Name>) {
        if let Some(open) = &mut self.open {
            open.name = name.into();
        }
    }

    /// Adds attributes that were prepared.
    pub fn set_all(&mut self, attributes: &Attributes) {
        if let Some(open) = &mut self.open {
            if !open.attributes.is_empty() {
                open.attributes.push(b',');
            }
            open.attributes.extend_from_slice(&attributes.0);
        }
    }

    /// The span began `earlier` than now, such as the start of the process before its first call.
    pub fn began_at(&mut self, earlier: Instant) {
        if let Some(open) = &mut self.open {
            let before = open.began.saturating_duration_since(earlier);
            open.began -= before;
            open.since -= before;
        }
    }

    /// The span that this one continues.
    pub fn link(&mut self, link: Link) {
        if let Some(open) = &mut self.open {
            open.link = Some(link);
        }
    }

    /// The operation failed. `error_type` is one of few words (`error.type`); the secrets of `message` are
    /// removed.
    pub fn fail(&mut self, error_type: &str, message: &str) {
        if let Some(open) = &mut self.open {
            open.fail(error_type, message);
        }
    }

    /// The spans of this call are written, also if the caller does not sample the trace.
    pub fn keep(&mut self) {
        if let Some(open) = &mut self.open {
            open.keep = true;
        }
    }

    /// Ends the span now.
    pub fn end(mut self) {
        self.finish(Instant::now());
    }

    /// Ends the span, which ended `earlier` than now.
    pub fn end_at(mut self, earlier: Instant) {
        self.finish(earlier);
    }

    /// Not in `drop`, which the compiler copies into each future that has a span.
    #[inline(never)]
    fn give_up(&mut self) {
        self.fail("cancelled", "given up before its end");
        self.finish(Instant::now());
    }

    fn finish(&mut self, ended: Instant) {
        let (Some(open), Some(call)) = (self.open.take(), self.call.take()) else {
            return;
        };
        let mut lines = call.lock();
        if lines.state == State::Unwanted && !open.failed {
            return;
        }
        if open.root {
            let keep = open.keep || open.failed;
            if !keep {
                lines.text.clear();
            }
            lines.state = if keep {
                State::Written
            } else {
                State::Unwanted
            };
        }
        let context = self.context;
        call.recorder.begin_span(&mut lines.text);
        open.write(&mut lines.text, context, ended);
        match lines.state {
            State::Waiting if lines.text.len() < MAX_BYTES => {}
            State::Waiting if !context.is_sampled() => lines.text.clear(),
            _ => lines.flush(&call.recorder),
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.open.is_some() {
            self.give_up();
        }
    }
}

impl Open {
    fn set(&mut self, key: &str, value: &Value<'_>) {
        if !self.attributes.is_empty() {
            self.attributes.push(b',');
        }
        value.attribute(&mut self.attributes, key);
    }

    fn fail(&mut self, error_type: &str, message: &str) {
        if self.failed {
            return;
        }
        self.failed = true;
        self.set("error.type", &Value::Text(error_type));
        json::string(&mut self.message, &redact::text(message));
    }

    fn write(&self, out: &mut Vec<u8>, context: TraceContext, ended: Instant) {
        // Until the year 2554.
        let nanos = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
        };
        out.push(b'{');
        ids(out, context);
        if let Some(parent) = context.parent() {
            out.push(b',');
            out.extend_from_slice(b"\"parentSpanId\":");
            json::hex(out, &parent.to_be_bytes());
        }
        // Bit 8: whether the parent is in another process is known (bit 9).
        let remote = self.root && context.parent().is_some();
        let flags = u64::from(context.is_sampled()) | if remote { 0x300 } else { 0x100 };
        out.extend_from_slice(b",\"flags\":");
        json::number(out, flags);
        out.extend_from_slice(b",\"name\":");
        json::string(out, &self.name);
        out.extend_from_slice(b",\"kind\":");
        json::number(out, self.kind as u64);
        out.extend_from_slice(b",\"startTimeUnixNano\":\"");
        json::number(out, nanos(self.since));
        out.extend_from_slice(b"\",\"endTimeUnixNano\":\"");
        json::number(
            out,
            nanos(self.since + ended.saturating_duration_since(self.began)),
        );
        out.extend_from_slice(b"\",\"attributes\":[");
        out.extend_from_slice(&self.attributes);
        out.push(b']');
        if let Some(Link(link)) = self.link {
            out.extend_from_slice(b",\"links\":[{");
            ids(out, link);
            out.extend_from_slice(b"}]");
        }
        if self.failed {
            out.extend_from_slice(b",\"status\":{\"code\":2,\"message\":");
            out.extend_from_slice(&self.message);
            out.push(b'}');
        }
        out.push(b'}');
    }
}

fn ids(out: &mut Vec<u8>, context: TraceContext) {
    out.extend_from_slice(b"\"traceId\":");
    json::hex(out, &context.trace().to_be_bytes());
    out.extend_from_slice(b",\"spanId\":");
    json::hex(out, &context.span().to_be_bytes());
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.context).finish()
    }
}
