//! The rules of the order saga: state + event → state, without clock, database or network.
//!
//! The rules depend on nothing else, so a simulator can use them, too.
//!
//! An order that comes on quickly is recorded twice: when it is placed, and when it ends. What is recorded
//! when it is placed means: its lines may be reserved, it may be charged, and its cart may be cleared, or
//! not. What undoes an order, and what takes longer, is recorded before its action begins. Then it means:
//! everything before it is done, and the effect of its own action may have happened or not
//! ([`Saga::may_pass`]).
//!
//! An action concerns all lines of the order: all are reserved in one call, or none, and all are
//! released in one call. Effects are keyed by order, so an action that is repeated takes effect once.
//! An effect that is undone can never happen any more, not even by a request that was on its way. So
//! a driver that takes over needs nothing but the state.
//!
//! ```text
//!   PENDING       PROCESSING              PAID
//!  Reserving ───→ Charging(asked?) ───→ Clearing ─────────→ Ended
//!      │              │                   │ cancelled        │ cancelled
//!      │              ├─ Refunding ←──────┴──────────────────┘
//!      ├→ Releasing ←─┘ asked, and not declined
//!      │      └→ Ended, FAILED or CANCELLED
//!      └ refused at the first try → Ended, FAILED
//! ```
//!
//! An heir who undoes what he finds in Reserving goes to Refunding, if an earlier driver may have asked for a
//! charge.
//!
//! ```
//! use zerocart_order::saga::{Action, Event, Saga, Status};
//!
//! let mut order = Saga::PLACED;
//! let mut actions = Vec::new();
//! while let Some(action) = order.action() {
//!     actions.push(action);
//!     order = order.next(Event::Done)?;
//! }
//! assert_eq!(order.status, Status::Paid);
//! assert_eq!(
//!     actions,
//!     [Action::Reserve, Action::CheckProvider, Action::Charge, Action::ClearCart]
//! );
//! # Ok::<_, zerocart_order::saga::Illegal>(())
//! ```

#[cfg(test)]
mod tests;

use std::fmt;

use zerocart_proto::order::OrderStatus;

/// Where an order stands, as its customer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Its stock is being reserved.
    Pending,
    /// Its stock is reserved, and it is being charged.
    Processing,
    /// It is paid.
    Paid,
    /// The goods are on their way.
    Shipped,
    /// The goods have arrived.
    Delivered,
    /// It was called off, and undone.
    Cancelled,
    /// It could not be made, and what was done for it is undone.
    Failed,
}

impl Status {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Processing,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
        Self::Failed,
    ];

    /// Its name in the database, in JSON and in messages: `PENDING`.
    pub fn name(self) -> &'static str {
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
pub enum Step {
    /// The stock of all lines is asked for.
    Reserving {
        /// What others may have asked for.
        earlier: Earlier,
    },
    /// All lines are reserved.
    Charging {
        /// Whether a charge may have been asked for.
        asked: bool,
    },
    /// Paid. What was bought is to be taken from the cart.
    Clearing,
    /// A charge that may stand is undone.
    Refunding,
    /// No charge stands. Lines may be reserved; all are released.
    Releasing,
    /// Nothing is to be done any more.
    Ended,
}

/// What an earlier driver may have asked for, before an order is reserved: its requests may still be on
/// their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Earlier {
    /// There was none.
    Nothing,
    /// Stock. A driver of the version before, which records each step.
    Stock,
    /// Stock, then a charge, then that the cart is cleared.
    All,
}

/// Why an order is, or will be, FAILED or CANCELLED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Stock was refused.
    Refused,
    /// The payment was declined.
    Declined,
    /// Something that is needed cannot be used.
    Unavailable,
    /// Its driver died before the charge was asked for, and nobody waits for the order any more.
    Interrupted,
    /// Its customer or an admin called it off.
    Cancelled,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Refused,
        Self::Declined,
        Self::Unavailable,
        Self::Interrupted,
        Self::Cancelled,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
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
pub struct Saga {
    /// What the customer sees.
    pub status: Status,
    /// What is to be done next.
    pub step: Step,
    /// Why the order is undone; set from the moment on that it is.
    pub cause: Option<Cause>,
}

