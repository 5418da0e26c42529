//! What became of an order, for its owner and for admins.

use tonic::Code;
use uuid::Uuid;
use zerocart_order::{CancelOrder, CreateOrder, GetOrderTimeline, UpdateOrderStatus};
use zerocart_proto::{
    order::{
        CancelOrderRequest, GetOrderTimelineRequest, OrderEvent,
        OrderStatus::{Delivered, Shipped},
        OrderStep, OrderTimelineResponse,
    },
    rpc::{
        CancelOrder as Cancel, CreateOrder as Create, GetOrderTimeline as Rpc,
        UpdateOrderStatus as Update,
    },
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::Running,
};

use crate::{
    OTHER, Shop, TEA, create,
    left::Left,
    new_id, order_in,
    update_order_status::{paid, update},
    world::{Fault, Spot},
};

const UNAVAILABLE: &str = "the payment provider is unavailable";

async fn timeline(client: &Client, id: &str) -> OrderTimelineResponse {
    let request = GetOrderTimelineRequest { id: id.into() };
    client.call::<Rpc>(&request).await.ok()
}

/// What the owner and an admin are told, whose public part is the same.
async fn told(
    shop: &Shop,
    function: &Running,
    wire: Wire,
    (id, user): (&str, &str),
) -> OrderTimelineResponse {
    let owner = timeline(&shop.customer(wire, function, user), id).await;
    let admin = timeline(&shop.admin(wire, function), &id.to_uppercase()).await;
    assert_eq!((&owner.steps, &owner.driving), (&vec![], &None), "{wire:?}");
    let public = OrderTimelineResponse {
        steps: Vec::new(),
        driving: None,
        ..admin.clone()
    };
    assert_eq!(owner, public, "{wire:?}");
    admin
}

fn names(events: &[OrderEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).collect()
}

/// Step, outcome, driver, fence, attempt and reason.
fn brief(step: &OrderStep) -> (&str, &str, &str, i32, i32, &str) {
    (
        &step.step,
        &step.outcome,
        &step.driver,
        step.fence,
        step.attempt,
        &step.reason,
    )
}

/// Nothing happened before what is told before it, and each step ended when or before the next began.
#[track_caller]
fn assert_in_order(told: &OrderTimelineResponse) {
    let times: Vec<_> = told.events.iter().map(|event| &event.at).collect();
    assert!(times.is_sorted(), "{told:?}");
    let steps = told.steps.iter().flat_map(|step| {
        let ended = (!step.ended_at.is_empty()).then_some(&step.ended_at);
        [Some(&step.began_at), ended]
    });
    assert!(steps.flatten().is_sorted(), "{told:?}");
}

#[tokio::test]
async fn from_an_order_to_its_delivery() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let mover = shop.start::<UpdateOrderStatus>().await;
    let function = shop.start::<GetOrderTimeline>().await;
    for wire in Wire::ALL {
        let (id, user) = paid(&shop, &maker).await;
        let answer = told(&shop, &function, wire, (&id, &user)).await;
        assert_eq!(names(&answer.events), ["placed", "stock reserved", "paid"]);
        assert_in_order(&answer);
        assert_eq!((&*answer.doing, &answer.driving), ("", &None));
        let order = answer.order.unwrap();
        assert_eq!((&order.id, &order.user_id), (&id, &user));
        assert_eq!(answer.events[0].at, order.created_at);
        assert_eq!(answer.events[2].at, order.updated_at);
        let steps: Vec<_> = answer.steps.iter().map(brief).collect();
        assert_eq!(
            steps,
            [
                ("reserving", "done", "create-order", 1, 1, ""),
                ("charging", "done", "create-order", 1, 1, ""),
                ("clearing the cart", "done", "create-order", 1, 1, ""),
            ]
        );
        let traces = shop.world.traces(&id);
        for (step, number) in answer.steps.iter().zip(1..) {
            assert_eq!(step.number, number);
            assert_eq!(vec![step.trace_id.clone()], traces, "{wire:?}");
        }

        let admin = shop.admin(wire, &mover);
        for (status, events) in [
            (Shipped, vec!["placed", "stock reserved", "paid", "shipped"]),
            (
                Delivered,
                vec!["placed", "stock reserved", "paid", "shipped", "delivered"],
            ),
        ] {
            let moved = admin.call::<Update>(&update(&id, status)).await.ok();
            let answer = told(&shop, &function, wire, (&id, &user)).await;
            assert_eq!(names(&answer.events), events, "{wire:?}");
            assert_in_order(&answer);
            let last = answer.events.last().unwrap();
            assert_eq!(last.at, order_in(moved).updated_at, "{wire:?}");
        }
        let answer = told(&shop, &function, wire, (&id, &user)).await;
        let moved: Vec<_> = answer.steps[3..].iter().map(brief).collect();
        assert_eq!(
            moved,
            [
                ("shipped", "done", "update-order-status", 2, 1, ""),
                ("delivered", "done", "update-order-status", 3, 1, ""),
            ]
        );
    }
}

