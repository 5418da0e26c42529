//! What the descriptors say of requests and responses: so that stories can be told of an RPC that
//! nobody has written one for.

use std::sync::LazyLock;

use bytes::Bytes;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ReflectMessage, Value as Wire, prost::Message,
};
use regex::Regex;
use serde_json::{Map, Value};
use zerocart_proto::{DESCRIPTORS, rpc::Info};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS).expect("the build wrote these descriptors")
});

/// The method of an RPC.
///
/// # Panics
///
/// Never for an RPC of the contract.
pub(super) fn method(info: &Info) -> MethodDescriptor {
    let path = info.grpc_path.trim_start_matches('/');
    let (service, name) = path.split_once('/').expect("service and method");
    let service = POOL.get_service_by_name(service);
    let mut methods = service.as_ref().expect("the contract has it").methods();
    methods
        .find(|method| method.name() == name)
        .expect("the contract has it")
}

/// `zerocart.Rules` of a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rules {
    pub(super) required: bool,
    pub(super) min_len: usize,
    pub(super) max_len: usize,
    /// `UUID`; empty for any text.
    pub(super) format: String,
    pub(super) gte: Option<f64>,
    pub(super) lte: Option<f64>,
    /// The field that serves callers who need more; may be empty.
    pub(super) instead: String,
    pub(super) max_decimals: Option<usize>,
    pub(super) max_items: usize,
    /// JSON must have it.
    pub(super) present: bool,
    /// The field may be absent, which is not the same as its default value.
    pub(super) optional: bool,
}

/// The rules of a field.
pub(super) fn rules(field: &FieldDescriptor) -> Rules {
    let extension = POOL
        .get_extension_by_name("zerocart.rules")
        .expect("the contract declares it");
    let options = field.options();
    let value = options.get_extension(&extension);
    let Some(rules) = value.as_message() else {
        return Rules::default();
    };
    let get = |name: &str| rules.get_field_by_name(name);
    let number = |name: &str| get(name).and_then(|value| value.as_u32()).unwrap_or(0) as usize;
    let given = |name: &str| rules.has_field_by_name(name);
    let double = |name: &str| get(name).filter(|_| given(name))?.as_f64();
    let format = get("format").and_then(|value| value.as_enum_number());
    let formats = POOL.get_enum_by_name("zerocart.Format");
    Rules {
        // A good request has no list in its place.
        required: get("required").and_then(|value| value.as_bool()) == Some(true)
            || given("required_unless"),
        min_len: number("min_len"),
        max_len: number("max_len"),
        format: match (format, formats) {
            (Some(n), Some(formats)) if n != 0 => formats
                .get_value(n)
                .map_or(String::new(), |value| value.name().to_owned()),
            _ => String::new(),
        },
        gte: double("gte"),
        lte: double("lte"),
        instead: get("instead")
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default(),
        max_decimals: given("max_decimals").then(|| number("max_decimals")),
        max_items: number("max_items"),
        present: get("present").and_then(|value| value.as_bool()) == Some(true),
        optional: field.field_descriptor_proto().proto3_optional(),
    }
}

/// The ids of what a story has made, for requests that speak of it.
#[derive(Clone, Debug, Default)]
pub struct Things {
    /// A user.
    pub user: String,
    /// A product.
    pub product: String,
    /// An order.
    pub order: String,
    /// A payment.
    pub payment: String,
}

impl Things {
    /// The id that a field of an RPC of `domain` means.
    fn id(&self, field: &str, domain: &str) -> &str {
        let thing = match field {
            "id" => domain,
            other => other.trim_end_matches("_id"),
        };
        match thing {
            "user" => &self.user,
            "product" => &self.product,
            "order" => &self.order,
            "payment" => &self.payment,
            _ => "",
        }
    }
}

/// The fields of a request that breaks no rule, with those that are required: as JSON.
pub fn sample(info: &Info, things: &Things) -> Map<String, Value> {
    Request::good(info, things).json
}

/// A request in both of its forms.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) json: Map<String, Value>,
    message: DynamicMessage,
}

