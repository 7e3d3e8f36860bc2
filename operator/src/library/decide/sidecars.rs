//! Sidecars beside files that a scan passed over: one Job of a library at a time writes and removes a page of them. Pure.
//!
//! The catalog lists what is not as it is to be; the list is no part of the status, because nothing is lost with it: what was not
//! written is listed again. A round goes by path; the next begins when the catalog has looked at the whole library again.

use av1_crds::library::SidecarStatus;
use av1_crds::reasons;
use av1_crds::wire::{Sidecar, SidecarsResult, SidecarsTask};
use kube::ResourceExt;

use super::Draft;
use super::purge::{in_seconds, seen_since};
use crate::build::{User, sidecars_job, sidecars_name};
use crate::context::EventDraft;
use crate::pods::{Came, PodState};

/// Seconds until the next round after one in which nothing could be written.
const PAUSE: i64 = 3_600;

impl Draft<'_> {
    pub(super) fn sidecars(&mut self) {
        let observed = self.observed;
        let known = self.out.status.sidecars.clone().unwrap_or_default();
        let name = sidecars_name(&observed.library.uid().unwrap_or_default(), known.run);
        let surplus = observed.sidecar_jobs.iter().map(|job| &job.name).filter(|job| !known.active || **job != name);
        self.out.desired.surplus.extend(surplus.cloned());
        if !known.active {
            return self.begin_sidecars(known);
        }
        let recorded = observed.library.status.as_ref().and_then(|s| s.sidecars.as_ref());
        if recorded.is_none_or(|s| s.run != known.run || !s.active) {
            return;
        }
        let batch = observed.sidecar_jobs.iter().find(|job| job.name == name);
        match (observed.sidecar_pods.iter().find(|p| p.run == known.run && p.name.starts_with(&name)), batch) {
            (Some(pod), Some(_)) if pod.is_stuck(observed.now) => self.make_anew(name, pod, "Sidecars"),
            (Some(pod), _) => match &pod.state {
                PodState::Live { .. } => {}
                PodState::Ended(ended) => match ended.came::<SidecarsResult>(false) {
                    Came::Done(result) => self.sidecars_written(known, result),
                    Came::Failed { failure, .. } => {
                        self.sidecars_again(known, Some((&failure.reason, &failure.message)));
                    }
                    Came::Lost(_) => self.sidecars_again(known, None),
                },
            },
            (None, Some(batch)) if batch.ended => self.sidecars_again(known, None),
            (None, Some(_)) => {}
            (None, None) => self.make_sidecars(known),
        }
    }

    /// Puts on record how far the next run goes, when there is something to do and nothing holds it up.
    fn begin_sidecars(&mut self, mut known: SidecarStatus) {
        let observed = self.observed;
        let waits = crate::pause::left(known.not_before.as_deref(), observed.now).is_some();
        let Some(page) = observed.sidecars.as_ref().filter(|_| !observed.library.spec.suspend && !waits) else {
            return;
        };
        let Some(last) = page.fitting(None).last().map(|sidecar| sidecar.path.clone()) else {
            if known.after.take().is_some() {
                known.not_before = (known.changed == 0).then(|| in_seconds(observed.now, PAUSE));
                self.out.status.sidecars = Some(known);
            }
            return;
        };
        if known.after.is_none() {
            if !seen_since(&observed.summary, known.finished_at.as_deref()) {
                return;
            }
            (known.changed, known.left, known.message) = (0, 0, None);
        }
        (known.run, known.active, known.not_before, known.through) = (known.run + 1, true, None, Some(last));
        self.out.status.sidecars = Some(known);
        self.out.requeue = std::time::Duration::from_secs(1);
    }

    fn make_sidecars(&mut self, known: SidecarStatus) {
        let observed = self.observed;
        let storage = self.out.status.storage.clone().unwrap_or_default();
        let (Some(volume_id), Some(uid), Some(gid)) = (storage.volume_id, storage.run_as_user, storage.run_as_group)
        else {
            return;
        };
        let page = observed.sidecars.as_ref().filter(|_| !observed.library.spec.suspend);
        let through = known.through.as_deref();
        let sidecars: Vec<Sidecar> = page.into_iter().flat_map(|page| page.fitting(through).cloned()).collect();
        if sidecars.is_empty() {
            // The catalog has nothing to be done any more, or does not answer; or a person wants peace.
            self.out.status.sidecars = Some(SidecarStatus { active: false, through: None, ..known });
            return;
        }
        let task = SidecarsTask { library: self.id(), volume_id, sidecars };
        let mut library = observed.library.clone();
        library.status = Some(self.out.status.clone());
        match sidecars_job(&library, &task, User { uid, gid }, known.run, &self.options.pods) {
            Ok(job) => self.out.desired.sidecars = Some(job),
            Err(error) => self.sidecars_again(known, Some((reasons::INVALID_TASK, &error.to_string()))),
        }
    }

    fn sidecars_written(&mut self, known: SidecarStatus, result: SidecarsResult) {
        let changed = i64::from(result.written) + i64::from(result.removed);
        self.out.status.sidecars = Some(SidecarStatus {
            active: false,
            failures: 0,
            after: known.through,
            through: None,
            finished_at: Some(self.observed.now.to_string()),
            written: known.written + i64::from(result.written),
            removed: known.removed + i64::from(result.removed),
            changed: known.changed + changed,
            left: known.left + i64::from(result.left),
            message: result.message.or(known.message),
            ..known
        });
    }

    /// The run came to nothing: another one follows.
    fn sidecars_again(&mut self, known: SidecarStatus, failed: Option<(&str, &str)>) {
        let failures = known.failures + 1;
        let pause = crate::pause::back_off(10, failures, PAUSE);
        let not_before = Some(in_seconds(self.observed.now, pause));
        self.out.status.sidecars = Some(SidecarStatus { active: false, failures, not_before, ..known });
        if let Some((reason, message)) = failed {
            let message = format!("sidecars could not be written: {message}; tried again after {pause} s");
            self.out.events.push(EventDraft::warning(reason, "Sidecars", message));
        }
    }
}
