//! What the fields of a request must be, checked before a handler runs.
//!
//! The rules stand beside the fields in `proto/`; the build turns them into calls of
//! [`Violations`]. All fields are checked, so that a caller learns of every mistake at once.

use std::fmt;

use crate::characters;

/// A request that knows the rules of its fields.
pub trait Validate {
    /// Fields whose values never reach a log, a span or an error.
    const SECRETS: &'static [&'static str];

    /// Its fields, in the order of `proto/`.
    const FIELDS: &'static [Field];

    /// Brings each field to its one form, so that what means the same is the same: a UUID in lower
    /// case (RFC 9562, section 4).
    fn normalise(&mut self);

    /// Adds what is wrong with the fields to `violations`.
    fn validate(&self, violations: &mut Violations);
}

/// A field of a request.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in `proto/`.
    pub name: &'static str,
    /// Its other name in JSON.
    pub json_name: &'static str,
    /// Whether JSON must hold it ([`Violations::without`]).
    pub present: bool,
    /// Whether it is `true` or `false`.
    pub flag: bool,
}

impl Field {
    /// Whether `name` is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.json_name == name
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field: `price`, `items[2].quantity`.
    pub field: String,
    /// What it must be. Never holds the value, which may be a secret.
    pub description: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.description)
    }
}

/// What is wrong with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    found: Vec<Violation>,
    absent: Vec<&'static str>,
}

/// The rules of a string.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Not empty.
    pub required: bool,
    /// At least this many characters, unless empty.
    pub min: usize,
    /// At most this many characters.
    pub max: usize,
    /// Its form, unless empty.
    pub format: Format,
}

/// The form of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of any text.
    Any,
    /// A hyphenated UUID (RFC 9562).
    Uuid,
    /// An e-mail address.
    Email,
    /// Text without what may be a card number.
    NoCardNumber,
    /// A name to show.
    Name,
    /// Text of any number of lines.
    Lines,
    /// Any characters but NUL.
    Opaque,
}

/// The rules of a number.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// Not 0.
    pub required: bool,
    /// At least.
    pub gte: Option<f64>,
    /// At most.
    pub lte: Option<f64>,
    /// The field that serves callers who need more.
    pub instead: Option<&'static str>,
    /// At most this many decimal places.
    pub max_decimals: Option<u32>,
}

impl Format {
    /// What is wrong with a text of this form, which is not empty.
    fn wrong(self, value: &str, required: bool) -> Option<&'static str> {
        let is_kept_out: fn(char) -> bool = match self {
            Self::Opaque => |c: char| c == '\0',
            Self::Lines => |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r'),
            _ => characters::breaks_line,
        };
        let is_blank = match self {
            Self::Name => !value.contains(characters::is_visible),
            _ => value.trim().is_empty(),
        };
        let rule = match self {
            _ if value.contains(is_kept_out) => match self {
                Self::Opaque => "must not contain the character U+0000",
                Self::Lines => "must not contain control characters, except tabs and line breaks",
                _ => "must not contain control characters or line breaks",
            },
            _ if required && is_blank => "must not be blank",
            Self::Uuid if !is_uuid(value) => "must be a UUID",
            Self::Email if value.contains(characters::is_invisible) => {
                "must not contain invisible characters"
            }
            Self::Email if !is_email(value.trim()) => "must be an e-mail address",
            Self::NoCardNumber if may_be_card_number(value) => "must not hold a card number",
            Self::Name if value.contains(characters::is_bidi_control) => {
                "must not contain characters that change the direction of text"
            }
            _ => return None,
        };
        Some(rule)
    }
}

impl Violations {
    /// None yet, of a request in whose JSON these fields are absent. In Protobuf 0 is absent, too:
    /// clients of the contract do not send it, so that nothing is missing there.
    pub fn without(absent: Vec<&'static str>) -> Self {
        Self {
            found: Vec::new(),
            absent,
        }
    }

