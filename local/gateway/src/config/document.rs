//! The shape of a Kong 3.x declarative file, as far as the local gateway serves it.
//!
//! Every struct refuses fields that it does not know. Otherwise the local gateway would ignore what
//! Kong obeys, and the two would behave differently.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "_format_version")]
    pub(super) format_version: String,
    #[serde(rename = "_transform", default = "yes")]
    pub(super) transform: bool,
    /// A note for the reader, which Kong ignores.
    #[serde(rename = "_comment", default)]
    _comment: Option<String>,
    /// Kong ignores this field. YAML anchors may be defined in it.
    #[serde(rename = "_ignore", default)]
    _ignore: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) services: Vec<Service>,
    #[serde(default)]
    pub(super) consumers: Vec<Consumer>,
    #[serde(default)]
    pub(super) plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) host: String,
    #[serde(default = "http_port")]
    pub(super) port: u16,
    #[serde(default)]
    pub(super) protocol: Protocol,
    pub(super) path: Option<String>,
    #[serde(default = "default_retries")]
    pub(super) retries: u32,
    #[serde(default = "minute_ms")]
    pub(super) connect_timeout: u64,
    #[serde(default = "minute_ms")]
    pub(super) write_timeout: u64,
    #[serde(default = "minute_ms")]
    pub(super) read_timeout: u64,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    #[serde(default)]
    pub(super) plugins: Vec<Plugin>,
}

/// The protocols that Kong knows for services and routes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protocol {
    #[default]
    Http,
    Https,
    Grpc,
    Grpcs,
    Tcp,
    Tls,
    TlsPassthrough,
    Udp,
    Ws,
    Wss,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) name: String,
    #[serde(default = "http_and_https")]
    pub(super) protocols: Vec<Protocol>,
    #[serde(default)]
    pub(super) methods: Vec<String>,
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) paths: Vec<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) regex_priority: u64,
    pub(super) strip_path: Option<bool>,
    #[serde(default)]
    pub(super) preserve_host: bool,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) name: String,
    #[serde(default)]
    pub(super) config: Option<Value>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// The name of the route that it is for. Only for a plugin at the top level.
    pub(super) route: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consumer {
    pub(super) id: Option<String>,
    pub(super) username: String,
    pub(super) custom_id: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) jwt_secrets: Vec<JwtSecret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JwtSecret {
    pub(super) key: String,
    #[serde(default = "hs256")]
    pub(super) algorithm: String,
    pub(super) rsa_public_key: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

fn yes() -> bool {
    true
}

fn http_port() -> u16 {
    80
}

fn default_retries() -> u32 {
    5
}

fn minute_ms() -> u64 {
    60_000
}

fn http_and_https() -> Vec<Protocol> {
    vec![Protocol::Http, Protocol::Https]
}

fn hs256() -> String {
    "HS256".to_owned()
}
