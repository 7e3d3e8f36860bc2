//! What to do about an EncodeJob. Pure: from what was observed to status, actions, Events and the time of the next look.

mod abandoned;
mod encoding;
mod memory;
mod notifying;
mod outcome;
mod progress;
mod restoring;
mod settling;

use std::time::Duration;

use av1_crds::conditions::{self, reason};
use av1_crds::job::{Desired, Notification, Outcome};
use av1_crds::library::Scratch;
use av1_crds::wire::EncodeResult;
use av1_crds::{EncodeJobStatus, FINALIZER, Phase};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::observe::Observed;
use super::order::{asked_again, order};
use crate::batch::BatchFacts;
use crate::build::{batch_name, role};
use crate::conditions::{Is, Writer, cut};
use crate::context::{EventDraft, Options};
use crate::pods::{PodFacts, PodState};
use crate::schedule;

/// Something to be done to the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Make a batch Job.
    Create(Box<Job>),
    /// Delete a batch Job and its pods.
    Delete(String),
    /// Tell somebody of a file.
    Notify(Box<Notification>),
    /// Take the finalizer off.
    Release,
}

/// What was decided.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) status: EncodeJobStatus,
    pub(crate) actions: Vec<Action>,
    pub(crate) events: Vec<EventDraft>,
    /// When to look again; none: when something changes.
    pub(crate) requeue: Option<Duration>,
    /// The verdict that was taken over from an encode pod, for the metrics.
    pub(crate) verdict: Option<EncodeResult>,
    /// The notification that was struck off, with how it went.
    pub(crate) delivered: Option<notifying::Ended>,
    /// Whether the finalizer is taken off.
    pub(crate) released: bool,
}

impl Decision {
    /// Whether nothing is to be done or written. A job that was just made gets its first status with its turn, by the library's
    /// reconciler.
    pub(crate) fn is_nothing_new(&self, observed: &Observed) -> bool {
        let waits =
            EncodeJobStatus { observed_generation: self.status.observed_generation, ..EncodeJobStatus::default() };
        let told = observed.job.status.as_ref().unwrap_or(&waits);
        *told == self.status
            && self.actions.is_empty()
            && self.events.is_empty()
            && !self.released
            && self.delivered.is_none()
    }
}

/// A decision in the making.
struct Draft<'a> {
    observed: &'a Observed,
    options: &'a Options,
    out: Decision,
}

/// Why a job is not to encode now.
struct Suspension {
    /// Reason of the condition.
    reason: &'static str,
    why: String,
    /// Until the next look, while it is paused.
    seconds: u64,
}

impl Suspension {
    fn asked(why: &str) -> Self {
        Self { reason: reason::SUSPENDED, why: why.to_owned(), seconds: 5 }
    }
}

/// What to do about what was observed.
pub(crate) fn decide(observed: &Observed, options: &Options) -> Decision {
    let status = observed.job.status.clone().unwrap_or_default();
    let out = Decision {
        status,
        actions: Vec::new(),
        events: Vec::new(),
        requeue: None,
        verdict: None,
        delivered: None,
        released: false,
    };
    let mut draft = Draft { observed, options, out };
    draft.out.status.observed_generation = observed.job.metadata.generation;
    if observed.job.metadata.deletion_timestamp.is_some() {
        draft.deletion();
    } else {
        match observed.phase() {
            Phase::Queued => draft.queued(),
            Phase::Paused => draft.paused(),
            Phase::Encoding => draft.encoding(),
            Phase::Settling | Phase::Restoring => draft.writing(),
            phase if phase.is_terminal() => draft.ended(),
            _ => {}
        }
        // Its status would not be written.
        if !draft.out.released {
            draft.notifying();
        }
    }
    draft.out
}

