//! Where the time of a cold request went: cuts through the client's time, from the spans of its trace.

use zerocart_collector::otlp::{Export, Span};

/// Phases that no span covers: they are what is between two marks, or between a mark and the client.
const IN_NO_SPAN: [&str; 5] = [
    "reach the gateway",
    "reach the activator",
    "reach the function",
    "request held",
    "answer",
];

/// Each phase: its name, its begin, and its end. An empty begin is the end of the phase before.
const MEANINGS: [(&str, &str, &str); 17] = [
    (
        "reach the gateway",
        "the client begins to connect",
        "the gateway has read the head of the request",
    ),
    ("plugins", "", "the gateway's plugins have let it pass"),
    (
        "reach the activator",
        "the client begins to connect, or the plugins end",
        "the activator has the request",
    ),
    ("decide", "", "the activator begins to start a process"),
    ("spawn and exec", "", "the `main` of the program begins"),
    (
        "process start",
        "",
        "the program has read its settings and built the function",
    ),
    ("listen", "", "the program accepts connections"),
    (
        "notice that it is ready",
        "",
        "the activator knows it. The span `wait until ready` ends here, too, but begins when the process is spawned",
    ),
    ("reach the function", "", "the function's call begins"),
    (
        "request held",
        "the client begins to connect",
        "Knative's autoscaler has raised the replicas",
    ),
    ("create pod", "", "the pod is there"),
    ("schedule pod", "", "a node is chosen"),
    (
        "make sandbox",
        "",
        "the kubelet has made the sandbox and the network of the pod, and has the first image",
    ),
    ("start containers", "", "the last container has started"),
    (
        "wait until ready",
        "",
        "the function's call begins: probes, and the way to the function",
    ),
    ("call", "", "the function's call has ended"),
    ("answer", "", "the client has read the last byte"),
];

/// The begin and the end of a phase, in words. Where a mark is missing, two phases are one: `a, b`.
pub(super) fn meaning(phase: &str) -> Option<(&'static str, &'static str)> {
    let of = |name: &str| MEANINGS.iter().find(|(known, ..)| *known == name);
    let (first, last) = (phase.split(", ").next()?, phase.rsplit(", ").next()?);
    let ((_, from, _), (.., until)) = (of(first)?, of(last)?);
    let from = if from.is_empty() {
        "the phase before ends"
    } else {
        from
    };
    Some((from, until))
}

/// Whether no span covers this phase.
pub(super) fn is_in_no_span(phase: &str) -> bool {
    IN_NO_SPAN.contains(&phase)
}

/// The part of a request's time that is in no span, in milliseconds.
pub(super) fn in_no_span(phases: &[(String, f64)]) -> f64 {
    let gaps = phases.iter().filter(|(name, _)| is_in_no_span(name));
    gaps.map(|(_, ms)| ms).sum()
}

/// The end of a phase.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) name: String,
    /// Nanoseconds since 1970.
    pub(super) at_ns: u64,
}

impl Cut {
    pub(super) fn new(name: impl Into<String>, at_ns: u64) -> Self {
        Self {
            name: name.into(),
            at_ns,
        }
    }
}

/// The phases of one request, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Phases {
    /// One after the other, from the client's begin to its end.
    pub(super) of: Vec<(String, f64)>,
    /// By how much cuts are in the wrong order, which is how much clocks contradict each other. Without it the phases
    /// add up to the client's time, because the first one begins and the last one ends with the client.
    pub(super) wrong_ms: f64,
    /// What happened inside of phases.
    pub(super) within: Vec<(String, f64)>,
}

impl Phases {
    /// Cuts the client's time. `from_ns` is its begin by the same clock as the cuts', `took_ms` its length.
    pub(super) fn cut(from_ns: u64, took_ms: f64, cuts: &[Cut], last: &str) -> Self {
        let to_ns = from_ns + (took_ms * 1e6) as u64;
        let (mut phases, mut before) = (Self::default(), from_ns);
        let end = Cut::new(last, to_ns);
        for Cut { name, at_ns } in cuts.iter().chain([&end]) {
            let at_ns = *at_ns;
            phases.wrong_ms += before.saturating_sub(at_ns) as f64 / 1e6;
            let took = at_ns.saturating_sub(before) as f64 / 1e6;
            phases.of.push((name.clone(), took));
            before = at_ns;
        }
        phases
    }

