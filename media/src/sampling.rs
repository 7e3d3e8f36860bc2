//! Which parts of a long video are decoded when not all of it is, and what must come out of each.
//!
//! Pure. Must never: leave out the first or the last seconds.

use av1_crds::settings::DecodeCheck;

use crate::rational::FrameTimes;

/// How many samples of what length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// How many, the first and the last included.
    pub places: u32,
    /// Seconds of each.
    pub seconds: f64,
}

/// A part of a video, in seconds of its own times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Where it begins; none at the first frame.
    pub from: Option<f64>,
    /// Where it ends; none at the last frame.
    pub until: Option<f64>,
}

impl Sampling {
    /// The first and the last seconds and twenty places between.
    pub const SAMPLED: Self = Self { places: 22, seconds: 4.0 };
    /// A video must last so many times what the samples do; a shorter one is decoded whole.
    const WORTH: f64 = 3.0;

    /// What a setting asks for; none decodes everything.
    #[must_use]
    pub fn asked(check: DecodeCheck) -> Option<Self> {
        (check == DecodeCheck::Sampled).then_some(Self::SAMPLED)
    }

    /// The samples of a video with frames from the second `first` to `last`, evenly spread; none when it is too short.
    #[must_use]
    pub fn samples(self, first: f64, last: f64) -> Option<Vec<Sample>> {
        let Self { places, seconds } = self;
        let worth = last - first > Self::WORTH * f64::from(places) * seconds;
        if !worth || places < 2 {
            return None;
        }
        let step = (last - seconds - first) / f64::from(places - 1);
        let sample = |place: u32| {
            let from = first + f64::from(place) * step;
            Sample { from: (place > 0).then_some(from), until: (place + 1 < places).then_some(from + seconds) }
        };
        Some((0..places).map(sample).collect())
    }
}

impl std::fmt::Display for Sampling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sampled {} x {} s", self.places, self.seconds)
    }
}

impl Sample {
    /// How many of `frames` lie within, but for its edges of `margin` seconds, which a seek may round.
    #[must_use]
    pub fn count(self, frames: &FrameTimes, margin: f64) -> usize {
        let within = |time: f64| {
            self.from.is_none_or(|from| time >= from + margin) && self.until.is_none_or(|until| time < until - margin)
        };
        (0..frames.pts.len()).filter_map(|index| frames.seconds(index)).filter(|time| within(*time)).count()
    }

    /// Where it is, in words.
    #[must_use]
    pub fn place(self) -> String {
        self.from.map_or_else(|| "at the start".to_owned(), |from| format!("at {from:.1} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rational::Rational;

    #[test]
    fn first_and_last_seconds_and_twenty_places_between_are_sampled() {
        let samples = Sampling::SAMPLED.samples(0.5, 7_200.5).unwrap();
        assert_eq!(samples.len(), 22);
        assert_eq!(samples[0], Sample { from: None, until: Some(4.5) });
        assert_eq!(samples[21], Sample { from: Some(7_196.5), until: None });
        for pair in samples.windows(2) {
            let gap = pair[1].from.unwrap() - pair[0].until.unwrap();
            assert!((300.0..400.0).contains(&gap), "{pair:?}");
        }
        assert_eq!(Sampling::SAMPLED.to_string(), "sampled 22 x 4 s");
    }

    #[test]
    fn a_short_video_and_one_without_a_length_are_decoded_whole() {
        for last in [0.0, 264.0, f64::NAN] {
            assert_eq!(Sampling::SAMPLED.samples(0.0, last), None, "{last}");
        }
        assert!(Sampling::SAMPLED.samples(0.0, 264.1).is_some());
        assert_eq!(Sampling::asked(DecodeCheck::Full), None);
    }

    #[test]
    fn frames_within_a_sample_are_counted_but_for_its_edges() {
        let frames = FrameTimes { time_base: Rational { num: 1, den: 10 }, pts: (0..100).collect() };
        let count = |from, until| Sample { from, until }.count(&frames, 0.1);
        assert_eq!((count(None, None), count(None, Some(1.0)), count(Some(9.0), None)), (100, 9, 9));
        assert_eq!(count(Some(2.0), Some(3.0)), 8);
    }
}
