//! Diagrams as SVG, with colours that can be read on a light and on a dark page.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, Color, DrawingArea, EmptyElement, IntoDrawingArea, IntoFont, IntoLogRange,
        LineSeries, PathElement, RGBColor, Rectangle, SVGBackend, SeriesLabelPosition, Text,
        TextStyle,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

/// Text and axes: the same contrast (4 : 1) to white and to black.
pub(crate) const GREY: RGBColor = RGBColor(0x7a, 0x7a, 0x7a);

/// Colours of series, each with enough contrast to white and to black, and told apart without colour vision
/// by their order.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x2f, 0x81, 0xc7),
    RGBColor(0xd9, 0x6b, 0x1e),
    RGBColor(0x3a, 0x96, 0x5c),
    RGBColor(0xb5, 0x54, 0xa6),
    RGBColor(0x9a, 0x86, 0x1c),
    RGBColor(0x8a, 0x6a, 0x58),
];

pub(crate) const WIDTH: u32 = 900;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(crate) fn colour(n: usize) -> RGBColor {
    COLOURS[n % COLOURS.len()]
}

/// `size` in pixels. The library takes it for another unit: 1.24 of it are a pixel.
pub(crate) fn style(size: f64) -> TextStyle<'static> {
    ("sans-serif", size * 1.24).into_font().color(&GREY)
}

pub(crate) fn failed(path: &Path, error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw {}: {error}", path.display())
}

/// Bars: for each row a bar of each series.
pub(crate) struct Bars<'a> {
    pub(crate) title: &'a str,
    /// The meaning and the unit of the length.
    pub(crate) axis: &'a str,
    pub(crate) series: &'a [&'a str],
    pub(crate) rows: &'a [(String, Vec<f64>)],
}

impl Bars<'_> {
    /// Writes the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or a value is not a number.
    pub(crate) fn draw(&self, path: &Path) -> Result<()> {
        let rows = self.rows.len().max(1);
        let thickness = 14 * self.series.len() as u32 + 8;
        let height = 110 + 22 * self.series.len() as u32 + rows as u32 * thickness;
        let longest = self.rows.iter().flat_map(|(_, values)| values).copied();
        let longest = longest.fold(0.0, f64::max);
        if !longest.is_finite() {
            return Err(failed(path, "a value is not a number"));
        }
        let longest = if longest > 0.0 { longest * 1.08 } else { 1.0 };
        let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
        self.draw_on(&root, longest)
            .and_then(|()| root.present().map_err(|error| anyhow!("{error}")))
            .map_err(|error| failed(path, error))
    }

    fn draw_on(&self, root: &Area<'_>, longest: f64) -> Result<()> {
        let rows = self.rows.len().max(1) as f64;
        let legend = 22 * self.series.len() as i32;
        root.draw(&Text::new(self.title.to_owned(), (12, 8), style(18.0)))?;
        for (n, name) in self.series.iter().enumerate() {
            let y = 36 + 22 * n as i32;
            let square = [(12, y), (24, y + 12)];
            root.draw(&Rectangle::new(square, colour(n).filled()))?;
            root.draw(&Text::new((*name).to_owned(), (32, y), style(13.0)))?;
        }
        let mut chart = ChartBuilder::on(root)
            .margin_right(24)
            .margin_bottom(10)
            .margin_top(36 + legend)
            .x_label_area_size(44)
            .y_label_area_size(210)
            .build_cartesian_2d(0.0..longest, rows..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .axis_style(GREY)
            .bold_line_style(GREY.mix(0.35))
            .light_line_style(GREY.mix(0.0))
            .label_style(style(12.0))
            .x_desc(self.axis)
            .axis_desc_style(style(13.0))
            .draw()?;
        let share = 0.84 / self.series.len().max(1) as f64;
        for (row, (name, values)) in self.rows.iter().enumerate() {
            let top = row as f64 + 0.08;
            chart.draw_series(values.iter().enumerate().map(|(n, value)| {
                let from = top + share * n as f64;
                let bar = [(0.0, from), (*value, from + share * 0.92)];
                Rectangle::new(bar, colour(n).filled())
            }))?;
            let (x, y) = chart.backend_coord(&(0.0, row as f64 + 0.5));
            let right = Pos::new(HPos::Right, VPos::Center);
            root.draw(&Text::new(name.clone(), (x - 8, y), style(12.0).pos(right)))?;
        }
        Ok(())
    }
}