impl Draft<'_> {
    fn queued(&mut self) {
        self.delete_jobs(|_| true);
        let spec = &self.observed.job.spec;
        if spec.retry > self.out.status.retry {
            let status = &mut self.out.status;
            (status.retry, status.failures, status.lost, status.fruitless) = (spec.retry, 0, 0, 0);
            status.not_before = None;
            status.out_of_memory = None;
            status.failed_nodes.clear();
        }
        if spec.suspend && order(&self.observed.job).is_none() {
            self.pause(&Suspension::asked("spec.suspend is true"));
        } else if self.observed.library.is_none() {
            let name = &self.observed.job.spec.library_ref.name;
            self.set(
                conditions::PLACED,
                false,
                reason::WAITING_FOR_LIBRARY,
                format!("there is no MediaLibrary {name} in this namespace: make it, or delete this job"),
            );
            self.look_again(30);
        } else {
            // Slots are given by the library reconciler, which sees all jobs of the library at once.
            self.look_again(60);
        }
    }

    fn paused(&mut self) {
        self.delete_jobs(|_| true);
        let suspension = self.suspension().filter(|_| order(&self.observed.job).is_none());
        if let Some(suspension) = suspension {
            self.set(conditions::PLACED, false, suspension.reason, suspension.why);
            // Changes of the library do not come by here.
            self.look_again(if self.observed.job.spec.suspend { 300 } else { suspension.seconds });
        } else if self.become_phase(Phase::Queued, "no longer suspended") {
            self.set(conditions::PLACED, false, reason::WAITING_FOR_SLOT, "waits for its turn");
        }
    }

    /// A terminal phase: nothing may be left behind, unless the user asks for more.
    fn ended(&mut self) {
        self.delete_jobs(|_| true);
        if !self.live().is_empty() || !self.observed.batch_jobs.is_empty() {
            self.look_again(10);
        } else if let Some(why) = asked_again(&self.observed.job) {
            self.begin_again(&why);
        } else {
            self.release();
        }
    }

    /// A job that has ended goes to the queue again.
    fn begin_again(&mut self, why: &str) {
        let before = self.out.status.phase;
        if !self.become_phase(Phase::Queued, why) {
            return;
        }
        self.forget_pod();
        let status = &mut self.out.status;
        status.bring_back = before == Phase::Restored && self.observed.job.spec.desired == Desired::Encoded;
        status.again = true;
        (status.failures, status.lost, status.fruitless) = (0, 0, 0);
        (status.outcome, status.completion_time, status.not_before, status.pending_settle) = (None, None, None, None);
        if self.observed.job.spec.desired == Desired::Encoded && !status.bring_back {
            self.forget_encode();
        }
        self.set(conditions::COMPLETE, false, reason::IN_PROGRESS, why);
    }

    /// What is known of an earlier encode is about a file, and settings, that may be others by now.
    fn forget_encode(&mut self) {
        let status = &mut self.out.status;
        *status = EncodeJobStatus {
            observed_generation: status.observed_generation,
            phase: status.phase,
            outcome: status.outcome.take(),
            desired: status.desired,
            retry: status.retry,
            again: status.again,
            run: status.run,
            write_run: status.write_run,
            left_claims: std::mem::take(&mut status.left_claims),
            notifications: std::mem::take(&mut status.notifications),
            conditions: std::mem::take(&mut status.conditions),
            ..EncodeJobStatus::default()
        };
        status.conditions.retain(|c| c.type_ == conditions::COMPLETE);
    }

    /// The user deleted the job: no pod is made any more; one that may write to the library is waited for.
    fn deletion(&mut self) {
        // An earlier one may have left a swap half done, which the next goes on with.
        let goes_on = self.out.status.pending_settle.as_ref().is_some_and(|pending| !pending.ended_pods.is_empty());
        let may_write = |p: &PodFacts| p.setup.is_none() || goes_on && !p.is_stuck(self.observed.now);
        let writes = |p: &&&PodFacts| role::WRITERS.contains(&p.role.as_str()) && may_write(p);
        let (observed, live) = (self.observed, self.live());
        if observed.namespace_terminating || (observed.batch_jobs.is_empty() && live.is_empty()) {
            return self.release();
        }
        // A Job without a pod goes too: its pod may come any moment.
        let writing: Vec<String> =
            live.iter().filter(writes).map(|p| batch_name(&self.uid(), &p.role, p.run)).collect();
        self.delete_jobs(|b| !writing.contains(&b.name));
        self.look_again(5);
    }

    fn release(&mut self) {
        if self.observed.job.finalizers().iter().any(|f| f == FINALIZER) {
            self.out.actions.push(Action::Release);
            self.out.released = true;
        }
    }

    /// Why the job is not to encode now, if it is not.
    fn suspension(&self) -> Option<Suspension> {
        let library = self.observed.library.as_ref();
        if self.observed.job.spec.suspend {
            return Some(Suspension::asked("spec.suspend is true"));
        }
        if library.is_some_and(|library| library.spec.suspend) {
            return Some(Suspension::asked("the library's spec.suspend is true"));
        }
        let (until, told) = library.and_then(|library| schedule::stops(library, self.observed.now))?;
        Some(Suspension {
            reason: reason::OUTSIDE_SCHEDULE,
            why: format!("paused until {told}, by the library's spec.schedule"),
            seconds: schedule::seconds_until(until, self.observed.now, 30),
        })
    }

    fn is_suspended(&self) -> bool {
        self.suspension().is_some()
    }

    fn pause(&mut self, suspension: &Suspension) {
        let kept = if self.keeps_chunks() { "what is finished is kept" } else { "it will start again" };
        if self.become_phase(Phase::Paused, &format!("{}; {kept}", suspension.why)) {
            self.forget_pod();
            self.set(conditions::PLACED, false, suspension.reason, suspension.why.clone());
            self.look_again(5);
        }
    }

    /// Whether what an encode pod has finished is there for the next one.
    fn keeps_chunks(&self) -> bool {
        let pods = self.observed.library.as_ref().and_then(|library| library.spec.pods.as_ref());
        pods.and_then(|pods| pods.scratch) != Some(Scratch::EmptyDir)
    }

    /// Deletes the batch Jobs that `which` names.
    fn delete_jobs(&mut self, which: impl Fn(&BatchFacts) -> bool) {
        let names =
            self.observed.batch_jobs.iter().filter(|b| !b.deleting && which(b)).map(|b| Action::Delete(b.name.clone()));
        self.out.actions.extend(names);
    }

    fn forget_pod(&mut self) {
        let status = &mut self.out.status;
        status.pod_name = None;
        status.pod_uid = None;
        status.progress = None;
    }

    /// Enters a phase, with an Event; a transition that the table does not hold is refused.
    fn become_phase(&mut self, next: Phase, note: &str) -> bool {
        let now = self.out.status.phase;
        if !now.may_become(next) {
            tracing::error!(
                job = self.observed.job.name_any(),
                from = now.as_str(),
                to = next.as_str(),
                "a transition that must not be: refused"
            );
            return false;
        }
        self.out.status.phase = next;
        let reason = next.as_str();
        let event = if next == Phase::Failed {
            EventDraft::warning(reason, "ChangePhase", note)
        } else {
            EventDraft::normal(reason, "ChangePhase", note)
        };
        self.out.events.push(event);
        true
    }

    /// Enters a terminal phase.
    fn finish(&mut self, phase: Phase, reason: &str, message: &str) {
        let note = format!("{reason}: {message}");
        if !self.become_phase(phase, &note) {
            return;
        }
        self.out.status.outcome =
            Some(Outcome { reason: reason.to_owned(), message: cut(message.to_owned()), retryable: false });
        self.out.status.completion_time = Some(self.end().to_string());
        self.out.status.pending_settle = None;
        self.out.status.not_before = None;
        self.set(conditions::COMPLETE, true, reason, message);
    }

    /// Now, or by a pod's own clock when this one is behind: what scans have seen is told by clocks of nodes.
    fn end(&self) -> Timestamp {
        let ends = self.observed.pods.iter().filter_map(|pod| match &pod.state {
            PodState::Ended(ended) => Timestamp::from_second(ended.at?).ok(),
            PodState::Live { .. } => None,
        });
        ends.fold(self.observed.now, Timestamp::max)
    }

    fn set(&mut self, type_: &str, is: impl Into<Is>, reason: &str, message: impl Into<String>) {
        let generation = self.observed.job.metadata.generation;
        Writer { list: &mut self.out.status.conditions, generation, now: self.observed.now }
            .set(type_, is, reason, message);
    }

    fn look_again(&mut self, seconds: u64) {
        self.out.requeue = Some(Duration::from_secs(seconds));
    }

    fn uid(&self) -> String {
        self.observed.job.uid().unwrap_or_default()
    }

    fn in_seconds(&self, seconds: i64) -> String {
        self.observed.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(self.observed.now).to_string()
    }

    /// Seconds until `not_before`, if that is still to come.
    fn pause_left(&self) -> Option<u64> {
        crate::pause::left(self.out.status.not_before.as_deref(), self.observed.now)
    }
}

#[cfg(test)]
pub(super) mod tests;
