//! Figures as people read them: sizes in binary units, times as `2h 14m`. Pure.

/// `bytes`, such as `1.4 TiB`, `150 MiB` or `999 B`.
#[must_use]
pub fn size(bytes: impl Into<i128>) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let bytes: i128 = bytes.into();
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
#[must_use]
pub fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s}s"),
        (h, m, _) => format!("{h}h {m}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most_and_their_sign() {
        assert_eq!([999, 1536, -(5_i64 << 30), 150 << 20].map(size), ["999 B", "1.5 KiB", "-5.0 GiB", "150 MiB"]);
    }

    #[test]
    fn times_have_two_units_at_most() {
        assert_eq!([12, 185, 8_040].map(duration), ["12s", "3m 5s", "2h 14m"]);
    }
}
