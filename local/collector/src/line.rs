//! Reads a line: the spans of one or more resources.

use std::sync::Arc;

use memchr::memmem::Finder;

use crate::{
    otlp,
    span::{Cursor, Span},
};

/// What ends the head of a line: the next is a span.
const SPANS: &[u8] = br#","spans":["#;

/// The heads that a source remembers. A function's output has one; the engine writes for all its parts.
const MAX_HEADS: usize = 32;

/// The process that spans come from, as the JSON around them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// `{"resource":…,"scopeSpans":[{"scope":…,"spans":[`
    pub(crate) head: Vec<u8>,
    /// `],"schemaUrl":…}]}`
    pub(crate) tail: Vec<u8>,
    /// `service.name`: the function.
    pub(crate) service: String,
}

/// A span of a line.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) resource: Arc<Resource>,
    /// Its JSON.
    pub(crate) raw: &'a [u8],
    pub(crate) span: Span<'a>,
}

/// Reads lines. It remembers their heads: the lines of a process all have the same one.
#[derive(Debug)]
pub(crate) struct Reader {
    finder: Finder<'static>,
    /// The beginning of a line up to its first span, and what follows the last one.
    heads: Vec<(Vec<u8>, Vec<u8>, Arc<Resource>)>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            finder: Finder::new(SPANS),
            heads: Vec::new(),
        }
    }

    /// The spans of a line, which has no end of line. `None` if it is no OTLP JSON.
    pub(crate) fn read<'a>(&mut self, line: &'a [u8]) -> Option<Vec<Part<'a>>> {
        // Texts that nobody reads here are passed on, too.
        let control = line
            .iter()
            .fold(false, |found, byte| found | (*byte < b' '));
        if control || std::str::from_utf8(line).is_err() {
            return None;
        }
        self.read_known(line).or_else(|| self.read_any(line))
    }

    /// Reads the form in which zerocart's functions write.
    fn read_known<'a>(&mut self, line: &'a [u8]) -> Option<Vec<Part<'a>>> {
        let place = self.heads.iter().position(|h| line.starts_with(&h.0));
        match place {
            Some(0) => {}
            Some(place) => self.heads[..=place].rotate_right(1),
            None => self.learn(line)?,
        }
        let (head, end, resource) = &self.heads[0];
        let mut cursor = Cursor::new(line);
        let mut parts = Vec::with_capacity(4);
        cursor.eat(head);
        loop {
            let began = cursor.at();
            let span = cursor.span()?;
            parts.push(Part {
                resource: Arc::clone(resource),
                raw: &line[began..cursor.at()],
                span,
            });
            if !cursor.eat(b",") {
                break;
            }
        }
        (cursor.rest() == end.as_slice()).then_some(parts)
    }

    /// Remembers the head of a line, as the first one.
    fn learn(&mut self, line: &[u8]) -> Option<()> {
        const BEGIN: &[u8] = br#"{"resourceSpans":["#;
        const END: &[u8] = b"]}";
        if !line.starts_with(BEGIN) {
            return None;
        }
        // No text within the JSON can hold this: its quotes would be escaped.
        let head = &line[..self.finder.find(line)? + SPANS.len()];
        let mut cursor = Cursor::new(&line[head.len()..]);
        while cursor.span().is_some() && cursor.eat(b",") {}
        let end = cursor.rest();
        let whole = [head, end].concat();
        let empty: otlp::Export = serde_json::from_slice(&whole).ok()?;
        let [resource_spans] = &*empty.resource_spans else {
            return None;
        };
        if resource_spans.scope_spans.len() != 1 {
            return None;
        }
        let resource = Resource {
            head: head[BEGIN.len()..].to_vec(),
            tail: end.strip_suffix(END)?.to_vec(),
            service: resource_spans.resource.service(),
        };
        self.heads.truncate(MAX_HEADS - 1);
        self.heads
            .insert(0, (head.to_vec(), end.to_vec(), Arc::new(resource)));
        Some(())
    }

    /// Reads any OTLP JSON, slower.
    fn read_any<'a>(&self, line: &'a [u8]) -> Option<Vec<Part<'a>>> {
        let export: otlp::RawExport<'a> = serde_json::from_slice(line).ok()?;
        let mut parts = Vec::new();
        for of_resource in export.resource_spans {
            let resource = of_resource.resource.map_or("{}", |resource| resource.get());
            let known: otlp::Resource = serde_json::from_str(resource).ok()?;
            for of_scope in of_resource.scope_spans {
                let scope = of_scope.scope.map_or("{}", |scope| scope.get());
                let head =
                    format!(r#"{{"resource":{resource},"scopeSpans":[{{"scope":{scope},"spans":["#);
                let schema = of_scope.schema_url.map(|url| url.get());
                let schema = schema.map(|url| format!(r#","schemaUrl":{url}"#));
                let tail = format!("]{}}}]}}", schema.unwrap_or_default());
                let resource = Arc::new(Resource {
                    head: head.into_bytes(),
                    tail: tail.into_bytes(),
                    service: known.service(),
                });
                for raw in of_scope.spans {
                    let raw = raw.get().as_bytes();
                    parts.push(Part {
                        resource: Arc::clone(&resource),
                        raw,
                        span: Span::read_any(raw)?,
                    });
                }
            }
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;
    use zerocart_telemetry::{Kind, Link, Recorder, Resource as Written, Trace, TraceContext};

    use super::*;
    use crate::fields::Key;

    /// The line of a call with a statement that failed.
    fn line() -> Vec<u8> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&written);
        let resource = Written::new("get-product", "1.2.3");
        let recorder = Recorder::new(&resource, move |line: &[u8]| {
            lines.lock().unwrap().extend_from_slice(line);
        });
        let trace = Trace::begin(&recorder, TraceContext::new());
        let mut call = trace.root("GET /products/{id}", Kind::Server);
        let mut statement = call
            .trace()
            .span("SELECT \"products\" \u{e4}", Kind::Client);
        statement.set("db.query.summary", "SELECT \"products\"");
        statement.set("some.text", "two\nlines\u{1}");
        statement.set("http.request.resend_count", 3_i64);
        statement.link(Link(TraceContext::new()));
        statement.link(Link(TraceContext::new()));
        statement.fail("57014", "it \\ took \" too } long ]");
        statement.end();
        call.set("faas.coldstart", true);
        call.set("zerocart.code", "OK");
        call.end();
        let line = written.lock().unwrap().clone();
        line.strip_suffix(b"\n").unwrap().to_vec()
    }

    fn facts(parts: &[Part<'_>]) -> Vec<String> {
        let fact = |part: &Part<'_>| {
            let (service, span) = (&part.resource.service, &part.span);
            format!("{service} {span:?}")
        };
        parts.iter().map(fact).collect()
    }

    #[test]
    fn the_own_form_is_read_as_any_form_is() {
        let line = line();
        let mut reader = Reader::new();
        let known = reader.read_known(&line).expect("it is the own form");
        assert_eq!(known.len(), 2);
        let any = Reader::new().read_any(&line).expect("it is OTLP JSON");
        assert_eq!(facts(&known), facts(&any));
        let raw = |parts: &[Part<'_>]| parts.iter().map(|p| p.raw.to_vec()).collect::<Vec<_>>();
        assert_eq!(raw(&known), raw(&any));
        assert_eq!(known[0].resource, any[0].resource);

        let statement = &known[0].span;
        assert_eq!(statement.name, "SELECT \"products\" \u{e4}");
        assert_eq!(statement.fields.get(Key::ErrorType), Some("57014"));
        assert_eq!(statement.fields.get(Key::Resend), Some("3"));
        assert!(statement.failed && !statement.is_cold());
        let call = &known[1].span;
        assert_eq!(statement.parent, Some(call.id));
        assert!(call.is_cold() && !call.failed);
        assert_eq!(Span::read(known[0].raw).unwrap().id, statement.id);
    }

    #[test]
    fn another_form_is_read_too() {
        let (trace, id) = ("4BF92F3577B34DA6A3CE929D0E0E4736", "00f067aa0ba902b7");
        let span = |name: &str| {
            json!({"name": name, "spanId": id, "traceId": trace, "startTimeUnixNano": 1,
                "endTimeUnixNano": "1000000001", "unknown": [1], "kind": 3})
        };
        let of = |service: &str| {
            json!({"scopeSpans": [{"spans": [span("a"), span("b")]}, {"spans": [span("c")]}],
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}})
        };
        let line = json!({"resourceSpans": [of("one"), of("two")]}).to_string();
        let parts = Reader::new().read(line.as_bytes()).expect("OTLP JSON");
        let names: Vec<_> = parts
            .iter()
            .map(|part| format!("{} {}", part.resource.service, part.span.name))
            .collect();
        assert_eq!(
            names,
            ["one a", "one b", "one c", "two a", "two b", "two c"]
        );
        assert_eq!(
            parts[0].span.trace,
            0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736
        );
        assert!((parts[0].span.seconds() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_otlp_json_is_refused_wherever_it_is_cut_or_changed() {
        let line = line();
        for end in 0..line.len() {
            assert!(Reader::new().read(&line[..end]).is_none(), "{end}");
            let mut reader = Reader::new();
            reader.read(&line).expect("it is learned");
            assert!(reader.read(&line[..end]).is_none(), "{end}");
        }
        for at in 0..line.len() {
            for byte in [b'"', b'}', b'0', 0xff] {
                let mut changed = line.clone();
                changed[at] = byte;
                // It may still be good. Whether it is does not depend on what was read before.
                let any = Reader::new().read_any(&changed).map(|parts| facts(&parts));
                let fresh = Reader::new().read(&changed).map(|parts| facts(&parts));
                assert_eq!(fresh, any, "{at}: {}", String::from_utf8_lossy(&changed));
                let mut reader = Reader::new();
                reader.read(&line).expect("it is learned");
                let after = reader.read(&changed).map(|parts| facts(&parts));
                assert_eq!(fresh, after, "{at}");
            }
        }
    }
}
