//! Times as clients read them.

use std::time::SystemTime;

use time::OffsetDateTime;

/// A time by RFC 3339 in UTC, with microseconds: `2026-11-27T17:11:48.448430Z`. The times of databases have the same
/// form.
pub fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_time_has_one_form() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_709_164_800_000_007, "2024-02-29T00:00:00.000007Z"),
            (1_795_799_508_448_430, "2026-11-27T17:11:48.448430Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_micros(micros);
            assert_eq!(rfc3339(time), text);
        }
    }
}
