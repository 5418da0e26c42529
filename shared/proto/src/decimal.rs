//! A number as JSON writes it, without any rounding.

/// The most digits of an integer that is read: those of a `u64`.
const MAX_DIGITS: i64 = 20;

/// A decimal number: `digits` × 10^-`scale`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// Without zeros in front or behind; empty for 0.
    digits: String,
    /// How many of the digits stand behind the point; negative where zeros are left out in front of it.
    scale: i64,
}

impl Decimal {
    /// Reads the grammar of JSON (RFC 8259, section 6): no plus, no zero in front, no blank.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, self::exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let all = [whole, fraction].concat();
        let digits = all.trim_end_matches('0');
        let left_out = i64::try_from(all.len() - digits.len()).ok()?;
        let behind = i64::try_from(fraction.len()).ok()?;
        Some(Self {
            negative,
            digits: digits.trim_start_matches('0').to_owned(),
            scale: behind.saturating_sub(left_out).saturating_sub(exponent),
        })
    }

    /// How many decimal places it has: none for `5.000` and `500e-2`.
    pub(crate) fn places(&self) -> i64 {
        match self.digits.is_empty() {
            true => 0,
            false => self.scale.max(0),
        }
    }

    /// The integer that it is, of at most [`MAX_DIGITS`]; none when it is none, or longer.
    pub(crate) fn whole(&self) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let zeros = self.scale.checked_neg().filter(|zeros| *zeros >= 0)?;
        let length = i64::try_from(self.digits.len()).ok()?;
        if length.saturating_add(zeros) > MAX_DIGITS {
            return None;
        }
        let digits: i128 = self.digits.parse().ok()?;
        let value = digits * 10i128.pow(u32::try_from(zeros).ok()?);
        Some(if self.negative { -value } else { value })
    }
}

/// The exponent; one that no `i64` holds is as good as the largest that does.
fn exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    if !is_digits(digits) {
        return None;
    }
    let value = digits.parse().unwrap_or(i64::MAX);
    Some(if negative { -value } else { value })
}

/// One or more.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_value() {
        for (text, places) in [
            ("0", 0),
            ("-0.000", 0),
            ("0e-400", 0),
            ("5.000", 0),
            ("500e-2", 0),
            ("19.990", 2),
            ("1999e-2", 2),
            ("0.1999E+2", 2),
            ("19.999999999999999999", 18),
            ("1e-400", 400),
            ("1e-99999999999999999999", i64::MAX),
            ("1.5e99999999999999999999", 0),
        ] {
            let decimal = Decimal::parse(text).unwrap();
            assert_eq!(decimal.places(), places, "{text}");
        }
    }

    #[test]
    fn integers_are_exact() {
        for (text, whole) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("5.0", Some(5)),
            ("1E2", Some(100)),
            ("-1.5e1", Some(-15)),
            ("2147483647.0", Some(2_147_483_647)),
            ("18446744073709551615", Some(18_446_744_073_709_551_615)),
            ("5.5", None),
            ("1e-1", None),
            ("1e20", None),
            ("1e400", None),
            ("1e99999999999999999999", None),
            ("1e-99999999999999999999", None),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().whole(), whole, "{text}");
        }
    }

    #[test]
    fn only_the_grammar_of_json_is_a_number() {
        for text in [
            "", "-", "+5", "05", "-01", "00", " 5", "5 ", ".5", "5.", "5.e1", "1e", "1e+", "e1",
            "1e1.0", "0x10", "1_000", "NaN", "Infinity", "inf", "--1", "1.2.3", "１", "12abc",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }
}
