//! What is known about the effect of a call without a response.

use std::{error::Error as _, time::Duration};

use axum::{Router, body::Body, http::Response};
use tokio::{io::AsyncReadExt, net::TcpListener, net::TcpStream};
use tower::ServiceExt as _;
use zerocart_client::{Delivery, Options};
use zerocart_core::{Call, Env, Error, Kind};
use zerocart_proto::{rpc::GetCart, validate::Violations};
use zerocart_test_support::functions::{PATIENCE, Script, Scripted};

use crate::{ME, World, attempts, counted, my_cart, nowhere, server, silence};

#[tokio::test]
async fn a_port_where_nobody_listens_got_nothing() {
    let mut world = World::new();
    world.at::<GetCart>(nowhere().await);
    let client = world.client::<GetCart>(attempts(2));
    let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unavailable);
    assert_eq!(failure.delivery, Delivery::Unsent);
    assert!(failure.source().is_some());
}

/// Reads until the message has come, and closes.
async fn cut(mut stream: TcpStream) {
    let mut seen = Vec::new();
    while !seen.windows(ME.len()).any(|bytes| bytes == ME.as_bytes()) {
        if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_may_have_carried_it() {
    let mut world = World::new();
    let (address, connections) = server(cut).await;
    world.at::<GetCart>(address);
    let client = world.client::<GetCart>(attempts(2));
    let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unavailable);
    assert_eq!(failure.delivery, Delivery::Unknown);
    assert_eq!(connections.get(), 2);
}

#[tokio::test]
async fn what_a_later_attempt_finds_does_not_tell_of_the_first() {
    // Cut once; then nobody listens.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut world = World::new();
    world.at::<GetCart>(listener.local_addr().unwrap());
    let once = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(listener);
        cut(stream).await;
    });
    let client = world.client::<GetCart>(attempts(2));
    let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
    once.await.unwrap();
    assert_eq!(failure.delivery, Delivery::Unknown);
}

#[tokio::test]
async fn silence_is_unknown() {
    let mut world = World::new();
    world.at::<GetCart>(silence().await);
    let client = world.client::<GetCart>(Options {
        attempt_timeout: Some(Duration::from_millis(500)),
        ..attempts(2)
    });
    // The attempts' own time, and the call's.
    for time in [PATIENCE, Duration::from_millis(200)] {
        let cx = world.call_within(time);
        let failure = client.call(&cx, &my_cart()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::DeadlineExceeded);
        assert_eq!(failure.delivery, Delivery::Unknown);
    }
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let mut world = World::new();
    let (script, calls) = counted(|_| Ok(crate::a_cart()));
    let _get_cart = world.serve(script).await;
    let client = world.client::<GetCart>(attempts(3));
    let cx = world.call_within(Duration::ZERO);
    let failure = client.call(&cx, &my_cart()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::DeadlineExceeded);
    assert_eq!((failure.delivery, calls.get()), (Delivery::Unsent, 0));
}

#[tokio::test]
async fn the_functions_word_comes_whole() {
    let mut world = World::new();
    let _get_cart = world
        .serve(Script::<GetCart>::fails(|| {
            let mut violations = Violations::default();
            violations.add("user_id", "is odd");
            Error::invalid(violations)
                .with_metadata("order_id", "7")
                .with_retry_after(Duration::from_millis(1500))
        }))
        .await;
    let client = world.client::<GetCart>(attempts(3));
    let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
    assert_eq!(failure.callee, "get-cart");
    assert_eq!(failure.kind, Kind::InvalidArgument);
    assert_eq!(failure.message, "user_id is odd");
    assert_eq!(failure.metadata["order_id"], "7");
    assert_eq!(failure.retry_after, Some(Duration::from_millis(1500)));
    let [violation] = failure.violations.as_slice() else {
        panic!("{failure:?}");
    };
    assert_eq!(violation.field, "user_id");
    assert_eq!(
        failure.to_string(),
        "get-cart: INVALID_ARGUMENT: user_id is odd"
    );
}

/// Answers every path with what something in between would.
pub(crate) async fn proxy(status: u16, grpc_status: Option<&'static str>) -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move || async move {
        let mut response = Response::builder()
            .status(status)
            .header("retry-after", "2");
        if let Some(grpc_status) = grpc_status {
            response = response
                .header("content-type", "application/grpc")
                .header("grpc-status", grpc_status)
                .header("grpc-message", "it died");
        }
        response.body(Body::empty()).unwrap()
    });
    let never = std::future::pending();
    tokio::spawn(zerocart_runtime::serve_router(
        listener, router, never, PATIENCE,
    ));
    address
}

