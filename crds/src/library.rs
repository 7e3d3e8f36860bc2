//! MediaLibrary: a folder of video files and how they are treated.

#![allow(clippy::duplicated_attributes, reason = "the columns of a kind repeat the same keys")]

mod placement;
mod status;

pub use placement::{PlacementStatus, SurveyedNode};
pub use status::{
    ByteCounts, FileCounts, JobCounts, KeptFile, MediaLibraryStatus, PurgeStatus, ScanStatus, SidecarStatus,
    StorageStatus, SwapMethod,
};

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::{QuantityError, parse_bytes, parse_seconds};
use crate::schedule::ScheduleSpec;
use crate::settings::{
    EncodeSection, ReplacementSection, SettingsSections, SizeGateSection, StreamsSection, VerifySection,
};

/// A library of video files on one volume, and how they are turned into AV1.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "av1.media",
    version = "v1alpha1",
    kind = "MediaLibrary",
    plural = "medialibraries",
    namespaced,
    shortname = "mlib",
    category = "av1",
    status = "MediaLibraryStatus",
    derive = "PartialEq",
    doc = "A library of video files on one volume, and how they are turned into AV1.",
    validation = ("size(self.metadata.name) <= 40", "the name of a MediaLibrary has at most 40 characters, because names of its jobs are made from it"),
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')", "the name of a MediaLibrary names a Service too: write small letters, digits and dashes, the first a letter, the last not a dash; no dots"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Files", type_ = "integer", json_path = ".status.files.total"),
    printcolumn(name = "Done", type_ = "integer", json_path = ".status.files.done"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.files.pending"),
    printcolumn(name = "Encoding", type_ = "integer", json_path = ".status.jobs.encoding"),
    printcolumn(name = "Saved", type_ = "string", json_path = ".status.saved"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Profile", type_ = "string", json_path = ".spec.encode.profile", priority = 1),
    printcolumn(name = "Skipped", type_ = "integer", json_path = ".status.files.skipped", priority = 1),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.files.failed", priority = 1),
    printcolumn(name = "Free", type_ = "string", json_path = ".status.storage.free", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct MediaLibrarySpec {
    /// Where the files are.
    pub volume: LibraryVolume,
    /// Which files are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanSpec>,
    /// How the video is encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode: Option<EncodeSection>,
    /// Which streams are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamsSection>,
    /// How the output is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifySection>,
    /// How small the output has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gate: Option<SizeGateSection>,
    /// What happens to the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<ReplacementSection>,
    /// How much runs at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencySpec>,
    /// How much space stays free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
    /// The pods that do the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodsSpec>,
    /// When encodes run. Default: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
    /// Name of a LocalQueue of Kueue in the library's namespace; encodes wait until Kueue admits them. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = ("self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$')", "spec.queueName is the name of a LocalQueue of Kueue: small letters, digits and dashes"))]
    pub queue_name: Option<String>,
    /// What happens when a job fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<FailurePolicy>,
    /// How long EncodeJobs that have ended are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistorySpec>,
    /// While true no job starts and running encodes stop, keeping what they finished. Default: false.
    #[serde(default)]
    pub suspend: bool,
}

impl MediaLibrarySpec {
    /// The sections that a job may override.
    #[must_use]
    pub fn sections(&self) -> SettingsSections {
        SettingsSections {
            encode: self.encode.clone(),
            streams: self.streams.clone(),
            verify: self.verify.clone(),
            size_gate: self.size_gate.clone(),
            replacement: self.replacement.clone(),
        }
    }
}

/// Where the files are: exactly one kind of volume, and the folder in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "(has(self.persistentVolumeClaim) ? 1 : 0) + (has(self.nfs) ? 1 : 0) + (has(self.hostPath) ? 1 : 0) == 1",
    "spec.volume takes exactly one of persistentVolumeClaim, nfs and hostPath: remove the others"
))]
pub struct LibraryVolume {
    /// A claim in the library's namespace; the documented way, NFS too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<ClaimVolume>,
    /// An NFS export; needs a namespace whose Pod Security allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfs: Option<NfsVolume>,
    /// A folder of one node, or of a network file system that the nodes themselves mount; below a prefix that the operator was
    /// started with (`--allow-host-path`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<HostPathVolume>,
    /// Folder below the volume's root that is the library's root. Default: the volume's root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = ("!self.startsWith('/')", "spec.volume.subPath is relative to the volume's root: remove the leading slash"))]
    #[x_kube(validation = ("self.split('/').all(part, part != '..')", "spec.volume.subPath must stay below the volume's root: remove the .. from it"))]
    pub sub_path: String,
}

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimVolume {
    /// Its name, in the library's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
}

