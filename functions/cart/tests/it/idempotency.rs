//! Calls under an idempotency key.

use futures_util::future::join_all;
use tonic::Code;
use zerocart_cart::UpdateCartItem;
use zerocart_proto::{
    cart::CartResponse,
    rpc::{AddToCart as Add, UpdateCartItem as Update},
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::Running,
};

use crate::{
    Domain, ME, UNKNOWN,
    add_to_cart::add,
    answer,
    catalogue::{Catalogue, Mood},
    id,
    update_cart_item::set,
};

fn keyed(domain: &Domain, wire: Wire, function: &Running, key: &str) -> Client {
    let client = domain.customer(wire, function, ME);
    client.header("idempotency-key", key)
}

fn told(outcome: Outcome<CartResponse>) -> (Code, String) {
    (outcome.code, outcome.message)
}

#[tokio::test]
async fn under_one_key_it_is_added_once() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = &catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, 100);
    let asked = &add(ME, &tea, 3);
    let calls = (0..8).map(|n| {
        let client = keyed(&domain, Wire::ALL[n % 4], function, "k");
        async move { answer::<Add>(&client, asked).await.ok() }
    });
    let mut answers = join_all(calls).await;
    // What others do meanwhile does not change the answer.
    let other = domain.customer(Wire::Grpc, function, ME);
    other.call::<Add>(&add(ME, &tea, 1)).await.ok();
    for wire in Wire::ALL {
        let client = keyed(&domain, wire, function, "k");
        answers.push(client.call::<Add>(asked).await.ok());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(domain.lines(ME).await, [(tea.clone(), 4)]);

    let cup = catalogue.sell("Cup", 1.0, 100);
    for wire in Wire::ALL {
        for other in [add(ME, &tea, 4), add(ME, &cup, 3), add(ME, UNKNOWN, 3)] {
            let client = keyed(&domain, wire, function, "k");
            let outcome = client.call::<Add>(&other).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?}");
            assert_eq!(outcome.field_names(), ["idempotency-key"], "{wire:?}");
            assert!(!wire.is_json() || outcome.http_status == 422);
        }
    }
    assert_eq!(domain.lines(ME).await, [(tea, 4)]);
}

#[tokio::test]
async fn the_answer_stands_whatever_get_product_says_by_now() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = &catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, 5);
    let asked = add(ME, &tea, 5);
    let first = keyed(&domain, Wire::Grpc, function, "k");
    let first = first.call::<Add>(&asked).await.ok();
    let again = async || {
        for wire in Wire::ALL {
            let client = keyed(&domain, wire, function, "k");
            assert_eq!(client.call::<Add>(&asked).await.ok(), first, "{wire:?}");
        }
    };
    catalogue.change(&tea, "Dearer tea", 2.0, 0);
    again().await;
    catalogue.forget(&tea);
    again().await;
    catalogue.is(Mood::Down);
    again().await;
    assert_eq!(domain.lines(ME).await, [(tea, 5)]);
}

#[tokio::test]
async fn a_refusal_stays_the_answer() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = &catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, 5);
    let unknown = id();
    let call = async |wire, key, asked| {
        let client = keyed(&domain, wire, function, key);
        told(client.call::<Add>(asked).await)
    };
    let (many, missing) = (&add(ME, &tea, 6), &add(ME, &unknown, 1));
    let refused = call(Wire::Grpc, "many", many).await;
    let not_found = call(Wire::Grpc, "missing", missing).await;
    assert_eq!(refused.0, Code::FailedPrecondition);
    assert_eq!(not_found.0, Code::NotFound);
    catalogue.change(&tea, "Tea", 1.0, 6);
    catalogue.change(&unknown, "Cup", 1.0, 6);
    for wire in Wire::ALL {
        assert_eq!(call(wire, "many", many).await, refused, "{wire:?}");
        assert_eq!(call(wire, "missing", missing).await, not_found, "{wire:?}");
    }
    assert_eq!(domain.count("carts").await, 0);
    assert_eq!(call(Wire::Grpc, "new", many).await.0, Code::Ok);
}

#[tokio::test]
async fn no_answer_is_not_kept() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = &catalogue
        .customer_with(&domain, &[("BREAKER_OPEN_MS", "50")])
        .await;
    let tea = catalogue.sell("Tea", 1.0, 5);
    let asked = add(ME, &tea, 1);
    catalogue.is(Mood::Down);
    for wire in Wire::ALL {
        let client = keyed(&domain, wire, function, "k");
        let outcome = client.call::<Add>(&asked).await;
        assert_eq!(outcome.code, Code::Unavailable, "{wire:?}");
    }
    catalogue.is(Mood::Well);
    for wire in Wire::ALL {
        let client = keyed(&domain, wire, function, "k");
        answer::<Add>(&client, &asked).await.ok();
    }
    assert_eq!(domain.lines(ME).await, [(tea, 1)]);
}

/// The key is looked up although get-product does not know the product any more.
#[tokio::test]
async fn a_line_stays_set_when_its_product_is_gone() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = &catalogue.caller::<UpdateCartItem>(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, 5);
    domain.fill(ME, &[(&tea, "1", 1)]).await;
    let client = keyed(&domain, Wire::Grpc, function, "k");
    let first = client.call::<Update>(&set(ME, &tea, 2)).await.ok();
    let other = domain.customer(Wire::Grpc, function, ME);
    other.call::<Update>(&set(ME, &tea, 3)).await.ok();
    catalogue.forget(&tea);
    let again = client.call::<Update>(&set(ME, &tea, 2)).await.ok();
    assert_eq!(again, first);
    assert_eq!(domain.lines(ME).await, [(tea, 3)]);
}
