//! Abandoned payments: get-payment-status settles them, or the job does.

use std::time::Duration;

use tonic::Code;
use zerocart_core::{Env, Platform};
use zerocart_payment::{GetPaymentStatus, JOBS, ProcessPayment};
use zerocart_proto::{payment::GetPaymentStatusRequest, rpc};
use zerocart_test_support::{clients::Wire, functions::PATIENCE, process::Process};

use crate::{
    ALL, DECLINE, DOWN, Domain, GATED, charge,
    crash::{LONG_MS, killed, recorded},
    order, refund, until, uuid,
};

/// Who settles.
#[derive(Clone, Copy, Debug)]
enum By {
    Look(Wire),
    Job,
}

/// What a process was killed at.
#[derive(Clone, Copy, Debug)]
enum Killed {
    /// A charge that the provider has not made.
    BeforeCharge,
    AfterCharge,
    AfterDecline,
    /// The refund of what was charged.
    BeforeRefund,
    AfterRefund,
}

impl Killed {
    /// What the status is in the end, and on record at the provider.
    fn end(self) -> (&'static str, Option<&'static str>) {
        match self {
            // The order's driver may come again for it.
            Self::BeforeCharge => ("PROCESSING", None),
            Self::AfterCharge => ("SUCCESS", Some("CHARGED")),
            Self::AfterDecline => ("FAILED", Some("DECLINED")),
            Self::BeforeRefund | Self::AfterRefund => ("CANCELLED", Some("REFUNDED")),
        }
    }

    /// Kills a process of its own at that moment: gives the order.
    async fn leave(self, domain: &Domain) -> String {
        let order = order();
        let never = 10_000_000;
        if let Self::BeforeRefund | Self::AfterRefund = self {
            let process = domain.start::<ProcessPayment>().await;
            let client = domain.service(Wire::Grpc, &process);
            client
                .call::<rpc::ProcessPayment>(&charge(&order))
                .await
                .ok();
        }
        let (rate, failures, delay_ms, request) = match self {
            Self::BeforeCharge => (0.0, DOWN, never, charge(&order)),
            Self::AfterCharge => (0.0, DOWN, LONG_MS, charge(&order)),
            Self::AfterDecline => (1.0, DECLINE, LONG_MS, charge(&order)),
            Self::BeforeRefund => (0.0, DOWN, never, refund(&order)),
            Self::AfterRefund => (0.0, DOWN, LONG_MS, refund(&order)),
        };
        domain.provider(rate, failures, delay_ms..=delay_ms).await;
        killed(domain, request, async || match self {
            Self::BeforeCharge => domain.asked(&order, 1).await,
            Self::BeforeRefund => domain.asked(&order, 2).await,
            Self::AfterCharge => recorded(domain, &order, "CHARGED").await,
            Self::AfterDecline => recorded(domain, &order, "DECLINED").await,
            Self::AfterRefund => recorded(domain, &order, "REFUNDED").await,
        })
        .await;
        domain.provider(0.0, ALL, 0..=0).await;
        order
    }
}

fn of(order: &str) -> GetPaymentStatusRequest {
    GetPaymentStatusRequest {
        payment_id: order.into(),
    }
}

/// One run of the job: how many it settled, put off, left.
async fn run(domain: &Domain) -> [u64; 3] {
    let env = Env::from_iter(domain.env(&[]));
    let summary = (JOBS[0].run)(Platform::default(), env).await.unwrap();
    ["settled", "put_off", "left"].map(|count| summary[count].as_u64().unwrap())
}

