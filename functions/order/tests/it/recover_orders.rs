//! The job that finishes or undoes what crashes left half done.

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::Value;
use zerocart_order::CreateOrder;
use zerocart_proto::rpc::CreateOrder as Create;
use zerocart_test_support::{
    clients::{Client, Wire},
    process::Process,
};

use crate::{
    INTERRUPTED, ME, Shop, TEA, counts, create,
    left::{LEFT_TOTAL, Left},
    order_in, until,
    world::{DECLINED, Fault, Gate, Spot, Standing},
};

const UNAVAILABLE: &str = "the payment provider is unavailable";

/// How an order ends: status, cause, reason.
type End = (&'static str, Option<&'static str>, &'static str);

const PAID: End = ("PAID", None, "");
const LOST: End = ("FAILED", Some("interrupted"), INTERRUPTED);
/// Undone for the reason that was recorded.
const AS_IT_WAS: &str = "as it was";

/// Every state that a driver records, of this version or of the one before, which went line by line;
/// how an order ends whose driver died in it, and what its next driver asks of others.
fn states() -> Vec<(Left, End, &'static [&'static str])> {
    let undone = |status, cause| (status, Some(cause), AS_IT_WAS);
    let left = Left::at;
    vec![
        // Back: it cannot have been charged. Lines may be reserved, so they are released.
        (
            left("PENDING", "reserving", 0),
            LOST,
            &["release Tea 2, Cup 1"],
        ),
        (
            left("PENDING", "reserving", 1),
            LOST,
            &["release Tea 2, Cup 1"],
        ),
        (
            left("PROCESSING", "charging", 0),
            LOST,
            &["release Tea 2, Cup 1"],
        ),
        // Forward: it may have been.
        (
            left("PROCESSING", "charging", 0).asked(),
            PAID,
            &["charge 10.46", "clear Tea 2, Cup 1"],
        ),
        (left("PAID", "clearing", 0), PAID, &["clear Tea 2, Cup 1"]),
        // Moved on meanwhile.
        (
            left("SHIPPED", "clearing", 0),
            ("SHIPPED", None, ""),
            &["clear Tea 2, Cup 1"],
        ),
        (
            left("DELIVERED", "clearing", 0),
            ("DELIVERED", None, ""),
            &["clear Tea 2, Cup 1"],
        ),
        // On with undoing.
        (
            left("PROCESSING", "refunding", 0).because("unavailable"),
            undone("FAILED", "unavailable"),
            &["refund", "release Tea 2, Cup 1"],
        ),
        (
            left("PROCESSING", "refunding", 0).because("cancelled"),
            undone("CANCELLED", "cancelled"),
            &["refund", "release Tea 2, Cup 1"],
        ),
        (
            left("PAID", "refunding", 0).because("cancelled"),
            undone("CANCELLED", "cancelled"),
            &["refund", "release Tea 2, Cup 1"],
        ),
        (
            left("PENDING", "releasing", 1).because("refused"),
            undone("FAILED", "refused"),
            &["release Tea 2, Cup 1"],
        ),
        (
            left("PENDING", "releasing", 2).because("interrupted"),
            undone("FAILED", "interrupted"),
            &["release Tea 2, Cup 1"],
        ),
        (
            left("PENDING", "releasing", 1).because("cancelled"),
            undone("CANCELLED", "cancelled"),
            &["release Tea 2, Cup 1"],
        ),
        (
            left("PROCESSING", "releasing", 2).because("declined"),
            undone("FAILED", "declined"),
            &["release Tea 2, Cup 1"],
        ),
        (
            left("PROCESSING", "releasing", 1).because("unavailable"),
            undone("FAILED", "unavailable"),
            &["release Tea 2, Cup 1"],
        ),
        (
            left("PAID", "releasing", 2).because("cancelled"),
            undone("CANCELLED", "cancelled"),
            &["release Tea 2, Cup 1"],
        ),
    ]
}

