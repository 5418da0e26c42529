//! What came of one attempt of a call, and whether a client sends it again.

use std::time::Duration;

use tonic::Code;
use zerocart_conformance::wire::{Got, pause};
use zerocart_core::Kind;
use zerocart_wires::{Outcome, Unusable};

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It succeeded.
    Good,
    /// A function says no, and would say so again.
    Refused,
    /// The limit of the gateway is used up for so long.
    Limited(Duration),
    /// A function cannot do it at the moment, or still does it: again under the same key, perhaps
    /// after this time.
    Busy(Option<Duration>),
    /// No function has answered: the connection broke, the time was up, or the platform answered in
    /// the place of the function. Again under the same key.
    Lost,
    /// An answer that no client of this load may get, such as one about its input or its token.
    Wrong,
}

/// The class of an outcome.
pub(crate) fn class<T>(outcome: &Outcome<T>) -> Class {
    // A function names the trace of each error. The gateway and what is behind it do not.
    let of_function = outcome.trace_id.is_some();
    match outcome.code {
        Code::Ok => Class::Good,
        Code::ResourceExhausted => match pause(outcome) {
            Some(pause) => Class::Limited(pause),
            None => Class::Wrong,
        },
        Code::InvalidArgument
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::AlreadyExists
        | Code::OutOfRange => Class::Wrong,
        _ if !of_function => Class::Lost,
        // An order whose payment provider does not work is answered: its id says which it is.
        Code::Unavailable if outcome.metadata.contains_key("order_id") => Class::Refused,
        Code::FailedPrecondition | Code::NotFound => Class::Refused,
        _ => Class::Busy(outcome.retry_after),
    }
}

/// The outcome of an attempt, none when it was lost without one; its class; and a label for the
/// table of answers.
pub(crate) fn read<T>(
    attempt: Option<Result<Got<T>, Unusable>>,
) -> (Class, String, Result<Outcome<T>, String>) {
    match attempt {
        None => (
            Class::Lost,
            "timeout".into(),
            Err("no answer in time".into()),
        ),
        Some(Err(unusable)) => {
            let label = match unusable.http_status() {
                Some(status) => format!("{status} of the platform"),
                None => "no answer".into(),
            };
            (Class::Lost, label, Err(unusable.to_string()))
        }
        Some(Ok(got)) => {
            let (class, label) = (class(&got.outcome), label(&got));
            (class, label, Ok(got.outcome))
        }
    }
}

/// The same of an attempt whose answer the network has lost.
pub(crate) fn lost_on_the_way<T>() -> (Class, String, Result<Outcome<T>, String>) {
    let told = "the answer was lost on the way".to_owned();
    (Class::Lost, "lost on the way".to_owned(), Err(told))
}

fn label<T>(got: &Got<T>) -> String {
    let outcome = &got.outcome;
    let code = Kind::of_grpc_code(outcome.code.into()).map_or("OK", Kind::name);
    let mut label = match &got.body {
        Some(_) => format!("{} {code}", outcome.http_status),
        None => code.to_owned(),
    };
    if outcome.code != Code::Ok && outcome.trace_id.is_none() {
        label.push_str(" of the platform");
    }
    label
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn outcome(code: Code, of_function: bool) -> Outcome<()> {
        Outcome {
            code,
            http_status: 200,
            message: String::new(),
            fields: Vec::new(),
            retry_after: None,
            trace_id: of_function.then(|| "trace".into()),
            metadata: Default::default(),
            headers: HeaderMap::new(),
            response: None,
        }
    }

    #[test]
    fn what_no_function_says_is_lost() {
        for code in [
            Code::Unavailable,
            Code::Internal,
            Code::DeadlineExceeded,
            Code::NotFound,
            Code::Unimplemented,
        ] {
            assert_eq!(class(&outcome(code, false)), Class::Lost, "{code:?}");
        }
        for (code, expected) in [
            (Code::Ok, Class::Good),
            (Code::Unavailable, Class::Busy(None)),
            (Code::DeadlineExceeded, Class::Busy(None)),
            (Code::Internal, Class::Busy(None)),
            (Code::Aborted, Class::Busy(None)),
            (Code::FailedPrecondition, Class::Refused),
            (Code::NotFound, Class::Refused),
            (Code::Unauthenticated, Class::Wrong),
            (Code::ResourceExhausted, Class::Wrong),
        ] {
            assert_eq!(class(&outcome(code, true)), expected, "{code:?}");
        }
        let (class, label, _) = read::<()>(None);
        assert_eq!((class, label.as_str()), (Class::Lost, "timeout"));
    }

    #[test]
    fn waits_are_read_from_the_answer() {
        let mut limited = outcome(Code::ResourceExhausted, false);
        let seven = http::HeaderValue::from_static("7");
        limited.headers.insert("retry-after", seven);
        let limit = Duration::from_secs(7);
        assert_eq!(class(&limited), Class::Limited(limit));

        let mut busy = outcome(Code::Unavailable, true);
        busy.retry_after = Some(limit);
        assert_eq!(class(&busy), Class::Busy(Some(limit)));
        // The same from create-order, about an order that exists, is its answer.
        busy.metadata.insert("order_id".into(), "1".into());
        assert_eq!(class(&busy), Class::Refused);
    }
}
