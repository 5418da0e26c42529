//! Proto3 JSON and query parameters as messages.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::{
    Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use zerocart_core::Error;
use zerocart_proto::validate::{Field, Validate, Violations};

use crate::invoke::Read;

/// A byte order mark in UTF-8. A parser may ignore it (RFC 8259, section 8.1); editors and
/// spreadsheets write it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The request in a body. Without a body all of its fields are absent: the path may have them.
pub(super) fn body<T>(headers: &HeaderMap, body: Bytes) -> Result<Read<T>, Error>
where
    T: DeserializeOwned + Default + Validate,
{
    if body.is_empty() {
        return Ok(Read {
            message: T::default(),
            violations: absent::<T>(|_| false),
        });
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
    let text = text(&body).ok_or_else(|| Error::field("body", "must be UTF-8"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = decode(&mut deserializer)?;
    deserializer
        .end()
        .map_err(|_| Error::field("body", "has something after the JSON object"))?;
    let violations = match T::FIELDS.iter().any(|field| field.present) {
        true => {
            let members: BTreeMap<String, Option<IgnoredAny>> =
                serde_json::from_str(text).map_err(Error::internal)?;
            absent::<T>(|field| {
                let given = |name| members.get(name).is_some_and(Option::is_some);
                given(field.name) || given(field.json_name)
            })
        }
        false => Violations::default(),
    };
    Ok(Read {
        message,
        violations,
    })
}

/// The text of a body: none when it is not UTF-8.
fn text(body: &[u8]) -> Option<&str> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    // ASCII in UTF-16 and UTF-32 is valid UTF-8 as well, with a NUL beside each character.
    if body.iter().take(2).any(|byte| *byte == 0) {
        return None;
    }
    std::str::from_utf8(body).ok()
}

/// The request in a query, of which these are the parameters.
pub(super) fn query<'a, T>(
    parameters: impl Iterator<Item = Result<(String, Cow<'a, str>), Error>>,
) -> Result<Read<T>, Error>
where
    T: DeserializeOwned + Validate,
{
    let mut fields = serde_json::Map::new();
    for parameter in parameters {
        let (name, value) = parameter?;
        if fields.contains_key(&name) {
            return Err(Error::field(name, "must be given once"));
        }
        let is_flag = T::FIELDS.iter().any(|f| f.flag && f.is_called(&name));
        // proto3 JSON takes numbers as strings too, so a string is right for every other type we have.
        let value = match value.as_ref() {
            "true" if is_flag => true.into(),
            "false" if is_flag => false.into(),
            text => text.into(),
        };
        fields.insert(name, value);
    }
    let violations = absent::<T>(|field| fields.keys().any(|name| field.is_called(name)));
    let message = decode(serde_json::Value::Object(fields))?;
    Ok(Read {
        message,
        violations,
    })
}

/// The fields that must be there and are not.
fn absent<T: Validate>(given: impl Fn(&Field) -> bool) -> Violations {
    let needed = T::FIELDS.iter().filter(|field| field.present);
    let absent = needed.filter(|field| !given(field));
    Violations::without(absent.map(|field| field.name).collect())
}

/// Decodes proto3 JSON, and names the field when it cannot.
fn decode<'de, T: DeserializeOwned>(
    deserializer: impl Deserializer<'de, Error = serde_json::Error>,
) -> Result<T, Error> {
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    zerocart_proto::json::read(tracked).map_err(|error: serde_json::Error| {
        let description = describe(&error);
        let path = track.path().to_string();
        let field = if description.contains("not valid JSON") {
            // Where the text broke off says nothing about the fields.
            "body".into()
        } else if path == "." {
            named(&error).unwrap_or("body".into())
        } else {
            path
        };
        Error::field(field, description)
    })
}

/// The field that a message of serde names in backticks: `duplicate field`, `unknown field`.
fn named(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let quoted = |prefix| Some(text.strip_prefix(prefix)?.split_once('`')?.0.to_owned());
    quoted("unknown field `").or_else(|| quoted("duplicate field `"))
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
        // Our own words, of the field's rules.
        Category::Data if text.starts_with("must have at most ") => text
            .split_once(" at line ")
            .map_or_else(|| text.clone(), |(says, _)| says.to_owned()),
        Category::Data => "has the wrong type, or is out of range".into(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use zerocart_core::Kind;

    use crate::json::query;
    use zerocart_proto::{
        order::{ListOrdersRequest, OrderStatus, UpdateOrderStatusRequest},
        payment::SetFailureRateRequest,
        product::{CreateProductRequest, ListProductsRequest},
    };

    fn json<T: DeserializeOwned + Default + Validate>(
        body: impl Into<Vec<u8>>,
    ) -> Result<T, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        self::body(&headers, Bytes::from(body.into())).map(|read| read.message)
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

    fn listed<T: DeserializeOwned + Validate>(query: &str) -> Result<T, Error> {
        let known = query::known(query, T::FIELDS);
        self::query(known).map(|read| read.message)
    }

    #[test]
    fn queries_become_requests() {
        let request: ListProductsRequest = listed("limit=5&offset=%31%30").unwrap();
        assert_eq!((request.limit, request.offset), (5, 10));
        for (query, field) in [
            ("limit=many", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=99999999999", "limit"),
            ("pageToken=a&page_token=b", "page_token"),
            ("page%5Ftoken=a&page_token=b", "page_token"),
            ("page_token=%ff", "page_token"),
        ] {
            let error = listed::<ListProductsRequest>(query).unwrap_err();
            assert_eq!(error.violations()[0].field, field, "{query}");
        }
    }

    #[test]
    fn a_query_holds_flags_and_names_of_enums() {
        for (query, stuck, status) in [
            ("stuck=true", true, OrderStatus::Unspecified),
            ("stuck=false&status=PAID", false, OrderStatus::Paid),
            ("status=FAILED", false, OrderStatus::Failed),
            // Only a flag is read so.
            ("user_id=true", false, OrderStatus::Unspecified),
        ] {
            let request: ListOrdersRequest = listed(query).unwrap();
            assert_eq!(
                (request.stuck, request.status()),
                (stuck, status),
                "{query}"
            );
        }
        for (query, field) in [
            ("stuck=yes", "stuck"),
            ("stuck=1", "stuck"),
            ("stuck=", "stuck"),
            ("status=EATEN", "status"),
        ] {
            let error = listed::<ListOrdersRequest>(query).unwrap_err();
            assert_eq!(error.violations()[0].field, field, "{query}");
        }
    }
}
