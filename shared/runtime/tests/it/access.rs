//! Who may call what.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::Method;
use tonic::Code;
use zerocart_auth::{Role, Token};
use zerocart_proto::{
    order::GetOrderRequest,
    product::{InventoryResponse, UpdateInventoryRequest},
    rpc::{CreateProduct, GetOrder, GetProduct, GetUser, Rpc, UpdateInventory},
    user::{GetUserRequest, UserResponse},
};
use zerocart_test_support::{
    clients::{Client, Wire, request},
    functions::{Authority, Running, Script},
};

use crate::{ME, OTHER, TEA, create_tea, get_tea, tea};

/// Calls `R` as nobody, as the user [`ME`], as another customer, as an admin, as a service, by
/// every wire, and expects `codes`; a refused call must not reach the handler.
async fn assert_access<R: Rpc>(script: Script<R>, asked: R::Request, codes: [Code; 5]) {
    let authority = Authority::generate();
    let function = Running::scripted(authority.env(), script).await;
    let callers = [
        ("nobody", None),
        ("me", Some(authority.customer(ME))),
        ("another", Some(authority.customer(OTHER))),
        ("admin", Some(authority.admin(OTHER))),
        ("service", Some(authority.service("create-order"))),
    ];
    for wire in Wire::ALL {
        for ((caller, token), code) in callers.iter().zip(codes) {
            let mut client = Client::new(wire, function.address());
            if let Some(token) = token {
                client = client.bearer(token);
            }
            let outcome = client.call::<R>(&asked).await;
            assert_eq!(outcome.code, code, "{} by {caller}, {wire:?}", R::INFO.name);
            if wire.is_json() {
                let status = match code {
                    Code::Unauthenticated => 401,
                    Code::PermissionDenied => 403,
                    _ if R::INFO.creates => 201,
                    _ => 200,
                };
                assert_eq!(outcome.http_status, status, "{caller}");
            }
        }
    }
}

use Code::{Ok as OK, PermissionDenied as DENIED, Unauthenticated as WHO};

#[tokio::test]
async fn anyone() {
    let script = Script::<GetProduct>::answers(tea());
    assert_access(script, get_tea(), [OK; 5]).await;
}

#[tokio::test]
async fn admins_alone() {
    let script = Script::<CreateProduct>::answers(tea());
    let codes = [WHO, DENIED, DENIED, OK, DENIED];
    assert_access(script, create_tea(), codes).await;
}

#[tokio::test]
async fn admins_and_services() {
    let script = Script::<UpdateInventory>::answers(InventoryResponse::default());
    let asked = UpdateInventoryRequest {
        product_id: TEA.into(),
        quantity_change: 1,
        ..Default::default()
    };
    assert_access(script, asked, [WHO, DENIED, DENIED, OK, OK]).await;
}

#[tokio::test]
async fn that_user_and_admins() {
    let script = Script::<GetUser>::answers(UserResponse::default());
    let asked = GetUserRequest { id: ME.into() };
    assert_access(script, asked, [WHO, OK, DENIED, OK, DENIED]).await;

    // A user has one id, in every case of its letters.
    let script = Script::<GetUser>::answers(UserResponse::default());
    let asked = GetUserRequest {
        id: ME.to_uppercase(),
    };
    assert_access(script, asked, [WHO, OK, DENIED, OK, DENIED]).await;
}

#[tokio::test]
async fn the_owner_and_admins() {
    let script = Script::<GetOrder>::new(|cx, _| async move {
        cx.authorize_owner(ME)?;
        Ok(Default::default())
    });
    let asked = GetOrderRequest { id: TEA.into() };
    assert_access(script, asked, [WHO, OK, DENIED, OK, DENIED]).await;
}

