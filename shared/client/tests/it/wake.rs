//! Waking functions before they are called.

use tokio::{io::copy_bidirectional, net::TcpStream};
use zerocart_client::Options;
use zerocart_core::Env;
use zerocart_proto::{
    cart::{CartResponse, ClearCartRequest},
    rpc::{ClearCart, GetCart, GetPaymentStatus, Rpc},
};
use zerocart_test_support::functions::{Running, Script, Scripted};

use crate::{Counter, ME, World, a_cart, my_cart, nowhere, server, until};

/// A function whose health is counted, as are the connections to it.
struct Watched {
    _running: Running,
    asked: Counter,
    connections: Counter,
}

async fn watched<R: Rpc>(world: &mut World, response: R::Response) -> Watched {
    let script = Script::<R>::answers(response).into_env();
    let env = world.authority.env().into_iter().chain([script]);
    let mut built = zerocart_runtime::build::<Scripted<R>>(Env::from_iter(env)).unwrap();
    let asked = Counter::default();
    let counter = asked.clone();
    let watch = axum::middleware::map_request(move |request: axum::extract::Request| {
        if request.uri().path() == "/health" {
            assert!(!request.headers().contains_key("authorization"));
            counter.add();
        }
        std::future::ready(request)
    });
    built.router = built.router.layer(watch);
    let running = Running::serve(built).await;
    let there = running.address();
    let (address, connections) = server(move |mut stream| async move {
        let mut function = TcpStream::connect(there).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut function).await;
    })
    .await;
    world.at::<R>(address);
    Watched {
        _running: running,
        asked,
        connections,
    }
}

#[tokio::test]
async fn all_are_woken_at_once_over_the_connection_of_the_calls() {
    let mut world = World::new();
    let get_cart = watched::<GetCart>(&mut world, a_cart()).await;
    let clear_cart = watched::<ClearCart>(&mut world, CartResponse::default()).await;
    world.at::<GetPaymentStatus>(nowhere().await);

    let (functions, cart) = world.functions_and_client::<GetCart>(Options::default());
    let mut setup = world.setup();
    let clear = functions
        .client::<ClearCart>(&mut setup, Options::default())
        .unwrap();
    let payment = functions
        .client::<GetPaymentStatus>(&mut setup, Options::default())
        .unwrap();

    functions.wake_all();
    let both = || get_cart.asked.get() == 1 && clear_cart.asked.get() == 1;
    until("both are asked", both).await;

    // Again while they are awake: nothing more, not even by the time that a call is through.
    functions.wake_all();
    cart.call(&world.call(), &my_cart()).await.unwrap();
    let request = ClearCartRequest {
        user_id: ME.into(),
        ..Default::default()
    };
    clear.call(&world.call(), &request).await.unwrap();
    functions.wake_all();
    cart.call(&world.call(), &my_cart()).await.unwrap();
    assert!(both());
    assert_eq!(
        (get_cart.connections.get(), clear_cart.connections.get()),
        (1, 1)
    );

    // One that cannot be woken is no worse off.
    let failure = payment
        .call(&world.call(), &Default::default())
        .await
        .unwrap_err();
    assert_eq!(failure.delivery, zerocart_client::Delivery::Unsent);
}

#[tokio::test]
async fn a_call_beside_the_wake_up_shares_its_connection() {
    let mut world = World::new();
    let get_cart = watched::<GetCart>(&mut world, a_cart()).await;
    let (functions, cart) = world.functions_and_client::<GetCart>(Options::default());
    functions.wake_all();
    let (cx, request) = (world.call(), my_cart());
    let calls = (0..10).map(|_| cart.call(&cx, &request));
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(get_cart.connections.get(), 1);
}
