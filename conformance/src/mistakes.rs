//! Values that break the rules of a field, each one rule, and what is said of them.

use prost_reflect::{FieldDescriptor, Kind, Value as Wire};

use serde_json::Value;

use super::schema::{Request, Rules};

/// What is said of a value that JSON cannot read as one of its field.
pub(super) const NOT_JSON_TYPE: &str = "has the wrong type, or is out of range";

/// A value that breaks a rule.
pub(super) enum Mistake {
    Text(String),
    /// No text, where the field itself may be absent.
    Empty,
    Int(i32),
    Double(f64),
    /// A value that only JSON can say.
    Json(Value),
    /// Left away, which in Protobuf is 0.
    Absent,
    /// The value of an enum that stands for none.
    None(String),
    /// The number of no value of an enum.
    Unknown(i32),
}

impl Mistake {
    pub(super) fn put(&self, request: &mut Request, field: &FieldDescriptor) {
        match self {
            Self::Text(text) if text.is_empty() => request.without(field),
            Self::Text(text) => request.text(field, text),
            Self::Empty => request.text(field, ""),
            Self::Int(value) => request.int(field, *value),
            Self::Double(value) => request.double(field, *value),
            Self::Json(value) => {
                request.json.insert(field.name().to_owned(), value.clone());
            }
            Self::Absent => request.without(field),
            Self::None(name) => request.put(field, name.as_str().into(), Wire::EnumNumber(0)),
            Self::Unknown(number) => {
                request.put(field, (*number).into(), Wire::EnumNumber(*number));
            }
        }
    }

    /// Why Protobuf cannot say it, when it cannot.
    pub(super) fn only_json(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) => Some("Protobuf has no other way to write a value"),
            Self::Absent => Some("in Protobuf absent is 0"),
            _ => None,
        }
    }
}