    /// The sum of all phases.
    #[cfg(test)]
    fn sum(&self) -> f64 {
        self.of.iter().map(|(_, ms)| ms).sum()
    }
}

/// The spans of a trace, each with the function or part that wrote it.
#[derive(Debug)]
pub(super) struct Spans(Vec<(String, Span)>);

impl Spans {
    pub(super) fn of(export: Export) -> Self {
        let mut all = Vec::new();
        for of_resource in export.resource_spans {
            let service = of_resource.resource.service();
            let spans = of_resource.scope_spans.into_iter().flat_map(|s| s.spans);
            all.extend(spans.map(|span| (service.clone(), span)));
        }
        all.sort_by_key(|(_, span)| span.start_time_unix_nano);
        Self(all)
    }

    /// How many functions started in it.
    pub(super) fn cold_starts(&self) -> usize {
        let cold = |span: &Span| span.attribute("faas.coldstart").as_deref() == Some("true");
        self.0.iter().filter(|(_, span)| cold(span)).count()
    }

    /// The first call of a process of this function.
    pub(super) fn call(&self, service: &str) -> Option<&Span> {
        let cold = |span: &Span| span.attribute("faas.coldstart").as_deref() == Some("true");
        let mut own = self.0.iter().filter(|(from, _)| from == service);
        own.find(|(_, span)| cold(span)).map(|(_, span)| span)
    }

    fn named(&self, service: &str, name: &str) -> Option<&Span> {
        let mut named = self.0.iter();
        let found = named.find(|(from, span)| from == service && span.name == name);
        found.map(|(_, span)| span)
    }

    fn child(&self, of: &Span, name: &str) -> Option<&Span> {
        let mut children = self.0.iter();
        let found = children.find(|(_, s)| s.parent_span_id == of.span_id && s.name == name);
        found.map(|(_, span)| span)
    }

    /// The cuts of a start by the local engine: of the program `service` in the place of the function `function`,
    /// asked through the gateway or not. None if a span is missing.
    pub(super) fn local_cuts(
        &self,
        function: &str,
        service: &str,
        through_gateway: bool,
    ) -> Option<Vec<Cut>> {
        let mut cuts = Vec::new();
        if through_gateway {
            let mut spans = self.0.iter();
            let (_, gateway) = spans.find(|(from, s)| from == "gateway" && s.kind == 2)?;
            cuts.push(Cut::new("reach the gateway", gateway.start_time_unix_nano));
            let plugins = self.child(gateway, "plugins")?;
            cuts.push(Cut::new("plugins", plugins.end_time_unix_nano));
        }
        let activate = self.named("activator", &format!("activate {function}"))?;
        let queued = self.child(activate, "queued")?;
        let start = self.child(queued, "start instance")?;
        let spawn = self.child(start, "spawn process")?;
        let ready = self.child(start, "wait until ready")?;
        let process = self.named(service, "process start")?;
        let listen = self.named(service, "listen")?;
        let call = self.call(service)?;
        cuts.extend([
            Cut::new("reach the activator", activate.start_time_unix_nano),
            Cut::new("decide", spawn.start_time_unix_nano),
            // The process runs while the activator still waits to hear that it was spawned.
            Cut::new("spawn and exec", process.start_time_unix_nano),
            Cut::new("process start", process.end_time_unix_nano),
            Cut::new("listen", listen.end_time_unix_nano),
            Cut::new("notice that it is ready", ready.end_time_unix_nano),
            Cut::new("reach the function", call.start_time_unix_nano),
            Cut::new("call", call.end_time_unix_nano),
        ]);
        Some(cuts)
    }

