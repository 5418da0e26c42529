//! The rules of the order saga: state + event → state, without clock, database or network.
//!
//! A state is recorded before what it says is done, so a recorded state means: everything before
//! it is done, the effect of its own step may have been done or not, nothing after it was begun.
//! Effects are keyed by order and step, so doing a step again does it once; an effect that is undone
//! can never be done any more, not even by a request that was on its way. So a driver that takes
//! over needs nothing but the state.
//!
//! ```text
//!            PENDING                 PROCESSING              PAID
//!  Reserving(0) … Reserving(n-1) → Charging(asked?) → Clearing ─────────→ Ended
//!        │                             │                 │ cancelled        │ cancelled
//!        │                             ├─ Refunding ←────┴──────────────────┘
//!        └────────→ Releasing(left) ←──┘ asked, and not declined
//!                        └→ Ended, FAILED or CANCELLED
//! ```

#[cfg(test)]
mod tests;

use std::fmt;

use zerocart_proto::order::OrderStatus;

/// Where an order stands, as its customer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Status {
    Pending,
    Processing,
    Paid,
    Shipped,
    Delivered,
    Cancelled,
    Failed,
}

impl Status {
    /// All of them, in the order of the contract.
    pub(crate) const ALL: [Self; 7] = [
        Self::Pending,
        Self::Processing,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
        Self::Failed,
    ];

    /// Its name in the database, in JSON and in messages: `PENDING`.
    pub(crate) fn name(self) -> &'static str {
        self.to_wire().as_str_name()
    }

    pub(crate) fn to_wire(self) -> OrderStatus {
        match self {
            Self::Pending => OrderStatus::Pending,
            Self::Processing => OrderStatus::Processing,
            Self::Paid => OrderStatus::Paid,
            Self::Shipped => OrderStatus::Shipped,
            Self::Delivered => OrderStatus::Delivered,
            Self::Cancelled => OrderStatus::Cancelled,
            Self::Failed => OrderStatus::Failed,
        }
    }

    pub(crate) fn of_wire(status: i32) -> Option<Self> {
        let status = OrderStatus::try_from(status).ok()?;
        Self::ALL.into_iter().find(|own| own.to_wire() == status)
    }
}

/// What is to be done next, or may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The lines before `line` are reserved; this one is asked for.
    Reserving { line: u32 },
    /// All lines are reserved. `asked`: whether a charge may have been asked for.
    Charging { asked: bool },
    /// Paid. What was bought is to be taken from the cart.
    Clearing,
    /// A charge that may stand is undone.
    Refunding,
    /// No charge stands. The first `left` lines may be reserved; they are released from the last on.
    Releasing { left: u32 },
    /// Nothing is to be done any more.
    Ended,
}

/// Why an order is, or will be, FAILED or CANCELLED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Stock was refused.
    Refused,
    /// The payment was declined.
    Declined,
    /// Something that is needed cannot be used.
    Unavailable,
    /// Its driver died before the charge, and nobody waits for the order any more.
    Interrupted,
    /// An admin called it off.
    Cancelled,
}

impl Cause {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Refused,
        Self::Declined,
        Self::Unavailable,
        Self::Interrupted,
        Self::Cancelled,
    ];

    /// Its name in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Declined => "declined",
            Self::Unavailable => "unavailable",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }

    /// How the order ends.
    fn goal(self) -> Status {
        match self {
            Self::Cancelled => Status::Cancelled,
            Self::Refused | Self::Declined | Self::Unavailable | Self::Interrupted => {
                Status::Failed
            }
        }
    }
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Saga {
    pub(crate) status: Status,
    pub(crate) step: Step,
    /// Set from the moment on that the order is undone.
    pub(crate) cause: Option<Cause>,
}

/// What the driver of an order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Reserve the units of a line.
    Reserve { line: u32 },
    /// Look whether a charge may be asked for at all, before it is recorded that one was.
    CheckProvider,
    /// Charge, or find out that it was charged.
    Charge,
    /// Take what was bought from the cart.
    ClearCart,
    /// Make sure that no charge stands.
    Refund,
    /// Release the units of a line.
    Release { line: u32 },
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The step is done.
    Done,
    /// The step was refused: it is not done, and never will be.
    Refused,
    /// The step cannot be done now; whether it was is not known, unless it was not even begun.
    Unavailable,
    /// An admin calls the order off.
    CancelAsked,
    /// Another driver took over. `wanted`: the customer waits for the order.
    TakenOver { wanted: bool },
    /// The goods are on their way.
    Shipped,
    /// The goods have arrived.
    Delivered,
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen in {saga:?}")]
pub(crate) struct Illegal {
    saga: Saga,
    event: Event,
}

impl Saga {
    /// The state of an order that was just placed.
    pub(crate) const PLACED: Self = Self {
        status: Status::Pending,
        step: Step::Reserving { line: 0 },
        cause: None,
    };

    /// What is to be done; none when nothing is.
    pub(crate) fn action(self) -> Option<Action> {
        Some(match self.step {
            Step::Reserving { line } => Action::Reserve { line },
            Step::Charging { asked: false } => Action::CheckProvider,
            Step::Charging { asked: true } => Action::Charge,
            Step::Clearing => Action::ClearCart,
            Step::Refunding => Action::Refund,
            Step::Releasing { left } => Action::Release { line: left - 1 },
            Step::Ended => return None,
        })
    }

