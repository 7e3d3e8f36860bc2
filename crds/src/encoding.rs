//! What a user may say on encoding: profile, encoder, engine, overrides, and quality that is aimed at or asked for.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profiles;

/// What the encode aims at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// Constant rate factor and preset by the height of the picture, for results that look like the source.
    #[default]
    QualityFirst,
    /// Very low rate factor and grain synthesis, for grainy film.
    FilmGrain,
    /// Smaller files in less time; black bars are cut off.
    Balanced,
    /// The rate factor of each scene is searched, so that it lands in a range of a quality metric.
    TargetQuality,
}

impl Profile {
    /// Every profile, the default first.
    pub const ALL: [Self; 4] = [Self::QualityFirst, Self::FilmGrain, Self::Balanced, Self::TargetQuality];

    /// Its name, as users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QualityFirst => "QualityFirst",
            Self::FilmGrain => "FilmGrain",
            Self::Balanced => "Balanced",
            Self::TargetQuality => "TargetQuality",
        }
    }
}

/// How much time an encode may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tier {
    /// The profile's own preset.
    #[default]
    High,
    /// One preset slower.
    VeryHigh,
}

/// Which encoder does it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EncoderChoice {
    /// The first that the image has, in the order of the others here.
    #[default]
    Auto,
    /// SVT-AV1.
    SvtAv1,
    /// libaom.
    Aom,
    /// rav1e.
    Rav1e,
}

/// What drives the encoder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EngineChoice {
    /// Av1an, and FFmpeg for what Av1an can't encode.
    #[default]
    Auto,
    /// Scene by scene; finished scenes survive a restart.
    Av1an,
    /// One FFmpeg process; a restart starts again.
    Ffmpeg,
}

/// Measures of quality against the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Metric {
    /// Extended perceptually weighted PSNR, in dB; the mean of the planes, luma counting four times.
    #[default]
    Xpsnr,
    /// SSIMULACRA2; 70 is high quality, 90 can't be told from the source.
    Ssimulacra2,
    /// VMAF, 0 to 100.
    Vmaf,
    /// PSNR, in dB, over all planes.
    Psnr,
    /// SSIM, 0 to 1, over all planes.
    Ssim,
}

impl Metric {
    /// Its name, as users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xpsnr => "Xpsnr",
            Self::Ssimulacra2 => "Ssimulacra2",
            Self::Vmaf => "Vmaf",
            Self::Psnr => "Psnr",
            Self::Ssim => "Ssim",
        }
    }
}

/// Values that override the profile's. What each may be is the encoder's own range, checked before any pod starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncodeOverrides {
    /// Constant rate factor; lower is better and larger. SVT-AV1 takes 1 to 63, libaom 0 to 63; of rav1e it is the quantizer, 0 to 255. Default: the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 255))]
    pub crf: Option<u32>,
    /// Preset; lower is slower and smaller. SVT-AV1 takes 0 to 13; of libaom it is cpu-used, 0 to 6, of rav1e the speed, 0 to 10. Default: the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 13))]
    pub preset: Option<u32>,
    /// Strength of grain synthesis; 0 is none. SVT-AV1 and libaom take 0 to 50; of rav1e it is photon noise, 0 to 64. Default: the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub film_grain: Option<u32>,
    /// Most frames from one key frame to the next. Default: the profile's, and ten seconds at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 24, max = 9_999))]
    pub keyframe_interval: Option<u32>,
    /// Frames that the encoder looks ahead. SVT-AV1 takes 0 to 120, libaom 0 to 48, rav1e 1 to 120. Default: the profile's, else the encoder's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 120))]
    pub lookahead: Option<u32>,
    /// Further parameters of the encoder, each `key=value` with a key as the encoder's own help names it, such as `ac-bias=1`; the reference lists keys and ranges. With `encoder: Auto` they are SVT-AV1's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(max = 128)))]
    #[x_kube(validation = ("self.all(p, p.matches('^[a-z0-9-]+=[A-Za-z0-9._,-]+$'))", "encode.overrides.extraParams takes entries such as ac-bias=1: a key in small letters without leading dashes, an equals sign and a value without spaces"))]
    pub extra_params: Option<Vec<String>>,
}

