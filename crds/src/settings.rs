//! How a file is treated: the sections that a library and a job share, and what they come to together.
//!
//! Sections hold only what somebody wrote (every field is optional); [`Settings::resolve`] lays a job's sections over its
//! library's, those over the chart's, and fills the rest with the defaults, which stand here and nowhere else.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::encoding::{
    EncodeOverrides, EncoderChoice, EngineChoice, Metric, Profile, QualityRule, QualitySection, TargetQuality,
    TargetQualitySection, Tier,
};
use crate::layers::settled;
use crate::profiles;
use crate::quantity::{QuantityError, parse_seconds};
use crate::reasons;

/// Default of `verify.durationToleranceMillis`.
pub const DURATION_TOLERANCE_MILLIS: u32 = 1_000;
/// Default of `sizeGate.maxPercent`.
pub const MAX_PERCENT: u32 = 90;
/// Default of `replacement.trashRetention`.
pub const TRASH_RETENTION: &str = "168h";
/// Seconds that an original stays in the trash when `replacement.originals` is Delete: a quarter of an hour.
pub const DELETE_SECONDS: u64 = 900;

/// What `streams.allow` takes; the CRD's rule names the same.
pub(crate) const LOSSES: [&str; 9] = [
    reasons::CLOSED_CAPTIONS,
    reasons::SEVERAL_VIDEO_STREAMS,
    reasons::DATA_STREAMS,
    reasons::CHROMA_REDUCED,
    reasons::DEPTH_REDUCED,
    reasons::ALPHA_LOST,
    reasons::HDR10_PLUS,
    reasons::DOLBY_VISION,
    reasons::UNSUPPORTED_SIDE_DATA,
];

/// What becomes of a verified output that is small enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReplacementMode {
    /// It takes the place of the original.
    #[default]
    Replace,
    /// It is put beside the original, as `NAME.av1.EXT`.
    Beside,
    /// It is deleted; the figures are kept. What is rejected gets no marker then, and no sidecar from its job.
    ReportOnly,
}

/// What becomes of an original that was replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Originals {
    /// It stays in the trash for `replacement.trashRetention`.
    #[default]
    Trash,
    /// It stays in the trash for 15 minutes, and then is gone.
    Delete,
    /// It stays beside the replacement, as `NAME.EXT.orig`, until somebody removes it.
    KeepBeside,
}

/// When a sidecar `NAME.EXT.why.txt` is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhySidecars {
    /// Beside files that a job left as they are, and beside those that a gate passes over for good, so that there is no job; the
    /// latter go when that no longer holds.
    All,
    /// Beside files that a job left as they are.
    #[default]
    Jobs,
    /// Never; `kubectl av1 files` says why of every file all the same.
    Off,
}

/// How much of an output's video is decoded before it may replace anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DecodeCheck {
    /// All of it.
    #[default]
    Full,
    /// Samples of it, which saves most of the time that verifying takes: the first and the last four seconds and four at each of twenty
    /// places between; a video of less than 264 seconds is decoded whole. Damage of a picture that no sample comes by is not found
    /// then; frames are counted and timed throughout, by their packets. `verify.quality`, where it is asked for, decodes the whole
    /// video all the same.
    Sampled,
}

/// Modification time of the replacement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ModifiedTime {
    /// The time of the swap, so that media servers look at the file again.
    #[default]
    Now,
    /// The original's.
    Original,
}

/// What becomes of files whose container cannot hold AV1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContainerChange {
    /// They are skipped.
    #[default]
    Skip,
    /// They become `.mkv`.
    Allow,
}

/// Whether black bars are cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CropMode {
    /// What is black from the first frame to the last is cut off.
    Auto,
    /// The picture keeps its size.
    Off,
}

/// What becomes of interlaced and telecined video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Deinterlace {
    /// It is skipped.
    #[default]
    Skip,
    /// Each frame is made whole by FFmpeg's bwdif; the frame rate stays.
    Bwdif,
}

