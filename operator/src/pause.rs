//! How long to wait after a failure. Pure.

use jiff::Timestamp;

/// Seconds of the longest pause.
const LONGEST: u64 = 3_600;

/// Doubles from `first` with each of `failures` after the first, up to `most`; seconds.
pub(crate) fn back_off(first: i64, failures: i64, most: i64) -> i64 {
    let steps = u32::try_from(failures.clamp(1, 32) - 1).unwrap_or(0);
    first.saturating_mul(1_i64 << steps).min(most)
}

/// Seconds that are left of the pause until `not_before`. None when it is over, cannot be read, or is longer than any pause: then
/// it was noted before the clock was put back.
pub(crate) fn left(not_before: Option<&str>, now: Timestamp) -> Option<u64> {
    let until: Timestamp = not_before?.parse().ok()?;
    let left = until.duration_since(now);
    let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0 && *seconds <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_over_in_time_and_when_the_clock_was_put_back_beyond_it() {
        let left = |now: &str| left(Some("2026-01-02T00:00:10Z"), now.parse().unwrap());
        assert_eq!(left("2026-01-02T00:00:00Z"), Some(10));
        assert_eq!(left("2026-01-02T00:00:09.5Z"), Some(1));
        assert_eq!(left("2026-01-02T00:00:10Z"), None);
        assert_eq!(left("2026-01-01T00:00:00Z"), None);
        assert_eq!(super::left(Some("soon"), "2026-01-01T00:00:00Z".parse().unwrap()), None);
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        assert_eq!([1, 2, 3, 7, 60].map(|n| back_off(10, n, 600)), [10, 20, 40, 600, 600]);
    }
}
