//! What is going on, for the screen and for `http://127.0.0.1:7878/metrics.json`.
//!
//! May: read `/proc`, listen on loopback. Must never: listen anywhere else, or hold up a job.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use av1_crds::wire::{
    EncodeProgress, EncodeVerdict, MOST_EVENTS, Snapshot, SnapshotEvent, SnapshotJob, SnapshotSystem,
};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;

use super::job::{Job, Left};

/// A handle that can be copied around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<View>>);

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Jobs in progress by UID.
    pub(crate) jobs: BTreeMap<String, JobView>,
    /// Files that wait.
    pub(crate) queue: u64,
    /// Files of the library.
    pub(crate) files: u64,
    completed: u64,
    failed: u64,
    bytes_encoded: u64,
    events: VecDeque<SnapshotEvent>,
    last_cpu: Option<CpuTimes>,
}

/// One job.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobView {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) settling: bool,
    pub(crate) progress: EncodeProgress,
}

/// Ticks since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTimes {
    busy: u64,
    all: u64,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `look` with what is known.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.lock())
    }

    /// How many files there are and how many wait.
    pub(crate) fn counted(&self, files: u64, queue: u64) {
        let mut view = self.lock();
        (view.files, view.queue) = (files, queue);
    }

    /// Writes down what happened.
    pub(crate) fn event(&self, message: String) {
        let mut view = self.lock();
        view.events.push_back(SnapshotEvent { timestamp_unix_ms: Timestamp::now().as_millisecond(), message });
        let surplus = view.events.len().saturating_sub(MOST_EVENTS);
        view.events.drain(..surplus);
    }

    /// A job begins or goes on.
    pub(crate) fn started(&self, job: &Job) {
        let view = JobView { path: job.path.clone(), size: job.size, ..JobView::default() };
        self.lock().jobs.insert(job.uid.clone(), view);
        self.event(format!("{}: begins", job.path));
    }

    /// Figures of a running encode.
    pub(crate) fn progress(&self, uid: &str, progress: EncodeProgress) {
        if let Some(job) = self.lock().jobs.get_mut(uid) {
            job.progress = progress;
        }
    }

    /// The outcome of a job is brought to the volume.
    pub(crate) fn settling(&self, uid: &str) {
        if let Some(job) = self.lock().jobs.get_mut(uid) {
            job.settling = true;
        }
    }

    /// A job's thread let go of it.
    pub(crate) fn left(&self, job: &Job, left: &Left) {
        let mut view = self.lock();
        view.jobs.remove(&job.uid);
        let message = match left {
            Left::Finished { verdict, reason, message } => {
                match verdict {
                    EncodeVerdict::Failed => view.failed += 1,
                    _ => view.completed += 1,
                }
                let output = job.outcome.as_ref().and_then(|outcome| outcome.output.as_ref());
                view.bytes_encoded += output.map_or(0, |output| output.size);
                format!("{}: {reason}: {message}", job.path)
            }
            Left::Waits(why) => format!("{}: goes on later: {why}", job.path),
        };
        drop(view);
        self.event(message);
    }

    /// Serves the document on loopback.
    ///
    /// # Errors
    /// When the port is taken or the thread cannot be started.
    pub(crate) fn serve(&self, port: u16) -> io::Result<SocketAddr> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        let address = listener.local_addr()?;
        let board = self.clone();
        let app = Router::new().route("/metrics.json", get(async move || Json(board.document())));
        std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            if let Err(e) = runtime.block_on(async { axum::serve(listener, app).await }) {
                tracing::error!("the metrics page ended: {e}");
            }
        })?;
        Ok(address)
    }

    fn document(&self) -> Snapshot {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = cpu_times(&read("/proc/stat"));
        let mut view = self.lock();
        let used = cpu.zip(view.last_cpu).map(|(now, before)| busy_percent(before, now));
        // Of the whole time since the start for the first reader.
        let used = used.flatten().or_else(|| busy_percent(CpuTimes { busy: 0, all: 0 }, cpu?));
        view.last_cpu = cpu;
        let [load_avg_1, load_avg_5, load_avg_15] = loads(&read("/proc/loadavg"));
        Snapshot {
            timestamp_unix_ms: Timestamp::now().as_millisecond(),
            jobs: view.jobs.iter().map(|(uid, job)| figures(uid, job)).collect(),
            system: SnapshotSystem {
                cpu_usage_percent: used.unwrap_or_default(),
                mem_usage_percent: memory_percent(&read("/proc/meminfo")).unwrap_or_default(),
                load_avg_1,
                load_avg_5,
                load_avg_15,
            },
            queue_len: view.queue,
            running_jobs: view.jobs.len() as u64,
            completed_jobs: view.completed,
            failed_jobs: view.failed,
            total_bytes_encoded: view.bytes_encoded,
            events: view.events.iter().cloned().collect(),
        }
    }
}

