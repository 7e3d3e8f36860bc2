//! What is going on, as one JSON document: `kubectl av1 top -o json` prints it, `av1-agent run` serves it on loopback. The names
//! are what readers of it know, in `snake_case`.

use serde::{Deserialize, Serialize};

/// Most events in one document.
pub const MOST_EVENTS: usize = 50;

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken, in milliseconds since 1970.
    pub timestamp_unix_ms: i64,
    /// Jobs in progress.
    pub jobs: Vec<SnapshotJob>,
    /// The machine; of a cluster the mean of the nodes that encode.
    pub system: SnapshotSystem,
    /// Files that wait.
    pub queue_len: u64,
    /// Jobs in progress.
    pub running_jobs: u64,
    /// Jobs that ended with a verdict other than Failed.
    pub completed_jobs: u64,
    /// Jobs that failed.
    pub failed_jobs: u64,
    /// Bytes of the outputs.
    pub total_bytes_encoded: u64,
    /// The last events, the oldest first; [`MOST_EVENTS`] at most.
    pub events: Vec<SnapshotEvent>,
}

/// One job in progress.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotJob {
    /// UID of the job.
    pub id: String,
    /// Path of the source below the library's root.
    pub input_path: String,
    /// What is done now.
    pub stage: String,
    /// Part of the frames that are encoded, 0 to 1.
    pub progress: f64,
    /// Frames a second over the last minute.
    pub fps: f64,
    /// Kilobits a second of the video encoded so far.
    pub bitrate_kbps: Option<u64>,
    /// Constant rate factor.
    pub crf: Option<u32>,
    /// Name of the encoder.
    pub encoder: Option<String>,
    /// Encoder processes at once.
    pub workers: Option<u32>,
    /// Seconds until the last frame is encoded.
    pub est_remaining_secs: Option<u64>,
    /// Frames encoded.
    pub frames_encoded: u64,
    /// Frames in all; 0 until they are counted.
    pub total_frames: u64,
    /// Size of the source in bytes.
    pub size_in_bytes_before: u64,
    /// Size of the output in bytes, projected until the job has ended.
    pub size_in_bytes_after: Option<u64>,
    /// Score by VMAF, when it was measured.
    pub vmaf: Option<f64>,
    /// Score by PSNR, when it was measured.
    pub psnr: Option<f64>,
    /// Score by SSIM, when it was measured.
    pub ssim: Option<f64>,
}

/// The machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotSystem {
    /// Percent of the CPU time in use, 0 to 100.
    pub cpu_usage_percent: f64,
    /// Percent of the memory in use, 0 to 100.
    pub mem_usage_percent: f64,
    /// Load average over 1 minute.
    pub load_avg_1: f64,
    /// Load average over 5 minutes.
    pub load_avg_5: f64,
    /// Load average over 15 minutes.
    pub load_avg_15: f64,
}

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEvent {
    /// When, in milliseconds since 1970.
    pub timestamp_unix_ms: i64,
    /// What, in a sentence.
    pub message: String,
}
