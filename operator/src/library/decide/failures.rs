//! A library whose jobs fail one after the other stops starting them: the cause is likely the same, and each try costs hours. Pure.
//!
//! What counts are the encodes that ended last. A success, a rejection or a skipped file between them ends the row; so does a change
//! of the library's spec, and a job that is retried or deleted counts no more. What was asked of one file (undo) is no encode.

use std::sync::Arc;

use av1_crds::conditions::reason;
use av1_crds::job::Desired;
use av1_crds::library::PAUSE_AFTER_FAILURES;
use av1_crds::{EncodeJob, Phase};
use jiff::Timestamp;

use super::{Draft, Trouble};

impl Draft<'_> {
    /// A changed spec may have put the cause right.
    pub(super) fn forgive(&mut self) {
        let status = &mut self.out.status;
        if status.observed_generation.is_some()
            && status.observed_generation != self.observed.library.metadata.generation
        {
            status.failures_counted_from = Some(self.observed.now.to_string());
        }
    }

    /// Why no encode starts, when too many failed in a row.
    pub(super) fn failing(&self) -> Option<Trouble> {
        let policy = self.observed.library.spec.failure_policy.as_ref();
        let most = policy.and_then(|p| p.pause_after_consecutive_failures).unwrap_or(PAUSE_AFTER_FAILURES) as usize;
        let from = self.out.status.failures_counted_from.as_deref().and_then(|at| at.parse().ok());
        let failed = in_a_row(&self.observed.jobs, from);
        let (count, last) = (failed.len(), failed.first()?.status.as_ref()?.outcome.clone()?);
        (most > 0 && count >= most).then(|| {
            let message = format!(
                "the last {count} jobs failed, the latest with {}: {}. No encode starts until the cause is put right: then retry one of the jobs (kubectl av1 retry JOB) or change the library's spec",
                last.reason, last.message
            );
            Trouble::person(reason::CONSECUTIVE_FAILURES, message)
        })
    }
}

/// The failed jobs that ended last, and after `from`, the latest first.
fn in_a_row(jobs: &[Arc<EncodeJob>], from: Option<Timestamp>) -> Vec<&EncodeJob> {
    let ended = |job: &EncodeJob| job.status.as_ref()?.completion_time.as_deref()?.parse::<Timestamp>().ok();
    let of_encodes = |phase| matches!(phase, Phase::Succeeded | Phase::Skipped | Phase::Rejected | Phase::Failed);
    let mut done: Vec<(Timestamp, &EncodeJob)> = jobs
        .iter()
        .filter(|job| job.spec.desired == Desired::Encoded && of_encodes(job.phase()))
        .filter_map(|job| ended(job).map(|at| (at, job.as_ref())))
        .filter(|(at, _)| from.is_none_or(|from| *at > from))
        .collect();
    done.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    done.into_iter().map(|(_, job)| job).take_while(|job| job.phase() == Phase::Failed).collect()
}