#[tokio::test]
async fn from_every_state_the_order_comes_to_its_end() {
    let shop = Shop::new().await;
    let mut all = Vec::new();
    // The step may have been done, or not: who takes over cannot know.
    for done in [false, true] {
        for (left, end, asked) in states() {
            left.play(&shop.world, done);
            shop.insert(&left).await;
            all.push((left, done, end, asked));
        }
    }
    let number = all.len() as u64;
    assert_eq!(counts(&shop.recover().await), [number, 0, 0]);
    for (left, done, end, asked) in &all {
        let order = shop.order(&left.id).await;
        assert_eq!(order.end(), *end, "{left:?} {done}");
        assert_eq!(shop.world.did(&left.id), *asked, "{left:?} {done}");
        assert_eq!((order.fence, order.tries), (2, 0), "{left:?} {done}");
        let payment = shop.world.payment(&left.id);
        let standing = payment.map(|payment| payment.standing);
        match left.step {
            "refunding" if *done => assert_eq!(standing, Some(Standing::Refunded), "{left:?}"),
            "refunding" => assert_eq!(standing, Some(Standing::Barred), "{left:?}"),
            "reserving" => assert_eq!(standing, None, "{left:?}"),
            _ => {}
        }
        // Only what was bought is out of the cart.
        let bought = end.0 != "CANCELLED" && end.0 != "FAILED" || left.is_paid();
        let left_over = shop.world.cart(&left.user_id).len();
        assert_eq!(left_over, if bought { 0 } else { 2 }, "{left:?} {done}");
    }
    assert_eq!(shop.world.callers(), ["service recover-orders"]);
    shop.assert_settled().await;
    // There is nothing left to do.
    assert_eq!(counts(&shop.recover().await), [0, 0, 0]);
}

#[tokio::test]
async fn a_charge_that_is_declined_then_fails_the_order() {
    let shop = Shop::new().await;
    let decided = Left::at("PROCESSING", "charging", 0).asked();
    let undecided = Left::at("PROCESSING", "charging", 0).asked();
    decided.play(&shop.world, false);
    shop.world
        .charge(&decided.id, &decided.user_id, LEFT_TOTAL, true);
    undecided.play(&shop.world, false);
    shop.world
        .set_for(Spot::Charge, &undecided.id, Fault::Declined);
    for left in [&decided, &undecided] {
        shop.insert(left).await;
    }
    assert_eq!(counts(&shop.recover().await), [2, 0, 0]);
    for left in [decided, undecided] {
        let order = shop.order(&left.id).await;
        assert_eq!(order.end(), ("FAILED", Some("declined"), DECLINED));
    }
    shop.assert_settled().await;
}

#[tokio::test]
async fn a_live_driver_is_left_alone() {
    let shop = Shop::new().await;
    for (left, ..) in states() {
        let left = left.live();
        left.play(&shop.world, true);
        shop.insert(&left).await;
    }
    let before = shop.orders().await;
    assert_eq!(counts(&shop.recover().await), [0, 0, 0]);
    for (before, after) in before.iter().zip(shop.orders().await) {
        assert_eq!((&before.step, before.fence), (&after.step, after.fence));
    }
    assert!(shop.world.callers().is_empty());
}

#[tokio::test]
async fn what_cannot_be_ended_now_is_put_off() {
    let shop = Shop::new().await;
    let charged = Left::at("PROCESSING", "charging", 0).asked();
    charged.play(&shop.world, true);
    let never = Left::at("PROCESSING", "charging", 0).asked();
    never.play(&shop.world, false);
    for left in [&charged, &never] {
        shop.insert(left).await;
    }
    for spot in [Spot::Charge, Spot::AskPayment, Spot::Refund] {
        shop.world.set(spot, Fault::Unavailable);
    }
    for tries in 1..=3 {
        assert_eq!(counts(&shop.recover().await), [0, 2, 0]);
        for order in shop.orders().await {
            assert_eq!((&*order.status, &*order.step), ("PROCESSING", "refunding"));
            assert_eq!(order.tries, tries);
            assert!(!order.lapsed, "{order:?}");
            assert_eq!(shop.world.held(&order.id), 3);
        }
        // Until its pause is over nobody tries it again.
        assert_eq!(counts(&shop.recover().await), [0, 0, 0]);
        shop.lapse().await;
    }
    shop.world.heal();
    assert_eq!(counts(&shop.recover().await), [2, 0, 0]);
    for (left, standing) in [(charged, Standing::Refunded), (never, Standing::Barred)] {
        let order = shop.order(&left.id).await;
        assert_eq!(order.end(), ("FAILED", Some("unavailable"), UNAVAILABLE));
        assert_eq!(order.tries, 0);
        let payment = shop.world.payment(&left.id).unwrap();
        assert_eq!(payment.standing, standing);
    }
    shop.assert_settled().await;
}

