//! The figures of a load, as they are kept and compared.

use serde::{Deserialize, Serialize};

use super::{drive::Seen, engine::coarse};
use crate::{cpu::ByGroup, stats::median};

/// The name of the build that this program is of, and of that of `--against`.
pub(crate) const NOW: &str = "now";
pub(crate) const BEFORE: &str = "before";

/// What one load of one build was.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) seconds: f64,
    /// Good answers per second.
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// CPU time per request, in milliseconds, by program and by database.
    pub(crate) cpu_ms: ByGroup,
    /// Times per request that a program was woken up.
    #[serde(default)]
    pub(crate) wakes: ByGroup,
    /// CPU time of the program that sends the requests.
    pub(crate) generator_ms: f64,
    /// Per request: transactions that write, and bytes of WAL.
    pub(crate) commits: f64,
    pub(crate) wal_bytes: f64,
    /// Per request, between client and gateway. Zero over gRPC, where they are not counted.
    pub(crate) sent_bytes: f64,
    pub(crate) received_bytes: f64,
}

/// What a load used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    pub(crate) cpu_ms: ByGroup,
    pub(crate) wakes: ByGroup,
    pub(crate) generator_ms: f64,
    pub(crate) commits: f64,
    pub(crate) wal_bytes: f64,
}

impl Used {
    /// Adds a later load of the same kind.
    pub(crate) fn add(&mut self, other: &Self) {
        for (group, ms) in &other.cpu_ms {
            *self.cpu_ms.entry(group.clone()).or_default() += ms;
        }
        for (group, n) in &other.wakes {
            *self.wakes.entry(group.clone()).or_default() += n;
        }
        self.generator_ms += other.generator_ms;
        self.commits += other.commits;
        self.wal_bytes += other.wal_bytes;
    }
}

impl Figures {
    pub(crate) fn new(seen: &Seen, used: &Used) -> Self {
        let each = |total: f64| total / seen.requests.max(1) as f64;
        let cpu = used.cpu_ms.iter();
        let wakes = used.wakes.iter();
        Self {
            requests: seen.requests,
            errors: seen.errors,
            first_error: seen.first_error.clone(),
            seconds: seen.seconds,
            per_second: (seen.requests - seen.errors) as f64 / seen.seconds,
            p50_ms: seen.ms(0.5),
            p90_ms: seen.ms(0.9),
            p99_ms: seen.ms(0.99),
            p999_ms: seen.ms(0.999),
            max_ms: seen.latency.max() as f64 / 1e3,
            cpu_ms: cpu.map(|(group, ms)| (group.clone(), each(*ms))).collect(),
            wakes: wakes.map(|(group, n)| (group.clone(), each(*n))).collect(),
            generator_ms: each(used.generator_ms),
            commits: each(used.commits),
            wal_bytes: each(used.wal_bytes),
            sent_bytes: each(seen.sent as f64),
            received_bytes: each(seen.received as f64),
        }
    }

    /// CPU time per request of all that is measured, without the generator, in milliseconds.
    pub(crate) fn system_cpu_ms(&self) -> f64 {
        self.cpu_ms.values().sum()
    }

    /// That of one of the groups functions, postgres, broker and engine.
    pub(crate) fn cpu_of(&self, group: &str) -> f64 {
        coarse(&self.cpu_ms).get(group).copied().unwrap_or_default()
    }
}

/// A ratio of two builds: the median of the pairs of rounds, and the smallest and the largest of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) n: usize,
}

impl Ratio {
    /// Of `now` to `before`, pair by pair; none without pairs that can be compared.
    pub(crate) fn of(now: &[f64], before: &[f64]) -> Option<Self> {
        // The kernel counts CPU time in ticks: of a short round it may have counted none.
        let pairs = now.iter().zip(before).filter(|(_, before)| **before > 0.0);
        let ratios: Vec<f64> = pairs.map(|(now, before)| now / before).collect();
        if ratios.is_empty() {
            return None;
        }
        Some(Self {
            median: median(&ratios),
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            max: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            n: ratios.len(),
        })
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            median, min, max, ..
        } = self;
        write!(f, "{median:.2} ({min:.2} to {max:.2})")
    }
}

/// One kind of load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// `order`.
    pub(crate) name: String,
    /// `16 buyers`, or `200/s`.
    pub(crate) load: String,
    /// The rate of an open loop.
    pub(crate) rate: Option<f64>,
    pub(crate) buyers: usize,
    pub(crate) now: Figures,
    pub(crate) before: Option<Figures>,
    /// Requests per second, and CPU per request, to those of `--against`.
    pub(crate) throughput_ratio: Option<Ratio>,
    pub(crate) cpu_ratio: Option<Ratio>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_pairs() {
        let ratio = Ratio::of(&[2.0, 6.0, 3.0], &[1.0, 2.0, 1.0]).unwrap();
        let expected = Ratio {
            median: 3.0,
            min: 2.0,
            max: 3.0,
            n: 3,
        };
        assert_eq!(ratio, expected);
        assert_eq!(ratio.to_string(), "3.00 (2.00 to 3.00)");
        assert!(Ratio::of(&[], &[]).is_none());
    }
}
