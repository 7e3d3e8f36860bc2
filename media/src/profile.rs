//! What a profile comes to for one source and encoder: rate factor and preset by the height of the picture, and the length of
//! scenes. The tables are in `av1_crds::profiles`.

use av1_crds::profiles::table;
use av1_crds::settings::{Settings, Tier};

use crate::encoders::Encoder;
use crate::encoders::check::InvalidParam;
use crate::encoders::params::ranges;
use crate::probe::{Probe, Stream};
use crate::rational::Rational;

/// Bits per pixel and frame, H.264 measure, below which a source's bitrate is very low.
pub const VERY_LOW_BITS: f64 = 0.04;
/// Longest scene in seconds; the shorter of both counts, so that players can seek in a film of 10 frames a second too.
pub const MAX_SCENE_SECONDS: f64 = 10.0;

/// What a profile comes to for one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Constant rate factor; of rav1e the quantizer.
    pub crf: u32,
    /// Preset; of libaom `cpu-used`, of rav1e the speed.
    pub preset: u32,
}

/// The height class of a picture: wide pictures count as if they had 16:9, so that 1920x800 is 1080.
#[must_use]
pub fn height_class(width: u32, height: u32) -> u32 {
    let from_width = u64::from(width) * 9 / 16;
    height.max(u32::try_from(from_width).unwrap_or(u32::MAX))
}

/// Rate factor and preset for a picture of this size. `bits` is the source's bits per pixel and frame ([`bits_per_pixel`]),
/// when known.
///
/// # Errors
/// [`InvalidParam`] when an override is out of the encoder's range.
pub fn quality(
    settings: &Settings,
    encoder: Encoder,
    width: u32,
    height: u32,
    bits: Option<f64>,
) -> Result<Quality, InvalidParam> {
    let table = table(settings.profile);
    let row = table.row(height_class(width, height));
    let very_low = bits.is_some_and(|bits| bits < VERY_LOW_BITS);
    let slower = u32::from(settings.tier == Tier::VeryHigh);
    let (crf, preset) = match encoder {
        Encoder::SvtAv1 => (row.crf, row.preset),
        Encoder::Aom => (row.crf, row.cpu_used),
        Encoder::Rav1e => (row.quantizer, row.speed),
    };
    let more = if very_low && encoder != Encoder::Rav1e { table.very_low_adds } else { 0 };
    let crf = settings.crf.unwrap_or(crf + more);
    let preset = settings.preset.unwrap_or(preset.saturating_sub(slower));
    let own = ranges(encoder);
    Ok(Quality { crf: own.crf.hold("crf", crf, encoder)?, preset: own.preset.hold("preset", preset, encoder)? })
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

/// Longest scene in frames at `rate` frames a second: the user's, else the profile's and ten seconds at most.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn max_scene_frames(settings: &Settings, rate: Rational) -> u32 {
    let profile = f64::from(table(settings.profile).keyframe_interval);
    let by_time = (rate.as_f64() * MAX_SCENE_SECONDS).round().clamp(24.0, profile);
    settings.keyframe_interval.unwrap_or(by_time as u32)
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::Profile;

    use super::*;

    fn settings() -> Settings {
        Settings::resolve(&[]).unwrap()
    }

    fn quality_of(settings: &Settings, width: u32, height: u32, bits: f64) -> (u32, u32) {
        let found = quality(settings, Encoder::SvtAv1, width, height, Some(bits)).unwrap();
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
        assert_eq!(quality(&settings(), Encoder::SvtAv1, 1920, 1080, None).unwrap(), Quality { crf: 23, preset: 4 });
    }

    #[test]
    fn overrides_win_and_are_held_to_the_encoders_ranges() {
        let own = Settings { crf: Some(30), preset: Some(8), ..settings() };
        assert_eq!(quality_of(&own, 3840, 2160, 0.01), (30, 8));
        let wrong = Settings { preset: Some(14), ..settings() };
        assert_eq!(
            quality(&wrong, Encoder::SvtAv1, 640, 360, None).unwrap_err().to_string(),
            "encode.overrides.preset is 14, but SVT-AV1 takes 0 to 13 (preset): change it"
        );
        let zero = Settings { crf: Some(0), ..settings() };
        assert!(quality(&zero, Encoder::SvtAv1, 640, 360, None).is_err());
        assert_eq!(quality(&zero, Encoder::Aom, 640, 360, None).unwrap().crf, 0);
    }

    #[test]
    fn every_encoder_has_its_own_numbers() {
        let found = |profile, encoder, height: u32| {
            let settings = Settings { profile, ..settings() };
            let quality = quality(&settings, encoder, height * 16 / 9, height, Some(0.01)).unwrap();
            (quality.crf, quality.preset)
        };
        assert_eq!(
            [2160, 1440, 1080, 720].map(|h| found(Profile::QualityFirst, Encoder::Aom, h)),
            [(22, 3), (23, 3), (24, 4), (25, 5)]
        );
        assert_eq!([2160, 720].map(|h| found(Profile::QualityFirst, Encoder::Rav1e, h)), [(75, 3), (75, 3)]);
        assert_eq!([2160, 720].map(|h| found(Profile::FilmGrain, Encoder::SvtAv1, h)), [(8, 3), (8, 3)]);
        assert_eq!(
            [1440, 1080, 480].map(|h| found(Profile::Balanced, Encoder::SvtAv1, h)),
            [(29, 6), (25, 6), (25, 6)]
        );
        assert_eq!(found(Profile::TargetQuality, Encoder::SvtAv1, 1080), (23, 4));
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
            .map(|(num, den)| max_scene_frames(&settings(), Rational { num, den }));
        assert_eq!(frames, [240, 240, 240, 100, 24]);
        let own = Settings { keyframe_interval: Some(48), ..settings() };
        assert_eq!(max_scene_frames(&own, Rational { num: 24, den: 1 }), 48);
    }
}
