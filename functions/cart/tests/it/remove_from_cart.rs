//! Removing a line.

use tonic::Code;
use zerocart_cart::RemoveFromCart;
use zerocart_proto::{cart::RemoveFromCartRequest, rpc::RemoveFromCart as Rpc};
use zerocart_test_support::clients::Wire;

use crate::{Domain, ME, UNKNOWN, cart, id, lines};

pub(crate) fn remove(user_id: &str, product_id: &str) -> RemoveFromCartRequest {
    RemoveFromCartRequest {
        user_id: user_id.into(),
        product_id: product_id.into(),
    }
}

#[tokio::test]
async fn a_line_goes_and_the_others_stay() {
    let domain = Domain::new().await;
    let function = domain.start::<RemoveFromCart>().await;
    for wire in Wire::ALL {
        let (me, tea, cup) = (id(), id(), id());
        let client = domain.customer(wire, &function, &me);
        domain
            .fill(&me, &[(&tea, "19.99", 2), (&cup, "0.1", 3)])
            .await;
        let outcome = client.call::<Rpc>(&remove(&me, &tea)).await;
        assert_eq!(outcome.http_status, 200);
        let left = cart(outcome);
        assert_eq!(
            (lines(&left), left.total_amount),
            (vec![(cup.clone(), 3)], 0.3)
        );
        let empty = cart(client.call::<Rpc>(&remove(&me, &cup.to_uppercase())).await);
        assert!(
            empty.items.is_empty() && empty.total_amount == 0.0,
            "{wire:?}"
        );
        assert!(empty.updated_at > left.updated_at);
        assert_eq!(domain.lines(&me).await, []);
    }
}

#[tokio::test]
async fn an_unknown_line_is_told_and_nothing_changes() {
    let domain = Domain::new().await;
    let function = domain.start::<RemoveFromCart>().await;
    let (me, tea) = (id(), id());
    domain.fill(&me, &[(&tea, "1", 1)]).await;
    let updated_at = domain.updated_at(&me).await;
    for wire in Wire::ALL {
        let client = domain.admin(wire, &function);
        for (user, product) in [(ME, &*tea), (&me, UNKNOWN)] {
            let outcome = client.call::<Rpc>(&remove(user, product)).await;
            assert_eq!(outcome.code, Code::NotFound, "{wire:?}");
            assert!(!wire.is_json() || outcome.http_status == 404);
        }
    }
    assert_eq!(domain.updated_at(&me).await, updated_at);
    assert_eq!(domain.count("carts").await, 1);
}
