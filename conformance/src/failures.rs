//! Orders that come to nothing.

use zerocart_proto::{
    cart::AddToCartRequest,
    order::OrderStatus,
    payment::{GetPaymentStatusRequest, PaymentStatus, ProviderFailure},
    product::UpdateInventoryRequest,
    rpc,
};

use super::{answer::Failed, order, payments, refusal::Refusal, shop::Shop};

/// An empty cart is not ordered.
pub(super) async fn empty_cart(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    shop.clear_cart(buyer).await?;
    let before = shop.orders(buyer).await?.response()?.total;
    let empty = Refusal::not_now("the cart is empty");
    shop.order(buyer).await?.refused(&empty).end()?;
    shop.orders(buyer)
        .await?
        .is("total", |r| r.total, before)
        .end()
}

/// Without enough stock the order fails, and nothing is kept for it.
pub(super) async fn out_of_stock(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    // Stock is reserved in the order of products: this one is reserved, and then released.
    let plenty = shop.product("Plenty", 100, 10).await?;
    let scarce = shop.product("Scarce", 250, 2).await?;
    let wanted = [(&plenty, 1), (&scarce, 2)];
    shop.fill(buyer, &wanted).await?;
    let one_more = AddToCartRequest {
        user_id: buyer.id.clone(),
        product_id: scarce.id.clone(),
        quantity: 1,
    };
    let answer = shop.ask::<rpc::AddToCart>(buyer, one_more).await?;
    let not_enough = Refusal::not_now("there is not enough of this product in stock");
    answer.refused(&not_enough).end()?;

    let take = |quantity_change| UpdateInventoryRequest {
        product_id: scarce.id.clone(),
        quantity_change,
        ..Default::default()
    };
    shop.ask::<rpc::UpdateInventory>(&shop.admin, take(-1))
        .await?
        .ok()
        .is("inventory", |r| r.new_inventory, 1)
        .end()?;
    shop.ask::<rpc::UpdateInventory>(&shop.admin, take(-2))
        .await?
        .refused(&not_enough)
        .end()?;

    let failed = shop.fail_to_buy(buyer).await?;
    shop.look(buyer, &failed.id, OrderStatus::Failed).await?;
    shop.stock(&plenty, 10).await?;
    shop.stock(&scarce, 1).await?;
    shop.cart(buyer, &wanted).await?;
    let charge = GetPaymentStatusRequest {
        payment_id: failed.id,
    };
    let answer = shop.ask::<rpc::GetPaymentStatus>(buyer, charge).await?;
    answer
        .refused(&Refusal::not_found("there is no such payment"))
        .end()
}

/// A declined payment is an answer: FAILED, stock released, cart kept.
pub(super) async fn declined(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let clock = shop.product("Clock", 12_050, 4).await?;
    let wanted = [(&clock, 3)];
    shop.fill(buyer, &wanted).await?;
    payments::always(shop, ProviderFailure::InsufficientFunds).await?;
    let failed = shop.fail_to_buy(buyer).await?;
    payments::never(shop).await?;
    let failed = shop.look(buyer, &failed.id, OrderStatus::Failed).await?;
    order::repeat(shop, &failed).await?;
    shop.payment(buyer, &failed.id, &failed, PaymentStatus::Failed)
        .await?;
    shop.stock(&clock, 4).await?;
    shop.cart(buyer, &wanted).await?;

    // The same cart can be ordered again.
    let paid = shop.buy(buyer, &wanted).await?;
    shop.payment(buyer, &paid.id, &paid, PaymentStatus::Success)
        .await?;
    shop.stock(&clock, 1).await?;
    shop.cart(buyer, &[]).await
}
