//! Whose turn is it? Looks at all jobs of the library at once. Pure.
//!
//! A job starts when its library is ready, a slot is free (`maxJobs` counts encodes), not too many outputs wait unsettled
//! (`maxJobs` + 1), no other live job works on its file, there is room for its output, its back-off is over, a window of the
//! schedule is open, and the last jobs did not all fail. A job that
//! has begun goes before those that have not, then the one with the higher priority, then the older; one that is suspended no
//! more keeps its slot until it is Queued again. Of a job that a user made the file is measured when its turn comes, so that the rule
//! about room holds for it too. What the user orders instead of an encode (a restore, a marker) needs neither
//! slot nor catalog nor room, only the volume, and that no pod works on the file.

use std::cmp::Reverse;
use std::sync::Arc;

use av1_crds::conditions::{self, reason};
use av1_crds::job::{EncodeJobStatus, Outcome, PendingSettle};
use av1_crds::layers::SettingsFrom;
use av1_crds::settings::Settings;
use av1_crds::{EncodeJob, Phase, labels, reasons};
use av1_media::encoders::check as encoders;
use jiff::Timestamp;
use kube::ResourceExt;

use super::super::observe::SummaryView;
use super::queue::rank_of;
use super::{Draft, JobChange, Trouble};
use crate::conditions::{Writer, cut};
use crate::context::EventDraft;
use crate::job::order;
use av1_crds::figures;

/// What a job that waits is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// It starts now.
    Start,
    /// It would start, but nobody has looked how large its file is.
    Measure,
    Wait {
        reason: &'static str,
        message: String,
    },
}

/// What the turns depend on besides the jobs.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) max_jobs: usize,
    pub(super) free_bytes: Option<u64>,
    /// When the schedule's next window opens, when none is open.
    pub(super) closed: Option<String>,
    /// Why no encode starts but those that their users retry.
    pub(super) failing: Option<String>,
    pub(super) now: Timestamp,
}

/// The turn of each job that waits, in the order of the queue.
pub(super) fn turns<'a>(jobs: &'a [Arc<EncodeJob>], limits: &Limits) -> Vec<(&'a Arc<EncodeJob>, Turn)> {
    let count = |phase| jobs.iter().filter(|j| j.phase() == phase).count();
    let resumed = jobs.iter().filter(|j| j.phase() == Phase::Paused && may_go_on(j) && has_begun(j)).count();
    let mut encoding = count(Phase::Encoding) + resumed;
    let settling = count(Phase::Settling);
    let mut waiting: Vec<&Arc<EncodeJob>> =
        jobs.iter().filter(|j| j.phase() == Phase::Queued && may_go_on(j)).collect();
    waiting.sort_by_key(|j| (order(j).is_none(), !has_begun(j), Reverse(j.spec.priority), rank_of(j)));
    let mut out = Vec::new();
    for job in waiting {
        let turn = blocked(job, jobs, limits).unwrap_or_else(|| {
            if order(job).is_some() {
                return Turn::Start;
            }
            let most = limits.max_jobs;
            let wait = |message| Turn::Wait { reason: reason::WAITING_FOR_SLOT, message };
            if settling > most {
                wait(format!("waits until one of {settling} outputs is settled"))
            } else if encoding >= most {
                wait(format!("waits for a slot: concurrency.maxJobs is {most}"))
            } else if job.annotations().contains_key(labels::SIZE) {
                Turn::Start
            } else {
                Turn::Measure
            }
        });
        // What is measured now starts next: its slot is not given away meanwhile.
        encoding += usize::from(matches!(turn, Turn::Start | Turn::Measure) && order(job).is_none());
        out.push((job, turn));
    }
    out
}

fn may_go_on(job: &EncodeJob) -> bool {
    job.metadata.deletion_timestamp.is_none() && (!job.spec.suspend || order(job).is_some())
}

fn has_begun(job: &EncodeJob) -> bool {
    job.status.as_ref().is_some_and(|s| s.run > 0)
}