/// An NFS export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NfsVolume {
    /// Host name or address of the server.
    #[schemars(length(min = 1))]
    pub server: String,
    /// Exported path, absolute.
    #[x_kube(validation = ("self.startsWith('/')", "spec.volume.nfs.path is the absolute path that the server exports: write it with a leading slash"))]
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,
}

/// A folder of one node, or one that leads to the same files on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = (
    "has(self.node) != (has(self.shared) && self.shared)",
    "spec.volume.hostPath takes exactly one of node and shared: write node: NAME where one node has the folder, or shared: true where the path leads to the same files on every node"
))]
pub struct HostPathVolume {
    /// Absolute path on the node, or on every node.
    #[x_kube(validation = ("self.startsWith('/') && self.split('/').all(part, part != '..')", "spec.volume.hostPath.path is an absolute path without .."))]
    #[schemars(length(max = 4096))]
    pub path: String,
    /// Name of the one node that has it; all pods of the library run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub node: Option<String>,
    /// Whether the path leads to the same files on every node, as that of a network file system does which each of them mounts:
    /// pods run anywhere then. On a node where it leads elsewhere they stop with WrongVolume. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// Which files are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanSpec {
    /// Seconds from the end of one scan to the start of the next; at least ten times what a scan takes. Default: 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub interval_seconds: Option<u32>,
    /// Files of this size or below are skipped. Default: 2Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$')", "scan.minSize is a whole number of bytes, or one with Ki, Mi, Gi or Ti: write 2Gi"))]
    pub min_size: Option<String>,
    /// A file must not have changed for this many seconds; on NFS, whose clients may see a change a minute late, for 65 at least. Default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub stable_seconds: Option<u32>,
    /// Extensions of files that are looked at, without the dot. Default: mkv, mp4, m4v, mov, avi, ts, m2ts, mpg, mpeg, wmv, webm.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub extensions: Option<Vec<String>>,
    /// Globs below the library's root; only files that match one are looked at. Default: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    #[x_kube(validation = ("self.all(g, !g.startsWith('/') && !('/' + g + '/').contains('/../'))", "scan.include takes globs below the library's root: no leading slash and no .."))]
    pub include: Option<Vec<String>>,
    /// Globs of files that are left out, besides dot folders, @eaDir, #recycle, #snapshot, .snapshot, .zfs and lost+found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    #[x_kube(validation = ("self.all(g, !g.startsWith('/') && !('/' + g + '/').contains('/../'))", "scan.exclude takes globs below the library's root: no leading slash and no .."))]
    pub exclude: Option<Vec<String>>,
    /// Which candidates come first. Default: LargestFirst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<ScanOrder>,
    /// What happens to a file that has more than one name. Default: Skip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard_links: Option<HardLinks>,
}

/// Extensions that are looked at unless `scan.extensions` says otherwise.
pub const EXTENSIONS: [&str; 11] = ["mkv", "mp4", "m4v", "mov", "avi", "ts", "m2ts", "mpg", "mpeg", "wmv", "webm"];

/// Which candidates come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScanOrder {
    /// By size, the largest first.
    #[default]
    LargestFirst,
    /// By modification time, the oldest first.
    OldestFirst,
    /// By modification time, the newest first.
    NewestFirst,
    /// By path.
    Path,
}

