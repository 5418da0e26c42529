//! The idempotency key, from the wire to the handler.

use std::sync::{Arc, Mutex};

use http::HeaderValue;
use prost::Message;
use tonic::Code;
use zerocart_core::{Error, Idempotency};
use zerocart_proto::{
    cart::{CartResponse, UpdateCartItemRequest},
    rpc::{CreateProduct, CreateUser, GetProduct, UpdateCartItem},
    user::{CreateUserRequest, UserResponse},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{Authority, Running, Script},
};

use crate::{ME, OTHER, TEA, create_tea, get_tea, serve, tea};

type Seen = Arc<Mutex<Vec<Option<Idempotency>>>>;

/// create-product, which keeps the keys that it got.
async fn keeper(authority: &Authority) -> (Running, Seen) {
    let seen = Seen::default();
    let keeps = Arc::clone(&seen);
    let script = Script::<CreateProduct>::new(move |cx, _| {
        keeps.lock().unwrap().push(cx.idempotency);
        async { Ok(tea()) }
    });
    (Running::scripted(authority.env(), script).await, seen)
}

#[tokio::test]
async fn a_key_has_1_to_255_characters_of_utf_8_and_comes_once() {
    let authority = Authority::generate();
    let (function, seen) = keeper(&authority).await;
    let too_long = "k".repeat(256);
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).bearer(&authority.admin(ME));
        let length = "must have 1 to 255 characters";
        for (bad, why) in [
            (&[&b""[..]][..], length),
            (&[too_long.as_bytes()], length),
            (&[b"a", b"b"], "must be given once"),
            (&[b"a", b"a"], "must be given once"),
            (&[b"caf\xe9"], "must be UTF-8"),
        ] {
            let mut client = client.clone();
            for value in bad {
                let value = HeaderValue::from_bytes(value).unwrap();
                client = client.header_value("idempotency-key", value);
            }
            let outcome = client.call::<CreateProduct>(&create_tea()).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {bad:?}");
            assert_eq!(outcome.field_names(), ["idempotency-key"], "{wire:?}");
            assert_eq!(outcome.fields[0].description, why, "{wire:?} {bad:?}");
        }
        assert!(seen.lock().unwrap().is_empty(), "{wire:?}");
        for good in ["k", &too_long[1..]] {
            let client = client.clone().header("idempotency-key", good);
            client.call::<CreateProduct>(&create_tea()).await.ok();
            assert!(seen.lock().unwrap().pop().unwrap().is_some(), "{wire:?}");
        }
        client.call::<CreateProduct>(&create_tea()).await.ok();
        assert_eq!(seen.lock().unwrap().pop().unwrap(), None, "{wire:?}");
    }
}

#[tokio::test]
async fn one_key_and_one_request_are_the_same_by_every_wire() {
    let authority = Authority::generate();
    let (function, seen) = keeper(&authority).await;
    for wire in Wire::ALL {
        Client::new(wire, function.address())
            .bearer(&authority.admin(ME))
            .header("idempotency-key", "k")
            .call::<CreateProduct>(&create_tea())
            .await
            .ok();
    }
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    let first = seen[0].clone().unwrap();
    assert_eq!(seen.len(), Wire::ALL.len());
    seen.dedup();
    assert_eq!(seen, [Some(first)]);
}

/// An id is the same in capitals (RFC 9562), and so is the request: for access, for the handler and
/// under a key. A 0 is the same whether it is said, as in JSON, or not, as in Protobuf.
#[tokio::test]
async fn both_spellings_of_an_id_are_one_request() {
    let authority = Authority::generate();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&seen);
    let script = Script::<UpdateCartItem>::new(move |cx, request| {
        keeps.lock().unwrap().push((request, cx.idempotency));
        async { Ok(CartResponse::default()) }
    });
    let function = Running::scripted(authority.env(), script).await;
    let plain = UpdateCartItemRequest {
        user_id: ME.into(),
        product_id: TEA.into(),
        new_quantity: 0,
    };
    let capitals = UpdateCartItemRequest {
        user_id: ME.to_uppercase(),
        product_id: TEA.to_uppercase(),
        ..plain.clone()
    };
    // As the version before made it of the same message, whose records are kept for a day.
    let key = Idempotency::new(b"k", ME, "update-cart-item", "", &plain.encode_to_vec()).unwrap();
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address())
            .bearer(&authority.customer(ME))
            .header("idempotency-key", "k");
        for request in [&plain, &capitals] {
            client.call::<UpdateCartItem>(request).await.ok();
            let (got, under) = seen.lock().unwrap().pop().unwrap();
            assert_eq!(got, plain, "{wire:?}");
            assert_eq!(under, Some(key.clone()), "{wire:?}");
        }
    }
}

