//! The table of `jobs`: which jobs, in which order, how far each is and what it came to. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use av1_crds::{EncodeJob, Phase, conditions, figures, labels};
use jiff::Timestamp;
use serde::Serialize;

use super::table::{Align, Cell, Table};
use super::text::{age, bar, count, keep_end, printable, signed};
use super::{Palette, Tone};
use crate::args::JobOrder;

/// Columns that a path takes unless nothing is to be cut.
const PATH_WIDTH: usize = 40;
const BAR_WIDTH: usize = 10;

/// One job in a few figures. Sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobRow {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) library: String,
    pub(crate) path: String,
    pub(crate) phase: Phase,
    /// What its pod does now.
    stage: Option<String>,
    /// Percent of the frames, of a job that has not ended.
    percent: Option<u32>,
    frames_per_second: Option<f64>,
    eta_seconds: Option<u64>,
    size: Option<i64>,
    /// Of the output; projected while it is encoded.
    output_size: Option<i64>,
    saved: Option<i64>,
    crf: Option<u32>,
    score: Option<String>,
    /// Why it ended, or waits.
    reason: String,
    message: String,
    node: Option<String>,
    created: Option<String>,
    age_seconds: u64,
}

impl JobRow {
    /// The job as it is at `now`.
    pub(crate) fn new(job: &EncodeJob, now: Timestamp) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let created = job.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let live = !status.phase.is_terminal();
        let encoding = status.phase == Phase::Encoding;
        let progress = status.progress.unwrap_or_default();
        let annotated = job.metadata.annotations.as_ref().and_then(|all| all.get(labels::SIZE)?.parse().ok());
        let gate = status.size_gate.as_ref();
        let signed = |bytes: u64| i64::try_from(bytes).ok();
        let waits = status.conditions.iter().find(|c| live && c.type_ == conditions::PLACED && c.status == "False");
        let (reason, message) = match (status.outcome, waits) {
            (Some(outcome), _) if !live => (outcome.reason, outcome.message),
            (_, Some(waits)) => (waits.reason.clone(), waits.message.clone()),
            (Some(outcome), None) => (outcome.reason, outcome.message),
            (None, None) => (String::new(), String::new()),
        };
        Self {
            namespace: job.metadata.namespace.clone().unwrap_or_default(),
            name: job.metadata.name.clone().unwrap_or_default(),
            library: job.spec.library_ref.name.clone(),
            path: job.spec.source.path.clone(),
            phase: status.phase,
            stage: Some(progress.stage).filter(|stage| encoding && !stage.is_empty()),
            percent: progress.percent.trim_end_matches('%').parse().ok().filter(|_| live),
            frames_per_second: progress.frames_per_second.parse().ok().filter(|rate| encoding && *rate > 0.0),
            eta_seconds: progress.eta_seconds.and_then(|eta| eta.try_into().ok()).filter(|_| encoding),
            size: gate
                .and_then(|gate| signed(gate.input_bytes))
                .or_else(|| status.source.as_ref().and_then(|source| signed(source.size)))
                .or(annotated),
            output_size: gate.and_then(|gate| signed(gate.output_bytes)).or(progress.projected_size.filter(|_| live)),
            saved: status.result.map(|result| result.bytes_saved).filter(|_| status.phase == Phase::Succeeded),
            crf: status.plan.map(|plan| plan.crf),
            score: status.quality.map(|quality| quality.mean),
            reason,
            message,
            node: status.node_name,
            age_seconds: created.map_or(0, |at| u64::try_from(now.as_second() - at.as_second()).unwrap_or_default()),
            created: created.map(|at| at.to_string()),
        }
    }

    fn cells(&self, look: Look) -> Vec<Cell> {
        let or_dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        let path = printable(&self.path);
        let library = match look.all_namespaces {
            true => format!("{}/{}", self.namespace, self.library),
            false => self.library.clone(),
        };
        let saved = self.saved.map(|saved| match self.size {
            Some(size) if size > 0 => format!("{} ({}%)", figures::size(saved), saved.saturating_mul(100) / size),
            _ => figures::size(saved),
        });
        let mut cells: Vec<Cell> = Vec::new();
        if look.all_namespaces || look.wide {
            cells.push(library.into());
        }
        cells.extend([
            self.name.clone().into(),
            Cell { text: self.phase.as_str().to_owned(), tone: tone(self.phase) },
            or_dash(self.percent.map(|percent| bar(f64::from(percent) / 100.0, BAR_WIDTH))),
            or_dash(self.frames_per_second.map(|rate| format!("{rate:.1}"))),
            or_dash(self.eta_seconds.map(figures::duration)),
            or_dash(saved),
            or_dash(Some(printable(&self.reason)).filter(|reason| !reason.is_empty())),
        ]);
        if look.wide {
            cells.extend([
                or_dash(self.size.map(figures::size)),
                or_dash(self.output_size.map(figures::size)),
                or_dash(self.crf.map(|crf| crf.to_string())),
                or_dash(self.score.clone()),
                or_dash(self.node.clone()),
                age(self.age_seconds).into(),
            ]);
        }
        cells.push((if look.wide { path } else { keep_end(&path, PATH_WIDTH) }).into());
        cells
    }
}

