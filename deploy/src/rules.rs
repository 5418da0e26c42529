//! `observability/alerts.yaml`: recording rules and alerts for Prometheus.

use std::fmt::Write as _;

use serde_json::Value;
use zerocart_observability::rules;

use crate::{Output, text::head};

/// The file of rules.
pub fn render() -> Output {
    let mut text = head("#", "observability/src/rules.rs");
    text.push_str("groups:\n  - name: zerocart-recordings\n    rules:\n");
    for rule in rules::recordings() {
        let (name, expr) = (quoted(&rule.name), quoted(&rule.expr));
        let _ = write!(text, "      - record: {name}\n        expr: {expr}\n");
    }
    text.push_str("  - name: zerocart-alerts\n    rules:\n");
    for alert in rules::alerts() {
        let _ = write!(
            text,
            "      - alert: {name}\n        expr: {expr}\n        for: {lasts}\n        labels:\n          \
             severity: {severity}\n        annotations:\n          summary: {summary}\n          \
             runbook_url: {runbook}\n",
            name = alert.name,
            expr = quoted(&alert.expr),
            lasts = alert.lasts,
            severity = alert.severity.name(),
            summary = quoted(alert.summary),
            runbook = quoted(&alert.runbook()),
        );
    }
    Output::file("observability/alerts.yaml", text)
}

/// A text in quotes: what is JSON is YAML, too.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
        let runbooks = include_str!("../../docs/operations/alerts.md");
        let headings = runbooks.lines().filter_map(|line| line.strip_prefix("## "));
        let alerts: Vec<_> = rules::alerts().into_iter().map(|a| a.name).collect();
        assert_eq!(headings.collect::<Vec<_>>(), alerts);
    }
}
