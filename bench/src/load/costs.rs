//! What each kind of request costs at PostgreSQL: round trips, transactions and bytes.
//!
//! The functions run by the local engine's activator, and each domain's functions reach the server through a
//! proxy that counts. Requests go one at a time, after all functions are warm.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use zerocart_proto::rpc::{self, Rpc};

use super::proxy::{Counts, Proxy};
use crate::{
    binaries,
    cases::{self, Case, Seeds},
    checkout::Checkout,
    fleet::{self, Fleet, Paths, Yard},
    stand::{Sessions, Stand},
};

/// Requests that are not counted: after them, statements are prepared.
const WARM: usize = 4;

/// Requests that are counted.
const COUNTED: usize = 20;

/// Commits that wait for the disk, whose times are taken.
const COMMITS: usize = 400;

/// What one kind of request costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// `order`, or `order, 10 lines`.
    pub(crate) name: String,
    /// Per request, by domain.
    pub(crate) trips: BTreeMap<String, f64>,
    /// Between functions and PostgreSQL, both ways, per request.
    pub(crate) bytes: f64,
    /// Transactions that write, per request.
    pub(crate) commits: f64,
    /// Bytes of WAL per request.
    pub(crate) wal_bytes: f64,
}

impl Cost {
    pub(crate) fn all_trips(&self) -> f64 {
        self.trips.values().sum()
    }
}

/// All of them, and the time of a commit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Costs {
    pub(crate) kinds: Vec<Cost>,
    /// The median time that a transaction which waits for the disk takes longer than one that does not, in
    /// milliseconds.
    pub(crate) commit_ms: f64,
    /// The times of single transactions that wait for the disk, without the median of those that do not, in
    /// milliseconds, from the shortest to the longest.
    #[serde(default)]
    pub(crate) commits_ms: Vec<f64>,
}

impl Costs {
    pub(crate) fn of(&self, name: &str) -> Option<&Cost> {
        self.kinds.iter().find(|cost| cost.name == name)
    }
}

/// Counts each kind of request.
pub(super) async fn measure(this: &Checkout) -> Result<Costs> {
    let domains = binaries::domains();
    let mut stand = Stand::start(&domains).await?;
    let mut proxies = BTreeMap::new();
    for domain in domains {
        let proxy = Proxy::start(stand.server_address(domain)?).await?;
        stand.lead_through(domain, proxy.port);
        proxies.insert(domain.to_owned(), proxy);
    }
    let yard = Yard::new()?;
    let fleet = Fleet::start(&yard, &stand, &this.programs, Paths::Open, Sessions::Own).await?;
    let counted = count_all(&fleet, &stand, &proxies).await;
    fleet.end().await?;
    let kinds = counted?;
    stand.stop().await?;
    let commits_ms = commits_ms().await?;
    Ok(Costs {
        kinds,
        commit_ms: crate::stats::median(&commits_ms),
        commits_ms,
    })
}

async fn count_all(
    fleet: &Fleet,
    stand: &Stand,
    proxies: &BTreeMap<String, Proxy>,
) -> Result<Vec<Cost>> {
    let seeds = fleet.seed(stand).await?;
    let mut products = Vec::new();
    for n in 0..10 {
        let info = rpc::CreateProduct::INFO;
        let (made, _) = fleet.ask(info.name, &cases::case(&info, &seeds, n)).await?;
        products.push(cases::text(&made, "/product/id")?);
    }
    let mut kinds = Vec::new();
    for (name, function, lines) in [
        ("product", rpc::GetProduct::INFO.name, 0),
        ("list", rpc::ListProducts::INFO.name, 0),
        ("cart", rpc::AddToCart::INFO.name, 0),
        ("sign-in", rpc::AuthenticateUser::INFO.name, 0),
        ("order", rpc::CreateOrder::INFO.name, 1),
        ("order, 10 lines", rpc::CreateOrder::INFO.name, 10),
    ] {
        let mut before = (all(proxies), Default::default());
        let mut filled = Vec::new();
        for _ in 0..if lines > 0 { WARM + COUNTED } else { 0 } {
            let user = Uuid::now_v7().to_string();
            for product in &products[..lines] {
                fleet.fill_cart(&user, product, &seeds.token).await?;
            }
            filled.push(user);
        }
        for n in 0..WARM + COUNTED {
            let case = case(name, &seeds, stand, filled.get(n))?;
            if n == WARM {
                before = (all(proxies), stand.counters().await?);
            }
            fleet
                .ask(function, &case)
                .await
                .with_context(|| name.to_owned())?;
        }
        let each = |total: f64| total / COUNTED as f64;
        let (counts, counters) = (all(proxies), stand.counters().await?);
        let deltas = counts.iter().map(|(domain, now)| {
            let then = before.0.get(domain).copied().unwrap_or_default();
            (domain.clone(), *now - then)
        });
        let deltas: BTreeMap<String, Counts> = deltas.collect();
        kinds.push(Cost {
            name: name.to_owned(),
            bytes: each(
                deltas
                    .values()
                    .map(|d| (d.to_server + d.to_client) as f64)
                    .sum(),
            ),
            trips: deltas
                .into_iter()
                .filter(|(_, delta)| delta.trips > 0)
                .map(|(domain, delta)| (domain, each(delta.trips as f64)))
                .collect(),
            commits: each((counters.transactions - before.1.transactions) as f64),
            wal_bytes: each((counters.wal_bytes - before.1.wal_bytes) as f64),
        });
    }
    Ok(kinds)
}

fn all(proxies: &BTreeMap<String, Proxy>) -> BTreeMap<String, Counts> {
    let counts = proxies.iter();
    counts
        .map(|(domain, proxy)| (domain.clone(), proxy.counts()))
        .collect()
}

fn case(name: &str, seeds: &Seeds, stand: &Stand, user: Option<&String>) -> Result<Case> {
    Ok(match name {
        "product" => Case::get(&format!("/products/{}", seeds.product_id)),
        "list" => Case::get("/products"),
        "sign-in" => cases::case(&rpc::AuthenticateUser::INFO, seeds, 0),
        "cart" => {
            let user = Uuid::now_v7().to_string();
            let line = json!({"user_id": user, "product_id": seeds.product_id, "quantity": 1});
            Case::call(&rpc::AddToCart::INFO, &stand.customer_token(&user)?, line)
        }
        _ => {
            let user = user.context("no cart is filled")?;
            fleet::order(user, &stand.customer_token(user)?)
        }
    })
}

/// How long commits wait for the disk: transactions with the wait, each without the median of those without, in
/// turn, on a server that waits.
async fn commits_ms() -> Result<Vec<f64>> {
    let stand = Stand::durable(&[]).await?;
    let times = stand.commit_times(COMMITS).await;
    stand.stop().await?;
    let (with, without) = times?;
    let rest = crate::stats::median(&without);
    let mut commits: Vec<f64> = with.iter().map(|ms| (ms - rest).max(0.0)).collect();
    commits.sort_by(f64::total_cmp);
    Ok(commits)
}
