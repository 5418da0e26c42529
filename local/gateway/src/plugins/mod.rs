//! The Kong plugins that the local gateway has, a module each.
//!
//! They run in the order of Kong's priorities, which is the order of the fields of
//! [`PluginSet`]: correlation-id (100001), cors (2000), jwt (1450), request-size-limiting (951),
//! rate-limiting (910), request-transformer (801) and request-termination (2); once the answer is
//! known, response-transformer (800) and prometheus (13).
//!
//! Until a request has a route that it may use, the global instances run: only on the answer.

pub(crate) mod correlation_id;
pub(crate) mod cors;
pub(crate) mod error;
pub(crate) mod jwt;
pub(crate) mod prometheus;
pub(crate) mod rate_limiting;
pub(crate) mod request_size_limiting;
pub(crate) mod request_termination;
pub(crate) mod request_transformer;
pub(crate) mod response_transformer;

use std::sync::Arc;

use correlation_id::CorrelationId;
use cors::Cors;
use jwt::Jwt;
use prometheus::Prometheus;
use rate_limiting::RateLimiting;
use request_size_limiting::RequestSizeLimiting;
use request_termination::RequestTermination;
use request_transformer::RequestTransformer;
use response_transformer::ResponseTransformer;

/// At most one instance of each plugin: what runs for one route.
///
/// An instance that several routes share (a global one) shares its state too: Kong counts its
/// requests together.
#[derive(Debug, Default, Clone)]
pub(crate) struct PluginSet {
    pub(crate) correlation_id: Option<Arc<CorrelationId>>,
    pub(crate) cors: Option<Arc<Cors>>,
    pub(crate) jwt: Option<Arc<Jwt>>,
    pub(crate) request_size_limiting: Option<Arc<RequestSizeLimiting>>,
    pub(crate) rate_limiting: Option<Arc<RateLimiting>>,
    pub(crate) request_transformer: Option<Arc<RequestTransformer>>,
    pub(crate) request_termination: Option<Arc<RequestTermination>>,
    pub(crate) response_transformer: Option<Arc<ResponseTransformer>>,
    pub(crate) prometheus: Option<Arc<Prometheus>>,
}

impl PluginSet {
    /// The plugins that run where `self` is configured inside `outer`. For each plugin, only the
    /// most specific instance runs.
    pub(crate) fn within(&self, outer: &Self) -> Self {
        fn pick<T>(inner: &Option<Arc<T>>, outer: &Option<Arc<T>>) -> Option<Arc<T>> {
            inner.as_ref().or(outer.as_ref()).cloned()
        }
        Self {
            correlation_id: pick(&self.correlation_id, &outer.correlation_id),
            cors: pick(&self.cors, &outer.cors),
            jwt: pick(&self.jwt, &outer.jwt),
            request_size_limiting: pick(&self.request_size_limiting, &outer.request_size_limiting),
            rate_limiting: pick(&self.rate_limiting, &outer.rate_limiting),
            request_transformer: pick(&self.request_transformer, &outer.request_transformer),
            request_termination: pick(&self.request_termination, &outer.request_termination),
            response_transformer: pick(&self.response_transformer, &outer.response_transformer),
            prometheus: pick(&self.prometheus, &outer.prometheus),
        }
    }
}
