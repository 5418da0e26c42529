//! From a document to a [`Config`]: the checks, and the plugins that each route runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, Document};
use super::tree::{Path, Tree};
use super::{
    Config, ConfigError, Consumers, HeaderMatch, HeaderRule, HostName, HostRule, PathRule, Route,
    Service, consumers,
};
use crate::plugins::PluginSet;
use crate::plugins::correlation_id::CorrelationId;
use crate::plugins::cors::Cors;
use crate::plugins::error::FieldError;
use crate::plugins::jwt::Jwt;
use crate::plugins::prometheus::Prometheus;
use crate::plugins::rate_limiting::RateLimiting;
use crate::plugins::request_size_limiting::RequestSizeLimiting;
use crate::plugins::request_termination::RequestTermination;
use crate::plugins::request_transformer::RequestTransformer;
use crate::plugins::response_transformer::ResponseTransformer;
use crate::upstream::Protocol;

/// Kong's bounds for a timeout in milliseconds.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1..=2_147_483_646;
const MAX_RETRIES: u32 = 32_767;
const MAX_REGEX_PRIORITY: u64 = 0xffff_ffff;

pub(super) fn document(tree: &Tree) -> Result<Document, ConfigError> {
    let document: Document = tree.read()?;
    let root = Path::default();
    if document.format_version != "3.0" {
        return Err(tree.error(&root.key("_format_version"), "expected \"3.0\""));
    }
    if !document.transform {
        let message = "only true is supported: credentials are written as they are used";
        return Err(tree.error(&root.key("_transform"), message));
    }
    Ok(document)
}

pub(super) fn config(tree: &Tree) -> Result<Config, ConfigError> {
    let document = document(tree)?;
    let root = Path::default();
    let at = root.key("plugins");
    let global = document.plugins.iter().enumerate();
    let global = global.filter(|(_, plugin)| plugin.route.is_none());
    let global = plugins(tree, global, &at)?;
    let mut names = Names::default();
    let mut routes = Vec::new();
    for (position, raw) in document.services.iter().enumerate() {
        let at = root.key("services").index(position);
        let found = service(tree, raw, &at, &global, &mut names)?;
        if raw.enabled {
            routes.extend(found);
        }
    }
    add_to_routes(tree, &document.plugins, &at, &mut routes)?;
    let consumers = consumers::from_document(tree, &document.consumers)?;
    Ok(Config {
        routes,
        global,
        consumers: Consumers::from(consumers),
    })
}

pub(super) fn with_plugins(mut config: Config, tree: &Tree) -> Result<Config, ConfigError> {
    let document = document(tree)?;
    let root = Path::default();
    for (field, empty) in [
        ("services", document.services.is_empty()),
        ("consumers", document.consumers.is_empty()),
    ] {
        if !empty {
            let message = "a file of plugins holds nothing else";
            return Err(tree.error(&root.key(field), message));
        }
    }
    let at = root.key("plugins");
    let global = document.plugins.iter().position(|p| p.route.is_none());
    if let Some(position) = global {
        let message = "a file of plugins says of each which route it is for";
        return Err(tree.error(&at.index(position), message));
    }
    add_to_routes(tree, &document.plugins, &at, &mut config.routes)?;
    Ok(config)
}

