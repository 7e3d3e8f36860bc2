//! Pieces of text: names made safe for a terminal, cuts, bars, percentages, rates. Pure.

use av1_crds::figures;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without anything that a terminal would act on: control characters, and marks that turn the direction of writing.
pub(crate) fn printable(text: &str) -> String {
    let is_unsafe = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().flat_map(|c| if is_unsafe(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// The end of `text` in at most `width` columns: of a path, its file name says most.
pub(crate) fn keep_end(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = Vec::new();
    let mut left = width.saturating_sub(1);
    for c in text.chars().rev() {
        let columns = c.width().unwrap_or(0);
        if columns > left {
            break;
        }
        left -= columns;
        kept.push(c);
    }
    std::iter::once('…').chain(kept.into_iter().rev()).collect()
}

/// A bar of `width` columns and the whole percentage; 100% only when all is done.
pub(crate) fn bar(ratio: f64, width: usize) -> String {
    let ratio = ratio.clamp(0.0, 1.0);
    let filled = (ratio * width as f64).floor() as usize;
    format!("{}{} {:>3}%", "█".repeat(filled), "░".repeat(width - filled), (ratio * 100.0).floor() as u32)
}

/// `part` of `whole` as a whole percentage.
pub(crate) fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "0%".to_owned();
    }
    format!("{}%", i128::from(part) * 100 / i128::from(whole))
}

/// Bits a second.
pub(crate) fn bit_rate(bits: i64) -> String {
    match bits {
        ..1_000_000 => format!("{} kb/s", bits / 1_000),
        _ => format!("{:.1} Mb/s", bits as f64 / 1e6),
    }
}

/// `1,234,567`.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A long time, such as `31d 4h`; below two days as everywhere.
pub(crate) fn days(seconds: u64) -> String {
    match seconds {
        ..172_800 => figures::duration(seconds),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// An age as kubectl prints it: one unit from a minute on, such as `45s`, `12m`, `5h` or `3d`.
pub(crate) fn age(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A size or a count, as sizes, percentages and nouns take it.
pub(crate) fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: i64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    };
    if number == 1 { format!("1 {noun}") } else { format!("{number} {plural}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}.mkv"), "a\\u{1b}[31m\\nb\\u{202e}.mkv");
        assert_eq!(printable("Ünï 映画.mkv"), "Ünï 映画.mkv");
    }

    #[test]
    fn cuts_count_columns_and_not_characters() {
        assert_eq!(keep_end("short", 8), "short");
        assert_eq!(keep_end("a/long/path.mkv", 9), "…path.mkv");
        assert_eq!(keep_end("映画映画", 5), "…映画");
    }

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        assert_eq!(bar(0.999, 4), "███░  99%");
        assert_eq!(bar(1.0, 4), "████ 100%");
        assert_eq!(bar(-1.0, 4), "░░░░   0%");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, -1_234_567].map(grouped), ["0", "999", "1,000", "-1,234,567"]);
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!([59, 60, 7_199, 172_799, 172_800].map(age), ["59s", "1m", "1h", "47h", "2d"]);
        assert_eq!([172_799, 2_692_800].map(days), ["47h 59m", "31d 4h"]);
    }

    #[test]
    fn nouns_take_their_plural() {
        assert_eq!([count(1, "file"), count(0, "file"), count(2, "library")], ["1 file", "0 files", "2 libraries"]);
    }
}