/// How the video is encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.targetQuality) || (has(self.profile) && self.profile == 'TargetQuality')", "encode.targetQuality needs encode.profile: TargetQuality beside it: the other profiles have a fixed CRF"))]
#[x_kube(validation = ("!has(self.profile) || self.profile != 'TargetQuality' || !has(self.engine) || self.engine != 'Ffmpeg'", "encode.profile TargetQuality searches the CRF of each scene, which only Av1an encodes apart: write engine: Auto"))]
#[x_kube(validation = ("!has(self.profile) || self.profile != 'TargetQuality' || !has(self.overrides) || !has(self.overrides.crf)", "encode.profile TargetQuality searches the CRF: remove encode.overrides.crf"))]
pub struct EncodeSection {
    /// What the encode aims at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(description = profiles::profile_text())]
    pub profile: Option<Profile>,
    /// How much time it may take. Default: High.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Which encoder does it; Auto takes the first of SvtAv1, Aom and Rav1e that the image has. Default: Auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderChoice>,
    /// What drives the encoder. Av1an encodes scenes apart and goes on from finished ones; FFmpeg starts again. Auto takes FFmpeg only for a picture that changes its size, for interlaced video that is made whole, and where the source plugin counts other frames than FFmpeg. Default: Auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
    /// Values that override the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<EncodeOverrides>,
    /// Whether `overrides.extraParams` may name hardware encoding at all. The image's encoders all work in software and know no such parameter. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_hardware: Option<bool>,
    /// The range that each scene's score is to land in; with the profile TargetQuality alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_quality: Option<TargetQualitySection>,
    /// Whether black bars are cut off: Auto or Off. Default: the profile decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<CropMode>,
    /// What becomes of interlaced and telecined video: Skip, or Bwdif, which makes each frame whole at the same frame rate, through the engine FFmpeg. Default: Skip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deinterlace: Option<Deinterlace>,
}

/// Which streams are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamsSection {
    /// Audio and subtitle tracks in these languages are dropped, by primary language tag: `ru` matches rus and ru-RU.
    /// Default: none. A file whose default and original audio tracks would all go is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    #[x_kube(validation = ("self.all(l, l.matches('^[a-zA-Z]{2,3}$'))", "streams.dropLanguages takes primary language tags of two or three letters: write ru or rus, not ru-RU"))]
    pub drop_languages: Option<Vec<String>>,
    /// Whether covers are kept. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_attached_pictures: Option<bool>,
    /// What may be lost or reduced, by the reason that would keep the file as it is otherwise. Default: nothing. Of ClosedCaptions
    /// the captions within the video, of SeveralVideoStreams all but the main video, of DataStreams those streams, of
    /// ChromaReduced 4:2:2 and 4:4:4, of DepthReduced what is beyond 10 bits, of AlphaLost the alpha channel, of Hdr10Plus and
    /// DolbyVision the dynamic metadata over an HDR10 picture, of UnsupportedSideData spherical, stereo and other side data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    #[x_kube(validation = ("self.all(r, r in ['ClosedCaptions', 'SeveralVideoStreams', 'DataStreams', 'ChromaReduced', 'DepthReduced', 'AlphaLost', 'Hdr10Plus', 'DolbyVision', 'UnsupportedSideData'])", "streams.allow takes reasons: ClosedCaptions, SeveralVideoStreams, DataStreams, ChromaReduced, DepthReduced, AlphaLost, Hdr10Plus, DolbyVision, UnsupportedSideData"))]
    pub allow: Option<Vec<String>>,
}

/// How the output is checked before it may replace anything. Sound and subtitles are always decoded whole, and every packet of
/// them is compared with the source's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifySection {
    /// How much of the output's video is decoded. Default: Full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode: Option<DecodeCheck>,
    /// Largest difference of duration between source and output, for the file and for each stream, in milliseconds. Default: 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60_000))]
    pub duration_tolerance_millis: Option<u32>,
    /// The quality that the whole output must have. Default: none is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualitySection>,
}

/// How small the output has to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeGateSection {
    /// The output must be smaller than this percentage of the source, whole file against whole file. Default: 90.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_percent: Option<u32>,
    /// Whether an encode is stopped once its finished chunks show, with a confidence of 95 %, that the output will not be small
    /// enough; of a video of 100 chunks or more, at the earliest after a quarter of the frames. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_early: Option<bool>,
}