/// How the end of a process shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Death {
    /// The connection is cut.
    Cut,
    /// An activator tells of it.
    Told,
}

/// Something before get-cart, each of whose processes takes one request: the nth dies with it if `dies`
/// says so, and answers otherwise. Also gives how many there were.
pub(crate) async fn mortal(
    world: &World,
    death: Death,
    dies: fn(u32) -> bool,
) -> (std::net::SocketAddr, crate::Counter) {
    let lives = Script::<GetCart>::answers(crate::a_cart()).into_env();
    let env = world.authority.env().into_iter().chain([lives]);
    let built = zerocart_runtime::build::<Scripted<GetCart>>(Env::from_iter(env)).unwrap();
    let met = crate::Counter::default();
    let counter = met.clone();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move |request: axum::extract::Request| {
        let (n, lives) = (counter.add(), built.router.clone());
        async move {
            match death {
                _ if !dies(n) => lives.oneshot(request).await.unwrap(),
                // What is not answered in full ends its stream with an error.
                Death::Cut => {
                    let broken = futures_util::stream::iter([Err::<Vec<u8>, _>("it died")]);
                    Response::new(Body::from_stream(broken))
                }
                Death::Told => Response::builder()
                    .header("content-type", "application/grpc")
                    .header("grpc-status", "14")
                    .header("grpc-message", "it ended during the request")
                    .body(Body::empty())
                    .unwrap(),
            }
        }
    });
    let never = std::future::pending();
    tokio::spawn(zerocart_runtime::serve_router(
        listener, router, never, PATIENCE,
    ));
    (address, met)
}

#[tokio::test]
async fn the_word_of_something_in_between_is_not_the_functions() {
    let two_seconds = Some(Duration::from_secs(2));
    for (status, grpc_status, kind, retry_after) in [
        // A proxy.
        (503, None, Kind::Unavailable, two_seconds),
        (404, None, Kind::Unavailable, two_seconds),
        (504, None, Kind::DeadlineExceeded, two_seconds),
        // An activator whose process died, or did not get ready.
        (200, Some("14"), Kind::Unavailable, two_seconds),
        (200, Some("4"), Kind::DeadlineExceeded, two_seconds),
        // Not even that.
        (200, None, Kind::Unavailable, None),
    ] {
        let mut world = World::new();
        world.at::<GetCart>(proxy(status, grpc_status).await);
        let client = world.client::<GetCart>(attempts(1));
        let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.delivery, failure.retry_after),
            (kind, Delivery::Unknown, retry_after),
            "{status} {grpc_status:?}"
        );
    }
}

#[tokio::test]
async fn a_failure_that_nobody_expected_becomes_an_error_with_a_general_message() {
    for (kind, becomes, message) in [
        (
            Kind::Unavailable,
            Kind::Unavailable,
            "get-cart is unavailable",
        ),
        (
            Kind::DeadlineExceeded,
            Kind::DeadlineExceeded,
            "get-cart did not answer in time",
        ),
        (
            Kind::ResourceExhausted,
            Kind::ResourceExhausted,
            "get-cart is busy",
        ),
        (
            Kind::Aborted,
            Kind::Aborted,
            "get-cart met another request in its way; try again",
        ),
        (Kind::NotFound, Kind::Internal, "an internal error occurred"),
        (
            Kind::PermissionDenied,
            Kind::Internal,
            "an internal error occurred",
        ),
    ] {
        let mut world = World::new();
        let after = Duration::from_secs(7);
        let fails = move || Error::new(kind, "secret").with_retry_after(after);
        let _get_cart = world.serve(Script::<GetCart>::fails(fails)).await;
        let client = world.client::<GetCart>(attempts(1));
        let cx: Call = world.call();
        let error = Error::from(client.call(&cx, &my_cart()).await.unwrap_err());
        assert_eq!(error.kind(), becomes);
        assert_eq!(error.message(), message);
        let kept = (becomes != Kind::Internal).then_some(after);
        assert_eq!(error.retry_after(), kept);
        assert!(error.source().unwrap().to_string().contains("secret"));
    }
}
