//! When a job runs: the part of cron's syntax that is needed here. The local engine starts jobs by it, and the list
//! of functions on a cluster says when the next run is due.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Every minute, or every minute that `n` divides: `* * * * *`, `*/n * * * *`.
///
/// Minutes are those of the clock, in UTC, as on a cluster: `*/20` is at 0, 20 and 40 minutes past
/// each hour, and `*/45` at 0 and 45.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// 1 to 59.
    every: u8,
}

/// A schedule that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "schedule must be \"* * * * *\" or \"*/n * * * *\" with n from 1 to 59, not {0:?}: the local \
     engine knows no other"
)]
pub struct UnknownSchedule(String);

impl Schedule {
    /// The first time after `time` at which a run is due. Whole minutes.
    #[must_use]
    pub fn after(&self, time: SystemTime) -> SystemTime {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut minute = since.as_secs() / 60 + 1;
        while !(minute % 60).is_multiple_of(u64::from(self.every)) {
            minute += 1;
        }
        UNIX_EPOCH + Duration::from_secs(minute * 60)
    }

    /// The shortest time between two runs that are due.
    #[must_use]
    pub fn shortest_period(&self) -> Duration {
        // The last one of an hour is followed by that of minute 0.
        let every = u64::from(self.every);
        let minutes = match 60 % every {
            0 => every,
            rest => rest,
        };
        Duration::from_secs(minutes * 60)
    }
}

impl FromStr for Schedule {
    type Err = UnknownSchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownSchedule(text.to_owned());
        let minutes = text.strip_suffix(" * * * *").ok_or_else(unknown)?;
        let every = match minutes.strip_prefix("*/") {
            None if minutes == "*" => 1,
            // `parse` would take a sign.
            Some(every) if every.starts_with(|c: char| c.is_ascii_digit()) => {
                every.parse().map_err(|_| unknown())?
            }
            _ => return Err(unknown()),
        };
        if (1..=59).contains(&every) {
            Ok(Self { every })
        } else {
            Err(unknown())
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.every {
            1 => f.write_str("* * * * *"),
            every => write!(f, "*/{every} * * * *"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_is_the_next_minute_that_fits() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (text, from, next) in [
            ("* * * * *", 0, 60),
            ("* * * * *", 59, 60),
            ("* * * * *", 60, 120),
            ("*/1 * * * *", 61, 120),
            ("*/20 * * * *", 1, 1200),
            ("*/20 * * * *", 1200, 2400),
            ("*/20 * * * *", 2400, 3600),
            ("*/45 * * * *", 3600 + 1, 3600 + 2700),
            ("*/45 * * * *", 2700, 3600),
            ("*/59 * * * *", 3540, 3600),
        ] {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.after(at(from)), at(next), "{text} after {from} s");
        }
        let half = UNIX_EPOCH + Duration::from_millis(59_999);
        let every: Schedule = "* * * * *".parse().unwrap();
        assert_eq!(every.after(half), at(60));
    }

    #[test]
    fn periods() {
        for (text, minutes) in [("*", 1), ("*/5", 5), ("*/45", 15), ("*/59", 1)] {
            let schedule: Schedule = format!("{text} * * * *").parse().unwrap();
            assert_eq!(schedule.shortest_period().as_secs(), minutes * 60, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_what_is_known_survives_its_text() {
        for text in [
            "",
            "*",
            "@hourly",
            "5 * * * *",
            "*/0 * * * *",
            "*/60 * * * *",
            "*/+5 * * * *",
            "*/999 * * * *",
            "*/ * * * *",
            "* * * * 1",
            "* 3 * * *",
            " * * * * *",
            "*  * * * *",
            "* * * * * *",
            "1-5 * * * *",
        ] {
            let error = text.parse::<Schedule>().expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        for text in ["* * * * *", "*/7 * * * *"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
    }
}
