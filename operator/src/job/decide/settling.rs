//! A job whose outcome, or whose user's wish, is brought to the volume: one pod that may write there at a time, run again until
//! it has a verdict. Pure.

use av1_crds::conditions::{self, reason};
use av1_crds::job::{JobResult, LeftClaim, Outcome, PendingSettle};
use av1_crds::library::SwapMethod;
use av1_crds::wire::{
    EncodeVerdict, FileIdentity, JobId, MarkResult, OutputFile, RestoreResult, SettleResult, SettleTask, SettleVerdict,
};
use av1_crds::{EncodeJob, MediaLibrary, Phase, labels, reasons};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::super::order::Order;
use super::encoding::{library_id, prepared};
use super::notifying::{Became, REPLACED};
use super::{Action, Draft};
use crate::build::{User, batch_name, role, writer_job};
use crate::context::EventDraft;
use crate::pods::{Came, Ended, PodFacts, PodState, STUCK};
use av1_crds::figures;

/// Nothing is known of what the pod did.
const GONE: &str = "the pod that writes to the library is gone and left no result";

/// What a pod that writes to the library is told of its volume.
pub(super) struct Volume<'a> {
    pub(super) library: &'a MediaLibrary,
    pub(super) id: String,
    pub(super) user: User,
    pub(super) swap: SwapMethod,
}

