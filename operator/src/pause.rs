//! How long to wait after a failure. Pure.

/// Doubles from `first` with each of `failures` after the first, up to `most`; seconds.
pub(crate) fn back_off(first: i64, failures: i64, most: i64) -> i64 {
    let steps = u32::try_from(failures.clamp(1, 32) - 1).unwrap_or(0);
    first.saturating_mul(1_i64 << steps).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        assert_eq!([1, 2, 3, 7, 60].map(|n| back_off(10, n, 600)), [10, 20, 40, 600, 600]);
    }
}