impl Request {
    /// A request that breaks no rule of its fields: with those that are required.
    pub(super) fn good(info: &Info, things: &Things) -> Self {
        let mut request = Self::empty(method(info).input());
        request.fill(info.domain, things);
        request
    }

    fn empty(message: MessageDescriptor) -> Self {
        Self {
            json: Map::new(),
            message: DynamicMessage::new(message),
        }
    }

    fn fill(&mut self, domain: &str, things: &Things) {
        for field in self.message.descriptor().fields() {
            let rules = rules(&field);
            if rules.present {
                // Where it may be 0, the least that is said of it.
                match field.kind() {
                    Kind::Double => self.double(&field, 0.0),
                    _ => self.int(&field, 0),
                }
            }
            if !rules.required {
                continue;
            }
            match field.kind() {
                Kind::String => {
                    let text = match rules.format.as_str() {
                        "UUID" => things.id(field.name(), domain).to_owned(),
                        "EMAIL" => "somebody@example.com".to_owned(),
                        _ => "x".repeat(rules.min_len.max(1)),
                    };
                    self.text(&field, &text);
                }
                Kind::Double => self.double(&field, rules.gte.unwrap_or(1.0).max(1.0)),
                Kind::Enum(values) => {
                    let value = first(&values);
                    self.put(&field, value.1.into(), Wire::EnumNumber(value.0));
                }
                // Only lists and flags are left, of which none is required.
                _ => self.int(&field, 1),
            }
        }
    }

    /// An element of a list of messages, which breaks no rule.
    pub(super) fn element(message: MessageDescriptor, things: &Things) -> Self {
        let mut element = Self::empty(message);
        element.fill("", things);
        element
    }

    pub(super) fn put(&mut self, field: &FieldDescriptor, json: Value, wire: Wire) {
        self.json.insert(field.name().to_owned(), json);
        self.message.set_field(field, wire);
    }

    pub(super) fn text(&mut self, field: &FieldDescriptor, text: &str) {
        self.put(field, text.into(), Wire::String(text.to_owned()));
    }

    pub(super) fn int(&mut self, field: &FieldDescriptor, value: i32) {
        self.put(field, value.into(), Wire::I32(value));
    }

    pub(super) fn double(&mut self, field: &FieldDescriptor, value: f64) {
        // JSON has no such numbers; proto3 JSON has their names.
        let json = serde_json::Number::from_f64(value);
        let json = json.map_or_else(|| value.to_string().into(), Value::Number);
        self.put(field, json, Wire::F64(value));
    }

    /// A list of these.
    pub(super) fn list(&mut self, field: &FieldDescriptor, elements: Vec<Self>) {
        let (json, wire): (Vec<_>, Vec<_>) = elements
            .into_iter()
            .map(|e| (Value::Object(e.json), Wire::Message(e.message)))
            .unzip();
        self.put(field, json.into(), Wire::List(wire));
    }

    /// Leaves a field away.
    pub(super) fn without(&mut self, field: &FieldDescriptor) {
        self.json.remove(field.name());
        self.message.clear_field(field);
    }

    /// As bytes of Protobuf.
    pub(super) fn bytes(&self) -> Bytes {
        self.message.encode_to_vec().into()
    }
}

/// The first value of an enum that is one.
pub(super) fn first(values: &EnumDescriptor) -> (i32, String) {
    let value = values.values().find(|value| value.number() != 0);
    value.map_or((0, String::new()), |value| {
        (value.number(), value.name().to_owned())
    })
}

/// What is other than the contract says in the JSON of a success: every field is there under its
/// name in `proto/`, with a value of its type, and nothing else is.
pub(super) fn misshapen(info: &Info, json: &Value) -> Option<String> {
    message(&method(info).output(), json, "")
}

