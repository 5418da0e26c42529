//! What goes over a wire and comes back, the gateway's own answers among it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tonic::Code;
use zerocart_core::Kind;
use zerocart_proto::rpc::{Info, Rpc};
use zerocart_wires::{Client, Outcome, Reply, Unusable, http_request, request};

use super::{answer, inputs::Rest};

/// What came back.
#[derive(Debug)]
pub struct Got<T> {
    /// In the form that all wires share.
    pub outcome: Outcome<T>,
    /// Over REST the body as it came.
    pub body: Option<Bytes>,
}

/// A request as it goes over the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    Rest(&'a Rest),
    Grpc(&'a Bytes),
}

impl Input<'_> {
    /// Whether it can be read as text, where it is meant to be.
    pub(super) fn is_text(&self) -> bool {
        match self {
            Self::Rest(rest) => std::str::from_utf8(&rest.body).is_ok(),
            Self::Grpc(_) => true,
        }
    }
}

/// The headers of an answer that the contract speaks of.
const HEADERS: [&str; 6] = [
    "content-type",
    "location",
    "retry-after",
    "www-authenticate",
    "accept-encoding",
    "cache-control",
];

/// All that a client gets to see of an answer.
pub(super) fn shown<T: Serialize>(got: &Got<T>) -> String {
    let outcome = &got.outcome;
    if let Some(body) = &got.body {
        let mut shown = outcome.http_status.to_string();
        for name in HEADERS {
            if let Some(value) = outcome.header(name) {
                shown.push_str(&format!(" {name}: {value};"));
            }
        }
        return format!("{shown} {}", String::from_utf8_lossy(body));
    }
    let mut shown = answer::told(outcome);
    if let Some(after) = outcome.retry_after {
        shown.push_str(&format!("; again after {after:?}"));
    }
    if outcome.trace_id.is_some() {
        shown.push_str("; traced");
    }
    let response = outcome.response.as_ref().map(serde_json::to_string);
    if let Some(Ok(response)) = response {
        shown.push_str(&format!(" {response}"));
    }
    shown
}

/// Calls `R`. The gateway may answer by itself: then there is no trace id.
///
/// # Errors
///
/// When there is no answer, or one that neither a function nor the gateway gives.
pub async fn call<R: Rpc>(
    client: Client,
    request: &R::Request,
) -> Result<Got<R::Response>, Unusable> {
    if client.wire().is_json() {
        return of_reply(client.try_send(http_request::<R>(request)).await?);
    }
    Ok(Got {
        outcome: client.try_call::<R>(request).await?,
        body: None,
    })
}

/// Sends what may be no request at all.
pub(super) async fn send(
    client: Client,
    info: &'static Info,
    input: Input<'_>,
) -> Result<Got<Value>, Unusable> {
    match input {
        Input::Rest(rest) => send_rest(client, rest).await,
        Input::Grpc(message) => {
            let outcome = client.try_message::<()>(info.grpc_path, message.clone());
            Ok(Got {
                outcome: outcome.await?.map(|()| Value::Null),
                body: None,
            })
        }
    }
}

/// Sends an HTTP request.
pub(super) async fn send_rest<T: DeserializeOwned>(
    client: Client,
    rest: &Rest,
) -> Result<Got<T>, Unusable> {
    let mut request = request(rest.method.clone(), &rest.path, rest.body.clone());
    if !rest.body.is_empty() {
        let media_type = HeaderValue::from_static(rest.media_type);
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
    }
    for (name, value) in &rest.headers {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append(*name, value);
    }
    let reply = client.try_send(request).await?;
    match rest.method {
        Method::HEAD => Ok(of_head(reply)),
        _ => of_reply(reply),
    }
}

fn of_reply<T: DeserializeOwned>(reply: Reply) -> Result<Got<T>, Unusable> {
    Ok(Got {
        outcome: match of_gateway(&reply) {
            Some(outcome) => outcome,
            None => reply.try_outcome()?,
        },
        body: Some(reply.body),
    })
}

/// An answer to HEAD has a status and headers; what else it says is not known.
fn of_head<T>(reply: Reply) -> Got<T> {
    let http_status = reply.status.as_u16();
    let code = match reply.status.is_success() {
        true => Code::Ok,
        false => code_of(http_status),
    };
    Got {
        outcome: bare(code, String::new(), &reply),
        body: Some(reply.body),
    }
}

/// An outcome without what a problem document has.
fn bare<T>(code: Code, message: String, reply: &Reply) -> Outcome<T> {
    Outcome {
        code,
        http_status: reply.status.as_u16(),
        message,
        fields: Vec::new(),
        retry_after: None,
        trace_id: None,
        metadata: Default::default(),
        headers: reply.headers.clone(),
        response: None,
    }
}

/// What the gateway answers itself is no problem document: it has a `message`, as Kong says it.
fn of_gateway<T>(reply: &Reply) -> Option<Outcome<T>> {
    let media_type = reply.headers.get(http::header::CONTENT_TYPE)?;
    let json = media_type.to_str().ok()?.starts_with("application/json");
    if reply.status.is_success() || !json {
        return None;
    }
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    let message = body.get("message")?.as_str()?.to_owned();
    Some(bare(code_of(reply.status.as_u16()), message, reply))
}

/// The code that the gateway gives gRPC clients in the place of this status.
fn code_of(http_status: u16) -> Code {
    let kinds = Kind::ALL.into_iter();
    let mut of_status = kinds.filter(|kind| kind.http_status() == http_status);
    match of_status.next() {
        Some(kind) => Code::from(kind.grpc_code()),
        None if (400..500).contains(&http_status) => Code::InvalidArgument,
        None => Code::Internal,
    }
}

/// How long to wait, where a limit was used up.
pub fn pause<T>(outcome: &Outcome<T>) -> Option<Duration> {
    if outcome.code != Code::ResourceExhausted {
        return None;
    }
    let seconds = outcome.header("retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn reply(status: StatusCode, media_type: &'static str, body: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(media_type));
        headers.insert("retry-after", HeaderValue::from_static("7"));
        Reply {
            status,
            headers,
            trailers: None,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn the_gateways_own_answers_are_understood() {
        let limited = reply(
            StatusCode::TOO_MANY_REQUESTS,
            "application/json; charset=utf-8",
            "{\n  \"message\":\"API rate limit exceeded\"\n}",
        );
        let outcome = of_gateway::<()>(&limited).unwrap();
        assert_eq!(outcome.code, Code::ResourceExhausted);
        assert_eq!(outcome.message, "API rate limit exceeded");
        assert_eq!(pause(&outcome), Some(Duration::from_secs(7)));

        let unauthorized = reply(
            StatusCode::UNAUTHORIZED,
            "application/json",
            "{\"message\":\"Unauthorized\"}",
        );
        let outcome = of_gateway::<()>(&unauthorized).unwrap();
        assert_eq!(
            (outcome.code, outcome.http_status),
            (Code::Unauthenticated, 401)
        );
        assert_eq!(pause(&outcome), None);

        let large = reply(
            StatusCode::PAYLOAD_TOO_LARGE,
            "application/json; charset=utf-8",
            "{\"message\":\"Request size limit exceeded\"}",
        );
        let code = of_gateway::<()>(&large).map(|outcome| outcome.code);
        assert_eq!(code, Some(Code::InvalidArgument));

        let problem = reply(StatusCode::CONFLICT, "application/problem+json", "{}");
        assert!(of_gateway::<()>(&problem).is_none());
        let success = reply(StatusCode::OK, "application/json", "{\"message\":\"\"}");
        assert!(of_gateway::<()>(&success).is_none());
    }
}
