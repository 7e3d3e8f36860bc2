//! The frame of `top`: a header with libraries and totals, and the queue. Pure.

use std::collections::BTreeMap;

use av1_crds::{EncodeJob, MediaLibrary, Phase, conditions, figures};

use super::table::{Align, Cell, Table};
use super::text::{bar, bit_rate, count, keep_end, printable};
use super::{Palette, Tone};
use crate::exposition::{Gauges, JobGauges};

/// Columns that a path takes unless nothing is to be cut.
const PATH_WIDTH: usize = 36;
const BAR_WIDTH: usize = 12;

/// One frame.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    libraries: Vec<LibraryLine>,
    files: Totals,
    /// Live jobs: the running ones first.
    jobs: Vec<JobLine>,
    /// Jobs by phase.
    phases: BTreeMap<Phase, i64>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct LibraryLine {
    name: String,
    ready: bool,
    /// Why it is not ready.
    message: String,
}

#[derive(Debug, Default)]
struct Totals {
    total: i64,
    done: i64,
    pending: i64,
    failed: i64,
    saved: i64,
}

#[derive(Debug, Default)]
struct JobLine {
    order: (u8, String),
    library: String,
    name: String,
    path: String,
    stage: String,
    tone: Tone,
    /// 0 to 1.
    progress: Option<f64>,
    frames_per_second: Option<f64>,
    bit_rate: Option<i64>,
    crf: Option<u32>,
    workers: Option<u32>,
    eta_seconds: Option<u64>,
    node: String,
}

impl Frame {
    /// What the resources say, with the gauges' fresher figures over it.
    pub(crate) fn new(libraries: &[MediaLibrary], jobs: &[EncodeJob], gauges: &Gauges, notes: Vec<String>) -> Self {
        let mut frame = Self { notes, ..Self::default() };
        for library in libraries {
            frame.libraries.push(LibraryLine::new(library));
            let status = library.status.clone().unwrap_or_default();
            let files = status.files.unwrap_or_default();
            frame.files.total += files.total;
            frame.files.done += files.done;
            frame.files.pending += files.pending;
            frame.files.failed += files.failed + files.unreadable;
            frame.files.saved += status.bytes.unwrap_or_default().freed;
        }
        for job in jobs {
            let phase = job.status.as_ref().map(|status| status.phase).unwrap_or_default();
            *frame.phases.entry(phase).or_default() += 1;
            if !phase.is_terminal() {
                let key =
                    (job.metadata.namespace.clone().unwrap_or_default(), job.metadata.name.clone().unwrap_or_default());
                frame.jobs.push(JobLine::new(job, gauges.get(&key).copied().unwrap_or_default()));
            }
        }
        frame.jobs.sort_by(|a, b| a.order.cmp(&b.order));
        frame
    }
}

impl LibraryLine {
    fn new(library: &MediaLibrary) -> Self {
        let name = qualified(library.metadata.namespace.as_deref(), library.metadata.name.as_deref());
        let status = library.status.as_ref();
        let ready =
            status.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == conditions::READY));
        let message = ready
            .map_or_else(|| "no operator has looked at it yet".to_owned(), |condition| printable(&condition.message));
        Self { name, ready: ready.is_some_and(|condition| condition.status == "True"), message }
    }
}

