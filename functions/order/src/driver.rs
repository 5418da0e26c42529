//! The driver of an order: executes the steps of the saga, and records their outcome.
//!
//! A driver holds the order's lease. It says that it lives while a step takes long, and finds out at
//! its next record when another has taken over, after which it does nothing any more. When its
//! process dies the lease lapses, and the next driver goes on from the last recorded state.
//!
//! While an order comes on quickly, only its beginning and its end are recorded. What lasts for longer than
//! [`RECORD_AFTER_MS`] is recorded, so that customers see it, and so that the driver finds out whether it still has
//! the order, and whether somebody calls it off. [`Saga::may_pass`] says which states need no record.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;
use zerocart_client::Caller;
use zerocart_core::{
    Call, Error, Invalid, Lasting, Setup,
    trace::{Kind, Link, Span},
};
use zerocart_postgres::{BoxFuture, Database};
use zerocart_resilience::retry::{Backoff, Jitter};

use crate::{
    cancel::By,
    order::Order,
    record::{Now, Record, Taken},
    saga::{Event, Saga, Status},
    services::{Report, Services, log_failure},
    store::Store,
};

/// How long a driver may be silent before it is taken for dead.
const LEASE: Duration = Duration::from_secs(10);

/// The time for going forward, and the time for all of it: what was begun can still be undone.
/// Both end before the 28 s of create-order do.
pub(crate) const FORWARD: Duration = Duration::from_secs(18);
const ALL: Duration = Duration::from_secs(26);

/// How long an order may go on without a record of it. Much longer than the whole way of an order takes where no
/// function is slow, also under load: or load would make more records, and these more load.
const RECORD_AFTER_MS: u64 = 500;

/// The pause before an order is taken up again that could not be brought to its end.
const PAUSE: Duration = Duration::from_secs(1);

/// Drives orders. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) store: Store,
    pub(crate) services: Services,
    lasting: Lasting,
    pause: Duration,
    record_after: Duration,
}

/// What is recorded of an order that is driven, and what is not yet.
#[derive(Debug)]
struct Trail {
    /// What its row says.
    recorded: Saga,
    /// A moment before that was recorded: the lease lasts for longer.
    at: Instant,
    /// The steps that are recorded, all of them counted.
    number: i32,
    /// The step that its row has under way, and those since.
    steps: Vec<Taken>,
    /// What the last record has made of the order.
    now: Option<Now>,
}

/// How a driver begins.
enum First {
    /// With this report, if any.
    Takes(Option<Report>),
    /// Not now.
    PutOff,
    /// Another driver has the order.
    Lost,
}

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    /// It is recorded. Somebody may want to call the order off.
    Done { cancel_by: Option<By> },
    /// Another driver has the order.
    Lost,
}

/// An order that is driven, whether this is awaited or not.
pub(crate) type Driving = BoxFuture<'static, Result<Driven, Error>>;

/// How far an order was driven.
#[derive(Debug)]
pub(crate) enum Driven {
    /// To its end, or to where only later drivers can go on.
    Here(Box<Order>),
    /// Another driver has it.
    Lost,
}

impl Driver {
    /// A driver from the environment, for `caller`. `ORDER_LEASE_MS` (10,000) is how long a driver
    /// may be silent, `ORDER_PAUSE_MS` (1,000) the first pause before an order is tried again, and
    /// `ORDER_RECORD_AFTER_MS` (500, a third of the lease at most) how long an order may go on without a record;
    /// with 0 each step is recorded.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the reasons are noted.
    pub(crate) fn from_setup(
        setup: &mut Setup,
        database: Result<Database, Invalid>,
        caller: Caller,
    ) -> Result<Self, Invalid> {
        let lease = setup.millis("ORDER_LEASE_MS", LEASE);
        let pause = setup.millis("ORDER_PAUSE_MS", PAUSE);
        let record_after = setup.or("ORDER_RECORD_AFTER_MS", RECORD_AFTER_MS);
        let services = Services::from_setup(setup, &database, caller);
        Ok(Self {
            services: services?,
            store: Store {
                database: database?,
                lease: lease?,
                driver: caller.name,
            },
            lasting: setup.lasting(),
            pause: pause?,
            record_after: Duration::from_millis(record_after?).min(lease? / 3),
        })
    }

