//! The error type of handlers and of the code around them.
//!
//! An [`Error`] knows no transport. Its [`Kind`] corresponds to a gRPC status code. When the runtime sends
//! the answer, it converts the error to a problem document (RFC 9457) or to a gRPC status, and logs it
//! once.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use zerocart_proto::validate::{Violation, Violations};

/// The text of an error with all its causes: `outer: inner: innermost`. Use it for logs only, because
/// causes are not for clients.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The boxed cause of an error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The kind of an error: a gRPC status code (<https://grpc.io/docs/guides/status-codes/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// The request is wrong in every state of the system, so a retry cannot succeed.
    InvalidArgument,
    /// The caller has no valid token, or gave a wrong password.
    Unauthenticated,
    /// The caller is known, and is not allowed to do this.
    PermissionDenied,
    /// The requested thing does not exist.
    NotFound,
    /// The thing to create exists already.
    AlreadyExists,
    /// The present state of the system does not allow the request, such as too little stock.
    FailedPrecondition,
    /// The request conflicts with another one that still runs, such as one under the same idempotency key.
    Aborted,
    /// The caller has reached a limit: too many requests, or a request that is too large.
    ResourceExhausted,
    /// The deadline has passed. The effect may have happened.
    DeadlineExceeded,
    /// The client went away before the answer.
    Cancelled,
    /// A system that is needed does not answer at the moment, or too many calls run.
    Unavailable,
    /// zerocart does not offer this operation or encoding.
    Unimplemented,
    /// A fault of zerocart. The client gets no details.
    Internal,
}

impl Kind {
    /// All kinds, for tables in tests and documents.
    pub const ALL: [Self; 13] = [
        Self::InvalidArgument,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::ResourceExhausted,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::Unavailable,
        Self::Unimplemented,
        Self::Internal,
    ];

    /// The number of the gRPC status code: 5 for `NotFound`.
    pub fn grpc_code(self) -> i32 {
        match self {
            Self::Cancelled => 1,
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::AlreadyExists => 6,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::Aborted => 10,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// The kind of the gRPC status code with this number; `None` for OK (0) and for codes that zerocart
    /// never sends, such as UNKNOWN (2).
    pub fn of_grpc_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.grpc_code() == code)
    }

    /// The HTTP status, as google.rpc.Code maps it, with one exception: `FailedPrecondition` is 409 and not
    /// 400. 409 means a conflict with the state of the resource (RFC 9110, section 15.5.10), and 400 would
    /// say that the request is wrong.
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::FailedPrecondition | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The kind with this HTTP status. If several kinds have it, this is the first of [`Kind::ALL`]; if
    /// none has it, `Internal`.
    pub fn of_http_status(status: u16) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| kind.http_status() == status)
            .unwrap_or(Self::Internal)
    }

    /// The name of the kind on the wire, such as `NOT_FOUND`: `code` of the problem document.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
        }
    }

    /// A short title for people: `title` of the problem document.
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidArgument => "Invalid request",
            Self::Unauthenticated => "Not signed in",
            Self::PermissionDenied => "Not allowed",
            Self::NotFound => "Not found",
            Self::AlreadyExists => "Already exists",
            Self::FailedPrecondition => "Not possible in this state",
            Self::Aborted => "Conflict",
            Self::ResourceExhausted => "Limit exceeded",
            Self::DeadlineExceeded => "Out of time",
            Self::Cancelled => "Cancelled",
            Self::Unavailable => "Unavailable",
            Self::Unimplemented => "Not implemented",
            Self::Internal => "Internal error",
        }
    }

    /// Whether the same request may succeed later, although the client changes nothing.
    pub fn retryable(self) -> bool {
        match self {
            Self::Aborted
            | Self::ResourceExhausted
            | Self::DeadlineExceeded
            | Self::Unavailable => true,
            Self::InvalidArgument
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::AlreadyExists
            | Self::FailedPrecondition
            | Self::Cancelled
            | Self::Unimplemented
            | Self::Internal => false,
        }
    }

    /// Whether an error of this kind is an answer about the state of the system. An answer is recorded
    /// under the idempotency key, and a repeated request gets it again. After any other error, a repeated
    /// request is executed again.
    pub fn is_answer(self) -> bool {
        matches!(
            self,
            Self::NotFound | Self::AlreadyExists | Self::FailedPrecondition
        )
    }
}

/// The error of a call: its kind, a message for the client, and optional details.
///
/// `Display` shows the message for the client only. [`chain`] adds the causes, for the log.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    http_status: Option<u16>,
    metadata: Vec<(&'static str, String)>,
    source: Option<BoxError>,
}