impl JobLine {
    fn new(job: &EncodeJob, gauges: JobGauges) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let name = job.metadata.name.clone().unwrap_or_default();
        let (rank, tone) = match status.phase {
            Phase::Encoding => (0, Tone::Busy),
            Phase::Settling | Phase::Restoring => (1, Tone::Busy),
            Phase::Queued => (2, Tone::Neutral),
            _ => (3, Tone::Neutral),
        };
        let encoding = status.phase == Phase::Encoding;
        let progress = status.progress.unwrap_or_default();
        let plan = status.plan.as_ref();
        let stage = match status.phase {
            Phase::Encoding if progress.stage.is_empty() => "Starting".to_owned(),
            Phase::Encoding => printable(&progress.stage),
            phase => format!("{phase:?}"),
        };
        let percent = || progress.percent.trim_end_matches('%').parse::<f64>().ok().map(|percent| percent / 100.0);
        let seconds = |value: f64| value.max(0.0) as u64;
        Self {
            order: (rank, status.start_time.unwrap_or_default() + &name),
            library: qualified(job.metadata.namespace.as_deref(), Some(&job.spec.library_ref.name)),
            name,
            path: printable(&job.spec.source.path),
            stage,
            tone,
            progress: gauges.progress.or_else(percent).filter(|_| status.phase != Phase::Queued),
            frames_per_second: gauges
                .frames_per_second
                .or_else(|| progress.frames_per_second.parse().ok())
                .filter(|rate| encoding && *rate > 0.0),
            bit_rate: progress.bit_rate.filter(|rate| *rate > 0),
            crf: plan.map(|plan| plan.crf),
            workers: gauges.workers.map(|workers| workers as u32).or_else(|| plan.map(|plan| plan.workers)),
            eta_seconds: gauges
                .eta_seconds
                .map(seconds)
                .or_else(|| progress.eta_seconds.and_then(|eta| eta.try_into().ok()))
                .filter(|_| encoding),
            node: status.node_name.unwrap_or_default(),
        }
    }

    fn cells(&self, wide: bool) -> Vec<Cell> {
        let or_dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        let mut cells = vec![
            (if wide { self.path.clone() } else { keep_end(&self.path, PATH_WIDTH) }).into(),
            Cell { text: self.stage.clone(), tone: self.tone },
            or_dash(self.progress.map(|ratio| bar(ratio, BAR_WIDTH))),
            or_dash(self.frames_per_second.map(|rate| format!("{rate:.1}"))),
            or_dash(self.bit_rate.map(bit_rate)),
            or_dash(self.crf.map(|crf| crf.to_string())),
            or_dash(self.workers.map(|workers| workers.to_string())),
            or_dash(self.eta_seconds.map(figures::duration)),
        ];
        if wide {
            cells.extend([
                self.library.clone().into(),
                self.name.clone().into(),
                or_dash(Some(self.node.clone()).filter(|node| !node.is_empty())),
            ]);
        }
        cells
    }
}

/// The frame as text; with `wide` nothing is cut and library, job and node are shown too.
pub(crate) fn render(frame: &Frame, wide: bool, palette: Palette) -> String {
    let mut out = header(frame, palette);
    out.push('\n');
    if frame.jobs.is_empty() {
        out.push_str("No live jobs.\n");
    } else {
        let mut columns = vec![
            ("FILE", Align::Left),
            ("STAGE", Align::Left),
            ("PROGRESS", Align::Left),
            ("FPS", Align::Right),
            ("BITRATE", Align::Right),
            ("CRF", Align::Right),
            ("WORKERS", Align::Right),
            ("ETA", Align::Right),
        ];
        if wide {
            columns.extend([("LIBRARY", Align::Left), ("JOB", Align::Left), ("NODE", Align::Left)]);
        }
        let rows: Vec<Vec<Cell>> = frame.jobs.iter().map(|job| job.cells(wide)).collect();
        out.push_str(&Table::new(columns, palette).page(&rows));
    }
    for note in &frame.notes {
        out.push_str(&format!("\n{}\n", printable(note)));
    }
    out
}

