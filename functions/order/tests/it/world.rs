//! The functions that an order is made with: carts, stock and payments in memory, by the rules of
//! the real ones, with faults that a test sets and a log that it reads.

mod rules;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;
use zerocart_core::{Call, Error};
use zerocart_proto::{
    cart::{BoughtItem, CartItem, ClearCartRequest, GetCartRequest},
    payment::{GetPaymentStatusRequest, PaymentStatus, ProcessPaymentRequest},
    product::UpdateInventoryRequest,
    rpc,
};
use zerocart_test_support::functions::{Authority, Running, Script};

/// What the provider says when it declines.
pub(crate) const DECLINED: &str = "insufficient funds";

/// What a function is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Spot {
    GetCart,
    Reserve,
    Release,
    Charge,
    Refund,
    AskPayment,
    ClearCart,
}

/// What goes wrong there.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing is done, and it says so.
    Unavailable,
    /// It is done, and the answer is lost.
    Lost,
    /// The customer's bank says no. Only for a charge.
    Declined,
    /// It is done once the gate is open.
    Held(Gate),
}

/// Holds calls until it is opened, once and for all.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn shut() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.close();
    }

    async fn pass(&self) {
        // It never has a permit: what ends the wait is that it is closed.
        let _ = self.0.acquire().await;
    }
}

/// Where the payment of an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Charged,
    Declined,
    /// Charged, and given back.
    Refunded,
    /// Never charged, and never to be.
    Barred,
}

/// The payment of an order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) amount: f64,
    pub(crate) method: String,
    pub(crate) standing: Standing,
}

/// One call that a function got.
#[derive(Clone, Debug)]
struct Seen {
    spot: Spot,
    /// Role and subject: `service create-order`.
    caller: String,
    user_id: String,
    order_id: String,
    trace_id: String,
    /// For people and tests: `reserve Tea 3`.
    what: String,
}

struct Product {
    name: &'static str,
    stock: i32,
    /// What there was at first.
    initial: i32,
}

struct Reservation {
    quantity: i32,
    released: bool,
}

#[derive(Default)]
struct State {
    carts: HashMap<String, Vec<CartItem>>,
    /// The orders whose purchase was taken from a cart.
    cleared: HashSet<String>,
    products: BTreeMap<String, Product>,
    reservations: HashMap<(String, String), Reservation>,
    payments: HashMap<String, Payment>,
    /// By spot, and product or order; the empty one is for all.
    faults: HashMap<(Spot, String), Fault>,
    log: Vec<Seen>,
    /// update-inventory is of the version before.
    takes_one_line: bool,
}

