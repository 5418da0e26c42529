//! cors: answers preflight requests and marks the others for browsers.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use regex::Regex;
use serde::Deserialize;

use super::error::FieldError;
use crate::reply::Reply;

const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// Kong's default of `config.methods`.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    origins: Vec<String>,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed_headers: Vec<String>,
    max_age: Option<u64>,
    credentials: bool,
    preflight_continue: bool,
    private_network: bool,
    allow_origin_absent: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            methods: METHODS.map(str::to_owned).to_vec(),
            headers: Vec::new(),
            exposed_headers: Vec::new(),
            max_age: None,
            credentials: false,
            preflight_continue: false,
            private_network: false,
            allow_origin_absent: true,
        }
    }
}

/// The plugin, configured.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Origins,
    methods: HeaderValue,
    headers: Option<HeaderValue>,
    exposed_headers: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    credentials: bool,
    preflight_continue: bool,
    private_network: bool,
    allow_origin_absent: bool,
}

#[derive(Debug)]
enum Origins {
    Any,
    /// A single literal origin is sent in every answer, for any origin of the request: the browser
    /// compares.
    One(HeaderValue),
    Several(Vec<OriginRule>),
}

#[derive(Debug)]
enum OriginRule {
    Any,
    Literal(String),
    Pattern { regex: Regex, by_host: bool },
}

impl Cors {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let origins = match config.origins.as_slice() {
            [] => Origins::Any,
            [one] if one == "*" => Origins::Any,
            [one] if is_literal(one) => Origins::One(header("origins", one.clone())?),
            several => Origins::Several(
                several
                    .iter()
                    .map(|origin| rule(origin))
                    .collect::<Result<_, _>>()?,
            ),
        };
        for method in &config.methods {
            if !METHODS.contains(&method.as_str()) {
                let message = format!("expected one of: {}", METHODS.join(", "));
                return Err(FieldError::new("methods", message));
            }
        }
        Ok(Self {
            origins,
            methods: header("methods", config.methods.join(","))?,
            headers: list("headers", &config.headers)?,
            exposed_headers: list("exposed_headers", &config.exposed_headers)?,
            max_age: config.max_age.map(HeaderValue::from),
            credentials: config.credentials,
            preflight_continue: config.preflight_continue,
            private_network: config.private_network,
            allow_origin_absent: config.allow_origin_absent,
        })
    }

    /// The result for a preflight request; `None` for any other request.
    pub(crate) fn preflight(&self, method: &Method, request: &HeaderMap) -> Option<Preflight> {
        let origin = request.get(ORIGIN)?;
        if method != Method::OPTIONS || !request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        if self.preflight_continue {
            return Some(Preflight::Continue);
        }
        let mut headers = HeaderMap::new();
        self.allow(Some(origin), &mut headers);
        let allowed = self
            .headers
            .as_ref()
            .or_else(|| request.get(ACCESS_CONTROL_REQUEST_HEADERS));
        if let Some(allowed) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        if let Some(max_age) = &self.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
        let asks_private = request
            .get(REQUEST_PRIVATE_NETWORK)
            .is_some_and(|v| v == "true");
        if self.private_network && asks_private {
            headers.insert(ALLOW_PRIVATE_NETWORK, TRUE);
        }
        Some(Preflight::Answer(
            Reply::exit(StatusCode::OK, None).with_headers(headers),
        ))
    }

    /// Marks the answer to a request that is not a preflight.
    pub(crate) fn decorate(&self, origin: Option<&HeaderValue>, response: &mut HeaderMap) {
        if origin.is_none() && !self.allow_origin_absent {
            return;
        }
        self.allow(origin, response);
        if let Some(exposed) = &self.exposed_headers {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    fn allow(&self, origin: Option<&HeaderValue>, response: &mut HeaderMap) {
        let allowed = match &self.origins {
            Origins::Any => Some(ANY),
            Origins::One(literal) => {
                response.append(VARY, HeaderValue::from_static("Origin"));
                Some(literal.clone())
            }
            Origins::Several(rules) => {
                response.append(VARY, HeaderValue::from_static("Origin"));
                origin.and_then(|origin| matching(rules, origin))
            }
        };
        let any = allowed.as_ref() == Some(&ANY);
        match allowed {
            Some(value) => response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value),
            None => response.remove(ACCESS_CONTROL_ALLOW_ORIGIN),
        };
        if !self.credentials {
            return;
        }
        if !any {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        } else if let Some(origin) = origin {
            // Browsers refuse credentials together with "*".
            response.append(VARY, HeaderValue::from_static("Origin"));
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
    }
}

/// The result for a preflight request.
#[derive(Debug)]
pub(crate) enum Preflight {
    /// The gateway answers.
    Answer(Reply),
    /// The upstream answers, and its headers stay as they are.
    Continue,
}

fn matching(rules: &[OriginRule], origin: &HeaderValue) -> Option<HeaderValue> {
    let origin = Origin::parse(origin.to_str().ok()?);
    for rule in rules {
        let found = match rule {
            OriginRule::Any => return Some(ANY),
            OriginRule::Literal(literal) => *literal == origin.domain,
            OriginRule::Pattern { regex, by_host } => regex.is_match(if *by_host {
                &origin.host
            } else {
                &origin.domain
            }),
        };
        if found {
            return HeaderValue::try_from(origin.domain).ok();
        }
    }
    None
}

struct Origin {
    domain: String,
    host: String,
}

impl Origin {
    /// An origin without the port that its scheme implies.
    fn parse(text: &str) -> Self {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self {
                domain: text.to_owned(),
                host: text.to_owned(),
            };
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
            _ => (authority, None),
        };
        let domain = match (scheme, port) {
            (_, None) | ("http", Some("80")) | ("https", Some("443")) => {
                format!("{scheme}://{host}")
            }
            (_, Some(port)) => format!("{scheme}://{host}:{port}"),
        };
        Self {
            domain,
            host: host.to_owned(),
        }
    }
}

