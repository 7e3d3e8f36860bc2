//! What is past its time leaves the volume, and what deleted jobs began is ended: one purge Job of a library at a time, with a list.
//! Pure.
//!
//! The list and the run's number are on record before the Job is made, and stay there until a pod has done it; the pod itself looks at the times again, by the server's clock, and
//! reads each replacement before an original goes. Nothing is removed while the library is suspended.

use std::sync::Arc;

use av1_crds::conditions::reason;
use av1_crds::library::{KeptFile, PurgeStatus};
use av1_crds::paths::{AV1_DIR, WORK_DIR, is_in_trash};
use av1_crds::wire::{CatalogSummary, Leftovers, MAX_PURGE, PurgeResult, PurgeTask, TrashItem};
use av1_crds::{EncodeJob, figures, reasons};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::super::observe::SummaryView;
use super::Draft;
use crate::build::{User, purge_job, purge_name};
use crate::context::EventDraft;
use crate::pods::{Came, PodFacts, PodState};

/// Seconds of a round through the trash at least: until an original that was kept is tried again.
const KEPT_FOR: i64 = 24 * 3_600;
/// Most files that are named in the status.
const MOST_KEPT: usize = 50;
/// Most bytes of a list: a pod's argument has at most 128 KiB.
const MOST_LISTED: usize = 64 << 10;

