//! The headers that the gateway removes from messages and adds to them.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, EXPECT, HOST, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use uuid::Uuid;

use crate::trusted::Sender;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-kong-request-id");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PATH: HeaderName = HeaderName::from_static("x-forwarded-path");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY: HeaderName = HeaderName::from_static("proxy");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// A random id (RFC 9562, UUID version 4). Its bits come from this thread's generator, which is
/// cryptographic: `Uuid::new_v4` asks the system for them, with a call for each request.
pub(crate) fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// Removes hop-by-hop headers (RFC 9110 section 7.6.1), and `Proxy`, which some servers take for the
/// address of a proxy of their own (httpoxy).
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY,
        PROXY_CONNECTION,
        PROXY_AUTHORIZATION,
        HTTP2_SETTINGS,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// The headers that nginx takes once.
const ONCE: [HeaderName; 11] = [
    AUTHORIZATION,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    EXPECT,
    HOST,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    TRANSFER_ENCODING,
];

/// Whether a header is there twice that nginx takes once. Two readers could choose different ones.
pub(crate) fn has_duplicate(headers: &HeaderMap) -> bool {
    ONCE.iter()
        .any(|name| headers.get_all(name).iter().nth(1).is_some())
}

/// Whether the client can read trailers (RFC 9110, section 10.1.4).
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// The address that a request was sent to, for the `X-Forwarded-*` headers.
#[derive(Debug)]
pub(crate) struct Forwarded<'a> {
    pub(crate) sender: Sender,
    /// The gateway's own.
    pub(crate) port: u16,
    pub(crate) host: &'a str,
    /// The path as the client wrote it.
    pub(crate) path: &'a str,
    /// The part of the path that was removed.
    pub(crate) prefix: Option<&'a str>,
}

impl Forwarded<'_> {
    /// Replaces what the client claims, unless it is a trusted proxy. `X-Forwarded-For` keeps the
    /// list of its first line, with the peer's address at its end.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        let Sender { peer, client, .. } = self.sender;
        let list = headers
            .get(FORWARDED_FOR)
            .and_then(|list| list.to_str().ok());
        let list = match list {
            Some(list) => format!("{list}, {peer}"),
            None => client.to_string(),
        };
        let port = self.port.to_string();
        let client = client.to_string();
        for (name, value, of_proxy) in [
            (FORWARDED_FOR, Some(list.as_str()), false),
            (FORWARDED_PROTO, Some("http"), true),
            (FORWARDED_HOST, Some(self.host), true),
            (FORWARDED_PORT, Some(port.as_str()), true),
            (FORWARDED_PATH, Some(self.path), true),
            (FORWARDED_PREFIX, self.prefix, true),
            (REAL_IP, Some(client.as_str()), false),
        ] {
            let told = headers
                .get(&name)
                .filter(|_| of_proxy && self.sender.trusted);
            let value = told
                .cloned()
                .or_else(|| HeaderValue::from_bytes(value?.as_bytes()).ok());
            match value {
                Some(value) => headers.insert(name, value),
                None => headers.remove(name),
            };
        }
    }
}

/// What the upstream gets as `Host`, `TE` and `Expect`.
pub(crate) fn address(
    headers: &mut HeaderMap,
    authority: &HeaderValue,
    grpc: bool,
    trailers: bool,
) {
    // The gateway itself told the client to continue.
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if grpc {
        headers.remove(HOST);
    } else {
        headers.insert(HOST, authority.clone());
    }
}

/// Whether a request may be repeated after something was sent, as nginx counts it.
pub(crate) fn is_idempotent(method: &Method) -> bool {
    !matches!(method.as_str(), "POST" | "PATCH" | "LOCK")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trusted::Trusted;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
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

    #[test]
    fn hop_by_hop_headers_end_here() {
        let mut map = headers(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy", "http://elsewhere"),
            ("upgrade", "websocket"),
            ("trailer", "x-t"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_came_from() {
        let sent = headers(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-path", "/shop/a"),
            ("x-forwarded-prefix", "/shop"),
            ("x-real-ip", "5.6.7.8"),
        ]);
        let client = headers(&[
            ("x-forwarded-for", "1.2.3.4, 127.0.0.2"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop"),
            ("x-forwarded-port", "8000"),
            ("x-forwarded-path", "/a"),
            ("x-real-ip", "127.0.0.2"),
        ]);
        let mut proxy = sent.clone();
        proxy.insert(FORWARDED_FOR, client[FORWARDED_FOR].clone());
        proxy.insert(REAL_IP, HeaderValue::from_static("1.2.3.4"));
        let nothing = HeaderMap::new();
        let mut silent = client.clone();
        silent.insert(FORWARDED_FOR, HeaderValue::from_static("127.0.0.2"));
        for (trusted, sent, expected) in [
            ("10.0.0.0/8", &sent, client),
            ("127.0.0.0/8", &sent, proxy),
            ("10.0.0.0/8", &nothing, silent.clone()),
            ("127.0.0.0/8", &nothing, silent),
        ] {
            let mut map = sent.clone();
            let networks: Trusted = trusted.parse().unwrap();
            Forwarded {
                sender: networks.sender([127, 0, 0, 2].into(), &map),
                port: 8000,
                host: "shop",
                path: "/a",
                prefix: None,
            }
            .apply(&mut map);
            assert_eq!(map, expected, "{trusted}");
        }
    }

    #[test]
    fn some_headers_are_taken_once() {
        for name in ONCE {
            let mut map = HeaderMap::new();
            map.append(&name, HeaderValue::from_static("a"));
            assert!(!has_duplicate(&map), "{name}");
            map.append(&name, HeaderValue::from_static("a"));
            assert!(has_duplicate(&map), "{name}");
        }
        let twice = ["accept", "cookie", "range", "x-a"];
        let mut map = HeaderMap::new();
        for name in twice.into_iter().chain(twice) {
            map.append(name, HeaderValue::from_static("a"));
        }
        assert!(!has_duplicate(&map));
    }

    #[test]
    fn te_says_who_takes_trailers() {
        for (te, takes) in [
            ("trailers", true),
            ("gzip, Trailers", true),
            ("gzip", false),
            ("trailers;q=0.5", false),
        ] {
            assert_eq!(takes_trailers(&headers(&[("te", te)])), takes, "{te}");
        }
    }
}
