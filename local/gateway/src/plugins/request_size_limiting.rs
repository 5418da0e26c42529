//! request-size-limiting: refuses a body above a size, announced or counted.

use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::error::FieldError;
use crate::reply::Reply;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    allowed_payload_size: u64,
    size_unit: Unit,
    require_content_length: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allowed_payload_size: 128,
            size_unit: Unit::Megabytes,
            require_content_length: false,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Megabytes,
    Kilobytes,
    Bytes,
}

/// The plugin, configured.
#[derive(Debug)]
pub(crate) struct RequestSizeLimiting {
    limit_bytes: u64,
    require_content_length: bool,
}

impl RequestSizeLimiting {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let unit_bytes = match config.size_unit {
            Unit::Megabytes => 1 << 20,
            Unit::Kilobytes => 1 << 10,
            Unit::Bytes => 1,
        };
        let limit_bytes = config
            .allowed_payload_size
            .checked_mul(unit_bytes)
            .ok_or_else(|| FieldError::new("allowed_payload_size", "value is too large"))?;
        Ok(Self {
            limit_bytes,
            require_content_length: config.require_content_length,
        })
    }

    /// Checks what the request announces. Returns the number of body bytes to take in: a body without a
    /// length is counted as it comes.
    pub(crate) fn check(&self, request: &HeaderMap) -> Result<u64, Reply> {
        let announced = request
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok());
        match announced {
            Some(length) if length > self.limit_bytes => Err(Self::exceeded(request)),
            None if self.require_content_length && !is_chunked(request) => Err(Reply::error(
                StatusCode::LENGTH_REQUIRED,
                "A valid Content-Length header is required",
            )),
            _ => Ok(self.limit_bytes),
        }
    }

    /// The answer to a body that is too large: 417 to a client that waits for a permission to
    /// send it.
    pub(crate) fn exceeded(request: &HeaderMap) -> Reply {
        let waits = request
            .get(EXPECT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("100-continue"));
        let status = if waits {
            StatusCode::EXPECTATION_FAILED
        } else {
            StatusCode::PAYLOAD_TOO_LARGE
        };
        Reply::error(status, "Request size limit exceeded")
    }
}

fn is_chunked(request: &HeaderMap) -> bool {
    request
        .get(TRANSFER_ENCODING)
        .is_some_and(|value| value == "chunked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn plugin(config: serde_json::Value) -> RequestSizeLimiting {
        RequestSizeLimiting::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    fn check(plugin: &RequestSizeLimiting, headers: &[(&'static str, &'static str)]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        plugin
            .check(&headers)
            .err()
            .map_or(200, |reply| reply.status().as_u16())
    }

    #[test]
    fn the_announced_length_decides() {
        let plugin = plugin(serde_json::json!({"allowed_payload_size": 1}));
        assert_eq!(check(&plugin, &[("content-length", "1048576")]), 200);
        assert_eq!(check(&plugin, &[("content-length", "1048577")]), 413);
        let waiting = [("content-length", "1048577"), ("expect", "100-Continue")];
        assert_eq!(check(&plugin, &waiting), 417);
        assert_eq!(check(&plugin, &[]), 200);
    }

    #[test]
    fn a_length_can_be_required() {
        let plugin = plugin(serde_json::json!({
            "allowed_payload_size": 10, "size_unit": "bytes", "require_content_length": true,
        }));
        assert_eq!(check(&plugin, &[]), 411);
        assert_eq!(check(&plugin, &[("transfer-encoding", "chunked")]), 200);
        assert_eq!(check(&plugin, &[("content-length", "11")]), 413);
    }
}