/// The range that each scene's score is to land in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.min) || !has(self.max) || double(self.min) < double(self.max)", "encode.targetQuality.min must be below max: write min: \"93\", max: \"95\""))]
#[x_kube(validation = ("!has(self.metric) || self.metric in ['Vmaf', 'Xpsnr', 'Ssimulacra2']", "encode.targetQuality.metric is Vmaf, Xpsnr or Ssimulacra2: the other metrics do not follow what people see closely enough to aim at"))]
pub struct TargetQualitySection {
    /// The metric: Xpsnr, Ssimulacra2 or Vmaf. Psnr and Ssim do not follow what people see closely enough to aim at, and are refused. Default: Xpsnr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Least score of a scene, a decimal string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(description = profiles::target_text("Least score of a scene, a decimal string.", 0))]
    #[schemars(length(max = 16))]
    #[x_kube(validation = ("self.matches('^[0-9]+([.][0-9]+)?$') && double(self) <= 100.0", "encode.targetQuality.min is a score from 0 to 100: write \"93\""))]
    pub min: Option<String>,
    /// Highest score that is aimed at, a decimal string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(description = profiles::target_text("Highest score that is aimed at, a decimal string.", 1))]
    #[schemars(length(max = 16))]
    #[x_kube(validation = ("self.matches('^[0-9]+([.][0-9]+)?$') && double(self) <= 100.0", "encode.targetQuality.max is a score from 0 to 100: write \"95\""))]
    pub max: Option<String>,
}

/// The quality that the whole output must have. It is measured against the source with grain synthesis off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct QualitySection {
    /// The metric. Default: Xpsnr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Least mean over all frames, a decimal string. Default: none, it is only reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = ("self.matches('^[0-9]+([.][0-9]+)?$') && double(self) <= 100.0", "verify.quality.minMean is a score from 0 to 100: write \"38\""))]
    pub min_mean: Option<String>,
    /// Least mean over any two seconds, a decimal string. Default: none, it is only reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = ("self.matches('^[0-9]+([.][0-9]+)?$') && double(self) <= 100.0", "verify.quality.minWindow is a score from 0 to 100: write \"30\""))]
    pub min_window: Option<String>,
    /// Whether an encode with grain synthesis is held to these scores too; without its grain it scores low by nature. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply_to_grain: Option<bool>,
}

/// The effective range that each scene's score is to land in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetQuality {
    /// The metric.
    pub metric: Metric,
    /// Least score of a scene, a decimal string.
    pub min: String,
    /// Highest score that is aimed at, a decimal string.
    pub max: String,
}

impl TargetQuality {
    /// `section` over the defaults of its metric.
    #[must_use]
    pub fn resolve(section: Option<&TargetQualitySection>) -> Self {
        let section = section.cloned().unwrap_or_default();
        let metric = section.metric.unwrap_or_default();
        let (min, max) = profiles::target_range(metric);
        Self {
            metric,
            min: section.min.unwrap_or_else(|| min.to_owned()),
            max: section.max.unwrap_or_else(|| max.to_owned()),
        }
    }
}

/// The effective quality that the whole output must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QualityRule {
    /// The metric.
    pub metric: Metric,
    /// Least mean over all frames, a decimal string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_mean: Option<String>,
    /// Least mean over any two seconds, a decimal string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_window: Option<String>,
    /// Whether an encode with grain synthesis is held to these scores too.
    #[serde(default)]
    pub apply_to_grain: bool,
}

impl QualityRule {
    /// `section` over the defaults.
    #[must_use]
    pub fn resolve(section: &QualitySection) -> Self {
        Self {
            metric: section.metric.unwrap_or_default(),
            min_mean: section.min_mean.clone(),
            min_window: section.min_window.clone(),
            apply_to_grain: section.apply_to_grain.unwrap_or_default(),
        }
    }
}
