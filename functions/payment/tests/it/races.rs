//! Charges and refunds of one order at once, by several instances whose leases lapse in the middle,
//! at a gateway that fails, with callers that do not wait.

use std::time::Duration;

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::Code;
use zerocart_payment::ProcessPayment;
use zerocart_proto::{
    payment::PaymentStatus::{self, Cancelled, Failed, Success},
    rpc::ProcessPayment as Rpc,
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::Running,
};

use crate::{ALL, Domain, answer, charge, order, refund};

const ROUNDS: u64 = 40;
const CHARGES: usize = 5;

/// One call of a round.
struct Plan {
    client: Client,
    refund: bool,
    pause: Duration,
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
            // Lapses in the middle of most requests to the gateway.
            ("PAYMENT_LEASE_MS", "10"),
            ("PAYMENT_SEED", &*rng.random::<u32>().to_string()),
        ];
        functions.push(domain.start_with::<ProcessPayment>(&settings).await);
    }
    let mut ends = Vec::new();
    for round in 0..ROUNDS {
        domain.gateway(0.4, ALL, 0..=30).await;
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
        let undone = join_all(calls).await.contains(&true);
        if undone {
            let on_record = domain.on_record(&order).await;
            assert_ne!(on_record.as_deref(), Some("CHARGED"), "seed {seed}");
        }

        // The gateway works again, and whoever cares drives the payment to its end.
        domain.gateway(0.0, ALL, 0..=0).await;
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
    // Whatever was charged has its payment.
    let strays = "SELECT count(*) FROM simulator_charges
                  LEFT JOIN payments ON order_id = key AND status = 'SUCCESS'
                  WHERE state = 'CHARGED' AND id IS NULL";
    let strays = domain.sql.query_one(strays, &[]).await.unwrap();
    assert_eq!(strays.get::<_, i64>(0), 0, "seed {seed}");
}
