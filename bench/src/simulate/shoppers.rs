//! Who asks, when, and for what: seeded.

use rand::{RngExt, rngs::StdRng};

use super::{events::Us, prices::CALLS};

/// The hour at which most shoppers come.
const PEAK_HOUR: f64 = 20.0;

/// How much the number of shoppers swings over the day: at the peak 1.8 × the mean, at the least 0.2 ×.
const SWING: f64 = 0.8;

const US_PER_HOUR: f64 = 3.6e9;

/// Numbers of kinds, in the order of [`CALLS`].
const PRODUCT: usize = 0;
const LIST: usize = 1;
const CART: usize = 2;
const ORDER: usize = 3;
const SIGN_IN: usize = 4;

/// How shoppers come.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// So many buyers, each of whom asks again at once; requests by these shares.
    Closed {
        buyers: u32,
        shares: [f64; CALLS.len()],
    },
    /// Single requests at a rate per second, by these shares.
    Open {
        rate: f64,
        shares: [f64; CALLS.len()],
    },
    /// Products at a rate per second, beside so many buyers who sign in one time after the other.
    Beside { rate: f64, buyers: u32 },
    /// So many shoppers a day, who come by a daily curve, look around, and some of whom buy.
    Day { shoppers: f64, behaviour: Behaviour },
    /// So many shoppers within the given time, who all want one product.
    Flash { shoppers: f64 },
}

/// What shoppers of a day do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Behaviour {
    /// Pages of the list, and products, that a shopper looks at, on average.
    pub(super) pages: f64,
    pub(super) products: f64,
    /// The share of shoppers who fill a cart, and of those who order it.
    pub(super) cart: f64,
    pub(super) order: f64,
    /// Seconds between two requests, on average.
    pub(super) pause_s: f64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            pages: 2.0,
            products: 4.0,
            cart: 0.1,
            order: 0.3,
            pause_s: 20.0,
        }
    }
}

/// All shoppers.
#[derive(Clone, Debug)]
pub(super) struct Shoppers {
    pattern: Pattern,
    /// Nobody comes after this time.
    pub(super) until: Us,
    /// The hour at which the simulation begins.
    begin_hour: f64,
    products: usize,
    there: Vec<Shopper>,
    gone: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Shopper {
    /// What is still to be asked, from the last to the first.
    plan: Vec<usize>,
    product: usize,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// A kind, in the order of [`CALLS`].
    pub(super) kind: usize,
    pub(super) product: usize,
    pub(super) units: i64,
}

impl Shoppers {
    pub(super) fn new(pattern: Pattern, until: Us, begin_hour: f64, products: usize) -> Self {
        Self {
            pattern,
            until,
            begin_hour,
            products,
            there: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Whether they come one by one, with no regard to answers.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.pattern, Pattern::Open { .. } | Pattern::Beside { .. })
    }

    /// Those who are there at the begin.
    pub(super) fn first(&mut self) -> Vec<u32> {
        let (Pattern::Closed { buyers, .. } | Pattern::Beside { buyers, .. }) = self.pattern else {
            return Vec::new();
        };
        self.there = vec![Shopper::default(); buyers as usize];
        (0..buyers).collect()
    }

    /// Arrivals per second at a time.
    pub(super) fn rate(&self, now: Us) -> f64 {
        match &self.pattern {
            Pattern::Closed { .. } => 0.0,
            Pattern::Open { rate, .. } | Pattern::Beside { rate, .. } => *rate,
            Pattern::Flash { shoppers } => shoppers / (self.until as f64 / 1e6),
            Pattern::Day { shoppers, .. } => {
                let hour = self.begin_hour + now as f64 / US_PER_HOUR;
                let angle = (hour - PEAK_HOUR) / 24.0 * std::f64::consts::TAU;
                shoppers / 86_400.0 * (1.0 + SWING * angle.cos())
            }
        }
    }

    /// The highest rate of all times.
    fn most(&self) -> f64 {
        match &self.pattern {
            Pattern::Day { shoppers, .. } => shoppers / 86_400.0 * (1.0 + SWING),
            _ => self.rate(0),
        }
    }

    /// The time until the next shopper comes; none after the end.
    pub(super) fn arrival(&self, now: Us, rng: &mut StdRng) -> Option<Us> {
        let most = self.most();
        if most <= 0.0 {
            return None;
        }
        let mut at = now as f64;
        // Of candidates at the highest rate, as many are taken as the rate at their time says.
        loop {
            let u: f64 = rng.random();
            at -= (1.0 - u).ln() / most * 1e6;
            if at >= self.until as f64 {
                return None;
            }
            if rng.random::<f64>() * most <= self.rate(at as Us) {
                return Some(at as Us - now);
            }
        }
    }

    /// A shopper comes, with a plan.
    pub(super) fn come(&mut self, rng: &mut StdRng) -> Option<u32> {
        let plan = match &self.pattern {
            Pattern::Closed { .. } => return None,
            Pattern::Open { shares, .. } => vec![pick(shares, rng)],
            Pattern::Beside { .. } => vec![PRODUCT],
            Pattern::Flash { .. } => vec![ORDER, CART, SIGN_IN, PRODUCT],
            Pattern::Day { behaviour, .. } => behaviour.plan(rng),
        };
        let product = match self.pattern {
            Pattern::Flash { .. } => 0,
            _ => rng.random_range(0..self.products),
        };
        let shopper = Shopper { plan, product };
        Some(match self.gone.pop() {
            Some(id) => {
                self.there[id as usize] = shopper;
                id
            }
            None => {
                self.there.push(shopper);
                (self.there.len() - 1) as u32
            }
        })
    }