#[tokio::test]
async fn a_bad_token_is_refused_where_one_is_needed_and_ignored_where_none_is() {
    let authority = Authority::generate();
    let stranger = Authority::generate();
    let script = Script::<CreateProduct>::new(|_, _| async { panic!("the handler was called") });
    let closed = Running::scripted(authority.env(), script).await;
    let script = Script::<GetProduct>::new(|cx, _| async move {
        assert!(cx.identity.is_none() && cx.token.is_none());
        Ok(tea())
    });
    let open = Running::scripted(authority.env(), script).await;
    let good = authority.admin(ME);
    let (signed, _) = good.as_str().rsplit_once('.').unwrap();
    let bad: [(&str, String); 9] = [
        ("expired", authority.expired(ME).to_authorization()),
        ("of another key", stranger.admin(ME).to_authorization()),
        (
            "unsigned",
            Token::new(format!("{signed}.")).to_authorization(),
        ),
        ("no token", "Bearer".into()),
        ("no JWT", "Bearer hunter2".into()),
        ("another scheme", "Basic YTpi".into()),
        ("too long", format!("Bearer {}", "a".repeat(9000))),
        ("empty", String::new()),
        ("no text", "Bearer \u{fc}".into()),
    ];
    for wire in Wire::ALL {
        let (closed, open) = (
            Client::new(wire, closed.address()),
            Client::new(wire, open.address()),
        );
        for (what, value) in &bad {
            let with = |client: &Client| client.clone().header("authorization", value);
            let outcome = with(&closed).call::<CreateProduct>(&create_tea()).await;
            assert_eq!(outcome.code, WHO, "{what}, {wire:?}");
            // Why is for the log.
            assert_eq!(
                outcome.message, "the token is not valid",
                "{what}, {wire:?}"
            );
            let outcome = with(&open).call::<GetProduct>(&get_tea()).await;
            assert_eq!(outcome.code, OK, "{what}, {wire:?}");
        }
        let twice = |client: Client| client.bearer(&good).bearer(&good);
        let outcome = twice(closed).call::<CreateProduct>(&create_tea()).await;
        assert_eq!(outcome.code, WHO, "two tokens, {wire:?}");
        let outcome = twice(open).call::<GetProduct>(&get_tea()).await;
        assert_eq!(outcome.code, OK, "two tokens, {wire:?}");
    }
}

#[tokio::test]
async fn who_may_not_call_learns_nothing_of_its_request() {
    let authority = Authority::generate();
    let script = Script::<CreateProduct>::new(|_, _| async { panic!("the handler was called") });
    let function = Running::scripted(authority.env(), script).await;
    let nobody = Client::new(Wire::Http1, function.address());
    let customer = nobody.clone().bearer(&authority.customer(ME));
    for (client, status) in [(nobody, 401), (customer, 403)] {
        let reply = client.send(request(Method::POST, "/products", "{")).await;
        let outcome = reply.outcome::<()>();
        assert_eq!(outcome.http_status, status);
        assert!(outcome.fields.is_empty(), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_handler_knows_who_calls() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let script = Script::<GetUser>::new(move |cx, _| {
        let counter = Arc::clone(&counter);
        async move {
            let identity = cx.identity.as_ref().unwrap();
            assert_eq!(
                (identity.subject.as_str(), identity.role),
                (ME, Role::Customer)
            );
            assert!(cx.token.is_some());
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(UserResponse::default())
        }
    });
    let authority = Authority::generate();
    let function = Running::scripted(authority.env(), script).await;
    let asked = GetUserRequest { id: ME.into() };
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).bearer(&authority.customer(ME));
        client.call::<GetUser>(&asked).await.ok();
    }
    assert_eq!(calls.load(Ordering::SeqCst), Wire::ALL.len());
}

#[tokio::test]
async fn a_token_of_one_issuer_is_not_one_of_the_other() {
    // Users and services swapped: the role in the token is then not one that the issuer may give.
    let authority = Authority::generate();
    let swapped = authority.env().into_iter().map(|(name, keys)| {
        let other = match name.as_str() {
            "AUTH_USER_KEYS" => "AUTH_SERVICE_KEYS",
            _ => "AUTH_USER_KEYS",
        };
        (other.to_owned(), keys)
    });
    let script = Script::<CreateProduct>::answers(tea());
    let function = Running::scripted(swapped.collect::<Vec<_>>(), script).await;
    for token in [authority.admin(ME), authority.service("create-order")] {
        let outcome = Client::new(Wire::Grpc, function.address())
            .bearer(&token)
            .call::<CreateProduct>(&create_tea())
            .await;
        assert_eq!(outcome.code, WHO);
    }
}
