//! Every interleaving of two charging calls, a refunding one and a gateway that loses, delays and
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
    /// The gateway was asked.
    Waiting {
        progress: Progress,
        number: i32,
        question: Question,
        before: PaymentStatus,
        /// What the gateway did, once it has.
        reply: Option<Reply>,
    },
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    payment: Payment,
    /// What the gateway has on record.
    record: Option<Record>,
    callers: [Caller; 3],
    /// Requests on their way that nobody waits for.
    late_charges: u8,
    late_refunds: u8,
    /// A refund was answered with success.
    undone: bool,
}

impl World {
    fn new(first: u8, second: u8, refunds: u8) -> Self {
        let caller = |purpose, calls_left| Caller {
            purpose,
            calls_left,
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
            callers: [
                caller(Purpose::Charge, first),
                caller(Purpose::Charge, second),
                caller(Purpose::Refund, refunds),
            ],
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

    /// What the gateway does with a request that arrives, each way that it may end.
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
        match (purpose, verdict) {
            (Purpose::Charge, Verdict::Answer) => match self.payment.status {
                Success => assert!(matches!(
                    self.record,
                    Some(Record::Charged | Record::Refunded)
                )),
                Failed => assert!(matches!(self.record, Some(Record::Declined { .. }))),
                other => panic!("{other:?} is no answer"),
            },
            (Purpose::Refund, Verdict::Answer) => self.undone = true,
            (_, Verdict::Failed(_)) if self.payment.status == Pending => {
                assert_eq!(self.record, None, "said not to be charged");
                assert_eq!(self.charges_on_their_way(), 0, "said not to be charged");
            }
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
                    let timeout = ready(Reply::Failed(GatewayError::Timeout));
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
                            let refused = Reply::Failed(GatewayError::Unavailable);
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

    /// Expects that a call which nothing disturbs comes to an end from here.
    fn assert_resolves(&self, purpose: Purpose) {
        let mut world = self.clone();
        world.payment.in_flight = false;
        let (mut progress, mut asked) = (Progress::Fresh, None);
        for _ in 0..4 {
            let (verdict, before) = world.payment.step(purpose, asked.as_ref(), progress);
            let question = match verdict {
                Verdict::Ask(question) => question,
                Verdict::Answer => return,
                Verdict::Barred if purpose == Purpose::Charge => return,
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

    fn check(&self) {
        if self.undone {
            assert_ne!(self.record, Some(Record::Charged), "{self:?}");
        }
        self.assert_resolves(Purpose::Charge);
        self.assert_resolves(Purpose::Refund);
    }
}

#[test]
fn no_interleaving_leaves_a_charge_after_a_refund_or_tells_what_is_not_so() {
    let mut seen = HashSet::new();
    for first in [
        World::new(1, 1, 1),
        World::new(2, 0, 2),
        World::new(2, 1, 0),
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
