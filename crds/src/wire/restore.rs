//! The roles that undo and tidy up: restore, mark, purge. Each acts on its arguments, the receipts and the trash alone.
//!
//! All three have the library read-write at [`crate::paths::LIBRARY`], parse no media and start no program. Like settle they
//! exit with [`crate::reasons::exit::CLAIM_HELD`] while another pod works on the path.

use serde::{Deserialize, Serialize};

use super::{JobId, LibraryId};
use crate::library::SwapMethod;

/// Which of the two files is wanted at the name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// The original; the AV1 file goes to the trash.
    #[default]
    Original,
    /// The AV1 file that a restore put into the trash: undo, undone. When it is there no more, the answer is
    /// [`RestoreVerdict::Refused`] with the reason `NotInTrash`, and only a new encode brings it back.
    Encoded,
}

/// What a restore pod is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreTask {
    /// The library.
    pub library: LibraryId,
    /// The job that asks, with its run: not necessarily the one that encoded. Every pod of one restore has the same.
    pub job: JobId,
    /// Id that the volume must have.
    pub volume_id: String,
    /// Path below the library's root that the file had when it was encoded, or has now.
    pub path: String,
    /// Which file is wanted at the name.
    #[serde(default)]
    pub wanted: Wanted,
    /// Seconds that the file which makes room stays in the trash.
    pub trash_retention_seconds: u64,
    /// How files are swapped in on this volume.
    pub swap: SwapMethod,
    /// UIDs of pods that were seen to end; a claim that one of them left is taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takeover_from: Vec<String>,
}

/// What a restore came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreVerdict {
    /// The wanted file is at the name, byte for byte, and the other one in the trash.
    Restored,
    /// The wanted file was at the name already; nothing was changed.
    AlreadyThere,
    /// It cannot be done, for the reason and the sentence in the result; nothing was changed.
    Refused,
}

/// Result of a restore pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreResult {
    /// What it came to.
    pub verdict: RestoreVerdict,
    /// One of [`crate::reasons`]: `Restored`, or why it was refused.
    pub reason: String,
    /// What happened, with the figures.
    pub message: String,
    /// Path of the wanted file below the library's root; where the AV1 file was found, if it was renamed. Empty when it has
    /// more than 500 bytes or control characters: the receipt has it.
    pub path: String,
    /// SHA-256 of the whole file there, as read back after the swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Path in the trash, below the library's root, of the file that made room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// Until when that file is kept, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_until: Option<String>,
    /// Path of the receipt below the library's root.
    pub receipt: String,
    /// What could not be tidied up, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_kept: Vec<String>,
}

/// What is done about a file's marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkAction {
    /// Write a marker of ours about the file as it is now: the user's wish that it is not encoded.
    Skip,
    /// Remove a marker and a sidecar of ours; the user's own stay.
    Unskip,
}

/// What a mark pod is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkTask {
    /// The library.
    pub library: LibraryId,
    /// The job that asks.
    pub job: JobId,
    /// Id that the volume must have.
    pub volume_id: String,
    /// Path of the file below the library's root.
    pub path: String,
    /// What is done.
    pub action: MarkAction,
    /// UIDs of pods that were seen to end; a claim that one of them left is taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takeover_from: Vec<String>,
}

/// What became of the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkVerdict {
    /// A marker of ours stands beside the file.
    Marked,
    /// No marker of ours stands beside the file.
    Unmarked,
    /// A marker of the user's is there: it stays as it is, and keeps the file from being encoded.
    UsersMarker,
    /// There is no such file; nothing was written.
    NotFound,
}

/// Result of a mark pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkResult {
    /// What became of the marker.
    pub verdict: MarkVerdict,
    /// What happened.
    pub message: String,
    /// Path of the marker below the library's root.
    pub marker: String,
}

/// Stands for a job in the claims of a purge, and among those that did not end what they began.
pub const NO_JOB: &str = "purge";

/// Most trash entries, and most work folders, that one purge is given; the arguments of a pod have a limit of size.
pub const MAX_PURGE: usize = 100;

/// What a purge pod is to do. Nothing but what is listed here is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeTask {
    /// The library.
    pub library: LibraryId,
    /// Id that the volume must have.
    pub volume_id: String,
    /// Paths of files in the trash below the library's root, as `original` in a settle result, at most [`MAX_PURGE`]. One goes
    /// only when its time is past by the server's clock and what replaced it was read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trash: Vec<String>,
    /// UIDs of jobs that have ended and will have no other run: their work folders go, at most [`MAX_PURGE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<String>,
    /// UIDs of jobs that do not exist any more and none of whose pods runs: a swap that one of them began is finished, and its claims
    /// go, at most [`MAX_PURGE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
    /// UIDs of pods that were seen to end; a claim that one of them left is taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takeover_from: Vec<String>,
}

/// Something that a purge left where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// As in the task a path in the trash, or the UID of a deleted job; or a work folder.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// Result of a purge pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PurgeResult {
    /// Files that left the trash, or had left it before.
    pub purged: u32,
    /// Work folders that were removed, or had been before.
    pub work_removed: u32,
    /// Swaps of deleted jobs that have ended, in words: path and what became of it; the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finished: Vec<String>,
    /// Bytes of the files that left the trash.
    pub bytes: u64,
    /// How many files stay in the trash.
    pub kept_count: u32,
    /// The first few of those, and what else stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}