/// What happens to a file that has more than one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HardLinks {
    /// It is left alone (a torrent that is being seeded).
    #[default]
    Skip,
    /// It is encoded; the other names keep the original, so that no space is freed while one of them is there.
    Encode,
}

/// The effective scan rules, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanRules {
    /// Seconds from the end of one scan to the start of the next.
    pub interval_seconds: u32,
    /// Bytes; files of this size or below are skipped.
    pub min_size: u64,
    /// Seconds that a file must not have changed.
    pub stable_seconds: u32,
    /// Lower-case extensions without the dot.
    pub extensions: Vec<String>,
    /// Globs; empty means everything.
    pub include: Vec<String>,
    /// Globs of what is left out.
    pub exclude: Vec<String>,
    /// Which candidates come first.
    pub order: ScanOrder,
    /// What happens to files with more than one name.
    pub hard_links: HardLinks,
}

impl ScanRules {
    /// `spec` over the defaults.
    ///
    /// # Errors
    /// [`QuantityError::Size`] when `minSize` is not a size.
    pub fn resolve(spec: Option<&ScanSpec>) -> Result<Self, QuantityError> {
        let spec = spec.cloned().unwrap_or_default();
        Ok(Self {
            interval_seconds: spec.interval_seconds.unwrap_or(60),
            min_size: parse_bytes(spec.min_size.as_deref().unwrap_or("2Gi"))?,
            stable_seconds: spec.stable_seconds.unwrap_or(10),
            extensions: spec.extensions.map_or_else(
                || EXTENSIONS.map(str::to_owned).to_vec(),
                |list| list.iter().map(|e| e.trim_start_matches('.').to_lowercase()).collect(),
            ),
            include: spec.include.unwrap_or_default(),
            exclude: spec.exclude.unwrap_or_default(),
            order: spec.order.unwrap_or_default(),
            hard_links: spec.hard_links.unwrap_or_default(),
        })
    }
}

/// How much runs at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConcurrencySpec {
    /// Encodes at once; a settling job holds no slot, but at most one more output than this waits unsettled. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_jobs: Option<u32>,
    /// EncodeJobs that wait in the queue at most. Default: 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub queue_depth: Option<u32>,
}

/// How much space stays free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageSpec {
    /// No job starts unless this percentage of the volume, and twice the size of the source, is free. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 90))]
    pub min_free_percent: Option<u32>,
}

/// The pods that do the work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodsSpec {
    /// Whole CPUs of one encode pod, or Auto: of the whole CPUs that the smallest suitable node can give (but one where nothing is reserved for other pods), as many whole L3 cache domains as fit; a divisor of one where none fits; all of them on a node that is a single domain or was not surveyed. Default: Auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("type(self) == int ? self >= 1 : self == 'Auto' || self.matches('^[1-9][0-9]*$')", "pods.cpus is Auto or a whole number of CPUs: fractions such as 1500m cannot be pinned, write 1 or 2"))]
    #[schemars(extend("multipleOf" = 1))]
    pub cpus: Option<IntOrString>,
    /// Memory of one encode pod, such as 8Gi, or Auto: by the size of the picture and the number of workers. After a run whose memory ran out the next gets half as much again, if the nodes have it, and half the workers. Default: Auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^(Auto|0*[1-9][0-9]*(k|M|G|T|Ki|Mi|Gi|Ti)?)$')", "pods.memory is Auto or a size above 0: write 8Gi"))]
    pub memory: Option<String>,
    /// Encoder processes at once in one pod; 0 takes it from the plan. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 512))]
    pub workers: Option<u32>,
    /// Percentage of a pod's CPUs that its encoder processes and their threads keep busy, 50 to 100, where the CPUs are shared with other pods; CPUs of its own it uses whole. Default: 85.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 50, max = 100))]
    pub target_utilization_percent: Option<u32>,
    /// Whether encode pods go to nodes with AMD EPYC CPUs. Default: Preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epyc: Option<Epyc>,
    /// Labels that a node must have to run encode pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints that all pods of the library tolerate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = ("self.all(t, !has(t.operator) || t.operator in ['Exists', 'Equal', 'Lt', 'Gt', ''])", "pods.tolerations: operator is Exists or Equal; without one it is Equal"))]
    #[x_kube(validation = ("self.all(t, !has(t.effect) || t.effect in ['NoSchedule', 'PreferNoSchedule', 'NoExecute', ''])", "pods.tolerations: effect is NoSchedule, PreferNoSchedule or NoExecute; without one it is every effect"))]
    pub tolerations: Option<Vec<Toleration>>,
    /// User that the pods run as; it must own the files. Default: the owner of the library's files. Never 0 unless the operator allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub run_as_user: Option<i64>,
    /// Group that the pods run as. Default: the group of the library's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub run_as_group: Option<i64>,
    /// Further groups of the pods, such as that which a share gives its files to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 2_147_483_647)))]
    pub supplemental_groups: Option<Vec<i64>>,
    /// Where encode pods go, besides `nodeSelector`: rules about nodes and about other pods, as in any pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// PriorityClass of encode pods: which of them the scheduler may evict for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub priority_class_name: Option<String>,
    /// RuntimeClass of encode pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub runtime_class_name: Option<String>,
    /// Where an encode pod keeps what only it needs: chunks, scenes, the joined video. Output and report always go to the library's volume. Default: Library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
}

