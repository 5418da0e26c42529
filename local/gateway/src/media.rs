//! The media type of an error's body, and the bodies, as clients of Kong see them.

use http::HeaderValue;
use serde_json::{Value, json};

/// What an error can be written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Media {
    #[default]
    Json,
    Html,
    Xml,
    Text,
    /// Nothing can be written in it.
    Grpc,
}

impl Media {
    /// The type that a client prefers by its `Accept` header: the first of those with the highest
    /// quality. What is not known is JSON.
    pub(crate) fn preferred(accept: &str) -> Self {
        let mut best = (0.0, Self::default());
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(media) = parts.next().and_then(|text| text.split_once('/')) else {
                continue;
            };
            let quality = parts.filter_map(quality).next_back().unwrap_or(1.0);
            if quality > best.0 {
                best = (quality, Self::of(media));
            }
        }
        best.1
    }

    fn of(media: (&str, &str)) -> Self {
        match media {
            ("text", "html") => Self::Html,
            ("text", "plain" | "*") => Self::Text,
            ("application", "xml") => Self::Xml,
            ("application", "grpc") => Self::Grpc,
            _ => Self::Json,
        }
    }

    pub(crate) fn content_type(self) -> Option<HeaderValue> {
        let text = match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Xml => "application/xml; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Grpc => return None,
        };
        Some(HeaderValue::from_static(text))
    }

    /// The body of an error, with Kong's white space. `message` has no character that is special in
    /// one of the types.
    pub(crate) fn body(self, message: &str, request_id: &str) -> String {
        match self {
            Self::Json => {
                let message = Value::from(message);
                format!("{{\n  \"message\":{message},\n  \"request_id\":\"{request_id}\"\n}}")
            }
            Self::Html => format!(
                "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    \
                 <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n    \
                 <p>{message}.</p>\n    <p>request_id: {request_id}</p>\n  </body>\n</html>\n"
            ),
            Self::Xml => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  \
                 <message>{message}</message>\n  <requestid>{request_id}</requestid>\n</error>\n"
            ),
            Self::Text => format!("{message}\nrequest_id: {request_id}\n"),
            Self::Grpc => json!({"message": message}).to_string(),
        }
    }
}

/// The quality that a parameter gives, with at most three digits after the point (RFC 9110, section
/// 12.4.2).
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let quality = value.trim().parse().ok()?;
    (0.0..=1.0).contains(&quality).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses() {
        use Media::{Grpc, Html, Json, Text, Xml};
        for (accept, expected) in [
            ("", Json),
            ("*/*", Json),
            ("text/html", Html),
            ("text/html; charset=utf-8", Html),
            ("application/xml", Xml),
            ("application/json", Json),
            ("application/*", Json),
            ("text/plain", Text),
            ("text/*", Text),
            ("application/grpc", Grpc),
            // Of a browser.
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Html,
            ),
            (
                "application/xml;q=0.5, text/plain;q=0.7, text/html;q=0.6",
                Text,
            ),
            ("text/html;q=0, application/xml;q=0.1", Xml),
            ("text/html;q=0", Json),
            ("text/html;level=1;Q=0.2,text/plain;q=0.3", Text),
            // Neither known nor valid.
            ("image/png, text/html;q=0.9", Json),
            ("text/xml", Json),
            ("nonsense, text/html", Html),
            ("text/html;q=7", Html),
        ] {
            assert_eq!(Media::preferred(accept), expected, "{accept}");
        }
    }
}
