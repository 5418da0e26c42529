//! Reads the books of a system through its public API, once the load is over.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use zerocart_proto::{
    cart::GetCartRequest,
    order::{GetOrderRequest, ListUserOrdersRequest, Order},
    payment::{GetPaymentStatusRequest, PaymentStatus, PaymentStatusResponse},
    product::GetProductRequest,
    rpc,
};

use super::{
    books::{Books, Customer, Product, has_ended, is_sold},
    caller::{Caller, NoAnswer},
    customer::Buyer,
};

/// How long the system may take to bring every order and payment to its end. recover-orders and
/// settle-payments run once a minute.
const SETTLED_AFTER: Duration = Duration::from_secs(180);

/// How often it is looked at again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The largest page of orders.
const PAGE: i32 = 100;

type Payments = BTreeMap<String, PaymentStatusResponse>;

/// The books as soon as they balance; as they are, when they do not within three minutes.
///
/// # Errors
///
/// When they cannot be read.
pub(crate) async fn settled(buyers: &[Buyer], products: &[Product]) -> Result<Books, NoAnswer> {
    let deadline = Instant::now() + SETTLED_AFTER;
    let mut payments = Payments::new();
    loop {
        let books = read(buyers, products, &payments).await;
        let late = Instant::now() >= deadline;
        match books {
            Ok(books) if late || books.wrong().is_empty() => return Ok(books),
            Ok(books) => payments = at_their_end(books),
            Err(NoAnswer::LostForGood(_)) if !late => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// The payments that nothing changes any more: they are not read again.
fn at_their_end(books: Books) -> Payments {
    let mut payments = Payments::new();
    for order in books.orders().filter(|order| has_ended(order)) {
        let payment = books.payments.get(&order.id);
        let wanted = |payment: &&PaymentStatusResponse| match payment.status() {
            PaymentStatus::Success => is_sold(order),
            PaymentStatus::Failed | PaymentStatus::Cancelled => !is_sold(order),
            _ => false,
        };
        if let Some(payment) = payment.filter(wanted) {
            payments.insert(order.id.clone(), payment.clone());
        }
    }
    payments
}

async fn read(buyers: &[Buyer], products: &[Product], known: &Payments) -> Result<Books, NoAnswer> {
    let accounts = buyers.iter().map(|buyer| account(buyer, known));
    let mut books = Books::default();
    for (customer, payments) in try_join_all(accounts).await? {
        books.customers.push(customer);
        books.payments.extend(payments);
    }
    for (product, buyer) in products.iter().zip(buyers.iter().cycle()) {
        let id = product.id.clone();
        let request = GetProductRequest { id };
        let read = buyer.caller.read::<rpc::GetProduct>(&request).await?;
        let found = read.response.and_then(|response| response.product);
        let now = found.map_or(-1, |product| i64::from(product.inventory));
        books.products.push(Product {
            now,
            ..product.clone()
        });
    }
    Ok(books)
}

/// What the system says of a customer.
async fn account(buyer: &Buyer, known: &Payments) -> Result<(Customer, Payments), NoAnswer> {
    let (total, mut orders) = listed(buyer).await?;
    let mut payments = Payments::new();
    for order in &mut orders {
        if !has_ended(order) {
            // Reading it brings it to its end, if nobody drives it.
            let id = order.id.clone();
            let request = GetOrderRequest { id };
            let read = buyer.caller.read::<rpc::GetOrder>(&request).await?;
            if let Some(read) = read.response.and_then(|response| response.order) {
                *order = read;
            }
        }
        let payment = match known.get(&order.id) {
            Some(payment) => Some(payment.clone()),
            None => payment(&buyer.caller, &order.id).await?,
        };
        payments.extend(payment.map(|payment| (order.id.clone(), payment)));
    }
    let request = GetCartRequest {
        user_id: buyer.id.clone(),
    };
    let cart = buyer.caller.read::<rpc::GetCart>(&request).await?;
    let cart = cart.response.and_then(|response| response.cart);
    let items = cart.unwrap_or_default().items;
    let items = items
        .into_iter()
        .map(|item| (item.product_id, i64::from(item.quantity)));
    let customer = Customer {
        cart: items.collect(),
        total,
        orders,
        ..buyer.book.clone()
    };
    Ok((customer, payments))
}

/// The number of a customer's orders, and the orders.
async fn listed(buyer: &Buyer) -> Result<(usize, Vec<Order>), NoAnswer> {
    let mut orders = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListUserOrdersRequest {
            user_id: buyer.id.clone(),
            limit: PAGE,
            page_token,
        };
        let page = buyer.caller.read::<rpc::ListUserOrders>(&request).await?;
        let page = page.response.unwrap_or_default();
        orders.extend(page.orders);
        if page.next_page_token.is_empty() {
            return Ok((usize::try_from(page.total).unwrap_or_default(), orders));
        }
        page_token = page.next_page_token;
    }
}

/// The payment of an order, if there is one.
async fn payment(caller: &Caller, order: &str) -> Result<Option<PaymentStatusResponse>, NoAnswer> {
    let request = GetPaymentStatusRequest {
        payment_id: order.to_owned(),
    };
    caller.find::<rpc::GetPaymentStatus>(&request).await
}
