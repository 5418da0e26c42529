//! Why a call has no response.

use std::{collections::BTreeMap, fmt, time::Duration};

use tonic::Status;
use tonic_types::StatusExt;
use zerocart_core::{Error, Kind, error::BoxError};
use zerocart_proto::validate::Violation;

use crate::attempt::{CallError, Trail};

/// The default time after which a client may try again: the smallest value of HTTP's `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is known about the effect of a call without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The function answered with this status. UNAVAILABLE and DEADLINE_EXCEEDED mean that the
    /// function itself does not know whether it was done.
    Answered,
    /// It certainly never reached the function's handler: no connection, an open circuit breaker,
    /// a full bulkhead, a deadline that passed before it was sent.
    Unsent,
    /// It was sent; whether it was done is not known: no answer in time, a connection that was
    /// lost, an answer of something in between (an activator whose process died, a proxy). Also
    /// when only the last of several attempts was answered, and that answer decides nothing.
    Unknown,
}

/// Why a call has no response.
///
/// `Display` is for logs. As the answer of a handler that did not expect it, it becomes an
/// [`Error`] with `?`: UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED and ABORTED stay what
/// they are, with a general message; everything else is INTERNAL.
#[derive(Debug)]
pub struct Failure {
    /// The name of the function that was called.
    pub callee: &'static str,
    /// What went wrong: the function's own word when it answered.
    pub kind: Kind,
    /// The function's message when it answered, else one of this side's.
    pub message: String,
    /// When a retry makes sense, if the answer said so.
    pub retry_after: Option<Duration>,
    /// Facts for programs: the metadata of the answer's google.rpc.ErrorInfo.
    pub metadata: BTreeMap<String, String>,
    /// The fields that are wrong: the answer's google.rpc.BadRequest.
    pub violations: Vec<Violation>,
    /// What is known of its effect.
    pub delivery: Delivery,
    source: Option<BoxError>,
}

impl Failure {
    fn new(
        callee: &'static str,
        kind: Kind,
        delivery: Delivery,
        message: impl Into<String>,
    ) -> Self {
        Self {
            callee,
            kind,
            message: message.into(),
            retry_after: None,
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            delivery,
            source: None,
        }
    }

    /// This side's own fault, before anything was sent.
    pub(crate) fn ours(callee: &'static str, source: impl Into<BoxError>) -> Self {
        let mut failure = Self::new(callee, Kind::Internal, Delivery::Unsent, "was not called");
        failure.source = Some(source.into());
        failure
    }

    /// An answer that cannot be read.
    pub(crate) fn unreadable(callee: &'static str, source: impl Into<BoxError>) -> Self {
        let message = "the answer cannot be read";
        let mut failure = Self::new(callee, Kind::Internal, Delivery::Answered, message);
        failure.source = Some(source.into());
        failure
    }

    /// What the stack's error is to a caller, after what `trail` says of all attempts.
    pub(crate) fn of(callee: &'static str, error: CallError, trail: &Trail) -> Self {
        let unanswered = if trail.was_sent() {
            Delivery::Unknown
        } else {
            Delivery::Unsent
        };
        let new = |kind, message: &str| Self::new(callee, kind, unanswered, message);
        let (mut failure, source): (Self, BoxError) = match error {
            CallError::Answered { status, .. } => {
                return Self::answered(callee, *status, trail);
            }
            CallError::Deadline(elapsed) => (
                new(Kind::DeadlineExceeded, "the time ran out"),
                elapsed.into(),
            ),
            CallError::Late { .. } => {
                return new(Kind::DeadlineExceeded, "did not answer in time");
            }
            CallError::Open(open) => {
                let mut failure = new(Kind::Unavailable, "the circuit breaker is open");
                failure.retry_after = Some(open.retry_after);
                (failure, open.into())
            }
            CallError::Full(full) => {
                let mut failure = new(Kind::Unavailable, "too many calls are running");
                failure.retry_after = Some(full.retry_after);
                (failure, full.into())
            }
            CallError::NoWay(no_way) => {
                let mut failure = new(Kind::Unavailable, "the sidecar is not ready");
                failure.retry_after = Some(RETRY_AFTER);
                (failure, no_way.into())
            }
            CallError::Lost(source) => (new(Kind::Unavailable, "the connection failed"), source),
            CallError::Garbled(source) => (new(Kind::Internal, "the answer is not gRPC"), source),
            CallError::Foreign { answer, .. } => {
                let mut failure = new(answer.kind, &answer.message);
                failure.retry_after = answer.retry_after;
                return failure;
            }
        };
        failure.source = Some(source);
        failure
    }

    fn answered(callee: &'static str, status: Status, trail: &Trail) -> Self {
        let kind = kind(status.code());
        let delivery = if trail.all_answered() || is_verdict(kind) {
            Delivery::Answered
        } else {
            Delivery::Unknown
        };
        let details = status.get_error_details();
        let mut failure = Self::new(callee, kind, delivery, status.message());
        failure.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        if let Some(info) = details.error_info() {
            failure.metadata.extend(info.metadata.clone());
        }
        if let Some(bad) = details.bad_request() {
            failure
                .violations
                .extend(bad.field_violations.iter().map(|violation| Violation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                }));
        }
        failure
    }
}

/// The kind of a gRPC code; those without one (UNKNOWN, DATA_LOSS) are faults.
pub(crate) fn kind(code: tonic::Code) -> Kind {
    Kind::of_grpc_code(code.into()).unwrap_or(Kind::Internal)
}

/// Whether an answer says what the state of things is, so that it holds for earlier attempts of
/// the same call, too.
fn is_verdict(kind: Kind) -> bool {
    !kind.retryable() && !matches!(kind, Kind::Internal | Kind::Cancelled)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            callee,
            kind,
            message,
            ..
        } = self;
        write!(f, "{callee}: {}: {message}", kind.name())
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let callee = failure.callee;
        let (message, default) = match failure.kind {
            Kind::Unavailable => (format!("{callee} is unavailable"), Some(RETRY_AFTER)),
            Kind::DeadlineExceeded => (format!("{callee} did not answer in time"), None),
            Kind::ResourceExhausted => (format!("{callee} is busy"), Some(RETRY_AFTER)),
            Kind::Aborted => (
                format!("{callee} met another request in its way; try again"),
                None,
            ),
            _ => return Self::internal(failure),
        };
        let error = Self::new(failure.kind, message);
        match failure.retry_after.or(default) {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
        .with_source(failure)
    }
}
