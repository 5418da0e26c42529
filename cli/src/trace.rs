//! `zerocart trace`: one trace of the engine that runs, or of a file of spans, as a waterfall.

use std::{
    collections::HashSet,
    fmt::Write,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use http::Method;
use serde_json::value::RawValue;
use zerocart_collector::{
    LINE_PREFIX,
    otlp::{Export, Span},
};

use crate::{
    console, ps,
    traces::{TIMEOUT, time_of_day},
};

/// `zerocart trace`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The trace id: 32 hexadecimal digits. Problem documents and log lines have it, and `zerocart traces`
    /// lists it
    #[arg(value_parser = trace_id)]
    id: String,
    /// Read lines of OTLP JSON from this file, and ask no engine; - is standard input. Other lines, and what
    /// stands before a line of spans, are ignored: the logs of several pods are such a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// As OTLP JSON
    #[arg(long, conflicts_with = "file")]
    json: bool,
}

/// The width of the bars, in characters.
const BAR: usize = 32;

/// What stands for spans that never ended, because their process died or still works on them.
const NOT_FINISHED: &str = "(not finished)";

fn trace_id(text: &str) -> Result<String, &'static str> {
    let right = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a trace id has 32 hexadecimal digits")
    }
}

pub(crate) async fn run(args: Args, data: Option<PathBuf>) -> Result<()> {
    if let Some(file) = &args.file {
        let export = read_file(file, &args.id)?;
        console::say(Waterfall::new(export).text(&args.id).trim_end());
        return Ok(());
    }
    let engine = ps::reached(data).await?;
    let path = format!("/traces/{}", args.id);
    let document: Box<RawValue> = ps::send(&engine, Method::GET, &path, TIMEOUT).await?;
    if args.json {
        console::say(document.get());
        return Ok(());
    }
    let export: Export = serde_json::from_str(document.get())?;
    console::say(Waterfall::new(export).text(&args.id).trim_end());
    Ok(())
}

/// The spans of a trace that a file has.
fn read_file(file: &Path, id: &str) -> Result<Export> {
    let shown = format!("--file {}", file.display());
    let export = match file.as_os_str() == "-" {
        true => of_trace(std::io::stdin().lock(), id),
        false => std::fs::File::open(file).and_then(|file| of_trace(BufReader::new(file), id)),
    };
    let export = export.with_context(|| format!("{shown} cannot be read"))?;
    if export.resource_spans.is_empty() {
        bail!("{shown} has no span of the trace {id}");
    }
    Ok(export)
}

/// The spans of a trace among these lines. A span that comes twice is one: two logs may hold the same lines.
fn of_trace(lines: impl BufRead, id: &str) -> std::io::Result<Export> {
    let prefix = std::str::from_utf8(LINE_PREFIX).unwrap_or_default();
    let (mut all, mut known) = (Export::default(), HashSet::new());
    for line in lines.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        let Some(at) = line.find(prefix) else {
            continue;
        };
        let Ok(export) = serde_json::from_str::<Export>(line[at..].trim_end()) else {
            continue;
        };
        for mut of_resource in export.resource_spans {
            for scope in &mut of_resource.scope_spans {
                let mut is_new = |span: &Span| known.insert(span.span_id.clone());
                scope
                    .spans
                    .retain(|span| span.trace_id.eq_ignore_ascii_case(id) && is_new(span));
            }
            of_resource
                .scope_spans
                .retain(|scope| !scope.spans.is_empty());
            if !of_resource.scope_spans.is_empty() {
                all.resource_spans.push(of_resource);
            }
        }
    }
    Ok(all)
}

/// A trace whose spans are in the order in which they began.
struct Waterfall {
    /// Each with the function that it comes from.
    spans: Vec<(String, Span)>,
    begin_ns: u64,
    end_ns: u64,
}

impl Waterfall {
    fn new(export: Export) -> Self {
        let mut spans: Vec<_> = export
            .resource_spans
            .into_iter()
            .flat_map(|of_resource| {
                let service = of_resource.resource.service();
                let spans = of_resource.scope_spans.into_iter().flat_map(|of| of.spans);
                spans
                    .map(|span| (service.clone(), span))
                    .collect::<Vec<_>>()
            })
            .collect();
        // Of those that began together, the longest one has the others in it.
        spans.sort_by_key(|(_, span)| {
            (
                span.start_time_unix_nano,
                std::cmp::Reverse(span.end_time_unix_nano),
            )
        });
        let begin_ns = spans.first().map(|(_, span)| span.start_time_unix_nano);
        let end_ns = spans.iter().map(|(_, span)| span.end_time_unix_nano).max();
        Self {
            begin_ns: begin_ns.unwrap_or_default(),
            end_ns: end_ns.unwrap_or_default(),
            spans,
        }
    }

