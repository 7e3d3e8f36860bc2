//! Whether an encoder can be asked for what the settings say. Judged before any pod starts, and again by the agent, which knows
//! which encoder the image has.

use av1_crds::encoding::{Metric, Profile};
use av1_crds::profiles;
use av1_crds::settings::Settings;

use super::params::{Range, further, ranges};
use super::{Encoder, Engine};

/// Words that mean encoding in hardware, in keys or values of parameters.
pub const HARDWARE_WORDS: [&str; 14] = [
    "nvenc",
    "cuda",
    "cuvid",
    "nvdec",
    "qsv",
    "vaapi",
    "vdpau",
    "amf",
    "vce",
    "videotoolbox",
    "v4l2m2m",
    "d3d11",
    "vulkan",
    "mediacodec",
];

/// What cannot be asked for, and what can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParam {
    /// A value is out of range.
    #[error("encode.overrides.{name} is {value}, but {encoder} takes {from} to {to} ({key}): change it")]
    OutOfRange {
        /// Name of the setting.
        name: &'static str,
        /// What it says.
        value: u32,
        /// The encoder's own name.
        encoder: &'static str,
        /// The encoder's name of the setting.
        key: &'static str,
        /// Least value.
        from: u32,
        /// Highest value.
        to: u32,
    },
    /// Not `key=value`.
    #[error("encode.overrides.extraParams has \"{entry}\": write key=value, such as ac-bias=1")]
    Malformed {
        /// The entry.
        entry: String,
    },
    /// Hardware.
    #[error(
        "encode.overrides.extraParams has \"{entry}\", and {word} means encoding in hardware: remove it; only software encoders are used unless encode.allowHardware is true"
    )]
    Hardware {
        /// The entry.
        entry: String,
        /// The word in it.
        word: &'static str,
    },
    /// A setting of ours has it.
    #[error("encode.overrides.extraParams has {key}: write it as encode.overrides.{name}")]
    HasSetting {
        /// The key.
        key: String,
        /// The setting.
        name: &'static str,
    },
    /// Unknown, or the plan's own.
    #[error(
        "encode.overrides.extraParams has {key}, which is not among the parameters of {encoder} that can be set: {known}"
    )]
    Unknown {
        /// The key.
        key: String,
        /// The encoder's own name.
        encoder: &'static str,
        /// What is known.
        known: String,
    },
    /// A value is out of its parameter's range.
    #[error("encode.overrides.extraParams has {key}={value}, but {encoder} takes {allowed}: change it")]
    BadValue {
        /// The key.
        key: String,
        /// What it says.
        value: String,
        /// The encoder's own name.
        encoder: &'static str,
        /// What is allowed.
        allowed: String,
    },
    /// Two values for one key.
    #[error("encode.overrides.extraParams has {key} twice: remove one")]
    Twice {
        /// The key.
        key: String,
    },
    /// A score that is no score, or a range without room.
    #[error("{field} is {value}: {wanted}")]
    Score {
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What is allowed.
        wanted: String,
    },
    /// A combination that does not exist.
    #[error("{0}")]
    Combination(&'static str),
}

/// Judges `settings` by the encoder that they name; `Auto` counts as SVT-AV1, the first that an image is to have.
///
/// # Errors
/// [`InvalidParam`] with the first value that cannot be.
pub fn check(settings: &Settings) -> Result<(), InvalidParam> {
    let engine = Engine::asked(settings.engine);
    check_for(settings, Encoder::asked(settings.encoder).unwrap_or(Encoder::SvtAv1), engine)
}

/// Judges `settings` for an encoder and engine.
///
/// # Errors
/// [`InvalidParam`] with the first value that cannot be.
pub fn check_for(settings: &Settings, encoder: Encoder, engine: Engine) -> Result<(), InvalidParam> {
    let own = ranges(encoder);
    in_range("crf", settings.crf, encoder, own.crf)?;
    in_range("preset", settings.preset, encoder, own.preset)?;
    in_range("filmGrain", settings.film_grain, encoder, own.film_grain)?;
    in_range("lookahead", settings.lookahead, encoder, own.lookahead)?;
    extras(settings, encoder)?;
    scores(settings)?;
    let grain = settings.film_grain.unwrap_or(profiles::table(settings.profile).film_grain);
    if encoder == Encoder::Rav1e && engine == Engine::Ffmpeg && grain > 0 {
        return Err(InvalidParam::Combination(
            "rav1e makes no grain through FFmpeg: write encode.engine: Av1an, or encode.overrides.filmGrain: 0",
        ));
    }
    if settings.profile == Profile::TargetQuality && engine == Engine::Ffmpeg {
        return Err(InvalidParam::Combination(
            "the profile TargetQuality searches the CRF of each scene, which only Av1an encodes apart: write encode.engine: Auto",
        ));
    }
    if settings.profile == Profile::TargetQuality && settings.crf.is_some() {
        return Err(InvalidParam::Combination(
            "the profile TargetQuality searches the CRF: remove encode.overrides.crf",
        ));
    }
    if settings.profile == Profile::TargetQuality && grain > 0 {
        return Err(InvalidParam::Combination(
            "the profile TargetQuality measures each scene against its source, which synthetic grain spoils: remove encode.overrides.filmGrain",
        ));
    }
    Ok(())
}