/// A world of one test's own. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<State>>);

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_product(&self, id: &str, name: &'static str, stock: i32) {
        let product = Product {
            name,
            stock,
            initial: stock,
        };
        self.state().products.insert(id.into(), product);
    }

    pub(crate) fn remove_product(&self, id: &str) {
        self.state().products.remove(id);
    }

    /// Units that nobody holds.
    pub(crate) fn stock(&self, id: &str) -> i32 {
        self.state().products[id].stock
    }

    /// Units that are missing from what there was at first.
    pub(crate) fn missing(&self) -> i32 {
        let state = self.state();
        let products = state.products.values();
        products.map(|p| p.initial - p.stock).sum()
    }

    /// Units that an order holds.
    pub(crate) fn held(&self, order_id: &str) -> i32 {
        let state = self.state();
        let held = state.reservations.iter();
        held.filter(|((order, _), reservation)| order == order_id && !reservation.released)
            .map(|(_, reservation)| reservation.quantity)
            .sum()
    }

    /// Puts lines of product, price and quantity in the place of a user's cart.
    pub(crate) fn fill_cart(&self, user_id: &str, lines: &[(&str, f64, i32)]) {
        let mut state = self.state();
        let items = lines.iter().map(|(id, price, quantity)| CartItem {
            product_id: (*id).into(),
            product_name: state.products.get(*id).map_or("Gone", |p| p.name).into(),
            product_price: *price,
            quantity: *quantity,
            // Nobody may rely on it.
            total_price: 0.0,
        });
        let items = items.collect();
        state.carts.insert(user_id.into(), items);
    }

    /// Product and quantity of each line.
    pub(crate) fn cart(&self, user_id: &str) -> Vec<(String, i32)> {
        let state = self.state();
        let items = state.carts.get(user_id).into_iter().flatten();
        items
            .map(|item| (item.product_id.clone(), item.quantity))
            .collect()
    }

    pub(crate) fn payment(&self, order_id: &str) -> Option<Payment> {
        self.state().payments.get(order_id).cloned()
    }

    /// From now on, update-inventory is of the version before, or it is replaced.
    pub(crate) fn set_takes_one_line(&self, takes_one_line: bool) {
        self.state().takes_one_line = takes_one_line;
    }

    fn takes_lines(&self) -> bool {
        !self.state().takes_one_line
    }

    /// From now on this goes wrong.
    pub(crate) fn set(&self, spot: Spot, fault: Fault) {
        self.set_for(spot, "", fault);
    }

    /// For one product or one order alone.
    pub(crate) fn set_for(&self, spot: Spot, id: &str, fault: Fault) {
        self.state().faults.insert((spot, id.into()), fault);
    }

    /// From now on nothing goes wrong.
    pub(crate) fn heal(&self) {
        self.state().faults.clear();
    }

    /// What was asked for an order, in order.
    pub(crate) fn did(&self, order_id: &str) -> Vec<String> {
        let state = self.state();
        let log = state.log.iter().filter(|seen| seen.order_id == order_id);
        log.map(|seen| seen.what.clone()).collect()
    }

    /// How often this was asked for.
    pub(crate) fn count(&self, spot: Spot) -> usize {
        let state = self.state();
        state.log.iter().filter(|seen| seen.spot == spot).count()
    }

    /// How often this was asked for a user.
    pub(crate) fn count_of(&self, spot: Spot, user_id: &str) -> usize {
        let state = self.state();
        let log = state.log.iter();
        log.filter(|seen| seen.spot == spot && seen.user_id == user_id)
            .count()
    }

    /// Everybody who called, role and subject.
    pub(crate) fn callers(&self) -> Vec<String> {
        let mut callers: Vec<_> = self.state().log.iter().map(|s| s.caller.clone()).collect();
        callers.sort();
        callers.dedup();
        callers
    }

    /// The traces that the calls for an order belong to.
    pub(crate) fn traces(&self, order_id: &str) -> Vec<String> {
        let state = self.state();
        let log = state.log.iter().filter(|seen| seen.order_id == order_id);
        let mut traces: Vec<_> = log.map(|seen| seen.trace_id.clone()).collect();
        traces.dedup();
        traces
    }

    /// Does for an order what a driver had done before it died. Not logged.
    pub(crate) fn reserve(&self, order_id: &str, product_id: &str, quantity: i32) {
        let request = reservation(order_id, product_id, -quantity);
        self.state().update_inventory(&request).unwrap();
    }

    /// As if the order had never been made.
    pub(crate) fn forget(&self, order_id: &str) {
        let mut state = self.state();
        let state = &mut *state;
        for ((order, product), reservation) in &state.reservations {
            if order == order_id && !reservation.released {
                let product = state.products.get_mut(product).unwrap();
                product.stock += reservation.quantity;
            }
        }
        state.reservations.retain(|(order, _), _| order != order_id);
        state.payments.remove(order_id);
        state.cleared.remove(order_id);
        state.log.retain(|seen| seen.order_id != order_id);
    }

    pub(crate) fn release(&self, order_id: &str, product_id: &str, quantity: i32) {
        let request = reservation(order_id, product_id, quantity);
        self.state().update_inventory(&request).unwrap();
    }

    pub(crate) fn charge(&self, order_id: &str, user_id: &str, amount: f64, declines: bool) {
        let request = ProcessPaymentRequest {
            order_id: order_id.into(),
            user_id: user_id.into(),
            amount,
            payment_method: "credit_card".into(),
            refund: false,
        };
        self.state().process_payment(&request, declines).unwrap();
    }

    pub(crate) fn refund(&self, order_id: &str, user_id: &str) {
        let request = ProcessPaymentRequest {
            order_id: order_id.into(),
            user_id: user_id.into(),
            refund: true,
            ..Default::default()
        };
        self.state().process_payment(&request, false).unwrap();
    }

    pub(crate) fn take_from_cart(&self, order_id: &str, user_id: &str, lines: &[(&str, f64, i32)]) {
        let bought = lines.iter().map(|(product_id, _, quantity)| BoughtItem {
            product_id: (*product_id).into(),
            quantity: *quantity,
        });
        let request = ClearCartRequest {
            user_id: user_id.into(),
            order_id: order_id.into(),
            bought: bought.collect(),
        };
        self.state().clear_cart(&request);
    }

    /// One call: it is logged, what is set for it goes wrong, and otherwise `work` is done.
    async fn met<T>(
        &self,
        cx: Call,
        seen: Seen,
        keys: &[&str],
        work: impl FnOnce(&mut State, bool) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let caller = cx.identity.map_or("nobody".into(), |identity| {
            format!("{} {}", identity.role.as_str(), identity.subject)
        });
        let spot = seen.spot;
        let fault = {
            let mut state = self.state();
            state.log.push(Seen {
                caller,
                trace_id: cx.trace.trace_id().to_string(),
                ..seen
            });
            let keys = keys.iter().chain(&[""]);
            let mut faults = keys.map(|key| state.faults.get(&(spot, (*key).to_owned())));
            faults.find_map(|fault| fault.cloned())
        };
        match fault {
            None => work(&mut self.state(), false),
            Some(Fault::Declined) => work(&mut self.state(), true),
            Some(Fault::Unavailable) => Err(unavailable()),
            Some(Fault::Lost) => {
                work(&mut self.state(), false)?;
                Err(unavailable())
            }
            Some(Fault::Held(gate)) => {
                gate.pass().await;
                work(&mut self.state(), false)
            }
        }
    }

    /// Serves this world. Gives the functions, and their base URLs by name.
    pub(crate) async fn serve(
        &self,
        authority: &Authority,
    ) -> (Vec<Running>, Vec<(String, String)>) {
        let functions = [
            ("get-cart", self.serve_get_cart(authority).await),
            (
                "update-inventory",
                self.serve_update_inventory(authority).await,
            ),
            (
                "process-payment",
                self.serve_process_payment(authority).await,
            ),
            (
                "get-payment-status",
                self.serve_payment_status(authority).await,
            ),
            ("clear-cart", self.serve_clear_cart(authority).await),
        ];
        functions
            .into_iter()
            .map(|(name, function)| {
                let url = format!("http://{}", function.address());
                (function, (name.to_owned(), url))
            })
            .unzip()
    }

    async fn serve_get_cart(&self, authority: &Authority) -> Running {
        let world = self.clone();
        let script = Script::<rpc::GetCart>::new(move |cx, request: GetCartRequest| {
            let world = world.clone();
            async move {
                let user_id = request.user_id;
                let seen = seen(Spot::GetCart, &user_id, "", "get cart".into());
                world
                    .met(cx, seen, &[&user_id], |state, _| {
                        Ok(state.get_cart(&user_id))
                    })
                    .await
            }
        });
        Running::scripted(authority.env(), script).await
    }

    async fn serve_update_inventory(&self, authority: &Authority) -> Running {
        let world = self.clone();
        let script =
            Script::<rpc::UpdateInventory>::new(move |cx, request: UpdateInventoryRequest| {
                let world = world.clone();
                async move {
                    if !world.takes_lines() && !request.lines.is_empty() {
                        // It does not know the field.
                        return Err(Error::field("product_id", "is required"));
                    }
                    let lines = rules::lines(&request);
                    let (spot, verb) = if lines[0].quantity_change < 0 {
                        (Spot::Reserve, "reserve")
                    } else {
                        (Spot::Release, "release")
                    };
                    let named = lines.iter().map(|line| {
                        let name = world.name(&line.product_id);
                        format!("{name} {}", line.quantity_change.abs())
                    });
                    let what = format!("{verb} {}", named.collect::<Vec<_>>().join(", "));
                    let seen = seen(spot, "", &request.reservation_id, what);
                    let products = lines.iter().map(|line| &*line.product_id);
                    let keys: Vec<_> = products.chain([&*request.reservation_id]).collect();
                    world
                        .met(cx, seen, &keys, |state, _| state.update_inventory(&request))
                        .await
                }
            });
        Running::scripted(authority.env(), script).await
    }

    async fn serve_process_payment(&self, authority: &Authority) -> Running {
        let world = self.clone();
        let script =
            Script::<rpc::ProcessPayment>::new(move |cx, request: ProcessPaymentRequest| {
                let world = world.clone();
                async move {
                    let (spot, what) = if request.refund {
                        (Spot::Refund, "refund".to_owned())
                    } else {
                        (Spot::Charge, format!("charge {:.2}", request.amount))
                    };
                    let seen = seen(spot, &request.user_id, &request.order_id, what);
                    world
                        .met(cx, seen, &[&request.order_id], |state, declines| {
                            state.process_payment(&request, declines)
                        })
                        .await
                }
            });
        Running::scripted(authority.env(), script).await
    }

    async fn serve_payment_status(&self, authority: &Authority) -> Running {
        let world = self.clone();
        let script =
            Script::<rpc::GetPaymentStatus>::new(move |cx, request: GetPaymentStatusRequest| {
                let world = world.clone();
                async move {
                    let id = request.payment_id;
                    let seen = seen(Spot::AskPayment, "", &id, "ask payment".into());
                    world
                        .met(cx, seen, &[&id], |state, _| state.payment_status(&id))
                        .await
                }
            });
        Running::scripted(authority.env(), script).await
    }

    async fn serve_clear_cart(&self, authority: &Authority) -> Running {
        let world = self.clone();
        let script = Script::<rpc::ClearCart>::new(move |cx, request: ClearCartRequest| {
            let world = world.clone();
            async move {
                let bought = request.bought.iter();
                let bought: Vec<_> = bought
                    .map(|item| format!("{} {}", world.name(&item.product_id), item.quantity))
                    .collect();
                let what = format!("clear {}", bought.join(", "));
                let seen = seen(Spot::ClearCart, &request.user_id, &request.order_id, what);
                world
                    .met(cx, seen, &[&request.order_id], |state, _| {
                        Ok(state.clear_cart(&request))
                    })
                    .await
            }
        });
        Running::scripted(authority.env(), script).await
    }

    fn name(&self, product_id: &str) -> &'static str {
        let state = self.state();
        state.products.get(product_id).map_or("Gone", |p| p.name)
    }
}

impl Standing {
    fn to_wire(self) -> PaymentStatus {
        match self {
            Self::Charged => PaymentStatus::Success,
            Self::Declined => PaymentStatus::Failed,
            Self::Refunded | Self::Barred => PaymentStatus::Cancelled,
        }
    }
}

fn reservation(order_id: &str, product_id: &str, quantity_change: i32) -> UpdateInventoryRequest {
    UpdateInventoryRequest {
        product_id: product_id.into(),
        quantity_change,
        reservation_id: order_id.into(),
        ..Default::default()
    }
}

fn seen(spot: Spot, user_id: &str, order_id: &str, what: String) -> Seen {
    Seen {
        spot,
        caller: String::new(),
        trace_id: String::new(),
        user_id: user_id.into(),
        order_id: order_id.into(),
        what,
    }
}

fn unavailable() -> Error {
    Error::unavailable("temporarily unavailable", Duration::from_millis(10))
}
