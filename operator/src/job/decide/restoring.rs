//! What the user ordered instead of an encode: the original or the AV1 file brought back, a marker, a note of a cancelled encode.
//! Pure.

use av1_crds::conditions::{self, reason};
use av1_crds::job::JobResult;
use av1_crds::wire::{
    JobId, MarkAction, MarkResult, MarkTask, MarkVerdict, RestoreResult, RestoreTask, RestoreVerdict, SettleResult,
    SettleVerdict, Wanted,
};
use av1_crds::{Phase, figures, reasons};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::super::order::Order;
use super::Draft;
use super::encoding::library_id;
use super::notifying::{Became, REPLACED, RESTORED};
use super::settling::Volume;
use crate::build::writer_job;
use crate::context::EventDraft;

impl Draft<'_> {
    /// The Job of an order that is not the verdict of an encode.
    pub(super) fn order_batch_job(&self, order: Order) -> Result<Job, String> {
        let (job, status) = (&self.observed.job, &self.out.status);
        let Volume { library, id: volume_id, user, swap } = self.volume()?;
        let pending = status.pending_settle.clone().unwrap_or_default();
        let (library_id, path) = (library_id(library, self.options), job.spec.source.path.clone());
        let id = JobId { name: job.name_any(), uid: job.uid().unwrap_or_default(), run: pending.encode_run };
        let takeover_from = pending.ended_pods.clone();
        let made = match order {
            Order::Original | Order::Replacement => {
                let settings = status.settings.as_ref().ok_or("status.settings is gone")?;
                let task = RestoreTask {
                    library: library_id,
                    job: id,
                    volume_id,
                    path,
                    wanted: if order == Order::Original { Wanted::Original } else { Wanted::Encoded },
                    trash_retention_seconds: settings.retention_seconds(),
                    swap,
                    takeover_from,
                };
                writer_job(order.role(), library, job, &task, user, pending.run, &self.options.pods)
            }
            Order::MarkSkipped | Order::Cancel | Order::Settle(_) => {
                let action = MarkAction::Skip;
                let task = MarkTask { library: library_id, job: id, volume_id, path, action, takeover_from };
                writer_job(order.role(), library, job, &task, user, pending.run, &self.options.pods)
            }
        };
        made.map_err(|e| e.to_string())
    }

    pub(super) fn marked(&mut self, result: &MarkResult) {
        self.set(conditions::SETTLED, true, reason::AS_EXPECTED, &result.message);
        match result.verdict {
            MarkVerdict::NotFound => self.finish(Phase::Failed, reasons::NOT_FOUND, &result.message),
            _ => self.finish(Phase::Skipped, reasons::SKIP_MARKER, &result.message),
        }
    }

    pub(super) fn cancelled(&mut self, result: &SettleResult) {
        self.set(conditions::SETTLED, true, reason::AS_EXPECTED, &result.message);
        if result.verdict == SettleVerdict::SourceChanged {
            self.finish(Phase::Skipped, reasons::SOURCE_CHANGED, &result.message);
        } else {
            self.finish(Phase::Cancelled, reasons::CANCELLED_BY_USER, &result.message);
        }
    }

    pub(super) fn restored(&mut self, order: Order, result: &RestoreResult) {
        let refused = result.verdict == RestoreVerdict::Refused;
        let lost = [reasons::NOT_IN_TRASH, reasons::CHANGED_SINCE].contains(&result.reason.as_str());
        if refused && lost && order == Order::Replacement {
            self.out.status.bring_back = false;
            self.out.status.pending_settle = None;
            let note = format!("{}; the file is encoded again", result.message);
            if self.become_phase(Phase::Queued, &note) {
                self.forget_encode();
                self.set(conditions::PLACED, false, reason::WAITING_FOR_SLOT, note);
            }
            return;
        }
        if refused {
            return self.finish(Phase::Failed, &result.reason, &result.message);
        }
        for lost in &result.not_kept {
            self.out.events.push(EventDraft::warning("NotKept", "Restore", lost).about(lost));
        }
        self.set(conditions::SETTLED, true, reason::AS_EXPECTED, &result.message);
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.note_restored(order, result);
        let status = &mut self.out.status;
        let before = status.result.take().unwrap_or_default();
        let there = JobResult {
            path: result.path.clone(),
            sha256: result.sha256.clone().unwrap_or_default(),
            receipt: result.receipt.clone(),
            ..JobResult::default()
        };
        if order == Order::Original {
            status.result = Some(JobResult { replacement: result.replaced.clone(), ..there });
            (status.bring_back, status.saved) = (false, None);
            self.finish(Phase::Restored, &result.reason, &result.message);
        } else {
            let saved = status.size_gate.as_ref().map(|gate| whole(gate.input_bytes) - whole(gate.output_bytes));
            status.result = Some(JobResult {
                original: result.replaced.clone().unwrap_or(before.original),
                bytes_saved: saved.unwrap_or_default(),
                ..there
            });
            status.saved = saved.map(figures::size);
            status.bring_back = false;
            self.finish(Phase::Succeeded, reasons::ENCODED, &result.message);
        }
    }

    /// Notes it for those who are to be told; the sizes are the encode's, where this job knows it.
    fn note_restored(&mut self, order: Order, result: &RestoreResult) {
        if result.verdict != RestoreVerdict::Restored {
            return;
        }
        let status = &self.out.status;
        let source = &self.observed.job.spec.source.path;
        let size = |bytes: u64| i64::try_from(bytes).ok();
        let gate = status.size_gate.as_ref();
        let (original, encoded) =
            (gate.and_then(|gate| size(gate.input_bytes)), gate.and_then(|gate| size(gate.output_bytes)));
        let before = status.result.as_ref().map(|before| before.path.clone()).filter(|path| !path.is_empty());
        let (action, bytes_before, bytes_after) = match order {
            Order::Original => (RESTORED, encoded, original),
            _ => (REPLACED, original, encoded),
        };
        // A path that does not fit a message is the one that was asked for, or one that only the receipt has.
        let path = if result.path.is_empty() { source.clone() } else { result.path.clone() };
        self.note(Became { action, path, old_path: before, bytes_before, bytes_after });
    }
}
