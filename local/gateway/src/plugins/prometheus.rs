//! prometheus: counts answers and measures latencies, under Kong's names and labels.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde::Deserialize;

use super::error::FieldError;

/// Kong's buckets for the time that it adds itself, in milliseconds.
const KONG_BUCKETS_MS: [f64; 15] = [
    1.0, 2.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0, 200.0, 500.0, 750.0, 1000.0,
];
/// Kong's buckets for the upstream and for the whole request, in milliseconds.
const UPSTREAM_BUCKETS_MS: [f64; 13] = [
    25.0, 50.0, 80.0, 100.0, 250.0, 400.0, 700.0, 1000.0, 2000.0, 5000.0, 10_000.0, 30_000.0,
    60_000.0,
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    per_consumer: bool,
    status_code_metrics: bool,
    latency_metrics: bool,
    bandwidth_metrics: bool,
    upstream_health_metrics: bool,
}

/// The plugin, configured: which metrics a request gets.
#[derive(Debug)]
pub(crate) struct Prometheus {
    per_consumer: bool,
    status_code_metrics: bool,
    latency_metrics: bool,
}

impl Prometheus {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let unserved = [
            ("bandwidth_metrics", config.bandwidth_metrics),
            ("upstream_health_metrics", config.upstream_health_metrics),
        ];
        for (field, asked) in unserved {
            if asked {
                return Err(FieldError::new(
                    field,
                    "the local gateway has no such metrics",
                ));
            }
        }
        Ok(Self {
            per_consumer: config.per_consumer,
            status_code_metrics: config.status_code_metrics,
            latency_metrics: config.latency_metrics,
        })
    }

    pub(crate) fn record(&self, metrics: &Metrics, request: &Sample<'_>) {
        if self.status_code_metrics {
            let consumer = request.consumer.filter(|_| self.per_consumer);
            metrics
                .requests
                .get_or_create(&RequestLabels {
                    service: request.service.to_owned(),
                    route: request.route.to_owned(),
                    code: request.status,
                    source: if request.from_upstream {
                        "service"
                    } else {
                        "kong"
                    },
                    consumer: consumer.unwrap_or_default().to_owned(),
                })
                .inc();
        }
        if self.latency_metrics {
            let labels = LatencyLabels {
                service: request.service.to_owned(),
                route: request.route.to_owned(),
            };
            metrics
                .request_ms
                .get_or_create(&labels)
                .observe(request.total_ms);
            metrics
                .kong_ms
                .get_or_create(&labels)
                .observe(request.kong_ms);
            if let Some(upstream_ms) = request.upstream_ms {
                metrics
                    .upstream_ms
                    .get_or_create(&labels)
                    .observe(upstream_ms);
            }
        }
    }
}

/// What is known about a request once it is over.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) service: &'a str,
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) from_upstream: bool,
    pub(crate) consumer: Option<&'a str>,
    pub(crate) total_ms: f64,
    /// Until the request was sent on, or answered by the gateway itself.
    pub(crate) kong_ms: f64,
    /// From sending the request to the head of the answer; `None` when there was none.
    pub(crate) upstream_ms: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: String,
    route: String,
    code: u16,
    source: &'static str,
    consumer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LatencyLabels {
    service: String,
    route: String,
}

type Latency = Family<LatencyLabels, Histogram, fn() -> Histogram>;

/// The gateway's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    kong_ms: Latency,
    upstream_ms: Latency,
    request_ms: Latency,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let requests = Family::<RequestLabels, Counter>::default();
        let kong_ms = Latency::new_with_constructor(|| Histogram::new(KONG_BUCKETS_MS));
        let upstream_ms = Latency::new_with_constructor(|| Histogram::new(UPSTREAM_BUCKETS_MS));
        let request_ms = Latency::new_with_constructor(|| Histogram::new(UPSTREAM_BUCKETS_MS));
        let mut registry = Registry::with_prefix("kong");
        // The encoder appends `_total` to a counter's name and a full stop to its help.
        registry.register(
            "http_requests",
            "HTTP status codes per consumer/service/route in Kong",
            requests.clone(),
        );
        registry.register(
            "kong_latency_ms",
            "Latency added by Kong and enabled plugins for each service/route in Kong",
            kong_ms.clone(),
        );
        registry.register(
            "upstream_latency_ms",
            "Latency added by upstream response for each service/route in Kong",
            upstream_ms.clone(),
        );
        registry.register(
            "request_latency_ms",
            "Total latency incurred during requests for each service/route in Kong",
            request_ms.clone(),
        );
        Self {
            registry,
            requests,
            kong_ms,
            upstream_ms,
            request_ms,
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes all that is written");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample<'static> {
        Sample {
            service: "get-user",
            route: "get-user",
            status: 200,
            from_upstream: true,
            consumer: Some("zerocart-users"),
            total_ms: 12.0,
            kong_ms: 3.0,
            upstream_ms: Some(9.0),
        }
    }

    fn plugin(config: serde_json::Value) -> Prometheus {
        Prometheus::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    #[test]
    fn names_and_labels_are_kongs() {
        let metrics = Metrics::new();
        plugin(serde_json::json!({"status_code_metrics": true, "latency_metrics": true}))
            .record(&metrics, &sample());
        let text = metrics.text();
        for line in [
            "kong_http_requests_total{service=\"get-user\",route=\"get-user\",code=\"200\",\
             source=\"service\",consumer=\"\"} 1",
            "kong_kong_latency_ms_bucket{le=\"5.0\",service=\"get-user\",route=\"get-user\"} 1",
            "kong_upstream_latency_ms_sum{service=\"get-user\",route=\"get-user\"} 9.0",
            "kong_request_latency_ms_count{service=\"get-user\",route=\"get-user\"} 1",
        ] {
            assert!(
                text.lines().any(|known| known == line),
                "{line}\nis not in\n{text}"
            );
        }
    }

    #[test]
    fn metrics_are_off_until_asked_for() {
        let metrics = Metrics::new();
        plugin(serde_json::json!({})).record(&metrics, &sample());
        assert!(!metrics.text().contains("get-user"));
        plugin(serde_json::json!({"status_code_metrics": true, "per_consumer": true}))
            .record(&metrics, &sample());
        assert!(metrics.text().contains("consumer=\"zerocart-users\""));
        let refused: Config = serde_json::from_str(r#"{"bandwidth_metrics": true}"#).unwrap();
        assert_eq!(
            Prometheus::new(refused).unwrap_err().field,
            "bandwidth_metrics"
        );
    }
}