/// Which jobs are shown; an empty list takes all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter<'a> {
    pub(crate) phases: &'a [Phase],
    pub(crate) libraries: &'a [String],
    pub(crate) reasons: &'a [String],
}

impl Filter<'_> {
    pub(crate) fn takes(&self, row: &JobRow) -> bool {
        (self.phases.is_empty() || self.phases.contains(&row.phase))
            && (self.libraries.is_empty() || self.libraries.contains(&row.library))
            && (self.reasons.is_empty() || self.reasons.iter().any(|r| r.eq_ignore_ascii_case(&row.reason)))
    }
}

/// Puts the jobs in order; of equal ones the youngest first.
pub(crate) fn sort(rows: &mut [JobRow], order: JobOrder) {
    rows.sort_by(|a, b| {
        let first = match order {
            JobOrder::Status => rank(a.phase).cmp(&rank(b.phase)),
            JobOrder::Date => std::cmp::Ordering::Equal,
            JobOrder::Size => Reverse(a.size).cmp(&Reverse(b.size)),
            JobOrder::Savings => Reverse(a.saved).cmp(&Reverse(b.saved)),
            JobOrder::Progress => Reverse(a.percent).cmp(&Reverse(b.percent)),
            JobOrder::Path => a.path.cmp(&b.path),
        };
        first.then_with(|| b.created.cmp(&a.created)).then_with(|| a.name.cmp(&b.name))
    });
}

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Encoding => 0,
        Phase::Settling | Phase::Restoring => 1,
        Phase::Paused => 2,
        Phase::Queued => 3,
        _ => 4,
    }
}

pub(crate) fn tone(phase: Phase) -> Tone {
    match phase {
        Phase::Encoding | Phase::Settling | Phase::Restoring => Tone::Busy,
        Phase::Succeeded | Phase::Restored => Tone::Good,
        Phase::Failed => Tone::Bad,
        _ => Tone::Neutral,
    }
}

/// How much a table shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) wide: bool,
    pub(crate) all_namespaces: bool,
}

/// The table, and below it how many jobs there are of each phase. `all` is the number of jobs before they were filtered.
pub(crate) fn render(rows: &[JobRow], all: usize, look: Look, palette: Palette) -> String {
    if rows.is_empty() {
        return match all {
            0 => "No jobs: the operator makes them once a library is ready and has files worth encoding.\n".to_owned(),
            all => format!("No job is of that kind; there {} in all.\n", are(signed(all))),
        };
    }
    let mut columns = Vec::new();
    if look.all_namespaces || look.wide {
        columns.push(("LIBRARY", Align::Left));
    }
    columns.extend([
        ("JOB", Align::Left),
        ("PHASE", Align::Left),
        ("PROGRESS", Align::Left),
        ("FPS", Align::Right),
        ("ETA", Align::Right),
        ("SAVED", Align::Right),
        ("REASON", Align::Left),
    ]);
    if look.wide {
        columns.extend([
            ("SIZE", Align::Right),
            ("OUTPUT", Align::Right),
            ("CRF", Align::Right),
            ("SCORE", Align::Right),
            ("NODE", Align::Left),
            ("AGE", Align::Right),
        ]);
    }
    columns.push(("FILE", Align::Left));
    let cells: Vec<Vec<Cell>> = rows.iter().map(|row| row.cells(look)).collect();
    let mut phases: BTreeMap<Phase, i64> = BTreeMap::new();
    rows.iter().for_each(|row| *phases.entry(row.phase).or_default() += 1);
    let phases: Vec<String> = phases.iter().map(|(phase, number)| format!("{number} {}", phase.as_str())).collect();
    let saved: i64 = rows.iter().filter_map(|row| row.saved).sum();
    let shown = match rows.len() < all {
        true => format!("{} of {all}", rows.len()),
        false => count(signed(rows.len()), "job"),
    };
    format!(
        "{}\n{shown}: {}; {} saved\n",
        Table::new(columns, palette).page(&cells),
        phases.join(", "),
        figures::size(saved)
    )
}

