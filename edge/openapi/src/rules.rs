//! The rules of a field (`zerocart.rules`) as JSON Schema.

use anyhow::{Context, Result, bail};
use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json};
use zerocart_proto::characters::{BIDI_CONTROL, BLANK_BRAILLE, INVISIBLE};

/// `zerocart.Rules`, as proto3 JSON writes it. A rule that is not known here is an error: the document
/// would not say it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Rules {
    required: bool,
    min_len: u32,
    max_len: Option<u32>,
    format: Format,
    gte: Option<f64>,
    lte: Option<f64>,
    max_decimals: Option<u32>,
    pub(crate) secret: bool,
    pub(crate) max_items: Option<u32>,
    present: bool,
    pub(crate) present_unless: String,
    /// The error says it, and so does the description of the field.
    #[serde(rename = "instead")]
    _instead: IgnoredAny,
    /// A list that says the same in another way.
    pub(crate) required_unless: String,
    /// Whether the field itself says that it may be absent.
    #[serde(skip)]
    optional: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Format {
    #[default]
    #[serde(rename = "FORMAT_UNSPECIFIED")]
    Any,
    Uuid,
    Email,
    NoCardNumber,
    Name,
    Lines,
    Opaque,
}

/// Reads the rules of fields.
pub(crate) struct Reader(ExtensionDescriptor);

impl Reader {
    pub(crate) fn new(pool: &DescriptorPool) -> Result<Self> {
        let rules = pool.get_extension_by_name("zerocart.rules");
        rules.map(Self).context("zerocart.rules is not declared")
    }

    /// The rules of `field`; none when it has none.
    pub(crate) fn of(&self, field: &FieldDescriptor) -> Result<Rules> {
        let options = field.options();
        let optional = field.field_descriptor_proto().proto3_optional();
        if !options.has_extension(&self.0) {
            return Ok(Rules {
                optional,
                ..Rules::default()
            });
        }
        let value = options.get_extension(&self.0);
        let message = value.as_message().context("zerocart.rules is a message")?;
        let json = serde_json::to_value(message)?;
        let rules: Rules = serde_json::from_value(json)
            .with_context(|| format!("the rules of {}", field.full_name()))?;
        Ok(Rules {
            optional,
            // `Schemas::request` leaves the list out.
            required: rules.required || !rules.required_unless.is_empty(),
            ..rules
        })
    }
}

/// A form of 8-4-4-4-12 hexadecimal digits.
const UUID: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
/// What an atom of an e-mail's local part is made of, and a label of its domain: RFC 5322's atext,
/// and letters, digits and hyphens within. Written as what is left out, since what is not ASCII may
/// stand in them.
const NO_ATOM: &str = r#"\x00- "(),.:;<>@\[\\\]\x7f-\x9f\s"#;
const NO_LABEL_EDGE: &str = r"\x00-/:-@\[-`{-\x9f\s\u3002\uff0e\uff61";
const NO_LABEL_INSIDE: &str = r"\x00-,./:-@\[-`{-\x9f\s\u3002\uff0e\uff61";
/// What separates labels: all of them are full stops to UTS 46.
const DOT: &str = r"[.\u3002\uff0e\uff61]";
/// A blank that may stand around an e-mail.
const BLANK: &str = r"[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]";
/// Unicode's White_Space; \s is another set to ECMAScript and to Python each.
const WHITE_SPACE: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// Fewer than 12 digits without a letter in between.
const NO_CARD_NUMBER: &str = r"(?![\s\S]*[0-9](?:[^A-Za-z]*[0-9]){11})";
/// What is no part of one line.
const NO_LINE: &str = r"\u0000-\u001f\u007f-\u009f\u2028\u2029";
/// What is no part of text that may have more lines.
const NO_LINES: &str = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f";
/// What is part of no text.
const NUL: &str = r"\u0000";

/// Ranges of characters as a class of ECMAScript has them, without its brackets. Python's patterns, which
/// schemathesis has, know no escape of ECMAScript's beyond 16 bits: those stand for themselves.
fn class(ranges: &[(char, char)]) -> String {
    let one = |c: char| match u32::from(c) {
        code @ ..=0xffff => format!("\\u{code:04x}"),
        _ => c.to_string(),
    };
    let ranges = ranges.iter().map(|(first, last)| match first == last {
        true => one(*first),
        false => format!("{}-{}", one(*first), one(*last)),
    });
    ranges.collect()
}

/// Any text without the characters of a class.
fn without(class: &str) -> String {
    format!("[^{class}]*")
}

/// Such a text in which there is something besides white space, and besides the characters of `unseen`.
fn with_more_than(unseen: &str, without: &str) -> String {
    format!("[^{without}]*[^{WHITE_SPACE}{without}{unseen}][^{without}]*")
}

