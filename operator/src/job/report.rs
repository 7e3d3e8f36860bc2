//! Tells what was decided: status, Events, metrics; the status only if it differs. Must never: decide.

use std::time::Instant;

use av1_crds::conditions::{self, reason};
use av1_crds::metrics as table;
use av1_crds::{EncodeJob, EncodeJobStatus, Phase, reasons};
use kube::{Api, Resource, ResourceExt};

use super::decide::Decision;
use super::figures::{self, Sample};
use super::observe::{Observed, ReportView, key_of};
use crate::api::ApiError;
use crate::conditions::find;
use crate::context::{Context, EventDraft};
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::writer::write_status;

/// Writes the status, and when that worked, Events and metrics.
///
/// # Errors
/// [`ApiError`]; a conflict when the job is another by now.
pub(crate) async fn report(
    namespace: &str,
    observed: &Observed,
    decision: Decision,
    context: &Context,
) -> Result<(), ApiError> {
    let job = &observed.job;
    let api: Api<EncodeJob> = Api::namespaced(context.client.clone(), namespace);
    // Actions may have changed the object (a released finalizer), and one that goes needs no status.
    if !decision.released {
        write_status(&api, job, job.status.as_ref(), &decision.status).await?;
    }
    if let Some((run, delivered)) = &decision.delivered {
        context.notifier.forget(&key_of(job, *run));
        let result = if delivered.is_ok() { "delivered" } else { "failed" };
        context.metrics.add(&table::NOTIFICATIONS, &[namespace, &job.spec.library_ref.name, result], 1.0);
    }
    let before = observed.phase();
    let after = decision.status.phase;
    if before != after {
        tracing::info!(namespace, job = job.name_any(), from = before.as_str(), to = after.as_str(), "phase");
    }
    count(namespace, observed, &decision, context);
    measure(namespace, observed, &decision, context);
    context.publish(&job.object_ref(&()), decision.events).await;
    Ok(())
}

/// Tells in the status that the API server refuses what the job needs; nothing else of the decision was done.
pub(crate) async fn refused(namespace: &str, observed: &Observed, error: &ApiError, context: &Context) {
    let job = &observed.job;
    let object = format!("job/{namespace}/{}", job.name_any());
    let Some(why) = error.refusal() else { return };
    let Some((status, events)) = with_refusal(observed, &why, || context.refusals.is_due(&object)) else { return };
    let api: Api<EncodeJob> = Api::namespaced(context.client.clone(), namespace);
    match write_status(&api, job, job.status.as_ref(), &status).await {
        Ok(_) => context.publish(&job.object_ref(&()), events).await,
        Err(error) => tracing::warn!(job = object, "a refusal cannot be told: {error}"),
    }
}

/// The status on record with a refusal, and the Event of one that is new; none when it is on record, or has no place there.
fn with_refusal(
    observed: &Observed,
    why: &str,
    is_due: impl FnOnce() -> bool,
) -> Option<(EncodeJobStatus, Vec<EventDraft>)> {
    let job = &observed.job;
    let before = job.status.clone().unwrap_or_default();
    let type_ = match before.phase {
        Phase::Encoding => conditions::PLACED,
        Phase::Settling | Phase::Restoring => conditions::SETTLED,
        _ => return None,
    };
    let mut status = before.clone();
    let refusal = Refusal { why, generation: job.metadata.generation, now: observed.now };
    refusal.tell(&mut status.conditions, &before.conditions, (type_, false), is_due);
    let known = find(&before.conditions, type_).is_some_and(|c| c.reason == reason::REFUSED);
    let events = if known { Vec::new() } else { vec![EventDraft::warning(reason::REFUSED, type_, why)] };
    (status != before).then_some((status, events))
}

