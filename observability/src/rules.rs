//! Recording rules and alerts, for Prometheus.

use crate::goals::{
    BURNS, COLD_START_NOTICED_S, COLD_START_PHASE_S, COLD_START_REGRESSION, FAILURES, ORDER_STEP_S,
    SESSIONS, SUCCESS, Severity,
};

/// Where the runbooks are.
pub const RUNBOOKS: &str = "docs/operations/alerts.md";

/// A series that Prometheus computes ahead, because several alerts and panels need it or because it is costly.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its name: `level:metric:operations`.
    pub name: String,
    /// Its expression.
    pub expr: String,
}

/// An alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its name, which is the heading of its runbook, too.
    pub name: String,
    /// The expression, which has series while something is wrong.
    pub expr: String,
    /// For how long that must last.
    pub lasts: &'static str,
    /// How soon a person must look.
    pub severity: Severity,
    /// What is wrong, in one sentence, with `{{ $labels.… }}` and `{{ $value }}`.
    pub summary: &'static str,
}

impl Alert {
    /// Where its runbook is.
    #[must_use]
    pub fn runbook(&self) -> String {
        format!("{RUNBOOKS}#{}", self.name.to_lowercase())
    }
}

/// The series that has the share of failed calls in a window such as `5m`.
#[must_use]
pub fn failed_share(window: &str) -> String {
    format!("zerocart:calls_failed:ratio_rate{window}")
}

/// The recording rules.
#[must_use]
pub fn recordings() -> Vec<Recording> {
    let mut recordings = Vec::new();
    let mut windows: Vec<&str> = BURNS
        .iter()
        .flat_map(|burn| [burn.short, burn.long])
        .collect();
    windows.dedup();
    for window in windows {
        // Without failures there is no series of them, and the share is 0.
        let expr = format!(
            "(sum(rate(zerocart_calls_total{{code=~\"{FAILURES}\"}}[{window}])) or vector(0)) \
             / sum(rate(zerocart_calls_total[{window}]))"
        );
        let name = failed_share(window);
        if !recordings
            .iter()
            .any(|known: &Recording| known.name == name)
        {
            recordings.push(Recording { name, expr });
        }
    }
    for (name, expr) in [
        (
            "function:zerocart_call_duration_seconds_bucket:rate5m",
            "sum by (function, le) (rate(zerocart_call_duration_seconds_bucket[5m]))",
        ),
        (
            "function_phase:zerocart_cold_start_phase_duration_seconds:p90_30m",
            "histogram_quantile(0.9, sum by (function, phase, le) \
             (rate(zerocart_cold_start_phase_duration_seconds_bucket[30m])))",
        ),
        (
            "role:zerocart_database_sessions:used",
            "sum by (role) (zerocart_database_sessions{state=\"lent\"}) \
             / sum by (role) (zerocart_database_sessions_limit)",
        ),
    ] {
        recordings.push(Recording {
            name: name.to_owned(),
            expr: expr.to_owned(),
        });
    }
    recordings
}

/// The 90th percentile of the phases of a start that the function itself sees.
const OWN_PHASES: &str = "function_phase:zerocart_cold_start_phase_duration_seconds:p90_30m\
                          {phase=~\"process start|listen|first database session\"}";

/// The alerts.
#[must_use]
pub fn alerts() -> Vec<Alert> {
    let mut alerts: Vec<_> = BURNS
        .iter()
        .map(|burn| {
            let (long, short) = (failed_share(burn.long), failed_share(burn.short));
            let budget = budget();
            let speed = burn.speed;
            Alert {
                name: format!("ErrorBudgetBurn{}", burn.name),
                expr: format!("{long} > {speed} * {budget} and {short} > {speed} * {budget}"),
                lasts: "2m",
                severity: burn.severity,
                summary: "{{ $value | humanizePercentage }} of all calls fail",
            }
        })
        .collect();
    let alert = |name: &str, expr: String, lasts, severity, summary| Alert {
        name: name.to_owned(),
        expr,
        lasts,
        severity,
        summary,
    };
    alerts.extend([
        alert(
            "OrderStuck",
            format!("max(zerocart_orders_unfinished_age_seconds) > {ORDER_STEP_S}"),
            "2m",
            Severity::Page,
            "An order has been in one step for {{ $value | humanizeDuration }}",
        ),
        alert(
            "JobFails",
            "sum by (job) (increase(zerocart_job_runs_total{error_type!=\"\"}[15m])) > 2".to_owned(),
            "0m",
            Severity::Page,
            "The job {{ $labels.job }} failed {{ $value | humanize }} times in 15 minutes",
        ),
        alert(
            "BreakerOpen",
            "max by (callee) (zerocart_breaker_state) > 0".to_owned(),
            "1m",
            Severity::Page,
            "The circuit breaker around {{ $labels.callee }} is not closed",
        ),
        alert(
            "ColdStartSlow",
            format!(
                "{OWN_PHASES} > {COLD_START_PHASE_S} or ({OWN_PHASES} > {COLD_START_NOTICED_S} \
                 and {OWN_PHASES} > {COLD_START_REGRESSION} * {OWN_PHASES} offset 1d)"
            ),
            "10m",
            Severity::Ticket,
            "{{ $labels.function }} takes {{ $value | humanizeDuration }} for its phase {{ $labels.phase }}",
        ),
        alert(
            "DatabaseSessionsNearLimit",
            format!("role:zerocart_database_sessions:used > {SESSIONS}"),
            "5m",
            Severity::Page,
            "{{ $labels.role }} uses {{ $value | humanizePercentage }} of its sessions of the database",
        ),
        alert(
            "DatabaseSessionsNearBudget",
            format!(
                "sum(zerocart_database_sessions{{state=\"lent\"}}) \
                 / sum(zerocart_database_sessions_budget) > {SESSIONS}"
            ),
            "5m",
            Severity::Page,
            "All functions together use {{ $value | humanizePercentage }} of the sessions of the database",
        ),
        alert(
            "DatabaseConnectionsNearLimit",
            format!(
                "max by (job) (zerocart_database_connections / zerocart_database_connections_limit) \
                 > {SESSIONS}"
            ),
            "5m",
            Severity::Page,
            "{{ $value | humanizePercentage }} of the connections are in use that the server of {{ $labels.job }} takes",
        ),
        alert(
            "TelemetryIncomplete",
            "increase(zerocart_telemetry_bad_lines_total[10m]) > 0 \
             or increase(zerocart_telemetry_dropped_spans_total[10m]) > 0 \
             or increase({__name__=~\"otelcol_exporter_(send|enqueue)_failed_spans(_total)?\"}[10m]) > 0"
                .to_owned(),
            "0m",
            Severity::Ticket,
            "{{ $value | humanize }} lines or spans were lost in 10 minutes",
        ),
    ]);
    alerts
}

/// The share of calls that may fail, without the noise of binary fractions.
fn budget() -> f64 {
    ((1.0 - SUCCESS) * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_is_recorded_once() {
        let names: Vec<_> = recordings().into_iter().map(|rule| rule.name).collect();
        for burn in BURNS {
            for window in [burn.long, burn.short] {
                let share = failed_share(window);
                assert_eq!(names.iter().filter(|name| **name == share).count(), 1);
            }
        }
        assert_eq!(
            alerts()[0].expr,
            "zerocart:calls_failed:ratio_rate1h > 14.4 * 0.001 \
             and zerocart:calls_failed:ratio_rate5m > 14.4 * 0.001"
        );
    }
}
