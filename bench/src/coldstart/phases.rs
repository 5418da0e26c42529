//! Where the time of a cold request went: cuts through the client's time, from the spans of its trace.

use zerocart_collector::otlp::{Export, Span};

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
    /// By how much cuts are in the wrong order, which is how much clocks or spans contradict each other. Without it
    /// the phases add up to the client's time.
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
            Cut::new("wait until ready", ready.end_time_unix_nano),
            Cut::new("reach the function", call.start_time_unix_nano),
            Cut::new("call", call.end_time_unix_nano),
        ]);
        Some(cuts)
    }

    /// Whether the process of a function began before the request reached the activator.
    pub(super) fn is_early(&self, function: &str, service: &str) -> bool {
        let activate = self.named("activator", &format!("activate {function}"));
        let process = self.named(service, "process start");
        activate.zip(process).is_some_and(|(activate, process)| {
            process.start_time_unix_nano < activate.start_time_unix_nano
        })
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

    /// What the first call of this function waited for: how long for a session, and for statements. Statements at
    /// the same time count twice.
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
            ("wait for a session".to_owned(), total(sessions)),
            ("statements".to_owned(), total(statements)),
            ("calls of functions".to_owned(), total(calls)),
        ]
    }
}

/// The length of all these spans together, in milliseconds.
fn total<'a>(spans: impl Iterator<Item = &'a Span>) -> f64 {
    let ns = spans.map(|span| {
        span.end_time_unix_nano
            .saturating_sub(span.start_time_unix_nano)
    });
    ns.sum::<u64>() as f64 / 1e6
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
        assert!(!spans.is_early("get-product", "get-product"));
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
}
