//! Who comes, when, and what they ask for: all of it drawn from the seed before the load begins.
//!
//! Visits arrive as a Poisson process. Each request of a visit has a planned time, which does not depend on any
//! answer (an open loop). So a system that stands still gets the same load, and each late answer counts.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::load::drive::arrivals;

/// The mix of visits, and the share of each. More visitors buy than in a real shop, so that a short run has many
/// orders.
const SHARES: [(Intent, f64); 4] = [
    (Intent::Browse, 0.55),
    (Intent::FillCart, 0.15),
    (Intent::Buy, 0.22),
    (Intent::LookAtOrders, 0.08),
];

/// An account is used again only so many mean pauses after the planned end of its last visit, because faults delay
/// visits.
const REST: u32 = 40;

/// Products on a page.
pub(crate) const PAGE: i32 = 20;

/// What a visitor wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Browse,
    FillCart,
    Buy,
    LookAtOrders,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A page of the catalogue.
    List { page: i32 },
    /// A product, by its number.
    Product(usize),
    /// Units of a product into the cart.
    Add { product: usize, quantity: i32 },
    /// The own cart.
    Cart,
    /// The order of all that is in the cart.
    Order,
    /// The own orders.
    Orders,
}

/// A visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The number of the account; none for a visitor who only looks around.
    pub(crate) account: Option<usize>,
    /// Each with its time after the begin of the load.
    pub(crate) steps: Vec<(Duration, Step)>,
}

/// All visits, in the order of their first requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) visits: Vec<Visit>,
    pub(crate) accounts: usize,
    pub(crate) length: Duration,
}

impl Plan {
    /// The plan of a seed: so many visits per second on average, with such pauses between two requests on average,
    /// and products to choose from.
    pub(crate) fn new(
        seed: u64,
        (visits_per_s, pause): (f64, Duration),
        length: Duration,
        products: usize,
    ) -> Self {
        // Other numbers than those of the arrivals.
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
        let mut free_from: Vec<Duration> = Vec::new();
        let mut visits = Vec::new();
        for arrival in arrivals(visits_per_s, length, seed) {
            let intent = intent(&mut rng);
            let steps = steps(intent, products, &mut rng);
            let steps = timed(steps, (arrival, length), pause, &mut rng);
            let Some((last, _)) = steps.last().copied() else {
                continue;
            };
            let account = (intent != Intent::Browse).then(|| {
                let free = free_from.iter().position(|free| *free <= arrival);
                let account = free.unwrap_or_else(|| {
                    free_from.push(Duration::ZERO);
                    free_from.len() - 1
                });
                free_from[account] = last + REST * pause;
                account
            });
            visits.push(Visit { account, steps });
        }
        Self {
            visits,
            accounts: free_from.len(),
            length,
        }
    }

    /// The number of planned requests.
    pub(crate) fn requests(&self) -> usize {
        self.visits.iter().map(|visit| visit.steps.len()).sum()
    }
}

fn intent(rng: &mut StdRng) -> Intent {
    let mut at = rng.random::<f64>();
    for (intent, share) in SHARES {
        at -= share;
        if at < 0.0 {
            return intent;
        }
    }
    Intent::Browse
}

fn steps(intent: Intent, products: usize, rng: &mut StdRng) -> Vec<Step> {
    let pages = i32::try_from(products)
        .unwrap_or(PAGE)
        .div_euclid(PAGE)
        .max(1);
    let mut steps = Vec::new();
    if intent == Intent::LookAtOrders {
        steps.push(Step::Orders);
        return steps;
    }
    steps.push(Step::List { page: 0 });
    while rng.random::<f64>() < 0.4 {
        steps.push(Step::List {
            page: rng.random_range(0..pages),
        });
    }
    let wanted = rng.random_range(1..=3);
    for _ in 0..wanted {
        let product = rng.random_range(0..products);
        steps.push(Step::Product(product));
        if intent != Intent::Browse {
            steps.push(Step::Add {
                product,
                quantity: rng.random_range(1..=3),
            });
        }
    }
    if intent != Intent::Browse {
        steps.push(Step::Cart);
    }
    if intent == Intent::Buy {
        steps.push(Step::Order);
        if rng.random::<f64>() < 0.5 {
            steps.push(Step::Orders);
        }
    }
    steps
}

/// The steps with their times; those after the end of the load are left out.
fn timed(
    steps: Vec<Step>,
    (arrival, length): (Duration, Duration),
    pause: Duration,
    rng: &mut StdRng,
) -> Vec<(Duration, Step)> {
    let mut at = arrival;
    let mut timed = Vec::new();
    for step in steps {
        if at >= length {
            break;
        }
        timed.push((at, step));
        let u: f64 = rng.random();
        at += pause.mul_f64(-(1.0 - u).ln());
    }
    timed
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(300);

    const PAUSE: Duration = Duration::from_secs(1);

    #[test]
    fn a_seed_is_a_plan() {
        let plan = Plan::new(7, (5.0, PAUSE), LENGTH, 40);
        assert_eq!(plan, Plan::new(7, (5.0, PAUSE), LENGTH, 40));
        assert_ne!(plan, Plan::new(8, (5.0, PAUSE), LENGTH, 40));
    }

    #[test]
    fn visitors_come_as_often_as_asked_and_each_intent_has_its_share() {
        let plan = Plan::new(1, (20.0, PAUSE), LENGTH, 40);
        assert!(
            (5_700..6_300).contains(&plan.visits.len()),
            "{}",
            plan.visits.len()
        );
        let share = |of: &dyn Fn(&Visit) -> bool| {
            plan.visits.iter().filter(|visit| of(visit)).count() as f64 / plan.visits.len() as f64
        };
        let orders = |visit: &Visit| visit.steps.iter().any(|(_, step)| *step == Step::Order);
        assert!((share(&orders) - 0.22).abs() < 0.03, "{}", share(&orders));
        let nobody = |visit: &Visit| visit.account.is_none();
        assert!((share(&nobody) - 0.55).abs() < 0.03, "{}", share(&nobody));
    }

    #[test]
    fn visits_are_possible() {
        let plan = Plan::new(3, (5.0, PAUSE), LENGTH, 40);
        let mut ends = vec![Duration::ZERO; plan.accounts];
        for visit in &plan.visits {
            assert!(visit.steps.is_sorted_by(|a, b| a.0 <= b.0));
            assert!(visit.steps.iter().all(|(due, _)| *due < LENGTH));
            let Some(account) = visit.account else {
                let only_looks = |(_, step): &(Duration, Step)| {
                    matches!(step, Step::List { .. } | Step::Product(_))
                };
                assert!(visit.steps.iter().all(only_looks), "{visit:?}");
                continue;
            };
            // Nobody is in two places.
            assert!(visit.steps[0].0 >= ends[account], "{visit:?}");
            ends[account] = visit.steps.last().unwrap().0;
            // An order follows something that was added.
            let at =
                |wanted: &dyn Fn(&Step) -> bool| visit.steps.iter().position(|(_, s)| wanted(s));
            let add = at(&|step| matches!(step, Step::Add { .. }));
            let order = at(&|step| *step == Step::Order);
            assert!(order.is_none_or(|order| add.is_some_and(|add| add < order)));
        }
    }
}
