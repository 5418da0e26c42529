//! Order statistics with their uncertainty, and a test for two modes.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::stats::{max, median, quantile};

/// Samples that are drawn at the most to judge whether a second mode is chance.
const BOOTSTRAPS: u32 = 2_000;
/// So many of them with as clear a second mode are enough to say that it is chance.
const ENOUGH: u32 = 20;
/// Places at which a density is looked at.
const GRID: usize = 256;
/// A second mode has at least this share of the sample, and so many values. Less are outliers.
const LEAST_SHARE: f64 = 0.05;
const LEAST_VALUES: usize = 5;
/// The probability of at least one second mode by chance, of all samples that are tested together.
const SIGNIFICANT: f64 = 0.05;
/// The least sample in which modes are looked for.
pub(super) const LEAST: usize = 20;

/// The quantiles of a sample. What it is too small for is not known: the interval of fewer than 6 values has less than
/// 95 %, and a high quantile of few values is their maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantiles {
    pub(super) n: usize,
    pub(super) p50: f64,
    /// The 95 % confidence interval of the median.
    pub(super) p50_between: Option<(f64, f64)>,
    /// Of 10 values or more.
    pub(super) p90: Option<f64>,
    /// Of 100 values or more.
    pub(super) p99: Option<f64>,
    pub(super) max: f64,
}

impl Quantiles {
    pub(super) fn of(sample: &[f64]) -> Self {
        Self {
            n: sample.len(),
            p50: median(sample),
            p50_between: interval(sample),
            p90: (sample.len() >= 10).then(|| quantile(sample, 0.9)),
            p99: (sample.len() >= 100).then(|| quantile(sample, 0.99)),
            max: max(sample),
        }
    }
}

/// The confidence interval of the median, from the order statistics (binomial distribution): it assumes nothing
/// about the form of the sample's distribution. Fewer than 6 values have none.
pub(super) fn interval(sample: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n < 6 {
        return None;
    }
    // The lower bound is the k-th value, with the largest k for which at most 2.5 % of samples have fewer than k
    // values below the true median. Powers are taken as logarithms: 0.5^1000 is 0.
    let (mut below, mut term, mut k) = (0.0, -(n as f64) * std::f64::consts::LN_2, 0);
    for i in 0..n / 2 {
        below += f64::exp(term);
        if below > 0.025 {
            break;
        }
        k = i + 1;
        term += ((n - i) as f64 / (i + 1) as f64).ln();
    }
    let low = k.max(1) - 1;
    Some((sorted[low], sorted[n - 1 - low]))
}

/// Whether a sample has two modes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Modes {
    /// Too few values to say it.
    Unknown,
    /// One, with the probability of so clear a second bump by chance.
    One { p: f64 },
    /// Two: the medians of the times on both sides of the valley between them, the share of the smaller side, and
    /// the same probability.
    Two { at: [f64; 2], share: f64, p: f64 },
}

/// Below this probability a second mode is no chance, in one of so many tests (Bonferroni).
pub(super) fn significance(tests: usize) -> f64 {
    SIGNIFICANT / tests.max(1) as f64
}

/// Silverman's test of one mode against more, on the logarithms of times: the narrowest Gaussian kernel under which
/// the density has one mode is compared with those of samples drawn from that very density. It is 1 for samples of
/// one mode. A second mode is named only if p is below `significance`, and it has 5 % of the sample and five values:
/// fewer are outliers, which the maximum shows. No more samples are drawn than p needs.
///
/// B. W. Silverman, Using kernel density estimates to investigate multimodality (J. R. Stat. Soc. B 43, 1981).
/// J. Besag and P. Clifford, Sequential Monte Carlo p-values (Biometrika 78, 1991).
pub(super) fn modes(sample: &[f64], seed: u64, significance: f64) -> Modes {
    let mut logs: Vec<_> = sample.iter().map(|value| value.max(1e-6).ln()).collect();
    logs.sort_by(f64::total_cmp);
    let n = logs.len();
    if n < LEAST {
        return Modes::Unknown;
    }
    let mean = logs.iter().sum::<f64>() / n as f64;
    let variance = logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
    if variance <= f64::EPSILON {
        return Modes::One { p: 1.0 };
    }
    let critical = critical_width(&logs);
    // Drawn from the density with one mode, and shrunk to the sample's variance.
    let shrink = 1.0 / (1.0 + critical.powi(2) / variance).sqrt();
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut clearer, mut tried) = (0, 0);
    while tried < BOOTSTRAPS && clearer < ENOUGH {
        tried += 1;
        let mut drawn: Vec<_> = (0..n)
            .map(|_| {
                let value = logs[rng.random_range(0..n)];
                mean + shrink * (value - mean + critical * normal(&mut rng))
            })
            .collect();
        drawn.sort_by(f64::total_cmp);
        if peaks(&drawn, critical).len() > 1 {
            clearer += 1;
        }
    }
    let p = match clearer {
        ENOUGH => f64::from(clearer) / f64::from(tried),
        // The sample itself is one of them.
        _ => f64::from(clearer + 1) / f64::from(tried + 1),
    };
    let found = (p < significance).then(|| peaks(&logs, critical * 0.98));
    match found.as_deref() {
        Some([first, .., last]) => {
            let valley = valley(&logs, critical * 0.98, *first, *last);
            let (low, high) = logs.split_at(logs.partition_point(|x| *x < valley));
            let least = low.len().min(high.len());
            let share = least as f64 / n as f64;
            match share >= LEAST_SHARE && least >= LEAST_VALUES {
                true => Modes::Two {
                    at: [median(low).exp(), median(high).exp()],
                    share,
                    p,
                },
                false => Modes::One { p },
            }
        }
        _ => Modes::One { p },
    }
}

