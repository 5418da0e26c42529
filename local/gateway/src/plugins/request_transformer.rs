//! request-transformer: removes headers from a request, before the upstream gets it.

use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::error::FieldError;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    remove: Remove,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Remove {
    headers: Vec<String>,
}

impl Remove {
    pub(super) fn names(&self) -> Result<Vec<HeaderName>, FieldError> {
        let names = self.headers.iter().map(HeaderName::try_from);
        let names = names.collect::<Result<_, _>>();
        names.map_err(|_| FieldError::new("remove.headers", "not a header name"))
    }
}

/// The plugin, configured.
#[derive(Debug)]
pub(crate) struct RequestTransformer {
    remove: Vec<HeaderName>,
}

impl RequestTransformer {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let remove = config.remove.names()?;
        Ok(Self { remove })
    }

    pub(crate) fn transform(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde_json::json;

    fn plugin(headers: serde_json::Value) -> Result<RequestTransformer, FieldError> {
        let config = json!({"remove": {"headers": headers}});
        RequestTransformer::new(serde_json::from_value(config).unwrap())
    }

    #[test]
    fn headers_are_removed_whatever_their_case_and_number() {
        let plugin = plugin(json!(["X-Consumer-ID", "x-other"])).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["x-consumer-id", "x-consumer-id", "accept"] {
            headers.append(name, HeaderValue::from_static("1"));
        }
        plugin.transform(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
        for bad in ["X One", "X-One:1", ""] {
            let error = self::plugin(json!([bad])).unwrap_err();
            assert_eq!(error.field, "remove.headers", "{bad}");
        }
    }
}
