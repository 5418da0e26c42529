//! The public edge: Kong, or the local gateway, which has Kong's names.

use super::{
    Board, Unit,
    parts::{HALF, THIRD, lines, number, row, stack, target},
};

fn quantile(quantile: f64, series: &str) -> String {
    format!("histogram_quantile({quantile}, sum by (le) (rate({series}[$__rate_interval])))")
}

pub(super) fn board() -> Board {
    let latency = |title, about, series: &str| {
        lines(
            Unit::Milliseconds,
            THIRD,
            title,
            about,
            vec![
                target("p50", quantile(0.5, series)),
                target("p90", quantile(0.9, series)),
                target("p99", quantile(0.99, series)),
            ],
        )
    };
    Board {
        name: "edge",
        title: "zerocart: edge",
        about: "What do clients get? The local gateway counts under the names of Kong's plugin prometheus, so this \
                board serves both.",
        chooses: false,
        rows: vec![
            row(
                "Now",
                vec![
                    number(
                        Unit::PerSecond,
                        "Requests",
                        "Requests that met a route.",
                        "sum(rate(kong_http_requests_total[$__rate_interval]))",
                    ),
                    number(
                        Unit::Share,
                        "Server errors, last hour",
                        "The share of answers from 500.",
                        "(sum(rate(kong_http_requests_total{code=~\"5..\"}[1h])) or vector(0)) \
                         / sum(rate(kong_http_requests_total[1h]))",
                    ),
                    number(
                        Unit::PerSecond,
                        "Rate-limited requests",
                        "Answered 429 by the edge. No function was called.",
                        "sum(rate(kong_http_requests_total{code=\"429\", source!=\"service\"}[$__rate_interval])) or vector(0)",
                    ),
                    number(
                        Unit::PerSecond,
                        "Refused requests",
                        "Other answers from 400 that the edge gave itself: no token, a bad one, too large a body.",
                        "sum(rate(kong_http_requests_total{code=~\"4..\", code!=\"429\", source!=\"service\"}[$__rate_interval])) or vector(0)",
                    ),
                ],
            ),
            row(
                "Requests",
                vec![
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Requests by status",
                        "All answers, those of functions and those of the edge.",
                        vec![target(
                            "{{code}}",
                            "sum by (code) (rate(kong_http_requests_total[$__rate_interval]))",
                        )],
                    ),
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Requests by route",
                        "A route with -grpc is that of native gRPC.",
                        vec![target(
                            "{{route}}",
                            "sum by (route) (rate(kong_http_requests_total[$__rate_interval]))",
                        )],
                    ),
                    lines(
                        Unit::PerSecond,
                        THIRD,
                        "Refused by the edge",
                        "401: no valid token. 413: too large. 429: over the rate limit of the route.",
                        vec![target(
                            "{{route}} {{code}}",
                            "sum by (route, code) (rate(kong_http_requests_total{code=~\"4..\", source!=\"service\"}[$__rate_interval]))",
                        )],
                    ),
                ],
            ),
            row(
                "Latency",
                vec![
                    latency(
                        "Whole request",
                        "From the first byte of the request to the last byte of the answer.",
                        "kong_request_latency_ms_bucket",
                    ),
                    latency(
                        "Functions",
                        "From sending a request on to the head of the answer, with the start of a function.",
                        "kong_upstream_latency_ms_bucket",
                    ),
                    latency(
                        "The edge itself",
                        "Plugins, such as the check of the token.",
                        "kong_kong_latency_ms_bucket",
                    ),
                ],
            ),
            row(
                "Errors",
                vec![
                    lines(
                        Unit::PerSecond,
                        HALF,
                        "Server errors by route",
                        "With the source `service`, the function answered so itself.",
                        vec![target(
                            "{{route}} {{code}} {{source}}",
                            "sum by (route, code, source) (rate(kong_http_requests_total{code=~\"5..\"}[$__rate_interval]))",
                        )],
                    ),
                    lines(
                        Unit::PerSecond,
                        HALF,
                        "Client errors by route",
                        "Answers of functions. Many of one kind are a broken client, or somebody who tries passwords.",
                        vec![target(
                            "{{route}} {{code}}",
                            "sum by (route, code) (rate(kong_http_requests_total{code=~\"4..\", source=\"service\"}[$__rate_interval]))",
                        )],
                    ),
                ],
            ),
        ],
    }
}