/// Gives the plugins that name a route to it.
fn add_to_routes(
    tree: &Tree,
    raw: &[document::Plugin],
    at: &Path,
    routes: &mut [Route],
) -> Result<(), ConfigError> {
    let mut taken = HashSet::new();
    for (position, plugin) in raw.iter().enumerate() {
        let Some(name) = &plugin.route else { continue };
        let here = at.index(position);
        let Some(route) = routes.iter_mut().find(|route| route.name == *name) else {
            let message = format!("no route is called \"{name}\"");
            return Err(tree.error(&here.key("route"), message));
        };
        if !taken.insert((name, &plugin.name)) {
            let message = format!("\"{}\" is configured twice for the route", plugin.name);
            return Err(tree.error(&here.key("name"), message));
        }
        let own = plugins(tree, std::iter::once((position, plugin)), at)?;
        route.plugins = own.within(&route.plugins);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Names<'a> {
    services: HashSet<&'a str>,
    routes: HashSet<&'a str>,
}

fn service<'a>(
    tree: &Tree,
    raw: &'a document::Service,
    at: &Path,
    global: &PluginSet,
    names: &mut Names<'a>,
) -> Result<Vec<Route>, ConfigError> {
    let refuse = |field: &str, message: String| Err(tree.error(&at.key(field), message));
    name(tree, &raw.name, at)?;
    if !names.services.insert(&raw.name) {
        return refuse(
            "name",
            format!("another service is called \"{}\"", raw.name),
        );
    }
    let protocol = match raw.protocol {
        document::Protocol::Http => Protocol::Http,
        document::Protocol::Grpc => Protocol::Grpc,
        _ => {
            return refuse(
                "protocol",
                "the local gateway speaks http and grpc".to_owned(),
            );
        }
    };
    if raw.host.is_empty() || !raw.host.bytes().all(is_host_byte) {
        return refuse("host", format!("invalid hostname: {}", raw.host));
    }
    if raw.port == 0 {
        return refuse("port", "value should be between 1 and 65535".to_owned());
    }
    if raw.retries > MAX_RETRIES {
        return refuse(
            "retries",
            format!("value should be between 0 and {MAX_RETRIES}"),
        );
    }
    for (field, value_ms) in [
        ("connect_timeout", raw.connect_timeout),
        ("write_timeout", raw.write_timeout),
        ("read_timeout", raw.read_timeout),
    ] {
        if !TIMEOUT_MS.contains(&value_ms) {
            return refuse(field, "value should be between 1 and 2147483646".to_owned());
        }
    }
    if let Some(path) = &raw.path {
        if !path.starts_with('/') {
            return refuse("path", "should start with: /".to_owned());
        }
        if protocol == Protocol::Grpc {
            return refuse("path", "value must be null with protocol grpc".to_owned());
        }
    }
    tags(tree, &raw.tags, at)?;
    let own = inner_plugins(tree, &raw.plugins, at)?.within(global);
    let service = Arc::new(Service {
        name: raw.name.clone(),
        host: raw.host.clone(),
        port: raw.port,
        protocol,
        path: raw.path.clone(),
        retries: raw.retries,
        connect_timeout: Duration::from_millis(raw.connect_timeout),
        write_timeout: Duration::from_millis(raw.write_timeout),
        read_timeout: Duration::from_millis(raw.read_timeout),
    });
    raw.routes
        .iter()
        .enumerate()
        .map(|(position, raw)| {
            let at = at.key("routes").index(position);
            if !names.routes.insert(&raw.name) {
                let message = format!("another route is called \"{}\"", raw.name);
                return Err(tree.error(&at.key("name"), message));
            }
            route(tree, raw, &at, &service, &own)
        })
        .collect()
}

fn route(
    tree: &Tree,
    raw: &document::Route,
    at: &Path,
    service: &Arc<Service>,
    outer: &PluginSet,
) -> Result<Route, ConfigError> {
    let refuse = |path: &Path, message: &str| Err(tree.error(path, message));
    name(tree, &raw.name, at)?;
    let grpc = is_grpc(tree, raw, &at.key("protocols"))?;
    if grpc {
        if !raw.methods.is_empty() {
            return refuse(&at.key("methods"), "cannot set 'methods' on a gRPC route");
        }
        if raw.strip_path == Some(true) {
            return refuse(
                &at.key("strip_path"),
                "cannot set 'strip_path' on a gRPC route",
            );
        }
    }
    if grpc != (service.protocol == Protocol::Grpc) {
        let message = "a gRPC route needs a service with protocol grpc, and only it does";
        return refuse(&at.key("protocols"), message);
    }
    if raw.methods.is_empty()
        && raw.hosts.is_empty()
        && raw.paths.is_empty()
        && raw.headers.is_empty()
    {
        return refuse(at, "must set one of 'methods', 'hosts', 'headers', 'paths'");
    }
    let methods = raw
        .methods
        .iter()
        .enumerate()
        .map(|(position, method)| {
            Method::from_bytes(method.as_bytes())
                .ok()
                .filter(|_| method.bytes().all(|b| b.is_ascii_uppercase()))
                .ok_or_else(|| {
                    let message = format!("invalid value: {method}");
                    tree.error(&at.key("methods").index(position), message)
                })
        })
        .collect::<Result<_, _>>()?;
    let paths = raw
        .paths
        .iter()
        .enumerate()
        .map(|(position, path)| {
            path_rule(path).map_err(|message| tree.error(&at.key("paths").index(position), message))
        })
        .collect::<Result<_, _>>()?;
    let hosts = raw
        .hosts
        .iter()
        .enumerate()
        .map(|(position, host)| {
            host_rule(host).ok_or_else(|| {
                let message = format!("invalid hostname: {host}");
                tree.error(&at.key("hosts").index(position), message)
            })
        })
        .collect::<Result<_, _>>()?;
    let headers = raw
        .headers
        .iter()
        .map(|(name, values)| {
            header_rule(name, values)
                .map_err(|message| tree.error(&at.key("headers").key(name), message))
        })
        .collect::<Result<_, _>>()?;
    if raw.regex_priority > MAX_REGEX_PRIORITY {
        return refuse(&at.key("regex_priority"), "value is too large");
    }
    tags(tree, &raw.tags, at)?;
    Ok(Route {
        name: raw.name.clone(),
        grpc,
        methods,
        paths,
        template: raw
            .paths
            .first()
            .map_or_else(|| raw.name.clone(), |path| template(path)),
        regex_priority: raw.regex_priority,
        strip_path: !grpc && raw.strip_path.unwrap_or(true),
        preserve_host: raw.preserve_host,
        service: Arc::clone(service),
        hosts,
        headers,
        plugins: inner_plugins(tree, &raw.plugins, at)?.within(outer),
    })
}

