//! Sizes and durations as users write them: `2Gi`, `168h`. Pure parsing; errors name the text and the accepted forms.

use std::str::FromStr;

/// Why a size or a duration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a whole number with an optional suffix.
    #[error(
        "\"{0}\" is not a size: write a whole number of bytes or one with Ki, Mi, Gi, Ti, k, M, G or T, such as 2Gi"
    )]
    Size(String),
    /// Not a duration in jiff's friendly format.
    #[error("\"{0}\" is not a duration: write hours, minutes or seconds, such as 168h or 90m")]
    Duration(String),
}

/// Bytes in `text`, in the subset of Kubernetes' quantity grammar that makes sense for sizes of files.
///
/// # Errors
/// [`QuantityError::Size`] when the text is not such a quantity or does not fit 63 bits.
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    let wrong = || QuantityError::Size(text.to_owned());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number = u64::from_str(digits).map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(wrong)
}

/// Whole seconds in `text`, such as `168h`.
///
/// # Errors
/// [`QuantityError::Duration`] when the text is not a duration or is negative.
pub fn parse_seconds(text: &str) -> Result<u64, QuantityError> {
    let wrong = || QuantityError::Duration(text.to_owned());
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    u64::try_from(duration.as_secs()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_suffixes() {
        assert_eq!(parse_bytes("2Gi"), Ok(2 << 30));
        assert_eq!(parse_bytes("100k"), Ok(100_000));
        assert_eq!(parse_bytes("7"), Ok(7));
    }

    #[test]
    fn sizes_that_are_fractions_negative_or_too_big_are_refused() {
        for text in ["1.5Gi", "-1", "", "Gi", "9000000Ti", "2GiB", "1e3"] {
            assert_eq!(parse_bytes(text), Err(QuantityError::Size(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_negative_ones_refused() {
        assert_eq!(parse_seconds("168h"), Ok(604_800));
        assert_eq!(parse_seconds("90m"), Ok(5_400));
        assert!(parse_seconds("-1h").is_err());
        assert!(parse_seconds("soon").is_err());
    }
}
