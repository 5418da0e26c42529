//! What a field of each of our types takes in JSON, and what it does not: the cases of protobuf's own
//! conformance suite that concern them, and those that were once wrong here. What prost-reflect takes
//! as well, it has to take for the same; it is laxer (`"+5"`, `1e-400`) and stricter (`"5.0"`).

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, prost::Message};
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use zerocart_proto::{
    DESCRIPTORS,
    rpc::{self, Rpc},
    validate::Validate,
};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());

/// The message in `text`, as it is written again and as Protobuf.
fn read<R: Rpc>(text: &str) -> Option<(Value, Vec<u8>)> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let request: R::Request = zerocart_proto::json::read(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some((
        serde_json::to_value(&request).unwrap(),
        request.encode_to_vec(),
    ))
}

/// Whether prost-reflect takes `text` for another message than that of `bytes`.
fn differs<R: Rpc>(text: &str, bytes: &[u8]) -> bool {
    let (service, method) = R::INFO.grpc_path[1..].split_once('/').unwrap();
    let service = POOL.get_service_by_name(service).unwrap();
    let method = service.methods().find(|m| m.name() == method).unwrap();
    let ours = DynamicMessage::decode(method.input(), bytes).unwrap();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let theirs = method.input().deserialize(&mut deserializer);
    theirs.is_ok_and(|theirs| theirs.encode_to_vec() != ours.encode_to_vec())
}

/// Each value, and what the field is written as when it is taken.
fn check<R: Rpc>(field: &str, cases: &[(&str, Option<Value>)], wrong: &mut Vec<String>) {
    for (value, expected) in cases {
        let text = format!("{{{field:?}: {value}}}");
        let found = read::<R>(&text);
        let written = found
            .as_ref()
            .map(|(json, _)| json.get(field).cloned().unwrap_or_default());
        if written != *expected {
            wrong.push(format!("{text} is {written:?}, not {expected:?}"));
        }
        if found.is_some_and(|(_, bytes)| differs::<R>(&text, &bytes)) {
            wrong.push(format!("{text} is another message to prost-reflect"));
        }
    }
}

