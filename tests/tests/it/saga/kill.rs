//! The driver of an order is killed at each boundary, one run after the other, until a run comes to
//! its end.

use std::time::Duration;

use http::{Method, Request};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;
use zerocart_proto::order::OrderResponse;
use zerocart_test_support::clients::{self, Body, Outcome};

use super::{
    books::Books,
    boundary::{Crossing, Fate, Stop},
    process::{Process, Tap, tail},
    refunds::Refunds,
    stage::{Buyer, Provider, SLOW_MS, Stage, expect_answer, keyed, post_order, send},
};

/// More boundaries than any run has.
const MOST: usize = 300;

/// How often an order may be taken up before it has to have ended.
const TRIES: usize = 8;

/// What an order meets on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// Nothing.
    Paid,
    /// The payment is declined.
    Declined,
    /// There is not enough of the second product.
    SoldOut,
    /// The provider refuses to work.
    ProviderDown,
    /// The provider does not answer, and has charged.
    SilentlyCharged,
    /// The provider does not answer, and has not charged.
    Silent,
}

impl Path {
    fn provider(self) -> Provider {
        match self {
            Self::Paid | Self::SoldOut => Provider::WORKS,
            Self::Declined => Provider::DECLINES,
            Self::ProviderDown => Provider::DOWN,
            Self::SilentlyCharged | Self::Silent => Provider::SILENT,
        }
    }

    /// Whether the first charge of a provider that is silent is made.
    fn charges(self) -> Option<bool> {
        match self {
            Self::SilentlyCharged => Some(true),
            Self::Silent => Some(false),
            _ => None,
        }
    }

    /// The status and cause of an order that nobody interrupts.
    fn end(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Paid | Self::SilentlyCharged => ("PAID", None),
            Self::Declined => ("FAILED", Some("declined")),
            Self::SoldOut => ("FAILED", Some("refused")),
            Self::ProviderDown | Self::Silent => ("FAILED", Some("unavailable")),
        }
    }
}

/// Who takes up what the killed process left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heir {
    /// recover-orders.
    Job,
    /// create-order, by the request that is sent again under its key.
    Retry,
    /// get-order.
    Read,
}

/// A stage on which orders go one way.
struct Scene {
    stage: Stage,
    path: Path,
    /// Makes the simulated provider choose as the path wants.
    seed: Option<String>,
}

/// A cart that is about to be ordered.
struct Case {
    buyer: Buyer,
    /// What is not in it yet.
    third: Uuid,
    /// What is in it already.
    first: Uuid,
}

impl Scene {
    async fn new(path: Path) -> Self {
        let mut scene = Self {
            stage: Stage::new().await,
            path,
            seed: None,
        };
        // Or a provider that fails would make the way longer, and each kill on it takes time.
        scene.stage.charge_attempts = Some("1");
        if let Some(charges) = path.charges() {
            scene.seed = Some(scene.seed_that(charges).await);
        }
        scene
    }

    /// A seed with which the first charge of a provider that is silent is made, or is not.
    async fn seed_that(&mut self, charges: bool) -> String {
        for seed in 0..64 {
            let seed = format!("{seed}");
            self.seed = Some(seed.clone());
            let case = self.case().await;
            let (process, address) = self
                .stage
                .start("create-order", self.stage.order_env(&[]))
                .await;
            let answer = send(address, post_order(&case.buyer, "seed")).await;
            answer.expect("nobody is killed");
            process.kill().await;
            self.settle(Heir::Job, &case, "looking for a seed").await;
            let books = self.stage.shop.check("looking for a seed").await;
            if books.orders_of(case.buyer.id)[0].is_sold() == charges {
                return seed;
            }
        }
        panic!("with none of 64 seeds a silent provider has charged: {charges}");
    }

    /// A new buyer with a cart of two new products, and the provider as at the beginning.
    async fn case(&mut self) -> Case {
        let shop = &self.stage.shop;
        let (first, second) = (shop.product(475, 20).await, shop.product(1_299, 20).await);
        let third = shop.product(50, 20).await;
        let buyer = shop.buyer();
        self.stage.add(&buyer, first, 2).await;
        self.stage.add(&buyer, second, 3).await;
        if self.path == Path::SoldOut {
            shop.set_stock(second, 2).await;
        }
        shop.provider(self.path.provider()).await;
        // One failure opens the breaker.
        shop.close_breakers(2).await;
        if let Some(seed) = self.seed.clone() {
            let more = [("PAYMENT_SEED", seed.as_str())];
            self.stage.restart("process-payment", &more).await;
        }
        Case {
            buyer,
            third,
            first,
        }
    }

