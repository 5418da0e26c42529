//! Money: exact cents inside, a double only on the wire.

use std::{fmt, iter::Sum};

/// The largest amount that a double holds to the cent, in cents: from 2^46 on, doubles are 1/64
/// apart.
const MAX_EXACT: i64 = 100 << 46;

/// An amount in the shop's currency, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many cents.
    pub const fn new(cents: i64) -> Self {
        Self(cents)
    }

    /// The amount of a double on the wire, none when it is not a whole number of cents.
    pub fn from_wire(amount: f64) -> Option<Self> {
        let cents = (amount * 100.0).round();
        // Division is correctly rounded: a decimal's own double comes back exactly.
        let exact = cents.abs() <= MAX_EXACT as f64 && cents / 100.0 == amount;
        exact.then_some(Self(cents as i64))
    }

    /// The double for the wire: the nearest to the decimal amount.
    pub fn to_wire(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// The number of cents.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The price of `quantity` units at this price each; none when it does not fit.
    pub fn times(self, quantity: i32) -> Option<Self> {
        self.0.checked_mul(i64::from(quantity)).map(Self)
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|amount| amount.0).sum())
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(
            f,
            "{sign}{}.{:02}",
            self.0.unsigned_abs() / 100,
            self.0.unsigned_abs() % 100
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cent_comes_back() {
        for cents in (-1_000_000..1_000_000)
            .step_by(3)
            .chain([MAX_EXACT, -MAX_EXACT])
        {
            let amount = Cents::new(cents);
            assert_eq!(Cents::from_wire(amount.to_wire()), Some(amount), "{cents}");
            let parsed: f64 = amount.to_string().parse().unwrap();
            assert_eq!(Cents::from_wire(parsed), Some(amount), "{amount}");
        }
    }

    #[test]
    fn what_is_no_whole_cent_is_refused() {
        for amount in [
            0.001,
            19.999,
            1.0 + f64::EPSILON,
            f64::NAN,
            f64::INFINITY,
            1e300,
        ] {
            assert_eq!(Cents::from_wire(amount), None, "{amount}");
        }
        assert_eq!(Cents::from_wire(-0.0), Some(Cents::ZERO));
    }

    #[test]
    fn sums_are_exact() {
        let line = Cents::from_wire(0.1).unwrap().times(3).unwrap();
        assert_eq!(line.to_wire(), 0.3);
        assert_eq!([line, line].into_iter().sum::<Cents>(), Cents::new(60));
        assert_eq!(Cents::new(i64::MAX).times(2), None);
        assert_eq!(Cents::new(-5).to_string(), "-0.05");
    }
}
