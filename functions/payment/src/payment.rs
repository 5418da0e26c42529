//! One payment as a state machine: no I/O, no clock.

use uuid::Uuid;
use zerocart_proto::{
    money::Cents,
    payment::PaymentStatus::{self, Cancelled, Failed, Pending, Processing, Success},
};

use crate::provider::{ProviderError, Record, Undone};

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// That the order is charged.
    Charge,
    /// That no charge of it stands, now and for ever.
    Refund,
    /// That what nobody drives any more comes to its end, as far as the provider knows it.
    Settle,
}

/// What the provider is asked.
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
    Failed(ProviderError),
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
            Self::Failed(ProviderError::Timeout) => "GATEWAY_TIMEOUT",
            Self::Failed(ProviderError::Unavailable) => "TEMPORARILY_UNAVAILABLE",
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

impl<T: Into<Self>> From<Result<T, ProviderError>> for Reply {
    fn from(result: Result<T, ProviderError>) -> Self {
        result.map_or_else(Self::Failed, Into::into)
    }
}

/// How far one call has come with the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Progress {
    /// It has not asked yet.
    Fresh,
    /// It knows that nothing is on record.
    Unfound,
    /// Its charge was not answered.
    Lost,
    /// The provider cannot be used now.
    Failed(ProviderError),
    /// The provider did not do the refund, or did not say that it did.
    Unrefunded(ProviderError),
    /// It has an answer, or another call has taken over: the payment's state says all.
    Told,
}

impl Progress {
    /// The progress after a reply.
    pub(crate) fn after(self, question: Question, reply: &Reply) -> Self {
        match (question, reply) {
            (_, Reply::Record(_)) => Self::Told,
            (Question::Refund, Reply::Failed(error)) => Self::Unrefunded(*error),
            (Question::Charge, Reply::Failed(ProviderError::Timeout)) => Self::Lost,
            // The charge that was asked about may still be on its way.
            (Question::Find, _) if self == Self::Lost => Self::Failed(ProviderError::Timeout),
            (_, Reply::Nothing) => Self::Unfound,
            (_, Reply::Failed(error)) => Self::Failed(*error),
        }
    }
}

/// A request to the provider that has ended.
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
    /// The provider is to be asked.
    Ask(Question),
    /// No charge, because a refund was asked for.
    Barred,
    /// Another call is talking to the provider.
    Busy,
    /// The provider cannot be used now.
    Failed(ProviderError),
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Payment {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    /// None where a refund came first.
    pub(crate) amount: Option<Cents>,
    /// PENDING: certainly not charged. PROCESSING: perhaps charged. SUCCESS: charged.
    /// CANCELLED: charged, and refunded. FAILED: not charged, and never to be.
    pub(crate) status: PaymentStatus,
    /// Why it was declined.
    pub(crate) reason: Option<String>,
    /// A refund was asked for: no charge is begun any more, and none stands in the end.
    pub(crate) barred: bool,
    /// The number of the last request to the provider.
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
        let mut progress = progress;
        if let Some(asked) = asked {
            let last = asked.number == self.attempts;
            if last {
                self.in_flight = false;
            }
            match &asked.reply {
                // The provider's record is true, for every caller that asked for it.
                Reply::Record(record) => self.take_in(record),
                // This charge was not made; of an earlier one that says nothing.
                Reply::Failed(ProviderError::Unavailable)
                    if last && asked.question == Question::Charge && self.status == Processing =>
                {
                    self.status = asked.before;
                }
                _ if last => {}
                // Another has taken over, and knows more.
                _ if asked.question != Question::Refund => progress = Progress::Told,
                _ => {}
            }
        }
        let before = self.status;
        let verdict = self.decide(purpose, progress);
        if let Verdict::Ask(_) = verdict {
            self.attempts += 1;
            self.in_flight = true;
        }
        (verdict, before)
    }

    /// Takes in what the provider has on record. All but a charge is final there, and a charge can
    /// only be undone by a refund, before which the payment is barred.
    fn take_in(&mut self, record: &Record) {
        if matches!(self.status, Failed | Cancelled) {
            return;
        }
        match record {
            // To be refunded: until then it is not known for how long it stands.
            Record::Charged if self.barred => self.status = Processing,
            Record::Charged => self.status = Success,
            Record::Declined { reason } => {
                self.status = Failed;
                self.reason = Some(reason.clone());
            }
            // A charge that finds its key undone: by a refund, or by somebody at the provider.
            Record::Refunded => {
                self.status = Cancelled;
                self.barred = true;
            }
            Record::Voided => {
                self.status = Failed;
                self.barred = true;
            }
        }
    }

    fn decide(&mut self, purpose: Purpose, progress: Progress) -> Verdict {
        match purpose {
            Purpose::Charge => self.decide_charge(progress),
            Purpose::Refund => {
                // Before anything else: from now on no charge begins.
                self.barred = true;
                self.undo(progress)
            }
            Purpose::Settle => self.decide_settle(progress),
        }
    }

    fn decide_charge(&mut self, progress: Progress) -> Verdict {
        match self.status {
            // The charge's caller gets this answer after the refund, also when the refund's own caller has died.
            _ if self.barred => match self.undo(progress) {
                Verdict::Answer => Verdict::Barred,
                verdict => verdict,
            },
            Success | Failed | Cancelled => Verdict::Answer,
            _ if self.in_flight => Verdict::Busy,
            PaymentStatus::Unspecified | Pending | Processing => match progress {
                Progress::Fresh if self.status == Processing => Verdict::Ask(Question::Find),
                Progress::Fresh | Progress::Unfound => {
                    self.status = Processing;
                    Verdict::Ask(Question::Charge)
                }
                Progress::Lost => Verdict::Ask(Question::Find),
                Progress::Failed(error) | Progress::Unrefunded(error) => Verdict::Failed(error),
                Progress::Told => Verdict::Busy,
            },
        }
    }

    /// Towards a state in which no charge stands. It does not wait for another request to the
    /// provider: a refund may be made beside a charge or another refund, in any order.
    fn undo(&mut self, progress: Progress) -> Verdict {
        match (self.status, progress) {
            (Failed | Cancelled, _) => Verdict::Answer,
            (PaymentStatus::Unspecified | Pending, _) => {
                self.status = Failed;
                Verdict::Answer
            }
            (Processing | Success, Progress::Unrefunded(error)) => Verdict::Failed(error),
            (Processing | Success, _) => {
                // From now on the charge may be gone at any moment.
                self.status = Processing;
                Verdict::Ask(Question::Refund)
            }
        }
    }

    /// Nothing is begun for a payment that nobody wants: a charge that is not on record stays
    /// unknown, because its order's driver may come again for it, or undo it.
    fn decide_settle(&mut self, progress: Progress) -> Verdict {
        match self.status {
            PaymentStatus::Unspecified | Pending | Success | Failed | Cancelled => Verdict::Answer,
            Processing if self.in_flight => Verdict::Busy,
            Processing if self.barred => self.undo(progress),
            Processing => match progress {
                Progress::Fresh => Verdict::Ask(Question::Find),
                Progress::Failed(error) | Progress::Unrefunded(error) => Verdict::Failed(error),
                Progress::Unfound | Progress::Lost | Progress::Told => Verdict::Answer,
            },
        }
    }
}

#[cfg(test)]
mod tests;