fn message(descriptor: &MessageDescriptor, json: &Value, path: &str) -> Option<String> {
    let Value::Object(fields) = json else {
        return Some(format!("{path:?} is no object"));
    };
    for name in fields.keys() {
        if descriptor.get_field_by_name(name).is_none() {
            return Some(format!("{path}{name} is not in the contract"));
        }
    }
    descriptor.fields().find_map(|field| {
        let at = format!("{path}{}", field.name());
        let value = fields.get(field.name());
        match value {
            // What may be absent is absent when there is none: an account, without success.
            None if field.supports_presence() && !field.is_list() => None,
            None => Some(format!("{at} is missing")),
            Some(Value::Array(list)) if field.is_list() => list
                .iter()
                .enumerate()
                .find_map(|(n, item)| one(&field, item, &format!("{at}[{n}]"))),
            Some(value) if field.is_list() => Some(format!("{at} is no list: {value}")),
            Some(value) => one(&field, value, &at),
        }
    })
}

fn one(field: &FieldDescriptor, value: &Value, at: &str) -> Option<String> {
    let fine = match field.kind() {
        Kind::Message(inner) => return message(&inner, value, &format!("{at}.")),
        Kind::String => value
            .as_str()
            .is_some_and(|text| formed(field.name(), text)),
        Kind::Bool => value.is_boolean(),
        Kind::Int32 => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Kind::Double => value.is_number(),
        Kind::Enum(values) => {
            let named = |name| values.values().any(|value| value.name() == name);
            value.as_str().is_some_and(named)
        }
        _ => true,
    };
    (!fine).then(|| format!("{at} is not as it should be: {value}"))
}

/// Whether ids and times are written as the contract says; empty where there is none.
fn formed(field: &str, text: &str) -> bool {
    static ID: LazyLock<Regex> =
        LazyLock::new(|| pattern("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"));
    // Of W3C Trace Context.
    static TRACE: LazyLock<Regex> = LazyLock::new(|| pattern("^[0-9a-f]{32}$"));
    static TIME: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"));
    if text.is_empty() {
        return true;
    }
    if field == "trace_id" {
        return TRACE.is_match(text);
    }
    if field == "id" || field.ends_with("_id") {
        return ID.is_match(text);
    }
    !field.ends_with("_at") || TIME.is_match(text)
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("this is a regular expression")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zerocart_proto::rpc::{self, Rpc};

    use super::*;

    #[test]
    fn the_form_of_a_response_is_that_of_the_contract() {
        let wrong = |json: Value| misshapen(&rpc::CreateProduct::INFO, &json);
        let product = json!({
            "id": "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60", "name": "Tea", "description": "",
            "price": 4.75, "inventory": 3, "created_at": "2026-11-22T21:10:09.892967Z",
        });
        let good = json!({"product": product, "message": ""});
        assert_eq!(wrong(good.clone()), None);
        for (field, value, says) in [
            ("id", json!("7"), "product.id is not as it should be"),
            ("price", json!("4.75"), "product.price is not"),
            ("inventory", json!(4.5), "product.inventory is not"),
            ("created_at", json!("today"), "product.created_at is not"),
            ("colour", json!("green"), "product.colour is not in"),
        ] {
            let mut bad = good.clone();
            bad["product"][field] = value;
            let says_it = wrong(bad).is_some_and(|wrong| wrong.starts_with(says));
            assert!(says_it, "{says}");
        }
        let missing = json!({"message": "", "product": {"id": ""}});
        assert_eq!(wrong(missing).as_deref(), Some("product.name is missing"));
    }

    #[test]
    fn a_good_request_is_one_for_every_rpc() {
        let id = "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60".to_owned();
        let things = Things {
            user: id.clone(),
            product: id.clone(),
            order: id.clone(),
            payment: id,
        };
        for info in rpc::ALL {
            let request = Request::good(info, &things);
            for field in method(info).input().fields() {
                let rules = rules(&field);
                let given = request.json.get(field.name());
                let wanted = rules.required || rules.present;
                assert_eq!(given.is_some(), wanted, "{}", field.full_name());
                assert_ne!(given, Some(&Value::from("")), "{}", field.full_name());
            }
        }
    }

    #[test]
    fn rules_are_read() {
        let input = method(&rpc::CreateUser::INFO).input();
        let password = rules(&input.get_field_by_name("password").unwrap());
        assert_eq!((password.min_len, password.max_len), (8, 128));
        let email = rules(&input.get_field_by_name("email").unwrap());
        assert_eq!((email.required, email.format.as_str()), (true, "EMAIL"));
    }
}
