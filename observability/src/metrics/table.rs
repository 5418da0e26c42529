//! The table.

use super::{
    Condition::{self, Has, Is, IsTrue, Kind as SpanOf, Lacks, Name},
    Field::{self, Attribute},
    Kind::{self, Counter, Gauge, Histogram},
    Label, Metric, Source, SpanKind,
    Unit::{self, Bytes, Seconds},
    Value,
};

/// The phases of a start, by the names of their spans: those of Knative and Kubernetes, those of the local
/// engine's activator, and those of the function.
const PHASES: &[&str] = &[
    "create pod",
    "schedule pod",
    "make sandbox",
    "start containers",
    "queued",
    "spawn process",
    "wait until ready",
    "process start",
    "listen",
    "first database session",
];

/// The states of a circuit breaker, in the order of their numbers.
const BREAKER_STATES: &[&str] = &["closed", "half_open", "open"];

// Conditions.

const CALL: &[Condition] = &[SpanOf(SpanKind::Server), Has("zerocart.code")];
const COLD_CALL: &[Condition] = &[
    SpanOf(SpanKind::Server),
    Has("zerocart.code"),
    IsTrue("faas.coldstart"),
];
// The activator's span of a request names the function, too, but no RPC.
const ATTEMPT: &[Condition] = &[
    SpanOf(SpanKind::Client),
    Has("faas.invoked_name"),
    Has("rpc.service"),
];
const RETRY: &[Condition] = &[
    SpanOf(SpanKind::Client),
    Has("faas.invoked_name"),
    Has("rpc.service"),
    Has("http.request.resend_count"),
];
// All callers of a domain share the state, so it belongs to none of them.
const TRANSITION: &[Condition] = &[Has("zerocart.breaker.from")];
const STATEMENT: &[Condition] = &[Has("db.query.summary")];
const SESSION_WAIT: &[Condition] = &[Has("db.system.name"), Lacks("db.query.summary")];
// The span of a driver has a step, too: where the order stands.
const STEP: &[Condition] = &[Has("zerocart.saga.step"), Lacks("zerocart.order.status")];
const ORDER: &[Condition] = &[
    Has("zerocart.order.status"),
    Is("zerocart.saga.step", "ended"),
];
const UNFINISHED: &[Condition] = &[Has("zerocart.orders.unfinished")];
const UNFINISHED_AGE: &[Condition] = &[Has("zerocart.orders.unfinished_age")];
const CONNECTIONS: &[Condition] = &[Has("zerocart.database.connections")];
const CONNECTIONS_LIMIT: &[Condition] = &[Has("zerocart.database.connections_limit")];
const REPLY: &[Condition] = &[Has("zerocart.provider.reply")];
const JOB: &[Condition] = &[Is("faas.trigger", "timer")];
const PHASE: &[Condition] = &[Name(PHASES)];

// Labels.

const fn label(name: &'static str, from: &'static [Field]) -> Label {
    Label { name, from }
}

const FUNCTION: Label = label("function", &[Field::Service]);
const JOB_NAME: Label = label("job", &[Field::Service]);
const PROTOCOL: Label = label("protocol", &[Attribute("zerocart.protocol")]);
const CODE: Label = label("code", &[Attribute("zerocart.code")]);
const CALLEE: Label = label("callee", &[Attribute("faas.invoked_name")]);
const BREAKER_NAME: Label = label("callee", &[Attribute("zerocart.breaker.name")]);
const ERROR_TYPE: Label = label("error_type", &[Attribute("error.type")]);
const STATEMENT_NAME: Label = label("statement", &[Attribute("db.query.summary")]);
const OPERATION: Label = label("operation", &[Attribute("zerocart.provider.operation")]);

const fn told(name: &'static str) -> Label {
    label(name, &[])
}

// Metrics.

const fn count(
    name: &'static str,
    help: &'static str,
    labels: &'static [Label],
    conditions: &'static [Condition],
) -> Metric {
    Metric {
        name,
        kind: Counter,
        unit: Unit::None,
        help,
        labels,
        source: Source::Spans {
            conditions,
            value: Value::One,
        },
    }
}

const fn measure(
    name: &'static str,
    help: &'static str,
    labels: &'static [Label],
    conditions: &'static [Condition],
) -> Metric {
    Metric {
        name,
        kind: Histogram,
        unit: Seconds,
        help,
        labels,
        source: Source::Spans {
            conditions,
            value: Value::Duration,
        },
    }
}

