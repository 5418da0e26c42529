//! JSON over HTTP: path, query and body become one request, as the binding says.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    extract::{RawPathParams, State, rejection::RawPathParamsRejection},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::{Deserializer, de::DeserializeOwned};
use zerocart_proto::rpc::Rpc;

use crate::{
    error::{Error, Kind},
    function::{Function, Request as Message},
    invoke::{Protocol, Runtime},
    problem,
    trace::TraceContext,
};

/// The largest request, in bytes. The largest valid one has a few thousand characters.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// How much of a request that is too large is read, and thrown away, before it is refused.
const MAX_DISCARDED_BYTES: usize = 32 * 1024 * 1024;

/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers the function's own route.
pub(crate) async fn call<F: Function>(
    State(runtime): State<Runtime<F>>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let read = async {
        let mut message = if F::Rpc::INFO.http_body {
            if let Some(query) = parts.uri.query().filter(|query| !query.is_empty()) {
                return Err(Error::field(
                    first_key(query),
                    "is a query parameter, and this request takes its fields from the body",
                ));
            }
            if is_coded(&parts.headers) {
                drop_rest(parts.version, body).await;
                let says = "must be identity: bodies are read as they are";
                return Err(Error::field("content-encoding", says).with_http_status(415));
            }
            from_body(&parts.headers, collect(parts.version, body).await?)?
        } else {
            from_query(parts.uri.query().unwrap_or_default())?
        };
        // Only bytes that are no UTF-8 are refused here.
        let params =
            params.map_err(|error| Error::field("path", "must be UTF-8").with_source(error))?;
        for (name, value) in &params {
            bind_path::<F>(&mut message, name, value)?;
        }
        Ok(message)
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
        // The response's own fields stay beside the problem's: whoever reads `success` may.
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
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard(body)).await;
    }
}

/// Whether the body is coded (RFC 9110, section 8.4), by whatever coding.
fn is_coded(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

/// Why the preconditions of a request cannot hold (RFC 9110, section 13.1). Resources have no entity
/// tags: `If-Match` with one is never true, and what `If-None-Match: *` asks not to be there is there
/// whenever something is changed.
pub(crate) fn precondition(headers: &HeaderMap, method: &str) -> Result<(), Error> {
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

/// Reads on without keeping anything.
async fn discard(mut body: Body) {
    let mut left = MAX_DISCARDED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            break;
        }
    }
}

/// The answer to a request that is too large: 413, RESOURCE_EXHAUSTED.
pub(crate) fn too_large() -> Error {
    let says = format!("must have at most {MAX_REQUEST_BYTES} bytes");
    Error::field("body", says)
        .with_kind(Kind::ResourceExhausted)
        .with_http_status(413)
}

fn from_body<T: DeserializeOwned + Default>(headers: &HeaderMap, body: Bytes) -> Result<T, Error> {
    if body.is_empty() {
        // The fields may all come from the path; those that are missing are told by name.
        return Ok(T::default());
    }
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Error::field("content-type", "must be application/json").with_http_status(415));
    }
    let text = std::str::from_utf8(&body).map_err(|_| Error::field("body", "must be UTF-8"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = decode(&mut deserializer)?;
    deserializer
        .end()
        .map_err(|_| Error::field("body", "has something after the JSON object"))?;
    Ok(message)
}

fn from_query<T: DeserializeOwned>(query: &str) -> Result<T, Error> {
    let mut fields = serde_json::Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = unescape(name).ok_or_else(|| Error::field("query", "must be UTF-8"))?;
        let value = unescape(value).ok_or_else(|| Error::field(name.as_ref(), "must be UTF-8"))?;
        if fields.contains_key(name.as_ref()) {
            return Err(Error::field(name, "must be given once"));
        }
        // proto3 JSON takes numbers as strings too, so a string is right for every type we have.
        fields.insert(name.into_owned(), value.into_owned().into());
    }
    decode(serde_json::Value::Object(fields))
}

/// Decodes proto3 JSON, and names the field when it cannot.
fn decode<'de, T: DeserializeOwned>(
    deserializer: impl Deserializer<'de, Error = serde_json::Error>,
) -> Result<T, Error> {
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let inner = error.inner();
        let description = describe(inner);
        let path = error.path().to_string();
        let field = if description.contains("not valid JSON") {
            // Where the text broke off says nothing about the fields.
            "body".into()
        } else if path == "." {
            named(inner).unwrap_or("body".into())
        } else {
            path
        };
        Error::field(field, description)
    })
}

/// The field that a message of serde names in backticks: `duplicate field`, `unknown field`.
fn named(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let quoted = |prefix| Some(text.strip_prefix(prefix)?.split_once('`')?.0);
    quoted("unknown field `")
        .map(str::to_owned)
        // Which of a field's two names came twice, only its generated code knows, and it tells the
        // JSON one; ours is that of proto/.
        .or_else(|| quoted("duplicate field `").map(snake_case))
}

