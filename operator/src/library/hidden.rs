//! Which candidates have had their job: the catalog's pages are older than the jobs. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use av1_crds::conditions::SETTLED;
use av1_crds::wire::{Candidate, CatalogSummary};
use av1_crds::{EncodeJob, MediaLibrary, Phase, reasons};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::build::job_names;
use crate::conditions::is_true;

/// Seconds that a scan must begin after a job ended to know of its outcome: attribute caches of NFS hold for a minute, and two
/// machines' clocks differ.
const SETTLES_IN: i64 = 90;
/// Seconds that a file is left alone whose outcome the volume does not keep, so that nothing would stop the next job.
const LEFT_ALONE: i64 = 24 * 3_600;

/// What the jobs of a library hide.
pub(super) struct Hidden<'a> {
    library: &'a MediaLibrary,
    /// Files at work.
    at_work: HashSet<&'a str>,
    /// Jobs that hide the file as it was, by path: no scan has seen their outcome, or nothing of it is on the volume.
    ended: HashMap<&'a str, Vec<&'a EncodeJob>>,
}

impl<'a> Hidden<'a> {
    pub(super) fn new(
        library: &'a MediaLibrary,
        jobs: &'a [Arc<EncodeJob>],
        summary: &CatalogSummary,
        now: Timestamp,
    ) -> Self {
        let scan_began = began(summary);
        let mut hidden = Self { library, at_work: HashSet::new(), ended: HashMap::new() };
        for job in jobs {
            let path = job.spec.source.path.as_str();
            if !job.phase().is_terminal() {
                hidden.at_work.insert(path);
                continue;
            }
            let since = ended(job);
            let seen = since.is_some_and(|at| scan_began.is_some_and(|began| began - at > SETTLES_IN));
            let left_alone = !has_receipt(job) && since.is_some_and(|at| now.as_second() - at < LEFT_ALONE);
            if !seen || left_alone {
                hidden.ended.entry(path).or_default().push(job);
            }
        }
        hidden
    }

    /// Whether no job is to be made of `file`.
    pub(super) fn hides(&self, file: &Candidate) -> bool {
        let path = file.path.as_str();
        let ended = self.ended.get(path).into_iter().flatten();
        self.at_work.contains(path) || ended.into_iter().any(|job| self.is_of(job, file))
    }

    /// Whether the job was about the file as it is on the page: by what its pod saw, or by what it was made for.
    fn is_of(&self, job: &EncodeJob, file: &Candidate) -> bool {
        /// More jobs than there ever are of one file as it is.
        const MOST: usize = 100;
        let source = job.status.as_ref().and_then(|s| s.source.as_ref());
        source.is_some_and(|s| (s.size, s.modified_time_ns) == (file.size, file.modified_time_ns))
            || job_names(self.library, file).take(MOST).any(|name| name == job.name_any())
    }
}

/// When the last scan began, seconds since 1970.
fn began(summary: &CatalogSummary) -> Option<i64> {
    let finished: Timestamp = summary.scan_finished_at.as_deref()?.parse().ok()?;
    Some(finished.as_second() - i64::try_from(summary.scan_millis.div_ceil(1_000)).ok()?)
}

/// When the job reached a terminal phase, seconds since 1970.
fn ended(job: &EncodeJob) -> Option<i64> {
    let at: Timestamp = job.status.as_ref()?.completion_time.as_deref()?.parse().ok()?;
    Some(at.as_second())
}

