//! Fractions as FFmpeg writes them (`24000/1001`), and times of frames counted in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A fraction with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rational {
    /// Numerator.
    pub num: i64,
    /// Denominator, above zero.
    pub den: i64,
}

/// The text is not a fraction with a positive denominator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a fraction")]
pub struct NotRational(pub String);

impl Rational {
    /// The value as a floating-point number.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// Whether the value is above zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.num > 0
    }
}

impl FromStr for Rational {
    type Err = NotRational;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotRational(text.to_owned());
        let (num, den) = text.split_once(['/', ':']).ok_or_else(wrong)?;
        let value = Self { num: num.parse().map_err(|_| wrong())?, den: den.parse().map_err(|_| wrong())? };
        if value.den > 0 { Ok(value) } else { Err(wrong()) }
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// Presentation times of a video stream's decoded frames, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameTimes {
    /// Seconds that one tick lasts.
    pub time_base: Rational,
    /// One entry a frame, in ticks.
    pub pts: Vec<i64>,
}

impl FrameTimes {
    /// Time of frame `index` in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn seconds(&self, index: usize) -> Option<f64> {
        self.pts.get(index).map(|ticks| *ticks as f64 * self.time_base.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_read_in_both_spellings_and_zero_denominators_refused() {
        assert_eq!("24000/1001".parse(), Ok(Rational { num: 24_000, den: 1_001 }));
        assert_eq!("1:1".parse(), Ok(Rational { num: 1, den: 1 }));
        for text in ["0/0", "1", "a/b", "", "1/-1"] {
            assert!(text.parse::<Rational>().is_err(), "{text}");
        }
    }
}