/// What the driver of an order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reserve the units of all lines, or none.
    Reserve,
    /// Look whether a charge may be asked for at all, before it is recorded that one was.
    CheckProvider,
    /// Charge, or find out that it was charged.
    Charge,
    /// Take what was bought from the cart.
    ClearCart,
    /// Make sure that no charge stands.
    Refund,
    /// Release the units of all lines, reserved or not.
    Release,
}

impl Action {
    /// Its name in traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve stock",
            Self::CheckProvider => "check provider",
            Self::Charge => "charge",
            Self::ClearCart => "clear cart",
            Self::Refund => "refund",
            Self::Release => "release stock",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The step is done.
    Done,
    /// The step was refused: it is not done, and never will be.
    Refused,
    /// The step cannot be done now; whether it was is not known, unless it was not even begun.
    Unavailable,
    /// Its customer or an admin calls the order off.
    CancelAsked,
    /// Another driver took over.
    TakenOver {
        /// The customer waits for the order, or a charge was asked for.
        wanted: bool,
    },
    /// The goods are on their way.
    Shipped,
    /// The goods have arrived.
    Delivered,
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen in {saga:?}")]
pub struct Illegal {
    saga: Saga,
    event: Event,
}

impl Saga {
    /// The state of an order that was just placed.
    pub const PLACED: Self = Self {
        status: Status::Pending,
        step: Step::Reserving {
            earlier: Earlier::Nothing,
        },
        cause: None,
    };

    /// What is to be done; none when nothing is.
    pub fn action(self) -> Option<Action> {
        Some(match self.step {
            Step::Reserving { .. } => Action::Reserve,
            Step::Charging { asked: false } => Action::CheckProvider,
            Step::Charging { asked: true } => Action::Charge,
            Step::Clearing => Action::ClearCart,
            Step::Refunding => Action::Refund,
            Step::Releasing => Action::Release,
            Step::Ended => return None,
        })
    }

    /// Whether the step is retried until it is done, because the saga cannot go back from here.
    pub fn must_go_on(self) -> bool {
        matches!(
            self.step,
            Step::Clearing | Step::Refunding | Step::Releasing
        )
    }

    /// Whether an order may come to this state while `recorded` is what its row says.
    ///
    /// An heir who finds the row of a new order reserves again, charges again and clears the cart again:
    /// each takes effect once. When it undoes the order, it makes sure that no charge stands, and then
    /// releases the lines. So all that a driver does on the way forward may have happened, or not.
    ///
    /// To look whether a charge may be asked for has no effect. So it is never recorded, also not where a
    /// row says that no charge was asked for, as those of the version before do.
    pub fn may_pass(self, recorded: Self) -> bool {
        match (recorded.step, self.step) {
            (_, Step::Charging { asked: false })
            | (Step::Charging { asked: true }, Step::Clearing) => true,
            (Step::Reserving { earlier }, Step::Charging { asked: true } | Step::Clearing) => {
                earlier != Earlier::Stock
            }
            _ => false,
        }
    }

    /// Whether its action changes anything. To look whether a charge may be asked for does not, so that state is
    /// never recorded.
    pub fn has_effect(self) -> bool {
        self.step != (Step::Charging { asked: false })
    }

    /// Whether the row of the order says no more than that it was placed.
    pub fn is_open(self) -> bool {
        matches!(
            self.step,
            Step::Reserving {
                earlier: Earlier::Nothing | Earlier::All
            }
        )
    }

