//! Answers that the gateway gives itself, shaped as Kong shapes them.

use std::borrow::Cow;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

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
    /// `kong.response.error`: a message in Kong's template; gRPC gets the status' own name.
    Error(Cow<'static, str>),
    /// `kong.response.exit`: a JSON body of the plugin; gRPC gets its `message`.
    Exit(Option<Value>),
    /// `kong.response.exit`: a body of the plugin as it is; gRPC gets the status' own name.
    Raw {
        kind: Option<HeaderValue>,
        body: Bytes,
    },
    /// Kong's handler for nginx's errors: the template; gRPC gets the message.
    Failure(&'static str),
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
    pub(crate) fn into_response(
        self,
        grpc: bool,
        request_id: &HeaderValue,
        http2: bool,
    ) -> Response<Body> {
        let Self {
            status,
            body,
            mut headers,
        } = self;
        if http2 {
            // These do not exist in HTTP/2 (RFC 9113 section 8.2.2).
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
        }
        let mut kind = JSON;
        let body = if grpc {
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
            match body {
                Content::Error(message) => template(&message, request_id).into(),
                Content::Failure(message) => template(message, request_id).into(),
                Content::Exit(body) => body.map(|body| body.to_string().into()).unwrap_or_default(),
                Content::Raw { kind: own, body } => {
                    kind = own.unwrap_or(kind);
                    body
                }
            }
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, kind);
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = *headers;
        response
    }
}

/// Kong's template for errors, with its white space.
fn template(message: &str, request_id: &HeaderValue) -> String {
    let message = Value::from(message);
    let request_id = request_id.to_str().unwrap_or_default();
    format!("{{\n  \"message\":{message},\n  \"request_id\":\"{request_id}\"\n}}")
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

    #[tokio::test]
    async fn http_gets_kongs_bodies() {
        let response = Reply::failure(StatusCode::BAD_GATEWAY).into_response(false, &ID, false);
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "application/json; charset=utf-8"
        );
        assert_eq!(
            text(response).await,
            "{\n  \"message\":\"An invalid response was received from the upstream server\",\n  \
             \"request_id\":\"0123\"\n}"
        );
        let reply = Reply::exit(
            StatusCode::UNAUTHORIZED,
            Some(json!({"message": "Unauthorized"})),
        );
        assert_eq!(
            text(reply.into_response(false, &ID, false)).await,
            "{\"message\":\"Unauthorized\"}"
        );
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
            let response = reply.into_response(true, &ID, true);
            assert_eq!(response.headers()[GRPC_STATUS], status);
            assert_eq!(response.headers()[GRPC_MESSAGE], message);
            assert_eq!(text(response).await, "");
        }
    }
}
