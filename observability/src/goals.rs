//! What is promised, and the limits that boards draw and alerts watch. Each is decided here, once.

/// The share of calls that are to succeed: 99.9 % in 30 days. A call fails if the fault is on our side
/// ([`FAILURES`]). A refused request is the client's error.
pub const SUCCESS: f64 = 0.999;

/// The codes of calls that failed, as a regular expression of PromQL: those with which a server's span has failed by
/// OpenTelemetry's conventions. Functions themselves answer neither UNKNOWN nor DATA_LOSS; what is between them and
/// a client might.
pub const FAILURES: &str = "UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS";

/// The 90th percentile of each phase of a start that a function itself sees, in seconds: more is slow on any machine.
pub const COLD_START_PHASE_S: f64 = 0.05;

/// How many times as long as a day before such a phase may take, if it takes at least [`COLD_START_NOTICED_S`]. The
/// absolute limit alone would find no regression: on an idle machine `process start` takes half a millisecond.
pub const COLD_START_REGRESSION: f64 = 3.0;

/// Below this time, in seconds, a slower phase is of no matter: the buckets are too coarse to compare it.
pub const COLD_START_NOTICED_S: f64 = 0.0025;

/// How long an order may stay in one step, in seconds. The longest step, a charge, takes 10 s; a driver that
/// crashed is followed by another one within a minute or so.
pub const ORDER_STEP_S: f64 = 300.0;

/// The share of the database's sessions that may be in use.
pub const SESSIONS: f64 = 0.8;

/// How fast the budget of errors may be used up, and for how long: 1 is a speed that uses it up in 30 days. An
/// alert needs both windows: the long one says that it matters, the short one that it still happens.
#[derive(Clone, Copy, Debug)]
pub struct Burn {
    /// The name in the alert's name.
    pub name: &'static str,
    /// How many times as fast as the budget allows.
    pub speed: f64,
    /// The long window.
    pub long: &'static str,
    /// The short window.
    pub short: &'static str,
    /// Whether somebody is woken.
    pub severity: Severity,
}

/// Speeds and windows. At the first, an hour uses up 2 % of the budget of 30 days, at the second 6 hours 5 %, at
/// the third 3 days 10 %.
pub const BURNS: [Burn; 3] = [
    Burn {
        name: "Fast",
        speed: 14.4,
        long: "1h",
        short: "5m",
        severity: Severity::Page,
    },
    Burn {
        name: "Slow",
        speed: 6.0,
        long: "6h",
        short: "30m",
        severity: Severity::Page,
    },
    Burn {
        name: "Creeping",
        speed: 1.0,
        long: "3d",
        short: "6h",
        severity: Severity::Ticket,
    },
];

/// How soon a person must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody is woken.
    Page,
    /// Somebody looks at it in working hours.
    Ticket,
}

impl Severity {
    /// The value of the label `severity`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}
