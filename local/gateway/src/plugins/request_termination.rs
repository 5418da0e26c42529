//! request-termination: answers every request by itself, without starting a function.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::error::FieldError;
use crate::reply::Reply;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    status_code: u16,
    message: Option<String>,
    content_type: Option<String>,
    body: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            status_code: 503,
            message: None,
            content_type: None,
            body: None,
        }
    }
}

/// The plugin, configured.
#[derive(Debug)]
pub(crate) struct RequestTermination {
    status: StatusCode,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Message(Option<String>),
    Body(Option<HeaderValue>, Bytes),
}

impl RequestTermination {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        // Kong accepts 1xx, too, which is not a final answer.
        let status = StatusCode::from_u16(config.status_code)
            .ok()
            .filter(|status| (200..600).contains(&status.as_u16()))
            .ok_or_else(|| FieldError::new("status_code", "value should be between 200 and 599"))?;
        let present = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if present(&config.message) && (present(&config.body) || present(&config.content_type)) {
            let message = "message cannot be used with content_type or body";
            return Err(FieldError::new("message", message));
        }
        if present(&config.content_type) && !present(&config.body) {
            let message = "content_type requires a body";
            return Err(FieldError::new("content_type", message));
        }
        let kind = config.content_type.map(HeaderValue::try_from).transpose();
        let kind = kind.map_err(|_| FieldError::new("content_type", "not a header value"))?;
        let answer = match config.body {
            Some(body) => Answer::Body(kind, body.into()),
            None => Answer::Message(config.message.or_else(|| default(status))),
        };
        Ok(Self { status, answer })
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to every request.
    pub(crate) fn answer(&self) -> Reply {
        match &self.answer {
            Answer::Message(message) => {
                let body = message.as_ref().map(|message| json!({"message": message}));
                Reply::exit(self.status, body)
            }
            Answer::Body(kind, body) => Reply::raw(self.status, kind.clone(), body.clone()),
        }
    }
}

/// Kong's message if none is configured.
fn default(status: StatusCode) -> Option<String> {
    let message = match status.as_u16() {
        401 => "Unauthorized",
        404 => "Not found",
        405 => "Method not allowed",
        500 => "An unexpected error occurred",
        502 => "Bad Gateway",
        503 => "Service unavailable",
        _ => return None,
    };
    Some(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Asked;
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    fn plugin(config: Value) -> Result<RequestTermination, FieldError> {
        RequestTermination::new(serde_json::from_value(config).unwrap())
    }

    async fn answer(config: Value) -> (u16, Option<String>, String) {
        let id = HeaderValue::from_static("0123");
        let reply = plugin(config).unwrap().answer();
        let (parts, body) = reply.into_response(Asked::default(), &id).into_parts();
        let kind = parts.headers.get("content-type");
        let kind = kind.map(|kind| kind.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (parts.status.as_u16(), kind, body)
    }

    #[tokio::test]
    async fn a_body_is_sent_as_it_is() {
        let config = json!({"status_code": 200, "content_type": "text/plain", "body": "a\n"});
        let (status, kind, body) = answer(config).await;
        assert_eq!((status, kind.as_deref()), (200, Some("text/plain")));
        assert_eq!(body, "a\n");
    }

    #[tokio::test]
    async fn a_message_is_json() {
        let (status, kind, body) = answer(json!({})).await;
        assert_eq!(status, 503);
        assert_eq!(kind.as_deref(), Some("application/json; charset=utf-8"));
        assert_eq!(body, r#"{"message":"Service unavailable"}"#);
        let (_, _, body) = answer(json!({"status_code": 418, "message": "tea"})).await;
        assert_eq!(body, r#"{"message":"tea"}"#);
        let (status, kind, body) = answer(json!({"status_code": 204})).await;
        assert_eq!((status, kind, body.as_str()), (204, None, ""));
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        for (config, field) in [
            (json!({"message": "a", "body": "b"}), "message"),
            (json!({"content_type": "text/plain"}), "content_type"),
            (json!({"content_type": "a\n", "body": "b"}), "content_type"),
            (json!({"status_code": 99}), "status_code"),
        ] {
            assert_eq!(plugin(config).unwrap_err().field, field);
        }
    }
}