    /// Whether a process of this trace began before the request: before it reached the activator, or before `since_ns`
    /// if that is given.
    pub(super) fn is_early(&self, function: &str, since_ns: Option<u64>) -> bool {
        let activate = self.named("activator", &format!("activate {function}"));
        let since_ns = since_ns.or(activate.map(|span| span.start_time_unix_nano));
        let mut processes = self.0.iter().filter(|(_, s)| s.name == "process start");
        since_ns
            .is_some_and(|since| processes.any(|(_, process)| process.start_time_unix_nano < since))
    }

    /// How long the process of this function took to begin.
    pub(super) fn process(&self, service: &str) -> Vec<(String, f64)> {
        let names = ["process start", "listen", "first database session"];
        let spans = names.map(|name| Some((name, self.named(service, name)?)));
        let spans = spans.into_iter().flatten();
        spans
            .map(|(name, span)| {
                let ns = span
                    .end_time_unix_nano
                    .saturating_sub(span.start_time_unix_nano);
                (name.to_owned(), ns as f64 / 1e6)
            })
            .collect()
    }

    /// What the first call of this function waited for: how long for a session, for statements, and for other
    /// functions. What happens at the same time counts once.
    pub(super) fn within(&self, service: &str) -> Vec<(String, f64)> {
        let Some(call) = self.call(service) else {
            return Vec::new();
        };
        let own = || {
            let own = self.0.iter().filter(|(from, _)| from == service);
            own.map(|(_, span)| span)
                .filter(|span| span.start_time_unix_nano >= call.start_time_unix_nano)
        };
        let sessions = own().filter(|span| span.name == "database session");
        let statements = own().filter(|span| {
            span.name != "database session" && span.attribute("db.system.name").is_some()
        });
        let calls =
            own().filter(|span| span.kind == 3 && span.attribute("faas.invoked_name").is_some());
        vec![
            ("wait for a session".to_owned(), covered(call, sessions)),
            ("statements".to_owned(), covered(call, statements)),
            ("calls of functions".to_owned(), covered(call, calls)),
        ]
    }
}

