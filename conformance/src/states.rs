//! What is refused because of how things are, and what is answered in the corners.

use std::future::ready;

use uuid::Uuid;
use zerocart_proto::{
    cart::{
        AddToCartRequest, BoughtItem, ClearCartRequest, GetCartRequest, RemoveFromCartRequest,
        UpdateCartItemRequest,
    },
    order::{
        CancelOrderRequest, GetOrderRequest, GetOrderTimelineRequest, ListOrdersRequest,
        ListUserOrdersRequest, Order, OrderStatus,
    },
    payment::{
        GetPaymentStatusRequest, PaymentStatus, ProcessPaymentRequest, ProviderFailure,
        SetFailureRateRequest, SetFailureRateResponse,
    },
    product::{
        ArchiveProductRequest, GetProductRequest, ListProductsRequest, ListProductsResponse,
        ProductSort, UpdateInventoryRequest, UpdateProductRequest,
    },
    rpc,
};

use tonic::Code;

use super::{
    answer::{Answer, Failed},
    keys::twice,
    payments,
    refusal::Refusal,
    shop::{Shop, Who},
    steps::cart,
};

/// The id of nothing.
fn unknown() -> String {
    Uuid::now_v7().to_string()
}

/// Pages of products, stock that is taken and given back, products that are not there.
pub(super) async fn catalogue(shop: &Shop) -> Result<(), Failed> {
    let (nobody, admin) = (Who::nobody(), &shop.admin);
    let none = Refusal::not_found("there is no such product");
    let not_enough = Refusal::not_now("there is not enough of this product in stock");
    let read = shop.ask::<rpc::GetProduct>(&nobody, GetProductRequest { id: unknown() });
    read.await?.refused(&none).end()?;

    let spoon = shop.product("Spoon", 199, 10).await?;
    let change = |product_id: &str, quantity_change, reservation_id: &str| {
        let request = UpdateInventoryRequest {
            product_id: product_id.to_owned(),
            quantity_change,
            reservation_id: reservation_id.to_owned(),
            ..Default::default()
        };
        shop.ask::<rpc::UpdateInventory>(admin, request)
    };
    change(&unknown(), 1, "").await?.refused(&none).end()?;
    let much = change(&spoon.id, -11, "").await?;
    much.refused(&not_enough).end()?;
    shop.stock(&spoon, 10).await?;

    // A reservation is made once and released once, and then barred.
    let reservation = unknown();
    for _ in 0..2 {
        let made = change(&spoon.id, -3, &reservation).await?.ok();
        made.is("inventory", |r| r.new_inventory, 7).end()?;
    }
    let another = "quantity_change is not that of the reservation, which is of 3 units";
    let other = change(&spoon.id, -4, &reservation).await?;
    other.refused(&Refusal::not_now(another)).end()?;
    for _ in 0..2 {
        let released = change(&spoon.id, 3, &reservation).await?.ok();
        released.is("inventory", |r| r.new_inventory, 10).end()?;
    }
    let barred = "this reservation was released, and cannot be made any more";
    let late = change(&spoon.id, -3, &reservation).await?;
    late.refused(&Refusal::not_now(barred)).end()?;

    product_changes(shop).await?;
    archive(shop).await?;
    search(shop).await?;
    let sand = shop.product("Sand", 1, 1_000_000_000).await?;
    change(&sand.id, 1_000_000_000, "").await?.ok().end()?;
    let full = "the stock of this product would be too large to count";
    let more = change(&sand.id, 1_000_000_000, "").await?;
    more.refused(&Refusal::not_now(full)).end()?;

    let list = |limit, offset, page_token: &str| {
        let request = ListProductsRequest {
            limit,
            offset,
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        shop.ask::<rpc::ListProducts>(&nobody, request)
    };
    let first = list(1, 0, "").await?.ok();
    let first = first
        .is("products", |r| r.products.len(), 1)
        .holds("more than a page", |r| r.total > 1)
        .response()?;
    let next = list(1, 0, &first.next_page_token).await?.ok();
    let next = next.is("products", |r| r.products.len(), 1);
    next.holds("others", |r| r.products != first.products)
        .end()?;
    let both = Refusal::field("offset", "cannot be given with page_token");
    let answer = list(1, 1, &first.next_page_token).await?;
    answer.refused(&both).end()?;
    let no_token = Refusal::field("page_token", "is not a page token of this list");
    list(1, 0, "nonsense").await?.refused(&no_token).end()?;
    // Several mistakes are told at once.
    let both =
        Refusal::field("limit", "must be at most 100").and_field("offset", "must be at least 0");
    list(101, -1, "").await?.refused(&both).end()
}

/// Products are found by their words, in each order.
async fn search(shop: &Shop) -> Result<(), Failed> {
    let nobody = Who::nobody();
    // A word of this run alone. Without its last letter it is still known as such.
    let word = format!("{}s", shop.key("ladle"));
    let mut made = Vec::new();
    for (name, cents) in [("Small", 300), ("Large", 500), ("Middle", 300)] {
        made.push(shop.product(&format!("{name} {word}"), cents, 1).await?.id);
    }
    let list = |search: &str, sort: ProductSort, page_token: &str| {
        let request = ListProductsRequest {
            limit: 2,
            search: search.to_owned(),
            sort: sort.into(),
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        shop.ask::<rpc::ListProducts>(&nobody, request)
    };
    let no_token = Refusal::field("page_token", "is not a page token of this list");
    for (sort, order) in [
        (ProductSort::Unspecified, [2, 1, 0]),
        (ProductSort::Newest, [2, 1, 0]),
        (ProductSort::PriceAscending, [0, 2, 1]),
        (ProductSort::PriceDescending, [1, 2, 0]),
        (ProductSort::Name, [1, 2, 0]),
    ] {
        let expected = order.map(|n: usize| made[n].clone());
        let ids = |r: &ListProductsResponse| -> Vec<_> {
            r.products
                .iter()
                .map(|product| product.id.clone())
                .collect()
        };
        let first = list(&word.to_uppercase(), sort, "").await?.ok();
        let first = first
            .same("in order", ids, &expected[..2].to_vec())
            .is("total", |r| (r.total, r.total_is_lower_bound), (3, false))
            .response()?;
        // The last word may go on.
        let token = &first.next_page_token;
        let begun = word.get(..word.len() - 1).unwrap_or_default();
        list(begun, sort, token).await?.refused(&no_token).end()?;
        let next = list(&word.to_uppercase(), sort, token).await?.ok();
        next.same("the last", ids, &expected[2..].to_vec())
            .is("more", |r| r.next_page_token.clone(), String::new())
            .end()?;
        let begun = list(&format!("small {begun}"), sort, "").await?.ok();
        begun.same("one", ids, &vec![made[0].clone()]).end()?;
    }
    let none = list(&format!("{word} tiny"), ProductSort::Name, "")
        .await?
        .ok();
    none.is("products", |r| r.products.len(), 0)
        .is("total", |r| r.total, 0)
        .end()?;
    let no_word = Refusal::field("search", "must have a letter or a digit");
    list("?!", ProductSort::Name, "")
        .await?
        .refused(&no_word)
        .end()?;
    let with_offset = ListProductsRequest {
        offset: 1,
        search: word,
        ..Default::default()
    };
    let says = "cannot be given with search or sort; use page_token instead";
    let refused = shop.ask::<rpc::ListProducts>(&nobody, with_offset);
    refused
        .await?
        .refused(&Refusal::field("offset", says))
        .end()
}

/// A product is changed, once under a key: what is absent stays as it is.
async fn product_changes(shop: &Shop) -> Result<(), Failed> {
    let fork = shop.product("Fork", 250, 4).await?;
    let request = UpdateProductRequest {
        id: fork.id.clone(),
        name: Some(shop.unique("Fork of silver")),
        price: Some(2.75),
        ..Default::default()
    };
    let dearer = UpdateProductRequest {
        price: Some(3.0),
        ..request.clone()
    };
    let changed =
        twice::<rpc::UpdateProduct>(shop, &shop.admin, (request, dearer), ready(Ok(()))).await?;
    let product = changed.product.unwrap_or_default();
    let nobody = Who::nobody();
    let read = GetProductRequest { id: fork.id };
    let read = shop.ask::<rpc::GetProduct>(&nobody, read).await?.ok();
    read.is(
        "price",
        |r| r.product.clone().unwrap_or_default().price,
        2.75,
    )
    .is(
        "inventory",
        |r| r.product.clone().unwrap_or_default().inventory,
        4,
    )
    .same("as it was answered", |r| r.product.clone(), &Some(product))
    .end()?;
    let unknown = UpdateProductRequest {
        id: unknown(),
        ..Default::default()
    };
    let none = Refusal::not_found("there is no such product");
    let answer = shop.ask::<rpc::UpdateProduct>(&shop.admin, unknown).await?;
    answer.refused(&none).end()
}

/// A product that is archived cannot be bought by anyone, is read by admins alone, and stays in orders.
async fn archive(shop: &Shop) -> Result<(), Failed> {
    let (buyer, admin, nobody) = (&shop.buyer, &shop.admin, Who::nobody());
    let kettle = shop.product("Kettle", 4000, 5).await?;
    shop.fill(buyer, &[(&kettle, 1)]).await?;
    let bought = shop.buy(buyer, &[(&kettle, 1)]).await?;
    shop.fill(buyer, &[(&kettle, 2)]).await?;

    let request = |id: &str| ArchiveProductRequest { id: id.to_owned() };
    let requests = (request(&kettle.id), request(&unknown()));
    let archived = twice::<rpc::ArchiveProduct>(shop, admin, requests, ready(Ok(()))).await?;
    let product = archived.product.unwrap_or_default();
    let none = Refusal::not_found("there is no such product");
    let read = || GetProductRequest {
        id: kettle.id.clone(),
    };
    for who in [&nobody, buyer] {
        let answer = shop.ask::<rpc::GetProduct>(who, read()).await?;
        answer.refused(&none).end()?;
    }
    let answer = shop.ask::<rpc::GetProduct>(admin, read()).await?.ok();
    answer
        .holds("when it was archived", |r| {
            r.product.clone().unwrap_or_default().archived_at.is_some()
        })
        .same("as it was answered", |r| r.product.clone(), &Some(product))
        .end()?;

    for (who, cart) in [(buyer, buyer), (admin, buyer)] {
        let request = AddToCartRequest {
            user_id: cart.id.clone(),
            product_id: kettle.id.clone(),
            quantity: 1,
        };
        let answer = shop.ask::<rpc::AddToCart>(who, request).await?;
        answer.refused(&none).end()?;
    }
    // It was in the cart before.
    let failed = shop.fail_to_buy(buyer).await?;
    shop.look(buyer, &failed.id, OrderStatus::Failed).await?;
    shop.clear_cart(buyer).await?;
    shop.look(buyer, &bought.id, OrderStatus::Paid).await?;
    let answer = shop.ask::<rpc::ArchiveProduct>(admin, request(&unknown()));
    answer.await?.refused(&none).end()
}

/// Lines that are set, removed and not there, more than is in stock.
pub(super) async fn carts(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let user_id = || buyer.id.clone();
    // A cart that never had a line is empty, and was never changed.
    let read = GetCartRequest { user_id: unknown() };
    let read = shop.ask::<rpc::GetCart>(&shop.admin, read).await?.ok();
    read.is("lines", |r| cart(r).items.len(), 0)
        .is("updated_at", |r| cart(r).updated_at, String::new())
        .end()?;

    let add = |product_id: &str, quantity| {
        let request = AddToCartRequest {
            user_id: user_id(),
            product_id: product_id.to_owned(),
            quantity,
        };
        shop.ask::<rpc::AddToCart>(buyer, request)
    };
    let none = Refusal::not_found("there is no such product");
    add(&unknown(), 1).await?.refused(&none).end()?;
    let fork = shop.product("Fork", 275, 3).await?;
    shop.fill(buyer, &[(&fork, 2)]).await?;
    let not_enough = Refusal::not_now("there is not enough of this product in stock");
    add(&fork.id, 2).await?.refused(&not_enough).end()?;
    let rice = shop.product("Rice", 1, 20_000).await?;
    let all = [(&fork, 2), (&rice, 10_000)];
    shop.add(buyer, (&rice, 10_000), &all).await?;
    let most = Refusal::not_now("a cart holds at most 10,000 units of one product");
    add(&rice.id, 1).await?.refused(&most).end()?;
    shop.cart(buyer, &all).await?;

    let set = |product_id: &str, new_quantity| {
        let request = UpdateCartItemRequest {
            user_id: user_id(),
            product_id: product_id.to_owned(),
            new_quantity,
        };
        shop.ask::<rpc::UpdateCartItem>(buyer, request)
    };
    let no_line = Refusal::not_found("this product is not in the cart");
    set(&unknown(), 1).await?.refused(&none).end()?;
    set(&unknown(), 0).await?.refused(&no_line).end()?;
    // As many as there are and no more, whether they are added or set.
    set(&fork.id, 4).await?.refused(&not_enough).end()?;
    shop.cart(buyer, &all).await?;
    set(&fork.id, 3).await?.ok().end()?;
    set(&fork.id, 2).await?.ok().end()?;
    set(&rice.id, 0).await?.ok().end()?;
    for quantity in [-1, 1] {
        set(&rice.id, quantity).await?.refused(&no_line).end()?;
    }
    let remove = RemoveFromCartRequest {
        user_id: user_id(),
        product_id: rice.id.clone(),
    };
    let removed = shop.ask::<rpc::RemoveFromCart>(buyer, remove).await?;
    removed.refused(&no_line).end()?;
    shop.cart(buyer, &[(&fork, 2)]).await?;

    let clear = |order_id: &str, bought| {
        let request = ClearCartRequest {
            user_id: user_id(),
            order_id: order_id.to_owned(),
            bought,
        };
        shop.ask::<rpc::ClearCart>(buyer, request)
    };
    let order_id = unknown();
    let nothing = Refusal::field("bought", "is required with order_id");
    clear(&order_id, Vec::new())
        .await?
        .refused(&nothing)
        .end()?;
    // A query holds no list: over REST nobody can say what was bought.
    if !shop.is_rest() {
        let bought = |quantity| {
            vec![BoughtItem {
                product_id: fork.id.clone(),
                quantity,
            }]
        };
        let no_order = Refusal::field("order_id", "is required with bought");
        clear("", bought(1)).await?.refused(&no_order).end()?;
        for _ in 0..2 {
            // Taken away once for one order.
            clear(&order_id, bought(1)).await?.ok().end()?;
            shop.cart(buyer, &[(&fork, 1)]).await?;
        }
    }
    shop.clear_cart(buyer).await
}

/// Orders and pages of them that are not there, orders that cannot be moved on.
pub(super) async fn orders(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let none = Refusal::not_found("there is no such order");
    for who in [buyer, &shop.admin] {
        let read = shop.ask::<rpc::GetOrder>(who, GetOrderRequest { id: unknown() });
        read.await?.refused(&none).end()?;
        let id = unknown();
        let read = shop.ask::<rpc::GetOrderTimeline>(who, GetOrderTimelineRequest { id });
        read.await?.refused(&none).end()?;
        let id = unknown();
        let cancel = shop.ask::<rpc::CancelOrder>(who, CancelOrderRequest { id });
        cancel.await?.refused(&none).end()?;
    }
    for to in [
        OrderStatus::Pending,
        OrderStatus::Processing,
        OrderStatus::Paid,
        OrderStatus::Shipped,
        OrderStatus::Delivered,
        OrderStatus::Cancelled,
        OrderStatus::Failed,
    ] {
        let moved = shop.move_on(&shop.admin, &unknown(), to).await?;
        moved.refused(&none).end()?;
    }
    let knife = shop.product("Knife", 1450, 9).await?;
    let mut made = Vec::new();
    for _ in 0..2 {
        shop.fill(buyer, &[(&knife, 1)]).await?;
        made.push(shop.buy(buyer, &[(&knife, 1)]).await?);
    }
    let mut page_tokens = vec![String::new()];
    for (order, n) in made.iter().rev().zip(0..) {
        let page = order_page(shop, buyer, &page_tokens[n]).await?.ok();
        let page = page.same("newest first", |r| r.orders.clone(), &vec![order.clone()]);
        page_tokens.push(page.response()?.next_page_token);
    }
    // A page of one customer's list is none of another's.
    let page_token = page_tokens[1].as_str();
    let no_token = Refusal::field("page_token", "is not a page token of this list");
    let theirs = order_page(shop, &shop.stranger, page_token).await?;
    theirs.refused(&no_token).end()?;
    for bad in ["nonsense", &unknown(), page_token.get(1..).unwrap_or("")] {
        order_page(shop, buyer, bad)
            .await?
            .refused(&no_token)
            .end()?;
    }
    of_all(shop, &made).await?;
    for to in [
        OrderStatus::Pending,
        OrderStatus::Processing,
        OrderStatus::Failed,
    ] {
        let says = format!("an order that is PAID cannot become {}", to.as_str_name());
        let moved = shop.move_on(&shop.admin, &made[0].id, to).await?;
        moved.refused(&Refusal::not_now(says)).end()?;
    }
    Ok(())
}

/// The admin lists orders of all users: those of the buyer, of whom the two newest are `made`.
async fn of_all(shop: &Shop, made: &[Order]) -> Result<(), Failed> {
    let list = async |request| shop.ask::<rpc::ListOrders>(&shop.admin, request).await;
    let of_buyer = |page_token: String| ListOrdersRequest {
        user_id: shop.buyer.id.clone(),
        status: OrderStatus::Paid.into(),
        limit: 1,
        page_token,
        ..Default::default()
    };
    let mut page_token = String::new();
    for order in made.iter().rev() {
        let page = list(of_buyer(page_token)).await?.ok();
        let page = page.same("newest first", |r| r.orders.clone(), &vec![order.clone()]);
        page_token = page.response()?.next_page_token;
    }
    let stuck = ListOrdersRequest {
        user_id: shop.buyer.id.clone(),
        stuck: true,
        ..Default::default()
    };
    let stuck = list(stuck).await?.ok();
    stuck.is("orders", |r| r.orders.len(), 0).end()?;
    let no_token = Refusal::field("page_token", "is not a page token of this list");
    for bad in ["nonsense", &unknown()] {
        let refused = list(of_buyer(bad.to_owned())).await?;
        refused.refused(&no_token).end()?;
    }
    Ok(())
}

/// The page of one of `who`'s orders that a token leads to.
async fn order_page<'a>(
    shop: &'a Shop,
    who: &'a Who,
    page_token: &str,
) -> Result<Answer<'a, rpc::ListUserOrders>, Failed> {
    let request = ListUserOrdersRequest {
        user_id: who.id.clone(),
        limit: 1,
        page_token: page_token.to_owned(),
    };
    shop.ask::<rpc::ListUserOrders>(who, request).await
}

