//! The same request again.

use zerocart_proto::{order::OrderStatus, payment::PaymentStatus, rpc};

use super::{
    answer::Failed,
    refusal::Refusal,
    shop::Shop,
    steps::{order, status, to_order},
};

/// A repeated order under one key is one order with one answer.
pub(super) async fn retry(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let before = shop.orders(buyer).await?.response()?.total;
    let vase = shop.product("Vase", 2499, 6).await?;
    shop.fill(buyer, &[(&vase, 2)]).await?;
    let key = shop.key("order");
    let place = || shop.ask_under::<rpc::CreateOrder>(buyer, &key, to_order(buyer));
    let first = place().await?.ok();
    let first = first
        .is("status", |r| status(&order(r)), "PAID")
        .response()?;
    // Something is in the cart again, which the repeated request must not order.
    shop.add(buyer, (&vase, 1), &[(&vase, 1)]).await?;
    for _ in 0..2 {
        let again = place().await?.ok();
        again.same("the same answer", Clone::clone, &first).end()?;
    }
    let paid = order(&first);
    shop.orders(buyer)
        .await?
        .is("total", |r| r.total, before + 1)
        .end()?;
    shop.stock(&vase, 4).await?;
    shop.cart(buyer, &[(&vase, 1)]).await?;
    shop.payment(buyer, &paid.id, &paid, PaymentStatus::Success)
        .await?;

    let mut other = to_order(buyer);
    other.payment_method = "invoice".into();
    let other = shop
        .ask_under::<rpc::CreateOrder>(buyer, &key, other)
        .await?;
    other.refused(&Refusal::key_reused()).end()?;
    shop.orders(buyer)
        .await?
        .is("total", |r| r.total, before + 1)
        .end()?;

    // The answer to making an order stays, even if the order changes.
    let shipped = shop
        .move_on(&shop.admin, &paid.id, OrderStatus::Shipped)
        .await?
        .ok();
    shipped
        .is("status", |r| status(&order(r)), "SHIPPED")
        .end()?;
    let again = place().await?.ok();
    again.same("the same answer", Clone::clone, &first).end()
}