/// Who is told of a file that was replaced or brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifySection {
    /// Where the operator posts JSON, http or https: library, namespace, job, path, oldName, newName, action (Replaced or Restored),
    /// bytesBefore and bytesAfter. Each is posted at least once, for as long as the EncodeJob is there: it may come twice when the
    /// operator is restarted. An empty one tells nobody.
    #[schemars(length(max = 2048))]
    #[x_kube(validation = ("self == '' || self.matches('^https?://[^/?#@ ]+([/?#][^ ]*)?$')", "replacement.notify.url is a URL with http or https, without a user in it: write https://media.example/hooks/av1"))]
    pub url: String,
}

/// What happens to the original.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.originals) || !has(self.mode) || self.mode == 'Replace'", "replacement.originals is about originals that were replaced, and replacement.mode Beside and ReportOnly replace none: remove originals, or write mode Replace"))]
pub struct ReplacementSection {
    /// What becomes of a verified output that is small enough. Default: Replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ReplacementMode>,
    /// What becomes of an original that was replaced. Default: Trash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub originals: Option<Originals>,
    /// How long the original stays in the trash, such as 168h. Default: 168h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^([0-9]+(h|m|s))+$')", "replacement.trashRetention is a duration in hours, minutes and seconds: write 168h"))]
    pub trash_retention: Option<String>,
    /// What becomes of files whose container cannot hold AV1 (mov, avi, ts, m2ts, mpg, wmv): skipped, or turned into .mkv,
    /// which media managers may take for a new file. Default: Skip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_change: Option<ContainerChange>,
    /// Modification time of the replacement. Default: Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_time: Option<ModifiedTime>,
    /// When a sidecar `NAME.EXT.why.txt` is written. Default: Jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_sidecars: Option<WhySidecars>,
    /// Who is told after a file was replaced, and after its original was brought back. Default: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifySection>,
}

/// The sections that a library and a job share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsSections {
    /// How the video is encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode: Option<EncodeSection>,
    /// Which streams are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamsSection>,
    /// How the output is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifySection>,
    /// How small the output has to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_gate: Option<SizeGateSection>,
    /// What happens to the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<ReplacementSection>,
}

/// Every effective value for one file; frozen in a job's status when its encode starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// What the encode aims at.
    pub profile: Profile,
    /// How much time it may take.
    pub tier: Tier,
    /// Override of the profile's constant rate factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crf: Option<u32>,
    /// Override of the profile's preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<u32>,
    /// Which encoder does it.
    #[serde(default)]
    pub encoder: EncoderChoice,
    /// What drives the encoder.
    #[serde(default)]
    pub engine: EngineChoice,
    /// Override of the profile's strength of grain synthesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub film_grain: Option<u32>,
    /// Override of the profile's distance of key frames, in frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyframe_interval: Option<u32>,
    /// Override of the frames that the encoder looks ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookahead: Option<u32>,
    /// Further parameters of the encoder, each `key=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_params: Vec<String>,
    /// Whether further parameters may name hardware encoding.
    #[serde(default)]
    pub allow_hardware: bool,
    /// The range that each scene's score is to land in; of the profile TargetQuality alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_quality: Option<TargetQuality>,
    /// The quality that the whole output must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityRule>,
    /// Languages of audio and subtitle tracks that are dropped, lower case.
    pub drop_languages: Vec<String>,
    /// Whether covers are kept.
    #[serde(default)]
    pub keep_attached_pictures: bool,
    /// What may be lost or reduced, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Whether black bars are cut off; none leaves it to the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<CropMode>,
    /// What becomes of interlaced and telecined video.
    #[serde(default)]
    pub deinterlace: Deinterlace,
    /// How much of the output's video is decoded.
    #[serde(default)]
    pub decode: DecodeCheck,
    /// Largest difference of duration, in milliseconds.
    pub duration_tolerance_millis: u32,
    /// The output must be smaller than this percentage of the source.
    pub max_percent: u32,
    /// Whether an encode that cannot become small enough is stopped.
    #[serde(default = "stop_early")]
    pub stop_early: bool,
    /// What becomes of a verified output that is small enough.
    #[serde(default)]
    pub replacement_mode: ReplacementMode,
    /// What becomes of an original that was replaced.
    #[serde(default)]
    pub originals: Originals,
    /// Seconds that the original stays in the trash, unless `originals` says otherwise.
    pub trash_retention_seconds: u64,
    /// What becomes of files whose container cannot hold AV1.
    #[serde(default)]
    pub container_change: ContainerChange,
    /// Modification time of the replacement.
    pub modified_time: ModifiedTime,
    /// When a sidecar is written.
    pub why_sidecars: WhySidecars,
    /// Where the operator tells of a file that was replaced or brought back; none tells nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_url: Option<String>,
}

