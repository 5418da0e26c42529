//! The diagrams: throughput, latency and breakers over time, with the faults behind them.

use std::{ops::Range, path::Path};

use anyhow::{Result, anyhow, ensure};
use plotters::{
    coord::ranged1d::{AsRangedCoord, ValueFormatter},
    prelude::{
        Cartesian2d, ChartBuilder, ChartContext, Color, IntoDrawingArea, IntoLogRange, LineSeries,
        PathElement, Rectangle, SVGBackend, Text,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    breakers::{Change, Cycle},
    inject::Happened,
    statistics::Second,
};
use crate::{
    plot::{Area, GREY, WIDTH, colour, failed, style},
    stats::quantile,
};

/// The height of a panel, in pixels.
const PANEL: u32 = 300;

/// How much a name of a line needs beside its letters, and for each letter, in pixels.
const LEGEND: (i32, i32) = (46, 8);

/// The heights of the states of a breaker.
const STATES: [(&str, f64); 3] = [("closed", 0.0), ("half_open", 1.0), ("open", 2.0)];

/// Shades of grey behind the time of a fault.
const SHADE: f64 = 0.18;

/// A line of a panel.
struct Line {
    name: &'static str,
    /// The number of its colour.
    colour: usize,
    points: Vec<(f64, f64)>,
}

/// Numbers of colours.
const BLUE: usize = 0;
const ORANGE: usize = 1;
const GREEN: usize = 2;
const PURPLE: usize = 3;

/// What all panels of a diagram share.
struct Panel<'a> {
    faults: &'a [Happened],
    x: Range<f64>,
}

/// Throughput and latency of the whole run.
pub(crate) fn timeline(path: &Path, seconds: &[Second], faults: &[Happened]) -> Result<()> {
    ensure!(!seconds.is_empty(), "there is nothing to draw");
    let panel = Panel {
        faults,
        x: 0.0..seconds.len() as f64,
    };
    let line = |name, colour, of: &dyn Fn(&Second) -> Option<f64>| {
        let points = seconds.iter();
        let points = points.filter_map(|second| Some((second.at_s + 0.5, of(second)?)));
        Line {
            name,
            colour,
            points: points.collect(),
        }
    };
    let mut throughput = [
        line("planned", BLUE, &|s| Some(s.due as f64)),
        line("answered", GREEN, &|s| Some(s.answered as f64)),
        line("failed", ORANGE, &|s| Some(s.failed as f64)),
    ];
    let latency = [
        line("longest", ORANGE, &|s| s.max_ms),
        line("95th percentile", PURPLE, &|s| s.p95_ms),
        line("median", BLUE, &|s| s.p50_ms),
    ];
    let mut orders = [
        line("paid", GREEN, &|s| Some(s.paid as f64)),
        line("declined", PURPLE, &|s| Some(s.declined as f64)),
        line("failed", ORANGE, &|s| Some(s.unpaid as f64)),
    ];
    let root = SVGBackend::new(path, (WIDTH, 3 * PANEL)).into_drawing_area();
    let (upper, rest) = root.split_vertically(PANEL);
    let (middle, lower) = rest.split_vertically(PANEL);
    let requests_title = cut("Requests per second", &mut throughput);
    let orders_title = cut("Orders per second", &mut orders);
    let top = highest(&throughput);
    panel
        .lines(
            &upper,
            (&requests_title, "requests per second"),
            0.0..top,
            throughput,
        )
        .and_then(|()| {
            let all = latency.iter().flat_map(|line| &line.points);
            let bottom = all.map(|(_, ms)| *ms).fold(f64::MAX, f64::min);
            let y = (bottom.max(0.1) * 0.7..highest(&latency)).log_scale();
            let title = "Latency from the planned time, with all repetitions";
            panel.lines(&middle, (title, "latency, ms"), y, latency)
        })
        .and_then(|()| {
            let top = highest(&orders);
            panel.lines(
                &lower,
                (&orders_title, "orders per second"),
                0.0..top,
                orders,
            )
        })
        .and_then(|()| root.present().map_err(|error| anyhow!("{error}")))
        .map_err(|error| failed(path, error))
}

/// A label of an axis: three digits after the point at the most.
fn number(value: &f64) -> String {
    ((value * 1e3).round() / 1e3).to_string()
}

