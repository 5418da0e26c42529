//! Requests in different forms with one meaning are one request.

use http::Method;
use serde_json::json;
use zerocart_proto::{
    cart::{
        AddToCartRequest, BoughtItem, ClearCartRequest, GetCartRequest, RemoveFromCartRequest,
        UpdateCartItemRequest,
    },
    order::{GetOrderRequest, ListUserOrdersRequest, OrderStatus, UpdateOrderStatusRequest},
    payment::{GetPaymentStatusRequest, PaymentStatus, ProcessPaymentRequest},
    product::{GetProductRequest, UpdateInventoryRequest},
    rpc::{self, Rpc},
    user::GetUserRequest,
};

use super::{
    answer::Failed,
    inputs::Rest,
    shop::{Shop, Who},
    steps::{Product, cart, order},
};

/// Ids in capitals, a 0 that is not sent, and over REST what proto3 JSON leaves open.
pub(super) async fn forms(shop: &Shop) -> Result<(), Failed> {
    let bowl = shop.product("Bowl", 475, 20).await?;
    shop.clear_cart(&shop.buyer).await?;
    carts(shop, &bowl).await?;
    stock(shop, &bowl).await?;
    orders(shop, &bowl).await?;
    if shop.is_rest() {
        bodies(shop, &bowl).await?;
        queries(shop, &bowl).await?;
    }
    Ok(())
}

/// Two spellings of an id under one key are one request, with one answer.
async fn both<R: Rpc>(
    shop: &Shop,
    who: &Who,
    request: impl Fn(fn(&str) -> String) -> R::Request,
) -> Result<R::Response, Failed> {
    let key = shop.key(&format!("forms-{}", R::INFO.name));
    let plain = request(str::to_owned);
    let first = shop.ask_under::<R>(who, &key, plain).await?.ok();
    let first = first.response()?;
    let capitals = request(str::to_uppercase);
    let again = shop.ask_under::<R>(who, &key, capitals).await?.ok();
    // Written, ids are in lower case in both.
    let written = |response: &R::Response| serde_json::to_string(response).unwrap_or_default();
    again
        .same("the same answer", written, &written(&first))
        .end()?;
    Ok(first)
}

async fn carts(shop: &Shop, bowl: &Product) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let capitals = || (buyer.id.to_uppercase(), bowl.id.to_uppercase());

    let id = capitals().1;
    let product = shop.ask::<rpc::GetProduct>(buyer, GetProductRequest { id });
    let same =
        |r: &zerocart_proto::product::ProductResponse| r.product.clone().unwrap_or_default().id;
    product.await?.ok().same("id", same, &bowl.id).end()?;
    let id = capitals().0;
    let user = shop.ask::<rpc::GetUser>(buyer, GetUserRequest { id });
    let same = |r: &zerocart_proto::user::UserResponse| r.user.clone().unwrap_or_default().id;
    user.await?.ok().same("id", same, &buyer.id).end()?;

    both::<rpc::AddToCart>(shop, buyer, |id| AddToCartRequest {
        user_id: id(&buyer.id),
        product_id: id(&bowl.id),
        quantity: 2,
    })
    .await?;
    shop.cart(buyer, &[(bowl, 2)]).await?;
    let set = |new_quantity| {
        let (user_id, product_id) = capitals();
        UpdateCartItemRequest {
            user_id,
            product_id,
            new_quantity,
        }
    };
    let changed = shop.ask::<rpc::UpdateCartItem>(buyer, set(3)).await?;
    changed.ok().end()?;
    let user_id = capitals().0;
    let read = shop.ask::<rpc::GetCart>(buyer, GetCartRequest { user_id });
    let read = read.await?.ok();
    read.same("user", |r| cart(r).user_id, &buyer.id)
        .is(
            "units",
            |r| cart(r).items.iter().map(|i| i.quantity).sum(),
            3,
        )
        .end()?;
    // Over gRPC this quantity is not sent: there absent is 0, which removes the line.
    let removed = shop.ask::<rpc::UpdateCartItem>(buyer, set(0)).await?;
    removed.ok().end()?;
    shop.cart(buyer, &[]).await?;

    shop.add(buyer, (bowl, 1), &[(bowl, 1)]).await?;
    let (user_id, product_id) = capitals();
    let remove = RemoveFromCartRequest {
        user_id,
        product_id,
    };
    let removed = shop.ask::<rpc::RemoveFromCart>(buyer, remove).await?;
    removed.ok().end()?;
    shop.cart(buyer, &[]).await
}

