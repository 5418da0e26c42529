//! Bad inputs of every RPC, from the descriptors and the rules of its fields.
//!
//! A case is one mistake in a request that is good otherwise, as it is sent over REST and over gRPC,
//! and how it is refused. What a wire cannot even say is told as such, with the reason.

use bytes::Bytes;
use http::Method;
use prost_reflect::{FieldDescriptor, Kind, Value as Wire};
use serde_json::{Value, json};
use tonic::Code;
use zerocart_proto::rpc::{Info, Role};
use zerocart_wires::bind;

use super::{
    mistakes::{Mistake, NOT_JSON_TYPE, mistakes},
    refusal::{MAX_REQUEST_BYTES, Refusal},
    schema::{self, Request, Rules, Things},
};

const NOT_PROTOBUF: &str = "is not valid Protobuf for its type";

/// More than a function reads, less than an edge lets through: in bytes.
const LARGE: usize = 100_000;

/// One mistake.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What is wrong, for people.
    pub(super) what: String,
    /// Over REST.
    pub(super) rest: Way<Rest>,
    /// Over gRPC and gRPC-Web.
    pub(super) grpc: Way<Bytes>,
}

/// How a mistake is made over a wire.
#[derive(Clone, Debug)]
pub(super) enum Way<T> {
    /// This is sent, and refused like that.
    Sent(T, Refusal),
    /// The wire has no such mistake, because of this.
    Impossible(&'static str),
}

/// An HTTP request.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) media_type: &'static str,
    /// More headers.
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Bytes,
}

impl Rest {
    /// The request with these fields, as the binding of the RPC says.
    pub(super) fn of(info: &Info, request: &Request) -> Self {
        let (method, path, body) = bind(info, request.json.clone());
        Self {
            method,
            path,
            media_type: "application/json",
            headers: Vec::new(),
            body,
        }
    }

    fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn with_query(mut self, query: &str) -> Self {
        let sign = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{sign}{query}", self.path);
        self
    }
}

/// Every mistake in a request of this RPC that can be told from the contract.
pub(super) fn cases(info: &'static Info, things: &Things) -> Vec<Case> {
    let good = Request::good(info, things);
    let inputs = Inputs {
        info,
        good,
        things: things.clone(),
    };
    let mut cases = inputs.whole();
    for field in schema::method(info).input().fields() {
        cases.extend(inputs.field(&field));
    }
    cases
}

/// The mistakes of one RPC.
struct Inputs {
    info: &'static Info,
    good: Request,
    things: Things,
}

/// Where a field is in an HTTP request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Body,
}

impl Inputs {
    fn place(&self, field: &FieldDescriptor) -> Place {
        let parameter = format!("{{{}}}", field.name());
        match self.info.http_path.contains(&parameter) {
            true => Place::Path,
            false if self.info.http_body => Place::Body,
            false => Place::Query,
        }
    }

    /// The request without a mistake, over REST.
    fn rest(&self) -> Rest {
        Rest::of(self.info, &self.good)
    }

    /// How a rule of a field that is broken is told: not at all to those who may not speak of the
    /// user that the field names.
    fn breaks(&self, field: &FieldDescriptor, at: &str, description: String) -> Refusal {
        let access = &self.info.access;
        let own = access.self_field == Some(field.name());
        match own && !access.roles.contains(&Role::Admin) && !access.anyone {
            true => Refusal::denied(),
            false => Refusal::field(at, description),
        }
    }

    /// Both wires can say it, and are refused alike.
    fn both(&self, what: String, request: &Request, refusal: Refusal) -> Case {
        Case {
            what,
            rest: Way::Sent(Rest::of(self.info, request), refusal.clone()),
            grpc: Way::Sent(request.bytes(), refusal),
        }
    }

