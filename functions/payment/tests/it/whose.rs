//! Who may undo a charge: an order's own charge is undone with the order.

use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::{
        PaymentStatus::{Cancelled, Failed, Success},
        ProcessPaymentRequest,
    },
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::clients::Wire;

use crate::{
    ALL, DECLINE, DOWN, Domain, ME, OTHER, TIMEOUT, assert_answer, charge, order, refund, uuid,
};

#[tokio::test]
async fn the_charge_of_an_order_is_undone_by_a_service_alone() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let (service, admin) = (
            domain.service(wire, &function),
            domain.admin(wire, &function),
        );
        for (rate, failures, status) in [
            (0.0, ALL, "SUCCESS"),
            (1.0, DECLINE, "FAILED"),
            (1.0, DOWN, "PENDING"),
            (1.0, TIMEOUT, "PROCESSING"),
        ] {
            domain.provider(rate, failures, 0..=0).await;
            let order = order();
            service.call::<Rpc>(&charge(&order)).await;
            domain.provider(0.0, ALL, 0..=0).await;
            let before = (
                domain.on_record(&order).await,
                domain.attempts(&order).await,
            );
            for key in [None, Some(format!("{status} {wire:?}"))] {
                let admin = match key {
                    Some(key) => admin.clone().header("idempotency-key", &key),
                    None => admin.clone(),
                };
                let outcome = admin.call::<Rpc>(&refund(&order)).await;
                assert_eq!(
                    outcome.code,
                    Code::FailedPrecondition,
                    "{wire:?} {outcome:?}"
                );
                assert!(!wire.is_json() || outcome.http_status == 409);
                let way = format!("/orders/{order}/status");
                assert!(outcome.message.contains(&way), "{}", outcome.message);
                assert_eq!(domain.status(&order).await.as_deref(), Some(status));
            }
            let after = (
                domain.on_record(&order).await,
                domain.attempts(&order).await,
            );
            assert_eq!(before, after, "{wire:?} {status}");
            let undone = service.call::<Rpc>(&refund(&order)).await.ok();
            assert!(undone.success, "{wire:?} {status}");
            let on_record = domain.on_record(&order).await;
            assert_ne!(on_record.as_deref(), Some("CHARGED"), "{wire:?} {status}");
            // Nor is it his when it is undone.
            let outcome = admin.call::<Rpc>(&refund(&order)).await;
            assert_eq!(
                outcome.code,
                Code::FailedPrecondition,
                "{wire:?} {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_charge_that_an_admin_made_is_undone_by_an_admin() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let (service, admin) = (
            domain.service(wire, &function),
            domain.admin(wire, &function),
        );
        let own = order();
        admin.call::<Rpc>(&charge(&own)).await.ok();
        let outcome = admin.call::<Rpc>(&refund(&own)).await;
        assert_answer(outcome, Cancelled, true, "refunded");

        // Unless an order relies on it since.
        let taken = order();
        admin.call::<Rpc>(&charge(&taken)).await.ok();
        let outcome = service.call::<Rpc>(&charge(&taken)).await;
        assert_answer(outcome, Success, true, "the order is paid");
        admin.call::<Rpc>(&charge(&taken)).await.ok();
        let outcome = admin.call::<Rpc>(&refund(&taken)).await;
        assert_eq!(
            outcome.code,
            Code::FailedPrecondition,
            "{wire:?} {outcome:?}"
        );
        assert_eq!(domain.on_record(&taken).await.as_deref(), Some("CHARGED"));

        // What comes before any charge bars the order's.
        let barred = order();
        let outcome = admin.call::<Rpc>(&refund(&barred)).await;
        let never = "nothing was charged, and nothing will be";
        assert_answer(outcome, Failed, true, never);
        let outcome = service.call::<Rpc>(&charge(&barred)).await;
        assert_eq!(
            outcome.code,
            Code::FailedPrecondition,
            "{wire:?} {outcome:?}"
        );
        let outcome = admin.call::<Rpc>(&refund(&barred)).await;
        assert_answer(outcome, Failed, true, never);
        assert_eq!(domain.on_record(&barred).await, None);
    }
}

/// An order whose id an admin charged for somebody else, or something else, fails: its driver undoes
/// that charge, too.
#[tokio::test]
async fn what_an_admin_charged_under_an_orders_id_does_not_stand_in_its_way() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let (service, admin) = (
            domain.service(wire, &function),
            domain.admin(wire, &function),
        );
        for (user_id, amount) in [(OTHER, 19.99), (ME, 5.0)] {
            let order = order();
            let other = ProcessPaymentRequest {
                user_id: user_id.into(),
                amount,
                ..charge(&order)
            };
            admin.call::<Rpc>(&other).await.ok();
            let outcome = service.call::<Rpc>(&charge(&order)).await;
            assert_eq!(
                outcome.code,
                Code::FailedPrecondition,
                "{wire:?} {outcome:?}"
            );
            assert_eq!(domain.on_record(&order).await.as_deref(), Some("CHARGED"));
            let outcome = service.call::<Rpc>(&refund(&order)).await;
            assert_answer(outcome, Cancelled, true, "refunded");
            assert_eq!(domain.on_record(&order).await.as_deref(), Some("REFUNDED"));
        }
    }
}

/// A version before did not record who had it charged.
#[tokio::test]
async fn a_charge_of_the_version_before_is_undone_as_it_was_then() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let (service, admin) = (
            domain.service(wire, &function),
            domain.admin(wire, &function),
        );
        let old = async || {
            let order = order();
            service.call::<Rpc>(&charge(&order)).await.ok();
            let forget = "UPDATE payments SET charged_by = NULL WHERE order_id = $1";
            domain.sql.execute(forget, &[&uuid(&order)]).await.unwrap();
            order
        };
        let order = old().await;
        let outcome = admin.call::<Rpc>(&refund(&order)).await;
        assert_answer(outcome, Cancelled, true, "refunded");
        // Its order's driver went on under this version.
        let order = old().await;
        service.call::<Rpc>(&charge(&order)).await.ok();
        let outcome = admin.call::<Rpc>(&refund(&order)).await;
        assert_eq!(
            outcome.code,
            Code::FailedPrecondition,
            "{wire:?} {outcome:?}"
        );
    }
}