/// Lines through points.
pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    /// The meaning and the unit of each axis.
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Whether y is logarithmic.
    pub(crate) log: bool,
    pub(crate) series: &'a [(String, Vec<(f64, f64)>)],
}

impl Lines<'_> {
    /// Writes the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or there is no point.
    pub(crate) fn draw(&self, path: &Path) -> Result<()> {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let finite = points().all(|(x, y)| x.is_finite() && y.is_finite());
        if points().next().is_none() || !finite {
            return Err(failed(
                path,
                "it has no points, or one that is not a number",
            ));
        }
        let fold = |of: fn(&(f64, f64)) -> f64, from, pick: fn(f64, f64) -> f64| {
            points().map(of).fold(from, pick)
        };
        let right = fold(|p| p.0, f64::MIN, f64::max);
        let left = fold(|p| p.0, f64::MAX, f64::min).min(right - 1e-9);
        let top = fold(|p| p.1, f64::MIN, f64::max).max(1e-9) * 1.1;
        let least = fold(|p| p.1, f64::MAX, f64::min);
        let root = SVGBackend::new(path, (WIDTH, 420)).into_drawing_area();
        let drawn = if self.log {
            let bottom = (least * 0.8).max(top / 1e6);
            self.draw_on(&root, left..right, (bottom..top).log_scale())
        } else {
            self.draw_on(&root, left..right, 0.0..top)
        };
        drawn
            .and_then(|()| root.present().map_err(|error| anyhow!("{error}")))
            .map_err(|error| failed(path, error))
    }

    fn draw_on<Y>(&self, root: &Area<'_>, x: std::ops::Range<f64>, y: Y) -> Result<()>
    where
        Y: plotters::coord::ranged1d::AsRangedCoord<Value = f64>,
        Y::CoordDescType: plotters::coord::ranged1d::ValueFormatter<f64>,
    {
        root.draw(&Text::new(self.title.to_owned(), (12, 8), style(18.0)))?;
        let mut chart = ChartBuilder::on(root)
            .margin_right(24)
            .margin_bottom(10)
            .margin_top(40)
            .x_label_area_size(44)
            .y_label_area_size(84)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .axis_style(GREY)
            .bold_line_style(GREY.mix(0.35))
            .light_line_style(GREY.mix(0.0))
            .label_style(style(12.0))
            .x_desc(self.x)
            .y_desc(self.y)
            .axis_desc_style(style(13.0))
            .draw()?;
        for (n, (name, points)) in self.series.iter().enumerate() {
            let line = colour(n).stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), line))?
                .label(name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], line));
            if points.len() <= 60 {
                chart.draw_series(points.iter().map(|point| {
                    EmptyElement::at(*point)
                        + Rectangle::new([(-3, -3), (3, 3)], colour(n).filled())
                }))?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(style(13.0))
            .draw()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagrams_have_their_texts_and_no_background() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bars.svg");
        let rows = [("get-product".to_owned(), vec![1.0, 2.5])];
        let bars = Bars {
            title: "Starts",
            axis: "time, ms",
            series: &["now", "before"],
            rows: &rows,
        };
        bars.draw(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in ["Starts", "time, ms", "now", "before", "get-product"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("#FFFFFF"), "{svg}");

        let path = folder.path().join("lines.svg");
        let series = [("p99".to_owned(), vec![(1.0, 10.0), (2.0, 1_000.0)])];
        let lines = Lines {
            title: "Latency",
            x: "requests per second",
            y: "latency, ms",
            log: true,
            series: &series,
        };
        lines.draw(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.contains("p99") && svg.contains("latency, ms"), "{svg}");
        assert!(!svg.contains("#FFFFFF"), "{svg}");
        let empty = Lines {
            series: &[],
            ..lines
        };
        assert!(empty.draw(&path).is_err());
    }
}
