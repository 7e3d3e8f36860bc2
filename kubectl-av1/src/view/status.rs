//! The report on a library: ready or why not, progress, time to go, saved, what needs attention. Pure.

use std::collections::{BTreeMap, BTreeSet};

use av1_crds::library::{ByteCounts, FileCounts, JobCounts, KeptFile};
use av1_crds::paths::{AV1_DIR, is_in_trash};
use av1_crds::wire::NO_JOB;
use av1_crds::{EncodeJob, MediaLibrary, MediaLibraryStatus, Phase, conditions, figures};
use jiff::Timestamp;
use serde::Serialize;

use super::text::{count, days, percent, printable, signed};
use super::{Palette, Tone};
use crate::backlog::{Backlog, Hold};

/// Failed jobs that are named, and originals that are kept; the others are counted.
const NAMED: usize = 5;

/// What a person wants to know first about one library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LibraryReport {
    namespace: String,
    name: String,
    ready: bool,
    /// Why it is ready, or is not.
    message: String,
    /// None until the catalog has looked.
    files: Option<FileCounts>,
    bytes: ByteCounts,
    jobs: JobCounts,
    /// None when nothing waits.
    backlog: Option<Backlog>,
    free_bytes: Option<i64>,
    total_bytes: Option<i64>,
    skipped_by_reason: BTreeMap<String, i64>,
    needs_attention: Vec<String>,
}

impl LibraryReport {
    /// From the library and the jobs of its namespace, or of all, as they are at `now`.
    pub(crate) fn new(library: &MediaLibrary, jobs: &[EncodeJob], now: Timestamp) -> Self {
        let namespace = library.metadata.namespace.clone().unwrap_or_default();
        let name = library.metadata.name.clone().unwrap_or_default();
        let status = library.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
        let message = match ready {
            Some(condition) => condition.message.clone(),
            None => "no operator has looked at it yet: is av1-operator running?".to_owned(),
        };
        let jobs: Vec<&EncodeJob> = jobs
            .iter()
            .filter(|job| job.metadata.namespace.as_deref() == Some(&namespace) && job.spec.library_ref.name == name)
            .collect();
        Self {
            ready: ready.is_some_and(|condition| condition.status == "True"),
            message,
            needs_attention: needs_attention(&name, &namespace, &status, library.spec.suspend, &jobs),
            namespace,
            name,
            files: status.files,
            bytes: status.bytes.unwrap_or_default(),
            jobs: status.jobs.unwrap_or_default(),
            backlog: Backlog::new(library, &jobs, now),
            free_bytes: status.storage.as_ref().and_then(|storage| storage.free_bytes),
            total_bytes: status.storage.as_ref().and_then(|storage| storage.total_bytes),
            skipped_by_reason: status.skipped_by_reason,
        }
    }
}

fn needs_attention(
    name: &str,
    namespace: &str,
    status: &MediaLibraryStatus,
    suspended: bool,
    jobs: &[&EncodeJob],
) -> Vec<String> {
    let mut items = Vec::new();
    if suspended {
        items.push("suspended: nothing starts until spec.suspend is false".to_owned());
    }
    // Degraded often repeats what another condition says.
    let mut said = BTreeSet::new();
    for condition in &status.conditions {
        let wrong = match condition.type_.as_str() {
            conditions::STORAGE_READY | conditions::CATALOG_READY => condition.status == "False",
            conditions::DEGRADED => condition.status == "True",
            _ => false,
        };
        if wrong && said.insert(condition.message.as_str()) {
            items.push(format!("{} ({}): {}", condition.type_, condition.reason, condition.message));
        }
    }
    items.extend(jobs.iter().filter_map(|job| held(job)).take(NAMED));
    let failed: Vec<_> = jobs.iter().filter(|job| job.phase() == Phase::Failed).collect();
    for job in failed.iter().take(NAMED) {
        let outcome = job.status.as_ref().and_then(|status| status.outcome.clone()).unwrap_or_default();
        items.push(format!("{} failed ({}): {}", job.spec.source.path, outcome.reason, outcome.message));
    }
    if let Some(more) = failed.len().checked_sub(NAMED).filter(|more| *more > 0) {
        items.push(format!("{more} more jobs failed: `kubectl get encodejobs -n {namespace}` lists them"));
    }
    items.extend(kept(name, namespace, status));
    let unreadable = status.files.as_ref().map_or(0, |files| files.unreadable);
    if unreadable > 0 {
        items.push(format!(
            "{} cannot be read: `kubectl av1 files {name} -n {namespace}` says why",
            count(unreadable, "file")
        ));
    }
    items
}

