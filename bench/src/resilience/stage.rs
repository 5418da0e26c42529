//! The system, and what shoppers need before the load begins.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Uri;
use tokio::{
    sync::Mutex,
    time::{interval, sleep},
};
use zerocart_auth::Token;
use zerocart_conformance::{
    Plan, Say, edge,
    payments::Found,
    shop::{Shop, Who},
};
use zerocart_proto::{
    money::Cents,
    payment::{ProviderFailure, SetFailureRateRequest},
    product::ArchiveProductRequest,
    rpc,
};
use zerocart_wires::{Client, Wire};

use super::faults::Kind;
use crate::soak::{
    books::{Customer, Product, Units},
    caller::Caller,
    customer::Buyer,
    journal::{Entries, Journal, Network},
};

/// The stock of each product: more than a load can buy.
const STOCK: i32 = 1_000_000;

/// The provider while no fault is at it.
const CALM: Kind = Kind::Payment {
    failure_rate: 0.0,
    failures: Vec::new(),
    min_delay_ms: 10,
    max_delay_ms: 50,
};

/// Customers who sign up at the same time.
const SIGN_UPS: usize = 4;

/// How long a setting of the provider is tried: the system may be disturbed at that time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// A system at a public address.
#[derive(Debug)]
pub(crate) struct Stage {
    base: Uri,
    shop: Shop,
    sources: Vec<Option<IpAddr>>,
    pub(crate) network: Arc<Network>,
    pub(crate) entries: Entries,
}

impl Stage {
    /// The system at `base`, with the token of one of its admins.
    pub(crate) fn new(base: Uri, token: Token, sources: Vec<IpAddr>) -> Result<Self> {
        let mut plan = Plan::new(base.clone(), token, edge::KONG);
        plan.sources.clone_from(&sources);
        let say: Say = Arc::new(|line: &str| {
            // It waits for the gateway's limit.
            if line.starts_with("wait ") {
                eprintln!("{line}");
            }
        });
        Ok(Self {
            shop: Shop::of_admin(&plan, Wire::Http1, say)?,
            base,
            sources: match sources.is_empty() {
                true => vec![None],
                false => sources.into_iter().map(Some).collect(),
            },
            network: Arc::default(),
            entries: Entries::default(),
        })
    }

    /// Makes the simulated payment provider work well; gives what it was like.
    pub(crate) async fn calm_provider(&self) -> Result<Found> {
        let found = Found::prepare(&self.shop).await;
        let found = found.context("the payment provider cannot be set")?;
        self.provider(&CALM).await?;
        Ok(found)
    }

    /// Gives the payment provider back what it had.
    pub(crate) async fn restore(&self, found: Found, failure_rate: f64) -> Result<()> {
        let restored = patiently(|| found.restore(&self.shop, failure_rate)).await;
        restored.context(
            "the payment provider is as this program has set it: set it by POST /admin/failure-rate",
        )
    }

    /// Sets the payment provider as after a fault.
    pub(crate) async fn heal_provider(&self) -> Result<()> {
        self.provider(&CALM).await
    }

    /// Sets the payment provider as a fault says; does nothing for another fault.
    pub(crate) async fn provider(&self, fault: &Kind) -> Result<()> {
        let Kind::Payment {
            failure_rate,
            failures,
            min_delay_ms,
            max_delay_ms,
        } = fault
        else {
            return Ok(());
        };
        let failures = failures.iter();
        let failures = failures.filter_map(|name| ProviderFailure::from_str_name(name));
        let request = SetFailureRateRequest {
            failure_rate: *failure_rate,
            min_delay_ms: Some(*min_delay_ms),
            max_delay_ms: Some(*max_delay_ms),
            failures: failures.map(i32::from).collect(),
        };
        let set = || async {
            let shop = &self.shop;
            let asked = shop.ask::<rpc::SetFailureRate>(&shop.admin, request.clone());
            asked.await?.ok().end()
        };
        let set = patiently(set).await;
        set.context("the payment provider cannot be set")
    }

    /// Makes products, of different prices.
    pub(crate) async fn products(&self, count: usize) -> Result<Vec<Product>> {
        let mut products = Vec::new();
        for n in 0..count {
            // No two prices differ by a round sum, so a wrong one is seen.
            let cents = 199 + 137 * i64::try_from(n)?;
            let product = self.shop.product(&format!("Tea {n}"), cents, STOCK).await;
            products.push(Product {
                id: product.context("a product cannot be made")?.id,
                price: Cents::new(cents),
                before: i64::from(STOCK),
                now: i64::from(STOCK),
            });
        }
        Ok(products)
    }

    /// Takes the products out of the catalogue. If it cannot, an admin may.
    pub(crate) async fn archive(&self, products: &[Product]) {
        for product in products {
            let id = product.id.clone();
            let request = ArchiveProductRequest { id };
            let asked = self
                .shop
                .ask::<rpc::ArchiveProduct>(&self.shop.admin, request);
            let archived = asked.await.and_then(|answer| answer.ok().end());
            if let Err(error) = archived {
                eprintln!("product {} is still in the catalogue: {error}", product.id);
            }
        }
    }

    /// A visitor without an account, the `n`th.
    pub(crate) fn visitor(&self, n: usize) -> Result<Caller> {
        let source = self.sources[n % self.sources.len()];
        Ok(self.caller(Client::from_source(Wire::Http1, self.base.clone(), source)?))
    }

    /// The same connections for another visitor.
    pub(crate) fn caller(&self, client: Client) -> Caller {
        let journal = Journal::new(Arc::clone(&self.entries), Arc::clone(&self.network));
        Caller {
            client,
            figures: Arc::default(),
            journal: Some(Arc::new(journal)),
        }
    }

    /// Customers who have signed up and in.
    pub(crate) async fn buyers(&self, count: usize, products: &[Product]) -> Result<Vec<Buyer>> {
        let ids: Vec<_> = products.iter().map(|product| product.id.clone()).collect();
        let ids = Arc::new(ids);
        // Nobody waits for a turn here: the plan says when they come.
        let turns = Arc::new(Mutex::new(interval(PAUSE)));
        let accounts = (0..count).map(|n| async move {
            let name = format!("resilience-{n}");
            let account = Box::pin(self.shop.newcomer(&name)).await;
            account.with_context(|| format!("customer {name} cannot sign up"))
        });
        let accounts = stream::iter(accounts).buffered(SIGN_UPS);
        let accounts: Vec<Who> = accounts.try_collect().await?;
        let mut buyers = Vec::new();
        for (n, account) in accounts.into_iter().enumerate() {
            let source = self.sources[n % self.sources.len()];
            let client = Client::from_source(Wire::Http1, self.base.clone(), source)?;
            let token = account.token.context("a customer has no token")?;
            buyers.push(Buyer {
                id: account.id,
                caller: self.caller(client.bearer(&token)),
                products: Arc::clone(&ids),
                turns: Arc::clone(&turns),
                book: Customer {
                    name: account.name,
                    expected: Some(Units::new()),
                    ..Customer::default()
                },
            });
        }
        Ok(buyers)
    }
}

/// Tries until it succeeds, or it has failed for long.
async fn patiently<F, E>(mut work: impl FnMut() -> F) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    let began = Instant::now();
    loop {
        match work().await {
            Err(_) if began.elapsed() < PATIENCE => sleep(PAUSE).await,
            result => return result,
        }
    }
}
