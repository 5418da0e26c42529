//! The preconditions of HTTP (RFC 9110, section 13).

use http::{HeaderMap, HeaderValue, header};
use zerocart_core::{Error, Kind};

/// Why the preconditions of a request cannot hold (RFC 9110, section 13.1). Resources have no entity
/// tags: `If-Match` with one is never true, and what `If-None-Match: *` asks not to be there is there
/// whenever something is changed.
pub(crate) fn check(headers: &HeaderMap, method: &str) -> Result<(), Error> {
    let any = |value: &HeaderValue| value.as_bytes().trim_ascii() == b"*";
    let failed = |field: &str, says: &str| {
        Error::field(field, says)
            .with_kind(Kind::FailedPrecondition)
            .with_http_status(412)
    };
    if !headers.get_all(header::IF_MATCH).iter().all(any) {
        return Err(failed(
            "if-match",
            "is not true: resources have no entity tags",
        ));
    }
    // A GET would be answered 304, for which a client needs an answer that it may keep: there is none.
    if method != "GET" && headers.get_all(header::IF_NONE_MATCH).iter().any(any) {
        return Err(failed("if-none-match", "is not true: the resource exists"));
    }
    Ok(())
}