    fn text(&self, id: &str) -> String {
        let mut text = String::new();
        let functions: HashSet<_> = self.spans.iter().map(|(service, _)| service).collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "trace {id}, began {} UTC, {:.1} ms, {} functions, {} spans\n",
            time_of_day(self.begin_ns / 1_000_000),
            ms(self.end_ns.saturating_sub(self.begin_ns)),
            functions.len(),
            self.spans.len()
        );
        let _ = writeln!(text, "{:<BAR$}  {:>9}  {:>9}", "", "offset ms", "ms");
        self.roots(&mut text);
        text
    }

    /// Spans without a parent, then those whose parent is missing, under one line for each such parent.
    fn roots(&self, text: &mut String) {
        let known: HashSet<_> = self.spans.iter().map(|(_, s)| s.span_id.as_str()).collect();
        let missing = |span: &Span| {
            !span.parent_span_id.is_empty() && !known.contains(span.parent_span_id.as_str())
        };
        let mut has_root = false;
        for (service, span) in &self.spans {
            if span.parent_span_id.is_empty() {
                has_root = true;
                self.tree(text, service, span, 0);
            }
        }
        let mut shown = HashSet::new();
        for (_, first) in self.spans.iter().filter(|(_, span)| missing(span)) {
            let parent = first.parent_span_id.as_str();
            if !shown.insert(parent) {
                continue;
            }
            let children = || {
                self.spans
                    .iter()
                    .filter(|(_, s)| s.parent_span_id == parent)
            };
            // The parent of what comes first is the client, which writes its own spans elsewhere.
            let is_clients = !has_root
                && shown.len() == 1
                && children().any(|(_, span)| span.has_remote_parent());
            if !is_clients {
                let _ = writeln!(text, "{:<BAR$}  {:>9}  {:>9}  {NOT_FINISHED}", "", "", "");
            }
            for (service, span) in children() {
                self.tree(text, service, span, usize::from(!is_clients));
            }
        }
    }

    /// A span, and under it its children.
    fn tree(&self, text: &mut String, service: &str, span: &Span, depth: usize) {
        // What was changed on its way could be its own parent.
        if depth > self.spans.len() {
            return;
        }
        self.line(text, service, span, depth);
        let children = self.spans.iter();
        for (service, child) in children.filter(|(_, s)| s.parent_span_id == span.span_id) {
            self.tree(text, service, child, depth + 1);
        }
    }

    fn line(&self, text: &mut String, service: &str, span: &Span, depth: usize) {
        let offset = span.start_time_unix_nano.saturating_sub(self.begin_ns);
        let took = span
            .end_time_unix_nano
            .saturating_sub(span.start_time_unix_nano);
        let _ = write!(
            text,
            "{}  {:>9.1}  {:>9.1}  {:indent$}{}  [{service}]",
            self.bar(offset, took),
            ms(offset),
            ms(took),
            "",
            span.name,
            indent = depth * 2
        );
        for fact in facts(span) {
            let _ = write!(text, "  {fact}");
        }
        text.push('\n');
    }

    fn bar(&self, offset: u64, took: u64) -> String {
        let all = u128::from(self.end_ns.saturating_sub(self.begin_ns).max(1));
        let place = |ns: u64| usize::try_from(u128::from(ns) * BAR as u128 / all).unwrap_or(BAR);
        let from = place(offset).min(BAR - 1);
        let to = place(offset.saturating_add(took)).clamp(from + 1, BAR);
        let (before, bar) = (" ".repeat(from), "█".repeat(to - from));
        format!("{before}{bar}{}", " ".repeat(BAR - to))
    }
}

/// What a person wants to know of a span beside its times.
fn facts(span: &Span) -> Vec<String> {
    let of = |key: &str| span.attribute(key);
    let mut facts = Vec::new();
    facts.extend(of("zerocart.code").or_else(|| of("http.response.status_code")));
    if of("faas.coldstart").as_deref() == Some("true") {
        facts.push("cold".to_owned());
    }
    let labels = [
        ("http.request.resend_count", "retry"),
        ("zerocart.breaker.state", "breaker"),
        ("zerocart.saga.outcome", "outcome"),
        ("zerocart.order.status", "order"),
        ("zerocart.order.cause", "cause"),
        ("zerocart.provider.reply", "reply"),
    ];
    for (key, label) in labels {
        // A closed breaker is the usual one.
        let value = of(key).filter(|value| label != "breaker" || value != "closed");
        facts.extend(value.map(|value| format!("{label}={value}")));
    }
    if span.failed() {
        let error = of("error.type").unwrap_or_else(|| "error".to_owned());
        facts.push(match span.status.message.as_str() {
            "" => format!("FAILED {error}"),
            message => format!("FAILED {error}: {message}"),
        });
    } else {
        facts.extend(of("zerocart.reason").map(|reason| format!("({reason})")));
    }
    for link in &span.links {
        let other = link.trace_id != span.trace_id;
        let of_trace = if other {
            format!(" of trace {}", link.trace_id)
        } else {
            String::new()
        };
        facts.push(format!("continues {}{of_trace}", link.span_id));
    }
    facts
}

