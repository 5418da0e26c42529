//! What a load needs before it begins, and puts back after it.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval, sleep},
};
use zerocart_auth::Token;
use zerocart_conformance::{
    Plan, Say, edge,
    payments::{Found, behaves},
    shop::Shop,
};
use zerocart_proto::{money::Cents, product::ArchiveProductRequest, rpc};
use zerocart_wires::{Client, Wire};

use super::{
    Args,
    books::{Customer, Product, Units},
    caller::{Caller, PATIENCE},
    customer::Buyer,
    figures::Figures,
    sources::Sources,
};

/// Names and prices, in cents, of the products that do not sell out.
const PRODUCTS: [(&str, i64); 3] = [("Tea", 475), ("Cup", 1_299), ("Pot", 3_850)];

/// The product that does.
const SCARCE: (&str, i64) = ("Vase", 9_995);

/// The stock of those that do not: more than a load can buy.
const PLENTY: i32 = 1_000_000;

/// The system, and how it is reached.
#[derive(Debug)]
pub(super) struct Stage {
    /// One by each wire, at least one.
    shops: Vec<Shop>,
    wires: &'static [Wire],
    sources: Vec<Option<IpAddr>>,
}

impl Stage {
    pub(super) fn new(args: &Args, token: &str) -> Result<Self> {
        let mut plan = Plan::new(args.url.clone(), Token::new(token), edge::KONG);
        plan.sources = Sources::all(&args.from);
        let say: Say = Arc::new(|line: &str| {
            // It waits for the gateway's limit; all else is said by the report.
            if line.starts_with("wait ") {
                eprintln!("{line}");
            }
        });
        let wires = args.wire.all();
        let shops = wires
            .iter()
            .map(|wire| Shop::of_admin(&plan, *wire, Arc::clone(&say)));
        let sources = match plan.sources.is_empty() {
            true => vec![None],
            false => plan.sources.iter().copied().map(Some).collect(),
        };
        Ok(Self {
            shops: shops.collect::<Result<_, _>>()?,
            wires,
            sources,
        })
    }

    /// For what only an admin does.
    fn shop(&self) -> &Shop {
        &self.shops[0]
    }

    /// Makes the simulated payment provider behave as the load wants it; gives what it was like.
    pub(super) async fn provider(&self, args: &Args) -> Result<Found> {
        let found = Found::prepare(self.shop()).await;
        let found = found.context("the payment provider cannot be set")?;
        let delays = (args.min_delay, args.max_delay);
        if let Err(error) = behaves(self.shop(), args.failure_rate, delays).await {
            self.restore(found, args.failure_rate_after).await?;
            return Err(error.into());
        }
        Ok(found)
    }

    /// Gives the payment provider back what it had. Tries for a minute: the system may be disturbed
    /// still.
    pub(super) async fn restore(&self, found: Found, failure_rate: f64) -> Result<()> {
        let began = Instant::now();
        loop {
            let restored = found.restore(self.shop(), failure_rate).await;
            match restored {
                Ok(()) => return Ok(()),
                Err(_) if began.elapsed() < PATIENCE => sleep(Duration::from_secs(1)).await,
                Err(error) => {
                    let what = "the payment provider still fails as the load wanted it: set it by \
                                POST /admin/failure-rate";
                    return Err(error).context(what);
                }
            }
        }
    }

    /// Makes the products.
    pub(super) async fn products(&self, scarce: i32) -> Result<Vec<Product>> {
        let scarce = (SCARCE.0, SCARCE.1, scarce);
        let plenty = PRODUCTS.map(|(name, cents)| (name, cents, PLENTY));
        let mut products = Vec::new();
        for (name, cents, stock) in plenty.into_iter().chain([scarce]) {
            let product = self.shop().product(name, cents, stock).await;
            products.push(Product {
                id: product.context("a product cannot be made")?.id,
                price: Cents::new(cents),
                before: i64::from(stock),
                now: i64::from(stock),
            });
        }
        Ok(products)
    }

    /// Takes the products out of the catalogue. If it cannot, an admin may.
    pub(super) async fn archive(&self, products: &[Product]) {
        let shop = self.shop();
        for product in products {
            let id = product.id.clone();
            let request = ArchiveProductRequest { id };
            let archived = shop.ask::<rpc::ArchiveProduct>(&shop.admin, request).await;
            let archived = archived.and_then(|answer| answer.ok().end());
            if let Err(error) = archived {
                eprintln!("product {} is still in the catalogue: {error}", product.id);
            }
        }
    }

    /// Customers who have signed up and in.
    pub(super) async fn buyers(
        &self,
        args: &Args,
        products: &[Product],
        figures: &Arc<Figures>,
    ) -> Result<Vec<Buyer>> {
        let ids: Vec<_> = products.iter().map(|product| product.id.clone()).collect();
        let ids = Arc::new(ids);
        let mut turns = interval(Duration::from_secs_f64(1.0 / args.rate));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let turns = Arc::new(Mutex::new(turns));
        let mut buyers = Vec::new();
        for n in 0..usize::from(args.customers) {
            let (shop, wire) = (
                &self.shops[n % self.shops.len()],
                self.wires[n % self.wires.len()],
            );
            let name = format!("soak-{n}");
            let account = shop.newcomer(&name).await;
            let account = account.with_context(|| format!("customer {name} cannot sign up"))?;
            let source = self.sources[n / self.wires.len() % self.sources.len()];
            let client = Client::from_source(wire, args.url.clone(), source)?;
            let token = account.token.context("a customer has no token")?;
            buyers.push(Buyer {
                id: account.id,
                caller: Caller {
                    client: client.bearer(&token),
                    figures: Arc::clone(figures),
                    journal: None,
                },
                products: Arc::clone(&ids),
                turns: Arc::clone(&turns),
                book: Customer {
                    name,
                    expected: Some(Units::new()),
                    ..Customer::default()
                },
            });
        }
        Ok(buyers)
    }
}
