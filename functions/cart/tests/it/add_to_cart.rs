//! Adding to a cart.

use tonic::Code;
use zerocart_proto::{
    cart::{AddToCartRequest, CartItem},
    rpc::AddToCart as Rpc,
};
use zerocart_test_support::clients::Wire;

use crate::{Domain, ME, UNKNOWN, assert_refused, cart, catalogue::Catalogue, id, lines};

pub(crate) fn add(user_id: &str, product_id: &str, quantity: i32) -> AddToCartRequest {
    AddToCartRequest {
        user_id: user_id.into(),
        product_id: product_id.into(),
        quantity,
    }
}

#[tokio::test]
async fn what_is_added_counts_up_in_the_order_of_first_adding() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Grüner Tee \u{1f375}", 19.99, 10);
    let cup = catalogue.sell("Cup", 0.1, 10);
    let free = catalogue.sell("Leaflet", 0.0, 10);
    for wire in Wire::ALL {
        let me = id();
        let client = domain.customer(wire, &function, &me);
        let mut updated_at = String::new();
        for (product, quantity, total) in [
            (&tea, 2, 39.98),
            (&cup, 3, 40.28),
            (&free, 1, 40.28),
            (&tea, 1, 60.27),
        ] {
            let outcome = client.call::<Rpc>(&add(&me, product, quantity)).await;
            assert_eq!(outcome.http_status, 200);
            let cart = cart(outcome);
            assert_eq!((&cart.user_id, cart.total_amount), (&me, total), "{wire:?}");
            assert!(cart.updated_at > updated_at, "{wire:?}");
            updated_at = cart.updated_at;
        }
        let outcome = client.call::<Rpc>(&add(&me, &cup, 4)).await;
        let cart = cart(outcome);
        let line = |product_id: &str, name: &str, product_price, quantity, total_price| CartItem {
            product_id: product_id.into(),
            product_name: name.into(),
            product_price,
            quantity,
            total_price,
        };
        assert_eq!(
            cart.items,
            [
                line(&tea, "Grüner Tee \u{1f375}", 19.99, 3, 59.97),
                line(&cup, "Cup", 0.1, 7, 0.7),
                line(&free, "Leaflet", 0.0, 1, 0.0),
            ]
        );
        assert_eq!(domain.lines(&me).await, lines(&cart));
    }
}

#[tokio::test]
async fn a_line_has_the_name_and_price_of_the_last_adding() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    for wire in Wire::ALL {
        let client = domain.customer(wire, &function, ME);
        let tea = catalogue.sell("Tea", 10_000_000.0, 10);
        cart(client.call::<Rpc>(&add(ME, &tea, 1)).await);
        catalogue.change(&tea, "Better tea", 0.29, 10);
        let cart = cart(client.call::<Rpc>(&add(ME, &tea, 2)).await);
        let line = cart.items.last().unwrap();
        assert_eq!(line.product_name, "Better tea");
        assert_eq!((line.product_price, line.total_price), (0.29, 0.87));
    }
}

#[tokio::test]
async fn an_unknown_product_is_not_added() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    for wire in Wire::ALL {
        let client = domain.customer(wire, &function, ME);
        let outcome = client.call::<Rpc>(&add(ME, UNKNOWN, 1)).await;
        assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
        assert_eq!(outcome.message, "there is no such product");
        assert!(!wire.is_json() || outcome.http_status == 404);
    }
    assert_eq!(domain.count("carts").await, 0);
}

#[tokio::test]
async fn no_more_than_there_is() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, 5);
    let sold_out = catalogue.sell("Cup", 1.0, 0);
    for wire in Wire::ALL {
        let me = id();
        let client = domain.customer(wire, &function, &me);
        for product in [&tea, &sold_out] {
            let outcome = client.call::<Rpc>(&add(&me, product, 6)).await;
            assert_refused(&outcome, "in stock");
            assert!(!wire.is_json() || outcome.http_status == 409);
        }
        // Not even an empty cart.
        assert_eq!(domain.updated_at(&me).await, None);
        cart(client.call::<Rpc>(&add(&me, &tea, 3)).await);
        let updated_at = domain.updated_at(&me).await;
        assert_refused(&client.call::<Rpc>(&add(&me, &tea, 3)).await, "in stock");
        assert_eq!(domain.updated_at(&me).await, updated_at);
        let cart = cart(client.call::<Rpc>(&add(&me, &tea, 2)).await);
        assert_eq!(lines(&cart), [(tea.clone(), 5)]);
        // What is in the cart is no reservation: the stock may have shrunk since.
        catalogue.change(&tea, "Tea", 1.0, 4);
        assert_refused(&client.call::<Rpc>(&add(&me, &tea, 1)).await, "in stock");
        catalogue.change(&tea, "Tea", 1.0, 5);
        assert_eq!(domain.lines(&me).await, [(tea.clone(), 5)]);
    }
}

#[tokio::test]
async fn a_line_has_at_most_ten_thousand_units() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, i32::MAX);
    for wire in Wire::ALL {
        let me = id();
        let client = domain.customer(wire, &function, &me);
        for quantity in [9_999, 1] {
            cart(client.call::<Rpc>(&add(&me, &tea, quantity)).await);
        }
        for quantity in [1, 10_000] {
            let outcome = client.call::<Rpc>(&add(&me, &tea, quantity)).await;
            assert_refused(&outcome, "10,000 units");
        }
        assert_eq!(domain.lines(&me).await, [(tea.clone(), 10_000)]);
    }
}

#[tokio::test]
async fn a_cart_has_at_most_a_thousand_products() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let (tea, cup) = (catalogue.sell("Tea", 1.0, 9), catalogue.sell("Cup", 1.0, 9));
    for wire in Wire::ALL {
        let me = id();
        let client = domain.customer(wire, &function, &me);
        domain.fill_up(&me, 999, "1", 1).await;
        cart(client.call::<Rpc>(&add(&me, &tea, 1)).await);
        let outcome = client.call::<Rpc>(&add(&me, &cup, 1)).await;
        assert_refused(&outcome, "1,000 different");
        let cart = cart(client.call::<Rpc>(&add(&me, &tea, 1)).await);
        assert_eq!((cart.items.len(), cart.total_amount), (1000, 1001.0));
        assert_eq!(domain.lines(&me).await.last().unwrap(), &(tea.clone(), 2));
    }
}

#[tokio::test]
async fn a_total_is_exact_or_refused() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let dear = catalogue.sell("Yacht", 10_000_000.0, 10_000);
    let cent = catalogue.sell("Sticker", 0.01, 10_000);
    let client = domain.customer(Wire::Grpc, &function, ME);
    // 2^46 is 70,368,744,177,664: below, a double holds every cent.
    domain.fill_up(ME, 703, "10000000", 10_000).await;
    let outcome = client.call::<Rpc>(&add(ME, &dear, 6_875)).await;
    assert_refused(&outcome, "too large");
    cart(client.call::<Rpc>(&add(ME, &dear, 6_874)).await);
    let cart = cart(client.call::<Rpc>(&add(ME, &cent, 7)).await);
    assert_eq!(format!("{:.2}", cart.total_amount), "70368740000000.07");
    assert_eq!(domain.lines(ME).await.len(), 705);
}
