//! The access matrix: every RPC, asked by everybody, over REST and gRPC, at the gateway and past it.
//!
//! RPCs and their requests come from the descriptors, and who is answered from the contract's table:
//! an RPC that the table does not name fails here.

use std::{collections::BTreeMap, fs, net::Ipv4Addr};

use http::Method;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value as Field};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::{KeyPair, Role};
use zerocart_proto::rpc::{self, Info};
use zerocart_test_support::clients::{Reply, Wire};
use zerocart_tests::{
    access::{self, Row, Who},
    root,
};

use super::{
    engine::{Data, Engine},
    forged::{self, Keys},
    http::Http,
};

/// The wires that differ in how a caller is refused.
const WIRES: [Wire; 2] = [Wire::Http1, Wire::Grpc];

/// What a caller who may call gets: these requests are not complete, and that is only looked at once
/// the caller may.
const ANSWERED: [Code; 4] = [
    Code::Ok,
    Code::InvalidArgument,
    Code::NotFound,
    Code::FailedPrecondition,
];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_where_they_do_not_belong() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let matrix = Matrix::new(&engine, &Keys::of(&data));
    // First of all: later the others have been woken.
    matrix.what_the_gateway_refuses_wakes_nothing().await;
    let matrix = matrix.with_an_order().await;
    matrix.everybody_asks_for_everything().await;
    engine.stop().await;
}

/// What a caller presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No token.
    Nobody,
    /// A token that no key of the user issuer signed, or not for now.
    Forged,
    /// A token that the user issuer's key signed, and that says what this issuer may not say. The
    /// gateway looks at the signature and the times, a function at the rest too.
    Misissued,
    /// The customer whom the request is about.
    Owner,
    /// Another customer.
    Other,
    Admin,
    /// A function of the order domain.
    Service,
}

#[derive(Debug)]
struct Caller {
    name: &'static str,
    kind: Kind,
    token: Option<String>,
    /// Where it calls from: the gateway counts each one's requests apart.
    source: Ipv4Addr,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Gateway,
    Function,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The gateway refuses: UNAUTHENTICATED.
    AtTheGateway,
    /// The function does not know the caller: UNAUTHENTICATED.
    Unknown,
    /// The function knows the caller, who may not: PERMISSION_DENIED.
    Denied,
    /// The request is looked at.
    Answered,
}

impl Seen {
    fn expected(place: Place, kind: Kind, who: Who) -> Self {
        // What is for anyone looks at no token: neither the gateway nor the function.
        if who.anyone {
            return Self::Answered;
        }
        if place == Place::Gateway && matches!(kind, Kind::Nobody | Kind::Forged | Kind::Service) {
            return Self::AtTheGateway;
        }
        let allowed = match kind {
            Kind::Nobody => return Self::Unknown,
            Kind::Forged | Kind::Misissued => false,
            Kind::Owner => who.that_user || who.owner,
            Kind::Other => false,
            Kind::Admin => who.admin,
            Kind::Service => who.service,
        };
        match (kind, allowed) {
            (Kind::Forged | Kind::Misissued, _) => Self::Unknown,
            (_, true) => Self::Answered,
            (_, false) => Self::Denied,
        }
    }

    fn of(wire: Wire, reply: &Reply) -> Result<Self, Code> {
        // A function says which trace its answer belongs to; the gateway knows of none.
        let by_gateway = !reply.headers.contains_key("traceresponse");
        let code = match wire {
            Wire::Grpc => reply.grpc::<()>().code,
            _ if by_gateway && reply.status == 401 => Code::Unauthenticated,
            _ if by_gateway => Code::Unknown,
            _ => reply.outcome::<Value>().code,
        };
        match code {
            Code::Unauthenticated if by_gateway => Ok(Self::AtTheGateway),
            Code::Unauthenticated => Ok(Self::Unknown),
            Code::PermissionDenied => Ok(Self::Denied),
            code if ANSWERED.contains(&code) && !by_gateway => Ok(Self::Answered),
            code => Err(code),
        }
    }
}

/// What the requests name.
#[derive(Debug)]
struct Ids {
    user: String,
    product: String,
    order: String,
    payment: String,
}

impl Ids {
    /// The value of a field that says whom or what a request is about.
    fn of(&self, info: &Info, field: &str) -> &str {
        match (info.domain, field) {
            ("user", "id") | (_, "user_id") => &self.user,
            ("product", "id") | (_, "product_id") => &self.product,
            ("order", "id") | (_, "order_id") => &self.order,
            (_, "payment_id") => &self.payment,
            _ => panic!("{}: what is {field:?}? Add it here", info.name),
        }
    }
}