/// Default of `sizeGate.stopEarly`.
fn stop_early() -> bool {
    true
}

impl Settings {
    /// The same without what is the operator's alone: a URL may hold a secret, and what pods are told ends on the volume.
    #[must_use]
    pub fn for_pods(&self) -> Self {
        Self { notify_url: None, ..self.clone() }
    }

    /// Seconds that a file which made room stays in the trash.
    #[must_use]
    pub fn retention_seconds(&self) -> u64 {
        if self.originals == Originals::Delete { DELETE_SECONDS } else { self.trash_retention_seconds }
    }

    /// Takes over what the user forces for one file: where a loss stands behind the gate, that gives leave for the
    /// loss, and interlaced video is deinterlaced.
    pub fn force(&mut self, forced: &[String]) {
        // Passing over the gate is not enough: the plan asks for leave as well.
        let is_loss = |reason: &str| {
            let may_be_forced = LOSSES.contains(&reason) && !reasons::NEVER_FORCED.contains(&reason);
            may_be_forced || reason == reasons::WOULD_DROP_ORIGINAL_LANGUAGE
        };
        let new: Vec<String> =
            forced.iter().filter(|reason| is_loss(reason) && !self.allows(reason)).cloned().collect();
        self.allow.extend(new);
        if forced.iter().any(|reason| reason == reasons::INTERLACED) {
            self.deinterlace = Deinterlace::Bwdif;
        }
    }

    /// Whether what `reason` is about may be lost or reduced.
    #[must_use]
    pub fn allows(&self, reason: &str) -> bool {
        self.allow.iter().any(|allowed| allowed == reason)
    }

