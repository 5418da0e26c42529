//! Order statistics of a sample.

/// The value at or below which the fraction `p` of `sample` lies (nearest rank); NaN without any.
pub(crate) fn quantile(sample: &[f64], p: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (p * sorted.len() as f64).ceil() as usize;
    let index = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The middle of `sample`, or between the two in the middle; NaN without any.
pub(crate) fn median(sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The largest of `sample`; NaN without any.
pub(crate) fn max(sample: &[f64]) -> f64 {
    sample.iter().copied().fold(f64::NAN, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_statistics() {
        let sample = [5.0, 1.0, 4.0, 2.0, 3.0, 10.0, 9.0, 8.0, 7.0, 6.0];
        assert_eq!(median(&sample), 5.5);
        assert_eq!(median(&sample[..3]), 4.0);
        assert_eq!(quantile(&sample, 0.9), 9.0);
        assert_eq!(quantile(&sample, 1.0), 10.0);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
        assert_eq!(max(&sample), 10.0);
        assert!(median(&[]).is_nan() && quantile(&[], 0.5).is_nan() && max(&[]).is_nan());
    }
}
