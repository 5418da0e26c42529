//! What belongs to another.

use zerocart_proto::{
    cart::{AddToCartRequest, GetCartRequest},
    order::{
        CancelOrderRequest, GetOrderRequest, GetOrderTimelineRequest, ListOrdersRequest,
        ListUserOrdersRequest, OrderStatus,
    },
    payment::{GetPaymentStatusRequest, ProcessPaymentRequest, SetFailureRateRequest},
    product::UpdateInventoryRequest,
    rpc,
    user::GetUserRequest,
};

use super::{
    answer::Failed,
    edge::BadToken,
    refusal::Refusal,
    shop::{Shop, Who},
    steps::to_order,
    tokens,
};

/// Nobody sees or touches what belongs to another.
pub(super) async fn access(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let mug = shop.product("Mug", 850, 3).await?;
    shop.fill(buyer, &[(&mug, 1)]).await?;
    let paid = shop.buy(buyer, &[(&mug, 1)]).await?;

    let others = [
        (Who::nobody(), shop.edge().refuses(BadToken::Missing)),
        (tokens::forger(), shop.edge().refuses(BadToken::Unsigned)),
        (shop.stranger.clone(), Refusal::denied()),
    ];
    for (who, refusal) in &others {
        macro_rules! refused {
            ($rpc:ty, $request:expr) => {
                shop.ask::<$rpc>(who, $request)
                    .await?
                    .refused(refusal)
                    .end()?
            };
        }
        let user_id = buyer.id.clone();
        let id = user_id.clone();
        refused!(rpc::GetUser, GetUserRequest { id });
        let cart = GetCartRequest {
            user_id: user_id.clone(),
        };
        refused!(rpc::GetCart, cart);
        let add = AddToCartRequest {
            user_id: user_id.clone(),
            product_id: mug.id.clone(),
            quantity: 1,
        };
        refused!(rpc::AddToCart, add);
        refused!(rpc::CreateOrder, to_order(buyer));
        let id = paid.id.clone();
        refused!(rpc::GetOrder, GetOrderRequest { id });
        let list = ListUserOrdersRequest {
            user_id: user_id.clone(),
            ..Default::default()
        };
        refused!(rpc::ListUserOrders, list);
        let id = paid.id.clone();
        refused!(rpc::GetOrderTimeline, GetOrderTimelineRequest { id });
        let id = paid.id.clone();
        refused!(rpc::CancelOrder, CancelOrderRequest { id });
        // Whose orders it lists is a filter.
        for user_id in [String::new(), who.id.clone()] {
            let list = ListOrdersRequest {
                user_id,
                ..Default::default()
            };
            refused!(rpc::ListOrders, list);
        }
        let payment = GetPaymentStatusRequest {
            payment_id: paid.payment_id.clone(),
        };
        refused!(rpc::GetPaymentStatus, payment);
        let charge = ProcessPaymentRequest {
            order_id: paid.id.clone(),
            user_id,
            refund: true,
            ..Default::default()
        };
        refused!(rpc::ProcessPayment, charge);
        let take = UpdateInventoryRequest {
            product_id: mug.id.clone(),
            quantity_change: -1,
            ..Default::default()
        };
        refused!(rpc::UpdateInventory, take);
        let rate = SetFailureRateRequest {
            failure_rate: 1.0,
            ..Default::default()
        };
        refused!(rpc::SetFailureRate, rate);
        let shipped = shop.move_on(who, &paid.id, OrderStatus::Shipped).await?;
        shipped.refused(refusal).end()?;
    }

    // Only that user orders; an admin may look.
    let for_another = shop.order_for(&shop.admin, buyer).await?;
    for_another.refused(&Refusal::denied()).end()?;
    shop.look(&shop.admin, &paid.id, OrderStatus::Paid).await?;
    shop.look(buyer, &paid.id, OrderStatus::Paid).await?;
    shop.stock(&mug, 2).await
}
