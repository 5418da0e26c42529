//! Adds the JSON form to messages and enums: serde's derive, with the readers and writers of
//! `src/json.rs` where proto3 JSON has rules of its own.

use std::fmt::Write;

use anyhow::{Result, bail, ensure};
use prost_build::Config;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use crate::options;

/// Gives the messages of `packages` their JSON form. Returns the source of `json.rs`, which does it
/// for enums.
pub(crate) fn derive(
    pool: &DescriptorPool,
    packages: &[&str],
    config: &mut Config,
) -> Result<String> {
    let is_ours = |package: &str| packages.contains(&package);
    for message in pool.all_messages().filter(|m| is_ours(m.package_name())) {
        config.message_attribute(
            format!(".{}", message.full_name()),
            "#[derive(::serde::Serialize, ::serde::Deserialize)] \
             #[serde(default, deny_unknown_fields)]",
        );
        for field in message.fields() {
            config.field_attribute(
                format!(".{}", field.full_name()),
                attribute(pool, &message, &field)?,
            );
        }
    }
    let mut enums = String::new();
    for kind in pool.all_enums().filter(|e| is_ours(e.package_name())) {
        let path = format!("crate::{}::{}", kind.package_name(), kind.name());
        writeln!(
            enums,
            "impl Enumeration for {path} {{\n    \
             fn number(name: &str) -> Option<i32> {{ \
             Self::from_str_name(name).map(i32::from) }}\n    \
             fn name(number: i32) -> Option<&'static str> {{ \
             Self::try_from(number).ok().map(|value| value.as_str_name()) }}\n}}"
        )?;
    }
    Ok(enums)
}

fn attribute(
    pool: &DescriptorPool,
    message: &MessageDescriptor,
    field: &FieldDescriptor,
) -> Result<String> {
    let optional = field.field_descriptor_proto().proto3_optional();
    let list = field.is_list();
    let (read, write) = match field.kind() {
        // Serde's own reader of an option takes null for absent, as proto3 JSON does.
        Kind::String if optional => ("optional".to_owned(), None),
        Kind::String | Kind::Bool if !list && !optional => ("absent_or".to_owned(), None),
        Kind::Int32 if optional => ("optional_number".to_owned(), None),
        Kind::Int32 if !list => ("number".to_owned(), None),
        Kind::Double if !list => {
            let read = match options::rules(pool, field)?.max_decimals {
                Some(places) => format!("decimal::<{places}, _>"),
                None => "number".to_owned(),
            };
            match optional {
                true => (
                    format!("optional_{read}"),
                    Some("write_optional_double".to_owned()),
                ),
                false => (read, Some("write_double".to_owned())),
            }
        }
        Kind::Enum(kind) if !optional => {
            let path = format!("crate::{}::{}", kind.package_name(), kind.name());
            let many = if list { "s" } else { "" };
            (
                format!("choice{many}::<{path}, _>"),
                Some(format!("write_choice{many}::<{path}, _>")),
            )
        }
        Kind::Message(_) if list => ("messages".to_owned(), None),
        Kind::Message(_) => ("message".to_owned(), None),
        other => bail!("{}: {other:?} has no JSON form here", field.full_name()),
    };
    let mut parts = vec![format!("deserialize_with = \"crate::json::{read}\"")];
    if let Some(write) = write {
        parts.push(format!("serialize_with = \"crate::json::{write}\""));
    }
    // A reader takes either name; ours is written, because clients read the names of proto/.
    if field.json_name() != field.name() {
        parts.push(format!("alias = \"{}\"", field.json_name()));
    }
    // All else is written, also when it is 0 or empty: a field that is there is easier to rely on.
    if optional || (matches!(field.kind(), Kind::Message(_)) && !list) {
        parts.push("skip_serializing_if = \"Option::is_none\"".to_owned());
    }
    ensure!(
        field.containing_oneof().is_none() || optional,
        "{}: a oneof has no JSON form here",
        message.full_name()
    );
    Ok(format!("#[serde({})]", parts.join(", ")))
}
