//! Tokens that no client of the public edge can have, at the gateway and past it, over REST and gRPC.
//!
//! Who may call which RPC, the story `tokens` of the conformance suite asks for each of them. Here is
//! what it cannot make: tokens that somebody forged or that have expired, and those of functions.

use std::net::Ipv4Addr;

use http::Method;
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::{KeyPair, Role};
use zerocart_proto::{
    cart::GetCartRequest,
    rpc::{GetCart, Rpc},
};
use zerocart_test_support::clients::{Reply, Wire};

use super::{
    engine::{Data, Engine},
    forged::{self, Keys},
    http::Http,
};

/// The wires that differ in how a caller is refused.
const WIRES: [Wire; 2] = [Wire::Http1, Wire::Grpc];

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_checked_at_the_gateway_and_again_by_the_function() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let user = Uuid::now_v7().to_string();
    let callers = callers(&Keys::of(&data), &user);
    let at_the_gateway =
        |caller: &&Caller| Seen::expected(Place::Gateway, caller.kind) == Seen::AtTheGateway;
    let (refused, others): (Vec<_>, Vec<_>) = callers.iter().partition(at_the_gateway);
    for caller in &refused {
        ask(&engine, Place::Gateway, &user, caller).await;
    }
    for function in engine.ps().await {
        let asked = (function.cold_starts, function.requests);
        assert_eq!(asked, (0, 0), "{} was woken", function.name);
    }
    for caller in &others {
        ask(&engine, Place::Gateway, &user, caller).await;
    }
    for caller in &callers {
        ask(&engine, Place::Function, &user, caller).await;
    }
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
    /// The customer whose cart it is.
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
    /// The function answers.
    Answered,
}

impl Seen {
    /// What comes of get-cart, which is for that user, admins and services.
    fn expected(place: Place, kind: Kind) -> Self {
        match (place, kind) {
            (Place::Gateway, Kind::Nobody | Kind::Forged | Kind::Service) => Self::AtTheGateway,
            (_, Kind::Nobody | Kind::Forged | Kind::Misissued) => Self::Unknown,
            (_, Kind::Other) => Self::Denied,
            (_, Kind::Owner | Kind::Admin | Kind::Service) => Self::Answered,
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
            Code::Ok if !by_gateway => Ok(Self::Answered),
            code => Err(code),
        }
    }
}

/// Asks for the cart of `user` over each wire.
async fn ask(engine: &Engine, place: Place, user: &str, caller: &Caller) {
    let bearer = caller.token.as_ref().map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer
        .iter()
        .map(|value| ("authorization", value.as_str()))
        .collect();
    let authority = match place {
        Place::Gateway => engine.gateway().to_string(),
        Place::Function => engine.function(GetCart::INFO.name),
    };
    for wire in WIRES {
        let http = Http::to(authority.clone(), caller.source, wire);
        let reply = match wire {
            Wire::Grpc => {
                let user_id = user.to_owned();
                let message = GetCartRequest { user_id }.encode_to_vec();
                http.grpc(GetCart::INFO.grpc_path, &message, &headers).await
            }
            _ => {
                let path = format!("/carts/{user}");
                http.call(Method::GET, &path, "", &headers).await
            }
        };
        assert_eq!(
            Seen::of(wire, &reply),
            Ok(Seen::expected(place, caller.kind)),
            "{} over {wire:?}, {place:?}: {} {}",
            caller.name,
            reply.status,
            reply.text()
        );
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
