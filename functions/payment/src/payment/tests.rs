//! Every interleaving of calls that charge, refund and settle, and a provider that loses, delays and
//! refuses, with leases that lapse and callers that die at any moment.

use std::collections::HashSet;

use super::*;

/// A call that may be made again a few times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Caller {
    purpose: Purpose,
    calls_left: u8,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    /// About to take the next step.
    Ready(Progress, Option<Asked>),
    /// The provider was asked.
    Waiting {
        progress: Progress,
        number: i32,
        question: Question,
        before: PaymentStatus,
        /// What the provider did, once it has.
        reply: Option<Reply>,
    },
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    payment: Payment,
    /// What the provider has on record.
    record: Option<Record>,
    callers: Vec<Caller>,
    /// Requests on their way that nobody waits for.
    late_charges: u8,
    late_refunds: u8,
    /// A refund was answered with success.
    undone: bool,
}

impl World {
    /// A new payment, and callers that each call so often.
    fn new(callers: &[(Purpose, u8)]) -> Self {
        let caller = |(purpose, calls_left): &(Purpose, u8)| Caller {
            purpose: *purpose,
            calls_left: *calls_left,
            phase: Phase::Idle,
        };
        Self {
            payment: Payment {
                id: Uuid::nil(),
                user_id: Uuid::nil(),
                amount: Some(Cents::ZERO),
                status: Pending,
                reason: None,
                barred: false,
                attempts: 0,
                in_flight: false,
            },
            record: None,
            callers: callers.iter().map(caller).collect(),
            late_charges: 0,
            late_refunds: 0,
            undone: false,
        }
    }

    /// Charges that may still take effect.
    fn charges_on_their_way(&self) -> usize {
        let waiting = self.callers.iter().filter(|caller| {
            let question = Question::Charge;
            matches!(&caller.phase, Phase::Waiting { question: q, reply: None, .. } if *q == question)
        });
        usize::from(self.late_charges) + waiting.count()
    }

    /// What the provider does with a request that arrives, each way that it may end.
    fn arrive(&self, question: Question) -> Vec<(Self, Reply)> {
        let declined = Record::Declined { reason: "r".into() };
        let after = match (question, &self.record) {
            (Question::Charge, None) => vec![Some(Record::Charged), Some(declined)],
            (Question::Refund, None) => vec![Some(Record::Voided)],
            (Question::Refund, Some(Record::Charged)) => vec![Some(Record::Refunded)],
            (_, record) => vec![record.clone()],
        };
        let world = |record: Option<Record>| {
            let reply = match (question, &record) {
                (Question::Refund, Some(Record::Refunded)) => Undone::Refunded.into(),
                (Question::Refund, _) => Undone::NeverCharged.into(),
                (_, record) => record.clone().into(),
            };
            let mut world = self.clone();
            world.record = record;
            (world, reply)
        };
        after.into_iter().map(world).collect()
    }

    /// Lets go of what a caller waits for; a request that has not arrived stays on its way.
    fn abandon(&mut self, caller: usize) {
        if let Phase::Waiting {
            question,
            reply: None,
            ..
        } = &self.callers[caller].phase
        {
            match question {
                Question::Charge => self.late_charges += 1,
                Question::Refund => self.late_refunds += 1,
                Question::Find => {}
            }
        }
    }

    /// One step of a caller, and what must be true of its answer.
    fn step(&mut self, caller: usize, progress: Progress, asked: Option<&Asked>) {
        let purpose = self.callers[caller].purpose;
        let (verdict, before) = self.payment.step(purpose, asked, progress);
        self.callers[caller].phase = match verdict {
            Verdict::Ask(question) => Phase::Waiting {
                progress,
                number: self.payment.attempts,
                question,
                before,
                reply: None,
            },
            _ => Phase::Idle,
        };
        // What the status says is compared with the provider's record in every world.
        match (purpose, verdict) {
            (Purpose::Charge, Verdict::Answer) => assert!(
                matches!(self.payment.status, Success | Failed),
                "{:?} is no answer",
                self.payment.status
            ),
            (Purpose::Charge, Verdict::Barred) | (Purpose::Refund, Verdict::Answer) => {
                assert!(
                    matches!(self.payment.status, Failed | Cancelled),
                    "{self:?}"
                );
                self.undone = true;
            }
            (Purpose::Refund, Verdict::Busy | Verdict::Barred) => panic!("{verdict:?}, {self:?}"),
            (Purpose::Settle, Verdict::Ask(Question::Charge)) => panic!("nobody wants it"),
            _ => {}
        }
    }