/// Why a job that has a slot does not encode.
fn held(job: &EncodeJob) -> Option<String> {
    let status = job.status.as_ref().filter(|status| status.phase == Phase::Encoding)?;
    let placed = status.conditions.iter().find(|condition| condition.type_ == conditions::PLACED)?;
    let held = [conditions::reason::UNSCHEDULABLE, conditions::reason::NOT_STARTED].contains(&placed.reason.as_str());
    held.then(|| format!("{} does not start: {}", job.spec.source.path, placed.message))
}

/// What purges left: originals past their time, because what replaced them was changed since, and swaps that have not ended.
fn kept(name: &str, namespace: &str, status: &MediaLibraryStatus) -> Vec<String> {
    let Some(purge) = &status.purge else { return Vec::new() };
    let mut items: Vec<String> =
        purge.kept.iter().take(NAMED).map(|kept| format!("{}: {}", stays(&kept.file), kept.message)).collect();
    let originals = |kept: &[KeptFile]| signed(kept.iter().filter(|kept| is_in_trash(&kept.file)).count());
    let named = &purge.kept[..items.len()];
    let more = purge.kept_count.max(originals(&purge.kept)) - originals(named);
    if more > 0 {
        let originals = count(more, if items.is_empty() { "original" } else { "more original" });
        items.push(format!(
            "kept past their time: {originals}; `kubectl get mlib {name} -n {namespace} -o jsonpath='{{.status.purge.kept}}'` names the latest"
        ));
    }
    items
}

/// What a purge left, by what it is called.
fn stays(what: &str) -> String {
    match what {
        file if is_in_trash(file) => format!("the original {file} is kept past its time"),
        folder if folder.starts_with(AV1_DIR) => format!("the work folder {folder} stays"),
        NO_JOB => "the claims that a purge left are not let go of".to_owned(),
        job => format!("what the deleted job {job} began has not ended"),
    }
}

/// The reports as text; `namespace` is where they were looked for.
pub(crate) fn render(reports: &[LibraryReport], namespace: Option<&str>, palette: Palette) -> String {
    if reports.is_empty() {
        let place = namespace.map_or_else(|| "this cluster".to_owned(), |namespace| format!("namespace {namespace}"));
        let elsewhere = if namespace.is_some() { ", or look everywhere with -A" } else { "" };
        return format!("No libraries in {place}: `kubectl apply` a MediaLibrary{elsewhere}.\n");
    }
    reports.iter().map(|report| section(report, palette)).collect::<Vec<_>>().join("\n")
}

fn section(report: &LibraryReport, palette: Palette) -> String {
    let LibraryReport { files, bytes, jobs, backlog, .. } = report;
    let (state, tone) = if report.ready { ("ready", Tone::Good) } else { ("not ready", Tone::Bad) };
    let mut out = format!("{}/{}: {}", report.namespace, report.name, palette.paint(state, tone));
    if !report.message.is_empty() {
        out.push_str(&format!(": {}", printable(&report.message)));
    }
    out.push('\n');
    let mut line = |label: &str, text: String| out.push_str(&format!("  {label:<10}{text}\n"));
    match files {
        None => line("Progress", "nothing scanned yet".to_owned()),
        Some(files) => line("Progress", progress(files)),
    }
    if let Some(backlog) = backlog {
        line("ETA", eta(backlog));
    }
    line("Jobs", format!("{} encoding, {} settling, {} queued", jobs.encoding, jobs.settling, jobs.queued));
    line("Saved", saved(bytes));
    if let Some(files) = files {
        line("Files", breakdown(files));
    }
    if !report.skipped_by_reason.is_empty() {
        let reasons: Vec<String> =
            report.skipped_by_reason.iter().map(|(reason, number)| format!("{} {number}", printable(reason))).collect();
        line("Skipped", reasons.join(", "));
    }
    if let (Some(free), Some(total)) = (report.free_bytes, report.total_bytes) {
        line("Volume", format!("{} free of {} ({})", figures::size(free), figures::size(total), percent(free, total)));
    }
    if !report.needs_attention.is_empty() {
        out.push_str(&format!("  {}\n", palette.paint("Needs attention", Tone::Bad)));
        for item in &report.needs_attention {
            out.push_str(&format!("    - {}\n", printable(item)));
        }
    }
    out
}