/// How much of the time of `call` these spans cover, in milliseconds. Spans that overlap count once.
fn covered<'a>(call: &Span, spans: impl Iterator<Item = &'a Span>) -> f64 {
    let mut times: Vec<_> = spans
        .map(|span| (span.start_time_unix_nano, span.end_time_unix_nano))
        .collect();
    times.sort_unstable();
    let (mut ns, mut until) = (0, call.start_time_unix_nano);
    for (from, to) in times {
        let to = to.min(call.end_time_unix_nano);
        ns += to.saturating_sub(from.max(until));
        until = until.max(to);
    }
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn phases_add_up_to_the_clients_time() {
        let cuts = [Cut::new("a", 1_002_000_000), Cut::new("b", 1_005_000_000)];
        let phases = Phases::cut(1_000_000_000, 8.0, &cuts, "back");
        let expected = [("a", 2.0), ("b", 3.0), ("back", 3.0)];
        let expected = expected.map(|(name, ms)| (name.to_owned(), ms));
        assert_eq!(phases.of, expected);
        assert_eq!((phases.sum(), phases.wrong_ms), (8.0, 0.0));
    }

    #[test]
    fn cuts_in_the_wrong_order_are_counted_and_not_hidden() {
        let cuts = [Cut::new("a", 1_005_000_000), Cut::new("b", 1_004_000_000)];
        let phases = Phases::cut(1_000_000_000, 8.0, &cuts, "back");
        assert_eq!(phases.wrong_ms, 1.0);
        assert_eq!(phases.sum(), 9.0);
    }

    fn span(service: &str, ids: [u64; 2], name: &str, ms: [u64; 2], attributes: Value) -> Value {
        let ns = |ms: u64| (ms * 1_000_000).to_string();
        let [id, parent] = ids.map(|id| format!("{id:016x}"));
        json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": [{"traceId": "00", "spanId": id, "parentSpanId": parent, "kind": 2,
            "name": name, "startTimeUnixNano": ns(ms[0]), "endTimeUnixNano": ns(ms[1]),
            "attributes": attributes}]}]})
    }

    #[test]
    fn a_start_of_the_local_engine_is_cut_by_its_spans() {
        let cold = json!([{"key": "faas.coldstart", "value": {"boolValue": true}}]);
        let none = json!([]);
        let spans = [
            span(
                "activator",
                [1, 0],
                "activate get-product",
                [1, 20],
                none.clone(),
            ),
            span("activator", [2, 1], "queued", [1, 10], none.clone()),
            span("activator", [3, 2], "start instance", [2, 10], none.clone()),
            span("activator", [4, 3], "spawn process", [2, 3], none.clone()),
            span(
                "activator",
                [5, 3],
                "wait until ready",
                [3, 10],
                none.clone(),
            ),
            span("get-product", [6, 1], "process start", [5, 7], none.clone()),
            span("get-product", [7, 1], "listen", [7, 8], none),
            span("get-product", [8, 1], "GET /products/{id}", [11, 19], cold),
        ];
        let export = serde_json::from_value(json!({ "resourceSpans": spans })).unwrap();
        let spans = Spans::of(export);
        assert_eq!(spans.cold_starts(), 1);
        assert!(!spans.is_early("get-product", None));
        // A process that was there before the client began, and another one's that was there before the request.
        assert!(spans.is_early("get-product", Some(6_000_000)));
        let cuts = spans
            .local_cuts("get-product", "get-product", false)
            .unwrap();
        let phases = Phases::cut(0, 21.0, &cuts, "answer");
        let ms: Vec<_> = phases.of.iter().map(|(_, ms)| *ms).collect();
        assert_eq!(ms, [1.0, 1.0, 3.0, 2.0, 1.0, 2.0, 1.0, 8.0, 2.0]);
        assert_eq!((phases.sum(), phases.wrong_ms), (21.0, 0.0));
        assert!(spans.local_cuts("get-cart", "get-cart", false).is_none());
        // The gateway's span has not come.
        let through = spans.local_cuts("get-product", "get-product", true);
        assert!(through.is_none());
    }
    #[test]
    fn a_process_that_was_there_before_the_request_is_seen() {
        let spans = [
            span(
                "activator",
                [1, 0],
                "activate add-to-cart",
                [4, 20],
                json!([]),
            ),
            span("add-to-cart", [2, 1], "process start", [5, 7], json!([])),
            // That of a function which is called.
            span("get-product", [3, 2], "process start", [3, 6], json!([])),
        ];
        let export = serde_json::from_value(json!({ "resourceSpans": spans })).unwrap();
        assert!(Spans::of(export).is_early("add-to-cart", None));
    }

    #[test]
    fn spans_that_overlap_count_once_and_only_within_the_call() {
        let cold = json!([{"key": "faas.coldstart", "value": {"boolValue": true}}]);
        let sql = || json!([{"key": "db.system.name", "value": {"stringValue": "postgresql"}}]);
        let of = "get-cart";
        let spans = [
            span(of, [1, 0], "GET /carts/{user_id}", [10, 20], cold),
            span(of, [2, 1], "SELECT carts", [11, 15], sql()),
            span(of, [3, 1], "SELECT cart_items", [12, 14], sql()),
            span(of, [4, 1], "SELECT reservations", [14, 17], sql()),
            span(of, [5, 1], "DELETE carts", [18, 29], sql()),
        ];
        let export = serde_json::from_value(json!({ "resourceSpans": spans })).unwrap();
        let within = Spans::of(export).within(of);
        assert_eq!(within[1], ("statements".to_owned(), 8.0));
    }

    #[test]
    fn phases_without_a_span_are_known_and_each_phase_is_described() {
        let ms = |list: &[(&str, f64)]| -> Vec<_> {
            list.iter()
                .map(|(name, ms)| ((*name).to_owned(), *ms))
                .collect()
        };
        let phases = ms(&[("request held", 1.0), ("call", 2.0), ("answer", 4.0)]);
        assert_eq!(in_no_span(&phases), 5.0);
        for name in IN_NO_SPAN {
            assert!(meaning(name).is_some(), "{name}");
        }
        let joined = meaning("request held, create pod").unwrap();
        assert_eq!(joined, ("the client begins to connect", "the pod is there"));
        assert_eq!(meaning("call").unwrap().0, "the phase before ends");
        assert!(meaning("sleep").is_none());
    }
}
