//! Loads a Kong 3.x DB-less file, in YAML or JSON, and refuses what Kong refuses. It also refuses
//! what this gateway does not serve, so that no part of a file is ignored.

mod build;
mod consumers;
mod document;
mod error;
mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use regex::Regex;

pub use consumers::{Consumers, ConsumersError, JwtKey};
pub use error::ConfigError;

use crate::plugins::PluginSet;
use crate::upstream::Protocol;

/// A Kong file that passed all checks.
///
/// The plugins' counters are in here. Two gateways must each load their own.
#[derive(Debug)]
pub struct Config {
    pub(crate) routes: Vec<Route>,
    pub(crate) global: PluginSet,
    pub(crate) consumers: Consumers,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is no YAML, or holds something that Kong or this gateway
    /// refuses. The error names the place.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            file: file.clone(),
            line: 0,
            column: 0,
            path: String::new(),
            message: format!("cannot be read: {error}"),
        })?;
        Self::parse(&file, &text)
    }

    /// Checks `text`. Errors name it `file`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        build::config(&tree::Tree::parse(file, text)?)
    }

    /// Adds the plugins that a deployment adds: `text` has nothing but `_format_version` and
    /// plugins of routes. Errors name it `file`.
    ///
    /// # Errors
    /// As [`load`](Self::load), and when the file holds anything else.
    pub fn with_plugins(self, file: &str, text: &str) -> Result<Self, ConfigError> {
        build::with_plugins(self, &tree::Tree::parse(file, text)?)
    }

    /// The routes, in the order of the file.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}

/// A Kong service: where requests go, and how long that may take.
#[derive(Debug)]
pub struct Service {
    /// The service's name.
    pub name: String,
    /// The host that requests are for.
    pub host: String,
    /// The port that requests are for.
    pub port: u16,
    /// What the upstream speaks.
    pub protocol: Protocol,
    /// A prefix that is put before the request's path.
    pub path: Option<String>,
    /// How often a failed attempt is repeated.
    pub retries: u32,
    /// Limit for establishing a connection.
    pub connect_timeout: Duration,
    /// Limit between two successive writes to the upstream.
    pub write_timeout: Duration,
    /// Limit between two successive reads from the upstream.
    pub read_timeout: Duration,
}

/// A Kong route: which requests go to its service.
#[derive(Debug)]
pub struct Route {
    /// The route's name.
    pub name: String,
    /// Whether it serves gRPC alone; otherwise HTTP alone.
    pub grpc: bool,
    /// Methods that it matches; all when empty.
    pub methods: Vec<Method>,
    /// Paths that it matches; all when empty.
    pub paths: Vec<PathRule>,
    /// The first of them with the names of its parts in braces, `/users/{id}`; the name of the route without one.
    pub template: String,
    /// Rank among routes with regex paths, higher first.
    pub regex_priority: u64,
    /// Whether the matched path is taken off before the request is sent on.
    pub strip_path: bool,
    /// Whether the upstream sees the client's Host.
    pub preserve_host: bool,
    /// Where its requests go.
    pub service: Arc<Service>,
    pub(crate) hosts: Vec<HostRule>,
    pub(crate) headers: Vec<HeaderRule>,
    pub(crate) plugins: PluginSet,
}

impl Route {
    /// Whether the jwt plugin guards the route.
    pub fn requires_token(&self) -> bool {
        self.plugins.jwt.is_some()
    }

    /// Whether bodies are measured, and refused above a limit.
    pub fn limits_size(&self) -> bool {
        self.plugins.request_size_limiting.is_some()
    }

    /// The status with which the route answers every request itself, if it does.
    pub fn answers(&self) -> Option<StatusCode> {
        let termination = self.plugins.request_termination.as_ref()?;
        Some(termination.status())
    }

    /// The headers that are added to its answers, where they are not there yet.
    pub fn adds(&self) -> &[(HeaderName, HeaderValue)] {
        let transformer = self.plugins.response_transformer.as_ref();
        transformer.map_or(&[], |transformer| transformer.adds())
    }

    /// Whether requests are counted, and refused above a limit.
    pub fn limits_rate(&self) -> bool {
        self.plugins.rate_limiting.is_some()
    }
}

/// A path of a route.
#[derive(Debug, Clone)]
pub enum PathRule {
    /// Matches paths that begin with it.
    Prefix(String),
    /// Matches from the beginning of the path; written `~…` in the file.
    Regex(Regex),
}

/// A host of a route, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct HostRule {
    pub(crate) name: HostName,
    /// The gateway's own port that the request must have come to.
    pub(crate) port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostName {
    Exact(String),
    /// `*.example.com`: ends with this.
    Suffix(String),
    /// `example.*`: begins with this.
    Prefix(String),
}

/// A header that a request must have, with one of the values.
#[derive(Debug)]
pub(crate) struct HeaderRule {
    pub(crate) name: HeaderName,
    pub(crate) values: Vec<HeaderMatch>,
}

#[derive(Debug)]
pub(crate) enum HeaderMatch {
    /// In lower case.
    Exact(String),
    Regex(Regex),
}

#[cfg(test)]
mod tests;
