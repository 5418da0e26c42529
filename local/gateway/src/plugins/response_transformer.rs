//! response-transformer: removes headers from every answer and adds others, also to the gateway's
//! own answers.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::error::FieldError;
use super::request_transformer::Remove;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    remove: Remove,
    add: Add,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Add {
    headers: Vec<String>,
}

/// The plugin, configured.
#[derive(Debug)]
pub(crate) struct ResponseTransformer {
    remove: Vec<HeaderName>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl ResponseTransformer {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let remove = config.remove.names()?;
        let add = config.add.headers.iter().map(|header| parse(header));
        let add: Option<_> = add.collect();
        let add = add.ok_or_else(|| FieldError::new("add.headers", "expected name:value"))?;
        Ok(Self { remove, add })
    }

    /// What it adds.
    pub(crate) fn adds(&self) -> &[(HeaderName, HeaderValue)] {
        &self.add
    }

    /// Removes, and then adds what is not there.
    pub(crate) fn transform(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.add {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

fn parse(header: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = header.split_once(':')?;
    Some((name.parse().ok()?, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plugin(headers: serde_json::Value) -> Result<ResponseTransformer, FieldError> {
        let config = json!({"add": {"headers": headers}});
        ResponseTransformer::new(serde_json::from_value(config).unwrap())
    }

    #[test]
    fn what_is_not_removed_stays() {
        let config = json!({
            "remove": {"headers": ["Server", "X-One"]},
            "add": {"headers": ["X-One:1", "Cache-Control:no-store"]},
        });
        let plugin = ResponseTransformer::new(serde_json::from_value(config).unwrap()).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("server", "envoy"),
            ("x-one", "2"),
            ("cache-control", "max-age=5"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        plugin.transform(&mut headers);
        assert!(!headers.contains_key("server"));
        assert_eq!(headers["x-one"], "1");
        let kept: Vec<_> = headers.get_all("cache-control").iter().collect();
        assert_eq!(kept, ["max-age=5"]);
    }

    #[test]
    fn headers_are_a_name_and_a_value() {
        for bad in ["X-One", "X One:1", ":1", "X-One:a\n"] {
            assert_eq!(
                plugin(json!([bad])).unwrap_err().field,
                "add.headers",
                "{bad}"
            );
        }
        let config: Config = serde_json::from_value(json!({"remove": {"headers": [""]}})).unwrap();
        let error = ResponseTransformer::new(config).unwrap_err();
        assert_eq!(error.field, "remove.headers");
    }
}
