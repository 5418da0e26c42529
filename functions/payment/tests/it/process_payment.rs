//! Charging an order.

use futures_util::future::join_all;
use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::{
        PaymentStatus::{Failed, Success},
        ProcessPaymentRequest,
    },
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::clients::Wire;

use crate::{DECLINE, Domain, ME, OTHER, answer, assert_answer, charge, order, uuid};

#[tokio::test]
async fn an_order_is_charged_once_however_often_it_is_asked() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let order = order();
        let first = client.call::<Rpc>(&charge(&order)).await;
        let payment = assert_answer(first, Success, true, "the order is paid");
        assert_eq!(uuid(&payment).get_version_num(), 7);
        // With another payment method, too, it is paid already.
        let again = ProcessPaymentRequest {
            payment_method: "invoice".into(),
            order_id: order.to_uppercase(),
            ..charge(&order)
        };
        for again in [&again, &charge(&order)] {
            let outcome = client.call::<Rpc>(again).await;
            let same = assert_answer(outcome, Success, true, "the order is paid");
            assert_eq!(same, payment, "{wire:?}");
        }
        domain
            .assert_attempts(&order, &[("CHARGE", "CHARGED")])
            .await;
        let row = domain
            .sql
            .query_one(
                "SELECT status, amount::text, payment_method, user_id, attempt_until IS NULL,
                        barred, (SELECT amount::text FROM simulator_charges WHERE key = order_id)
                 FROM payments WHERE order_id = $1 AND id = $2",
                &[&uuid(&order), &uuid(&payment)],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), "SUCCESS");
        assert_eq!(row.get::<_, &str>(1), "19.99");
        assert_eq!(row.get::<_, &str>(2), "credit_card");
        assert_eq!(row.get::<_, uuid::Uuid>(3), uuid(ME));
        assert_eq!((row.get(4), row.get(5)), (true, false));
        assert_eq!(row.get::<_, &str>(6), "19.99");
        assert_eq!(domain.on_record(&order).await.as_deref(), Some("CHARGED"));
    }
    assert_eq!((domain.payments().await, domain.records().await), (4, 4));
}

#[tokio::test]
async fn every_limit_itself_is_good() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        for (amount, kept) in [
            (0.0, "0.00"),
            (-0.0, "0.00"),
            (0.01, "0.01"),
            (0.29, "0.29"),
            (999_999_999_999.99, "999999999999.99"),
            (1_000_000_000_000.0, "1000000000000.00"),
        ] {
            let order = order();
            let request = ProcessPaymentRequest {
                amount,
                payment_method: "é".repeat(50),
                ..charge(&order)
            };
            let outcome = client.call::<Rpc>(&request).await;
            assert_answer(outcome, Success, true, "the order is paid");
            let query = "SELECT amount::text FROM simulator_charges WHERE key = $1";
            let row = domain.sql.query_one(query, &[&uuid(&order)]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), kept, "{wire:?}");
        }
        let request = ProcessPaymentRequest {
            payment_method: String::new(),
            ..charge(&order())
        };
        assert_eq!(client.call::<Rpc>(&request).await.code, Code::Ok);
    }
}

#[tokio::test]
async fn a_decline_is_an_answer_and_final() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let order = order();
        domain.provider(1.0, DECLINE, 0..=0).await;
        let declined = client.call::<Rpc>(&charge(&order)).await;
        let payment = assert_answer(declined, Failed, false, "insufficient funds");
        domain.provider(0.0, DECLINE, 0..=0).await;
        let again = client.call::<Rpc>(&charge(&order)).await;
        let same = assert_answer(again, Failed, false, "insufficient funds");
        assert_eq!(same, payment, "{wire:?}");
        domain
            .assert_attempts(&order, &[("CHARGE", "DECLINED")])
            .await;
        assert_eq!(domain.status(&order).await.as_deref(), Some("FAILED"));
        assert_eq!(domain.on_record(&order).await.as_deref(), Some("DECLINED"));
    }
}

#[tokio::test]
async fn what_contradicts_the_payment_of_the_order_is_refused_by_name() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        let order = order();
        assert_eq!(client.call::<Rpc>(&charge(&order)).await.code, Code::Ok);
        let dearer = ProcessPaymentRequest {
            amount: 20.0,
            ..charge(&order)
        };
        let others = ProcessPaymentRequest {
            user_id: OTHER.into(),
            ..charge(&order)
        };
        let others_refund = ProcessPaymentRequest {
            refund: true,
            ..others.clone()
        };
        for (request, differs) in [
            (dearer, "amount"),
            (others, "user_id"),
            (others_refund, "user_id"),
        ] {
            let outcome = client.call::<Rpc>(&request).await;
            assert_eq!(outcome.code, Code::FailedPrecondition, "{wire:?}");
            assert!(!wire.is_json() || outcome.http_status == 409);
            assert!(outcome.message.contains(differs), "{}", outcome.message);
        }
        let outcome = client.call::<Rpc>(&charge(&order)).await;
        assert_answer(outcome, Success, true, "the order is paid");
        assert_eq!(domain.on_record(&order).await.as_deref(), Some("CHARGED"));
    }
}

#[tokio::test]
async fn sixteen_at_once_make_one_charge() {
    let domain = Domain::new().await;
    domain.provider(0.0, DECLINE, 0..=30).await;
    let functions = [
        domain.start::<ProcessPayment>().await,
        domain.start::<ProcessPayment>().await,
    ];
    let order = order();
    let request = &charge(&order);
    let calls = (0..16).map(|n| {
        let client = domain.service(Wire::ALL[n % 4], &functions[n % 2]);
        async move { answer::<Rpc>(&client, request).await }
    });
    let mut payments = Vec::new();
    for outcome in join_all(calls).await {
        payments.push(assert_answer(outcome, Success, true, "the order is paid"));
    }
    payments.dedup();
    assert_eq!(payments.len(), 1);
    domain
        .assert_attempts(&order, &[("CHARGE", "CHARGED")])
        .await;
    assert_eq!((domain.payments().await, domain.records().await), (1, 1));
}
