//! What must hold in the databases when no order is unfinished, after every failure.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;
use uuid::Uuid;

/// Units of products.
pub(crate) type Units = BTreeMap<Uuid, i64>;

/// What the test has put in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Put {
    /// The stock of each product, before any order.
    pub(crate) stock: Units,
    /// All that each user has ever put into the cart.
    pub(crate) carts: BTreeMap<Uuid, Units>,
}

/// An order as its row.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) status: String,
    pub(crate) step: String,
    pub(crate) cause: Option<String>,
    pub(crate) reason: String,
    pub(crate) total_cents: i64,
    pub(crate) items: Units,
    /// The sum of its lines.
    items_cents: i64,
}

impl Order {
    /// Whether the goods are the buyer's, and the money the shop's.
    pub(crate) fn is_sold(&self) -> bool {
        matches!(self.status.as_str(), "PAID" | "SHIPPED" | "DELIVERED")
    }
}

/// The tables, as they are now.
#[derive(Debug)]
pub(crate) struct Books {
    stock: Units,
    /// By order.
    held: BTreeMap<Uuid, Units>,
    pub(crate) orders: BTreeMap<Uuid, Order>,
    /// Steps of orders that have ended which themselves have not.
    open_steps: i64,
    /// State and cents, by order.
    charges: BTreeMap<Uuid, (String, Option<i64>)>,
    /// Statuses, by order.
    payments: BTreeMap<Uuid, String>,
    carts: BTreeMap<Uuid, Units>,
    cleared: BTreeSet<(Uuid, Uuid)>,
}

impl Books {
    /// Reads the tables of the four domains, as a superuser.
    pub(crate) async fn read(
        product: &Client,
        cart: &Client,
        payment: &Client,
        order: &Client,
    ) -> Self {
        let orders = order.query(
            "SELECT id, user_id, status, step, cause, reason, (total * 100)::bigint FROM orders",
            &[],
        );
        let mut orders: BTreeMap<Uuid, Order> = orders
            .await
            .expect("orders can be read")
            .iter()
            .map(|row| {
                let order = Order {
                    id: row.get(0),
                    user_id: row.get(1),
                    status: row.get(2),
                    step: row.get(3),
                    cause: row.get(4),
                    reason: row.get(5),
                    total_cents: row.get(6),
                    items: Units::new(),
                    items_cents: 0,
                };
                (order.id, order)
            })
            .collect();
        let items = "SELECT order_id, product_id, quantity::bigint, (price * 100)::bigint
                     FROM order_items";
        for row in order.query(items, &[]).await.expect("items can be read") {
            let Some(order) = orders.get_mut(&row.get(0)) else {
                // Placed since the orders were read.
                continue;
            };
            let (quantity, cents): (i64, i64) = (row.get(2), row.get(3));
            order.items.insert(row.get(1), quantity);
            order.items_cents += quantity * cents;
        }
        let steps = "SELECT count(*) FROM order_steps s JOIN orders o ON o.id = s.order_id
                     WHERE o.step = 'ended' AND s.ended_at IS NULL";
        let steps = order.query_one(steps, &[]).await;
        let stock = product.query("SELECT id, inventory::bigint FROM products", &[]);
        let held = "SELECT reservation_id, product_id, quantity::bigint FROM reservations
                    WHERE reserved_by IS NOT NULL AND released_by IS NULL";
        let charges = "SELECT key, state, (amount * 100)::bigint FROM simulator_charges";
        let charges = payment.query(charges, &[]).await;
        let payments = payment.query("SELECT order_id, status FROM payments", &[]);
        let lines = "SELECT user_id, product_id, quantity::bigint FROM cart_items";
        let cleared = cart.query("SELECT user_id, order_id FROM cart_clearances", &[]);
        Self {
            stock: {
                let rows = stock.await.expect("products can be read");
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            },
            held: nested(product, held).await,
            open_steps: steps.expect("steps can be read").get(0),
            charges: {
                let rows = charges.expect("charges can be read");
                let charge = |row: &tokio_postgres::Row| (row.get(0), (row.get(1), row.get(2)));
                rows.iter().map(charge).collect()
            },
            payments: {
                let rows = payments.await.expect("payments can be read");
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            },
            carts: nested(cart, lines).await,
            cleared: {
                let rows = cleared.await.expect("clearances can be read");
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            },
            orders,
        }
    }

    /// The orders of a user.
    pub(crate) fn orders_of(&self, user_id: Uuid) -> Vec<&Order> {
        let orders = self.orders.values();
        orders.filter(|order| order.user_id == user_id).collect()
    }

    /// What of a user's cart there is.
    pub(crate) fn cart(&self, user_id: Uuid) -> Units {
        self.carts.get(&user_id).cloned().unwrap_or_default()
    }

