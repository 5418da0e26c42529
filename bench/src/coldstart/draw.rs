//! Diagrams: distributions, and where the time went.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{
    prelude::{
        ChartBuilder, Color, IntoDrawingArea, IntoLogRange, LineSeries, PathElement, Rectangle,
        SVGBackend, SeriesLabelPosition, Text,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    anatomy::{Anatomy, ms},
    engine::EMPTY,
    phases::is_in_no_span,
    record::{Part, Results, Series},
};
use crate::plot::{Area, GREY, WIDTH, colour, failed, style};

/// How many lines a diagram has at most: more cannot be told apart.
const LINES: usize = 6;

/// The functions whose phases are drawn: without a database, one statement, several, and several functions.
const SHOWN: [&str; 4] = [EMPTY, "get-product", "list-products", "create-order"];

/// Sizes of the diagram of phases, in pixels: of a row, of the head of a function, of the names of phases, and of
/// the numbers at the right end.
const ROW: i32 = 18;
const HEAD: i32 = 34;
const NAMES: i32 = 150;
const NUMBERS: i32 = 56;

/// Colours of phases that spans cover, and of the others.
const BLUE: usize = 0;
const ORANGE: usize = 1;

/// The cumulative distribution of some times, as steps: which share of them is at most so long.
fn distribution(series: &Series) -> (String, Vec<(f64, f64)>) {
    let mut times = series.times();
    times.sort_by(f64::total_cmp);
    let n = times.len() as f64;
    let (mut points, mut share) = (Vec::new(), 0.0);
    for (ms, i) in times.into_iter().zip(1..) {
        let ms = ms.max(1e-3);
        points.push((ms, share));
        share = 100.0 * f64::from(i) / n;
        points.push((ms, share));
    }
    (series.name.clone(), points)
}

/// The series of a part that are drawn: the empty function, and of the others those of the functions that people
/// meet first; as many as can be told apart. With the number of all.
fn chosen(results: &Results, part: Part) -> (Vec<&Series>, usize) {
    const FIRST: [&str; 5] = [
        "get-product",
        "list-products",
        "get-cart",
        "authenticate-user",
        "create-order",
    ];
    let all: Vec<_> = results
        .of_part(part)
        .filter(|s| s.samples.len() > 1)
        .collect();
    let is_first =
        |s: &&&Series| part != Part::Single || s.name == EMPTY || FIRST.contains(&s.name.as_str());
    let mut chosen: Vec<_> = all.iter().filter(is_first).copied().collect();
    let rest = all.iter().filter(|s| !is_first(s));
    chosen.extend(rest.copied());
    chosen.truncate(LINES);
    chosen.sort_by_key(|s| super::tables::by_numbers(&s.name));
    (chosen, all.len())
}

/// Draws the distributions of a part. Gives a sentence about what is not drawn, which may be empty; nothing if the
/// part has no distribution.
pub(super) fn distributions(
    path: &Path,
    title: &str,
    results: &Results,
    part: Part,
) -> Result<Option<String>> {
    let (chosen, all) = chosen(results, part);
    let series: Vec<_> = chosen.into_iter().map(distribution).collect();
    if series.is_empty() {
        return Ok(None);
    }
    let root = SVGBackend::new(path, (WIDTH, 420)).into_drawing_area();
    draw_distributions(&root, title, &series)
        .and_then(|()| root.present().map_err(|error| anyhow!("{error}")))
        .map_err(|error| failed(path, error))?;
    let left_out = match all - series.len() {
        0 => String::new(),
        _ => format!(
            "{} of {all} functions; the others are in the file.",
            series.len()
        ),
    };
    Ok(Some(left_out))
}

fn draw_distributions(
    root: &Area<'_>,
    title: &str,
    series: &[(String, Vec<(f64, f64)>)],
) -> Result<()> {
    let times = || {
        series
            .iter()
            .flat_map(|(_, points)| points)
            .map(|(x, _)| *x)
    };
    let (least, most) = (
        times().fold(f64::MAX, f64::min),
        times().fold(f64::MIN, f64::max),
    );
    root.draw(&Text::new(title.to_owned(), (12, 8), style(18.0)))?;
    let (least, most) = (least * 0.9, most * 1.1);
    let mut chart = ChartBuilder::on(root)
        .margin_left(12)
        .margin_right(24)
        .margin_bottom(10)
        .margin_top(40)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((least..most).log_scale(), 0.0..100.0)?;
    let grid = GREY.mix(0.35);
    for x in ticks(least, most) {
        chart.draw_series(LineSeries::new([(x, 0.0), (x, 100.0)], grid))?;
        let at = chart.backend_coord(&(x, 0.0));
        let below = style(12.0).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(number(&x), (at.0, at.1 + 8), below))?;
    }
    chart
        .configure_mesh()
        .disable_x_mesh()
        // Even for no labels, the library writes one.
        .x_labels(0)
        .x_label_formatter(&|_| String::new())
        .axis_style(GREY)
        .bold_line_style(GREY.mix(0.35))
        .light_line_style(GREY.mix(0.0))
        .label_style(style(12.0))
        .x_desc("time until the answer, ms (logarithmic)")
        .y_desc("share of requests, %")
        .y_label_formatter(&number)
        .axis_desc_style(style(13.0))
        .draw()?;
    for (n, (name, points)) in series.iter().enumerate() {
        let line = colour(n).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), line))?
            .label(name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], line));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(style(13.0))
        .draw()?;
    Ok(())
}