    /// The state after `event`.
    ///
    /// [`Event::Unavailable`] leaves a state that must go on as it is: its driver gives up for now.
    ///
    /// # Errors
    ///
    /// [`Illegal`].
    pub fn next(self, event: Event) -> Result<Self, Illegal> {
        let illegal = Err(Illegal { saga: self, event });
        match (self.step, event) {
            (Step::Reserving { earlier }, event) => match event {
                Event::Done => Ok(Self {
                    status: Status::Processing,
                    step: Step::Charging {
                        asked: earlier == Earlier::All,
                    },
                    ..self
                }),
                // Nothing was reserved, and nothing will be: no other request is on its way.
                Event::Refused if earlier == Earlier::Nothing => Self {
                    cause: Some(Cause::Refused),
                    ..self
                }
                .end(),
                Event::Refused => self.undo(earlier, Cause::Refused),
                // A try, perhaps of another driver, may have reserved the lines.
                Event::Unavailable => self.undo(earlier, Cause::Unavailable),
                Event::CancelAsked => self.undo(earlier, Cause::Cancelled),
                // What the row of a new order says of its driver.
                Event::TakenOver { .. } if earlier == Earlier::Nothing => Self {
                    step: Step::Reserving {
                        earlier: Earlier::All,
                    },
                    ..self
                }
                .next(event),
                Event::TakenOver { wanted: false } => self.undo(earlier, Cause::Interrupted),
                Event::TakenOver { wanted: true } => Ok(self),
                Event::Shipped | Event::Delivered => illegal,
            },
            (Step::Charging { asked: false }, event) => match event {
                Event::Done => self.at(Step::Charging { asked: true }),
                Event::Unavailable => self.release(Cause::Unavailable),
                Event::CancelAsked => self.release(Cause::Cancelled),
                // Back, because it cannot have been paid.
                Event::TakenOver { wanted: false } => self.release(Cause::Interrupted),
                Event::TakenOver { wanted: true } => Ok(self),
                Event::Refused | Event::Shipped | Event::Delivered => illegal,
            },
            (Step::Charging { asked: true }, event) => match event {
                Event::Done => Ok(Self {
                    status: Status::Paid,
                    step: Step::Clearing,
                    ..self
                }),
                Event::Refused => self.release(Cause::Declined),
                Event::Unavailable => self.refund(Cause::Unavailable),
                Event::CancelAsked => self.refund(Cause::Cancelled),
                // Forward, because it may have been paid.
                Event::TakenOver { .. } => Ok(self),
                Event::Shipped | Event::Delivered => illegal,
            },
            (Step::Clearing, Event::Done) => self.at(Step::Ended),
            (Step::Refunding, Event::Done) => self.at(Step::Releasing),
            (Step::Releasing, Event::Done) => self.end(),
            (
                Step::Clearing | Step::Refunding | Step::Releasing,
                Event::Unavailable | Event::TakenOver { .. },
            ) => Ok(self),
            // It is being undone already.
            (Step::Refunding | Step::Releasing, Event::CancelAsked) => Ok(self),
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

    /// Whether somebody may bring the order to `status`, in every state of its driver.
    pub fn may_become(self, status: Status) -> bool {
        let event = match status {
            Status::Cancelled => Event::CancelAsked,
            Status::Shipped => Event::Shipped,
            Status::Delivered => Event::Delivered,
            Status::Pending | Status::Processing | Status::Paid | Status::Failed => return false,
        };
        // Undoing that has begun for another reason ends FAILED.
        let undone = self.cause.is_some_and(|cause| cause.goal() != status);
        !undone && self.next(event).is_ok()
    }

    fn at(self, step: Step) -> Result<Self, Illegal> {
        Ok(Self { step, ..self })
    }

    fn now(self, status: Status) -> Result<Self, Illegal> {
        Ok(Self { status, ..self })
    }

    /// Undoes what may have been done while lines were reserved.
    fn undo(self, earlier: Earlier, cause: Cause) -> Result<Self, Illegal> {
        match earlier {
            Earlier::Nothing | Earlier::Stock => self.release(cause),
            Earlier::All => self.refund(cause),
        }
    }

    fn refund(self, cause: Cause) -> Result<Self, Illegal> {
        Ok(Self {
            step: Step::Refunding,
            cause: Some(cause),
            ..self
        })
    }

    fn release(self, cause: Cause) -> Result<Self, Illegal> {
        Ok(Self {
            step: Step::Releasing,
            cause: Some(cause),
            ..self
        })
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
            Self::Reserving { .. } => f.write_str("reserving"),
            Self::Charging { asked: false } => f.write_str("about to charge"),
            Self::Charging { asked: true } => f.write_str("charging"),
            Self::Clearing => f.write_str("clearing the cart"),
            Self::Refunding => f.write_str("refunding"),
            Self::Releasing => f.write_str("releasing"),
            Self::Ended => f.write_str("ended"),
        }
    }
}
