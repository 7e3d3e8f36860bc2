//! EncodeJob: one file and what becomes of it.

#![allow(clippy::duplicated_attributes, reason = "the columns of a kind repeat the same keys")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layers::SettingsFrom;
use crate::settings::{Settings, SettingsSections};
use crate::wire::{
    Check, Classification, EncodePlan, FileIdentity, MediaSummary, Pinning, QualityScore, SizeGateResult,
};

/// One file of a library and what becomes of it.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "av1.media",
    version = "v1alpha1",
    kind = "EncodeJob",
    namespaced,
    shortname = "ej",
    category = "av1",
    status = "EncodeJobStatus",
    derive = "PartialEq",
    doc = "One file of a library and what becomes of it.",
    printcolumn(name = "Library", type_ = "string", json_path = ".spec.libraryRef.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress.percent"),
    printcolumn(name = "FPS", type_ = "string", json_path = ".status.progress.framesPerSecond"),
    printcolumn(name = "ETA", type_ = "string", json_path = ".status.progress.eta"),
    printcolumn(name = "Saved", type_ = "string", json_path = ".status.saved"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.outcome.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.nodeName", priority = 1),
    printcolumn(name = "File", type_ = "string", json_path = ".spec.source.path", priority = 1),
    printcolumn(name = "Ratio", type_ = "string", json_path = ".status.sizeGate.percent", priority = 1),
    printcolumn(name = "Score", type_ = "string", json_path = ".status.quality.mean", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.libraryRef == oldSelf.libraryRef", "spec.libraryRef cannot be changed: make a new EncodeJob"))]
#[x_kube(validation = ("(has(self.retry) ? self.retry : 0) >= (has(oldSelf.retry) ? oldSelf.retry : 0)", "spec.retry only rises: write a number above the present one"))]
#[x_kube(validation = ("self.source == oldSelf.source", "spec.source cannot be changed: make a new EncodeJob"))]
pub struct EncodeJobSpec {
    /// The library that the file belongs to.
    pub library_ref: LibraryReference,
    /// The file.
    pub source: Source,
    /// Values that override the library's for this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsSections>,
    /// While true no encode starts, and a running one stops, keeping what it finished. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// What is to become of the file. `Original` and `Skipped` work at any time, also on a file that another job replaced.
    /// Default: Encoded.
    #[serde(default)]
    pub desired: Desired,
    /// Gates that are passed over, by reason, such as TooSmall, SkipMarker or HardLinked. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 64)))]
    #[x_kube(validation = ("self.all(r, !(r in ['NotRegular', 'NotStable', 'OtherOwner', 'CannotDecode', 'UnsupportedStream']))", "spec.force cannot pass over NotRegular, NotStable, OtherOwner, CannotDecode and UnsupportedStream, which protect the file: remove them, and put right what the gate names"))]
    #[x_kube(validation = ("self.all(r, !(r in ['UnrepresentableName', 'Unreadable', 'NoVideo']))", "spec.force cannot pass over UnrepresentableName, Unreadable and NoVideo: there would be nothing to encode, remove them"))]
    #[x_kube(validation = ("self.all(r, !(r in ['ContainerChange', 'DolbyVision']))", "spec.force cannot pass over ContainerChange and DolbyVision: set spec.settings.replacement.containerChange or spec.settings.streams.allow instead"))]
    pub force: Vec<String>,
    /// Jobs with a higher number start first; of equal ones, the older. -1000 to 1000. Default: 0.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Raise it to try a job again that has ended: failures count from zero, and what was decided before does not stop it.
    /// Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub retry: i64,
}

impl EncodeJob {
    /// The phase on record; a job without a status is Queued.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Queued, |status| status.phase)
    }
}

/// What is to become of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Desired {
    /// AV1; a file that was brought back comes out of the trash again, or is encoded again.
    #[default]
    Encoded,
    /// The original is brought back from the trash, the AV1 file goes there.
    Original,
    /// A running encode stops, and the file is remembered as cancelled: no scan takes it up again.
    Cancelled,
    /// A marker beside the file keeps it as it is.
    Skipped,
}

