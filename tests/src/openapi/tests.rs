//! Documents that are not the descriptors.

use regress::Regex;
use serde_json::{Value, json};
use zerocart_proto::validate::{Format, Text, Violations};

use super::check;
use crate::functions;

fn wrong(document: &Value) -> Vec<String> {
    check(&functions::all(), zerocart_proto::DESCRIPTORS, document)
}

#[test]
fn a_document_that_says_otherwise_is_told() {
    let good = zerocart_openapi::document().unwrap();
    assert_eq!(wrong(&good), [""; 0]);

    const SIGN_UP: &str = "/paths/~1users/post";
    const LIST: &str = "/paths/~1products/get";
    const PRODUCT: &str = "/components/schemas/CreateProductRequest";
    let user = "/components/schemas/CreateUserRequest/properties";
    for (at, value, words) in [
        ("/paths/~1users".to_owned(), None, "POST /users is missing"),
        (
            "/paths/~1people".to_owned(),
            Some(json!({"get": {}})),
            "GET /people is no function",
        ),
        (
            format!("{SIGN_UP}/operationId"),
            Some(json!("Sign")),
            "its id is not CreateUser",
        ),
        (
            format!("{SIGN_UP}/summary"),
            Some(json!("")),
            "create-user: no summary",
        ),
        (
            format!("{SIGN_UP}/security"),
            Some(json!([{"bearer": []}])),
            "create-user: who needs a token",
        ),
        (
            format!("{LIST}/security"),
            None,
            "list-products: who needs a token",
        ),
        (
            format!("{SIGN_UP}/parameters/0"),
            Some(json!({"$ref": "#/a"})),
            "#/a leads nowhere",
        ),
        (
            format!("{SIGN_UP}/parameters"),
            Some(json!([])),
            "create-user: its headers are {}",
        ),
        (
            format!("{LIST}/parameters/1/name"),
            Some(json!("skip")),
            "list-products: its parameters are",
        ),
        (
            format!("{LIST}/parameters/0/required"),
            Some(json!(true)),
            "limit: whether it is required",
        ),
        (
            format!("{LIST}/parameters/0/schema/maximum"),
            Some(json!(1000)),
            "limit: lte is Some(100.0)",
        ),
        (
            format!("{SIGN_UP}/responses/200"),
            Some(json!({})),
            "its success is not 201",
        ),
        (
            format!("{SIGN_UP}/responses/201/headers/Location"),
            None,
            "create-user: Location",
        ),
        (
            format!("{SIGN_UP}/responses/422"),
            None,
            "create-user: whether it answers 422",
        ),
        (
            format!("{LIST}/responses/403"),
            Some(json!({})),
            "list-products: whether it answers 403",
        ),
        (
            format!("{SIGN_UP}/requestBody"),
            None,
            "create-user: whether it has a body",
        ),
        (
            format!("{SIGN_UP}/requestBody/required"),
            Some(json!(false)),
            "whether it needs its body",
        ),
        (
            format!("{PRODUCT}/additionalProperties"),
            None,
            "takes what it does not know",
        ),
        (
            format!("{PRODUCT}/required"),
            Some(json!([])),
            "name: whether it is required",
        ),
        (
            format!("{PRODUCT}/properties/price"),
            None,
            "its properties are",
        ),
        (
            format!("{PRODUCT}/properties/price/minimum"),
            None,
            "price: gte is Some(0.0)",
        ),
        (
            format!("{PRODUCT}/properties/price/maximum"),
            Some(json!(1)),
            "price: lte is",
        ),
        (
            format!("{PRODUCT}/properties/price/multipleOf"),
            None,
            "price: max_decimals",
        ),
        (
            format!("{PRODUCT}/properties/price/type"),
            Some(json!("string")),
            "price: its type",
        ),
        (
            format!("{PRODUCT}/properties/price/type"),
            Some(json!(["number", "null"])),
            "price: whether it may be null",
        ),
        (
            format!("{PRODUCT}/properties/description/type"),
            Some(json!("string")),
            "description: whether it may be null",
        ),
        (
            "/components/schemas/ProcessPaymentRequest/anyOf".to_owned(),
            None,
            "amount: when it is required",
        ),
        (
            "/components/schemas/ProcessPaymentRequest/anyOf/1/required".to_owned(),
            None,
            "amount: when it is required",
        ),
        (
            "/components/schemas/UpdateCartItemRequest/required".to_owned(),
            None,
            "new_quantity: whether it is required",
        ),
        (
            format!("{PRODUCT}/properties/price/description"),
            None,
            "price: no description",
        ),
        (
            format!("{PRODUCT}/properties/inventory/minimum"),
            Some(json!(-1)),
            "inventory: gte",
        ),
        (
            format!("{user}/password/minLength"),
            Some(json!(1)),
            "password: min_len is Some(8.0)",
        ),
        (
            format!("{user}/password/maxLength"),
            None,
            "password: max_len",
        ),
        (
            format!("{user}/password/writeOnly"),
            None,
            "password: secret",
        ),
        (
            format!("{user}/email/pattern"),
            Some(json!(".*")),
            "email: its pattern is not EMAIL",
        ),
        (format!("{user}/name/pattern"), None, "name: no pattern"),
        (
            "/components/schemas/UpdateOrderStatusRequest/properties/status/enum/0".to_owned(),
            Some(json!("EATEN")),
            "status: its values are",
        ),
        (
            "/components/schemas/UpdateInventoryRequest/properties/quantity_change/not".to_owned(),
            None,
            "quantity_change: whether it may be 0",
        ),
        (
            "/components/schemas/UpdateInventoryRequest/properties/reservation_id/pattern"
                .to_owned(),
            Some(json!("^[0-9a-f-]{36}$")),
            "reservation_id: its pattern is not UUID",
        ),
        (
            "/components/schemas/SetFailureRateRequest/properties/failures/maxItems".to_owned(),
            Some(json!(4)),
            "failures: max_items",
        ),
        (
            "/components/schemas/OrderStatus/enum/3".to_owned(),
            Some(json!("EATEN")),
            "Order.status: its values are",
        ),
        (
            "/components/schemas/ProductResponse/required".to_owned(),
            Some(json!(["product", "message"])),
            "product: whether it is always there",
        ),
        (
            "/components/schemas/User/properties/email".to_owned(),
            None,
            "User: its properties are",
        ),
    ] {
        let broken = edit(good.clone(), &at, value);
        assert_ne!(broken, good, "{at}");
        let problems = wrong(&broken);
        assert!(
            problems.iter().any(|problem| problem.contains(words)),
            "{at}: {problems:#?} lack {words:?}"
        );
    }
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
    let document = zerocart_openapi::document().unwrap();
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

/// Puts a value where `at` points, or takes away what is there.
fn edit(mut document: Value, at: &str, value: Option<Value>) -> Value {
    let (parent, name) = at.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    match (document.pointer_mut(parent).unwrap(), value) {
        (Value::Object(members), Some(value)) => {
            members.insert(name, value);
        }
        (Value::Object(members), None) => {
            members.remove(&name);
        }
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{at}: {other}"),
    }
    document
}
