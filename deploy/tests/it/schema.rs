//! The custom resources of Consul's chart 2.0.3, as far as the project uses them: their fields and their rules,
//! written by hand, so that the generator does not check itself. A field that is not here is refused.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Whether the server and Consul's webhooks would take it.
pub(crate) fn check(document: &Value) -> Result<(), String> {
    match document["kind"].as_str().unwrap_or_default() {
        "ServiceDefaults" => read::<ServiceDefaults>(document).and_then(|spec| spec.check()),
        "ServiceResolver" => read::<ServiceResolver>(document).and_then(|spec| spec.check()),
        "ServiceIntentions" => read::<ServiceIntentions>(document).and_then(|spec| spec.check()),
        "Registration" => read::<Registration>(document).and_then(|spec| spec.check()),
        "TerminatingGateway" => read::<TerminatingGateway>(document).and_then(|spec| spec.check()),
        "ProxyDefaults" => read::<ProxyDefaults>(document).and_then(|spec| spec.check()),
        "Mesh" => read::<Mesh>(document).and_then(|spec| spec.check()),
        other => Err(format!("{other} is not a kind of the chart")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: S,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

fn read<S: DeserializeOwned>(document: &Value) -> Result<S, String> {
    let document: Document<S> =
        serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    let Metadata { name, namespace } = document.metadata;
    let kind = document.kind.as_str();
    require(
        document.api_version == "consul.hashicorp.com/v1alpha1",
        "apiVersion",
    )?;
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    require(!name.is_empty() && name.chars().all(lower), "metadata.name")?;
    // A cluster has these once, and Consul knows them by one name.
    require(kind != "ProxyDefaults" || name == "global", "metadata.name")?;
    require(kind != "Mesh" || name == "mesh", "metadata.name")?;
    // The scope of the custom resource.
    let of_cluster = kind == "Registration";
    require(namespace.is_none() == of_cluster, "metadata.namespace")?;
    Ok(document.spec)
}

fn require(so: bool, field: &str) -> Result<(), String> {
    so.then_some(()).ok_or_else(|| format!("{field} is wrong"))
}

/// Seconds or milliseconds, as Go writes a duration.
fn is_duration(text: &str) -> bool {
    let number = text.strip_suffix("ms").or_else(|| text.strip_suffix('s'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ServiceDefaults {
    protocol: String,
    upstream_config: Option<UpstreamConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpstreamConfig {
    defaults: Upstream,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Upstream {
    passive_health_check: PassiveHealthCheck,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PassiveHealthCheck {
    interval: String,
    #[serde(rename = "enforcingConsecutive5xx")]
    enforcing_consecutive_5xx: u32,
}

impl ServiceDefaults {
    fn check(self) -> Result<(), String> {
        let protocols = ["tcp", "http", "http2", "grpc"];
        require(protocols.contains(&self.protocol.as_str()), "spec.protocol")?;
        let Some(upstreams) = self.upstream_config else {
            return Ok(());
        };
        let check = upstreams.defaults.passive_health_check;
        require(is_duration(&check.interval), "passiveHealthCheck.interval")?;
        require(
            check.enforcing_consecutive_5xx <= 100,
            "passiveHealthCheck.enforcingConsecutive5xx",
        )
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ServiceResolver {
    connect_timeout: String,
    request_timeout: String,
}

impl ServiceResolver {
    fn check(self) -> Result<(), String> {
        require(is_duration(&self.connect_timeout), "spec.connectTimeout")?;
        require(is_duration(&self.request_timeout), "spec.requestTimeout")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceIntentions {
    destination: Destination,
    sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Destination {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    name: String,
    action: Option<String>,
    permissions: Option<Vec<Permission>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permission {
    action: String,
    http: Http,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Http {
    path_exact: Option<String>,
    path_prefix: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
}

fn is_action(action: &str) -> bool {
    matches!(action, "allow" | "deny")
}

impl ServiceIntentions {
    fn check(self) -> Result<(), String> {
        require(!self.destination.name.is_empty(), "destination.name")?;
        require(!self.sources.is_empty(), "spec.sources")?;
        for source in self.sources {
            require(!source.name.is_empty(), "sources.name")?;
            let permissions = source.permissions.unwrap_or_default();
            // One of the two.
            match source.action {
                Some(action) => {
                    require(is_action(&action), "sources.action")?;
                    require(permissions.is_empty(), "sources.permissions")?;
                }
                None => require(!permissions.is_empty(), "sources.permissions")?,
            }
            for permission in permissions {
                require(is_action(&permission.action), "permissions.action")?;
                let Http {
                    path_exact,
                    path_prefix,
                    methods,
                } = permission.http;
                let paths: Vec<_> = path_exact.iter().chain(&path_prefix).collect();
                require(paths.len() <= 1, "permissions.http")?;
                let absolute = paths.iter().all(|path| path.starts_with('/'));
                require(absolute, "permissions.http")?;
                let known = |method: &String| ["GET", "POST"].contains(&method.as_str());
                require(methods.iter().all(known), "http.methods")?;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Registration {
    node: String,
    address: String,
    node_meta: std::collections::BTreeMap<String, String>,
    service: Service,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    id: String,
    name: String,
    address: String,
    port: u16,
    weights: Weights,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    passing: u32,
    warning: u32,
}

impl Registration {
    fn check(self) -> Result<(), String> {
        require(!self.node.is_empty(), "spec.node")?;
        require(!self.address.is_empty(), "spec.address")?;
        let text = |value: &String| !value.is_empty();
        require(self.node_meta.values().all(text), "spec.nodeMeta")?;
        let service = self.service;
        require(
            !service.name.is_empty() && !service.id.is_empty(),
            "spec.service",
        )?;
        require(!service.address.is_empty(), "service.address")?;
        require(service.port > 0, "service.port")?;
        let Weights { passing, warning } = service.weights;
        require(passing > 0 && warning > 0, "service.weights")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TerminatingGateway {
    services: Vec<Destination>,
}

impl TerminatingGateway {
    fn check(self) -> Result<(), String> {
        let mut names: Vec<_> = self.services.into_iter().map(|s| s.name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        require(all == names.len() && all > 0, "spec.services")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ProxyDefaults {
    access_logs: AccessLogs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AccessLogs {
    enabled: bool,
    #[serde(rename = "type")]
    sink: String,
    disable_listener_logs: bool,
    json_format: String,
}

impl ProxyDefaults {
    fn check(self) -> Result<(), String> {
        let logs = self.access_logs;
        require(logs.enabled && logs.disable_listener_logs, "accessLogs")?;
        require(
            ["file", "stderr", "stdout"].contains(&logs.sink.as_str()),
            "accessLogs.type",
        )?;
        let format: Result<std::collections::BTreeMap<String, String>, _> =
            serde_json::from_str(&logs.json_format);
        require(format.is_ok(), "accessLogs.jsonFormat")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mesh {
    tls: Tls,
    http: MeshHttp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    incoming: Direction,
    outgoing: Direction,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Direction {
    tls_min_version: String,
    tls_max_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MeshHttp {
    sanitize_x_forwarded_client_cert: bool,
}

impl Mesh {
    fn check(self) -> Result<(), String> {
        // As a client, Envoy's own maximum is 1.2: a larger minimum needs a maximum, or nothing is left.
        let newest = self.tls.outgoing.tls_min_version == "TLSv1_3";
        let maximum = self.tls.outgoing.tls_max_version.as_deref();
        require(!newest || maximum == Some("TLSv1_3"), "tls.tlsMaxVersion")?;
        for direction in [self.tls.incoming, self.tls.outgoing] {
            let versions = direction
                .tls_max_version
                .into_iter()
                .chain([direction.tls_min_version]);
            for version in versions {
                let known = ["TLSv1_2", "TLSv1_3"].contains(&version.as_str());
                require(known, "tls")?;
            }
        }
        require(self.http.sanitize_x_forwarded_client_cert, "spec.http")
    }
}

#[test]
fn what_the_chart_would_refuse_is_refused() {
    let intention = |source: Value| {
        serde_json::json!({
            "apiVersion": "consul.hashicorp.com/v1alpha1",
            "kind": "ServiceIntentions",
            "metadata": {"name": "a", "namespace": "b"},
            "spec": {"destination": {"name": "a"}, "sources": [source]},
        })
    };
    let path = serde_json::json!({"action": "allow", "http": {"pathExact": "/a"}});
    let good = serde_json::json!({"name": "x", "permissions": [path]});
    assert_eq!(check(&intention(good)), Ok(()));
    for bad in [
        serde_json::json!({"name": "x"}),
        serde_json::json!({"name": "x", "action": "allow", "permissions": [path]}),
        serde_json::json!({"name": "x", "action": "maybe"}),
        serde_json::json!({"name": "x", "action": "deny", "reason": "none"}),
        serde_json::json!({"name": "x", "permissions": [{"action": "allow", "http": {"pathExact": "a"}}]}),
        serde_json::json!({"name": "x", "permissions": [
            {"action": "allow", "http": {"pathExact": "/a", "pathPrefix": "/"}}]}),
    ] {
        assert!(check(&intention(bad.clone())).is_err(), "{bad}");
    }
}
