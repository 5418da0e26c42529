//! `observability/boards`: the boards, as JSON for Grafana.

use serde_json::{Value, json};
use zerocart_observability::boards::{self, Board, Panel, Shape, Unit};

use crate::Output;

/// The version of Grafana's JSON.
const SCHEMA: u32 = 41;

/// What all boards have, so that they find each other.
const TAG: &str = "zerocart";

/// The height of a panel, and that of one with a number.
const HEIGHT: u32 = 8;
const NUMBER_HEIGHT: u32 = 4;

/// The search for traces, in the data source whose id is `traces`.
const TRACES: &str = "/explore?schemaVersion=1&panes=%7B%22a%22%3A%7B%22datasource%22%3A%22traces%22%2C%22\
                      queries%22%3A%5B%7B%22refId%22%3A%22A%22%2C%22queryType%22%3A%22search%22%7D%5D%2C%22\
                      range%22%3A%7B%22from%22%3A%22now-1h%22%2C%22to%22%3A%22now%22%7D%7D%7D";

/// All boards.
pub fn render() -> Vec<Output> {
    let boards = boards::all();
    let files = boards.iter().map(|board| {
        let mut text = format!("{:#}", json(board));
        text.push('\n');
        Output::file(format!("observability/boards/{}.json", board.name), text)
    });
    files.collect()
}

fn json(board: &Board) -> Value {
    let mut panels = Vec::new();
    let mut y = 0;
    for row in &board.rows {
        let id = panels.len() + 1;
        panels.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
        }));
        y += 1;
        let numbers = row.panels.iter().all(|p| p.shape == Shape::Number);
        let height = if numbers { NUMBER_HEIGHT } else { HEIGHT };
        let mut x = 0;
        for panel in &row.panels {
            if x == 24 {
                (x, y) = (0, y + height);
            }
            let place = json!({"h": height, "w": panel.width, "x": x, "y": y});
            panels.push(self::panel(panels.len() + 1, panel, &place));
            x += u32::from(panel.width);
        }
        y += height;
    }
    json!({
        "uid": format!("{TAG}-{}", board.name),
        "title": board.title,
        "description": board.about,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables(board)},
        "annotations": {"list": annotations()},
        "links": [
            {"type": "dashboards", "title": "Boards", "tags": [TAG], "asDropdown": false,
             "includeVars": true, "keepTime": true, "icon": "external link"},
            {"type": "link", "title": "Traces", "url": TRACES, "icon": "bolt", "keepTime": false,
             "tooltip": "Search the traces"},
        ],
        "panels": panels,
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn variables(board: &Board) -> Vec<Value> {
    let mut variables = vec![json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "current": {}, "hide": 0, "refresh": 1,
    })];
    if board.chooses {
        let query = "label_values(zerocart_calls_total, function)";
        variables.push(json!({
            "name": "function", "label": "Function", "type": "query", "datasource": source(),
            "query": {"query": query, "refId": "function"}, "definition": query,
            "multi": true, "includeAll": true, "allValue": ".+",
            "current": {"text": ["All"], "value": ["$__all"]},
            "hide": 0, "refresh": 2, "sort": 1,
        }));
    }
    variables
}

/// Alerts that fire are marked on all panels.
fn annotations() -> Value {
    json!([{
        "name": "Alerts", "datasource": source(), "enable": true, "iconColor": "red",
        "expr": "ALERTS{alertstate=\"firing\"}", "titleFormat": "{{alertname}}", "step": "10s",
    }])
}

fn panel(id: usize, panel: &Panel, place: &Value) -> Value {
    let targets = panel.targets.iter().enumerate().map(|(number, target)| {
        let letter = char::from(b'A' + u8::try_from(number).unwrap_or_default());
        json!({
            "refId": letter.to_string(),
            "datasource": source(),
            "expr": target.expr,
            "legendFormat": target.legend,
            "exemplar": target.exemplars,
            "format": if panel.shape == Shape::Heatmap { "heatmap" } else { "time_series" },
            "range": true,
        })
    });
    let (kind, options) = shape(panel);
    json!({
        "id": id,
        "type": kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": source(),
        "gridPos": place,
        "targets": targets.collect::<Vec<_>>(),
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": options,
    })
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Short => "short",
        Unit::PerSecond => "cps",
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Share => "percentunit",
        Unit::Bytes => "bytes",
    }
}

fn defaults(panel: &Panel) -> Value {
    let mut steps = vec![json!({"color": "green", "value": null})];
    if let Some(limit) = panel.limit {
        steps.push(json!({"color": "red", "value": limit}));
    }
    let limit = if panel.limit.is_some() { "line" } else { "off" };
    let stacked = panel.shape == Shape::Stack;
    let custom = match panel.shape {
        Shape::Lines | Shape::Stack => json!({
            "lineWidth": 1,
            "fillOpacity": if stacked { 30 } else { 0 },
            "stacking": {"mode": if stacked { "normal" } else { "none" }, "group": "A"},
            "thresholdsStyle": {"mode": limit},
        }),
        Shape::Number | Shape::Breakers | Shape::Heatmap => json!({}),
    };
    let mappings = match panel.shape {
        Shape::Breakers => json!([{"type": "value", "options": {
            "0": {"text": "closed", "color": "green"},
            "1": {"text": "half-open", "color": "yellow"},
            "2": {"text": "open", "color": "red"},
        }}]),
        _ => json!([]),
    };
    json!({
        "unit": unit(panel.unit),
        "min": 0,
        "color": {"mode": if panel.shape == Shape::Number { "thresholds" } else { "palette-classic" }},
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": mappings,
        "custom": custom,
    })
}

/// Grafana's name of a shape, and its options.
fn shape(panel: &Panel) -> (&'static str, Value) {
    match panel.shape {
        Shape::Lines | Shape::Stack => (
            "timeseries",
            json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
        ),
        Shape::Number => (
            "stat",
            json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": "value", "graphMode": "area", "textMode": "auto",
            }),
        ),
        Shape::Breakers => (
            "state-timeline",
            json!({"mergeValues": true, "showValue": "auto", "rowHeight": 0.8}),
        ),
        Shape::Heatmap => (
            "heatmap",
            json!({
                "calculate": false,
                "cellGap": 1,
                "yAxis": {"unit": unit(panel.unit)},
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "tooltip": {"mode": "single"},
            }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn panels_do_not_overlap_and_have_what_readers_need() {
        for output in render() {
            let board: Value = serde_json::from_str(&output.text).unwrap();
            let panels = board["panels"].as_array().unwrap();
            let mut taken = BTreeSet::new();
            for panel in panels {
                let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
                for x in place("x")..place("x") + place("w") {
                    for y in place("y")..place("y") + place("h") {
                        assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
                    }
                }
                if panel["type"] != "row" {
                    assert!(!panel["description"].as_str().unwrap().is_empty());
                    assert!(!panel["targets"].as_array().unwrap().is_empty());
                }
            }
            let uses = output.text.contains("$function");
            assert_eq!(uses, output.text.contains("\"name\": \"function\""));
        }
    }
}
