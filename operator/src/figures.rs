//! Figures for people: sizes in binary units, times as `2h 14m`. Pure.

/// `bytes`, such as `1.4 TiB`.
pub(crate) fn size(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes.unsigned_abs() as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let sign = if bytes < 0 { "-" } else { "" };
    if unit == 0 || value >= 100.0 {
        format!("{sign}{value:.0} {}", UNITS[unit])
    } else {
        format!("{sign}{value:.1} {}", UNITS[unit])
    }
}

/// `seconds`, such as `2h 14m`, `3m 5s` or `12s`.
pub(crate) fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s}s"),
        (h, m, _) => format!("{h}h {m}m"),
    }
}

/// Doubles from `first` with each of `failures` after the first, up to `most`; seconds.
pub(crate) fn back_off(first: i64, failures: i64, most: i64) -> i64 {
    let steps = u32::try_from(failures.clamp(1, 32) - 1).unwrap_or(0);
    first.saturating_mul(1_i64 << steps).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(
            (size(999), size(1536), size(-(5 << 30)), size(150 << 20)),
            ("999 B".into(), "1.5 KiB".into(), "-5.0 GiB".into(), "150 MiB".into())
        );
        assert_eq!((duration(12), duration(185), duration(8040)), ("12s".into(), "3m 5s".into(), "2h 14m".into()));
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        assert_eq!([1, 2, 3, 7, 60].map(|n| back_off(10, n, 600)), [10, 20, 40, 600, 600]);
    }
}