    /// Drives `order`, whose lease is held, to its end, though nobody may wait for that any more.
    /// `first` is what happened before.
    pub(crate) fn spawn(&self, cx: &Call, order: Order, first: Option<Report>) -> Driving {
        let (driver, cx) = (self.clone(), cx.detached(Instant::now() + ALL));
        let span = tracing::error_span!("drive", order_id = %order.id);
        let drive = async move {
            let mut drive = cx.trace.span("drive order", Kind::Internal);
            drive.set("zerocart.order.id", order.id.to_string().as_str());
            drive.set("zerocart.saga.fence", order.fence);
            if let Some(before) = order.driven_by {
                drive.link(Link(before));
            }
            let cx = cx.under(&drive);
            let driven = Box::pin(driver.drive(&cx, order, first)).await;
            match &driven {
                Ok(Driven::Here(order)) => {
                    drive.set("zerocart.order.status", order.saga.status.name());
                    drive.set("zerocart.saga.step", order.saga.step.to_string().as_str());
                    if let Some(cause) = order.saga.cause {
                        drive.set("zerocart.order.cause", cause.name());
                    }
                }
                Ok(Driven::Lost) => drive.set("zerocart.saga.lost", true),
                Err(error) => drive.fail(error.kind().name(), error.message()),
            }
            drive.end();
            driven
        };
        let driving = self.lasting.spawn(drive.instrument(span));
        Box::pin(async move { driving.await.map_err(Error::internal)? })
    }

    /// Takes up the order if nobody drives it, and drives it; none when there is nothing to do.
    /// `wanted`: the customer waits for it.
    pub(crate) async fn resume(
        &self,
        cx: &Call,
        id: Uuid,
        wanted: bool,
    ) -> Result<Option<Driving>, Error> {
        let taken = self.store.take(cx, id).await?;
        Ok(taken.map(|order| {
            tracing::info!(order_id = %order.id, step = %order.saga.step, wanted, "order taken over");
            self.spawn(cx, order, Some(Report::taken_over(wanted)))
        }))
    }

    async fn drive(
        &self,
        cx: &Call,
        mut order: Order,
        first: Option<Report>,
    ) -> Result<Driven, Error> {
        let forward_until = Instant::now() + FORWARD;
        let mut trail = Trail::of(&order);
        let mut report = match self.first(cx, &order, &mut trail, first).await? {
            First::Takes(report) => report,
            First::PutOff => return Ok(Driven::Here(Box::new(order))),
            First::Lost => return Ok(Driven::Lost),
        };
        loop {
            if let Some(report) = report.take()
                && !self.take_in(cx, &mut order, &mut trail, report).await?
            {
                return Ok(Driven::Lost);
            }
            let Some(action) = order.saga.action() else {
                return Ok(Driven::Here(Box::new(order)));
            };
            let until = if order.saga.must_go_on() {
                cx.deadline
            } else {
                forward_until.min(cx.deadline)
            };
            let mut span = cx.trace.span(action.name(), Kind::Internal);
            span.set("zerocart.saga.step", order.saga.step.to_string().as_str());
            let step = cx.detached(until).under(&span);
            let work = self.services.perform(&step, &order, action);
            let done = self.beside_heartbeat(cx, &order, &mut trail, work).await;
            end(span, done.as_ref());
            // A driver that is killed later must have left its steps.
            cx.trace.flush();
            let Some(done) = done else {
                return Ok(Driven::Lost);
            };
            trail.tell(&mut order);
            if done.event == Event::Unavailable && order.saga.must_go_on() {
                tracing::warn!(step = %order.saga.step, reason = done.reason, "order put off");
                if !trail.is_told() {
                    if self.persist(cx, &order, &mut trail).await? == Recorded::Lost {
                        return Ok(Driven::Lost);
                    }
                    trail.tell(&mut order);
                }
                self.store
                    .park(cx, &order, self.pause, &done.reason)
                    .await?;
                return Ok(Driven::Here(Box::new(order)));
            }
            report = Some(done);
        }
    }