async fn stock(shop: &Shop, bowl: &Product) -> Result<(), Failed> {
    let reservation = uuid::Uuid::now_v7().to_string();
    let change = |id: fn(&str) -> String, quantity_change| UpdateInventoryRequest {
        product_id: id(&bowl.id),
        quantity_change,
        reservation_id: id(&reservation),
        ..Default::default()
    };
    both::<rpc::UpdateInventory>(shop, &shop.admin, |id| change(id, -4)).await?;
    // One reservation, whichever way its id is written, and so released once.
    for id in [str::to_uppercase as fn(&str) -> String, str::to_owned] {
        let released = shop.ask::<rpc::UpdateInventory>(&shop.admin, change(id, 4));
        let released = released.await?.ok();
        released.is("inventory", |r| r.new_inventory, 20).end()?;
    }
    Ok(())
}

async fn orders(shop: &Shop, bowl: &Product) -> Result<(), Failed> {
    let (buyer, admin) = (&shop.buyer, &shop.admin);
    shop.fill(buyer, &[(bowl, 1)]).await?;
    let bought = shop.buy(buyer, &[(bowl, 1)]).await?;
    let id = bought.id.to_uppercase();
    let read = shop.ask::<rpc::GetOrder>(buyer, GetOrderRequest { id });
    let read = read.await?.ok();
    read.same("order", |r| order(r).id, &bought.id).end()?;
    let list = ListUserOrdersRequest {
        user_id: buyer.id.to_uppercase(),
        ..Default::default()
    };
    let listed = shop.ask::<rpc::ListUserOrders>(buyer, list).await?.ok();
    let newest = |r: &zerocart_proto::order::ListOrdersResponse| r.orders.first().cloned();
    listed
        .same("the newest", newest, &Some(bought.clone()))
        .end()?;
    for id in [&bought.id, &bought.payment_id] {
        let payment_id = id.to_uppercase();
        let request = GetPaymentStatusRequest { payment_id };
        let read = shop.ask::<rpc::GetPaymentStatus>(buyer, request).await?;
        let read = read.ok();
        read.same("order", |r| r.order_id.clone(), &bought.id)
            .end()?;
    }
    both::<rpc::UpdateOrderStatus>(shop, admin, |id| UpdateOrderStatusRequest {
        order_id: id(&bought.id),
        status: OrderStatus::Shipped.into(),
    })
    .await?;
    shop.look(buyer, &bought.id, OrderStatus::Shipped).await?;

    let order_id = uuid::Uuid::now_v7().to_string();
    both::<rpc::ProcessPayment>(shop, admin, |id| ProcessPaymentRequest {
        order_id: id(&order_id),
        user_id: id(&buyer.id),
        amount: 7.5,
        ..Default::default()
    })
    .await?;
    let cancelled = PaymentStatus::Cancelled.as_str_name();
    let refund = ProcessPaymentRequest {
        order_id: order_id.to_uppercase(),
        user_id: buyer.id.clone(),
        refund: true,
        ..Default::default()
    };
    let refunded = match shop.is_rest() {
        // A refund needs no amount.
        true => {
            let body = json!({"order_id": order_id, "user_id": buyer.id, "refund": true});
            let rest = rest(Method::POST, "/payments", body.to_string());
            let what = ("a refund without an amount", &rest);
            shop.ask_in::<rpc::ProcessPayment>(admin, None, what)
                .await?
        }
        false => shop.ask::<rpc::ProcessPayment>(admin, refund).await?,
    };
    let refunded = refunded.ok();
    refunded
        .is("status", |r| r.status().as_str_name(), cancelled)
        .end()?;

    // Only gRPC can say what was bought.
    if !shop.is_rest() {
        shop.fill(buyer, &[(bowl, 3)]).await?;
        let clear = |id: fn(&str) -> String| ClearCartRequest {
            user_id: id(&buyer.id),
            order_id: id(&order_id),
            bought: vec![BoughtItem {
                product_id: id(&bowl.id),
                quantity: 1,
            }],
        };
        both::<rpc::ClearCart>(shop, admin, clear).await?;
        shop.cart(buyer, &[(bowl, 2)]).await?;
        shop.clear_cart(buyer).await?;
    }
    Ok(())
}

