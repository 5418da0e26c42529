//! One function, in depth.

use super::{
    Board, Unit,
    parts::{HALF, THIRD, heatmap, lines, percentiles, row, stack, target},
};

pub(super) fn board() -> Board {
    Board {
        name: "function",
        title: "zerocart: function",
        about: "What does a function do, and what does it wait for? Choose the function above.",
        chooses: true,
        rows: vec![
            row(
                "Calls",
                vec![
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Calls by code",
                        "The codes are those of gRPC, also for JSON.",
                        vec![target(
                            "{{protocol}} {{code}}",
                            "sum by (protocol, code) (rate(zerocart_calls_total{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                    percentiles(
                        THIRD,
                        "Duration of calls",
                        "From the head of a request to its answer, inside the function. The points are traces.",
                        "zerocart_call_duration_seconds_bucket{function=~\"$function\"}",
                    ),
                    heatmap(
                        THIRD,
                        "Distribution of durations",
                        "Two bands are two kinds of calls, such as cold and warm ones.",
                        "zerocart_call_duration_seconds_bucket{function=~\"$function\"}",
                    ),
                ],
            ),
            row(
                "Other functions",
                vec![
                    lines(
                        Unit::PerSecond,
                        THIRD,
                        "Attempts by outcome",
                        "Attempts of calls to other functions. An error_type stands for an attempt without an answer.",
                        vec![target(
                            "{{callee}} {{error_type}}",
                            "sum by (callee, error_type) (rate(zerocart_attempts_total{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                    percentiles(
                        THIRD,
                        "Duration of attempts",
                        "With the starts of the functions that were called.",
                        "zerocart_attempt_duration_seconds_bucket{function=~\"$function\"}",
                    ),
                    lines(
                        Unit::PerSecond,
                        THIRD,
                        "Retries",
                        "Attempts that followed a failed one.",
                        vec![target(
                            "{{callee}}",
                            "sum by (callee) (rate(zerocart_retries_total{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                ],
            ),
            row(
                "Database",
                vec![
                    lines(
                        Unit::PerSecond,
                        THIRD,
                        "Statements",
                        "By name. Those in one round trip are one.",
                        vec![target(
                            "{{statement}}",
                            "sum by (statement) (rate(zerocart_database_statements_total{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                    percentiles(
                        THIRD,
                        "Duration of statements",
                        "From sending a statement to its last row.",
                        "zerocart_database_statement_duration_seconds_bucket{function=~\"$function\"}",
                    ),
                    percentiles(
                        THIRD,
                        "Wait for a session",
                        "Of the calls that had to wait. A process that starts waits for its first session.",
                        "zerocart_database_session_wait_seconds_bucket{function=~\"$function\"}",
                    ),
                ],
            ),
            row(
                "Instances",
                vec![
                    lines(
                        Unit::Short,
                        HALF,
                        "Instances and their limit",
                        "At the limit, requests wait. On a cluster, Knative has these numbers.",
                        vec![
                            target(
                                "{{function}} {{state}}",
                                "sum by (function, state) (zerocart_instances{function=~\"$function\"})",
                            ),
                            target(
                                "{{function}} limit",
                                "max by (function) (zerocart_instances_limit{function=~\"$function\"})",
                            ),
                        ],
                    ),
                    lines(
                        Unit::Short,
                        HALF,
                        "Requests that wait, and crashes",
                        "Requests without an instance. A crash is an instance that ended without being asked to.",
                        vec![
                            target(
                                "{{function}} waiting",
                                "sum by (function) (zerocart_requests_held{function=~\"$function\"})",
                            ),
                            target(
                                "{{function}} crashes",
                                "sum by (function) (increase(zerocart_crashes_total{function=~\"$function\"}[$__rate_interval]))",
                            ),
                        ],
                    ),
                ],
            ),
        ],
    }
}
