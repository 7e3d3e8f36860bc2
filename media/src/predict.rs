//! How large an encode comes out and how long it takes, before it is made: a rough rule, corrected by what the same library's
//! encodes came to.
//!
//! The rule: the output's bits grow with the source's, but slower (a source of five times the bits for the same picture comes out
//! twice as large), and halve with every eight steps of the rate factor.

use av1_crds::wire::VideoFigures;

use crate::rational::Rational;

/// Bits per pixel and frame of the output at CRF 23 when the source has one bit per pixel and frame (of H.264).
const BITS: f64 = 0.135;
/// How the output's bits grow with the source's.
const GROWTH: f64 = 0.43;
/// The CRF that [`BITS`] is about.
const CRF: f64 = 23.0;
/// Steps of the rate factor that halve the bits.
const HALVING: f64 = 8.0;
/// Part of a source that is sound and all else that is copied.
const COPIED: f64 = 0.05;
/// Part of a source that stays when nothing is known of its video.
const UNKNOWN_KEPT: f64 = 0.5;
/// Pixels a second that one CPU encodes at preset 4, all steps of a job together.
const PIXELS: f64 = 4.2e6;
/// The preset that [`PIXELS`] is about.
const PRESET: i32 = 4;
/// By how much each preset is faster than the one before.
const FASTER: f64 = 1.6;

/// A source, as far as it is known. What is not known is empty or 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// Size in bytes.
    pub size: u64,
    /// The main video.
    pub video: VideoFigures,
}

/// What an encode of the library came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Done {
    /// What was encoded.
    pub source: Source,
    /// With which rate factor.
    pub crf: u32,
    /// With which preset.
    pub preset: u32,
    /// Size of the output in bytes.
    pub output: u64,
    /// Seconds from its start to its end, when nothing came between.
    pub seconds: Option<f64>,
}

/// What was learned from the encodes so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Experience {
    /// Factors by which outputs were larger than the rule says, as logarithms, ascending.
    sizes: Vec<f64>,
    /// Pixels a second, as at [`PRESET`], ascending.
    speeds: Vec<f64>,
}

/// What is expected of an encode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Size of the output in bytes.
    pub size: u64,
    /// Seconds in one encode pod; none when the source's duration is not known.
    pub seconds: Option<u64>,
}

impl Experience {
    /// What these encodes teach. Those of which size or duration are not known teach nothing.
    #[must_use]
    pub fn of(done: &[Done]) -> Self {
        let mut known = Self::default();
        for job in done {
            if let (Some(expected), true) = (by_rule(&job.source, job.crf), job.output > 0) {
                known.sizes.push((float(job.output) / expected).ln());
            }
            if let (Some(pixels), Some(seconds)) = (pixels(&job.source.video), job.seconds.filter(|s| *s > 0.0)) {
                known.speeds.push(pixels / seconds / faster(job.preset));
            }
        }
        known.sizes.sort_by(f64::total_cmp);
        known.speeds.sort_by(f64::total_cmp);
        known
    }

    /// Number of encodes that sizes are corrected by.
    #[must_use]
    pub fn sizes(&self) -> usize {
        self.sizes.len()
    }

    /// Number of encodes that times are taken from.
    #[must_use]
    pub fn speeds(&self) -> usize {
        self.speeds.len()
    }

    /// What is expected of an encode of `source` with this rate factor and preset in a pod with so many CPUs.
    #[must_use]
    pub fn predict(&self, source: &Source, crf: u32, preset: u32, cpus: u32) -> Prediction {
        // One encode may be an exception: few count for less.
        let weight = float(self.sizes.len() as u64) / float(self.sizes.len() as u64 + 1);
        let correction = median(&self.sizes).map_or(1.0, |factor| (factor * weight).exp());
        let size = by_rule(source, crf).unwrap_or(float(source.size) * UNKNOWN_KEPT) * correction;
        let speed = median(&self.speeds).unwrap_or(PIXELS * f64::from(cpus.max(1))) * faster(preset);
        Prediction { size: whole(size), seconds: pixels(&source.video).map(|pixels| whole((pixels / speed).max(1.0))) }
    }
}

impl Source {
    /// Bits per pixel and frame of the whole file, in the measure of H.264.
    #[must_use]
    pub fn bits_per_pixel(&self) -> Option<f64> {
        Some(float(self.size) * 8.0 * measure(&self.video.codec) / pixels(&self.video)?)
    }
}