/// A path with the names of its parts in braces. A group without a name stays as it is: it is read by people.
fn template(path: &str) -> String {
    let Some(regex) = path.strip_prefix('~') else {
        return path.to_owned();
    };
    let mut rest = regex.trim_end_matches('$');
    let mut template = String::new();
    while let Some((before, group)) = rest.split_once("(?<")
        && let Some((name, group)) = group.split_once('>')
        && let Some((_, after)) = group.split_once(')')
    {
        template.push_str(before);
        template.push('{');
        template.push_str(name);
        template.push('}');
        rest = after;
    }
    template.push_str(rest);
    // Of a full stop.
    template.replace('\\', "")
}

/// Whether the route is for gRPC. The gateway listens in the clear, so each family needs its
/// clear protocol.
fn is_grpc(tree: &Tree, raw: &document::Route, at: &Path) -> Result<bool, ConfigError> {
    use document::Protocol::{Grpc, Grpcs, Http, Https};
    if raw.protocols.is_empty() {
        return Err(tree.error(at, "required field missing"));
    }
    if let Some(position) = raw
        .protocols
        .iter()
        .position(|p| !matches!(p, Http | Https | Grpc | Grpcs))
    {
        let message = "the local gateway serves http, https, grpc, grpcs";
        return Err(tree.error(&at.index(position), message));
    }
    let http = raw.protocols.iter().any(|p| matches!(p, Http | Https));
    let grpc = raw.protocols.iter().any(|p| matches!(p, Grpc | Grpcs));
    if http && grpc {
        return Err(tree.error(
            at,
            "must be subset of one of ('http', 'https'), ('grpc', 'grpcs')",
        ));
    }
    let clear = if grpc { Grpc } else { Http };
    if !raw.protocols.contains(&clear) {
        return Err(tree.error(
            at,
            "the local gateway has no TLS: add the protocol without it",
        ));
    }
    Ok(grpc)
}

fn path_rule(path: &str) -> Result<PathRule, String> {
    if let Some(pattern) = path.strip_prefix('~') {
        // Kong anchors the beginning, not the end, and names captures as PCRE does.
        let pattern = format!("^{}", pattern.replace("?<", "?P<"));
        return Regex::new(&pattern)
            .map(PathRule::Regex)
            .map_err(|error| format!("invalid regex: {}", error.to_string().replace('\n', " ")));
    }
    if !path.starts_with('/') {
        return Err("should start with: / (fixed path) or ~/ (regex path)".to_owned());
    }
    if path.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    if !path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.~/%!$&'()*+,;=:@".contains(&b))
    {
        return Err(
            "should not include characters outside of the reserved list of RFC 3986 \
                    (a regex path begins with ~)"
                .to_owned(),
        );
    }
    Ok(PathRule::Prefix(path.to_owned()))
}

fn host_rule(host: &str) -> Option<HostRule> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (host, None),
    };
    let name = name.to_ascii_lowercase();
    let plain = |text: &str| !text.is_empty() && text.bytes().all(is_host_byte);
    let name = match (name.strip_prefix('*'), name.strip_suffix('*')) {
        (Some(rest), None) if rest.starts_with('.') && plain(rest) => {
            HostName::Suffix(rest.to_owned())
        }
        (None, Some(rest)) if rest.ends_with('.') && plain(rest) => {
            HostName::Prefix(rest.to_owned())
        }
        (None, None) if plain(&name) => HostName::Exact(name),
        _ => return None,
    };
    Some(HostRule { name, port })
}

