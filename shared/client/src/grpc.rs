//! One unary gRPC call as an HTTP/2 exchange
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
//!
//! tonic's own client turns every problem into a status: the function's own status, a proxy's 503,
//! and a connection that was cut. A caller that must not charge twice has to distinguish them, so
//! the frame is read here.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tonic::Status;
use tonic_types::StatusExt;
use zerocart_core::Kind;

use crate::{failure::kind, transport::Reply};

/// The `google.rpc.ErrorInfo.domain` that every status of a function carries.
const DOMAIN: &str = "zerocart";

/// The bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The most microseconds that fit into the 8 digits of a `grpc-timeout`.
const MAX_MICROS: u128 = 99_999_999;

/// The headers of every call.
pub(crate) fn headers(remaining: Duration) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let micros = remaining.as_micros();
    let timeout = if micros <= MAX_MICROS {
        format!("{micros}u")
    } else {
        // 27 hours; no call takes longer.
        format!("{}m", remaining.as_millis().min(MAX_MICROS))
    };
    if let Ok(value) = HeaderValue::try_from(timeout) {
        headers.insert("grpc-timeout", value);
    }
    headers
}

/// A message in its frame.
pub(crate) fn frame(message: &[u8]) -> Result<Bytes, TooLarge> {
    let length = u32::try_from(message.len()).map_err(|_| TooLarge)?;
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

/// A message that has no frame.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a message must be smaller than 4 GiB")]
pub(crate) struct TooLarge;

/// What an HTTP response says.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The function's response message.
    Message {
        bytes: Bytes,
        /// Whether it was the first answer of its process.
        cold: bool,
    },
    /// The function's own status: an error.
    Status { status: Box<Status>, cold: bool },
    /// The answer of a system in between (an activator, a gateway, a proxy), which may not know
    /// what the function did.
    Foreign(Foreign),
}

/// The answer of a system in between.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// Whether it reads as the end of the process that had the request: another one may answer.
    /// What asks to come back later is no such end, but too much work or a start that failed.
    pub(crate) lost: bool,
}

/// Why a response says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It ended before the status.
    #[error("the answer ended early")]
    Short,
    /// Not one message in its frame.
    #[error("the answer is not one uncompressed message")]
    Frame,
}

/// Reads a whole response.
pub(crate) fn read(reply: Reply) -> Result<Answer, Unreadable> {
    let Reply {
        status,
        headers,
        body,
        trailers,
    } = reply;
    let cold = [&headers, &trailers]
        .iter()
        .any(|headers| headers.get("x-cold-start").is_some_and(|v| v == "true"));
    // In the trailers; or in the headers of a response that has no message.
    let word = [&trailers, &headers]
        .into_iter()
        .find_map(Status::from_header_map);
    match word {
        Some(word) if word.code() == tonic::Code::Ok => {
            let bytes = unframe(body)?;
            Ok(Answer::Message { bytes, cold })
        }
        Some(word) if is_functions(&word) => Ok(Answer::Status {
            status: Box::new(word),
            cold,
        }),
        Some(word) => {
            let retry_after = retry_after(&headers);
            Ok(Answer::Foreign(Foreign {
                kind: kind(word.code()),
                message: word.message().to_owned(),
                retry_after,
                lost: word.code() == tonic::Code::Unavailable && retry_after.is_none(),
            }))
        }
        None if status != StatusCode::OK => {
            let retry_after = retry_after(&headers);
            let ends = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE];
            Ok(Answer::Foreign(Foreign {
                kind: match status {
                    StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
                        Kind::DeadlineExceeded
                    }
                    _ => Kind::Unavailable,
                },
                message: format!("something in between answered {}", status.as_u16()),
                retry_after,
                lost: ends.contains(&status) && retry_after.is_none(),
            }))
        }
        None => Err(Unreadable::Short),
    }
}

fn is_functions(word: &Status) -> bool {
    let info = word.get_details_error_info();
    info.is_some_and(|info| info.domain == DOMAIN)
}

/// Whole seconds (RFC 9110, section 10.2.3); its other form, a date, is not used here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