fn progress(files: &FileCounts) -> String {
    let unfinished = if files.complete { "" } else { " (so far: the first walk has not ended)" };
    let worth = count(files.eligible, "file");
    format!(
        "{} of {worth} worth encoding done ({}), {} pending{unfinished}",
        files.done,
        percent(files.done, files.eligible),
        files.pending
    )
}

/// How long it takes, by what that is told, and what it is told in spite of.
fn eta(backlog: &Backlog) -> String {
    let Backlog { encodes, slots, .. } = backlog;
    let Some(seconds) = backlog.eta_seconds else {
        return "not known yet: no job tells how long an encode takes".to_owned();
    };
    let by = match (backlog.running, encodes) {
        (false, 1) => "the last encode".to_owned(),
        (false, encodes) => format!("the last {encodes} encodes"),
        (true, 1) => "the encode that runs".to_owned(),
        (true, encodes) => format!("the {encodes} encodes that run"),
    };
    let at_once = if *slots > 1 { format!(", {slots} at once") } else { String::new() };
    let (before, of, after) = match backlog.held {
        None => ("", "", ""),
        Some(Hold::Paused) => ("paused; ", " of encoding time", ""),
        Some(Hold::NotReady) => ("", " of encoding time", ", once it is ready"),
        Some(Hold::Schedule) => ("", " of encoding time", ", in the hours of spec.schedule"),
    };
    format!("{before}about {}{of} at the pace of {by}{at_once}{after}", days(seconds))
}

fn breakdown(files: &FileCounts) -> String {
    let FileCounts { already_av1, skipped, rejected, failed, unreadable, .. } = files;
    let total = count(files.total, "file");
    format!(
        "{total} in all: {already_av1} already AV1, {skipped} skipped, {rejected} rejected, {failed} failed, {unreadable} unreadable"
    )
}