#[tokio::test]
async fn a_cancelled_order_and_those_that_fail() {
    let shop = Shop::new().await;
    let maker = shop.start::<CreateOrder>().await;
    let canceller = shop.start::<CancelOrder>().await;
    let function = shop.start::<GetOrderTimeline>().await;
    for wire in Wire::ALL {
        let (id, user) = paid(&shop, &maker).await;
        let customer = shop.customer(wire, &canceller, &user);
        let request = CancelOrderRequest { id: id.clone() };
        customer.call::<Cancel>(&request).await.ok();
        let answer = told(&shop, &function, wire, (&id, &user)).await;
        assert_eq!(
            names(&answer.events),
            [
                "placed",
                "stock reserved",
                "paid",
                "refunded",
                "stock returned",
                "cancelled"
            ]
        );
        assert_in_order(&answer);
        let reasons = answer.events.iter().map(|event| event.reason.as_str());
        let reasons: Vec<_> = reasons.collect();
        assert_eq!(reasons, ["", "", "", "", "", "cancelled by the customer"]);
        let steps: Vec<_> = answer.steps[3..].iter().map(brief).collect();
        assert_eq!(
            steps,
            [
                ("refunding", "done", "cancel-order", 2, 1, ""),
                ("releasing", "done", "cancel-order", 2, 1, ""),
            ]
        );

        let plenty = [(TEA, 1.25, 5000)];
        let two = [(TEA, 1.25, 2)];
        for (fault, cart, events, reserving) in [
            (
                Some((Spot::Charge, Fault::Declined)),
                two,
                vec!["placed", "stock reserved", "stock returned", "failed"],
                "",
            ),
            (None, plenty, vec!["placed", "failed"], "not enough"),
        ] {
            let user = new_id();
            shop.world.fill_cart(&user, &cart);
            if let Some((spot, fault)) = fault {
                shop.world.set(spot, fault);
            }
            let client = shop.customer(wire, &maker, &user);
            let order = order_in(client.call::<Create>(&create(&user)).await.ok());
            shop.world.heal();
            let answer = told(&shop, &function, wire, (&order.id, &user)).await;
            assert_eq!(names(&answer.events), events, "{wire:?}");
            assert_in_order(&answer);
            let last = answer.events.last().unwrap();
            assert_eq!((&last.reason, &last.at), (&order.reason, &order.updated_at));
            let first = &answer.steps[0];
            assert!(first.reason.contains(reserving), "{first:?}");
            assert_eq!(first.reason.is_empty(), reserving.is_empty(), "{first:?}");
        }
    }
}

/// An admin sees why an order does not go on, and who has tried.
#[tokio::test]
async fn a_step_that_is_put_off_is_begun_again_by_the_next_driver() {
    for wire in Wire::ALL {
        let shop = Shop::new().await;
        let maker = shop.start::<CreateOrder>().await;
        let canceller = shop.start::<CancelOrder>().await;
        let function = shop.start::<GetOrderTimeline>().await;
        let (id, user) = paid(&shop, &maker).await;
        shop.world.set(Spot::Refund, Fault::Unavailable);
        let admin = shop.admin(wire, &canceller);
        let request = CancelOrderRequest { id: id.clone() };
        let outcome = admin.call::<Cancel>(&request).await;
        assert_eq!(outcome.code, Code::Unavailable, "{wire:?}");

        let answer = told(&shop, &function, wire, (&id, &user)).await;
        let order = answer.order.as_ref().unwrap();
        assert_eq!(order.reason, "cancelled by the shop");
        assert_eq!(names(&answer.events), ["placed", "stock reserved", "paid"]);
        assert_eq!(answer.doing, "refunding", "{wire:?}");
        let put_off = ("refunding", "put off", "cancel-order", 2, 1, UNAVAILABLE);
        assert_eq!(brief(&answer.steps[3]), put_off, "{wire:?}");
        let driving = answer.driving.unwrap();
        let told_of = (&*driving.step, &*driving.driver, driving.fence);
        assert_eq!(told_of, ("refunding", "cancel-order", 2), "{wire:?}");
        assert_eq!((driving.tries, driving.stuck), (1, true), "{wire:?}");
        // The next try waits.
        assert!(driving.lease_until > answer.steps[3].ended_at, "{wire:?}");

        shop.world.heal();
        shop.lapse().await;
        shop.recover().await;
        let answer = told(&shop, &function, wire, (&id, &user)).await;
        assert_in_order(&answer);
        let steps: Vec<_> = answer.steps[3..].iter().map(brief).collect();
        assert_eq!(
            steps,
            [
                put_off,
                ("refunding", "done", "recover-orders", 3, 2, ""),
                ("releasing", "done", "recover-orders", 3, 1, ""),
            ]
        );
        assert_eq!(
            names(&answer.events)[3..],
            ["refunded", "stock returned", "cancelled"]
        );
        assert_eq!((&*answer.doing, answer.driving), ("", None), "{wire:?}");
    }
}

