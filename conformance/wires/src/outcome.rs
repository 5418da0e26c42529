//! What comes back, in one form for every wire.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use zerocart_core::Kind;
use zerocart_proto::validate::Violation;

/// `google.rpc.ErrorInfo.domain`.
const DOMAIN: &str = "zerocart";

/// Why a call has no outcome: there was no answer, or one that is not as the contract says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}")]
pub struct Unusable {
    what: String,
    http_status: Option<u16>,
}

impl Unusable {
    /// There was no answer, for this reason.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            http_status: None,
        }
    }

    /// There was an answer, with this status.
    pub(super) fn with_status(self, http_status: u16) -> Self {
        Self {
            http_status: Some(http_status),
            ..self
        }
    }

    /// The HTTP status of the answer; none without an answer.
    pub fn http_status(&self) -> Option<u16> {
        self.http_status
    }
}

/// A function whose answer is wrong.
fn wrong<T>(what: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable::new(what))
}

/// What came back, in a form that JSON and gRPC share.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// OK, or the error's code: over JSON the problem's `code`.
    pub code: Code,
    /// The status of the HTTP response: over gRPC always 200.
    pub http_status: u16,
    /// The error's message: over JSON the problem's `detail`. Empty for OK.
    pub message: String,
    /// The fields that are wrong: the problem's `errors`, google.rpc.BadRequest.
    pub fields: Vec<Violation>,
    /// The header Retry-After (whole seconds), google.rpc.RetryInfo.
    pub retry_after: Option<Duration>,
    /// An error's `trace_id`, the id in google.rpc.RequestInfo.
    pub trace_id: Option<String>,
    /// Members of the problem of the error's own, the metadata of google.rpc.ErrorInfo.
    pub metadata: BTreeMap<String, String>,
    /// The headers; over gRPC with the trailers.
    pub headers: HeaderMap,
    /// The response. Over JSON there with any success status.
    pub response: Option<T>,
}

impl<T> Outcome<T> {
    /// The response of a call that succeeded.
    ///
    /// # Panics
    ///
    /// When it failed.
    #[track_caller]
    pub fn ok(self) -> T {
        match self.response {
            Some(response) => response,
            None => panic!("{:?} ({}): {}", self.code, self.http_status, self.message),
        }
    }

    /// The same outcome with another form of the response.
    pub fn map<U>(self, response: impl FnOnce(T) -> U) -> Outcome<U> {
        Outcome {
            code: self.code,
            http_status: self.http_status,
            message: self.message,
            fields: self.fields,
            retry_after: self.retry_after,
            trace_id: self.trace_id,
            metadata: self.metadata,
            headers: self.headers,
            response: self.response.map(response),
        }
    }

    /// The names of the fields that are wrong.
    pub fn field_names(&self) -> Vec<&str> {
        self.fields.iter().map(|v| v.field.as_str()).collect()
    }

    /// The value of a header; none when it is absent or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A call that ended with OK over gRPC.
    pub(super) fn of_message(message: T, headers: HeaderMap, http_status: u16) -> Self {
        Self {
            headers,
            response: Some(message),
            ..Self::empty(Code::Ok, http_status)
        }
    }

