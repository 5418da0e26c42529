//! `proto/` against the published contract: what clients were generated from never changes.

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

/// What the contract has and `ours` lacks or says differently. More than the contract is fine.
pub fn differences(contract: &DescriptorPool, ours: &DescriptorPool) -> Vec<String> {
    let mut wrong = Vec::new();
    for service in contract.services() {
        let name = service.full_name();
        let Some(our_service) = ours.get_service_by_name(name) else {
            wrong.push(format!("service {name} is missing"));
            continue;
        };
        for method in service.methods() {
            let name = method.full_name();
            let our_method = our_service.methods().find(|m| m.name() == method.name());
            let Some(our_method) = our_method else {
                wrong.push(format!("rpc {name} is missing"));
                continue;
            };
            let types = |m: &prost_reflect::MethodDescriptor| {
                let stream = |streams| if streams { "stream " } else { "" };
                format!(
                    "({}{}) returns ({}{})",
                    stream(m.is_client_streaming()),
                    m.input().full_name(),
                    stream(m.is_server_streaming()),
                    m.output().full_name()
                )
            };
            differ(&mut wrong, name, types(&method), types(&our_method));
        }
    }
    for message in contract.all_messages() {
        match ours.get_message_by_name(message.full_name()) {
            Some(our_message) => fields(&mut wrong, &message, &our_message),
            None => wrong.push(format!("message {} is missing", message.full_name())),
        }
    }
    for kind in contract.all_enums() {
        match ours.get_enum_by_name(kind.full_name()) {
            Some(our_kind) => values(&mut wrong, &kind, &our_kind),
            None => wrong.push(format!("enum {} is missing", kind.full_name())),
        }
    }
    wrong
}

fn fields(wrong: &mut Vec<String>, contract: &MessageDescriptor, ours: &MessageDescriptor) {
    for field in contract.fields() {
        let name = field.full_name();
        match ours.get_field_by_name(field.name()) {
            Some(our_field) => differ(wrong, name, shape(&field), shape(&our_field)),
            None => wrong.push(format!("field {name} is missing")),
        }
    }
}

/// All that the wire and JSON know of a field.
fn shape(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(kind) => kind.full_name().to_owned(),
        kind => format!("{kind:?}").to_lowercase(),
    };
    let oneof = field.containing_oneof();
    let oneof = oneof.map_or_else(String::new, |oneof| format!(" in {}", oneof.name()));
    format!(
        "{:?} {kind} = {}, JSON {}{oneof}",
        field.cardinality(),
        field.number(),
        field.json_name()
    )
}

fn values(wrong: &mut Vec<String>, contract: &EnumDescriptor, ours: &EnumDescriptor) {
    for value in contract.values() {
        let name = format!("{}.{}", contract.full_name(), value.name());
        match ours.get_value_by_name(value.name()) {
            Some(our_value) => differ(
                wrong,
                &name,
                value.number().to_string(),
                our_value.number().to_string(),
            ),
            None => wrong.push(format!("value {name} is missing")),
        }
    }
}

fn differ(wrong: &mut Vec<String>, name: &str, contract: String, ours: String) {
    if contract != ours {
        wrong.push(format!("{name} is {ours}, in the contract {contract}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::only;

    const CONTRACT: &str = r#"
        syntax = "proto3";
        package shop;
        service Shop { rpc Buy(Order) returns (Order); }
        message Order { string id = 1; repeated int32 items = 2; State state = 3; }
        enum State { NEW = 0; PAID = 1; }
    "#;

    fn pool(source: &str) -> DescriptorPool {
        let file = protox::Compiler::with_file_resolver(One(source.to_owned()))
            .open_file("shop.proto")
            .expect("the test's file compiles")
            .descriptor_pool();
        assert!(file.services().count() > 0);
        file
    }

    struct One(String);

    impl protox::file::FileResolver for One {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            protox::file::File::from_source(name, &self.0)
        }
    }

    #[test]
    fn more_is_fine() {
        let more = CONTRACT
            .replace("State state = 3;", "State state = 3; string note = 4;")
            .replace("PAID = 1;", "PAID = 1; SENT = 2;")
            .replace("(Order);", "(Order); rpc Sell(Order) returns (Order);");
        assert_eq!(differences(&pool(CONTRACT), &pool(&more)), [""; 0]);
    }

    #[test]
    fn whatever_changes_is_told() {
        for (from, to, words) in [
            (
                "service Shop",
                "service Store",
                "service shop.Shop is missing",
            ),
            ("rpc Buy", "rpc Get", "rpc shop.Shop.Buy is missing"),
            (
                "returns (Order)",
                "returns (stream Order)",
                "stream shop.Order",
            ),
            (
                "string id = 1",
                "string key = 1",
                "field shop.Order.id is missing",
            ),
            ("string id = 1", "string id = 5", "= 5"),
            ("string id = 1", "bytes id = 1", "Optional bytes"),
            ("string id = 1", "optional string id = 1", "in _id"),
            ("repeated int32", "int32", "Optional int32"),
            ("PAID = 1", "PAYED = 1", "value shop.State.PAID is missing"),
            ("PAID = 1", "PAID = 2", "shop.State.PAID is 2"),
        ] {
            let changed = CONTRACT.replace(from, to);
            only(&differences(&pool(CONTRACT), &pool(&changed)), words);
        }
    }
}
