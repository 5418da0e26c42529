//! response-transformer: adds headers to every answer, the gateway's own too.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::error::FieldError;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
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
    add: Vec<(HeaderName, HeaderValue)>,
}

impl ResponseTransformer {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let add = config.add.headers.iter().map(|header| parse(header));
        let add: Option<_> = add.collect();
        let add = add.ok_or_else(|| FieldError::new("add.headers", "expected name:value"))?;
        Ok(Self { add })
    }

    /// What it adds.
    pub(crate) fn adds(&self) -> &[(HeaderName, HeaderValue)] {
        &self.add
    }

    /// Adds what is not there yet.
    pub(crate) fn transform(&self, headers: &mut HeaderMap) {
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
    fn what_is_there_stays() {
        let plugin = plugin(json!(["X-One:1", "Cache-Control:no-store"])).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("max-age=5"));
        plugin.transform(&mut headers);
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
    }
}
