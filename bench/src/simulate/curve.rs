//! CPU time that depends on how busy the machine is, or on how often the same work comes.

use serde::Serialize;

/// Steps from 0 to 1.
const STEPS: usize = 10;

/// CPU time of a piece of work, in microseconds, by a number from 0 to 1: how busy the cores are, or a
/// [`pace`](super::prices::pace).
///
/// The same work takes longer where it is rare: caches are cold, the processor has slowed down, and the kernel must
/// wake up a core. What a kind costs is measured at several rates, and this is a line through these points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Curve([f64; STEPS + 1]);

impl Curve {
    /// The same everywhere.
    pub(super) fn flat(us: f64) -> Self {
        Self([us; STEPS + 1])
    }

    /// Through points: a number from 0 to 1, and CPU time. Before the first and after the last it is that of these.
    pub(super) fn through(points: &[(f64, f64)]) -> Self {
        let mut points = points.to_vec();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut us = [0.0; STEPS + 1];
        for (n, us) in us.iter_mut().enumerate() {
            let place = n as f64 / STEPS as f64;
            let after = points.iter().position(|(at, _)| *at > place);
            *us = match after {
                Some(0) => points[0].1,
                Some(n) => {
                    let ((x, from), (y, to)) = (points[n - 1], points[n]);
                    from + (to - from) * (place - x) / (y - x)
                }
                None => points.last().map_or(0.0, |(_, us)| *us),
            };
        }
        Self(us)
    }

    /// At this number.
    pub(super) fn at(&self, at: f64) -> f64 {
        let place = at.clamp(0.0, 1.0) * STEPS as f64;
        let first = (place as usize).min(STEPS - 1);
        self.0[first] + (self.0[first + 1] - self.0[first]) * (place - first as f64)
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self(self.0.map(|us| us * factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_through_its_points() {
        let curve = Curve::through(&[(0.9, 20.0), (0.1, 100.0), (0.5, 40.0)]);
        for (busy, us) in [
            (0.0, 100.0),
            (0.1, 100.0),
            (0.3, 70.0),
            (0.5, 40.0),
            (0.55, 37.5),
            (0.9, 20.0),
            (1.0, 20.0),
            (7.0, 20.0),
        ] {
            let at = curve.at(busy);
            assert!((at - us).abs() < 1e-9, "{busy}: {at}, not {us}");
        }
        assert!((curve.times(2.0).at(0.5) - 80.0).abs() < 1e-9);
        assert_eq!(Curve::through(&[]), Curve::flat(0.0));
        assert_eq!(Curve::through(&[(0.4, 3.0)]), Curve::flat(3.0));
    }
}
