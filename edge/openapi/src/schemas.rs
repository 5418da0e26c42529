//! Messages as JSON Schema: requests as they are checked, responses as they are printed.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::{
    comments::Comments,
    rules::{Reader, Rules},
};

/// Makes schemas, and keeps those that have a name.
pub(crate) struct Schemas {
    rules: Reader,
    components: Map<String, Value>,
}

/// A schema that has a name.
fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

impl Schemas {
    pub(crate) fn new(pool: &DescriptorPool) -> Result<Self> {
        Ok(Self {
            rules: Reader::new(pool)?,
            components: Map::new(),
        })
    }

    /// All that have a name.
    pub(crate) fn into_components(self) -> Map<String, Value> {
        self.components
    }

    /// The rules of `field`.
    pub(crate) fn rules(&self, field: &FieldDescriptor) -> Result<Rules> {
        self.rules.of(field)
    }

    /// The schema of a body that is `message`, less the fields that the path has already.
    pub(crate) fn request(&mut self, message: &MessageDescriptor, path: &[&str]) -> Result<Value> {
        let comments = Comments::of(&message.parent_file());
        let mut description = comments.at(message.path());
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut unless = None;
        let alternatives = self.alternatives(message, path)?;
        for field in message.fields() {
            if path.contains(&field.name()) || alternatives.contains(field.name()) {
                continue;
            }
            let rules = self.rules.of(&field)?;
            let mut schema = self.request_field(&field, &rules)?;
            schema.insert("description".into(), comments.at(field.path()).into());
            if rules.always_given() {
                required.push(field.name().to_owned());
            } else {
                or_null(&mut schema);
            }
            if !rules.present_unless.is_empty() && unless.replace((field.clone(), rules)).is_some()
            {
                bail!("{}: two fields that need a flag", message.full_name());
            }
            properties.insert(field.name().to_owned(), schema.into());
        }
        if !path.is_empty() {
            let names = path.join(" and ");
            description.push_str(&format!(
                "\n\nThe path says {names}; where the body says it too, it must say the same."
            ));
        }
        let mut schema = json!({
            "type": "object",
            "description": description,
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if let Some((field, rules)) = unless {
            let (name, flag) = (field.name(), &rules.present_unless);
            let given = Value::Object(rules.schema(&field.kind(), field.full_name())?);
            schema["anyOf"] = json!([
                {"required": [name], "properties": {name: {"type": given["type"]}}},
                {"required": [flag], "properties": {flag: {"const": true}}},
            ]);
        }
        self.name(message.name(), schema)
    }

    /// The lists that say in another way what the path says: a request that has both is refused.
    fn alternatives(&self, message: &MessageDescriptor, path: &[&str]) -> Result<BTreeSet<String>> {
        let mut lists = BTreeSet::new();
        for field in message.fields() {
            let list = self.rules.of(&field)?.required_unless;
            if list.is_empty() {
                continue;
            }
            if path.contains(&field.name()) {
                lists.insert(list);
            } else if !lists.contains(&list) {
                bail!(
                    "{}: two ways in one body have no form here",
                    field.full_name()
                );
            }
        }
        Ok(lists)
    }

    /// The schema of a field of a request.
    fn request_field(
        &mut self,
        field: &FieldDescriptor,
        rules: &Rules,
    ) -> Result<Map<String, Value>> {
        let name = field.full_name();
        if !field.is_list() {
            return rules.schema(&field.kind(), name);
        }
        let items = match field.kind() {
            Kind::Message(message) => self.request(&message, &[])?,
            // An element is never the value that says nothing.
            kind @ Kind::Enum(_) => Rules::required().schema(&kind, name)?.into(),
            other => bail!("{name}: a list of {other:?} has no form here"),
        };
        let max = rules.max_items;
        let max = max.with_context(|| format!("{name}: how many is not said"))?;
        let mut schema = Map::new();
        schema.insert("type".into(), "array".into());
        schema.insert("items".into(), items);
        schema.insert("maxItems".into(), max.into());
        Ok(schema)
    }

    /// The schema of a query parameter; none for what a query cannot say.
    pub(crate) fn query(&self, field: &FieldDescriptor) -> Result<Option<Value>> {
        if field.is_list() || matches!(field.kind(), Kind::Message(_)) {
            return Ok(None);
        }
        let rules = self.rules.of(field)?;
        let mut schema = rules.schema(&field.kind(), field.full_name())?;
        if rules.secret {
            // A parameter is never in an answer, and what a person types into a search is shown to them.
            schema.remove("writeOnly");
            schema.remove("format");
        }
        Ok(Some(schema.into()))
    }

    /// The schema of an answer that is `message`.
    pub(crate) fn response(&mut self, message: &MessageDescriptor) -> Result<Value> {
        let comments = Comments::of(&message.parent_file());
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            let name = field.full_name();
            let mut schema = match field.kind() {
                Kind::Message(part) => self.response(&part)?,
                Kind::Enum(of) => self.choice(&of)?,
                Kind::String => json!({"type": "string"}),
                Kind::Bool => json!({"type": "boolean"}),
                Kind::Double => json!({"type": "number", "format": "double"}),
                Kind::Int32 => json!({"type": "integer", "format": "int32"}),
                // proto3 JSON: a double cannot hold all of them.
                Kind::Int64 => json!({"type": "string", "format": "int64"}),
                Kind::Uint64 => json!({"type": "string", "format": "uint64"}),
                other => bail!("{name}: an answer's field of {other:?} has no form here"),
            };
            if field.is_list() {
                schema = json!({"type": "array", "items": schema});
            }
            schema["description"] = comments.at(field.path()).into();
            // What has no default value is left out when there is none.
            if field.is_list() || !field.supports_presence() {
                required.push(field.name().to_owned());
            }
            properties.insert(field.name().to_owned(), schema);
        }
        let schema = json!({
            "type": "object",
            "description": comments.at(message.path()),
            "properties": properties,
            "required": required,
        });
        self.name(message.name(), schema)
    }

    /// The schema of an enum in an answer, which prints its name.
    fn choice(&mut self, of: &EnumDescriptor) -> Result<Value> {
        let comments = Comments::of(&of.parent_file());
        let mut description = comments.at(of.path());
        for value in of.values() {
            let comment = comments.at(value.path());
            description.push_str(&format!("\n- `{}`: {comment}", value.name()));
        }
        let names: Vec<_> = of.values().map(|value| value.name().to_owned()).collect();
        let schema = json!({"type": "string", "enum": names, "description": description});
        self.name(of.name(), schema)
    }

    /// Gives `schema` a name, which is that of no other.
    fn name(&mut self, name: &str, schema: Value) -> Result<Value> {
        match self.components.get(name) {
            Some(other) if *other != schema => bail!("two schemas are called {name}"),
            _ => self.components.insert(name.to_owned(), schema),
        };
        Ok(reference(name))
    }
}

/// `null` is absent.
fn or_null(schema: &mut Map<String, Value>) {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([*kind, "null"]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}