struct Matrix<'a> {
    engine: &'a Engine,
    table: Vec<Row>,
    pool: DescriptorPool,
    callers: Vec<Caller>,
    ids: Ids,
}

impl<'a> Matrix<'a> {
    fn new(engine: &'a Engine, keys: &Keys) -> Self {
        let table = fs::read_to_string(root().join("tests/contract/access.md"));
        let pool = DescriptorPool::decode(zerocart_proto::DESCRIPTORS);
        let uuid = || Uuid::now_v7().to_string();
        let ids = Ids {
            user: uuid(),
            product: uuid(),
            order: uuid(),
            payment: uuid(),
        };
        Self {
            engine,
            table: access::rows(&table.expect("the table is there")).expect("it can be read"),
            pool: pool.expect("the descriptors are valid"),
            callers: callers(keys, &ids.user),
            ids,
        }
    }

    fn who(&self, info: &Info) -> Who {
        let row = access::row(&self.table, info);
        let row = row.unwrap_or_else(|| panic!("who may call {}? See access.md", info.name));
        row.who
    }

    fn caller(&self, kind: Kind) -> &Caller {
        let caller = self.callers.iter().find(|caller| caller.kind == kind);
        caller.expect("there is one of each kind")
    }

    async fn what_the_gateway_refuses_wakes_nothing(&self) {
        let mut refused = 0;
        for info in rpc::ALL {
            for caller in &self.callers {
                let expected = Seen::expected(Place::Gateway, caller.kind, self.who(info));
                if expected == Seen::AtTheGateway {
                    self.ask(Place::Gateway, info, caller).await;
                    refused += 1;
                }
            }
        }
        assert!(refused > 0);
        for function in self.engine.ps().await {
            let (cold_starts, requests) = (function.cold_starts, function.requests);
            assert!(function.instances.is_empty(), "{} runs", function.name);
            assert_eq!((cold_starts, requests), (0, 0), "{}", function.name);
        }
    }

    async fn everybody_asks_for_everything(&self) {
        for place in [Place::Gateway, Place::Function] {
            for info in rpc::ALL {
                for caller in &self.callers {
                    self.ask(place, info, caller).await;
                }
            }
        }
    }

    /// Asks over each wire, and compares what comes of it with the contract.
    async fn ask(&self, place: Place, info: &Info, caller: &Caller) {
        let expected = Seen::expected(place, caller.kind, self.who(info));
        let bearer = caller.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        let authority = match place {
            Place::Gateway => self.engine.gateway().to_string(),
            Place::Function => self.engine.function(info.name),
        };
        for wire in WIRES {
            let http = Http::to(authority.clone(), caller.source, wire);
            let reply = if wire == Wire::Grpc {
                http.grpc(info.grpc_path, &self.message(info), &headers)
                    .await
            } else {
                let (method, path, body) = self.rest(info);
                http.call(method, &path, body, &headers).await
            };
            let seen = Seen::of(wire, &reply);
            assert_eq!(
                seen,
                Ok(expected),
                "{} asks for {} over {wire:?}, {place:?}: {} {}",
                caller.name,
                info.name,
                reply.status,
                reply.text()
            );
        }
    }