impl Range {
    /// `value` of the setting `name`, when it is in the range.
    ///
    /// # Errors
    /// [`InvalidParam::OutOfRange`].
    pub fn hold(self, name: &'static str, value: u32, encoder: Encoder) -> Result<u32, InvalidParam> {
        let Self { key, from, to } = self;
        if (from..=to).contains(&value) {
            Ok(value)
        } else {
            Err(InvalidParam::OutOfRange { name, value, encoder: encoder.title(), key, from, to })
        }
    }
}

fn in_range(name: &'static str, value: Option<u32>, encoder: Encoder, range: Range) -> Result<(), InvalidParam> {
    value.map_or(Ok(()), |value| range.hold(name, value, encoder).map(drop))
}

/// Key and value of an entry of `extraParams`.
#[must_use]
pub fn split(entry: &str) -> Option<(&str, &str)> {
    let (key, value) = entry.split_once('=')?;
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._,-".contains(&b));
    (plain(key) && plain(value) && !key.starts_with('-')).then_some((key, value))
}

fn extras(settings: &Settings, encoder: Encoder) -> Result<(), InvalidParam> {
    let own = ranges(encoder);
    let named = [(own.crf, "crf"), (own.preset, "preset"), (own.film_grain, "filmGrain"), (own.lookahead, "lookahead")];
    let mut seen = std::collections::BTreeSet::new();
    for entry in &settings.extra_params {
        let lower = entry.to_lowercase();
        if let Some(word) = HARDWARE_WORDS.into_iter().find(|word| !settings.allow_hardware && lower.contains(word)) {
            return Err(InvalidParam::Hardware { entry: entry.clone(), word });
        }
        let (key, value) = split(entry).ok_or_else(|| InvalidParam::Malformed { entry: entry.clone() })?;
        let key_owned = || key.to_owned();
        if let Some((_, name)) = named.iter().find(|(range, _)| range.key == key) {
            return Err(InvalidParam::HasSetting { key: key_owned(), name });
        }
        if key == "keyint" || key == "kf-max-dist" {
            return Err(InvalidParam::HasSetting { key: key_owned(), name: "keyframeInterval" });
        }
        let Some(param) = further(encoder).iter().find(|param| param.key == key) else {
            let known: Vec<&str> = further(encoder).iter().map(|param| param.key).collect();
            return Err(InvalidParam::Unknown { key: key_owned(), encoder: encoder.title(), known: known.join(" ") });
        };
        if !param.values.take(value) {
            return Err(InvalidParam::BadValue {
                key: key_owned(),
                value: value.to_owned(),
                encoder: encoder.title(),
                allowed: param.values.to_string(),
            });
        }
        if !seen.insert(key) {
            return Err(InvalidParam::Twice { key: key_owned() });
        }
    }
    Ok(())
}

/// Highest score that each metric can have or be asked for.
#[must_use]
pub fn highest(metric: Metric) -> f64 {
    if metric == Metric::Ssim { 1.0 } else { 100.0 }
}

/// A score in settings: a decimal number from 0 to what the metric can have.
fn score(field: &'static str, metric: Metric, text: &str) -> Result<f64, InvalidParam> {
    let most = highest(metric);
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse::<f64>().ok().filter(|value| plain && (0.0..=most).contains(value)).ok_or_else(|| InvalidParam::Score {
        field,
        value: text.to_owned(),
        wanted: format!("write a score of {} from 0 to {most}", metric.as_str()),
    })
}

