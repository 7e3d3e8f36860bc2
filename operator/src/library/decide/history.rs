//! EncodeJobs that ended long ago go; what was decided about their files stays on the volume. Pure.

use std::sync::Arc;

use av1_crds::settings::{Originals, ReplacementMode};
use av1_crds::{EncodeJob, FINALIZER, Phase};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::Draft;

/// Most jobs that go in one reconcile.
const AT_ONCE: usize = 20;

impl Draft<'_> {
    /// Lets jobs go whose time is over, the oldest first.
    pub(super) fn expire(&mut self, ttl_seconds: u64) {
        let now = self.observed.now;
        let mut due: Vec<(Timestamp, &Arc<EncodeJob>)> = self
            .observed
            .jobs
            .iter()
            .filter_map(|job| kept_until(job, ttl_seconds).map(|until| (until, job)))
            .filter(|(until, _)| *until <= now)
            .collect();
        due.sort_by_key(|(until, _)| *until);
        self.out.desired.expired = due.into_iter().take(AT_ONCE).map(|(_, job)| job.clone()).collect();
    }
}

/// When a job may go; none while it is live, or still held.
fn kept_until(job: &EncodeJob, ttl_seconds: u64) -> Option<Timestamp> {
    let status = job.status.as_ref().filter(|_| job.phase().is_terminal())?;
    if job.metadata.deletion_timestamp.is_some() || job.finalizers().iter().any(|f| f == FINALIZER) {
        return None;
    }
    let ended: Timestamp = status.completion_time.as_deref()?.parse().ok()?;
    let in_trash = status.settings.as_ref().filter(|settings| {
        job.phase() == Phase::Succeeded
            && settings.replacement_mode == ReplacementMode::Replace
            && settings.originals != Originals::KeepBeside
    });
    let retention = in_trash.map_or(0, |settings| settings.retention_seconds());
    let stays = i64::try_from(ttl_seconds.saturating_add(retention)).unwrap_or(i64::MAX);
    // A time beyond the calendar never comes.
    ended.checked_add(SignedDuration::from_secs(stays)).ok()
}
