//! Orders of which only the beginning is recorded: they came on quickly, until their driver died, or they are still
//! on their way.

use zerocart_order::{CancelOrder, CreateOrder, GetOrderTimeline};
use zerocart_proto::{
    order::{CancelOrderRequest, GetOrderTimelineRequest, OrderStatus},
    rpc::{CancelOrder as Cancel, CreateOrder as Rpc, GetOrderTimeline as Timeline},
};
use zerocart_test_support::clients::Wire;

use crate::{
    INTERRUPTED, ME, POT, Shop, counts, create,
    left::{LEFT_TOTAL, Left},
    new_id, order_in, until,
    world::{DECLINED, Fault, Gate, Spot, Standing},
};

/// Orders come on more quickly than this.
const QUICK: [(&str, &str); 2] = [
    ("ORDER_LEASE_MS", "3000000"),
    ("ORDER_RECORD_AFTER_MS", "1000000"),
];

/// Each customer wants to call the order off.
const CALL_OFF: &str = "UPDATE orders SET cancel_asked = true, cancel_by_customer = true";

/// What the driver had done before it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Nothing,
    Reserved,
    Declined,
    Charged,
    Cleared,
}

impl Done {
    const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Reserved,
        Self::Declined,
        Self::Charged,
        Self::Cleared,
    ];

    async fn leave(self, shop: &Shop) -> Left {
        let left = Left::open();
        let world = &shop.world;
        world.fill_cart(&left.user_id, &left.cart());
        if self >= Self::Reserved {
            for (product, _, quantity) in &left.lines {
                world.reserve(&left.id, product, *quantity);
            }
        }
        if self >= Self::Declined {
            let declines = self == Self::Declined;
            world.charge(&left.id, &left.user_id, LEFT_TOTAL, declines);
        }
        if self == Self::Cleared {
            world.take_from_cart(&left.id, &left.user_id, &left.cart());
        }
        shop.insert(&left).await;
        left
    }
}

/// Forward if a charge was asked for, and back if not: then it cannot be made any more either.
#[tokio::test]
async fn from_its_beginning_an_order_comes_to_its_end() {
    let shop = Shop::new().await;
    let mut all = Vec::new();
    for done in Done::ALL {
        all.push((done, done.leave(&shop).await));
    }
    let number = all.len() as u64;
    assert_eq!(counts(&shop.recover().await), [number, 0, 0]);
    for (done, left) in &all {
        let order = shop.order(&left.id).await;
        let (lines, charge) = ("Tea 2, Cup 1", format!("charge {LEFT_TOTAL}"));
        let [reserve, release, clear] =
            ["reserve", "release", "clear"].map(|verb| format!("{verb} {lines}"));
        let forward = ["ask payment", &reserve, &charge];
        let (end, standing, did) = match done {
            Done::Nothing | Done::Reserved => (
                ("FAILED", Some("interrupted"), INTERRUPTED),
                Standing::Barred,
                vec!["ask payment", "refund", &release],
            ),
            Done::Declined => (
                ("FAILED", Some("declined"), DECLINED),
                Standing::Declined,
                [&forward[..], &[&release]].concat(),
            ),
            Done::Charged | Done::Cleared => (
                ("PAID", None, ""),
                Standing::Charged,
                [&forward[..], &[&clear]].concat(),
            ),
        };
        assert_eq!(order.end(), end, "{done:?}");
        assert_eq!(shop.world.did(&left.id), did, "{done:?}");
        let payment = shop.world.payment(&left.id).unwrap();
        assert_eq!(payment.standing, standing, "{done:?}");
        let bought = end.0 == "PAID";
        assert_eq!(
            shop.world.cart(&left.user_id).is_empty(),
            bought,
            "{done:?}"
        );
    }
    shop.assert_settled().await;
}

/// Whether a charge was asked for is never guessed.
#[tokio::test]
async fn what_is_not_known_of_the_charge_is_waited_for() {
    let shop = Shop::new().await;
    for done in Done::ALL {
        done.leave(&shop).await;
    }
    shop.world.set(Spot::AskPayment, Fault::Unavailable);
    let number = Done::ALL.len() as u64;
    for tries in 1..=2 {
        assert_eq!(counts(&shop.recover().await), [0, number, 0]);
        for order in shop.orders().await {
            assert_eq!((&*order.status, &*order.step), ("PENDING", "reserving"));
            assert_eq!((order.tries, order.lapsed), (tries, false));
        }
        shop.lapse().await;
    }
    for spot in [Spot::Reserve, Spot::Charge, Spot::Refund, Spot::Release] {
        assert_eq!(shop.world.count(spot), 0, "{spot:?}");
    }
    shop.world.heal();
    assert_eq!(counts(&shop.recover().await), [number, 0, 0]);
    shop.assert_settled().await;
}