    /// How much of a product can be sold.
    pub(crate) fn stock(&self, product: Uuid) -> i64 {
        self.stock[&product]
    }

    /// All that is not as it must be.
    pub(crate) fn wrong(&self, put: &Put) -> Vec<String> {
        let mut wrong = Vec::new();
        for order in self.orders.values() {
            wrong.extend(self.wrong_order(order));
        }
        if self.open_steps > 0 {
            wrong.push(format!(
                "{} steps of ended orders have no end",
                self.open_steps
            ));
        }
        for (id, held) in &self.held {
            if !self.orders.contains_key(id) {
                wrong.push(format!("{held:?} is held for {id}, which is no order"));
            }
        }
        for (id, (state, _)) in &self.charges {
            if state == "CHARGED" && !self.orders.contains_key(id) {
                wrong.push(format!("a charge stands for {id}, which is no order"));
            }
        }
        for (product, initial) in &put.stock {
            let held: i64 = self
                .held
                .values()
                .filter_map(|held| held.get(product))
                .sum();
            let stock = self.stock(*product);
            if stock + held != *initial {
                wrong.push(format!(
                    "product {product}: {stock} in stock and {held} held or sold, of {initial}"
                ));
            }
        }
        for (user, put) in &put.carts {
            let cart = self.cart(*user);
            let left = self.left(*user, put);
            if cart != left {
                wrong.push(format!(
                    "the cart of {user} holds {cart:?} instead of {left:?}"
                ));
            }
        }
        wrong
    }

    fn wrong_order(&self, order: &Order) -> Vec<String> {
        let mut wrong = Vec::new();
        let Order {
            id, status, step, ..
        } = order;
        let mut say = |what: String| wrong.push(format!("order {id}, {status}: {what}"));
        if step != "ended" || matches!(status.as_str(), "PENDING" | "PROCESSING") {
            say(format!("is unfinished, at {step}"));
        }
        if order.items_cents != order.total_cents {
            let (total, lines) = (order.total_cents, order.items_cents);
            say(format!("its total is {total} cents, of its lines {lines}"));
        }
        if !self.money_agrees(order) {
            let (charge, payment) = (self.charges.get(id), self.payments.get(id));
            let total = order.total_cents;
            say(format!(
                "its charge is {charge:?}, of {total} cents, and its payment {payment:?}"
            ));
        }
        let held = self.held.get(id).cloned().unwrap_or_default();
        let cleared = self.cleared.contains(&(order.user_id, *id));
        if order.is_sold() {
            if held != order.items {
                say(format!("{held:?} is its, of {:?}", order.items));
            }
            if !cleared {
                say("what it bought was not taken from the cart".into());
            }
            return wrong;
        }
        if !held.is_empty() {
            say(format!("{held:?} is held for it"));
        }
        if cleared && status != "CANCELLED" {
            say("it emptied the cart".into());
        }
        if order.cause.is_none() || order.reason.is_empty() {
            say("it does not say why".into());
        }
        wrong
    }

    /// Whether an order, its payment and the provider's books say the same: a charge of its total
    /// stands exactly when it is sold; what was charged besides is refunded.
    fn money_agrees(&self, order: &Order) -> bool {
        let charge = self.charges.get(&order.id);
        let charge = charge.map(|(state, cents)| (state.as_str(), *cents));
        let payment = self.payments.get(&order.id).map(String::as_str);
        let total = Some(order.total_cents);
        match (order.is_sold(), charge, payment) {
            (true, Some(("CHARGED", cents)), Some("SUCCESS"))
            | (false, Some(("REFUNDED", cents)), Some("CANCELLED")) => cents == total,
            (false, Some(("DECLINED" | "VOIDED", _)), Some("FAILED"))
            | (false, None, Some("FAILED") | None) => true,
            _ => false,
        }
    }

    /// What was put into a cart and not taken from it by an order.
    fn left(&self, user_id: Uuid, put: &Units) -> Units {
        let mut left = put.clone();
        for order in self.orders_of(user_id) {
            if self.cleared.contains(&(user_id, order.id)) {
                for (product, quantity) in &order.items {
                    *left.entry(*product).or_default() -= quantity;
                }
            }
        }
        left.retain(|_, quantity| *quantity != 0);
        left
    }
}

/// Units by two ids.
async fn nested(sql: &Client, query: &str) -> BTreeMap<Uuid, Units> {
    let mut all = BTreeMap::<Uuid, Units>::new();
    for row in sql.query(query, &[]).await.expect("a table can be read") {
        all.entry(row.get(0))
            .or_default()
            .insert(row.get(1), row.get(2));
    }
    all
}
