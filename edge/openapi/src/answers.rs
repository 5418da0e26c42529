//! Answers that are no success: problem documents of functions, and what the gateway says itself.

use serde_json::{Map, Value, json};
use zerocart_core::Kind;
use zerocart_proto::rpc::Info;

use crate::{headers, parameters};

/// A status, and what it means.
struct Status {
    code: u16,
    name: &'static str,
    description: &'static str,
    /// Whether a function answers it, and whether the gateway does. Neither: no more than the status is
    /// said, since the request could not be read.
    by: (bool, bool),
    applies: fn(&Info) -> bool,
}

const FUNCTION: (bool, bool) = (true, false);
const GATEWAY: (bool, bool) = (false, true);
const BOTH: (bool, bool) = (true, true);
const NEITHER: (bool, bool) = (false, false);

const fn always(_: &Info) -> bool {
    true
}

/// Every status of an error.
const STATUSES: [Status; 18] = [
    Status {
        code: 400,
        name: "BadRequest",
        description: "The request is wrong in every state of the system; `errors` names the fields.",
        by: BOTH,
        applies: always,
    },
    Status {
        code: 401,
        name: "Unauthenticated",
        description: "No token where one is needed, or one that is not valid; or nobody has signed in.",
        by: BOTH,
        applies: |info| !info.access.anyone || info.refuses == Some(401),
    },
    Status {
        code: 403,
        name: "PermissionDenied",
        description: "The token is valid, and its owner may not do this.",
        by: FUNCTION,
        applies: |info| !info.access.anyone,
    },
    Status {
        code: 404,
        name: "NotFound",
        description: "There is no such thing.",
        by: BOTH,
        applies: |info| !parameters::of_path(info.http_path).is_empty() || !info.calls.is_empty(),
    },
    Status {
        code: 408,
        name: "TooSlow",
        description: "The body did not arrive within a minute. Nothing was done.",
        by: GATEWAY,
        applies: |info| info.http_body,
    },
    Status {
        code: 409,
        name: "Conflict",
        description: "It exists already (`ALREADY_EXISTS`), the state of the system does not allow it \
            (`FAILED_PRECONDITION`), or something else is under way (`ABORTED`, with Retry-After).",
        by: FUNCTION,
        applies: |info| info.writes || !info.calls.is_empty(),
    },
    Status {
        code: 412,
        name: "PreconditionFailed",
        description: "Resources have no entity tags: `If-Match` is true as `*` alone, and `If-None-Match: *` \
            never where something is changed. Nothing was done.",
        by: FUNCTION,
        applies: always,
    },
    Status {
        code: 413,
        name: "TooLarge",
        description: "The body is larger than 64 KiB; above 1 MiB the gateway says so.",
        by: BOTH,
        applies: |info| info.http_body,
    },
    Status {
        code: 414,
        name: "PathTooLong",
        description: "The path with its query is longer than 8 KiB.",
        by: GATEWAY,
        applies: always,
    },
    Status {
        code: 415,
        name: "UnsupportedMediaType",
        description: "The body is not application/json, or is coded (`Content-Encoding`), which `Accept-Encoding: \
            identity` says.",
        by: FUNCTION,
        applies: |info| info.http_body,
    },
    Status {
        code: 417,
        name: "ExpectationFailed",
        description: "The body would be larger than 1 MiB, said before it was sent (`Expect: 100-continue`).",
        by: GATEWAY,
        applies: |info| info.http_body,
    },
    Status {
        code: 422,
        name: "KeyReused",
        description: "The Idempotency-Key was used before, with another request.",
        by: FUNCTION,
        applies: |info| info.writes,
    },
    Status {
        code: 429,
        name: "TooManyRequests",
        description: "Too many requests from this address, or too many at once.",
        by: BOTH,
        applies: always,
    },
    Status {
        code: 431,
        name: "HeadTooLarge",
        description: "The path and the headers are larger than 32 KiB. An edge may say 400 instead, as it \
            does of a single header above 8 KiB.",
        by: NEITHER,
        applies: always,
    },
    Status {
        code: 500,
        name: "Internal",
        description: "A fault of ours.",
        by: BOTH,
        applies: always,
    },
    Status {
        code: 502,
        name: "BadGateway",
        description: "The function broke off its answer.",
        by: GATEWAY,
        applies: always,
    },
    Status {
        code: 503,
        name: "Unavailable",
        description: "It cannot be done now; worth trying again after Retry-After.",
        by: BOTH,
        applies: always,
    },
    Status {
        code: 504,
        name: "OutOfTime",
        description: "It was not done in time. Whether it has an effect is not known: try again under the \
            same Idempotency-Key.",
        by: BOTH,
        applies: always,
    },
];