fn are(number: i64) -> String {
    format!("{} {}", if number == 1 { "is" } else { "are" }, count(number, "job"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(name: &str, hour: u32, status: Value) -> JobRow {
        let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
            "metadata": {"name": name, "namespace": "media", "creationTimestamp": format!("2026-01-02T{hour:02}:00:00Z"),
                "annotations": {"av1.media/size": "9000000000"}},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": format!("A folder with quite a long name/{name}.mkv")}},
            "status": status});
        JobRow::new(&serde_json::from_value(job).unwrap(), "2026-01-03T12:00:00Z".parse().unwrap())
    }

    fn rows() -> Vec<JobRow> {
        let ended = |reason: &str| json!({"reason": reason, "message": "told", "retryable": false});
        vec![
            row(
                "films-waits",
                4,
                json!({"phase": "Queued", "conditions": [{"type": "Placed", "status": "False", "reason": "WaitingForSlot",
                "message": "1 encode runs already", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
            ),
            row(
                "films-encodes",
                1,
                json!({"phase": "Encoding", "nodeName": "node1", "plan": {"crf": 23}, "progress": {"stage": "Encoding",
                "percent": "42%", "frames": 42, "totalFrames": 100, "framesPerSecond": "7.5", "etaSeconds": 4000, "projectedSize": 3_000_000_000_i64, "updatedAt": ""}}),
            ),
            row(
                "films-done",
                2,
                json!({"phase": "Succeeded", "outcome": ended("Encoded"), "plan": {"crf": 23}, "quality": {"metric": "Vmaf", "mean": "95.1"},
                "sizeGate": {"inputBytes": 9_000_000_000_u64, "outputBytes": 4_000_000_000_u64, "percent": 45, "maxPercent": 90, "passed": true},
                "result": {"bytesSaved": 5_000_000_000_i64}, "progress": {"percent": "100%"}}),
            ),
            row("films-rejected", 3, json!({"phase": "Rejected", "outcome": ended("NotSmaller")})),
            row("films-paused", 5, json!({"phase": "Paused", "progress": {"percent": "12%"}})),
        ]
    }

    #[test]
    fn what_runs_comes_first_and_each_job_says_how_far_it_is_or_why_it_ended() {
        let mut rows = rows();
        sort(&mut rows, JobOrder::Status);
        let look = Look { wide: false, all_namespaces: false };
        insta::assert_snapshot!(render(&rows, 5, look, Palette::Plain));
    }

    #[test]
    fn wide_shows_all_and_cuts_nothing() {
        let mut rows = rows();
        sort(&mut rows, JobOrder::Savings);
        let look = Look { wide: true, all_namespaces: true };
        insta::assert_snapshot!(render(&rows, 5, look, Palette::Plain));
    }

    #[test]
    fn a_record_has_the_figures_for_scripts() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&rows()[1]).unwrap());
    }

    #[test]
    fn filters_hold_together_and_orders_are_by_what_they_say() {
        let rows = rows();
        let none: [String; 0] = [];
        let names = |filter: Filter| -> Vec<String> {
            rows.iter().filter(|row| filter.takes(row)).map(|row| row.name.clone()).collect()
        };
        let by_reason = ["notsmaller".to_owned(), "Encoded".to_owned()];
        let all = Filter { phases: &[], libraries: &none, reasons: &none };
        assert_eq!(names(all).len(), 5);
        assert_eq!(names(Filter { reasons: &by_reason, ..all }), ["films-done", "films-rejected"]);
        assert_eq!(names(Filter { reasons: &by_reason, phases: &[Phase::Rejected], ..all }), ["films-rejected"]);
        assert!(names(Filter { libraries: &["series".to_owned()], ..all }).is_empty());
        let first = |order| {
            let mut sorted = rows.clone();
            sort(&mut sorted, order);
            sorted[0].name.clone()
        };
        use JobOrder::{Date, Path, Progress, Savings, Size, Status};
        assert_eq!(
            [Status, Date, Size, Savings, Progress, Path].map(first),
            ["films-encodes", "films-paused", "films-paused", "films-done", "films-encodes", "films-done"]
        );
    }

    #[test]
    fn no_job_at_all_and_none_of_that_kind_are_told_apart() {
        let look = Look { wide: false, all_namespaces: false };
        assert!(render(&[], 0, look, Palette::Plain).starts_with("No jobs: "));
        assert_eq!(render(&[], 1, look, Palette::Plain), "No job is of that kind; there is 1 job in all.\n");
        assert!(render(&rows()[..1], 3, look, Palette::Plain).ends_with("\n1 of 3: 1 Queued; 0 B saved\n"));
    }
}