impl Error {
    /// An error of `kind`. The client gets `message`, so it must have no secret, no internal detail, and no
    /// value that the client sent.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            http_status: None,
            metadata: Vec::new(),
            source: None,
        }))
    }

    /// INVALID_ARGUMENT for one field. `description` continues the field's name: `must be an e-mail
    /// address`.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        Self::invalid(violations)
    }

    /// INVALID_ARGUMENT for one or more fields. The message joins the violations with `; `.
    pub fn invalid(violations: Violations) -> Self {
        let violations = violations.into_vec();
        let message = violations
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        let mut error = Self::new(Kind::InvalidArgument, message);
        error.0.violations = violations;
        error
    }

    /// NOT_FOUND, with a message for the client.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// INTERNAL, for a fault of zerocart. The client gets a general message, and the log has `source`.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Internal, "an internal error occurred").with_source(source)
    }

    /// UNAVAILABLE: the work cannot be done at the moment. The client may retry after `retry_after`.
    pub fn unavailable(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(Kind::Unavailable, message).with_retry_after(retry_after)
    }

    /// Adds the cause, which is for the log only. The client does not get it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets the time after which a retry makes sense: the header `Retry-After`, `RetryInfo` over gRPC.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Replaces the kind and keeps everything else. It is for an error of [`Error::field`] that is not
    /// INVALID_ARGUMENT.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Replaces the HTTP status, which otherwise is that of the kind. The gRPC code stays.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    /// Adds a fact for programs, such as `order_id` of an order that failed. It is a member of the problem
    /// document, and over gRPC an entry of google.rpc.ErrorInfo's metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that are wrong, each with a description. Empty if the error is about no field.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The time after which a retry makes sense, if one is set.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The facts for programs, as pairs of key and value, in the order in which they were added.
    pub fn metadata(&self) -> &[(&'static str, String)] {
        &self.0.metadata
    }

    /// The HTTP status: that of [`Error::with_http_status`] if it is set, otherwise that of the kind.
    pub fn http_status(&self) -> u16 {
        self.0.http_status.unwrap_or(self.0.kind.http_status())
    }

    /// The number of the gRPC status code, as [`Kind::grpc_code`].
    pub fn grpc_code(&self) -> i32 {
        self.0.kind.grpc_code()
    }

    /// Whether the same request may succeed later, as [`Kind::retryable`].
    pub fn retryable(&self) -> bool {
        self.0.kind.retryable()
    }

    /// The form in which an idempotency record stores the error. It leaves out the cause, the retry time
    /// and the metadata.
    pub fn to_record(&self) -> Record {
        Record {
            kind: self.0.kind,
            message: self.0.message.to_string(),
            http_status: self.0.http_status,
            fields: self
                .0
                .violations
                .iter()
                .map(|v| (v.field.clone(), v.description.clone()))
                .collect(),
        }
    }
}

/// An error as an idempotency record stores it, in JSON. `Error::from` makes the error again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    kind: Kind,
    message: String,
    http_status: Option<u16>,
    fields: Vec<(String, String)>,
}

impl From<Record> for Error {
    fn from(record: Record) -> Self {
        let mut error = Self::new(record.kind, record.message);
        error.0.http_status = record.http_status;
        error.0.violations = record
            .fields
            .into_iter()
            .map(|(field, description)| Violation { field, description })
            .collect();
        error
    }
}

/// INVALID_ARGUMENT for one field.
impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::field(violation.field, violation.description)
    }
}

impl From<zerocart_auth::Denied> for Error {
    fn from(denied: zerocart_auth::Denied) -> Self {
        let kind = match denied {
            zerocart_auth::Denied::Unauthenticated => Kind::Unauthenticated,
            zerocart_auth::Denied::PermissionDenied => Kind::PermissionDenied,
        };
        Self::new(kind, denied.to_string())
    }
}

impl From<zerocart_auth::TokenError> for Error {
    fn from(error: zerocart_auth::TokenError) -> Self {
        // Which of its checks a token failed is for the log; a client asks for a new one.
        Self::new(Kind::Unauthenticated, "the token is not valid").with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("violations", &self.0.violations)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_names_of_grpc() {
        for kind in Kind::ALL {
            let serialized = serde_json::to_string(&kind).unwrap();
            assert_eq!(serialized, format!("\"{}\"", kind.name()));
            assert_eq!(Kind::of_grpc_code(kind.grpc_code()), Some(kind));
        }
    }

    #[test]
    fn a_source_stays_inside() {
        let error = Error::internal("secret detail");
        assert!(!error.to_string().contains("secret detail"));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_record_gives_the_same_answer() {
        let error = Error::field("name", "is required").with_http_status(422);
        let back = Error::from(error.to_record());
        assert_eq!(back.kind(), error.kind());
        assert_eq!(back.http_status(), 422);
        assert_eq!(back.message(), error.message());
        assert_eq!(back.violations(), error.violations());
    }
}
