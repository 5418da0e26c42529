//! The source of randomness for pauses.

use std::fmt;
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tower::util::rng::{HasherRng, Rng};

/// Random pauses, from one sequence that all clones share.
///
/// The sequence is shared: a clone with its own sequence would make concurrent calls pause alike,
/// which jitter must prevent. The numbers come from tower's small generator, because this needs no
/// cryptography.
#[derive(Clone)]
pub struct Jitter {
    rng: Arc<Mutex<Box<dyn Rng + Send>>>,
}

impl Jitter {
    /// Jitter that differs from process to process.
    pub fn random() -> Self {
        Self::from_rng(HasherRng::new())
    }

    /// Jitter that repeats for the same seed, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self::from_rng(HasherRng::with_hasher(Seed(seed)))
    }

    /// Jitter from a generator of one's own.
    pub fn from_rng(rng: impl Rng + Send + 'static) -> Self {
        Self {
            rng: Arc::new(Mutex::new(Box::new(rng))),
        }
    }

    /// A duration between zero and `max`, both included, each equally likely.
    ///
    /// A `max` of more than 584 years counts as that.
    pub fn up_to(&self, max: Duration) -> Duration {
        let span = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
        let random = self
            .rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u64();
        // The high half of random × (span + 1) is uniform over 0..=span, to within 2⁻⁶⁴.
        let scaled = (u128::from(random) * (u128::from(span) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(span))
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::random()
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jitter").finish_non_exhaustive()
    }
}

struct Seed(u64);

impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Rng for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    #[test]
    fn spans_zero_to_max_inclusive() {
        for max in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(250),
            Duration::from_nanos(u64::MAX),
        ] {
            assert_eq!(Jitter::from_rng(Fixed(0)).up_to(max), Duration::ZERO);
            assert_eq!(Jitter::from_rng(Fixed(u64::MAX)).up_to(max), max);
        }
        assert_eq!(
            Jitter::from_rng(Fixed(1 << 63)).up_to(Duration::from_secs(10)),
            Duration::from_secs(5)
        );
        assert_eq!(
            Jitter::from_rng(Fixed(u64::MAX)).up_to(Duration::MAX),
            Duration::from_nanos(u64::MAX)
        );
    }

    #[test]
    fn a_seed_repeats_and_clones_share_one_sequence() {
        let max = Duration::from_secs(1);
        let draw = |jitter: &Jitter| jitter.up_to(max);
        let (one, same, other) = (Jitter::seeded(7), Jitter::seeded(7), Jitter::seeded(8));
        let clone = one.clone();

        let alternating = [draw(&one), draw(&clone), draw(&one), draw(&clone)];
        let straight = [draw(&same), draw(&same), draw(&same), draw(&same)];

        assert_eq!(alternating, straight);
        assert_ne!(alternating[0], alternating[1]);
        assert_ne!(alternating[0], draw(&other));
    }
}