#[tokio::test]
async fn another_caller_has_other_keys_and_another_request_another_fingerprint() {
    let authority = Authority::generate();
    let (function, seen) = keeper(&authority).await;
    let client = Client::new(Wire::Grpc, function.address()).header("idempotency-key", "k");
    let me = client.clone().bearer(&authority.admin(ME));
    let other = client.bearer(&authority.admin(OTHER));
    let mut cheaper = create_tea();
    cheaper.price = 9.99;
    me.call::<CreateProduct>(&create_tea()).await.ok();
    me.call::<CreateProduct>(&cheaper).await.ok();
    other.call::<CreateProduct>(&create_tea()).await.ok();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let [first, changed, others] = seen.try_into().unwrap();
    let (first, changed, others) = (first.unwrap(), changed.unwrap(), others.unwrap());
    assert_eq!(first.key, changed.key);
    assert_ne!(first.fingerprint, changed.fingerprint);
    assert_ne!(first.key, others.key);
}

#[tokio::test]
async fn strangers_have_the_keys_of_whom_they_ask_for() {
    let seen = Seen::default();
    let keeps = Arc::clone(&seen);
    let script = Script::<CreateUser>::new(move |cx, _| {
        keeps.lock().unwrap().push(cx.idempotency);
        async { Ok(UserResponse::default()) }
    });
    let authority = Authority::generate();
    let function = Running::scripted(authority.env(), script).await;
    let sign_up = |email: &str, password: &str| CreateUserRequest {
        email: email.into(),
        name: "Ada".into(),
        password: password.into(),
    };
    let client = Client::new(Wire::Grpc, function.address()).header("idempotency-key", "k");
    let (ada, eve) = ("ada@example.com", "eve@example.com");
    let first = sign_up(ada, "correct horse");
    client.call::<CreateUser>(&first).await.ok();
    client
        .call::<CreateUser>(&sign_up(ada, "battery staple"))
        .await
        .ok();
    client
        .call::<CreateUser>(&sign_up(eve, "correct horse"))
        .await
        .ok();
    // No token makes another caller of them.
    let customer = client.bearer(&authority.customer(ME));
    customer.call::<CreateUser>(&first).await.ok();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let [first, changed, others, with_token] = seen.try_into().unwrap();
    let (first, changed, others) = (first.unwrap(), changed.unwrap(), others.unwrap());
    assert_eq!(first.key, changed.key);
    assert_ne!(first.fingerprint, changed.fingerprint);
    assert_ne!(first.key, others.key);
    assert_eq!(Some(first), with_token);
}

#[tokio::test]
async fn a_call_that_only_reads_takes_no_key() {
    let function = serve(Script::<GetProduct>::new(|cx, _| async move {
        assert_eq!(cx.idempotency, None);
        Ok(tea())
    }))
    .await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address()).header("idempotency-key", "k");
        client.call::<GetProduct>(&get_tea()).await.ok();
    }
}

#[tokio::test]
async fn the_answers_to_a_repeated_key() {
    type Make = fn() -> Error;
    for (make, code, status) in [
        (Idempotency::reused as Make, Code::InvalidArgument, 422),
        (Idempotency::running as Make, Code::Aborted, 409),
    ] {
        let function = serve(Script::<GetProduct>::fails(make)).await;
        for wire in Wire::ALL {
            let client = Client::new(wire, function.address());
            let outcome = client.call::<GetProduct>(&get_tea()).await;
            assert_eq!(outcome.code, code, "{wire:?}");
            if wire.is_json() {
                assert_eq!(outcome.http_status, status, "{wire:?}");
            }
            assert_eq!(outcome.retry_after.is_some(), code == Code::Aborted);
        }
    }
}
