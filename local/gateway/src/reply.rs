//! Answers that the gateway gives itself, in the forms that clients of Kong know.

use std::borrow::Cow;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use serde_json::Value;

use crate::media::Media;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// An answer of the gateway's own.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Content,
    /// Boxed, to keep an `Err` of this small.
    headers: Box<HeaderMap>,
}

/// Kong's ways to answer. They differ in what a client sees.
#[derive(Debug)]
enum Content {
    /// `kong.response.error`: a message in the type that the client accepts, else JSON; gRPC gets the
    /// status' own name.
    Error(Cow<'static, str>),
    /// `kong.response.exit`: a JSON body of the plugin; gRPC gets its `message`.
    Exit(Option<Value>),
    /// `kong.response.exit`: a body of the plugin as it is; gRPC gets the status' own name.
    Raw {
        kind: Option<HeaderValue>,
        body: Bytes,
    },
    /// Kong's handler for nginx's errors: a message in the type that the client accepts or sent, else
    /// text; gRPC gets the message.
    Failure(&'static str),
}

/// What the form of an answer depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Whether the client speaks gRPC.
    pub(crate) grpc: bool,
    http2: bool,
    error: Media,
    failure: Media,
}

impl Asked {
    pub(crate) fn of(request: &Parts) -> Self {
        let http2 = request.version == Version::HTTP_2;
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let accept = request.headers.get_all(ACCEPT).iter();
        let accept: Vec<_> = accept.filter_map(text).collect();
        let sent = request.headers.get(CONTENT_TYPE).and_then(text);
        // Of several lines, nginx's handler reads the first.
        let first = accept.first().or(sent.as_ref());
        Self {
            grpc: http2 && is_grpc(&request.headers),
            http2,
            error: Media::preferred(&accept.join(",")),
            failure: first.map_or(Media::Text, |first| Media::preferred(first)),
        }
    }
}

/// Whether the media type of a request is that of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl Reply {
    pub(crate) fn error(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            body: Content::Error(message.into()),
            headers: Box::default(),
        }
    }

    pub(crate) fn exit(status: StatusCode, body: Option<Value>) -> Self {
        Self {
            status,
            body: Content::Exit(body),
            headers: Box::default(),
        }
    }

    /// A body as it is, of the media type `kind`.
    pub(crate) fn raw(status: StatusCode, kind: Option<HeaderValue>, body: Bytes) -> Self {
        Self {
            status,
            body: Content::Raw { kind, body },
            headers: Box::default(),
        }
    }

    /// What Kong says about a request that nginx itself could not serve.
    pub(crate) fn failure(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::BAD_REQUEST => "Bad request",
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::METHOD_NOT_ALLOWED => "Method not allowed",
            StatusCode::REQUEST_TIMEOUT => "Request timeout",
            StatusCode::PAYLOAD_TOO_LARGE => "Payload too large",
            StatusCode::URI_TOO_LONG => "URI too long",
            StatusCode::BAD_GATEWAY => "An invalid response was received from the upstream server",
            StatusCode::SERVICE_UNAVAILABLE => "The upstream server is currently unavailable",
            StatusCode::GATEWAY_TIMEOUT => "The upstream server is timing out",
            StatusCode::NOT_IMPLEMENTED => "Not implemented",
            _ => "An unexpected error occurred",
        };
        Self {
            status,
            body: Content::Failure(message),
            headers: Box::default(),
        }
    }

    /// A line of the head is too long.
    pub(crate) fn long_line() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            body: Content::Failure("Request header or cookie too large"),
            headers: Box::default(),
        }
    }

    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    #[cfg(test)]
    pub(crate) fn body(&self) -> Option<&Value> {
        match &self.body {
            Content::Exit(body) => body.as_ref(),
            _ => None,
        }
    }

    /// The answer on the wire.
    ///
    /// A gRPC client gets headers alone, with `grpc-status`; the HTTP status stays what it is, as
    /// in Kong (gRPC clients prefer `grpc-status` to it).
    pub(crate) fn into_response(self, asked: Asked, request_id: &HeaderValue) -> Response<Body> {
        let Self {
            status,
            body,
            mut headers,
        } = self;
        if asked.http2 {
            // These do not exist in HTTP/2 (RFC 9113 section 8.2.2).
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
        }
        let mut kind = Some(JSON);
        let body = if asked.grpc {
            let code = grpc_code(status);
            headers.insert(GRPC_STATUS, HeaderValue::from(code));
            let message = match body {
                Content::Error(_) => {
                    headers.insert(CONTENT_TYPE, GRPC);
                    None
                }
                Content::Exit(body) => body.as_ref().and_then(|body| {
                    body.get("message")
                        .and_then(Value::as_str)
                        .map(str::to_owned)
                }),
                Content::Raw { .. } => None,
                Content::Failure(message) => Some(message.to_owned()),
            };
            let message = message.unwrap_or_else(|| grpc_name(code).to_owned());
            if let Ok(message) = HeaderValue::try_from(message) {
                headers.insert(GRPC_MESSAGE, message);
            }
            Bytes::new()
        } else {
            let request_id = request_id.to_str().unwrap_or_default();
            match body {
                // Kong has no template for gRPC's media type.
                Content::Error(_) if asked.error == Media::Grpc => Bytes::new(),
                Content::Error(message) => {
                    kind = asked.error.content_type();
                    asked.error.body(&message, request_id).into()
                }
                Content::Failure(message) => {
                    kind = asked.failure.content_type().or(kind);
                    asked.failure.body(message, request_id).into()
                }
                Content::Exit(body) => body.map(|body| body.to_string().into()).unwrap_or_default(),
                Content::Raw { kind: own, body } => {
                    kind = own.or(kind);
                    body
                }
            }
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Some(kind) = kind.filter(|_| !body.is_empty()) {
            headers.insert(CONTENT_TYPE, kind);
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = *headers;
        response
    }
}

/// Kong's mapping from HTTP to gRPC.
fn grpc_code(status: StatusCode) -> u16 {
    match status.as_u16() {
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 6,
        429 => 8,
        499 => 1,
        501 => 12,
        503 => 14,
        504 => 4,
        500..=599 => 13,
        400..=499 => 3,
        200..=299 => 0,
        _ => 2,
    }
}

fn grpc_name(code: u16) -> &'static str {
    match code {
        0 => "OK",
        1 => "Canceled",
        3 => "InvalidArgument",
        4 => "DeadlineExceeded",
        5 => "NotFound",
        6 => "AlreadyExists",
        7 => "PermissionDenied",
        8 => "ResourceExhausted",
        12 => "Unimplemented",
        13 => "Internal",
        14 => "Unavailable",
        16 => "Unauthenticated",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use serde_json::json;

    const ID: HeaderValue = HeaderValue::from_static("0123");

    async fn text(response: Response<Body>) -> String {
        String::from_utf8(
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .to_vec(),
        )
        .unwrap()
    }

    fn asked(version: Version, headers: &[(HeaderName, &'static str)]) -> Asked {
        let mut request = http::Request::new(());
        *request.version_mut() = version;
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(name, value);
        }
        Asked::of(&request.into_parts().0)
    }

    #[tokio::test]
    async fn http_gets_a_body_that_it_accepts() {
        let json = "{\n  \"message\":\"Bad request\",\n  \"request_id\":\"0123\"\n}";
        let html = "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    \
                    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n    \
                    <p>Bad request.</p>\n    <p>request_id: 0123</p>\n  </body>\n</html>\n";
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  \
                   <message>Bad request</message>\n  <requestid>0123</requestid>\n</error>\n";
        let text = "Bad request\nrequest_id: 0123\n";
        let [of_json, of_html, of_xml, of_text] = [
            "application/json",
            "text/html",
            "application/xml",
            "text/plain",
        ]
        .map(|kind| format!("{kind}; charset=utf-8"));
        let (json, html) = ((&*of_json, json), (&*of_html, html));
        let (xml, text) = ((&*of_xml, xml), (&*of_text, text));
        // What Kong says of a request with these headers, and what it says of nginx's failures.
        for (headers, error, failure) in [
            (vec![], json, text),
            (vec![(ACCEPT, "*/*")], json, json),
            (vec![(ACCEPT, "text/html")], html, html),
            (
                vec![(ACCEPT, "application/xml"), (CONTENT_TYPE, "text/html")],
                xml,
                xml,
            ),
            (vec![(CONTENT_TYPE, "text/html")], json, html),
            (vec![(CONTENT_TYPE, "application/json")], json, json),
            (
                vec![(ACCEPT, "text/html;q=0.5"), (ACCEPT, "text/plain")],
                text,
                html,
            ),
            (
                vec![(ACCEPT, "application/grpc")],
                ("", ""),
                (&of_json, "{\"message\":\"Bad request\"}"),
            ),
        ] {
            let asked = asked(Version::HTTP_11, &headers);
            for (reply, (kind, body)) in [
                (Reply::error(StatusCode::BAD_REQUEST, "Bad request"), error),
                (Reply::failure(StatusCode::BAD_REQUEST), failure),
            ] {
                let response = reply.into_response(asked, &ID);
                let got = response.headers().get(CONTENT_TYPE);
                let got = got.map_or("", |kind| kind.to_str().unwrap());
                assert_eq!(got, kind, "{headers:?}");
                assert_eq!(self::text(response).await, body, "{headers:?}");
            }
        }
        // A plugin's own body is what it is.
        let body = json!({"message": "Unauthorized"});
        let reply = Reply::exit(StatusCode::UNAUTHORIZED, Some(body));
        let asked = asked(Version::HTTP_11, &[(ACCEPT, "text/html")]);
        let body = self::text(reply.into_response(asked, &ID)).await;
        assert_eq!(body, "{\"message\":\"Unauthorized\"}");
    }

    #[tokio::test]
    async fn grpc_gets_a_status_and_no_body() {
        let unauthorized = json!({"message": "Unauthorized"});
        let cases = [
            (
                Reply::exit(StatusCode::UNAUTHORIZED, Some(unauthorized)),
                "16",
                "Unauthorized",
            ),
            (
                Reply::error(StatusCode::TOO_MANY_REQUESTS, "limit"),
                "8",
                "ResourceExhausted",
            ),
            (
                Reply::error(StatusCode::NOT_FOUND, "no Route"),
                "5",
                "NotFound",
            ),
            (
                Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "size"),
                "3",
                "InvalidArgument",
            ),
            (
                Reply::failure(StatusCode::GATEWAY_TIMEOUT),
                "4",
                "The upstream server is timing out",
            ),
            (
                Reply::error(StatusCode::SERVICE_UNAVAILABLE, "name"),
                "14",
                "Unavailable",
            ),
        ];
        for (reply, status, message) in cases {
            let grpc = asked(Version::HTTP_2, &[(CONTENT_TYPE, "application/grpc")]);
            let response = reply.into_response(grpc, &ID);
            assert_eq!(response.headers()[GRPC_STATUS], status);
            assert_eq!(response.headers()[GRPC_MESSAGE], message);
            assert_eq!(text(response).await, "");
        }
    }
}
