//! What a call passes on, and what comes back.

use std::{sync::Mutex, time::Duration};

use tokio::sync::{mpsc, oneshot};
use zerocart_auth::Role;
use zerocart_client::{Caller, Delivery, Functions, Identity, Options, ServiceToken};
use zerocart_core::{Call, Env, Kind, Setup};
use zerocart_proto::rpc::{self, GetCart, Rpc, UpdateInventory};
use zerocart_test_support::functions::{PATIENCE, Running, Script};

use crate::{ME, World, a_cart, attempts, my_cart};

/// get-cart that shows each call that it gets.
fn shown() -> (Script<GetCart>, mpsc::UnboundedReceiver<Call>) {
    let (show, calls) = mpsc::unbounded_channel();
    let script = Script::new(move |cx: Call, _| {
        show.send(cx).unwrap();
        std::future::ready(Ok(a_cart()))
    });
    (script, calls)
}

#[tokio::test]
async fn deadline_trace_and_the_callers_identity_are_passed_on() {
    let mut world = World::new();
    let (script, mut calls) = shown();
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(Options::default());
    let cx = world.call_within(Duration::from_secs(4));
    let cart = client.call(&cx, &my_cart()).await.unwrap();
    assert_eq!(cart, a_cart());

    let there = calls.recv().await.unwrap();
    assert!(there.remaining() <= Duration::from_secs(4));
    assert_eq!(there.trace.trace_id(), cx.trace.trace_id());
    assert_eq!(there.trace.parent_id(), Some(cx.trace.span_id()));
    assert_ne!(there.trace.span_id(), cx.trace.span_id());
    let identity = there.identity.unwrap();
    assert_eq!(
        (identity.subject.as_str(), identity.role),
        (ME, Role::Customer)
    );
    assert_eq!(there.token, cx.token);

    // Nobody's, when the call has none.
    let failure = client
        .call(&Call::internal(PATIENCE), &my_cart())
        .await
        .unwrap_err();
    assert_eq!(failure.kind, Kind::Unauthenticated);
    assert_eq!(failure.delivery, Delivery::Answered);
}

#[tokio::test]
async fn a_service_calls_in_its_own_name() {
    let mut world = World::new();
    let (script, mut calls) = shown();
    let _get_cart = world.serve(script).await;
    let mut setup = world.setup();
    let caller = Caller::from(&rpc::CreateOrder::INFO);
    let service = ServiceToken::from_setup(&mut setup, &caller).unwrap();
    let client = world.client::<GetCart>(Options {
        identity: Identity::Service(service),
        ..Options::default()
    });
    // The caller of this function.
    for _ in 0..2 {
        client.call(&world.call(), &my_cart()).await.unwrap();
    }
    let (first, second) = (calls.recv().await.unwrap(), calls.recv().await.unwrap());
    let identity = first.identity.unwrap();
    assert_eq!(identity.subject, "create-order");
    assert_eq!(identity.role, Role::Service);
    assert_eq!(first.token, second.token);
    assert!(!format!("{client:?}").contains(first.token.unwrap().as_str()));
}

/// Tells when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// get-cart that never answers: tells when it begins, and when it is stopped.
fn endless() -> (
    Script<GetCart>,
    oneshot::Receiver<()>,
    oneshot::Receiver<()>,
) {
    let (begin, begun) = oneshot::channel::<()>();
    let (end, ended) = oneshot::channel::<()>();
    let first = Mutex::new(Some((begin, Dropped(Some(end)))));
    let script = Script::new(move |_, _| {
        let first = first.lock().unwrap().take();
        async move {
            let (begin, _dropped) = first.expect("it is called once");
            drop(begin);
            std::future::pending().await
        }
    });
    (script, begun, ended)
}

async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event)
        .await
        .expect("it happens")
}

#[tokio::test]
async fn the_deadline_ends_the_call_on_both_sides() {
    let mut world = World::new();
    let (script, begun, ended) = endless();
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(attempts(3));
    let cx = world.call_within(Duration::from_secs(2));
    let failure = soon(client.call(&cx, &my_cart())).await.unwrap_err();
    assert_eq!(failure.kind, Kind::DeadlineExceeded);
    let _ = soon(begun).await;
    let _ = soon(ended).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_call_there() {
    let mut world = World::new();
    let (script, begun, ended) = endless();
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(attempts(3));
    let cx = world.call();
    let call = tokio::spawn(async move { client.call(&cx, &my_cart()).await });
    let _ = soon(begun).await;
    call.abort();
    let _ = soon(ended).await;
}

#[tokio::test]
async fn a_name_under_localhost_is_this_machine() {
    let authority = World::new().authority;
    let answer = zerocart_proto::product::InventoryResponse {
        success: true,
        ..Default::default()
    };
    let script = Script::<UpdateInventory>::answers(answer.clone());
    let running = Running::scripted(authority.env(), script).await;
    let port = running.address().port();
    let template = format!("http://{{function}}.zerocart.localhost:{port}");
    let env = Env::from_iter([("FUNCTION_URL_TEMPLATE", template)]);
    let mut setup = Setup::new(env, "create-order");
    let caller = Caller::from(&rpc::RECOVER_ORDERS);
    let functions = Functions::from_setup(&mut setup, caller).unwrap();
    let client = functions.client::<UpdateInventory>(&mut setup, Options::default());
    let cx = Call {
        token: Some(authority.service("recover-orders")),
        ..Call::internal(PATIENCE)
    };
    let request = zerocart_proto::product::UpdateInventoryRequest {
        product_id: ME.into(),
        quantity_change: 1,
        ..Default::default()
    };
    assert_eq!(client.unwrap().call(&cx, &request).await.unwrap(), answer);
}
