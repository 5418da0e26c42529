//! Spans as a collector exports them, with the types of their attributes; and what is wrong with one by
//! OpenTelemetry's semantic conventions.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The conventions whose names are used.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// The names that are not our own, with the types that the conventions give them.
const NAMES: [(&str, &str); 34] = [
    ("db.collection.name", "stringValue"),
    ("db.namespace", "stringValue"),
    ("db.operation.name", "stringValue"),
    ("db.query.summary", "stringValue"),
    ("db.response.status_code", "stringValue"),
    ("db.system.name", "stringValue"),
    ("error.type", "stringValue"),
    ("faas.coldstart", "boolValue"),
    ("faas.instance", "stringValue"),
    ("faas.invoked_name", "stringValue"),
    ("faas.name", "stringValue"),
    ("faas.trigger", "stringValue"),
    ("faas.version", "stringValue"),
    ("host.name", "stringValue"),
    ("http.request.method", "stringValue"),
    ("http.request.resend_count", "intValue"),
    ("http.response.status_code", "intValue"),
    ("http.route", "stringValue"),
    ("process.pid", "intValue"),
    ("rpc.grpc.status_code", "intValue"),
    ("rpc.method", "stringValue"),
    ("rpc.service", "stringValue"),
    ("rpc.system", "stringValue"),
    ("server.address", "stringValue"),
    ("server.port", "intValue"),
    ("service.instance.id", "stringValue"),
    ("service.name", "stringValue"),
    ("service.namespace", "stringValue"),
    ("service.version", "stringValue"),
    ("telemetry.sdk.language", "stringValue"),
    ("telemetry.sdk.name", "stringValue"),
    ("telemetry.sdk.version", "stringValue"),
    ("url.path", "stringValue"),
    ("url.scheme", "stringValue"),
];

/// `SpanKind`.
pub(super) const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// The codes of gRPC that are a server's own failures: those of the alerts, as numbers.
const FAILURES: [(&str, &str); 6] = [
    ("UNKNOWN", "2"),
    ("DEADLINE_EXCEEDED", "4"),
    ("UNIMPLEMENTED", "12"),
    ("INTERNAL", "13"),
    ("UNAVAILABLE", "14"),
    ("DATA_LOSS", "15"),
];

/// Alerts and spans have one definition of failed calls, which the page of telemetry names, too.
#[test]
fn failures_are_the_same_everywhere() {
    let names = FAILURES.map(|(name, _)| name);
    assert_eq!(
        zerocart_observability::goals::FAILURES,
        names.join("|"),
        "of the alerts"
    );
    let page = std::fs::read_to_string(zerocart_tests::root().join("docs/telemetry.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let (last, others) = names.split_last().unwrap();
    let told = format!("{} or {last} of gRPC", others.join(", "));
    assert!(
        page.contains(&told),
        "docs/telemetry.md does not say: {told}"
    );
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
struct Resource {
    attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans {
    spans: Vec<Span>,
    schema_url: String,
}

/// A span.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    /// `service.name` of its resource.
    #[serde(skip)]
    pub(super) service: String,
    #[serde(rename = "traceId")]
    pub(super) trace: String,
    #[serde(rename = "spanId")]
    pub(super) id: String,
    #[serde(rename = "parentSpanId", default)]
    pub(super) parent: String,
    flags: u32,
    pub(super) name: String,
    pub(super) kind: u8,
    #[serde(rename = "startTimeUnixNano", deserialize_with = "number")]
    pub(super) began: u64,
    #[serde(rename = "endTimeUnixNano", deserialize_with = "number")]
    pub(super) ended: u64,
    attributes: Attributes,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    code: u8,
    #[serde(default)]
    message: String,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Names, types and values.
#[derive(Clone, Debug, Default)]
struct Attributes {
    values: BTreeMap<String, (String, String)>,
    /// A name came twice.
    twice: bool,
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Attribute {
            key: String,
            value: BTreeMap<String, Value>,
        }
        let mut attributes = Self::default();
        for Attribute { key, value } in Vec::<Attribute>::deserialize(deserializer)? {
            let one = value.into_iter().next();
            let (kind, value) = one.ok_or_else(|| serde::de::Error::custom("no value"))?;
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            attributes.twice |= attributes.values.insert(key, (kind, text)).is_some();
        }
        Ok(attributes)
    }
}

impl Attributes {
    fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(_, value)| value.as_str())
    }

    /// Names that the conventions do not have, and values of other types than theirs.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, (kind, value)) in &self.values {
            let known = NAMES.iter().find(|(name, _)| name == key);
            match known {
                Some((_, expected)) if kind != expected => {
                    wrong.push(format!("{key} is a {kind}: {value}"));
                }
                None if !key.starts_with("zerocart.") => {
                    wrong.push(format!("{key} is no name of the conventions"));
                }
                _ => {}
            }
        }
        if self.twice {
            wrong.push("an attribute is there twice".to_owned());
        }
        wrong
    }
}