    /// What happened before, of an order that is taken up: `report`. An order of which only the beginning is
    /// recorded, and that nobody waits for, is undone if somebody has called it off, or no charge was asked for. One
    /// that is undone can never be charged any more, also not by a request that is still on its way.
    async fn first(
        &self,
        cx: &Call,
        order: &Order,
        trail: &mut Trail,
        report: Option<Report>,
    ) -> Result<First, Error> {
        let unwanted = Event::TakenOver { wanted: false };
        let asks = report
            .as_ref()
            .is_some_and(|report| report.event == unwanted && order.saga.is_open());
        if !asks {
            return Ok(First::Takes(report));
        }
        if let Some(by) = order.cancel_by {
            return Ok(First::Takes(Some(Report::cancelled(by))));
        }
        let looking = self.services.has_payment(cx, order);
        match self.beside_heartbeat(cx, order, trail, looking).await {
            None => Ok(First::Lost),
            Some(Ok(asked)) => Ok(First::Takes(Some(Report::taken_over(asked)))),
            Some(Err(failure)) => {
                log_failure("look for a charge", &failure);
                let why = "the payment of the order cannot be looked at";
                self.store.park(cx, order, self.pause, why).await?;
                Ok(First::PutOff)
            }
        }
    }

    /// Takes in what happened, and records it if it must be. If somebody calls the order off meanwhile, that
    /// happens next. False when another driver has the order.
    async fn take_in(
        &self,
        cx: &Call,
        order: &mut Order,
        trail: &mut Trail,
        report: Report,
    ) -> Result<bool, Error> {
        let mut report = report;
        loop {
            let before = order.saga;
            let saga = next(order, report.event)?;
            // The reason is that of what began the undoing.
            if before.cause.is_none() && saga.cause.is_some() {
                order.reason.clone_from(&report.reason);
            }
            order.payment_id = report.payment_id.or(order.payment_id);
            order.saga = saga;
            trail.go_on(saga, &report);
            let quick = trail.at.elapsed() < self.record_after;
            if !saga.has_effect() || quick && saga.may_pass(trail.recorded) {
                return Ok(true);
            }
            let Recorded::Done { cancel_by } = self.persist(cx, order, trail).await? else {
                return Ok(false);
            };
            trail.tell(order);
            let can_cancel = saga.cause.is_none() && saga.next(Event::CancelAsked).is_ok();
            let Some(by) = cancel_by.filter(|_| can_cancel) else {
                return Ok(true);
            };
            // The provider was not asked for a charge yet, so there is none to be undone.
            if !before.has_effect() {
                order.saga = before;
            }
            report = Report::cancelled(by);
        }
    }