    /// What a shopper asks for next; none when they go.
    pub(super) fn next(&mut self, id: u32, now: Us, rng: &mut StdRng) -> Option<Next> {
        if let Pattern::Closed { shares, .. } = &self.pattern {
            return (now < self.until).then(|| Next {
                kind: pick(shares, rng),
                product: rng.random_range(0..self.products),
                units: 1,
            });
        }
        if let Pattern::Beside { buyers, .. } = self.pattern
            && id < buyers
        {
            return (now < self.until).then_some(Next {
                kind: SIGN_IN,
                product: 0,
                units: 1,
            });
        }
        let shopper = &mut self.there[id as usize];
        let Some(kind) = shopper.plan.pop() else {
            self.gone.push(id);
            return None;
        };
        Some(Next {
            kind,
            product: shopper.product,
            units: 1,
        })
    }

    /// The time that a shopper looks at an answer.
    pub(super) fn pause(&self, id: u32, rng: &mut StdRng) -> Us {
        let mean_s = match &self.pattern {
            Pattern::Day { behaviour, .. } => behaviour.pause_s,
            // They hurry.
            Pattern::Flash { .. } => 1.0,
            Pattern::Closed { .. } | Pattern::Open { .. } | Pattern::Beside { .. } => return 0,
        };
        if self.there[id as usize].plan.is_empty() {
            return 0;
        }
        let u: f64 = rng.random();
        (-(1.0 - u).ln() * mean_s * 1e6) as Us
    }
}

impl Behaviour {
    /// From the last request to the first.
    fn plan(&self, rng: &mut StdRng) -> Vec<usize> {
        let mut plan = Vec::new();
        if rng.random::<f64>() < self.cart {
            if rng.random::<f64>() < self.order {
                plan.extend([ORDER, CART, SIGN_IN]);
            } else {
                plan.extend([CART, SIGN_IN]);
            }
        }
        let mut views: Vec<usize> = Vec::new();
        views.extend(std::iter::repeat_n(PRODUCT, some(self.products, rng)));
        for _ in 0..some(self.pages, rng) {
            let at = rng.random_range(0..=views.len());
            views.insert(at, LIST);
        }
        plan.extend(views);
        plan
    }
}

/// A number of at least 1 with this mean (the geometric distribution).
fn some(mean: f64, rng: &mut StdRng) -> usize {
    let mut n = 1;
    while rng.random::<f64>() < 1.0 - 1.0 / mean.max(1.0) {
        n += 1;
    }
    n
}

fn pick(shares: &[f64], rng: &mut StdRng) -> usize {
    let mut at = rng.random::<f64>() * shares.iter().sum::<f64>();
    for (n, share) in shares.iter().enumerate() {
        at -= share;
        if at < 0.0 {
            return n;
        }
    }
    // Rounding may leave the last bit.
    shares.iter().rposition(|share| *share > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_day_has_its_shoppers_and_its_peak() {
        let mut rng = StdRng::seed_from_u64(1);
        let behaviour = Behaviour::default();
        let day = Pattern::Day {
            shoppers: 20_000.0,
            behaviour,
        };
        let shoppers = Shoppers::new(day, 86_400_000_000, 0.0, 10);
        let (mut now, mut by_hour) = (0, [0_u32; 24]);
        while let Some(delay) = shoppers.arrival(now, &mut rng) {
            now += delay;
            by_hour[(now / 3_600_000_000) as usize] += 1;
        }
        let all: u32 = by_hour.iter().sum();
        assert!((19_400..20_600).contains(&all), "{all}");
        let ratio = f64::from(by_hour[20]) / (f64::from(all) / 24.0);
        assert!((1.65..1.95).contains(&ratio), "{by_hour:?}");
        assert!(by_hour[8] * 5 < by_hour[20], "{by_hour:?}");
    }

    #[test]
    fn shoppers_buy_as_often_as_they_should() {
        let mut rng = StdRng::seed_from_u64(2);
        let behaviour = Behaviour::default();
        let plans: Vec<_> = (0..20_000).map(|_| behaviour.plan(&mut rng)).collect();
        let mean = |kind| {
            let each = plans.iter().flatten().filter(|other| **other == kind);
            each.count() as f64 / 20_000.0
        };
        assert!((mean(PRODUCT) - 4.0).abs() < 0.1, "{}", mean(PRODUCT));
        assert!((mean(LIST) - 2.0).abs() < 0.1, "{}", mean(LIST));
        assert!((mean(CART) - 0.1).abs() < 0.01, "{}", mean(CART));
        assert!((mean(ORDER) - 0.03).abs() < 0.005, "{}", mean(ORDER));
        // First they look, then they sign in, then they buy.
        let buyer = plans.iter().find(|plan| plan.contains(&ORDER)).unwrap();
        assert_eq!(buyer[..3], [ORDER, CART, SIGN_IN]);
    }
}
