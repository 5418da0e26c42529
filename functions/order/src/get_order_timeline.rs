use zerocart_core::{Call, Error, Function, Invalid, Request, Setup, trace::TraceContext};
use zerocart_postgres::{Database, Options, Row, rfc3339};
use zerocart_proto::{
    order::{OrderDriving, OrderEvent, OrderStep, OrderTimelineResponse},
    rpc::{self, Role},
};

use crate::{
    no_such_order,
    order::Order,
    saga::{Status, Step},
    store,
};

/// The steps, in the order in which they began.
const STEPS: &str = concat!(
    "SELECT number, step, coalesce(outcome, ''), ",
    rfc3339!("began_at"),
    ", coalesce(",
    rfc3339!("ended_at"),
    ", ''), coalesce(driver, ''), least(fence, 2147483647)::integer, \
     (row_number() OVER (PARTITION BY step ORDER BY number))::integer, \
     coalesce(reason, ''), traceparent FROM order_steps WHERE order_id = $1 ORDER BY number"
);

/// `get-order-timeline`: reads what became of an order. It drives nothing.
#[derive(Debug)]
pub struct GetOrderTimeline {
    database: Database,
}

impl Function for GetOrderTimeline {
    type Rpc = rpc::GetOrderTimeline;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::preparing(&[STEPS]))?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<OrderTimelineResponse, Error> {
        let id = request.id()?;
        let session = self.database.session(cx).await?;
        let order = store::load(&session, id).await?.ok_or_else(no_such_order)?;
        cx.authorize_owner(&order.user_id.to_string())?;
        let steps = session.query(STEPS, &[&id]).await?;
        let steps: Vec<_> = steps.iter().map(step_of_row).collect();
        let events = events(&order, &steps);
        let doing = doing(order.saga.step).to_owned();
        let message = Some(order.to_message());
        let identity = cx.identity.as_ref();
        Ok(match identity.map(|identity| identity.role) {
            Some(Role::Admin) => OrderTimelineResponse {
                order: message,
                events,
                doing,
                driving: driving(&order, &steps),
                steps,
            },
            _ => OrderTimelineResponse {
                order: message,
                events,
                doing,
                ..Default::default()
            },
        })
    }
}

fn step_of_row(row: &Row) -> OrderStep {
    let traceparent: Option<&str> = row.get(9);
    let trace = traceparent.and_then(TraceContext::of_header);
    OrderStep {
        number: row.get(0),
        step: row.get(1),
        outcome: row.get(2),
        began_at: row.get(3),
        ended_at: row.get(4),
        driver: row.get(5),
        fence: row.get(6),
        attempt: row.get(7),
        reason: row.get(8),
        trace_id: trace.map_or_else(String::new, |trace| trace.trace_id()),
    }
}

/// What became of the order, for its owner. The order itself says most of it, also for an order whose steps were
/// not recorded; the steps say when.
fn events(order: &Order, steps: &[OrderStep]) -> Vec<OrderEvent> {
    let done = |name: &str| {
        let mut steps = steps.iter();
        let step = steps.find(|step| step.step == name && step.outcome == "done");
        step.map(|step| step.ended_at.clone())
    };
    let status = order.saga.status;
    // The order's last change of status is the time of the status that it has.
    let became = |name: &str, known: bool, now: bool| {
        let now = now.then(|| order.updated_at.clone());
        known.then(|| done(name).or(now).unwrap_or_default())
    };
    let undone = match order.paid_at {
        Some(_) => "refunded",
        None => "charge undone",
    };
    let shipped = matches!(status, Status::Shipped | Status::Delivered);
    let delivered = status == Status::Delivered;
    let all = [
        ("placed", Some(order.created_at.clone())),
        ("stock reserved", done("reserving")),
        ("paid", order.paid_at.clone()),
        (undone, done("refunding")),
        ("stock returned", done("releasing")),
        ("shipped", became("shipped", shipped, !delivered)),
        ("delivered", became("delivered", delivered, true)),
        ("cancelled", became("", status == Status::Cancelled, true)),
        ("failed", became("", status == Status::Failed, true)),
    ];
    let happened = all.into_iter().filter_map(|(event, at)| Some((event, at?)));
    happened
        .map(|(event, at)| OrderEvent {
            reason: match event {
                "cancelled" | "failed" => order.reason.clone(),
                _ => String::new(),
            },
            event: event.to_owned(),
            at,
        })
        .collect()
}

/// What a customer may know of the step that is under way.
fn doing(step: Step) -> &'static str {
    match step {
        Step::Reserving { .. } => "reserving stock",
        Step::Charging { .. } => "charging",
        Step::Refunding => "refunding",
        Step::Releasing => "returning stock",
        Step::Clearing | Step::Ended => "",
    }
}

/// Who drives an order that has not ended.
fn driving(order: &Order, steps: &[OrderStep]) -> Option<OrderDriving> {
    order.saga.action()?;
    // No driver ships or delivers.
    let mut driven = steps.iter().rev();
    let last = driven.find(|step| !["shipped", "delivered"].contains(&step.step.as_str()));
    Some(OrderDriving {
        step: order.saga.step.to_string(),
        driver: last.map_or_else(String::new, |step| step.driver.clone()),
        fence: order.fence.try_into().unwrap_or(i32::MAX),
        tries: order.tries,
        lease_until: order.lease_until.clone(),
        stuck: order.is_stuck(),
    })
}