/// Whether the volume itself keeps the next job from doing the same again; a receipt of a failure is not counted on.
fn has_receipt(job: &EncodeJob) -> bool {
    let Some(status) = &job.status else { return false };
    let changed = status.outcome.as_ref().is_some_and(|o| o.reason == reasons::SOURCE_CHANGED);
    job.phase() != Phase::Failed && !changed && is_true(&status.conditions, SETTLED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::free_job_name;
    use serde_json::{Value, json};

    fn library() -> MediaLibrary {
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary",
            "metadata": {"name": "films", "uid": "lib"}, "spec": {"volume": {}}}))
        .unwrap()
    }

    fn file(size: u64) -> Candidate {
        Candidate { path: "a.mkv".into(), size, modified_time_ns: 5, width: 0, height: 0, duration_millis: 0 }
    }

    /// The job that was made of `file(1)`.
    fn job(status: Value) -> EncodeJob {
        let name = free_job_name(&library(), &file(1), &HashSet::new());
        serde_json::from_value(
            json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": name},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a.mkv"}}, "status": status}),
        )
        .unwrap()
    }

    fn ended(phase: &str, receipt: bool) -> EncodeJob {
        let settled = json!([{"type": "Settled", "status": if receipt { "True" } else { "False" }, "reason": "AsExpected",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        job(json!({"phase": phase, "completionTime": "2026-01-01T00:00:00Z", "conditions": settled}))
    }

    /// Whether `file(size)` is hidden after a scan that ended at `scan` and took a minute.
    fn hides(job: &EncodeJob, size: u64, scan: Option<&str>, now: &str) -> bool {
        let summary =
            CatalogSummary { scan_finished_at: scan.map(Into::into), scan_millis: 60_000, ..CatalogSummary::default() };
        let jobs = [Arc::new(job.clone())];
        Hidden::new(&library(), &jobs, &summary, now.parse().unwrap()).hides(&file(size))
    }

    #[test]
    fn a_job_that_just_ended_is_not_made_again_from_a_page_of_before() {
        let now = "2026-01-01T00:05:00Z";
        for phase in ["Succeeded", "Rejected", "Skipped", "Failed"] {
            let job = ended(phase, true);
            let early =
                [None, Some("2025-12-31T23:59:00Z"), Some("2026-01-01T00:00:30Z"), Some("2026-01-01T00:02:30Z")];
            for scan in early {
                assert!(hides(&job, 1, scan, now) && !hides(&job, 2, scan, now), "{phase} {scan:?}");
            }
            assert_eq!(hides(&job, 1, Some("2026-01-01T00:02:31Z"), now), phase == "Failed", "{phase}");
        }
    }

    #[test]
    fn a_job_made_by_hand_stands_for_the_file_that_its_pod_saw() {
        let mut job = ended("Succeeded", true);
        job.metadata.name = Some("by-hand".into());
        assert!(!hides(&job, 1, None, "2026-01-01T00:05:00Z"));
        let source =
            json!({"size": "2", "modifiedTimeNs": "5", "changedTimeNs": "1", "inode": "1", "fingerprint": "f"});
        job.status.as_mut().unwrap().source = serde_json::from_value(source).unwrap();
        assert!(hides(&job, 2, None, "2026-01-01T00:05:00Z") && !hides(&job, 1, None, "2026-01-01T00:05:00Z"));
    }

    #[test]
    fn a_file_at_work_is_hidden_whatever_the_scan_says() {
        for phase in ["Queued", "Encoding", "Paused", "Settling"] {
            let job = job(json!({"phase": phase, "completionTime": "2026-01-01T00:00:00Z"}));
            assert!(hides(&job, 2, Some("2026-01-03T00:00:00Z"), "2026-01-03T00:00:00Z"), "{phase}");
        }
    }

    #[test]
    fn a_file_that_failed_or_left_no_receipt_is_left_alone_for_a_day_unless_it_changed() {
        for job in [ended("Failed", true), ended("Failed", false), ended("Skipped", false)] {
            let scan = Some("2026-01-01T00:03:00Z");
            assert!(hides(&job, 1, scan, "2026-01-01T23:59:59Z"));
            assert!(!hides(&job, 1, scan, "2026-01-02T00:00:00Z"));
            assert!(!hides(&job, 2, scan, "2026-01-01T00:03:00Z"), "another file under the name");
        }
    }
}
