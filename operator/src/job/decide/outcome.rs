//! What an encode came to, taken over into the status. Pure.

use std::collections::BTreeSet;

use av1_crds::conditions::{self, reason};
use av1_crds::job::{Outcome, PendingSettle};
use av1_crds::wire::{Check, EncodeResult, EncodeVerdict};
use av1_crds::{Phase, reasons};

use super::super::observe::ReportView;
use super::super::order::Order;
use super::Draft;
use crate::conditions::cut;
use crate::context::EventDraft;

/// Most rows of `status.checks`.
const MOST_CHECKS: usize = 64;

impl Draft<'_> {
    /// The encode pod of the current run reached a verdict.
    pub(super) fn verdict(&mut self, result: EncodeResult) {
        let observed = self.observed;
        match &observed.report {
            ReportView::Got(report) => {
                self.out.status.checks = rows(&report.checks);
                self.out.status.quality.clone_from(&report.quality);
                if report.media.is_some() {
                    self.out.status.media.clone_from(&report.media);
                }
                if report.classification.is_some() {
                    self.out.status.classification.clone_from(&report.classification);
                }
                if report.plan.is_some() {
                    self.out.status.plan.clone_from(&report.plan);
                }
            }
            ReportView::NotYet(why) => {
                self.set(
                    conditions::SETTLED,
                    false,
                    reason::IN_PROGRESS,
                    format!("the verdict is {}; the report is being fetched: {why}", result.reason),
                );
                return self.look_again(5);
            }
            ReportView::Wrong(why) if result.verdict == EncodeVerdict::Encoded => {
                return self.run_failed(reasons::IO_ERROR, why, true);
            }
            ReportView::NotAnnounced if result.verdict == EncodeVerdict::Encoded => {
                return self.run_failed(
                    reasons::VERIFICATION_FAILED,
                    "the encode pod announced no report: its checks cannot be seen",
                    true,
                );
            }
            ReportView::Wrong(_) | ReportView::NotAnnounced => {}
        }
        self.take_over(&result);
        let status = &mut self.out.status;
        status.outcome =
            Some(Outcome { reason: result.reason.clone(), message: cut(result.message.clone()), retryable: false });
        if result.reason == reasons::SOURCE_CHANGED {
            self.finish(Phase::Skipped, &result.reason, &result.message);
        } else if result.source.is_none() {
            // Without an identity there is nothing that a receipt could be about.
            let phase = if result.verdict == EncodeVerdict::Skipped { Phase::Skipped } else { Phase::Failed };
            self.finish(phase, &result.reason, &result.message);
        } else {
            self.settle(result.verdict, Some(&result));
        }
        self.out.verdict = Some(result);
    }

    fn take_over(&mut self, result: &EncodeResult) {
        let status = &mut self.out.status;
        if result.source.is_some() {
            status.source.clone_from(&result.source);
        }
        status.pinning = Some(result.pinning.clone());
        status.size_gate.clone_from(&result.size_gate);
        if let Some(media) = status.media.as_mut().filter(|m| m.frames == 0) {
            media.frames = result.frames;
        }
        self.pinned();
        if result.reason == reasons::PROJECTED_TOO_LARGE {
            self.set(conditions::SIZE_GATE_PASSED, false, reason::NOT_SMALLER, result.message.clone());
        }
        let failed: Vec<Check> = self.out.status.checks.iter().filter(|c| !c.passed).cloned().collect();
        for check in &failed {
            let note = format!("{}: expected {}, measured {}", check.name, check.expected, check.measured);
            self.out.events.push(EventDraft::warning(&result.reason, &check.name, note));
        }
        if !failed.is_empty() {
            let names: Vec<&str> = failed.iter().map(|c| c.name.as_str()).collect();
            self.set(
                conditions::VALIDATED,
                false,
                reason::CHECKS_FAILED,
                format!("{} checks failed: {}", failed.len(), names.join(", ")),
            );
        } else if !self.out.status.checks.is_empty() {
            self.set(conditions::VALIDATED, true, reason::AS_EXPECTED, "every check of the output passed");
        }
        if let Some(gate) = self.out.status.size_gate.clone() {
            let why = if gate.passed { reason::AS_EXPECTED } else { reason::NOT_SMALLER };
            let message = format!(
                "{} of {} bytes: {} %, must be below {} %",
                gate.output_bytes, gate.input_bytes, gate.percent, gate.max_percent
            );
            self.set(conditions::SIZE_GATE_PASSED, gate.passed, why, message);
        }
    }

    /// The job cannot be done: recorded on the volume when the file is known, else only here.
    pub(super) fn give_up(&mut self, why: &str, message: &str) {
        if self.out.status.source.is_some() {
            self.out.status.outcome =
                Some(Outcome { reason: why.to_owned(), message: cut(message.to_owned()), retryable: false });
            self.settle(EncodeVerdict::Failed, None);
        } else {
            self.finish(Phase::Failed, why, message);
        }
    }

    fn settle(&mut self, verdict: EncodeVerdict, result: Option<&EncodeResult>) {
        let output = result.and_then(|r| r.output.as_ref());
        let note = self.out.status.outcome.as_ref().map(|o| format!("{}: {}", o.reason, o.message)).unwrap_or_default();
        if !self.become_phase(Phase::Settling, &note) {
            return;
        }
        let status = &mut self.out.status;
        status.write_run += 1;
        status.pending_settle = Some(PendingSettle {
            encode_run: if result.is_some() { status.run } else { status.work_run.unwrap_or(status.run) },
            output_name: output.map(|o| o.name.clone()),
            output_target: output.and_then(|o| o.target.clone()),
            output_size: output.and_then(|o| i64::try_from(o.size).ok()),
            output_sha256: output.map(|o| o.sha256.clone()),
            report_sha256: result.and_then(|r| r.report_sha256.clone()),
            run: status.write_run,
            ..Order::Settle(verdict).record(status)
        });
        status.not_before = None;
        status.progress = None;
        self.set(conditions::SETTLED, false, reason::IN_PROGRESS, "the outcome is being brought to the volume");
    }
}

/// Failed checks and one row of each name, at most [`MOST_CHECKS`].
fn rows(checks: &[Check]) -> Vec<Check> {
    let mut seen = BTreeSet::new();
    let failed = checks.iter().filter(|c| !c.passed);
    let passed = checks.iter().filter(|c| c.passed && seen.insert(c.name.clone()));
    failed.chain(passed).take(MOST_CHECKS).cloned().collect()
}