impl JobView {
    /// What it does.
    pub(crate) fn stage(&self) -> &'static str {
        if self.settling { "Settling" } else { self.progress.stage.as_str() }
    }

    /// Part of its frames that are encoded, 0 to 1.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn part(&self) -> f64 {
        if self.progress.total_frames == 0 {
            return 0.0;
        }
        self.progress.frames as f64 / self.progress.total_frames as f64
    }
}

fn figures(uid: &str, job: &JobView) -> SnapshotJob {
    let progress = &job.progress;
    let plan = progress.plan.as_ref();
    SnapshotJob {
        id: uid.to_owned(),
        input_path: job.path.clone(),
        stage: job.stage().to_owned(),
        progress: job.part(),
        fps: progress.frames_per_second,
        bitrate_kbps: progress.bit_rate.map(|bits| bits / 1_000),
        crf: plan.map(|plan| plan.crf),
        encoder: plan.map(|plan| plan.encoder.clone()),
        workers: plan.map(|plan| plan.workers),
        est_remaining_secs: progress.eta_seconds,
        frames_encoded: progress.frames,
        total_frames: progress.total_frames,
        size_in_bytes_before: job.size,
        size_in_bytes_after: progress.projected_size,
        vmaf: None,
        psnr: None,
        ssim: None,
    }
}

/// The first line of `/proc/stat`; time spent waiting for disks counts as idle.
fn cpu_times(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    Some(CpuTimes { busy: all - ticks.get(3)? - ticks.get(4)?, all })
}

#[allow(clippy::cast_precision_loss)]
fn busy_percent(before: CpuTimes, now: CpuTimes) -> Option<f64> {
    let (busy, all) = (now.busy.checked_sub(before.busy)?, now.all.checked_sub(before.all)?);
    (all > 0).then(|| busy as f64 * 100.0 / all as f64)
}

#[allow(clippy::cast_precision_loss)]
fn memory_percent(meminfo: &str) -> Option<f64> {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (total, available) = (kib("MemTotal")?, kib("MemAvailable")?);
    (total > 0).then(|| total.saturating_sub(available) as f64 * 100.0 / total as f64)
}

fn loads(loadavg: &str) -> [f64; 3] {
    let mut fields = loadavg.split_whitespace().map(|field| field.parse().unwrap_or_default());
    std::array::from_fn(|_| fields.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_fields_that_its_readers_know_and_no_others() {
        let board = Board::default();
        let job = Job::new("Films/a.mkv", 7, 1).unwrap();
        board.started(&job);
        board.progress(&job.uid, EncodeProgress { frames: 30, total_frames: 120, ..EncodeProgress::default() });
        let document = serde_json::to_value(board.document()).unwrap();
        let names =
            |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(&document),
            "completed_jobs events failed_jobs jobs queue_len running_jobs system timestamp_unix_ms total_bytes_encoded"
        );
        assert_eq!(names(&document["system"]), "cpu_usage_percent load_avg_1 load_avg_15 load_avg_5 mem_usage_percent");
        assert_eq!(
            names(&document["jobs"][0]),
            "bitrate_kbps crf encoder est_remaining_secs fps frames_encoded id input_path progress psnr \
             size_in_bytes_after size_in_bytes_before ssim stage total_frames vmaf workers"
        );
        assert_eq!((&document["jobs"][0]["progress"], &document["running_jobs"]), (&0.25.into(), &1.into()));
        board.left(&job, &Left::Waits("x".to_owned()));
        assert_eq!(serde_json::to_value(board.document()).unwrap()["events"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_kernels_figures_are_read() {
        let before = cpu_times("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1\n").unwrap();
        let now = cpu_times("cpu  150 0 75 850 75 0 0 0 0 0\n").unwrap();
        assert_eq!(busy_percent(before, now), Some(50.0));
        assert_eq!(memory_percent("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n"), Some(75.0));
        assert_eq!(loads("0.50 1.25 2.00 1/2 3"), [0.5, 1.25, 2.0]);
        assert_eq!((cpu_times(""), memory_percent(""), loads("")), (None, None, [0.0; 3]));
    }
}
