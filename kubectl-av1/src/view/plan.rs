//! What `plan` prints: the files that would be encoded, what each is expected to come to, and what all come to together. Pure.

use std::collections::BTreeMap;

use av1_crds::library::ScanOrder;
use av1_crds::wire::PlanItem;
use av1_crds::{EncodeJob, MediaLibrary, figures};
use av1_media::predict::Source;
use kube::ResourceExt;
use serde::Serialize;

use super::table::{Align, Cell, Table};
use super::text::{count, days, keep_end, percent, printable, signed};
use super::{Palette, Tone};
use crate::outlook::Outlook;

/// Columns that a path takes unless nothing is to be cut.
const PATH_WIDTH: usize = 44;

/// The dry run of a library. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanReport {
    namespace: String,
    library: String,
    /// Whether the first walk of the library has ended.
    complete: bool,
    /// Whether nothing starts, because `spec.suspend` is true.
    suspended: bool,
    order: ScanOrder,
    profile: String,
    tier: String,
    encoder: String,
    max_percent: u32,
    /// Encodes at once.
    slots: u32,
    cpus_per_job: Option<u32>,
    /// What sizes and times are taken from.
    basis: String,
    total: Totals,
    files: Vec<PlannedFile>,
}

/// What all files come to together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    files: i64,
    size: i64,
    predicted_size: i64,
    predicted_saved: i64,
    /// Seconds of all encodes, one after the other.
    predicted_seconds: u64,
    /// Files of which the time cannot be told.
    without_time: i64,
    /// Files that may not become small enough.
    may_be_rejected: i64,
}

/// One file that would be encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannedFile {
    path: String,
    size: i64,
    codec: String,
    width: u32,
    height: u32,
    duration_seconds: u64,
    crf: u32,
    preset: u32,
    predicted_size: i64,
    predicted_seconds: Option<u64>,
    /// Whether the output may not be small enough to replace the source.
    may_be_rejected: bool,
    /// Phase of the job that the file has already.
    job: Option<String>,
}

impl PlanReport {
    /// The error is a sentence about a setting.
    pub(crate) fn new(
        library: &MediaLibrary,
        files: &[PlanItem],
        complete: bool,
        jobs: &[EncodeJob],
        outlook: &Outlook,
    ) -> Result<Self, String> {
        let name = library.name_any();
        let alive = |job: &&EncodeJob| job.spec.library_ref.name == name && !job.phase().is_terminal();
        let jobs: BTreeMap<&str, String> = jobs
            .iter()
            .filter(alive)
            .map(|job| (job.spec.source.path.as_str(), job.phase().as_str().to_owned()))
            .collect();
        let mut total = Totals::default();
        let mut planned = Vec::with_capacity(files.len());
        for file in files {
            let source = Source { size: file.size, video: file.video.clone() };
            let quality = outlook.quality(&source)?;
            let prediction = outlook.predict(&source, quality.crf, quality.preset);
            let (size, after) = (signed(file.size), signed(prediction.size));
            let may_be_rejected =
                i128::from(after) * 100 >= i128::from(size) * i128::from(outlook.settings.max_percent);
            total.files += 1;
            total.size = total.size.saturating_add(size);
            // What is not small enough stays as it is.
            total.predicted_size = total.predicted_size.saturating_add(if may_be_rejected { size } else { after });
            total.predicted_seconds = total.predicted_seconds.saturating_add(prediction.seconds.unwrap_or(0));
            total.without_time += i64::from(prediction.seconds.is_none());
            total.may_be_rejected += i64::from(may_be_rejected);
            planned.push(PlannedFile {
                path: file.path.clone(),
                size,
                codec: file.video.codec.clone(),
                width: file.video.width,
                height: file.video.height,
                duration_seconds: file.video.duration_millis / 1_000,
                crf: quality.crf,
                preset: quality.preset,
                predicted_size: after,
                predicted_seconds: prediction.seconds,
                may_be_rejected,
                job: jobs.get(file.path.as_str()).cloned(),
            });
        }
        total.predicted_saved = total.size - total.predicted_size;
        Ok(Self {
            namespace: library.namespace().unwrap_or_default(),
            library: name,
            complete,
            suspended: library.spec.suspend,
            order: library.spec.scan.as_ref().and_then(|scan| scan.order).unwrap_or_default(),
            profile: format!("{:?}", outlook.settings.profile),
            tier: format!("{:?}", outlook.settings.tier),
            encoder: outlook.encoder.as_str().to_owned(),
            max_percent: outlook.settings.max_percent,
            slots: outlook.slots,
            cpus_per_job: outlook.cpus,
            basis: outlook.basis(),
            total,
            files: planned,
        })
    }
}