/// The pauses between tries, in seconds, from the database's own clock.
#[tokio::test]
async fn the_pauses_grow_up_to_five_minutes() {
    let shop = Shop::new().await;
    let left = Left::at("PAID", "clearing", 0);
    left.play(&shop.world, false);
    shop.insert(&left).await;
    shop.world.set(Spot::ClearCart, Fault::Unavailable);
    let mut pauses = Vec::new();
    for tries in [0, 1, 2, 3, 9, 16, 17, 1_000_000] {
        let again = "UPDATE orders SET tries = $1, lease_until = '2020-01-01'";
        shop.sql.execute(again, &[&tries]).await.unwrap();
        shop.recover_with(&[("ORDER_PAUSE_MS", "40000")]).await;
        let select = "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8,
                          tries FROM orders";
        let row = shop.sql.query_one(select, &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(1), tries + 1);
        pauses.push(row.get::<_, f64>(0));
    }
    // A slow machine may have let some of it pass.
    for (pause, expected) in pauses.iter().zip([40.0, 80.0, 160.0]) {
        assert!((expected - 30.0..=expected).contains(pause), "{pauses:?}");
    }
    for pause in &pauses[3..] {
        assert!((270.0..=300.0).contains(pause), "{pauses:?}");
    }
}

#[tokio::test]
async fn without_the_stock_function_all_is_put_off() {
    let shop = Shop::new().await;
    for (left, ..) in states().into_iter().take(2) {
        left.play(&shop.world, true);
        shop.insert(&left).await;
    }
    shop.world.set(Spot::Release, Fault::Unavailable);
    assert_eq!(counts(&shop.recover().await), [0, 2, 0]);
    shop.world.heal();
    // With a breaker that was left open by that run, which has to close first.
    until("both are undone", async || {
        shop.lapse().await;
        shop.recover_with(&[("BREAKER_OPEN_MS", "50")]).await;
        shop.orders()
            .await
            .iter()
            .all(|order| order.step == "ended")
    })
    .await;
    shop.assert_settled().await;
}

#[tokio::test]
async fn of_several_runs_one_drives_an_order() {
    let shop = Shop::new().await;
    let mut number = 0;
    for _ in 0..3 {
        for (left, ..) in states() {
            left.play(&shop.world, true);
            shop.insert(&left).await;
            number += 1;
        }
    }
    let runs = join_all((0..4).map(|_| shop.recover())).await;
    let runs = runs.iter().map(counts);
    let sums = runs.fold([0; 3], |sums, run| {
        [sums[0] + run[0], sums[1] + run[1], sums[2] + run[2]]
    });
    assert_eq!(sums, [number, 0, 0]);
    for order in shop.orders().await {
        assert_eq!(order.fence, 2, "{order:?}");
        let did = shop.world.did(&order.id);
        let mut once = did.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), did.len(), "{did:?}");
    }
    shop.assert_settled().await;
}

/// More orders than are looked up at once.
#[tokio::test]
async fn a_run_ends_all_that_it_finds() {
    let shop = Shop::new().await;
    for _ in 0..110 {
        let left = Left::at("PENDING", "reserving", 0);
        left.play(&shop.world, true);
        shop.insert(&left).await;
    }
    assert_eq!(counts(&shop.recover().await), [110, 0, 0]);
    shop.assert_settled().await;
}

