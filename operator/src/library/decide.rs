//! What to do about a library. Pure: from what was observed to objects, changes of jobs, status, Events and the next look.

mod admission;
mod failures;
mod history;
mod node;
mod placement;
mod purge;
mod queue;
mod sidecars;
mod storage;
mod volume;

use std::sync::Arc;
use std::time::Duration;

use av1_crds::conditions::{self, reason};
use av1_crds::job::EncodeJobStatus;
use av1_crds::library::{HistorySpec, JobCounts, ScanRules, ScanStatus};
use av1_crds::settings::Settings;
use av1_crds::wire::{CatalogSummary, CatalogTask, LibraryId, PodFailure};
use av1_crds::{EncodeJob, MediaLibraryStatus, Phase, labels};
use av1_media::encoders::check as encoders;
use av1_media::gates::Selection;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::observe::{CatalogPod, Observed, SummaryView};
use super::room;
use crate::build::{User, catalog_deployment, catalog_service, role};
use crate::conditions::{Is, Writer, find};
use crate::context::{EventDraft, Options};
use crate::schedule;
use av1_crds::figures;

/// Seconds that a catalog may take to become ready, or a volume to come into reach again.
const CATALOG_PATIENCE: i64 = 120;
/// The same while its container has not started: images are large.
const START_PATIENCE: i64 = 600;
/// End of what a library says of itself when files wait for room.
const NO_ROOM: &str = "; files wait until twice their size is free on the volume";

/// What was decided and not done yet.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) status: MediaLibraryStatus,
    pub(crate) desired: Desired,
    pub(crate) events: Vec<EventDraft>,
    pub(crate) requeue: Duration,
    /// Bytes that left the trash, for the metrics.
    pub(crate) purged: Option<i64>,
}

/// What shall exist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Desired {
    pub(crate) prepare: Option<Job>,
    pub(crate) purge: Option<Job>,
    pub(crate) sidecars: Option<Job>,
    pub(crate) survey: Option<Job>,
    /// Prepare, purge and sidecars Jobs whose outcome is on record.
    pub(crate) surplus: Vec<String>,
    /// Survey Jobs whose outcome is on record.
    pub(crate) old_surveys: Vec<String>,
    pub(crate) deployment: Option<Deployment>,
    pub(crate) service: Option<Service>,
    pub(crate) new_jobs: Vec<EncodeJob>,
    /// Jobs whose turn it is, but size and picture of the file are not known yet.
    pub(crate) unmeasured: Vec<Arc<EncodeJob>>,
    /// Jobs that ended long ago.
    pub(crate) expired: Vec<Arc<EncodeJob>>,
    pub(crate) changes: Vec<JobChange>,
}

/// A change of a job that waits: its turn, or why it is not.
#[derive(Debug, Clone)]
pub(crate) struct JobChange {
    pub(crate) job: Arc<EncodeJob>,
    pub(crate) status: EncodeJobStatus,
    /// Whether the job starts, and so needs the finalizer first.
    pub(crate) starts: bool,
    pub(crate) events: Vec<EventDraft>,
}

/// Effective values of the spec.
struct Valid {
    settings: Settings,
    scan: ScanRules,
    /// Seconds that a job stays after its end.
    jobs_ttl: u64,
}

/// A decision in the making.
struct Draft<'a> {
    observed: &'a Observed,
    options: &'a Options,
    /// When encodes may start again, when this is no time for them.
    closed: Option<String>,
    out: Decision,
}

/// What to do about what was observed.
pub(crate) fn decide(observed: &Observed, options: &Options) -> Decision {
    let out = Decision {
        status: observed.library.status.clone().unwrap_or_default(),
        desired: Desired::default(),
        events: Vec::new(),
        requeue: Duration::from_secs(5),
        purged: None,
    };
    let mut draft = Draft { observed, options, closed: None, out };
    draft.forgive();
    draft.out.status.observed_generation = observed.library.metadata.generation;
    let trouble = draft.work();
    draft.conclude(trouble);
    draft.out
}

/// Why the library is not ready: reason and message, and whether a person has to do something.
struct Trouble {
    reason: &'static str,
    message: String,
    needs_person: bool,
}

impl Trouble {
    fn person(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), needs_person: true }
    }

    fn wait(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), needs_person: false }
    }
}