    /// The mistakes that have to do with no field, or with each.
    fn whole(&self) -> Vec<Case> {
        let refused = |field: &str, says: &str| Refusal::field(field, says);
        let rest_only = |what: &str, rest, refusal, why| Case {
            what: what.to_owned(),
            rest: Way::Sent(rest, refusal),
            grpc: Way::Impossible(why),
        };
        const NO_TEXT: &str = "a message of Protobuf is no text";
        const SKIPPED: &str = "Protobuf passes over what it does not know";
        const LAST_WINS: &str = "in Protobuf the last one wins";
        const NO_PATH: &str = "a gRPC path holds no fields";

        // Field number 0 does not exist.
        let broken = Bytes::from_static(&[0x02, 0x00]);
        let broken = Way::Sent(broken, refused("body", NOT_PROTOBUF));
        // Field 1000, which no message has, as bytes.
        let mut large = vec![0xc2, 0x3e, 0xa0, 0x8d, 0x06];
        large.resize(large.len() + LARGE, b'a');
        let large = Way::Sent(Bytes::from(large), Refusal::too_large());

        let mut cases = Vec::new();
        if self.info.http_body {
            let input = schema::method(self.info).input();
            let first = input.fields().next();
            let first = first.map_or(String::new(), |field| field.name().to_owned());
            let body = |text: &str| self.rest().with_body(text.to_owned());
            cases.extend([
                Case {
                    what: "it breaks off".into(),
                    rest: Way::Sent(
                        body("{\""),
                        refused("body", "is not valid JSON (line 1, column 2)"),
                    ),
                    grpc: broken,
                },
                Case {
                    what: format!("{LARGE} bytes"),
                    rest: Way::Sent(
                        self.rest().with_body(vec![b' '; LARGE]),
                        Refusal::too_large(),
                    ),
                    grpc: large,
                },
                rest_only(
                    "a list",
                    body("[]"),
                    refused("body", NOT_JSON_TYPE),
                    NO_TEXT,
                ),
                rest_only(
                    "two objects",
                    body("{} {}"),
                    refused("body", "has something after the JSON object"),
                    NO_TEXT,
                ),
                rest_only(
                    "no UTF-8",
                    self.rest().with_body(&b"{\"\xff\":1}"[..]),
                    refused("body", "must be UTF-8"),
                    NO_TEXT,
                ),
                rest_only(
                    "another media type",
                    Rest {
                        media_type: "text/plain",
                        ..body("{}")
                    },
                    refused("content-type", "must be application/json").with_http_status(415),
                    "another media type is no gRPC",
                ),
                rest_only(
                    "an unknown field",
                    body("{\"colour\":\"green\"}"),
                    refused("colour", "is not a field of this request"),
                    SKIPPED,
                ),
                rest_only(
                    "a field in the query",
                    self.rest().with_query(&format!("colour=green&{first}=1")),
                    refused(
                        &first,
                        "is a query parameter, and this request takes its fields from the body",
                    ),
                    NO_PATH,
                ),
            ]);
        } else {
            const NO_BODY: &str = "the request has no body";
            cases.extend([
                Case {
                    what: "it breaks off".into(),
                    rest: Way::Impossible(NO_BODY),
                    grpc: broken,
                },
                Case {
                    what: format!("{LARGE} bytes"),
                    rest: Way::Impossible(NO_BODY),
                    grpc: large,
                },
            ]);
        }
        cases.extend(self.headers());
        for field in schema::method(self.info).input().fields() {
            let name = field.name();
            match self.place(&field) {
                Place::Path => {
                    let other = json!({name: "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60"});
                    let rest = match self.info.http_body {
                        true => self.rest().with_body(other.to_string()),
                        false => self.rest().with_query(&format!("{name}=other")),
                    };
                    cases.push(rest_only(
                        &format!("{name} contradicts the path"),
                        rest,
                        refused(name, "contradicts the path, which says something else"),
                        NO_PATH,
                    ));
                }
                Place::Query => cases.push(rest_only(
                    &format!("{name} twice"),
                    self.rest().with_query(&format!("{name}=1&{name}=1")),
                    refused(name, "must be given once"),
                    LAST_WINS,
                )),
                Place::Body => {
                    let value = sample(&field);
                    let twice = format!("{{\"{name}\":{value},\"{name}\":{value}}}");
                    cases.push(rest_only(
                        &format!("{name} twice"),
                        self.rest().with_body(twice),
                        refused(name, "must be given once"),
                        LAST_WINS,
                    ));
                }
            }
        }
        cases
    }

    /// What a good request asks for besides, and what no function does.
    fn headers(&self) -> Vec<Case> {
        let case = |name: &'static str, value: &'static str, refusal| Case {
            what: format!("{name}: {value}"),
            rest: Way::Sent(self.rest().with_header(name, value), refusal),
            grpc: Way::Impossible("gRPC has other headers"),
        };
        let failed = |name: &str, says: &str| {
            let refusal = Refusal::field(name, says).with_code(Code::FailedPrecondition);
            refusal.with_http_status(412)
        };
        let says = "is not true: resources have no entity tags";
        let mut cases = vec![case("if-match", "\"1\"", failed("if-match", says))];
        if self.info.http_method != "GET" {
            let refusal = failed("if-none-match", "is not true: the resource exists");
            cases.push(case("if-none-match", "*", refusal));
        }
        if self.info.http_body {
            let says = "must be identity: bodies are read as they are";
            let refusal = Refusal::field("content-encoding", says).with_http_status(415);
            let refusal = refusal.with_header("accept-encoding", "identity");
            cases.push(case("content-encoding", "br", refusal));
        }
        cases
    }

