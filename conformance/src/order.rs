//! Orders that are paid.

use zerocart_proto::{
    cart::{RemoveFromCartRequest, UpdateCartItemRequest},
    order::{
        CancelOrderRequest, GetOrderRequest, GetOrderTimelineRequest, Order, OrderStatus,
        OrderTimelineResponse, UpdateOrderStatusRequest,
    },
    payment::{PaymentStatus, ProcessPaymentRequest},
    product::ListProductsRequest,
    rpc,
    user::GetUserRequest,
};

use super::{
    answer::Failed,
    refusal::Refusal,
    shop::{Shop, Who},
    steps::{self, cart, has, status},
};

/// From sign-up to a delivered order.
pub(super) async fn order(shop: &Shop) -> Result<(), Failed> {
    let grace = shop.newcomer("Grace").await?;
    let me = GetUserRequest {
        id: grace.id.clone(),
    };
    shop.ask::<rpc::GetUser>(&grace, me)
        .await?
        .ok()
        .holds("that account", |r| {
            r.user.as_ref().is_some_and(|user| user.id == grace.id)
        })
        .end()?;

    let tea = shop.product("Tea", 475, 10).await?;
    let pot = shop.product("Teapot", 3990, 5).await?;
    let list = ListProductsRequest {
        limit: 100,
        ..Default::default()
    };
    shop.ask::<rpc::ListProducts>(&Who::nobody(), list)
        .await?
        .ok()
        .holds("both products", |r| {
            [&tea, &pot]
                .iter()
                .all(|p| r.products.iter().any(|q| q.id == p.id))
        })
        .end()?;

    shop.cart(&grace, &[]).await?;
    shop.add(&grace, (&tea, 2), &[(&tea, 2)]).await?;
    shop.add(&grace, (&pot, 5), &[(&tea, 2), (&pot, 5)]).await?;
    shop.add(&grace, (&tea, 1), &[(&tea, 3), (&pot, 5)]).await?;
    let fewer = UpdateCartItemRequest {
        user_id: grace.id.clone(),
        product_id: pot.id.clone(),
        new_quantity: 3,
    };
    let answer = shop.ask::<rpc::UpdateCartItem>(&grace, fewer).await?.ok();
    has(answer, cart, &[(&tea, 3), (&pot, 3)]).end()?;
    let without = RemoveFromCartRequest {
        user_id: grace.id.clone(),
        product_id: pot.id.clone(),
    };
    let answer = shop
        .ask::<rpc::RemoveFromCart>(&grace, without.clone())
        .await?
        .ok();
    has(answer, cart, &[(&tea, 3)]).end()?;
    let again = shop.ask::<rpc::RemoveFromCart>(&grace, without).await?;
    let gone = Refusal::not_found("this product is not in the cart");
    again.refused(&gone).end()?;
    let bought = [(&tea, 3), (&pot, 2)];
    shop.add(&grace, (&pot, 2), &bought).await?;
    shop.cart(&grace, &bought).await?;

    let paid = shop.buy(&grace, &bought).await?;
    shop.stock(&tea, 7).await?;
    shop.stock(&pot, 3).await?;
    shop.cart(&grace, &[]).await?;
    let list = shop.orders(&grace).await?;
    list.is("total", |r| r.total, 1)
        .same("that order", |r| r.orders.clone(), &vec![paid.clone()])
        .end()?;
    let read = GetOrderRequest {
        id: paid.id.clone(),
    };
    let read = shop.ask::<rpc::GetOrder>(&grace, read).await?.ok();
    read.same("that order", steps::order, &paid).end()?;
    for id in [&paid.payment_id, &paid.id] {
        shop.payment(&grace, id, &paid, PaymentStatus::Success)
            .await?;
    }

    refuse(
        shop,
        (&paid.id, OrderStatus::Paid),
        &[OrderStatus::Delivered, OrderStatus::Pending],
    )
    .await?;
    repeat(shop, &paid).await?;
    refuse_refund(shop, &paid).await?;
    let shipped = move_to(shop, &paid.id, OrderStatus::Shipped).await?;
    repeat(shop, &shipped).await?;
    refuse_refund(shop, &paid).await?;
    refuse(
        shop,
        (&paid.id, OrderStatus::Shipped),
        &[OrderStatus::Cancelled, OrderStatus::Paid],
    )
    .await?;
    let delivered = move_to(shop, &paid.id, OrderStatus::Delivered).await?;
    repeat(shop, &delivered).await?;
    refuse(
        shop,
        (&paid.id, OrderStatus::Delivered),
        &[OrderStatus::Shipped, OrderStatus::Cancelled],
    )
    .await?;
    shop.look(&grace, &paid.id, OrderStatus::Delivered).await?;
    Ok(())
}

