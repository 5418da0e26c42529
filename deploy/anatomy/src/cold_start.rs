//! A cold start: its phases, and how they become spans.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zerocart_collector::otlp::{Export, Span};
use zerocart_telemetry::{Kind, Recorder, Trace, TraceContext};

/// `service.name` of the spans: this is Knative's and Kubernetes' work.
pub const SERVICE: &str = "knative";

/// Whose clock told when a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// That of the component which made the event.
    Event,
    /// That of the program which watches.
    Watch,
    /// The function's own.
    Function,
}

impl Clock {
    fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Watch => "watch",
            Self::Function => "function",
        }
    }
}

/// A phase of a cold start. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What happened. If the end of a phase is not known, it and the next one are one: `a, b`.
    pub name: String,
    /// Its begin: the end of the phase before.
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
    /// Whose clock told the end.
    pub clock: Clock,
}

/// The start of a pod for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdStart {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The node on which it runs; empty if that is not known.
    pub node: String,
    /// The function.
    pub function: String,
    /// Its revision.
    pub revision: String,
    /// The phases, without gaps. The last one ends when the call begins.
    pub phases: Vec<Phase>,
    /// By how much marks were in the wrong order, all together, in nanoseconds: so much of the phases is moved from
    /// one to another, because clocks differ or the watch was late.
    pub disorder_ns: u64,
    /// The call that the pod was started for.
    pub call: Call,
    /// The first spans of the function, as it wrote them.
    pub line: String,
}

/// The first call of a process, from its span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The span under which phases are: that of the caller, or that of the call if there is none. 16 hexadecimal
    /// digits.
    pub parent_id: String,
    /// When it began and ended, in nanoseconds since 1970.
    pub from_ns: u64,
    /// The same.
    pub to_ns: u64,
}

impl Call {
    /// The call of a line of spans that a function wrote, if it was the first one of its process.
    #[must_use]
    pub fn of_line(line: &str) -> Option<Self> {
        let export: Export = serde_json::from_str(line).ok()?;
        let resources = export.resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let mut spans = scopes.flat_map(|scope| scope.spans);
        let is_cold = |span: &Span| span.attribute("faas.coldstart").as_deref() == Some("true");
        let span = spans.find(is_cold)?;
        let parent_id = match span.parent_span_id.is_empty() {
            true => span.span_id,
            false => span.parent_span_id,
        };
        Some(Self {
            trace_id: span.trace_id,
            parent_id,
            from_ns: span.start_time_unix_nano,
            to_ns: span.end_time_unix_nano,
        })
    }
}

impl ColdStart {
    /// When the first phase began, in nanoseconds since 1970.
    #[must_use]
    pub fn from_ns(&self) -> u64 {
        self.phases
            .first()
            .map_or(self.call.from_ns, |phase| phase.from_ns)
    }

    /// Writes the span `cold start`, and under it one for each phase.
    pub fn record(&self, recorder: &Recorder) {
        let call = &self.call;
        let header = format!("00-{}-{}-01", call.trace_id, call.parent_id);
        // A function writes no other ids.
        let Some(parent) = TraceContext::of_header(&header) else {
            return;
        };
        let clocks = (SystemTime::now(), Instant::now());
        let at = |ns| instant(clocks, ns);
        let trace = Trace::begin(recorder, parent);
        let mut start = trace.span("cold start", Kind::Internal);
        start.began_at(at(self.from_ns()));
        start.set("faas.invoked_name", self.function.as_str());
        start.set("k8s.namespace.name", self.namespace.as_str());
        start.set("k8s.pod.name", self.pod.as_str());
        if !self.node.is_empty() {
            start.set("k8s.node.name", self.node.as_str());
        }
        start.set("zerocart.revision", self.revision.as_str());
        let disorder_us = i64::try_from(self.disorder_ns / 1_000).unwrap_or(i64::MAX);
        start.set("zerocart.disorder_us", disorder_us);
        let under = start.trace();
        for phase in &self.phases {
            let name: std::sync::Arc<str> = phase.name.as_str().into();
            let mut span = under.span(name, Kind::Internal);
            span.began_at(at(phase.from_ns));
            span.set("faas.invoked_name", self.function.as_str());
            span.set("zerocart.clock", phase.clock.name());
            span.end_at(at(phase.to_ns));
        }
        start.end_at(at(call.from_ns));
        trace.flush();
    }
}

