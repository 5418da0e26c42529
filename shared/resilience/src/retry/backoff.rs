//! The pauses between attempts.

use super::Jitter;
use crate::InvalidConfig;
use std::time::Duration;

/// Exponential backoff with full jitter: before retry n, from zero, any time up to
/// `min(cap, base × 2ⁿ)`.
///
/// Full jitter spreads clients that failed together over the whole interval (AWS Architecture Blog,
/// "Exponential Backoff And Jitter"). tower's own backoff adds its jitter to the exponential part,
/// so no client comes back early, and they stay together.
///
/// A clone shares the sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    jitter: Jitter,
}

impl Backoff {
    /// Pauses that start at up to `base` and grow to up to `cap`.
    ///
    /// # Errors
    ///
    /// When `base` is zero, or `cap` is below it.
    pub fn new(base: Duration, cap: Duration, jitter: Jitter) -> Result<Self, InvalidConfig> {
        InvalidConfig::unless(!base.is_zero(), "backoff.base", "must be longer than zero")?;
        InvalidConfig::unless(cap >= base, "backoff.cap", "must not be below the base")?;
        Ok(Self { base, cap, jitter })
    }

    /// The longest that the pause before retry `n` can be; the first retry is 0.
    pub fn ceiling(&self, n: u32) -> Duration {
        2_u32
            .checked_pow(n)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.cap, |exponential| exponential.min(self.cap))
    }

    /// The pause before retry `n`; the first retry is 0.
    pub fn delay(&self, n: u32) -> Duration {
        self.jitter.up_to(self.ceiling(n))
    }

    /// The pauses of one sequence of retries, without end.
    ///
    /// Five attempts have four pauses between them: `delays().take(4)`.
    pub fn delays(&self) -> Delays {
        Delays {
            backoff: self.clone(),
            retry: 0,
        }
    }
}

/// The pauses of one sequence of retries. Made by [`Backoff::delays`].
#[derive(Clone, Debug)]
pub struct Delays {
    backoff: Backoff,
    retry: u32,
}

impl Iterator for Delays {
    type Item = Duration;

    /// Never `None`.
    fn next(&mut self) -> Option<Duration> {
        let delay = self.backoff.delay(self.retry);
        self.retry = self.retry.saturating_add(1);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(50);
    const CAP: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let backoff = Backoff::new(BASE, CAP, Jitter::seeded(1)).unwrap();
        let ceilings: Vec<_> = (0..8).map(|n| backoff.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(backoff.ceiling(31), CAP);
        assert_eq!(backoff.ceiling(32), CAP);
        assert_eq!(backoff.ceiling(u32::MAX), CAP);
    }

    #[test]
    fn a_huge_cap_does_not_overflow() {
        let backoff = Backoff::new(
            Duration::from_secs(u64::MAX / 4),
            Duration::MAX,
            Jitter::seeded(1),
        )
        .unwrap();
        assert_eq!(backoff.ceiling(9), Duration::MAX);
    }

    #[test]
    fn jitter_fills_the_whole_interval() {
        let backoff = Backoff::new(BASE, BASE, Jitter::seeded(42)).unwrap();
        let delays: Vec<_> = backoff.delays().take(1000).collect();
        assert!(delays.iter().all(|delay| *delay <= BASE));
        // Full jitter: a tenth of the draws in each tenth of the interval, within a wide margin.
        for tenth in 0..10 {
            let (from, to) = (BASE * tenth / 10, BASE * (tenth + 1) / 10);
            let hits = delays.iter().filter(|d| (from..to).contains(d)).count();
            assert!((50..200).contains(&hits), "tenth {tenth}: {hits} of 1000");
        }
    }

    #[test]
    fn five_attempts_have_four_pauses_that_repeat_with_the_seed() {
        let pauses = |seed| {
            let backoff = Backoff::new(BASE, CAP, Jitter::seeded(seed)).unwrap();
            backoff.delays().take(4).collect::<Vec<_>>()
        };
        assert_eq!(pauses(3).len(), 4);
        assert_eq!(pauses(3), pauses(3));
        assert_ne!(pauses(3), pauses(4));
    }

    #[test]
    fn bad_values_are_refused() {
        let field = |base, cap| {
            Backoff::new(base, cap, Jitter::seeded(1))
                .unwrap_err()
                .field
        };
        assert_eq!(field(Duration::ZERO, CAP), "backoff.base");
        assert_eq!(field(CAP, BASE), "backoff.cap");
    }
}