/// A customer cancels a paid order: it is refunded and restocked. One that is shipped is not cancelled any more.
pub(super) async fn cancel_own(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let vase = shop.product("Vase", 2450, 4).await?;
    let bought = [(&vase, 3)];
    shop.fill(buyer, &bought).await?;
    let paid = shop.buy(buyer, &bought).await?;
    shop.stock(&vase, 1).await?;
    timeline(shop, &paid, &["placed", "stock reserved", "paid"]).await?;
    let cancel = |id: &str| CancelOrderRequest { id: id.to_owned() };
    let first = shop
        .ask::<rpc::CancelOrder>(buyer, cancel(&paid.id))
        .await?;
    let first = first
        .ok()
        .is("status", |r| status(&steps::order(r)), "CANCELLED")
        .is(
            "reason",
            |r| steps::order(r).reason,
            "cancelled by the customer".to_owned(),
        )
        .response()?;
    let cancelled = steps::order(&first);
    shop.stock(&vase, 4).await?;
    for id in [&paid.payment_id, &paid.id] {
        shop.payment(buyer, id, &paid, PaymentStatus::Cancelled)
            .await?;
    }
    // Again it changes nothing: without a key, under a key, and by an admin.
    let key = shop.key("cancelled again");
    for answer in [
        shop.ask::<rpc::CancelOrder>(buyer, cancel(&paid.id))
            .await?,
        shop.ask_under::<rpc::CancelOrder>(buyer, &key, cancel(&paid.id.to_uppercase()))
            .await?,
        shop.ask::<rpc::CancelOrder>(&shop.admin, cancel(&paid.id))
            .await?,
    ] {
        let answer = answer.about("again").ok();
        answer.same("that order", steps::order, &cancelled).end()?;
    }
    shop.stock(&vase, 4).await?;
    let events = [
        "placed",
        "stock reserved",
        "paid",
        "refunded",
        "stock returned",
        "cancelled",
    ];
    timeline(shop, &cancelled, &events).await?;

    shop.fill(buyer, &bought).await?;
    let paid = shop.buy(buyer, &bought).await?;
    for to in [OrderStatus::Shipped, OrderStatus::Delivered] {
        let moved = move_to(shop, &paid.id, to).await?;
        let now = status(&moved);
        let late = Refusal::not_now(format!("an order that is {now} cannot become CANCELLED"));
        for who in [buyer, &shop.admin] {
            let answer = shop.ask::<rpc::CancelOrder>(who, cancel(&paid.id)).await?;
            answer.refused(&late).end()?;
        }
    }
    let events = ["placed", "stock reserved", "paid", "shipped", "delivered"];
    let delivered = shop.look(buyer, &paid.id, OrderStatus::Delivered).await?;
    timeline(shop, &delivered, &events).await?;
    shop.stock(&vase, 1).await
}

