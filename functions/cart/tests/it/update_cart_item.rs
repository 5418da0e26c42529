//! Setting the quantity of a line.

use tonic::Code;
use zerocart_cart::UpdateCartItem;
use zerocart_proto::{
    cart::UpdateCartItemRequest,
    rpc::{AddToCart as Add, UpdateCartItem as Rpc},
};
use zerocart_test_support::{clients::Wire, functions::Running};

use crate::{
    Domain, ME, UNKNOWN,
    add_to_cart::add,
    assert_refused, cart,
    catalogue::{Catalogue, Mood},
    id, lines,
};

pub(crate) fn set(user_id: &str, product_id: &str, new_quantity: i32) -> UpdateCartItemRequest {
    UpdateCartItemRequest {
        user_id: user_id.into(),
        product_id: product_id.into(),
        new_quantity,
    }
}

/// A cart domain with update-cart-item, and the get-product that it asks.
async fn start() -> (Domain, Catalogue, Running) {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.caller::<UpdateCartItem>(&domain).await;
    (domain, catalogue, function)
}

#[tokio::test]
async fn a_line_is_set_and_at_nothing_or_less_it_goes() {
    let (domain, catalogue, function) = start().await;
    for wire in Wire::ALL {
        let (me, cup) = (id(), id());
        let tea = catalogue.sell("Tea", 19.99, 10_000);
        let client = domain.customer(wire, &function, &me);
        domain
            .fill(&me, &[(&tea, "19.99", 1), (&cup, "0.1", 1)])
            .await;
        let mut updated_at = String::new();
        for (quantity, total) in [(3, 60.07), (10_000, 199_900.1), (1, 20.09)] {
            let outcome = client.call::<Rpc>(&set(&me, &tea, quantity)).await;
            assert_eq!(outcome.http_status, 200);
            let cart = cart(outcome);
            assert_eq!(lines(&cart), [(tea.clone(), quantity), (cup.clone(), 1)]);
            assert_eq!(cart.total_amount, total, "{wire:?}");
            assert!(cart.updated_at > updated_at);
            updated_at = cart.updated_at;
        }
        // What goes need not be in stock, nor a product any more.
        let asked = catalogue.calls();
        catalogue.forget(&tea);
        for (quantity, gone) in [(0, &tea), (-1, &cup)] {
            let cart = cart(client.call::<Rpc>(&set(&me, gone, quantity)).await);
            assert!(cart.items.iter().all(|line| line.product_id != *gone));
            assert!(cart.updated_at > updated_at);
            updated_at = cart.updated_at;
        }
        domain.fill(&me, &[(&tea, "1", 1)]).await;
        let empty = cart(client.call::<Rpc>(&set(&me, &tea, i32::MIN)).await);
        assert!(empty.items.is_empty() && empty.total_amount == 0.0);
        assert!(empty.updated_at > updated_at);
        assert_eq!(catalogue.calls(), asked);
    }
}

#[tokio::test]
async fn a_line_that_is_set_has_the_name_and_price_of_now() {
    let (domain, catalogue, function) = start().await;
    for wire in Wire::ALL {
        let client = domain.customer(wire, &function, ME);
        let tea = catalogue.sell("Better tea", 0.29, 10);
        domain.fill(ME, &[(&tea, "10000000", 1)]).await;
        let cart = cart(client.call::<Rpc>(&set(ME, &tea, 3)).await);
        let line = cart.items.last().unwrap();
        assert_eq!(line.product_name, "Better tea");
        assert_eq!((line.product_price, line.total_price), (0.29, 0.87));
    }
}

#[tokio::test]
async fn no_more_than_there_is() {
    let (domain, catalogue, function) = start().await;
    let (tea, gone) = (catalogue.sell("Tea", 1.0, 5), id());
    for wire in Wire::ALL {
        let me = id();
        let client = domain.customer(wire, &function, &me);
        domain.fill(&me, &[(&tea, "1", 8), (&gone, "1", 1)]).await;
        let updated_at = domain.updated_at(&me).await;
        // Also when it is less than there was: the stock has shrunk since.
        for quantity in [6, 7, 9, 10_000] {
            let outcome = client.call::<Rpc>(&set(&me, &tea, quantity)).await;
            assert_refused(&outcome, "in stock");
            assert!(!wire.is_json() || outcome.http_status == 409);
        }
        let outcome = client.call::<Rpc>(&set(&me, &gone, 1)).await;
        assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
        assert_eq!(outcome.message, "there is no such product");
        assert_eq!(domain.updated_at(&me).await, updated_at);
        let cart = cart(client.call::<Rpc>(&set(&me, &tea, 5)).await);
        assert_eq!(lines(&cart), [(tea.clone(), 5), (gone.clone(), 1)]);
    }
}

/// The breaker around get-product is that of add-to-cart, too.
#[tokio::test]
async fn without_get_product_a_line_is_only_removed() {
    let (domain, catalogue, function) = start().await;
    let tea = catalogue.sell("Tea", 1.0, 5);
    domain.fill(ME, &[(&tea, "1", 1)]).await;
    catalogue.is(Mood::Down);
    let client = domain.customer(Wire::Http1, &function, ME);
    for _ in 0..4 {
        let outcome = client.call::<Rpc>(&set(ME, &tea, 2)).await;
        assert_eq!(outcome.http_status, 503, "{outcome:?}");
        assert_eq!(outcome.message, "get-product is unavailable");
    }
    let asked = catalogue.calls();
    let adder = catalogue.customer_of(&domain).await;
    let adder = domain.customer(Wire::Http1, &adder, ME);
    let outcome = adder.call::<Add>(&add(ME, &tea, 1)).await;
    assert_eq!(outcome.http_status, 503, "{outcome:?}");
    assert_eq!(catalogue.calls(), asked);
    let empty = cart(client.call::<Rpc>(&set(ME, &tea, 0)).await);
    assert!(empty.items.is_empty());
}

#[tokio::test]
async fn an_unknown_line_is_told_and_nothing_changes() {
    let (domain, catalogue, function) = start().await;
    let (me, tea) = (id(), catalogue.sell("Tea", 1.0, 5));
    catalogue.change(UNKNOWN, "Cup", 1.0, 0);
    domain.fill(&me, &[(&tea, "1", 1)]).await;
    let updated_at = domain.updated_at(&me).await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for (user, product) in [(ME, &*tea), (&me, UNKNOWN)] {
            for quantity in [1, 0] {
                let outcome = client.call::<Rpc>(&set(user, product, quantity)).await;
                assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
                assert!(!wire.is_json() || outcome.http_status == 404);
            }
        }
    }
    assert_eq!(domain.updated_at(&me).await, updated_at);
    assert_eq!(domain.count("carts").await, 1);
}

#[tokio::test]
async fn a_total_that_cannot_be_counted_is_refused() {
    let (domain, catalogue, function) = start().await;
    let client = domain.customer(Wire::Grpc, &function, ME);
    let tea = catalogue.sell("Yacht", 10_000_000.0, 10_000);
    domain.fill_up(ME, 703, "10000000", 10_000).await;
    domain.fill(ME, &[(&tea, "10000000", 1)]).await;
    let outcome = client.call::<Rpc>(&set(ME, &tea, 6_875)).await;
    assert_refused(&outcome, "too large");
    assert_eq!(domain.lines(ME).await.last().unwrap(), &(tea, 1));
}
