//! Requests as programs: what a task does, one thing after the other.

use std::rc::Rc;

use super::{
    curve::Curve,
    prices::{Kind, Price, Visit},
};

/// Whose threads do a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The instances of a function.
    Function(usize),
    /// The gateway and the activator.
    Edge,
    /// A session of a domain, for this task alone.
    Postgres(usize),
    /// The sessions of a domain that the calls of a function share.
    Shared(usize, usize),
    Client,
    /// A process that starts.
    Start,
}

/// One thing that a task does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Do {
    /// CPU time.
    Work(Place, Visit),
    /// CPU time of a function for the hash of a password, and its end.
    Hash(usize, Curve),
    Hashed(usize),
    /// Time that is nobody's CPU time.
    Pause(f64),
    /// Waits for the log of a domain's server. `share`: how often, on average; 1 is each time.
    Commit {
        domain: usize,
        share: f64,
    },
    /// Comes to a function, and waits for an instance of it.
    Enter(usize),
    Leave(usize),
    /// A connection of an instance.
    Connect(usize),
    Disconnect(usize),
    /// The row of the order's product.
    Lock,
    Unlock,
    /// Takes units of stock, under the row's lock, if there are enough.
    TakeStock,
    /// Gives them back.
    GiveStock,
    /// The provider decides.
    Charge,
    /// The saga says what is next.
    Next,
    /// An instance of a function is ready.
    Ready(usize),
}

pub(super) type Program = Rc<[Do]>;

/// The parts of an order, between which the saga decides.
#[derive(Clone, Debug)]
pub(super) struct OrderPlan {
    /// Until the order is placed.
    pub(super) place: Program,
    pub(super) reserve: Program,
    pub(super) charge: Program,
    pub(super) clear: Program,
    pub(super) refund: Program,
    pub(super) release: Program,
    /// The next state is recorded.
    pub(super) record: Program,
    /// After the last record.
    pub(super) end: Program,
}

/// The programs of one kind of request.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Simple(Program),
    Order(OrderPlan),
}

/// Functions that hash passwords, on threads beside their own.
pub(super) const HASHES: [&str; 2] = ["authenticate-user", "create-user"];

/// Records that an order makes of its state, when nothing fails or is slow: that it is placed, and that it has ended.
pub(super) const RECORDS: f64 = 2.0;

/// Makes programs. `index` gives the number of a function by its name.
pub(super) struct Planner<'a> {
    pub(super) index: &'a dyn Fn(&str) -> Option<usize>,
    /// Whether clients run on the machine that is simulated.
    pub(super) clients: bool,
    /// The network between two machines, there and back, in microseconds.
    pub(super) network_us: f64,
    /// How late clients send.
    pub(super) late_us: f64,
}