    /// The mistakes of one field.
    fn field(&self, field: &FieldDescriptor) -> Vec<Case> {
        let rules = schema::rules(field);
        let mut cases = vec![self.wrong_type(field)];
        if field.kind() == Kind::Int32 {
            cases.push(self.not_32_bits(field));
        }
        if field.is_list() {
            cases.extend(self.list(field, &rules));
            return cases;
        }
        for (what, value, says) in mistakes(field, &rules) {
            let mut request = self.good.clone();
            value.put(&mut request, field);
            let refusal = self.breaks(field, field.name(), says);
            let mut case = self.both(format!("{}: {what}", field.name()), &request, refusal);
            let text = match &value {
                Mistake::Text(text) => text.as_str(),
                _ => "1",
            };
            if self.place(field) == Place::Path && text.is_empty() {
                case.rest = Way::Impossible("without it the path is another");
            }
            if self.place(field) == Place::Path && text.contains('\0') {
                case.rest = Way::Impossible("Kong's nginx refuses such a path");
            }
            if let Some(why) = value.only_json() {
                case.grpc = Way::Impossible(why);
            }
            if self.place(field) != Place::Body && matches!(value, Mistake::Json(Value::Null)) {
                case.rest = Way::Impossible("in a URL all is text");
            }
            cases.push(case);
        }
        cases
    }

    /// A value of another type, which for an enum is an unknown name.
    fn wrong_type(&self, field: &FieldDescriptor) -> Case {
        let name = field.name();
        let place = self.place(field);
        let text_only = place != Place::Body && field.kind() == Kind::String;
        let enumeration = matches!(field.kind(), Kind::Enum(_));
        let wrong = match (field.is_list(), field.kind()) {
            (true, _) => json!("none"),
            (_, Kind::String) => json!(5),
            (_, Kind::Enum(_)) => json!("NONSENSE"),
            (_, Kind::Double | Kind::Int32) => json!("many"),
            _ => json!("perhaps"),
        };
        let says = match enumeration && !field.is_list() {
            true => "is not a value of this enum",
            false => NOT_JSON_TYPE,
        };
        let mut json = self.good.clone();
        json.json.insert(name.to_owned(), wrong.clone());
        let rest = match place {
            // In the body it has a type.
            Place::Path if self.info.http_body => {
                self.rest().with_body(json!({name: wrong}).to_string())
            }
            _ => Rest::of(self.info, &json),
        };
        // Four bytes of fixed length: no field of ours is of that wire type.
        let mut bytes = self.good.bytes().to_vec();
        let tag = (field.number() << 3) | 5;
        prost_reflect::prost::encoding::encode_varint(tag.into(), &mut bytes);
        bytes.extend([0; 4]);
        Case {
            what: format!("{name}: of another type"),
            rest: match text_only && !(place == Place::Path && self.info.http_body) {
                true => Way::Impossible("in a URL all is text"),
                false => Way::Sent(rest, Refusal::field(name, says)),
            },
            grpc: Way::Sent(bytes.into(), Refusal::field(name, NOT_PROTOBUF)),
        }
    }

    /// An integer that an int32 cannot hold.
    fn not_32_bits(&self, field: &FieldDescriptor) -> Case {
        let name = field.name();
        let mut request = self.good.clone();
        request
            .json
            .insert(name.to_owned(), json!(3_000_000_000_u32));
        Case {
            what: format!("{name}: more than 32 bits"),
            rest: Way::Sent(
                Rest::of(self.info, &request),
                Refusal::field(name, NOT_JSON_TYPE),
            ),
            grpc: Way::Impossible("Protobuf cuts a number to 32 bits"),
        }
    }

