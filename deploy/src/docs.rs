//! Tables of the docs, made from `proto/` and from the definitions of metrics and alerts.

use std::fmt::Write as _;

use zerocart_proto::rpc::{Info, Role};

use zerocart_observability::{
    metrics::{ALL, Metric, Source},
    rules,
};

use crate::{Output, Unit};

/// The region `rpcs` of README.md, and those of docs/telemetry.md: functions, metrics and alerts.
pub fn render(units: &[Unit]) -> Vec<Output> {
    let mut text = "\n| RPC | route | who |\n|---|---|---|\n".to_owned();
    for rpc in units.iter().filter_map(|unit| unit.rpc.as_ref()) {
        let _ = writeln!(
            text,
            "| {} | {} {} | {} |",
            rpc.grpc_path.trim_start_matches('/'),
            rpc.http_method,
            rpc.http_path,
            who(rpc)
        );
    }
    text.push('\n');
    let metrics =
        |region, is: fn(&Source) -> bool| Output::region("docs/telemetry.md", region, metrics(is));
    vec![
        Output::region("README.md", "rpcs", text),
        metrics("metrics of spans", |source| {
            matches!(source, Source::Spans { .. })
        }),
        metrics("metrics of the engine", |source| {
            matches!(source, Source::Engine)
        }),
        metrics("metrics of the collector", |source| {
            matches!(source, Source::Collector)
        }),
        Output::region("docs/telemetry.md", "alerts", alerts()),
    ]
}

/// The metrics of this source, as a table.
fn metrics(is: fn(&Source) -> bool) -> String {
    let mut text = "\n| name | kind | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for metric in ALL.iter().filter(|metric| is(&metric.source)) {
        let Metric {
            kind, labels, help, ..
        } = metric;
        let labels: Vec<_> = labels.iter().map(|label| label.name).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {help} |",
            metric.prometheus_name(),
            format!("{kind:?}").to_lowercase(),
            labels.join(", "),
        );
    }
    text.push('\n');
    text
}

/// The alerts, as a table with links to their runbooks.
fn alerts() -> String {
    let mut text =
        "\n| alert | severity | fires when this lasts | for |\n|---|---|---|---|\n".to_owned();
    for alert in rules::alerts() {
        let runbook = alert.runbook();
        let _ = writeln!(
            text,
            "| [{}]({}) | {} | `{}` | {} |",
            alert.name,
            runbook.trim_start_matches("docs/"),
            alert.severity.name(),
            alert.expr.replace('|', "\\|"),
            alert.lasts,
        );
    }
    text.push('\n');
    text
}

/// Who may call it, in the words of the contract.
fn who(rpc: &Info) -> String {
    let access = &rpc.access;
    let mut words = Vec::new();
    if access.anyone {
        words.push("anyone");
    }
    if access.self_field.is_some() {
        words.push("that user");
    }
    if access.owner {
        words.push("its owner");
    }
    for role in access.roles {
        words.push(match role {
            Role::Customer => "customer",
            Role::Admin => "admin",
            Role::Service => "service",
        });
    }
    words.join(", ")
}
