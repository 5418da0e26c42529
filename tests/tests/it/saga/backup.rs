//! A backup of a shop that sells, and what a restore makes of it.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use rand::{SeedableRng, rngs::StdRng};
use tokio::{process::Command, time::sleep};
use uuid::Uuid;

use super::{
    stage::{Provider, Shop},
    town::{Bought, Town},
    until,
};
use crate::e2e::engine::binaries;

/// Some charges fail, so that some orders are being undone.
const PROVIDER: Provider = Provider {
    failure_rate: 0.2,
    failures: &["INSUFFICIENT_FUNDS", "TEMPORARILY_UNAVAILABLE"],
    delay_ms: 5,
};

const BUYERS: usize = 6;

async fn zerocart(arguments: &[&str], folder: &Path, url: &str) {
    let output = Command::new(binaries().join("zerocart"))
        .args(arguments)
        .arg(folder)
        .env("ADMIN_DATABASE_URL", url)
        .output();
    let output = output.await.expect("the command can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// Buys one thing after the other, as long as the shop is open. Counts the orders.
async fn buy(town: &Town, product: Uuid, open: &AtomicBool, orders: &AtomicUsize) {
    let buyer = town.shop.buyer();
    let (mut filled, mut number) = (false, 0);
    while open.load(Ordering::Relaxed) {
        number += 1;
        if !filled {
            town.add(&buyer, product, 2, &format!("units {number}"))
                .await;
        }
        let bought = town.order(&buyer, &format!("order {number}")).await;
        orders.fetch_add(1, Ordering::Relaxed);
        filled = matches!(bought, Bought::Failed(_));
        if let Bought::Failed(pause) = bought {
            sleep(pause).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_shop_that_sells_balances() {
    let (shop, url) = Shop::whole().await;
    shop.provider(PROVIDER).await;
    let town = Town::of(shop).await;
    let product = town.shop.product(475, 1_000_000).await;
    let room = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = room.path().join("backup");

    let (open, orders) = (AtomicBool::new(true), AtomicUsize::new(0));
    let buyers = (0..BUYERS).map(|_| buy(&town, product, &open, &orders));
    let backup = async {
        until("the shop sells", async || {
            (orders.load(Ordering::Relaxed) >= 3 * BUYERS).then_some(())
        })
        .await;
        zerocart(&["backup"], &folder, &url).await;
        // The shop goes on after it, so that there is something that must not be in it.
        let then = orders.load(Ordering::Relaxed);
        until("the shop still sells", async || {
            (orders.load(Ordering::Relaxed) >= then + BUYERS).then_some(())
        })
        .await;
        open.store(false, Ordering::Relaxed);
    };
    tokio::join!(join_all(buyers), backup);
    town.settle(&mut StdRng::seed_from_u64(1)).await;
    let sold = town.shop.check("the backup").await.orders.len();

    let (copy, url) = Shop::whole().await;
    zerocart(&["restore", "--replace"], &folder, &url).await;
    copy.stock_of(&town.shop);
    copy.provider(Provider::WORKS).await;
    let under_way = copy.lapse().await.len();
    let copy = Town::of(copy).await;
    copy.settle(&mut StdRng::seed_from_u64(2)).await;
    copy.settle_payments().await;
    let books = copy.shop.check("the restore").await;
    eprintln!(
        "{} of {sold} orders are in the backup, {under_way} of them under way",
        books.orders.len()
    );
    assert!(
        (3 * BUYERS..sold).contains(&books.orders.len()),
        "{} of {sold}",
        books.orders.len()
    );

    // And the shop that came back sells.
    let buyer = copy.shop.buyer();
    assert!(copy.add(&buyer, product, 1, "units again").await);
    assert_eq!(copy.order(&buyer, "order again").await, Bought::Answered);
    copy.close().await;
    town.close().await;
}