/// Expects that status and record become those of `left`, without a call that charges or refunds.
async fn assert_settled(domain: &Domain, order: &str, left: Killed, by: By) {
    let (status, on_record) = left.end();
    let look = domain.start::<GetPaymentStatus>().await;
    until("it is settled", async || {
        let seen = match by {
            By::Look(wire) => {
                let reader = domain.service(wire, &look);
                let seen = reader.call::<rpc::GetPaymentStatus>(&of(order)).await.ok();
                seen.status().as_str_name().to_owned()
            }
            By::Job => {
                run(domain).await;
                domain.status(order).await.unwrap()
            }
        };
        let settles = "SELECT settles > 0 FROM payments WHERE order_id = $1";
        let settles = domain
            .sql
            .query_one(settles, &[&uuid(order)])
            .await
            .unwrap();
        let asked: bool = settles.get(0);
        assert_eq!(domain.status(order).await.unwrap(), seen, "{left:?} {by:?}");
        asked && seen == status
    })
    .await;
    assert_eq!(
        domain.on_record(order).await.as_deref(),
        on_record,
        "{left:?} {by:?}"
    );
}

#[tokio::test]
async fn what_a_killed_process_left_is_settled_by_whoever_looks_or_by_the_job() {
    let domain = Domain::new().await;
    for by in [By::Look(Wire::Http1), By::Look(Wire::Grpc), By::Job] {
        for left in [
            Killed::BeforeCharge,
            Killed::AfterCharge,
            Killed::AfterDecline,
            Killed::BeforeRefund,
            Killed::AfterRefund,
        ] {
            let order = left.leave(&domain).await;
            assert_eq!(domain.status(&order).await.as_deref(), Some("PROCESSING"));
            assert_settled(&domain, &order, left, by).await;
        }
    }
    // A charge that is not known is not made by any of them, and still can be.
    let unknown = "SELECT order_id::text FROM payments WHERE status = 'PROCESSING'";
    let process = domain.start::<ProcessPayment>().await;
    let client = domain.service(Wire::Grpc, &process);
    let unknown = domain.sql.query(unknown, &[]).await.unwrap();
    assert_eq!(unknown.len(), 3);
    for row in unknown {
        let charged = client
            .call::<rpc::ProcessPayment>(&charge(row.get(0)))
            .await;
        assert!(charged.ok().success);
    }
    assert_eq!(run(&domain).await, [0, 0, 0]);
}

/// Barred while its charge is on its way, and then everybody dies: no money is taken in the end.
#[tokio::test]
async fn a_refund_that_dies_during_a_charge_that_dies_is_settled() {
    let domain = Domain::new().await;
    for by in [By::Look(Wire::Http2), By::Look(Wire::GrpcWeb), By::Job] {
        let order = Killed::AfterCharge.leave(&domain).await;
        domain.provider(0.0, DOWN, 10_000_000..=10_000_000).await;
        killed(&domain, refund(&order), async || {
            domain.asked(&order, 2).await
        })
        .await;
        assert_eq!(domain.on_record(&order).await.as_deref(), Some("CHARGED"));
        domain.provider(0.0, ALL, 0..=0).await;
        assert_settled(&domain, &order, Killed::AfterRefund, by).await;
    }
}

#[tokio::test]
async fn nobody_waits_for_a_driver_that_lives() {
    let domain = Domain::new().await;
    let process = domain.start_with::<ProcessPayment>(&GATED).await;
    let look = domain.start::<GetPaymentStatus>().await;
    let order = order();
    domain.close_gate().await;
    let (client, request) = (domain.service(Wire::Grpc, &process), charge(&order));
    let charging = tokio::spawn(async move { client.call::<rpc::ProcessPayment>(&request).await });
    domain.asked(&order, 1).await;
    for wire in Wire::ALL {
        let reader = domain.service(wire, &look);
        let seen = reader.call::<rpc::GetPaymentStatus>(&of(&order)).await.ok();
        assert_eq!(seen.status().as_str_name(), "PROCESSING", "{wire:?}");
    }
    assert_eq!(run(&domain).await, [0, 0, 0]);
    domain.assert_attempts(&order, &[("CHARGE", "")]).await;
    domain.open_gate().await;
    assert_eq!(charging.await.unwrap().code, Code::Ok);
}