/// The labels of a logarithmic axis: 1, 2 and 5 of each power of ten. The library labels powers alone, and the
/// times of one function lie between two of them.
fn ticks(least: f64, most: f64) -> impl Iterator<Item = f64> {
    let powers = least.log10().floor() as i32..=most.log10().ceil() as i32;
    powers
        .flat_map(|power| [1.0, 2.0, 5.0].map(|x| x * 10_f64.powi(power)))
        .filter(move |x| (least..=most).contains(x))
}

/// A label of an axis, without a fraction that is 0.
fn number(value: &f64) -> String {
    ((value * 1e3).round() / 1e3).to_string()
}

/// Draws the medians of phases, one after the other, for each of some functions by a scale of its own. False without
/// phases.
pub(super) fn phases(path: &Path, title: &str, all: &[Anatomy]) -> Result<bool> {
    let shown = SHOWN
        .iter()
        .filter_map(|name| all.iter().find(|a| a.name == *name));
    let shown: Vec<_> = shown.collect();
    let Some(rows) = shown.iter().map(|a| a.phases.len()).max() else {
        return Ok(false);
    };
    let height = HEAD + ROW * rows as i32 + 12;
    let (columns, lines) = (2, shown.len().div_ceil(2) as i32);
    let size = (WIDTH, (60 + lines * height) as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    let drawn = legend(&root, title).and_then(|()| {
        for (n, anatomy) in shown.iter().enumerate() {
            let (column, line) = ((n % columns) as i32, (n / columns) as i32);
            let corner = (12 + column * WIDTH as i32 / 2, 60 + line * height);
            waterfall(&root, corner, WIDTH as i32 / 2 - 24, anatomy)?;
        }
        Ok(())
    });
    drawn
        .and_then(|()| root.present().map_err(|error| anyhow!("{error}")))
        .map_err(|error| failed(path, error))?;
    Ok(true)
}

fn legend(root: &Area<'_>, title: &str) -> Result<()> {
    root.draw(&Text::new(title.to_owned(), (12, 8), style(18.0)))?;
    for (n, (at, name)) in [(BLUE, "in a span"), (ORANGE, "in no span")]
        .iter()
        .enumerate()
    {
        let x = 12 + 110 * n as i32;
        root.draw(&Rectangle::new(
            [(x, 36), (x + 12, 48)],
            colour(*at).filled(),
        ))?;
        root.draw(&Text::new((*name).to_owned(), (x + 20, 36), style(13.0)))?;
    }
    let scale = "milliseconds; each function has its own scale".to_owned();
    root.draw(&Text::new(scale, (252, 36), style(13.0)))?;
    Ok(())
}

/// The phases of a function: each begins where the one before ends.
fn waterfall(root: &Area<'_>, (left, top): (i32, i32), width: i32, of: &Anatomy) -> Result<()> {
    let sum: f64 = of.phases.iter().map(|(_, ms)| ms).sum();
    let heading = format!("{}, {} ms", of.name, ms(sum));
    root.draw(&Text::new(heading, (left, top + 8), style(14.0)))?;
    let from = left + NAMES;
    let length = f64::from(width - NAMES - NUMBERS);
    let at = |value: f64| from + (length * value / sum.max(1e-9)).round() as i32;
    let mut begin = 0.0;
    for ((name, value), n) in of.phases.iter().zip(0..) {
        let y = top + HEAD + ROW * n;
        let middle = y + ROW / 2;
        let fill = if is_in_no_span(name) { ORANGE } else { BLUE };
        // The shortest phase can be seen, too.
        let (x, until) = (at(begin), at(begin + value).max(at(begin) + 2));
        let bar = [(x, y + 3), (until, y + ROW - 3)];
        root.draw(&Rectangle::new(bar, colour(fill).filled()))?;
        let right = style(12.0).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(name.clone(), (from - 8, middle), right))?;
        let value_style = style(12.0).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(ms(*value), (until + 6, middle), value_style))?;
        begin += value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coldstart::record::Sample;

    #[test]
    fn a_distribution_has_steps_and_says_what_it_leaves_out() {
        let mut results = Results::default();
        for n in 0..8 {
            let series = results.series(Part::Single, &format!("f{n}"));
            for ms in [10.0, 20.0] {
                series.samples.push(Sample {
                    ms: ms + f64::from(n),
                    ..Sample::default()
                });
            }
        }
        let steps = distribution(&results.series[0]).1;
        assert_eq!(
            steps,
            [(10.0, 0.0), (10.0, 50.0), (20.0, 50.0), (20.0, 100.0)]
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        let told = distributions(&path, "Starts", &results, Part::Single).unwrap();
        let told = told.unwrap();
        assert_eq!(told, "6 of 8 functions; the others are in the file.");
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.contains("f5") && !svg.contains("f6"), "{svg}");
        assert_eq!(ticks(8.0, 60.0).collect::<Vec<_>>(), [10.0, 20.0, 50.0]);
        // No label has a fraction of 0.
        assert!(svg.contains(">\n100\n<") && !svg.contains("100.0"), "{svg}");
        assert!(
            distributions(&path, "", &results, Part::Idle)
                .unwrap()
                .is_none()
        );
    }
}
