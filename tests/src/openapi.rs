//! The OpenAPI document, held against the descriptors: every RPC, every field and every rule.
//!
//! It reads the descriptors on its own: what makes the document is what is checked. That the document
//! is OpenAPI, `tests/schemathesis` asks the official schema; that the system is as it says,
//! schemathesis.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage,
};
use regress::Regex;
use serde_json::{Value, json};
use zerocart_proto::rpc::Info;

/// What has a form, and what does not.
const FORMS: [(&str, &str, &str); 6] = [
    (
        "UUID",
        "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60",
        "0192f0c17a3e7cc29f4b1d2c3b4a5f60",
    ),
    ("EMAIL", "ada@example.com", "ada@example"),
    (
        "NO_CARD_NUMBER",
        "invoice 2026-11-22",
        "4111 1111 1111 1111",
    ),
    ("NAME", "Ada \u{1f469}\u{200d}\u{1f4bb}", "Ada\u{202e}"),
    ("LINES", "one\ntwo", "one\u{1b}"),
    ("OPAQUE", "one\ntwo", "one\0"),
];

/// The statuses of errors that every operation may answer.
const EVERYWHERE: [&str; 8] = ["400", "414", "429", "431", "500", "502", "503", "504"];

/// What `document` lacks, has too much, or says otherwise than the descriptors.
///
/// # Panics
///
/// When `descriptors` are none.
pub fn check(functions: &[Info], descriptors: &[u8], document: &Value) -> Vec<String> {
    let pool = DescriptorPool::decode(descriptors).expect("descriptors of the build");
    let mut check = Check {
        pool: &pool,
        document,
        wrong: Vec::new(),
    };
    check.references(document);
    let found: BTreeMap<_, _> = operations(document).collect();
    let named = |info: &Info| format!("{} {}", info.http_method, info.http_path);
    let names: Vec<_> = functions.iter().map(named).collect();
    check.wrong.extend(crate::compare(
        "the document",
        names.iter().map(String::as_str),
        found.keys().map(String::as_str),
    ));
    for (info, name) in functions.iter().zip(&names) {
        if let Some(operation) = found.get(name) {
            check.operation(info, operation);
        }
    }
    check.wrong
}

/// The operations by method and path.
fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| {
            (format!("{} {path}", method.to_uppercase()), operation)
        })
    })
}

struct Check<'a> {
    pool: &'a DescriptorPool,
    document: &'a Value,
    wrong: Vec<String>,
}

