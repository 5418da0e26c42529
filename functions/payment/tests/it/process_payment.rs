//! Charging an order.

use futures_util::future::join_all;
use http::Method;
use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::{
        PaymentResponse,
        PaymentStatus::{Failed, Success},
        ProcessPaymentRequest,
    },
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::clients::{Wire, request};

use crate::{DECLINE, Domain, JSON_WIRES, ME, OTHER, answer, assert_answer, charge, order, uuid};

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
async fn only_services_and_admins_may() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    let may = [false, false, true, true];
    let request = charge(&order());
    domain.assert_access::<Rpc>(&function, &request, may).await;
    assert_eq!(domain.payments().await, 1);
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
async fn a_bad_field_is_named_and_nothing_is_written() {
    let domain = Domain::new().await;
    let function = domain.start::<ProcessPayment>().await;
    let good = || charge(&order());
    let ordered = |order: &str| charge(order);
    let of_user = |user: &str| ProcessPaymentRequest {
        user_id: user.into(),
        ..good()
    };
    let of = |amount| ProcessPaymentRequest { amount, ..good() };
    let by = |method: &str| ProcessPaymentRequest {
        payment_method: method.into(),
        ..good()
    };
    let all = ProcessPaymentRequest {
        order_id: String::new(),
        user_id: "me".into(),
        amount: -1.0,
        payment_method: "é".repeat(51),
        refund: true,
    };
    let table: Vec<(ProcessPaymentRequest, &[&str])> = vec![
        (all, &["order_id", "user_id", "amount", "payment_method"]),
        (ordered(""), &["order_id"]),
        (ordered("7"), &["order_id"]),
        (ordered(&ME.replace('-', "")), &["order_id"]),
        (of_user(""), &["user_id"]),
        (of_user("\0"), &["user_id"]),
        (of(-0.01), &["amount"]),
        (of(0.001), &["amount"]),
        (of(19.999), &["amount"]),
        (of(1_000_000_000_000.01), &["amount"]),
        (of(1e300), &["amount"]),
        (of(f64::NAN), &["amount"]),
        (of(f64::INFINITY), &["amount"]),
        (by("a\0b"), &["payment_method"]),
        (by(&"é".repeat(51)), &["payment_method"]),
        (by("4111111111111111"), &["payment_method"]),
        (by("4111 1111 1111 1111"), &["payment_method"]),
        (by("visa 4111-1111-1111-1111"), &["payment_method"]),
    ];
    for wire in Wire::ALL {
        let client = domain.service(wire, &function);
        for (request, fields) in &table {
            let outcome = client.call::<Rpc>(request).await;
            assert_eq!(outcome.code, Code::InvalidArgument, "{wire:?} {request:?}");
            assert_eq!(outcome.field_names(), *fields, "{wire:?} {request:?}");
            assert!(!outcome.message.contains("1111"), "{}", outcome.message);
            assert!(!wire.is_json() || outcome.http_status == 400);
        }
    }
    for (body, field) in [
        (r#"{"amount": "much"}"#, "amount"),
        (r#"{"amount": 1e999}"#, "amount"),
        (r#"{"order_id": 7}"#, "order_id"),
        (r#"{"refund": "yes"}"#, "refund"),
        (r#"{"amount": 1, "amount": 2}"#, "amount"),
        (r#"{"card_number": "x"}"#, "card_number"),
        (r#"{"order_id": "x""#, "body"),
    ] {
        for wire in JSON_WIRES {
            let client = domain.service(wire, &function);
            let reply = client.send(request(Method::POST, "/payments", body)).await;
            let outcome = reply.outcome::<PaymentResponse>();
            assert_eq!(outcome.http_status, 400, "{body}");
            assert_eq!(outcome.field_names(), [field], "{body}");
        }
    }
    assert_eq!((domain.payments().await, domain.records().await), (0, 0));
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