/// A driver has died: the next one has a higher number, and the step that it begins again another attempt.
#[tokio::test]
async fn an_order_that_is_taken_over() {
    let shop = Shop::new().await;
    let function = shop.start::<GetOrderTimeline>().await;
    for wire in Wire::ALL {
        let left = Left::at("PROCESSING", "charging", 0).asked();
        left.play(&shop.world, false);
        shop.insert(&left).await;
        let id = Uuid::try_parse(&left.id).unwrap();
        // As a function of the version before wrote it.
        let name = "UPDATE order_steps SET step = 'charging' WHERE order_id = $1";
        shop.sql.execute(name, &[&id]).await.unwrap();
        let of = (left.id.as_str(), left.user_id.as_str());
        let answer = told(&shop, &function, wire, of).await;
        assert_eq!(answer.doing, "charging", "{wire:?}");
        let driving = answer.driving.unwrap();
        let told_of = (&*driving.step, &*driving.driver, driving.fence);
        assert_eq!(told_of, ("charging", "", 1), "{wire:?}");
        assert!(driving.stuck, "{wire:?}");
        let asked = shop.world.did(&left.id);
        assert_eq!(asked, [""; 0], "a look at the order drives nothing");

        shop.recover().await;
        let answer = told(&shop, &function, wire, of).await;
        let steps: Vec<_> = answer.steps.iter().map(brief).collect();
        assert_eq!(
            steps,
            [
                ("charging", "taken over", "", 1, 1, ""),
                ("charging", "done", "recover-orders", 2, 2, ""),
                ("clearing the cart", "done", "recover-orders", 2, 1, ""),
            ]
        );
        assert_in_order(&answer);
    }
}

/// Nothing is made up: a time that was not recorded is empty.
#[tokio::test]
async fn an_order_without_records_tells_what_is_known() {
    let shop = Shop::new().await;
    let function = shop.start::<GetOrderTimeline>().await;
    for wire in Wire::ALL {
        for (left, events, unknown) in [
            (Left::at("PENDING", "reserving", 0), vec!["placed"], None),
            (Left::at("PAID", "ended", 0), vec!["placed", "paid"], None),
            (
                Left::at("SHIPPED", "clearing", 0),
                vec!["placed", "paid", "shipped"],
                None,
            ),
            (
                Left::at("DELIVERED", "ended", 0),
                vec!["placed", "paid", "shipped", "delivered"],
                Some("shipped"),
            ),
            (
                Left::at("CANCELLED", "ended", 0).because("cancelled"),
                vec!["placed", "cancelled"],
                None,
            ),
            (
                Left::at("FAILED", "ended", 0).because("declined"),
                vec!["placed", "failed"],
                None,
            ),
        ] {
            shop.insert(&left).await;
            let id = Uuid::try_parse(&left.id).unwrap();
            let forget = "DELETE FROM order_steps WHERE order_id = $1";
            shop.sql.execute(forget, &[&id]).await.unwrap();
            let answer = told(&shop, &function, wire, (&left.id, &left.user_id)).await;
            assert_eq!(names(&answer.events), events, "{wire:?}");
            for event in &answer.events {
                let is_unknown = Some(event.event.as_str()) == unknown;
                assert_eq!(event.at.is_empty(), is_unknown, "{wire:?} {event:?}");
            }
            let order = answer.order.unwrap();
            assert_eq!(answer.events.last().unwrap().reason, order.reason);
            assert_eq!(answer.steps, [], "{wire:?}");
        }
    }
}

#[tokio::test]
async fn only_its_owner_and_admins_see_it() {
    let shop = Shop::new().await;
    let function = shop.start::<GetOrderTimeline>().await;
    let left = Left::at("PAID", "ended", 0);
    shop.insert(&left).await;
    for wire in Wire::ALL {
        for (client, id, code) in [
            (
                shop.customer(wire, &function, OTHER),
                &*left.id,
                Code::PermissionDenied,
            ),
            (
                shop.customer(wire, &function, OTHER),
                &*new_id(),
                Code::NotFound,
            ),
            (shop.admin(wire, &function), &*new_id(), Code::NotFound),
            (
                shop.admin(wire, &function),
                "nonsense",
                Code::InvalidArgument,
            ),
        ] {
            let request = GetOrderTimelineRequest { id: id.into() };
            let outcome = client.call::<Rpc>(&request).await;
            assert_eq!(outcome.code, code, "{wire:?} {id} {outcome:?}");
        }
    }
}
