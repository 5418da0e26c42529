//! What must hold when all orders have ended, as clients see it.
//!
//! The tests of the saga look at more, in the tables (`tests/tests/it/saga/books.rs`). These books
//! need the public API only, so they can be read of any system.

use std::collections::{BTreeMap, BTreeSet};

use zerocart_proto::{
    money::Cents,
    order::{Order, OrderStatus},
    payment::{PaymentStatus, PaymentStatusResponse},
};

/// Units of products, by the product's id.
pub(crate) type Units = BTreeMap<String, i64>;

/// A product that the load made, and nobody else sells.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) price: Cents,
    /// The stock before the first order.
    pub(crate) before: i64,
    /// The stock after the last one.
    pub(crate) now: i64,
}

/// What came of an idempotency key under which an order was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The order with this id.
    Order(String),
    /// No order: the cart was empty.
    None,
    /// No answer: there may be an order.
    Unknown,
}

/// A customer: what it did, and what the system says of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Customer {
    pub(crate) name: String,
    /// By key.
    pub(crate) asked: BTreeMap<String, Outcome>,
    /// What the cart should hold; none when an answer about it was lost for good.
    pub(crate) expected: Option<Units>,
    /// What the cart holds.
    pub(crate) cart: Units,
    /// The number of orders, as the system counts them.
    pub(crate) total: usize,
    pub(crate) orders: Vec<Order>,
}

/// The books.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) products: Vec<Product>,
    pub(crate) customers: Vec<Customer>,
    /// By order; an order without a payment is not in it.
    pub(crate) payments: BTreeMap<String, PaymentStatusResponse>,
}

/// Whether an order is at an end from which only an admin moves it.
pub(crate) fn has_ended(order: &Order) -> bool {
    !matches!(
        order.status(),
        OrderStatus::Unspecified | OrderStatus::Pending | OrderStatus::Processing
    )
}

/// Whether the goods are the customer's, and the money the shop's.
pub(crate) fn is_sold(order: &Order) -> bool {
    matches!(
        order.status(),
        OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Delivered
    )
}

/// What an order takes.
pub(crate) fn units(order: &Order) -> Units {
    let mut units = Units::new();
    for item in &order.items {
        *units.entry(item.product_id.clone()).or_default() += i64::from(item.quantity);
    }
    units
}

impl Books {
    /// All orders.
    pub(crate) fn orders(&self) -> impl Iterator<Item = &Order> {
        self.customers.iter().flat_map(|customer| &customer.orders)
    }

    /// The money of the orders that are sold.
    pub(crate) fn revenue(&self) -> Cents {
        let sold = self.orders().filter(|order| is_sold(order));
        sold.filter_map(|order| Cents::from_wire(order.total_amount))
            .sum()
    }

    /// All that is not as it must be.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for customer in &self.customers {
            wrong.extend(customer.wrong());
        }
        let mut paid_with = BTreeSet::new();
        for order in self.orders() {
            let payment = self.payments.get(&order.id);
            wrong.extend(self.wrong_lines(order));
            wrong.extend(wrong_payment(order, payment));
            if let Some(payment) = payment
                && !paid_with.insert(&payment.payment_id)
            {
                let id = &payment.payment_id;
                wrong.push(format!("payment {id} belongs to two orders"));
            }
        }
        for product in &self.products {
            wrong.extend(self.wrong_stock(product));
        }
        wrong
    }

    fn wrong_stock(&self, product: &Product) -> Option<String> {
        let sold = self.orders().filter(|order| is_sold(order));
        let sold: i64 = sold
            .filter_map(|order| units(order).get(&product.id).copied())
            .sum();
        let Product {
            id, before, now, ..
        } = product;
        (before - now != sold || *now < 0).then(|| {
            format!("product {id}: {before} before, {now} now, but {sold} in orders that are paid")
        })
    }

    fn wrong_lines(&self, order: &Order) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut say = |what: String| wrong.push(format!("order {}: {what}", order.id));
        let mut sum = Some(Cents::ZERO);
        for item in &order.items {
            let id = &item.product_id;
            let Some(product) = self.products.iter().find(|product| product.id == *id) else {
                say(format!("product {id} is not one of this load"));
                continue;
            };
            let cents = product.price.times(item.quantity);
            if cents != Cents::from_wire(item.total_price) {
                let (quantity, price, total) = (item.quantity, product.price, item.total_price);
                say(format!("{quantity} units at {price} are {total}"));
            }
            sum = sum
                .zip(cents)
                .map(|(sum, cents)| [sum, cents].into_iter().sum());
        }
        if order.items.is_empty() {
            say("it has no lines".into());
        }
        if sum != Cents::from_wire(order.total_amount) {
            let total = order.total_amount;
            let sum = sum.map_or("too much".into(), |sum| sum.to_string());
            say(format!("its total is {total}, its lines are {sum}"));
        }
        wrong
    }
}