const fn newest(
    (name, unit): (&'static str, Unit),
    help: &'static str,
    labels: &'static [Label],
    conditions: &'static [Condition],
    value: Value,
) -> Metric {
    Metric {
        name,
        kind: Gauge,
        unit,
        help,
        labels,
        source: Source::Spans { conditions, value },
    }
}

const fn own(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Metric {
    Metric {
        name,
        kind,
        unit,
        help,
        labels: &[],
        source: Source::Collector,
    }
}

const fn state(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [Label],
) -> Metric {
    Metric {
        name,
        kind,
        unit: Unit::None,
        help,
        labels,
        source: Source::Engine,
    }
}

/// All metrics, in the order in which they are shown.
pub const ALL: &[Metric] = &[
    count(
        "calls",
        "Calls of functions that were answered or given up; the code is a gRPC status by name",
        &[FUNCTION, PROTOCOL, CODE],
        CALL,
    ),
    count(
        "cold_starts",
        "Calls for which a process had to start",
        &[FUNCTION],
        COLD_CALL,
    ),
    count(
        "attempts",
        "Attempts of calls to other functions; error_type is empty for an answer",
        &[
            FUNCTION,
            CALLEE,
            ERROR_TYPE,
            label("breaker_state", &[Attribute("zerocart.breaker.state")]),
        ],
        ATTEMPT,
    ),
    count(
        "retries",
        "Attempts that followed a failed one",
        &[FUNCTION, CALLEE],
        RETRY,
    ),
    count(
        "breaker_transitions",
        "Changes of the state of a circuit breaker; the function is the one that caused them",
        &[
            FUNCTION,
            BREAKER_NAME,
            label("from", &[Attribute("zerocart.breaker.from")]),
            label("to", &[Attribute("zerocart.breaker.state")]),
        ],
        TRANSITION,
    ),
    newest(
        ("breaker_state", Unit::None),
        "The state of a circuit breaker since its last change: 0 closed, 1 half-open, 2 open",
        &[BREAKER_NAME],
        TRANSITION,
        Value::Place("zerocart.breaker.state", BREAKER_STATES),
    ),
    count(
        "database_statements",
        "Statements by name, or several in one round trip; error_type is empty or an SQLSTATE",
        &[FUNCTION, STATEMENT_NAME, ERROR_TYPE],
        STATEMENT,
    ),
    count(
        "saga_steps",
        "Steps of orders",
        &[
            label("step", &[Field::Name]),
            // A step that was given up has an error in the place of an outcome.
            label(
                "outcome",
                &[Attribute("zerocart.saga.outcome"), Attribute("error.type")],
            ),
        ],
        STEP,
    ),
    count(
        "orders",
        "Orders that reached this status with nothing left to do",
        &[
            label("status", &[Attribute("zerocart.order.status")]),
            label("cause", &[Attribute("zerocart.order.cause")]),
        ],
        ORDER,
    ),
    newest(
        ("orders_unfinished", Unit::None),
        "Orders that had not ended when recover-orders began its last run",
        &[],
        UNFINISHED,
        Value::Attribute("zerocart.orders.unfinished"),
    ),
    newest(
        ("orders_unfinished_age", Seconds),
        "The longest time that one of them has been in its step, or 0",
        &[],
        UNFINISHED_AGE,
        Value::Attribute("zerocart.orders.unfinished_age"),
    ),
    newest(
        ("database_connections", Unit::None),
        "Connections of the PostgreSQL server when a job began its last run; each job asks that of its domain",
        &[JOB_NAME],
        CONNECTIONS,
        Value::Attribute("zerocart.database.connections"),
    ),
    newest(
        ("database_connections_limit", Unit::None),
        "The most connections that this server takes, without those for its administrator",
        &[JOB_NAME],
        CONNECTIONS_LIMIT,
        Value::Attribute("zerocart.database.connections_limit"),
    ),
    count(
        "payment_provider_replies",
        "Replies of the payment provider",
        &[
            OPERATION,
            label("reply", &[Attribute("zerocart.provider.reply")]),
        ],
        REPLY,
    ),
    count(
        "job_runs",
        "Runs of jobs; error_type is empty for success",
        &[JOB_NAME, ERROR_TYPE],
        JOB,
    ),
    measure(
        "call_duration",
        "Duration of calls",
        &[FUNCTION, PROTOCOL],
        CALL,
    ),
    measure(
        "cold_start_phase_duration",
        "Duration of the phases of a start",
        &[
            // A phase that the activator records names the function that starts.
            label(
                "function",
                &[Attribute("faas.invoked_name"), Field::Service],
            ),
            label("phase", &[Field::Name]),
        ],
        PHASE,
    ),
    measure(
        "attempt_duration",
        "Duration of attempts",
        &[FUNCTION, CALLEE],
        ATTEMPT,
    ),
    measure(
        "database_statement_duration",
        "Duration of statements",
        &[FUNCTION, STATEMENT_NAME],
        STATEMENT,
    ),
    measure(
        "database_session_wait",
        "Time that calls waited for a session of the database, if they had to",
        &[FUNCTION],
        SESSION_WAIT,
    ),
    measure(
        "payment_provider_duration",
        "Duration of requests to the payment provider",
        &[OPERATION],
        REPLY,
    ),
    measure("job_duration", "Duration of runs of jobs", &[JOB_NAME], JOB),
    own(
        "telemetry_spans",
        Counter,
        Unit::None,
        "Spans that were counted",
    ),
    own(
        "telemetry_bad_lines",
        Counter,
        Unit::None,
        "Lines of telemetry that could not be read",
    ),
    own(
        "telemetry_forwarded_spans",
        Counter,
        Unit::None,
        "Spans that the receiver of --otlp took",
    ),
    own(
        "telemetry_dropped_spans",
        Counter,
        Unit::None,
        "Spans that were not forwarded",
    ),
    own("telemetry_ring", Gauge, Bytes, "Memory of the kept spans"),
    own(
        "telemetry_ring_spans",
        Gauge,
        Unit::None,
        "Spans that are kept",
    ),
    state(
        "instances",
        Gauge,
        "Instances of functions; the state is starting, ready or stopping",
        &[told("function"), told("state")],
    ),
    state(
        "instances_limit",
        Gauge,
        "The most instances that a function may have",
        &[told("function")],
    ),
    state(
        "requests_held",
        Gauge,
        "Requests that wait for an instance",
        &[told("function")],
    ),
    state(
        "crashes",
        Counter,
        "Instances that ended without being asked to, or failed to start",
        &[told("function")],
    ),
    state(
        "database_sessions",
        Gauge,
        "Sessions of PostgreSQL; the state is lent or idle",
        &[told("role"), told("state")],
    ),
    state(
        "database_sessions_limit",
        Gauge,
        "The most sessions that a role may have at once",
        &[told("role")],
    ),
    state(
        "database_sessions_waiting",
        Gauge,
        "Clients that wait for a session",
        &[told("role")],
    ),
    state(
        "database_sessions_budget",
        Gauge,
        "The most sessions of all roles together",
        &[],
    ),
];
