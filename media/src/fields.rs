//! Interlacing and telecine, from what `idet` says of each frame. Both mix two moments in one frame; the filter looks at several
//! frames at once, so that telecined film, of which three frames in five are whole, is seen as interlaced throughout.
//!
//! Pure. A frame that cannot be told counts for neither side.

use serde::{Deserialize, Serialize};

/// What the user may do about interlaced video.
pub const DEINTERLACE_LEAVE: &str = "with encode.deinterlace: Bwdif its frames are made whole";

/// Interlaced frames among those that could be told, in percent, from which on a video counts as interlaced.
const INTERLACED_PERCENT: u64 = 5;
/// Interlaced frames among all, in percent, from which on a video counts as interlaced whose file and frames say that it is
/// not: the detection errs by more than a quarter over hard compressed pictures that hardly move.
const AGAINST_THE_FILE_PERCENT: u64 = 40;
/// Fewer interlaced frames than this are noise of the detection.
const INTERLACED_LEAST: u64 = 5;

/// Which field of a frame comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parity {
    /// The one of the uppermost line.
    Top,
    /// The other.
    Bottom,
}

impl Parity {
    /// The filter that makes each frame whole, whatever the frames say of themselves; their number and times stay.
    #[must_use]
    pub fn bwdif(self) -> String {
        let parity = if self == Self::Top { "tff" } else { "bff" };
        format!("bwdif=mode=send_frame:parity={parity}:deint=all")
    }
}

/// Counts of frames.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    interlaced: u64,
    bottom_first: u64,
    progressive: u64,
    untold: u64,
}

impl Fields {
    /// Takes in the order of one frame's fields, as `idet` names it.
    pub fn take(&mut self, order: &str) {
        match order {
            "tff" => self.interlaced += 1,
            "bff" => (self.interlaced, self.bottom_first) = (self.interlaced + 1, self.bottom_first + 1),
            "progressive" => self.progressive += 1,
            _ => self.untold += 1,
        }
    }

    /// Which field comes first in most of the interlaced frames.
    #[must_use]
    pub fn parity(&self) -> Parity {
        if self.bottom_first * 2 > self.interlaced { Parity::Bottom } else { Parity::Top }
    }

    /// A sentence with the figures when the video is interlaced or telecined. `says_progressive` is whether the file says
    /// that it is not.
    #[must_use]
    pub fn interlaced(&self, says_progressive: bool) -> Option<String> {
        let told = self.interlaced + self.progressive;
        let share = self.interlaced * 100;
        let is_interlaced = if says_progressive {
            share >= (told + self.untold) * AGAINST_THE_FILE_PERCENT
        } else {
            share >= told * INTERLACED_PERCENT
        };
        (self.interlaced >= INTERLACED_LEAST && is_interlaced)
            .then(|| format!("{} of {told} frames that could be told are interlaced or telecined", self.interlaced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(orders: impl IntoIterator<Item = &'static str>, says_progressive: bool) -> Option<String> {
        let mut fields = Fields::default();
        orders.into_iter().for_each(|order| fields.take(order));
        fields.interlaced(says_progressive)
    }

    #[test]
    fn a_few_interlaced_frames_are_noise_and_a_twentieth_is_not() {
        let mixed = |interlaced: usize, progressive: usize| {
            of(std::iter::repeat_n("tff", interlaced).chain(std::iter::repeat_n("progressive", progressive)), false)
        };
        assert_eq!(mixed(4, 0), None);
        assert_eq!(mixed(5, 96), None);
        assert_eq!(mixed(5, 95).unwrap(), "5 of 100 frames that could be told are interlaced or telecined");
        assert_eq!(of(std::iter::repeat_n("undetermined", 100), false), None);
    }

    #[test]
    fn the_field_that_mostly_comes_first_is_told() {
        let mut fields = Fields::default();
        ["tff", "bff", "undetermined", "bff"].into_iter().for_each(|order| fields.take(order));
        assert_eq!(fields.parity(), Parity::Bottom);
        fields.take("tff");
        assert_eq!(fields.parity(), Parity::Top);
        assert_eq!(Parity::Bottom.bwdif(), "bwdif=mode=send_frame:parity=bff:deint=all");
    }

    #[test]
    fn it_takes_many_interlaced_frames_to_prove_a_file_wrong() {
        let mixed = |interlaced: usize, says_progressive| {
            let rest = std::iter::repeat_n("undetermined", 100 - interlaced);
            of(std::iter::repeat_n("bff", interlaced).chain(rest), says_progressive)
        };
        assert!(mixed(39, true).is_none() && mixed(39, false).is_some() && mixed(40, true).is_some());
    }
}
