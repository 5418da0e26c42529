//! How many instances a function should have: a pure decision, and the measurement that it uses.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The limits of one function's scale, from its manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Instances kept without any request (`min-scale`).
    pub min: usize,
    /// Instances never exceeded (`max-scale`), at least 1.
    pub max: usize,
    /// Requests that one instance should have at once (`target` × utilization), above 0.
    pub target: f64,
    /// Time over which concurrency is averaged before scaling in (`window`).
    pub window: Duration,
    /// Time that the last instance is kept beyond the window
    /// (`scale-to-zero-pod-retention-period`).
    pub retention: Duration,
}

/// The input of the decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Requests in flight or held, now.
    pub now: usize,
    /// Requests in flight or held, averaged over the window.
    pub average: f64,
    /// Time since the last request ended; zero while there is one.
    pub idle: Duration,
    /// Instances starting or ready, now.
    pub instances: usize,
}

/// The instances that `concurrency` requests at once need, within the maximum.
#[must_use]
pub fn needed(limits: &Limits, concurrency: f64) -> usize {
    // The cast saturates, and concurrency is a count or a mean of counts: never negative.
    let instances = (concurrency / limits.target).ceil() as usize;
    instances.min(limits.max)
}

/// The number of instances that a function should have.
///
/// Scales out by the present requests, scales in by the average over the window, and goes to zero
/// after a window (and the retention period) without a request.
#[must_use]
pub fn desired(limits: &Limits, load: &Load) -> usize {
    let needed = needed(limits, load.average.max(load.now as f64));
    let keep_last = load.instances > 0 && load.idle < limits.window + limits.retention;
    needed
        .max(usize::from(keep_last))
        .max(limits.min)
        .min(limits.max)
}

/// Concurrency over time: an exact integral, kept in slices no finer than needed.
#[derive(Debug)]
pub struct Meter {
    window: Duration,
    level: usize,
    since: Instant,
    /// Request-seconds since the last slice was closed, and when that was.
    area: f64,
    opened: Instant,
    /// Closed slices: their end, their length, their request-seconds.
    slices: VecDeque<(Instant, Duration, f64)>,
}

impl Meter {
    /// A meter that averages over `window`. It begins at zero.
    #[must_use]
    pub fn new(window: Duration, now: Instant) -> Self {
        Self {
            window,
            level: 0,
            since: now,
            area: 0.0,
            opened: now,
            slices: VecDeque::new(),
        }
    }

    /// The level set last.
    #[must_use]
    pub fn level(&self) -> usize {
        self.level
    }

    /// Sets the number of requests in flight or held.
    pub fn set(&mut self, level: usize, now: Instant) {
        self.settle(now);
        self.level = level;
    }

    /// Forgets the past: a function that starts from zero has no history.
    pub fn restart(&mut self, now: Instant) {
        *self = Self {
            level: self.level,
            ..Self::new(self.window, now)
        };
    }

    /// Closes a slice, and returns the average over the window, or over the time since the start if
    /// that is shorter.
    pub fn average(&mut self, now: Instant) -> f64 {
        self.settle(now);
        let length = now - self.opened;
        if !length.is_zero() {
            self.slices.push_back((now, length, self.area));
            self.area = 0.0;
            self.opened = now;
        }
        while let Some((end, ..)) = self.slices.front()
            && now - *end >= self.window
        {
            self.slices.pop_front();
        }
        let (length, area) = self
            .slices
            .iter()
            .fold((0.0, 0.0), |(length, area), slice| {
                (length + slice.1.as_secs_f64(), area + slice.2)
            });
        if length > 0.0 {
            area / length
        } else {
            self.level as f64
        }
    }

    fn settle(&mut self, now: Instant) {
        self.area += self.level as f64 * (now - self.since).as_secs_f64();
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits {
            min: 0,
            max: 4,
            target: 10.0,
            window: 30 * SECOND,
            retention: Duration::ZERO,
        }
    }

    #[test]
    fn the_decision() {
        // now, average, idle seconds, instances → desired
        let table = [
            ("nothing asked, nothing runs", 0, 0.0, 0, 0, 0),
            ("the first request", 1, 0.0, 0, 0, 1),
            ("exactly the target", 10, 10.0, 0, 1, 1),
            ("one above the target", 11, 0.0, 0, 1, 2),
            ("never above the maximum", 1_000, 1_000.0, 0, 4, 4),
            (
                "a pause inside the window keeps what the average needs",
                0,
                25.0,
                5,
                3,
                3,
            ),
            (
                "a quiet function keeps one until the window ends",
                0,
                0.01,
                29,
                2,
                1,
            ),
            (
                "one is kept even when the average is already nil",
                0,
                0.0,
                29,
                1,
                1,
            ),
            ("back to zero after the window", 0, 0.0, 30, 1, 0),
        ];
        for (what, now, average, idle, instances, expected) in table {
            let load = Load {
                now,
                average,
                idle: idle * SECOND,
                instances,
            };
            assert_eq!(desired(&limits(), &load), expected, "{what}");
        }
    }

    #[test]
    fn retention_and_minimum_hold_the_last_instances() {
        let idle = |seconds: u32| Load {
            now: 0,
            average: 0.0,
            idle: seconds * SECOND,
            instances: 1,
        };
        let retained = Limits {
            retention: 60 * SECOND,
            ..limits()
        };
        assert_eq!(desired(&retained, &idle(89)), 1);
        assert_eq!(desired(&retained, &idle(90)), 0);
        let kept = Limits { min: 2, ..limits() };
        assert_eq!(desired(&kept, &idle(10_000)), 2);
    }

    #[test]
    fn the_average_is_weighted_by_time_and_forgets_what_left_the_window() {
        let start = Instant::now();
        let at = |seconds: u32| start + seconds * SECOND;
        let mut meter = Meter::new(10 * SECOND, start);
        meter.set(8, at(0));
        assert!((meter.average(at(1)) - 8.0).abs() < 1e-9);
        meter.set(0, at(2));
        assert!((meter.average(at(4)) - 4.0).abs() < 1e-9);
        assert!(meter.average(at(8)) > 0.0);
        // The slice with the requests ended at 4 s.
        assert!(meter.average(at(13)) > 0.0);
        assert!(meter.average(at(14)).abs() < 1e-9);
        meter.set(3, at(15));
        meter.restart(at(15));
        assert_eq!(meter.level(), 3);
        assert!((meter.average(at(16)) - 3.0).abs() < 1e-9);
    }
}
