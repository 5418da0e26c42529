//! The headers that the gateway removes from and adds to messages, as Kong does.

use http::header::{
    CONNECTION, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::connection::Connection;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-kong-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PATH: HeaderName = HeaderName::from_static("x-forwarded-path");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Removes hop-by-hop headers (RFC 9110 section 7.6.1).
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

/// Whether the client asks for another protocol on its connection. One for h2c may be ignored
/// (RFC 9113 dropped it), one for WebSocket may not.
pub(crate) fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// The address that a request was sent to, for the `X-Forwarded-*` headers.
#[derive(Debug)]
pub(crate) struct Forwarded<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) host: &'a str,
    /// The path as the client wrote it.
    pub(crate) path: &'a str,
    /// The part of the path that was removed.
    pub(crate) prefix: Option<&'a str>,
}

impl Forwarded<'_> {
    /// Replaces what the client claims: the gateway trusts no proxy in front of it. Only
    /// `X-Forwarded-For` keeps the client's list, with the client's address at its end.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        let ip = self.connection.peer.ip().to_string();
        let mut list: Vec<&str> = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .collect();
        list.push(&ip);
        let list = list.join(", ");
        let port = self.connection.local.port().to_string();
        for (name, value) in [
            (FORWARDED_FOR, Some(list.as_str())),
            (FORWARDED_PROTO, Some("http")),
            (FORWARDED_HOST, Some(self.host)),
            (FORWARDED_PORT, Some(port.as_str())),
            (FORWARDED_PATH, Some(self.path)),
            (FORWARDED_PREFIX, self.prefix),
            (REAL_IP, Some(ip.as_str())),
        ] {
            match value.and_then(|value| HeaderValue::from_str(value).ok()) {
                Some(value) => headers.insert(name, value),
                None => headers.remove(name),
            };
        }
    }
}

/// What Kong sends on of `Host`, `TE` and `Expect`.
pub(crate) fn address(headers: &mut HeaderMap, authority: &HeaderValue, grpc: bool) {
    // The gateway itself told the client to continue.
    headers.remove(EXPECT);
    if grpc {
        headers.remove(HOST);
        headers.insert(TE, HeaderValue::from_static("trailers"));
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
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn the_client_cannot_say_where_it_came_from() {
        let mut map = headers(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/evil"),
            ("x-real-ip", "1.2.3.4"),
        ]);
        let connection = Connection::for_tests();
        Forwarded {
            connection: &connection,
            host: "shop",
            path: "/a",
            prefix: None,
        }
        .apply(&mut map);
        assert_eq!(map["x-forwarded-for"], "1.2.3.4, 127.0.0.2");
        assert_eq!(map["x-forwarded-proto"], "http");
        assert_eq!(map["x-forwarded-host"], "shop");
        assert_eq!(map["x-forwarded-port"], "8000");
        assert_eq!(map["x-forwarded-path"], "/a");
        assert_eq!(map["x-real-ip"], "127.0.0.2");
        assert!(!map.contains_key("x-forwarded-prefix"));
    }

    #[test]
    fn only_h2c_may_be_ignored() {
        assert!(!asks_for_upgrade(&headers(&[("upgrade", "h2c")])));
        assert!(!asks_for_upgrade(&headers(&[])));
        assert!(asks_for_upgrade(&headers(&[("upgrade", "websocket")])));
    }
}
