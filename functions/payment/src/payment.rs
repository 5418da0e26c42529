//! One payment as a state machine: no I/O, no clock.

use uuid::Uuid;
use zerocart_proto::{
    money::Cents,
    payment::PaymentStatus::{self, Cancelled, Failed, Pending, Processing, Success},
};

use crate::gateway::{GatewayError, Record, Undone};

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// That the order is charged.
    Charge,
    /// That no charge of it stands, now and for ever.
    Refund,
}

/// What the gateway is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// To charge.
    Charge,
    /// What became of a charge.
    Find,
    /// To refund.
    Refund,
}

impl Question {
    /// Its name in `payment_attempts`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Charge => "CHARGE",
            Self::Find => "FIND",
            Self::Refund => "REFUND",
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// What is on record.
    Record(Record),
    /// There is nothing on record.
    Nothing,
    /// No answer.
    Failed(GatewayError),
}

impl Reply {
    /// Its name in `payment_attempts`.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Record(Record::Charged) => "CHARGED",
            Self::Record(Record::Declined { .. }) => "DECLINED",
            Self::Record(Record::Refunded) => "REFUNDED",
            Self::Record(Record::Voided) => "VOIDED",
            Self::Nothing => "NOT_FOUND",
            Self::Failed(GatewayError::Timeout) => "GATEWAY_TIMEOUT",
            Self::Failed(GatewayError::Unavailable) => "TEMPORARILY_UNAVAILABLE",
        }
    }
}

impl From<Record> for Reply {
    fn from(record: Record) -> Self {
        Self::Record(record)
    }
}

impl From<Option<Record>> for Reply {
    fn from(record: Option<Record>) -> Self {
        record.map_or(Self::Nothing, Self::Record)
    }
}

impl From<Undone> for Reply {
    fn from(undone: Undone) -> Self {
        Self::Record(match undone {
            Undone::Refunded => Record::Refunded,
            Undone::NeverCharged => Record::Voided,
        })
    }
}

impl<T: Into<Self>> From<Result<T, GatewayError>> for Reply {
    fn from(result: Result<T, GatewayError>) -> Self {
        result.map_or_else(Self::Failed, Into::into)
    }
}

/// How far one call has come with the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Progress {
    /// It has not asked yet.
    Fresh,
    /// It knows that nothing is on record.
    Unfound,
    /// Its charge was not answered.
    Lost,
    /// The gateway cannot be used now.
    Failed(GatewayError),
    /// It has an answer, or another call has taken over: the payment's state says all.
    Told,
}

impl Progress {
    /// The progress after a reply.
    pub(crate) fn after(self, question: Question, reply: &Reply) -> Self {
        match (question, reply) {
            (_, Reply::Record(_)) => Self::Told,
            (Question::Charge, Reply::Failed(GatewayError::Timeout)) => Self::Lost,
            // The charge that was asked about may still be on its way.
            (Question::Find, _) if self == Self::Lost => Self::Failed(GatewayError::Timeout),
            (_, Reply::Nothing) => Self::Unfound,
            (_, Reply::Failed(error)) => Self::Failed(*error),
        }
    }
}

/// A request to the gateway that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) number: i32,
    pub(crate) question: Question,
    /// The payment's status before it.
    pub(crate) before: PaymentStatus,
    pub(crate) reply: Reply,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// The state is the answer.
    Answer,
    /// The gateway is to be asked.
    Ask(Question),
    /// No charge, because a refund was asked for.
    Barred,
    /// Another call is talking to the gateway.
    Busy,
    /// The gateway cannot be used now.
    Failed(GatewayError),
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Payment {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    /// None where a refund came first.
    pub(crate) amount: Option<Cents>,
    /// PENDING: certainly not charged. PROCESSING: perhaps charged.
    pub(crate) status: PaymentStatus,
    /// Why it was declined.
    pub(crate) reason: Option<String>,
    /// A refund was asked for: no charge is begun any more.
    pub(crate) barred: bool,
    /// The number of the last request to the gateway.
    pub(crate) attempts: i32,
    /// Whether its sender may still be waiting for the answer.
    pub(crate) in_flight: bool,
}

impl Payment {
    /// Takes in what was asked last, if anything was, and says what is to be done next, and what
    /// the status was before that.
    ///
    /// The state is then as it must be recorded before that is done.
    pub(crate) fn step(
        &mut self,
        purpose: Purpose,
        asked: Option<&Asked>,
        progress: Progress,
    ) -> (Verdict, PaymentStatus) {
        let progress = match asked {
            Some(asked) if asked.number != self.attempts => Progress::Told,
            Some(asked) => {
                self.settle(asked.question, asked.before, &asked.reply);
                progress
            }
            None => progress,
        };
        let before = self.status;
        let verdict = self.decide(purpose, progress);
        if let Verdict::Ask(_) = verdict {
            self.attempts += 1;
            self.in_flight = true;
        }
        (verdict, before)
    }

    /// Takes in the reply to the last request; `before` is the status before that was sent.
    fn settle(&mut self, question: Question, before: PaymentStatus, reply: &Reply) {
        self.in_flight = false;
        match (question, reply) {
            (_, Reply::Record(Record::Charged)) => self.status = Success,
            (_, Reply::Record(Record::Declined { reason })) => {
                self.status = Failed;
                self.reason = Some(reason.clone());
            }
            // A charge that finds its key undone: somebody did that at the provider.
            (_, Reply::Record(Record::Refunded)) => {
                self.status = Cancelled;
                self.barred = true;
            }
            (_, Reply::Record(Record::Voided)) => {
                self.status = Failed;
                self.barred = true;
            }
            // This charge was not made; of an earlier one that says nothing.
            (Question::Charge, Reply::Failed(GatewayError::Unavailable)) => self.status = before,
            (_, Reply::Nothing | Reply::Failed(_)) => {}
        }
    }

    fn decide(&mut self, purpose: Purpose, progress: Progress) -> Verdict {
        match purpose {
            Purpose::Charge => self.decide_charge(progress),
            Purpose::Refund => self.decide_refund(progress),
        }
    }

    fn decide_charge(&mut self, progress: Progress) -> Verdict {
        match self.status {
            _ if self.barred => Verdict::Barred,
            Success | Failed | Cancelled => Verdict::Answer,
            _ if self.in_flight => Verdict::Busy,
            PaymentStatus::Unspecified | Pending | Processing => match progress {
                Progress::Fresh if self.status == Processing => Verdict::Ask(Question::Find),
                Progress::Fresh | Progress::Unfound => {
                    self.status = Processing;
                    Verdict::Ask(Question::Charge)
                }
                Progress::Lost => Verdict::Ask(Question::Find),
                Progress::Failed(error) => Verdict::Failed(error),
                Progress::Told => Verdict::Busy,
            },
        }
    }

    fn decide_refund(&mut self, progress: Progress) -> Verdict {
        // Before anything else: from now on no charge begins.
        self.barred = true;
        match self.status {
            Failed | Cancelled => Verdict::Answer,
            _ if self.in_flight => Verdict::Busy,
            PaymentStatus::Unspecified | Pending => {
                self.status = Failed;
                Verdict::Answer
            }
            Processing | Success => match progress {
                Progress::Fresh => Verdict::Ask(Question::Refund),
                Progress::Failed(error) => Verdict::Failed(error),
                Progress::Unfound | Progress::Lost | Progress::Told => Verdict::Busy,
            },
        }
    }
}

#[cfg(test)]
mod tests;
