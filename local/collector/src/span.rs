//! Reads a span: as much of it as is counted or listed.

use std::borrow::Cow;

use memchr::memchr2;

use crate::{
    fields::{Fields, Key},
    otlp,
};

/// A request that is answered (OpenTelemetry's `SpanKind`).
pub(crate) const SERVER: u64 = 2;

/// A span that has been read.
#[derive(Debug, Default)]
pub(crate) struct Span<'a> {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) flags: u64,
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: u64,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) fields: Fields<'a>,
    pub(crate) failed: bool,
}

impl<'a> Span<'a> {
    /// Reads a whole span. `None` if it is none.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        match cursor.span() {
            Some(span) if cursor.is_at_end() => Some(span),
            _ => Self::read_any(text),
        }
    }

    /// Reads a span whose fields may come in any order.
    pub(crate) fn read_any(text: &[u8]) -> Option<Self> {
        let span: otlp::Span = serde_json::from_slice(text).ok()?;
        let hex = |text: &str, digits| {
            let right = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
            right.then(|| u128::from_str_radix(text, 16).ok()).flatten()
        };
        let id = |text: &str| u64::try_from(hex(text, 16)?).ok();
        let mut fields = Fields::default();
        for attribute in &span.attributes {
            if let Some(key) = Key::of(attribute.key.as_bytes())
                && let Some(text) = attribute.text()
            {
                fields.set(key, text.into());
            }
        }
        Some(Self {
            trace: hex(&span.trace_id, 32).filter(|id| *id != 0)?,
            id: id(&span.span_id).filter(|id| *id != 0)?,
            parent: match span.parent_span_id.as_str() {
                "" => None,
                parent => Some(id(parent)?),
            },
            flags: span.flags.into(),
            kind: span.kind.into(),
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            failed: span.failed(),
            name: span.name.into(),
            fields,
        })
    }

    /// Whether the caller wants the spans of this trace.
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    pub(crate) fn is_cold(&self) -> bool {
        self.fields.is(Key::ColdStart, "true")
    }

    pub(crate) fn seconds(&self) -> f64 {
        std::time::Duration::from_nanos(self.end_ns.saturating_sub(self.start_ns)).as_secs_f64()
    }
}

/// Reads the form in which zerocart's functions write: without white space, and with the fields of a span in
/// one order. What has another form is `None`, and read by serde.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Passes `text` if it comes next.
    pub(crate) fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn expect(&mut self, text: &[u8]) -> Option<()> {
        self.eat(text).then_some(())
    }

    pub(crate) fn span(&mut self) -> Option<Span<'a>> {
        let mut span = Span::default();
        self.expect(br#"{"traceId":""#)?;
        span.trace = self.hex(32).filter(|id| *id != 0)?;
        self.expect(br#"","spanId":""#)?;
        span.id = self.id()?;
        if self.eat(br#"","parentSpanId":""#) {
            span.parent = Some(self.id()?);
        }
        self.expect(br#"","flags":"#)?;
        span.flags = self.plain_number()?;
        self.expect(br#","name":""#)?;
        span.name = self.text()?;
        self.expect(br#","kind":"#)?;
        span.kind = self.plain_number()?;
        self.expect(br#","startTimeUnixNano":""#)?;
        span.start_ns = self.number()?;
        self.expect(br#"","endTimeUnixNano":""#)?;
        span.end_ns = self.number()?;
        self.expect(br#"","attributes":["#)?;
        self.attributes(&mut span.fields)?;
        if self.eat(br#","links":["#) {
            self.links()?;
        }
        if self.eat(br#","status":{"code":"#) {
            span.failed = self.plain_number()? == 2;
            if self.eat(br#","message":""#) {
                self.raw()?;
            }
            self.expect(b"}")?;
        }
        self.expect(b"}")?;
        Some(span)
    }

    fn links(&mut self) -> Option<()> {
        loop {
            self.expect(br#"{"traceId":""#)?;
            self.hex(32)?;
            self.expect(br#"","spanId":""#)?;
            self.hex(16)?;
            self.expect(br#""}"#)?;
            if self.eat(b"]") {
                return Some(());
            }
            self.expect(b",")?;
        }
    }

    fn attributes(&mut self, fields: &mut Fields<'a>) -> Option<()> {
        if self.eat(b"]") {
            return Some(());
        }
        loop {
            self.expect(br#"{"key":""#)?;
            let (key, _) = self.raw()?;
            self.expect(br#","value":{""#)?;
            let key = Key::of(key);
            if self.eat(br#"stringValue":""#) || self.eat(br#"intValue":""#) {
                match key {
                    Some(key) => fields.set(key, self.text()?),
                    None => drop(self.raw()?),
                }
            } else {
                let value = self.boolean()?;
                if let Some(key) = key {
                    fields.set(key, value.into());
                }
            }
            self.expect(b"}}")?;
            if self.eat(b"]") {
                return Some(());
            }
            self.expect(b",")?;
        }
    }

    fn id(&mut self) -> Option<u64> {
        let id = u64::try_from(self.hex(16)?).ok()?;
        (id != 0).then_some(id)
    }

    fn hex(&mut self, digits: usize) -> Option<u128> {
        let text = self.rest().get(..digits)?;
        let mut value = 0;
        for byte in text {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            value = value << 4 | u128::from(digit);
        }
        self.at += digits;
        Some(value)
    }

    fn boolean(&mut self) -> Option<&'static str> {
        match self {
            _ if self.eat(br#"boolValue":true"#) => Some("true"),
            _ if self.eat(br#"boolValue":false"#) => Some("false"),
            _ => None,
        }
    }

    /// A number that is no text, and so must not begin with 0 unless it is 0.
    fn plain_number(&mut self) -> Option<u64> {
        let began = self.at;
        let number = self.number()?;
        (self.at == began + 1 || self.text[began] != b'0').then_some(number)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let began = self.at;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        (self.at > began).then_some(value)
    }

    /// The rest of a text, and whether it has escapes; its end is passed.
    fn raw(&mut self) -> Option<(&'a [u8], bool)> {
        let rest = self.rest();
        let (mut end, mut escaped) = (0, false);
        loop {
            end += memchr2(b'"', b'\\', &rest[end..])?;
            if rest[end] == b'"' {
                break;
            }
            escaped = true;
            end += match rest.get(end + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                // Only control characters are escaped so; serde knows the rest of Unicode.
                b'u' if rest[end + 2..].starts_with(b"00") => {
                    let digits = rest.get(end + 4..end + 6)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(6)?
                }
                _ => return None,
            };
        }
        self.at += end + 1;
        Some((&rest[..end], escaped))
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let began = self.at;
        let (raw, escaped) = self.raw()?;
        if !escaped {
            return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
        }
        let quoted = &self.text[began - 1..self.at];
        serde_json::from_slice(quoted).ok().map(Cow::Owned)
    }
}