/// What keeps this one job from starting, whoever else waits.
fn blocked(job: &EncodeJob, jobs: &[Arc<EncodeJob>], limits: &Limits) -> Option<Turn> {
    if let Some(other) = jobs.iter().find(|other| goes_before(other, job)) {
        let message = format!("{} works on the same file: waits until it has ended", other.name_any());
        return Some(Turn::Wait { reason: reason::WAITING_FOR_OTHER_JOB, message });
    }
    let not_before = job.status.as_ref().and_then(|s| s.not_before.clone());
    if crate::pause::left(not_before.as_deref(), limits.now).is_some() {
        let message =
            format!("waits until {} after an attempt that failed or was lost", not_before.unwrap_or_default());
        return Some(Turn::Wait { reason: reason::WAITING_FOR_SLOT, message });
    }
    if order(job).is_some() {
        return None;
    }
    if let Some(told) = &limits.closed {
        let message = format!("waits until {told}, by the library's spec.schedule");
        return Some(Turn::Wait { reason: reason::OUTSIDE_SCHEDULE, message });
    }
    // Another try is how its user finds out whether the cause is put right.
    if let Some(why) = limits.failing.as_ref().filter(|_| job.spec.retry == 0) {
        return Some(Turn::Wait { reason: reason::CONSECUTIVE_FAILURES, message: why.clone() });
    }
    let size = job.annotations().get(labels::SIZE).and_then(|s| s.parse::<u64>().ok())?;
    let needed = size.saturating_mul(2);
    if limits.free_bytes.is_some_and(|free| free < needed) {
        let needed = figures::size(i64::try_from(needed).unwrap_or(i64::MAX));
        return Some(Turn::Wait {
            reason: reason::LOW_SPACE,
            message: format!("waits for free space: {needed}, twice the file's size, must be free on the volume"),
        });
    }
    None
}

/// Whether `other` works on the file of `job`, or is to do so first.
fn goes_before(other: &EncodeJob, job: &EncodeJob) -> bool {
    let age = |j: &EncodeJob| (j.metadata.creation_timestamp.as_ref().map(|t| t.0), j.name_any());
    if other.name_any() == job.name_any() || other.spec.source.path != job.spec.source.path {
        return false;
    }
    match other.phase() {
        Phase::Encoding | Phase::Settling | Phase::Restoring => true,
        // Orders are short: they wait for each other, and encodes that have not begun wait for them.
        Phase::Queued if order(other).is_some() => order(job).is_none() || age(other) < age(job),
        Phase::Queued => order(job).is_none() && age(other) < age(job),
        Phase::Paused => order(job).is_none(),
        _ => false,
    }
}

fn is_failing(trouble: &Trouble) -> bool {
    trouble.reason == reason::CONSECUTIVE_FAILURES
}

