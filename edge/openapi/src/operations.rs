//! An RPC as an operation.

use anyhow::Result;
use prost_reflect::MethodDescriptor;
use serde_json::{Value, json};
use zerocart_proto::rpc::{Access, Info, Role};

use crate::{answers, comments::Comments, headers, parameters, schemas::Schemas};

/// The name of the one security scheme.
pub(crate) const BEARER: &str = "bearer";

/// The operation of an RPC.
pub(crate) fn operation(
    info: &Info,
    method: &MethodDescriptor,
    schemas: &mut Schemas,
) -> Result<Value> {
    let comment = Comments::of(&method.parent_file()).at(method.path());
    let (summary, rest) = first_sentence(&comment);
    let mut description = rest.to_owned();
    if !description.is_empty() {
        description.push_str("\n\n");
    }
    description.push_str(&format!(
        "Who may call it: {}. gRPC: `{}`.",
        who(&info.access),
        info.grpc_path.trim_start_matches('/')
    ));

    let mut names = headers::COMMON.to_vec();
    names.extend(headers::LIMITS);
    let mut success = json!({
        "description": "Done.",
        "headers": headers::of(names),
        "content": {"application/json": {"schema": schemas.response(&method.output())?}},
    });
    let mut responses = answers::of(info);
    let status = if info.creates {
        success["description"] = "Created.".into();
        success["headers"]["Location"] = headers::location(info.http_path);
        "201"
    } else {
        "200"
    };
    responses.insert(status.to_owned(), success);

    let mut operation = json!({
        "operationId": method.name(),
        "tags": [info.domain],
        "summary": summary,
        "description": description,
        "parameters": parameters::of(info, method, schemas)?,
        "responses": responses,
        "security": match (info.access.anyone, info.recognises) {
            (true, []) => json!([]),
            // The first of these says that it can be called without a token.
            (true, _) => json!([{}, { (BEARER): [] }]),
            (false, _) => json!([{ (BEARER): [] }]),
        },
    });
    if info.http_body {
        let request = method.input();
        let in_path = parameters::of_path(info.http_path);
        // Without a body all of its fields have their default values.
        let mut required = false;
        for field in request.fields().filter(|f| !in_path.contains(&f.name())) {
            required |= schemas.rules(&field)?.needed();
        }
        let schema = schemas.request(&request, &in_path)?;
        operation["requestBody"] = json!({
            "required": required,
            "content": {"application/json": {"schema": schema}},
        });
    }
    Ok(operation)
}

/// The first sentence, and what comes after it.
fn first_sentence(comment: &str) -> (&str, &str) {
    let end = comment.find(". ").or_else(|| comment.find(".\n"));
    let (first, rest) = end.map_or((comment, ""), |end| comment.split_at(end + 1));
    (first, rest.trim())
}

/// Who may call, in words.
fn who(access: &Access) -> String {
    if access.anyone {
        return "anyone".to_owned();
    }
    let mut who = Vec::new();
    if let Some(field) = access.self_field {
        who.push(format!("the user whose id is `{field}`"));
    }
    if access.owner {
        who.push("its owner".to_owned());
    }
    who.extend(access.roles.iter().map(|role| match role {
        Role::Customer => "customers".to_owned(),
        Role::Admin => "admins".to_owned(),
        Role::Service => "functions".to_owned(),
    }));
    who.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_with_a_stop() {
        assert_eq!(first_sentence("One."), ("One.", ""));
        assert_eq!(first_sentence("One. Two. Three."), ("One.", "Two. Three."));
        assert_eq!(first_sentence("0.5 is one. Two."), ("0.5 is one.", "Two."));
        assert_eq!(first_sentence(""), ("", ""));
    }
}