impl PlannedFile {
    fn cells(&self, wide: bool) -> Vec<Cell> {
        let or_dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        let path = printable(&self.path);
        let after = format!("{} ({})", figures::size(self.predicted_size), percent(self.predicted_size, self.size));
        let tone = if self.may_be_rejected { Tone::Bad } else { Tone::Neutral };
        let mut cells = vec![
            (if wide { path } else { keep_end(&path, PATH_WIDTH) }).into(),
            figures::size(self.size).into(),
            or_dash((self.width > 0).then(|| format!("{}x{}", self.width, self.height))),
            or_dash(Some(printable(&self.codec)).filter(|codec| !codec.is_empty())),
            self.preset.to_string().into(),
            self.crf.to_string().into(),
            Cell { text: after, tone },
            or_dash(self.predicted_seconds.map(figures::duration)),
        ];
        if wide {
            cells.push(or_dash((self.duration_seconds > 0).then(|| figures::duration(self.duration_seconds))));
        }
        cells.push(or_dash(self.job.clone()));
        cells
    }
}

/// How much a table shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) wide: bool,
    /// Files that are listed; 0 lists all.
    pub(crate) limit: usize,
}

pub(crate) fn render(report: &PlanReport, look: Look, palette: Palette) -> String {
    let name = format!("{}/{}", report.namespace, report.library);
    if report.files.is_empty() {
        let more = if report.complete { "" } else { ", but its first walk has not ended: more may follow" };
        return format!(
            "{name}: no file is worth encoding now{more}. `kubectl av1 files {} -n {}` says why of each.\n",
            report.library, report.namespace
        );
    }
    let shown = if look.limit == 0 { report.files.len() } else { look.limit.min(report.files.len()) };
    let order = match report.order {
        ScanOrder::LargestFirst => "the largest first",
        ScanOrder::OldestFirst => "the oldest first",
        ScanOrder::NewestFirst => "the newest first",
        ScanOrder::Path => "by path",
    };
    let mut out =
        format!("{name}: {} would be encoded, {order}. Nothing was written.\n\n", count(report.total.files, "file"));
    let mut columns = vec![
        ("FILE", Align::Left),
        ("SIZE", Align::Right),
        ("PICTURE", Align::Right),
        ("CODEC", Align::Left),
        ("PRESET", Align::Right),
        ("CRF", Align::Right),
        ("PREDICTED", Align::Right),
        ("TIME", Align::Right),
    ];
    if look.wide {
        columns.push(("LENGTH", Align::Right));
    }
    columns.push(("JOB", Align::Left));
    let rows: Vec<Vec<Cell>> = report.files.iter().take(shown).map(|file| file.cells(look.wide)).collect();
    out += &Table::new(columns, palette).page(&rows);
    if shown < report.files.len() {
        out += &format!("and {} more: --limit 0 lists all\n", report.files.len() - shown);
    }
    out.push('\n');
    for (what, told) in summary(report) {
        out += &format!("{what:<7} {told}\n");
    }
    out
}

