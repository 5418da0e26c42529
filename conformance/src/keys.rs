//! The same request again, under one idempotency key, of every function that writes.

use std::future::ready;

use http::HeaderValue;
use serde::Serialize;
use uuid::Uuid;
use zerocart_proto::{
    cart::{AddToCartRequest, ClearCartRequest, RemoveFromCartRequest, UpdateCartItemRequest},
    order::{CancelOrderRequest, OrderStatus, UpdateOrderStatusRequest},
    payment::{PaymentStatus, ProcessPaymentRequest, SetFailureRateRequest},
    product::{CreateProductRequest, ListProductsRequest, UpdateInventoryRequest},
    rpc::{self, Rpc},
    user::CreateUserRequest,
};

use super::{
    answer::Failed,
    inputs::Rest,
    payments,
    refusal::Refusal,
    schema::Request,
    shop::{PASSWORD, Shop, Who},
    steps::{order, status},
    tokens::{allowed, things},
    wire::Input,
};

/// The longest key, in characters.
const MAX_KEY_LEN: usize = 255;

/// Every function that writes does it once under one idempotency key. Orders have their own story.
pub(super) async fn keys(shop: &Shop) -> Result<(), Failed> {
    bad_keys(shop).await?;
    users(shop).await?;
    products(shop).await?;
    carts(shop).await?;
    orders(shop).await?;
    payments(shop).await
}

/// Keys that are none are refused by every function that writes.
async fn bad_keys(shop: &Shop) -> Result<(), Failed> {
    let things = things(shop).await?;
    let nobody = Who::nobody();
    let refusal = Refusal::field("idempotency-key", "must have 1 to 255 characters");
    for info in rpc::ALL.iter().filter(|info| info.writes) {
        let request = Request::good(info, &things);
        let (rest, message) = (Rest::of(info, &request), request.bytes());
        let who = allowed(shop, info, &nobody);
        for (what, length) in [("an empty key", 0), ("too long a key", MAX_KEY_LEN + 1)] {
            let input = match shop.is_rest() {
                true => Input::Rest(&rest),
                false => Input::Grpc(&message),
            };
            let key = "k".repeat(length);
            shop.refuses(info, who, Some(&key), (what, input), &refusal)
                .await?;
        }
        if shop.edge().only_text_in_headers {
            let edge = shop.edge();
            shop.note(&format!(
                "--   {} (a key that is no UTF-8): {edge} carries text only",
                info.name
            ));
            continue;
        }
        let latin_1 = HeaderValue::from_bytes(b"caf\xe9");
        let mut sender = who.clone();
        let latin_1 = latin_1.map(|key| ("idempotency-key", key));
        sender.headers.extend(latin_1);
        let input = match shop.is_rest() {
            true => Input::Rest(&rest),
            false => Input::Grpc(&message),
        };
        let refusal = Refusal::field("idempotency-key", "must be UTF-8");
        shop.refuses(
            info,
            &sender,
            None,
            ("a key that is no UTF-8", input),
            &refusal,
        )
        .await?;
    }
    Ok(())
}

/// Asks, asks again after `meanwhile`, and gets the same answer; another request under that key is
/// refused.
pub(super) async fn twice<R: Rpc>(
    shop: &Shop,
    who: &Who,
    (request, other): (R::Request, R::Request),
    meanwhile: impl Future<Output = Result<(), Failed>>,
) -> Result<R::Response, Failed> {
    // As long as a key may be.
    let key = format!("{:k<MAX_KEY_LEN$}", shop.key(R::INFO.name));
    let ask = async |request| shop.ask_under::<R>(who, &key, request).await;
    let first = ask(request.clone()).await?.ok().response()?;
    meanwhile.await?;
    let again = ask(request).await?.ok();
    again.same("the same answer", json, &json(&first)).end()?;
    ask(other).await?.refused(&Refusal::key_reused()).end()?;
    Ok(first)
}

fn json(response: &impl Serialize) -> String {
    serde_json::to_string(response).unwrap_or_default()
}