/// Cuts rare peaks, beside which nothing else would be seen; gives the title, which says so.
fn cut(title: &str, lines: &mut [Line]) -> String {
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let usual: Vec<f64> = values().filter(|y| *y > 0.0).collect();
    let top = 2.5 * quantile(&usual, 0.95);
    let highest = values().fold(0.0, f64::max);
    // Without any value the quantile is no number, and nothing is cut.
    if top.is_nan() || highest <= top {
        return title.to_owned();
    }
    for (_, y) in lines.iter_mut().flat_map(|line| &mut line.points) {
        *y = y.min(top);
    }
    // Short: the names of the lines are beside it.
    format!("{title} (cut at {top:.0}; highest {highest:.0})")
}

fn highest(lines: &[Line]) -> f64 {
    let values = lines.iter().flat_map(|line| &line.points);
    values.map(|(_, y)| *y).fold(1.0, f64::max) * 1.1
}

/// A breaker from before it opened until after it closed.
pub(crate) fn breaker(
    path: &Path,
    cycle: &Cycle,
    changes: &[Change],
    faults: &[Happened],
) -> Result<()> {
    let end = cycle
        .closed_s
        .or(cycle.half_open_s)
        .unwrap_or(cycle.opened_s);
    let margin = ((end - cycle.opened_s) * 0.12).max(1.0);
    let x = (cycle.opened_s - 2.0 * margin).max(0.0)..end + margin;
    let of_breaker = changes.iter();
    let changes: Vec<_> = of_breaker
        .filter(|change| change.breaker == cycle.breaker && change.of == cycle.of)
        .collect();
    let height = |state: &str| {
        let found = STATES.iter().find(|(name, _)| *name == state);
        found.map_or(0.0, |(_, height)| *height)
    };
    // Steps: the state holds until the next change.
    let (mut points, mut at) = (vec![(x.start, 0.0)], 0.0);
    for change in &changes {
        let now = height(&change.state);
        if x.contains(&change.at_s) && now != at {
            points.extend([(change.at_s, at), (change.at_s, now)]);
        }
        if change.at_s < x.end {
            at = now;
        }
        if change.at_s <= x.start {
            points = vec![(x.start, now)];
        }
    }
    points.push((x.end, at));
    let root = SVGBackend::new(path, (WIDTH, PANEL + 40)).into_drawing_area();
    let panel = Panel { faults, x };
    panel
        .steps(&root, cycle, points)
        .and_then(|()| root.present().map_err(|error| anyhow!("{error}")))
        .map_err(|error| failed(path, error))
}