/// Name of a MediaLibrary in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LibraryReference {
    /// Its name.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Source {
    /// Path below the library's root.
    #[schemars(length(min = 1, max = 4096))]
    #[x_kube(validation = ("!self.startsWith('/')", "spec.source.path is relative to the library's root: remove the leading slash"))]
    #[x_kube(validation = ("self.split('/').all(part, part != '..')", "spec.source.path must stay below the library's root: remove the .. from it"))]
    #[x_kube(validation = ("self.startsWith('/') || self.split('/').all(part, part != '' && part != '.')", "spec.source.path has one spelling: write single slashes between names, without . and without one at the end"))]
    pub path: String,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Waits for a slot, the library or another job on the same file.
    #[default]
    Queued,
    /// Has an encode pod.
    Encoding,
    /// Suspended; finished chunks are kept.
    Paused,
    /// Has a settle or a mark pod.
    Settling,
    /// Has a restore pod.
    Restoring,
    /// The file was replaced.
    Succeeded,
    /// The file is not to be encoded; it is untouched.
    Skipped,
    /// The output was not worth it; the file is untouched.
    Rejected,
    /// Given up; the file is untouched.
    Failed,
    /// The original is back in its place.
    Restored,
    /// Cancelled by the user; the file is untouched.
    Cancelled,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 11] = [
        Self::Queued,
        Self::Encoding,
        Self::Paused,
        Self::Settling,
        Self::Restoring,
        Self::Succeeded,
        Self::Skipped,
        Self::Rejected,
        Self::Failed,
        Self::Restored,
        Self::Cancelled,
    ];

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Encoding | Self::Paused | Self::Settling | Self::Restoring)
    }

    /// The name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Encoding => "Encoding",
            Self::Paused => "Paused",
            Self::Settling => "Settling",
            Self::Restoring => "Restoring",
            Self::Succeeded => "Succeeded",
            Self::Skipped => "Skipped",
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
            Self::Restored => "Restored",
            Self::Cancelled => "Cancelled",
        }
    }

    /// The table of phase transitions; any other is a bug. A terminal phase is left for the queue alone, when the user asks for
    /// something else or for another try.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use Phase::{
            Cancelled, Encoding, Failed, Paused, Queued, Rejected, Restored, Restoring, Settling, Skipped, Succeeded,
        };
        matches!(
            (self, next),
            (Queued, Encoding | Restoring | Settling | Paused | Failed)
                | (Encoding, Queued | Paused | Settling | Skipped | Failed)
                | (Paused, Queued)
                | (Settling, Succeeded | Skipped | Rejected | Failed | Cancelled)
                | (Restoring, Restored | Succeeded | Queued | Failed)
                | (Succeeded | Skipped | Rejected | Failed | Restored | Cancelled, Queued)
        )
    }
}

/// Why a job ended as it did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    /// A constant; the documentation lists them.
    pub reason: String,
    /// What happened, with the figures.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
}

/// What the operator knows about a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EncodeJobStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the job stands.
    pub phase: Phase,
    /// Why it ended, or why the last run did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Identity of the file as planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<FileIdentity>,
    /// Effective settings, frozen when the encode starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// Where they came from, frozen with them: fields by their path, such as `sizeGate.maxPercent`, each in the highest place that
    /// writes it. What is in none is the profile's or the product's default; what `spec.force` adds is not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings_from: Option<SettingsFrom>,
    /// What `spec.desired` was when the job last began to act on it.
    pub desired: Desired,
    /// What `spec.retry` was then.
    pub retry: i64,
    /// Whether the job was asked for again after it had ended: what was decided before does not stop it then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Whether the AV1 file of an undone job is to be brought back from the trash before anything is encoded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bring_back: bool,
    /// Number of the current run; names Jobs and folders, and only rises.
    pub run: i64,
    /// Number of the latest Job that may write to the library (settle, mark, restore); only rises.
    pub write_run: i64,
    /// The latest run that has a work folder; the next run takes it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_run: Option<i64>,
    /// A run whose pod is still there, on a node that is not heard of: the next run links the whole chunks of its folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_run: Option<i64>,
    /// Runs that failed; lost and fruitless ones do not count.
    pub failures: i64,
    /// Runs that were lost with their pod.
    pub lost: i64,
    /// Runs in a row that finished no chunk and ended for what is not the file's: their pod was lost, or the volume is full or failing.
    /// Twenty of them give the job up.
    pub fruitless: i64,
    /// What the next runs get, since one was killed because its memory ran out; another try that the user asks for begins without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_memory: Option<OutOfMemory>,
    /// Nodes on which runs failed for another reason than their memory, or were lost, the latest last: the next runs go elsewhere where
    /// they can. Another try that the user asks for begins without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_nodes: Vec<String>,
    /// The pod of the current run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// UID of that pod; a termination message counts only from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// When the first encode started, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// When a terminal phase was reached, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// No run starts before this time, RFC 3339; set after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// CPUs, as the encode pod saw them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinning: Option<Pinning>,
    /// The source's streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaSummary>,
    /// Where the source seems to come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// How it is encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<EncodePlan>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Checks of the output: failed ones, and one row a group; the receipt on the volume keeps all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Size of the output against the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_gate: Option<SizeGateResult>,
    /// Quality of the output against the source, when it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityScore>,
    /// What is on the volume now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// What the settle pod is to do; kept until it has done so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_settle: Option<PendingSettle>,
    /// Pods of orders that failed for good, which may have left a claim on the path: the pod of the next order takes it over, and first
    /// ends what they began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_claims: Vec<LeftClaim>,
    /// What `replacement.notify` has still to be told, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Notification>,
    /// Bytes saved, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// Placed, Pinned, Validated, SizeGatePassed, Settled, Complete.
    pub conditions: Vec<Condition>,
}