fn is_literal(origin: &str) -> bool {
    origin
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".:/-".contains(&b))
}

fn rule(origin: &str) -> Result<OriginRule, FieldError> {
    if origin == "*" {
        return Ok(OriginRule::Any);
    }
    if is_literal(origin) {
        return Ok(OriginRule::Literal(Origin::parse(origin).domain));
    }
    let pattern = origin.strip_prefix('^').unwrap_or(origin);
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    let regex = Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| FieldError::new("origins", format!("not a regex: {error}")))?;
    Ok(OriginRule::Pattern {
        regex,
        by_host: !origin.contains(':'),
    })
}

fn list(field: &'static str, values: &[String]) -> Result<Option<HeaderValue>, FieldError> {
    if values.is_empty() {
        Ok(None)
    } else {
        header(field, values.join(",")).map(Some)
    }
}

fn header(field: &'static str, value: String) -> Result<HeaderValue, FieldError> {
    HeaderValue::try_from(value).map_err(|_| FieldError::new(field, "not a header value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(config: serde_json::Value) -> Cors {
        Cors::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    fn request(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn decorated(plugin: &Cors, origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        plugin.decorate(origin.map(HeaderValue::from_static).as_ref(), &mut headers);
        headers
    }

    #[test]
    fn a_preflight_is_answered_in_full() {
        let plugin = plugin(serde_json::json!({
            "origins": ["http://localhost:3000"], "methods": ["GET", "POST"],
            "credentials": true, "max_age": 300,
        }));
        let asked = request(&[
            ("origin", "http://localhost:3000"),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "content-type,authorization",
            ),
        ]);
        let Some(Preflight::Answer(reply)) = plugin.preflight(&Method::OPTIONS, &asked) else {
            panic!("not answered");
        };
        assert_eq!(reply.status(), StatusCode::OK);
        let headers = reply.headers();
        assert_eq!(
            headers[ACCESS_CONTROL_ALLOW_ORIGIN],
            "http://localhost:3000"
        );
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "GET,POST");
        assert_eq!(
            headers[ACCESS_CONTROL_ALLOW_HEADERS],
            "content-type,authorization"
        );
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "300");
        assert_eq!(headers[VARY], "Origin");
    }

    #[test]
    fn what_lacks_a_part_is_not_a_preflight() {
        let plugin = plugin(serde_json::json!({}));
        let whole = request(&[
            ("origin", "http://a"),
            ("access-control-request-method", "POST"),
        ]);
        assert!(plugin.preflight(&Method::OPTIONS, &whole).is_some());
        assert!(plugin.preflight(&Method::POST, &whole).is_none());
        assert!(
            plugin
                .preflight(&Method::OPTIONS, &request(&[("origin", "http://a")]))
                .is_none()
        );
        let no_origin = request(&[("access-control-request-method", "POST")]);
        assert!(plugin.preflight(&Method::OPTIONS, &no_origin).is_none());
    }

    #[test]
    fn origins_are_matched_as_kong_does() {
        let several = plugin(serde_json::json!({
            "origins": ["http://a.example:80", r"^.*\.shop\.example$"], "credentials": true,
        }));
        let cases = [
            (Some("http://a.example"), Some("http://a.example")),
            (
                Some("https://b.shop.example:8443"),
                Some("https://b.shop.example:8443"),
            ),
            (Some("http://evil.example"), None),
            (Some("http://b.shop.example.evil"), None),
            (None, None),
        ];
        for (origin, expected) in cases {
            let headers = decorated(&several, origin);
            let allowed = headers
                .get(ACCESS_CONTROL_ALLOW_ORIGIN)
                .map(|v| v.to_str().unwrap());
            assert_eq!(allowed, expected, "{origin:?}");
            assert_eq!(headers[VARY], "Origin");
        }
        let one = plugin(serde_json::json!({"origins": ["http://localhost:3000"]}));
        let headers = decorated(&one, Some("http://evil.example"));
        assert_eq!(
            headers[ACCESS_CONTROL_ALLOW_ORIGIN],
            "http://localhost:3000"
        );
    }

    #[test]
    fn credentials_never_go_with_a_star() {
        let plugin = plugin(serde_json::json!({"credentials": true}));
        let headers = decorated(&plugin, Some("http://a.example"));
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "http://a.example");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        let headers = decorated(&plugin, None);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