fn header_rule(name: &str, values: &[String]) -> Result<HeaderRule, String> {
    let name: HeaderName = name
        .parse()
        .map_err(|_| format!("invalid header name: {name}"))?;
    if name == http::header::HOST {
        return Err(
            "cannot contain 'host' header, which must be specified in the 'hosts' \
                    attribute"
                .to_owned(),
        );
    }
    if values.is_empty() {
        return Err("length must be at least 1".to_owned());
    }
    let values = values
        .iter()
        .map(|value| match value.strip_prefix("~*") {
            Some(pattern) => Regex::new(&pattern.to_lowercase())
                .map(HeaderMatch::Regex)
                .map_err(|error| format!("invalid regex: {error}")),
            None => Ok(HeaderMatch::Exact(value.to_lowercase())),
        })
        .collect::<Result<_, _>>()?;
    Ok(HeaderRule { name, values })
}

/// The plugins of the service or route at `at`.
fn inner_plugins(
    tree: &Tree,
    raw: &[document::Plugin],
    at: &Path,
) -> Result<PluginSet, ConfigError> {
    let at = at.key("plugins");
    if let Some(position) = raw.iter().position(|plugin| plugin.route.is_some()) {
        let message = "a plugin that stands in something is for that";
        return Err(tree.error(&at.index(position).key("route"), message));
    }
    plugins(tree, raw.iter().enumerate(), &at)
}

/// The plugins of `raw`, with their positions in the list at `at`.
fn plugins<'a>(
    tree: &Tree,
    raw: impl Iterator<Item = (usize, &'a document::Plugin)>,
    at: &Path,
) -> Result<PluginSet, ConfigError> {
    let mut set = PluginSet::default();
    let mut names = HashSet::new();
    for (position, plugin) in raw {
        let at = at.index(position);
        if !names.insert(plugin.name.as_str()) {
            let message = format!("\"{}\" is configured twice here", plugin.name);
            return Err(tree.error(&at.key("name"), message));
        }
        tags(tree, &plugin.tags, &at)?;
        let built = Built {
            tree,
            plugin,
            at: &at,
        };
        match plugin.name.as_str() {
            "correlation-id" => built.into_slot(&mut set.correlation_id, CorrelationId::new)?,
            "cors" => built.into_slot(&mut set.cors, Cors::new)?,
            "jwt" => built.into_slot(&mut set.jwt, Jwt::new)?,
            "request-size-limiting" => {
                built.into_slot(&mut set.request_size_limiting, RequestSizeLimiting::new)?;
            }
            "rate-limiting" => built.into_slot(&mut set.rate_limiting, RateLimiting::new)?,
            "request-termination" => {
                built.into_slot(&mut set.request_termination, RequestTermination::new)?;
            }
            "request-transformer" => {
                built.into_slot(&mut set.request_transformer, RequestTransformer::new)?;
            }
            "response-transformer" => {
                built.into_slot(&mut set.response_transformer, ResponseTransformer::new)?;
            }
            "prometheus" => built.into_slot(&mut set.prometheus, Prometheus::new)?,
            other => {
                let message = format!("the local gateway has no plugin \"{other}\"");
                return Err(tree.error(&at.key("name"), message));
            }
        }
    }
    Ok(set)
}

struct Built<'a> {
    tree: &'a Tree,
    plugin: &'a document::Plugin,
    at: &'a Path,
}

impl Built<'_> {
    /// Checks the plugin's configuration; one that is not enabled is checked and left out.
    fn into_slot<C: DeserializeOwned, P>(
        self,
        slot: &mut Option<Arc<P>>,
        new: impl FnOnce(C) -> Result<P, FieldError>,
    ) -> Result<(), ConfigError> {
        let at = self.at.key("config");
        let config = self
            .plugin
            .config
            .clone()
            .unwrap_or_else(|| Value::Object(<_>::default()));
        let config = self.tree.read_value(config, &at)?;
        let plugin = new(config).map_err(|e| self.tree.error(&at.field(e.field), e.message))?;
        if self.plugin.enabled {
            *slot = Some(Arc::new(plugin));
        }
        Ok(())
    }
}

/// Kong's rule for names: unreserved characters of RFC 3986, so that they can stand in URLs.
fn name(tree: &Tree, name: &str, at: &Path) -> Result<(), ConfigError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    let message = format!(
        "invalid value '{name}': the only accepted characters are -._~ and ASCII letters and digits"
    );
    Err(tree.error(&at.key("name"), message))
}

pub(super) fn tags(tree: &Tree, tags: &[String], at: &Path) -> Result<(), ConfigError> {
    let bad = |tag: &String| {
        tag.is_empty()
            || !tag
                .bytes()
                .all(|b| (b' '..=b'~').contains(&b) && b != b',' && b != b'/')
    };
    match tags.iter().position(bad) {
        None => Ok(()),
        Some(position) => {
            let message = "expected printable ascii (except ',' and '/')";
            Err(tree.error(&at.key("tags").index(position), message))
        }
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}