    /// POST /orders to a new create-order, which is killed where it stops. Gives where, or what was
    /// answered.
    async fn order(&self, case: &Case, tap: &Tap) -> Result<Outcome<OrderResponse>, String> {
        let env = self.stage.tapped_env(tap);
        let (process, address) = self.stage.start("create-order", env).await;
        tap.boundaries.arm();
        let answer = tokio::spawn(send(address, post_order(&case.buyer, "key")));
        tokio::select! {
            // Before it is killed it may find its connections cut, and say so.
            biased;
            what = tap.boundaries.stopped() => {
                process.kill().await;
                tap.boundaries.quiet().await;
                Err(what)
            }
            answer = answer => {
                let answer = answer.expect("sending does not panic");
                let Some(answer) = answer else {
                    panic!("create-order gave no answer\n{}", process.log());
                };
                process.kill().await;
                Ok(answer.outcome())
            }
        }
    }

    /// The customer goes on shopping.
    async fn shop_on(&self, case: &Case) {
        self.stage.add(&case.buyer, case.third, 1).await;
        self.stage.add(&case.buyer, case.first, 1).await;
    }

    /// Has unfinished orders taken up until there are none.
    async fn settle(&self, heir: Heir, case: &Case, after: &str) {
        for _ in 0..TRIES {
            let unfinished = self.stage.shop.lapse().await;
            if unfinished.is_empty() {
                return;
            }
            match heir {
                Heir::Job => self.stage.recover().await,
                Heir::Retry => {
                    self.retry(case).await;
                }
                Heir::Read => {
                    let env = self.stage.order_env(&[]);
                    let (process, address) = self.stage.start("get-order", env).await;
                    for (order, _) in unfinished {
                        let path = format!("/orders/{order}");
                        let request = clients::request(Method::GET, &path, "");
                        let request = keyed(request, &case.buyer.token, "unused");
                        let reply = send(address, request).await.expect("an answer");
                        assert_eq!(reply.status, 200, "after {after}: {}", reply.text());
                    }
                    process.stop().await;
                }
            }
        }
        let books = self.stage.shop.books().await;
        let orders = books.orders_of(case.buyer.id);
        panic!("after {after}: unfinished after {TRIES} tries: {orders:#?}");
    }

    /// The same POST under the same key, to a new create-order.
    async fn retry(&self, case: &Case) -> Outcome<OrderResponse> {
        let env = self.stage.order_env(&[]);
        let (process, address) = self.stage.start("create-order", env).await;
        let Some(answer) = send(address, post_order(&case.buyer, "key")).await else {
            panic!("create-order gave no answer\n{}", process.log());
        };
        process.stop().await;
        answer.outcome()
    }

    /// Expects that the order has come to an end, and that the retried POST tells of it.
    async fn expect_end(&self, heir: Heir, case: &Case, after: &str) -> Books {
        let before = self.stage.shop.check(after).await;
        let answer = self.retry(case).await;
        let after = &format!("{after} and the retried POST");
        self.settle(heir, case, after).await;
        let books = self.stage.shop.check(after).await;
        let orders = books.orders_of(case.buyer.id);
        let [order] = orders.as_slice() else {
            panic!("after {after}: {orders:#?}");
        };
        expect_answer(&answer, order, after);
        if let [earlier] = before.orders_of(case.buyer.id).as_slice() {
            let now = (order.id, &order.status, &order.reason);
            assert_eq!(
                (earlier.id, &earlier.status, &earlier.reason),
                now,
                "after {after}"
            );
        }
        books
    }
}

/// Kills create-order at each boundary of orders that go `path`, and has what is left taken up by
/// `heir`.
async fn kill_create_order(path: Path, fate: Fate, heir: Heir) {
    let mut scene = Scene::new(path).await;
    kill_each(&mut scene, fate, heir, &[path.end()]).await;
}

/// Kills create-order at each boundary of one order each, until one that nobody interrupted ends in
/// the first of these ways; it may end in the others, too.
async fn kill_each(
    scene: &mut Scene,
    fate: Fate,
    heir: Heir,
    ends: &[(&'static str, Option<&'static str>)],
) {
    let path = scene.path;
    for number in 0..MOST {
        let case = scene.case().await;
        let tap = scene.stage.tap(Stop::Number(number), fate).await;
        let answer = scene.order(&case, &tap).await;
        let after = match &answer {
            Ok(_) => format!("{path:?}, nobody killed"),
            Err(what) => format!("{path:?}, {heir:?}: create-order killed at {what}, {fate:?}"),
        };
        scene.shop_on(&case).await;
        scene.settle(heir, &case, &after).await;
        tap.boundaries.release().await;
        scene.settle(heir, &case, &after).await;
        let books = scene.expect_end(heir, &case, &after).await;
        if let Ok(answer) = answer {
            let order = books.orders_of(case.buyer.id)[0];
            let end = (order.status.as_str(), order.cause.as_deref());
            let log = tail(&scene.stage.shop.log("create-order"));
            assert!(
                ends.contains(&end),
                "after {number} boundaries: {end:?}, {answer:?}\n{log}"
            );
            expect_answer(&answer, order, &after);
            if end != ends[0] {
                continue;
            }
            // It does go through this.
            assert!(number > 8, "only {number} boundaries");
            return;
        }
    }
    panic!("no run comes to its end");
}

