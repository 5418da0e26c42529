//! The boards: what each panel shows, and how.
//!
//! [`all`] decides; the generator makes Grafana's JSON of it. `$function` stands for the functions that the
//! reader has chosen, and `$__rate_interval` for Grafana's own choice of a window.

mod cold_starts;
mod database;
mod edge;
mod fleet;
mod function;
mod orders;
mod parts;

/// A board.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its id, in addresses and in the name of its file.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Whether the reader chooses functions.
    pub chooses: bool,
    /// Its panels, in rows.
    pub rows: Vec<Row>,
}

/// Some panels under a title.
#[derive(Clone, Debug)]
pub struct Row {
    /// The title.
    pub title: &'static str,
    /// The panels, from left to right.
    pub panels: Vec<Panel>,
}

/// A panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// What it shows, and what to make of it.
    pub about: &'static str,
    /// How it is drawn.
    pub shape: Shape,
    /// The unit of its values.
    pub unit: Unit,
    /// What it shows.
    pub targets: Vec<Target>,
    /// The value from which it is bad; drawn as a line, or as the colour of a number.
    pub limit: Option<f64>,
    /// How many of 24 columns it takes.
    pub width: u8,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Lines over time.
    Lines,
    /// Areas over time, one on the other.
    Stack,
    /// The newest number.
    Number,
    /// States of circuit breakers over time.
    Breakers,
    /// A distribution over time.
    Heatmap,
}

/// The unit of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Short,
    /// Things in a second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// A share, from 0 to 1.
    Share,
    /// Bytes.
    Bytes,
}

/// A series, or several.
#[derive(Clone, Debug)]
pub struct Target {
    /// The expression.
    pub expr: String,
    /// The name of each series, with `{{label}}`.
    pub legend: &'static str,
    /// Whether the panel shows ids of traces with it.
    pub exemplars: bool,
}

/// All boards.
#[must_use]
pub fn all() -> Vec<Board> {
    vec![
        fleet::board(),
        function::board(),
        orders::board(),
        cold_starts::board(),
        edge::board(),
        database::board(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{metrics, rules};

    /// The names of series in an expression.
    fn names(expr: &str) -> impl Iterator<Item = &str> {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
        let words = expr.split(word).filter(|word| !word.is_empty());
        words.filter(|word| word.starts_with(metrics::PREFIX) || word.contains(":zerocart"))
    }

    #[test]
    fn boards_and_rules_name_what_there_is() {
        let recorded: BTreeSet<_> = rules::recordings().into_iter().map(|r| r.name).collect();
        let of_boards = all().into_iter().flat_map(|board| board.rows);
        let of_boards = of_boards.flat_map(|row| row.panels).flat_map(|p| p.targets);
        let of_rules = rules::recordings().into_iter().map(|rule| rule.expr);
        let exprs = of_boards
            .map(|target| target.expr)
            .chain(of_rules)
            .chain(rules::alerts().into_iter().map(|alert| alert.expr));
        for expr in exprs {
            for name in names(&expr) {
                // Roles and databases begin with the same word.
                let known = recorded.contains(name) || metrics::find(name).is_some();
                assert!(known, "{name} in {expr}");
            }
        }
    }

    #[test]
    fn panels_fill_their_rows() {
        for board in all() {
            for row in &board.rows {
                let width: u32 = row.panels.iter().map(|panel| u32::from(panel.width)).sum();
                assert_eq!(width % 24, 0, "{}: {}", board.name, row.title);
            }
            let titles = board.rows.iter().flat_map(|row| &row.panels);
            let titles: Vec<_> = titles.map(|panel| panel.title).collect();
            let different: BTreeSet<_> = titles.iter().collect();
            assert_eq!(different.len(), titles.len(), "{titles:?}");
        }
    }
}
