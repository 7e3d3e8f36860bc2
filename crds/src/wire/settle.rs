//! The settle role: the only one that changes the library. It acts on its arguments alone.

use serde::{Deserialize, Serialize};

use super::{EncodeVerdict, FileIdentity, JobId, LibraryId, OutputFile, SizeGateResult};
use crate::library::SwapMethod;
use crate::settings::Settings;

/// What a settle pod is to do. The library is mounted read-write at [`crate::paths::LIBRARY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleTask {
    /// The library.
    pub library: LibraryId,
    /// The job; `run` is the run of the encode whose outcome this is.
    pub job: JobId,
    /// Id that the volume must have.
    pub volume_id: String,
    /// Path of the file below the library's root.
    pub path: String,
    /// Identity of the source as planned. Without a fingerprint, of a job that was cancelled before it began: whatever is there.
    pub source: FileIdentity,
    /// What the encode came to.
    pub verdict: EncodeVerdict,
    /// One of [`crate::reasons`].
    pub reason: String,
    /// What happened, with the figures; goes into receipt and sidecar.
    pub message: String,
    /// The output, when the verdict is `Encoded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFile>,
    /// SHA-256 of the report in the work folder, which goes into the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_sha256: Option<String>,
    /// Size against the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gate: Option<SizeGateResult>,
    /// Effective settings.
    pub settings: Settings,
    /// Gates that the user wants passed over, by reason: with `SkipMarker` the user's markers do not keep the file as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub force: Vec<String>,
    /// Whether a scan offered the file and nobody asked for it: what the user wished before, by the path's receipts, keeps it as
    /// it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offered: bool,
    /// How files are swapped in on this volume.
    pub swap: SwapMethod,
    /// UIDs of pods that were seen to end; a claim that one of them left is taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takeover_from: Vec<String>,
}

/// What became of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettleVerdict {
    /// The verified output is in place, the original is kept.
    Replaced,
    /// The verified output is beside the original, which is untouched.
    PutBeside,
    /// The figures are written down; the file is untouched and the output gone.
    Reported,
    /// The name that the output was to have is another file's: nothing was changed, and that is written down as a failure.
    TargetExists,
    /// Markers and receipt are written; the file is untouched.
    Recorded,
    /// The file is not the one that was encoded; nothing was changed.
    SourceChanged,
}

/// Result of a settle pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResult {
    /// What became of the file.
    pub verdict: SettleVerdict,
    /// What happened, with the figures.
    pub message: String,
    /// Path of the receipt below the library's root.
    pub receipt: String,
    /// Path of the output below the library's root, when that is not the source's. None too when it has more than 500 bytes or
    /// control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Path of the original below the library's root, when it was replaced: in the trash, or beside the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// SHA-256 of the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_sha256: Option<String>,
    /// Size of the original in bytes.
    pub bytes_before: u64,
    /// Size of what is there now in bytes.
    pub bytes_after: u64,
    /// What could not be kept (mode, group, ACL, extended attributes), in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_kept: Vec<String>,
}
