//! All functions at a glance.

use super::{
    Board, Unit,
    parts::{HALF, THIRD, breakers, lines, number, row, stack, target},
};
use crate::{
    goals::{FAILURES, SUCCESS},
    rules::failed_share,
};

pub(super) fn board() -> Board {
    let failed = format!(
        "sum by (function, code) (rate(zerocart_calls_total{{function=~\"$function\", \
         code=~\"{FAILURES}\"}}[$__rate_interval]))"
    );
    Board {
        name: "fleet",
        title: "zerocart: fleet",
        about: "Is everything well? If not, which function is it?",
        chooses: true,
        rows: vec![
            row(
                "Now",
                vec![
                    number(
                        Unit::PerSecond,
                        "Calls",
                        "Calls of all functions, those from other functions included.",
                        "sum(rate(zerocart_calls_total[$__rate_interval]))",
                    ),
                    number(
                        Unit::Share,
                        "Failed calls, last hour",
                        "The share of calls that failed through our fault. Refused requests do not count.",
                        failed_share("1h"),
                    )
                    .limit(1.0 - SUCCESS),
                    number(
                        Unit::Short,
                        "Instances",
                        "Processes of functions that run. At zero, nobody has called for half a minute.",
                        "sum(zerocart_instances)",
                    ),
                    number(
                        Unit::Short,
                        "Alerts",
                        "Alerts that fire. Their runbooks are in docs/operations/alerts.md.",
                        "count(ALERTS{alertstate=\"firing\"}) or vector(0)",
                    )
                    .limit(1.0),
                ],
            ),
            row(
                "Calls",
                vec![
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Calls by function",
                        "All calls: answered, refused and failed ones.",
                        vec![target(
                            "{{function}}",
                            "sum by (function) (rate(zerocart_calls_total{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                    lines(
                        Unit::PerSecond,
                        THIRD,
                        "Failed calls by function and code",
                        "Calls that failed through our fault. `zerocart traces --errors` shows some of them.",
                        vec![target("{{function}} {{code}}", failed)],
                    ),
                    lines(
                        Unit::Seconds,
                        THIRD,
                        "99th percentile by function",
                        "One call in a hundred took longer, over the last 5 minutes.",
                        vec![target(
                            "{{function}}",
                            "histogram_quantile(0.99, function:zerocart_call_duration_seconds_bucket:rate5m{function=~\"$function\"})",
                        )],
                    ),
                ],
            ),
            row(
                "Instances",
                vec![
                    stack(
                        Unit::Short,
                        THIRD,
                        "Instances by function",
                        "On a cluster, Knative and kube-state-metrics count the pods instead.",
                        vec![target(
                            "{{function}}",
                            "sum by (function) (zerocart_instances{function=~\"$function\"})",
                        )],
                    ),
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Cold starts by function",
                        "Calls for which a process had to start.",
                        vec![target(
                            "{{function}}",
                            "sum by (function) (rate(zerocart_cold_starts_total{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                    breakers(THIRD),
                ],
            ),
            row(
                "Jobs and telemetry",
                vec![
                    lines(
                        Unit::PerSecond,
                        HALF,
                        "Runs of jobs",
                        "Each job runs once a minute. An error_type stands for a run that failed.",
                        vec![target(
                            "{{job}} {{error_type}}",
                            "sum by (job, error_type) (rate(zerocart_job_runs_total[$__rate_interval]))",
                        )],
                    ),
                    lines(
                        Unit::PerSecond,
                        HALF,
                        "Telemetry",
                        "Spans that were counted, and what was lost: lines that could not be read, and spans that \
                         were not forwarded.",
                        vec![
                            target("spans", "sum(rate(zerocart_telemetry_spans_total[$__rate_interval]))"),
                            target(
                                "bad lines",
                                "sum(rate(zerocart_telemetry_bad_lines_total[$__rate_interval]))",
                            ),
                            target(
                                "dropped spans",
                                "sum(rate(zerocart_telemetry_dropped_spans_total[$__rate_interval]))",
                            ),
                        ],
                    ),
                ],
            ),
        ],
    }
}
