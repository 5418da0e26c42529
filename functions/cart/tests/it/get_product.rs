//! What add-to-cart does when get-product does not answer.

use tonic::Code;
use zerocart_proto::{cart::CartResponse, rpc::AddToCart as Rpc};
use zerocart_test_support::clients::{Outcome, Wire};

use crate::{
    Domain, ME, UNKNOWN,
    add_to_cart::add,
    cart,
    catalogue::{Catalogue, Mood},
    lines, until,
};

#[track_caller]
fn assert_unavailable(wire: Wire, outcome: &Outcome<CartResponse>) {
    assert_eq!(outcome.code, Code::Unavailable, "{wire:?} {outcome:?}");
    assert!(!wire.is_json() || outcome.http_status == 503);
    assert_eq!(outcome.message, "get-product is unavailable");
    assert!(outcome.retry_after.is_some(), "{outcome:?}");
}

/// The breaker's state in the database, if it ever had to do something.
async fn state(domain: &Domain) -> Option<String> {
    let query = "SELECT state FROM circuit_breakers WHERE name = 'get-product'";
    let row = domain.sql.query_opt(query, &[]).await.unwrap();
    row.map(|row| row.get(0))
}

#[tokio::test]
async fn after_three_failures_it_is_left_alone_also_by_a_fresh_instance() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let env = [("BREAKER_OPEN_MS", "3600000")];
    let function = catalogue.customer_with(&domain, &env).await;
    let tea = catalogue.sell("Tea", 1.0, 9);
    catalogue.is(Mood::Down);
    let client = domain.customer(Wire::Http1, &function, ME);
    // A call counts once, with all its retries.
    for failures in 1..=3 {
        assert_eq!(
            state(&domain).await.as_deref().unwrap_or("closed"),
            "closed"
        );
        assert_unavailable(Wire::Http1, &client.call::<Rpc>(&add(ME, &tea, 1)).await);
        assert_eq!(catalogue.calls(), 3 * failures);
    }
    assert_eq!(state(&domain).await.as_deref(), Some("open"));

    catalogue.is(Mood::Well);
    let fresh = catalogue.customer_with(&domain, &env).await;
    for function in [&function, &fresh] {
        for wire in Wire::ALL {
            let client = domain.customer(wire, function, ME);
            let outcome = client.call::<Rpc>(&add(ME, &tea, 1)).await;
            assert_unavailable(wire, &outcome);
            assert!(outcome.retry_after.unwrap().as_secs() > 3000, "{wire:?}");
        }
    }
    assert_eq!(
        catalogue.calls(),
        9,
        "it was asked while the breaker was open"
    );
    assert_eq!(domain.count("carts").await, 0);
}

#[tokio::test]
async fn it_is_used_again_when_it_is_well() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue
        .customer_with(&domain, &[("BREAKER_OPEN_MS", "100")])
        .await;
    let tea = catalogue.sell("Tea", 1.0, 9);
    let client = domain.customer(Wire::Grpc, &function, ME);
    catalogue.is(Mood::Down);
    until("it opens", async || {
        assert_unavailable(Wire::Grpc, &client.call::<Rpc>(&add(ME, &tea, 1)).await);
        state(&domain).await.is_some_and(|state| state != "closed")
    })
    .await;
    catalogue.is(Mood::Well);
    for _ in 0..2 {
        until("it answers", async || {
            let outcome = client.call::<Rpc>(&add(ME, &tea, 1)).await;
            if outcome.code != Code::Ok {
                assert_unavailable(Wire::Grpc, &outcome);
            }
            outcome.code == Code::Ok
        })
        .await;
    }
    assert_eq!(state(&domain).await.as_deref(), Some("closed"));
    assert_eq!(domain.lines(ME).await, [(tea, 2)]);
}

#[tokio::test]
async fn its_answers_never_open_the_breaker() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, 1);
    for wire in Wire::ALL {
        let client = domain.customer(wire, &function, ME);
        let outcome = client.call::<Rpc>(&add(ME, UNKNOWN, 1)).await;
        assert_eq!(outcome.code, Code::NotFound);
        let outcome = client.call::<Rpc>(&add(ME, &tea, 2)).await;
        assert_eq!(outcome.code, Code::FailedPrecondition);
    }
    let client = domain.customer(Wire::Grpc, &function, ME);
    let cart = cart(client.call::<Rpc>(&add(ME, &tea, 1)).await);
    assert_eq!(lines(&cart), [(tea, 1)]);
    assert_eq!(state(&domain).await, None);
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    catalogue.close().await;
    for wire in Wire::ALL {
        let client = domain.customer(wire, &function, ME);
        assert_unavailable(wire, &client.call::<Rpc>(&add(ME, UNKNOWN, 1)).await);
    }
    assert_eq!(domain.count("carts").await, 0);
}

#[tokio::test]
async fn a_caller_in_a_hurry_is_answered_and_the_call_ends() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    catalogue.is(Mood::Hangs);
    for wire in Wire::ALL {
        let before = catalogue.calls();
        let client = domain.customer(wire, &function, ME);
        let client = client.header("grpc-timeout", "300m");
        let outcome = client.call::<Rpc>(&add(ME, UNKNOWN, 1)).await;
        assert_eq!(outcome.code, Code::DeadlineExceeded, "{wire:?}");
        assert!(!wire.is_json() || outcome.http_status == 504);
        until("nobody works for it any more", async || {
            catalogue.running() == 0
        })
        .await;
        // It knew how long anybody would wait.
        if catalogue.calls() > before {
            assert!(catalogue.left_ms() <= 300, "{} ms", catalogue.left_ms());
        }
    }
    assert!(catalogue.calls() > 0, "the machine never came so far");
    assert_eq!(domain.count("carts").await, 0);
}