/// The same with orders that are so slow that each step is recorded.
async fn kill_slow_create_order(path: Path, fate: Fate) {
    let mut scene = Scene::new(path).await;
    scene.stage.record_after_ms = SLOW_MS;
    kill_each(&mut scene, fate, Heir::Job, &[path.end()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_on_its_way_to_paid() {
    kill_create_order(Path::Paid, Fate::Lost, Heir::Job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_on_its_slow_way_to_paid() {
    kill_slow_create_order(Path::Paid, Fate::Lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_on_its_slow_way_and_what_it_sent_arrives_late() {
    kill_slow_create_order(Path::Paid, Fate::Late).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_on_its_slow_way_while_a_charge_is_not_answered() {
    kill_slow_create_order(Path::SilentlyCharged, Fate::Lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_and_what_it_sent_arrives_late() {
    kill_create_order(Path::Paid, Fate::Late, Heir::Job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_and_the_customer_tries_again() {
    kill_create_order(Path::Paid, Fate::Lost, Heir::Retry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_and_somebody_looks_at_the_order() {
    kill_create_order(Path::Paid, Fate::Lost, Heir::Read).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_while_the_payment_is_declined() {
    kill_create_order(Path::Declined, Fate::Lost, Heir::Job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_while_a_product_is_sold_out() {
    kill_create_order(Path::SoldOut, Fate::Lost, Heir::Job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_while_the_provider_is_down() {
    kill_create_order(Path::ProviderDown, Fate::Lost, Heir::Job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_while_a_charge_that_was_made_is_not_answered() {
    kill_create_order(Path::SilentlyCharged, Fate::Lost, Heir::Job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_while_a_charge_that_was_not_made_is_not_answered() {
    kill_create_order(Path::Silent, Fate::Lost, Heir::Job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_and_a_late_charge_meets_a_refund() {
    kill_create_order(Path::Silent, Fate::Late, Heir::Job).await;
}

/// The refund or the charge may come first: the order, its payment and the provider agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_order_is_killed_while_an_admin_refunds_its_payments() {
    let mut scene = Scene::new(Path::Paid).await;
    let shop = &scene.stage.shop;
    let (orders, mut refunds) = (
        shop.connect("order").await,
        Refunds::new(shop, 20_251_127, Duration::from_millis(30)),
    );
    let payments = scene.stage.address("process-payment");
    let (stop, stopped) = watch::channel(false);
    let refunding = tokio::spawn(async move {
        while !*stopped.borrow() {
            let send = async |request| send(payments, request).await;
            refunds.once(&orders, send).await;
        }
        refunds
    });
    // What is barred before it is charged is declined.
    let ends = [Path::Paid.end(), Path::Declined.end()];
    kill_each(&mut scene, Fate::Lost, Heir::Job, &ends).await;
    stop.send_replace(true);
    let refunds = refunding.await.expect("refunding does not panic");
    refunds.check(&scene.stage.shop.check("everything").await);
    let (refunded, refused) = refunds.counts();
    assert!(refunded > 0 && refused > 0, "{refunded} and {refused}");
}

/// Kills create-order where it `stops`, and then recover-orders at each boundary.
async fn kill_recover_orders(path: Path, stops: Stop) {
    let mut scene = Scene::new(path).await;
    for number in 0..MOST {
        let case = scene.case().await;
        let tap = scene.stage.tap(stops.clone(), Fate::Lost).await;
        let killed = scene.order(&case, &tap).await;
        let first = killed.expect_err("create-order stops");
        scene.shop_on(&case).await;
        assert_eq!(scene.stage.shop.lapse().await.len(), 1);

        let tap = scene.stage.tap(Stop::Number(number), Fate::Lost).await;
        tap.boundaries.arm();
        let env = scene.stage.tapped_env(&tap);
        let mut job = Process::job(
            "recover-orders",
            env,
            scene.stage.shop.log("recover-orders"),
        );
        let stopped = tokio::select! {
            biased;
            what = tap.boundaries.stopped() => Some(what),
            status = job.ended() => {
                assert!(status.success(), "{status}\n{}", job.log());
                None
            }
        };
        let whole = stopped.is_none();
        let what = match stopped {
            None => format!("nobody; recover-orders says\n{}", job.log()),
            Some(what) => {
                job.kill().await;
                tap.boundaries.quiet().await;
                format!("recover-orders at {what}")
            }
        };
        let after = format!("{path:?}: create-order killed at {first}, then {what}");
        if !whole {
            scene.settle(Heir::Job, &case, &after).await;
        }
        scene.expect_end(Heir::Job, &case, &after).await;
        if whole {
            assert!(number > 5, "only {number} boundaries");
            return;
        }
    }
    panic!("no run comes to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recover_orders_is_killed_on_the_way_forward() {
    let charged = Stop::At(Crossing::Answer("process-payment".into()), 0);
    kill_recover_orders(Path::Paid, charged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recover_orders_is_killed_on_the_way_back() {
    let reserved = Stop::At(Crossing::Answer("update-inventory".into()), 0);
    kill_recover_orders(Path::Paid, reserved).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recover_orders_is_killed_while_it_refunds() {
    let asked = Stop::At(Crossing::Request("get-payment-status".into()), 0);
    kill_recover_orders(Path::Silent, asked).await;
}

/// A paid order is called off, and `function`, which does it, is killed at each boundary. `cancel` is the request
/// that names an order of a buyer; it is sent again afterwards.
async fn kill_while_cancelling(
    function: &str,
    reason: &str,
    cancel: impl Fn(&Stage, &Buyer, &str) -> Request<Body>,
) {
    let mut scene = Scene::new(Path::Paid).await;
    for number in 0..MOST {
        let case = scene.case().await;
        let never = scene.stage.tap(Stop::Never, Fate::Lost).await;
        let answer = scene.order(&case, &never).await.expect("nobody is killed");
        let order = answer.ok().order.expect("the order is told").id;
        let cancel = || cancel(&scene.stage, &case.buyer, &order);

        let tap = scene.stage.tap(Stop::Number(number), Fate::Lost).await;
        let env = scene.stage.tapped_env(&tap);
        let (process, address) = scene.stage.start(function, env).await;
        tap.boundaries.arm();
        let answer = tokio::spawn(send(address, cancel()));
        let stopped = tokio::select! {
            biased;
            what = tap.boundaries.stopped() => Some(what),
            answer = answer => {
                let answer = answer.expect("sending does not panic").expect("an answer");
                assert_eq!(answer.status, 200, "{}", answer.text());
                None
            }
        };
        process.kill().await;
        tap.boundaries.quiet().await;
        let whole = stopped.is_none();
        let what = stopped.unwrap_or_else(|| "nothing".to_owned());
        let after = format!("{function} killed at {what}");
        scene.shop_on(&case).await;
        scene.settle(Heir::Job, &case, &after).await;
        scene.stage.shop.check(&after).await;

        let env = scene.stage.order_env(&[]);
        let (process, address) = scene.stage.start(function, env).await;
        let answer = send(address, cancel()).await.expect("an answer");
        process.kill().await;
        let told = answer.outcome::<OrderResponse>().ok().order;
        let told = told.expect("the order is told");
        let status = told.status().as_str_name();
        assert_eq!((status, &*told.reason), ("CANCELLED", reason), "{after}");
        let books = scene
            .stage
            .shop
            .check(&format!("{after}, and asked again"))
            .await;
        assert_eq!(
            books.orders_of(case.buyer.id)[0].status,
            "CANCELLED",
            "{after}"
        );
        if whole {
            assert!(number > 10, "only {number} boundaries");
            return;
        }
    }
    panic!("no run comes to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_order_status_is_killed_while_a_paid_order_is_cancelled() {
    let admin = Uuid::now_v7().to_string();
    let cancel = |stage: &Stage, _: &Buyer, order: &str| {
        let path = format!("/orders/{order}/status");
        let body = json!({"status": "CANCELLED"}).to_string();
        let token = stage.shop.authority.admin(&admin);
        keyed(clients::request(Method::PATCH, &path, body), &token, order)
    };
    kill_while_cancelling("update-order-status", "cancelled by the shop", cancel).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_order_is_killed_while_its_customer_cancels() {
    let cancel = |_: &Stage, buyer: &Buyer, order: &str| {
        let path = format!("/orders/{order}/cancel");
        let request = clients::request(Method::POST, &path, "{}");
        keyed(request, &buyer.token, order)
    };
    kill_while_cancelling("cancel-order", "cancelled by the customer", cancel).await;
}