fn saved(bytes: &ByteCounts) -> String {
    if bytes.replaced_before == 0 {
        return "nothing yet".to_owned();
    }
    let mut text = format!(
        "{} ({}): {} became {}",
        figures::size(bytes.freed),
        percent(bytes.freed, bytes.replaced_before),
        figures::size(bytes.replaced_before),
        figures::size(bytes.replaced_after)
    );
    if bytes.in_trash > 0 {
        text.push_str(&format!("; originals of {} are still in the trash", figures::size(bytes.in_trash)));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::outlook::tests::encoded;

    fn report(library: &MediaLibrary, jobs: &[EncodeJob]) -> LibraryReport {
        LibraryReport::new(library, jobs, "2026-01-02T06:00:00Z".parse().unwrap())
    }

    fn library(status: Option<Value>) -> MediaLibrary {
        serde_json::from_value(json!({
            "apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": "films", "namespace": "media"},
            "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}}, "status": status
        }))
        .unwrap()
    }

    fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-02T03:04:05Z"})
    }

    fn failed_job(number: usize) -> EncodeJob {
        serde_json::from_value(json!({
            "apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": format!("films-{number}"), "namespace": "media"},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": format!("Film {number}.mkv")}},
            "status": {"phase": "Failed", "outcome": {"reason": "VerificationFailed", "message": "1440 frames expected, 1439 measured"}}
        }))
        .unwrap()
    }

    #[test]
    fn a_library_at_work_shows_progress_savings_and_failures() {
        let library = library(Some(json!({
            "conditions": [condition("Ready", "True", "AsExpected", "2 of 40 files encode now")],
            "files": {"total": 60, "eligible": 40, "done": 12, "pending": 28, "skipped": 14, "alreadyAv1": 3, "rejected": 1, "failed": 7, "unreadable": 2, "complete": true},
            "bytes": {"replacedBefore": 120_i64 << 30, "replacedAfter": 48_i64 << 30, "freed": 72_i64 << 30, "inTrash": 30_i64 << 30},
            "jobs": {"queued": 5, "encoding": 2, "settling": 0},
            "storage": {"freeBytes": 1_i64 << 40, "totalBytes": 8_i64 << 40},
            "skippedByReason": {"TooSmall": 12, "SkipMarker": 2}
        })));
        let mut jobs: Vec<EncodeJob> = (1..=7).map(failed_job).collect();
        jobs.push(encoded(json!({})));
        insta::assert_snapshot!(render(&[report(&library, &jobs)], Some("media"), Palette::Plain));
        insta::assert_json_snapshot!("a_document_has_the_figures_for_scripts", report(&library, &jobs));
    }

    #[test]
    fn a_library_that_is_not_ready_says_why() {
        let library = library(Some(json!({"conditions": [
            condition("StorageReady", "False", "ClaimNotFound", "there is no PersistentVolumeClaim media: create it"),
            condition("Ready", "False", "ClaimNotFound", "the volume is not ready")
        ]})));
        insta::assert_snapshot!(render(&[report(&library, &[])], Some("media"), Palette::Plain));
    }

    #[test]
    fn a_library_that_no_operator_has_seen_says_so() {
        insta::assert_snapshot!(render(&[report(&library(None), &[])], None, Palette::Plain));
    }

    #[test]
    fn failures_of_another_library_are_not_reported() {
        let mut other = failed_job(1);
        other.spec.library_ref.name = "series".to_owned();
        assert!(report(&library(None), &[other]).needs_attention.is_empty());
    }

    #[test]
    fn a_job_that_holds_a_slot_and_does_not_start_needs_attention() {
        let told = |reason: &str| {
            let mut job = failed_job(1);
            let placed = condition("Placed", "False", reason, "no node takes the pod");
            job.status = serde_json::from_value(json!({"phase": "Encoding", "conditions": [placed]})).unwrap();
            report(&library(None), &[job]).needs_attention
        };
        assert_eq!(told("Unschedulable"), ["Film 1.mkv does not start: no node takes the pod"]);
        assert_eq!(told("NotStarted").len(), 1);
        assert!(told("InProgress").is_empty());
    }

    #[test]
    fn the_time_to_go_says_by_what_it_is_told_and_in_spite_of_what() {
        let backlog =
            |eta_seconds, encodes, running, held| Backlog { files: 3, slots: 1, eta_seconds, encodes, running, held };
        assert_eq!(eta(&backlog(None, 0, false, None)), "not known yet: no job tells how long an encode takes");
        assert_eq!(eta(&backlog(Some(8_040), 1, false, None)), "about 2h 14m at the pace of the last encode");
        assert_eq!(eta(&backlog(Some(8_040), 2, true, None)), "about 2h 14m at the pace of the 2 encodes that run");
        let days = Backlog { slots: 3, ..backlog(Some(273_600), 40, false, Some(Hold::Schedule)) };
        assert_eq!(
            eta(&days),
            "about 3d 4h of encoding time at the pace of the last 40 encodes, 3 at once, in the hours of spec.schedule"
        );
        let paused = eta(&backlog(Some(60), 1, true, Some(Hold::Paused)));
        assert_eq!(paused, "paused; about 1m 0s of encoding time at the pace of the encode that runs");
        let waits = eta(&backlog(Some(60), 2, false, Some(Hold::NotReady)));
        assert_eq!(waits, "about 1m 0s of encoding time at the pace of the last 2 encodes, once it is ready");
    }

    #[test]
    fn originals_that_are_kept_past_their_time_need_attention() {
        let attention = |count: i64, named: usize| {
            let kept: Vec<Value> = (0..named)
                .map(|n| json!({"file": format!(".av1/trash/j/{n}.mkv"), "message": "changed since", "at": "2026-01-01T00:00:00Z"}))
                .collect();
            let status = json!({"purge": {"keptCount": count, "kept": kept}});
            report(&library(Some(status)), &[]).needs_attention
        };
        assert!(attention(0, 0).is_empty());
        assert_eq!(attention(1, 1), ["the original .av1/trash/j/0.mkv is kept past its time: changed since"]);
        let many = attention(300, 100);
        assert_eq!(many.len(), NAMED + 1);
        assert!(
            many[NAMED].starts_with("kept past their time: 295 more originals; `kubectl get mlib films -n media"),
            "{many:?}"
        );
    }

    #[test]
    fn no_library_at_all_says_where_was_looked() {
        assert!(render(&[], Some("media"), Palette::Plain).starts_with("No libraries in namespace media:"));
    }
}