    fn list(&self, field: &FieldDescriptor, rules: &Rules) -> Vec<Case> {
        let name = field.name();
        let rest = |case: &mut Case| {
            if self.place(field) == Place::Query {
                case.rest = Way::Impossible("a query holds no list");
            }
            if let Way::Sent(rest, refusal) = &mut case.rest
                && rest.body.len() > MAX_REQUEST_BYTES
            {
                *refusal = Refusal::too_large();
            }
        };
        let mut cases = Vec::new();
        if self.place(field) == Place::Body {
            let mut request = self.good.clone();
            request.json.insert(name.to_owned(), json!([null]));
            let refusal = Refusal::field(format!("{name}[0]"), NOT_JSON_TYPE);
            cases.push(Case {
                what: format!("{name}[0]: null"),
                rest: Way::Sent(Rest::of(self.info, &request), refusal),
                grpc: Way::Impossible("Protobuf has no null"),
            });
        }
        let mut many = |request: Request, at: &str, what: &str, says: String| {
            let refusal = self.breaks(field, at, says);
            let mut case = self.both(format!("{at}: {what}"), &request, refusal);
            rest(&mut case);
            cases.push(case);
        };
        let too_many = format!("must have at most {} elements", rules.max_items);
        let mut request = self.good.clone();
        match field.kind() {
            Kind::Message(message) => {
                let element = || Request::element(message.clone(), &self.things);
                let elements = vec![element(); rules.max_items + 1];
                request.list(field, elements);
                many(request, name, "too many", too_many);
                for inner in message.fields() {
                    let inner_rules = schema::rules(&inner);
                    for (what, value, says) in mistakes(&inner, &inner_rules) {
                        let mut bad = element();
                        value.put(&mut bad, &inner);
                        let mut request = self.good.clone();
                        request.list(field, vec![bad]);
                        let at = format!("{name}[0].{}", inner.name());
                        // No list is in a body: it is for gRPC.
                        if value.only_json().is_none() {
                            many(request, &at, what, says);
                        }
                    }
                }
            }
            Kind::Enum(values) => {
                let (number, first) = schema::first(&values);
                let items = |n: usize, json: Value, number: i32| {
                    let json = vec![json; n];
                    let wire = vec![Wire::EnumNumber(number); n];
                    (json.into(), Wire::List(wire))
                };
                let (json, wire) = items(rules.max_items + 1, first.into(), number);
                request.put(field, json, wire);
                many(request, name, "too many", too_many);
                let none = values
                    .get_value(0)
                    .map_or(String::new(), |v| v.name().to_owned());
                let mut request = self.good.clone();
                let (json, wire) = items(1, none.into(), 0);
                request.put(field, json, wire);
                let at = format!("{name}[0]");
                many(request, &at, "no value", "is required".to_owned());
                let mut request = self.good.clone();
                let (json, wire) = items(1, "NONSENSE".into(), 99);
                request.put(field, json, wire);
                let says = "is not a value of this enum".to_owned();
                many(request, &at, "an unknown value", says);
            }
            _ => {}
        }
        cases
    }
}

/// A value that a field may have, as JSON.
fn sample(field: &FieldDescriptor) -> Value {
    match (field.is_list(), field.kind()) {
        (true, _) => json!([]),
        (_, Kind::Bool) => json!(true),
        (_, Kind::Enum(values)) => json!(schema::first(&values).1),
        (_, Kind::Int32 | Kind::Double) => json!(1),
        _ => json!("x"),
    }
}

#[cfg(test)]
mod tests {
    use zerocart_proto::rpc::{self, Rpc};

    use super::*;

    fn things() -> Things {
        let id = "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60".to_owned();
        Things {
            user: id.clone(),
            product: id.clone(),
            order: id.clone(),
            payment: id,
        }
    }

    #[test]
    fn every_field_of_every_rpc_has_a_mistake_over_both_wires() {
        for info in rpc::ALL {
            let cases = cases(info, &things());
            for field in schema::method(info).input().fields() {
                let of_field = |what: &str| {
                    let rest = what.strip_prefix(field.name());
                    rest.is_some_and(|rest| rest.starts_with([':', '[']))
                };
                let of_field: Vec<_> = cases.iter().filter(|c| of_field(&c.what)).collect();
                let grpc = of_field.iter().any(|c| matches!(c.grpc, Way::Sent(..)));
                let rest = of_field.iter().any(|c| matches!(c.rest, Way::Sent(..)));
                assert!(grpc && rest, "{}", field.full_name());
            }
        }
    }

    #[test]
    fn rules_become_mistakes() {
        let cases = cases(&rpc::CreateUser::INFO, &things());
        let case = cases.iter().find(|c| c.what == "password: too short");
        let Way::Sent(rest, refusal) = &case.unwrap().rest else {
            panic!("it can be sent");
        };
        let body = serde_json::from_slice::<Value>(&rest.body).unwrap();
        assert_eq!(body["password"], "é".repeat(7));
        let says = Refusal::field("password", "must have at least 8 characters");
        assert_eq!(*refusal, says);
    }

    #[test]
    fn who_may_not_speak_of_another_is_told_only_that() {
        let cases = cases(&rpc::CreateOrder::INFO, &things());
        let code = |what: &str| {
            let case = cases.iter().find(|c| c.what == what);
            let Way::Sent(_, refusal) = &case.unwrap().grpc else {
                panic!("it can be sent");
            };
            refusal.code()
        };
        assert_eq!(code("user_id: no UUID"), Code::PermissionDenied);
        assert_eq!(code("user_id: of another type"), Code::InvalidArgument);
        assert_eq!(code("payment_method: a card"), Code::InvalidArgument);
    }

    #[test]
    fn what_a_wire_cannot_say_has_a_reason() {
        let cases = cases(&rpc::GetProduct::INFO, &things());
        let case = cases.iter().find(|c| c.what == "id: absent").unwrap();
        assert!(matches!(case.rest, Way::Impossible(why) if !why.is_empty()));
        assert!(matches!(case.grpc, Way::Sent(..)));
    }
}