    /// Adds one.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.found.push(Violation {
            field: field.into(),
            description: description.into(),
        });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of the fields.
    pub fn into_vec(self) -> Vec<Violation> {
        self.found
    }

    /// Checks that a field is not absent.
    pub fn present(&mut self, field: &str) {
        if self.absent.contains(&field) {
            self.add(field, "is required");
        }
    }

    /// Checks a list, and each of its elements with `check`.
    pub fn list<T>(&mut self, field: &str, items: &[T], max: usize, check: impl Fn(&T, &mut Self)) {
        if items.len() > max {
            return self.add(field, format!("must have at most {max} elements"));
        }
        for (index, item) in items.iter().enumerate() {
            let mut inside = Self::default();
            check(item, &mut inside);
            for violation in inside.found {
                // An element that is a value itself has no field of its own.
                let path = match violation.field.as_str() {
                    "" => format!("{field}[{index}]"),
                    inner => format!("{field}[{index}].{inner}"),
                };
                self.add(path, violation.description);
            }
        }
    }

    /// Checks a string.
    pub fn text(&mut self, field: &str, value: &str, rules: Text) {
        if value.is_empty() {
            if rules.required {
                self.add(field, "is required");
            }
            return;
        }
        let count = value.chars().count();
        if count > rules.max {
            self.add(field, format!("must have at most {} characters", rules.max));
        } else if count < rules.min {
            self.add(
                field,
                format!("must have at least {} characters", rules.min),
            );
        } else if let Some(wrong) = rules.format.wrong(value, rules.required) {
            self.add(field, wrong);
        }
    }

    /// Checks a string that is there, and need not be.
    pub fn optional_text(&mut self, field: &str, value: &str, rules: Text) {
        match value.is_empty() && rules.required {
            true => self.add(field, "must not be blank"),
            false => self.text(field, value, rules),
        }
    }

    /// Checks a number.
    pub fn number(&mut self, field: &str, value: f64, rules: Number) {
        if !value.is_finite() {
            self.add(field, "must be a finite number");
        } else if rules.required && value == 0.0 {
            self.add(field, "is required and must not be 0");
        } else if let Some(min) = rules.gte.filter(|min| value < *min) {
            self.add(field, format!("must be at least {min}"));
        } else if let Some(max) = rules.lte.filter(|max| value > *max) {
            let instead = rules.instead.map(|other| format!("; use {other} instead"));
            let instead = instead.unwrap_or_default();
            self.add(field, format!("must be at most {max}{instead}"));
        } else if let Some(places) = rules.max_decimals.filter(|n| !has_decimals(value, *n)) {
            self.add(field, too_exact(places));
        }
    }

    /// Checks an enum value, of which `known` says whether the contract names it.
    pub fn choice(&mut self, field: &str, value: i32, known: bool, required: bool) {
        if !known {
            self.add(field, "is not a value of this enum");
        } else if required && value == 0 {
            self.add(field, "is required");
        }
    }
}

/// What is said of a number with more decimal places.
pub(crate) fn too_exact(places: u32) -> String {
    format!("must have at most {places} decimal places")
}