/// A driver that died after its last look, while the effect is still on its way.
#[tokio::test]
async fn an_effect_that_comes_late_is_not_done_any_more() {
    let shop = Shop::new().await;
    let function = shop.start::<CreateOrder>().await;
    let gate = Gate::shut();
    shop.world.set(Spot::Reserve, Fault::Held(gate.clone()));
    shop.world.fill_cart(ME, &[(TEA, 1.0, 5)]);
    let client = shop.customer(Wire::Grpc, &function, ME);
    let call = tokio::spawn(async move { client.call::<Create>(&create(ME)).await });
    until("the stock is asked for", async || {
        shop.world.count(Spot::Reserve) == 1
    })
    .await;
    shop.lapse().await;
    assert_eq!(counts(&shop.recover().await), [1, 0, 0]);
    gate.open();
    call.await.unwrap();
    let order = shop.only_order().await;
    assert_eq!(order.end(), LOST);
    shop.assert_settled().await;
}

/// As a process, the way that a schedule runs it.
#[tokio::test]
async fn as_a_process_it_says_what_it_did() {
    let shop = Shop::new().await;
    let left = Left::at("PAID", "clearing", 0);
    left.play(&shop.world, false);
    shop.insert(&left).await;
    let program = env!("CARGO_BIN_EXE_recover-orders");
    let ended = Process::start(program, shop.env(&[])).ended().await;
    assert!(ended.status.success(), "{ended:?}");
    let log = ended.log();
    let done = log.iter().find(|line| line["message"] == "done");
    let done = done.unwrap_or_else(|| panic!("{log:?}"));
    let summary: Value = serde_json::from_str(done["summary"].as_str().unwrap()).unwrap();
    assert_eq!(counts(summary.as_object().unwrap()), [1, 0, 0]);
    shop.assert_settled().await;

    let order = shop.only_order().await;
    assert_eq!((&*order.id, order.end()), (&*left.id, PAID));
}

#[tokio::test]
async fn a_run_without_its_database_fails_and_says_so() {
    let shop = Shop::new().await;
    let program = env!("CARGO_BIN_EXE_recover-orders");
    // Nothing listens there.
    let nowhere = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = nowhere.local_addr().unwrap();
    drop(nowhere);
    let url = format!("postgres://nobody@{address}/none");
    let env = shop.env(&[("DATABASE_URL", &url)]);
    let ended = Process::start(program, env).ended().await;
    assert_eq!(ended.status.code(), Some(75), "{ended:?}");
    let log = ended.log();
    assert!(
        log.iter().any(|line| line["message"] == "failed"),
        "{log:?}"
    );
}

/// An order of the real thing, whose process is gone at once.
#[tokio::test]
async fn an_order_that_create_order_left_is_finished() {
    let shop = Shop::new().await;
    let program = env!("CARGO_BIN_EXE_create-order");
    let gate = Gate::shut();
    shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
    shop.world.fill_cart(ME, &[(TEA, 1.0, 5)]);
    let (process, address) = Process::listening(program, shop.env(&[]));
    let token = shop.authority.customer(ME);
    let client = Client::new(Wire::Grpc, address).bearer(&token);
    let client = client.header("idempotency-key", "k");
    let call = tokio::spawn(async move { client.call::<Create>(&create(ME)).await });
    until("it is charged", async || {
        shop.world.count(Spot::Charge) == 1
    })
    .await;
    process.signal(Signal::KILL);
    call.abort();
    process.ended().await;
    // The charge comes through all the same, or with the next driver: once.
    shop.world.heal();
    gate.open();
    shop.lapse().await;
    assert_eq!(counts(&shop.recover().await), [1, 0, 0]);
    assert_eq!(shop.only_order().await.end(), PAID);
    shop.assert_settled().await;

    // Under its key the customer gets it.
    let function = shop.start::<CreateOrder>().await;
    let client = shop.customer(Wire::Grpc, &function, ME);
    let client = client.header("idempotency-key", "k");
    let answer = client.call::<Create>(&create(ME)).await.ok();
    assert!(answer.success);
    assert_eq!(order_in(answer).id, shop.only_order().await.id);
}
