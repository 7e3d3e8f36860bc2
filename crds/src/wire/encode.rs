//! The encode role: its task, progress page, result and report. The page is `GET /progress` on [`crate::AGENT_PORT`], with
//! `/healthz` and `/metrics` beside it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileIdentity, JobId, LibraryId};
use crate::library::ScanRules;
use crate::settings::Settings;

/// What an encode pod, and its init container (`workdir`), are to do. The library is mounted read-only at
/// [`crate::paths::LIBRARY`], the run's own folder at [`crate::paths::WORK`]; the init container has `.av1` at
/// [`crate::paths::STATE_ROOT`] instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodeTask {
    /// The library.
    pub library: LibraryId,
    /// The job; its folder is `.av1/work/<uid>/<run>`.
    pub job: JobId,
    /// Id that the volume must have.
    pub volume_id: String,
    /// Path of the file below the library's root.
    pub path: String,
    /// Effective settings.
    pub settings: Settings,
    /// Scan rules; the gates are judged again in the encode pod.
    pub scan: ScanRules,
    /// Encoder processes at once; 0 takes it from the plan.
    pub workers: u32,
    /// Percentage of its CPUs that the encode uses when they are not its own; all of them when they are.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub target_utilization_percent: u32,
    /// Gates that the user wants passed over, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub force: Vec<String>,
    /// Whether the user asked for the file again: what was decided or marked by us before does not stop it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// The latest earlier run of this job whose pod has ended; the init container takes its work folder over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_over_run: Option<i64>,
    /// A run whose pod may still be at work on a node that is not heard of: the init container leaves it its folder, and links
    /// the chunks there into the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_run: Option<i64>,
}

const fn all() -> u32 {
    100
}

const fn is_all(percent: &u32) -> bool {
    *percent == all()
}

/// Result of the init container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkdirResult {
    /// Free bytes on the volume.
    pub free_bytes: u64,
    /// Whether an earlier run's folder was taken over.
    pub taken_over: bool,
}

/// CPUs, as a pod saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Pinning {
    /// The CPUs it may run on, such as `8-15`.
    pub cpus: String,
    /// Whether they are its own: as many as the whole-CPU limit, fewer than the node has or all of them reserved, and no CFS quota.
    pub exclusive: bool,
    /// Model name of the CPU.
    pub cpu_model: String,
    /// Number of L3 cache domains that they span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_domains: Option<u32>,
}

/// The source in a few fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MediaSummary {
    /// Container, as ffprobe names it.
    pub container: String,
    /// Codec of the main video.
    pub codec: String,
    /// Pixel format of the main video.
    pub pixel_format: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second, as a fraction such as `24000/1001`; the average where they vary.
    pub frame_rate: String,
    /// Whether the distances of the frames vary.
    pub variable_frame_rate: bool,
    /// `Hdr10` or `Hlg`; empty for a standard dynamic range.
    pub hdr: String,
    /// Duration in seconds, a decimal string.
    pub duration_seconds: String,
    /// Decoded frames; 0 until they are counted.
    pub frames: u64,
    /// Bits a second of the whole file.
    pub bit_rate: u64,
    /// Number of audio tracks.
    pub audio: u32,
    /// Number of subtitle tracks.
    pub subtitles: u32,
}

/// Where a source seems to come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceKind {
    /// Neither can be told.
    #[default]
    Unknown,
    /// A web release: its time stamps are put right where they are missing, and start at zero.
    WebLike,
    /// A disc.
    DiscLike,
}

/// Where a source seems to come from, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Classification {
    /// WebLike, DiscLike or Unknown.
    pub kind: SourceKind,
    /// Points for WebLike less points for DiscLike; a margin under 2 is Unknown.
    pub score: i32,
    /// Each point with what it is for.
    pub reasons: Vec<String>,
}

/// How a file is encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EncodePlan {
    /// `Av1an` or `Ffmpeg`.
    pub engine: String,
    /// `SvtAv1`, `Aom` or `Rav1e`.
    pub encoder: String,
    /// As the encoder prints it.
    pub encoder_version: String,
    /// Preset; of libaom `cpu-used`, of rav1e the speed.
    pub preset: u32,
    /// Constant rate factor; of rav1e the quantizer. Where it is searched for each scene, where the search began.
    pub crf: u32,
    /// Rate factors of the scenes where they are searched, such as `18 to 31`, once they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf_range: Option<String>,
    /// Every parameter of the encoder that decides what the bytes are, by the encoder's own names.
    pub parameters: String,
    /// Encoder processes at once.
    pub workers: u32,
    /// Threads of each (of SVT-AV1 the level of parallelism).
    pub threads_per_worker: u32,
    /// Scenes that are encoded apart; 0 until they are known.
    pub chunks: u32,
    /// What is done to the picture before it is encoded, each in words.
    pub filters: Vec<String>,
    /// Tracks that are left out and what else is lost, each in words.
    pub dropped: Vec<String>,
    /// Path below the library's root that the output is to have, when its container and so its name changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// One check of the output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Check {
    /// Name, `UpperCamelCase`, such as `FrameCount`.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was expected.
    pub expected: String,
    /// What was measured.
    pub measured: String,
}

/// Quality of the output against the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QualityScore {
    /// The metric.
    pub metric: String,
    /// Mean over all frames, a decimal string.
    pub mean: String,
    /// Least mean over any two seconds, a decimal string.
    pub worst_window: String,
    /// Where those two seconds begin, in seconds, a decimal string.
    pub worst_window_at: String,
}

