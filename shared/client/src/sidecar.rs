//! A proxy beside this process that carries its calls (`FUNCTION_SIDECAR`), such as a sidecar of a service mesh.
//!
//! It starts beside the process, and may be there a moment later. Until then, and while it has no way to the
//! function, nothing reaches the function: that is no failure of the function. Such a call is tried again until
//! there is a way, for [`PATIENCE`] at most and within the attempt's own time.

use std::time::Duration;

use http::{StatusCode, header};
use hyper_util::client::legacy;
use tokio::time::{Instant, sleep_until, timeout_at};
use zerocart_core::error::BoxError;

use crate::transport::{BoxFuture, Reply};

/// Longer than any start of a proxy. What lasts longer is no start.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two tries: short beside a cold start, and no load for a proxy that starts.
const PAUSE: Duration = Duration::from_millis(20);

/// The header that Envoy adds to each answer that came from beyond it, and to none of its own.
const FROM_BEYOND: &str = "x-envoy-upstream-service-time";

/// What Envoy says where it sent nothing: it knows no instance, or could not connect to one.
const NOTHING_SENT: [&str; 3] = [
    "no healthy upstream",
    "connection failure",
    "connection timeout",
];

/// The sidecar did not carry a call within [`PATIENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sidecar has no way to the function")]
pub(crate) struct NoWay;

/// What came of a call by the sidecar.
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once in a call, and taken apart at once"
)]
pub(crate) enum Carried {
    /// The call got to the function, or nobody knows.
    Through(Result<Reply, BoxError>),
    /// Nothing got to the function while there was time.
    NoWay,
    /// The time ran out during a try.
    Late,
}

/// Makes a call by `send` until the sidecar carries it, at the latest until `until`. `waits` hears after each try
/// whether the sidecar is waited for.
pub(crate) async fn carry(
    until: Instant,
    mut send: impl FnMut() -> BoxFuture<'static, Result<Reply, BoxError>>,
    mut waits: impl FnMut(bool),
) -> Carried {
    let patience = Instant::now() + PATIENCE;
    loop {
        let Ok(result) = timeout_at(until, send()).await else {
            return Carried::Late;
        };
        if !is_unready(&result) {
            waits(false);
            return Carried::Through(result);
        }
        waits(true);
        let next = Instant::now() + PAUSE;
        if next >= until.min(patience) {
            return Carried::NoWay;
        }
        sleep_until(next).await;
    }
}

/// Whether a call got no further than the sidecar.
fn is_unready(result: &Result<Reply, BoxError>) -> bool {
    match result {
        Err(error) => error
            .downcast_ref::<legacy::Error>()
            .is_some_and(legacy::Error::is_connect),
        Ok(reply) => {
            let word = |name: &str| {
                let value = reply.headers.get(name).or(reply.trailers.get(name));
                value.and_then(|value| value.to_str().ok())
            };
            let says_unavailable = match word("grpc-status") {
                Some(code) => code == "14",
                None => reply.status == StatusCode::SERVICE_UNAVAILABLE,
            };
            let own = word(header::SERVER.as_str()) == Some("envoy") && word(FROM_BEYOND).is_none();
            let text = word("grpc-message").map(str::to_owned);
            let text = text.unwrap_or_else(|| String::from_utf8_lossy(&reply.body).into_owned());
            // A message of gRPC has its spaces as %20 where a proxy is strict.
            let text = text.replace("%20", " ");
            own && says_unavailable && NOTHING_SENT.iter().any(|said| text.contains(said))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderMap;

    fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, http::HeaderValue::from_static(value));
        }
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: Bytes::from_static(body.as_bytes()),
            trailers: HeaderMap::new(),
        }
    }

    #[test]
    fn only_what_the_sidecar_says_of_itself_excuses_the_function() {
        let envoy = ("server", "envoy");
        let beyond = (FROM_BEYOND, "3");
        let (unavailable, permission) = (("grpc-status", "14"), ("grpc-status", "7"));
        let none = ("grpc-message", "no healthy upstream");
        let refused = (
            "grpc-message",
            "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
        );
        let ended = (
            "grpc-message",
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        );
        for (reply, unready) in [
            (reply(200, &[envoy, unavailable, none], ""), true),
            (reply(200, &[envoy, unavailable, refused], ""), true),
            (reply(503, &[envoy], "no healthy upstream"), true),
            // The gateway says it, or an activator: the sidecar did its part.
            (reply(200, &[envoy, beyond, unavailable, none], ""), false),
            (reply(503, &[envoy, beyond], "no healthy upstream"), false),
            // The request may have arrived.
            (reply(200, &[envoy, unavailable, ended], ""), false),
            // A decision.
            (reply(200, &[envoy, permission], ""), false),
            // Not a proxy.
            (reply(200, &[unavailable, none], ""), false),
        ] {
            let shown = format!("{reply:?}");
            assert_eq!(is_unready(&Ok(reply)), unready, "{shown}");
        }
    }
}