/// The instant of a time in nanoseconds since 1970, by a reading of both clocks. A time before this machine
/// started is its start.
fn instant((system, instant): (SystemTime, Instant), ns: u64) -> Instant {
    let time = UNIX_EPOCH + Duration::from_nanos(ns);
    match system.duration_since(time) {
        Ok(before) => instant.checked_sub(before).unwrap_or(instant),
        Err(after) => instant + after.duration(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use zerocart_telemetry::Resource;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn line(parent: &str, cold: bool) -> String {
        serde_json::json!({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": [
            {"traceId": TRACE, "spanId": "00000000000000aa", "parentSpanId": parent, "name": "process start",
             "startTimeUnixNano": "900", "endTimeUnixNano": "950"},
            {"traceId": TRACE, "spanId": "00000000000000bb", "parentSpanId": parent, "name": "GET /x",
             "startTimeUnixNano": "1000", "endTimeUnixNano": "2000",
             "attributes": [{"key": "faas.coldstart", "value": {"boolValue": cold}}]}]}]}]})
        .to_string()
    }

    #[test]
    fn the_first_call_is_the_one_that_was_a_cold_start() {
        let call = Call::of_line(&line("00000000000000cc", true)).unwrap();
        assert_eq!((call.from_ns, call.to_ns), (1000, 2000));
        assert_eq!(
            (&*call.trace_id, &*call.parent_id),
            (TRACE, "00000000000000cc")
        );
        // Without a caller's span, phases are under that of the call.
        let root = Call::of_line(&line("", true)).unwrap();
        assert_eq!(root.parent_id, "00000000000000bb");
        assert_eq!(Call::of_line(&line("", false)), None);
        assert_eq!(Call::of_line("{\"level\":\"INFO\"}"), None);
    }

    #[test]
    fn phases_are_spans_of_the_calls_trace_at_their_times() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = u64::try_from(now.as_nanos()).unwrap() - 2_000_000_000;
        let phase = |name: &str, from_ms: u64, to_ms: u64| Phase {
            name: name.to_owned(),
            from_ns: now + from_ms * 1_000_000,
            to_ns: now + to_ms * 1_000_000,
            clock: Clock::Event,
        };
        let start = ColdStart {
            namespace: "zerocart".into(),
            pod: "pod".into(),
            node: "node".into(),
            function: "get-product".into(),
            revision: "get-product-00001".into(),
            phases: vec![
                phase("schedule pod", 0, 100),
                phase("make sandbox", 100, 400),
            ],
            disorder_ns: 0,
            call: Call {
                trace_id: TRACE.into(),
                parent_id: "00000000000000cc".into(),
                from_ns: now + 400_000_000,
                to_ns: now + 500_000_000,
            },
            line: String::new(),
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let resource = Resource::new(SERVICE, "1");
        start.record(&Recorder::new(&resource, move |line: &[u8]| {
            kept.lock().unwrap().extend_from_slice(line);
        }));
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        // One line, complete.
        assert_eq!(text.lines().count(), 1, "{text}");
        let export: Export = serde_json::from_str(&text).unwrap();
        let spans = &export.resource_spans[0].scope_spans[0].spans;
        let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["schedule pod", "make sandbox", "cold start"]);
        let whole = &spans[2];
        assert_eq!(whole.parent_span_id, "00000000000000cc");
        for span in spans {
            assert_eq!(span.trace_id, TRACE);
        }
        for (span, from_ms, to_ms) in [(&spans[0], 0, 100), (&spans[1], 100, 400), (whole, 0, 400)]
        {
            // Both clocks are read one after the other, so microseconds may differ.
            let is_near = |ns: u64, ms: u64| ns.abs_diff(now + ms * 1_000_000) < 1_000_000;
            assert!(is_near(span.start_time_unix_nano, from_ms), "{span:?}");
            assert!(is_near(span.end_time_unix_nano, to_ms), "{span:?}");
        }
        assert_eq!(spans[0].parent_span_id, whole.span_id);
        assert_eq!(
            spans[0].attribute("zerocart.clock").as_deref(),
            Some("event")
        );
    }
}