/// What runs get after one that was killed because its memory ran out: half as much memory again, up to what every node that may
/// take the pod has, and half the encoder processes. Finished chunks are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OutOfMemory {
    /// Runs that were killed so.
    pub kills: i64,
    /// Least memory of the next run's pod, in bytes.
    pub memory_bytes: i64,
    /// Most encoder processes of the next run.
    pub workers: u32,
}

/// What a pod that may write to the library is to carry out: the verdict of an encode, or what the user asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PendingSettle {
    /// `Encoded`, `Rejected`, `Skipped` or `Failed`: the verdict of an encode. `MarkSkipped` or `Cancel`: a marker or a note
    /// that the user asked for. `Original` or `Replacement`: what is brought back.
    pub verdict: String,
    /// Run that it is about: of the encode whose output it is, or of its own.
    pub encode_run: i64,
    /// Size of the output in bytes, of an encoded file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_size: Option<i64>,
    /// SHA-256 of the output, of an encoded file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_sha256: Option<String>,
    /// SHA-256 of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_sha256: Option<String>,
    /// File name of the output in the run's folder, of an encoded file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_name: Option<String>,
    /// Path below the library's root that the output is to have, when that is not the source's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_target: Option<String>,
    /// Number of the current Job; only rises.
    pub run: i64,
    /// Settle pods that failed, for the back-off.
    pub failures: i64,
    /// Settle pods that were lost, for the back-off.
    pub lost: i64,
    /// UID of the current settle pod; a termination message counts only from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// UIDs of the settle pods that ended without a verdict and may have left a claim.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_pods: Vec<String>,
}

/// A pod that ended and may have left a claim on the path, with names in the library half changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LeftClaim {
    /// Its role.
    pub role: String,
    /// Its UID.
    pub pod: String,
}

/// What became of a file, for those who are to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Notification {
    /// Run of the pod that did it; tells the job's notifications apart.
    pub run: i64,
    /// Where it is posted.
    pub url: String,
    /// `Replaced` or `Restored`.
    pub action: String,
    /// Path of the file below the library's root, as it is now.
    pub path: String,
    /// Path that it had before; none when this job does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// Size of the file before, in bytes; none when this job does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_before: Option<i64>,
    /// Size of the file now, in bytes; none when this job does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_after: Option<i64>,
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// What the pod does now.
    pub stage: String,
    /// Percent of the frames that are encoded, such as `42%`.
    pub percent: String,
    /// Frames encoded.
    pub frames: i64,
    /// Frames in all.
    pub total_frames: i64,
    /// Frames a second over the last minute, a decimal string.
    pub frames_per_second: String,
    /// Seconds until the last frame is encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<i64>,
    /// The same, for people, such as 2h 14m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<String>,
    /// Bits a second of the video encoded so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<i64>,
    /// Projected size of the output in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projected_size: Option<i64>,
    /// When this was written, RFC 3339.
    pub updated_at: String,
}

/// What is on the volume now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobResult {
    /// Path of the file below the library's root: of the AV1 file, or of the original after it was brought back.
    pub path: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Bytes by which it is smaller than the original.
    pub bytes_saved: i64,
    /// Path of the original below the library's root, when it was replaced: in the trash, or beside the AV1 file. Empty when it
    /// is back at its name.
    pub original: String,
    /// SHA-256 of the original, as it was when it went to the trash.
    pub original_sha256: String,
    /// Path of the AV1 file in the trash, below the library's root, after the original was brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// Path of the receipt, below the library's root.
    pub receipt: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_phases_are_left_for_the_queue_alone() {
        for from in Phase::ALL.into_iter().filter(|phase| phase.is_terminal()) {
            let next: Vec<Phase> = Phase::ALL.into_iter().filter(|to| from.may_become(*to)).collect();
            assert_eq!(next, [Phase::Queued], "{from:?}");
        }
    }

    #[test]
    fn every_phase_can_be_reached_and_none_is_a_dead_end() {
        for phase in Phase::ALL {
            assert!(Phase::ALL.into_iter().any(|to| phase.may_become(to)), "{phase:?} is a dead end");
            assert!(Phase::ALL.into_iter().any(|from| from.may_become(phase)), "{phase:?} is never reached");
        }
    }

    #[test]
    fn the_rules_on_force_name_the_gates_that_are_never_passed_over() {
        use kube::CustomResourceExt;
        let crd = serde_json::to_value(EncodeJob::crd()).unwrap();
        let rules = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["force"]
            ["x-kubernetes-validations"]
            .to_string();
        for reason in crate::reasons::NEVER_FORCED {
            assert!(rules.contains(&format!("'{reason}'")), "{reason} is not in {rules}");
        }
        assert_eq!(rules.matches('\'').count() / 2, crate::reasons::NEVER_FORCED.len(), "{rules}");
    }
}