fn unframe(mut body: Bytes) -> Result<Bytes, Unreadable> {
    if body.len() < PREFIX {
        return Err(Unreadable::Frame);
    }
    let compressed = body.get_u8();
    let length = body.get_u32();
    let fits = u32::try_from(body.len()).is_ok_and(|actual| actual == length);
    if compressed != 0 || !fits {
        return Err(Unreadable::Frame);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> Reply {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name: http::HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            });
            pairs.collect::<HeaderMap>()
        };
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map(headers),
            body: Bytes::copy_from_slice(body),
            trailers: map(trailers),
        }
    }

    #[test]
    fn a_message_comes_back_from_its_frame() {
        for message in [&b""[..], b"x", &[7; 70_000]] {
            let framed = frame(message).unwrap();
            let answer = read(reply(200, &[], &framed, &[("grpc-status", "0")]));
            let Ok(Answer::Message { bytes, cold: false }) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!(bytes, message);
        }
    }

    #[test]
    fn what_is_no_single_message_is_refused() {
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\x02x",
            b"\0\0\0\0\0x",
            b"\x01\0\0\0\x01x",
            b"\0\0\0\0\0\0\0\0\0\0",
        ] {
            let error = read(reply(200, &[], body, &[("grpc-status", "0")])).unwrap_err();
            assert_eq!(error, Unreadable::Frame, "{body:?}");
        }
    }

    #[test]
    fn a_status_is_the_functions_word_wherever_it_stands() {
        let info = tonic_types::ErrorInfo::new("NOT_FOUND", DOMAIN, []);
        let details = [tonic_types::ErrorDetail::ErrorInfo(info)];
        let word = Status::with_error_details_vec(tonic::Code::NotFound, "no", details);
        let mut word = word.into_http::<()>().into_parts().0.headers;
        word.insert("x-cold-start", HeaderValue::from_static("true"));
        let (head, tail) = (reply(200, &[], b"", &[]), reply(200, &[], b"", &[]));
        let head = Reply {
            headers: word.clone(),
            ..head
        };
        let tail = Reply {
            trailers: word,
            ..tail
        };
        for reply in [head, tail] {
            let answer = read(reply);
            let Ok(Answer::Status { status, cold: true }) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!(status.code(), tonic::Code::NotFound);
        }
    }

    #[test]
    fn without_a_word_of_the_function_there_is_no_answer() {
        let after = ("retry-after", "2");
        for (status, headers, kind) in [
            (200, vec![("grpc-status", "14"), after], Kind::Unavailable),
            (
                200,
                vec![("grpc-status", "4"), after],
                Kind::DeadlineExceeded,
            ),
            (503, vec![after], Kind::Unavailable),
            (504, vec![after], Kind::DeadlineExceeded),
            (404, vec![after], Kind::Unavailable),
        ] {
            let answer = read(reply(status, &headers, b"no healthy upstream", &[]));
            let Ok(Answer::Foreign(foreign)) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!(foreign.kind, kind, "{headers:?}");
            assert_eq!(foreign.retry_after, Some(Duration::from_secs(2)));
            assert!(!foreign.lost, "{headers:?}");
        }
        let error = read(reply(200, &[], b"\0\0\0\0\0", &[])).unwrap_err();
        assert_eq!(error, Unreadable::Short);
    }

    #[test]
    fn what_tells_of_a_process_that_ended_says_so() {
        for (status, headers, lost) in [
            // An activator, and a proxy that speaks gRPC.
            (200, vec![("grpc-status", "14")], true),
            // A proxy that does not.
            (502, vec![], true),
            (503, vec![], true),
            // Not ready in time; overload; no such function; a fault in between.
            (200, vec![("grpc-status", "4")], false),
            (504, vec![], false),
            (200, vec![("grpc-status", "8")], false),
            (429, vec![], false),
            (404, vec![], false),
            (500, vec![], false),
        ] {
            let Ok(Answer::Foreign(foreign)) = read(reply(status, &headers, b"", &[])) else {
                panic!("{status} {headers:?}");
            };
            assert_eq!(foreign.lost, lost, "{status} {headers:?}");
        }
    }

    #[test]
    fn a_timeout_has_8_digits() {
        let timeout = |remaining| {
            headers(remaining)["grpc-timeout"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(timeout(Duration::from_millis(300)), "300000u");
        assert_eq!(timeout(Duration::from_micros(99_999_999)), "99999999u");
        assert_eq!(timeout(Duration::from_secs(100)), "100000m");
        assert_eq!(timeout(Duration::MAX), "99999999m");
    }
}