impl Panel<'_> {
    /// Lines over time, each with its name.
    fn lines<Y>(
        &self,
        area: &Area<'_>,
        (title, axis): (&str, &str),
        y: Y,
        lines: [Line; 3],
    ) -> Result<()>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = self.chart(area, title, y)?;
        chart
            .configure_mesh()
            .axis_style(GREY)
            .bold_line_style(GREY.mix(0.35))
            .light_line_style(GREY.mix(0.0))
            .label_style(style(12.0))
            .x_desc("time, s")
            .y_desc(axis)
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .axis_desc_style(style(13.0))
            .draw()?;
        // Above the diagram, where no line is, from its right end.
        let width = |name: &str| LEGEND.0 + LEGEND.1 * name.len() as i32;
        let mut next = WIDTH as i32 - lines.iter().map(|line| width(line.name)).sum::<i32>();
        for line in lines {
            let stroke = colour(line.colour).stroke_width(2);
            chart.draw_series(LineSeries::new(line.points, stroke))?;
            let x = next;
            next += width(line.name);
            area.draw(&PathElement::new([(x, 17), (x + 18, 17)], stroke))?;
            let text = Text::new(line.name, (x + 24, 11), style(13.0));
            area.draw(&text)?;
        }
        Ok(())
    }

    /// The states of a breaker as steps.
    fn steps(&self, area: &Area<'_>, cycle: &Cycle, points: Vec<(f64, f64)>) -> Result<()> {
        let title = format!("The circuit breaker around {}", cycle.breaker);
        let mut chart = self.chart(area, &title, -0.3..2.8)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .axis_style(GREY)
            .bold_line_style(GREY.mix(0.35))
            .light_line_style(GREY.mix(0.0))
            .label_style(style(12.0))
            .x_desc("time, s")
            .x_label_formatter(&number)
            .axis_desc_style(style(13.0))
            .draw()?;
        for (name, height) in STATES {
            let (x, y) = chart.backend_coord(&(self.x.start, height));
            let right = Pos::new(HPos::Right, VPos::Center);
            let name = name.replace('_', "-");
            area.draw(&Text::new(name, (x - 8, y), style(13.0).pos(right)))?;
        }
        chart.draw_series(LineSeries::new(points, colour(0).stroke_width(3)))?;
        let mut notes = vec![(
            cycle.opened_s,
            2.25,
            format!(
                "{:.1} s: {} failures open it",
                cycle.opened_s, cycle.failures
            ),
        )];
        if let Some(half_open) = cycle.half_open_s {
            let text = format!("{half_open:.1} s: the first probe");
            notes.push((half_open, 1.25, text));
        }
        if let Some(closed) = cycle.closed_s {
            let text = match cycle.successes {
                Some(successes) => format!("{closed:.1} s: {successes} successes close it"),
                None => format!("{closed:.1} s: closed"),
            };
            notes.push((closed, 0.25, text));
        }
        let middle = f64::midpoint(self.x.start, self.x.end);
        for (at, height, text) in notes {
            let (x, y) = chart.backend_coord(&(at, height));
            // Into the middle, so that no text leaves the diagram.
            let (side, x) = match at < middle {
                true => (HPos::Left, x + 6),
                false => (HPos::Right, x - 6),
            };
            let pos = Pos::new(side, VPos::Center);
            area.draw(&Text::new(text, (x, y), style(13.0).pos(pos)))?;
        }
        Ok(())
    }

    /// A chart with the faults behind it, each with its number.
    fn chart<'a, 'b, Y>(
        &self,
        area: &'a Area<'b>,
        title: &str,
        y: Y,
    ) -> Result<
        ChartContext<
            'a,
            SVGBackend<'b>,
            Cartesian2d<plotters::coord::types::RangedCoordf64, Y::CoordDescType>,
        >,
    >
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        area.draw(&Text::new(title.to_owned(), (12, 8), style(18.0)))?;
        let chart = ChartBuilder::on(area)
            .margin_left(12)
            .margin_right(24)
            .margin_bottom(10)
            .margin_top(50)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(self.x.clone(), y)?;
        let (left, right) = {
            let (x, _) = chart.plotting_area().get_pixel_range();
            (x.start, x.end)
        };
        let (_, vertical) = chart.plotting_area().get_pixel_range();
        let length = self.x.end - self.x.start;
        let pixel = |at: f64| {
            let share = ((at - self.x.start) / length).clamp(0.0, 1.0);
            left + (share * f64::from(right - left)) as i32
        };
        for (n, happened) in self.faults.iter().enumerate() {
            if happened.ended_s < self.x.start || happened.began_s > self.x.end {
                continue;
            }
            let (from, to) = (pixel(happened.began_s), pixel(happened.ended_s));
            let shade = [(from, vertical.start), (to.max(from + 2), vertical.end)];
            let (dx, dy) = area.get_base_pixel();
            let shade = shade.map(|(x, y)| (x - dx, y - dy));
            area.draw(&Rectangle::new(shade, GREY.mix(SHADE).filled()))?;
            let middle = i32::midpoint(shade[0].0, shade[1].0);
            let pos = Pos::new(HPos::Center, VPos::Bottom);
            let number = Text::new(
                (n + 1).to_string(),
                (middle, shade[0].1 - 2),
                style(13.0).pos(pos),
            );
            area.draw(&number)?;
        }
        Ok(chart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_peaks_are_cut_and_the_title_says_so() {
        let line = |points: Vec<f64>| Line {
            name: "answered",
            colour: GREEN,
            points: points.into_iter().map(|y| (0.0, y)).collect(),
        };
        let mut flat = [line(vec![9.0; 100])];
        assert_eq!(cut("Requests", &mut flat), "Requests");
        let mut peak = [line([vec![10.0; 99], vec![800.0]].concat())];
        assert_eq!(
            cut("Requests", &mut peak),
            "Requests (cut at 25; highest 800)"
        );
        assert_eq!(highest(&peak), 25.0 * 1.1);
        assert_eq!(cut("Requests", &mut []), "Requests");
    }
}
