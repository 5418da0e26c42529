//! An error, to the letter.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tonic::Code;
use zerocart_proto::validate::Violation;
use zerocart_wires::Outcome;

use super::answer::name;

/// What a request that is too large is told: the largest one that a function reads, in bytes.
pub(crate) const MAX_REQUEST_BYTES: usize = 65_536;

/// The hexadecimal digits of a trace id (W3C Trace Context).
const TRACE_ID_LEN: usize = 32;

/// How a call is refused: all that its caller gets to see, but for the id of its trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    code: Code,
    http_status: u16,
    detail: Cow<'static, str>,
    fields: Vec<Violation>,
    retry_after: Option<Duration>,
    /// What HTTP clients are told beside it.
    headers: Vec<(&'static str, String)>,
    /// Members of the problem document beside its own, the metadata of google.rpc.ErrorInfo.
    members: Map<String, Value>,
    /// Said by the edge itself, in its form.
    of_edge: bool,
    /// Said by the edge on some engines, and by the function on others.
    varies: bool,
}

impl Refusal {
    /// A refusal with this code, HTTP status and text.
    pub fn new(code: Code, http_status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            http_status,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            members: Map::new(),
            of_edge: false,
            varies: false,
        }
    }

    /// Said by the edge itself.
    pub fn of_edge(code: Code, http_status: u16, message: &'static str) -> Self {
        Self {
            of_edge: true,
            varies: true,
            ..Self::new(code, http_status, message)
        }
    }

    /// A field is wrong.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let violation = Violation {
            field: field.into(),
            description: description.into(),
        };
        let mut refusal = Self::new(Code::InvalidArgument, 400, violation.to_string());
        refusal.fields.push(violation);
        refusal
    }

    /// One more field is wrong.
    #[must_use]
    pub fn and_field(mut self, field: &str, description: &str) -> Self {
        let violation = Violation {
            field: field.into(),
            description: description.into(),
        };
        self.detail = format!("{}; {violation}", self.detail).into();
        self.fields.push(violation);
        self
    }

    /// The request is larger than a function reads.
    pub fn too_large() -> Self {
        let limit = format!("must have at most {MAX_REQUEST_BYTES} bytes");
        let refusal = Self::field("body", limit).with_code(Code::ResourceExhausted);
        refusal.with_http_status(413)
    }

    /// There is no such thing.
    pub fn not_found(detail: &'static str) -> Self {
        Self::new(Code::NotFound, 404, detail)
    }

    /// It is there already.
    pub fn exists(detail: &'static str) -> Self {
        Self::new(Code::AlreadyExists, 409, detail)
    }

    /// The state of things does not allow it.
    pub fn not_now(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::FailedPrecondition, 409, detail)
    }

    /// Nobody knows who calls.
    pub fn unauthenticated(detail: &'static str) -> Self {
        Self::new(Code::Unauthenticated, 401, detail)
    }

    /// The caller is not allowed.
    pub fn denied() -> Self {
        Self::new(Code::PermissionDenied, 403, "the caller may not do this")
    }

    /// The key was used for another request.
    pub fn key_reused() -> Self {
        let says = "was used before with another request; a new request needs a new key";
        Self::field("idempotency-key", says).with_http_status(422)
    }

    /// The path has other methods, which it names.
    pub fn method(allowed: &str) -> Self {
        let detail = format!("this path answers {allowed}");
        Self::new(Code::Unimplemented, 405, detail)
    }

    /// Another code than usual.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// A header of the answer over HTTP.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Another HTTP status than usual.
    #[must_use]
    pub fn with_http_status(mut self, http_status: u16) -> Self {
        self.http_status = http_status;
        self
    }

    /// It says when to come again, in whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(Duration::from_secs(seconds));
        self
    }

    /// A member of the problem document, an entry of the metadata.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// On another engine the edge says it.
    #[must_use]
    pub(super) fn whoever_says_it(mut self) -> Self {
        self.varies = true;
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether engines may say it in other words, for a reason that is in [`Edge`](super::edge::Edge).
    pub fn varies(&self) -> bool {
        self.varies
    }

    /// What is said of it in the report.
    pub(super) fn said(&self, rest: bool) -> String {
        let code = name(self.code);
        match (rest, self.varies) {
            (_, true) => code.to_owned(),
            (true, false) => format!("{} {code}: {}", self.http_status, self.detail),
            (false, false) => format!("{code}: {}", self.detail),
        }
    }

    /// What is other than it should be, as expected and got.
    pub(super) fn differs<T>(
        &self,
        outcome: &Outcome<T>,
        body: Option<&Bytes>,
    ) -> Option<(String, String)> {
        let status = body.map_or(0, |_| self.http_status);
        let got = body.map_or(0, |_| outcome.http_status);
        if (outcome.code, got) != (self.code, status) {
            let shown = |code, status| match body {
                Some(_) => format!("{status} {}", name(code)),
                None => name(code).to_owned(),
            };
            return Some((
                shown(self.code, status),
                format!("{}: {}", shown(outcome.code, got), outcome.message),
            ));
        }
        let trace = outcome.trace_id.as_deref();
        let traced = match trace {
            None => self.of_edge,
            Some(id) => id.len() == TRACE_ID_LEN && id.bytes().all(|b| b.is_ascii_hexdigit()),
        };
        if !traced {
            return Some(("the id of a trace".into(), format!("{trace:?}")));
        }
        let retry_after = outcome.retry_after;
        if retry_after != self.retry_after {
            return Some((
                format!("to come again after {:?}", self.retry_after),
                format!("{retry_after:?}"),
            ));
        }
        match body {
            Some(body) => self.differs_rest(outcome, body),
            None => self.differs_grpc(outcome),
        }
    }

    /// The document as a whole, so that nothing else is in it.
    fn differs_rest<T>(&self, outcome: &Outcome<T>, body: &Bytes) -> Option<(String, String)> {
        let mut got: Value = serde_json::from_slice(body).unwrap_or_default();
        let expected = self.document();
        if let Some(got) = got.as_object_mut() {
            // Its form was looked at above; Kong's id of the request is like it.
            got.remove("trace_id");
            if self.of_edge {
                got.remove("request_id");
            }
        }
        if got != expected {
            return Some((expected.to_string(), got.to_string()));
        }
        for (name, value) in &self.headers {
            let got = outcome.header(name);
            if got != Some(value) {
                return Some((format!("{name}: {value}"), format!("{name}: {got:?}")));
            }
        }
        let challenge = outcome.header("www-authenticate").unwrap_or_default();
        if self.code == Code::Unauthenticated && !challenge.starts_with("Bearer") {
            return Some((
                "WWW-Authenticate: Bearer".into(),
                format!("WWW-Authenticate {challenge:?}"),
            ));
        }
        None
    }

    fn differs_grpc<T>(&self, outcome: &Outcome<T>) -> Option<(String, String)> {
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let members = self.members.iter();
        let metadata: BTreeMap<_, _> = members.map(|(k, v)| (k.clone(), text(v))).collect();
        let expected = (&*self.detail, &self.fields, &metadata);
        let got = (&*outcome.message, &outcome.fields, &outcome.metadata);
        (got != expected).then(|| (format!("{expected:?}"), format!("{got:?}")))
    }

    /// The problem document, or the edge's own, without ids.
    fn document(&self) -> Value {
        if self.of_edge {
            return json!({ "message": self.detail });
        }
        let mut document = self.members.clone();
        let own = [
            ("type", "about:blank".into()),
            ("title", title(self.code).into()),
            ("status", self.http_status.into()),
            ("detail", (*self.detail).into()),
            ("code", name(self.code).into()),
        ];
        for (member, value) in own {
            document.insert(member.to_owned(), value);
        }
        if !self.fields.is_empty() {
            let errors = self.fields.iter();
            let errors: Vec<Value> = errors
                .map(|v| json!({"field": v.field, "description": v.description}))
                .collect();
            document.insert("errors".into(), errors.into());
        }
        Value::Object(document)
    }
}

/// The title of a problem, as the contract has it: that of the runtime is what is looked at.
fn title(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "Invalid request",
        Code::Unauthenticated => "Not signed in",
        Code::PermissionDenied => "Not allowed",
        Code::NotFound => "Not found",
        Code::AlreadyExists => "Already exists",
        Code::FailedPrecondition => "Not possible in this state",
        Code::ResourceExhausted => "Limit exceeded",
        Code::Unimplemented => "Not implemented",
        Code::Unavailable => "Unavailable",
        _ => "",
    }
}
