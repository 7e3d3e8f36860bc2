//! The tables of metrics, of the operator and of its pods: name, kind, labels, help. Registration, documentation, dashboards and
//! rules all read them.

/// Kind of a metric, as Prometheus names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts values by upper bounds, in the metric's unit, smallest first; what is above the last counts as infinite.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word after `# TYPE`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric family.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Full name with prefix and unit.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Label names in order.
    pub labels: &'static [&'static str],
    /// One sentence with the unit.
    pub help: &'static str,
}

use Kind::{Counter, Gauge, Histogram};

/// From a minute's clip to two days of film, in seconds.
const ENCODE_SECONDS: Kind =
    Histogram(&[30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 57_600.0, 86_400.0, 172_800.0]);
/// From a hundredth of real time to twenty times as fast.
const SPEEDS: Kind = Histogram(&[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
/// Parts of the source's size; above 1 the output is larger.
const RATIOS: Kind = Histogram(&[0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5]);
/// Scores of all quality metrics: XPSNR lies at 30 to 50 dB, SSIMULACRA2 and VMAF at 60 to 100 points.
const SCORES: Kind = Histogram(&[
    20.0, 30.0, 34.0, 36.0, 38.0, 40.0, 42.0, 44.0, 46.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.0, 93.0, 94.0,
    95.0, 96.0, 97.0, 98.0, 99.0,
]);
/// From a rename to a copy of a large file over a slow network, in seconds.
const SETTLE_SECONDS: Kind =
    Histogram(&[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0]);
/// From an answer out of memory to an API server that hardly answers, in seconds.
const RECONCILE_SECONDS: Kind = Histogram(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);

macro_rules! metrics {
    ($table:ident, $about:literal; $($ident:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)+) => {
        $(#[doc = $help] pub const $ident: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)+
        #[doc = $about] pub const $table: &[Metric] = &[$($ident),+];
    };
}

metrics! {
    ALL, "Every metric of the operator.";
    ENCODE_JOBS = "av1_encode_jobs", Gauge, ["namespace", "library", "phase"], "EncodeJobs by phase.";
    ENCODE_JOB_OUTCOMES = "av1_encode_job_outcomes_total", Counter, ["namespace", "library", "reason"], "EncodeJobs that reached a terminal phase, by reason, since the operator started.";
    LIBRARY_FILES = "av1_library_files", Gauge, ["namespace", "library", "state"], "Files of the library by state, as the catalog counts them.";
    LIBRARY_BYTES = "av1_library_bytes", Gauge, ["namespace", "library", "state"], "Bytes of the library by state: scanned, replacedBefore, replacedAfter, freed, inTrash.";
    BYTES_READ = "av1_bytes_read_total", Counter, [], "Bytes of source files whose encode ended with a verdict, since the operator started.";
    BYTES_WRITTEN = "av1_bytes_written_total", Counter, [], "Bytes of outputs whose encode ended with a verdict, since the operator started.";
    BYTES_SAVED = "av1_bytes_saved_total", Counter, [], "Bytes by which replaced files became smaller, since the operator started.";
    FRAMES_ENCODED = "av1_frames_encoded_total", Counter, [], "Frames of encodes that ended with a verdict, since the operator started.";
    TRASH_PURGED_BYTES = "av1_trash_purged_bytes_total", Counter, ["namespace", "library"], "Bytes of files that left the trash after their time, since the operator started.";
    TRASH_KEPT_FILES = "av1_trash_kept_files", Gauge, ["namespace", "library"], "Files in the trash that stay past their time, because what replaced them is not as it was written.";
    VERIFICATION_FAILURES = "av1_verification_failures_total", Counter, ["check"], "Checks, by name, that showed an output not to be what its source is, since the operator started.";
    NOTIFICATIONS = "av1_notifications_total", Counter, ["namespace", "library", "result"], "Notifications of replaced and restored files by result (delivered, failed), since the operator started.";
    JOB_PROGRESS = "av1_encode_job_progress_ratio", Gauge, ["namespace", "library", "job"], "Part of the frames of a running encode that are done, 0 to 1.";
    JOB_FRAMES_PER_SECOND = "av1_encode_job_frames_per_second", Gauge, ["namespace", "library", "job"], "Frames a second of a running encode over the last minute.";
    JOB_ETA = "av1_encode_job_eta_seconds", Gauge, ["namespace", "library", "job"], "Seconds until a running encode has encoded its last frame, at the present rate.";
    JOB_PROJECTED_BYTES = "av1_encode_job_projected_bytes", Gauge, ["namespace", "library", "job"], "Projected size of a running encode's output in bytes.";
    JOB_WORKERS = "av1_encode_job_workers", Gauge, ["namespace", "library", "job"], "Encoder processes that a running encode uses at once.";
    LEADER = "av1_operator_leader", Gauge, [], "1 while this process holds the lease.";
    BUILD_INFO = "av1_operator_build_info", Gauge, ["version"], "Always 1; the label holds the operator's version.";
    RECONCILES = "av1_operator_reconciles_total", Counter, ["kind", "result"], "Reconciles by kind and result (ok, or the error's reason).";
    ENCODE_DURATION = "av1_encode_duration_seconds", ENCODE_SECONDS, ["height_class"], "Seconds that encodes which ended with a verdict took, by height class (sd, 720p, 1080p, 2160p), since the operator started.";
    ENCODE_SPEED = "av1_encode_speed_ratio", SPEEDS, ["height_class"], "Seconds of media per second of encode, of encodes that ended with a verdict and took over no chunks, by height class (sd, 720p, 1080p, 2160p), since the operator started.";
    SIZE_RATIO = "av1_size_ratio", RATIOS, ["namespace", "library"], "Bytes of the output per byte of the source, of encodes that ended with a verdict, since the operator started.";
    QUALITY_SCORE = "av1_quality_score", SCORES, ["namespace", "library", "metric"], "Mean score of outputs by quality metric (Xpsnr in dB; Ssimulacra2 and Vmaf in points), since the operator started.";
    SETTLE_DURATION = "av1_settle_duration_seconds", SETTLE_SECONDS, [], "Seconds from an encode's verdict to the outcome that settling it gave, since the operator started.";
    QUEUE_OLDEST = "av1_queue_oldest_seconds", Gauge, ["namespace", "library"], "Seconds since the oldest EncodeJob in phase Queued was made or asked for again; 0 with none.";
    CHUNKS_RESUMED = "av1_chunks_resumed_total", Counter, [], "Chunks that a run found finished by an earlier one, since the operator started.";
    LIBRARY_STORAGE = "av1_library_storage_bytes", Gauge, ["namespace", "library", "state"], "Bytes of the library's volume as last seen: free, total.";
    LIBRARY_CONDITION = "av1_library_condition", Gauge, ["namespace", "library", "condition"], "1 while the library's condition is True, else 0.";
    NODE_CPU = "av1_node_cpu_utilization_ratio", Gauge, ["node"], "Part of the whole node's CPU time in use, 0 to 1, while an encode pod runs there.";
    NODE_MEMORY = "av1_node_memory_utilization_ratio", Gauge, ["node"], "Part of the whole node's memory in use, 0 to 1, while an encode pod runs there.";
    NODE_LOAD = "av1_node_load", Gauge, ["node", "window"], "Load average of the node over 1m, 5m and 15m, while an encode pod runs there.";
    NODE_ENCODE_CPUS = "av1_node_encode_cpus", Gauge, ["node", "state"], "CPUs of the node given to encode pods (assigned), and CPUs that they keep busy (busy).";
    RECONCILE_DURATION = "av1_operator_reconcile_duration_seconds", RECONCILE_SECONDS, ["kind"], "Seconds that reconciles took, by kind.";
    QUEUE_DEPTH = "av1_operator_queue_depth", Gauge, ["kind"], "Objects that wait for a reconcile or are in one, by kind.";
    API_REQUESTS = "av1_operator_api_requests_total", Counter, ["verb", "code"], "Requests to the Kubernetes API by verb and code of the answer (0 for none).";
}

metrics! {
    ENCODE_POD, "Every metric of an encode pod.";
    AGENT_FRAMES = "av1_agent_encode_frames", Gauge, [], "Frames encoded: of finished chunks and in flight.";
    AGENT_TOTAL_FRAMES = "av1_agent_encode_total_frames", Gauge, [], "Frames in all; 0 until they are counted.";
    AGENT_FRAMES_PER_SECOND = "av1_agent_encode_frames_per_second", Gauge, [], "Frames a second over the last minute.";
    AGENT_ETA = "av1_agent_encode_eta_seconds", Gauge, [], "Seconds until the last frame is encoded.";
    AGENT_BIT_RATE = "av1_agent_encode_bits_per_second", Gauge, [], "Bits a second of the video in finished chunks.";
    AGENT_PROJECTED_BYTES = "av1_agent_encode_projected_bytes", Gauge, [], "Projected size of the output in bytes.";
    AGENT_CHUNKS_DONE = "av1_agent_encode_chunks_done", Gauge, [], "Finished chunks.";
    AGENT_CHUNKS_RESUMED = "av1_agent_encode_chunks_resumed", Gauge, [], "Finished chunks that an earlier run left.";
    AGENT_CHUNKS = "av1_agent_encode_chunks", Gauge, [], "Chunks in all.";
    AGENT_WORKERS = "av1_agent_encode_workers", Gauge, [], "Encoder processes that the encode uses at once.";
    AGENT_CPUS = "av1_agent_encode_cpus", Gauge, ["state"], "CPUs that the pod may use (assigned), and CPUs that it keeps busy (busy).";
    AGENT_NODE_CPU = "av1_agent_node_cpu_utilization_ratio", Gauge, [], "Part of the whole node's CPU time in use, 0 to 1.";
    AGENT_NODE_MEMORY = "av1_agent_node_memory_utilization_ratio", Gauge, [], "Part of the whole node's memory in use, 0 to 1.";
    AGENT_NODE_LOAD = "av1_agent_node_load", Gauge, ["window"], "Load average of the node over 1m, 5m and 15m.";
}

metrics! {
    CATALOG_POD, "Every metric of a catalog pod.";
    CATALOG_FILES = "av1_catalog_files", Gauge, ["state"], "Files of the library by state.";
    CATALOG_SCAN_DURATION = "av1_catalog_scan_duration_seconds", Gauge, [], "Seconds that the last scan took.";
    CATALOG_UNREADABLE_FOLDERS = "av1_catalog_unreadable_folders", Gauge, [], "Folders and names that the last scan could not read.";
    CATALOG_SCANS = "av1_catalog_scans_total", Counter, [], "Scans finished since the process started.";
    CATALOG_PROBES = "av1_catalog_probes_total", Counter, [], "Files that ffprobe was asked about since the process started.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_conventions() {
        for metric in ALL.iter().chain(ENCODE_POD).chain(CATALOG_POD) {
            assert!(metric.name.starts_with("av1_"), "{}", metric.name);
            assert_eq!(metric.kind == Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn buckets_rise() {
        for metric in ALL {
            if let Histogram(buckets) = metric.kind {
                assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]), "{}", metric.name);
            }
        }
    }
}