/// An order is charged once, refunded once, and by a provider that may fail.
pub(super) async fn payments(shop: &Shop) -> Result<(), Failed> {
    let admin = &shop.admin;
    let read = |id: &str| {
        let request = GetPaymentStatusRequest {
            payment_id: id.to_owned(),
        };
        shop.ask::<rpc::GetPaymentStatus>(admin, request)
    };
    let none = Refusal::not_found("there is no such payment");
    read(&unknown()).await?.refused(&none).end()?;

    let order_id = unknown();
    let (user_id, another) = (shop.buyer.id.as_str(), unknown());
    let pay = |order_id: &str, user_id: &str, amount, refund| {
        let request = ProcessPaymentRequest {
            order_id: order_id.to_owned(),
            user_id: user_id.to_owned(),
            amount,
            refund,
            ..Default::default()
        };
        shop.ask::<rpc::ProcessPayment>(admin, request)
    };
    for _ in 0..2 {
        let paid = pay(&order_id, user_id, 19.99, false).await?.ok();
        paid.is("success", |r| r.success, true)
            .is("status", |r| r.status().as_str_name(), "SUCCESS")
            .end()?;
    }
    for (user_id, amount, differs) in [
        (user_id, 20.0, "amount"),
        (another.as_str(), 19.99, "user_id"),
    ] {
        let says = format!("this order has a payment with another {differs}");
        let answer = pay(&order_id, user_id, amount, false).await?;
        answer.refused(&Refusal::not_now(says)).end()?;
    }
    for _ in 0..2 {
        let refunded = pay(&order_id, user_id, 0.0, true).await?.ok();
        refunded
            .is("success", |r| r.success, true)
            .is("status", |r| r.status().as_str_name(), "CANCELLED")
            .end()?;
    }
    let undone = "the payment of this order was undone; it cannot be charged any more";
    let late = pay(&order_id, user_id, 19.99, false).await?;
    late.refused(&Refusal::not_now(undone)).end()?;
    let status = PaymentStatus::Cancelled.as_str_name();
    let seen = read(&order_id).await?.ok();
    seen.is("status", |r| r.status().as_str_name(), status)
        .is("amount", |r| r.amount, 19.99)
        .end()?;

    payments::always(shop, ProviderFailure::TemporarilyUnavailable).await?;
    let order_id = unknown();
    let failed = pay(&order_id, user_id, 5.0, false).await?;
    let payment = read(&order_id).await?.ok().response()?;
    let says = "the payment provider is temporarily unavailable";
    let refusal = Refusal::new(Code::Unavailable, 503, says)
        .with("payment_id", payment.payment_id)
        .with("charged", "no")
        .with_retry_after(1);
    failed.refused(&refusal).end()?;
    payments::never(shop).await?;
    // The same charge goes through once the provider works.
    pay(&order_id, user_id, 5.0, false).await?.ok().end()?;

    // The delays are ordered, also where only one of them is given.
    payments::takes(shop, 5).await?;
    let above = Refusal::field("min_delay_ms", "must not be above max_delay_ms");
    let below = Refusal::field("max_delay_ms", "must not be below min_delay_ms");
    for (min_delay_ms, max_delay_ms, refusal) in [
        (Some(2), Some(1), &above),
        (Some(6), None, &above),
        (None, Some(4), &below),
    ] {
        let delays = SetFailureRateRequest {
            min_delay_ms,
            max_delay_ms,
            ..Default::default()
        };
        let set = shop.ask::<rpc::SetFailureRate>(admin, delays).await?;
        set.refused(refusal).end()?;
    }
    let delays = |r: &SetFailureRateResponse| (r.min_delay_ms, r.max_delay_ms);
    let set = shop.ask::<rpc::SetFailureRate>(admin, SetFailureRateRequest::default());
    set.await?.ok().is("delays", delays, (5, 5)).end()?;
    payments::takes(shop, 0).await
}
