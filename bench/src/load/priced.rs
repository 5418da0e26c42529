//! What a simulation takes its prices from, and what it is compared with.

use anyhow::Result;

use super::{Args, KINDS, Part, Results, measure, progress, runtime};
use crate::results::{Output, Run};

/// Shares of the throughput of the mix at which a simulation is compared with it: below saturation, where waits
/// grow without bound.
const MIXED: [f64; 2] = [0.3, 0.6];

/// Shares of the throughput of a kind at which there are open loops of it, too: what it costs depends on how busy the
/// machine is.
const SHARES: [f64; 2] = [0.3, 0.65];

/// Rates of open loops of one kind at which the machine is idle most of the time.
const QUIET: [(&str, f64); 5] = [
    ("product", 200.0),
    ("list", 100.0),
    ("cart", 40.0),
    ("order", 20.0),
    ("sign-in", 12.0),
];

/// Measures what a simulation is compared with: the loops and the costs of this build.
pub(crate) fn measure_loops(output: &Output, seed: u64, no_build: bool) -> Result<Run<Results>> {
    let args = Args {
        against: None,
        only: vec![Part::Loops, Part::Open, Part::Costs],
        kinds: KINDS
            .iter()
            .filter(|kind| **kind != "product-grpc")
            .map(|kind| (*kind).to_owned())
            .collect(),
        catalogue: false,
        rounds: 2,
        seconds: 2.0,
        rates: QUIET.map(|(kind, rate)| (kind.to_owned(), rate)).to_vec(),
        seed: Some(seed),
        no_build,
        output: output.clone(),
        shares: SHARES.to_vec(),
        mixed: MIXED.to_vec(),
    };
    let runtime = runtime()?;
    let result = runtime.block_on(Box::pin(measure(&args)));
    progress("");
    result
}
