//! Clearing a cart, wholly or of what an order bought.

use http::Method;
use zerocart_cart::ClearCart;
use zerocart_proto::{
    cart::{BoughtItem, CartResponse, ClearCartRequest},
    rpc::ClearCart as Rpc,
};
use zerocart_test_support::clients::{Client, Outcome, Wire, request};

use crate::{Domain, ME, UNKNOWN, YOU, cart, id, lines};

pub(crate) fn clear(user_id: &str) -> ClearCartRequest {
    ClearCartRequest {
        user_id: user_id.into(),
        ..Default::default()
    }
}

/// What `order_id` bought: products and units.
pub(crate) fn clear_for(user_id: &str, order_id: &str, bought: &[(&str, i32)]) -> ClearCartRequest {
    let bought = bought.iter().map(|(product_id, quantity)| BoughtItem {
        product_id: (*product_id).into(),
        quantity: *quantity,
    });
    ClearCartRequest {
        user_id: user_id.into(),
        order_id: order_id.into(),
        bought: bought.collect(),
    }
}

/// Calls clear-cart. A query is written here: what a client makes of a request has an empty list in
/// it, which a query cannot hold.
pub(crate) async fn call(client: &Client, asked: &ClearCartRequest) -> Outcome<CartResponse> {
    if !client.wire().is_json() {
        return client.call::<Rpc>(asked).await;
    }
    let mut path = format!("/carts/{}?order_id={}", asked.user_id, asked.order_id);
    if !asked.bought.is_empty() {
        path += "&bought=1";
    }
    let reply = client.send(request(Method::DELETE, &path, "")).await;
    reply.outcome()
}

/// The wires that can say what an order bought: a query cannot.
const BOUGHT_WIRES: [Wire; 2] = [Wire::Grpc, Wire::GrpcWeb];

#[tokio::test]
async fn every_line_goes() {
    let domain = Domain::new().await;
    let function = domain.start::<ClearCart>().await;
    domain.fill(YOU, &[(&id(), "1", 1)]).await;
    for wire in Wire::ALL {
        let me = id();
        let client = domain.customer(wire, &function, &me);
        domain
            .fill(&me, &[(&id(), "19.99", 2), (&id(), "0.1", 3)])
            .await;
        let outcome = call(&client, &clear(&me)).await;
        assert_eq!(outcome.http_status, 200);
        let empty = cart(outcome);
        assert!(
            empty.items.is_empty() && empty.total_amount == 0.0,
            "{wire:?}"
        );
        assert_eq!(empty.user_id, me);
        assert!(!empty.updated_at.is_empty());
        assert_eq!(domain.lines(&me).await, []);
        // Nothing changes the second time.
        assert_eq!(cart(call(&client, &clear(&me)).await), empty);
    }
    assert_eq!(domain.lines(YOU).await.len(), 1);
    assert_eq!(domain.count("cart_clearances").await, 0);
}

#[tokio::test]
async fn a_cart_that_never_had_a_line_stays_so() {
    let domain = Domain::new().await;
    let function = domain.start::<ClearCart>().await;
    for wire in Wire::ALL {
        let cart = cart(call(&domain.admin(wire, &function), &clear(ME)).await);
        assert_eq!((&*cart.user_id, &*cart.updated_at), (ME, ""));
    }
    let asked = clear_for(ME, &id(), &[(UNKNOWN, 1)]);
    let client = domain.admin(Wire::Grpc, &function);
    assert_eq!(cart(call(&client, &asked).await).updated_at, "");
    assert_eq!(domain.count("carts").await, 0);
}

#[tokio::test]
async fn an_order_takes_what_it_bought_and_once() {
    let domain = Domain::new().await;
    let function = domain.start::<ClearCart>().await;
    let token = domain.authority.service("create-order");
    for wire in BOUGHT_WIRES {
        let client = Client::new(wire, function.address()).bearer(&token);
        let (me, order) = (id(), id());
        let [same, grown, shrunk, removed, new] = [id(), id(), id(), id(), id()];
        // What the cart became after the order read it.
        domain
            .fill(
                &me,
                &[
                    (&same, "1", 2),
                    (&grown, "0.1", 5),
                    (&shrunk, "1", 1),
                    (&new, "1", 4),
                ],
            )
            .await;
        // A product that is named twice was bought in both quantities.
        let bought = [
            (&*same, 2),
            (&grown, 1),
            (&shrunk, 3),
            (&removed, 1),
            (&grown, 1),
        ];
        let asked = clear_for(&me, &order, &bought);
        let left = cart(call(&client, &asked).await);
        assert_eq!(
            lines(&left),
            [(grown.clone(), 3), (new.clone(), 4)],
            "{wire:?}"
        );
        assert_eq!(left.total_amount, 4.3);

        // Repeated, also with another list: nothing.
        let other = clear_for(&me, &order.to_uppercase(), &[(&new, 4)]);
        for again in [&asked, &other] {
            assert_eq!(cart(call(&client, again).await), left, "{wire:?}");
        }
        // Another order, and an order of the same number in another's cart.
        let you = id();
        domain.fill(&you, &[(&new, "1", 4)]).await;
        let next = clear_for(&me, &id(), &[(&new, 4)]);
        let left = cart(call(&client, &next).await);
        assert_eq!(lines(&left), [(grown.clone(), 3)]);
        let theirs = clear_for(&you, &order, &[(&new, 4)]);
        assert_eq!(cart(call(&client, &theirs).await).items, []);
    }
}

#[tokio::test]
async fn an_order_that_bought_nothing_that_is_left_changes_nothing() {
    let domain = Domain::new().await;
    let function = domain.start::<ClearCart>().await;
    let tea = id();
    domain.fill(ME, &[(&tea, "1", 2)]).await;
    let updated_at = domain.updated_at(ME).await;
    let client = domain.admin(Wire::Grpc, &function);
    let asked = clear_for(ME, &id(), &[(UNKNOWN, 2)]);
    assert_eq!(lines(&cart(call(&client, &asked).await)), [(tea, 2)]);
    assert_eq!(domain.updated_at(ME).await, updated_at);
}

#[tokio::test]
async fn an_order_of_a_thousand_products_is_taken_at_once() {
    let domain = Domain::new().await;
    let function = domain.start::<ClearCart>().await;
    domain.fill_up(ME, 1000, "0.01", 10_000).await;
    let lines = domain.lines(ME).await;
    let bought: Vec<_> = lines.iter().map(|(id, units)| (&**id, *units)).collect();
    let client = domain.admin(Wire::Grpc, &function);
    let asked = clear_for(ME, &id(), &bought);
    assert_eq!(cart(call(&client, &asked).await).items, []);
}
