//! Durations in Go's syntax, which Knative's annotations use.

use std::time::Duration;

/// Reads a duration of whole numbers and units: `30s`, `1m30s`, `1h`, `500ms`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit_ms = match &rest[..end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        rest = &rest[end..];
        total = total.checked_add(Duration::from_millis(number.checked_mul(unit_ms)?))?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("500ms", Some(500)),
            ("0s", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("-5s", None),
            ("5 s", None),
            ("1d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ];
        for (text, expected_ms) in table {
            let expected = expected_ms.map(Duration::from_millis);
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
