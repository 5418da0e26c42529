//! The driver of an order: executes the steps of the saga, and records their outcome.
//!
//! A driver holds the order's lease. It says that it lives while a step takes long, and finds out at
//! its next record when another has taken over, after which it does nothing any more. When its
//! process dies the lease lapses, and the next driver goes on from the last recorded state.
//! [`Saga::is_recorded`] says which states are recorded.

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
    order::Order,
    saga::{Event, Saga},
    services::{Report, Services},
    store::{Record, Recorded, Store},
};

/// How long a driver may be silent before it is taken for dead.
const LEASE: Duration = Duration::from_secs(10);

/// The time for going forward, and the time for all of it: what was begun can still be undone.
/// Both end before the 28 s of create-order do.
pub(crate) const FORWARD: Duration = Duration::from_secs(18);
const ALL: Duration = Duration::from_secs(26);

/// The pause before an order is taken up again that could not be brought to its end.
const PAUSE: Duration = Duration::from_secs(1);

/// Drives orders. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) store: Store,
    pub(crate) services: Services,
    lasting: Lasting,
    pause: Duration,
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
    /// may be silent, `ORDER_PAUSE_MS` (1,000) the first pause before an order is tried again.
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
        let mut report = first;
        loop {
            if let Some(report) = report.take()
                && !self.record(cx, &mut order, report).await?
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
            let done = self.beside_heartbeat(cx, &order, work).await;
            end(span, done.as_ref());
            // A driver that is killed later must have left its steps.
            cx.trace.flush();
            let Some(done) = done else {
                return Ok(Driven::Lost);
            };
            if done.event == Event::Unavailable && order.saga.must_go_on() {
                tracing::warn!(step = %order.saga.step, reason = done.reason, "order put off");
                self.store
                    .park(cx, &order, self.pause, &done.reason)
                    .await?;
                return Ok(Driven::Here(Box::new(order)));
            }
            report = Some(done);
        }
    }

    /// Records what happened, and whether somebody calls the order off meanwhile. False when another
    /// driver has the order.
    async fn record(&self, cx: &Call, order: &mut Order, report: Report) -> Result<bool, Error> {
        let mut report = report;
        loop {
            let before = order.saga;
            let saga = next(order, report.event)?;
            if !saga.is_recorded() {
                order.saga = saga;
                return Ok(true);
            }
            // The reason is that of what began the undoing.
            let reason = if order.saga.cause.is_none() && saga.cause.is_some() {
                report.reason.clone()
            } else {
                order.reason.clone()
            };
            let record = Record {
                saga,
                reason: &reason,
                payment_id: report.payment_id,
                outcome: outcome(report.event),
                // A step that was taken over says so by its outcome.
                step_reason: match report.event {
                    Event::TakenOver { .. } => "",
                    _ => &report.reason,
                },
            };
            let recorded = self.persist(cx, order, &record).await?;
            let Recorded::Done { cancel_by } = recorded else {
                return Ok(false);
            };
            let can_cancel = saga.cause.is_none() && saga.next(Event::CancelAsked).is_ok();
            let Some(by) = cancel_by.filter(|_| can_cancel) else {
                return Ok(true);
            };
            // The provider was not asked for a charge yet, so there is none to be undone.
            if !before.is_recorded() {
                order.saga = before;
            }
            report = Report::cancelled(by);
        }
    }

    /// Records again while the database cannot be used: a step is done, and forgetting that would
    /// only mean to do it again.
    async fn persist(
        &self,
        cx: &Call,
        order: &mut Order,
        record: &Record<'_>,
    ) -> Result<Recorded, Error> {
        let mut pauses = Backoff::new(
            Duration::from_millis(50),
            Duration::from_secs(1),
            Jitter::random(),
        )
        .map_err(Error::internal)?
        .delays();
        loop {
            let error = match self.store.record(cx, order, record).await {
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

    /// The outcome of `work`, during which the lease is renewed; none when it was lost.
    async fn beside_heartbeat<T>(
        &self,
        cx: &Call,
        order: &Order,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        let beat = self.store.lease / 3;
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = tokio::time::sleep(beat) => {}
            }
            let renewing = cx.detached(Instant::now() + beat);
            match self.store.renew(&renewing, order).await {
                Ok(true) => {}
                Ok(false) => return None,
                // The lease may outlast this, and the record will tell.
                Err(error) => tracing::warn!(reason = error.message(), "lease not renewed"),
            }
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
