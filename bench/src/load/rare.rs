//! Sign-ins so far apart that a function has given back the memory of its hashes in between.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    drive::{self, Until},
    rounds::Bench,
};
use crate::{cpu::ByGroup, stats::median};

/// Sign-ins, and the pause before each: a function keeps the memory of a hash for one second.
const SIGN_INS: usize = 8;
const PAUSE: Duration = Duration::from_millis(1_200);

/// What they are like.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rare {
    pub(crate) requests: usize,
    pub(crate) p50_ms: f64,
    /// CPU time per request, by program and by database, in milliseconds.
    pub(crate) cpu_ms: ByGroup,
}

/// Measures them, one at a time.
///
/// # Errors
///
/// When a request fails.
pub(super) fn measure(bench: &Bench) -> Result<Rare> {
    let side = bench.sides.first().context("no build")?;
    let jobs = side.shop.sign_in();
    let (mut before, mut ms) = (side.engine.cpu()?, Vec::new());
    // The first one may start an instance.
    for (n, job) in jobs.iter().cycle().take(SIGN_INS + 1).enumerate() {
        let due = Instant::now() + PAUSE;
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
        let job = std::slice::from_ref(job);
        let seen = drive::closed(side.shop.address, 1, job, Until::Done)?;
        if let Some(error) = seen.first_error {
            bail!("a sign-in after a pause failed: {error}");
        }
        match n {
            0 => before = side.engine.cpu()?,
            _ => ms.push(seen.ms(0.5)),
        }
    }
    let used = side.engine.cpu()?.since(&before).into_iter();
    Ok(Rare {
        requests: ms.len(),
        p50_ms: median(&ms),
        cpu_ms: used
            .map(|(group, ms)| (group, ms / SIGN_INS as f64))
            .collect(),
    })
}