/// `pageToken` as `page_token`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// What is wrong, in our words: serde's may quote the value, which may be a password.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let text = error.to_string();
    match error.classify() {
        Category::Syntax if text.starts_with("recursion limit") => "is nested too deeply".into(),
        Category::Syntax if text.starts_with("number out of range") => {
            "is a number out of range".into()
        }
        Category::Syntax | Category::Eof | Category::Io => format!(
            "is not valid JSON (line {}, column {})",
            error.line(),
            error.column()
        ),
        Category::Data if text.starts_with("unknown field") => {
            "is not a field of this request".into()
        }
        Category::Data if text.starts_with("duplicate field") => "must be given once".into(),
        Category::Data if text.starts_with("unknown variant") => {
            "is not a value of this enum".into()
        }
        Category::Data => "has the wrong type, or is out of range".into(),
    }
}

fn bind_path<F: Function>(message: &mut Message<F>, name: &str, value: &str) -> Result<(), Error> {
    let field = F::Rpc::path_field(message, name)
        .ok_or_else(|| Error::new(Kind::Internal, "a path parameter names no field"))?;
    if !field.is_empty() && field != value {
        return Err(Error::field(
            name,
            "contradicts the path, which says something else",
        ));
    }
    value.clone_into(field);
    Ok(())
}

fn first_key(query: &str) -> String {
    let key = query.split(['&', '=']).next().unwrap_or_default();
    unescape(key).map_or_else(|| "query".into(), Cow::into_owned)
}

/// Percent-decodes a part of a query, where `+` is a space.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    Some(Cow::Owned(
        percent_decode_str(&spaced).decode_utf8().ok()?.into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocart_proto::{
        order::UpdateOrderStatusRequest,
        payment::SetFailureRateRequest,
        product::{CreateProductRequest, ListProductsRequest},
    };

    fn json<T: DeserializeOwned + Default>(body: impl Into<Vec<u8>>) -> Result<T, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        from_body(&headers, Bytes::from(body.into()))
    }

    #[test]
    fn bad_bodies_name_the_field() {
        for (body, field, says) in [
            (r#"{"name": "Tea", "price": "#, "body", "not valid JSON"),
            (r#"{"name": "Tea"} x"#, "body", "after the JSON"),
            ("[]", "body", "wrong type"),
            ("5", "body", "wrong type"),
            (r#"{"name": 5}"#, "name", "wrong type"),
            (r#"{"price": "much"}"#, "price", "wrong type"),
            (r#"{"price": {}}"#, "price", "wrong type"),
            (r#"{"inventory": 1.5}"#, "inventory", "wrong type"),
            (r#"{"inventory": 3000000000}"#, "inventory", "out of range"),
            (r#"{"price": 1e999}"#, "price", "out of range"),
            (r#"{"name": "a", "name": "b"}"#, "name", "given once"),
            (r#"{"nmae": "a"}"#, "nmae", "not a field"),
        ] {
            let error = json::<CreateProductRequest>(body).unwrap_err();
            let violation = &error.violations()[0];
            assert_eq!(violation.field, field, "{body}: {violation}");
            assert!(violation.description.contains(says), "{body}: {violation}");
        }
        let error = json::<UpdateOrderStatusRequest>(r#"{"status": "EATEN"}"#).unwrap_err();
        assert_eq!(error.violations()[0].field, "status");
        let error = json::<CreateProductRequest>(vec![0xff]).unwrap_err();
        assert_eq!(error.violations()[0].field, "body");
        let deep = format!(r#"{{"name": {}"#, "[".repeat(100_000));
        let error = json::<CreateProductRequest>(deep).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }

    #[test]
    fn an_error_never_quotes_a_value() {
        let body = r#"{"email": "a@b.co", "password": ["hunter2secret"]}"#;
        let error = json::<zerocart_proto::user::CreateUserRequest>(body).unwrap_err();
        assert_eq!(error.violations()[0].field, "password");
        assert!(!format!("{error:?}").contains("hunter2secret"));
    }

    #[test]
    fn a_double_is_the_one_that_its_digits_are() {
        for digits in ["0.9453830113939903", "0.90071995094819870948", "19.99"] {
            let request = json::<SetFailureRateRequest>(format!(r#"{{"failure_rate": {digits}}}"#));
            let rate = request.unwrap().failure_rate;
            assert_eq!(rate.to_bits(), digits.parse::<f64>().unwrap().to_bits());
        }
    }

    #[test]
    fn queries_become_requests() {
        let request: ListProductsRequest = from_query("limit=5&offset=%31%30").unwrap();
        assert_eq!((request.limit, request.offset), (5, 10));
        for (query, field) in [
            ("limit=many", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=99999999999", "limit"),
            ("what=1", "what"),
            ("page_token=%ff", "page_token"),
        ] {
            let error = from_query::<ListProductsRequest>(query).unwrap_err();
            assert_eq!(error.violations()[0].field, field, "{query}");
        }
    }
}
