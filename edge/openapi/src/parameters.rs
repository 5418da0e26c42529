//! Parameters: those of a request's fields, and the headers that all operations share.

use anyhow::{Context, Result};
use prost_reflect::MethodDescriptor;
use serde_json::{Value, json};
use zerocart_proto::rpc::Info;

use crate::{comments::Comments, schemas::Schemas};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const TRACEPARENT: &str = "traceparent";

/// The names in the braces of a path.
pub(crate) fn of_path(path: &str) -> Vec<&str> {
    let names = path.split('{').skip(1);
    names
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

/// All parameters of an operation.
pub(crate) fn of(info: &Info, method: &MethodDescriptor, schemas: &Schemas) -> Result<Value> {
    let request = method.input();
    let comments = Comments::of(&request.parent_file());
    let in_path = of_path(info.http_path);
    let mut parameters = Vec::new();
    for name in &in_path {
        let field = request.get_field_by_name(name);
        let field = field.with_context(|| format!("{name} is no field of {}", request.name()))?;
        parameters.push(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": comments.at(field.path()),
            "schema": schemas.query(&field)?,
        }));
    }
    let in_query = request.fields().filter(|_| !info.http_body);
    for field in in_query.filter(|field| !in_path.contains(&field.name())) {
        // What a query cannot say is for gRPC alone.
        let Some(schema) = schemas.query(&field)? else {
            continue;
        };
        parameters.push(json!({
            "name": field.name(),
            "in": "query",
            "required": schemas.rules(&field)?.always_given(),
            "description": comments.at(field.path()),
            "schema": schema,
        }));
    }
    let shared = [(IDEMPOTENCY_KEY, info.writes), (TRACEPARENT, true)];
    for (name, _) in shared.into_iter().filter(|(_, taken)| *taken) {
        parameters.push(json!({"$ref": format!("#/components/parameters/{name}")}));
    }
    Ok(parameters.into())
}

/// The headers that have a name.
pub(crate) fn shared() -> Value {
    json!({
        IDEMPOTENCY_KEY: {
            "name": IDEMPOTENCY_KEY,
            "in": "header",
            "description": "1 to 255 characters, new for each new request. The same key and request \
                give the same answer, and the effect once; the same key with another request is 422, \
                while a request runs under it 409. Each caller has keys of its own; where there is no \
                token, each e-mail address of a request has. Kept for 24 hours.",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": r"^[\t -~]*[!-~][\t -~]*$",
            },
        },
        TRACEPARENT: {
            "name": TRACEPARENT,
            "in": "header",
            "description": "The trace that the call belongs to (W3C Trace Context); what is not one \
                is not looked at.",
            "schema": {"type": "string"},
        },
    })
}
