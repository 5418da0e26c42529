//! Emits `Validate` for every request message from its field rules, and a method for every id.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::{Result, bail, ensure};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use crate::options::{self, Rules};

/// The source of `rules.rs`.
pub(crate) fn generate(pool: &DescriptorPool, domains: &[&str]) -> Result<String> {
    let whole = requests(pool, domains);
    let mut requests: BTreeMap<_, _> = whole
        .iter()
        .map(|message| (message.full_name().to_owned(), message.clone()))
        .collect();
    // The messages inside of requests have rules of their own.
    let mut inside: Vec<_> = requests.values().cloned().collect();
    while let Some(message) = inside.pop() {
        for field in message.fields() {
            if let Kind::Message(part) = field.kind()
                && requests
                    .insert(part.full_name().to_owned(), part.clone())
                    .is_none()
            {
                inside.push(part);
            }
        }
    }
    let mut out = String::new();
    for message in requests.values() {
        emit(pool, message, whole.contains(message), &mut out)?;
    }
    Ok(out)
}

/// The messages that are requests themselves.
fn requests(pool: &DescriptorPool, domains: &[&str]) -> Vec<MessageDescriptor> {
    pool.services()
        .filter(|service| domains.contains(&service.package_name()))
        .flat_map(|service| {
            service
                .methods()
                .map(|method| method.input())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn emit(
    pool: &DescriptorPool,
    message: &MessageDescriptor,
    is_request: bool,
    out: &mut String,
) -> Result<()> {
    let mut checks = String::new();
    let mut fields = String::new();
    let mut forms = String::new();
    let mut ids = String::new();
    let mut secrets = Vec::new();
    for field in message.fields() {
        let rules = options::rules(pool, &field)?;
        let (name, json_name) = (field.name(), field.json_name());
        let present = rules.present;
        let flag = field.kind() == Kind::Bool && !field.is_list();
        writeln!(
            fields,
            "        Field {{ name: {name:?}, json_name: {json_name:?}, present: {present}, flag: {flag} }},"
        )?;
        if present {
            ensure!(
                is_request,
                "{}: only a request knows what is absent",
                field.full_name()
            );
            writeln!(checks, "        {}", presence(message, &field, &rules)?)?;
        }
        if let Some(form) = one_form(&field, &rules) {
            writeln!(forms, "        {form}")?;
        }
        if rules.format.as_deref() == Some("UUID") {
            writeln!(ids, "{}", id(&field, &rules)?)?;
        }
        if rules.secret {
            secrets.push(field.name().to_owned());
        }
        if let Some(list) = &rules.required_unless {
            alternative(message, &field, &rules, list)?;
        }
        writeln!(checks, "        {}", check(&field, &rules)?)?;
    }
    writeln!(
        out,
        "impl Validate for crate::{}::{} {{\n    const SECRETS: &'static [&'static str] = &{secrets:?};\n    \
         const FIELDS: &'static [Field] = &[\n{fields}    ];\n    \
         fn normalise(&mut self) {{\n{forms}    }}\n    \
         fn validate(&self, violations: &mut Violations) {{\n{checks}    }}\n}}\n",
        message.package_name(),
        message.name(),
    )?;
    if !ids.is_empty() {
        let (package, name) = (message.package_name(), message.name());
        writeln!(out, "impl crate::{package}::{name} {{\n{ids}}}\n")?;
    }
    Ok(())
}

/// The method of a field that is an id.
fn id(field: &FieldDescriptor, rules: &Rules) -> Result<String> {
    let name = field.name();
    ensure!(
        field.kind() == Kind::String && !field.is_list(),
        "{}: only a string can be a UUID",
        field.full_name()
    );
    let (absent, gives, read) = if rules.required {
        ("", "uuid::Uuid", "required")
    } else {
        ("; none when it is empty", "Option<uuid::Uuid>", "optional")
    };
    Ok(format!(
        "    /// The id in `{name}`{absent}.\n    ///\n    /// # Errors\n    ///\n    \
         /// When it is no UUID. The field's rule refuses that before a handler runs.\n    \
         pub fn {name}(&self) -> Result<{gives}, Violation> {{\n        \
         crate::id::{read}({name:?}, &self.{name})\n    }}"
    ))
}

/// The check of a field that must be present in JSON, with any value.
fn presence(message: &MessageDescriptor, field: &FieldDescriptor, rules: &Rules) -> Result<String> {
    let name = field.name();
    let zero = rules.gte.is_none_or(|gte| gte <= 0.0);
    ensure!(
        zero && !rules.required
            && matches!(field.kind(), Kind::Int32 | Kind::Double)
            && !field.is_list(),
        "{}: only a number that may be 0 can be `present`",
        field.full_name()
    );
    let Some(flag) = &rules.present_unless else {
        return Ok(format!("violations.present({name:?});"));
    };
    ensure!(
        message
            .get_field_by_name(flag)
            .is_some_and(|flag| flag.kind() == Kind::Bool),
        "{}: `{flag}` is no flag of the request",
        field.full_name()
    );
    Ok(format!(
        "if !self.{flag} {{ violations.present({name:?}); }}"
    ))
}

/// Refuses a rule that names no list beside the field.
fn alternative(
    message: &MessageDescriptor,
    field: &FieldDescriptor,
    rules: &Rules,
    list: &str,
) -> Result<()> {
    let is_list = message
        .get_field_by_name(list)
        .is_some_and(|other| other.is_list());
    ensure!(
        is_list && !field.is_list() && !rules.required && !rules.present,
        "{}: `required_unless` names a list of the request, and is the only rule of what is required",
        field.full_name()
    );
    Ok(())
}

/// What brings a field to its one form, where equal values can be written in several.
fn one_form(field: &FieldDescriptor, rules: &Rules) -> Option<String> {
    let name = field.name();
    match field.kind() {
        Kind::Message(_) if field.is_list() => Some(format!(
            "self.{name}.iter_mut().for_each(Validate::normalise);"
        )),
        Kind::String if rules.format.as_deref() == Some("UUID") => {
            Some(format!("self.{name}.make_ascii_lowercase();"))
        }
        _ => None,
    }
}

fn check(field: &FieldDescriptor, rules: &Rules) -> Result<String> {
    let name = field.name();
    let required = rules.required;
    ensure!(
        !field.is_map(),
        "{}: a request holds no maps",
        field.full_name()
    );
    if field.is_list() {
        return list(field, rules);
    }
    if field.field_descriptor_proto().proto3_optional() {
        let check = match field.kind() {
            Kind::String => {
                let rules = text(field, rules)?;
                format!("violations.optional_text({name:?}, value, {rules});")
            }
            Kind::Int32 => {
                let rules = number(field, rules)?;
                format!("violations.number({name:?}, f64::from(*value), {rules});")
            }
            Kind::Double => {
                let rules = number(field, rules)?;
                format!("violations.number({name:?}, *value, {rules});")
            }
            other => bail!("{}: {other:?} cannot be optional", field.full_name()),
        };
        ensure!(
            rules.format.as_deref() != Some("UUID") && !rules.present,
            "{}: an optional field is neither a UUID nor `present`",
            field.full_name()
        );
        return Ok(format!("if let Some(value) = &self.{name} {{ {check} }}"));
    }
    Ok(match field.kind() {
        Kind::String => format!(
            "violations.text({name:?}, &self.{name}, {});",
            text(field, rules)?
        ),
        Kind::Int32 => format!(
            "violations.number({name:?}, f64::from(self.{name}), {});",
            number(field, rules)?
        ),
        Kind::Double => format!(
            "violations.number({name:?}, self.{name}, {});",
            number(field, rules)?
        ),
        Kind::Enum(kind) => format!(
            "violations.choice({name:?}, self.{name}, crate::{}::{}::try_from(self.{name}).is_ok(), {required});",
            kind.package_name(),
            kind.name()
        ),
        Kind::Bool => String::new(),
        other => bail!(
            "{}: rules for {other:?} are not supported",
            field.full_name()
        ),
    })
}

/// A list of messages or of enum values.
fn list(field: &FieldDescriptor, rules: &Rules) -> Result<String> {
    let name = field.name();
    let Some(max) = rules.max_items else {
        bail!("{}: a list of a request needs max_items", field.full_name());
    };
    let element = match field.kind() {
        Kind::Message(_) => "item.validate(violations);".to_owned(),
        Kind::Enum(kind) => format!(
            "violations.choice(\"\", *item, crate::{}::{}::try_from(*item).is_ok(), true);",
            kind.package_name(),
            kind.name()
        ),
        other => bail!(
            "{}: rules for lists of {other:?} are not supported",
            field.full_name()
        ),
    };
    Ok(format!(
        "violations.list({name:?}, &self.{name}, {max}, |item, violations| {{ {element} }});"
    ))
}

fn text(field: &FieldDescriptor, rules: &Rules) -> Result<String> {
    let Some(max) = rules.max_len else {
        bail!("{}: a string of a request needs max_len", field.full_name());
    };
    let format = match rules.format.as_deref() {
        None => "Any",
        Some("UUID") => "Uuid",
        Some("EMAIL") => "Email",
        Some("NO_CARD_NUMBER") => "NoCardNumber",
        Some("NAME") => "Name",
        Some("LINES") => "Lines",
        Some("OPAQUE") => "Opaque",
        Some(other) => bail!("{}: unknown format {other}", field.full_name()),
    };
    let (required, min) = (is_required(rules), rules.min_len);
    Ok(format!(
        "Text {{ required: {required}, min: {min}, max: {max}, format: Format::{format} }}"
    ))
}

fn number(field: &FieldDescriptor, rules: &Rules) -> Result<String> {
    if let Some(other) = &rules.instead {
        let known = field.parent_message().get_field_by_name(other).is_some();
        ensure!(
            known && rules.lte.is_some(),
            "{}: `instead` names another field of the message, beside a limit `lte`",
            field.full_name()
        );
    }
    Ok(format!(
        "Number {{ required: {}, gte: {:?}, lte: {:?}, instead: {:?}, max_decimals: {:?} }}",
        is_required(rules),
        rules.gte,
        rules.lte,
        rules.instead,
        rules.max_decimals
    ))
}

/// Whether a field is required, as an expression.
fn is_required(rules: &Rules) -> String {
    match &rules.required_unless {
        Some(list) => format!("self.{list}.is_empty()"),
        None => rules.required.to_string(),
    }
}