    /// The fields that say whom or what a request is about, with their values.
    fn fields(&self, info: &Info) -> BTreeMap<&'static str, &str> {
        let parameter = |segment: &'static str| segment.strip_prefix('{')?.strip_suffix('}');
        let in_path = info.http_path.split('/').filter_map(parameter);
        let names = in_path.chain(info.access.self_field);
        names.map(|name| (name, self.ids.of(info, name))).collect()
    }

    /// The request as protobuf.
    fn message(&self, info: &Info) -> Vec<u8> {
        let path = info.grpc_path.trim_start_matches('/');
        let (service, method) = path.split_once('/').expect("a service and a method");
        let service = self.pool.get_service_by_name(service).expect("declared");
        let method = service.methods().find(|m| m.name() == method);
        let mut message = DynamicMessage::new(method.expect("declared").input());
        for (name, value) in self.fields(info) {
            message.set_field_by_name(name, Field::String(value.to_owned()));
        }
        message.encode_to_vec()
    }

    /// The request's method, path and JSON.
    fn rest(&self, info: &Info) -> (Method, String, String) {
        let mut path = info.http_path.to_owned();
        let mut body = serde_json::Map::new();
        for (name, value) in self.fields(info) {
            let parameter = format!("{{{name}}}");
            if path.contains(&parameter) {
                path = path.replace(&parameter, value);
            } else {
                body.insert(name.to_owned(), value.into());
            }
        }
        let body = match info.http_body {
            true => Value::Object(body).to_string(),
            false => String::new(),
        };
        (info.http_method.parse().expect("a method"), path, body)
    }

    /// An order that the owner really has, and its payment, so that rows have an owner.
    async fn with_an_order(mut self) -> Self {
        let rate = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0});
        let rates = "/admin/failure-rate".to_owned();
        self.done(Kind::Admin, Method::POST, rates, rate).await;
        let tea = json!({"name": "Tea", "price": 4.5, "inventory": 9});
        let products = "/products".to_owned();
        let made = self.done(Kind::Admin, Method::POST, products, tea).await;
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        self.ids.product = text(&made["product"]["id"]);
        let line = json!({"product_id": self.ids.product, "quantity": 1});
        let items = format!("/carts/{}/items", self.ids.user);
        self.done(Kind::Owner, Method::POST, items, line).await;
        let order = json!({"user_id": self.ids.user});
        let orders = "/orders".to_owned();
        let ordered = self.done(Kind::Owner, Method::POST, orders, order).await;
        self.ids.order = text(&ordered["order"]["id"]);
        self.ids.payment = text(&ordered["order"]["payment_id"]);
        self
    }

    async fn done(&self, kind: Kind, method: Method, path: String, body: Value) -> Value {
        let token = self.caller(kind).token.as_deref().expect("it has one");
        let bearer = format!("Bearer {token}");
        let http = self.engine.http();
        let headers = [("authorization", bearer.as_str())];
        let reply = http.call(method, &path, body.to_string(), &headers).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.text());
        reply.json()
    }
}

/// Everybody, with the user whose id is `user` as the owner.
fn callers(keys: &Keys, user: &str) -> Vec<Caller> {
    let other = Uuid::now_v7().to_string();
    let admin = Uuid::now_v7().to_string();
    let (signs, serves) = (keys.user.current(), keys.service.current());
    let stranger = KeyPair::generate().expect("the system has random bytes");
    let (header, kid, public) = (forged::header(signs), signs.kid(), signs.public());
    let good = keys.token(user, Role::Customer);
    let promoted = forged::claims("zerocart-user", user, Role::Admin);
    let service = forged::claims("zerocart-service", "create-order", Role::Service);
    let nameless = json!({"alg": "EdDSA", "typ": "JWT"});
    let serving = forged::claims("zerocart-user", user, Role::Service);
    let foreign = forged::claims("https://id.example", user, Role::Admin);
    let forged = [
        ("an expired token", keys.expired(&admin, Role::Admin)),
        ("a reworded token", forged::reworded(&good, &promoted)),
        ("a token with alg none", forged::unsigned(kid, &promoted)),
        (
            "a token under the public key's PEM",
            forged::hmac(public.to_pem().as_bytes(), kid, &promoted),
        ),
        (
            "a token under the public key's bytes",
            forged::hmac(public.as_bytes(), kid, &promoted),
        ),
        (
            "a token without a kid",
            forged::signed(signs, &nameless, &promoted),
        ),
        (
            "a stranger's token",
            forged::signed(&stranger, &forged::header(&stranger), &promoted),
        ),
        (
            "a stranger's token under our kid",
            forged::signed(&stranger, &header, &promoted),
        ),
        (
            "the service's key for a user",
            forged::signed(serves, &forged::header(serves), &promoted),
        ),
        ("no token at all", "hunter2".to_owned()),
    ];
    let misissued = [
        (
            "the user's key for a service",
            forged::signed(signs, &header, &service),
        ),
        (
            "a user with a service's role",
            forged::signed(signs, &header, &serving),
        ),
        (
            "another issuer under our key",
            forged::signed(signs, &header, &foreign),
        ),
    ];
    let good = [
        ("the owner", Kind::Owner, good),
        (
            "another customer",
            Kind::Other,
            keys.token(&other, Role::Customer),
        ),
        ("an admin", Kind::Admin, keys.token(&admin, Role::Admin)),
        (
            "a service",
            Kind::Service,
            keys.token("create-order", Role::Service),
        ),
    ];
    let of = |kind| move |(name, token)| (name, kind, Some(token));
    let bad = forged.into_iter().map(of(Kind::Forged));
    let bad = bad.chain(misissued.into_iter().map(of(Kind::Misissued)));
    let good = good.map(|(name, kind, token)| (name, kind, Some(token)));
    std::iter::once(("nobody", Kind::Nobody, None))
        .chain(bad)
        .chain(good)
        .zip(10_u8..)
        .map(|((name, kind, token), n)| Caller {
            name,
            kind,
            token,
            source: [127, 0, 1, n].into(),
        })
        .collect()
}