/// A dot-atom of at most 64 characters, one @, and a domain of two or more labels.
fn email() -> String {
    let invisible = class(&INVISIBLE);
    let atom = format!("[^{NO_ATOM}{invisible}]+");
    let edge = format!("[^{NO_LABEL_EDGE}{invisible}]");
    let label = format!("{edge}(?:[^{NO_LABEL_INSIDE}{invisible}]{{0,61}}{edge})?");
    let address = format!(r"(?=[^@]{{1,64}}@){atom}(?:\.{atom})*@{label}(?:{DOT}{label})+");
    format!("{BLANK}*{address}{BLANK}*")
}

/// One line with something to see in it.
fn name() -> String {
    let unseen = format!(
        "{}{}",
        class(&INVISIBLE),
        class(&[(BLANK_BRAILLE, BLANK_BRAILLE)])
    );
    with_more_than(&unseen, &format!("{NO_LINE}{}", class(&BIDI_CONTROL)))
}

impl Rules {
    /// Whether a request without the field is refused, with any other content.
    pub(crate) fn always_given(&self) -> bool {
        self.needed() && self.present_unless.is_empty()
    }

    /// Whether a request of other fields alone may be refused without the field.
    pub(crate) fn needed(&self) -> bool {
        (self.required || self.present) && !self.optional
    }

    /// Those of a value that must be there.
    pub(crate) fn required() -> Self {
        Self {
            required: true,
            ..Self::default()
        }
    }

    /// The schema of one value of a request's field: `Kind` by `Kind` what the checks of
    /// `zerocart_proto::validate` let through.
    pub(crate) fn schema(&self, kind: &Kind, field: &str) -> Result<Map<String, Value>> {
        let schema = match kind {
            Kind::String => self.text(field)?,
            Kind::Int32 => self.integer(),
            Kind::Double => self.double(),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Enum(of) => {
                // Where one is required, the first value says that there is none.
                let values = of.values().skip(usize::from(self.required));
                let names: Vec<_> = values.map(|value| value.name().to_owned()).collect();
                json!({"type": "string", "enum": names})
            }
            other => bail!("{field}: a request's field of {other:?} has no form here"),
        };
        match schema {
            Value::Object(schema) => Ok(schema),
            other => bail!("{field}: {other} is no schema"),
        }
    }

    fn text(&self, field: &str) -> Result<Value> {
        let max = self.max_len;
        let max = max.with_context(|| format!("{field}: how long it may be is not said"))?;
        let mut schema = json!({"type": "string", "maxLength": max});
        if self.required {
            schema["minLength"] = self.min_len.max(1).into();
        }
        let (pattern, format) = match self.format {
            Format::Uuid if self.required => (UUID.to_owned(), Some("uuid")),
            // Empty is absent.
            Format::Uuid => (format!("(?:{UUID})?"), None),
            // Blanks around it are no part of the form that this keyword names.
            Format::Email if self.required => (email(), None),
            Format::Name if self.required => (name(), None),
            Format::NoCardNumber if !self.required => {
                (format!("{NO_CARD_NUMBER}{}", without(NO_LINE)), None)
            }
            Format::Any if self.required => (with_more_than("", NO_LINE), None),
            Format::Any => (without(NO_LINE), None),
            Format::Lines if !self.required => (without(NO_LINES), None),
            Format::Opaque if self.required => (with_more_than("", NUL), None),
            format => bail!("{field}: {format:?} has no form here"),
        };
        if !self.required && self.min_len > 0 {
            bail!("{field}: a shortest text that may be empty has no form here");
        }
        schema["pattern"] = format!("^{pattern}$").into();
        if let Some(format) = format {
            schema["format"] = format.into();
        }
        if self.secret {
            schema["format"] = "password".into();
            schema["writeOnly"] = true.into();
        }
        Ok(schema)
    }

    fn integer(&self) -> Value {
        // A bound that is no int32 becomes the int32's own.
        let whole = |bound: f64| bound as i32;
        let mut schema = json!({
            "type": "integer",
            "format": "int32",
            "minimum": self.gte.map_or(i32::MIN, whole),
            "maximum": self.lte.map_or(i32::MAX, whole),
        });
        if self.required && self.gte.is_none_or(|gte| gte <= 0.0) {
            schema["not"] = json!({"const": 0});
        }
        schema
    }

    fn double(&self) -> Value {
        let mut schema = json!({"type": "number", "format": "double"});
        for (name, bound) in [("minimum", self.gte), ("maximum", self.lte)] {
            if let Some(bound) = bound {
                schema[name] = number(bound);
            }
        }
        if let Some(places) = self.max_decimals {
            schema["multipleOf"] = 10f64.powi(-i32::try_from(places).unwrap_or(0)).into();
        }
        if self.required && self.gte.is_none_or(|gte| gte <= 0.0) {
            schema["not"] = json!({"const": 0});
        }
        schema
    }
}

/// A whole number without `.0`.
fn number(value: f64) -> Value {
    let whole = value as i64;
    if whole as f64 == value {
        whole.into()
    } else {
        value.into()
    }
}