/// The lines below the table.
fn summary(report: &PlanReport) -> Vec<(&'static str, String)> {
    let total = &report.total;
    let size = figures::size;
    let mut lines = vec![(
        "In all",
        format!(
            "{} become about {} ({}): {} saved, once the originals have left the trash",
            size(total.size),
            size(total.predicted_size),
            percent(total.predicted_size, total.size),
            size(total.predicted_saved)
        ),
    )];
    if total.predicted_seconds > 0 {
        let at_once = match report.slots {
            1 => "one at a time".to_owned(),
            slots => format!("{} with {slots} at once", days(total.predicted_seconds / u64::from(slots))),
        };
        let pod =
            report.cpus_per_job.map_or_else(String::new, |cpus| format!(", in pods of {}", count(cpus.into(), "CPU")));
        lines.push(("Time", format!("about {} of encoding, {at_once}{pod}", days(total.predicted_seconds))));
    }
    lines.push((
        "Plan",
        format!(
            "{}, tier {}, {}; an output must be below {}% of its source",
            report.profile, report.tier, report.encoder, report.max_percent
        ),
    ));
    lines.push(("From", report.basis.clone()));
    let mut note = |told: String| lines.push(("Note", told));
    if total.may_be_rejected > 0 {
        note(format!("{} may not become small enough, and would stay as it is", count(total.may_be_rejected, "file")));
    }
    if total.without_time > 0 {
        note(format!("{} without a known length is left out of the time", count(total.without_time, "file")));
    }
    if !report.complete {
        note("the first walk of the library has not ended: more files will follow".to_owned());
    }
    if report.suspended {
        note(format!("the library is paused: `kubectl av1 resume {}` lets it go on", report.library));
    }
    note("what only frames tell (interlacing, broken pictures) each encode finds out at its start".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use av1_crds::wire::VideoFigures;
    use serde_json::json;

    use super::*;
    use crate::outlook::tests::{encoded, library};

    fn item(path: &str, gib: u64, (width, height): (u32, u32), duration_millis: u64) -> PlanItem {
        let codec = if width == 0 { "" } else { "h264" };
        let frame_rate = "24000/1001".to_owned();
        PlanItem {
            path: path.into(),
            size: gib << 30,
            video: VideoFigures { codec: codec.into(), width, height, frame_rate, duration_millis },
        }
    }

    fn report(suspend: bool, complete: bool, files: &[PlanItem], jobs: &[EncodeJob]) -> PlanReport {
        let films = library(
            json!({"suspend": suspend, "concurrency": {"maxJobs": 2}}),
            json!({"placement": {"cpusPerJob": 8}}),
        );
        PlanReport::new(&films, files, complete, jobs, &Outlook::new(&films, None, jobs).unwrap()).unwrap()
    }

    fn files() -> [PlanItem; 4] {
        [
            item("Heat (1995) with quite a long name/Heat (1995) Director's Cut.mkv", 60, (3840, 2160), 10_200_000),
            item("Alien\u{1b}[2J.mkv", 25, (1920, 1080), 7_000_000),
            item("odd.ts", 3, (0, 0), 0),
            item("poor.mkv", 1, (1920, 1080), 36_000_000),
        ]
    }

    #[test]
    fn a_dry_run_tells_each_file_and_what_all_come_to() {
        let look = Look { wide: false, limit: 30 };
        insta::assert_snapshot!(render(&report(false, true, &files(), &[]), look, Palette::Plain));
    }

    #[test]
    fn encodes_so_far_correct_it_and_the_rest_of_a_long_list_is_counted() {
        let mut running = encoded(json!({"phase": "Encoding", "sizeGate": null}));
        running.spec.source.path = "Alien\u{1b}[2J.mkv".to_owned();
        let jobs = [encoded(json!({})), encoded(json!({})), running];
        let look = Look { wide: true, limit: 2 };
        insta::assert_snapshot!(render(&report(true, false, &files(), &jobs), look, Palette::Plain));
    }

    #[test]
    fn a_document_lists_every_file() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&report(false, true, &files()[1..2], &[])).unwrap());
    }

    #[test]
    fn a_library_without_candidates_says_where_to_look() {
        let look = Look { wide: false, limit: 30 };
        let text = render(&report(false, false, &[], &[]), look, Palette::Plain);
        assert!(
            text.contains("first walk has not ended") && text.contains("kubectl av1 files films -n media"),
            "{text}"
        );
    }
}
