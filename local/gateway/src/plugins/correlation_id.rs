//! correlation-id: gives every request an id that the upstream sees, and keeps one that the
//! client brought.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use uuid::Uuid;

use super::error::FieldError;
use crate::connection::Connection;
use crate::headers::random_id;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    header_name: String,
    generator: Generator,
    echo_downstream: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_name: "Kong-Request-ID".to_owned(),
            generator: Generator::UuidCounter,
            echo_downstream: false,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Generator {
    #[serde(rename = "uuid")]
    Uuid,
    #[serde(rename = "uuid#counter")]
    UuidCounter,
    #[serde(rename = "tracker")]
    Tracker,
}

/// The plugin, configured.
#[derive(Debug)]
pub(crate) struct CorrelationId {
    header: HeaderName,
    generator: Generator,
    echo: bool,
    process: Uuid,
    counter: AtomicU64,
}

impl CorrelationId {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let header = HeaderName::try_from(&config.header_name)
            .map_err(|_| FieldError::new("header_name", "not a header name"))?;
        Ok(Self {
            header,
            generator: config.generator,
            echo: config.echo_downstream,
            process: Uuid::new_v4(),
            counter: AtomicU64::new(0),
        })
    }

    /// Puts the id on the request. Returns the header that the client is to see, if any.
    pub(crate) fn identify(
        &self,
        headers: &mut HeaderMap,
        connection: &Connection,
    ) -> Option<(HeaderName, HeaderValue)> {
        let id = match headers.get(&self.header) {
            Some(brought) if !brought.is_empty() => brought.clone(),
            _ => {
                let id = self.generate(connection);
                headers.insert(self.header.clone(), id.clone());
                id
            }
        };
        self.echo.then(|| (self.header.clone(), id))
    }

    fn generate(&self, connection: &Connection) -> HeaderValue {
        let id = match self.generator {
            Generator::Uuid => random_id().to_string(),
            Generator::UuidCounter => {
                format!(
                    "{}#{}",
                    self.process,
                    self.counter.fetch_add(1, Ordering::Relaxed) + 1
                )
            }
            Generator::Tracker => {
                let now_s = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .map_or(0.0, |since| since.as_secs_f64());
                format!(
                    "{}-{}-{}-{}-{}-{now_s:.3}",
                    connection.local.ip(),
                    connection.local.port(),
                    std::process::id(),
                    connection.serial,
                    connection.next_request(),
                )
            }
        };
        HeaderValue::try_from(id).expect("ids are made of visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(config: serde_json::Value) -> CorrelationId {
        CorrelationId::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    #[test]
    fn keeps_what_the_client_brought_and_fills_in_what_is_missing() {
        let plugin = plugin(serde_json::json!({
            "header_name": "X-Correlation-Id", "generator": "uuid", "echo_downstream": true,
        }));
        let connection = Connection::for_tests();

        let mut brought = HeaderMap::new();
        brought.insert("x-correlation-id", HeaderValue::from_static("mine"));
        let (name, value) = plugin.identify(&mut brought, &connection).unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("x-correlation-id", "mine")
        );

        let mut empty = HeaderMap::new();
        empty.insert("x-correlation-id", HeaderValue::from_static(""));
        let (_, value) = plugin.identify(&mut empty, &connection).unwrap();
        assert!(Uuid::parse_str(value.to_str().unwrap()).is_ok());
        assert_eq!(empty["x-correlation-id"], value);
    }

    #[test]
    fn the_default_counts_and_is_not_echoed() {
        let plugin = plugin(serde_json::json!({}));
        let connection = Connection::for_tests();
        for expected in ["#1", "#2"] {
            let mut headers = HeaderMap::new();
            assert!(plugin.identify(&mut headers, &connection).is_none());
            assert!(
                headers["kong-request-id"]
                    .to_str()
                    .unwrap()
                    .ends_with(expected)
            );
        }
    }

    #[test]
    fn the_tracker_names_the_connection() {
        let plugin = plugin(serde_json::json!({"generator": "tracker"}));
        let mut headers = HeaderMap::new();
        plugin.identify(&mut headers, &Connection::for_tests());
        let id = headers["kong-request-id"].to_str().unwrap();
        assert!(id.starts_with("127.0.0.1-8000-"), "{id}");
    }
}
