//! What is repeated, and what is not.

use std::time::Duration;

use zerocart_client::Delivery;
use zerocart_core::{Error, Kind};
use zerocart_proto::rpc::GetCart;
use zerocart_test_support::functions::PATIENCE;

use crate::{World, a_cart, attempts, counted, my_cart, nowhere};

#[tokio::test]
async fn unavailable_is_tried_again_as_often_as_was_asked_for() {
    for n in [1, 3] {
        let mut world = World::new();
        let (script, calls) = counted(|_| Err(Error::new(Kind::Unavailable, "not now")));
        let _get_cart = world.serve(script).await;
        let client = world.client::<GetCart>(attempts(n));
        let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
        assert_eq!(calls.get(), n);
        assert_eq!(failure.kind, Kind::Unavailable);
        assert_eq!(failure.message, "not now");
        assert_eq!(failure.delivery, Delivery::Answered);
    }
}

#[tokio::test]
async fn an_attempt_that_succeeds_is_the_last() {
    let mut world = World::new();
    let (script, calls) = counted(|n| match n {
        1 => Err(Error::new(Kind::Unavailable, "not now")),
        2 => Err(Error::new(Kind::ResourceExhausted, "too many")),
        _ => Ok(a_cart()),
    });
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(attempts(5));
    client.call(&world.call(), &my_cart()).await.unwrap();
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn answers_are_not_repeated() {
    for kind in [
        Kind::NotFound,
        Kind::FailedPrecondition,
        Kind::InvalidArgument,
        Kind::PermissionDenied,
        Kind::Internal,
        // Without a word when the conflict is over.
        Kind::Aborted,
    ] {
        let mut world = World::new();
        let (script, calls) = counted(move |_| Err(Error::new(kind, "no")));
        let _get_cart = world.serve(script).await;
        let client = world.client::<GetCart>(attempts(3));
        let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
        assert_eq!((calls.get(), failure.kind), (1, kind));
        assert_eq!(failure.delivery, Delivery::Answered);
    }
}

#[tokio::test]
async fn a_conflict_that_says_when_it_ends_is_waited_for() {
    let mut world = World::new();
    let (script, calls) = counted(|n| match n {
        1 => Err(Error::new(Kind::Aborted, "busy").with_retry_after(Duration::from_millis(5))),
        _ => Ok(a_cart()),
    });
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(attempts(3));
    client.call(&world.call(), &my_cart()).await.unwrap();
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn a_pause_that_reaches_the_deadline_is_not_made() {
    let mut world = World::new();
    let (script, calls) = counted(|_| Err(Error::unavailable("later", 2 * PATIENCE)));
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(attempts(3));
    let cx = world.call();
    let failure = client.call(&cx, &my_cart()).await.unwrap_err();
    assert_eq!(calls.get(), 1);
    assert_eq!(failure.retry_after, Some(2 * PATIENCE));
    assert!(!cx.remaining().is_zero());
}

#[tokio::test]
async fn a_function_that_comes_up_is_found() {
    let mut world = World::new();
    let address = nowhere().await;
    world.at::<GetCart>(address);
    let client = world.client::<GetCart>(attempts(1000));
    let cx = world.call();
    let call = tokio::spawn(async move { client.call(&cx, &my_cart()).await });
    // The budget's floor alone allows 20 attempts, 50 ms apart and more.
    let built = zerocart_runtime::build::<zerocart_test_support::functions::Scripted<GetCart>>(
        zerocart_core::Env::from_iter(world.authority.env().into_iter().chain([
            zerocart_test_support::functions::Script::<GetCart>::answers(a_cart()).into_env(),
        ])),
    )
    .unwrap();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(zerocart_runtime::serve_router(
        listener,
        built.router,
        std::future::pending(),
        PATIENCE,
    ));
    assert_eq!(call.await.unwrap().unwrap(), a_cart());
}
