//! PostgreSQL, as functions and the session broker see it.

use super::{
    Board, Unit,
    parts::{HALF, THIRD, lines, number, percentiles, row, stack, target},
};
use crate::goals::SESSIONS;

pub(super) fn board() -> Board {
    Board {
        name: "database",
        title: "zerocart: database",
        about: "Is there room for more sessions, and which statements are slow? The numbers of sessions are those of \
                the local engine's broker, which a cluster does not have. Jobs count the connections of the server on \
                every engine.",
        chooses: true,
        rows: vec![
            row(
                "Now",
                vec![
                    number(
                        Unit::Share,
                        "Sessions in use",
                        "Sessions that functions have, of all that the server may give them.",
                        "sum(zerocart_database_sessions{state=\"lent\"}) / sum(zerocart_database_sessions_budget)",
                    )
                    .limit(SESSIONS),
                    number(
                        Unit::Share,
                        "Fullest role",
                        "The largest share that a role uses of its own sessions.",
                        "max(role:zerocart_database_sessions:used)",
                    )
                    .limit(SESSIONS),
                    number(
                        Unit::Short,
                        "Clients that wait",
                        "Processes that wait for a session of the broker.",
                        "sum(zerocart_database_sessions_waiting)",
                    )
                    .limit(1.0),
                    number(
                        Unit::PerSecond,
                        "Statements",
                        "Those of all functions; several in one round trip are one.",
                        "sum(rate(zerocart_database_statements_total[$__rate_interval]))",
                    ),
                ],
            ),
            row(
                "Sessions",
                vec![
                    stack(
                        Unit::Short,
                        THIRD,
                        "Sessions by role",
                        "Idle ones wait for the next function.",
                        vec![target(
                            "{{role}} {{state}}",
                            "sum by (role, state) (zerocart_database_sessions)",
                        )],
                    ),
                    lines(
                        Unit::Share,
                        THIRD,
                        "Use of each role's sessions",
                        "A role's limit is for two revisions of all its functions at full scale.",
                        vec![target("{{role}}", "role:zerocart_database_sessions:used")],
                    )
                    .limit(SESSIONS),
                    lines(
                        Unit::Short,
                        THIRD,
                        "Waiting clients by role",
                        "A client that waits for 2 s is refused (SQLSTATE 53300).",
                        vec![target(
                            "{{role}}",
                            "sum by (role) (zerocart_database_sessions_waiting)",
                        )],
                    ),
                ],
            ),
            row(
                "Connections",
                vec![
                    lines(
                        Unit::Share,
                        HALF,
                        "Use of the server's connections",
                        "Of all that the server takes, counted by each run of a job in the server of its domain.",
                        vec![target(
                            "{{job}}",
                            "zerocart_database_connections / zerocart_database_connections_limit",
                        )],
                    )
                    .limit(SESSIONS),
                    lines(
                        Unit::Short,
                        HALF,
                        "Connections of the server",
                        "Of all databases and all programs.",
                        vec![target("{{job}}", "zerocart_database_connections")],
                    ),
                ],
            ),
            row(
                "Statements",
                vec![
                    lines(
                        Unit::Seconds,
                        THIRD,
                        "Slowest statements",
                        "The 99th percentile of the ten slowest.",
                        vec![target(
                            "{{statement}}",
                            "topk(10, histogram_quantile(0.99, sum by (statement, le) \
                             (rate(zerocart_database_statement_duration_seconds_bucket{function=~\"$function\"}[$__rate_interval]))))",
                        )],
                    ),
                    lines(
                        Unit::Share,
                        THIRD,
                        "Where the time goes",
                        "The time of all runs of a statement, in each second.",
                        vec![target(
                            "{{statement}}",
                            "topk(10, sum by (statement) \
                             (rate(zerocart_database_statement_duration_seconds_sum{function=~\"$function\"}[$__rate_interval])))",
                        )],
                    ),
                    lines(
                        Unit::PerSecond,
                        THIRD,
                        "Failed statements",
                        "By function and SQLSTATE.",
                        vec![target(
                            "{{function}} {{error_type}}",
                            "sum by (function, error_type) (rate(zerocart_database_statements_total{function=~\"$function\", error_type!=\"\"}[$__rate_interval]))",
                        )],
                    ),
                ],
            ),
            row(
                "Waiting",
                vec![
                    percentiles(
                        HALF,
                        "Wait of calls for a session",
                        "Of the calls that had to wait.",
                        "zerocart_database_session_wait_seconds_bucket{function=~\"$function\"}",
                    ),
                    lines(
                        Unit::PerSecond,
                        HALF,
                        "Calls that waited for a session",
                        "Many of them: the pool of an instance is too small, or sessions are rare.",
                        vec![target(
                            "{{function}}",
                            "sum by (function) (rate(zerocart_database_session_wait_seconds_count{function=~\"$function\"}[$__rate_interval]))",
                        )],
                    ),
                ],
            ),
        ],
    }
}