    /// Records where the order is; again while the database cannot be used: a step is done, and forgetting that
    /// would only mean to do it again.
    async fn persist(
        &self,
        cx: &Call,
        order: &Order,
        trail: &mut Trail,
    ) -> Result<Recorded, Error> {
        let mut pauses = Backoff::new(
            Duration::from_millis(50),
            Duration::from_secs(1),
            Jitter::random(),
        )
        .map_err(Error::internal)?
        .delays();
        loop {
            let error = match self.record(cx, order, trail).await {
                Ok(recorded) => return Ok(recorded),
                Err(error) => error,
            };
            let pause = pauses.next().unwrap_or(Duration::from_secs(1));
            if !error.retryable() || Instant::now() + pause >= cx.deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Records where the order is.
    async fn record(&self, cx: &Call, order: &Order, trail: &mut Trail) -> Result<Recorded, Error> {
        let began = Instant::now();
        let record = Record {
            saga: order.saga,
            reason: &order.reason,
            payment_id: order.payment_id,
            number: trail.number,
            steps: &trail.steps,
            was_paid: trail.recorded.status == Status::Paid,
        };
        let Some(now) = self.store.record(cx, order, &record).await? else {
            return Ok(Recorded::Lost);
        };
        let cancel_by = now.cancel_by;
        trail.is_recorded(order.saga, began, now);
        Ok(Recorded::Done { cancel_by })
    }

    /// The outcome of `work`, during which the lease is renewed; none when it was lost. What is not recorded yet
    /// is recorded when that takes long.
    async fn beside_heartbeat<T>(
        &self,
        cx: &Call,
        order: &Order,
        trail: &mut Trail,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        let beat = self.store.lease / 3;
        let mut due = match trail.is_told() {
            true => Instant::now() + beat,
            false => trail.at + self.record_after,
        };
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = tokio::time::sleep_until(due) => {}
            }
            due = Instant::now() + beat;
            let renewing = cx.detached(due);
            let renewed = match trail.is_told() {
                true => self.store.renew(&renewing, order).await,
                false => {
                    let recorded = self.record(&renewing, order, trail).await;
                    recorded.map(|recorded| recorded != Recorded::Lost)
                }
            };
            match renewed {
                Ok(true) => {}
                Ok(false) => return None,
                // The lease may outlast this, and the record will tell.
                Err(error) => tracing::warn!(reason = error.message(), "lease not renewed"),
            }
        }
    }
}

impl Trail {
    /// That of an order that was placed, or taken.
    fn of(order: &Order) -> Self {
        let at = Instant::now();
        Self {
            recorded: order.saga,
            at,
            number: order.steps,
            steps: vec![Taken::begun(order.saga.step, at)],
            now: None,
        }
    }

    /// The step that was under way has led to `saga`.
    fn go_on(&mut self, saga: Saga, report: &Report) {
        // What has no effect is no step of its own.
        if !saga.has_effect() {
            return;
        }
        let at = Instant::now();
        // A step that was taken over says so by its outcome.
        let why = match report.event {
            Event::TakenOver { .. } => "",
            _ => &report.reason,
        };
        if let Some(last) = self.steps.last_mut() {
            last.end(at, outcome(report.event), why);
        }
        if saga.action().is_some() {
            self.steps.push(Taken::begun(saga.step, at));
        }
    }

    /// Whether the row of the order tells all of it.
    fn is_told(&self) -> bool {
        self.steps.len() == 1
    }

    /// `saga` was recorded, not earlier than `at`: the order is `now` so.
    fn is_recorded(&mut self, saga: Saga, at: Instant, now: Now) {
        self.recorded = saga;
        self.at = at;
        self.number = now.number;
        self.steps.drain(..self.steps.len().saturating_sub(1));
        self.now = Some(now);
    }

    /// Brings `order` up to date.
    fn tell(&mut self, order: &mut Order) {
        if let Some(now) = self.now.take() {
            order.steps = now.number;
            order.updated_at = now.updated_at;
            order.paid_at = now.paid_at;
        }
    }
}

/// Ends the span of a step.
fn end(mut span: Span, done: Option<&Report>) {
    match done {
        Some(done) => {
            span.set("zerocart.saga.outcome", outcome(done.event));
            if done.event == Event::Unavailable {
                span.fail("unavailable", &done.reason);
            }
        }
        None => span.fail("lease_lost", "another driver has taken over"),
    }
    span.end();
}

fn next(order: &Order, event: Event) -> Result<Saga, Error> {
    order.saga.next(event).map_err(Error::internal)
}

/// The outcome of a step in the log of steps.
fn outcome(event: Event) -> &'static str {
    match event {
        Event::Done => "done",
        Event::Refused => "refused",
        Event::Unavailable => "unavailable",
        Event::CancelAsked => "called off",
        Event::TakenOver { .. } => "taken over",
        Event::Shipped => "shipped",
        Event::Delivered => "delivered",
    }
}