    /// Whether the step is retried until it is done, because the saga cannot go back from here.
    pub(crate) fn must_go_on(self) -> bool {
        matches!(
            self.step,
            Step::Clearing | Step::Refunding | Step::Releasing { .. }
        )
    }

    /// The state after `event`, for an order of `lines` lines.
    ///
    /// [`Event::Unavailable`] leaves a state that must go on as it is: its driver gives up for now.
    ///
    /// # Errors
    ///
    /// [`Illegal`].
    pub(crate) fn next(self, event: Event, lines: u32) -> Result<Self, Illegal> {
        let illegal = Err(Illegal { saga: self, event });
        match (self.step, event) {
            (Step::Reserving { line }, event) => match event {
                Event::Done if line + 1 < lines => self.at(Step::Reserving { line: line + 1 }),
                Event::Done => Ok(Self {
                    status: Status::Processing,
                    step: Step::Charging { asked: false },
                    ..self
                }),
                Event::Refused => self.release(line, Cause::Refused),
                // An earlier try, perhaps of another driver, may have reserved it.
                Event::Unavailable => self.release(line + 1, Cause::Unavailable),
                Event::CancelAsked => self.release(line + 1, Cause::Cancelled),
                Event::TakenOver { wanted: false } => self.release(line + 1, Cause::Interrupted),
                Event::TakenOver { wanted: true } => Ok(self),
                Event::Shipped | Event::Delivered => illegal,
            },
            (Step::Charging { asked: false }, event) => match event {
                Event::Done => self.at(Step::Charging { asked: true }),
                Event::Unavailable => self.release(lines, Cause::Unavailable),
                Event::CancelAsked => self.release(lines, Cause::Cancelled),
                // Back, because it cannot have been paid.
                Event::TakenOver { wanted: false } => self.release(lines, Cause::Interrupted),
                Event::TakenOver { wanted: true } => Ok(self),
                Event::Refused | Event::Shipped | Event::Delivered => illegal,
            },
            (Step::Charging { asked: true }, event) => match event {
                Event::Done => Ok(Self {
                    status: Status::Paid,
                    step: Step::Clearing,
                    ..self
                }),
                Event::Refused => self.release(lines, Cause::Declined),
                Event::Unavailable => self.refund(Cause::Unavailable),
                Event::CancelAsked => self.refund(Cause::Cancelled),
                // Forward, because it may have been paid.
                Event::TakenOver { .. } => Ok(self),
                Event::Shipped | Event::Delivered => illegal,
            },
            (Step::Clearing, Event::Done) => self.at(Step::Ended),
            (Step::Refunding, Event::Done) => Ok(Self {
                step: Step::Releasing { left: lines },
                ..self
            }),
            (Step::Releasing { left: 1 }, Event::Done) => self.end(),
            (Step::Releasing { left }, Event::Done) => self.at(Step::Releasing { left: left - 1 }),
            (
                Step::Clearing | Step::Refunding | Step::Releasing { .. },
                Event::Unavailable | Event::TakenOver { .. },
            ) => Ok(self),
            // It is being undone already.
            (Step::Refunding | Step::Releasing { .. }, Event::CancelAsked) => Ok(self),
            (Step::Clearing | Step::Ended, Event::CancelAsked) if self.status == Status::Paid => {
                self.refund(Cause::Cancelled)
            }
            (Step::Clearing | Step::Ended, Event::Shipped) if self.status == Status::Paid => {
                self.now(Status::Shipped)
            }
            (Step::Clearing | Step::Ended, Event::Delivered) if self.status == Status::Shipped => {
                self.now(Status::Delivered)
            }
            _ => illegal,
        }
    }

    /// Whether an admin may set the order's status to `status`, in every state of its driver.
    pub(crate) fn may_become(self, status: Status) -> bool {
        let event = match status {
            Status::Cancelled => Event::CancelAsked,
            Status::Shipped => Event::Shipped,
            Status::Delivered => Event::Delivered,
            Status::Pending | Status::Processing | Status::Paid | Status::Failed => return false,
        };
        // Undoing that has begun for another reason ends FAILED.
        let undone = self.cause.is_some_and(|cause| cause.goal() != status);
        !undone && self.next(event, 1).is_ok()
    }

    fn at(self, step: Step) -> Result<Self, Illegal> {
        Ok(Self { step, ..self })
    }

    fn now(self, status: Status) -> Result<Self, Illegal> {
        Ok(Self { status, ..self })
    }

    fn refund(self, cause: Cause) -> Result<Self, Illegal> {
        Ok(Self {
            step: Step::Refunding,
            cause: Some(cause),
            ..self
        })
    }

    fn release(self, left: u32, cause: Cause) -> Result<Self, Illegal> {
        let undone = Self {
            step: Step::Releasing { left },
            cause: Some(cause),
            ..self
        };
        if left == 0 { undone.end() } else { Ok(undone) }
    }

    fn end(self) -> Result<Self, Illegal> {
        Ok(Self {
            status: self.cause.map_or(self.status, Cause::goal),
            step: Step::Ended,
            ..self
        })
    }
}

/// For the log.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserving { line } => write!(f, "reserving line {line}"),
            Self::Charging { asked: false } => f.write_str("about to charge"),
            Self::Charging { asked: true } => f.write_str("charging"),
            Self::Clearing => f.write_str("clearing the cart"),
            Self::Refunding => f.write_str("refunding"),
            Self::Releasing { left } => write!(f, "releasing line {}", left.saturating_sub(1)),
            Self::Ended => f.write_str("ended"),
        }
    }
}
