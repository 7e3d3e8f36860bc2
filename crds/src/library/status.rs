//! What the operator knows about a library.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PlacementStatus;

/// What the operator knows about a library.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MediaLibraryStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// StorageReady, CatalogReady, Encoding, Degraded, Ready.
    pub conditions: Vec<Condition>,
    /// Counts of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<FileCounts>,
    /// Skipped files by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_by_reason: BTreeMap<String, i64>,
    /// Counts of bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteCounts>,
    /// Bytes saved so far, for people, such as 1.4 TiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// Live jobs by what they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobCounts>,
    /// The volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageStatus>,
    /// Where encode pods can run, and how large they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementStatus>,
    /// The last scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scan: Option<ScanStatus>,
    /// What left the trash after its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purge: Option<PurgeStatus>,
    /// Sidecars beside files that a scan passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecars: Option<SidecarStatus>,
    /// Number of prepare Jobs made so far.
    pub prepare_runs: i64,
    /// Prepare Jobs that failed since the last that did not, for the back-off.
    pub prepare_failures: i64,
    /// The next prepare Job is not made before this time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare_not_before: Option<String>,
    /// Failed jobs that ended before this time, RFC 3339, no longer pause the library: its spec was changed then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures_counted_from: Option<String>,
}

/// Counts of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FileCounts {
    /// Files with one of the extensions.
    pub total: i64,
    /// Worth encoding, or done by us.
    pub eligible: i64,
    /// Replaced by us.
    pub done: i64,
    /// AV1 already, not by us.
    pub already_av1: i64,
    /// Passed over, besides the other groups here.
    pub skipped: i64,
    /// Encoded but not smaller.
    pub rejected: i64,
    /// Given up.
    pub failed: i64,
    /// Worth encoding and not done yet.
    pub pending: i64,
    /// Not readable by ffprobe.
    pub unreadable: i64,
    /// Whether the first walk of the whole tree has ended; counts before that are of what was seen so far.
    pub complete: bool,
}

/// Counts of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ByteCounts {
    /// Of all files seen.
    pub scanned: i64,
    /// Of replaced files, before.
    pub replaced_before: i64,
    /// Of replaced files, after.
    pub replaced_after: i64,
    /// Difference of the two: what is saved once the trash is empty.
    pub freed: i64,
    /// Of originals in the trash.
    pub in_trash: i64,
}

/// Live jobs by what they do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobCounts {
    /// Waiting.
    pub queued: i64,
    /// With an encode pod.
    pub encoding: i64,
    /// With a pod that settles, marks or restores.
    pub settling: i64,
}

/// The volume, as prepare and the catalog found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageStatus {
    /// Random id written on the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<String>,
    /// User and group that the library's pods run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// Group that the library's pods run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// How files are swapped in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<SwapMethod>,
    /// Digest of the volume and users in the spec that all this is about; recorded when a prepare begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_digest: Option<String>,
    /// Digest of the volume and users in the spec that were prepared; none while a prepare is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepared_for: Option<String>,
    /// When the volume was prepared, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepared_at: Option<String>,
    /// The node that holds a ReadWriteOnce volume; all pods of the library go there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Free bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<i64>,
    /// Size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<i64>,
    /// Free space, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<String>,
    /// What the volume can and cannot do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a file is swapped in, from the safest to the least safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SwapMethod {
    /// renameat2 with RENAME_EXCHANGE: both names change at one instant.
    Exchange,
    /// The original is hard-linked into the trash, then the replacement is renamed over it.
    Link,
    /// Two renames with a journal; for an instant the name is empty.
    TwoRenames,
}

/// What left the trash after its time, and what is leaving it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PurgeStatus {
    /// Number of the latest purge Job; only rises.
    pub run: i64,
    /// Whether it is under way.
    pub active: bool,
    /// The files in the trash that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trash: Vec<String>,
    /// The work folders that it is about, by job UID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<String>,
    /// UIDs of deleted jobs that may have begun a swap; it is finished.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
    /// UID of its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// UIDs of its earlier pods, which ended without a result and may have left a claim.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_pods: Vec<String>,
    /// Runs that failed or were lost since the last that did not, for the back-off.
    pub failures: i64,
    /// No purge starts before this time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// When the last purge ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Files that left the trash so far.
    pub purged: i64,
    /// Their bytes.
    pub freed: i64,
    /// Work folders without a job that were removed so far.
    pub work_removed: i64,
    /// Files past their time that stay, because what replaced them could not be read again as it was written.
    pub kept_count: i64,
    /// How many of them this round through the trash, which begins with the oldest, has come by. The next round begins after a day.
    pub passed: i64,
    /// When it began, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_began_at: Option<String>,
    /// The latest of them, and other things on the list that stay; tried again after a day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptFile>,
}

/// Sidecars beside files that a scan passed over, as `replacement.whySidecars: All` asks for them: written and removed by one pod
/// after the other, by path, round by round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarStatus {
    /// Number of the latest Job; only rises.
    pub run: i64,
    /// Whether it is under way.
    pub active: bool,
    /// The last path that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// The last path that the round has come to; none between two rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Runs that failed or were lost since the last that did not, for the back-off.
    pub failures: i64,
    /// No run starts before this time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// When the last run ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Sidecars written so far.
    pub written: i64,
    /// Sidecars removed so far.
    pub removed: i64,
    /// Sidecars written or removed in this round.
    pub changed: i64,
    /// Sidecars that could not be written or removed in this round.
    pub left: i64,
    /// Why the last of them could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A file in the trash that stays though it is past its time, or something else on a purge's list that stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KeptFile {
    /// Its path in the trash, or a work folder, below the library's root; or the UID of a deleted job whose swap has not ended.
    pub file: String,
    /// Why it stays, and what to do.
    pub message: String,
    /// Since when, RFC 3339.
    pub at: String,
}

/// The last scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScanStatus {
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_millis: i64,
}