impl Draft<'_> {
    pub(super) fn purge(&mut self) {
        let observed = self.observed;
        let known = self.out.status.purge.clone().unwrap_or_default();
        let name = purge_name(&observed.library.uid().unwrap_or_default(), known.run);
        let surplus = observed.purge_jobs.iter().map(|job| &job.name).filter(|job| !known.active || **job != name);
        self.out.desired.surplus.extend(surplus.cloned());
        if !known.active {
            return self.begin_purge(known);
        }
        let recorded = observed.library.status.as_ref().and_then(|s| s.purge.as_ref());
        if recorded.is_none_or(|p| p.run != known.run || !p.active) {
            return;
        }
        let batch = observed.purge_jobs.iter().find(|job| job.name == name);
        match (observed.purge_pods.iter().find(|p| p.run == known.run && p.name.starts_with(&name)), batch) {
            (Some(pod), Some(_)) if pod.is_stuck(observed.now) => self.make_anew(name, pod, "Purge"),
            (Some(pod), _) => match &pod.state {
                PodState::Live { .. } if known.pod_uid.as_ref() != Some(&pod.uid) => {
                    self.purge_status(|p| p.pod_uid = Some(pod.uid.clone()));
                }
                PodState::Live { .. } => {}
                PodState::Ended(ended) => match ended.came::<PurgeResult>(false) {
                    Came::Done(result) => self.purged(&result),
                    Came::Failed { failure, .. } => {
                        self.purge_again(Some(&pod.uid), Some((&failure.reason, &failure.message)));
                    }
                    Came::Lost(_) => self.purge_again(Some(&pod.uid), None),
                },
            },
            (None, _) if known.pod_uid.is_some() => self.purge_again(known.pod_uid.as_deref(), None),
            (None, Some(batch)) if batch.ended => self.purge_again(None, None),
            (None, Some(_)) => {}
            (None, None) => self.make_purge(&known),
        }
    }

    /// A pod that does not start goes, and is made as it would be by now once it is gone.
    pub(super) fn make_anew(&mut self, batch: String, pod: &PodFacts, action: &'static str) {
        let why = pod.is_kept_by(self.observed.now).unwrap_or_default();
        let note = format!("pod {} cannot start and is made anew: {why}", pod.name);
        self.out.events.push(EventDraft::warning(reason::NOT_STARTED, action, note));
        self.out.desired.surplus.push(batch);
    }

    /// Puts on record what may go, when there is something, nothing holds it up, and the catalog has looked at the volume since
    /// the last time.
    fn begin_purge(&mut self, mut known: PurgeStatus) {
        let observed = self.observed;
        let none_due = matches!(&observed.summary, SummaryView::Got(s) if s.scans > 0 && s.due_in_trash == 0);
        if known.kept_count > 0 && none_due {
            known.passed = 0;
            new_round(&mut known);
            self.out.status.purge = Some(known.clone());
        }
        let waits = crate::pause::left(known.not_before.as_deref(), observed.now).is_some();
        if observed.library.spec.suspend || waits || !seen_since(&observed.summary, known.finished_at.as_deref()) {
            return;
        }
        let Some(leftovers) = &observed.leftovers else { return };
        let trash = due(leftovers, &known, observed.now);
        let mut work = nobodys(&leftovers.work, &observed.jobs, observed.unreadable_jobs);
        let mut unfinished = deleted(&leftovers.unfinished, &observed.jobs, observed.unreadable_jobs);
        work.retain(|uid| !is_kept(&known, &work_folder(uid), observed.now));
        unfinished.retain(|uid| !is_kept(&known, uid, observed.now));
        if trash.is_empty() && work.is_empty() && unfinished.is_empty() {
            if known.passed > 0 && known.round_began_at.as_ref().is_none_or(|at| is_over(at, KEPT_FOR, observed.now)) {
                self.purge_status(new_round);
                self.out.requeue = std::time::Duration::from_secs(1);
            }
            return;
        }
        let round_began_at =
            known.round_began_at.clone().filter(|_| known.passed > 0).or_else(|| Some(observed.now.to_string()));
        let (run, known) = (known.run + 1, PurgeStatus { active: true, not_before: None, round_began_at, ..known });
        self.out.status.purge = Some(PurgeStatus { run, trash, work, unfinished, ..known });
        self.out.requeue = std::time::Duration::from_secs(1);
    }

    fn make_purge(&mut self, known: &PurgeStatus) {
        let observed = self.observed;
        let storage = self.out.status.storage.clone().unwrap_or_default();
        let (Some(volume_id), Some(uid), Some(gid)) = (storage.volume_id, storage.run_as_user, storage.run_as_group)
        else {
            return;
        };
        let waits = crate::pause::left(known.not_before.as_deref(), observed.now).is_some();
        if observed.library.spec.suspend || waits {
            return;
        }
        let task = PurgeTask {
            library: self.id(),
            volume_id,
            trash: known.trash.clone(),
            // A job that is on record may have begun again since.
            work: nobodys(&known.work, &observed.jobs, observed.unreadable_jobs),
            unfinished: deleted(&known.unfinished, &observed.jobs, observed.unreadable_jobs),
            takeover_from: known.ended_pods.clone(),
        };
        let mut library = observed.library.clone();
        library.status = Some(self.out.status.clone());
        match purge_job(&library, &task, User { uid, gid }, known.run, &self.options.pods) {
            Ok(job) => self.out.desired.purge = Some(job),
            Err(error) => self.purge_again(None, Some((reasons::INVALID_TASK, &error.to_string()))),
        }
    }

    fn purged(&mut self, result: &PurgeResult) {
        let now = self.observed.now;
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let freed = whole(result.bytes);
        let mut events = Vec::new();
        self.purge_status(|p| {
            let folders = std::mem::take(&mut p.work).iter().map(|uid| work_folder(uid)).collect();
            let listed = [std::mem::take(&mut p.trash), std::mem::take(&mut p.unfinished), folders].concat();
            p.ended_pods.clear();
            (p.active, p.pod_uid, p.failures) = (false, None, 0);
            p.finished_at = Some(now.to_string());
            p.not_before = None;
            p.purged += i64::from(result.purged);
            p.freed += freed;
            p.work_removed += i64::from(result.work_removed);
            // What was listed again has a new answer.
            p.kept.retain(|k| !listed.contains(&k.file) && !is_over(&k.at, KEPT_FOR, now));
            for kept in &result.kept {
                p.kept.retain(|k| k.file != kept.what);
                p.kept.push(KeptFile { file: kept.what.clone(), message: kept.why.clone(), at: now.to_string() });
                let note = format!("{}: {}", kept.what, kept.why);
                events.push(EventDraft::warning(kept_reason(&kept.what), "Purge", note).about(&kept.what));
            }
            p.passed += i64::from(result.kept_count);
            p.kept_count = p.kept_count.max(p.passed);
            let surplus = p.kept.len().saturating_sub(MOST_KEPT);
            if surplus > 0 && p.kept.iter().any(|kept| !is_in_trash(&kept.file)) {
                // What is forgotten and not passed by is listed again.
                p.not_before = Some(in_seconds(now, 3_600));
            }
            p.kept.drain(..surplus);
        });
        if result.purged > 0 {
            let message = format!(
                "{} {} past their time left the trash, {} freed",
                result.purged,
                if result.purged == 1 { "file" } else { "files" },
                figures::size(freed)
            );
            events.push(EventDraft::normal("Purged", "Purge", message));
        }
        for told in &result.finished {
            events.push(
                EventDraft::normal("SwapFinished", "Purge", format!("begun by a deleted job: {told}")).about(told),
            );
        }
        self.out.purged = Some(freed);
        self.out.events.extend(events);
    }

    /// The run came to nothing: another one follows, with the same list, which may take over what `pod` had claimed.
    fn purge_again(&mut self, pod: Option<&str>, failed: Option<(&str, &str)>) {
        let now = self.observed.now;
        self.purge_status(|p| {
            if let Some(uid) = pod.filter(|uid| !p.ended_pods.iter().any(|known| known == uid)) {
                p.ended_pods.push(uid.to_owned());
            }
            (p.run, p.pod_uid, p.failures) = (p.run + 1, None, p.failures + 1);
            p.not_before = Some(in_seconds(now, crate::pause::back_off(10, p.failures, 3_600)));
        });
        if let Some((reason, message)) = failed.filter(|(reason, _)| *reason != reasons::CLAIM_HELD) {
            self.out.events.push(EventDraft::warning(reason, "Purge", format!("purging the trash failed: {message}")));
        }
    }

    fn purge_status(&mut self, change: impl FnOnce(&mut PurgeStatus)) {
        change(self.out.status.purge.get_or_insert_default());
    }
}

