//! What the public edge serves: `kong/kong.yml`, with the cluster's keys and the description of the API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Kubectl, Problem, Progress, Result, Wait, documents, names};

/// The key of a ConfigMap under which the document is.
pub const FILE: &str = "kong.yml";

/// The annotation of the edge's pods that changes with the document: other content, other pods.
pub const CONTENT: &str = "checksum/config";

/// How long an edge may take until it has taken other content up.
const START: Duration = Duration::from_secs(240);

/// What may stand at the edge.
const EDGES: [Edge; 2] = [
    Edge {
        config: "gateway",
        deployment: "gateway",
    },
    Edge {
        config: "zerocart-kong-kong-custom-dbless-config",
        deployment: "zerocart-kong-kong",
    },
];

/// An edge: its document, and its pods.
struct Edge {
    config: &'static str,
    deployment: &'static str,
}

/// What browsers are told where TLS ends at the edge (RFC 6797).
const HSTS: &str = "Strict-Transport-Security:max-age=31536000; includeSubDomains";

/// The one document that a Kong without a database gets: `kong` is the text of kong.yml, `openapi` the
/// plugin that answers with the description of the API.
///
/// With `tls`, requests in the clear are sent to https, gRPC in the clear is refused, and browsers are
/// told to come by https from then on.
///
/// # Errors
///
/// When one of the texts is not as this project makes it.
pub fn document(kong: &str, consumers: Value, openapi: &str, tls: bool) -> Result<Value> {
    let parsed = |name: &str, text: &str| -> Result<Value> {
        serde_saphyr::from_str(text)
            .map_err(|error| Problem::new(format!("{name} is no YAML")).because(error))
    };
    let mut document = parsed("kong.yml", kong)?;
    let openapi = parsed("the description of the API", openapi)?;
    document["consumers"] = consumers;
    let plugins = document["plugins"].as_array_mut();
    let plugins = plugins.ok_or_else(|| Problem::new("kong.yml has no plugins"))?;
    plugins.extend(openapi["plugins"].as_array().into_iter().flatten().cloned());
    if tls {
        require_tls(&mut document);
    }
    Ok(document)
}

/// Gives the edge that runs other consumers: the keys whose tokens it lets in. Returns which edge that was.
///
/// # Errors
///
/// When there is none, or it does not become ready with them.
pub async fn replace_consumers(
    kubectl: &Kubectl,
    progress: &Progress,
    consumers: Value,
) -> Result<String> {
    for edge in EDGES {
        let Some(found) = kubectl.get("configmap", names::EDGE, edge.config).await? else {
            continue;
        };
        let text = found["data"][FILE].as_str().unwrap_or_default();
        let mut document: Value = serde_saphyr::from_str(text).map_err(|error| {
            Problem::new(format!("the ConfigMap {} has no {FILE}", edge.config)).because(error)
        })?;
        if document["consumers"] == consumers {
            return Ok("unchanged".to_owned());
        }
        document["consumers"] = consumers;
        let text = document.to_string();
        // The document is longer than the arguments of a program may be, so it is no patch.
        let config = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": edge.config,
                "namespace": names::EDGE,
                "labels": found["metadata"]["labels"],
            },
            "data": {FILE: text},
        });
        kubectl.apply(&[config]).await?;
        let annotations = json!({CONTENT: documents::hash(&text)});
        let pods = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        kubectl
            .patch("deployment", names::EDGE, edge.deployment, &pods)
            .await?;
        let wait = Wait::new(kubectl, progress, names::EDGE, START);
        wait.deployment(edge.deployment).await?;
        return Ok(format!("{} has taken the keys up", edge.deployment));
    }
    Err(Problem::new("there is no edge").cure("`zerocart deploy`"))
}

fn require_tls(document: &mut Value) {
    each(&mut document["plugins"], add_hsts);
    each(&mut document["services"], |service| {
        each(&mut service["plugins"], add_hsts);
        each(&mut service["routes"], |route| {
            each(&mut route["plugins"], add_hsts);
            let grpc = route["protocols"].as_array();
            let grpc = grpc.is_some_and(|all| all.iter().any(|one| one == "grpc"));
            if grpc {
                route["protocols"] = json!(["grpcs"]);
            } else {
                route["protocols"] = json!(["https"]);
                route["https_redirect_status_code"] = json!(308);
            }
        });
    });
}

fn each(list: &mut Value, change: impl FnMut(&mut Value)) {
    if let Some(list) = list.as_array_mut() {
        list.iter_mut().for_each(change);
    }
}

/// Each instance of response-transformer adds the header: one on a route replaces the global one.
fn add_hsts(plugin: &mut Value) {
    if plugin["name"] == "response-transformer"
        && let Some(headers) = plugin["config"]["add"]["headers"].as_array_mut()
    {
        headers.push(json!(HSTS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KONG: &str = "
_format_version: \"3.0\"
plugins:
- {name: cors}
- {name: response-transformer, config: {add: {headers: [&a \"A:b\"]}}}
services:
- {name: a, plugins: [{name: response-transformer, config: {add: {headers: [*a, \"Allow:GET\"]}}}],
   routes: [{name: a, protocols: [http, https]}]}
- {name: a-grpc, routes: [{name: a-grpc, protocols: [grpc, grpcs]}]}
";

    fn made(tls: bool) -> Value {
        let openapi = r#"{"plugins": [{"name": "request-termination", "route": "openapi"}]}"#;
        document(KONG, json!([{"username": "u"}]), openapi, tls).unwrap()
    }

    #[test]
    fn keys_and_description_are_merged_in() {
        let document = made(false);
        assert_eq!(document["consumers"][0]["username"], "u");
        let names: Vec<_> = document["plugins"].as_array().unwrap().iter().collect();
        assert_eq!(names.len(), 3);
        assert_eq!(names[2]["route"], "openapi");
        assert_eq!(
            document["services"][0]["routes"][0]["protocols"],
            json!(["http", "https"])
        );
        assert!(!document.to_string().contains("Strict-Transport"));
    }

    #[test]
    fn with_tls_everything_comes_by_tls() {
        let document = made(true);
        let services = &document["services"];
        assert_eq!(services[0]["routes"][0]["protocols"], json!(["https"]));
        assert_eq!(services[0]["routes"][0]["https_redirect_status_code"], 308);
        assert_eq!(services[1]["routes"][0]["protocols"], json!(["grpcs"]));
        assert_eq!(document.to_string().matches("Strict-Transport").count(), 2);
    }
}
