//! Charges, refunds and looks of one order at once, by several instances whose leases lapse in the middle,
//! at a provider that fails, with callers that do not wait.

use std::time::Duration;

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::Code;
use zerocart_payment::{GetPaymentStatus, ProcessPayment};
use zerocart_proto::{
    payment::{
        GetPaymentStatusRequest,
        PaymentStatus::{self, Cancelled, Failed, Success},
    },
    rpc::{GetPaymentStatus as Look, ProcessPayment as Rpc},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::Running,
};

use crate::{ALL, Domain, answer, charge, order, refund};

const ROUNDS: u64 = 40;
const CHARGES: usize = 5;

/// How often somebody looks at the payment of a round.
const LOOKS: usize = 3;

/// What is recorded and contradicts the provider's books, at one moment.
const CONTRADICTIONS: &str = "
    SELECT format('%s, barred %s, and on record %s', status, barred, state)
    FROM payments FULL JOIN simulator_charges ON order_id = key
    WHERE NOT coalesce(CASE status
        WHEN 'PENDING' THEN state IS NULL
        WHEN 'PROCESSING' THEN true
        WHEN 'SUCCESS' THEN state = 'CHARGED' AND NOT barred
        WHEN 'CANCELLED' THEN state = 'REFUNDED'
        WHEN 'FAILED' THEN state IS NULL OR state IN ('DECLINED', 'VOIDED')
    END, false)";

/// One call of a round.
struct Plan {
    client: Client,
    refund: bool,
    pause: Duration,
}

/// Looks for contradictions for as long as it is polled.
async fn watch(domain: &Domain, seed: u64) {
    loop {
        let found = domain.sql.query(CONTRADICTIONS, &[]).await.unwrap();
        let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
        assert!(found.is_empty(), "seed {seed}: {found:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn plans(domain: &Domain, functions: &[Running], rng: &mut StdRng, refunds: usize) -> Vec<Plan> {
    (0..CHARGES + refunds)
        .map(|n| {
            let wire = [Wire::Http1, Wire::Http2][rng.random_range(0..2)];
            let function = &functions[rng.random_range(0..functions.len())];
            let mut client = domain.service(wire, function);
            if rng.random_bool(0.3) {
                let timeout_ms = rng.random_range(1..40);
                client = client.header("grpc-timeout", &format!("{timeout_ms}m"));
            }
            Plan {
                client,
                refund: n >= CHARGES,
                pause: Duration::from_millis(rng.random_range(0..60)),
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_charge_stands_after_a_refund_and_none_is_made_twice() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let domain = Domain::new().await;
    let mut functions = Vec::new();
    for _ in 0..3 {
        let settings = [
            // Lapses in the middle of most requests to the provider.
            ("PAYMENT_LEASE_MS", "10"),
            ("PAYMENT_SEED", &*rng.random::<u32>().to_string()),
        ];
        functions.push(domain.start_with::<ProcessPayment>(&settings).await);
    }
    let settings = [("PAYMENT_LEASE_MS", "10")];
    let look = domain.start_with::<GetPaymentStatus>(&settings).await;
    let mut ends = Vec::new();
    for round in 0..ROUNDS {
        domain.provider(0.4, ALL, 0..=30).await;
        let order = order();
        let refunds = if round % 4 == 0 { 0 } else { 2 };
        let calls = plans(&domain, &functions, &mut rng, refunds);
        let calls = calls.into_iter().map(|plan| {
            let (domain, order) = (&domain, &order);
            async move {
                tokio::time::sleep(plan.pause).await;
                let request = match plan.refund {
                    true => refund(order),
                    false => charge(order),
                };
                let outcome = plan.client.call::<Rpc>(&request).await;
                let expected = [
                    Code::Ok,
                    Code::Aborted,
                    Code::Unavailable,
                    Code::DeadlineExceeded,
                    Code::FailedPrecondition,
                ];
                assert!(expected.contains(&outcome.code), "seed {seed}: {outcome:?}");
                let undone = plan.refund && outcome.code == Code::Ok;
                if undone {
                    let on_record = domain.on_record(order).await;
                    assert_ne!(on_record.as_deref(), Some("CHARGED"), "seed {seed}");
                }
                undone
            }
        });
        let looks = (0..LOOKS).map(|n| {
            let reader = domain.service(Wire::ALL[n], &look);
            let asked = GetPaymentStatusRequest {
                payment_id: order.clone(),
            };
            let pause = Duration::from_millis(rng.random_range(0..120));
            async move {
                tokio::time::sleep(pause).await;
                let outcome = reader.call::<Look>(&asked).await;
                let known = outcome.code == Code::Ok;
                assert!(
                    known || outcome.code == Code::NotFound,
                    "seed {seed}: {outcome:?}"
                );
            }
        });
        let calling = async { tokio::join!(join_all(calls), join_all(looks)).0 };
        let ended = tokio::select! {
            ended = calling => ended,
            () = watch(&domain, seed) => unreachable!("it watches for ever"),
        };
        let undone = ended.contains(&true);
        if undone {
            let on_record = domain.on_record(&order).await;
            assert_ne!(on_record.as_deref(), Some("CHARGED"), "seed {seed}");
        }

        // The provider works again, and the next caller drives the payment to its end.
        domain.provider(0.0, ALL, 0..=0).await;
        let client = domain.service(Wire::Grpc, &functions[0]);
        let request = match refunds {
            0 => charge(&order),
            _ => refund(&order),
        };
        let end = answer::<Rpc>(&client, &request).await.ok().status();
        let on_record = domain.on_record(&order).await;
        let agree: &[(PaymentStatus, Option<&str>)] = match refunds {
            0 => &[(Success, Some("CHARGED")), (Failed, Some("DECLINED"))],
            _ => &[
                (Cancelled, Some("REFUNDED")),
                (Failed, Some("VOIDED")),
                (Failed, Some("DECLINED")),
                (Failed, None),
            ],
        };
        let end = (end, on_record.as_deref());
        assert!(agree.contains(&end), "seed {seed}: {end:?}");
        ends.push(end.0);
    }
    for status in [Success, Failed, Cancelled] {
        assert!(
            ends.contains(&status),
            "seed {seed}: no {status:?} in {ends:?}"
        );
    }
    // Every charge has its payment.
    let strays = "SELECT count(*) FROM simulator_charges
                  LEFT JOIN payments ON order_id = key AND status = 'SUCCESS'
                  WHERE state = 'CHARGED' AND id IS NULL";
    let strays = domain.sql.query_one(strays, &[]).await.unwrap();
    assert_eq!(strays.get::<_, i64>(0), 0, "seed {seed}");
    let contradictions = domain.sql.query(CONTRADICTIONS, &[]).await.unwrap();
    assert!(contradictions.is_empty(), "seed {seed}");
}
