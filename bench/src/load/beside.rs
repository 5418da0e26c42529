//! Products in an open loop while others sign in: what a hash of a password does to requests beside it.

use std::{thread, time::Duration};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    drive::{self, Seen, Until},
    mixed::Latency,
    rounds::Bench,
};

/// Rounds, of which the medians count, and the time of each. The first warms up.
const ROUNDS: u64 = 4;
const ROUND: Duration = Duration::from_secs(2);

/// Products per second: so few that they do not wait for each other.
const RATE: f64 = 200.0;

/// Connections of the products.
const CONNECTIONS: usize = 8;

/// What products are like beside sign-ins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Beside {
    /// Those who sign in, one time after the other.
    pub(crate) buyers: usize,
    pub(crate) rate: f64,
    pub(crate) product: Latency,
    pub(crate) sign_in: Latency,
}

/// Measures them beside one who signs in, and beside two.
///
/// # Errors
///
/// When a request fails.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Beside>> {
    let side = bench.sides.first().context("no build")?;
    let address = side.shop.address;
    let (products, sign_ins) = (side.shop.product(), side.shop.sign_in());
    let mut all = Vec::new();
    for buyers in [1, 2] {
        let mut rounds: Vec<(Seen, Seen)> = Vec::new();
        for n in 0..ROUNDS {
            let seed = bench.seed.wrapping_add(n);
            let round = thread::scope(|scope| {
                let (sign_ins, until) = (&sign_ins, Until::Time(ROUND));
                let hashes = scope.spawn(move || drive::closed(address, buyers, sign_ins, until));
                let seen = drive::open(address, CONNECTIONS, &products, (RATE, ROUND), seed);
                let hashes = hashes.join();
                let hashes = hashes.unwrap_or_else(|_| bail!("a buyer panicked"));
                anyhow::Ok((seen?, hashes?))
            });
            rounds.push(round?);
        }
        rounds.remove(0);
        all.push(Beside {
            buyers,
            rate: RATE,
            product: Latency::of(rounds.iter().map(|(product, _)| product)),
            sign_in: Latency::of(rounds.iter().map(|(_, sign_in)| sign_in)),
        });
    }
    Ok(all)
}