/// What is wrong, the value, and what is said of it.
pub(super) type Broken = (&'static str, Mistake, String);

/// Each rule of a field, broken.
pub(super) fn mistakes(field: &FieldDescriptor, rules: &Rules) -> Vec<Broken> {
    let mut mistakes = by_kind(field, rules);
    if (rules.required || rules.present) && !rules.optional {
        // Null is absent.
        let zero = rules.required && matches!(field.kind(), Kind::Int32 | Kind::Double);
        let says = if zero {
            "is required and must not be 0"
        } else {
            "is required"
        };
        mistakes.push(("null", Mistake::Json(Value::Null), says.to_owned()));
    }
    mistakes
}

fn by_kind(field: &FieldDescriptor, rules: &Rules) -> Vec<Broken> {
    match field.kind() {
        Kind::String => texts(rules),
        Kind::Int32 | Kind::Double => numbers(field, rules),
        Kind::Enum(values) => {
            let none = values
                .get_value(0)
                .map_or(String::new(), |v| v.name().to_owned());
            let unknown = [("an unknown number", 99), ("a negative number", -1)];
            let says = "is not a value of this enum";
            let mistake = |(what, number)| (what, Mistake::Unknown(number), says.to_owned());
            let mut mistakes = Vec::from(unknown.map(mistake));
            if rules.required {
                mistakes.push(("no value", Mistake::None(none), "is required".to_owned()));
            }
            mistakes
        }
        _ => Vec::new(),
    }
}

fn texts(rules: &Rules) -> Vec<Broken> {
    let Rules {
        min_len, max_len, ..
    } = *rules;
    let mut mistakes = Vec::new();
    if rules.required && rules.optional {
        mistakes.push(("empty", Mistake::Empty, "must not be blank".to_owned()));
    }
    let mut add = |what, text: String, says: String| {
        mistakes.push((what, Mistake::Text(text), says));
    };
    // Each character is two bytes: it is characters that count.
    let says = format!("must have at most {max_len} characters");
    add("too long", "é".repeat(max_len + 1), says);
    let with = |c: char| format!("{}{c}", "x".repeat(min_len));
    let control = match rules.format.as_str() {
        "OPAQUE" => "must not contain the character U+0000",
        "LINES" => "must not contain control characters, except tabs and line breaks",
        _ => "must not contain control characters or line breaks",
    };
    add("with U+0000", with('\0'), control.into());
    match rules.format.as_str() {
        "OPAQUE" => {}
        "LINES" => add("with an escape", with('\u{1b}'), control.into()),
        // A path must not contain it, at any edge.
        "UUID" => {}
        _ => {
            add("with an escape", with('\u{1b}'), control.into());
            add("with a newline", with('\n'), control.into());
        }
    }
    if rules.required {
        if !rules.optional {
            add("absent", String::new(), "is required".into());
        }
        let blank = " ".repeat(min_len.max(1));
        add("blank", blank, "must not be blank".into());
    }
    if min_len > 1 {
        let says = format!("must have at least {min_len} characters");
        add("too short", "é".repeat(min_len - 1), says);
    }
    match rules.format.as_str() {
        "UUID" => {
            add("no UUID", "nonsense".into(), "must be a UUID".into());
            let short = "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f6".to_owned();
            add("a digit short", short, "must be a UUID".into());
        }
        "EMAIL" => {
            let says = "must be an e-mail address";
            add("no e-mail", "ada".into(), says.into());
            add("no domain", "ada@".into(), says.into());
            let says = "must not contain invisible characters";
            for (what, email) in [
                ("a zero-width space", "a\u{200b}da@example.com"),
                ("a joiner", "a\u{200d}da@example.com"),
                ("a byte order mark", "\u{feff}ada@example.com"),
                ("a bidi override", "\u{202e}ada@example.com"),
                ("a soft hyphen", "a\u{ad}da@example.com"),
                (
                    "a zero-width space in its domain",
                    "ada@exam\u{200b}ple.com",
                ),
                ("a joiner in its domain", "ada@exam\u{200d}ple.com"),
                ("a byte order mark in its domain", "ada@\u{feff}example.com"),
                ("a bidi override in its domain", "ada@\u{202e}example.com"),
                ("a soft hyphen in its domain", "ada@exam\u{ad}ple.com"),
            ] {
                add(what, email.into(), says.into());
            }
        }
        "NAME" => {
            for (what, name) in [
                ("a zero-width space", "\u{200b}"),
                ("a bidi override", "\u{202e}"),
            ] {
                add(what, name.into(), "must not be blank".into());
            }
            let says = "must not contain characters that change the direction of text";
            add("turned around", "\u{202e}adA".into(), says.into());
            add("isolated", "A\u{2067}da\u{2069}".into(), says.into());
        }
        "NO_CARD_NUMBER" => {
            let says = "must not hold a card number";
            add("a card", "4111 1111 1111 1111".into(), says.into());
        }
        _ => {}
    }
    mistakes
}

fn numbers(field: &FieldDescriptor, rules: &Rules) -> Vec<Broken> {
    let double = field.kind() == Kind::Double;
    let number = |value: f64| match double {
        true => Mistake::Double(value),
        // Limits of integers are whole and small.
        false => Mistake::Int(value as i32),
    };
    let mut mistakes = Vec::new();
    if rules.required {
        let says = "is required and must not be 0".to_owned();
        mistakes.push(("absent", number(0.0), says));
    }
    if rules.present {
        let says = "is required".to_owned();
        mistakes.push(("absent", Mistake::Absent, says));
    }
    // Not the grammar of JSON's numbers, in which strings are held, too.
    for (what, text) in [
        ("with a plus", "+1"),
        ("with a zero in front", "01"),
        ("empty", ""),
    ] {
        mistakes.push((what, Mistake::Json(text.into()), NOT_JSON_TYPE.to_owned()));
    }
    if let Some(min) = rules.gte {
        // 0 would be absent.
        let below = if min == 1.0 { -1.0 } else { min - 1.0 };
        let says = format!("must be at least {min}");
        mistakes.push(("too small", number(below), says));
    }
    if let Some(max) = rules.lte {
        let instead = match rules.instead.as_str() {
            "" => String::new(),
            other => format!("; use {other} instead"),
        };
        let says = format!("must be at most {max}{instead}");
        mistakes.push(("too large", number(max + 1.0), says));
    }
    if let Some(places) = rules.max_decimals {
        let says = format!("must have at most {places} decimal places");
        mistakes.push(("too exact", Mistake::Double(0.001), says.clone()));
        // As it is written: the nearest double is 5.
        let text = "4.999999999999999999999".into();
        mistakes.push(("too exact for a double", Mistake::Json(text), says));
    }
    if double {
        let says = "must be a finite number";
        mistakes.push(("no number", Mistake::Double(f64::NAN), says.into()));
    }
    mistakes
}
