//! The catalog role: its task and its pages.
//!
//! | page | returns |
//! |---|---|
//! | `GET /healthz`, `/readyz` | 200 while alive; ready once the volume is the right one |
//! | `GET /v1/summary` | [`CatalogSummary`] |
//! | `GET /v1/candidates?offset=N&limit=N&largest=BYTES` | [`CandidatePage`], in the library's order, files of at most so many bytes |
//! | `GET /v1/files?after=PATH&limit=N` | [`FilePage`], every path with its verdict, by path |
//! | `GET /v1/file?path=PATH` | [`FileVerdict`], or 404 |
//! | `GET /v1/plan?offset=N&limit=N` | [`PlanPage`], the candidates with what predictions need, in the library's order |
//! | `GET /v1/explain?path=PATH` | [`FileExplanation`], every gate with its figures; 404 when there is no such file |
//! | `GET /v1/reports/{job uid}/{run}` | the bytes of `report.json`, or 404 |
//! | `GET /v1/receipts?path=PATH` | the bytes of the path's receipts, or 404 |
//! | `GET /v1/outcomes?after=NEXT&limit=N` | [`super::OutcomePage`], what became of every path last |
//! | `GET /v1/stills/{job uid}/{run}` | [`super::Stills`], or 404 |
//! | `GET /v1/leftovers?offset=N&limit=N` | [`Leftovers`], what a purge could be given |
//! | `GET /v1/sidecars?after=PATH&limit=N` | [`super::SidecarPage`], sidecars that are to be written or removed |
//! | `GET /metrics` | Prometheus text |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LibraryId, PodFailure};
use crate::library::{ByteCounts, FileCounts, ScanRules};
use crate::settings::Settings;

/// What a catalog pod is to do. The library is mounted read-only at [`crate::paths::LIBRARY`], its index at
/// [`crate::paths::CATALOG`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogTask {
    /// The library.
    pub library: LibraryId,
    /// Id that the volume must have.
    pub volume_id: String,
    /// Number of the prepare Job that found the volume ready. The pod is another one after each, with a mount of its own.
    #[serde(default)]
    pub prepare_run: i64,
    /// Which files are looked at.
    pub scan: ScanRules,
    /// The library's effective settings; the gates and the digest of receipts need them.
    pub settings: Settings,
}

/// What the catalog knows as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CatalogSummary {
    /// Id of the volume that it is to read, from its task.
    pub volume_id: String,
    /// Number of the prepare Job in its task.
    pub prepare_run: i64,
    /// Why the volume is not taken for that one, as long as it is not: another was found, or it could not be read.
    pub wrong_volume: Option<PodFailure>,
    /// Counts of files; `complete` says whether the first walk has ended.
    pub files: FileCounts,
    /// Skipped files by reason.
    pub skipped_by_reason: BTreeMap<String, i64>,
    /// Counts of bytes.
    pub bytes: ByteCounts,
    /// Free bytes of the volume.
    pub free_bytes: u64,
    /// Size of the volume in bytes.
    pub total_bytes: u64,
    /// Number of finished scans since the pod started.
    pub scans: u64,
    /// When the last scan ended, RFC 3339.
    pub scan_finished_at: Option<String>,
    /// How long it took, in milliseconds.
    pub scan_millis: u64,
    /// Originals in the trash that are past their time.
    pub due_in_trash: u64,
    /// Work folders in which no run began for ten minutes, whosever they are.
    pub work_folders: u64,
    /// Jobs with a journal or a claim to which nothing was written for a day.
    pub unfinished: u64,
    /// Sidecars of scans that are to be written, written anew or removed.
    pub sidecars_due: u64,
    /// Seconds that a file must not have changed, where the volume is NFS and that asks for more than `scan.stableSeconds` says.
    pub stable_seconds: Option<u32>,
    /// Why the catalog can't do its work, when it can't (another tree under the path, no right to read).
    pub problem: Option<String>,
}

/// A file worth encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Path below the library's root.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified_time_ns: i64,
    /// Width of the main video in pixels.
    pub width: u32,
    /// Height of the main video in pixels.
    pub height: u32,
    /// Duration in milliseconds; 0 when the container does not tell.
    pub duration_millis: u64,
}

/// A page of candidates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CandidatePage {
    /// In the library's order.
    pub items: Vec<Candidate>,
    /// How many there are in all.
    pub total: u64,
    /// How many more there are that are larger than was asked for.
    pub larger: u64,
    /// Whether the first walk has ended.
    pub complete: bool,
}

/// Group of a verdict, as counted in `status.files`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileState {
    /// Worth encoding.
    Pending,
    /// Replaced by us.
    Done,
    /// AV1 already, not by us.
    AlreadyAv1,
    /// Passed over.
    Skipped,
    /// Encoded but not smaller.
    Rejected,
    /// Given up.
    Failed,
    /// Not readable by ffprobe.
    Unreadable,
}

/// The verdict on one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileVerdict {
    /// Path below the library's root; bytes that are not UTF-8 are shown as U+FFFD.
    pub path: String,
    /// Group of the verdict.
    pub state: FileState,
    /// One of [`crate::reasons`].
    pub reason: String,
    /// What was found, with the figures.
    pub message: String,
    /// Size in bytes.
    pub size: u64,
    /// Size before the encode, of a file that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_before: Option<u64>,
}