impl Draft<'_> {
    /// Gives every job that waits its turn, or tells it why it waits.
    pub(super) fn admissions(&mut self, ready: Result<(), &Trouble>) {
        let observed = self.observed;
        let spec = &observed.library.spec;
        let limits = Limits {
            max_jobs: spec.concurrency.as_ref().and_then(|c| c.max_jobs).unwrap_or(1) as usize,
            free_bytes: match &observed.summary {
                SummaryView::Got(summary) if summary.total_bytes > 0 => Some(summary.free_bytes),
                _ => None,
            },
            closed: self.closed.clone(),
            failing: ready.err().filter(|trouble| is_failing(trouble)).map(|trouble| trouble.message.clone()),
            now: observed.now,
        };
        let ready = ready.or_else(|trouble| if is_failing(trouble) { Ok(()) } else { Err(trouble) });
        let prepared =
            self.out.status.storage.as_ref().is_some_and(|s| s.prepared_for.is_some() && s.volume_id.is_some());
        for (job, turn) in turns(&observed.jobs, &limits) {
            let turn = match (ready, spec.suspend) {
                _ if prepared && order(job).is_some() => turn,
                (Err(trouble), _) => Turn::Wait {
                    reason: reason::WAITING_FOR_LIBRARY,
                    message: format!("the library is not ready: {}", trouble.message),
                },
                (Ok(()), true) => {
                    Turn::Wait { reason: reason::SUSPENDED, message: "the library's spec.suspend is true".to_owned() }
                }
                (Ok(()), false) => turn,
            };
            let change = match turn {
                Turn::Start => self.start(job),
                Turn::Measure => {
                    self.out.desired.unmeasured.push(job.clone());
                    None
                }
                Turn::Wait { reason, message } => self.wait(job, reason, &message),
            };
            self.out.desired.changes.extend(change);
        }
    }

    /// Starts an encode, or what the user ordered instead. The run is on record before its Job is made.
    fn start(&self, job: &Arc<EncodeJob>) -> Option<JobChange> {
        let mut status = job.status.clone().unwrap_or_default();
        // On record even when it cannot be done: what differs from the spec is asked for again.
        status.desired = job.spec.desired;
        status.retry = job.spec.retry;
        let settings = match &status.settings {
            Some(frozen) => Ok(frozen.clone()),
            None => {
                let chart = &self.options.library_defaults;
                let library = self.observed.library.spec.sections();
                let asked = job.spec.settings.clone().unwrap_or_default();
                status.settings_from = Some(SettingsFrom::of(chart, &library, &asked));
                Settings::resolve(&[chart, &library, &asked])
                    .map_err(|e| (reasons::INVALID_TASK, e.to_string()))
                    .and_then(|settings| match encoders::check(&settings) {
                        // Nothing is encoded for an order.
                        Err(e) if order(job).is_none() => Err((reasons::INVALID_ENCODER_PARAMS, e.to_string())),
                        _ => Ok(settings),
                    })
            }
        };
        let events = match settings {
            Ok(mut settings) => {
                settings.force(&job.spec.force);
                status.settings = Some(settings);
                status.run += 1;
                status.again |= job.spec.retry > 0;
                status.pod_name = None;
                status.pod_uid = None;
                status.progress = None;
                status.not_before = None;
                let condition = match order(job) {
                    Some(order) => {
                        status.phase = order.phase();
                        status.write_run += 1;
                        status.pending_settle = Some(PendingSettle {
                            encode_run: status.run,
                            run: status.write_run,
                            ..order.record(&status)
                        });
                        conditions::SETTLED
                    }
                    None => {
                        status.phase = Phase::Encoding;
                        conditions::PLACED
                    }
                };
                self.set_of_job(&mut status, job, condition, false, reason::IN_PROGRESS, "the pod is being made");
                vec![EventDraft::normal(status.phase.as_str(), "ChangePhase", format!("run {} starts", status.run))]
            }
            Err((why, message)) => {
                status.settings_from = None;
                status.phase = Phase::Failed;
                status.outcome =
                    Some(Outcome { reason: why.to_owned(), message: cut(message.clone()), retryable: false });
                status.completion_time = Some(self.observed.now.to_string());
                self.set_of_job(&mut status, job, conditions::COMPLETE, true, why, &message);
                vec![EventDraft::warning(Phase::Failed.as_str(), "ChangePhase", message)]
            }
        };
        let starts = !status.phase.is_terminal();
        Some(JobChange { job: job.clone(), status, starts, events })
    }

    /// Tells a job why it waits; nothing when it knows.
    fn wait(&self, job: &Arc<EncodeJob>, why: &str, message: &str) -> Option<JobChange> {
        let mut status = job.status.clone().unwrap_or_default();
        self.set_of_job(&mut status, job, conditions::PLACED, false, why, message);
        (Some(&status) != job.status.as_ref()).then(|| JobChange {
            job: job.clone(),
            status,
            starts: false,
            events: Vec::new(),
        })
    }

    fn set_of_job(
        &self,
        status: &mut EncodeJobStatus,
        job: &EncodeJob,
        type_: &str,
        is: bool,
        why: &str,
        message: &str,
    ) {
        status.observed_generation = job.metadata.generation;
        Writer { list: &mut status.conditions, generation: job.metadata.generation, now: self.observed.now }
            .set(type_, is, why, message);
    }
}

#[cfg(test)]
mod tests;
