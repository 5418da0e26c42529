//! Reading a payment.

use tonic::Code;
use zerocart_payment::{GetPaymentStatus, ProcessPayment};
use zerocart_proto::{
    payment::{
        GetPaymentStatusRequest,
        PaymentStatus::{Cancelled, Failed, Pending, Processing, Success},
    },
    rpc::{GetPaymentStatus as Rpc, ProcessPayment as Process},
};
use zerocart_test_support::clients::{Client, Wire};

use crate::{DECLINE, DOWN, Domain, OTHER, TIMEOUT, charge, order, refund, uuid};

fn of(id: &str) -> GetPaymentStatusRequest {
    GetPaymentStatusRequest {
        payment_id: id.into(),
    }
}

#[tokio::test]
async fn every_status_is_read_by_payment_and_by_order() {
    let domain = Domain::new().await;
    let process = domain.start::<ProcessPayment>().await;
    let function = domain.start::<GetPaymentStatus>().await;
    for wire in Wire::ALL {
        let client = domain.service(wire, &process);
        for (status, rate, failures, undone) in [
            (Pending, 1.0, DOWN, false),
            (Processing, 1.0, TIMEOUT, false),
            (Success, 0.0, DOWN, false),
            (Failed, 1.0, DECLINE, false),
            (Cancelled, 0.0, DOWN, true),
        ] {
            let order = order();
            domain.provider(rate, failures, 0..=0).await;
            client.call::<Process>(&charge(&order)).await;
            if undone {
                client.call::<Process>(&refund(&order)).await;
            }
            let row = "SELECT id FROM payments WHERE order_id = $1";
            let row = domain.sql.query_one(row, &[&uuid(&order)]).await.unwrap();
            let payment = row.get::<_, uuid::Uuid>(0).to_string();
            for id in [&payment, &order, &order.to_uppercase()] {
                let reader = domain.service(wire, &function);
                let outcome = reader.call::<Rpc>(&of(id)).await;
                assert_eq!(outcome.http_status, 200);
                let answer = outcome.ok();
                assert_eq!(answer.status(), status, "{wire:?}");
                assert_eq!(answer.payment_id, payment);
                assert_eq!(answer.order_id, order);
                assert_eq!(answer.amount, 19.99);
                let same = "SELECT created_at = $2::text::timestamptz AND $2::text ~ '\\.\\d{6}Z$'
                            FROM payments WHERE id = $1";
                let same = domain
                    .sql
                    .query_one(same, &[&uuid(&payment), &answer.created_at])
                    .await
                    .unwrap();
                assert!(same.get::<_, bool>(0), "{}", answer.created_at);
            }
        }
        // A refund before any charge: there is no amount.
        let order = order();
        client.call::<Process>(&refund(&order)).await;
        let reader = domain.service(wire, &function);
        let answer = reader.call::<Rpc>(&of(&order)).await.ok();
        assert_eq!((answer.status(), answer.amount), (Failed, 0.0));
    }
}

#[tokio::test]
async fn an_order_that_bears_the_id_of_a_payment_does_not_hide_it() {
    let domain = Domain::new().await;
    let process = domain.start::<ProcessPayment>().await;
    let function = domain.start::<GetPaymentStatus>().await;
    let client = domain.admin(Wire::Grpc, &process);
    let first = client.call::<Process>(&charge(&order())).await.ok();
    let second = client.call::<Process>(&charge(&first.payment_id)).await;
    assert_eq!(second.code, Code::Ok);
    let reader = domain.admin(Wire::Grpc, &function);
    let answer = reader.call::<Rpc>(&of(&first.payment_id)).await.ok();
    assert_eq!(answer.payment_id, first.payment_id);
}

#[tokio::test]
async fn the_payer_admins_and_services_may() {
    let domain = Domain::new().await;
    let process = domain.start::<ProcessPayment>().await;
    let function = domain.start::<GetPaymentStatus>().await;
    let order = order();
    let client = domain.service(Wire::Grpc, &process);
    assert_eq!(client.call::<Process>(&charge(&order)).await.code, Code::Ok);
    // The customer of these is the payer.
    let may = [false, true, true, true];
    domain
        .assert_access::<Rpc>(&function, &of(&order), may)
        .await;
    for wire in Wire::ALL {
        let token = domain.authority.customer(OTHER);
        let client = Client::new(wire, function.address()).bearer(&token);
        let outcome = client.call::<Rpc>(&of(&order)).await;
        assert_eq!(outcome.code, Code::PermissionDenied, "{wire:?}");
    }
}