/// The oldest original is the first again.
fn new_round(status: &mut PurgeStatus) {
    (status.kept_count, status.passed, status.round_began_at) = (status.passed, 0, None);
    if status.kept_count == 0 {
        status.kept.retain(|kept| !is_in_trash(&kept.file));
    }
}

/// Files in the trash past their time that this round has not come by, but for those that were kept not long ago; as many as one pod
/// is told.
fn due(leftovers: &Leftovers, known: &PurgeStatus, now: Timestamp) -> Vec<String> {
    let mut room = MOST_LISTED;
    let fits = |item: &&TrashItem| {
        room = room.saturating_sub(2 * item.trash.len() + 8);
        room > 0
    };
    let files = leftovers.due.iter().filter(|item| !is_kept(known, &item.trash, now)).take(MAX_PURGE).take_while(fits);
    files.map(|item| item.trash.clone()).collect()
}

/// Reason of the Event about what stays.
fn kept_reason(what: &str) -> &'static str {
    match what {
        file if is_in_trash(file) => "OriginalKept",
        folder if folder.starts_with(AV1_DIR) => "WorkFolderKept",
        _ => "SwapUnfinished",
    }
}

/// As a purge names the work folder of a job that stays.
fn work_folder(uid: &str) -> String {
    format!("{AV1_DIR}/{WORK_DIR}/{uid}")
}

/// Whether something on an earlier list stayed, not long ago.
fn is_kept(known: &PurgeStatus, what: &str, now: Timestamp) -> bool {
    known.kept.iter().any(|k| k.file == what && !is_over(&k.at, KEPT_FOR, now))
}

/// Whether the last scan began after `at`.
pub(super) fn seen_since(summary: &SummaryView, at: Option<&str>) -> bool {
    let SummaryView::Got(summary) = summary else { return false };
    let Some(at) = at.and_then(|at| at.parse::<Timestamp>().ok()) else { return true };
    began(summary).is_some_and(|began| began >= at.as_second())
}

fn began(summary: &CatalogSummary) -> Option<i64> {
    let finished: Timestamp = summary.scan_finished_at.as_deref()?.parse().ok()?;
    Some(finished.as_second() - i64::try_from(summary.scan_millis.div_ceil(1_000)).ok()?)
}

/// Work folders without a live job. With a job that cannot be read, none: it may be that one's.
fn nobodys(work: &[String], jobs: &[Arc<EncodeJob>], unreadable: bool) -> Vec<String> {
    let live = |uid: &str| jobs.iter().any(|j| !j.phase().is_terminal() && j.uid().as_deref() == Some(uid));
    work.iter().filter(|uid| !unreadable && !live(uid)).take(MAX_PURGE).cloned().collect()
}

/// Jobs that do not exist any more. With a job that cannot be read, none: it may be that one.
fn deleted(uids: &[String], jobs: &[Arc<EncodeJob>], unreadable: bool) -> Vec<String> {
    let exists = |uid: &str| jobs.iter().any(|job| job.uid().as_deref() == Some(uid));
    uids.iter().filter(|uid| !unreadable && !exists(uid)).take(MAX_PURGE).cloned().collect()
}

/// Whether `at` is `seconds` ago; a time that cannot be read is.
pub(super) fn is_over(at: &str, seconds: i64, now: Timestamp) -> bool {
    at.parse::<Timestamp>().map_or(true, |at| now.as_second() - at.as_second() >= seconds)
}

pub(super) fn in_seconds(now: Timestamp, seconds: i64) -> String {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now).to_string()
}
