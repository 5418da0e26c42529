//! Scenarios: who comes, and to which machines.

use anyhow::{Result, bail};
use zerocart_activator::Ksvc;

use super::{
    outcome::Outcome,
    prices::{DOMAINS, Prices},
    shoppers::{Behaviour, Pattern, Shoppers},
    state::{Machines, Setup, Spread},
    world::World,
};

/// Products of the shop, beside the one of a flash sale.
const PRODUCTS: usize = 1_000;

/// Stock that nobody buys up.
const PLENTY: i64 = 1 << 40;

/// The hour of the most shoppers, in the middle of what is simulated of a day.
const PEAK_HOUR: f64 = 20.0;

/// One scenario.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) shoppers: Shoppers,
    pub(super) machines: Machines,
    pub(super) stock: Vec<i64>,
    pub(super) factor: f64,
    pub(super) declined: f64,
    pub(super) network_us: f64,
    /// Whether the clients run on the same machine.
    pub(super) clients: bool,
}

impl Scenario {
    /// So many minutes around the peak of a day.
    pub(super) fn day(shoppers: f64, minutes: u32, behaviour: Behaviour) -> Self {
        let pattern = Pattern::Day {
            shoppers,
            behaviour,
        };
        let begin = PEAK_HOUR - f64::from(minutes) / 120.0;
        let until = u64::from(minutes) * 60_000_000;
        Self {
            name: format!("{} shoppers a day", thousands(shoppers)),
            seed: 1,
            shoppers: Shoppers::new(pattern, until, begin, PRODUCTS),
            machines: one_machine(2),
            stock: vec![PLENTY; PRODUCTS],
            factor: 1.0,
            declined: 0.0,
            network_us: 0.0,
            clients: false,
        }
    }

    /// So many shoppers, who come within so many minutes, for one product.
    pub(super) fn flash(shoppers: f64, minutes: u32, stock: i64) -> Self {
        let until = u64::from(minutes) * 60_000_000;
        let day = Self::day(shoppers, minutes, Behaviour::default());
        Self {
            name: format!("flash sale, {} shoppers", thousands(shoppers)),
            shoppers: Shoppers::new(Pattern::Flash { shoppers }, until, 0.0, 1),
            stock: vec![stock],
            ..day
        }
    }

    /// All on one machine.
    pub(super) fn on_one_machine(self, cores: usize) -> Self {
        Self {
            name: format!("{}, one machine with {cores} cores", self.name),
            machines: one_machine(cores),
            network_us: 0.0,
            ..self
        }
    }

    /// Each part on machines of its own.
    pub(super) fn on_machines(
        self,
        functions: usize,
        edge: usize,
        postgres: usize,
        per_domain: bool,
        network_us: f64,
    ) -> Self {
        let mut cores = vec![
            ("functions".to_owned(), functions),
            ("gateway and activator".to_owned(), edge),
            // As many as there are.
            ("clients".to_owned(), 1 << 20),
        ];
        let mut at = [cores.len(); DOMAINS.len()];
        let mut server = [0; DOMAINS.len()];
        if per_domain {
            for (n, domain) in DOMAINS.iter().enumerate() {
                (at[n], server[n]) = (cores.len(), n);
                cores.push((format!("PostgreSQL of {domain}"), postgres));
            }
        } else {
            cores.push(("PostgreSQL".to_owned(), postgres));
        }
        let servers = if per_domain {
            ", PostgreSQL per domain"
        } else {
            ""
        };
        Self {
            name: format!(
                "{}, {functions} + {edge} + {postgres} cores{servers}",
                self.name
            ),
            machines: Machines {
                cores,
                functions: 0,
                edge: 1,
                client: 2,
                postgres: at,
                server,
            },
            network_us,
            ..self
        }
    }

    /// With more instances than the manifests allow.
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            name: format!("{}, max-scale × {factor}", self.name),
            factor,
            ..self
        }
    }

    /// Simulates it.
    ///
    /// # Errors
    ///
    /// When something was lost: an order that did not end, or stock that does not add up. Then the simulation
    /// is wrong.
    pub(super) fn run(&self, prices: &Prices, manifests: &[Ksvc]) -> Result<Outcome> {
        let setup = Setup {
            seed: self.seed,
            prices,
            manifests,
            machines: self.machines.clone(),
            factor: self.factor,
            shoppers: self.shoppers.clone(),
            stock: self.stock.clone(),
            declined: self.declined,
            clients: self.clients,
            network_us: self.network_us,
            spread: Spread::Even,
            scheduler: prices.scheduler,
        };
        let mut world = World::new(&setup)?;
        world.run()?;
        let outcome = Outcome::of(&self.name, &world, &self.machines);
        let (unfinished, left) = (world.unfinished(), world.left_over());
        if unfinished > 0 || left > 0 {
            bail!("{unfinished} orders did not end, and {left} tasks or places are still held");
        }
        let before: i64 = self.stock.iter().sum();
        let now: i64 = world.stock.iter().sum();
        if world.stock.iter().any(|stock| *stock < 0) || before - now != outcome.units_sold {
            bail!(
                "the stock does not add up: {before} before, {now} now, {} sold",
                outcome.units_sold
            );
        }
        Ok(outcome)
    }
}

/// What `zerocart-bench simulate` runs.
pub(super) fn standard(seed: u64) -> Vec<Scenario> {
    let day = |shoppers, minutes| Scenario::day(shoppers, minutes, Behaviour::default());
    let flash = || Scenario::flash(50_000.0, 1, 10_000);
    let ample = |scenario: Scenario| scenario.on_machines(64, 64, 32, false, 200.0);
    let scenarios = vec![
        day(1e6, 60).on_one_machine(2),
        ample(day(1e6, 60)),
        ample(day(1e7, 10)),
        ample(day(1e8, 5)).scaled(16.0),
        flash().on_one_machine(2),
        ample(flash()),
        ample(flash()).scaled(16.0),
        flash().on_machines(64, 64, 32, true, 200.0).scaled(16.0),
    ];
    let seeded = |scenario: Scenario| Scenario { seed, ..scenario };
    scenarios.into_iter().map(seeded).collect()
}

pub(super) fn one_machine(cores: usize) -> Machines {
    Machines {
        cores: vec![("the machine".to_owned(), cores)],
        functions: 0,
        edge: 0,
        client: 0,
        postgres: [0; DOMAINS.len()],
        server: [0; DOMAINS.len()],
    }
}

/// A whole number with commas.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(thousands(5e4), "50,000");
        assert_eq!(thousands(1e6), "1,000,000");
        assert_eq!(thousands(999.0), "999");
    }
}
