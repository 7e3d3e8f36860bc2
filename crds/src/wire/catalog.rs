//! The catalog role: its task and its pages.
//!
//! | page | returns |
//! |---|---|
//! | `GET /healthz`, `/readyz` | 200 while alive; ready once the volume is the right one |
//! | `GET /v1/summary` | [`CatalogSummary`] |
//! | `GET /v1/candidates?offset=N&limit=N` | [`CandidatePage`], in the library's order |
//! | `GET /v1/files?after=PATH&limit=N` | [`FilePage`], every path with its verdict, by path |
//! | `GET /v1/file?path=PATH` | [`FileVerdict`], or 404 |
//! | `GET /v1/reports/{job uid}/{run}` | the bytes of `report.json`, or 404 |
//! | `GET /v1/receipts?path=PATH` | the bytes of the path's receipts, or 404 |
//! | `GET /v1/leftovers?limit=N` | [`Leftovers`], what a purge could be given |
//! | `GET /v1/sidecars?after=PATH&limit=N` | [`super::SidecarPage`], sidecars that are to be written or removed |
//! | `GET /metrics` | Prometheus text |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LibraryId;
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
    /// Which files are looked at.
    pub scan: ScanRules,
    /// The library's effective settings; the gates and the digest of receipts need them.
    pub settings: Settings,
}

/// What the catalog knows as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CatalogSummary {
    /// Id of the volume that it reads.
    pub volume_id: String,
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
    /// Sidecars of scans that are to be written, written anew or removed.
    pub sidecars_due: u64,
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
}