#[test]
fn every_type_takes_what_protojson_says() {
    let mut wrong = Vec::new();
    let taken = |value: Value| Some(value);
    let integers = |zero: Value| {
        [
            ("0", taken(json!(0))),
            ("-0", taken(json!(0))),
            ("2147483647", taken(json!(i32::MAX))),
            ("-2147483648", taken(json!(i32::MIN))),
            ("5.0", taken(json!(5))),
            ("100000.000", taken(json!(100_000))),
            ("1e5", taken(json!(100_000))),
            ("1E2", taken(json!(100))),
            ("1.5e1", taken(json!(15))),
            ("50e-1", taken(json!(5))),
            ("2.147483647e9", taken(json!(i32::MAX))),
            ("-2.147483648e9", taken(json!(i32::MIN))),
            ("0e400", taken(json!(0))),
            (r#""5""#, taken(json!(5))),
            (r#""-5""#, taken(json!(-5))),
            (r#""\u0035""#, taken(json!(5))),
            (r#""5.0""#, taken(json!(5))),
            (r#""1e1""#, taken(json!(10))),
            ("null", taken(zero)),
            ("2147483648", None),
            ("-2147483649", None),
            ("1e400", None),
            ("1e-400", None),
            ("5.5", None),
            ("0.5", None),
            (r#""0.5""#, None),
            (r#""+5""#, None),
            (r#""05""#, None),
            (r#""-05""#, None),
            (r#"" 5""#, None),
            (r#""5 ""#, None),
            (r#""""#, None),
            (r#""5x5""#, None),
            (r#""0x5""#, None),
            (r#""null""#, None),
            ("+5", None),
            ("05", None),
            ("-05", None),
            ("5.", None),
            (".5", None),
            ("true", None),
            ("[5]", None),
            ("{}", None),
        ]
    };
    check::<rpc::ListProducts>("limit", &integers(json!(0)), &mut wrong);
    // One that may be absent is then not written.
    check::<rpc::SetFailureRate>("min_delay_ms", &integers(Value::Null), &mut wrong);

    check::<rpc::SetFailureRate>(
        "failure_rate",
        &[
            ("0.25", taken(json!(0.25))),
            ("1", taken(json!(1.0))),
            ("-0", taken(json!(-0.0))),
            ("2.22507e-308", taken(json!(2.22507e-308))),
            ("1.79769e+308", taken(json!(1.79769e308))),
            ("-1.79769E+308", taken(json!(-1.79769e308))),
            // Nearer to 0 than to any other double.
            ("1e-400", taken(json!(0.0))),
            (r#""1""#, taken(json!(1.0))),
            (r#""25e-2""#, taken(json!(0.25))),
            (r#""NaN""#, taken(json!("NaN"))),
            (r#""Infinity""#, taken(json!("Infinity"))),
            (r#""-Infinity""#, taken(json!("-Infinity"))),
            ("null", taken(json!(0.0))),
            ("1.89769e+308", None),
            ("-1.89769e+308", None),
            (r#""1e400""#, None),
            ("NaN", None),
            ("Infinity", None),
            (r#""nan""#, None),
            (r#""inf""#, None),
            (r#""infinity""#, None),
            (r#""+1""#, None),
            (r#""01""#, None),
            (r#""1.""#, None),
            (r#"".5""#, None),
            (r#"" 1""#, None),
            (r#""""#, None),
            (r#""many""#, None),
            ("true", None),
            ("[1]", None),
        ],
        &mut wrong,
    );
    check::<rpc::CreateProduct>(
        "price",
        &[
            ("19.99", taken(json!(19.99))),
            ("19.990", taken(json!(19.99))),
            ("5.000", taken(json!(5.0))),
            ("500e-2", taken(json!(5.0))),
            ("0.00e-400", taken(json!(0.0))),
            (r#""19.99""#, taken(json!(19.99))),
            ("null", taken(json!(0.0))),
            // The rules of the field refuse these, beside all else that is wrong.
            ("19.999", taken(json!(19.999))),
            (r#""NaN""#, taken(json!("NaN"))),
            ("1e-400", None),
            ("-1e-400", None),
            ("19.999999999999999999", None),
            (r#""19.999999999999999999""#, None),
            ("4.500000000000000000001", None),
            ("9999999.9900000000000001", None),
            ("1e400", None),
        ],
        &mut wrong,
    );
    check::<rpc::CreateProduct>(
        "name",
        &[
            (r#""Hello world!""#, taken(json!("Hello world!"))),
            (r#""\u8c37\u6B4C""#, taken(json!("谷歌"))),
            (r#""\ud83d\ude01""#, taken(json!("😁"))),
            (
                r#""\"\\\/\b\f\n\r\t""#,
                taken(json!("\"\\/\u{8}\u{c}\n\r\t")),
            ),
            (r#""""#, taken(json!(""))),
            ("null", taken(json!(""))),
            (r#""\U8C37""#, None),
            (r#""\uXXXX""#, None),
            (r#""\u8C3""#, None),
            (r#""\uD800""#, None),
            (r#""\uDC00""#, None),
            (r#""\uDE01\uD83D""#, None),
            ("12345", None),
            ("true", None),
            (r#"["a"]"#, None),
        ],
        &mut wrong,
    );
    check::<rpc::ProcessPayment>(
        "refund",
        &[
            ("true", taken(json!(true))),
            ("false", taken(json!(false))),
            ("null", taken(json!(false))),
            ("0", None),
            ("1", None),
            ("True", None),
            ("FALSE", None),
            (r#""true""#, None),
            (r#""false""#, None),
        ],
        &mut wrong,
    );
    check::<rpc::UpdateOrderStatus>(
        "status",
        &[
            (r#""SHIPPED""#, taken(json!("SHIPPED"))),
            ("4", taken(json!("SHIPPED"))),
            ("4.0", taken(json!("SHIPPED"))),
            ("0", taken(json!("ORDER_STATUS_UNSPECIFIED"))),
            ("null", taken(json!("ORDER_STATUS_UNSPECIFIED"))),
            // The rules of the field refuse it, as they do over gRPC.
            ("123", taken(json!(123))),
            ("SHIPPED", None),
            (r#""shipped""#, None),
            (r#""EATEN""#, None),
            (r#""4""#, None),
            (r#""""#, None),
            ("4.5", None),
            ("true", None),
            ("[4]", None),
        ],
        &mut wrong,
    );
    check::<rpc::SetFailureRate>(
        "failures",
        &[
            ("[]", taken(json!([]))),
            ("null", taken(json!([]))),
            (
                r#"["GATEWAY_TIMEOUT", 2]"#,
                taken(json!(["GATEWAY_TIMEOUT", "INSUFFICIENT_FUNDS"])),
            ),
            (r#"["GATEWAY_TIMEOUT", null]"#, None),
            ("[null]", None),
            (r#"["EATEN"]"#, None),
            (r#"["GATEWAY_TIMEOUT",]"#, None),
            (r#"["GATEWAY_TIMEOUT" "GATEWAY_TIMEOUT"]"#, None),
            (r#""GATEWAY_TIMEOUT""#, None),
            ("{}", None),
        ],
        &mut wrong,
    );
    let one = json!([{"product_id": "a", "quantity": 5}]);
    let none = json!([{"product_id": "", "quantity": 0}]);
    check::<rpc::ClearCart>(
        "bought",
        &[
            ("[]", taken(json!([]))),
            ("null", taken(json!([]))),
            (r#"[{"productId": "a", "quantity": "5e0"}]"#, taken(one)),
            ("[{}]", taken(none.clone())),
            (r#"[{"product_id": null, "quantity": null}]"#, taken(none)),
            ("[null]", None),
            (r#"[["a", 5]]"#, None),
            (r#"[{"colour": "green"}]"#, None),
            (r#"[{"quantity": 1, "quantity": 2}]"#, None),
            (r#"[{"quantity": "+5"}]"#, None),
            ("{}", None),
        ],
        &mut wrong,
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_request_is_an_object() {
    for text in [
        "[]",
        r#"["Tea"]"#,
        "null",
        "5",
        r#""Tea""#,
        "",
        "{",
        "{} {}",
        r#"{"name": "a",}"#,
    ] {
        assert_eq!(read::<rpc::CreateProduct>(text), None, "{text}");
    }
}

#[test]
fn null_is_absent_in_every_field_and_no_field_comes_twice() {
    fn check<R: Rpc>() {
        let default = R::Request::default().encode_to_vec();
        for field in R::Request::FIELDS {
            let (name, other) = (field.name, field.json_name);
            for name in [name, other] {
                let (_, bytes) = read::<R>(&format!("{{{name:?}: null}}")).unwrap();
                assert_eq!(bytes, default, "{name} of {}", R::INFO.name);
            }
            for (first, second) in [(name, name), (name, other), (other, name)] {
                let twice = format!("{{{first:?}: null, {second:?}: null}}");
                assert_eq!(read::<R>(&twice), None, "{twice} of {}", R::INFO.name);
            }
        }
    }
    macro_rules! each {
        ($($rpc:ident)*) => { $(check::<rpc::$rpc>();)* };
    }
    zerocart_proto::for_each_rpc!(each);
}

#[test]
fn an_id_is_in_lower_case_wherever_it_is() {
    const ID: &str = "0198C0DE-0000-7000-8000-00000000ABCD";

    fn check<R: Rpc>() {
        for field in R::Request::FIELDS {
            let text = format!("{{{:?}: {ID:?}}}", field.name);
            let mut deserializer = serde_json::Deserializer::from_str(&text);
            let Ok(mut request) = zerocart_proto::json::read::<R::Request, _>(&mut deserializer)
            else {
                continue;
            };
            request.normalise();
            let is_id = field.name == "id" || field.name.ends_with("_id");
            let json = serde_json::to_value(&request).unwrap();
            let expected = if is_id {
                ID.to_lowercase()
            } else {
                ID.to_owned()
            };
            assert_eq!(
                json[field.name],
                expected,
                "{} of {}",
                field.name,
                R::INFO.name
            );
        }
    }
    macro_rules! each {
        ($($rpc:ident)*) => { $(check::<rpc::$rpc>();)* };
    }
    zerocart_proto::for_each_rpc!(each);

    let mut request = zerocart_proto::cart::ClearCartRequest {
        bought: vec![zerocart_proto::cart::BoughtItem {
            product_id: ID.to_owned(),
            quantity: 1,
        }],
        ..Default::default()
    };
    request.normalise();
    assert_eq!(request.bought[0].product_id, ID.to_lowercase());
}