impl Planner<'_> {
    /// The programs of a kind; none when a function is not known.
    pub(super) fn plan(&self, kind: &Kind) -> Option<Plan> {
        if kind.name == "order" {
            return self.order(kind).map(Plan::Order);
        }
        let (outer, inner) = kind.calls.split_first()?;
        let mut program = self.begin(kind);
        let call = self.outer(kind, outer, |program| {
            for price in inner {
                self.inner(kind, price, program)?;
            }
            Some(())
        })?;
        program.extend(call);
        self.end(kind, &mut program);
        Some(Plan::Simple(program.into()))
    }

    fn begin(&self, kind: &Kind) -> Vec<Do> {
        let mut program = Vec::new();
        if self.clients {
            program.push(Do::Pause(self.late_us));
            program.push(Do::Work(Place::Client, kind.client));
        }
        program.push(Do::Work(Place::Edge, kind.edge));
        program.push(self.wait(kind));
        program
    }

    fn end(&self, kind: &Kind, program: &mut Vec<Do>) {
        program.push(Do::Work(Place::Edge, kind.edge));
        program.push(self.wait(kind));
        if self.clients {
            program.push(Do::Work(Place::Client, kind.client));
        }
    }

    fn wait(&self, kind: &Kind) -> Do {
        Do::Pause(kind.hop_us + self.network_us)
    }

    /// The function that the shopper calls, which calls others in the middle, without a connection.
    fn outer(
        &self,
        kind: &Kind,
        price: &Price,
        inner: impl Fn(&mut Vec<Do>) -> Option<()>,
    ) -> Option<Vec<Do>> {
        let function = (self.index)(&price.function)?;
        let mut program = vec![Do::Enter(function)];
        inner(&mut program)?;
        self.trips(kind, price, function, 1.0, false, &mut program);
        program.push(Do::Leave(function));
        Some(program)
    }

    /// A function that is called by another.
    fn inner(&self, kind: &Kind, price: &Price, program: &mut Vec<Do>) -> Option<()> {
        let function = (self.index)(&price.function)?;
        let locks = price.function == "update-inventory";
        program.push(Do::Work(Place::Edge, kind.edge));
        program.push(self.wait(kind));
        program.push(Do::Enter(function));
        self.trips(kind, price, function, 1.0, locks, program);
        program.push(Do::Leave(function));
        program.push(Do::Work(Place::Edge, kind.edge));
        program.push(self.wait(kind));
        Some(())
    }

    /// The share of what a function does: its CPU time around its round trips.
    fn trips(
        &self,
        kind: &Kind,
        price: &Price,
        function: usize,
        share: f64,
        locks: bool,
        program: &mut Vec<Do>,
    ) {
        let trips = (price.trips * share).round().max(1.0) as usize;
        // Shares of a call have a visit more each than the call as a whole: all together cost the same.
        let visits = (price.trips.round() + 1.0) * share;
        let own = price.own.times(visits / (trips + 1) as f64);
        let postgres = price
            .postgres
            .times(price.trips.round() * share / trips as f64);
        let session = match price.shares {
            true => Place::Shared(price.domain, function),
            false => Place::Postgres(price.domain),
        };
        let work = |program: &mut Vec<Do>, at: usize| match price.hash {
            None => program.push(Do::Work(Place::Function(function), own)),
            // A hash is between the round trips: the rest is as good as nothing beside it.
            Some(hash) if at == trips / 2 => {
                program.push(Do::Hash(function, hash.times(share)));
                program.push(Do::Hashed(function));
            }
            Some(_) => program.push(Do::Work(Place::Function(function), Visit::default())),
        };
        work(program, 0);
        if !price.shares {
            program.push(Do::Connect(function));
        }
        let commits = price.commits * share;
        let locked_at = trips.saturating_sub(2);
        for trip in 0..trips {
            program.push(self.wait(kind));
            if locks && trip == locked_at {
                program.push(Do::Lock);
                program.push(Do::TakeStock);
            }
            program.push(Do::Work(session, postgres));
            if trip + 1 == trips {
                let mut left = commits;
                while left > 1e-9 {
                    program.push(Do::Commit {
                        domain: price.domain,
                        share: left.min(1.0),
                    });
                    left -= 1.0;
                }
                if locks {
                    program.push(Do::Unlock);
                }
            }
            work(program, trip + 1);
        }
        if !price.shares {
            program.push(Do::Disconnect(function));
        }
    }

    fn order(&self, kind: &Kind) -> Option<OrderPlan> {
        let (outer, inner) = kind.calls.split_first()?;
        let function = (self.index)(&outer.function)?;
        let called = |name: &str| -> Option<Vec<Do>> {
            let price = inner.iter().find(|price| price.function == name)?;
            let mut program = Vec::new();
            self.inner(kind, price, &mut program)?;
            Some(program)
        };
        let step = |mut program: Vec<Do>| -> Program {
            program.push(Do::Next);
            program.into()
        };
        let record = |program: &mut Vec<Do>| {
            self.trips(kind, outer, function, 1.0 / RECORDS, false, program);
        };
        let mut place = self.begin(kind);
        place.push(Do::Enter(function));
        place.extend(called("get-cart")?);
        record(&mut place);
        let mut charge = called("process-payment")?;
        charge.push(Do::Charge);
        let mut state = Vec::new();
        record(&mut state);
        let mut end = Vec::new();
        end.push(Do::Leave(function));
        self.end(kind, &mut end);
        let mut release = called("update-inventory")?;
        for step in &mut release {
            if *step == Do::TakeStock {
                *step = Do::GiveStock;
            }
        }
        Some(OrderPlan {
            place: step(place),
            reserve: step(called("update-inventory")?),
            charge: step(charge),
            clear: step(called("clear-cart")?),
            // It asks the provider again.
            refund: step(called("process-payment")?),
            release: step(release),
            record: step(state),
            end: end.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_costs_what_its_kind_costs() {
        let price = Price {
            function: "get-product".to_owned(),
            domain: 3,
            own: Visit::new(30.0),
            hash: None,
            postgres: Visit::new(20.0),
            shares: false,
            trips: 2.0,
            commits: 1.5,
            wal_bytes: 0.0,
        };
        let kind = Kind {
            name: "product".to_owned(),
            edge: Visit::new(50.0),
            calls: vec![price],
            hop_us: 5.0,
            ..Kind::default()
        };
        let planner = Planner {
            index: &|name| (name == "get-product").then_some(0),
            clients: false,
            network_us: 0.0,
            late_us: 0.0,
        };
        let Some(Plan::Simple(program)) = planner.plan(&kind) else {
            panic!("no plan");
        };
        let work = |at: Place| -> f64 {
            let each = program.iter().map(|step| match step {
                Do::Work(place, visit) if *place == at => visit.next_us,
                _ => 0.0,
            });
            each.sum()
        };
        assert!((work(Place::Function(0)) - 90.0).abs() < 1e-9);
        assert!((work(Place::Edge) - 100.0).abs() < 1e-9);
        assert!((work(Place::Postgres(3)) - 40.0).abs() < 1e-9);
        let commits: f64 = program
            .iter()
            .map(|step| match step {
                Do::Commit { share, .. } => *share,
                _ => 0.0,
            })
            .sum();
        assert!((commits - 1.5).abs() < 1e-9);
        let held = program
            .iter()
            .filter(|step| matches!(step, Do::Connect(_)))
            .count();
        let given = program
            .iter()
            .filter(|step| matches!(step, Do::Disconnect(_)))
            .count();
        assert_eq!((held, given), (1, 1));
    }
}