    /// The effective values of `layers`, lowest first, over the defaults: of each field that of the highest layer which writes it. An
    /// empty list is written too.
    ///
    /// What a higher layer rules out in a lower one is left out of that:
    /// - a profile TargetQuality below a fixed rate factor, grain or the engine FFmpeg, and those below that profile;
    /// - `encode.targetQuality` where another profile holds;
    /// - `encode.overrides` below a layer that names another encoder, but for `keyframeInterval`;
    /// - `replacement.originals` below a mode that replaces none;
    /// - `encode.targetQuality` and `verify.quality` below another of the same: their scores belong to their metric.
    ///
    /// # Errors
    /// [`QuantityError::Duration`] when `trashRetention` is not a duration.
    pub fn resolve(layers: &[&SettingsSections]) -> Result<Self, QuantityError> {
        let layers = settled(layers);
        macro_rules! pick {
            ($section:ident . $field:ident) => {
                layers.iter().rev().find_map(|layer| layer.$section.as_ref()?.$field.clone())
            };
            ($section:ident . $inner:ident . $field:ident) => {
                layers.iter().rev().find_map(|layer| layer.$section.as_ref()?.$inner.as_ref()?.$field.clone())
            };
        }
        let retention = pick!(replacement.trash_retention).unwrap_or_else(|| TRASH_RETENTION.to_owned());
        let profile = pick!(encode.profile).unwrap_or_default();
        let target = pick!(encode.target_quality);
        Ok(Self {
            profile,
            tier: pick!(encode.tier).unwrap_or_default(),
            crf: pick!(encode.overrides.crf),
            preset: pick!(encode.overrides.preset),
            encoder: pick!(encode.encoder).unwrap_or_default(),
            engine: pick!(encode.engine).unwrap_or_default(),
            film_grain: pick!(encode.overrides.film_grain),
            keyframe_interval: pick!(encode.overrides.keyframe_interval),
            lookahead: pick!(encode.overrides.lookahead),
            extra_params: pick!(encode.overrides.extra_params).unwrap_or_default(),
            allow_hardware: pick!(encode.allow_hardware).unwrap_or_default(),
            target_quality: (profile == Profile::TargetQuality).then(|| TargetQuality::resolve(target.as_ref())),
            quality: pick!(verify.quality).as_ref().map(QualityRule::resolve),
            drop_languages: pick!(streams.drop_languages)
                .unwrap_or_default()
                .iter()
                .map(|tag| tag.to_lowercase())
                .collect(),
            keep_attached_pictures: pick!(streams.keep_attached_pictures).unwrap_or_default(),
            allow: pick!(streams.allow).unwrap_or_default(),
            crop: pick!(encode.crop),
            deinterlace: pick!(encode.deinterlace).unwrap_or_default(),
            decode: pick!(verify.decode).unwrap_or_default(),
            duration_tolerance_millis: pick!(verify.duration_tolerance_millis).unwrap_or(DURATION_TOLERANCE_MILLIS),
            max_percent: pick!(size_gate.max_percent).unwrap_or(MAX_PERCENT),
            stop_early: pick!(size_gate.stop_early).unwrap_or_else(stop_early),
            replacement_mode: pick!(replacement.mode).unwrap_or_default(),
            originals: pick!(replacement.originals).unwrap_or_default(),
            trash_retention_seconds: parse_seconds(&retention)?,
            container_change: pick!(replacement.container_change).unwrap_or_default(),
            modified_time: pick!(replacement.modified_time).unwrap_or_default(),
            why_sidecars: pick!(replacement.why_sidecars).unwrap_or_default(),
            notify_url: pick!(replacement.notify).map(|notify| notify.url).filter(|url| !url.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forcing_a_gate_gives_leave_for_the_loss_behind_it_once_and_for_no_other() {
        let mut settings = Settings::resolve(&[]).unwrap();
        let forced = ["TooSmall", "DataStreams", "DolbyVision", "DataStreams"].map(str::to_owned);
        settings.force(&forced[..2]);
        settings.force(&forced);
        assert_eq!(
            (settings.allow.as_slice(), settings.deinterlace),
            (&["DataStreams".to_owned()][..], Deinterlace::Skip)
        );
        settings.force(&["Interlaced".to_owned()]);
        assert_eq!(settings.deinterlace, Deinterlace::Bwdif);
    }

    #[test]
    fn a_job_may_tell_nobody_and_pods_never_learn_who_is_told() {
        let section = |url: &str| {
            serde_json::from_value(
                serde_json::json!({"replacement": {"notify": {"url": url}}, "verify": {"decode": "Sampled"}}),
            )
            .unwrap()
        };
        let library: SettingsSections = section("http://hook:8080/av1?key=secret");
        let settings = Settings::resolve(&[&library]).unwrap();
        assert_eq!(settings.notify_url.as_deref(), Some("http://hook:8080/av1?key=secret"));
        assert_eq!(settings.decode, DecodeCheck::Sampled);
        assert_eq!(settings.for_pods(), Settings { notify_url: None, ..settings.clone() });
        assert_eq!(Settings::resolve(&[&library, &section("")]).unwrap().notify_url, None);
    }

    #[test]
    fn a_jobs_value_wins_over_the_librarys_and_that_over_the_default() {
        let library: SettingsSections = serde_json::from_str(
            r#"{"sizeGate":{"maxPercent":80},"streams":{"dropLanguages":["RU"]},"encode":{"overrides":{"crf":30}}}"#,
        )
        .unwrap();
        let job: SettingsSections = serde_json::from_str(r#"{"encode":{"overrides":{"crf":20}}}"#).unwrap();
        let settings = Settings::resolve(&[&library, &job]).unwrap();
        assert_eq!((settings.max_percent, settings.crf, settings.preset), (80, Some(20), None));
        assert_eq!(settings.drop_languages, ["ru"]);
        assert_eq!(settings.trash_retention_seconds, 604_800);
    }
}