/// Milliseconds, from nanoseconds.
fn ms(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn span(id: u64, parent: Option<u64>, from_ms: u64, to_ms: u64, more: Value) -> Value {
        let mut span = json!({
            "traceId": TRACE, "spanId": format!("{id:016x}"), "name": format!("span {id}"),
            "flags": 0x101, "kind": 1,
            "startTimeUnixNano": format!("{}", from_ms * 1_000_000),
            "endTimeUnixNano": format!("{}", to_ms * 1_000_000),
        });
        let members = span.as_object_mut().unwrap();
        members.extend(parent.map(|p| ("parentSpanId".to_owned(), json!(format!("{p:016x}")))));
        members.extend(more.as_object().unwrap().clone());
        span
    }

    fn lines(spans: &[(&str, Value)]) -> Vec<String> {
        let resources: Vec<_> = spans
            .iter()
            .map(|(service, span)| {
                json!({"resource": {"attributes": [
                    {"key": "service.name", "value": {"stringValue": service}}]},
                    "scopeSpans": [{"spans": [span]}]})
            })
            .collect();
        let export = json!({ "resourceSpans": resources });
        let text = Waterfall::new(serde_json::from_value(export).unwrap()).text(TRACE);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_waterfall_shows_times_parents_outcomes_and_links() {
        let code = |code: &str| json!({"key": "zerocart.code", "value": {"stringValue": code}});
        let failed = json!({"attributes": [{"key": "error.type", "value": {"stringValue": "57014"}}],
            "status": {"code": 2, "message": "too long"},
            "links": [{"traceId": TRACE, "spanId": "00000000000000aa"}]});
        let lines = lines(&[
            ("b", span(3, Some(2), 10, 20, failed)),
            (
                "a",
                span(
                    1,
                    None,
                    0,
                    32,
                    json!({"attributes": [code("OK"),
                {"key": "faas.coldstart", "value": {"boolValue": true}}]}),
                ),
            ),
            ("a", span(2, Some(1), 8, 24, json!({}))),
        ]);
        assert_eq!(
            lines[0],
            format!("trace {TRACE}, began 00:00:00.000 UTC, 32.0 ms, 2 functions, 3 spans")
        );
        let bar = |from: usize, to: usize| {
            format!(
                "{}{}{}",
                " ".repeat(from),
                "█".repeat(to - from),
                " ".repeat(BAR - to)
            )
        };
        assert_eq!(
            lines[3..],
            [
                format!(
                    "{}        0.0       32.0  span 1  [a]  OK  cold",
                    bar(0, 32)
                ),
                format!("{}        8.0       16.0    span 2  [a]", bar(8, 24)),
                format!(
                    "{}       10.0       10.0      span 3  [b]  FAILED 57014: too long  continues 00000000000000aa",
                    bar(10, 20)
                ),
            ]
        );
    }

    #[test]
    fn a_file_has_the_spans_of_several_logs_among_other_lines() {
        let line = |service: &str, trace: &str, id: u64| {
            let mut span = span(id, None, 0, 10, json!({}));
            span["traceId"] = json!(trace);
            json!({"resourceSpans": [{"resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": service}}]},
                "scopeSpans": [{"spans": [span]}]}]})
            .to_string()
        };
        let file = [
            "{\"level\":\"INFO\"}".to_owned(),
            line("a", TRACE, 1),
            format!("[pod/a/user-container] {}", line("a", TRACE, 1)),
            format!("[pod/b/user-container] {}", line("b", TRACE, 2)),
            line("c", &TRACE.replace('4', "5"), 3),
            "{\"resourceSpans\" and then the process was killed".to_owned(),
        ];
        let export = of_trace(file.join("\n").as_bytes(), TRACE).unwrap();
        let text = Waterfall::new(export).text(TRACE);
        assert!(text.contains("2 functions, 2 spans"), "{text}");
        assert!(
            text.contains("span 1  [a]") && text.contains("span 2  [b]"),
            "{text}"
        );

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spans");
        std::fs::write(&path, &file[0]).unwrap();
        let error = read_file(&path, TRACE).unwrap_err().to_string();
        assert!(
            error.contains("--file") && error.contains("no span of the trace"),
            "{error}"
        );
    }

    #[test]
    fn what_has_no_parent_here_is_not_finished_but_for_what_the_client_began() {
        let remote = json!({"flags": 0x301});
        let lines = lines(&[
            ("a", span(1, Some(0xc), 0, 10, remote.clone())),
            ("a", span(2, Some(0xc), 1, 2, json!({}))),
            ("b", span(3, Some(0xd), 5, 6, remote)),
        ]);
        // Behind the bar and both times, with the indentation.
        let name = |line: &String| line.chars().skip(BAR + 24).collect::<String>();
        let names: Vec<_> = lines[3..].iter().map(name).collect();
        assert_eq!(
            names,
            ["span 1  [a]", "span 2  [a]", NOT_FINISHED, "  span 3  [b]"]
        );
    }
}
