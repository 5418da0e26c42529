//! Orders, payments and what undoes them.

use super::{
    Board, Unit,
    parts::{HALF, THIRD, breakers, lines, number, percentiles, row, stack, target},
};
use crate::goals::ORDER_STEP_S;

pub(super) fn board() -> Board {
    Board {
        name: "orders",
        title: "zerocart: orders",
        about: "Do orders come to an end, and to which?",
        chooses: false,
        rows: vec![
            row(
                "Now",
                vec![
                    number(
                        Unit::PerSecond,
                        "Paid orders",
                        "Orders that became PAID.",
                        "sum(rate(zerocart_orders_total{status=\"PAID\"}[$__rate_interval]))",
                    ),
                    number(
                        Unit::Share,
                        "Paid, of all that ended",
                        "The rest failed or was cancelled. A declined card is an answer, no failure of ours.",
                        "sum(rate(zerocart_orders_total{status=\"PAID\"}[1h])) / sum(rate(zerocart_orders_total[1h]))",
                    ),
                    number(
                        Unit::Short,
                        "Unfinished orders",
                        "Orders that had not ended when recover-orders began its last run. Some are just being made.",
                        "max(zerocart_orders_unfinished)",
                    ),
                    number(
                        Unit::Seconds,
                        "Longest time in one step",
                        "The slowest order's. Above the limit, an order is stuck.",
                        "max(zerocart_orders_unfinished_age_seconds)",
                    )
                    .limit(ORDER_STEP_S),
                ],
            ),
            row(
                "Orders",
                vec![
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Orders by end",
                        "The status with which nothing was left to do, and why an order failed or was cancelled.",
                        vec![target(
                            "{{status}} {{cause}}",
                            "sum by (status, cause) (rate(zerocart_orders_total[$__rate_interval]))",
                        )],
                    ),
                    lines(
                        Unit::PerSecond,
                        THIRD,
                        "Steps by outcome",
                        "A step that is `unavailable` is tried again later.",
                        vec![target(
                            "{{step}} {{outcome}}",
                            "sum by (step, outcome) (rate(zerocart_saga_steps_total[$__rate_interval]))",
                        )],
                    ),
                    lines(
                        Unit::Seconds,
                        THIRD,
                        "Time in one step",
                        "The longest time that an unfinished order has been in its step.",
                        vec![target("", "max(zerocart_orders_unfinished_age_seconds)")],
                    )
                    .limit(ORDER_STEP_S),
                ],
            ),
            row(
                "Payments",
                vec![
                    stack(
                        Unit::PerSecond,
                        THIRD,
                        "Replies of the payment provider",
                        "DECLINED is an answer. Other words than that and the successes are failures of the provider.",
                        vec![target(
                            "{{operation}} {{reply}}",
                            "sum by (operation, reply) (rate(zerocart_payment_provider_replies_total[$__rate_interval]))",
                        )],
                    ),
                    percentiles(
                        THIRD,
                        "Duration of requests to the provider",
                        "The customer waits for a charge.",
                        "zerocart_payment_provider_duration_seconds_bucket",
                    ),
                    breakers(THIRD),
                ],
            ),
            row(
                "Recovery",
                vec![
                    lines(
                        Unit::PerSecond,
                        HALF,
                        "Changes of circuit breakers",
                        "Each change, by the function that caused it.",
                        vec![target(
                            "{{callee}} {{from}} → {{to}}",
                            "sum by (callee, from, to) (rate(zerocart_breaker_transitions_total[$__rate_interval]))",
                        )],
                    ),
                    percentiles(
                        HALF,
                        "Duration of recover-orders",
                        "A run drives all orders that nobody else drives.",
                        "zerocart_job_duration_seconds_bucket{job=\"recover-orders\"}",
                    ),
                ],
            ),
        ],
    }
}