impl Draft<'_> {
    pub(super) fn writing(&mut self) {
        let Some(pending) = self.out.status.pending_settle.clone() else {
            return self.finish(
                Phase::Failed,
                reasons::INVALID_TASK,
                "status.pendingSettle is gone: it is not known what was to be settled; the file is as it was",
            );
        };
        let order = match Order::of(&pending) {
            Ok(order) => order,
            Err(why) => return self.finish(Phase::Failed, reasons::INVALID_TASK, &format!("{why}: no such order")),
        };
        let name = batch_name(&self.uid(), order.role(), pending.run);
        self.delete_jobs(|b| b.name != name);
        let others = |p: &&PodFacts| p.role != order.role() || p.run != pending.run;
        if self.live().iter().any(others) {
            self.set(conditions::SETTLED, false, reason::IN_PROGRESS, "waits until the job's earlier pod has ended");
            return self.look_again(3);
        }
        let batch = self.observed.batch_jobs.iter().find(|b| b.name == name);
        let pod = self.observed.pod(order.role(), pending.run, pending.pod_uid.as_deref()).cloned();
        match pod {
            Some(pod) => match &pod.state {
                PodState::Live { .. } => {
                    self.pending(|p| p.pod_uid = Some(pod.uid.clone()));
                    let message = pod
                        .is_kept_by(self.observed.now)
                        .unwrap_or_else(|| "the outcome is being brought to the volume".to_owned());
                    self.set(conditions::SETTLED, false, reason::IN_PROGRESS, message);
                    // Each one that goes is one more that the next is told of.
                    let patience = crate::pause::back_off(STUCK, pending.lost + 1, 3_600);
                    if pod.is_stuck_for(patience, self.observed.now) {
                        self.delete_jobs(|b| b.name == name);
                    }
                    self.look_again(10);
                }
                PodState::Ended(ended) => self.writer_ended(order, &pod.uid, ended, batch.is_none_or(|b| b.deleting)),
            },
            None => match (batch, pending.pod_uid) {
                (_, Some(uid)) => self.settle_lost(Some(uid), GONE),
                (None, None) => self.start_writer(order),
                (Some(batch), None) if batch.deleting => self.look_again(3),
                (Some(batch), None) if batch.ended => self.settle_lost(None, GONE),
                (Some(batch), None) => {
                    if let Some(why) = batch.without_pod(self.observed.now) {
                        self.set(conditions::SETTLED, false, reason::IN_PROGRESS, why);
                    }
                    self.look_again(5);
                }
            },
        }
    }

    fn start_writer(&mut self, order: Order) {
        if let Some(left) = self.pause_left() {
            return self.look_again(left);
        }
        let job = match order {
            Order::Settle(verdict) => self.settle_batch_job(verdict),
            Order::Cancel => self.settle_batch_job(EncodeVerdict::Skipped),
            order => self.order_batch_job(order),
        };
        match job {
            Ok(job) => {
                self.out.actions.push(Action::Create(Box::new(job)));
                self.look_again(5);
            }
            Err(why) => {
                self.set(conditions::SETTLED, false, reason::WAITING_FOR_LIBRARY, why);
                self.look_again(15);
            }
        }
    }

    fn settle_batch_job(&self, verdict: EncodeVerdict) -> Result<Job, String> {
        let (job, status) = (&self.observed.job, &self.out.status);
        let Volume { library, id: volume_id, user, swap } = self.volume()?;
        let pending = status.pending_settle.clone().unwrap_or_default();
        let outcome = match Order::of(&pending)? {
            Order::Cancel => Outcome {
                reason: reasons::CANCELLED_BY_USER.to_owned(),
                message: "The user cancelled the encode: the file stays as it is until it is asked for again"
                    .to_owned(),
                retryable: false,
            },
            _ => status.outcome.clone().unwrap_or_default(),
        };
        let task = SettleTask {
            library: library_id(library, self.options),
            job: JobId { name: job.name_any(), uid: job.uid().unwrap_or_default(), run: pending.encode_run },
            volume_id,
            path: job.spec.source.path.clone(),
            source: status.source.clone().unwrap_or_else(FileIdentity::default),
            verdict,
            reason: outcome.reason,
            // The argument and the receipt need the sentence, not a page.
            message: outcome.message,
            output: output_of(&pending),
            report_sha256: pending.report_sha256.clone(),
            size_gate: status.size_gate.clone(),
            settings: status.settings.as_ref().ok_or("status.settings is gone")?.for_pods(),
            force: job.spec.force.clone(),
            offered: !status.again && is_of_a_scan(job),
            swap,
            takeover_from: pending.ended_pods.clone(),
        };
        writer_job(role::SETTLE, library, job, &task, user, pending.run, &self.options.pods).map_err(|e| e.to_string())
    }

    /// The library's volume, as far as a pod that writes to it needs it.
    pub(super) fn volume(&self) -> Result<Volume<'_>, String> {
        let library = self
            .observed
            .library
            .as_ref()
            .filter(|l| l.metadata.deletion_timestamp.is_none())
            .ok_or("the MediaLibrary is gone: what waits on the volume stays there")?;
        let (id, user) = prepared(library).ok_or("the library's volume is not prepared")?;
        let swap = library
            .status
            .as_ref()
            .and_then(|s| s.storage.as_ref()?.swap)
            .ok_or("it is not known how files are swapped on this volume")?;
        Ok(Volume { library, id, user, swap })
    }

    fn writer_ended(&mut self, order: Order, pod_uid: &str, ended: &Ended, stopped: bool) {
        let pod = (order.role(), pod_uid);
        match order {
            Order::Settle(verdict) => {
                self.judge(pod, ended.came::<SettleResult>(stopped), |draft, result| draft.settled(verdict, result))
            }
            Order::Cancel => {
                self.judge(pod, ended.came::<SettleResult>(stopped), |draft, result| draft.cancelled(result))
            }
            Order::MarkSkipped => {
                self.judge(pod, ended.came::<MarkResult>(stopped), |draft, result| draft.marked(result))
            }
            Order::Original | Order::Replacement => {
                self.judge(pod, ended.came::<RestoreResult>(stopped), |draft, result| draft.restored(order, result))
            }
        }
    }

    /// What a pod that may write came to; `done` takes over its result.
    fn judge<T>(&mut self, (role, pod_uid): (&str, &str), came: Came<T>, done: impl FnOnce(&mut Self, &T)) {
        match came {
            Came::Done(result) => {
                self.out.status.left_claims.clear();
                done(self, &result);
            }
            Came::Failed { failure, .. } if failure.reason == reasons::CLAIM_HELD => {
                let pause = self.failed_again(120);
                self.settle_again(None, pause, &failure.message)
            }
            // Another volume under the same name may be put right again.
            Came::Failed { failure, .. } if failure.retryable || is_of_volume(&failure.reason) => {
                let pause = self.failed_again(600);
                self.out.events.push(EventDraft::warning(&failure.reason, "Settle", &failure.message));
                // The volume is looked at before the claim is taken: that pod held nothing.
                let held = (!failure.released && !is_of_volume(&failure.reason)).then(|| pod_uid.to_owned());
                self.settle_again(
                    held,
                    pause,
                    &format!("{}: {}; tried again in {pause} s", failure.reason, failure.message),
                );
            }
            Came::Failed { failure, .. } => {
                self.keep_claims(role, (!failure.released).then_some(pod_uid));
                self.finish(Phase::Failed, &failure.reason, &failure.message);
            }
            Came::Lost(why) => self.settle_lost(Some(pod_uid.to_owned()), &why),
        }
    }

    /// Counts one more failure of the order; the pause before its next pod, at most so many seconds.
    fn failed_again(&mut self, most: i64) -> i64 {
        let failures = self.out.status.pending_settle.as_ref().map_or(0, |p| p.failures) + 1;
        self.pending(|p| p.failures = failures);
        crate::pause::back_off(10, failures, most)
    }

    /// The order ends though its pods may have left a claim: those of the next order are told of them.
    fn keep_claims(&mut self, role: &str, pod_uid: Option<&str>) {
        let status = &mut self.out.status;
        let ended = status.pending_settle.as_ref().map(|p| p.ended_pods.clone()).unwrap_or_default();
        for pod in ended.into_iter().chain(pod_uid.map(str::to_owned)) {
            if status.left_claims.iter().all(|left| left.pod != pod) {
                status.left_claims.push(LeftClaim { role: role.to_owned(), pod });
            }
        }
    }

    /// The pod was lost: no failure, tried again for ever.
    fn settle_lost(&mut self, pod: Option<String>, why: &str) {
        let lost = self.out.status.pending_settle.as_ref().map_or(0, |p| p.lost) + 1;
        self.pending(|p| p.lost = lost);
        self.settle_again(pod, crate::pause::back_off(2, lost, 300), why);
    }

    /// The pod ended without a verdict: the next one may take over what `held`, a pod's UID, had claimed. None is ever
    /// dropped from that list: the claim may be the oldest's.
    fn settle_again(&mut self, held: Option<String>, pause: i64, why: &str) {
        let run = self.out.status.pending_settle.as_ref().map_or(0, |p| p.run);
        self.pending(|p| {
            if let Some(uid) = held.filter(|uid| !p.ended_pods.contains(uid)) {
                p.ended_pods.push(uid);
            }
            p.pod_uid = None;
        });
        self.out.status.write_run = self.out.status.write_run.max(run) + 1;
        let next = self.out.status.write_run;
        self.pending(|p| p.run = next);
        self.out.status.not_before = Some(self.in_seconds(pause));
        self.set(conditions::SETTLED, false, reason::IN_PROGRESS, why);
        self.look_again(1);
    }

    fn settled(&mut self, verdict: EncodeVerdict, result: &SettleResult) {
        let pending = self.out.status.pending_settle.clone().unwrap_or_default();
        let outcome = self.out.status.outcome.clone().unwrap_or_default();
        self.set(conditions::SETTLED, true, reason::AS_EXPECTED, &result.message);
        match (result.verdict, verdict) {
            (SettleVerdict::Replaced, _) => {
                let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let saved = whole(result.bytes_before) - whole(result.bytes_after);
                let source = &self.observed.job.spec.source.path;
                self.note(Became {
                    action: REPLACED,
                    path: pending.output_target.clone().unwrap_or_else(|| source.clone()),
                    old_path: Some(source.clone()),
                    bytes_before: Some(whole(result.bytes_before)),
                    bytes_after: Some(whole(result.bytes_after)),
                });
                self.out.status.result = Some(JobResult {
                    path: pending.output_target.unwrap_or_else(|| self.observed.job.spec.source.path.clone()),
                    sha256: pending.output_sha256.unwrap_or_default(),
                    bytes_saved: saved,
                    original: result.original.clone().unwrap_or_default(),
                    original_sha256: result.original_sha256.clone().unwrap_or_default(),
                    replacement: None,
                    receipt: result.receipt.clone(),
                });
                self.out.status.saved = Some(figures::size(saved));
                for lost in &result.not_kept {
                    self.out.events.push(EventDraft::warning("NotKept", "Settle", lost).about(lost));
                }
                self.finish(Phase::Succeeded, reasons::ENCODED, &result.message);
            }
            (SettleVerdict::PutBeside, _) => {
                self.out.status.result = Some(JobResult {
                    path: result.path.clone().unwrap_or_default(),
                    sha256: pending.output_sha256.unwrap_or_default(),
                    receipt: result.receipt.clone(),
                    ..JobResult::default()
                });
                self.finish(Phase::Succeeded, reasons::PUT_BESIDE, &result.message);
            }
            (SettleVerdict::Reported, _) => self.finish(Phase::Succeeded, reasons::REPORTED, &result.message),
            (SettleVerdict::TargetExists, _) => self.finish(Phase::Failed, reasons::TARGET_EXISTS, &result.message),
            (SettleVerdict::SourceChanged, _) => self.finish(Phase::Skipped, reasons::SOURCE_CHANGED, &result.message),
            (SettleVerdict::Recorded, EncodeVerdict::Rejected) => {
                self.finish(Phase::Rejected, &outcome.reason, &outcome.message)
            }
            (SettleVerdict::Recorded, EncodeVerdict::Skipped) => {
                self.finish(Phase::Skipped, &outcome.reason, &outcome.message)
            }
            (SettleVerdict::Recorded, _) => self.finish(Phase::Failed, &outcome.reason, &outcome.message),
        }
    }

    pub(super) fn pending(&mut self, change: impl FnOnce(&mut PendingSettle)) {
        if let Some(pending) = self.out.status.pending_settle.as_mut() {
            change(pending);
        }
    }
}

/// Whether the reason is the volume's, not the file's: it may be put right, so nothing is given up for it.
pub(super) fn is_of_volume(reason: &str) -> bool {
    [reasons::WRONG_VOLUME, reasons::OWNED_BY_ANOTHER].contains(&reason)
}

/// Whether the library made the job from what a scan found; one that a person made asks for its file.
fn is_of_a_scan(job: &EncodeJob) -> bool {
    job.labels().get("app.kubernetes.io/managed-by").is_some_and(|by| by == labels::MANAGED_BY)
}

fn output_of(pending: &PendingSettle) -> Option<OutputFile> {
    Some(OutputFile {
        name: pending.output_name.clone()?,
        size: u64::try_from(pending.output_size?).ok()?,
        sha256: pending.output_sha256.clone()?,
        target: pending.output_target.clone(),
    })
}
