//! The volume's way to ready: checks, a prepare Job that looks whose the files are, one that makes `.av1/` as that user. Pure.
//!
//! Each step's outcome is on record before the next begins: run number, then Look's user, then Make's id. A Job is made only
//! for the run on record.

use av1_crds::conditions::{self, reason};
use av1_crds::library::{StorageStatus, SwapMethod};
use av1_crds::wire::{LookResult, MakeResult, PodFailure, PrepareStep, PrepareTask};
use jiff::Timestamp;
use kube::ResourceExt;

use super::purge::in_seconds;
use super::volume::{check, root_refused};
use super::{Draft, Trouble};
use crate::build::{User, digest, prepare_job, prepare_name};
use crate::context::EventDraft;
use crate::pods::{Came, Ended, PodState};
use av1_crds::figures;

/// User of the pod that looks whose the files are, unless the spec names one.
const NOBODY: i64 = 65_532;
/// Most seconds between two prepare Jobs.
const LONGEST_PAUSE: i64 = 300;

/// Reason of a volume that is ready.
fn ready(swap: Option<SwapMethod>) -> &'static str {
    if swap == Some(SwapMethod::TwoRenames) { reason::SWAP_HAS_GAP } else { reason::AS_EXPECTED }
}

/// The condition's reason for what a pod found wrong with the volume.
pub(super) fn reason_of(failure: &PodFailure) -> &'static str {
    match failure.reason.as_str() {
        reason::WRONG_VOLUME => reason::WRONG_VOLUME,
        reason::OWNED_BY_ANOTHER => reason::OWNED_BY_ANOTHER,
        _ => reason::PREPARE_FAILED,
    }
}