/// Counts what is on record now and was not before: once a verdict, once an outcome.
fn count(namespace: &str, observed: &Observed, decision: &Decision, context: &Context) {
    let (metrics, job, status) = (&context.metrics, &observed.job, &decision.status);
    let library = job.spec.library_ref.name.as_str();
    if let Some(verdict) = &decision.verdict {
        metrics.add(&table::FRAMES_ENCODED, &[], verdict.frames as f64);
        metrics.add(&table::BYTES_READ, &[], verdict.source.as_ref().map_or(0, |s| s.size) as f64);
        metrics.add(&table::BYTES_WRITTEN, &[], verdict.size_gate.as_ref().map_or(0, |gate| gate.output_bytes) as f64);
        // A rehearsal that fails has no output yet, and a score below what was asked for is a verdict as that of the size gate.
        let wrong = verdict.reason == reasons::VERIFICATION_FAILED;
        for check in status.checks.iter().filter(|c| wrong && !c.passed) {
            metrics.add(&table::VERIFICATION_FAILURES, &[&check.name], 1.0);
        }
        context.working.resumed((namespace, &job.name_any()), status.run, verdict.chunks_resumed, metrics);
        let report = match &observed.report {
            ReportView::Got(report) => Some(report.as_ref()),
            _ => None,
        };
        let samples = figures::of_verdict(namespace, library, verdict, status.media.as_ref(), report);
        samples.iter().for_each(|sample| observe(sample, metrics));
    }
    if let Some(sample) = figures::of_settling(job, status, observed.now) {
        observe(&sample, metrics);
    }
    if status.phase.is_terminal() && observed.phase() != status.phase {
        let reason = status.outcome.as_ref().map_or("", |o| o.reason.as_str());
        metrics.count_outcome(namespace, library, reason);
        // What comes back from the trash was counted when it was encoded.
        if status.phase == Phase::Succeeded && observed.phase() == Phase::Settling {
            metrics.add(&table::BYTES_SAVED, &[], status.result.as_ref().map_or(0, |r| r.bytes_saved).max(0) as f64);
        }
    }
}

fn observe(sample: &Sample, metrics: &Metrics) {
    let labels: Vec<&str> = sample.labels.iter().map(String::as_str).collect();
    metrics.observe(sample.metric, &labels, sample.value);
}

/// Sets the gauges of a job that encodes and of its node, or takes them away.
pub(super) fn measure(namespace: &str, observed: &Observed, decision: &Decision, context: &Context) {
    let (metrics, job, status) = (&context.metrics, &observed.job, &decision.status);
    let (library, name) = (job.spec.library_ref.name.as_str(), job.name_any());
    let labels = [namespace, library, name.as_str()];
    if status.phase != Phase::Encoding || job.metadata.deletion_timestamp.is_some() {
        metrics.remove_job(namespace, library, &name);
        context.working.end((namespace, &name), metrics);
        return;
    }
    let node = observed.encode_pod().and_then(|pod| pod.node.as_deref());
    context.working.see((namespace, &name), node, observed.progress.as_ref(), Instant::now(), metrics);
    let Some(page) = &observed.progress else { return };
    if page.total_frames > 0 {
        metrics.set(&table::JOB_PROGRESS, &labels, page.frames as f64 / page.total_frames as f64);
    }
    metrics.set(&table::JOB_FRAMES_PER_SECOND, &labels, page.frames_per_second);
    for (metric, value) in [(&table::JOB_ETA, page.eta_seconds), (&table::JOB_PROJECTED_BYTES, page.projected_size)] {
        match value {
            Some(value) => metrics.set(metric, &labels, value as f64),
            None => metrics.remove(metric, &labels),
        }
    }
    if let Some(plan) = &page.plan {
        metrics.set(&table::JOB_WORKERS, &labels, f64::from(plan.workers));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::decide::tests;
    use super::*;

    #[test]
    fn a_refusal_stands_in_the_condition_of_the_step_and_is_written_once() {
        let table = [("Encoding", "Placed"), ("Settling", "Settled"), ("Restoring", "Settled")];
        for (phase, type_) in table {
            let mut o = tests::observed(json!({"phase": phase, "run": 1}));
            let (status, events) = with_refusal(&o, "Job.batch is invalid", || true).unwrap();
            let condition = find(&status.conditions, type_).unwrap();
            assert_eq!(
                (condition.status.as_str(), condition.reason.as_str(), condition.message.as_str(), events.len()),
                ("False", "Refused", "Job.batch is invalid", 1)
            );
            o.job.status = Some(status);
            assert!(with_refusal(&o, "Job.batch is invalid", || true).is_none());
            assert!(with_refusal(&o, "used: 2", || false).is_none(), "words that change each time");
            assert_eq!(with_refusal(&o, "used: 2", || true).unwrap().1.len(), 0);
        }
        for phase in ["Queued", "Failed", "Succeeded"] {
            assert!(with_refusal(&tests::observed(json!({"phase": phase})), "no", || true).is_none(), "{phase}");
        }
    }
}
