//! The size gate: whole file against whole file.
//!
//! Pure, in whole numbers, so that a file at the border is judged the same everywhere.

use av1_crds::wire::SizeGateResult;

/// Judges an output of `output_bytes` against a source of `input_bytes`: it passes when it is smaller than `max_percent`
/// percent of the source. The percentage in the result is rounded up, so that it never looks smaller than it is.
#[must_use]
pub fn size_gate(input_bytes: u64, output_bytes: u64, max_percent: u32) -> SizeGateResult {
    let hundredfold = u128::from(output_bytes) * 100;
    let percent = match input_bytes {
        0 => u32::MAX,
        input => u32::try_from(hundredfold.div_ceil(u128::from(input))).unwrap_or(u32::MAX),
    };
    SizeGateResult {
        input_bytes,
        output_bytes,
        percent,
        max_percent,
        passed: hundredfold < u128::from(input_bytes) * u128::from(max_percent),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_output_at_the_border_does_not_pass_and_one_byte_less_does() {
        assert!(!size_gate(1_000, 900, 90).passed);
        assert!(size_gate(1_000, 899, 90).passed);
        assert!(!size_gate(1_000, 901, 90).passed);
        assert!(!size_gate(1_000, 1_000, 100).passed);
        assert!(size_gate(1_000, 999, 100).passed);
    }

    #[test]
    fn borders_between_whole_bytes_are_exact() {
        assert!(size_gate(1_001, 900, 90).passed, "900 is below 900.9");
        assert!(!size_gate(1_001, 901, 90).passed, "901 is above 900.9");
    }

    #[test]
    fn the_percentage_is_rounded_up() {
        assert_eq!(size_gate(1_000, 891, 90).percent, 90);
        assert_eq!(size_gate(1_000, 890, 90).percent, 89);
        assert_eq!(size_gate(3, 1, 90).percent, 34);
    }

    #[test]
    fn nothing_passes_against_an_empty_source_and_large_files_do_not_overflow() {
        assert!(!size_gate(0, 0, 90).passed);
        assert_eq!(size_gate(0, 1, 90).percent, u32::MAX);
        assert!(size_gate(u64::MAX, u64::MAX / 2, 90).passed);
        assert_eq!(size_gate(1, u64::MAX, 90).percent, u32::MAX);
    }

    proptest! {
        #[test]
        fn what_passes_is_smaller_than_its_share(input in 0u64..1 << 50, output in 0u64..1 << 50, percent in 1u32..=100) {
            let result = size_gate(input, output, percent);
            prop_assert_eq!(result.passed, u128::from(output) * 100 < u128::from(input) * u128::from(percent));
            prop_assert!(!result.passed || (result.percent <= percent && output < input));
        }
    }
}