impl Draft<'_> {
    pub(super) fn storage(&mut self) -> Result<(), Trouble> {
        if let Some(trouble) = check(self.observed, self.options) {
            return Err(trouble);
        }
        let wanted = self.volume_digest();
        let known = self.out.status.storage.clone().unwrap_or_default();
        if known.spec_digest.as_ref().or(known.prepared_for.as_ref()).is_some_and(|was| *was != wanted) {
            // Another volume, or another user: what is known, or being found out, is about something else.
            self.out.status.storage = Some(StorageStatus { spec_digest: Some(wanted), ..StorageStatus::default() });
            self.out.status.prepare_failures = 0;
            self.out.desired.surplus = self.prepare_jobs();
            return Err(self.next_run());
        }
        self.leave_lost_node()?;
        if known.prepared_for.is_some() && known.volume_id.is_some() {
            self.out.desired.surplus = self.prepare_jobs();
            self.hold_to_node();
            self.set(
                conditions::STORAGE_READY,
                true,
                ready(known.swap),
                known.message.unwrap_or_else(|| "the volume is ready".to_owned()),
            );
            return Ok(());
        }
        self.out.status.storage.get_or_insert_default().spec_digest = Some(wanted.clone());
        self.prepare(&wanted)
    }

    fn prepare_jobs(&self) -> Vec<String> {
        self.observed.prepare_jobs.iter().map(|job| job.name.clone()).collect()
    }

    /// The volume is not the one that was prepared, or out of reach: prepare looks again, with a mount of its own, and must find
    /// the same id. Until it has, no pod of the library starts; then the catalog gets a mount of its own too.
    pub(super) fn prepare_again(&mut self, failure: &PodFailure) -> Trouble {
        let now = self.observed.now;
        let ready_for = self.ready_for();
        self.out.status.prepare_failures += 1;
        self.unprepare();
        // A catalog that sees another volume than prepare does must not make one Job after the other.
        let pause = ready_for.map_or(0, |seconds| LONGEST_PAUSE - seconds).clamp(0, LONGEST_PAUSE);
        self.out.status.prepare_not_before = (pause > 0).then(|| in_seconds(now, pause));
        let why = reason_of(failure);
        let message = format!("{}; the volume is looked at again", failure.message);
        self.set(conditions::STORAGE_READY, false, why, &message);
        Trouble::person(why, message)
    }

    /// Seconds since the volume was prepared.
    pub(super) fn ready_for(&self) -> Option<i64> {
        let at: Timestamp = self.out.status.storage.as_ref()?.prepared_at.as_deref()?.parse().ok()?;
        Some(self.observed.now.as_second() - at.as_second())
    }

    /// What is known of the volume has to be found again.
    pub(super) fn unprepare(&mut self) {
        if let Some(storage) = self.out.status.storage.as_mut() {
            let was = storage.prepared_for.take();
            storage.spec_digest = storage.spec_digest.take().or(was);
        }
        self.out.status.prepare_runs += 1;
    }

    fn prepare(&mut self, wanted: &str) -> Result<(), Trouble> {
        let run = self.out.status.prepare_runs;
        let uid = self.observed.library.uid().unwrap_or_default();
        let name = prepare_name(&uid, run);
        let waits = crate::pause::left(self.out.status.prepare_not_before.as_deref(), self.observed.now).is_some();
        if !waits {
            // Until then a person can look at the pod that failed.
            self.out.desired.surplus = self.prepare_jobs().into_iter().filter(|job| *job != name).collect();
        }
        let recorded = self.observed.library.status.as_ref().map_or(0, |s| s.prepare_runs);
        if run == 0 {
            return Err(self.next_run());
        }
        if recorded != run {
            return Err(self.preparing());
        }
        let pod = self.observed.prepare_pods.iter().find(|p| p.run == run && p.name.starts_with(&name)).cloned();
        let batch = self.observed.prepare_jobs.iter().find(|job| job.name == name);
        let cannot_start = pod.as_ref().and_then(|pod| pod.cannot_start(self.observed.now));
        if pod.as_ref().is_some_and(|pod| pod.is_stuck(self.observed.now)) {
            self.run_after(0);
        }
        match (pod.map(|p| p.state), batch) {
            (Some(PodState::Live { unschedulable: Some(why), .. }), _) => Err(Trouble::person(
                reason::UNSCHEDULABLE,
                format!("no node takes the pod that prepares the volume: {why}"),
            )),
            (Some(PodState::Live { .. }), _) => Err(match cannot_start {
                Some(why) => Trouble::person(
                    reason::PREPARE_FAILED,
                    format!("the pod that prepares the volume cannot start: {why}"),
                ),
                None => self.preparing(),
            }),
            (Some(PodState::Ended(ended)), _) => self.prepare_ended(&ended, wanted),
            (None, Some(batch)) if batch.ended => Err(self.prepare_lost("its pod is gone and left no result")),
            (None, Some(batch)) => Err(match batch.without_pod(self.observed.now) {
                Some(why) => Trouble::person(reason::PREPARE_FAILED, why),
                None => self.preparing(),
            }),
            (None, None) => {
                if !waits {
                    self.make_prepare(run)?;
                }
                Err(self.preparing())
            }
        }
    }

    /// What earlier runs came to, until one makes the volume ready; otherwise that it is on its way.
    fn preparing(&self) -> Trouble {
        const STANDING: [&str; 5] = [
            reason::WRONG_VOLUME,
            reason::OWNED_BY_ANOTHER,
            reason::PREPARE_FAILED,
            reason::ROOT_NOT_ALLOWED,
            reason::UNSCHEDULABLE,
        ];
        let told = crate::conditions::find(&self.out.status.conditions, conditions::STORAGE_READY)
            .filter(|c| c.status == "False" && self.out.status.prepare_failures > 0);
        told.and_then(|c| Some((*STANDING.iter().find(|why| **why == c.reason)?, &c.message))).map_or_else(
            || Trouble::wait(reason::IN_PROGRESS, "the volume is being prepared"),
            |(why, message)| Trouble::person(why, message),
        )
    }

    /// The user of the step that is due.
    fn step(&self) -> (PrepareStep, User) {
        let pods = self.observed.library.spec.pods.clone().unwrap_or_default();
        let known = self.out.status.storage.clone().unwrap_or_default();
        match (known.run_as_user, known.run_as_group) {
            (Some(uid), Some(gid)) => (PrepareStep::Make, User { uid, gid }),
            _ => {
                let uid = pods.run_as_user.unwrap_or(NOBODY);
                (PrepareStep::Look, User { uid, gid: pods.run_as_group.unwrap_or(uid.max(1)) })
            }
        }
    }

    fn make_prepare(&mut self, run: i64) -> Result<(), Trouble> {
        let (step, user) = self.step();
        let library = &self.observed.library;
        let task = PrepareTask {
            library: self.id(),
            sub_path: library.spec.volume.sub_path.clone(),
            step,
            expected_volume_id: self.out.status.storage.as_ref().and_then(|s| s.volume_id.clone()),
            living: self.observed.living.clone(),
        };
        let job = prepare_job(library, &task, user, run, &self.options.pods)
            .map_err(|e| Trouble::person(reason::PREPARE_FAILED, e.to_string()))?;
        self.out.desired.prepare = Some(job);
        Ok(())
    }

    fn prepare_ended(&mut self, ended: &Ended, wanted: &str) -> Result<(), Trouble> {
        match self.step().0 {
            PrepareStep::Look => match ended.came::<LookResult>(false) {
                Came::Done(result) => self.looked(&result),
                Came::Failed { failure, .. } => Err(self.prepare_failed(&failure)),
                Came::Lost(why) => Err(self.prepare_lost(&why)),
            },
            PrepareStep::Make => match ended.came::<MakeResult>(false) {
                Came::Done(result) => self.made(&result, wanted),
                Came::Failed { failure, .. } => Err(self.prepare_failed(&failure)),
                Came::Lost(why) => Err(self.prepare_lost(&why)),
            },
        }
    }

    fn looked(&mut self, result: &LookResult) -> Result<(), Trouble> {
        let pods = self.observed.library.spec.pods.clone().unwrap_or_default();
        let uid = pods.run_as_user.unwrap_or(i64::from(result.uid));
        let gid = pods.run_as_group.unwrap_or(i64::from(result.gid));
        if uid == 0 && !self.options.allow_root {
            return Err(self.refuse_root(result));
        }
        let storage = self.out.status.storage.get_or_insert_default();
        storage.run_as_user = Some(uid);
        storage.run_as_group = Some(gid);
        Err(self.next_run())
    }

    /// Refused until the files have another owner: looked at again every five minutes.
    fn refuse_root(&mut self, result: &LookResult) -> Trouble {
        self.run_after(LONGEST_PAUSE);
        root_refused(&format!("the library's {} files that were looked at belong to root", result.files))
    }

    fn made(&mut self, result: &MakeResult, wanted: &str) -> Result<(), Trouble> {
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let known = self.out.status.storage.clone().unwrap_or_default();
        self.out.status.storage = Some(StorageStatus {
            volume_id: Some(result.volume_id.clone()),
            swap: Some(result.swap),
            prepared_for: Some(wanted.to_owned()),
            prepared_at: Some(self.observed.now.to_string()),
            free_bytes: Some(whole(result.free_bytes)),
            total_bytes: Some(whole(result.total_bytes)),
            free: Some(figures::size(whole(result.free_bytes))),
            message: Some(result.message.clone()),
            ..known
        });
        self.out.status.prepare_failures = 0;
        self.out.status.prepare_not_before = None;
        self.out.desired.surplus = self.prepare_jobs();
        self.set(conditions::STORAGE_READY, true, ready(Some(result.swap)), result.message.clone());
        if result.swap == SwapMethod::TwoRenames {
            self.out.events.push(EventDraft::warning(reason::SWAP_HAS_GAP, "Prepare", &result.message));
        }
        Ok(())
    }

    fn prepare_failed(&mut self, failure: &PodFailure) -> Trouble {
        let why = reason_of(failure);
        let pause = self.run_after_back_off();
        self.out.events.push(EventDraft::warning(why, "Prepare", &failure.message));
        Trouble::person(why, format!("preparing the volume failed: {}; tried again after {pause} s", failure.message))
    }

    /// The pod left no result, which is nobody's fault; a person is told when it happens again and again.
    fn prepare_lost(&mut self, why: &str) -> Trouble {
        const PATIENCE: i64 = 3;
        let standing = self.preparing();
        let pause = self.run_after_back_off();
        if standing.needs_person || self.out.status.prepare_failures < PATIENCE {
            return standing;
        }
        let message = format!("the pod that prepares the volume was lost again: {why}; tried again after {pause} s");
        Trouble::person(reason::PREPARE_FAILED, message)
    }

    /// The next prepare Job: its number is on record before it is made.
    pub(super) fn next_run(&mut self) -> Trouble {
        self.out.status.prepare_runs += 1;
        self.out.status.prepare_not_before = None;
        self.out.requeue = std::time::Duration::from_secs(1);
        self.preparing()
    }

    /// The next one after a run that came to nothing, in so many seconds.
    fn run_after(&mut self, pause: i64) {
        self.out.status.prepare_runs += 1;
        self.out.status.prepare_failures += 1;
        self.out.status.prepare_not_before = Some(in_seconds(self.observed.now, pause));
    }

    fn run_after_back_off(&mut self) -> i64 {
        let pause = crate::pause::back_off(10, self.out.status.prepare_failures + 1, LONGEST_PAUSE);
        self.run_after(pause);
        pause
    }

    /// Everything that prepare depends on.
    fn volume_digest(&self) -> String {
        let spec = &self.observed.library.spec;
        let pods = spec.pods.clone().unwrap_or_default();
        let text = serde_json::json!([spec.volume, pods.run_as_user, pods.run_as_group]).to_string();
        digest(text)
    }
}