fn header(frame: &Frame, palette: Palette) -> String {
    let mut out = String::new();
    if frame.libraries.is_empty() {
        out.push_str("No libraries here: `kubectl apply` a MediaLibrary, or look elsewhere with -n or -A.\n");
    }
    for library in &frame.libraries {
        let (state, tone) = if library.ready { ("ready", Tone::Good) } else { ("not ready", Tone::Bad) };
        out.push_str(&format!("{}: {}", library.name, palette.paint(state, tone)));
        if !library.ready {
            out.push_str(&format!(": {}", library.message));
        }
        out.push('\n');
    }
    let Totals { total, done, pending, failed, saved } = frame.files;
    out.push_str(&format!(
        "{}: {done} done, {pending} pending, {failed} failed or unreadable; {} saved\n",
        count(total, "file"),
        figures::size(saved)
    ));
    let phases: Vec<String> = frame.phases.iter().map(|(phase, number)| format!("{number} {phase:?}")).collect();
    let jobs: i64 = frame.phases.values().sum();
    if jobs > 0 {
        out.push_str(&format!("{}: {}\n", count(jobs, "job"), phases.join(", ")));
    }
    out
}

fn qualified(namespace: Option<&str>, name: Option<&str>) -> String {
    format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn library(name: &str, ready: &str, message: &str) -> MediaLibrary {
        serde_json::from_value(json!({
            "apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": name, "namespace": "media"},
            "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}},
            "status": {
                "conditions": [{"type": "Ready", "status": ready, "reason": "AsExpected", "message": message, "lastTransitionTime": "2026-01-02T03:04:05Z"}],
                "files": {"total": 40, "done": 12, "pending": 20, "failed": 1, "unreadable": 1}, "bytes": {"freed": 129_000_000_000_i64}
            }
        }))
        .unwrap()
    }

    fn job(name: &str, path: &str, status: serde_json::Value) -> EncodeJob {
        serde_json::from_value(json!({
            "apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": name, "namespace": "media"},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": path}}, "status": status
        }))
        .unwrap()
    }

    fn jobs() -> Vec<EncodeJob> {
        vec![
            job("films-c", "Queued.mkv", json!({"phase": "Queued"})),
            job("films-d", "Old.mkv", json!({"phase": "Succeeded"})),
            job(
                "films-b",
                "Settles/Nearly done.mkv",
                json!({"phase": "Settling", "progress": {"percent": "100%"}, "plan": {"crf": 24, "workers": 4}}),
            ),
            job(
                "films-a",
                "A folder with quite a long name/Heat (1995) Director's Cut.mkv",
                json!({"phase": "Encoding", "nodeName": "node1", "plan": {"crf": 26, "workers": 3},
                    "progress": {"stage": "Encoding", "percent": "42%", "framesPerSecond": "12.34", "etaSeconds": 8040, "bitRate": 4_250_000}}),
            ),
            job("films-e", "Starts.mkv", json!({"phase": "Encoding", "startTime": "2026-01-02T03:04:05Z"})),
        ]
    }

    #[test]
    fn running_jobs_come_first_and_ended_ones_are_counted() {
        let libraries =
            [library("films", "True", "all is well"), library("series", "False", "the claim media is not bound")];
        let frame = Frame::new(
            &libraries,
            &jobs(),
            &Gauges::new(),
            vec!["The operator's metrics are away (connection refused).".into()],
        );
        insta::assert_snapshot!(render(&frame, false, Palette::Plain));
    }

    #[test]
    fn gauges_win_over_the_status_and_wide_cuts_nothing() {
        let fresher = JobGauges {
            progress: Some(0.5),
            frames_per_second: Some(15.0),
            eta_seconds: Some(61.9),
            workers: Some(2.0),
            ..JobGauges::default()
        };
        let gauges = Gauges::from([(("media".to_owned(), "films-a".to_owned()), fresher)]);
        let frame = Frame::new(&[library("films", "True", "")], &jobs(), &gauges, Vec::new());
        insta::assert_snapshot!(render(&frame, true, Palette::Plain));
    }

    #[test]
    fn an_empty_namespace_says_what_to_do() {
        insta::assert_snapshot!(render(&Frame::new(&[], &[], &Gauges::new(), Vec::new()), false, Palette::Plain));
    }
}