    /// A call that ended with another status over gRPC.
    pub(super) fn of_status(status: &Status, http_status: u16) -> Result<Self, Unusable> {
        let details = status.get_error_details();
        let mut metadata = BTreeMap::new();
        if let Some(info) = details.error_info() {
            let reason = &info.reason;
            if reason != name(status.code()) {
                return wrong(format!("{:?} with the reason {reason:?}", status.code()));
            }
            if info.domain != DOMAIN {
                return wrong(format!("ErrorInfo of {:?}, not {DOMAIN}", info.domain));
            }
            metadata.extend(info.metadata.clone());
        }
        let violations = details.bad_request().map(|bad| &bad.field_violations);
        Ok(Self {
            message: status.message().to_owned(),
            fields: violations
                .into_iter()
                .flatten()
                .map(|v| Violation {
                    field: v.field.clone(),
                    description: v.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            trace_id: details.request_info().map(|info| info.request_id.clone()),
            metadata,
            headers: status.metadata().clone().into_headers(),
            ..Self::empty(status.code(), http_status)
        })
    }

    fn empty(code: Code, http_status: u16) -> Self {
        Self {
            code,
            http_status,
            message: String::new(),
            fields: Vec::new(),
            retry_after: None,
            trace_id: None,
            metadata: BTreeMap::new(),
            headers: HeaderMap::new(),
            response: None,
        }
    }
}

/// A response as it is on the wire.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The response to JSON: what a success holds, or a problem document (RFC 9457).
    ///
    /// # Panics
    ///
    /// When it is neither.
    #[track_caller]
    pub fn outcome<T: DeserializeOwned>(&self) -> Outcome<T> {
        self.try_outcome().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The response to JSON: what a success holds, or a problem document (RFC 9457).
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn try_outcome<T: DeserializeOwned>(&self) -> Result<Outcome<T>, Unusable> {
        let outcome = self.read();
        outcome.map_err(|unusable| unusable.with_status(self.status.as_u16()))
    }

    fn read<T: DeserializeOwned>(&self) -> Result<Outcome<T>, Unusable> {
        let mut outcome = Outcome {
            headers: self.headers.clone(),
            ..Outcome::empty(Code::Ok, self.status.as_u16())
        };
        let media_type = outcome.header("content-type").unwrap_or_default();
        let of_type = |wanted: &str| match media_type == wanted {
            true => Ok(()),
            false => wrong(format!(
                "{} of type {media_type:?}, not {wanted}: {}",
                self.status,
                self.text()
            )),
        };
        if self.status.is_success() {
            of_type("application/json")?;
            let message = serde_json::from_slice(&self.body);
            let message = message
                .or_else(|error| wrong(format!("not the response ({error}): {}", self.text())))?;
            outcome.response = Some(message);
            return Ok(outcome);
        }
        of_type("application/problem+json")?;
        let document = serde_json::from_slice::<BTreeMap<String, Value>>(&self.body);
        let mut document =
            document.or_else(|error| wrong(format!("not a problem ({error}): {}", self.text())))?;
        let mut take = |member: &str| match document.remove(member) {
            Some(value) => Ok(value),
            None => wrong(format!("a problem without {member}: {}", self.text())),
        };
        let text = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let about = (take("type")?, take("status")?, text(take("title")?));
        if about.0 != "about:blank" || about.1 != self.status.as_u16() || about.2.is_empty() {
            return wrong(format!("type, status or title is wrong: {}", self.text()));
        }
        let code = text(take("code")?);
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == code) else {
            return wrong(format!("{code:?} is no code: {}", self.text()));
        };
        outcome.code = Code::from(kind.grpc_code());
        outcome.message = text(take("detail")?);
        outcome.trace_id = Some(text(take("trace_id")?));
        outcome.fields = match document.remove("errors") {
            None => Vec::new(),
            Some(Value::Array(errors)) => errors
                .into_iter()
                .map(|mut error| Violation {
                    field: text(error["field"].take()),
                    description: text(error["description"].take()),
                })
                .collect(),
            Some(_) => return wrong(format!("errors is no list: {}", self.text())),
        };
        outcome.retry_after = match outcome.header("retry-after").map(str::parse) {
            None => None,
            Some(Ok(seconds)) => Some(Duration::from_secs(seconds)),
            Some(Err(_)) => return wrong("Retry-After is no number of seconds"),
        };
        outcome.metadata = document
            .into_iter()
            .map(|(member, value)| (member, value.as_str().map_or(value.to_string(), Into::into)))
            .collect();
        Ok(outcome)
    }

    /// The gRPC status, from the trailers or, when there is no message, from the headers.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn grpc<T>(&self) -> Outcome<T> {
        let status = self
            .trailers
            .iter()
            .chain([&self.headers])
            .find_map(Status::from_header_map);
        let status = status.unwrap_or_else(|| panic!("no grpc-status in {self:?}"));
        let outcome = Outcome::of_status(&status, self.status.as_u16());
        let mut outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
        outcome.headers = self.headers.clone();
        outcome
    }
}

fn name(code: Code) -> &'static str {
    Kind::of_grpc_code(code.into()).map_or("", Kind::name)
}
