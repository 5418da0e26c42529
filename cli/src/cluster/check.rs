//! The check at the end of a deployment: somebody signs up, and buys, through the public edge.

use std::time::{Duration, SystemTime};

use http::Uri;
use zerocart_auth::{Issuer, Role, Signer, Token};
use zerocart_cluster::{Problem, Progress, Result, keys::TokenKeys};
use zerocart_proto::{
    cart::AddToCartRequest,
    order::{CreateOrderRequest, GetOrderRequest, Order, OrderStatus},
    payment::{GetPaymentStatusRequest, PaymentStatus},
    product::{ArchiveProductRequest, CreateProductRequest},
    rpc::{self, Rpc},
    user::{AuthRequest, CreateUserRequest},
};
use zerocart_wires::{Client, Wire};

/// How long the admin's token of this check is valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// How many orders are tried: the simulated provider may refuse a charge, which is no fault of the
/// deployment. At its highest default rate of failures (30 %, three attempts a charge) five orders in a
/// row fail once in 70 million.
const ORDERS: usize = 5;

/// Units of the product: a cart that was not paid keeps its units, and the next order has one more.
const INVENTORY: i32 = 100;

/// How long the edge may need until it answers: its own start, and that of the first function.
const FIRST_ANSWER: Duration = Duration::from_secs(60);

/// Buys once over REST and once over gRPC. Returns the id of the first order.
pub(super) async fn purchase(progress: &Progress, url: &Uri, keys: &TokenKeys) -> Result<String> {
    let rest = client(Wire::Http1, url)?;
    let grpc = client(Wire::Grpc, url)?;
    let run = unique();
    let email = format!("deploy-check-{run}@zerocart.example");
    let password = zerocart_auth::generate_secret(128).map_err(|e| Problem::new(e.to_string()))?;

    progress.event("sign-up");
    answers(progress, &rest).await?;
    let user = said::<rpc::CreateUser>(
        &rest,
        &CreateUserRequest {
            email: email.clone(),
            name: "Deployment check".to_owned(),
            password: password.to_string(),
        },
    )
    .await?;
    let user_id = user.user.unwrap_or_default().id;
    let session = said::<rpc::AuthenticateUser>(
        &grpc,
        &AuthRequest {
            email,
            password: password.to_string(),
        },
    )
    .await?;
    let token = Token::new(session.token);

    progress.event("a product");
    let admin = admin(keys)?;
    let made = said::<rpc::CreateProduct>(
        &rest.clone().bearer(&admin),
        &CreateProductRequest {
            name: format!("Deployment check {run}"),
            price: 1.25,
            inventory: INVENTORY,
            description: String::new(),
        },
    )
    .await?;
    let product_id = made.product.unwrap_or_default().id;

    let mut first = None;
    for client in [rest.bearer(&token), grpc.bearer(&token)] {
        progress.event(format_args!("an order over {}", name(client.wire())));
        let order = paid(&client, &user_id, &product_id).await?;
        first.get_or_insert(order.id);
    }
    // The catalogue is as it was.
    let archived = ArchiveProductRequest { id: product_id };
    said::<rpc::ArchiveProduct>(&client(Wire::Http1, url)?.bearer(&admin), &archived).await?;
    Ok(first.unwrap_or_default())
}

/// Whether this is the first admin's password: a server may have had an admin before. An edge that does not
/// answer does not deny it.
pub(super) async fn is_password(url: &Uri, password: &str) -> bool {
    let Ok(client) = client(Wire::Http1, url) else {
        return true;
    };
    let request = AuthRequest {
        email: zerocart_user::bootstrap::EMAIL.to_owned(),
        password: password.to_owned(),
    };
    match client.try_call::<rpc::AuthenticateUser>(&request).await {
        Ok(answer) => answer.http_status != http::StatusCode::UNAUTHORIZED.as_u16(),
        Err(_) => true,
    }
}

