//! The headers of answers.

use serde_json::{Value, json};

/// Headers that every answer may have, from the gateway or from a function.
pub(crate) const COMMON: [&str; 2] = ["traceresponse", "X-Correlation-Id"];
/// What the gateway tells of its limits.
pub(crate) const LIMITS: [&str; 3] = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];
/// When to come back.
pub(crate) const RETRY_AFTER: &str = "Retry-After";
/// Which codings a body may have.
pub(crate) const ACCEPT_ENCODING: &str = "Accept-Encoding";
/// How to say who one is.
pub(crate) const WWW_AUTHENTICATE: &str = "WWW-Authenticate";

/// The headers of `names`, as an answer lists them.
pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    let headers = names.into_iter().map(|name| {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        (name.to_owned(), reference)
    });
    Value::Object(headers.collect())
}

/// Where a created resource is.
pub(crate) fn location(template: &str) -> Value {
    json!({
        "description": format!("The path of what was created: `{template}`."),
        "required": true,
        "schema": {"type": "string", "format": "uri-reference"},
    })
}

/// Those that have a name.
pub(crate) fn shared() -> Value {
    let seconds = json!({"type": "integer", "minimum": 0});
    json!({
        "traceresponse": {
            "description": "The trace of the call (W3C Trace Context), where a function answered.",
            "schema": {"type": "string"},
        },
        "X-Correlation-Id": {
            "description": "The request's own, or one that the gateway made.",
            "schema": {"type": "string"},
        },
        "RateLimit-Limit": {
            "description": "How many requests the tightest limit allows in its window.",
            "schema": seconds,
        },
        "RateLimit-Remaining": {
            "description": "How many of them are left.",
            "schema": seconds,
        },
        "RateLimit-Reset": {
            "description": "Seconds until the window is over.",
            "schema": seconds,
        },
        (RETRY_AFTER): {
            "description": "Seconds after which it is worth trying again.",
            "schema": seconds,
        },
        (ACCEPT_ENCODING): {
            "description": "`identity`, where the body was coded: bodies are read as they are.",
            "schema": {"type": "string"},
        },
        (WWW_AUTHENTICATE): {
            "description": "`Bearer`, with `error` when there was a token.",
            "schema": {"type": "string"},
        },
    })
}
