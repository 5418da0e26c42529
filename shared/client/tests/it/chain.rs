//! A function that calls another one, from outside.

use std::time::Duration;

use zerocart_client::{Client as FunctionClient, Functions, Options, health};
use zerocart_core::{Call, Error, Function, Invalid, Kind, Request, Setup};
use zerocart_proto::{
    order::{CreateOrderRequest, OrderResponse},
    rpc::{self, GetCart, Rpc},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{Running, Script},
};

use crate::{Counter, ME, World, a_cart, attempts, memory_breaker, my_cart, until};

/// create-order, as far as its first step.
struct Caller {
    get_cart: FunctionClient<GetCart>,
}

impl Function for Caller {
    type Rpc = rpc::CreateOrder;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let functions = Functions::from_setup(setup, (&Self::Rpc::INFO).into())?;
        let options = Options {
            breaker: Some(memory_breaker()),
            ..attempts(1)
        };
        let get_cart = functions.client(setup, options)?;
        Ok(Self { get_cart })
    }

    async fn call(&self, cx: &Call, _: Request<Self>) -> Result<OrderResponse, Error> {
        let cart = self.get_cart.call(cx, &my_cart()).await?;
        Ok(OrderResponse {
            message: cart.message,
            ..OrderResponse::default()
        })
    }

    fn health(&self) -> serde_json::Map<String, serde_json::Value> {
        let breakers = self.get_cart.breaker().map(health);
        [("breaker".to_owned(), breakers.into())]
            .into_iter()
            .collect()
    }
}

fn request() -> CreateOrderRequest {
    CreateOrderRequest {
        user_id: ME.into(),
        ..CreateOrderRequest::default()
    }
}

fn client(world: &World, running: &Running) -> Client {
    Client::new(Wire::Grpc, running.address()).bearer(&world.authority.customer(ME))
}

#[tokio::test]
async fn the_callers_caller_reaches_the_callee_and_the_calls_are_counted() {
    let mut world = World::new();
    let _get_cart = world.serve(Script::<GetCart>::answers(a_cart())).await;
    let create_order = Running::start::<Caller>(world.env()).await;
    let client = client(&world, &create_order);
    let response = client.call::<rpc::CreateOrder>(&request()).await.ok();
    assert_eq!(response.message, "here");

    let metrics = client.get("/metrics").await.text();
    for line in [
        r#"zerocart_function_calls_total{function="create-order",callee="get-cart",code="OK"} 1"#,
        r#"zerocart_function_breaker_state{function="create-order",callee="get-cart"} 0"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let health: serde_json::Value = client.get("/health").await.json();
    assert_eq!(health["breaker"]["state"], "closed");
    assert!(health["breaker"].get("retry_after_ms").is_none());
}

#[tokio::test]
async fn a_callee_that_is_down_is_503_with_retry_after_until_it_is_known_to_be() {
    let mut world = World::new();
    let fails = || Error::unavailable("inside", Duration::from_secs(3));
    let _get_cart = world.serve(Script::<GetCart>::fails(fails)).await;
    let create_order = Running::start::<Caller>(world.env()).await;
    let client = client(&world, &create_order);
    for _ in 0..4 {
        let outcome = client.call::<rpc::CreateOrder>(&request()).await;
        assert_eq!(i32::from(outcome.code), Kind::Unavailable.grpc_code());
        assert_eq!(outcome.message, "get-cart is unavailable");
        assert!(outcome.retry_after.unwrap() >= Duration::from_secs(3));
    }
    let metrics = client.get("/metrics").await.text();
    let open = r#"zerocart_function_breaker_state{function="create-order",callee="get-cart"} 2"#;
    assert!(metrics.contains(open), "{metrics}");
}

/// Counts its end.
struct Ends(Counter);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.add();
    }
}

#[tokio::test]
async fn a_deadline_ends_the_whole_chain() {
    let mut world = World::new();
    let (begun, ended) = (Counter::default(), Counter::default());
    let (begins, ends) = (begun.clone(), ended.clone());
    let hangs = Script::<GetCart>::new(move |_, _| {
        begins.add();
        let ends = Ends(ends.clone());
        async move {
            let _ends = ends;
            std::future::pending().await
        }
    });
    let _get_cart = world.serve(hangs).await;
    let create_order = Running::start::<Caller>(world.env()).await;
    let client = client(&world, &create_order).header("grpc-timeout", "2S");
    let outcome = client.call::<rpc::CreateOrder>(&request()).await;
    assert_eq!(i32::from(outcome.code), Kind::DeadlineExceeded.grpc_code());
    until("nothing goes on", || {
        ended.get() == begun.get() && begun.get() == 1
    })
    .await;
}
