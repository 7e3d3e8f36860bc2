//! The prepare role: whose the files are, `.av1/` made, and what the volume can do.

use serde::{Deserialize, Serialize};

use super::LibraryId;
use crate::library::SwapMethod;

/// What a prepare pod is to do. The volume's root is mounted at [`crate::paths::VOLUME`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrepareTask {
    /// The library.
    pub library: LibraryId,
    /// Folder of the library below the volume's root; empty means the root.
    pub sub_path: String,
    /// Which step.
    pub step: PrepareStep,
    /// Id that the volume is known to have from an earlier prepare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_volume_id: Option<String>,
    /// UIDs of the cluster's libraries, from which an owner that was deleted is told; none when the operator does not see all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub living: Option<Vec<String>>,
}

/// The two steps of prepare: the second runs as the user that the first found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrepareStep {
    /// As any user: whose the files are.
    Look,
    /// As the library's user: make `.av1/`, write its id, prove what the volume can do.
    Make,
}

/// Result of [`PrepareStep::Look`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookResult {
    /// Owner of most files looked at; of the root folder when there is no file.
    pub uid: u32,
    /// Their group.
    pub gid: u32,
    /// How many files were looked at.
    pub files: u64,
    /// Id of the volume when one is written already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<String>,
}

/// Result of [`PrepareStep::Make`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MakeResult {
    /// Random id of the volume, from `.av1/volume.json`.
    pub volume_id: String,
    /// How files are swapped in.
    pub swap: SwapMethod,
    /// Whether an inode number stays the same from one open to the next.
    pub inode_stable: bool,
    /// Free bytes for the pods' user.
    pub free_bytes: u64,
    /// Size in bytes.
    pub total_bytes: u64,
    /// What the volume can and cannot do, in plain words.
    pub message: String,
}

/// `.av1/volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeFile {
    /// Random, 32 hexadecimal digits.
    pub id: String,
    /// The library that owns it.
    pub owner: LibraryId,
    /// Version of the layout; 1.
    pub layout: u32,
}