/// Orders until an order is paid.
async fn paid(client: &Client, user_id: &str, product_id: &str) -> Result<Order> {
    let mut last = Order::default();
    for _ in 0..ORDERS {
        let add = AddToCartRequest {
            user_id: user_id.to_owned(),
            product_id: product_id.to_owned(),
            quantity: 1,
        };
        said::<rpc::AddToCart>(client, &add).await?;
        let key = client.clone().header("idempotency-key", &unique());
        let place = CreateOrderRequest {
            user_id: user_id.to_owned(),
            ..Default::default()
        };
        let placed = said::<rpc::CreateOrder>(&key, &place).await?;
        last = placed.order.unwrap_or_default();
        if last.status() == OrderStatus::Paid {
            let read = GetOrderRequest {
                id: last.id.clone(),
            };
            let read = said::<rpc::GetOrder>(client, &read).await?;
            let payment = GetPaymentStatusRequest {
                payment_id: last.payment_id.clone(),
            };
            let payment = said::<rpc::GetPaymentStatus>(client, &payment).await?;
            let same = read.order.as_ref() == Some(&last);
            let charged = payment.status() == PaymentStatus::Success;
            if same && charged && payment.amount == last.total_amount {
                return Ok(last);
            }
            return Err(Problem::new(format!(
                "the order {} is PAID, but its payment is not",
                last.id
            )));
        }
    }
    Err(Problem::new(format!(
        "no order was paid: the last one, {}, is {}",
        last.id,
        last.status().as_str_name()
    ))
    .because(last.reason)
    .cure("`zerocart logs create-order`, and `zerocart logs process-payment`"))
}

/// Waits until the edge answers at all.
async fn answers(progress: &Progress, client: &Client) -> Result<()> {
    let request = zerocart_proto::product::ListProductsRequest::default();
    let began = tokio::time::Instant::now();
    loop {
        let why = match client.try_call::<rpc::ListProducts>(&request).await {
            Ok(answer) if answer.response.is_some() => return Ok(()),
            Ok(answer) => format!("HTTP {}: {}", answer.http_status, answer.message),
            Err(error) => error.to_string(),
        };
        if began.elapsed() > FIRST_ANSWER {
            return Err(Problem::new("the edge does not answer GET /products")
                .because(why)
                .cure(
                    "`zerocart status`, `zerocart logs gateway`, `zerocart logs list-products`",
                ));
        }
        progress.event(why);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What a call answers.
async fn said<R: Rpc>(client: &Client, request: &R::Request) -> Result<R::Response> {
    let what = || format!("{} failed over {}", R::INFO.name, name(client.wire()));
    let cure = || format!("`zerocart logs {}`", R::INFO.name);
    let answer = client.try_call::<R>(request).await;
    let answer = answer.map_err(|error| Problem::new(what()).because(error).cure(cure()))?;
    answer.response.ok_or_else(|| {
        let (status, message) = (answer.http_status, answer.message);
        Problem::new(what())
            .because(format_args!("HTTP {status}, {:?}: {message}", answer.code))
            .cure(cure())
    })
}

fn client(wire: Wire, url: &Uri) -> Result<Client> {
    Client::to(wire, url.clone())
        .map_err(|error| Problem::new(format!("{url} cannot be called")).because(error))
}

fn name(wire: Wire) -> &'static str {
    match wire.is_json() {
        true => "REST",
        false => "gRPC",
    }
}

/// A token as an admin: this command holds the key that signs for people.
fn admin(keys: &TokenKeys) -> Result<Token> {
    let signer = Signer::new(Issuer::User, keys.user.current());
    let subject = uuid::Uuid::now_v7().to_string();
    let token = signer.issue(&subject, Role::Admin, TOKEN_LIFETIME, SystemTime::now());
    token.map_err(|error| Problem::new("no token can be made").because(error))
}

fn unique() -> String {
    uuid::Uuid::now_v7().to_string()
}