async fn users(shop: &Shop) -> Result<(), Failed> {
    let nobody = Who::nobody();
    let sign_up = |name: &str| CreateUserRequest {
        email: format!("{}@example.com", shop.key("once")),
        name: name.into(),
        password: PASSWORD.into(),
    };
    let requests = (sign_up("Once"), sign_up("Twice"));
    twice::<rpc::CreateUser>(shop, &nobody, requests, ready(Ok(()))).await?;
    let taken = Refusal::exists("there is an account with this e-mail");
    let again = shop.ask::<rpc::CreateUser>(&nobody, sign_up("Once"));
    again.await?.refused(&taken).end()?;

    // Strangers who choose one key do not meet; one who asks for something else under it does.
    let key = shop.key("strangers");
    let stranger = |n: usize, password: &str| CreateUserRequest {
        email: format!("{}@example.com", shop.key(&format!("stranger-{n}"))),
        name: "Stranger".into(),
        password: password.into(),
    };
    for n in 0..2 {
        let made = shop.ask_under::<rpc::CreateUser>(&nobody, &key, stranger(n, PASSWORD));
        let made = made.await?.ok().response()?;
        let again = shop.ask_under::<rpc::CreateUser>(&nobody, &key, stranger(n, PASSWORD));
        let again = again.await?.ok();
        again.same("the same answer", json, &json(&made)).end()?;
        let other = stranger(n, "another password");
        let other = shop.ask_under::<rpc::CreateUser>(&nobody, &key, other);
        other.await?.refused(&Refusal::key_reused()).end()?;
    }
    Ok(())
}

async fn products(shop: &Shop) -> Result<(), Failed> {
    let admin = &shop.admin;
    let product = |price| CreateProductRequest {
        name: shop.unique("Once"),
        price,
        inventory: 10,
        ..Default::default()
    };
    let requests = (product(1.0), product(2.0));
    let made = twice::<rpc::CreateProduct>(shop, admin, requests, ready(Ok(()))).await?;
    let name = shop.unique("Once");
    let list = ListProductsRequest {
        limit: 100,
        ..Default::default()
    };
    let nobody = Who::nobody();
    let list = shop.ask::<rpc::ListProducts>(&nobody, list).await?.ok();
    let count = list.is(
        "products of that name",
        |r| r.products.iter().filter(|p| p.name == name).count(),
        1,
    );
    count.end()?;

    let id = made.product.unwrap_or_default().id;
    let change = |quantity_change| UpdateInventoryRequest {
        product_id: id.clone(),
        quantity_change,
        ..Default::default()
    };
    let requests = (change(5), change(6));
    twice::<rpc::UpdateInventory>(shop, admin, requests, ready(Ok(()))).await?;
    let look = |want| {
        let change = shop.ask::<rpc::UpdateInventory>(admin, change(want - 15));
        async move {
            let changed = change.await?.ok();
            changed.is("inventory", |r| r.new_inventory, want).end()
        }
    };
    look(16).await?;
    // "Not enough" is an answer, too. It stays, even if there is enough stock by now.
    let key = shop.key("not-enough");
    let not_enough = Refusal::not_now("there is not enough of this product in stock");
    for _ in 0..2 {
        let take = shop.ask_under::<rpc::UpdateInventory>(admin, &key, change(-20));
        take.await?.refused(&not_enough).end()?;
        let more = shop.ask::<rpc::UpdateInventory>(admin, change(20));
        more.await?.ok().end()?;
    }
    Ok(())
}