/// Whether `value` is the double nearest to some decimal of at most `places` places.
pub(crate) fn has_decimals(value: f64, places: u32) -> bool {
    let scale = 10f64.powi(i32::try_from(places).unwrap_or(i32::MAX));
    // Division is correctly rounded, so a decimal's own double comes back exactly.
    (value * scale).round() / scale == value
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A local part of at most 64 bytes (RFC 5321, section 4.5.3.1.1) that is a dot-atom (RFC 5322, section
/// 3.2.3), one @, and a domain of two or more labels (RFC 1035, section 2.3.1). What is not ASCII
/// may stand in both (RFC 6531), but for white space, control and invisible characters. Quoted local
/// parts and addresses of hosts have no form here. Whether it exists only a message to it can tell.
fn is_email(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else {
        return false;
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| is_part_of_word(c) || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    local.len() <= 64
        && is_dot_atom(local)
        && domain.contains(DOTS)
        && domain.split(DOTS).all(is_label)
}

/// What separates the labels of a domain: each of them is a full stop to UTS 46.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// Whether a text is a local part without quotes.
pub fn is_dot_atom(local: &str) -> bool {
    let is_atext = |c| is_part_of_word(c) || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_atom = |atom: &str| !atom.is_empty() && atom.chars().all(is_atext);
    local.split('.').all(is_atom)
}

/// A letter or a digit, or what may be one beyond ASCII.
fn is_part_of_word(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric(),
        false => !c.is_whitespace() && !c.is_control() && !characters::is_invisible(c),
    }
}

/// Whether a text contains what may be a card number, with digits in any groups: 12 digits (in use
/// are 12 to 19, the most of ISO/IEC 7812) without a letter in between.
fn may_be_card_number(text: &str) -> bool {
    let mut digits = 0;
    text.chars().any(|c| {
        if c.is_numeric() {
            digits += 1;
        } else if c.is_alphabetic() {
            digits = 0;
        }
        digits >= 12
    })
}

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::CreateProductRequest;

    fn product(price: f64) -> Vec<Violation> {
        let mut violations = Violations::default();
        CreateProductRequest {
            name: "Tea".into(),
            price,
            ..Default::default()
        }
        .validate(&mut violations);
        violations.into_vec()
    }

    #[test]
    fn prices_are_exact_cents() {
        for good in [
            0.0,
            0.1,
            0.01,
            19.99,
            1_000_000.55,
            9_999_999.99,
            10_000_000.0,
        ] {
            assert_eq!(product(good), [], "{good}");
        }
        for (bad, says) in [
            (0.001, "at most 2 decimal places"),
            (19.999, "at most 2 decimal places"),
            (1.0 + f64::EPSILON, "at most 2 decimal places"),
            (-0.01, "at least 0"),
            (10_000_000.01, "at most 10000000"),
            (f64::NAN, "finite"),
            (f64::INFINITY, "finite"),
        ] {
            let violations = product(bad);
            assert_eq!(violations.len(), 1, "{bad}");
            assert_eq!(violations[0].field, "price");
            assert!(
                violations[0].description.contains(says),
                "{bad}: {violations:?}"
            );
        }
    }

    #[test]
    fn every_cent_of_a_range_survives_the_wire() {
        for cents in (0..10_000_000_u32).step_by(7) {
            assert!(has_decimals(f64::from(cents) / 100.0, 2), "{cents}");
        }
    }

    fn wrong<M: Validate>(message: &M) -> Vec<String> {
        let mut violations = Violations::default();
        message.validate(&mut violations);
        violations
            .into_vec()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_element_of_a_list_is_named_by_its_place() {
        let id = "0198c0de-0000-7000-8000-00000000abcd".to_owned();
        let item = |product_id: &str, quantity| crate::cart::BoughtItem {
            product_id: product_id.to_owned(),
            quantity,
        };
        let mut request = crate::cart::ClearCartRequest {
            user_id: id.clone(),
            order_id: id.clone(),
            bought: vec![item(&id, 1), item("7", 0)],
        };
        assert_eq!(
            wrong(&request),
            [
                "bought[1].product_id must be a UUID",
                "bought[1].quantity is required and must not be 0"
            ]
        );
        request.bought = vec![item(&id, 1); 1001];
        assert_eq!(wrong(&request), ["bought must have at most 1000 elements"]);

        let request = crate::payment::SetFailureRateRequest {
            failures: vec![1, 0, 9],
            ..Default::default()
        };
        assert_eq!(
            wrong(&request),
            [
                "failures[1] is required",
                "failures[2] is not a value of this enum"
            ]
        );
    }

    #[test]
    fn what_may_be_absent_is_checked_when_it_is_there() {
        let mut request = crate::payment::SetFailureRateRequest::default();
        assert!(wrong(&request).is_empty());
        request.min_delay_ms = Some(-1);
        assert_eq!(wrong(&request), ["min_delay_ms must be at least 0"]);
    }

    #[test]
    fn card_numbers_are_known_however_they_are_written() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "visa 4111.1111.1111.1111 exp 12/30",
            "411111111111",
            "４１１１１１１１１１１１",
        ] {
            assert!(may_be_card_number(card), "{card}");
        }
        for method in [
            "",
            "credit_card",
            "invoice 2026-11-22",
            "41111111111",
            "sepa-12345-abc-67890-12",
        ] {
            assert!(!may_be_card_number(method), "{method}");
        }
    }

    #[test]
    fn forms() {
        for good in [
            "a@b.co",
            "a.b+c@sub.example.org",
            "ü@exämple.de",
            "o'neil/x=y!#$%&*?^_`{|}~-@b--c.4u",
            "a@例え。テスト",
            "a@ｂ．ｃｏ",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a@b..co",
            "a@b.co.",
            "a@@b.co",
            "a@b@c.de",
            "a b@c.de",
            "a@-b.co",
            "a@b.c-",
            "a@b.co\n",
            "a@b.co*",
            "a@b_c.de",
            "a..b@c.de",
            ".a@b.co",
            "a.@b.co",
            "a,b@c.de",
            "<a@b.co>",
            "\"a b\"@c.de",
            "a@[127.0.0.1]",
            "a\u{85}@b.co",
            "a\u{a0}@b.co",
            "a\u{200b}@b.co",
            "a@b\u{ad}.co",
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
        for (local, label, good) in [(64, 63, true), (65, 63, false), (64, 64, false)] {
            let email = format!("{}@{}.co", "a".repeat(local), "b".repeat(label));
            assert_eq!(is_email(&email), good, "{email}");
        }
        assert!(is_uuid("0198c0de-0000-7000-8000-00000000abcd"));
        for bad in [
            "0198c0de00007000800000000000abcd",
            "0198c0de-0000-7000-8000-00000000abcg",
            "",
        ] {
            assert!(!is_uuid(bad), "{bad}");
        }
    }

    #[test]
    fn characters_are_refused_by_form() {
        use Format::{Any, Email, Lines, Name, Opaque};
        const CONTROLS: &str = "must not contain control characters or line breaks";
        const LINES: &str = "must not contain control characters, except tabs and line breaks";
        const BLANK: &str = "must not be blank";
        const DIRECTION: &str = "must not contain characters that change the direction of text";
        const INVISIBLE: &str = "must not contain invisible characters";
        let table = [
            (Name, "Ada Lovelace", None),
            (Name, "\u{1f468}\u{200d}\u{1f4bb}", None),
            (
                Name,
                "\u{646}\u{627}\u{645}\u{647}\u{200c}\u{627}\u{6cc}",
                None,
            ),
            (Name, "Ada\nLovelace", Some(CONTROLS)),
            (Name, "Ada\u{1b}[31m", Some(CONTROLS)),
            (Name, "Ada\u{85}", Some(CONTROLS)),
            (Name, "Ada\u{2028}Lovelace", Some(CONTROLS)),
            (Name, "  ", Some(BLANK)),
            (Name, "\u{200b}", Some(BLANK)),
            (Name, "\u{202e}", Some(BLANK)),
            (Name, " \u{3164}\u{2800}\u{e0020} ", Some(BLANK)),
            (Name, "\u{202e}adA", Some(DIRECTION)),
            (Name, "Ada\u{2066}", Some(DIRECTION)),
            (Name, "\u{200f}Ada", Some(DIRECTION)),
            (Any, "credit_card", None),
            (Any, "credit\tcard", Some(CONTROLS)),
            (Any, "credit\0card", Some(CONTROLS)),
            (Lines, "Green.\r\n\tFresh.", None),
            (Lines, "\u{202b}שלום\u{202c}", None),
            (Lines, "Green\u{1b}[0m", Some(LINES)),
            (Lines, "Green\0", Some(LINES)),
            (Opaque, "a\tb\u{1b}", None),
            (
                Opaque,
                "a\0b",
                Some("must not contain the character U+0000"),
            ),
            (Email, "\u{a0}a@b.co ", None),
            (Email, "a\u{200b}@b.co", Some(INVISIBLE)),
            (Email, "a\u{200d}@b.co", Some(INVISIBLE)),
            (Email, "a@b\u{feff}.co", Some(INVISIBLE)),
            (Email, "a@\u{202e}b.co", Some(INVISIBLE)),
            (Email, "a\u{ad}@b.co", Some(INVISIBLE)),
            (Email, "a@b.co\n", Some(CONTROLS)),
            (Email, " ", Some(BLANK)),
            (Email, "a b@c.de", Some("must be an e-mail address")),
        ];
        for (form, text, wrong) in table {
            assert_eq!(form.wrong(text, true), wrong, "{form:?} {text:?}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_never_the_value() {
        let mut violations = Violations::default();
        crate::user::CreateUserRequest {
            email: "nonsense".into(),
            name: "a\0b".into(),
            password: "hunter2".into(),
        }
        .validate(&mut violations);
        let violations = violations.into_vec();
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["email", "name", "password"]);
        assert!(!format!("{violations:?}").contains("hunter2"));
    }
}