/// Where an encode pod keeps what only it needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scratch {
    /// In its work folder on the library's volume: the next run goes on from the finished chunks, whatever happens to the pod or its node.
    #[default]
    Library,
    /// In an emptyDir on the disk of its node, which may be faster and is gone with the pod: after a pause, a failure or the loss of a pod
    /// the encode starts again. That disk needs room for twice the output; a pod that is evicted for want of it is lost.
    EmptyDir,
}

impl PodsSpec {
    /// The default of `targetUtilizationPercent`.
    pub const TARGET_UTILIZATION_PERCENT: u32 = 85;

    /// Percentage of shared CPUs that encodes keep busy.
    #[must_use]
    pub fn target_utilization_percent(&self) -> u32 {
        self.target_utilization_percent.unwrap_or(Self::TARGET_UTILIZATION_PERCENT)
    }
}

/// Whether encode pods go to nodes with AMD EPYC CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Epyc {
    /// There first, and their size is made for such nodes; others are taken where they fit.
    #[default]
    Preferred,
    /// Nowhere else.
    Required,
    /// It does not matter.
    Any,
}

/// What happens when a job fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailurePolicy {
    /// Failures after which a job is given up; lost pods do not count. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
    /// After so many jobs that failed one after the other no encode starts, until one of them is retried or deleted or the library's spec is changed; 0 turns it off. Default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub pause_after_consecutive_failures: Option<u32>,
}

/// Failed jobs in a row after which a library pauses, unless `failurePolicy.pauseAfterConsecutiveFailures` says otherwise.
pub const PAUSE_AFTER_FAILURES: u32 = 10;

/// How long EncodeJobs that have ended are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistorySpec {
    /// How long an EncodeJob stays after it has ended, such as 168h; where its original is in the trash, from the end of the original's time there. What was decided stays on the volume. Default: 168h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = ("self.matches('^([0-9]+(h|m|s))+$')", "history.jobsTtl is a duration in hours, minutes and seconds: write 168h"))]
    pub jobs_ttl: Option<String>,
}

impl HistorySpec {
    /// The default of `jobsTtl`.
    pub const JOBS_TTL: &str = "168h";

    /// Seconds that an EncodeJob stays.
    ///
    /// # Errors
    /// [`QuantityError::Duration`] when `jobsTtl` is no duration.
    pub fn jobs_ttl_seconds(spec: Option<&Self>) -> Result<u64, QuantityError> {
        parse_seconds(spec.and_then(|s| s.jobs_ttl.as_deref()).unwrap_or(Self::JOBS_TTL))
    }
}