/// The narrowest kernel under which the density has one mode.
fn critical_width(sorted: &[f64]) -> f64 {
    let range = sorted[sorted.len() - 1] - sorted[0];
    let (mut several, mut one) = (range / 1e4, range);
    for _ in 0..30 {
        let middle = f64::midpoint(several, one);
        match peaks(sorted, middle).len() {
            0 | 1 => one = middle,
            _ => several = middle,
        }
    }
    one
}

fn grid(sorted: &[f64], width: f64) -> (f64, f64) {
    let (from, to) = (
        sorted[0] - 2.0 * width,
        sorted[sorted.len() - 1] + 2.0 * width,
    );
    (from, (to - from) / (GRID - 1) as f64)
}

fn density(sorted: &[f64], width: f64, at: f64) -> f64 {
    // Further away, a value adds less than 1e-5.
    let near = sorted.partition_point(|x| *x < at - 5.0 * width);
    let values = sorted[near..]
        .iter()
        .take_while(|x| **x <= at + 5.0 * width);
    values
        .map(|x| (-0.5 * ((x - at) / width).powi(2)).exp())
        .sum()
}

/// Where the density has its peaks.
fn peaks(sorted: &[f64], width: f64) -> Vec<f64> {
    let (from, step) = grid(sorted, width);
    let heights: Vec<_> = (0..GRID)
        .map(|i| density(sorted, width, from + step * i as f64))
        .collect();
    let is_peak = |i: &usize| heights[i - 1] < heights[*i] && heights[*i] >= heights[i + 1];
    let found = (1..GRID - 1).filter(is_peak);
    found.map(|i| from + step * i as f64).collect()
}

/// The lowest place between two peaks.
fn valley(sorted: &[f64], width: f64, from: f64, to: f64) -> f64 {
    let places = (0..=GRID).map(|i| from + (to - from) * i as f64 / GRID as f64);
    let lowest =
        places.min_by(|a, b| density(sorted, width, *a).total_cmp(&density(sorted, width, *b)));
    lowest.unwrap_or(from)
}

/// A value of the standard normal distribution (Box and Muller).
fn normal(rng: &mut StdRng) -> f64 {
    let (a, b): (f64, f64) = (
        rng.random_range(f64::EPSILON..1.0),
        rng.random_range(0.0..1.0),
    );
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times around `at`, with a spread of a tenth.
    fn around(at: f64, n: usize, rng: &mut StdRng) -> Vec<f64> {
        (0..n).map(|_| at * (0.1 * normal(rng)).exp()).collect()
    }

    #[test]
    fn quantiles_and_the_interval_of_the_median() {
        let sample: Vec<_> = (1..=100).map(f64::from).collect();
        let quantiles = Quantiles::of(&sample);
        assert_eq!(
            (
                quantiles.n,
                quantiles.p50,
                quantiles.p90,
                quantiles.p99,
                quantiles.max
            ),
            (100, 50.5, Some(90.0), Some(99.0), 100.0)
        );
        // The 40th and the 61st value of 100 (a table of the binomial distribution).
        assert_eq!(quantiles.p50_between, Some((40.0, 61.0)));
        // Six values lie on one side of the median in one of 32 samples.
        assert_eq!(interval(&sample[..6]), Some((1.0, 6.0)));
        assert_eq!(interval(&sample[..5]), None);
        let few = Quantiles::of(&sample[..9]);
        assert_eq!((few.p90, few.p99), (None, None));
        assert_eq!(Quantiles::of(&sample[..99]).p99, None);
        assert!(Quantiles::of(&[]).p50.is_nan());
    }

    #[test]
    fn two_modes_are_found_and_one_is_not() {
        let mut rng = StdRng::seed_from_u64(7);
        let one = around(10.0, 100, &mut rng);
        assert!(
            matches!(modes(&one, 1, 0.05), Modes::One { .. }),
            "{:?}",
            modes(&one, 1, 0.05)
        );
        let mut two = around(10.0, 70, &mut rng);
        two.extend(around(30.0, 30, &mut rng));
        match modes(&two, 1, significance(25)) {
            Modes::Two { at, share, p } => {
                assert!(
                    (9.0..11.0).contains(&at[0]) && (27.0..33.0).contains(&at[1]),
                    "{at:?}"
                );
                assert!((0.28..0.32).contains(&share) && p < 0.002, "{share} {p}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn outliers_are_no_mode_and_few_values_say_nothing() {
        let mut rng = StdRng::seed_from_u64(8);
        let mut sample = around(10.0, 98, &mut rng);
        sample.extend([60.0, 80.0]);
        assert!(
            matches!(modes(&sample, 1, 0.05), Modes::One { .. }),
            "{:?}",
            modes(&sample, 1, 0.05)
        );
        assert_eq!(modes(&sample[..19], 1, 0.05), Modes::Unknown);
        assert_eq!(modes(&[5.0; 30], 1, 0.05), Modes::One { p: 1.0 });
        // A tenth of 30, far away: three values are no mode.
        let mut few = around(10.0, 27, &mut rng);
        few.extend([90.0, 91.0, 92.0]);
        assert!(
            matches!(modes(&few, 1, 0.05), Modes::One { p } if p < 0.01),
            "{:?}",
            modes(&few, 1, 0.05)
        );
    }
}
