//! The names of statements in traces.
//!
//! A name is what the conventions of OpenTelemetry call a query summary (`db.query.summary`): the operations
//! and the tables, such as `INSERT orders INSERT order_items`. It is made from the statement's text, which
//! has parameters in place of values.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use zerocart_core::trace::{Attributes, Name};

/// A longer name is cut (as the conventions say).
const MAX_LEN: usize = 255;

/// More statements than a function has. Names of further ones are made each time.
const KEPT: usize = 256;

/// A statement and its name.
struct Known {
    /// Of the text in memory, which is that of a constant. The text is kept too, because memory can be used
    /// again.
    place: usize,
    text: Box<str>,
    named: Rc<Named>,
}

thread_local! {
    /// A function has few, so they need no map.
    static NAMES: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// The name of a statement's spans, and the attributes that all of them have.
pub(crate) struct Named {
    pub(crate) name: Name,
    pub(crate) attributes: Attributes,
}

impl Named {
    pub(crate) fn new(name: impl Into<Name>) -> Self {
        let name = name.into();
        let mut attributes = Attributes::default().with("db.query.summary", &*name);
        // Several operations have no name together.
        let mut words = name.split(' ');
        if let (Some(operation), collection, None) = (words.next(), words.next(), words.next()) {
            attributes = attributes.with("db.operation.name", operation);
            if let Some(collection) = collection {
                attributes = attributes.with("db.collection.name", collection);
            }
        }
        Self { name, attributes }
    }

    /// The name of a statement.
    pub(crate) fn of(statement: &str) -> Rc<Self> {
        let place = statement.as_ptr() as usize;
        NAMES.with_borrow_mut(|names| {
            let mut known = names.iter();
            match known.find(|known| known.place == place && *known.text == *statement) {
                Some(known) => Rc::clone(&known.named),
                None => Self::learn(names, place, statement),
            }
        })
    }

    #[cold]
    fn learn(names: &mut Vec<Known>, place: usize, statement: &str) -> Rc<Self> {
        let named = Rc::new(Self::new(Arc::<str>::from(summary(statement))));
        if names.len() < KEPT {
            names.push(Known {
                place,
                text: statement.into(),
                named: Rc::clone(&named),
            });
        }
        named
    }
}

/// Operations and tables, in the order of the text, writes before reads. Tables are those of the database:
/// no names of common table expressions.
fn summary(statement: &str) -> String {
    let words = words(statement);
    let word = |at: usize| words.get(at).copied().unwrap_or_default();
    let is = |at: usize, keyword: &str| word(at).eq_ignore_ascii_case(keyword);
    let before =
        |at: usize, keywords: &[&str]| at > 0 && keywords.iter().any(|keyword| is(at - 1, keyword));
    // `name AS (`, `name AS MATERIALIZED (`
    let local: Vec<_> = (0..words.len())
        .filter(|at| is(at + 1, "AS") && (word(at + 2) == "(" || is(at + 2, "MATERIALIZED")))
        .map(word)
        .collect();
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for at in 0..words.len() {
        let (operation, table) = if is(at, "INSERT") && is(at + 1, "INTO") {
            ("INSERT", word(at + 2))
        } else if is(at, "UPDATE") && !before(at, &["FOR", "DO", "KEY"]) {
            ("UPDATE", word(at + 1))
        } else if is(at, "DELETE") && is(at + 1, "FROM") {
            ("DELETE", word(at + 2))
        } else if (is(at, "FROM") && !before(at, &["DISTINCT", "DELETE"])) || is(at, "JOIN") {
            ("SELECT", word(at + 1))
        } else {
            continue;
        };
        // A parenthesis behind a name is a function's.
        let is_name = |first: char| first.is_ascii_alphabetic() || first == '_';
        let is_call = operation == "SELECT" && word(at + 2) == "(";
        let is_other = local.contains(&table) || table.eq_ignore_ascii_case("LATERAL");
        let is_table = table.starts_with(is_name) && !is_call && !is_other;
        let list = if operation == "SELECT" {
            &mut reads
        } else {
            &mut writes
        };
        if is_table && !list.contains(&(operation, table)) {
            list.push((operation, table));
        }
    }
    let mut name = String::new();
    for (operation, table) in writes.into_iter().chain(reads) {
        let more = operation.len() + table.len() + 2;
        if name.len() + more > MAX_LEN {
            break;
        }
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(operation);
        name.push(' ');
        name.push_str(table);
    }
    if name.is_empty() {
        word(0).to_ascii_uppercase()
    } else {
        name
    }
}

/// Words and parentheses; without texts in quotes.
fn words(statement: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = statement;
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
        let len = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            c if in_word(c) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(len);
        if in_word(first) || first == '(' {
            words.push(word);
        }
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_operations_and_tables() {
        for (statement, expected) in [
            ("SELECT 1", "SELECT"),
            ("SELECT a FROM users WHERE b = 'FROM x'", "SELECT users"),
            (
                "select a from orders o join order_items i on true",
                "SELECT orders SELECT order_items",
            ),
            (
                "SELECT a FROM payments WHERE b = $1 FOR UPDATE",
                "SELECT payments",
            ),
            ("SELECT n FROM unnest($1) WITH ORDINALITY", "SELECT"),
            (
                "UPDATE orders SET a = b WHERE c IS NOT DISTINCT FROM $1",
                "UPDATE orders",
            ),
            (
                "DELETE FROM idempotency_keys WHERE a",
                "DELETE idempotency_keys",
            ),
            (
                "INSERT INTO carts (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = 1",
                "INSERT carts",
            ),
            (
                "WITH placed AS ( INSERT INTO orders SELECT 1 FROM first RETURNING id ), \
                 lines AS ( INSERT INTO order_items SELECT * FROM placed, unnest($1) ) \
                 SELECT id FROM placed",
                "INSERT orders INSERT order_items SELECT first",
            ),
            (
                "WITH a AS MATERIALIZED (SELECT 1 FROM carts) SELECT 1 FROM a",
                "SELECT carts",
            ),
            ("COMMIT", "COMMIT"),
            ("SELECT pg_try_advisory_xact_lock($1)", "SELECT"),
        ] {
            assert_eq!(summary(statement), expected, "{statement}");
            assert_eq!(&*Named::of(statement).name, expected);
            assert_eq!(&*Named::of(statement).name, expected);
        }
    }

    #[test]
    fn another_text_at_the_same_place_has_its_own_name() {
        let mut text = "SELECT a FROM users".to_owned();
        assert_eq!(&*Named::of(&text).name, "SELECT users");
        text.replace_range(14.., "carts");
        assert_eq!(&*Named::of(&text).name, "SELECT carts");
    }
}
