//! What boards are put together from.

use super::{Panel, Row, Shape, Target, Unit};

pub(super) const HALF: u8 = 12;
pub(super) const THIRD: u8 = 8;
pub(super) const QUARTER: u8 = 6;

pub(super) fn row(title: &'static str, panels: Vec<Panel>) -> Row {
    Row { title, panels }
}

pub(super) fn target(legend: &'static str, expr: impl Into<String>) -> Target {
    Target {
        expr: expr.into(),
        legend,
        exemplars: false,
    }
}

fn panel(
    shape: Shape,
    unit: Unit,
    width: u8,
    title: &'static str,
    about: &'static str,
    targets: Vec<Target>,
) -> Panel {
    Panel {
        title,
        about,
        shape,
        unit,
        targets,
        limit: None,
        width,
    }
}

pub(super) fn lines(
    unit: Unit,
    width: u8,
    title: &'static str,
    about: &'static str,
    targets: Vec<Target>,
) -> Panel {
    panel(Shape::Lines, unit, width, title, about, targets)
}

pub(super) fn stack(
    unit: Unit,
    width: u8,
    title: &'static str,
    about: &'static str,
    targets: Vec<Target>,
) -> Panel {
    panel(Shape::Stack, unit, width, title, about, targets)
}

pub(super) fn number(
    unit: Unit,
    title: &'static str,
    about: &'static str,
    expr: impl Into<String>,
) -> Panel {
    let targets = vec![target("", expr)];
    panel(Shape::Number, unit, QUARTER, title, about, targets)
}

/// The median, and the 90th and 99th percentile, of a histogram in seconds. Its traces are shown with them.
pub(super) fn percentiles(
    width: u8,
    title: &'static str,
    about: &'static str,
    series: &str,
) -> Panel {
    let of = |legend, quantile: f64| Target {
        exemplars: true,
        ..target(
            legend,
            format!(
                "histogram_quantile({quantile}, sum by (le) (rate({series}[$__rate_interval])))"
            ),
        )
    };
    let targets = vec![of("p50", 0.5), of("p90", 0.9), of("p99", 0.99)];
    lines(Unit::Seconds, width, title, about, targets)
}

/// A distribution.
pub(super) fn heatmap(width: u8, title: &'static str, about: &'static str, series: &str) -> Panel {
    let expr = format!("sum by (le) (increase({series}[$__rate_interval]))");
    let targets = vec![Target {
        exemplars: true,
        ..target("{{le}}", expr)
    }];
    panel(Shape::Heatmap, Unit::Seconds, width, title, about, targets)
}

/// The states of circuit breakers.
pub(super) fn breakers(width: u8) -> Panel {
    panel(
        Shape::Breakers,
        Unit::Short,
        width,
        "Circuit breakers",
        "The state of each breaker since its last change. Those that never changed are closed, and not shown. \
         `database` is the one of the product functions around their database.",
        vec![target(
            "{{callee}}",
            "max by (callee) (zerocart_breaker_state)",
        )],
    )
}

impl Panel {
    pub(super) fn limit(self, limit: f64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }
}
