//! A refund that meets a charge under way.

use std::time::Duration;

use uuid::Uuid;
use zerocart_proto::{
    payment::{GetPaymentStatusRequest, PaymentStatus, ProcessPaymentRequest},
    rpc,
};

use super::{
    answer::{Answer, Failed},
    payments,
    refusal::Refusal,
    shop::Shop,
};

/// How long the charge takes.
const CHARGE_MS: i32 = 800;

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A refund during a charge ends in no money taken, and all that is said agrees.
///
/// An engine may also make one of them wait for the other, as a function with one instance does.
pub(super) async fn undo(shop: &Shop) -> Result<(), Failed> {
    let undone =
        Refusal::not_now("the payment of this order was undone; it cannot be charged any more");
    payments::takes(shop, CHARGE_MS).await?;
    let order_id = Uuid::now_v7().to_string();
    let refunding = async {
        until_charging(shop, &order_id).await?;
        pay(shop, &order_id, true).await
    };
    let (charged, refunded) = tokio::join!(pay(shop, &order_id, false), refunding);
    payments::takes(shop, 0).await?;

    let refunded = refunded?.raced().ok().is("success", |r| r.success, true);
    let refunded = refunded.response()?.status();
    let charged = charged?.raced();
    let first = charged.outcome().response.is_some();
    match first {
        true => charged.ok().is("success", |r| r.success, true).end()?,
        false => charged.refused(&undone).end()?,
    }
    let ends: &[_] = match first {
        true => &[PaymentStatus::Cancelled],
        false => &[PaymentStatus::Cancelled, PaymentStatus::Failed],
    };
    look(shop, &order_id)
        .await?
        .raced()
        .ok()
        .holds("no charge that stands", |r| ends.contains(&r.status()))
        .is("status", |r| r.status(), refunded)
        .end()?;
    pay(shop, &order_id, false).await?.refused(&undone).end()?;
    pay(shop, &order_id, true)
        .await?
        .raced()
        .ok()
        .is("status", |r| r.status(), refunded)
        .end()
}

async fn pay<'a>(
    shop: &'a Shop,
    order_id: &str,
    refund: bool,
) -> Result<Answer<'a, rpc::ProcessPayment>, Failed> {
    let request = ProcessPaymentRequest {
        order_id: order_id.to_owned(),
        user_id: shop.buyer.id.clone(),
        amount: 5.0,
        refund,
        ..Default::default()
    };
    let answer = shop
        .ask::<rpc::ProcessPayment>(&shop.admin, request)
        .await?;
    Ok(answer.about(if refund { "refund" } else { "charge" }))
}

async fn look<'a>(
    shop: &'a Shop,
    order_id: &str,
) -> Result<Answer<'a, rpc::GetPaymentStatus>, Failed> {
    let request = GetPaymentStatusRequest {
        payment_id: order_id.to_owned(),
    };
    shop.ask::<rpc::GetPaymentStatus>(&shop.admin, request)
        .await
}

/// Looks until the charge is under way, or has been.
async fn until_charging(shop: &Shop, order_id: &str) -> Result<(), Failed> {
    while look(shop, order_id).await?.outcome().response.is_none() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