/// A page of verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilePage {
    /// By path.
    pub items: Vec<FileVerdict>,
    /// Path to pass as `after` for the next page; none at the end.
    pub next: Option<String>,
    /// Whether the first walk has ended.
    pub complete: bool,
}

/// A file in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrashItem {
    /// Path in the trash, below the library's root.
    pub trash: String,
    /// Path that the file was at.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Until when it is kept, RFC 3339.
    pub until: String,
}

/// What lies in `.av1` that may not be needed any more. Which work folders belong to living jobs the catalog cannot know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Leftovers {
    /// Files in the trash whose time is past by the catalog's clock, the oldest first.
    pub due: Vec<TrashItem>,
    /// When the time of the next one is past, RFC 3339.
    pub next_due: Option<String>,
    /// UIDs of jobs that have a work folder in which no run began for ten minutes.
    pub work: Vec<String>,
    /// UIDs of jobs with a journal or a claim to which nothing was written for a day.
    pub unfinished: Vec<String>,
}

/// A page of candidates with what a prediction needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanPage {
    /// In the library's order.
    pub items: Vec<PlanItem>,
    /// How many there are in all.
    pub total: u64,
    /// Whether the first walk has ended.
    pub complete: bool,
    /// The library's effective settings, those of the chart among them; none from an older version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

/// A file worth encoding, as far as the catalog remembers it. What it does not know is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanItem {
    /// Path below the library's root.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// The main video.
    pub video: VideoFigures,
}

/// The main video of a file in a few figures. What is not known is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoFigures {
    /// Codec, as ffprobe names it.
    pub codec: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second, as a fraction such as `24000/1001`.
    pub frame_rate: String,
    /// Duration in milliseconds.
    pub duration_millis: u64,
}

/// What a gate does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateOutcome {
    /// It lets the file pass.
    Passed,
    /// It is the first that stops it: the verdict.
    Stopped,
    /// It would stop it, but the user wants it passed over.
    Forced,
    /// It would stop it too, if the first did not.
    WouldStop,
    /// It lets the file pass for now, because what it needs is not known.
    #[serde(other)]
    Unknown,
}

impl GateOutcome {
    /// The name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Stopped => "STOPPED",
            Self::Forced => "forced",
            Self::WouldStop => "would stop",
            Self::Unknown => "not known",
        }
    }
}

/// One gate and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateStep {
    /// The gate, such as `TooSmall`.
    pub gate: String,
    /// What it does with the file.
    pub outcome: GateOutcome,
    /// One of [`crate::reasons`], where it stops it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it found, with the figures.
    #[serde(default)]
    pub found: String,
}

/// How a file would be encoded, as far as ffprobe tells; what only its frames tell the encode itself finds out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForeseenPlan {
    /// What the encode aims at.
    pub profile: String,
    /// How much time it may take.
    pub tier: String,
    /// `SvtAv1`, `Aom` or `Rav1e`.
    pub encoder: String,
    /// `Av1an` or `Ffmpeg`.
    pub engine: String,
    /// Constant rate factor; of rav1e the quantizer.
    pub crf: u32,
    /// Preset; of libaom `cpu-used`, of rav1e the speed.
    pub preset: u32,
    /// Pixel format of the output.
    pub pixel_format: String,
    /// Longest scene in frames.
    pub longest_scene_frames: u32,
    /// Every parameter of the encoder that decides what the bytes are.
    pub parameters: String,
    /// Streams that are kept, each in words.
    pub kept: Vec<String>,
    /// What is done to the picture, each in words.
    pub filters: Vec<String>,
    /// Tracks that are left out and what else is lost, each in words.
    pub dropped: Vec<String>,
    /// The new path, of a file whose container changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Every gate of the chain for one file, looked at now, and how it would be encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileExplanation {
    /// Path below the library's root.
    pub path: String,
    /// Why no scan comes by the file, when none does; it is not looked at then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Group of the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<FileState>,
    /// One of [`crate::reasons`].
    pub reason: String,
    /// What was found, with the figures.
    pub message: String,
    /// The gates in their order.
    pub gates: Vec<GateStep>,
    /// The main video, when ffprobe can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoFigures>,
    /// How it would be encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<ForeseenPlan>,
    /// Why there is no plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_plan: Option<String>,
    /// When receipts were last read: at the start of a scan, RFC 3339 of the last one that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_finished_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_version_is_read_as_far_as_it_is_known() {
        let text = r#"{"path":"a","gates":[{"gate":"New","outcome":"Postponed","more":1}],"plan":{"crf":23},"new":{}}"#;
        let page: FileExplanation = serde_json::from_str(text).unwrap();
        assert_eq!((page.gates[0].outcome, page.plan.unwrap().crf), (GateOutcome::Unknown, 23));
        let page: PlanPage = serde_json::from_str(r#"{"items":[{"path":"a","size":1}]}"#).unwrap();
        assert_eq!(page.items[0].video, VideoFigures::default());
    }
}