/// A stock that cannot be reserved again does not leave a charge behind.
#[tokio::test]
async fn what_cannot_be_reserved_again_is_refunded() {
    let shop = Shop::new().await;
    let left = Done::Charged.leave(&shop).await;
    shop.world.set(Spot::Reserve, Fault::Unavailable);
    assert_eq!(counts(&shop.recover().await), [1, 0, 0]);
    let order = shop.order(&left.id).await;
    assert_eq!(
        (&*order.status, order.cause.as_deref()),
        ("FAILED", Some("unavailable"))
    );
    let payment = shop.world.payment(&left.id).unwrap();
    assert_eq!(payment.standing, Standing::Refunded);
    shop.assert_settled().await;
}

/// Functions of the version before take up what has lapsed by `lease_until`, and know nothing of the charge.
#[tokio::test]
async fn the_version_before_leaves_it_alone() {
    let shop = Shop::new().await;
    let function = shop.start_with::<CreateOrder>(&QUICK).await;
    let gate = Gate::shut();
    shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
    shop.world.fill_cart(ME, &[(POT, 1.0, 2)]);
    let client = shop.customer(Wire::Grpc, &function, ME);
    let call = tokio::spawn(async move { client.call::<Rpc>(&create(ME)).await });
    until("it is charged", async || {
        shop.world.count(Spot::Charge) == 1
    })
    .await;
    shop.lapse_open().await;
    let before = "SELECT count(*) FROM orders
                  WHERE step <> 'ended' AND lease_until <= clock_timestamp() + interval '1000 years'";
    let due: i64 = shop.sql.query_one(before, &[]).await.unwrap().get(0);
    assert_eq!(due, 0);
    assert!(shop.only_order().await.lapsed);
    gate.open();
    assert!(call.await.unwrap().ok().success);
    shop.assert_settled().await;
}

/// What lasts is recorded meanwhile: customers see it.
#[tokio::test]
async fn a_charge_that_takes_long_is_seen() {
    let shop = Shop::new().await;
    let soon = [("ORDER_RECORD_AFTER_MS", "500")];
    let function = shop.start_with::<CreateOrder>(&soon).await;
    let gate = Gate::shut();
    shop.world.set(Spot::Charge, Fault::Held(gate.clone()));
    shop.world.fill_cart(ME, &[(POT, 1.0, 2)]);
    let client = shop.customer(Wire::Grpc, &function, ME);
    let call = tokio::spawn(async move { client.call::<Rpc>(&create(ME)).await });
    until("the charge is recorded", async || {
        let orders = shop.orders().await;
        orders
            .iter()
            .any(|order| order.step == "charging" && order.status == "PROCESSING")
    })
    .await;
    assert_eq!(shop.all_steps().await, ["reserving: done", "charging: "]);
    gate.open();
    let order = order_in(call.await.unwrap().ok());
    assert_eq!(order.status(), OrderStatus::Paid);
    let all = [
        "reserving: done",
        "charging: done",
        "clearing the cart: done",
    ];
    assert_eq!(shop.all_steps().await, all);
    shop.assert_settled().await;
}

/// The steps that were not recorded one by one are told all the same.
#[tokio::test]
async fn a_quick_order_tells_its_steps() {
    let shop = Shop::new().await;
    let function = shop.start_with::<CreateOrder>(&QUICK).await;
    let timeline = shop.start::<GetOrderTimeline>().await;
    shop.world.fill_cart(ME, &[(POT, 1.0, 2)]);
    let client = shop.customer(Wire::Grpc, &function, ME);
    let order = order_in(client.call::<Rpc>(&create(ME)).await.ok());
    let all = [
        "reserving: done",
        "charging: done",
        "clearing the cart: done",
    ];
    assert_eq!(shop.all_steps().await, all);
    let asked = GetOrderTimelineRequest {
        id: order.id.clone(),
    };
    let client = shop.customer(Wire::Grpc, &timeline, ME);
    let told = client.call::<Timeline>(&asked).await.ok();
    let events: Vec<_> = told
        .events
        .iter()
        .map(|event| event.event.as_str())
        .collect();
    assert_eq!(events, ["placed", "stock reserved", "paid"]);
    assert!(
        told.events.iter().map(|event| &event.at).is_sorted(),
        "{told:?}"
    );
    let did = shop.world.did(&order.id);
    assert_eq!(did, ["reserve Pot 2", "charge 2.00", "clear Pot 2"]);
}