/// The errors that an operation may answer, by status.
pub(crate) fn of(info: &Info) -> Map<String, Value> {
    let applying = STATUSES.iter().filter(|status| (status.applies)(info));
    applying
        .map(|status| {
            let reference = json!({"$ref": format!("#/components/responses/{}", status.name)});
            (status.code.to_string(), reference)
        })
        .collect()
}

/// All of them.
pub(crate) fn responses() -> Value {
    let all = STATUSES.iter().map(|status| {
        let mut content = Map::new();
        if status.by.0 {
            let schema = json!({"$ref": "#/components/schemas/Problem"});
            content.insert("application/problem+json".into(), json!({"schema": schema}));
        }
        if status.by.1 {
            let schema = json!({"$ref": "#/components/schemas/GatewayRefusal"});
            content.insert("application/json".into(), json!({"schema": schema}));
        }
        let mut names = headers::COMMON.to_vec();
        if status.by == NEITHER {
            names.clear();
        } else if status.code == 401 {
            names.push(headers::WWW_AUTHENTICATE);
        } else {
            // A token is looked at before requests are counted.
            names.extend(headers::LIMITS);
        }
        if status.code == 415 {
            names.push(headers::ACCEPT_ENCODING);
        }
        if [409, 429, 503].contains(&status.code) {
            names.push(headers::RETRY_AFTER);
        }
        let mut response = json!({"description": status.description});
        if status.by != NEITHER {
            response["headers"] = headers::of(names);
            response["content"] = content.into();
        }
        (status.name.to_owned(), response)
    });
    Value::Object(all.collect())
}

/// The schemas of errors.
pub(crate) fn schemas() -> Map<String, Value> {
    let codes: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
    let titles: Vec<_> = Kind::ALL.into_iter().map(Kind::title).collect();
    let problem = json!({
        "type": "object",
        "description": "A problem document (RFC 9457). Some have members of their own beside these, \
            such as the `order_id` of an order that is on its way.",
        "properties": {
            "type": {
                "const": "about:blank",
                "description": "No page says more than `code`.",
            },
            "title": {"enum": titles, "description": "What `code` means, for people."},
            "status": {
                "type": "integer",
                "minimum": 400,
                "maximum": 599,
                "description": "The HTTP status.",
            },
            "detail": {"type": "string", "description": "What went wrong, for people."},
            "code": {
                "enum": codes,
                "description": "What went wrong, for programs: the gRPC status' name.",
            },
            "trace_id": {
                "type": "string",
                "pattern": "^[0-9a-f]{32}$",
                "description": "By which the logs know the call.",
            },
            "errors": {
                "type": "array",
                "minItems": 1,
                "description": "Every field that is wrong.",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {
                            "type": "string",
                            "description": "Its path: `price`, `items[2].quantity`; or a header, or `body`.",
                        },
                        "description": {
                            "type": "string",
                            "description": "What it must be. Never the value that it has.",
                        },
                    },
                    "required": ["field", "description"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["type", "title", "status", "detail", "code", "trace_id"],
    });
    let refusal = json!({
        "type": "object",
        "description": "What the gateway says itself.",
        "properties": {
            "message": {"type": "string", "description": "What went wrong, for people."},
            "request_id": {"type": "string", "description": "By which its log knows the request."},
            "exp": {"type": "string", "description": "What is wrong with the token's expiry."},
        },
        "anyOf": [{"required": ["message"]}, {"required": ["exp"]}],
        "additionalProperties": false,
    });
    let named = [("Problem", problem), ("GatewayRefusal", refusal)];
    named
        .map(|(name, schema)| (name.to_owned(), schema))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_status() {
        // A client that went away reads no answer; no function offers what it does not do.
        let silent = [Kind::Cancelled, Kind::Unimplemented];
        for kind in Kind::ALL.into_iter().filter(|kind| !silent.contains(kind)) {
            let status = STATUSES.iter().find(|s| s.code == kind.http_status());
            assert!(status.is_some_and(|status| status.by.0), "{}", kind.name());
        }
    }
}
