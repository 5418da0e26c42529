//! Reading a cart.

use zerocart_cart::GetCart;
use zerocart_proto::{
    cart::{Cart, GetCartRequest},
    rpc::GetCart as Rpc,
};
use zerocart_test_support::clients::Wire;

use crate::{Domain, ME, YOU, cart, id, lines};

pub(crate) fn get(user_id: &str) -> GetCartRequest {
    GetCartRequest {
        user_id: user_id.into(),
    }
}

#[tokio::test]
async fn a_cart_that_never_had_a_line_is_empty() {
    let domain = Domain::new().await;
    let function = domain.start::<GetCart>().await;
    domain.fill(YOU, &[(&id(), "1", 1)]).await;
    for wire in Wire::ALL {
        let client = domain.customer(wire, &function, ME);
        let outcome = client.call::<Rpc>(&get(ME)).await;
        assert_eq!(outcome.http_status, 200);
        let empty = Cart {
            user_id: ME.into(),
            ..Default::default()
        };
        assert_eq!(cart(outcome), empty, "{wire:?}");
    }
    assert_eq!(domain.updated_at(ME).await, None);
}

#[tokio::test]
async fn lines_come_in_their_order_with_exact_totals() {
    let domain = Domain::new().await;
    let function = domain.start::<GetCart>().await;
    let products = [id(), id(), id()];
    let [first, second, third] = &products;
    // Not in the order of their ids.
    domain
        .fill(
            ME,
            &[
                (third, "0.10", 3),
                (first, "19.99", 3),
                (second, "4.35", 100),
            ],
        )
        .await;
    for wire in Wire::ALL {
        let client = domain.customer(wire, &function, ME);
        let cart = cart(client.call::<Rpc>(&get(&ME.to_uppercase())).await);
        assert_eq!(cart.user_id, ME);
        assert_eq!(lines(&cart), domain.lines(ME).await);
        let line = |n: usize| (cart.items[n].product_price, cart.items[n].total_price);
        assert_eq!(
            [line(0), line(1), line(2)],
            [(0.1, 0.3), (19.99, 59.97), (4.35, 435.0)]
        );
        assert_eq!(cart.total_amount, 495.27, "{wire:?}");
        let same = "SELECT updated_at = $1::text::timestamptz FROM carts";
        let same = domain.sql.query_one(same, &[&cart.updated_at]).await;
        assert!(same.unwrap().get::<_, bool>(0), "{}", cart.updated_at);
        assert!(cart.updated_at.ends_with('Z') && cart.updated_at.len() == 27);
    }
}