/// Size of the output against the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SizeGateResult {
    /// Size of the source in bytes.
    pub input_bytes: u64,
    /// Size of the output in bytes.
    pub output_bytes: u64,
    /// Output in percent of the source, rounded up.
    pub percent: u32,
    /// The output must be smaller than this.
    pub max_percent: u32,
    /// Whether it is.
    pub passed: bool,
}

/// What the encode pod does now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Looks at the source and decides.
    #[default]
    Probing,
    /// Muxes the first seconds of all kept streams with a stub of the video, to see whether they can be carried.
    Rehearsing,
    /// Decodes the source once, to count frames and take their times.
    Analysing,
    /// Finds scenes.
    SplittingScenes,
    /// Encodes.
    Encoding,
    /// Puts video and the other streams together.
    Muxing,
    /// Checks the output.
    Verifying,
    /// Has a verdict.
    Finished,
}

impl Stage {
    /// The name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probing => "Probing",
            Self::Rehearsing => "Rehearsing",
            Self::Analysing => "Analysing",
            Self::SplittingScenes => "SplittingScenes",
            Self::Encoding => "Encoding",
            Self::Muxing => "Muxing",
            Self::Verifying => "Verifying",
            Self::Finished => "Finished",
        }
    }
}

/// Figures of the node that a pod runs on, and of its own part in them, as the pod sees them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeFigures {
    /// Part of the whole node's CPU time that was in use of late, 0 to 1.
    pub cpu_utilization: f64,
    /// Part of the whole node's memory in use, 0 to 1.
    pub memory_utilization: f64,
    /// Load averages of the node over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// CPUs that the pod may use: of its affinity, or fewer by its quota.
    pub assigned_cpus: u32,
    /// CPUs that the pod kept busy of late; none where its cgroup does not tell.
    pub busy_cpus: Option<f64>,
}

/// The progress page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EncodeProgress {
    /// UID of the EncodeJob.
    pub job_uid: String,
    /// Number of the run.
    pub run: i64,
    /// What the pod does now.
    pub stage: Stage,
    /// Frames encoded: of finished chunks and in flight.
    pub frames: u64,
    /// Frames in all; 0 until they are counted.
    pub total_frames: u64,
    /// Frames a second over the last minute.
    pub frames_per_second: f64,
    /// Seconds until the last frame is encoded.
    pub eta_seconds: Option<u64>,
    /// Bits a second of the video in finished chunks.
    pub bit_rate: Option<u64>,
    /// Projected size of the output in bytes.
    pub projected_size: Option<u64>,
    /// Finished chunks.
    pub chunks_done: u32,
    /// Finished chunks that an earlier run left.
    pub chunks_resumed: u32,
    /// Chunks in all.
    pub chunks: u32,
    /// CPUs, as the pod sees them.
    pub pinning: Pinning,
    /// The node and the pod's part in it, once measured.
    pub node: Option<NodeFigures>,
    /// Identity of the source, once taken; a job that is given up later is recorded under it.
    pub source: Option<FileIdentity>,
    /// The source, once probed.
    pub media: Option<MediaSummary>,
    /// Where the source seems to come from, once its frames are known.
    pub classification: Option<Classification>,
    /// The plan, once made.
    pub plan: Option<EncodePlan>,
    /// Milliseconds since 1970 when these figures were taken.
    pub timestamp_unix_ms: i64,
}

/// What an encode came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncodeVerdict {
    /// A verified, smaller output waits in the work folder.
    Encoded,
    /// The output is not worth it.
    Rejected,
    /// The file is not to be encoded.
    Skipped,
    /// The output did not pass its checks; final.
    Failed,
}

/// The output in the work folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFile {
    /// File name in the run's folder.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Path below the library's root that it is to have, when that is not the source's: of a file whose container changes.
    /// Nothing but [`crate::paths::in_other_container`] of the source's path: whoever acts on it checks that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Result of an encode pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodeResult {
    /// What it came to.
    pub verdict: EncodeVerdict,
    /// One of [`crate::reasons`].
    pub reason: String,
    /// What happened, with the figures.
    pub message: String,
    /// Identity of the source that was encoded or judged.
    pub source: Option<FileIdentity>,
    /// The output, when the verdict is `Encoded`.
    pub output: Option<OutputFile>,
    /// SHA-256 of the whole report in the work folder.
    pub report_sha256: Option<String>,
    /// Size against the source, when there was an output.
    pub size_gate: Option<SizeGateResult>,
    /// CPUs, as the pod saw them.
    pub pinning: Pinning,
    /// Frames encoded.
    pub frames: u64,
    /// Seconds spent encoding in this run.
    pub encode_seconds: f64,
    /// Chunks taken over from earlier runs.
    pub chunks_resumed: u32,
}

/// The whole report, `report.json` in the work folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodeReport {
    /// The result, as in the termination message but for its own hash.
    pub result: EncodeResult,
    /// The source.
    pub media: Option<MediaSummary>,
    /// Where the source seems to come from.
    #[serde(default)]
    pub classification: Option<Classification>,
    /// The plan.
    pub plan: Option<EncodePlan>,
    /// Every check.
    pub checks: Vec<Check>,
    /// Quality against the source, when it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityScore>,
    /// Effective settings.
    pub settings: Settings,
    /// Versions of the tools, by name.
    pub versions: BTreeMap<String, String>,
    /// Argument vectors of the commands that made the output, by step.
    pub commands: BTreeMap<String, Vec<String>>,
    /// What was left undone without harm to the output, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
