//! The profile tables: constant rate factor and preset by the height of the picture, and the encoder's own ranges.

use av1_crds::settings::{Profile, Settings, Tier};

use crate::probe::{Probe, Stream};
use crate::rational::Rational;

/// Range of SVT-AV1's `--crf` that is used; its half steps and values above are not.
pub const CRF: std::ops::RangeInclusive<u32> = 1..=63;
/// Range of SVT-AV1's `--preset` that is used; -1 is for debugging.
pub const PRESET: std::ops::RangeInclusive<u32> = 0..=13;
/// Bits per pixel and frame, H.264 measure, below which a source's bitrate is very low.
pub const VERY_LOW_BITS: f64 = 0.04;
/// Longest scene of `QualityFirst` in frames; a key frame stands at the start of each scene and nowhere else.
pub const MAX_SCENE_FRAMES: u32 = 240;
/// Longest scene in seconds; the shorter of both counts, so that players can seek in a film of 10 frames a second too.
pub const MAX_SCENE_SECONDS: f64 = 10.0;

/// One row of a profile: from this height class up.
struct Row {
    height: u32,
    crf: u32,
    preset: u32,
}

/// `QualityFirst`, by height class, highest first.
const QUALITY_FIRST: [Row; 4] = [
    Row { height: 2160, crf: 21, preset: 3 },
    Row { height: 1440, crf: 22, preset: 4 },
    Row { height: 1080, crf: 23, preset: 4 },
    Row { height: 0, crf: 24, preset: 5 },
];

/// A value is out of the encoder's range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, but SVT-AV1 takes {from} to {to}: change encode.overrides.{name}")]
pub struct OutOfRange {
    name: &'static str,
    value: u32,
    from: u32,
    to: u32,
}

/// What a profile comes to for one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Constant rate factor.
    pub crf: u32,
    /// SVT-AV1 preset.
    pub preset: u32,
}

/// The height class of a picture: wide pictures count as if they had 16:9, so that 1920x800 is 1080.
#[must_use]
pub fn height_class(width: u32, height: u32) -> u32 {
    let from_width = u64::from(width) * 9 / 16;
    height.max(u32::try_from(from_width).unwrap_or(u32::MAX))
}

/// Constant rate factor and preset for a picture of this size. `bits` is the source's bits per pixel and frame
/// ([`bits_per_pixel`]), when known.
///
/// # Errors
/// [`OutOfRange`] when an override is out of the encoder's range.
pub fn quality(settings: &Settings, width: u32, height: u32, bits: Option<f64>) -> Result<Quality, OutOfRange> {
    let class = height_class(width, height);
    let Profile::QualityFirst = settings.profile;
    let row = QUALITY_FIRST.iter().find(|row| class >= row.height).unwrap_or(&QUALITY_FIRST[3]);
    let very_low = bits.is_some_and(|bits| bits < VERY_LOW_BITS);
    let slower = u32::from(settings.tier == Tier::VeryHigh);
    let crf = settings.crf.unwrap_or(row.crf + u32::from(very_low));
    let preset = settings.preset.unwrap_or(row.preset - slower);
    Ok(Quality { crf: checked("crf", crf, &CRF)?, preset: checked("preset", preset, &PRESET)? })
}

fn checked(name: &'static str, value: u32, range: &std::ops::RangeInclusive<u32>) -> Result<u32, OutOfRange> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(OutOfRange { name, value, from: *range.start(), to: *range.end() })
    }
}

/// Bits per pixel and frame of the main video in the measure of H.264: what HEVC and VP9 need counts 1.6 times, what MPEG-2
/// needs half. None when the container tells no bitrate; the whole file's stands in for the video's.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn bits_per_pixel(probe: &Probe, video: &Stream, rate: Rational) -> Option<f64> {
    let tagged = video
        .tags
        .iter()
        .find(|(key, _)| key.as_str() == "bps" || key.starts_with("bps-"))
        .and_then(|(_, value)| value.parse().ok());
    let bits = video.bit_rate.or(tagged).or(probe.format.bit_rate)? as f64;
    let pixels = f64::from(video.width?) * f64::from(video.height?) * rate.as_f64();
    let measure = match video.codec_name.as_str() {
        "hevc" | "vp9" => 1.6,
        "mpeg2video" => 0.5,
        _ => 1.0,
    };
    (pixels > 0.0).then(|| bits * measure / pixels)
}