/// While the provider is down it is asked less and less often, and the one who looks is told what is
/// known.
#[tokio::test]
async fn what_cannot_be_settled_now_is_left_alone_for_longer_each_time() {
    let domain = Domain::new().await;
    let look = domain.start::<GetPaymentStatus>().await;
    let order = Killed::AfterCharge.leave(&domain).await;
    domain.provider(1.0, DOWN, 0..=0).await;
    let reader = domain.service(Wire::Http1, &look);
    for pause_s in [1, 2, 4, 8] {
        let abandon = "UPDATE payments SET attempt_until = NULL, settle_at = NULL";
        domain.sql.execute(abandon, &[]).await.unwrap();
        let before = domain.attempts(&order).await.len();
        match pause_s {
            4 => assert_eq!(run(&domain).await, [0, 1, 0]),
            _ => {
                let seen = reader.call::<rpc::GetPaymentStatus>(&of(&order)).await.ok();
                assert_eq!(seen.status().as_str_name(), "PROCESSING");
            }
        }
        assert_eq!(domain.attempts(&order).await.len(), before + 1);
        let pause =
            "SELECT round(extract(epoch FROM settle_at - updated_at))::integer FROM payments";
        let pause = domain.sql.query_one(pause, &[]).await.unwrap();
        assert_eq!(pause.get::<_, i32>(0), pause_s);
    }
    // It is refunded at once when that is asked for, and a new beginning is not put off.
    domain.provider(0.0, DOWN, 0..=0).await;
    let process = domain.start::<ProcessPayment>().await;
    let client = domain.service(Wire::Grpc, &process);
    let undone = client.call::<rpc::ProcessPayment>(&refund(&order)).await;
    assert!(undone.ok().success);
    let kept = "SELECT settles FROM payments";
    let kept = domain.sql.query_one(kept, &[]).await.unwrap();
    assert_eq!(kept.get::<_, i32>(0), 0);
}

/// As a schedule starts it: a process that exits.
#[tokio::test]
async fn the_job_is_a_process_that_exits() {
    let domain = Domain::new().await;
    let order = Killed::AfterCharge.leave(&domain).await;
    until("its lease has lapsed", async || {
        let lapsed = "SELECT attempt_until <= clock_timestamp() FROM payments";
        domain.sql.query_one(lapsed, &[]).await.unwrap().get(0)
    })
    .await;
    let program = env!("CARGO_BIN_EXE_settle-payments");
    let ended = Process::start(program, domain.env(&[])).ended();
    let ended = tokio::time::timeout(PATIENCE + Duration::from_secs(50), ended);
    let ended = ended.await.expect("the job ends");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(domain.status(&order).await.as_deref(), Some("SUCCESS"));
}

/// A version before left payments that were to be refunded as SUCCESS.
#[tokio::test]
async fn no_payment_is_recorded_as_a_success_that_was_undone() {
    let domain = Domain::new().await;
    let process = domain.start::<ProcessPayment>().await;
    let client = domain.service(Wire::Grpc, &process);
    let order = order();
    client
        .call::<rpc::ProcessPayment>(&charge(&order))
        .await
        .ok();
    let before = "ALTER TABLE payments DROP CONSTRAINT payments_barred_is_no_success;
                  UPDATE payments SET barred = true";
    domain.sql.batch_execute(before).await.unwrap();
    // The first statement of the migration.
    let migration = include_str!("../../../../migrations/payment/0004_settling.sql");
    let (migrate, rest) = migration.split_once(';').unwrap();
    assert!(rest.contains("payments_barred_is_no_success"));
    domain.sql.batch_execute(migrate).await.unwrap();
    assert_eq!(run(&domain).await, [1, 0, 0]);
    assert_eq!(domain.status(&order).await.as_deref(), Some("CANCELLED"));
    assert_eq!(domain.on_record(&order).await.as_deref(), Some("REFUNDED"));
}