/// The owner sees these events of an order. An admin also sees its steps.
async fn timeline(shop: &Shop, order: &Order, events: &[&str]) -> Result<(), Failed> {
    let names = |r: &OrderTimelineResponse| {
        let events = r.events.iter().map(|event| event.event.clone());
        events.collect::<Vec<_>>().join(", ")
    };
    for (who, is_admin) in [(&shop.buyer, false), (&shop.admin, true)] {
        let id = order.id.to_uppercase();
        let request = GetOrderTimelineRequest { id };
        let answer = shop.ask::<rpc::GetOrderTimeline>(who, request).await?.ok();
        answer
            .is("events", names, events.join(", "))
            .same("that order", |r| r.order.clone().unwrap_or_default(), order)
            .holds("a time for each", |r| {
                r.events.iter().all(|event| !event.at.is_empty())
            })
            .is("steps", |r| !r.steps.is_empty(), is_admin)
            .holds("an end of each step", |r| {
                r.steps.iter().all(|step| !step.ended_at.is_empty())
            })
            .is("driving", |r| r.driving.is_some(), false)
            .end()?;
    }
    Ok(())
}

/// A paid order is cancelled: refunded and restocked.
pub(super) async fn cancel(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let lamp = shop.product("Lamp", 1999, 5).await?;
    let bought = [(&lamp, 2)];
    shop.fill(buyer, &bought).await?;
    let paid = shop.buy(buyer, &bought).await?;
    shop.stock(&lamp, 3).await?;
    let cancelled = move_to(shop, &paid.id, OrderStatus::Cancelled).await?;
    repeat(shop, &cancelled).await?;
    shop.stock(&lamp, 5).await?;
    for id in [&paid.payment_id, &paid.id] {
        shop.payment(buyer, id, &paid, PaymentStatus::Cancelled)
            .await?;
    }
    shop.look(buyer, &paid.id, OrderStatus::Cancelled).await?;
    shop.cart(buyer, &[]).await?;
    refuse(
        shop,
        (&paid.id, OrderStatus::Cancelled),
        &[OrderStatus::Shipped],
    )
    .await?;
    shop.stock(&lamp, 5).await
}

async fn move_to(shop: &Shop, id: &str, to: OrderStatus) -> Result<Order, Failed> {
    let answer = shop.move_on(&shop.admin, id, to).await?.ok();
    let moved = answer
        .is("status", |r| status(&steps::order(r)), to.as_str_name())
        .response()?;
    Ok(steps::order(&moved))
}

/// The status that an order has is asked for again, without a key and under a new one: nothing
/// changes, its time neither.
pub(super) async fn repeat(shop: &Shop, order: &Order) -> Result<(), Failed> {
    let admin = &shop.admin;
    let request = UpdateOrderStatusRequest {
        order_id: order.id.clone(),
        status: order.status,
    };
    let key = shop.key(&format!("again {}", status(order)));
    for answer in [
        shop.ask::<rpc::UpdateOrderStatus>(admin, request.clone())
            .await?,
        shop.ask_under::<rpc::UpdateOrderStatus>(admin, &key, request)
            .await?,
    ] {
        let answer = answer.about(&format!("{} again", status(order)));
        answer.ok().same("that order", steps::order, order).end()?;
    }
    Ok(())
}

/// The payment of an order is not refunded without the order.
async fn refuse_refund(shop: &Shop, order: &Order) -> Result<(), Failed> {
    let refund = ProcessPaymentRequest {
        order_id: order.id.clone(),
        user_id: order.user_id.clone(),
        refund: true,
        ..Default::default()
    };
    let way = format!("(PATCH /orders/{}/status, CANCELLED)", order.id);
    let says = "an order is paid with this payment: cancel the order, which refunds it";
    let refusal = Refusal::not_now(format!("{says} {way}"));
    let answer = shop.ask::<rpc::ProcessPayment>(&shop.admin, refund).await?;
    answer.about("refund").refused(&refusal).end()?;
    shop.payment(&shop.admin, &order.id, order, PaymentStatus::Success)
        .await
}

async fn refuse(
    shop: &Shop,
    (id, now): (&str, OrderStatus),
    to: &[OrderStatus],
) -> Result<(), Failed> {
    for to in to {
        let (now, then) = (now.as_str_name(), to.as_str_name());
        let illegal = Refusal::not_now(format!("an order that is {now} cannot become {then}"));
        let answer = shop.move_on(&shop.admin, id, *to).await?;
        answer.refused(&illegal).end()?;
    }
    Ok(())
}