/// Longest scene in frames at `rate` frames a second.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn max_scene_frames(rate: Rational) -> u32 {
    let by_time = (rate.as_f64() * MAX_SCENE_SECONDS).round().clamp(24.0, f64::from(MAX_SCENE_FRAMES));
    by_time as u32
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::SettingsSections;

    use super::*;

    fn settings() -> Settings {
        Settings::resolve(&SettingsSections::default(), &SettingsSections::default()).unwrap()
    }

    fn quality_of(settings: &Settings, width: u32, height: u32, bits: f64) -> (u32, u32) {
        let found = quality(settings, width, height, Some(bits)).unwrap();
        (found.crf, found.preset)
    }

    #[test]
    fn the_table_goes_by_height_class_and_wide_pictures_count_as_if_they_were_16_to_9() {
        let high = settings();
        let sizes = [
            (3840, 2160),
            (3840, 1600),
            (2560, 1440),
            (1920, 1080),
            (1920, 800),
            (1440, 1080),
            (1280, 720),
            (640, 360),
        ];
        let found: Vec<(u32, u32)> = sizes.map(|(w, h)| quality_of(&high, w, h, 0.1)).to_vec();
        assert_eq!(found, [(21, 3), (21, 3), (22, 4), (23, 4), (23, 4), (23, 4), (24, 5), (24, 5)]);
    }

    #[test]
    fn a_very_low_bitrate_adds_one_and_very_high_takes_a_slower_preset() {
        let very_high = Settings { tier: Tier::VeryHigh, ..settings() };
        assert_eq!(quality_of(&very_high, 1920, 1080, 0.039), (24, 3));
        assert_eq!(quality_of(&settings(), 1920, 1080, 0.04), (23, 4));
        assert_eq!(quality(&settings(), 1920, 1080, None).unwrap(), Quality { crf: 23, preset: 4 });
    }

    #[test]
    fn overrides_win_and_are_held_to_the_encoders_ranges() {
        let own = Settings { crf: Some(30), preset: Some(8), ..settings() };
        assert_eq!(quality_of(&own, 3840, 2160, 0.01), (30, 8));
        let wrong = Settings { preset: Some(14), ..settings() };
        assert_eq!(
            quality(&wrong, 640, 360, None).unwrap_err().to_string(),
            "preset is 14, but SVT-AV1 takes 0 to 13: change encode.overrides.preset"
        );
        assert!(quality(&Settings { crf: Some(0), ..settings() }, 640, 360, None).is_err());
    }

    #[test]
    fn bits_are_measured_as_h264_would_need_them() {
        let json = |codec: &str| {
            format!(
                r#"{{"format":{{"format_name":"mp4","bit_rate":"2000000"}},"streams":[{{"codec_type":"video","codec_name":"{codec}","width":1000,"height":1000}}]}}"#
            )
        };
        let bits = |codec: &str| {
            let probe = Probe::parse(json(codec).as_bytes()).unwrap();
            (bits_per_pixel(&probe, probe.main_video().unwrap(), Rational { num: 20, den: 1 }).unwrap() * 1000.0)
                .round()
        };
        assert_eq!([bits("h264"), bits("hevc"), bits("vp9"), bits("mpeg2video")], [100.0, 160.0, 160.0, 50.0]);
    }

    #[test]
    fn a_scene_lasts_at_most_240_frames_or_ten_seconds() {
        let frames = [(24, 1), (24_000, 1_001), (60, 1), (10, 1), (1, 1)]
            .map(|(num, den)| max_scene_frames(Rational { num, den }));
        assert_eq!(frames, [240, 240, 240, 100, 24]);
    }
}