impl<'a> Check<'a> {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    /// Every reference leads somewhere.
    fn references(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    let target = self.document.pointer(to.trim_start_matches('#'));
                    self.expect(target.is_some(), || format!("{to} leads nowhere"));
                }
                members.values().for_each(|value| self.references(value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.references(value)),
            _ => {}
        }
    }

    /// What a value is, or what it refers to.
    fn follow(&self, value: &'a Value) -> &'a Value {
        let to = value["$ref"].as_str();
        let to = to.and_then(|to| self.document.pointer(to.trim_start_matches('#')));
        to.unwrap_or(value)
    }

    fn operation(&mut self, info: &Info, operation: &'a Value) {
        let (service, rpc) = info
            .grpc_path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or_default();
        let service = self.pool.get_service_by_name(service);
        let method = service.and_then(|s| s.methods().find(|method| method.name() == rpc));
        let Some(method) = method else {
            self.wrong.push(format!("{}: no such RPC", info.grpc_path));
            return;
        };
        let name = info.name;
        self.expect(operation["operationId"] == rpc, || {
            format!("{name}: its id is not {rpc}")
        });
        let ways = operation["security"].as_array();
        let open = ways.is_some_and(|ways| ways.is_empty() || ways.contains(&json!({})));
        let ways = ways.map(Vec::as_slice).unwrap_or_default();
        self.expect(open == info.access.anyone, || {
            format!("{name}: who needs a token is wrong")
        });
        let reads_token = ways.iter().any(|way| way["bearer"].is_array());
        self.expect(
            reads_token == (!open || !info.recognises.is_empty()),
            || format!("{name}: whether a token is read is wrong"),
        );
        self.expect(has_text(&operation["summary"]), || {
            format!("{name}: no summary")
        });

        let parameters: Vec<_> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        let parameters: Vec<_> = parameters.into_iter().map(|one| self.follow(one)).collect();
        let headers: BTreeSet<_> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "header")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let wanted = if info.writes {
            &["Idempotency-Key", "traceparent"][..]
        } else {
            &["traceparent"]
        };
        self.expect(headers == wanted.iter().copied().collect(), || {
            format!("{name}: its headers are {headers:?}")
        });
        self.answers(info, &method.output(), &operation["responses"]);
        self.request(info, &method.input(), &parameters, operation);
    }

    fn answers(&mut self, info: &Info, output: &MessageDescriptor, responses: &'a Value) {
        let name = info.name;
        let statuses: BTreeSet<_> = responses
            .as_object()
            .into_iter()
            .flatten()
            .map(|(s, _)| s.as_str())
            .collect();
        let (success, other) = if info.creates {
            ("201", "200")
        } else {
            ("200", "201")
        };
        self.expect(
            statuses.contains(success) && !statuses.contains(other),
            || format!("{name}: its success is not {success}"),
        );
        let location = &responses[success]["headers"]["Location"]["required"];
        self.expect((*location == true) == info.creates, || {
            format!("{name}: Location is wrong")
        });
        let more = [
            // Where anyone may call, no token is looked at.
            ("401", !info.access.anyone || info.refuses == Some(401)),
            ("403", !info.access.anyone),
            ("408", info.http_body),
            ("412", true),
            ("413", info.http_body),
            ("415", info.http_body),
            ("422", info.writes),
        ];
        let everywhere = EVERYWHERE.into_iter().map(|status| (status, true));
        for (status, wanted) in everywhere.chain(more) {
            self.expect(statuses.contains(status) == wanted, || {
                format!("{name}: whether it answers {status} is wrong")
            });
        }
        let schema = &responses[success]["content"]["application/json"]["schema"];
        self.response(output, schema);
    }

    /// Every field of an answer is a property, always there unless it may be absent.
    fn response(&mut self, message: &MessageDescriptor, schema: &'a Value) {
        let schema = self.follow(schema);
        let name = message.name();
        self.properties(
            name,
            message.fields().map(|f| f.name().to_owned()).collect(),
            schema,
        );
        for field in message.fields() {
            let always = field.is_list() || !field.supports_presence();
            self.expect(requires(schema, field.name()) == always, || {
                format!("{}: whether it is always there is wrong", field.full_name())
            });
            let mut property = &schema["properties"][field.name()];
            self.expect(has_text(&property["description"]), || {
                format!("{}: no description", field.full_name())
            });
            if field.is_list() {
                property = &property["items"];
            }
            match field.kind() {
                Kind::Message(part) => self.response(&part, property),
                kind => self.kind(&field, &kind, self.follow(property), false),
            }
        }
    }

    /// Every field of a request is in the path, the query or the body, and in one of them alone.
    fn request(
        &mut self,
        info: &Info,
        input: &MessageDescriptor,
        parameters: &[&'a Value],
        operation: &'a Value,
    ) {
        let name = info.name;
        let in_path =
            |field: &FieldDescriptor| info.http_path.contains(&format!("{{{}}}", field.name()));
        let mut places = BTreeSet::new();
        for field in input.fields() {
            let place = match (in_path(&field), info.http_body) {
                (true, _) => "path",
                (false, true) => continue,
                // A query has no lists.
                (false, false) if field.is_list() => continue,
                (false, false) => "query",
            };
            places.insert((place, field.name().to_owned()));
            let parameter = parameters
                .iter()
                .find(|p| p["in"] == place && p["name"] == field.name());
            let Some(parameter) = parameter else { continue };
            let required = always_given(self.pool, &field);
            self.expect((parameter["required"] == true) == required, || {
                format!("{}: whether it is required is wrong", field.full_name())
            });
            self.expect(has_text(&parameter["description"]), || {
                format!("{}: no description", field.full_name())
            });
            self.field(&field, &parameter["schema"], false);
        }
        let found: BTreeSet<_> = parameters
            .iter()
            .filter(|parameter| parameter["in"] != "header")
            .map(|p| {
                (
                    p["in"].as_str().unwrap_or(""),
                    p["name"].as_str().unwrap_or("").to_owned(),
                )
            })
            .collect();
        self.expect(found == places, || {
            format!("{name}: its parameters are {found:?}, not {places:?}")
        });
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        self.expect(body.is_null() != info.http_body, || {
            format!("{name}: whether it has a body is wrong")
        });
        if info.http_body {
            let fields: Vec<_> = input.fields().filter(|field| !in_path(field)).collect();
            let needed = self.body(input.name(), &fields, body);
            let says = &operation["requestBody"]["required"];
            self.expect((*says == true) == needed, || {
                format!("{name}: whether it needs its body is wrong")
            });
        }
    }

    /// The fields are the properties, and nothing else is taken. Whether one must be there.
    fn body(&mut self, name: &str, fields: &[FieldDescriptor], schema: &'a Value) -> bool {
        let schema = self.follow(schema);
        self.properties(
            name,
            fields.iter().map(|f| f.name().to_owned()).collect(),
            schema,
        );
        self.expect(schema["additionalProperties"] == false, || {
            format!("{name}: takes what it does not know")
        });
        let mut needed = false;
        for field in fields {
            let property = &schema["properties"][field.name()];
            let required = always_given(self.pool, field);
            let unless = unless(self.pool, field);
            needed |= required || unless.is_some();
            if let Some(flag) = &unless {
                // One of the two is there.
                let one = |n: usize, name: &str| requires(&schema["anyOf"][n], name);
                let set = &schema["anyOf"][1]["properties"][flag]["const"];
                let fine = one(0, field.name()) && one(1, flag) && *set == true;
                self.expect(fine, || {
                    format!("{}: when it is required is wrong", field.full_name())
                });
            }
            self.expect(requires(schema, field.name()) == required, || {
                format!("{}: whether it is required is wrong", field.full_name())
            });
            self.expect(has_text(&property["description"]), || {
                format!("{}: no description", field.full_name())
            });
            // Null is absent.
            self.field(field, property, !required);
        }
        needed
    }

    fn properties(&mut self, name: &str, fields: Vec<String>, schema: &Value) {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let properties: BTreeSet<_> = properties.map(|(name, _)| name.clone()).collect();
        let fields: BTreeSet<_> = fields.into_iter().collect();
        self.expect(properties == fields, || {
            format!("{name}: its properties are {properties:?}, not {fields:?}")
        });
    }

    /// What a field of a request may be: its type, and each of its rules.
    fn field(&mut self, field: &FieldDescriptor, schema: &'a Value, nullable: bool) {
        let name = field.full_name();
        let rules = rules(self.pool, field);
        let rules = rules.as_ref();
        let nulls = schema["type"]
            .as_array()
            .is_some_and(|types| types.contains(&"null".into()));
        self.expect(nulls == nullable, || {
            format!("{name}: whether it may be null is wrong")
        });
        let number = |rule: &str| rules.and_then(|rules| double(rules, rule));
        if field.is_list() {
            self.expect(schema["maxItems"].as_f64() == number("max_items"), || {
                format!("{name}: max_items is wrong")
            });
            match field.kind() {
                Kind::Message(part) => {
                    let fields: Vec<_> = part.fields().collect();
                    self.body(part.name(), &fields, &schema["items"]);
                }
                kind => self.kind(field, &kind, &schema["items"], true),
            }
            return;
        }
        let required = rules.is_some_and(|rules| flag(rules, "required"));
        self.kind(field, &field.kind(), schema, required);
        let shortest = number("min_len")
            .or(Some(1.0))
            .filter(|_| required && field.kind() == Kind::String);
        for (rule, keyword, value) in [
            ("max_len", "maxLength", number("max_len")),
            ("min_len", "minLength", shortest),
            (
                "max_decimals",
                "multipleOf",
                number("max_decimals").map(|n| 10f64.powf(-n)),
            ),
            (
                "gte",
                "minimum",
                number("gte").or((field.kind() == Kind::Int32).then_some(i32::MIN.into())),
            ),
            (
                "lte",
                "maximum",
                number("lte").or((field.kind() == Kind::Int32).then_some(i32::MAX.into())),
            ),
        ] {
            self.expect(schema[keyword].as_f64() == value, || {
                format!("{name}: {rule} is {value:?}, {keyword} {}", schema[keyword])
            });
        }
        let zero = required && number("gte").is_none_or(|gte| gte <= 0.0);
        let zero = zero && matches!(field.kind(), Kind::Int32 | Kind::Double);
        self.expect((schema["not"]["const"] == 0) == zero, || {
            format!("{name}: whether it may be 0 is wrong")
        });
        let secret = rules.is_some_and(|rules| flag(rules, "secret"));
        self.expect((schema["writeOnly"] == true) == secret, || {
            format!("{name}: secret is wrong")
        });
        self.form(field, rules, required, schema);
    }

    /// The form of a string.
    fn form(
        &mut self,
        field: &FieldDescriptor,
        rules: Option<&DynamicMessage>,
        required: bool,
        schema: &Value,
    ) {
        if field.kind() != Kind::String {
            return;
        }
        let name = field.full_name();
        let Some(pattern) = schema["pattern"].as_str() else {
            self.wrong
                .push(format!("{name}: no pattern keeps U+0000 out"));
            return;
        };
        let format = rules
            .and_then(|rules| choice(rules, "format"))
            .unwrap_or_default();
        let Some((_, good, bad)) = FORMS.into_iter().find(|(form, ..)| *form == format) else {
            return;
        };
        // In JSON Schema they are ECMAScript's.
        let pattern = Regex::with_flags(pattern, "u");
        let takes = |text: &str| {
            let found = pattern.as_ref().map(|pattern| pattern.find(text));
            found.is_ok_and(|found| found.is_some())
        };
        let right = takes(good) && !takes(bad) && takes("") != required;
        self.expect(right, || format!("{name}: its pattern is not {format}"));
    }

    fn kind(&mut self, field: &FieldDescriptor, kind: &Kind, schema: &Value, real: bool) {
        let wanted = match kind {
            Kind::String | Kind::Enum(_) => "string",
            Kind::Bool => "boolean",
            Kind::Double => "number",
            Kind::Int32 => "integer",
            // What is no number of JavaScript is text.
            Kind::Int64 | Kind::Uint64 => "string",
            _ => "nothing that is known here",
        };
        let name = field.full_name();
        let found = &schema["type"];
        let found = found
            .as_array()
            .and_then(|types| types.first())
            .unwrap_or(found);
        self.expect(*found == wanted, || {
            format!("{name}: its type is {found}, not {wanted}")
        });
        if let Kind::Enum(of) = kind {
            // Where one is asked for, the first says that there is none.
            let names: BTreeSet<_> = of
                .values()
                .skip(usize::from(real))
                .map(|v| v.name().to_owned())
                .collect();
            let found: BTreeSet<_> = schema["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect();
            self.expect(found == names, || {
                format!("{name}: its values are {found:?}, not {names:?}")
            });
        }
    }
}

fn has_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn requires(schema: &Value, name: &str) -> bool {
    schema["required"]
        .as_array()
        .is_some_and(|names| names.contains(&name.into()))
}

/// The rules of a field.
fn rules(pool: &DescriptorPool, field: &FieldDescriptor) -> Option<DynamicMessage> {
    let extension = pool.get_extension_by_name("zerocart.rules")?;
    let options = field.options();
    let rules = options.get_extension(&extension);
    rules
        .as_message()
        .filter(|_| options.has_extension(&extension))
        .cloned()
}

/// Whether a request is refused without this field.
fn always_given(pool: &DescriptorPool, field: &FieldDescriptor) -> bool {
    let optional = field.field_descriptor_proto().proto3_optional();
    rules(pool, field).is_some_and(|rules| {
        let present = flag(&rules, "present") && unless(pool, field).is_none();
        !optional && (flag(&rules, "required") || present)
    })
}

/// The flag without which it is.
fn unless(pool: &DescriptorPool, field: &FieldDescriptor) -> Option<String> {
    let rules = rules(pool, field)?;
    let flag = rules.get_field_by_name("present_unless")?;
    flag.as_str()
        .filter(|flag| !flag.is_empty())
        .map(str::to_owned)
}

fn flag(rules: &DynamicMessage, name: &str) -> bool {
    rules
        .get_field_by_name(name)
        .and_then(|value| value.as_bool())
        == Some(true)
}

/// The value of a rule that is given.
fn double(rules: &DynamicMessage, name: &str) -> Option<f64> {
    let value = rules
        .get_field_by_name(name)
        .filter(|_| rules.has_field_by_name(name))?;
    value.as_f64().or_else(|| value.as_u32().map(f64::from))
}

fn choice(rules: &DynamicMessage, name: &str) -> Option<String> {
    let field = rules.descriptor().get_field_by_name(name)?;
    let Kind::Enum(of) = field.kind() else {
        return None;
    };
    let number = rules.get_field(&field).as_enum_number()?;
    Some(of.get_value(number)?.name().to_owned())
}

#[cfg(test)]
mod tests;