/// A payment of the total stands exactly when the order is sold.
fn wrong_payment(order: &Order, payment: Option<&PaymentStatusResponse>) -> Option<String> {
    let status = order.status().as_str_name();
    if !has_ended(order) {
        return Some(format!("order {} has not ended: {status}", order.id));
    }
    let right = match (is_sold(order), payment) {
        (true, Some(payment)) => {
            payment.status() == PaymentStatus::Success
                && payment.payment_id == order.payment_id
                && payment.order_id == order.id
                && payment.amount == order.total_amount
        }
        (true, None) => false,
        (false, None) => true,
        (false, Some(payment)) => matches!(
            payment.status(),
            PaymentStatus::Failed | PaymentStatus::Cancelled
        ),
    };
    (!right).then(|| {
        let total = order.total_amount;
        match payment {
            None => format!("order {} of {total}, {status}, has no payment", order.id),
            Some(payment) => format!(
                "order {} of {total}, {status}: its payment {} of {} is {}",
                order.id,
                payment.payment_id,
                payment.amount,
                payment.status().as_str_name()
            ),
        }
    })
}

impl Customer {
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut say = |what: String| wrong.push(format!("customer {}: {what}", self.name));
        let listed: BTreeSet<_> = self.orders.iter().map(|order| order.id.as_str()).collect();
        if listed.len() != self.orders.len() || self.total != self.orders.len() {
            let (lines, total) = (self.orders.len(), self.total);
            let ids = listed.len();
            say(format!(
                "{lines} orders are listed, {ids} of them different, and {total} are counted"
            ));
        }
        let mut known = BTreeSet::new();
        let mut unknown = 0;
        for (key, outcome) in &self.asked {
            match outcome {
                Outcome::None => {}
                Outcome::Unknown => unknown += 1,
                Outcome::Order(id) => {
                    if !known.insert(id.as_str()) {
                        say(format!("two keys made the order {id}"));
                    }
                    if !listed.contains(id.as_str()) {
                        say(format!("the order {id} of the key {key} is not listed"));
                    }
                }
            }
        }
        let others: Vec<_> = listed.difference(&known).collect();
        if others.len() > unknown {
            say(format!(
                "no answer told of the orders {others:?}, and {unknown} keys had no answer"
            ));
        }
        if let Some(expected) = &self.expected
            && *expected != self.cart
        {
            let cart = &self.cart;
            say(format!("the cart holds {cart:?} instead of {expected:?}"));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use zerocart_proto::order::OrderItem;

    use super::*;

    fn order(id: &str, status: OrderStatus, lines: &[(&str, i32, f64)]) -> Order {
        let cents = lines.iter().map(|(.., total)| Cents::from_wire(*total));
        let total: Cents = cents.map(Option::unwrap).sum();
        let items = lines.iter().map(|(product, quantity, total)| OrderItem {
            product_id: (*product).to_owned(),
            quantity: *quantity,
            total_price: *total,
            ..Default::default()
        });
        Order {
            id: id.into(),
            status: status.into(),
            payment_id: format!("payment of {id}"),
            total_amount: total.to_wire(),
            items: items.collect(),
            ..Default::default()
        }
    }

    fn payment(order: &Order, status: PaymentStatus) -> PaymentStatusResponse {
        PaymentStatusResponse {
            payment_id: order.payment_id.clone(),
            order_id: order.id.clone(),
            amount: order.total_amount,
            status: status.into(),
            ..Default::default()
        }
    }

    /// Two orders of which one is paid, one key without an order, and a line in the cart.
    fn books() -> Books {
        let product = |id: &str, cents, now| Product {
            id: id.into(),
            price: Cents::new(cents),
            before: 10,
            now,
        };
        let paid = order(
            "a",
            OrderStatus::Paid,
            &[("tea", 2, 9.5), ("cup", 1, 12.99)],
        );
        let failed = order("b", OrderStatus::Failed, &[("tea", 1, 4.75)]);
        let payments = [
            payment(&paid, PaymentStatus::Success),
            payment(&failed, PaymentStatus::Failed),
        ];
        let asked = [
            ("1", Outcome::Order("a".into())),
            ("2", Outcome::Order("b".into())),
            ("3", Outcome::None),
        ];
        Books {
            products: vec![product("tea", 475, 8), product("cup", 1299, 9)],
            customers: vec![Customer {
                name: "one".into(),
                asked: asked.map(|(key, outcome)| (key.into(), outcome)).into(),
                expected: Some(Units::from([("tea".into(), 1)])),
                cart: Units::from([("tea".into(), 1)]),
                total: 2,
                orders: vec![paid, failed],
            }],
            payments: payments.map(|p| (p.order_id.clone(), p)).into(),
        }
    }

    #[test]
    fn good_books_balance() {
        let books = books();
        assert_eq!(books.wrong(), Vec::<String>::new());
        assert_eq!(books.revenue(), Cents::new(2249));

        // What nobody was told is not held against the system.
        let mut unsure = books.clone();
        let customer = &mut unsure.customers[0];
        customer.asked.insert("2".into(), Outcome::Unknown);
        (customer.expected, customer.cart) = (None, Units::new());
        unsure.payments.remove("b");
        assert_eq!(unsure.wrong(), Vec::<String>::new());
    }

    #[test]
    fn every_broken_book_is_found() {
        type Break = fn(&mut Books);
        let breaks: &[(&str, Break)] = &[
            ("8 before", |b| b.products[0].before = 8),
            ("7 now", |b| b.products[0].now = 7),
            ("-1 now, but 11", |b| {
                b.products[0].now = -1;
                b.customers[0].orders[0].items[0].quantity = 11;
            }),
            ("has not ended: PROCESSING", |b| {
                b.customers[0].orders[1].set_status(OrderStatus::Processing);
            }),
            ("PAID, has no payment", |b| {
                b.payments.remove("a");
            }),
            ("of 22.48 is SUCCESS", |b| {
                b.payments.get_mut("a").unwrap().amount = 22.48;
            }),
            ("is PROCESSING", |b| {
                let payment = b.payments.get_mut("a").unwrap();
                payment.set_status(PaymentStatus::Processing);
            }),
            ("its payment payment of z", |b| {
                b.payments.get_mut("a").unwrap().payment_id = "payment of z".into();
            }),
            ("FAILED: its payment payment of b of 4.75 is SUCCESS", |b| {
                let payment = b.payments.get_mut("b").unwrap();
                payment.set_status(PaymentStatus::Success);
            }),
            ("belongs to two orders", |b| {
                let id = b.payments["a"].payment_id.clone();
                b.payments.get_mut("b").unwrap().payment_id = id;
            }),
            ("2 units at 4.75 are 9.49", |b| {
                b.customers[0].orders[0].items[0].total_price = 9.49;
            }),
            ("its total is 22.5", |b| {
                b.customers[0].orders[0].total_amount = 22.5;
            }),
            ("is not one of this load", |b| {
                b.customers[0].orders[1].items[0].product_id = "pot".into();
            }),
            ("has no lines", |b| b.customers[0].orders[1].items.clear()),
            ("2 orders are listed, 2 of them different, and 3", |b| {
                b.customers[0].total = 3;
            }),
            ("the order c of the key 2 is not listed", |b| {
                let c = Outcome::Order("c".into());
                b.customers[0].asked.insert("2".into(), c);
            }),
            ("two keys made the order a", |b| {
                let a = Outcome::Order("a".into());
                b.customers[0].asked.insert("3".into(), a);
            }),
            ("no answer told of the orders [\"b\"]", |b| {
                b.customers[0].asked.remove("2");
            }),
            ("the cart holds {} instead of", |b| {
                b.customers[0].cart.clear();
            }),
        ];
        for (says, break_it) in breaks {
            let mut broken = books();
            break_it(&mut broken);
            let wrong = broken.wrong();
            let said = wrong.iter().any(|line| line.contains(says));
            assert!(said, "{says:?} is not in {wrong:?}");
        }
    }
}
