//! Shoppers follow the plan.

use std::{
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use zerocart_proto::{
    cart::GetCartRequest,
    order::ListUserOrdersRequest,
    product::{GetProductRequest, ListProductsRequest},
    rpc,
};

use super::{
    plan::{PAGE, Plan, Step, Visit},
    stage::Stage,
};
use crate::soak::{
    caller::{Caller, NoAnswer},
    customer::Buyer,
};

/// Connections of visitors without an account. Each makes as many as it needs.
const VISITORS: usize = 8;

/// A shopper's account, which one visit at a time uses.
type Account = Arc<Mutex<Buyer>>;

/// What the shoppers met, beside what is in the journal.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// Answers that no client should get.
    pub(crate) wrong: Vec<String>,
}

/// Plays the plan from `start` on, until all visits have ended or `stop` says so; gives the shoppers back.
///
/// # Errors
///
/// When an account cannot be taken back, because a visit panicked.
pub(crate) async fn shop(
    plan: &Plan,
    stage: &Arc<Stage>,
    buyers: Vec<Buyer>,
    start: Instant,
    mut stop: watch::Receiver<bool>,
) -> Result<(Vec<Buyer>, Met)> {
    let products = buyers.first().map(|buyer| Arc::clone(&buyer.products));
    let products = products.context("the plan has no shopper with an account; raise --rate")?;
    let accounts: Vec<Account> = buyers
        .into_iter()
        .map(|b| Arc::new(Mutex::new(b)))
        .collect();
    let visitors: Vec<Caller> = (0..VISITORS)
        .map(|n| stage.visitor(n))
        .collect::<Result<_>>()?;
    let met = Arc::new(StdMutex::new(Met::default()));
    let mut visits = JoinSet::new();
    for (n, visit) in plan.visits.iter().cloned().enumerate() {
        let Some((due, _)) = visit.steps.first().copied() else {
            continue;
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = sleep_until(start + due) => {}
        }
        let (met, products) = (Arc::clone(&met), Arc::clone(&products));
        let account = visit.account.map(|account| Arc::clone(&accounts[account]));
        let caller = stage.caller(visitors[n % VISITORS].client.clone());
        visits.spawn(async move {
            let result = match account {
                None => Box::pin(look_around(&caller, &visit, &products, start)).await,
                Some(account) => {
                    // While an earlier visit lasts longer than planned, this one is late, and that counts.
                    let mut buyer = account.lock().await;
                    Box::pin(buy(&mut buyer, &visit, &products, start)).await
                }
            };
            // What was lost is in the journal.
            if let Err(error @ (NoAnswer::Wrong(_) | NoAnswer::LimitUsedUp(_))) = result {
                let mut met = met.lock().unwrap_or_else(PoisonError::into_inner);
                met.wrong.push(error.to_string());
            }
        });
    }
    while let Some(ended) = visits.join_next().await {
        ended.context("a visit panicked")?;
    }
    let buyers = accounts.into_iter().map(|account| {
        let account = Arc::try_unwrap(account).ok();
        account.map(Mutex::into_inner)
    });
    let buyers: Option<Vec<Buyer>> = buyers.collect();
    let met = std::mem::take(&mut *met.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((buyers.context("an account is still in use")?, met))
}

/// Waits for the time of a step, and notes that it was planned for it.
async fn wait_for(caller: &Caller, start: Instant, due: Duration) {
    sleep_until(start + due).await;
    if let Some(journal) = &caller.journal {
        journal.plan((start + due).into_std());
    }
}

async fn look_around(
    caller: &Caller,
    visit: &Visit,
    products: &[String],
    start: Instant,
) -> Result<(), NoAnswer> {
    for (due, step) in &visit.steps {
        wait_for(caller, start, *due).await;
        look(caller, step, products).await?;
    }
    Ok(())
}

/// What needs no account.
async fn look(caller: &Caller, step: &Step, products: &[String]) -> Result<(), NoAnswer> {
    match step {
        Step::List { page } => {
            let request = ListProductsRequest {
                limit: PAGE,
                offset: page * PAGE,
                ..Default::default()
            };
            caller.read::<rpc::ListProducts>(&request).await?;
        }
        Step::Product(product) => {
            let request = GetProductRequest {
                id: products[*product].clone(),
            };
            caller.read::<rpc::GetProduct>(&request).await?;
        }
        Step::Add { .. } | Step::Cart | Step::Order | Step::Orders => {}
    }
    Ok(())
}

async fn buy(
    buyer: &mut Buyer,
    visit: &Visit,
    products: &[String],
    start: Instant,
) -> Result<(), NoAnswer> {
    let mut ordered = None;
    let result = steps(buyer, visit, products, start, &mut ordered).await;
    // Last of all, because it may take long: the plan goes on meanwhile.
    match (result, ordered) {
        (Ok(()), Some(order)) => buyer.follow(order).await,
        (Err(error), Some(_)) => {
            // Nobody has looked whether the order has emptied the cart.
            buyer.book.expected = None;
            Err(error)
        }
        (result, None) => result,
    }
}

async fn steps(
    buyer: &mut Buyer,
    visit: &Visit,
    products: &[String],
    start: Instant,
    ordered: &mut Option<String>,
) -> Result<(), NoAnswer> {
    for (due, step) in &visit.steps {
        wait_for(&buyer.caller, start, *due).await;
        match step {
            Step::List { .. } | Step::Product(_) => look(&buyer.caller, step, products).await?,
            Step::Add { product, quantity } => {
                buyer.add(products[*product].clone(), *quantity).await?;
            }
            Step::Cart => {
                let user_id = buyer.id.clone();
                let request = GetCartRequest { user_id };
                buyer.caller.read::<rpc::GetCart>(&request).await?;
            }
            Step::Order => *ordered = buyer.order().await?,
            Step::Orders => {
                let request = ListUserOrdersRequest {
                    user_id: buyer.id.clone(),
                    limit: 5,
                    ..Default::default()
                };
                buyer.caller.read::<rpc::ListUserOrders>(&request).await?;
            }
        }
    }
    Ok(())
}
