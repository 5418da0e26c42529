//! The OpenAPI document, with what schemathesis cannot miss: an RPC, a field or a header that is not there.
//!
//! That the system is as the document says, schemathesis tries (`e2e::schemathesis`).

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::DescriptorPool;
use regress::Regex;
use serde_json::{Value, json};
use zerocart_proto::{
    rpc::{self, Info, Rpc as _},
    validate::{Format, Text, Violations},
};

fn document() -> Value {
    zerocart_openapi::document().expect("it is made")
}

/// What a value is, or what it refers to.
fn follow<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let to = value["$ref"].as_str();
    let to = to.and_then(|to| document.pointer(to.trim_start_matches('#')));
    to.unwrap_or(value)
}

/// The names of the fields and headers of an operation.
fn inputs<'a>(document: &'a Value, operation: &'a Value) -> BTreeSet<&'a str> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters = parameters.map(|one| follow(document, one)["name"].as_str());
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let properties = follow(document, body)["properties"].as_object();
    let properties = properties.into_iter().flatten().map(|(name, _)| name);
    let parameters = parameters.map(|name| name.expect("a parameter has a name"));
    parameters.chain(properties.map(String::as_str)).collect()
}

/// The names of the fields of an RPC's request that REST can say, and of its headers.
fn wanted(pool: &DescriptorPool, info: &Info) -> BTreeSet<String> {
    let path = info.grpc_path.trim_start_matches('/').replace('/', ".");
    let mut methods = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    let method = methods.find(|method| method.full_name() == path);
    let fields = method.expect("it is declared").input();
    // A query has no lists.
    let fields = fields
        .fields()
        .filter(|field| info.http_body || !field.is_list());
    let mut names: BTreeSet<_> = fields.map(|field| field.name().to_owned()).collect();
    if info.name == rpc::UpdateInventory::INFO.name {
        // They say in another way what the path says, so only gRPC has them.
        names.remove("lines");
    }
    names.insert("traceparent".to_owned());
    names.extend(info.writes.then(|| "Idempotency-Key".to_owned()));
    names
}

#[test]
fn every_rpc_and_each_of_its_fields_is_in_the_document() {
    let document = document();
    let pool = DescriptorPool::decode(zerocart_proto::DESCRIPTORS).expect("valid");
    let mut operations = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            operations.insert((method.to_uppercase(), path.clone()), operation);
        }
    }
    for info in rpc::ALL {
        let at = (info.http_method.to_owned(), info.http_path.to_owned());
        let operation = operations.remove(&at);
        let operation = operation.unwrap_or_else(|| panic!("{at:?} is missing"));
        let wanted = wanted(&pool, info);
        let wanted = wanted.iter().map(String::as_str).collect();
        assert_eq!(inputs(&document, operation), wanted, "{at:?}");
        // Nothing is needed, where none of several ways needs anything.
        let ways = operation["security"].as_array().expect("ways to sign in");
        let open = ways.is_empty() || ways.contains(&json!({}));
        assert_eq!(open, info.access.anyone, "{at:?}");
        let success = if info.creates { "201" } else { "200" };
        assert!(operation["responses"][success].is_object(), "{at:?}");
    }
    assert!(operations.is_empty(), "no RPC: {:?}", operations.keys());
}

/// Every character that some form treats in its own way, and many that none does.
fn characters() -> impl Iterator<Item = char> {
    let blocks = [
        '\0'..='\u{3200}',
        '\u{f8f0}'..='\u{ffff}',
        '\u{1bc90}'..='\u{1bcb0}',
        '\u{1d160}'..='\u{1d190}',
        '\u{1d4b3}'..='\u{1d4b3}',
        '\u{1f600}'..='\u{1f600}',
        '\u{dfff0}'..='\u{e1010}',
    ];
    blocks.into_iter().flatten()
}

#[test]
fn the_document_and_the_functions_agree_on_texts() {
    let document = document();
    let in_word = |c| {
        [
            format!("{c}"),
            format!("a{c}b"),
            format!(" {c} "),
            format!("a{c}"),
        ]
        .to_vec()
    };
    let in_email = |c| {
        [
            format!("{c}@b.co"),
            format!("a{c}b@b.co"),
            format!("a{c}@b.co"),
            format!("a@{c}.co"),
            format!("a@b{c}c.co"),
            format!("a@b{c}.co"),
            format!("a@b.c{c}"),
            format!("{c}a@b.co"),
        ]
        .to_vec()
    };
    type Texts = fn(char) -> Vec<String>;
    let table: [(&str, Format, bool, Texts); 6] = [
        (
            "CreateUserRequest/properties/email",
            Format::Email,
            true,
            in_email,
        ),
        (
            "CreateUserRequest/properties/name",
            Format::Name,
            true,
            in_word,
        ),
        (
            "CreateUserRequest/properties/password",
            Format::Any,
            true,
            in_word,
        ),
        (
            "AuthRequest/properties/password",
            Format::Opaque,
            true,
            in_word,
        ),
        (
            "CreateProductRequest/properties/description",
            Format::Lines,
            false,
            in_word,
        ),
        (
            "CreateOrderRequest/properties/payment_method",
            Format::NoCardNumber,
            false,
            in_word,
        ),
    ];
    for (at, format, required, texts) in table {
        let pattern = document.pointer(&format!("/components/schemas/{at}/pattern"));
        let pattern = pattern.unwrap().as_str().unwrap();
        let pattern = Regex::with_flags(pattern, "u").unwrap();
        let rules = Text {
            required,
            min: 0,
            max: 254,
            format,
        };
        let (mut taken, mut refused) = (0, 0);
        for text in characters().flat_map(texts) {
            let mut violations = Violations::default();
            violations.text("field", &text, rules);
            let takes = violations.is_empty();
            assert_eq!(pattern.find(&text).is_some(), takes, "{at}: {text:?}");
            *(if takes { &mut taken } else { &mut refused }) += 1;
        }
        assert!(taken > 200 && refused > 0, "{at}: {taken} {refused}");
    }
}