fn rest(method: Method, path: &str, body: impl Into<bytes::Bytes>) -> Rest {
    Rest {
        method,
        path: path.to_owned(),
        media_type: "application/json",
        headers: Vec::new(),
        body: body.into(),
    }
}

/// Bodies that say the same: under one key they are one request.
async fn bodies(shop: &Shop, bowl: &Product) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let (id, user) = (&bowl.id, &buyer.id);
    let capitals = (id.to_uppercase(), user.to_uppercase());
    let path = format!("/carts/{user}/items");
    let plain = json!({"product_id": id, "quantity": 2}).to_string();
    let key = shop.key("forms-bodies");
    for (what, body) in [
        ("plain", plain.clone()),
        ("a byte order mark", format!("\u{feff}{plain}")),
        (
            "an integer with a point",
            format!(r#"{{"product_id":"{id}","quantity":2.0}}"#),
        ),
        (
            "an integer with an exponent",
            format!(r#"{{"productId":"{id}","quantity":20e-1}}"#),
        ),
        (
            "an integer as a string",
            format!(r#"{{"product_id":"{id}","quantity":"2E0"}}"#),
        ),
        (
            "null for what the path says",
            format!(r#"{{"product_id":"{id}","quantity":2,"user_id":null}}"#),
        ),
        (
            "capitals for what the path says",
            format!(
                r#"{{"product_id":"{}","quantity":2,"user_id":"{}"}}"#,
                capitals.0, capitals.1
            ),
        ),
    ] {
        let rest = rest(Method::POST, &path, body);
        let added = shop.ask_in::<rpc::AddToCart>(buyer, Some(&key), (what, &rest));
        let units = |r: &_| cart(r).items.iter().map(|i| i.quantity).sum();
        added.await?.ok().about(what).is("units", units, 2).end()?;
    }
    shop.cart(buyer, &[(bowl, 2)]).await?;

    let name = shop.unique("Dish");
    let key = shop.key("forms-price");
    let mut made: Option<String> = None;
    for (what, price, rest_of_it) in [
        ("plain", "4.75", r#""description":"","inventory":0"#),
        (
            "a price with a zero more",
            "4.750",
            r#""description":null,"inventory":null"#,
        ),
        ("a price with an exponent", "475e-2", r#""inventory":-0"#),
    ] {
        let body = format!(r#"{{"name":"{name}","price":{price},{rest_of_it}}}"#);
        let rest = rest(Method::POST, "/products", body);
        let answer = shop.ask_in::<rpc::CreateProduct>(&shop.admin, Some(&key), (what, &rest));
        let product =
            |r: &zerocart_proto::product::ProductResponse| r.product.clone().unwrap_or_default();
        let mut answer = answer.await?.ok().about(what);
        answer = answer.is("price", |r| product(r).price, 4.75);
        if let Some(made) = &made {
            answer = answer.same("the same product", |r| product(r).id, made);
        }
        made = Some(product(&answer.response()?).id);
    }
    Ok(())
}

/// Query parameters that mean nothing here are passed over.
async fn queries(shop: &Shop, bowl: &Product) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    const OTHERS: &str = "utm_source=x&utm_source=y&ID=1&what=%ff&%ff";
    let get = rest(Method::GET, &format!("/products/{}?{OTHERS}", bowl.id), "");
    let what = "parameters that name no field";
    let product = shop.ask_in::<rpc::GetProduct>(buyer, None, (what, &get));
    product.await?.ok().about(what).end()?;
    let list = rest(Method::GET, &format!("/products?limit=1&{OTHERS}"), "");
    let listed = shop.ask_in::<rpc::ListProducts>(buyer, None, (what, &list));
    let listed = listed.await?.ok().about(what);
    listed.is("products", |r| r.products.len(), 1).end()?;
    let line = format!("/carts/{}/items/{}?{OTHERS}", buyer.id, bowl.id);
    let set = rest(Method::PUT, &line, r#"{"new_quantity":1}"#);
    let set = shop.ask_in::<rpc::UpdateCartItem>(buyer, None, (what, &set));
    set.await?.ok().about(what).end()?;
    shop.cart(buyer, &[(bowl, 1)]).await?;
    let clear = rest(Method::DELETE, &format!("/carts/{}?{OTHERS}", buyer.id), "");
    let clear = shop.ask_in::<rpc::ClearCart>(buyer, None, (what, &clear));
    clear.await?.ok().about(what).end()?;
    shop.cart(buyer, &[]).await
}
