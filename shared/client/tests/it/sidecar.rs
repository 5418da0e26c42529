//! A proxy beside the process that carries its calls, and is not there yet.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, http::Response};
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use zerocart_client::{Client, Delivery, Options};
use zerocart_core::{Env, Kind};
use zerocart_proto::rpc::GetCart;
use zerocart_test_support::functions::{PATIENCE, Running, Script, Scripted};

use crate::{Counter, World, a_cart, attempts, memory_breaker, my_cart, nowhere, until};

/// Long enough that a call meets no listener, and short beside a call's time.
const LATER: Duration = Duration::from_millis(300);

fn beside() -> World {
    let mut world = World::new();
    world.sidecar = true;
    world
}

fn guarded() -> Options {
    Options {
        breaker: Some(memory_breaker()),
        ..attempts(1)
    }
}

fn failures(client: &Client<GetCart>) -> u32 {
    client.breaker().unwrap().snapshot().consecutive_failures
}

/// get-cart, and how often its health was asked.
fn get_cart(world: &World) -> (Router, Counter) {
    let script = Script::<GetCart>::answers(a_cart()).into_env();
    let env = world.authority.env().into_iter().chain([script]);
    let built = zerocart_runtime::build::<Scripted<GetCart>>(Env::from_iter(env)).unwrap();
    let asked = Counter::default();
    let counter = asked.clone();
    let watch = axum::middleware::map_request(move |request: axum::extract::Request| {
        if request.uri().path() == "/health" {
            counter.add();
        }
        std::future::ready(request)
    });
    (built.router.layer(watch), asked)
}

/// Listens at an address where nobody listened before.
async fn listen(address: SocketAddr, router: Router) {
    let listener = TcpListener::bind(address).await.unwrap();
    let never = std::future::pending();
    tokio::spawn(zerocart_runtime::serve_router(
        listener, router, never, PATIENCE,
    ));
}

#[tokio::test]
async fn a_sidecar_that_starts_later_is_waited_for() {
    let mut world = beside();
    let address = nowhere().await;
    world.at::<GetCart>(address);
    let client = world.client::<GetCart>(guarded());
    let (router, _) = get_cart(&world);
    let start = async {
        tokio::time::sleep(LATER).await;
        listen(address, router).await;
    };
    let (cx, request) = (world.call(), my_cart());
    let (answer, ()) = tokio::join!(client.call(&cx, &request), start);
    // In one attempt, so this also holds for what is not safe to repeat.
    assert_eq!(answer.unwrap(), a_cart());
    assert_eq!(failures(&client), 0);
}

#[tokio::test]
async fn a_sidecar_that_does_not_start_is_no_failure_of_the_function() {
    for (sidecar, counted) in [(true, 0), (false, 3)] {
        let mut world = World::new();
        world.sidecar = sidecar;
        world.at::<GetCart>(nowhere().await);
        let client = world.client::<GetCart>(guarded());
        for _ in 0..3 {
            let cx = world.call_within(LATER);
            let failure = client.call(&cx, &my_cart()).await.unwrap_err();
            assert_eq!(failure.kind, Kind::Unavailable, "{failure}");
            assert_eq!(failure.delivery, Delivery::Unsent);
        }
        assert_eq!(failures(&client), counted, "sidecar: {sidecar}");
    }
}

/// What Envoy answers by itself.
fn of_envoy(code: &'static str, message: &'static str) -> Response<Body> {
    Response::builder()
        .header("server", "envoy")
        .header("content-type", "application/grpc")
        .header("grpc-status", code)
        .header("grpc-message", message)
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn a_sidecar_without_a_way_to_the_function_is_waited_for() {
    let mut world = beside();
    let (function, _) = get_cart(&world);
    let asked = Counter::default();
    let counter = asked.clone();
    let router = Router::new().fallback(move |request: axum::extract::Request| {
        let (n, function) = (counter.add(), function.clone());
        async move {
            match n {
                1 | 2 => of_envoy("14", "no healthy upstream"),
                _ => function.oneshot(request).await.unwrap(),
            }
        }
    });
    let address = nowhere().await;
    listen(address, router).await;
    world.at::<GetCart>(address);
    let client = world.client::<GetCart>(guarded());
    let answer = client.call(&world.call(), &my_cart()).await;
    assert_eq!(answer.unwrap(), a_cart());
    assert_eq!((asked.get(), failures(&client)), (3, 0));
}

#[tokio::test]
async fn what_the_mesh_denies_is_asked_once_and_no_failure_of_the_function() {
    let mut world = beside();
    let asked = Counter::default();
    let counter = asked.clone();
    let router = Router::new().fallback(move || {
        counter.add();
        std::future::ready(of_envoy("7", "RBAC: access denied"))
    });
    let address = nowhere().await;
    listen(address, router).await;
    world.at::<GetCart>(address);
    let client = world.client::<GetCart>(Options {
        breaker: Some(memory_breaker()),
        ..attempts(3)
    });
    let failure = client.call(&world.call(), &my_cart()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::PermissionDenied);
    assert_eq!(failure.message, "RBAC: access denied");
    assert_eq!((asked.get(), failures(&client)), (1, 0));
    // To a client outside it is a fault of this side, and says nothing of the mesh.
    assert_eq!(zerocart_core::Error::from(failure).kind(), Kind::Internal);
}

#[tokio::test]
async fn a_function_is_woken_as_soon_as_the_sidecar_carries_that() {
    let mut world = beside();
    let address = nowhere().await;
    world.at::<GetCart>(address);
    let (functions, _client) = world.functions_and_client::<GetCart>(Options::default());
    functions.wake_all();
    let (router, asked) = get_cart(&world);
    tokio::time::sleep(LATER).await;
    assert_eq!(asked.get(), 0);
    listen(address, router).await;
    until("its health is asked", || asked.get() == 1).await;
}

#[tokio::test]
async fn a_function_that_fails_behind_the_sidecar_is_blamed() {
    let mut world = beside();
    let running = Running::scripted(
        world.authority.env(),
        Script::<GetCart>::fails(|| zerocart_core::Error::new(Kind::Unavailable, "down")),
    )
    .await;
    world.at::<GetCart>(running.address());
    let client = world.client::<GetCart>(guarded());
    client.call(&world.call(), &my_cart()).await.unwrap_err();
    assert_eq!(failures(&client), 1);
}