async fn carts(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let user_id = || buyer.id.clone();
    let soap = shop.product("Soap", 320, 50).await?;
    let product_id = || soap.id.clone();
    shop.clear_cart(buyer).await?;

    let add = |quantity| AddToCartRequest {
        user_id: user_id(),
        product_id: product_id(),
        quantity,
    };
    twice::<rpc::AddToCart>(shop, buyer, (add(2), add(3)), ready(Ok(()))).await?;
    shop.cart(buyer, &[(&soap, 2)]).await?;

    let set = |new_quantity| UpdateCartItemRequest {
        user_id: user_id(),
        product_id: product_id(),
        new_quantity,
    };
    let meanwhile = async {
        let changed = shop.ask::<rpc::UpdateCartItem>(buyer, set(4)).await?;
        changed.ok().end()
    };
    twice::<rpc::UpdateCartItem>(shop, buyer, (set(5), set(6)), meanwhile).await?;
    shop.cart(buyer, &[(&soap, 4)]).await?;

    let remove = |product_id| RemoveFromCartRequest {
        user_id: user_id(),
        product_id,
    };
    let one = [(&soap, 1)];
    let requests = (remove(product_id()), remove(Uuid::now_v7().to_string()));
    let meanwhile = shop.add(buyer, (&soap, 1), &one);
    twice::<rpc::RemoveFromCart>(shop, buyer, requests, meanwhile).await?;
    shop.cart(buyer, &[(&soap, 1)]).await?;

    // The admin's, who may clear another cart under the key.
    let clear = |user: &Who| ClearCartRequest {
        user_id: user.id.clone(),
        ..Default::default()
    };
    let requests = (clear(buyer), clear(&shop.stranger));
    let meanwhile = shop.add(buyer, (&soap, 1), &one);
    twice::<rpc::ClearCart>(shop, &shop.admin, requests, meanwhile).await?;
    shop.cart(buyer, &[(&soap, 1)]).await?;
    shop.clear_cart(buyer).await
}

async fn orders(shop: &Shop) -> Result<(), Failed> {
    let order_id = things(shop).await?.order;
    let to = |status: OrderStatus| UpdateOrderStatusRequest {
        order_id: order_id.clone(),
        status: status.into(),
    };
    let requests = (to(OrderStatus::Shipped), to(OrderStatus::Delivered));
    let meanwhile = async {
        let moved = shop.move_on(&shop.admin, &order_id, OrderStatus::Delivered);
        let moved = moved.await?.ok();
        moved.is("status", |r| status(&order(r)), "DELIVERED").end()
    };
    twice::<rpc::UpdateOrderStatus>(shop, &shop.admin, requests, meanwhile).await?;
    let seen = shop.look(&shop.buyer, &order_id, OrderStatus::Delivered);
    seen.await?;

    let cancelled = things(shop).await?.order;
    let cancel = |id: &str| CancelOrderRequest { id: id.to_owned() };
    let requests = (cancel(&cancelled), cancel(&order_id));
    twice::<rpc::CancelOrder>(shop, &shop.buyer, requests, ready(Ok(()))).await?;
    let seen = shop.look(&shop.buyer, &cancelled, OrderStatus::Cancelled);
    seen.await.map(drop)
}

async fn payments(shop: &Shop) -> Result<(), Failed> {
    let admin = &shop.admin;
    let order_id = Uuid::now_v7().to_string();
    let pay = |amount, refund| ProcessPaymentRequest {
        order_id: order_id.clone(),
        user_id: shop.buyer.id.clone(),
        amount,
        refund,
        ..Default::default()
    };
    let meanwhile = async {
        let refund = shop.ask::<rpc::ProcessPayment>(admin, pay(0.0, true));
        let refunded = refund.await?.ok();
        let cancelled = PaymentStatus::Cancelled.as_str_name();
        refunded
            .is("status", |r| r.status().as_str_name(), cancelled)
            .end()
    };
    // The charge is not made again, though it was undone meanwhile.
    let requests = (pay(12.5, false), pay(13.0, false));
    twice::<rpc::ProcessPayment>(shop, admin, requests, meanwhile).await?;

    let rate = |failure_rate| SetFailureRateRequest {
        failure_rate,
        ..Default::default()
    };
    // Every charge fails, and then none: not again, though the first request is repeated.
    let requests = (rate(1.0), rate(0.5));
    let meanwhile = payments::never(shop);
    twice::<rpc::SetFailureRate>(shop, admin, requests, meanwhile).await?;
    let order_id = Uuid::now_v7().to_string();
    let charge = ProcessPaymentRequest {
        order_id,
        ..pay(12.5, false)
    };
    let charged = shop.ask::<rpc::ProcessPayment>(admin, charge).await?.ok();
    charged.is("success", |r| r.success, true).end()
}
