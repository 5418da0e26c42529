//! Starts from zero.

use super::{
    Board, Unit,
    parts::{HALF, THIRD, heatmap, lines, number, row, stack, target},
};
use crate::goals::COLD_START_PHASE_S;

const PHASES: &str = "zerocart_cold_start_phase_duration_seconds_bucket{function=~\"$function\"}";

pub(super) fn board() -> Board {
    let quantile = |quantile: f64| {
        format!(
            "histogram_quantile({quantile}, sum by (phase, le) (rate({PHASES}[$__rate_interval])))"
        )
    };
    Board {
        name: "cold-starts",
        title: "zerocart: cold starts",
        about: "How often does a call wait for a process, and where does the time go?",
        chooses: true,
        rows: vec![
            row(
                "Now",
                vec![
                    number(
                        Unit::PerSecond,
                        "Cold starts",
                        "Calls for which a process had to start.",
                        "sum(rate(zerocart_cold_starts_total{function=~\"$function\"}[$__rate_interval]))",
                    ),
                    number(
                        Unit::Share,
                        "Share of calls",
                        "Of the calls of the last hour.",
                        "sum(rate(zerocart_cold_starts_total{function=~\"$function\"}[1h])) \
                         / sum(rate(zerocart_calls_total{function=~\"$function\"}[1h]))",
                    ),
                    number(
                        Unit::Short,
                        "Requests that wait",
                        "Requests for which no instance is ready.",
                        "sum(zerocart_requests_held{function=~\"$function\"})",
                    ),
                    number(
                        Unit::Short,
                        "Crashes, last hour",
                        "Instances that ended without being asked to, or failed to start.",
                        "sum(increase(zerocart_crashes_total{function=~\"$function\"}[1h]))",
                    )
                    .limit(1.0),
                ],
            ),
            row(
                "Phases",
                vec![
                    lines(
                        Unit::Seconds,
                        HALF,
                        "Median of each phase",
                        "`queued`, `spawn process` and `wait until ready` are the activator's; a part of the wait is \
                         the function's `process start` and `listen`. The first session is opened beside the call.",
                        vec![target("{{phase}}", quantile(0.5))],
                    ),
                    lines(
                        Unit::Seconds,
                        HALF,
                        "90th percentile of each phase",
                        "The limit is for the phases of the function itself.",
                        vec![target("{{phase}}", quantile(0.9))],
                    )
                    .limit(COLD_START_PHASE_S),
                ],
            ),
            row(
                "Functions",
                vec![
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Cold starts by function",
                        "A function that starts often may deserve a longer window.",
                        vec![target(
                            "{{function}}",
                            "sum by (function) (rate(zerocart_cold_starts_total{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                    lines(
                        Unit::Seconds,
                        THIRD,
                        "Slowest phases by function",
                        "The 90th percentile over half an hour.",
                        vec![target(
                            "{{function}} {{phase}}",
                            "topk(10, function_phase:zerocart_cold_start_phase_duration_seconds:p90_30m{function=~\"$function\"})",
                        )],
                    ),
                    heatmap(
                        THIRD,
                        "Distribution of process starts",
                        "From exec to the function's own code. Two bands hint at two ways to start, such as with and \
                         without the program in the page cache.",
                        "zerocart_cold_start_phase_duration_seconds_bucket{function=~\"$function\", phase=\"process start\"}",
                    ),
                ],
            ),
        ],
    }
}
