//! JSON over HTTP: path, query and body become one request, as the binding says.

mod decode;
mod query;

use axum::{
    body::Body,
    extract::{RawPathParams, State, rejection::RawPathParamsRejection},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use zerocart_core::{Error, Function, Kind, Request as Message, trace::TraceContext};
use zerocart_proto::{rpc::Rpc, validate::Validate};

use crate::{
    invoke::{Protocol, Runtime},
    problem,
};

/// The largest request, in bytes. The largest valid one has a few thousand characters.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Answers the function's own route.
pub(crate) async fn call<F: Function>(
    State(runtime): State<Runtime<F>>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let fields = <Message<F> as Validate>::FIELDS;
    let read = async {
        let query = query::known(parts.uri.query().unwrap_or_default(), fields);
        let mut read = if F::Rpc::INFO.http_body {
            if let Some(name) = query.into_iter().next() {
                return Err(Error::field(
                    name?.0,
                    "is a query parameter, and this request takes its fields from the body",
                ));
            }
            if is_coded(&parts.headers) {
                drop_rest(parts.version, body).await;
                let says = "must be identity: bodies are read as they are";
                return Err(Error::field("content-encoding", says).with_http_status(415));
            }
            decode::body(&parts.headers, collect(parts.version, body).await?)?
        } else {
            decode::query(query)?
        };
        // Only bytes that are no UTF-8 are refused here.
        let params =
            params.map_err(|error| Error::field("path", "must be UTF-8").with_source(error))?;
        bind_path::<F>(&mut read.message, &params)?;
        Ok(read)
    };
    let answer = runtime.answer(Protocol::Json, &parts.headers, read).await;
    let mut response = match &answer.result {
        Ok(message) => success::<F::Rpc>(message, &answer.trace),
        Err(error) => problem::http(error, &answer.trace),
    };
    mark(response.headers_mut(), &answer.trace, answer.cold);
    response
}

/// Adds what every answer says: its trace, and whether it woke the process.
pub(crate) fn mark(headers: &mut HeaderMap, trace: &TraceContext, cold: bool) {
    if let Ok(value) = HeaderValue::try_from(trace.to_string()) {
        headers.insert("traceresponse", value);
    }
    if cold {
        headers.insert("x-cold-start", HeaderValue::from_static("true"));
    }
}

fn success<R: Rpc>(message: &R::Response, trace: &TraceContext) -> Response<Body> {
    if let Some((status, detail)) = R::refusal(message) {
        // The response's own fields stay beside the problem's, so that clients can read `success`.
        let members = match serde_json::to_value(message) {
            Ok(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let error = Error::new(Kind::of_http_status(status), detail).with_http_status(status);
        return problem::http_with(&error, trace, members);
    }
    let json = match serde_json::to_vec(message) {
        Ok(json) => json,
        Err(error) => return problem::http(&Error::internal(error), trace),
    };
    let mut response = Response::new(Body::from(json));
    if R::INFO.creates {
        *response.status_mut() = StatusCode::CREATED;
    }
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(location) = R::location(message).and_then(|l| HeaderValue::try_from(l).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// Reads a body of at most [`MAX_REQUEST_BYTES`].
async fn collect(version: Version, mut body: Body) -> Result<Bytes, Error> {
    // What announces too much is not waited for: it may never come.
    if body.size_hint().lower() <= MAX_REQUEST_BYTES as u64 {
        match Limited::new(&mut body, MAX_REQUEST_BYTES).collect().await {
            Ok(body) => return Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {}
            Err(error) => {
                return Err(Error::field("body", "ended before it was complete").with_source(error));
            }
        }
    }
    drop_rest(version, body).await;
    Err(too_large())
}

/// Lets go of a body that is not wanted. HTTP/2 ends one stream; HTTP/1 can only close the connection,
/// at which a client that is still sending gets no answer but a reset.
async fn drop_rest(version: Version, body: Body) {
    if version < Version::HTTP_2 {
        zerocart_framing::discard(body).await;
    }
}

/// Whether the body has any content coding (RFC 9110, section 8.4).
fn is_coded(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

/// The answer to a request that is too large: 413, RESOURCE_EXHAUSTED.
pub(crate) fn too_large() -> Error {
    let says = format!("must have at most {MAX_REQUEST_BYTES} bytes");
    Error::field("body", says)
        .with_kind(Kind::ResourceExhausted)
        .with_http_status(413)
}

/// Puts the parameters of the path into the message, which may say the same already.
fn bind_path<F: Function>(message: &mut Message<F>, params: &RawPathParams) -> Result<(), Error> {
    let unknown = || Error::new(Kind::Internal, "a path parameter names no field");
    let mut bound = Message::<F>::default();
    for (name, value) in params {
        let field = F::Rpc::path_field(&mut bound, name).ok_or_else(unknown)?;
        value.clone_into(field);
    }
    // An id may be written in two ways, and is the same.
    bound.normalise();
    message.normalise();
    for (name, _) in params {
        let value = F::Rpc::path_field(&mut bound, name).ok_or_else(unknown)?;
        let field = F::Rpc::path_field(message, name).ok_or_else(unknown)?;
        if !field.is_empty() && field != value {
            return Err(Error::field(
                name,
                "contradicts the path, which says something else",
            ));
        }
        std::mem::swap(field, value);
    }
    Ok(())
}