/// Size of the output in bytes as the rule has it.
fn by_rule(source: &Source, crf: u32) -> Option<f64> {
    let (pixels, size) = (pixels(&source.video)?, float(source.size));
    let bits = source.bits_per_pixel()?;
    let video = BITS * bits.powf(GROWTH) * ((CRF - f64::from(crf)) / HALVING).exp2() * pixels / 8.0;
    (size > 0.0).then_some(video + size * COPIED)
}

/// Pixels of all frames.
fn pixels(video: &VideoFigures) -> Option<f64> {
    // Films without a frame rate are rare; most have this one.
    let rate = video.frame_rate.parse::<Rational>().map_or(24.0, Rational::as_f64);
    let frames = float(video.duration_millis) / 1_000.0 * rate;
    let pixels = frames * f64::from(video.width) * f64::from(video.height);
    (pixels > 0.0).then_some(pixels)
}

/// How many bits of H.264 a bit of this codec is worth.
fn measure(codec: &str) -> f64 {
    match codec {
        "hevc" | "vp9" => 1.6,
        "mpeg2video" => 0.5,
        _ => 1.0,
    }
}

fn faster(preset: u32) -> f64 {
    FASTER.powi(i32::try_from(preset).unwrap_or(PRESET) - PRESET)
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

#[allow(clippy::cast_precision_loss)]
fn float(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Two hours at 24 frames a second.
    fn film(codec: &str, size: u64, (width, height): (u32, u32)) -> Source {
        let video = VideoFigures {
            codec: codec.into(),
            width,
            height,
            frame_rate: "24000/1001".into(),
            duration_millis: 7_200_000,
        };
        Source { size, video }
    }

    const HD: (u32, u32) = (1920, 1080);

    fn percent(source: &Source, crf: u32) -> u64 {
        Experience::default().predict(source, crf, 4, 8).size * 100 / source.size
    }

    #[test]
    fn a_disc_shrinks_more_than_a_web_release_and_hevc_less_than_either() {
        assert_eq!(
            [film("h264", 25 * GIB, HD), film("h264", 6 * GIB, HD), film("hevc", 6 * GIB, HD)].map(|f| percent(&f, 23)),
            [23, 45, 54]
        );
        assert!(percent(&film("h264", 6 * GIB, HD), 31) < percent(&film("h264", 6 * GIB, HD), 23));
    }

    #[test]
    fn what_the_librarys_encodes_came_to_corrects_the_rule_the_more_the_more_there_are() {
        let source = film("h264", 10 * GIB, HD);
        let plain = Experience::default().predict(&source, 23, 4, 8);
        let done = |count: usize| {
            let one =
                Done { source: source.clone(), crf: 23, preset: 4, output: plain.size / 2, seconds: Some(3_600.0) };
            Experience::of(&vec![one; count])
        };
        let sizes = [0, 1, 9].map(|count| done(count).predict(&source, 23, 4, 8).size * 100 / plain.size);
        assert_eq!(sizes, [100, 70, 53]);
        let learned = done(9);
        assert_eq!((learned.sizes(), learned.speeds()), (9, 9));
        assert_eq!(learned.predict(&source, 23, 4, 8).seconds, Some(3_600));
        let small = film("h264", GIB, (960, 540));
        assert_eq!(learned.predict(&small, 23, 4, 8).seconds, Some(900), "a quarter of the pixels");
        assert_eq!(learned.predict(&source, 23, 5, 8).seconds, Some(2_250), "one preset faster");
    }

    #[test]
    fn before_the_first_encode_more_cpus_are_faster_and_what_is_unknown_stays_so() {
        let source = film("h264", 10 * GIB, HD);
        let seconds = |cpus| Experience::default().predict(&source, 23, 4, cpus).seconds.unwrap();
        assert!(seconds(16) * 2 <= seconds(8) + 2 && seconds(0) == seconds(1));
        let unknown = Source { size: 100, video: VideoFigures::default() };
        assert_eq!(Experience::default().predict(&unknown, 23, 4, 8), Prediction { size: 50, seconds: None });
        let nothing = Done { source: unknown, output: 9, seconds: Some(1.0), ..Done::default() };
        assert_eq!(Experience::of(&[nothing]), Experience::default());
    }
}