fn scores(settings: &Settings) -> Result<(), InvalidParam> {
    if let Some(target) = &settings.target_quality {
        let least = score("encode.targetQuality.min", target.metric, &target.min)?;
        let most = score("encode.targetQuality.max", target.metric, &target.max)?;
        if least >= most {
            return Err(InvalidParam::Score {
                field: "encode.targetQuality.min",
                value: target.min.clone(),
                wanted: format!("it must be below max, which is {}", target.max),
            });
        }
        if matches!(target.metric, Metric::Psnr | Metric::Ssim) {
            return Err(InvalidParam::Combination("encode.targetQuality.metric is Vmaf, Xpsnr or Ssimulacra2"));
        }
    }
    if let Some(quality) = &settings.quality {
        for (field, text) in
            [("verify.quality.minMean", &quality.min_mean), ("verify.quality.minWindow", &quality.min_window)]
        {
            text.as_ref().map(|text| score(field, quality.metric, text)).transpose()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::SettingsSections;
    use proptest::prelude::*;

    use super::*;

    fn settings(json: &str) -> Settings {
        let sections: SettingsSections = serde_json::from_str(json).unwrap();
        Settings::resolve(&[&sections]).unwrap()
    }

    fn said(json: &str) -> String {
        check(&settings(json)).map_or_else(|e| e.to_string(), |()| "fine".to_owned())
    }

    fn extra(encoder: &str, entry: &str) -> String {
        said(&format!(r#"{{"encode":{{"encoder":"{encoder}","overrides":{{"extraParams":["{entry}"]}}}}}}"#))
    }

    #[test]
    fn values_are_held_to_the_encoders_own_ranges() {
        for (json, expected) in [
            (r#"{"encode":{"overrides":{"crf":63,"preset":13,"filmGrain":50,"lookahead":120}}}"#, "fine"),
            (
                r#"{"encode":{"overrides":{"crf":64}}}"#,
                "encode.overrides.crf is 64, but SVT-AV1 takes 1 to 63 (crf): change it",
            ),
            (
                r#"{"encode":{"encoder":"Aom","overrides":{"preset":7}}}"#,
                "encode.overrides.preset is 7, but libaom takes 0 to 6 (cpu-used): change it",
            ),
            (r#"{"encode":{"encoder":"Rav1e","overrides":{"crf":120,"preset":10,"filmGrain":64}}}"#, "fine"),
            (
                r#"{"encode":{"encoder":"Rav1e","overrides":{"lookahead":0}}}"#,
                "encode.overrides.lookahead is 0, but rav1e takes 1 to 120 (rdo-lookahead-frames): change it",
            ),
        ] {
            assert_eq!(said(json), expected, "{json}");
        }
    }

    #[test]
    fn further_parameters_are_those_of_the_encoder_and_in_its_range() {
        assert_eq!(extra("Auto", "ac-bias=1.5"), "fine");
        assert_eq!(extra("Aom", "tune=ssim"), "fine");
        assert_eq!(
            extra("SvtAv1", "sharpness=8"),
            "encode.overrides.extraParams has sharpness=8, but SVT-AV1 takes -7 to 7: change it"
        );
        assert!(extra("Aom", "ac-bias=1").starts_with("encode.overrides.extraParams has ac-bias, which is not among"));
        assert!(extra("SvtAv1", "qpfile=/etc/passwd").contains("write key=value"), "a path is no value");
        assert_eq!(extra("SvtAv1", "crf=20"), "encode.overrides.extraParams has crf: write it as encode.overrides.crf");
        assert!(extra("Aom", "cpu-used=2").ends_with("encode.overrides.preset"));
        for entry in ["--tune=1", "tune 1", "tune", "=1", "tune=", "tune=1 --rc 1", "tune=1:rc=1"] {
            assert!(extra("SvtAv1", entry).contains("write key=value"), "{entry}");
        }
    }

    #[test]
    fn hardware_is_refused_by_its_words_unless_allowed_and_unknown_even_then() {
        for entry in ["codec=av1_nvenc", "hwaccel=cuda", "encoder=av1_qsv", "QSV=1", "device=v4l2m2m"] {
            assert!(extra("Auto", entry).contains("means encoding in hardware"), "{entry}");
        }
        let allowed = r#"{"encode":{"allowHardware":true,"overrides":{"extraParams":["codec=av1_nvenc"]}}}"#;
        assert!(said(allowed).contains("not among the parameters of SVT-AV1"));
    }

    #[test]
    fn scores_belong_to_their_metric() {
        let target = |min: &str, max: &str| {
            said(&format!(
                r#"{{"encode":{{"profile":"TargetQuality","targetQuality":{{"metric":"Vmaf","min":"{min}","max":"{max}"}}}}}}"#
            ))
        };
        assert_eq!(target("93", "95"), "fine");
        assert_eq!(target("95", "95"), "encode.targetQuality.min is 95: it must be below max, which is 95");
        assert!(target("9x", "95").contains("write a score of Vmaf from 0 to 100"));
        assert_eq!(said(r#"{"encode":{"profile":"TargetQuality"}}"#), "fine");
        assert_eq!(said(r#"{"verify":{"quality":{"metric":"Xpsnr","minMean":"38"}}}"#), "fine");
        assert_eq!(
            said(r#"{"verify":{"quality":{"metric":"Ssim","minWindow":"38"}}}"#),
            "verify.quality.minWindow is 38: write a score of Ssim from 0 to 1"
        );
    }

    #[test]
    fn combinations_that_do_not_exist_are_refused() {
        assert!(said(r#"{"encode":{"profile":"FilmGrain","encoder":"Rav1e","engine":"Ffmpeg"}}"#).contains("no grain"));
        assert!(said(r#"{"encode":{"profile":"TargetQuality","engine":"Ffmpeg"}}"#).contains("searches"));
        assert!(said(r#"{"encode":{"profile":"TargetQuality","overrides":{"crf":20}}}"#).contains("remove"));
        for profile in Profile::ALL {
            let name = profile.as_str();
            for encoder in ["Auto", "SvtAv1", "Aom", "Rav1e"] {
                let json = format!(r#"{{"encode":{{"profile":"{name}","encoder":"{encoder}"}}}}"#);
                assert_eq!(said(&json), "fine", "{json}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_entry_is_judged_without_a_panic_and_never_passes_with_a_space_or_colon(entry in "\\PC{0,40}") {
            let mut settings = settings("{}");
            settings.extra_params = vec![entry.clone()];
            let fine = check(&settings).is_ok();
            prop_assert!(!fine || (!entry.contains([' ', ':']) && entry.contains('=')));
        }
    }
}