/// All spans of an export. Their resources are looked at, too.
///
/// # Panics
///
/// When it is no OTLP JSON, or has a resource that is not as the conventions say.
pub(super) fn read(export: &str) -> Vec<Span> {
    let export: Export = serde_json::from_str(export).expect("OTLP JSON");
    let mut spans = Vec::new();
    for of_resource in export.resource_spans {
        let attributes = of_resource.resource.attributes;
        assert_eq!(attributes.wrong(), [""; 0]);
        for name in ["namespace", "name", "version", "instance.id"] {
            assert!(
                attributes.get(&format!("service.{name}")).is_some(),
                "{name}"
            );
        }
        assert_eq!(attributes.get("telemetry.sdk.language"), Some("rust"));
        let service = attributes.get("service.name").unwrap_or_default();
        for of_scope in of_resource.scope_spans {
            assert_eq!(of_scope.schema_url, SCHEMA);
            let of_scope = of_scope.spans.into_iter();
            spans.extend(of_scope.map(|span| Span {
                service: service.to_owned(),
                ..span
            }));
        }
    }
    spans
}

impl Span {
    /// An attribute, as text.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.attributes.get(key)
    }

    pub(super) fn failed(&self) -> bool {
        self.status.code == 2
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// All texts that may have come from elsewhere.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let values = self.attributes.values.values();
        let values = values.map(|(_, value)| value.as_str());
        values.chain([self.name.as_str(), self.status.message.as_str()])
    }

    /// What is wrong by the conventions.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = self.attributes.wrong();
        let mut expect = |right: bool, what: &str| {
            if !right {
                wrong.push(what.to_owned());
            }
        };
        expect(self.trace.len() == 32 && self.id.len() == 16, "ids");
        expect(self.began <= self.ended, "it ends before it begins");
        expect(self.flags & !0x301 == 0, "flags");
        let error = self.get("error.type").unwrap_or_default();
        let is_word = error
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
        expect(error.len() <= 32 && is_word, "error.type is no word");
        expect(self.failed() != error.is_empty(), "error.type");
        self.http(&mut expect);
        self.rpc(&mut expect);
        self.database(&mut expect);
        if self.get("zerocart.code").is_some() {
            expect(self.kind == SERVER, "a call's kind");
            expect(self.get("faas.trigger") == Some("http"), "faas.trigger");
            for name in ["faas.coldstart", "zerocart.protocol"] {
                expect(self.get(name).is_some(), name);
            }
        }
        wrong
    }

    fn http(&self, expect: &mut impl FnMut(bool, &str)) {
        let Some(method) = self.get("http.request.method") else {
            return;
        };
        let route = self.get("http.route");
        expect(self.kind == SERVER, "an HTTP server's kind");
        expect(self.get("url.path") == route, "url.path");
        expect(self.get("url.scheme") == Some("http"), "url.scheme");
        let method = if method == "_OTHER" { "HTTP" } else { method };
        let name = route.map_or(method.to_owned(), |route| format!("{method} {route}"));
        expect(self.name == name, "an HTTP server's name");
        match self.get("http.response.status_code") {
            Some(status) => expect(self.failed() == status.starts_with('5'), "its status"),
            None => expect(
                self.failed() || self.get("zerocart.code") == Some("CANCELLED"),
                "http.response.status_code",
            ),
        }
    }

    fn rpc(&self, expect: &mut impl FnMut(bool, &str)) {
        let Some(system) = self.get("rpc.system") else {
            return;
        };
        expect(system == "grpc", "rpc.system");
        let part = |name| self.get(name).unwrap_or_default();
        let name = format!("{}/{}", part("rpc.service"), part("rpc.method"));
        expect(self.name == name, "an RPC's name");
        expect(self.get("server.address").is_some(), "server.address");
        match (self.get("rpc.grpc.status_code"), self.kind) {
            (Some(code), SERVER) => {
                expect(
                    self.failed() == FAILURES.iter().any(|(_, number)| *number == code),
                    "a server's status",
                );
            }
            (Some(code), CLIENT) => expect(self.failed() == (code != "0"), "a client's status"),
            // An attempt without an answer.
            (None, CLIENT) => expect(self.failed(), "rpc.grpc.status_code"),
            _ => expect(false, "an RPC's kind"),
        }
    }

    fn database(&self, expect: &mut impl FnMut(bool, &str)) {
        let Some(system) = self.get("db.system.name") else {
            return;
        };
        expect(system == "postgresql", "db.system.name");
        expect(self.kind == CLIENT, "the kind of a client of a database");
        let namespace = self.get("db.namespace").unwrap_or_default();
        expect(!namespace.is_empty(), "db.namespace");
        let Some(summary) = self.get("db.query.summary") else {
            return;
        };
        expect(self.name == summary, "a statement's name");
        let words: Vec<_> = summary.split(' ').collect();
        let (operation, collection) = match *words {
            [operation] => (Some(operation), None),
            [operation, collection] => (Some(operation), Some(collection)),
            _ => (None, None),
        };
        expect(
            self.get("db.operation.name") == operation,
            "db.operation.name",
        );
        expect(
            self.get("db.collection.name") == collection,
            "db.collection.name",
        );
        let status = self.get("db.response.status_code");
        let cancelled = self.get("error.type") == Some("cancelled");
        expect(
            status.is_some() == (self.failed() && !cancelled),
            "db.response.status_code",
        );
    }
}