/// Its driver learns of it at the end, which is then not recorded as the end.
#[tokio::test]
async fn a_quick_order_is_called_off_by_its_driver() {
    let shop = Shop::new().await;
    let maker = shop.start_with::<CreateOrder>(&QUICK).await;
    let function = shop.start::<CancelOrder>().await;
    for spot in [Spot::Reserve, Spot::Charge, Spot::ClearCart] {
        let (user, gate) = (new_id(), Gate::shut());
        let before = shop.world.count(spot);
        shop.world.set(spot, Fault::Held(gate.clone()));
        shop.world.fill_cart(&user, &[(POT, 1.0, 2)]);
        let customer = shop.customer(Wire::Grpc, &maker, &user);
        let asked = create(&user);
        let making = tokio::spawn(async move { customer.call::<Rpc>(&asked).await });
        until("it is under way", async || {
            shop.world.count(spot) == before + 1
        })
        .await;
        let stored = shop.order_of(&user).await;
        assert_eq!(stored.step, "reserving", "{spot:?}");
        let customer = shop.customer(Wire::Grpc, &function, &user);
        let asked = CancelOrderRequest {
            id: stored.id.clone(),
        };
        let cancelling = tokio::spawn(async move { customer.call::<Cancel>(&asked).await });
        let wanted = "SELECT bool_or(cancel_asked) FROM orders WHERE id::text = $1";
        until("it is asked for", async || {
            let row = shop.sql.query_one(wanted, &[&stored.id]).await.unwrap();
            row.get(0)
        })
        .await;
        gate.open();
        let order = order_in(cancelling.await.unwrap().ok());
        assert_eq!(order.status(), OrderStatus::Cancelled, "{spot:?}");
        assert!(making.await.unwrap().ok().success, "it was paid: {spot:?}");
        let stored = shop.order_of(&user).await;
        assert_eq!((&*stored.step, stored.fence), ("ended", 1), "{spot:?}");
        let payment = shop.world.payment(&stored.id).unwrap();
        assert_eq!(payment.standing, Standing::Refunded, "{spot:?}");
        shop.world.heal();
    }
    shop.assert_settled().await;
}

/// A cancellation that was accepted while the payments could not be asked is not forgotten.
#[tokio::test]
async fn an_order_that_was_put_off_and_called_off_ends_cancelled() {
    let shop = Shop::new().await;
    let left = Done::Reserved.leave(&shop).await;
    shop.world.set(Spot::AskPayment, Fault::Unavailable);
    assert_eq!(counts(&shop.recover().await), [0, 1, 0]);
    shop.sql.batch_execute(CALL_OFF).await.unwrap();
    shop.lapse().await;
    shop.world.heal();
    assert_eq!(counts(&shop.recover().await), [1, 0, 0]);
    let order = shop.order(&left.id).await;
    assert_eq!(order.end().0, "CANCELLED");
    shop.assert_settled().await;
}

/// What was shipped cannot be called off any more, and ends.
#[tokio::test]
async fn an_order_that_was_shipped_ends_though_somebody_wanted_to_call_it_off() {
    let shop = Shop::new().await;
    let mut all = Vec::new();
    for status in ["SHIPPED", "DELIVERED"] {
        let left = Left::at(status, "clearing", 0);
        left.play(&shop.world, false);
        shop.insert(&left).await;
        all.push((status, left));
    }
    shop.sql.batch_execute(CALL_OFF).await.unwrap();
    assert_eq!(counts(&shop.recover().await), [2, 0, 0]);
    for (status, left) in &all {
        let order = shop.order(&left.id).await;
        assert_eq!((&*order.status, &*order.step), (*status, "ended"));
    }
    shop.assert_settled().await;
}