impl Draft<'_> {
    /// The steps in order; each needs those before it.
    fn work(&mut self) -> Option<Trouble> {
        self.count_jobs();
        let valid = match self.valid() {
            Ok(valid) => valid,
            Err(trouble) => return Some(trouble),
        };
        self.placement();
        if let Err(trouble) = self.storage() {
            self.set(conditions::STORAGE_READY, false, trouble.reason, &trouble.message);
            self.admissions(Err(&trouble));
            return Some(trouble);
        }
        if let Err(trouble) = self.catalog(&valid) {
            self.set(conditions::CATALOG_READY, false, trouble.reason, &trouble.message);
            self.admissions(Err(&trouble));
            return Some(trouble);
        }
        self.purge();
        self.sidecars();
        self.expire(valid.jobs_ttl);
        let trouble = self.low_space().or_else(|| self.failing());
        self.new_jobs();
        self.admissions(trouble.as_ref().map_or(Ok(()), Err));
        trouble
    }

    fn valid(&mut self) -> Result<Valid, Trouble> {
        let checked = self.checked();
        if let Err(trouble) = &checked {
            self.admissions(Err(trouble));
        }
        checked
    }

    fn checked(&mut self) -> Result<Valid, Trouble> {
        let spec = &self.observed.library.spec;
        let invalid = |error: &dyn std::fmt::Display| Trouble::person(reason::INVALID_SETTINGS, error.to_string());
        let settings =
            Settings::resolve(&[&self.options.library_defaults, &spec.sections()]).map_err(|e| invalid(&e))?;
        let scan = ScanRules::resolve(spec.scan.as_ref()).map_err(|e| invalid(&e))?;
        Selection::new(&scan).map_err(|e| invalid(&e))?;
        let jobs_ttl = HistorySpec::jobs_ttl_seconds(spec.history.as_ref()).map_err(|e| invalid(&e))?;
        if let Some(schedule) = &spec.schedule {
            let view = schedule::look(schedule, self.observed.now).map_err(|e| invalid(&e))?;
            if let schedule::View::Closed { told, .. } = view {
                self.closed = Some(told);
            }
        }
        encoders::check(&settings).map_err(|e| Trouble::person(reason::INVALID_ENCODER_PARAMS, e.to_string()))?;
        Ok(Valid { settings, scan, jobs_ttl })
    }

    /// The catalog's objects, and what it says.
    fn catalog(&mut self, valid: &Valid) -> Result<(), Trouble> {
        let storage = self.out.status.storage.clone().unwrap_or_default();
        let (Some(volume_id), Some(uid), Some(gid)) =
            (storage.volume_id.clone(), storage.run_as_user, storage.run_as_group)
        else {
            return Err(Trouble::wait(reason::IN_PROGRESS, "the volume is being prepared"));
        };
        // Pods are built from the library as it will be on record.
        let mut library = self.observed.library.clone();
        library.status = Some(self.out.status.clone());
        let task = CatalogTask {
            library: self.id(),
            volume_id: volume_id.clone(),
            prepare_run: self.out.status.prepare_runs,
            scan: valid.scan.clone(),
            settings: valid.settings.for_pods(),
        };
        let deployment = catalog_deployment(&library, &task, User { uid, gid }, &self.options.pods);
        self.out.desired.deployment =
            Some(deployment.map_err(|e| Trouble::person(reason::INVALID_SETTINGS, e.to_string()))?);
        self.out.desired.service = Some(catalog_service(&library));
        if let SummaryView::Got(summary) | SummaryView::Unready(summary) = &self.observed.summary
            && let Some(failure) = &summary.wrong_volume
        {
            return Err(self.wrong_volume(failure, summary.prepare_run));
        }
        if let Some(failure) = self.observed.catalog_pod.as_ref().and_then(|p| p.failure.clone()) {
            return Err(Trouble::person(reason::CATALOG_UNAVAILABLE, failure.message));
        }
        match &self.observed.summary {
            SummaryView::Got(summary) => self.take_summary(summary, &volume_id),
            SummaryView::Failed(why) => Err(self.unanswered(why)),
            SummaryView::NotAsked | SummaryView::Unready(_) => Err(self.starting()),
        }
    }

    /// What the catalog sees is not the prepared volume. One of before the last prepare has a mount of before, too.
    fn wrong_volume(&mut self, failure: &PodFailure, prepare_run: i64) -> Trouble {
        if prepare_run != self.out.status.prepare_runs {
            return self.starting();
        }
        // A share that is out of reach for a moment is left alone; a volume that was read and is another one is not.
        if storage::reason_of(failure) != reason::PREPARE_FAILED || self.is_catalog_late() {
            return self.prepare_again(failure);
        }
        Trouble::person(reason::CATALOG_UNAVAILABLE, &failure.message)
    }

    fn starting(&self) -> Trouble {
        if let Some(why) = self.observed.catalog_pod.as_ref().and_then(|p| p.trouble.as_ref()) {
            return Trouble::person(reason::CATALOG_UNAVAILABLE, format!("the catalog does not run: {why}"));
        }
        if self.is_catalog_late() {
            let library = self.observed.library.name_any();
            let message = format!(
                "the catalog has not become ready for more than {} s; kubectl describe pods -l {}={library},{}={} says why",
                self.patience(),
                labels::LIBRARY,
                labels::ROLE,
                role::CATALOG
            );
            return Trouble::person(reason::CATALOG_UNAVAILABLE, message);
        }
        Trouble::wait(reason::IN_PROGRESS, "the catalog starts")
    }

    /// A catalog that was just made answers late; one that stays silent needs a person.
    fn unanswered(&self, why: &str) -> Trouble {
        if self.is_catalog_late() {
            Trouble::person(reason::CATALOG_UNAVAILABLE, why)
        } else {
            Trouble::wait(reason::CATALOG_UNAVAILABLE, why)
        }
    }

    /// Whether it had time enough to become ready, since it was that last or the volume was prepared.
    fn is_catalog_late(&self) -> bool {
        let since = find(&self.out.status.conditions, conditions::CATALOG_READY)
            .filter(|c| c.status == "False")
            .map(|c| self.observed.now.as_second() - c.last_transition_time.0.as_second());
        since.is_some_and(|seconds| seconds.min(self.ready_for().unwrap_or(seconds)) > self.patience())
    }

    /// Seconds that the catalog has to become ready.
    fn patience(&self) -> i64 {
        let starts = |pod: &CatalogPod| pod.ip.is_none() && pod.trouble.is_none();
        if self.observed.catalog_pod.as_ref().is_some_and(starts) { START_PATIENCE } else { CATALOG_PATIENCE }
    }

    fn take_summary(&mut self, summary: &CatalogSummary, volume_id: &str) -> Result<(), Trouble> {
        // It was told of another volume: its pod is about to be replaced.
        if !summary.volume_id.is_empty() && summary.volume_id != volume_id {
            return Err(self.starting());
        }
        if let Some(problem) = &summary.problem {
            return Err(Trouble::person(reason::CATALOG_UNAVAILABLE, problem));
        }
        let nfs = summary.stable_seconds.map(|seconds| {
            format!("; its volume is NFS, where a change may be seen a minute late, so scan.stableSeconds counts as {seconds}")
        });
        let message = format!("the catalog answers{}", nfs.unwrap_or_default());
        self.set(conditions::CATALOG_READY, true, reason::AS_EXPECTED, message);
        let status = &mut self.out.status;
        let counted = status.files.as_ref() == Some(&summary.files)
            && status.bytes.as_ref() == Some(&summary.bytes)
            && status.skipped_by_reason == summary.skipped_by_reason;
        let last = status.last_scan.as_ref().and_then(|s| s.finished_at.as_deref()?.parse::<Timestamp>().ok());
        let stale = last.is_none_or(|at| self.observed.now.as_second() - at.as_second() >= 3_600);
        if !counted || (stale && summary.scan_finished_at.is_some()) {
            status.files = Some(summary.files.clone());
            status.bytes = Some(summary.bytes.clone());
            status.skipped_by_reason.clone_from(&summary.skipped_by_reason);
            status.saved = Some(figures::size(summary.bytes.freed));
            status.last_scan = Some(ScanStatus {
                finished_at: summary.scan_finished_at.clone(),
                duration_millis: i64::try_from(summary.scan_millis).unwrap_or(i64::MAX),
            });
        }
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let storage = status.storage.get_or_insert_default();
        // Free space moves all the time: told again once it moved by a hundredth of the volume.
        let moved =
            storage.free_bytes.is_none_or(|was| was.abs_diff(whole(summary.free_bytes)) > summary.total_bytes / 100);
        if summary.total_bytes > 0 && (moved || storage.total_bytes != Some(whole(summary.total_bytes))) {
            storage.free_bytes = Some(whole(summary.free_bytes));
            storage.total_bytes = Some(whole(summary.total_bytes));
            storage.free = Some(figures::size(whole(summary.free_bytes)));
        }
        Ok(())
    }

    fn low_space(&self) -> Option<Trouble> {
        let SummaryView::Got(summary) = &self.observed.summary else {
            return None;
        };
        let least =
            u64::from(self.observed.library.spec.storage.as_ref().and_then(|s| s.min_free_percent).unwrap_or(5));
        let needed = u128::from(summary.total_bytes) * u128::from(least) / 100;
        if summary.total_bytes == 0 || u128::from(summary.free_bytes) >= needed {
            return None;
        }
        let needed = i64::try_from(needed).unwrap_or(i64::MAX);
        Some(Trouble::person(
            reason::LOW_SPACE,
            format!(
                "less than {least} % of the volume is free, {} are needed: free space, or lower spec.storage.minFreePercent",
                figures::size(needed)
            ),
        ))
    }

    fn count_jobs(&mut self) {
        let count = |phase| i64::try_from(self.observed.in_phase(phase)).unwrap_or(i64::MAX);
        self.out.status.jobs = Some(JobCounts {
            queued: count(Phase::Queued),
            encoding: count(Phase::Encoding),
            settling: count(Phase::Settling) + count(Phase::Restoring),
        });
    }

    /// The conditions that sum up.
    fn conclude(&mut self, trouble: Option<Trouble>) {
        let counts = self.out.status.jobs.clone().unwrap_or_default();
        let suspended = self.observed.library.spec.suspend;
        let busy = counts.encoding + counts.settling > 0;
        let pause = match &self.closed {
            _ if suspended => Some((reason::SUSPENDED, "no job starts because spec.suspend is true".to_owned())),
            Some(told) => Some((reason::OUTSIDE_SCHEDULE, format!("no encode starts before {told}, by spec.schedule"))),
            None => None,
        };
        let (why, message) = match &pause {
            _ if busy => (reason::AS_EXPECTED, "jobs encode or settle"),
            Some((why, message)) => (*why, message.as_str()),
            None => (reason::IDLE, "no job encodes"),
        };
        self.set(conditions::ENCODING, busy, why, message);
        match &trouble {
            Some(t) if t.needs_person => self.set(conditions::DEGRADED, true, t.reason, &t.message),
            _ => self.set(conditions::DEGRADED, false, reason::AS_EXPECTED, "nothing needs attention"),
        }
        for type_ in [conditions::STORAGE_READY, conditions::CATALOG_READY] {
            if find(&self.out.status.conditions, type_).is_none() {
                self.set(type_, Is::Unknown, reason::IN_PROGRESS, "a step that comes before has not ended yet");
            }
        }
        match &trouble {
            Some(t) => self.set(conditions::READY, false, t.reason, &t.message),
            None => match pause {
                Some((why, message)) => self.set(conditions::READY, true, why, format!("ready; {message}")),
                None => self.set(conditions::READY, true, reason::AS_EXPECTED, self.goes_on()),
            },
        }
        self.tell_changes(trouble.is_some_and(|t| t.needs_person));
    }

    /// That work goes on, and whether files are left for later because the volume is too full for them; how many would change with
    /// every file that comes or goes.
    fn goes_on(&self) -> String {
        let goes_on = "work goes on by itself";
        let SummaryView::Got(summary) = &self.observed.summary else { return goes_on.to_owned() };
        let queued = self.observed.jobs.iter().any(|job| room::is_too_large(job, summary));
        let before =
            self.observed.library.status.as_ref().and_then(|status| find(&status.conditions, conditions::READY));
        let on_record = before.is_some_and(|ready| ready.message.ends_with(NO_ROOM));
        let tail = if queued || self.observed.too_large.unwrap_or(on_record) { NO_ROOM } else { "" };
        format!("{goes_on}{tail}")
    }

    /// An Event for each change that matters: a step that is done, and why a person has to look.
    fn tell_changes(&mut self, needs_person: bool) {
        let before = self.observed.library.status.clone().unwrap_or_default().conditions;
        for type_ in [conditions::STORAGE_READY, conditions::CATALOG_READY, conditions::READY] {
            let Some(now) = find(&self.out.status.conditions, type_).cloned() else {
                continue;
            };
            let was = find(&before, type_);
            let event = if now.status == "True" {
                was.is_none_or(|w| w.status != "True").then(|| EventDraft::normal(type_, type_, now.message))
            } else {
                let new = was.is_none_or(|w| w.status != now.status || w.reason != now.reason);
                (type_ == conditions::READY && needs_person && new)
                    .then(|| EventDraft::warning(&now.reason, type_, now.message))
            };
            self.out.events.extend(event);
        }
    }

    fn set(&mut self, type_: &str, is: impl Into<Is>, reason: &str, message: impl Into<String>) {
        let generation = self.observed.library.metadata.generation;
        Writer { list: &mut self.out.status.conditions, generation, now: self.observed.now }
            .set(type_, is, reason, message);
    }

    fn id(&self) -> LibraryId {
        let library = &self.observed.library;
        LibraryId {
            namespace: library.namespace().unwrap_or_default(),
            name: library.name_any(),
            uid: library.uid().unwrap_or_default(),
            cluster: self.options.cluster.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