    /// Every world that may come next.
    fn next(&self) -> Vec<Self> {
        let mut next = Vec::new();
        let mut add = |change: &mut dyn FnMut(&mut Self)| {
            let mut world = self.clone();
            change(&mut world);
            next.push(world);
        };
        if self.payment.in_flight {
            add(&mut |world| world.payment.in_flight = false);
        }
        for (n, caller) in self.callers.iter().enumerate() {
            match &caller.phase {
                Phase::Idle if caller.calls_left == 0 => {}
                Phase::Idle => add(&mut |world| {
                    world.callers[n].calls_left -= 1;
                    world.step(n, Progress::Fresh, None);
                }),
                Phase::Ready(progress, asked) => {
                    add(&mut |world| world.step(n, *progress, asked.as_ref()));
                    add(&mut |world| world.callers[n].phase = Phase::Idle);
                }
                Phase::Waiting {
                    progress,
                    number,
                    question,
                    before,
                    reply,
                } => {
                    let ready = |reply: Reply| {
                        let asked = Asked {
                            number: *number,
                            question: *question,
                            before: *before,
                            reply,
                        };
                        Phase::Ready(progress.after(*question, &asked.reply), Some(asked))
                    };
                    let timeout = ready(Reply::Failed(ProviderError::Timeout));
                    for phase in [timeout, Phase::Idle] {
                        add(&mut |world| {
                            world.abandon(n);
                            world.callers[n].phase = phase.clone();
                        });
                    }
                    match reply {
                        Some(reply) => {
                            add(&mut |world| world.callers[n].phase = ready(reply.clone()));
                        }
                        None => {
                            let refused = Reply::Failed(ProviderError::Unavailable);
                            add(&mut |world| world.callers[n].phase = ready(refused.clone()));
                            for (after, given) in self.arrive(*question) {
                                add(&mut |world| {
                                    *world = after.clone();
                                    let phase = &mut world.callers[n].phase;
                                    if let Phase::Waiting { reply, .. } = phase {
                                        *reply = Some(given.clone());
                                    }
                                });
                            }
                        }
                    }
                }
            }
        }
        if self.late_charges > 0 {
            for (mut world, _) in self.arrive(Question::Charge) {
                world.late_charges -= 1;
                next.push(world);
            }
        }
        if self.late_refunds > 0 {
            for (mut world, _) in self.arrive(Question::Refund) {
                world.late_refunds -= 1;
                next.push(world);
            }
        }
        next
    }

    /// Expects that a call which nothing disturbs comes to an end from here. A refund does so at
    /// once, with any other requests in flight.
    fn assert_resolves(&self, purpose: Purpose) {
        let mut world = self.clone();
        world.payment.in_flight &= purpose == Purpose::Refund;
        let (mut progress, mut asked) = (Progress::Fresh, None);
        for _ in 0..4 {
            let (verdict, before) = world.payment.step(purpose, asked.as_ref(), progress);
            let question = match verdict {
                Verdict::Ask(question) => question,
                Verdict::Answer if purpose != Purpose::Settle => return,
                Verdict::Barred if purpose == Purpose::Charge => return,
                // Only a charge that the provider does not know, and that is wanted, stays unknown.
                Verdict::Answer => {
                    let unknown = world.payment.status == Processing;
                    let may = world.record.is_none() && !world.payment.barred;
                    assert!(!unknown || may, "not settled from {self:?}");
                    return;
                }
                other => panic!("{other:?} though nothing disturbs, from {self:?}"),
            };
            let (after, reply) = world.arrive(question).remove(0);
            progress = progress.after(question, &reply);
            asked = Some(Asked {
                number: world.payment.attempts,
                question,
                before,
                reply,
            });
            world.record = after.record;
        }
        panic!("no end from {self:?}");
    }

    /// Expects that what is recorded agrees with the provider.
    fn assert_agrees(&self) {
        let never = self.record.is_none() && self.charges_on_their_way() == 0;
        let agrees = match self.payment.status {
            PaymentStatus::Unspecified => false,
            Pending => never,
            Processing => true,
            Success => self.record == Some(Record::Charged) && !self.payment.barred,
            Cancelled => self.record == Some(Record::Refunded),
            Failed => {
                let refused = Some(Record::Voided) == self.record;
                never || refused || matches!(self.record, Some(Record::Declined { .. }))
            }
        };
        assert!(agrees, "{self:?}");
    }

    fn check(&self) {
        self.assert_agrees();
        if self.undone {
            assert_ne!(self.record, Some(Record::Charged), "{self:?}");
        }
        for purpose in [Purpose::Charge, Purpose::Refund, Purpose::Settle] {
            self.assert_resolves(purpose);
        }
    }
}

#[test]
fn no_interleaving_leaves_a_charge_after_a_refund_or_records_what_is_not_so() {
    let mut seen = HashSet::new();
    let charges = |calls| (Purpose::Charge, calls);
    let refunds = |calls| (Purpose::Refund, calls);
    let settles = |calls| (Purpose::Settle, calls);
    for first in [
        World::new(&[charges(1), charges(1), refunds(1)]),
        World::new(&[charges(2), refunds(2)]),
        World::new(&[charges(1), refunds(1), refunds(1)]),
        World::new(&[charges(2), charges(1)]),
        World::new(&[charges(1), refunds(1), settles(1)]),
        World::new(&[charges(2), settles(1)]),
    ] {
        let mut open = vec![first];
        while let Some(world) = open.pop() {
            if seen.insert(world.clone()) {
                world.check();
                open.extend(world.next());
            }
        }
    }
    let statuses: HashSet<_> = seen.iter().map(|world| world.payment.status).collect();
    assert_eq!(statuses.len(), 5, "{statuses:?}");
    assert!(seen.iter().any(|world| world.undone));
}
